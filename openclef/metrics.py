"""Metrics of one label, for one weighting of the records or for many at once, and temperature scaling.

A bootstrap draw is a weighting of the records by how often their subject was drawn, and a permutation is a
choice between two models' predictions: with weights as (records, draws) the scores are sorted once, whatever
the number of draws.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike, NDArray

Array = NDArray[np.floating]


def _prepare(
    given_target: ArrayLike, given_score: ArrayLike, given_weight: ArrayLike | None
) -> tuple[Array, Array, Array, bool]:
    """Checked vectors and a (records, draws) weight; the last value says whether one number is wanted."""
    target, score = np.asarray(given_target, dtype=float), np.asarray(given_score, dtype=float)
    if target.ndim != 1 or target.shape != score.shape:
        raise ValueError(
            f"target has shape {target.shape} and score {score.shape}; both must be (records,): "
            "pass one label at a time."
        )
    single = given_weight is None or np.ndim(given_weight) == 1
    weight: Array = np.ones(target.size) if given_weight is None else np.asarray(given_weight, dtype=float)
    if weight.shape[0] != target.size or weight.ndim > 2:
        raise ValueError(f"weight has shape {weight.shape}; pass ({target.size},) or ({target.size}, draws).")
    keep = ~np.isnan(target)
    if not keep.all():
        target, score, weight = target[keep], score[keep], weight[keep]
    if np.isnan(score).any():
        raise ValueError(
            f"{int(np.isnan(score).sum())} scores are NaN; every record with a target needs a score."
        )
    return target, score, weight.reshape(target.size, -1), single


def _finish(value: Array, single: bool) -> Array | float:
    return float(value[0]) if single else value


def _divide(numerator: Array, denominator: Array) -> Array:
    """Quotient, NaN where the denominator is 0."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(denominator > 0, numerator / denominator, np.nan)


def auroc(target: ArrayLike, score: ArrayLike, weight: ArrayLike | None = None) -> Array | float:
    """Area under the receiver operating characteristic of one label, for one or many weightings.

    The share of (positive, negative) pairs that the score orders rightly, ties counting a half.

    Args:
        target: (records,) 0 or 1; NaN = left out.
        score: (records,) higher = more likely positive.
        weight: (records,) or (records, draws); None = 1.

    Returns:
        A float, or (draws,) for a two-dimensional weight; NaN without a positive or a negative.

    Raises:
        ValueError: If shapes disagree or a score is NaN.

    Example:
        >>> auroc([0, 0, 1, 1], [0.1, 0.4, 0.35, 0.8])
        0.75
    """
    target, score, weight, single = _prepare(target, score, weight)
    positive = np.flatnonzero(target > 0.5)
    negative = np.flatnonzero(target <= 0.5)
    negative = negative[np.argsort(score[negative], kind="stable")]
    below = np.zeros((negative.size + 1, weight.shape[1]))
    np.cumsum(weight[negative], axis=0, out=below[1:])
    left = np.searchsorted(score[negative], score[positive], side="left")
    right = np.searchsorted(score[negative], score[positive], side="right")
    of_positive = weight[positive]
    pairs = np.einsum("pd,pd->d", of_positive, below[left])
    tied = left != right
    pairs += 0.5 * np.einsum("pd,pd->d", of_positive[tied], below[right[tied]] - below[left[tied]])
    return _finish(_divide(pairs, of_positive.sum(0) * below[-1]), single)


def auprc(target: ArrayLike, score: ArrayLike, weight: ArrayLike | None = None) -> Array | float:
    """Area under the precision-recall curve of one label as average precision, for one or many weightings.

    Args:
        target: (records,) 0 or 1; NaN = left out.
        score: (records,) higher = more likely positive.
        weight: (records,) or (records, draws); None = 1.

    Returns:
        A float, or (draws,); a score without information gives the prevalence; NaN without a positive.

    Raises:
        ValueError: If shapes disagree or a score is NaN.

    Example:
        >>> round(auprc([0, 0, 1, 1], [0.1, 0.4, 0.35, 0.8]), 4)
        0.8333
    """
    target, score, weight, single = _prepare(target, score, weight)
    if target.size == 0:
        return _finish(np.full(weight.shape[1], np.nan), single)
    order = np.argsort(-score, kind="stable")
    score, target, weight = score[order], target[order], weight[order]
    last = np.append(np.flatnonzero(np.diff(score)), score.size - 1)  # the end of each run of equal scores
    found = np.cumsum(weight * target[:, None], axis=0)[last]
    called = np.cumsum(weight, axis=0)[last]
    with np.errstate(divide="ignore", invalid="ignore"):
        precision = np.where(called > 0, found / called, 0.0)
    gained = np.diff(found, axis=0, prepend=0.0)
    return _finish(_divide((gained * precision).sum(0), found[-1]), single)


