"""What a method returns from one step."""

from __future__ import annotations

from typing import NamedTuple

import torch

__all__ = ["Step"]


class Step(NamedTuple):
    """The loss of one step and what it was made of.

    Attributes:
        loss: scalar to minimise.
        terms: named scalars, detached, that add up to the loss (as the method weights them).
        first: backbone outputs h of the first views, (B, dim), detached; in evaluation mode of all processes.
        second: those of the second views.
        weights: diagnostics of the pair weights W (minimum, mean, maximum, neutral share ...), or empty.

    Example:
        >>> zero = torch.zeros(())
        >>> Step(zero, {"contrastive": zero}, torch.zeros(2, 4), torch.zeros(2, 4), {}).loss.item()
        0.0
    """

    loss: torch.Tensor
    terms: dict[str, torch.Tensor]
    first: torch.Tensor
    second: torch.Tensor
    weights: dict[str, torch.Tensor]
