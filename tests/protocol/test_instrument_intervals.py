"""Intervals cover what is known beforehand as often as they say, p is uniform under the null, Holm holds its level.

Subjects are drawn at random, with one to several records each that resemble each other, as patients of a database are.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from scipy.stats import binom, kstest, norm

from openclef.statistics import bootstrap, holm, paired_difference

Simulation = Callable[[np.random.Generator], tuple[str, np.ndarray, np.ndarray, np.ndarray]]


def within(count: int, tries: int, share: float) -> bool:
    """Whether a count lies within the two-sided 99 % bounds of the binomial."""
    low, high = binom.ppf([0.005, 0.995], tries, share)
    return bool(low <= count <= high)


def coverage(
    simulate: Simulation, truth: float, simulations: int, *, draws: int, by_record: bool = False
) -> float:
    """Share of 95 % intervals that hold the truth; `by_record` draws records as if each were a subject."""
    inside = 0
    for number in range(simulations):
        metric, target, score, subject = simulate(np.random.default_rng([number, 9]))
        drawn = np.arange(len(subject)) if by_record else subject
        found = bootstrap(metric, target, score, drawn, draws=draws, seed=number).macro()
        inside += found.low <= truth <= found.high
    return inside / simulations


def _subjects(rng: np.random.Generator, subjects: int) -> np.ndarray:
    """(records,) subject of each record; 1 to 5 records each, 3 on average."""
    return np.repeat(np.arange(subjects), rng.integers(1, 6, subjects))


def _alike(rng: np.random.Generator, subject: np.ndarray, share: float) -> np.ndarray:
    """Standard normal noise of records, of which a share of the variance is the subject's."""
    own = rng.normal(size=subject.max() + 1)[subject]
    return np.sqrt(share) * own + np.sqrt(1 - share) * rng.normal(size=subject.size)


SEEDS, SPREAD = 5, 0.1


def ranked(rng: np.random.Generator):
    """AUROC of five seeds, whose distances differ, over clustered records."""
    subject = _subjects(rng, 150)
    target = (rng.random(150) < 0.4).astype(float)[subject]
    distance = 1 + SPREAD * rng.normal(size=(SEEDS, 1))
    score = np.sqrt(0.8) * _alike(rng, subject, 0.6) + np.sqrt(0.2) * rng.normal(size=(SEEDS, subject.size))
    return "auroc", target, (score + distance * target)[:, :, None], subject


RANKED = norm.cdf(1 / np.sqrt(2 + SPREAD**2))
"""Mean over seeds of Phi(distance / sqrt 2), the distance being normal itself."""


def measured(rng: np.random.Generator):
    """Absolute error of one model over clustered records."""
    subject = _subjects(rng, 150)
    target = 130 + 15 * _alike(rng, subject, 0.8)
    return "mae", target, target + 8 * _alike(rng, subject, 0.6), subject


MEASURED = 8 * np.sqrt(2 / np.pi)


def counted(rng: np.random.Generator):
    """Prevalence over clustered records, as scoring takes it: the absolute error of predicting 0."""
    subject = _subjects(rng, 150)
    target = (rng.random(150) < 0.3).astype(float)[subject]
    return "mae", target, np.zeros_like(target), subject


COUNTED = 0.3
KINDS = {"auroc": (ranked, RANKED), "mae": (measured, MEASURED), "prevalence": (counted, COUNTED)}


@pytest.mark.parametrize("kind", KINDS)
def test_intervals_over_subjects_cover_and_over_records_do_not(kind):
    simulate, truth = KINDS[kind]
    simulations = 150
    assert within(round(simulations * coverage(simulate, truth, simulations, draws=200)), simulations, 0.95)
    assert coverage(simulate, truth, 60, draws=200, by_record=True) < 0.9


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_intervals_cover_the_truth_in_95_of_100(kind):
    simulate, truth = KINDS[kind]
    assert 0.935 <= coverage(simulate, truth, 2000, draws=500) <= 0.965
    assert coverage(simulate, truth, 500, draws=500, by_record=True) < 0.88


