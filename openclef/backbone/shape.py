"""The check of a signal's shape that backbones share."""

from __future__ import annotations

from torch import Tensor


def check_shape(signal: Tensor, leads: int, shortest: int, longest: int | None = None) -> None:
    """Refuse a signal that a backbone does not take.

    Args:
        signal: What should be (batch, leads, time).
        leads: Leads of the backbone.
        shortest: Fewest samples that it takes.
        longest: Most samples that it takes; None = any number.

    Raises:
        ValueError: Another number of axes or leads, too few samples or too many.

    Example:
        >>> import torch
        >>> check_shape(torch.zeros(2, 12, 500), leads=1, shortest=16)
        Traceback (most recent call last):
        ...
        ValueError: signal has shape (2, 12, 500); this backbone takes (batch, 1, time). ...
    """
    if signal.ndim != 3 or signal.shape[1] != leads:
        raise ValueError(
            f"signal has shape {tuple(signal.shape)}; this backbone takes (batch, {leads}, time). "
            f"Select {leads} lead(s), or build the backbone with another leads=<number>."
        )
    samples = signal.shape[-1]
    if samples < shortest:
        raise ValueError(
            f"signal has {samples} samples; this backbone takes {shortest} or more. Pass a longer window."
        )
    if longest is not None and samples > longest:
        raise ValueError(
            f"signal has {samples} samples; this backbone takes {longest} or fewer. Cut it into shorter windows."
        )
