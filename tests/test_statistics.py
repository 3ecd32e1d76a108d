from __future__ import annotations

import time

import numpy as np
import pytest
from scipy.stats import norm
from sklearn import metrics as reference

from openclef import statistics


def planted(records, distance, seed, prevalence=0.3, seeds=1):
    generator = np.random.default_rng(seed)
    target = (generator.random(records) < prevalence).astype(float)
    return target, generator.normal(size=(seeds, records, 1)) + distance * target[:, None]


def test_a_draw_is_a_resampling_of_subjects_and_of_seeds():
    """A literal bootstrap, repeating rows, gives the samples that the weights give."""
    generator = np.random.default_rng(2)
    subject = generator.integers(0, 40, 150)
    target = np.stack([generator.integers(0, 2, 150), generator.integers(0, 2, 150)], 1).astype(float)
    score = generator.integers(0, 20, (3, 150, 2)).astype(float)
    ours = statistics.bootstrap("auroc", target, score, subject, draws=10, seed=5)
    counts = statistics.subject_counts(subject, draws=10, seed=5).astype(int)
    shares = statistics._seed_shares(3, 10, 5)
    np.testing.assert_allclose(shares.sum(1), 1)
    for draw in range(10):
        for s in np.unique(subject):
            assert len(set(counts[subject == s, draw])) == 1  # the records of a subject go together
        rows = np.repeat(np.arange(150), counts[:, draw])
        literal = [
            sum(
                shares[draw, s] * reference.roc_auc_score(target[rows, label], score[s, rows, label])
                for s in range(3)
            )
            for label in range(2)
        ]
        np.testing.assert_allclose(ours.samples[draw], literal, atol=1e-9)
    once = statistics.subject_counts(np.arange(40), draws=500)
    assert (once.sum(0) == 40).all()
    assert once.var() == pytest.approx(1 - 1 / 40, abs=0.03)  # binomial(40, 1/40)


def test_draws_that_are_given_take_the_place_of_those_drawn():
    target, score = planted(80, 0.7, 2, seeds=3)
    subject = np.arange(80) // 2
    groups = np.stack([target == 1, target == 0], 1)
    counts = statistics.subject_counts(subject, draws=30, seed=4, required=groups)
    drawn = statistics.bootstrap("auroc", target, score, subject, draws=30, seed=4)
    given = statistics.bootstrap("auroc", target, score, subject, seed=4, weight=counts)
    np.testing.assert_array_equal(given.samples, drawn.samples)
    with pytest.raises(ValueError, match=r"pass \(80,\) or \(80, draws\)"):
        statistics.bootstrap("auroc", target, score, subject, weight=counts[:5])


def test_each_draw_keeps_a_positive_and_a_negative():
    target = np.zeros((100, 2))
    target[:2, 0] = 1  # e^-2 of plain draws would lose both
    target[0, 1] = 1
    score = np.random.default_rng(0).normal(size=target.shape)
    kept = statistics.bootstrap("auroc", target, score, np.arange(100), least=2)
    assert kept.required.tolist() == [True, False]
    assert not np.isnan(kept.samples[:, 0]).any()
    assert 0.25 < np.isnan(kept.samples[:, 1]).mean() < 0.5  # the rare label is skipped, about e^-1
    assert np.isfinite(kept.label(1).low)
    assert kept.macro().value == kept.value[0]
    with pytest.raises(ValueError, match="no record"):
        statistics.subject_counts(np.arange(3), required=np.zeros((3, 1), bool))


def test_seeds_widen_the_interval():
    target, score = planted(4000, 1.0, 3)
    apart = score + np.linspace(-1, 1, 5)[:, None, None] * target[None, :, None]  # five unequal seeds
    one = statistics.bootstrap("auroc", target[:, None], apart[2:3], np.arange(4000), draws=300).macro()
    five = statistics.bootstrap("auroc", target[:, None], apart, np.arange(4000), draws=300).macro()
    assert five.high - five.low > 2 * (one.high - one.low)


def test_the_interval_of_the_calibration_error_holds_its_value():
    generator = np.random.default_rng(0)
    score = generator.random((400, 1))
    target = (generator.random((400, 1)) < score).astype(float)  # calibrated: the bootstrap mean lies higher
    found = statistics.bootstrap("ece", target, score, np.arange(400), draws=300).macro()
    assert 0 <= found.low < found.value < found.high < 2.5 * found.value


def test_a_thousand_draws_take_seconds():
    generator = np.random.default_rng(0)
    target = (generator.random((2000, 5)) < 0.2).astype(float)
    score = generator.normal(size=(5, 2000, 5)) + target
    start = time.perf_counter()
    statistics.bootstrap("auroc", target, score, generator.integers(0, 1800, 2000))
    assert time.perf_counter() - start < 8


