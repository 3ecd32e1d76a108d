from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import norm
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.preprocessing import StandardScaler

from openclef.metrics import auroc
from openclef.protocol.probe import STRENGTHS, WORSE, draw_subjects, fit_linear_probe


def features_and_labels(records, dim, labels, seed=0):
    generator = np.random.default_rng(seed)
    features = generator.normal(size=(records, dim)) @ generator.normal(size=(dim, dim)) + 3.0
    logit = (features - 3.0) @ generator.normal(size=(dim, labels)) / dim
    return features, (generator.random((records, labels)) < 1 / (1 + np.exp(-logit))).astype(float)


@pytest.mark.parametrize("records", [25, 300])  # fewer and more records than features
@pytest.mark.parametrize("strength", [1e-3, 1e-1, 10.0])
def test_logistic_probe_is_scikit_learns_optimum(records, strength):
    features, target = features_and_labels(records + 50, 40, 3)
    train, held = slice(None, records), slice(records, None)
    probe = fit_linear_probe(
        features[train], target[train], features[held], target[held], kind="multilabel", strengths=(strength,)
    )
    scaler = StandardScaler().fit(features[train])
    for label in range(3):
        model = LogisticRegression(C=1 / (records * strength), tol=1e-9, max_iter=20_000)
        model.fit(scaler.transform(features[train]), target[train, label])
        expected = model.predict_proba(scaler.transform(features[held]))[:, 1]
        np.testing.assert_allclose(probe.predict(features[held])[:, label], expected, atol=3e-3)


@pytest.mark.parametrize("records", [25, 300])
def test_ridge_probe_is_scikit_learns(records):
    generator = np.random.default_rng(1)
    features, _ = features_and_labels(records + 50, 40, 1)
    target = features @ generator.normal(size=(40, 1)) + 120 + generator.normal(size=(records + 50, 1))
    train, held = slice(None, records), slice(records, None)
    probe = fit_linear_probe(
        features[train], target[train], features[held], target[held], kind="regression", strengths=(0.1,)
    )
    scaler = StandardScaler().fit(features[train])
    model = Ridge(alpha=0.1 * records).fit(scaler.transform(features[train]), target[train])
    expected = model.predict(scaler.transform(features[held])).reshape(-1, 1)
    np.testing.assert_allclose(probe.predict(features[held]), expected, rtol=1e-6)


def test_planted_gaussians_reach_the_closed_form():
    generator = np.random.default_rng(0)
    target = (generator.random((9000, 1)) < 0.5).astype(float)
    features = generator.normal(size=(9000, 16))
    features[:, 3] += target[:, 0]  # one axis carries everything, distance 1
    probe = fit_linear_probe(
        features[:3000], target[:3000], features[3000:4000], target[3000:4000], kind="binary"
    )
    reached = auroc(target[4000:, 0], probe.predict(features[4000:])[:, 0])
    assert reached == pytest.approx(norm.cdf(1 / np.sqrt(2)), abs=0.01)


def test_validation_chooses_and_does_not_enter_the_fit():
    features, target = features_and_labels(300, 40, 3)
    probe = fit_linear_probe(features[:200], target[:200], features[200:], target[200:], kind="multilabel")
    losses = probe.settings["val_loss_by_strength"]
    assert list(losses) == sorted(STRENGTHS, reverse=True)[: len(losses)]
    assert (
        len(losses) == len(STRENGTHS)
        or list(losses).index(min(losses, key=losses.get)) == len(losses) - 1 - WORSE
    )
    assert probe.settings["strength"] == min(losses, key=losses.get)
    chosen = (probe.settings["strength"],)
    again = fit_linear_probe(
        features[:200], target[:200], features[200:210], target[200:210], kind="multilabel", strengths=chosen
    )
    np.testing.assert_allclose(again.predict(features), probe.predict(features), atol=1e-3)


def test_multiclass_probabilities_sum_to_one_and_find_the_class():
    generator = np.random.default_rng(0)
    code = generator.integers(0, 4, 600)
    target = np.eye(4)[code]
    features = generator.normal(size=(600, 8))
    features[:, :4] += 4 * target
    probe = fit_linear_probe(features[:300], target[:300], features[300:], target[300:], kind="multiclass")
    score = probe.predict(features[300:])
    np.testing.assert_allclose(score.sum(1), 1)
    assert (score.argmax(1) == code[300:]).mean() > 0.95


def test_constant_labels_and_features_and_missing_targets():
    features, target = features_and_labels(200, 10, 3)
    features[:, 4] = 7.0  # constant in training
    target[:100, 0] = 0  # never positive in training
    target[:100, 1] = 1
    target[::2, 2] = np.nan
    probe = fit_linear_probe(features[:100], target[:100], features[100:], target[100:], kind="multilabel")
    score = probe.predict(features[100:])
    assert np.isfinite(score).all()
    np.testing.assert_allclose(score[:, 0], 0.5 / 101)
    np.testing.assert_allclose(score[:, 1], 100.5 / 101)
    known = ~np.isnan(target[:100, 2])
    alone = fit_linear_probe(
        features[:100][known],
        target[:100][known][:, 2:],
        features[100:],
        target[100:, 2:],
        kind="binary",
        strengths=(0.1,),
    )
    together = fit_linear_probe(
        features[:100], target[:100], features[100:], target[100:], kind="multilabel", strengths=(0.1,)
    )
    np.testing.assert_allclose(together.predict(features)[:, 2], alone.predict(features)[:, 0], atol=0.1)


def test_bad_parts_are_refused():
    good, target = features_and_labels(20, 3, 1)
    with pytest.raises(ValueError, match="kind is 'ordinal'"):
        fit_linear_probe(good, target, good, target, kind="ordinal")
    with pytest.raises(ValueError, match="No val record"):
        fit_linear_probe(good, target, good[:0], target[:0], kind="binary")
    with pytest.raises(ValueError, match="not finite"):
        fit_linear_probe(good * np.nan, target, good, target, kind="binary")
    with pytest.raises(ValueError, match="equal numbers"):
        fit_linear_probe(good, target, good[:, :2], target, kind="binary")
    with pytest.raises(ValueError, match="records, labels"):
        fit_linear_probe(good, target[:, 0], good, target, kind="binary")


def test_label_budgets_are_nested_and_by_subject():
    subject = np.repeat(np.arange(100), 3)
    tenth, half = draw_subjects(subject, 0.1, seed=4), draw_subjects(subject, 0.5, seed=4)
    assert tenth.sum() == 30
    assert (half | ~tenth).all()
    assert all(len(set(half[subject == s])) == 1 for s in range(100))
    assert draw_subjects(subject, 1.0).all()
    assert draw_subjects(subject, 0.0001).sum() == 3
    assert (draw_subjects(subject, 0.1, seed=5) != tenth).any()
    with pytest.raises(ValueError, match="share is 0"):
        draw_subjects(subject, 0)


def test_the_search_ends_early_at_the_strength_that_the_whole_search_would_choose(monkeypatch):
    import openclef.protocol.probe as module

    for seed in range(6):
        features, target = features_and_labels(300, 60, 3, seed=seed)
        parts = features[:150], target[:150], features[150:], target[150:]
        short = fit_linear_probe(*parts, kind="multilabel")
        with monkeypatch.context() as patch:
            patch.setattr(module, "WORSE", len(STRENGTHS))
            whole = fit_linear_probe(*parts, kind="multilabel")
        assert len(whole.settings["val_loss_by_strength"]) == len(STRENGTHS)
        assert short.settings["strength"] == whole.settings["strength"]
        assert np.array_equal(short.weight, whole.weight)
