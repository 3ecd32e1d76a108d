"""The collapse watch: is the representation still spread out, and if not, why."""

from __future__ import annotations

import math
from collections.abc import Mapping

import torch

__all__ = ["LIMITS", "likely_causes", "spread"]

# What counts as suspicious. Effective rank is relative to the largest that a batch allows.
LIMITS = {
    "effective_rank_share": 0.02,
    "mean_cosine": 0.98,
    "weight_mean_low": 0.05,  # the paper's recipe gives about 0.11 on adults with complete inputs
    "weight_mean_low_if_collapsed": 0.15,
    "weight_range_low": 0.02,
    "neutral_share": 0.9,
    "risk_spread": 1e-3,
    "negatives": 30,
}


@torch.no_grad()
def spread(first: torch.Tensor, second: torch.Tensor) -> dict[str, float]:
    """Describe how the embeddings of two views are spread.

    Args:
        first: embeddings of one view, (B, dim), B at least 2.
        second: embeddings of the other view of the same records.

    Returns:
        effective_rank: exponential of the entropy of the normalised singular values of the centred embeddings
            (Roy and Vetterli 2007); 1 where they lie on a line, at most min(2B - 1, dim).
        effective_rank_share: the same over that largest value.
        mean_cosine: mean cosine similarity of different records, uncentred; 1 where all point the same way.
        alignment: mean squared distance of the two views on the unit sphere; 0 where they agree.
        uniformity: log mean exp(-2 d^2) over different records (Wang and Isola 2020); 0 is collapsed, lower is
            more spread.

    Example:
        >>> same = torch.ones(4, 8)
        >>> values = spread(same, same)
        >>> values["effective_rank"], round(values["mean_cosine"], 3), round(abs(values["uniformity"]), 3)
        (1.0, 1.0, 0.0)
    """
    both = torch.cat([first, second]).float()
    n = len(first)
    centred = both - both.mean(dim=0)
    singular = torch.linalg.svdvals(centred)
    share = singular / singular.sum().clamp_min(1e-12)
    entropy = -(share * share.clamp_min(1e-12).log()).sum()
    largest = min(2 * n - 1, both.shape[1])
    scale = both.norm(dim=1).mean().clamp_min(1e-12)
    rank = 1.0 if float(singular[0]) <= 1e-6 * float(scale) else math.exp(float(entropy))
    unit = torch.nn.functional.normalize(both, dim=1)
    cosine = unit @ unit.T
    pair = torch.arange(2 * n, device=both.device) % n
    different = pair[:, None] != pair[None, :]
    others = cosine[different]
    return {
        "effective_rank": rank,
        "effective_rank_share": rank / largest,
        "mean_cosine": float(others.mean()),
        "alignment": float((unit[:n] - unit[n:]).square().sum(dim=1).mean()),
        "uniformity": float(torch.logsumexp(-2 * (2 - 2 * others), 0) - math.log(len(others))),
    }


def likely_causes(values: Mapping[str, float]) -> list[str]:
    """Name what is likely to be wrong, from an epoch's mean diagnostics; empty where nothing is.

    Args:
        values: any of effective_rank_share, mean_cosine (see `spread`); weight_min, weight_mean, weight_max,
            neutral_share (over negatives); weights_rescaled (1 where weights are not W itself but rescaled over a row,
            so that their mean says nothing); risk_spread (5th to 95th percentile of known risk, over its median);
            completeness_mean; negatives (per row).

    Returns:
        One sentence a finding, each with what to do.

    Example:
        >>> likely_causes({"negatives": 6.0})[0]
        'batch too small: a row has 6 negatives; pass a larger batch_size (64 in the paper).'
    """
    found = []
    collapsed = (
        values.get("effective_rank_share", 1.0) < LIMITS["effective_rank_share"]
        or values.get("mean_cosine", 0.0) > LIMITS["mean_cosine"]
    )
    low = LIMITS["weight_mean_low_if_collapsed" if collapsed else "weight_mean_low"]
    if values.get("negatives", math.inf) < LIMITS["negatives"]:
        found.append(
            f"batch too small: a row has {values['negatives']:.0f} negatives; "
            "pass a larger batch_size (64 in the paper)."
        )
    neutral = values.get("neutral_share", 0.0)
    if values.get("completeness_mean", 1.0) == 0.0 or neutral == 1.0:
        found.append(
            "all metadata missing: every pair has an unknown risk or no known input, so guidance does nothing; "
            "check the metadata columns, or use method simclr."
        )
    elif neutral > LIMITS["neutral_share"]:
        found.append(
            f"most metadata missing: {neutral:.0%} of the pairs have an unknown risk, so guidance does little; "
            "check which stores have metadata, or give those without a smaller part of the pool."
        )
    elif values.get("risk_spread", math.inf) < LIMITS["risk_spread"]:
        found.append(
            "homogeneous risk: patients hardly differ in risk, so every pair gets the same weight; "
            "check the score with `openclef risk`, or use another score."
        )
    elif (
        "weight_max" in values
        and values["weight_max"] - values["weight_min"] < LIMITS["weight_range_low"] * values["weight_mean"]
    ):
        found.append(
            f"alpha too high: weights of negatives lie between {values['weight_min']:.2f} and "
            f"{values['weight_max']:.2f}, so risk makes no difference; lower alpha (0.2 in the paper)."
        )
    elif values.get("weight_mean", 1.0) < low and not values.get("weights_rescaled", 0.0):
        found.append(
            f"alpha too low: the mean weight of negatives is {values['weight_mean']:.2f}, so little pushes records "
            'apart and the target similarity is high; raise alpha, or use weighting "mean_one" or another difference.'
        )
    if collapsed:
        found.insert(
            0,
            f"embeddings are collapsing: effective rank {values.get('effective_rank', math.nan):.1f}, "
            f"mean cosine {values.get('mean_cosine', math.nan):.3f}; "
            + (
                "the likely cause is named next."
                if found
                else "lower the learning rate or raise the temperature."
            ),
        )
    return found
