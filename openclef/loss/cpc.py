"""Contrastive predictive coding: what comes next in a recording, told from what does not."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch.nn import functional

from openclef.guidance import subject_numbers

__all__ = ["CpcLoss", "cpc_loss"]


@dataclass(frozen=True)
class CpcLoss:
    """The loss of contrastive predictive coding, whole and by how far ahead a prediction looks.

    Args:
        total: The loss to minimise, 0-dimensional: the mean of `steps`.
        steps: (K,) the loss of the predictions 1, 2, ... K segments ahead.
        accuracy: Share of predictions whose own segment is the most similar of all candidates, 0-dimensional; a tie is
            no hit.

    Example:
        >>> segments = torch.eye(8).view(4, 2, 8)  # two records, two views each of two segments
        >>> loss = cpc_loss(segments.roll(-1, 1)[:, :, None], segments, temperature=0.1)
        >>> loss.total.shape, loss.steps.shape, float(loss.accuracy)
        (torch.Size([]), torch.Size([1]), 1.0)
    """

    total: torch.Tensor
    steps: torch.Tensor
    accuracy: torch.Tensor


def cpc_loss(
    predicted: torch.Tensor,
    segments: torch.Tensor,
    subject: torch.Tensor | None = None,
    *,
    temperature: float,
    same_view_negatives: bool = True,
) -> CpcLoss:
    """Return InfoNCE of predicted segments: each prediction has to find its own segment among all candidates.

    Candidates are the predicted segment, every segment of other subjects' records and, on request, the other segments
    of the same view. The record's other view (it may show the same beats) and other records of its subject are left
    out. A matrix of 2BS by 2BS similarities is held for each of the K steps. In a run on several devices, gather
    all arguments first, `predicted` and `segments` with gradient.

    Args:
        predicted: (2B, S, K, dim); [i, t, k - 1] is what segment t + k of view i is predicted to be, from its segments
            0..t. Where t + k is S or more it is not used. Rows i and i + B are the views of record i.
        segments: (2B, S, dim) the vectors of all S segments of each view, in their order in time.
        subject: (B,) integers; None = every record is another subject's.
        temperature: Divisor of the cosine similarities, above 0.
        same_view_negatives: Other segments of the same view are candidates too, those already seen among them. Without
            them a view may be recognised by whatever stays the same in it, its noise for example.

    Returns:
        CpcLoss with .total, .steps and .accuracy (never below float32, even under autocast).

    Raises:
        ValueError: Shapes do not fit, predictions look as far as S segments ahead, or the temperature is not positive.

    Source:
        van den Oord et al., Representation Learning with Contrastive Predictive Coding, 2018, arXiv 1807.03748,
        equation 4; with cosine similarities in place of its inner products.

    Example:
        >>> same = torch.ones(8, 5, 3)  # four records: 6 other views of 5 segments, and 5 of the same view
        >>> loss = cpc_loss(same[:, :, None].expand(-1, -1, 2, -1), same, temperature=0.1)
        >>> bool(torch.isclose(loss.total, torch.tensor(35.0).log())), float(loss.accuracy)
        (True, 0.0)
    """
    _check(predicted, segments, temperature)
    views, length = segments.shape[:2]
    if subject is None:
        owner = torch.arange(views // 2, device=segments.device)
    else:
        owner = subject_numbers(subject, segments[: views // 2])
    owner = owner.repeat(2)
    different = owner[:, None] != owner[None, :]
    itself = torch.eye(views, dtype=torch.bool, device=segments.device)
    at = torch.arange(length, device=segments.device)
    with torch.autocast(segments.device.type, enabled=False):
        made, real = _unit(predicted), _unit(segments)
        losses, hits, count = [], torch.zeros((), device=segments.device), 0
        lowest = torch.finfo(real.dtype).min / 4  # very low, not -inf, so that gradients stay finite
        for ahead in range(1, predicted.shape[2] + 1):
            # Axes: view and time of the prediction, view and time of the candidate.
            logits = torch.einsum("itd,jsd->itjs", made[:, : length - ahead, ahead - 1], real) / temperature
            target = at[:-ahead, None] + ahead == at[None, :]
            of_view = torch.ones_like(target) if same_view_negatives else target
            candidate = different[:, None, :, None] | (itself[:, None, :, None] & of_view[None, :, None])
            logits = torch.where(candidate, logits, lowest).flatten(2)
            own = (itself[:, None, :, None] & target[None, :, None]).flatten(2)
            positive = torch.where(own, logits, 0).sum(2)
            losses.append((torch.logsumexp(logits, dim=2) - positive).mean())
            with torch.no_grad():
                hits = hits + ((logits >= positive[..., None]).sum(2) == 1).sum()
                count += positive.numel()
        steps = torch.stack(losses)
        return CpcLoss(steps.mean(), steps, hits / count)


def _unit(vectors: torch.Tensor) -> torch.Tensor:
    return functional.normalize(vectors if vectors.dtype == torch.float64 else vectors.float(), dim=-1)


def _check(predicted: torch.Tensor, segments: torch.Tensor, temperature: float) -> None:
    if segments.ndim != 3 or len(segments) < 2 or len(segments) % 2:
        raise ValueError(
            f"segments has shape {tuple(segments.shape)}; pass (2B, S, dim), two views of each of B records."
        )
    fits = predicted.ndim == 4 and predicted.shape[:2] + predicted.shape[3:] == segments.shape
    if not fits or not predicted.shape[2]:
        raise ValueError(
            f"predicted has shape {tuple(predicted.shape)} for segments of shape {tuple(segments.shape)}; pass "
            "(2B, S, K, dim), K predictions at each segment."
        )
    if predicted.shape[2] >= segments.shape[1]:
        raise ValueError(
            f"predictions look {predicted.shape[2]} segments ahead and a view has {segments.shape[1]}; "
            "predict fewer steps, or cut views into more segments."
        )
    if not temperature > 0:
        raise ValueError(f"temperature is {temperature}; it divides the similarities, pass a number above 0.")
