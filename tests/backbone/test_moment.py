"""MOMENT against slow loops in float64 and what follows from its definition; `tests/published` has the original's."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

from openclef.backbone import BACKBONES
from openclef.backbone.moment import SIZES, Moment, Positions, Size, T5Encoder, position_buckets

TINY = Size(dim=24, hidden=40, heads=2, layers=2)


def _net(leads: int = 1, dropout: float = 0.1, seed: int = 0) -> Moment:
    torch.manual_seed(seed)
    net = Moment(TINY, leads, dropout).eval()
    with torch.no_grad():
        for name, parameter in net.named_parameters():
            if "layer_norm" in name:
                parameter.uniform_(0.5, 1.5)
            elif "relative_attention_bias" in name:
                parameter.normal_(std=2.0)
    return net


def _bucket(offset: int) -> int:
    """By whole numbers: bucket b of 8 to 15 holds distances from 8 * 2 ** ((b - 8) / 2)."""
    distance, bucket = abs(offset), 0
    if distance < 8:
        bucket = distance
    else:
        bucket = max(b for b in range(8, 16) if distance**2 >= 64 * 2 ** (b - 8))
    return bucket + 16 * (offset > 0)


def test_buckets_of_distances_are_those_of_a_slow_loop() -> None:
    buckets = position_buckets(300)
    slow = [[_bucket(to - start) for to in range(300)] for start in range(300)]
    assert torch.equal(buckets, torch.tensor(slow))
    assert sorted(set(buckets.flatten().tolist())) == [
        n for n in range(32) if n != 16
    ]  # 16: distance 0 to the right


def test_positions_are_sines_and_cosines() -> None:
    table = Positions(24).pe[0]
    for position, pair in ((0, 0), (1, 0), (3, 5), (63, 11), (4999, 2)):
        angle = position * 10000 ** (-2 * pair / 24)
        assert float(table[position, 2 * pair]) == pytest.approx(math.sin(angle), abs=5e-4)
        assert float(table[position, 2 * pair + 1]) == pytest.approx(math.cos(angle), abs=5e-4)


def _normed(features: NDArray[np.float64], weight: NDArray[np.float64]) -> NDArray[np.float64]:
    return features / np.sqrt((features**2).mean() + 1e-6) * weight


def _slow(net: Moment, lead: NDArray[np.float64]) -> NDArray[np.float64]:
    """One lead through the net, patch by patch and head by head, in float64."""
    weight = {name: tensor.double().numpy() for name, tensor in net.state_dict().items()}
    lead = (lead - lead.mean()) / (lead.std() + 1e-5)
    count = len(lead) // 8
    hidden = [
        weight["patch_embedding.value_embedding.weight"] @ lead[8 * n : 8 * n + 8]
        + weight["patch_embedding.position_embedding.pe"][0, n]
        for n in range(count)
    ]
    table = weight["encoder.block.0.layer.0.SelfAttention.relative_attention_bias.weight"]
    for layer in range(TINY.layers):
        at, ff = f"encoder.block.{layer}.layer.0.", f"encoder.block.{layer}.layer.1."
        normed = [_normed(patch, weight[at + "layer_norm.weight"]) for patch in hidden]
        q, k, v = ([weight[f"{at}SelfAttention.{of}.weight"] @ patch for patch in normed] for of in "qkv")
        for n in range(count):
            attended = []
            for head in range(TINY.heads):
                part = slice(64 * head, 64 * head + 64)
                score = np.array(
                    [q[n][part] @ k[m][part] + table[_bucket(m - n), head] for m in range(count)]
                )
                share = np.exp(score - score.max())
                share /= share.sum()
                attended.append(sum(share[m] * v[m][part] for m in range(count)))
            hidden[n] = hidden[n] + weight[at + "SelfAttention.o.weight"] @ np.concatenate(attended)
        for n in range(count):
            normed_n = _normed(hidden[n], weight[ff + "layer_norm.weight"])
            gate = weight[ff + "DenseReluDense.wi_0.weight"] @ normed_n
            gate = 0.5 * gate * (1 + np.tanh(math.sqrt(2 / math.pi) * (gate + 0.044715 * gate**3)))
            inner = gate * (weight[ff + "DenseReluDense.wi_1.weight"] @ normed_n)
            hidden[n] = hidden[n] + weight[ff + "DenseReluDense.wo.weight"] @ inner
    return np.mean([_normed(patch, weight["encoder.final_layer_norm.weight"]) for patch in hidden], axis=0)


@pytest.mark.parametrize("samples", [8, 29, 200])
def test_it_is_what_a_slow_loop_computes(samples: int) -> None:
    net = _net()
    signal = torch.randn(2, 1, samples, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        features = net(signal)
    for row in range(2):
        slow = _slow(net, signal[row, 0].double().numpy())
        assert np.abs(features[row].double().numpy() - slow).max() < 2e-5 * np.abs(slow).max()


def test_scale_and_offset_of_a_signal_do_not_count() -> None:
    net, signal = _net(), torch.randn(3, 1, 80)
    with torch.no_grad():
        assert torch.allclose(net(5 - 3 * signal), net(-signal), atol=1e-4)
        assert torch.isfinite(net(torch.full((1, 1, 80), 7.0))).all()


def test_leads_pass_one_by_one_and_are_averaged() -> None:
    three, one = _net(leads=3), _net()
    one.load_state_dict(three.state_dict())
    signal = torch.randn(2, 3, 64)
    with torch.no_grad():
        alone = torch.stack([one(signal[:, [lead]]) for lead in range(3)]).mean(0)
        assert torch.allclose(three(signal), alone, atol=1e-5)


@pytest.mark.parametrize("samples", [8, 13, 512, 999])
def test_any_length_has_as_many_features(samples: int) -> None:
    net, signal = _net(), torch.randn(2, 1, samples)
    with torch.no_grad():
        assert net(signal).shape == (2, 24)
        assert torch.isfinite(net(signal)).all()


def test_a_record_is_embedded_without_regard_to_the_others() -> None:
    net, signal = _net(), torch.randn(5, 1, 128)
    with torch.no_grad():
        assert torch.allclose(net(signal)[3], net(signal[[3]])[0], atol=1e-5)


def test_dropout_is_for_training_only() -> None:
    net, signal = _net(), torch.randn(2, 1, 128)
    with torch.no_grad():
        assert torch.equal(net(signal), net(signal))
        net.train()
        assert not torch.allclose(net(signal), net(signal), atol=1e-3)
        still = _net(dropout=0.0).train()
        assert torch.equal(still(signal), still(signal))


def test_every_weight_has_a_gradient() -> None:
    net = _net()
    net(torch.randn(4, 1, 400)).square().sum().backward()
    for name, parameter in net.named_parameters():
        assert parameter.grad is not None, name
        assert float(parameter.grad.abs().sum()) > 0, name


def test_it_runs_in_bfloat16() -> None:
    net, signal = _net(), torch.randn(2, 1, 128)
    with torch.no_grad(), torch.autocast("cpu", dtype=torch.bfloat16):
        halved = net(signal)
        whole = net(signal * 1e4)
    assert torch.isfinite(halved).all()
    assert torch.allclose(halved.float(), whole.float(), atol=0.1)
    with torch.no_grad():
        full = net(signal)
    assert float(torch.cosine_similarity(halved.float(), full).min()) > 0.98


def test_weights_start_as_those_of_a_t5() -> None:
    torch.manual_seed(0)
    attention = T5Encoder(Size(128, 256, 4, 1)).block[0].layer[0].SelfAttention
    expected = {"q": (128 * 64) ** -0.5, "k": 128**-0.5, "v": 128**-0.5, "o": 256**-0.5}
    for name, spread in expected.items():
        assert float(getattr(attention, name).weight.detach().std()) == pytest.approx(spread, rel=0.03)
    assert float(attention.relative_attention_bias.weight.detach().std()) == pytest.approx(128**-0.5, rel=0.2)
    columns = Moment(TINY).patch_embedding.value_embedding.weight
    assert torch.allclose(columns.T @ columns, 1.41**2 * torch.eye(8), atol=1e-5)


@pytest.mark.parametrize(
    ("shape", "message"),
    [
        ((2, 512), r"takes \(batch, 1, time\)"),
        ((2, 12, 512), "Select 1 lead"),
        ((2, 1, 7), "takes 8 or more"),
        ((1, 1, 40_001), "takes 40000 or fewer"),
    ],
)
def test_other_shapes_are_refused(shape: tuple[int, ...], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        _net()(torch.zeros(shape))


def test_settings_are_checked() -> None:
    with pytest.raises(ValueError, match="leads=0 is too few"):
        Moment(TINY, leads=0)
    for dropout in (-0.1, 1.0):
        with pytest.raises(ValueError, match="no share to drop"):
            Moment(TINY, dropout=dropout)


@pytest.mark.parametrize("name", SIZES)
def test_sizes_are_those_of_flan_t5(name: str) -> None:
    dim, hidden, heads, layers = SIZES[name]
    with torch.device("meta"):
        net = BACKBONES[name]()
    one = 4 * dim * heads * 64 + 3 * dim * hidden + 2 * dim
    assert sum(p.numel() for p in net.parameters()) == 8 * dim + layers * one + 32 * heads + dim
    assert net.dim == dim


def _moved(signal: Tensor, patches: int) -> Tensor:
    return torch.roll(signal, 8 * patches, dims=-1)


def test_the_order_of_patches_counts() -> None:
    net, signal = _net(), torch.randn(2, 1, 128)
    with torch.no_grad():
        assert not torch.allclose(net(signal), net(_moved(signal, 3)), atol=1e-3)