def _coverage(simulations, records, draws):
    truth, inside = norm.cdf(1 / np.sqrt(2)), 0
    for seed in range(simulations):
        target, score = planted(records, 1.0, seed)
        estimate = statistics.bootstrap(
            "auroc", target[:, None], score, np.arange(records), draws=draws, seed=seed
        )
        inside += estimate.macro().low <= truth <= estimate.macro().high
    return inside / simulations


def test_intervals_cover_the_truth():
    assert 0.88 <= _coverage(150, 200, 300) <= 0.99  # 3 standard errors of 150 at .95, a little below allowed


@pytest.mark.slow
def test_intervals_cover_the_truth_at_length():
    assert 0.93 <= _coverage(1500, 400, 1000) <= 0.97


def test_a_model_against_itself_differs_by_nothing():
    target, score = planted(200, 0.5, 0, seeds=3)
    for metric in ("auroc", "auprc", "mae", "brier", "ece"):
        result = statistics.paired_difference(
            target, score, score, np.arange(200) // 2, metric=metric, draws=50, permutations=50
        )
        assert result == statistics.Difference(0.0, 0.0, 0.0, 1.0), metric


def test_paired_difference_finds_the_better_model_whatever_its_scale():
    target, good = planted(400, 1.5, 0, seeds=2)
    _, poor = planted(400, 1.5, 1, seeds=3)
    result = statistics.paired_difference(target, 100 * good, poor, np.arange(400), permutations=200)
    expected = np.mean([reference.roc_auc_score(target, s[:, 0]) for s in good]) - np.mean(
        [reference.roc_auc_score(target, s[:, 0]) for s in poor]
    )
    assert result.difference == pytest.approx(expected, abs=1e-12)
    assert result.p == pytest.approx(1 / 201)
    assert 0 < result.low < result.difference < result.high
    back = statistics.paired_difference(target, poor, good, np.arange(400), permutations=200)
    assert back.difference == -result.difference
    worse = statistics.paired_difference(target, target + 0.1, target + 1.0, np.arange(400), metric="mae")
    assert worse.difference == pytest.approx(-0.9)


def test_permutation_p_is_uniform_without_a_difference():
    values = []
    for seed in range(60):
        target, score = planted(120, 0.8, seed, seeds=2)
        score = score + np.random.default_rng(seed).normal(size=score.shape)
        values.append(
            statistics.paired_difference(
                target, score[0, :, 0], score[1, :, 0], np.arange(120), draws=20, permutations=100
            ).p
        )
    assert 0.35 < np.mean(values) < 0.65
    assert np.mean(np.array(values) < 0.1) < 0.25


def test_permutation_equals_swapping_by_hand():
    target, score = planted(30, 0.5, 4, prevalence=0.5, seeds=2)
    subject = np.arange(30) // 2
    ours = statistics.paired_difference(
        target, score[0], score[1], subject, metric="mae", permutations=64, draws=10, seed=3
    )
    swap = np.random.default_rng([3, 2]).integers(0, 2, (15, 64), dtype=np.int8)[subject].astype(bool)
    first, second = score[0, :, 0], score[1, :, 0]
    hits = 0
    for p in range(64):
        a = np.where(swap[:, p], second, first)
        b = np.where(swap[:, p], first, second)
        hits += abs(np.abs(a - target).mean() - np.abs(b - target).mean()) >= abs(ours.difference) - 1e-12
    assert ours.p == (1 + hits) / 65


def test_holm_against_its_definition():
    assert statistics.holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert statistics.holm([0.6, 0.7]) == [1.0, 1.0]
    adjusted = statistics.holm([np.nan, 0.02])
    assert np.isnan(adjusted[0])
    assert adjusted[1] == 0.02
    with pytest.raises(ValueError, match=r"0\.\.1"):
        statistics.holm([1.2])


def test_metric_names_and_shapes_are_checked():
    with pytest.raises(ValueError, match="auroc"):
        statistics.bootstrap("f1", [0, 1], [0, 1], [0, 1])
    with pytest.raises(ValueError, match="seeds, records, labels"):
        statistics.bootstrap("auroc", [0, 1], [0, 1, 2], [0, 1])
    with pytest.raises(ValueError, match="nothing to compare"):
        statistics.paired_difference([0, 0], [0, 1], [0, 1], [0, 1])


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"draws": 0}, "draws is 0; accepted are whole numbers from 1"),
        ({"draws": -1}, "draws is -1"),
        ({"draws": 1.5}, "draws is 1.5"),
        ({"draws": True}, "draws is True"),
        ({"seed": -1}, "seed is -1; accepted are whole numbers from 0"),
    ],
)
def test_draws_and_seeds_that_nothing_can_be_drawn_with(settings, message):
    target = np.tile([0.0, 1.0], 10)
    with pytest.raises(ValueError, match=message):
        statistics.bootstrap("auroc", target, target, np.arange(20), **settings)
    with pytest.raises(ValueError, match=message):
        statistics.paired_difference(target, target, target, np.arange(20), **settings)
    with pytest.raises(ValueError, match="permutations is 0"):
        statistics.paired_difference(target, target, target, np.arange(20), permutations=0)
