"""Intervals and tests: the two-level bootstrap over subjects and seeds, and paired comparisons.

Shapes: `target` is (records, labels), 0/1 for classes (one column a class, one against the rest) or real
numbers for regression, NaN where a record takes no part in a label; `score` is (seeds, records, labels);
`subject` is (records,).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from numbers import Integral

import numpy as np
from numpy.typing import ArrayLike, NDArray

from openclef.metrics import METRICS, OF_CLASSES, RANKED

Array = NDArray[np.floating]
_CELLS = 400_000  # Numbers in a block of (records, draws): blocks of this size stay in the processor's cache.
_REDRAWS = 200
_BIASED = ("ece",)  # A mean of absolute gaps grows with any noise, so resampling moves it upwards.


@dataclass(frozen=True)
class Estimate:
    """A value with its percentile interval.

    Args:
        value: The estimate on all records.
        low: Lower end of the interval.
        high: Upper end of the interval.

    Example:
        >>> Estimate(0.8, 0.7, 0.9).high
        0.9
    """

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class Bootstrap:
    """A metric of each label, on all records and in every draw.

    Args:
        value: (labels,) mean over seeds, on all records.
        samples: (draws, labels) mean over the drawn seeds, on the drawn subjects; NaN where a draw left a
            label without a positive or a negative.
        required: (labels,) labels that every draw keeps measurable.

    Example:
        >>> samples = np.array([[0.4, 0.6], [0.6, 0.8]])
        >>> Bootstrap(np.array([0.5, 0.7]), samples, np.ones(2, bool)).macro().value
        0.6
    """

    value: Array
    samples: Array
    required: NDArray[np.bool_]

    def label(self, index: int, level: float = 0.95) -> Estimate:
        """Estimate of one label; draws in which it was not measurable are skipped.

        Example:
            >>> Bootstrap(np.array([0.5]), np.array([[0.4], [0.6]]), np.ones(1, bool)).label(0).value
            0.5
        """
        return _estimate(self.value[index], self.samples[:, index], level)

    def macro(self, labels: ArrayLike | None = None, level: float = 0.95) -> Estimate:
        """Estimate of the mean over labels (a mask or indices; None = the required ones).

        Example:
            >>> Bootstrap(np.array([0.5]), np.array([[0.4], [0.6]]), np.ones(1, bool)).macro().value
            0.5
        """
        chosen = self.required if labels is None else np.asarray(labels)
        if not self.value[chosen].size:
            return Estimate(np.nan, np.nan, np.nan)
        return _estimate(float(self.value[chosen].mean()), self.samples[:, chosen].mean(1), level)


def _estimate(value: float, samples: Array, level: float) -> Estimate:
    samples = samples[~np.isnan(samples)]
    if not samples.size:
        return Estimate(float(value), np.nan, np.nan)
    low, high = np.quantile(samples, [(1 - level) / 2, (1 + level) / 2])
    return Estimate(float(value), float(low), float(high))


def check_counts(*, seed: int = 0, **counts: int) -> None:
    """Refuse a seed that is no whole number from 0, and counts (draws=..., by name) that are none from 1.

    Raises:
        ValueError: If a number is not whole or too small.

    Example:
        >>> check_counts(draws=0)
        Traceback (most recent call last):
        ...
        ValueError: draws is 0; accepted are whole numbers from 1.
    """
    for name, number in (counts | {"seed": seed}).items():
        least = 0 if name == "seed" else 1
        if not isinstance(number, Integral) or isinstance(number, bool) or number < least:
            raise ValueError(f"{name} is {number!r}; accepted are whole numbers from {least}.")


def subject_counts(
    subject: ArrayLike, *, draws: int = 1000, seed: int = 0, required: ArrayLike | None = None
) -> NDArray[np.float32]:
    """How often each record stands in each bootstrap draw, when subjects are drawn with replacement.

    A draw that loses every record of a required group is drawn again.

    Args:
        subject: (records,) subject ids; all records of a subject go together.
        draws: Number of draws.
        seed: The draws are a function of the seed, the set of subjects and the required groups alone.
        required: (records, groups) bool: groups of which every draw keeps a record; None = none.

    Returns:
        (records, draws) counts.

    Raises:
        ValueError: If a required group has no record or cannot be kept, or draws or seed cannot be right.

    Example:
        >>> counts = subject_counts(["a", "a", "b"], draws=4)
        >>> bool((counts[0] == counts[1]).all()), float((counts[0] + counts[2]).max())
        (True, 2.0)
    """
    check_counts(draws=draws, seed=seed)
    names, code = np.unique(np.asarray(subject), return_inverse=True)
    groups = np.zeros((code.size, 0), bool) if required is None else np.asarray(required, bool)
    if not groups.any(0).all():
        raise ValueError("A required group has no record; leave labels without positives or negatives out.")
    held = np.zeros((names.size, groups.shape[1]), np.float32)
    np.maximum.at(held, code, groups.astype(np.float32))
    generator, missing = np.random.default_rng([seed, 0]), np.arange(draws)
    counts = np.zeros((names.size, draws), np.float32)
    for _ in range(_REDRAWS):
        for column in missing:
            counts[:, column] = np.bincount(
                generator.integers(0, names.size, names.size), minlength=names.size
            )
        missing = missing[((counts[:, missing].T @ held) == 0).any(1)]
        if not missing.size:
            return counts[code]
    raise ValueError(
        f"{missing.size} of {draws} bootstrap draws lost every positive or negative of a label "
        f"{_REDRAWS} times over; leave out labels with so few subjects."
    )


def _seed_shares(seeds: int, draws: int, seed: int) -> Array:
    """(draws, seeds) share of each seed in a draw's mean."""
    drawn = np.random.default_rng([seed, 1, seeds]).integers(0, seeds, (draws, seeds))
    return (drawn[:, :, None] == np.arange(seeds)).mean(1)


