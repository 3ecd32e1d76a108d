"""The operations of ResNeXt1D on (batch, time, channels): convolution and halving, quick to train on a CPU.

Channels lie side by side in memory, so that 1x1 convolutions are matrix products without reordering. On a CPU the
gradients of a grouped convolution's weights and of a maximum over pairs are made here, because PyTorch's own take
several times as long; everything else, and everything on other devices, is PyTorch's.
"""

from __future__ import annotations

from contextlib import nullcontext
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

COLUMNS = 32  # of the matrix products that make the gradient of the weights


def convolve_same(signal: Tensor, weight: Tensor, bias: Tensor | None, stride: int, groups: int) -> Tensor:
    """Convolve so that the result has ceil(time / stride) samples.

    The time axis is zero-padded by max(0, (ceil(n / stride) - 1) * stride + kernel - n) samples in total, the
    smaller half first.

    Args:
        signal: (batch, time, inputs).
        weight: (outputs, inputs / groups, kernel).
        bias: (outputs,), or None.
        stride: Samples from one output to the next.
        groups: Groups of channels.

    Returns:
        (batch, ceil(time / stride), outputs), under autocast in its type.

    Example:
        >>> convolve_same(torch.ones(1, 5, 1), torch.ones(1, 1, 3), torch.zeros(1), 2, 1).flatten()
        tensor([2., 3., 2.])
    """
    device = signal.device.type
    if device != "meta" and torch.is_autocast_enabled(device):
        kind = torch.get_autocast_dtype(device)
        signal, weight, bias = signal.to(kind), weight.to(kind), None if bias is None else bias.to(kind)
    with nullcontext() if device == "meta" else torch.autocast(device, enabled=False):
        samples, kernel = signal.shape[1], weight.shape[2]
        total = max(0, (-(-samples // stride) - 1) * stride + kernel - samples)
        if total % 2:  # one more sample after than before; the convolution's own padding is symmetric
            signal = F.pad(signal, (0, 0, 0, 1))
        before = total // 2
        if device == "cpu" and kernel > 1 and torch.is_grad_enabled() and weight.requires_grad:
            return _Convolution.apply(signal, weight, bias, stride, before, groups)
        return _convolve(signal, weight, bias, stride, before, groups)


def halve(signal: Tensor) -> Tensor:
    """Take the larger of each two samples; after an odd number of samples stands a 0.

    Args:
        signal: (batch, time, channels).

    Returns:
        (batch, ceil(time / 2), channels). Of two equal samples the first has the gradient.

    Example:
        >>> halve(torch.tensor([[[1.0], [3.0], [-2.0]]])).flatten()
        tensor([3., 0.])
    """
    if signal.shape[1] % 2:
        signal = F.pad(signal, (0, 0, 0, 1))
    if torch.is_grad_enabled() and signal.requires_grad:
        return _Halving.apply(signal)
    first, second = signal.unflatten(1, (-1, 2)).unbind(2)
    return torch.maximum(first, second)


def _convolve(
    signal: Tensor, weight: Tensor, bias: Tensor | None, stride: int, before: int, groups: int
) -> Tensor:
    if signal.device.type != "cpu":
        return F.conv1d(signal.transpose(1, 2), weight, bias, stride, before, 1, groups).transpose(1, 2)
    # As images of one line: only those have a layout with channels side by side.
    lines = F.conv2d(_line(signal), weight.unsqueeze(2), bias, (1, stride), (0, before), 1, groups)
    return lines.squeeze(2).transpose(1, 2)


def _line(signal: Tensor) -> Tensor:
    return signal.transpose(1, 2).unsqueeze(2)


class _Convolution(torch.autograd.Function):
    """A padded convolution on a CPU, with a gradient of the weights by matrix products."""

    @staticmethod
    def forward(
        ctx: Any, signal: Tensor, weight: Tensor, bias: Tensor | None, stride: int, before: int, groups: int
    ) -> Tensor:
        ctx.save_for_backward(signal, weight)
        ctx.stride, ctx.before, ctx.groups = stride, before, groups
        return _convolve(signal, weight, bias, stride, before, groups)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        signal, weight = ctx.saved_tensors
        gradient = gradient.contiguous()
        of_signal = None
        with torch.autocast("cpu", enabled=False):
            if ctx.needs_input_grad[0]:
                of_signal = torch.ops.aten.convolution_backward(
                    _line(gradient),
                    _line(signal),
                    weight.unsqueeze(2),
                    None,
                    [1, ctx.stride],
                    [0, ctx.before],
                    [1, 1],
                    False,
                    [0, 0],
                    ctx.groups,
                    (True, False, False),
                )[0]
                of_signal = of_signal.squeeze(2).transpose(1, 2)
            of_weight = _weight_gradient(signal, gradient, weight, ctx.stride, ctx.before, ctx.groups)
            of_bias = gradient.sum((0, 1)) if ctx.needs_input_grad[2] else None
            return of_signal, of_weight, of_bias, None, None, None


def _weight_gradient(
    signal: Tensor, gradient: Tensor, weight: Tensor, stride: int, before: int, groups: int
) -> Tensor:
    """Gradient of the weights, of their shape and type.

    The outputs are taken in blocks of a few samples. What a block's outputs and the inputs that they have seen say of
    the weights is one matrix product for all blocks of a group; each weight is the sum over a diagonal of it.
    """
    outputs, inputs, kernel = weight.shape
    rows, samples = gradient.shape[:2]
    width = outputs // groups
    block = max(1, COLUMNS // width)
    blocks = -(-samples // block)
    window = stride * (block - 1) + kernel
    length = max(signal.shape[1] + before, stride * block * (blocks - 1) + window)
    padded = F.pad(signal.transpose(1, 2), (before, length - before - signal.shape[1])).contiguous()
    per_row, per_channel = padded.stride(0), padded.stride(1)
    seen = padded.as_strided(
        (groups, rows, blocks, inputs, window),
        (inputs * per_channel, per_row, stride * block, per_channel, 1),
    ).reshape(groups, rows * blocks, inputs * window)
    if block * blocks > samples:
        gradient = F.pad(gradient, (0, 0, 0, block * blocks - samples))
    made = gradient.reshape(rows * blocks, block, groups, width).permute(2, 0, 3, 1)
    product = torch.bmm(made.reshape(groups, rows * blocks, width * block).transpose(1, 2), seen)
    product = product.view(groups, width, block, inputs, window)
    diagonal = product.as_strided(
        (groups, width, inputs, kernel, block),
        (product.stride(0), product.stride(1), product.stride(3), 1, product.stride(2) + stride),
    )
    return (
        diagonal.sum(-1, dtype=torch.promote_types(weight.dtype, torch.float32)).reshape_as(weight).to(weight)
    )


class _Halving(torch.autograd.Function):
    """The maximum of pairs; PyTorch's pooling takes several times as long, and its maximum shares ties."""

    @staticmethod
    def forward(ctx: Any, signal: Tensor) -> Tensor:
        first, second = signal.unflatten(1, (-1, 2)).unbind(2)
        ctx.save_for_backward(first >= second)
        return torch.maximum(first, second)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        (is_first,) = ctx.saved_tensors
        of_first = gradient * is_first
        return torch.stack((of_first, gradient - of_first), dim=2).flatten(1, 2)
