"""What embedding costs: operations of all windows, on equal terms for any model."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

import openclef
from openclef.cost import embedding_cost
from openclef.preprocessing import Preprocessing
from openclef.protocol.baselines import random_encoder
from openclef.signal import LEADS
from openclef.speed.flops import forward_flops


def test_operations_are_those_that_speed_counts() -> None:
    cost = embedding_cost(random_encoder(), repeats=1)
    assert cost.gflop == pytest.approx(forward_flops("resnext1d_small", 5000) / 1e9, rel=0.01)
    assert (cost.parameters, cost.windows) == (443_184, 1)
    assert cost.embeddings_per_second > 1


class _Attention(torch.nn.Module):
    """One linear layer and one attention of known cost, on one of several leads."""

    dim = 8
    leads = 12

    def __init__(self) -> None:
        super().__init__()
        self.linear = torch.nn.Linear(1, 8, bias=False)

    def forward(self, signal: torch.Tensor) -> torch.Tensor:
        tokens = self.linear(signal[:, 0, :, None])
        return F.scaled_dot_product_attention(tokens[:, None], tokens[:, None], tokens[:, None])[:, 0].mean(1)


@pytest.mark.parametrize(("seconds", "windows"), [(10.0, 1), (5.0, 2)])
def test_attention_and_every_window_count(seconds: float, windows: int) -> None:
    samples = round(seconds * 20)
    model = openclef.Encoder(
        _Attention(), openclef.Preprocessing(fs=20, seconds=seconds, band=None), lead_names=LEADS
    )
    model.train()
    cost = embedding_cost(model, lead="V2", repeats=1)
    assert cost.windows == windows
    one = 2 * samples * 8 + 2 * (2 * samples * samples * 8)  # the layer, then the two products of attention
    assert cost.gflop == pytest.approx(windows * one / 1e9, rel=1e-6)
    assert model.training
    with pytest.raises(ValueError, match="lead 'X' is none of the model's"):
        embedding_cost(model, lead="X")


def test_a_model_of_a_band_beyond_250_hz_is_measured_at_its_own_rate() -> None:
    cost = embedding_cost(random_encoder(preprocessing=Preprocessing(fs=1000, band=(0.5, 300.0))), repeats=1)
    assert cost.windows == 1
    assert cost.gflop > 0


def test_repeats_are_whole_numbers_from_one() -> None:
    with pytest.raises(ValueError, match="repeats is 0; accepted are whole numbers from 1"):
        embedding_cost(random_encoder(), repeats=0)
