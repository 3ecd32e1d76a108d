"""Wav2Vec2, as ECG-FM and HuBERT-ECG have it: convolutions, convolutional positions, a transformer, the mean."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from openclef.backbone.shape import check_shape

_HUBERT: dict[str, Any] = {
    "convolutions": ((512, 10, 4), (512, 3, 2), (512, 3, 2), (512, 2, 2), (512, 2, 2)),
    "one_after_another": True,
}
HUBERT_SIZES: dict[str, dict[str, Any]] = {
    "hubert_small": _HUBERT | {"width": 512, "depth": 8, "heads": 8, "inner": 2048},
    "hubert_base": _HUBERT | {"width": 768, "depth": 12, "heads": 12, "inner": 3072},
    "hubert_large": _HUBERT | {"width": 960, "depth": 16, "heads": 12, "inner": 3840},
}
"""Settings of HuBERT-ECG's sizes."""


class ConvolutionNorm(nn.GroupNorm):
    """Normalises each channel over time, in float32 whatever the precision.

    Args:
        channels: Of the signal.

    Example:
        >>> ConvolutionNorm(2)(torch.tensor([[[1.0, 3.0], [0.0, 0.0]]])).round().tolist()
        [[[-1.0, 1.0], [0.0, 0.0]]]
    """

    def __init__(self, channels: int) -> None:
        super().__init__(channels, channels)

    def forward(self, signal: Tensor) -> Tensor:
        """Map (batch, channels, time) to the same shape."""
        normed = F.group_norm(
            signal.float(), self.num_groups, self.weight.float(), self.bias.float(), self.eps
        )
        return normed.to(signal)


class FeatureExtractor(nn.Module):
    """Strided convolutions with GELU, the first one normalised: from leads to features at a lower rate.

    Args:
        leads: Channels in.
        layers: (channels, kernel, stride) of each convolution.

    Example:
        >>> FeatureExtractor(2, [(8, 2, 2), (8, 2, 2)])(torch.zeros(1, 2, 100)).shape
        torch.Size([1, 8, 25])
    """

    def __init__(self, leads: int, layers: Sequence[Sequence[int]]) -> None:
        super().__init__()
        self.conv_layers = nn.ModuleList()
        for index, (channels, kernel, stride) in enumerate(layers):
            convolution = nn.Conv1d(leads, channels, kernel, stride, bias=False)
            nn.init.kaiming_normal_(convolution.weight)
            norm = [ConvolutionNorm(channels)] if index == 0 else []
            self.conv_layers.append(nn.Sequential(convolution, nn.Identity(), *norm, nn.GELU()))
            leads = channels

    def forward(self, signal: Tensor) -> Tensor:
        """Map (batch, leads, time) to (batch, channels, frames)."""
        for layer in self.conv_layers:
            signal = layer(signal)
        return signal


