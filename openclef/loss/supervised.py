"""The loss of a labelled task, by its kind; targets that are unknown (NaN) take no part."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from openclef.task import KINDS

__all__ = ["REGRESSION_LOSSES", "supervised_loss"]

REGRESSION_LOSSES = ("l1", "smooth_l1")


def supervised_loss(output: Tensor, target: Tensor, kind: str, *, regression: str = "l1") -> Tensor:
    """Mean loss of a batch over what is known of its targets.

    "multilabel" and "binary": binary cross-entropy, the mean over all known pairs of record and label.
    "multiclass": cross-entropy, the mean over records with a known class. "regression": absolute error, or smooth L1
    with its bend at 1.

    Args:
        output: (batch, labels) logits, or values in the target's standardised unit.
        target: (batch, labels) 0/1, one column a class for "multiclass", or values; NaN = unknown.
        kind: "multilabel", "multiclass", "binary" or "regression".
        regression: "l1" or "smooth_l1".

    Returns:
        A scalar with gradient; 0 where nothing is known.

    Raises:
        ValueError: Shapes that differ, an unknown kind or an unknown loss.

    Source:
        Smooth L1: Girshick, Fast R-CNN, 2015, equation 3.

    Example:
        >>> nan = float("nan")
        >>> loss = supervised_loss(torch.zeros(2, 2), torch.tensor([[1.0, nan], [nan, nan]]), "multilabel")
        >>> round(float(loss), 4)
        0.6931
    """
    if output.shape != target.shape or output.ndim != 2:
        raise ValueError(
            f"output has shape {tuple(output.shape)} and target {tuple(target.shape)}; both are (batch, labels)."
        )
    if kind not in KINDS:
        raise ValueError(f"kind is {kind!r}; pass one of {', '.join(KINDS)}.")
    if regression not in REGRESSION_LOSSES:
        raise ValueError(f"regression is {regression!r}; pass one of {', '.join(REGRESSION_LOSSES)}.")
    known = ~torch.isnan(target)
    truth = torch.where(known, target, 0.0).to(output.dtype)
    if kind == "multiclass":
        known = known.all(1, keepdim=True)
        terms = -(torch.log_softmax(output, dim=1) * truth).sum(1, keepdim=True)
    elif kind == "regression":
        compare = F.l1_loss if regression == "l1" else F.smooth_l1_loss
        terms = compare(output, truth, reduction="none")
    else:
        terms = F.binary_cross_entropy_with_logits(output, truth, reduction="none")
    return torch.where(known, terms, 0.0).sum() / known.sum().clamp(min=1)
