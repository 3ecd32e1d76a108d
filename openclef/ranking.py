"""Ranks of models over tasks: Friedman's test, Nemenyi's critical difference, groups that do not differ."""

from __future__ import annotations

from dataclasses import dataclass
from numbers import Integral, Real

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
        ValueError: Fewer than two tasks or models, values that are not finite, or an alpha that is no level.

    Source:
        Demsar, Statistical comparisons of classifiers over multiple data sets, JMLR 2006.

    Example:
        >>> ranking = rank_models([[0.9, 0.8, 0.7], [0.8, 0.7, 0.7]])
        >>> ranking.mean_ranks.tolist(), ranking.cliques
        ([1.0, 2.25, 2.75], ((0, 1, 2),))
    """
    from scipy.stats import rankdata

    table = _table(values)
    ranks = np.asarray(rankdata(-table, axis=1)).mean(0)
    distance = critical_difference(table.shape[1], table.shape[0], alpha=alpha)
    return Ranking(ranks, friedman_p(table), distance, find_cliques(ranks, distance))


def friedman_p(values: ArrayLike) -> float:
    """P value of Friedman's test that all models rank alike; for two models it is the sign test.

    Args:
        values: (tasks, models), at least two of each.

    Returns:
        P value, from the chi-square distribution for three and more models, exact for two; 1 where no task tells
        any two models apart.

    Raises:
        ValueError: Fewer than two tasks or models, or values that are not finite.

    Source:
        Friedman, Journal of the American Statistical Association 1937; `scipy.stats.friedmanchisquare`.

    Example:
        >>> friedman_p([[2, 1]] * 5)
        0.0625
    """
    from scipy.stats import binomtest, friedmanchisquare

    table = _table(values)
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
        tasks: Number of tasks, at least two.
        alpha: Level, for all pairs together, between 0 and 1.

    Returns:
        The difference, in ranks.

    Raises:
        ValueError: A number is too small, or not whole, or alpha is no level.

    Source:
        Nemenyi 1963; Demsar, JMLR 2006, section 3.2.2 (q = studentised range / sqrt(2)).

    Example:
        >>> round(critical_difference(4, 14), 2)
        1.25
    """
    from scipy.stats import studentized_range

    for name, number in (("models", models), ("tasks", tasks)):
        if not isinstance(number, Integral) or isinstance(number, bool) or number < 2:
            raise ValueError(f"{name} is {number!r}; accepted are whole numbers from 2.")
    if not isinstance(alpha, Real) or isinstance(alpha, bool) or not 0 < alpha < 1:
        raise ValueError(
            f"alpha is {alpha!r}; accepted is a level between 0 and 1: pass for example alpha=0.05."
        )
    quantile = float(studentized_range.ppf(1 - alpha, models, np.inf)) / np.sqrt(2)
    return float(quantile * np.sqrt(models * (models + 1) / (6 * tasks)))


def find_cliques(mean_ranks: ArrayLike, distance: float) -> tuple[tuple[int, ...], ...]:
    """Largest groups of models whose mean ranks lie closer together than a distance.

    Args:
        mean_ranks: (models,).
        distance: The critical difference.

    Returns:
        Groups of two and more, as positions from the best rank on; a model may stand in several, or in none.

    Raises:
        ValueError: Ranks are no list of finite numbers, or the distance is none.

    Example:
        >>> find_cliques([3.0, 1.0, 2.2, 6.0], 1.25)
        ((1, 2), (2, 0))
    """
    ranks = _numbers("mean_ranks", mean_ranks, "finite ones as (models,)")
    if ranks.ndim != 1 or not np.isfinite(ranks).all():
        raise ValueError(f"mean_ranks have shape {ranks.shape}; pass finite ones as (models,).")
    if not isinstance(distance, Real) or isinstance(distance, bool) or not distance >= 0:
        raise ValueError(f"distance is {distance!r}; accepted is a difference of ranks from 0.")
    order = [int(one) for one in np.argsort(ranks, kind="stable")]
    groups: list[tuple[int, ...]] = []
    last = 0  # where the group before ended: one that ends no later lies inside it
    for start in range(len(order)):
        within = [one for one in order[start:] if ranks[one] - ranks[order[start]] < distance]
        if len(within) > 1 and start + len(within) > last:
            groups.append(tuple(within))
            last = start + len(within)
    return tuple(groups)


def _table(values: ArrayLike) -> NDArray[np.floating]:
    accepted = "finite ones as (tasks, models), at least two of each"
    table = _numbers("values", values, accepted)
    if table.ndim != 2 or min(table.shape) < 2 or not np.isfinite(table).all():
        raise ValueError(f"values have shape {table.shape}; pass {accepted}.")
    return table


def _numbers(name: str, given: ArrayLike, accepted: str) -> NDArray[np.floating]:
    try:
        return np.asarray(given, dtype=float)
    except (ValueError, TypeError) as error:
        raise ValueError(f"{name} are no array of numbers ({error}); pass {accepted}.") from error
