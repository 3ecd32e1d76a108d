"""ResNeXt1D against the published reference's numbers, its parameter counts and slow loops."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from openclef.backbone import BACKBONES
from openclef.backbone.resnext1d import Block, SameConv1d

# Parameters in use, with BatchNorm, features (Shu et al., arXiv 2512.02180, and its released code).
PUBLISHED = {
    "resnext1d_small": (443_184, 447_792, 256),
    "resnext1d_medium": (30_587_632, 30_654_000, 1024),
    "resnext1d_large": (296_301_312, 296_623_360, 2048),
}
WAVES = ((0.6, 1.2, 0.0), (0.3, 2.4, 0.5), (0.2, 7.0, 1.0), (0.1, 19.0, 2.0), (0.05, 33.0, 0.3))


def _fill(net: nn.Module, salt: float) -> None:
    """The reference's deterministic weights, parameter by parameter in the published order."""
    for number, parameter in enumerate(net.parameters()):
        element = np.arange(parameter.numel(), dtype=np.float64)
        share = np.sin(12.9898 * element + 78.233 * (number + salt)) * 43758.5453
        value = 2 * (share - np.floor(share)) - 1
        value *= math.sqrt(3 / math.prod(parameter.shape[1:])) if parameter.ndim > 1 else 0.05
        with torch.no_grad():
            parameter.copy_(torch.from_numpy(value.astype(np.float32)).reshape(parameter.shape))


def _wave(samples: int, salt: float) -> torch.Tensor:
    time_s = np.arange(samples) / 500
    wave = sum(a * np.sin(2 * np.pi * f * time_s + p + salt) for a, f, p in WAVES)
    return torch.from_numpy(((wave - wave.mean()) / wave.std()).astype(np.float32)).reshape(1, 1, -1)


@pytest.mark.parametrize("name", ["small", "medium", pytest.param("large", marks=pytest.mark.slow)])
def test_embeddings_are_those_of_the_published_reference(golden_folder: Path, name: str) -> None:
    reference = json.loads((golden_folder / "reference.json").read_text())
    golden, salt = reference["encoder"][name], reference["salt"]
    net = BACKBONES[f"resnext1d_{name}"]().eval()
    _fill(net, salt)
    for samples in (5000, 2500, 1999):
        with torch.no_grad():
            embedding = net(_wave(samples, salt))[0].numpy()
        expected = np.array(golden["embedding"][str(samples)])
        largest = np.abs(embedding).max()
        assert np.abs(embedding[: len(expected)] - expected).max() < 1e-5 * largest
        assert np.linalg.norm(embedding) == pytest.approx(golden["embedding_norm"][str(samples)], rel=1e-5)


@pytest.mark.parametrize("name", ["small", "medium", "large"])
def test_names_and_shapes_are_the_published_ones(golden_folder: Path, name: str) -> None:
    golden = json.loads((golden_folder / "reference.json").read_text())["encoder"][name]
    with torch.device("meta"):
        used = BACKBONES[f"resnext1d_{name}"]()
        whole = BACKBONES[f"resnext1d_{name}"](normalisation="batch")
    assert [[n, list(p.shape), False] for n, p in used.named_parameters()] == [
        entry for entry in golden["parameters"] if not entry[2]
    ]
    assert [[n, list(p.shape)] for n, p in whole.named_parameters()] == [e[:2] for e in golden["parameters"]]
    assert [[n, list(b.shape)] for n, b in whole.named_buffers()] == golden["buffers"]


@pytest.mark.parametrize("name", PUBLISHED)
def test_parameter_counts_are_the_published_ones(name: str) -> None:
    in_use, whole, dim = PUBLISHED[name]
    with torch.device("meta"):
        net = BACKBONES[name]()
        normalised = BACKBONES[name](normalisation="batch")
    assert sum(p.numel() for p in net.parameters()) == in_use
    assert sum(p.numel() for p in normalised.parameters()) == whole
    assert net.dim == dim


