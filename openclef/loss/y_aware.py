"""y-aware InfoNCE: soft positives, records being the more alike the closer their risk."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch

from openclef.guidance import subject_numbers
from openclef.loss.nt_xent import check_views, cosine_matrix

__all__ = ["SoftPositives", "YAwareLoss", "soft_positives", "y_aware_loss"]


@dataclass(frozen=True)
class SoftPositives:
    """How far every two records of a batch are positives of each other, as (B, B) tensors.

    Args:
        weight: (B, B) weight of a pair before its row's weights are scaled to sum 1; 1 on the diagonal (a record's two
            views), 0 for pairs that are not allowed or of unknown risk.
        known: (B, B) bool, both risks known.
        allowed: (B, B) bool, false for two records of one subject, which have no influence on each other.

    Example:
        >>> soft_positives(torch.tensor([0.0, 1.0, float("nan")]), width=1.0).weight.round(decimals=2)
        tensor([[1.0000, 0.6100, 0.0000],
                [0.6100, 1.0000, 0.0000],
                [0.0000, 0.0000, 1.0000]])
    """

    weight: torch.Tensor
    known: torch.Tensor
    allowed: torch.Tensor

    def diagnostics(self) -> dict[str, torch.Tensor]:
        """Return what to log at every step, as 0-dimensional tensors that nothing has waited for.

        Returns:
            soft_share, the mean share of a row's positive weight that lies on other records (0 is NT-Xent; with a
            narrow kernel it is low, with a wide one nearly 1); neutral_share, the share of pairs of two subjects
            that are plain negatives because a risk is unknown. NaN where there is no such pair.

        Example:
            >>> positives = soft_positives(torch.tensor([1.0, 1.0, float("nan")]), width=0.5)
            >>> {name: round(float(value), 2) for name, value in positives.diagnostics().items()}
            {'soft_share': 0.44, 'neutral_share': 0.67}
        """
        itself = torch.eye(len(self.weight), dtype=torch.bool, device=self.weight.device)
        others = 2 * torch.where(itself, 0, self.weight).sum(1)  # both views of each
        pairs = self.allowed & ~itself
        return {
            "soft_share": (others / (others + 1)).mean(),
            "neutral_share": (pairs & ~self.known).sum() / pairs.sum(),
        }


@dataclass(frozen=True)
class YAwareLoss:
    """The y-aware loss and the soft positives that it was made with.

    Args:
        total: The loss to minimise, 0-dimensional.
        positives: The weights, with `positives.diagnostics()` to log.

    Example:
        >>> z = torch.eye(3)
        >>> loss = y_aware_loss(z, z, torch.tensor([0.1, 0.2, 0.3]), width=0.1, temperature=0.1)
        >>> loss.total.shape, loss.positives.weight.shape
        (torch.Size([]), torch.Size([3, 3]))
    """

    total: torch.Tensor
    positives: SoftPositives


def soft_positives(
    level: torch.Tensor,
    completeness: torch.Tensor | None = None,
    subject: torch.Tensor | None = None,
    *,
    width: float,
) -> SoftPositives:
    """Return how far every two records are positives: c_i c_k exp(-(y_i - y_k)^2 / (2 width^2)), 1 for a record itself.

    Args:
        level: (B,) what a record's likeness is judged by, for example log risk over its standard deviation; not finite
            = unknown: only the record's own views are positives.
        completeness: (B,) share of the risk's inputs that are known, 0..1; an incomplete pair's weight shrinks towards
            0, so its rows towards NT-Xent. None = no shrinking. Values out of range are an error on the CPU; on an
            accelerator, where looking would make the device wait, they make the weights NaN.
        subject: (B,) integers; two records of one subject are no positives. None = every record is another's.
        width: Standard deviation of the kernel, in the level's unit, above 0.

    Returns:
        SoftPositives of (B, B) tensors on the level's device, without gradient.

    Raises:
        ValueError: Shapes do not fit, completeness lies outside 0..1, or the width is not positive.

    Source:
        Dufumier et al., Contrastive Learning with Continuous Proxy Meta-Data for 3D MRI Classification, 2021,
        arXiv 2106.08808, its kernel. The factor c_i c_k is this project's.

    Example:
        >>> level = torch.tensor([0.0, 0.0, 1.0])
        >>> soft_positives(level, completeness=torch.tensor([1.0, 0.5, 0.5]), width=1.0).weight.round(decimals=2)
        tensor([[1.0000, 0.5000, 0.3000],
                [0.5000, 1.0000, 0.1500],
                [0.3000, 0.1500, 1.0000]])
    """
    if not 0 < width < math.inf:
        raise ValueError(f"width is {width}; it is the kernel's standard deviation, pass a number above 0.")
    level = torch.as_tensor(level)
    if level.ndim != 1:
        raise ValueError(f"level has shape {tuple(level.shape)}; pass one value a record, shape (B,).")
    with torch.no_grad():
        level = level if level.dtype == torch.float64 else level.float()
        finite = torch.isfinite(level)
        known = finite[:, None] & finite[None, :]
        itself = torch.eye(len(level), dtype=torch.bool, device=level.device)
        allowed = torch.ones_like(itself)
        if subject is not None:
            subject = subject_numbers(subject, level)
            allowed = itself | (subject[:, None] != subject[None, :])
        weight = torch.exp(-0.5 * ((level[:, None] - level[None, :]) / width).square())
        if completeness is not None:
            completeness = _checked_completeness(completeness, level, finite)
            weight = weight * completeness[:, None] * completeness[None, :]
        weight = torch.where(known & allowed, weight, 0).masked_fill(itself, 1)
        return SoftPositives(weight, known, allowed)


def y_aware_loss(
    z1: torch.Tensor,
    z2: torch.Tensor,
    level: torch.Tensor,
    completeness: torch.Tensor | None = None,
    subject: torch.Tensor | None = None,
    *,
    width: float,
    temperature: float,
) -> YAwareLoss:
    """Return y-aware InfoNCE of two views of a batch of records, over all of its 2B embeddings.

    Row i is -sum_k w_ik / sum_j w_ij log( e^(s_ik / t) / sum_(j != i) e^(s_ij / t) ), k and j over the other 2B - 1
    embeddings: every embedding, positive or not, stays in the denominator. With a width towards 0, where no two
    risks are the same, it is NT-Xent. In a run on several devices, gather all arguments first, embeddings with
    gradient.

    Args:
        z1: (B, dim) embeddings of the first views, B at least 2.
        z2: (B, dim) embeddings of the second views, row by row those of the same records.
        level: (B,) what likeness is judged by, see `soft_positives`; not finite = unknown.
        completeness: (B,) share of the risk's inputs that are known, see `soft_positives`; None = no shrinking.
        subject: (B,) integers; two records of one subject have no influence on each other: they are neither positives
            nor in the denominator.
        width: Standard deviation of the kernel, in the level's unit, above 0.
        temperature: Divisor of the cosine similarities, above 0.

    Returns:
        YAwareLoss with .total (never below float32, even under autocast) and .positives.

    Raises:
        ValueError: Shapes do not fit, there is one record only, or a setting is out of range.

    Source:
        Dufumier et al. 2021, arXiv 2106.08808, over both views as NT-Xent is (Chen et al. 2020).

    Example:
        >>> same = torch.ones(8, 3)
        >>> loss = y_aware_loss(same, same, torch.rand(8), width=0.5, temperature=0.1)  # all alike: log(2B - 1)
        >>> bool(torch.isclose(loss.total, torch.tensor(15.0).log()))
        True
    """
    check_views(z1, z2, temperature)
    level = torch.as_tensor(level, device=z1.device)
    if level.shape != z1.shape[:1]:
        raise ValueError(
            f"level has shape {tuple(level.shape)} for {len(z1)} records; pass one value a record, shape (B,), "
            "NaN where it is unknown."
        )
    with torch.autocast(z1.device.type, enabled=False):
        positives = soft_positives(level, completeness, subject, width=width)
        logits = cosine_matrix(z1, z2) / temperature
        itself = torch.eye(len(logits), dtype=torch.bool, device=logits.device)
        # Very low, not -inf, so that gradients stay finite.
        lowest = torch.finfo(logits.dtype).min / 4
        candidates = torch.where(positives.allowed.repeat(2, 2) & ~itself, logits, lowest)
        log_share = logits - torch.logsumexp(candidates, dim=1, keepdim=True)
        weight = positives.weight.to(logits.dtype).repeat(2, 2).masked_fill(itself, 0)
        rows = -(weight * log_share).sum(1) / weight.sum(1)
        return YAwareLoss(rows.mean(), positives)


def _checked_completeness(
    completeness: torch.Tensor, level: torch.Tensor, finite: torch.Tensor
) -> torch.Tensor:
    completeness = torch.as_tensor(completeness, device=level.device).to(level.dtype)
    if completeness.shape != level.shape:
        raise ValueError(
            f"completeness has shape {tuple(completeness.shape)} and level {tuple(level.shape)}; pass one value a "
            "record for both, or completeness=None."
        )
    wrong = ~((completeness >= 0) & (completeness <= 1)) & finite
    if level.device.type == "cpu" and bool(wrong.any()):
        raise ValueError(
            f"completeness is {float(completeness[wrong][0])} for a record; it is the share of the risk's inputs that "
            "are known, 0..1; divide a count by the number of inputs."
        )
    return torch.where(wrong, math.nan, completeness)
