"""ECG-FM's encoder: against PyTorch's own layers, its frames, lengths, errors."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from openclef.backbone import BACKBONES
from openclef.backbone.wav2vec2 import Wav2Vec2, WeightNormedConvolution

SMALL: dict[str, Any] = {
    "leads": 3, "convolutions": [[12, 2, 2], [20, 2, 2]], "width": 32, "depth": 2, "heads": 4, "inner": 48,
    "position_kernel": 6, "position_groups": 4,
}  # fmt: skip


@pytest.fixture
def net() -> Wav2Vec2:
    torch.manual_seed(0)
    net = Wav2Vec2(**SMALL)
    with torch.no_grad():  # nothing stays at 0 or 1, so that every tensor shows
        for parameter in net.parameters():
            parameter.add_(0.2 * torch.randn_like(parameter))
    return net.eval()


def reference_layer(weights: dict[str, Tensor], name: str) -> nn.Module:
    """PyTorch's transformer layer with the weights of one of ours."""
    layer = nn.TransformerEncoderLayer(32, 4, 48, dropout=0.0, activation="gelu", batch_first=True)
    projections = [f"{name}.self_attn.{which}_proj" for which in "qkv"]
    layer.load_state_dict(
        {
            "self_attn.in_proj_weight": torch.cat([weights[f"{p}.weight"] for p in projections]),
            "self_attn.in_proj_bias": torch.cat([weights[f"{p}.bias"] for p in projections]),
        }
        | {
            f"{theirs}.{kind}": weights[f"{name}.{ours}.{kind}"]
            for theirs, ours in {
                "self_attn.out_proj": "self_attn.out_proj", "linear1": "fc1", "linear2": "fc2",
                "norm1": "self_attn_layer_norm", "norm2": "final_layer_norm",
            }.items()
            for kind in ("weight", "bias")
        }
    )  # fmt: skip
    return layer


