"""The CLEF loss: NT-Xent with negatives weighted by risk difference, and similarity aligned with risk."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Literal, get_args

import torch

from openclef.guidance import Guidance, Pairs
from openclef.loss.nt_xent import check_views, contrast, cosine_matrix, log_negatives, view_logits

Recipe = Literal["paper", "official"]

# Added to the denominator in the released code, after the row's largest logit is subtracted.
OFFICIAL_EPSILON = 1e-8
# Guidance of each recipe; `alpha` is set per call.
RECIPES: dict[str, Guidance] = {
    "paper": Guidance(),
    "official": Guidance(weighting="softmax", missing_risk="zero"),
}


@dataclass(frozen=True)
class ClefLoss:
    """The CLEF loss and its two terms.

    Args:
        total: The loss to minimise, 0-dimensional.
        contrastive: L_w, 0-dimensional.
        alignment: L_d, 0-dimensional; 0 where it is switched off or no risk is known.
        pairs: The pair weights that were used, with `pairs.diagnostics()` to log.

    Example:
        >>> z = torch.eye(3)
        >>> loss = clef_loss(z, z, torch.tensor([0.1, 0.2, 0.3]), aligned=False)
        >>> bool(loss.total == loss.contrastive)
        True
    """

    total: torch.Tensor
    contrastive: torch.Tensor
    alignment: torch.Tensor
    pairs: Pairs


def clef_loss(
    z1: torch.Tensor,
    z2: torch.Tensor,
    risk: torch.Tensor,
    completeness: torch.Tensor | None = None,
    subject: torch.Tensor | None = None,
    *,
    temperature: float = 0.07,
    alpha: float = 0.2,
    recipe: Recipe = "paper",
    guidance: Guidance | None = None,
    weighted: bool = True,
    aligned: bool = True,
    alignment_weight: float = 1.0,
) -> ClefLoss:
    """Return the CLEF loss of two views of a batch of records.

    Recipe "paper" is total = L_w + alignment_weight L_d with the equations of `docs/concepts-guidance.md`.
    Recipe "official" is the released code: weights through a softmax, unknown risk counted as 0, 1e-8 in the
    denominator, total = (L_w + alignment_weight L_d) / 2. With `weighted` and `aligned` off, "paper" is
    NT-Xent. In a run on several devices, gather embeddings (with gradient), risk, completeness and
    subject first.

    Args:
        z1: (B, dim) embeddings of the first views, B at least 2.
        z2: (B, dim) embeddings of the second views, row by row those of the same records.
        risk: (B,) risk in the score's own unit, or (B, k) of k scores; NaN = unknown: its pairs are neutral and not
            aligned.
        completeness: (B,) share of the score's inputs that are known, 0..1; None = no discount.
        subject: (B,) integers; two records of one subject have no influence on each other (see `Guidance`).
        temperature: Divisor of the cosine similarities, above 0; 0.07 in the released code.
        alpha: Minimum dissimilarity margin, 0..1; 0.2 in the released code. A `guidance` brings its own.
        recipe: "paper" or "official".
        guidance: Other pair weights than the recipe's; the recipe then settles the 1e-8 and the halving only.
        weighted: False = every negative has weight 1.
        aligned: False = no alignment term.
        alignment_weight: Factor of the alignment term; 1 in both recipes.

    Returns:
        ClefLoss with .total, .contrastive, .alignment (never below float32, even under autocast) and .pairs.

    Raises:
        ValueError: Shapes do not fit, there is one record only, or a setting is out of range.

    Source:
        arXiv 2512.02180 (December 2025) and its released code.

    Example:
        >>> generator = torch.Generator().manual_seed(0)
        >>> z1, z2 = torch.randn(2, 6, 8, generator=generator)
        >>> loss = clef_loss(z1, z2, torch.tensor([0.01, 0.02, 0.05, 0.1, 0.2, float("nan")]))
        >>> bool(torch.isclose(loss.total, loss.contrastive + loss.alignment))
        True
        >>> round(float(loss.pairs.diagnostics()["neutral_share"]), 3)
        0.333
    """
    check_views(z1, z2, temperature)
    if recipe not in get_args(Recipe):
        raise ValueError(f"recipe is {recipe!r}; accepted are {', '.join(get_args(Recipe))}.")
    if guidance is None:
        guidance = replace(RECIPES[recipe], alpha=alpha)
    elif alpha not in (0.2, guidance.alpha):
        raise ValueError(
            f"alpha is {alpha} and guidance.alpha {guidance.alpha}; give alpha once, in the guidance."
        )
    if not 0 <= alignment_weight < math.inf:
        raise ValueError(
            f"alignment_weight is {alignment_weight}; pass a number of at least 0, for example 1."
        )
    risk = torch.as_tensor(risk, device=z1.device)
    if risk.shape[:1] != z1.shape[:1]:
        raise ValueError(
            f"risk has shape {tuple(risk.shape)} for {len(z1)} records; pass one value a record, shape (B,), "
            "NaN where it is unknown, or (B, k) of k scores."
        )
    pairs = guidance.pairs(risk, completeness, subject)
    with torch.autocast(z1.device.type, enabled=False):
        similarity = cosine_matrix(z1, z2)
        contrastive = _contrastive(
            similarity / temperature, pairs, weighted, OFFICIAL_EPSILON if recipe == "official" else 0.0
        )
        if aligned:
            alignment = _alignment(similarity, pairs, guidance)
        else:
            alignment = torch.zeros_like(contrastive)
        total = contrastive + alignment_weight * alignment
        return ClefLoss(total / 2 if recipe == "official" else total, contrastive, alignment, pairs)


def _contrastive(logits: torch.Tensor, pairs: Pairs, weighted: bool, epsilon: float) -> torch.Tensor:
    """Return L_w: the mean over the 2B rows, and within a row over its positives."""
    weight = pairs.weight if weighted else pairs.negative
    negatives = log_negatives(logits, weight.to(logits.dtype).repeat(2, 2))
    itself = torch.eye(len(logits), dtype=torch.bool, device=logits.device)
    if epsilon:
        others = pairs.allowed.repeat(2, 2) & ~itself
        largest = torch.where(others, logits.detach(), -math.inf).amax(1, keepdim=True)
        negatives = torch.logaddexp(negatives, largest + math.log(epsilon))
    if pairs.several_positives:
        positive = (pairs.positive.repeat(2, 2) & ~itself).to(logits.dtype)
        rows = (contrast(logits, negatives) * positive).sum(1) / positive.sum(1)
        return rows.mean()
    return contrast(view_logits(logits), negatives).mean()


def _alignment(similarity: torch.Tensor, pairs: Pairs, guidance: Guidance) -> torch.Tensor:
    """Return L_d: the mean squared gap of scaled similarity and target over all known, unmasked entries."""
    counted = (pairs.known & pairs.allowed).repeat(2, 2)
    target = pairs.target.to(similarity.dtype).repeat(2, 2)
    if guidance.alignment_scale == "half":
        scaled = (1 + similarity) / 2
    else:
        # 2 and -2 lie outside the range of a cosine: entries that do not count are never extreme.
        low = torch.where(counted, similarity, 2.0).amin()
        high = torch.where(counted, similarity, -2.0).amax()
        scaled = (similarity - low) / (high - low + guidance.epsilon)
    gap = torch.where(counted, scaled - target, 0.0)
    return gap.square().sum() / counted.sum().clamp(min=1)
