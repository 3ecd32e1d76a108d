"""Moirai against slow loops in float64, the published code's numbers and what follows from its definition."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from openclef.backbone import BACKBONES
from openclef.backbone.moirai import PATCHES, SIZES, Moirai, PatchProjection, Size, rotate
from tests.published.filling import fill, manifest, wave

TINY = Size(dim=128, layers=2)
# uni2ts 2.0.0, moirai_small filled as tests/published/filling.py says, two leads of 1999 samples, patches of 32.
GOLDEN = (
    (0.35614, -0.57048, 1.99213, -0.65145, 0.8987, 2.0437),
    (0.35873, -0.55304, 2.00066, -0.67474, 0.9051, 2.03186),
)
NORM = (19.5762, 19.5716)


def _net(leads: int = 1, patch: int = 8, seed: int = 0) -> Moirai:
    torch.manual_seed(seed)
    net = Moirai(TINY, leads, patch).eval()
    with torch.no_grad():
        for name, parameter in net.named_parameters():
            if "norm" in name:
                parameter.uniform_(0.5, 1.5)
    return net


def _normed(features: NDArray[np.float64], weight: NDArray[np.float64]) -> NDArray[np.float64]:
    return features / np.sqrt((features**2).mean() + 1e-5) * weight


def _turned(head: NDArray[np.float64], time: int) -> NDArray[np.float64]:
    """The first 32 of 64 features as 16 complex numbers, each turned by its own angle."""
    turned = head[:32:2] + 1j * head[1:32:2]
    turned = turned * np.exp(1j * time * 10000.0 ** (-np.arange(16) / 16))
    return np.concatenate([np.stack([turned.real, turned.imag], axis=1).ravel(), head[32:]])


def _slow(net: Moirai, signal: NDArray[np.float64]) -> NDArray[np.float64]:
    """One record, (leads, time), token by token and head by head, in float64."""
    weight = {name: tensor.double().numpy() for name, tensor in net.state_dict().items()}
    which, tokens = PATCHES.index(net.patch), []
    for number, lead in enumerate(signal):
        mean, deviation = lead.mean(), math.sqrt(lead.var(ddof=1) + 1e-5)
        padded = np.concatenate([np.zeros(-len(lead) % net.patch), lead])
        for time, patch in enumerate(((padded - mean) / deviation).reshape(-1, net.patch)):
            features = weight["in_proj.weight"][which, :, : net.patch] @ patch
            tokens.append((number, time, features + weight["in_proj.bias"][which]))
    hidden = [features for _, _, features in tokens]
    count = len(tokens)
    for layer in range(TINY.layers):
        name = f"encoder.layers.{layer}."
        normed = [_normed(token, weight[name + "norm1.weight"]) for token in hidden]
        q, k, v = ([weight[f"{name}self_attn.{of}_proj.weight"] @ token for token in normed] for of in "qkv")
        attended = np.zeros((count, TINY.dim))
        for head in range(TINY.dim // 64):
            part = slice(64 * head, 64 * head + 64)
            for n in range(count):
                query = _turned(_normed(q[n][part], weight[name + "self_attn.q_norm.weight"]), tokens[n][1])
                score = np.empty(count)
                for m in range(count):
                    key = _turned(_normed(k[m][part], weight[name + "self_attn.k_norm.weight"]), tokens[m][1])
                    same = int(tokens[n][0] == tokens[m][0])
                    score[m] = (
                        query @ key / 8 + weight[name + "self_attn.var_attn_bias.emb.weight"][same, head]
                    )
                share = np.exp(score - score.max())
                attended[n, part] = sum(of / share.sum() * v[m][part] for m, of in enumerate(share))
        for n in range(count):
            hidden[n] = hidden[n] + weight[name + "self_attn.out_proj.weight"] @ attended[n]
            behind = _normed(hidden[n], weight[name + "norm2.weight"])
            gate = weight[name + "ffn.fc_gate.weight"] @ behind
            inner = gate / (1 + np.exp(-gate)) * (weight[name + "ffn.fc1.weight"] @ behind)
            hidden[n] = hidden[n] + weight[name + "ffn.fc2.weight"] @ inner
    return np.mean([_normed(token, weight["encoder.norm.weight"]) for token in hidden], axis=0)


@pytest.mark.parametrize(("leads", "patch", "samples"), [(1, 8, 8), (1, 16, 100), (2, 8, 43), (3, 32, 64)])
def test_it_is_what_a_slow_loop_computes(leads: int, patch: int, samples: int) -> None:
    net = _net(leads, patch)
    signal = 2 + torch.randn(2, leads, samples, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        features = net(signal)
    for row in range(2):
        slow = _slow(net, signal[row].double().numpy())
        assert np.abs(features[row].double().numpy() - slow).max() < 2e-5 * np.abs(slow).max()


def test_two_leads_of_no_whole_number_of_patches_are_as_in_the_published_code() -> None:
    net = Moirai(SIZES["moirai_small"], leads=2, patch=32).eval()
    net.load_state_dict(
        {key: t for key, t in fill(manifest("moirai_small")["tensors"]).items() if key in net.state_dict()}
    )
    with torch.no_grad():
        features = net(wave(2, 1999, 500.0))
    golden = torch.tensor(GOLDEN)
    assert torch.allclose(features[:, :6], golden, atol=2e-5)
    assert torch.allclose(features.norm(dim=1), torch.tensor(NORM), rtol=1e-5)


def test_products_of_rotated_features_tell_the_distance() -> None:
    query, key = torch.randn(1, 32), torch.randn(1, 32)
    at = torch.tensor

    def product(one: int, other: int) -> float:
        return float((rotate(query, at([one])) * rotate(key, at([other]))).sum())

    assert product(0, 3) == pytest.approx(product(40, 43), abs=1e-4)
    assert product(0, 0) == pytest.approx(float((query * key).sum()), abs=1e-5)
    assert abs(product(0, 3) - product(3, 0)) > 1e-3


@pytest.mark.parametrize("patch", PATCHES)
def test_each_patch_has_its_own_weights(patch: int) -> None:
    torch.manual_seed(0)
    projection, patches = PatchProjection(16), torch.randn(2, 5, patch)
    number = PATCHES.index(patch)
    assert not projection.weight[number, :, patch:].any()  # as published
    with torch.no_grad():
        projection.weight[number, :, patch:] = torch.nan  # not read
        projection.weight[[n for n in range(5) if n != number]] = torch.nan
        by_hand = patches @ projection.weight[number, :, :patch].T + projection.bias[number]
        assert torch.allclose(projection(patches), by_hand, atol=1e-5)


def test_the_order_of_leads_does_not_count() -> None:
    net, signal = _net(leads=3), torch.randn(2, 3, 64)
    with torch.no_grad():
        assert torch.allclose(net(signal), net(signal[:, [2, 0, 1]]), atol=1e-5)


def test_leads_see_each_other_through_the_shift_between_them() -> None:
    net, signal = _net(leads=2), torch.randn(1, 2, 64)
    with torch.no_grad():
        together = net(signal)
        for layer in net.encoder.layers:
            layer.self_attn.var_attn_bias.emb.weight[0] = -1e9  # two leads no longer attend to each other
        apart = net(signal)
        one = _net(leads=1)
        one.load_state_dict(net.state_dict())
        alone = (one(signal[:, :1]) + one(signal[:, 1:])) / 2
    assert torch.allclose(apart, alone, atol=1e-5)
    assert not torch.allclose(together, apart, atol=1e-3)


def test_scale_and_offset_of_a_signal_do_not_count() -> None:
    net, signal = _net(), torch.randn(3, 1, 80)
    with torch.no_grad():
        assert torch.allclose(net(5 - 3 * signal), net(-signal), atol=1e-4)
        assert torch.isfinite(net(torch.full((1, 1, 80), 7.0))).all()


@pytest.mark.parametrize("samples", [64, 65, 1001, 40_000])
def test_any_length_has_as_many_features(samples: int) -> None:
    net, signal = _net(patch=64), torch.randn(2, 1, samples)
    with torch.no_grad():
        assert net(signal).shape == (2, 128)
        assert torch.isfinite(net(signal)).all()


def test_a_record_is_embedded_without_regard_to_the_others() -> None:
    net, signal = _net(), torch.randn(5, 1, 128)
    with torch.no_grad():
        assert torch.allclose(net(signal)[3], net(signal[[3]])[0], atol=1e-5)


def test_every_weight_in_use_has_a_gradient() -> None:
    net = _net(leads=2, patch=16)
    net(torch.randn(4, 2, 400)).square().sum().backward()
    for name, parameter in net.named_parameters():
        assert parameter.grad is not None, name
        assert float(parameter.grad.abs().sum()) > 0, name
    used = PATCHES.index(16)
    by_patch = net.in_proj.weight.grad.abs().sum((1, 2))
    assert [bool(of) for of in by_patch] == [number == used for number in range(5)]


def test_it_runs_in_bfloat16() -> None:
    net, signal = _net(), torch.randn(2, 1, 128)
    with torch.no_grad():
        full = net(signal)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            halved = net(signal)
    assert halved.dtype == torch.float32  # the sums along the layers are not rounded
    assert float(torch.cosine_similarity(halved, full).min()) > 0.999


@pytest.mark.parametrize(
    ("shape", "message"),
    [
        ((2, 512), r"takes \(batch, 1, time\)"),
        ((2, 12, 512), "Select 1 lead"),
        ((2, 1, 63), "takes 64 or more"),
    ],
)
def test_other_shapes_are_refused(shape: tuple[int, ...], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        _net(patch=64)(torch.zeros(shape))


def test_settings_are_checked() -> None:
    with pytest.raises(ValueError, match="leads=0 is too few"):
        Moirai(TINY, leads=0)
    with pytest.raises(
        ValueError, match="patch=100 has no weights in Moirai; pass one of 8, 16, 32, 64, 128"
    ):
        Moirai(TINY, patch=100)


@pytest.mark.parametrize(
    ("name", "hidden"), [("moirai_small", 1024), ("moirai_base", 2048), ("moirai_large", 2736)]
)
def test_sizes_are_those_published(name: str, hidden: int) -> None:
    dim, layers = SIZES[name]
    with torch.device("meta"):
        net = BACKBONES[name]()
    one = 4 * dim**2 + 3 * dim * hidden + 2 * dim + 2 * 64 + 2 * dim // 64
    assert sum(p.numel() for p in net.parameters()) == 5 * dim * 129 + layers * one + dim
    assert net.dim == dim
