"""VICReg's loss: two views agree (invariance), no component dies (variance), none repeats another (covariance)."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch

# Added to the variance before its root, in the paper and its released code.
EPSILON = 1e-4


@dataclass(frozen=True)
class VicRegLoss:
    """VICReg's loss and its three terms, before their weights.

    Args:
        total: The loss to minimise, 0-dimensional.
        invariance: Mean squared difference of the two views over records and components.
        variance: Mean over components and views of how far the standard deviation falls short of 1.
        covariance: Sum over views of the squared covariances of different components, over their number.

    Example:
        >>> z = torch.tensor([[1.0, 1.0], [-1.0, 1.0], [1.0, -1.0], [-1.0, -1.0]])
        >>> loss = vicreg_loss(z, z)
        >>> loss.invariance.item(), loss.variance.item(), loss.covariance.item()
        (0.0, 0.0, 0.0)
    """

    total: torch.Tensor
    invariance: torch.Tensor
    variance: torch.Tensor
    covariance: torch.Tensor


def vicreg_loss(
    z1: torch.Tensor,
    z2: torch.Tensor,
    *,
    invariance_weight: float = 25.0,
    variance_weight: float = 25.0,
    covariance_weight: float = 1.0,
) -> VicRegLoss:
    """Return VICReg's loss of two views of a batch of records.

    With z of n records and d components: invariance = mean of (z1 - z2)^2 over n and d; variance = mean over components
    and the two views of max(0, 1 - sqrt(var + 1e-4)); covariance = sum over the two views of the sum over i != j of
    C_ij^2, over d. Variances and covariances are divided by n - 1. In a run on several devices, gather z1 and z2 first.

    Args:
        z1: (B, dim) embeddings of the first views, B at least 2.
        z2: (B, dim) embeddings of the second views, row by row those of the same records.
        invariance_weight: Factor of the invariance term.
        variance_weight: Factor of the variance term.
        covariance_weight: Factor of the covariance term.

    Returns:
        VicRegLoss with .total, .invariance, .variance and .covariance, never below float32, even under autocast.

    Raises:
        ValueError: Shapes do not fit, there is one record only, or a weight is negative or not finite.

    Source:
        Bardes, Ponce, LeCun 2022, arXiv 2105.04906, equations 1 to 6, with the factors of its released code: the mean
        over components in the invariance term and the mean over views in the variance term.

    Example:
        >>> same = torch.ones(4, 3)
        >>> round(vicreg_loss(same, same).total.item(), 4)  # collapsed: 25 (1 - sqrt(1e-4))
        24.75
    """
    if z1.ndim != 2 or z1.shape != z2.shape or not z1.shape[1]:
        raise ValueError(
            f"z1 has shape {tuple(z1.shape)} and z2 {tuple(z2.shape)}; pass two of one shape (B, dim)."
        )
    if len(z1) < 2:
        raise ValueError(
            f"the batch has {len(z1)} record{'s' * (len(z1) != 1)}; a variance needs at least 2, raise batch_size or "
            "drop the last incomplete batch."
        )
    weights = {
        "invariance_weight": invariance_weight,
        "variance_weight": variance_weight,
        "covariance_weight": covariance_weight,
    }
    for name, weight in weights.items():
        if not 0 <= weight < math.inf:
            raise ValueError(f"{name} is {weight}; pass a number of at least 0, for example 25.")
    with torch.autocast(z1.device.type, enabled=False):
        dtype = torch.float64 if z1.dtype == torch.float64 else torch.float32
        first, second = z1.to(dtype), z2.to(dtype)
        invariance = (first - second).square().mean()
        of_first, of_second = _spread(first), _spread(second)
        variance = (of_first[0] + of_second[0]) / 2
        covariance = of_first[1] + of_second[1]
        total = invariance_weight * invariance + variance_weight * variance + covariance_weight * covariance
        return VicRegLoss(total, invariance, variance, covariance)


def _spread(view: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Return one view's shortfall of standard deviation, and its squared covariances, each over the components."""
    centred = view - view.mean(dim=0)
    covariance = centred.T @ centred / (len(view) - 1)
    # Not the matrix's diagonal: a reduction of its own is as exact in lower matrix precisions.
    variance = centred.square().sum(dim=0) / (len(view) - 1)
    shortfall = torch.relu(1 - (variance + EPSILON).sqrt()).mean()
    itself = torch.eye(len(covariance), dtype=torch.bool, device=view.device)
    return shortfall, covariance.masked_fill(itself, 0).square().sum() / len(covariance)
