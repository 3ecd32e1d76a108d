"""XResNet1d: a residual network with a stem of three convolutions, in one dimension."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn

from openclef.backbone.shape import check_shape

EXPANSION = 4
STEM = (32, 32, 64)
MIN_SAMPLES = 32


def _convolution(
    inputs: int, outputs: int, kernel: int, stride: int = 1, active: bool = True
) -> nn.Sequential:
    """Convolution without bias, BatchNorm and, where `active`, ReLU."""
    layers: list[nn.Module] = [
        nn.Conv1d(inputs, outputs, kernel, stride=stride, padding=(kernel - 1) // 2, bias=False),
        nn.BatchNorm1d(outputs),
    ]
    return nn.Sequential(*layers, nn.ReLU()) if active else nn.Sequential(*layers)


class Bottleneck(nn.Module):
    """1x1 -> kernel -> 1x1, added to a shortcut that is averaged in pairs before it is widened.

    Args:
        inputs: Channels in.
        inner: Channels of the middle convolution; four times as many come out.
        kernel: Samples of its kernel.
        stride: 2 in the first block of every stage but the first.

    Example:
        >>> Bottleneck(64, inner=32, kernel=5, stride=2)(torch.zeros(1, 64, 51)).shape
        torch.Size([1, 128, 26])
    """

    def __init__(self, inputs: int, inner: int, kernel: int, stride: int = 1) -> None:
        super().__init__()
        outputs = EXPANSION * inner
        self.convs = nn.Sequential(
            _convolution(inputs, inner, 1),
            _convolution(inner, inner, kernel, stride),
            _convolution(inner, outputs, 1, active=False),
        )
        shortcut: list[nn.Module] = []
        if stride != 1:
            shortcut.append(nn.AvgPool1d(2, ceil_mode=True))
        if inputs != outputs:
            shortcut.append(_convolution(inputs, outputs, 1, active=False))
        self.idpath = nn.Sequential(*shortcut)

    def forward(self, signal: Tensor) -> Tensor:
        """Map (batch, inputs, time) to (batch, 4 inner, ceil(time / stride))."""
        return torch.relu(self.convs(signal) + self.idpath(signal))


class XResNet1d(nn.Sequential):
    """XResNet1d with bottlenecks, and the mean over time.

    The names of its tensors are those of KED's published encoder. Weights start from a normal distribution scaled by
    the fan-in (He), biases from 0, and the last BatchNorm of each block from 0, so that blocks begin as shortcuts.

    Args:
        blocks: Blocks in each stage.
        widths: Inner channels of each stage; four times as many come out.
        kernel: Samples of the kernels.
        leads: Leads in the input.

    Raises:
        ValueError: `blocks` and `widths` do not fit, or leads below 1.

    Source:
        He et al., Bag of tricks for image classification, 2019, arXiv 1812.01187 (stem and shortcut); Strodthoff et
        al., Deep learning for ECG analysis, 2021, arXiv 2004.13701 (in one dimension); Tian et al. 2024 (widths).

    Example:
        >>> net = XResNet1d(blocks=(1, 1), widths=(8, 16), leads=12)
        >>> net(torch.zeros(2, 12, 1000)).shape, net.dim
        (torch.Size([2, 64]), 64)
    """

    def __init__(
        self,
        blocks: Sequence[int] = (3, 4, 23, 3),
        widths: Sequence[int] = (64, 128, 128, 192),
        kernel: int = 5,
        leads: int = 1,
    ) -> None:
        if len(blocks) != len(widths) or not len(blocks) or min(*blocks, *widths) < 1:
            raise ValueError(f"blocks={blocks} and widths={widths}; pass as many of both, each 1 or more.")
        if leads < 1:
            raise ValueError(f"leads={leads} is too few; pass the number of leads of a signal, 1 or more.")
        channels = (leads, *STEM)
        stem = [
            _convolution(before, after, kernel, 2 if place == 0 else 1)
            for place, (before, after) in enumerate(pairwise(channels))
        ]
        stages, inputs = [], STEM[-1]
        for place, (count, width) in enumerate(zip(blocks, widths, strict=True)):
            stage = []
            for number in range(count):
                stage.append(Bottleneck(inputs, width, kernel, 2 if number == 0 and place > 0 else 1))
                inputs = EXPANSION * width
            stages.append(nn.Sequential(*stage))
        super().__init__(*stem, nn.MaxPool1d(3, stride=2, padding=1), *stages)
        self.dim = inputs
        self.leads = leads
        for module in self.modules():
            if isinstance(module, nn.Conv1d):
                nn.init.kaiming_normal_(module.weight)
            if isinstance(module, Bottleneck):
                nn.init.zeros_(module.convs[-1][1].weight)  # type: ignore[index]

    def forward(self, signal: Tensor) -> Tensor:
        """Embed preprocessed signals.

        Args:
            signal: (batch, leads, time), time at least 32 samples.

        Returns:
            (batch, dim).

        Raises:
            ValueError: Another number of axes or leads, or fewer samples.
        """
        check_shape(signal, self.leads, MIN_SAMPLES)
        return super().forward(signal).mean(-1)