def _as_stack(target: ArrayLike, score: ArrayLike) -> tuple[Array, Array]:
    """Target as (records, labels) and score as (seeds, records, labels)."""
    target, score = np.asarray(target, dtype=float), np.asarray(score, dtype=float)
    target = target[:, None] if target.ndim == 1 else target
    if score.ndim == 1:
        score = score[None, :, None]
    elif score.ndim == 2:
        score = score[None]
    if score.ndim != 3 or score.shape[1:] != target.shape:
        raise ValueError(
            f"target has shape {target.shape} and score {score.shape}; pass (records, labels) and "
            "(seeds, records, labels)."
        )
    return target, score


def measurable_labels(target: ArrayLike, least: int = 1) -> NDArray[np.bool_]:
    """Which labels have at least `least` positives and negatives.

    Args:
        target: (records, labels) 0, 1 or NaN.
        least: Fewest positives, and fewest negatives.

    Returns:
        (labels,) bool.

    Example:
        >>> measurable_labels(np.array([[0, 0], [1, 0]])).tolist()
        [True, False]
    """
    target = np.asarray(target, dtype=float)
    return ((target == 1).sum(0) >= least) & ((target == 0).sum(0) >= least)


def _required(metric: str, target: Array, least: int) -> tuple[NDArray[np.bool_], NDArray[np.bool_] | None]:
    """Labels that every draw keeps, and their (records, groups) positives and negatives."""
    if metric not in METRICS:
        raise ValueError(f"metric is {metric!r}; pass one of {', '.join(METRICS)}.")
    if metric not in OF_CLASSES:
        return np.ones(target.shape[1], bool), None
    kept = measurable_labels(target, least)
    return kept, np.concatenate([target[:, kept] == 1, target[:, kept] == 0], axis=1)


