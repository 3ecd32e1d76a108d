from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import norm
from sklearn import metrics as reference

from openclef import metrics

SKLEARN = {
    "auroc": reference.roc_auc_score,
    "auprc": reference.average_precision_score,
    "mae": reference.mean_absolute_error,
    "rmse": reference.root_mean_squared_error,
    "r2": reference.r2_score,
    "brier": reference.brier_score_loss,
}


@given(st.integers(0, 10_000), st.integers(5, 60), st.sampled_from([2, 5, 100]))
def test_weighted_metrics_agree_with_scikit_learn(seed, records, levels):
    generator = np.random.default_rng(seed)
    target = generator.integers(0, 2, records).astype(float)
    target[:2] = 0, 1
    score = generator.integers(0, levels, records) / levels  # few levels: many ties
    weight = generator.integers(0, 4, (records, 7)).astype(float)
    weight[:2] = 1
    for name, function in SKLEARN.items():
        ours = metrics.METRICS[name](target, score, weight)
        theirs = [function(target, score, sample_weight=weight[:, d]) for d in range(7)]
        np.testing.assert_allclose(ours, theirs, rtol=1e-9, atol=1e-9, err_msg=name)
        np.testing.assert_allclose(metrics.METRICS[name](target, score), function(target, score), atol=1e-9)


def test_auroc_equals_the_count_of_ordered_pairs():
    generator = np.random.default_rng(0)
    target, score = generator.integers(0, 2, 80), generator.integers(0, 12, 80)
    positive, negative = score[target == 1], score[target == 0]
    order = np.sign(positive[:, None] - negative[None, :])
    assert metrics.auroc(target, score) == pytest.approx((1 + order.mean()) / 2, abs=1e-12)


def test_correlation_and_calibration_error_equal_their_definitions():
    generator = np.random.default_rng(1)
    score = generator.random(500)
    target = (generator.random(500) < score**2).astype(float)
    weight = generator.integers(0, 3, 500)
    repeated = np.repeat(np.arange(500), weight)
    expected = np.corrcoef(target[repeated], score[repeated])[0, 1]
    assert metrics.pearson_r(target, score, weight) == pytest.approx(expected, abs=1e-12)
    gap = 0.0
    for low in np.arange(15) / 15:
        inside = (score[repeated] >= low) & (score[repeated] < low + 1 / 15)
        if inside.any():
            gap += inside.mean() * abs(score[repeated][inside].mean() - target[repeated][inside].mean())
    assert metrics.ece(target, score, weight) == pytest.approx(gap, abs=1e-9)


def test_planted_gaussians_give_the_closed_form():
    generator = np.random.default_rng(0)
    target = (generator.random(60_000) < 0.3).astype(float)
    assert metrics.auroc(target, generator.normal(size=60_000) + target) == pytest.approx(
        norm.cdf(1 / np.sqrt(2)), abs=0.01
    )


def test_unmeasurable_labels_are_nan_and_missing_targets_are_left_out():
    assert np.isnan(metrics.auroc([1, 1], [0.1, 0.2]))
    assert np.isnan(metrics.auprc([0, 0], [0.1, 0.2]))
    assert metrics.auroc([0, 1, np.nan], [0.1, 0.2, np.nan]) == 1.0
    with pytest.raises(ValueError, match="scores are NaN"):
        metrics.auroc([0, 1], [0.1, np.nan])
    with pytest.raises(ValueError, match="one label at a time"):
        metrics.auroc(np.zeros((3, 2)), np.zeros((3, 2)))


@pytest.mark.parametrize("multiclass", [False, True])
def test_temperature_recovers_a_planted_one(multiclass):
    generator = np.random.default_rng(0)
    logits = generator.normal(size=(4000, 3)) * 2
    if multiclass:
        truth = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
        drawn = (truth.cumsum(1) < generator.random((4000, 1))).sum(1)
        target = np.eye(3)[drawn.clip(0, 2)]
        sure = np.exp(2.5 * logits) / np.exp(2.5 * logits).sum(1, keepdims=True)
    else:
        truth = 1 / (1 + np.exp(-logits))
        target = (generator.random((4000, 3)) < truth).astype(float)
        sure = 1 / (1 + np.exp(-2.5 * logits))
    temperature = metrics.fit_temperature(target, sure, multiclass=multiclass)
    assert temperature == pytest.approx(2.5, rel=0.08)
    scaled = metrics.apply_temperature(sure, 2.5, multiclass=multiclass)
    np.testing.assert_allclose(scaled, truth, atol=1e-4)