def reference(net: Wav2Vec2, signal: Tensor) -> Tensor:
    weights = {name: tensor.detach() for name, tensor in net.state_dict().items()}
    first, second = (weights[f"feature_extractor.conv_layers.{i}.0.weight"] for i in (0, 1))
    pairs = signal[..., : signal.shape[2] // 2 * 2].unflatten(2, (-1, 2))  # kernel 2, stride 2
    hidden = torch.einsum("blfk,clk->bcf", pairs, first)
    mean, variance = hidden.mean(2, keepdim=True), hidden.var(2, correction=0, keepdim=True)
    hidden = (hidden - mean) / (variance + 1e-5).sqrt()
    hidden = hidden * weights["feature_extractor.conv_layers.0.2.weight"][:, None]
    hidden = nn.functional.gelu(hidden + weights["feature_extractor.conv_layers.0.2.bias"][:, None])
    pairs = hidden[..., : hidden.shape[2] // 2 * 2].unflatten(2, (-1, 2))
    features = nn.functional.gelu(torch.einsum("blfk,clk->bcf", pairs, second)).transpose(1, 2)
    features = nn.functional.layer_norm(
        features, (20,), weights["layer_norm.weight"], weights["layer_norm.bias"]
    )
    frames = features @ weights["post_extract_proj.weight"].T + weights["post_extract_proj.bias"]
    positions = nn.utils.parametrizations.weight_norm(nn.Conv1d(32, 32, 6, padding=3, groups=4), dim=2)
    positions.load_state_dict(
        {
            "bias": weights["conv_pos.pos_conv.0.bias"],
            "parametrizations.weight.original0": weights["conv_pos.pos_conv.0.weight_g"],
            "parametrizations.weight.original1": weights["conv_pos.pos_conv.0.weight_v"],
        }
    )
    around = nn.functional.gelu(positions(frames.transpose(1, 2))[..., :-1]).transpose(1, 2)
    norm = weights["encoder.layer_norm.weight"], weights["encoder.layer_norm.bias"]
    frames = nn.functional.layer_norm(frames + around, (32,), *norm)
    for index in range(2):
        frames = reference_layer(weights, f"encoder.layers.{index}").eval()(frames)
    return frames.mean(1)


@pytest.mark.parametrize("samples", [4, 5, 100, 103])
def test_features_are_those_of_pytorchs_layers(net: Wav2Vec2, samples: int) -> None:
    signal = torch.randn(3, 3, samples)
    signal[0, 1:] = 0
    with torch.no_grad():
        torch.testing.assert_close(net(signal), reference(net, signal), rtol=1e-4, atol=1e-4)


def test_a_row_does_not_depend_on_the_others(net: Wav2Vec2) -> None:
    signal = torch.randn(4, 3, 100)
    with torch.no_grad():
        together = net(signal)
        for row in range(4):
            torch.testing.assert_close(together[row], net(signal[row : row + 1])[0], rtol=1e-4, atol=1e-5)


def test_the_kernel_of_the_positions_is_a_direction_times_a_length() -> None:
    torch.manual_seed(1)
    convolution = WeightNormedConvolution(64, kernel=128, groups=16)
    length = float(torch.linalg.vector_norm(convolution.weight_v.detach()[..., 5]))
    assert float(convolution.weight_g.detach()[0, 0, 5]) == pytest.approx(length, rel=1e-5)
    assert float(convolution.weight_v.detach().std()) == pytest.approx(math.sqrt(4 / (128 * 64)), rel=0.05)
    signal = torch.randn(1, 64, 30)
    with torch.no_grad():
        before = convolution(signal)
        convolution.weight_v.mul_(7)
        torch.testing.assert_close(convolution(signal), before, rtol=1e-4, atol=1e-5)
        convolution.weight_g.mul_(2)
        torch.testing.assert_close(convolution(signal), 2 * before, rtol=1e-4, atol=1e-5)
        impulse = torch.zeros(1, 64, 200)
        impulse[0, 0, 100] = 1.0
        seen = convolution(impulse)[0, :4].any(0).nonzero()[:, 0]  # the first group's channels
    assert (int(seen.min()), int(seen.max())) == (100 - 63, 100 + 64)


def test_every_parameter_learns(net: Wav2Vec2) -> None:
    net(torch.randn(2, 3, 100)).pow(3).sum().backward()
    assert all(parameter.grad is not None and parameter.grad.any() for parameter in net.parameters())


def test_works_in_bfloat16(net: Wav2Vec2) -> None:
    signal = torch.randn(3, 3, 100)
    with torch.no_grad():
        exact = net(signal)
        with torch.autocast("cpu", torch.bfloat16):
            rounded = net(signal)
    assert (rounded.float() - exact).abs().max() < 0.1


def test_errors_say_what_to_do(net: Wav2Vec2) -> None:
    with pytest.raises(ValueError, match=r"\(2, 1, 100\); this backbone takes \(batch, 3, time\)"):
        net(torch.zeros(2, 1, 100))
    with pytest.raises(ValueError, match="3 samples; this backbone takes 4 or more"):
        net(torch.zeros(2, 3, 3))
    with pytest.raises(ValueError, match="leads=0"):
        Wav2Vec2(leads=0)
    with pytest.raises(ValueError, match=r"\(channels, kernel, stride\)"):
        Wav2Vec2(convolutions=[(256, 2)])
    with pytest.raises(ValueError, match="width=100 is not divisible by heads=12"):
        Wav2Vec2(width=100)


def test_the_published_size() -> None:
    settings = json.loads(json.dumps({"leads": 12, "convolutions": [[256, 2, 2]] * 4}))
    with torch.device("meta"):
        net = BACKBONES["wav2vec2_base"](**settings)
        features = net.get_submodule("feature_extractor")(torch.zeros(1, 12, 2500))
    assert features.shape == (1, 256, 156)  # of 5 s at 500 Hz
    assert (net.dim, net.leads, net.shortest) == (768, 12, 16)
    heads = 768 + (640 * 128 + 256 * 640 + 640) + (256 * 256 + 256) + (768 * 256 + 256)  # of its pretraining
    assert (
        sum(parameter.numel() for parameter in net.parameters()) + heads == 90_883_072
    )  # as its authors count
