"""BYOL's loss: predictions of one network against what another, slower one makes of the other view."""

from __future__ import annotations

import torch
from torch.nn import functional


def byol_loss(predictions: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    """Return the mean squared distance of unit-length predictions and targets, 2 - 2 cos; one view order.

    The symmetric loss of BYOL is the sum of both orders: the first view's predictions with the second view's
    targets, and the reverse. No gradient flows into the targets.

    Args:
        predictions: (B, dim) predictions of the online network, from one view.
        targets: (B, dim) projections of the target network, from the other view of the same records.

    Returns:
        The loss, a 0-dimensional tensor in 0..4; never below float32, even under autocast.

    Raises:
        ValueError: Shapes do not fit.

    Source:
        Grill et al. 2020, arXiv 2006.07733, equation 2.

    Example:
        >>> towards = torch.tensor([[1.0, 0.0], [0.0, 2.0]])
        >>> byol_loss(towards, 3 * towards).item(), byol_loss(towards, towards.flip(1)).item()
        (0.0, 2.0)
    """
    if predictions.ndim != 2 or predictions.shape != targets.shape or not len(predictions):
        raise ValueError(
            f"predictions have shape {tuple(predictions.shape)} and targets {tuple(targets.shape)}; pass two of one "
            "shape (B, dim), with B at least 1."
        )
    with torch.autocast(predictions.device.type, enabled=False):
        dtype = torch.float64 if predictions.dtype == torch.float64 else torch.float32
        predicted = functional.normalize(predictions.to(dtype), dim=1)
        target = functional.normalize(targets.detach().to(dtype), dim=1)
        return (predicted - target).square().sum(dim=1).mean()