def _over_draws(metric: str, target: Array, score: Array, weight: NDArray[np.float32]) -> Array:
    """(seeds, draws, labels) metric under each weighting, in blocks of draws that stay small."""
    function = METRICS[metric]
    result = np.empty((score.shape[0], weight.shape[1], target.shape[1]))
    step = max(1, _CELLS // max(1, target.shape[0]))
    for start in range(0, weight.shape[1], step):
        block = weight[:, start : start + step].astype(float)
        for s, label in np.ndindex(score.shape[0], target.shape[1]):
            result[s, start : start + step, label] = function(target[:, label], score[s, :, label], block)
    return result


def bootstrap(
    metric: str,
    target: ArrayLike,
    score: ArrayLike,
    subject: ArrayLike,
    *,
    draws: int = 1000,
    seed: int = 0,
    least: int = 1,
    weight: ArrayLike | None = None,
) -> Bootstrap:
    """Two-level bootstrap of a metric: in each draw subjects and seeds are resampled with replacement.

    The value of a draw is the mean over the drawn seeds of the metric on the drawn subjects; all records of
    a subject go together. Every draw keeps a positive and a negative of each label with at least `least` of
    both (a draw that does not is drawn again); a rarer label is skipped in the draws that lose it.

    The calibration error grows with any noise, so its draws are moved back to centre on the value.

    Args:
        metric: A key of `METRICS`.
        target: (records, labels) or (records,).
        score: (seeds, records, labels), or without the leading axes where they are 1.
        subject: (records,) subject ids.
        draws: Number of draws.
        seed: Seed of the draws; equal seeds give equal draws for equal subjects and targets.
        least: Fewest positives and negatives of a label that is kept in every draw.
        weight: (records, draws) from `subject_counts`, where several tasks share draws; None = drawn here.

    Returns:
        A `Bootstrap` of values and samples by label.

    Raises:
        ValueError: If the metric is unknown, shapes disagree, or draws or seed cannot be right.

    Example:
        >>> target = np.tile([0.0, 1.0], 50)
        >>> bootstrap("auroc", target, target, np.arange(100), draws=20).macro()
        Estimate(value=1.0, low=1.0, high=1.0)
    """
    target, score = _as_stack(target, score)
    kept, groups = _required(metric, target, least)
    if weight is None:
        weight = subject_counts(subject, draws=draws, seed=seed, required=groups)
    counts = np.asarray(weight, dtype=np.float32)
    value = _over_draws(metric, target, score, np.ones((target.shape[0], 1), np.float32))[:, 0].mean(0)
    samples = _over_draws(metric, target, score, counts)
    drawn = np.einsum("ds,sdl->dl", _seed_shares(score.shape[0], counts.shape[1], seed), samples)
    if metric in _BIASED:
        drawn = np.maximum(drawn - np.nanmean(drawn, axis=0) + value, 0.0)
    return Bootstrap(value, drawn, kept)


@dataclass(frozen=True)
class Difference:
    """A paired difference of two models.

    Args:
        difference: Metric of the first minus metric of the second.
        low: Lower end of the paired bootstrap interval.
        high: Upper end of it.
        p: Two-sided paired permutation p.

    Example:
        >>> Difference(0.0, 0.0, 0.0, 1.0).p
        1.0
    """

    difference: float
    low: float
    high: float
    p: float


def paired_difference(
    target: ArrayLike,
    score_a: ArrayLike,
    score_b: ArrayLike,
    subject: ArrayLike,
    *,
    metric: str = "auroc",
    draws: int = 1000,
    permutations: int = 1000,
    seed: int = 0,
    least: int = 1,
    level: float = 0.95,
) -> Difference:
    """Difference of two models on the same subjects: paired bootstrap interval and permutation p.

    The interval is the percentile interval of the difference over draws that are the same for both models.
    The p value swaps the two models' predictions subject by subject (for rank metrics: their ranks, so that
    a difference of scale cannot enter) and counts how often the difference is at least as large as the
    observed one; it is conditional on the seeds. With equal numbers of seeds, seed i is paired with seed i,
    in the draws as in the permutations; otherwise every seed of one is paired with every seed of the other.

    Args:
        target: (records, labels) or (records,).
        score_a: (seeds, records, labels) of the first model, leading axes of 1 left out if liked.
        score_b: The same of the second; the number of seeds may differ.
        subject: (records,) subject ids.
        metric: A key of `METRICS`; labels are averaged.
        draws: Bootstrap draws.
        permutations: Permutations.
        seed: Seed of both.
        least: Fewest positives and negatives of a label that counts.
        level: Level of the interval.

    Returns:
        Difference, its interval and p; a model against itself gives 0, 0, 0 and 1.

    Raises:
        ValueError: If no label is measurable, the metric is unknown, or shapes or counts cannot be right.

    Source:
        Bandos, Rockette and Gur, Statistics in Medicine 2005 (permutation of ranks in a paired design).

    Example:
        >>> target, noise = np.tile([0.0, 1.0], 50), np.random.default_rng(0).normal(size=100)
        >>> paired_difference(target, noise, noise, np.arange(100), draws=20, permutations=20)
        Difference(difference=0.0, low=0.0, high=0.0, p=1.0)
    """
    check_counts(draws=draws, permutations=permutations, seed=seed)
    both, score_a = _as_stack(target, score_a)
    _, score_b = _as_stack(target, score_b)
    kept, _ = _required(metric, both, least)
    if not kept.any():
        raise ValueError(f"No label has {least} positives and {least} negatives; nothing to compare.")
    both, score_a, score_b = both[:, kept], score_a[:, :, kept], score_b[:, :, kept]
    first = bootstrap(metric, both, score_a, subject, draws=draws, seed=seed)
    second = bootstrap(metric, both, score_b, subject, draws=draws, seed=seed)
    difference = float(first.value.mean() - second.value.mean())
    interval = _estimate(difference, first.samples.mean(1) - second.samples.mean(1), level)

    people, code = np.unique(np.asarray(subject), return_inverse=True)
    swap = np.random.default_rng([seed, 2]).integers(0, 2, (people.size, permutations), dtype=np.int8)
    swapped = swap[code].astype(np.float32)
    weight, other = np.concatenate([1 - swapped, swapped]), np.concatenate([swapped, 1 - swapped])
    twice = np.concatenate([both, both])
    if metric in RANKED:
        from scipy.stats import rankdata  # midranks: the two models' scales then agree

        score_a, score_b = (np.asarray(rankdata(score, axis=1)) for score in (score_a, score_b))
    seeds = score_a.shape[0], score_b.shape[0]
    pairs = [(i, i) for i in range(seeds[0])] if seeds[0] == seeds[1] else list(np.ndindex(seeds))
    permuted = np.zeros(permutations)
    for a, b in pairs:
        stacked = np.concatenate([score_a[a], score_b[b]])[None]
        change = _over_draws(metric, twice, stacked, weight) - _over_draws(metric, twice, stacked, other)
        permuted += change[0].mean(1) / len(pairs)
    as_large = int((np.abs(permuted) >= abs(difference) - 1e-12).sum())
    return Difference(difference, interval.low, interval.high, (1 + as_large) / (1 + permutations))


def holm(p_values: Sequence[float]) -> list[float]:
    """Holm's adjustment of p values for the number of comparisons in a table.

    Args:
        p_values: P values, in any order; NaN stays NaN and does not count.

    Returns:
        Adjusted p values in the order given.

    Raises:
        ValueError: If a p value is outside 0..1.

    Source:
        Holm, Scandinavian Journal of Statistics 1979.

    Example:
        >>> holm([0.01, 0.04, 0.03])
        [0.03, 0.06, 0.06]
    """
    values = np.asarray(p_values, dtype=float)
    known = np.flatnonzero(~np.isnan(values))
    if ((values[known] < 0) | (values[known] > 1)).any():
        raise ValueError(f"p values are {list(p_values)}; all must lie in 0..1.")
    adjusted = values.copy()
    order = known[np.argsort(values[known], kind="stable")]
    adjusted[order] = np.minimum(np.maximum.accumulate(values[order] * np.arange(order.size, 0, -1)), 1.0)
    return [float(value) for value in adjusted]
