"""The projector: a small network between an encoder's features and a contrastive loss."""

from __future__ import annotations

from torch import nn


def projector(dim: int, hidden: int | None = None, out: int = 128) -> nn.Sequential:
    """Build a projector: linear, ReLU, linear.

    The loss is computed on its output; the features that are used later are taken before it. It has no
    BatchNorm: with one, a record's projection would depend on the records beside it, and on how a batch is
    divided over processes. Weights start from PyTorch's default initialisation.

    Args:
        dim: Features of the encoder.
        hidden: Width of the hidden layer; as wide as the features unless given.
        out: Width of the output.

    Returns:
        A module from (batch, dim) to (batch, out), with the output's width as `.projector_dim`.

    Raises:
        ValueError: A width below 1.

    Source:
        Chen et al., A simple framework for contrastive learning (SimCLR), 2020, section 4.2.

    Example:
        >>> import torch
        >>> head = projector(256, out=64)
        >>> head(torch.zeros(3, 256)).shape, head.projector_dim
        (torch.Size([3, 64]), 64)
    """
    hidden = dim if hidden is None else hidden
    for name, width in (("dim", dim), ("hidden", hidden), ("out", out)):
        if width < 1:
            raise ValueError(f"{name}={width} is too small; pass a width of 1 or more.")
    module = nn.Sequential(nn.Linear(dim, hidden), nn.ReLU(), nn.Linear(hidden, out))
    module.projector_dim = out  # type: ignore[assignment]
    return module