def _weighted_mean(term: Array, weight: Array) -> Array:
    return _divide(term @ weight, weight.sum(0))


def mae(target: ArrayLike, score: ArrayLike, weight: ArrayLike | None = None) -> Array | float:
    """Mean absolute error, in the target's unit, for one or many weightings.

    Args:
        target: (records,) true values; NaN = left out.
        score: (records,) predictions.
        weight: (records,) or (records, draws); None = 1.

    Returns:
        A float, or (draws,).

    Raises:
        ValueError: If shapes disagree or a score is NaN.

    Example:
        >>> mae([120.0, 140.0], [125.0, 138.0])
        3.5
    """
    target, score, weight, single = _prepare(target, score, weight)
    return _finish(_weighted_mean(np.abs(score - target), weight), single)


def rmse(target: ArrayLike, score: ArrayLike, weight: ArrayLike | None = None) -> Array | float:
    """Root mean squared error, in the target's unit; arguments and returns as `mae`.

    Example:
        >>> rmse([0.0, 0.0], [3.0, 3.0])
        3.0
    """
    target, score, weight, single = _prepare(target, score, weight)
    return _finish(np.sqrt(_weighted_mean((score - target) ** 2, weight)), single)


def r2(target: ArrayLike, score: ArrayLike, weight: ArrayLike | None = None) -> Array | float:
    """Coefficient of determination, 1 - residual / total sum of squares; arguments and returns as `mae`.

    Example:
        >>> r2([1.0, 2.0, 3.0], [2.0, 2.0, 2.0])
        0.0
    """
    target, score, weight, single = _prepare(target, score, weight)
    centred = target - target.mean() if target.size else target
    spread = _weighted_mean(centred**2, weight) - _weighted_mean(centred, weight) ** 2
    return _finish(1.0 - _divide(_weighted_mean((score - target) ** 2, weight), spread), single)


def pearson_r(target: ArrayLike, score: ArrayLike, weight: ArrayLike | None = None) -> Array | float:
    """Pearson correlation; arguments and returns as `mae`; NaN where either side is constant.

    Example:
        >>> round(pearson_r([1.0, 2.0, 3.0], [2.0, 4.0, 6.0]), 6)
        1.0
    """
    target, score, weight, single = _prepare(target, score, weight)
    if target.size == 0:
        return _finish(np.full(weight.shape[1], np.nan), single)
    first, second = target - target.mean(), score - score.mean()
    mean_first, mean_second = _weighted_mean(first, weight), _weighted_mean(second, weight)
    both = _weighted_mean(first * second, weight) - mean_first * mean_second
    spread_first = _weighted_mean(first**2, weight) - mean_first**2
    spread_second = _weighted_mean(second**2, weight) - mean_second**2
    return _finish(_divide(both, np.sqrt(np.maximum(spread_first * spread_second, 0.0))), single)


def brier(target: ArrayLike, score: ArrayLike, weight: ArrayLike | None = None) -> Array | float:
    """Brier score: mean squared difference of probability and outcome; arguments as `auroc`, score in 0..1.

    Example:
        >>> brier([1, 0], [0.5, 0.5])
        0.25
    """
    target, score, weight, single = _prepare(target, score, weight)
    return _finish(_weighted_mean((score - target) ** 2, weight), single)


