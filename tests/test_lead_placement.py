"""Models of several leads on one lead: in its own channel, whichever way the signal comes in."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

import openclef
from openclef.backbone import BACKBONES
from openclef.signal import LEADS


class _Which(torch.nn.Module):
    """Features: the standard deviation of each channel."""

    leads = 12
    dim = 12

    def forward(self, signal: torch.Tensor) -> torch.Tensor:
        return signal.std(-1, correction=0)


@pytest.fixture
def twelve() -> openclef.Encoder:
    return openclef.Encoder(_Which(), openclef.Preprocessing(fs=100), lead_names=LEADS)


@pytest.mark.parametrize("lead", ["I", "V6"])
def test_the_lead_is_in_its_channel_and_the_others_are_empty(twelve: openclef.Encoder, lead: str) -> None:
    wave = np.sin(np.arange(1300) / 10)
    frame = openclef.embed(twelve, wave, fs=130, lead=lead)
    expected = [float(name == lead) for name in LEADS]
    assert np.array(frame["embedding"][0]) == pytest.approx(expected, abs=1e-4)


def test_a_store_too(twelve: openclef.Encoder, small_store: openclef.Store) -> None:
    from openclef.embedding import embed_store

    vectors = embed_store(twelve, small_store, lead="II", rows=[0, 1])
    assert vectors[:, 1] == pytest.approx(1, abs=1e-4)
    assert not np.delete(vectors, 1, axis=1).any()
    other = embed_store(twelve, small_store, lead="II", rows=[0], condition=openclef.Condition(lead="I"))
    assert other[0].nonzero()[0].tolist() == [0]


def test_leads_that_the_model_has_not_are_refused(twelve: openclef.Encoder) -> None:
    with pytest.raises(ValueError, match="lead 'V7' is none of the model's, I, II"):
        openclef.embed(twelve, np.ones(1300), fs=130, lead="V7")
    with pytest.raises(ValueError, match="takes 12 leads and does not name them"):
        openclef.embed(_Which(), np.ones(1300), fs=130)
    with pytest.raises(ValueError, match="2 lead names were given for a backbone of 12 leads"):
        openclef.Encoder(_Which(), lead_names=("I", "II"))


@pytest.mark.slow
def test_fine_tuning_one_lead_of_twelve(tmp_path: Path) -> None:
    torch.manual_seed(0)
    settings = {"leads": 12}
    encoder = openclef.Encoder(
        BACKBONES["resnext1d_small"](**settings),
        openclef.Preprocessing(fs=100),
        backbone_name="resnext1d_small",
        backbone_settings=settings,
        lead_names=LEADS,
    )
    store = openclef.simulate(tmp_path / "sim", patients=60, seconds=10, workers=1)
    run = openclef.finetune(
        encoder, [store], "sim/age", tmp_path / "run", lead="II", epochs=1, batch_size=16, quiet=True
    )
    model = openclef.load(run.path)
    assert model.lead_names == LEADS
    table = openclef.predict(model, np.random.default_rng(0).normal(size=1300), fs=130, lead="II")
    assert np.isfinite(table.iloc[0, -1])
