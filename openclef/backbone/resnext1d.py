"""ResNeXt1D, the encoder of CLEF, in its three published sizes.

Within the network signals are (batch, time, channels); see `openclef.backbone.convolution`.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from openclef.backbone.convolution import convolve_same, halve

KERNEL = 16
MIN_SAMPLES = 16
NORMALISATIONS = ("none", "batch")
LONG = 8  # a block's signal is long from so many samples for each inner channel


class Size(NamedTuple):
    """The numbers that make one size of ResNeXt1D.

    Args:
        base: Channels of the stem.
        ratio: Inner width of a block, as a share of its stage's width.
        widths: Channels of each stage.
        blocks: Blocks in each stage.
        group_width: Stage channels for one group of the grouped convolution.

    Source:
        Shu et al., CLEF, arXiv 2512.02180, and its released code.

    Example:
        >>> SIZES["resnext1d_small"].widths[-1]
        256
    """

    base: int
    ratio: float
    widths: tuple[int, ...]
    blocks: tuple[int, ...]
    group_width: int


SIZES = {
    "resnext1d_small": Size(32, 0.5, (32, 64, 64, 128, 128, 256), (1, 1, 2, 2, 2, 2), 8),
    "resnext1d_medium": Size(64, 1.0, (64, 160, 160, 400, 400, 1024, 1024), (2, 2, 2, 3, 3, 4, 4), 16),
    "resnext1d_large": Size(
        128, 1.5, (128, 256, 256, 512, 512, 1024, 1024, 2048, 2048), (2, 3, 3, 4, 4, 5, 5, 6, 6), 32
    ),
}


class SameConv1d(nn.Module):
    """Convolution whose output has ceil(time / stride) samples, see `convolve_same`.

    Args:
        inputs: Channels in.
        outputs: Channels out.
        kernel: Samples of the kernel.
        stride: Samples from one output to the next.
        groups: Groups of channels.

    Example:
        >>> SameConv1d(2, 4, kernel=16, stride=2)(torch.zeros(1, 1999, 2)).shape
        torch.Size([1, 1000, 4])
    """

    def __init__(self, inputs: int, outputs: int, kernel: int = 1, stride: int = 1, groups: int = 1) -> None:
        super().__init__()
        self.conv = nn.Conv1d(inputs, outputs, kernel, stride=stride, groups=groups)

    def forward(self, signal: Tensor) -> Tensor:
        """Convolve (batch, time, inputs) to (batch, ceil(time / stride), outputs)."""
        conv = self.conv
        return convolve_same(signal, conv.weight, conv.bias, conv.stride[0], conv.groups)


class Block(nn.Module):
    """Bottleneck with a grouped convolution, squeeze-excitation and a shortcut without parameters.

    1x1 -> grouped convolution of 16 samples -> 1x1, each after (normalisation and) swish; the channels are
    then weighted by squeeze-excitation and added to the shortcut, which is max-pooled where the block has
    stride 2 and zero-padded in channels where it widens.

    Where a signal is long, its mean is taken before the last 1x1 convolution instead of after it (the mean of a linear
    map is the map of the mean), and the channels' weights go into the kernel: one matrix product makes the result,
    equal but for rounding, and the convolution's own result is never written.

    Args:
        inputs: Channels in.
        outputs: Channels out.
        inner: Channels of the grouped convolution.
        groups: Its groups.
        stride: 2 in the first block of a stage, else 1.
        normalisation: "none" or "batch".
        first: True for the network's first block, which has no swish before its first convolution.

    Raises:
        ValueError: Another stride.

    Example:
        >>> Block(32, 64, inner=32, groups=8, stride=2)(torch.zeros(1, 999, 32)).shape
        torch.Size([1, 500, 64])
    """

    def __init__(
        self,
        inputs: int,
        outputs: int,
        inner: int,
        groups: int,
        stride: int = 1,
        normalisation: str = "none",
        first: bool = False,
    ) -> None:
        super().__init__()
        if stride not in (1, 2):
            raise ValueError(f"stride={stride} is not for a block; pass 1, or 2 to halve the samples.")
        self.stride = stride
        self.first = first
        self.widening = ((outputs - inputs) // 2, (outputs - inputs) - (outputs - inputs) // 2)
        self.normalised = normalisation == "batch"
        if self.normalised:
            self.bn1 = nn.BatchNorm1d(inputs)
            if first:  # part of the published state dict, never applied: it takes no gradient
                self.bn1.requires_grad_(False)
        self.conv1 = SameConv1d(inputs, inner)
        if self.normalised:
            self.bn2 = nn.BatchNorm1d(inner)
        self.conv2 = SameConv1d(inner, inner, KERNEL, stride, groups)
        if self.normalised:
            self.bn3 = nn.BatchNorm1d(inner)
        self.conv3 = SameConv1d(inner, outputs)
        self.se_fc1 = nn.Linear(outputs, outputs // 2)
        self.se_fc2 = nn.Linear(outputs // 2, outputs)

    def forward(self, signal: Tensor) -> Tensor:
        """Map (batch, time, inputs) to (batch, ceil(time / stride), outputs)."""
        hidden = signal
        if not self.first:
            hidden = F.silu(_normalise(self.bn1, hidden) if self.normalised else hidden)
        hidden = self.conv1(hidden)
        hidden = self.conv2(F.silu(_normalise(self.bn2, hidden) if self.normalised else hidden))
        hidden = F.silu(_normalise(self.bn3, hidden) if self.normalised else hidden)
        shortcut = halve(signal) if self.stride == 2 else signal
        if any(self.widening):
            shortcut = F.pad(shortcut, self.widening)
        if hidden.shape[1] < LONG * hidden.shape[2]:
            hidden = self.conv3(hidden)
            return torch.addcmul(shortcut, hidden, self._excitation(hidden.mean(1)).unsqueeze(1).to(hidden))
        weight, bias = self.conv3.conv.weight.squeeze(2), self.conv3.conv.bias
        gate = self._excitation(F.linear(hidden.mean(1), weight, bias))
        if bias is not None:
            shortcut = shortcut + (gate * bias).unsqueeze(1).to(shortcut)
        return torch.baddbmm(shortcut, hidden, (gate.unsqueeze(2) * weight).transpose(1, 2))

    def _excitation(self, mean: Tensor) -> Tensor:
        """Weight of each channel, (batch, outputs), from its mean over time."""
        return torch.sigmoid(self.se_fc2(F.silu(self.se_fc1(mean))))


def _normalise(bn: nn.BatchNorm1d, signal: Tensor) -> Tensor:
    """Normalise each channel of (batch, time, channels)."""
    return bn(signal.flatten(0, 1)).unflatten(0, signal.shape[:2])


class Stage(nn.Module):
    """Blocks of one width, the first with stride 2.

    Args:
        inputs: Channels in.
        width: Channels out.
        size: The network's numbers.
        blocks: Number of blocks.
        normalisation: "none" or "batch".
        first: True for the network's first stage.

    Example:
        >>> Stage(32, 64, SIZES["resnext1d_small"], blocks=2)(torch.zeros(1, 500, 32)).shape
        torch.Size([1, 250, 64])
    """

    def __init__(
        self,
        inputs: int,
        width: int,
        size: Size,
        blocks: int,
        normalisation: str = "none",
        first: bool = False,
    ) -> None:
        super().__init__()
        self.block_list = nn.ModuleList(
            Block(
                inputs if index == 0 else width,
                width,
                inner=int(width * size.ratio),
                groups=width // size.group_width,
                stride=2 if index == 0 else 1,
                normalisation=normalisation,
                first=first and index == 0,
            )
            for index in range(blocks)
        )

    def forward(self, signal: Tensor) -> Tensor:
        """Map (batch, time, inputs) to (batch, ceil(time / 2), width)."""
        for block in self.block_list:
            signal = block(signal)
        return signal


class ResNeXt1D(nn.Module):
    """The encoder of CLEF: a stem, stages of grouped bottleneck blocks, and the mean over time.

    The names and shapes of its tensors are those of the published checkpoints. Weights start from PyTorch's
    default initialisation (uniform, scaled by the fan-in).

    Args:
        size: The network's numbers; `SIZES` holds the published ones.
        leads: Leads in the input.
        normalisation: "none" as published CLEF, or "batch": BatchNorm after the stem and before each swish of
            a block, as in ECGFounder.

    Raises:
        ValueError: Unknown normalisation, or leads below 1.

    Source:
        Shu et al., CLEF, arXiv 2512.02180, and its released code; the architecture is that of Hong et al.,
        Net1D (2020), with the widths of ECGFounder (Li et al. 2024) in the medium size.

    Example:
        >>> net = ResNeXt1D(SIZES["resnext1d_small"])
        >>> net.dim, sum(p.numel() for p in net.parameters())
        (256, 443184)
        >>> net(torch.zeros(2, 1, 1000)).shape
        torch.Size([2, 256])
    """

    def __init__(self, size: Size, leads: int = 1, normalisation: str = "none") -> None:
        super().__init__()
        if normalisation not in NORMALISATIONS:
            raise ValueError(
                f"normalisation={normalisation!r} is unknown; pass one of {', '.join(NORMALISATIONS)}."
            )
        if leads < 1:
            raise ValueError(f"leads={leads} is too few; pass the number of leads of a signal, 1 or more.")
        self.dim = size.widths[-1]
        self.leads = leads
        self.normalisation = normalisation
        self.first_conv = SameConv1d(leads, size.base, KERNEL, 2)
        if normalisation == "batch":
            self.first_bn = nn.BatchNorm1d(size.base)
        self.stage_list = nn.ModuleList()
        inputs = size.base
        for index, (width, blocks) in enumerate(zip(size.widths, size.blocks, strict=True)):
            self.stage_list.append(Stage(inputs, width, size, blocks, normalisation, first=index == 0))
            inputs = width

    def forward(self, signal: Tensor) -> Tensor:
        """Embed preprocessed signals.

        Args:
            signal: (batch, leads, time), time at least 16 samples.

        Returns:
            (batch, dim).

        Raises:
            ValueError: Another number of axes or leads, or fewer than 16 samples.
        """
        return self.frames(signal).mean(1)

    def frames(self, signal: Tensor) -> Tensor:
        """Give the features over time, whose mean is the embedding.

        Args:
            signal: (batch, leads, time), time at least 16 samples.

        Returns:
            (batch, frames, dim), the frames in the order of time.

        Raises:
            ValueError: Another number of axes or leads, or fewer than 16 samples.

        Example:
            >>> ResNeXt1D(SIZES["resnext1d_small"]).frames(torch.zeros(2, 1, 5000)).shape
            torch.Size([2, 40, 256])
        """
        if signal.ndim != 3 or signal.shape[1] != self.leads:
            raise ValueError(
                f"signal has shape {tuple(signal.shape)}; this backbone takes (batch, {self.leads}, time). "
                f"Select {self.leads} lead(s), or build the backbone with another leads=<number>."
            )
        if signal.shape[-1] < MIN_SAMPLES:
            raise ValueError(
                f"signal has {signal.shape[-1]} samples; this backbone takes {MIN_SAMPLES} or more. "
                "Pass a longer window."
            )
        hidden = self.first_conv(signal.transpose(1, 2))
        hidden = F.silu(_normalise(self.first_bn, hidden) if self.normalisation == "batch" else hidden)
        for stage in self.stage_list:
            hidden = stage(hidden)
        return hidden