@pytest.mark.parametrize(("samples", "stride"), [(9, 1), (10, 1), (9, 2), (10, 2), (40, 2), (41, 2), (37, 3)])
def test_same_convolution_equals_a_loop(samples: int, stride: int) -> None:
    torch.manual_seed(0)
    module = SameConv1d(2, 4, kernel=16, stride=stride, groups=2).double()
    signal = torch.randn(1, 2, samples, dtype=torch.float64)
    outputs = -(-samples // stride)
    total = max(0, (outputs - 1) * stride + 16 - samples)
    padded = np.zeros((2, samples + total))
    padded[:, total // 2 : total // 2 + samples] = signal[0].numpy()
    weight, bias = module.conv.weight.detach().numpy(), module.conv.bias.detach().numpy()
    expected = np.array(
        [
            [
                bias[c] + (weight[c, 0] * padded[c // 2, i * stride : i * stride + 16]).sum()
                for i in range(outputs)
            ]
            for c in range(4)
        ]
    )
    found = module(signal.transpose(1, 2))[0].detach().numpy()
    assert np.allclose(found.T, expected, atol=1e-12)


def test_shortcut_pools_and_widens() -> None:
    block = Block(2, 6, inner=4, groups=2, stride=2)
    for parameter in block.parameters():
        nn.init.zeros_(parameter)  # what is left is the shortcut
    signal = torch.tensor([[[1.0, 5.0, 2.0, 3.0, -4.0], [0.0, -1.0, -2.0, -3.0, -1.0]]])
    expected = torch.zeros(1, 6, 3)
    expected[0, 2] = torch.tensor([5.0, 3.0, 0.0])  # the odd last sample is pooled with a padded zero
    expected[0, 3] = torch.tensor([0.0, -2.0, 0.0])
    assert torch.equal(block(signal.transpose(1, 2)), expected.transpose(1, 2))


def test_batch_normalisation_depends_on_the_batch_in_training_only() -> None:
    torch.manual_seed(0)
    net = BACKBONES["resnext1d_small"](normalisation="batch")
    signal = torch.randn(4, 1, 300)
    assert not torch.allclose(net(signal)[:2], net(signal[:2]), atol=1e-4)
    net.eval()
    assert torch.allclose(net(signal)[:2], net(signal[:2]), atol=1e-5)


@pytest.mark.parametrize("normalisation", ["none", "batch"])
def test_every_trainable_parameter_has_a_gradient(normalisation: str) -> None:
    """Otherwise training on several devices would wait for a gradient that never comes."""
    net = BACKBONES["resnext1d_small"](normalisation=normalisation)
    net(torch.randn(2, 1, 500)).square().sum().backward()
    assert all(p.grad is not None for p in net.parameters() if p.requires_grad)
    still = [n for n, p in net.named_parameters() if not p.requires_grad]
    assert still == (
        [] if normalisation == "none" else [f"stage_list.0.block_list.0.bn1.{p}" for p in ("weight", "bias")]
    )


@pytest.mark.parametrize("samples", [16, 17, 100, 1000, 1250])
def test_any_length_and_any_number_of_leads(samples: int) -> None:
    net = BACKBONES["resnext1d_small"](leads=3)
    assert net.leads == 3
    embedding = net(torch.randn(2, 3, samples))
    assert embedding.shape == (2, 256)
    assert bool(torch.isfinite(embedding).all())


def test_bfloat16_is_close_to_float32() -> None:
    torch.manual_seed(0)
    net, signal = BACKBONES["resnext1d_small"]().eval(), torch.randn(4, 1, 1000)
    with torch.no_grad():
        full = net(signal)
        with torch.autocast("cpu", torch.bfloat16):
            half = net(signal).float()
    assert torch.nn.functional.cosine_similarity(full, half).min() > 0.999


@pytest.mark.parametrize(
    ("shape", "message"),
    [((2, 500), "takes \\(batch, 1, time\\)"), ((2, 12, 500), "Select 1 lead"), ((2, 1, 15), "16 or more")],
)
def test_wrong_signals_are_refused(shape: tuple[int, ...], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        BACKBONES["resnext1d_small"]()(torch.zeros(shape))


@pytest.mark.parametrize("settings", [{"normalisation": "layer"}, {"leads": 0}])
def test_wrong_settings_are_refused(settings: dict) -> None:
    with pytest.raises(ValueError, match="pass"):
        BACKBONES["resnext1d_small"](**settings)


def test_shapes_can_be_had_without_memory() -> None:
    """On the meta device, as tools do that count operations or plan memory."""
    with torch.device("meta"):
        assert BACKBONES["resnext1d_large"]()(torch.empty(3, 1, 4999)).shape == (3, 2048)