def ece(
    target: ArrayLike, score: ArrayLike, weight: ArrayLike | None = None, *, bins: int = 15
) -> Array | float:
    """Expected calibration error: mean gap of probability and frequency over equal-width bins of probability.

    Args:
        target: (records,) 0 or 1; NaN = left out.
        score: (records,) probabilities.
        weight: (records,) or (records, draws); None = 1.
        bins: Number of equal-width bins.

    Returns:
        A float, or (draws,).

    Raises:
        ValueError: If shapes disagree or a score is NaN.

    Source:
        Naeini, Cooper and Hauskrecht, AAAI 2015.

    Example:
        >>> round(ece([1, 1, 0, 0], [0.9, 0.9, 0.1, 0.1]), 6)
        0.1
    """
    target, score, weight, single = _prepare(target, score, weight)
    bin_of = np.clip((score * bins).astype(int), 0, bins - 1)
    gap = (score - target)[None, :] * (bin_of[None, :] == np.arange(bins)[:, None])
    return _finish(_divide(np.abs(gap @ weight).sum(0), weight.sum(0)), single)


METRICS: dict[str, Callable[..., Array | float]] = {
    "auroc": auroc,
    "auprc": auprc,
    "mae": mae,
    "rmse": rmse,
    "r2": r2,
    "r": pearson_r,
    "brier": brier,
    "ece": ece,
}
RANKED = ("auroc", "auprc")  # metrics of the order of the scores alone
OF_CLASSES = (
    "auroc",
    "auprc",
    "brier",
    "ece",
)  # metrics of 0/1 targets, which need a positive and a negative
LOWER_IS_BETTER = ("mae", "rmse", "brier", "ece")


def fit_temperature(target: ArrayLike, score: ArrayLike, *, multiclass: bool = False) -> float:
    """Temperature that minimises the log-loss of probabilities, to be fitted on validation records.

    Args:
        target: (records, labels) 0, 1 or NaN.
        score: (records, labels) probabilities.
        multiclass: Whether the labels exclude each other (a softmax) or not (a sigmoid each).

    Returns:
        Temperature; 1 = calibrated already, above 1 = the probabilities were too sure.

    Raises:
        ValueError: If shapes disagree.

    Source:
        Guo et al., On calibration of modern neural networks, ICML 2017.

    Example:
        >>> target = np.repeat([1.0, 0.0], [73, 27])[:, None]
        >>> bool(fit_temperature(target, np.full((100, 1), 0.99)) > 3)
        True
    """
    from scipy.optimize import minimize_scalar

    outcome, probability = np.asarray(target, dtype=float), np.asarray(score, dtype=float)
    if outcome.shape != probability.shape:
        raise ValueError(
            f"target has shape {outcome.shape} and score {probability.shape}; both must be (records, labels)."
        )
    known = ~np.isnan(outcome)
    if not known.any():
        return 1.0

    def loss(log_temperature: float) -> float:
        scaled = apply_temperature(probability, float(np.exp(log_temperature)), multiclass=multiclass)
        scaled = np.clip(scaled, 1e-12, 1 - 1e-12)
        if multiclass:
            return float(-np.log(scaled[outcome == 1]).mean())
        return float(-(outcome * np.log(scaled) + (1 - outcome) * np.log1p(-scaled))[known].mean())

    return float(np.exp(minimize_scalar(loss, bounds=(-3.0, 3.0), method="bounded").x))


def apply_temperature(score: ArrayLike, temperature: float, *, multiclass: bool = False) -> Array:
    """Probabilities with their logits divided by a temperature.

    Args:
        score: (..., labels) probabilities.
        temperature: From `fit_temperature`.
        multiclass: Whether the labels exclude each other.

    Returns:
        (..., labels) probabilities.

    Example:
        >>> apply_temperature([0.2, 0.5], 1.0).round(6).tolist()
        [0.2, 0.5]
    """
    probability = np.clip(np.asarray(score, dtype=float), 1e-12, 1 - 1e-12)
    if multiclass:
        logits = np.log(probability) / temperature
        powers = np.exp(logits - logits.max(-1, keepdims=True))
        return powers / powers.sum(-1, keepdims=True)
    return 1.0 / (1.0 + np.exp(-(np.log(probability) - np.log1p(-probability)) / temperature))
