"""Ranks of models over tasks: Friedman's test, Nemenyi's critical difference, groups that do not differ."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = ["Ranking", "critical_difference", "find_cliques", "friedman_p", "rank_models"]


@dataclass(frozen=True)
class Ranking:
    """Mean ranks of models over tasks, and what may be said of them.

    Args:
        mean_ranks: (models,) mean over the tasks; 1 = best on every task.
        friedman_p: P value of the hypothesis that all models rank alike.
        critical_difference: Difference of mean ranks from which two models differ (Nemenyi).
        cliques: Largest groups of models, best first, whose mean ranks lie closer together than that.

    Example:
        >>> Ranking(np.array([1.0, 2.0]), 0.5, 0.9, ()).friedman_p
        0.5
    """

    mean_ranks: NDArray[np.floating]
    friedman_p: float
    critical_difference: float
    cliques: tuple[tuple[int, ...], ...]


def rank_models(values: ArrayLike, *, alpha: float = 0.05) -> Ranking:
    """Rank models on each task and say which of them differ over all tasks.

    Args:
        values: (tasks, models), at least two of each; a higher value is better, so pass errors with a minus. Equal
            values share the mean of their ranks.
        alpha: Level of the critical difference.

    Returns:
        The `Ranking`.

    Raises:
        ValueError: Fewer than two tasks or models, or values that are not finite.

    Source:
        Demsar, Statistical comparisons of classifiers over multiple data sets, JMLR 2006.

    Example:
        >>> ranking = rank_models([[0.9, 0.8, 0.7], [0.8, 0.7, 0.7]])
        >>> ranking.mean_ranks.tolist(), ranking.cliques
        ([1.0, 2.25, 2.75], ((0, 1, 2),))
    """
    from scipy.stats import rankdata

    table = np.asarray(values, dtype=float)
    if table.ndim != 2 or min(table.shape) < 2 or not np.isfinite(table).all():
        raise ValueError(
            f"values have shape {table.shape}; pass finite ones as (tasks, models), at least two of each."
        )
    ranks = np.asarray(rankdata(-table, axis=1)).mean(0)
    distance = critical_difference(table.shape[1], table.shape[0], alpha=alpha)
    return Ranking(ranks, friedman_p(table), distance, find_cliques(ranks, distance))


def friedman_p(values: ArrayLike) -> float:
    """P value of Friedman's test that all models rank alike; for two models it is the sign test.

    Args:
        values: (tasks, models).

    Returns:
        P value, from the chi-square distribution for three and more models, exact for two; 1 where no task tells
        any two models apart.

    Source:
        Friedman, Journal of the American Statistical Association 1937; `scipy.stats.friedmanchisquare`.

    Example:
        >>> friedman_p([[2, 1]] * 5)
        0.0625
    """
    from scipy.stats import binomtest, friedmanchisquare

    table = np.asarray(values, dtype=float)
    if (table == table[:, :1]).all():
        return 1.0
    if table.shape[1] == 2:
        wins, losses = int((table[:, 0] > table[:, 1]).sum()), int((table[:, 0] < table[:, 1]).sum())
        return float(binomtest(wins, wins + losses).pvalue)
    return float(friedmanchisquare(*table.T).pvalue)


def critical_difference(models: int, tasks: int, *, alpha: float = 0.05) -> float:
    """Difference of mean ranks from which two of several models differ.

    Args:
        models: Number of models, at least two.
        tasks: Number of tasks.
        alpha: Level, for all pairs together.

    Returns:
        The difference, in ranks.

    Source:
        Nemenyi 1963; Demsar, JMLR 2006, section 3.2.2 (q = studentised range / sqrt(2)).

    Example:
        >>> round(critical_difference(4, 14), 2)
        1.25
    """
    from scipy.stats import studentized_range

    quantile = float(studentized_range.ppf(1 - alpha, models, np.inf)) / np.sqrt(2)
    return float(quantile * np.sqrt(models * (models + 1) / (6 * tasks)))


def find_cliques(mean_ranks: ArrayLike, distance: float) -> tuple[tuple[int, ...], ...]:
    """Largest groups of models whose mean ranks lie closer together than a distance.

    Args:
        mean_ranks: (models,).
        distance: The critical difference.

    Returns:
        Groups of two and more, as positions from the best rank on; a model may stand in several, or in none.

    Example:
        >>> find_cliques([3.0, 1.0, 2.2, 6.0], 1.25)
        ((1, 2), (2, 0))
    """
    ranks = np.asarray(mean_ranks, dtype=float)
    order = [int(one) for one in np.argsort(ranks, kind="stable")]
    groups: list[tuple[int, ...]] = []
    last = 0  # where the group before ended: one that ends no later lies inside it
    for start in range(len(order)):
        within = [one for one in order[start:] if ranks[one] - ranks[order[start]] < distance]
        if len(within) > 1 and start + len(within) > last:
            groups.append(tuple(within))
            last = start + len(within)
    return tuple(groups)