def _two_models(rng: np.random.Generator, metric: str, seeds: int = 1):
    """Two models that are equally good and alike, subject by subject: exchangeable, so that there is no difference."""
    subject = np.repeat(np.arange(60), 2)
    if metric == "mae":
        target, common = 10 * rng.normal(size=120), rng.normal(size=(1, 120))
    else:
        target = (rng.random(60) < 0.5).astype(float)[subject]
        common = target + 0.5 * rng.normal(size=(1, 120))
    # what a model adds of its own goes with the subject, in the same way for both
    first, second = (
        (target if metric == "mae" else 0)
        + common
        + 1.5 * np.stack([_alike(rng, subject, 0.8) for _ in range(seeds)])
        for _ in range(2)
    )
    if metric == "auroc":
        second = 50 * second - 7  # a difference of scale is none of order
    return target, first[:, :, None], second[:, :, None], subject


@pytest.mark.parametrize(("metric", "seeds"), [("auroc", 1), ("auroc", 2), ("mae", 1)])
def test_p_is_uniform_without_a_difference(metric, seeds):
    tries, permutations = 600, 99
    p, naive, untied = [], [], np.random.default_rng(0).random(tries)
    for number in range(tries):
        target, first, second, subject = _two_models(np.random.default_rng([number, 8]), metric, seeds)
        settings = {"metric": metric, "draws": 1, "permutations": permutations, "seed": number}
        p.append(paired_difference(target, first, second, subject, **settings).p)
        if seeds == 1 and number < 200:
            naive.append(paired_difference(target, first, second, np.arange(len(subject)), **settings).p)
    # p takes the values 1/100 to 100/100; spread within its step it is uniform in 0..1
    assert kstest(np.array(p) - untied / (permutations + 1), "uniform").pvalue > 0.01
    for level in (0.05, 0.2):
        assert within(int((np.array(p) <= level + 1e-9).sum()), tries, level), level
    if naive:  # swapping record by record forgets that a subject's records agree
        assert (np.array(naive) <= 0.05).mean() > binom.ppf(0.995, len(naive), 0.05) / len(naive)


def test_p_finds_a_difference_of_both_signs():
    found = []
    for number in range(40):
        target, first, second, subject = _two_models(np.random.default_rng([number, 7]), "auroc")
        better = first + 3 * target[None, :, None]
        pair = (better, second) if number % 2 else (second, better)
        row = paired_difference(target, *pair, subject, draws=1, permutations=199, seed=number)
        assert (row.difference > 0) == bool(number % 2)
        found.append(row.p < 0.05)
    assert np.mean(found) > 0.9


@pytest.mark.parametrize("correlation", [0.0, 0.7])
def test_holm_keeps_the_family_wise_error(correlation):
    """Of six comparisons two are real: any of the other four is called at most once in twenty tables."""
    tables, level = 3000, 0.05
    rng = np.random.default_rng(0)
    common = rng.normal(size=(tables, 1))
    z = np.sqrt(correlation) * common + np.sqrt(1 - correlation) * rng.normal(size=(tables, 6))
    p = 2 * norm.sf(np.abs(z + [3.5, 3.5, 0, 0, 0, 0]))
    adjusted = np.array([holm(list(row)) for row in p])
    wrong = int((adjusted[:, 2:] < level).any(1).sum())
    assert wrong <= binom.ppf(0.995, tables, level)
    assert (p[:, 2:] < level).any(1).mean() > 2 * level, "without it the error is far larger"
    bonferroni = np.minimum(6 * p, 1)
    assert (adjusted <= bonferroni + 1e-12).all()
    assert (adjusted[:, :2] < level).mean() > (bonferroni[:, :2] < level).mean()
    if correlation == 0:
        both_found = (adjusted[:, :2] < level).all(1)  # then four are left, and Holm's level is theirs
        assert within(
            int((adjusted[both_found, 2:] < level).any(1).sum()),
            int(both_found.sum()),
            1 - (1 - level / 4) ** 4,
        )
