"""The head with BatchNorm that BYOL and VICReg put on the features; its input is gathered over all processes."""

from __future__ import annotations

from itertools import pairwise

from torch import nn

__all__ = ["normalised_head"]


def normalised_head(*widths: int, bias: bool = True) -> nn.Sequential:
    """Build linear layers with BatchNorm and ReLU between them.

    BatchNorm mixes the records of a batch: give the head the features of all processes, so that several processes
    compute what one does. Linear layers before a BatchNorm have no bias, since it would take it away.

    Args:
        widths: of the input, of each hidden layer and of the output.
        bias: whether the last layer has one.

    Returns:
        A module from (B, widths[0]) to (B, widths[-1]).

    Raises:
        ValueError: Fewer than two widths, or one below 1.

    Example:
        >>> [type(layer).__name__ for layer in normalised_head(256, 128, 256)]
        ['Linear', 'BatchNorm1d', 'ReLU', 'Linear']
    """
    if len(widths) < 2 or min(widths) < 1:
        raise ValueError(f"widths are {widths}; pass those of the input and the output, each 1 or more.")
    *hidden, last = pairwise(widths)
    layers: list[nn.Module] = []
    for inputs, outputs in hidden:
        layers += [nn.Linear(inputs, outputs, bias=False), nn.BatchNorm1d(outputs), nn.ReLU()]
    return nn.Sequential(*layers, nn.Linear(*last, bias=bias))