class WeightNormedConvolution(nn.Module):
    """A convolution whose kernel is a direction times a length, one for each of its taps; its output is as long.

    Args:
        width: Channels in and out.
        kernel: Taps.
        groups: Of channels.

    Example:
        >>> WeightNormedConvolution(8, kernel=4, groups=2)(torch.zeros(1, 8, 10)).shape
        torch.Size([1, 8, 10])
    """

    def __init__(self, width: int, kernel: int, groups: int) -> None:
        super().__init__()
        self.groups = groups
        self.bias = nn.Parameter(torch.zeros(width))
        direction = torch.empty(width, width // groups, kernel).normal_(std=math.sqrt(4 / (kernel * width)))
        self.weight_g = nn.Parameter(torch.linalg.vector_norm(direction, dim=(0, 1), keepdim=True))
        self.weight_v = nn.Parameter(direction)

    def forward(self, hidden: Tensor) -> Tensor:
        """Map (batch, width, frames) to the same shape."""
        norm = torch.linalg.vector_norm(self.weight_v, dim=(0, 1), keepdim=True)
        weight = self.weight_v * (self.weight_g / norm)
        padded = F.conv1d(hidden, weight, self.bias, padding=weight.shape[2] // 2, groups=self.groups)
        return padded[..., : hidden.shape[2]]


class Positions(nn.Module):
    """What a frame learns of its place from the frames around it.

    Args:
        width: Features of a frame.
        kernel: Frames that it sees.
        groups: Of features.

    Example:
        >>> Positions(8, kernel=4, groups=2)(torch.zeros(1, 10, 8)).shape
        torch.Size([1, 10, 8])
    """

    def __init__(self, width: int, kernel: int, groups: int) -> None:
        super().__init__()
        self.pos_conv = nn.Sequential(WeightNormedConvolution(width, kernel, groups), nn.GELU())

    def forward(self, frames: Tensor) -> Tensor:
        """Map (batch, frames, width) to the same shape."""
        return self.pos_conv(frames.transpose(1, 2)).transpose(1, 2)


class SelfAttention(nn.Module):
    """Multi-head self-attention.

    Args:
        width: Features of a frame.
        heads: Attention heads.

    Example:
        >>> SelfAttention(8, heads=2)(torch.zeros(1, 3, 8)).shape
        torch.Size([1, 3, 8])
    """

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.k_proj = nn.Linear(width, width)
        self.v_proj = nn.Linear(width, width)
        self.q_proj = nn.Linear(width, width)
        self.out_proj = nn.Linear(width, width)

    def forward(self, frames: Tensor) -> Tensor:
        """Map (batch, frames, width) to the same shape."""
        queries, keys, values = (
            projection(frames).unflatten(2, (self.heads, -1)).transpose(1, 2)
            for projection in (self.q_proj, self.k_proj, self.v_proj)
        )
        mixed = F.scaled_dot_product_attention(queries, keys, values)
        return self.out_proj(mixed.transpose(1, 2).flatten(2))


class Layer(nn.Module):
    """A transformer layer: attention, then feed-forward, each followed by a norm of its sum with its input.

    Args:
        width: Features of a frame.
        heads: Attention heads.
        inner: Features within the feed-forward part.

    Example:
        >>> Layer(8, heads=2, inner=32)(torch.zeros(1, 3, 8)).shape
        torch.Size([1, 3, 8])
    """

    def __init__(self, width: int, heads: int, inner: int) -> None:
        super().__init__()
        self.self_attn = SelfAttention(width, heads)
        self.self_attn_layer_norm = nn.LayerNorm(width)
        self.fc1 = nn.Linear(width, inner)
        self.fc2 = nn.Linear(inner, width)
        self.final_layer_norm = nn.LayerNorm(width)

    def forward(self, frames: Tensor) -> Tensor:
        """Map (batch, frames, width) to the same shape."""
        frames = self.self_attn_layer_norm(frames + self.self_attn(frames))
        return self.final_layer_norm(frames + self.fc2(F.gelu(self.fc1(frames))))


class Transformer(nn.Module):
    """A norm, then transformer layers.

    Args:
        width: Features of a frame.
        depth: Layers.
        heads: Attention heads.
        inner: Features within the feed-forward part of a layer.

    Example:
        >>> Transformer(8, depth=2, heads=2, inner=32)(torch.zeros(1, 3, 8)).shape
        torch.Size([1, 3, 8])
    """

    def __init__(self, width: int, depth: int, heads: int, inner: int) -> None:
        super().__init__()
        self.layers = nn.ModuleList(Layer(width, heads, inner) for _ in range(depth))
        self.layer_norm = nn.LayerNorm(width)
        for module in self.modules():
            if isinstance(module, nn.Linear):
                nn.init.normal_(module.weight, std=0.02)
                nn.init.zeros_(module.bias)

    def forward(self, frames: Tensor) -> Tensor:
        """Map (batch, frames, width) to the same shape."""
        frames = self.layer_norm(frames)
        for layer in self.layers:
            frames = layer(frames)
        return frames


class Wav2Vec2(nn.Module):
    """The encoder of ECG-FM, with the names and shapes of its published tensors.

    Its frames are 16 samples apart. Weights start as in its pretraining. There is no dropout, as its authors
    fine-tune it; the heads and the quantiser of its pretraining are not part of it.

    Args:
        leads: Leads in the input, in the order I, II, III, aVR, aVL, aVF, V1 to V6 for the published weights.
        convolutions: (channels, kernel, stride) of each convolution of the feature extractor.
        width: Features of a frame.
        depth: Transformer layers.
        heads: Attention heads.
        inner: Features within the feed-forward part of a layer.
        position_kernel: Frames that the convolutional positions see.
        position_groups: Their groups of features.
        one_after_another: Leads follow each other in one channel, as in HuBERT-ECG.

    Raises:
        ValueError: Settings that do not go together.

    Source:
        McKeen et al., ECG-FM: An Open Electrocardiogram Foundation Model, arXiv 2408.05178, and the framework
        fairseq-signals; Baevski et al., wav2vec 2.0, NeurIPS 2020; Coppola et al., HuBERT-ECG, medRxiv
        2024.11.14.24317328.

    Example:
        >>> net = Wav2Vec2(leads=1, width=32, depth=2, heads=4, inner=64, position_kernel=8)
        >>> net.dim, net(torch.randn(2, 1, 500)).shape
        (32, torch.Size([2, 32]))
    """

    def __init__(
        self,
        leads: int = 1,
        convolutions: Sequence[Sequence[int]] = ((256, 2, 2),) * 4,
        width: int = 768,
        depth: int = 12,
        heads: int = 12,
        inner: int = 3072,
        position_kernel: int = 128,
        position_groups: int = 16,
        one_after_another: bool = False,
    ) -> None:
        super().__init__()
        if leads < 1:
            raise ValueError(f"leads={leads} is too few; pass the number of leads of a signal, 1 or more.")
        if not convolutions or any(len(layer) != 3 for layer in convolutions):
            raise ValueError(
                f"convolutions={convolutions} does not give each convolution; pass (channels, kernel, stride) "
                "of one or more, for example [(256, 2, 2), (256, 2, 2)]."
            )
        if width % heads or width % position_groups:
            raise ValueError(
                f"width={width} is not divisible by heads={heads} and by position_groups={position_groups}; "
                "pass for example width=768, heads=12, position_groups=16."
            )
        self.dim = width
        self.leads = leads
        self.shortest = 1
        for _, kernel, stride in reversed(list(convolutions)):
            self.shortest = (self.shortest - 1) * stride + kernel
        channels = convolutions[-1][0]
        self.encoder = Transformer(width, depth, heads, inner)
        self.one_after_another = one_after_another
        self.feature_extractor = FeatureExtractor(1 if one_after_another else leads, convolutions)
        self.post_extract_proj = nn.Linear(channels, width)
        self.conv_pos = Positions(width, position_kernel, position_groups)
        self.layer_norm = nn.LayerNorm(channels)

    def forward(self, signal: Tensor) -> Tensor:
        """Embed preprocessed signals.

        Args:
            signal: (batch, leads, time), time long enough for one frame.

        Returns:
            (batch, dim): the mean over time of the last layer.

        Raises:
            ValueError: Another number of axes or leads, or too few samples.
        """
        check_shape(signal, self.leads, self.shortest)
        if self.one_after_another:
            signal = signal.flatten(1)[:, None]
        features = self.layer_norm(self.feature_extractor(signal).transpose(1, 2))
        frames = self.post_extract_proj(features)
        return self.encoder(frames + self.conv_pos(frames)).mean(1)
