from __future__ import annotations

import numpy as np
import pytest
from sklearn.neighbors import KNeighborsRegressor
from sklearn.preprocessing import StandardScaler

from openclef.metrics import auroc
from openclef.protocol.knn import fit_knn


@pytest.mark.parametrize("k", [1, 7])
def test_knn_is_scikit_learns_cosine(k):
    generator = np.random.default_rng(0)
    features, target = generator.normal(size=(300, 6)) + 2, generator.normal(size=(300, 1))
    knn = fit_knn(
        features[:200], target[:200], features[200:], target[200:], kind="regression", neighbours=(k,)
    )
    scaler = StandardScaler().fit(features[:200])
    model = KNeighborsRegressor(k, metric="cosine").fit(scaler.transform(features[:200]), target[:200])
    np.testing.assert_allclose(knn.predict(features[200:]), model.predict(scaler.transform(features[200:])))


def test_k_is_chosen_on_validation_and_finds_the_planted_class():
    generator = np.random.default_rng(0)
    target = (generator.random((900, 2)) < 0.3).astype(float)
    target[0, 1] = np.nan
    features = np.concatenate([generator.normal(size=(900, 4)), np.nan_to_num(target)], axis=1)
    features[:, 4:] += 0.5 * generator.normal(size=(900, 2))
    knn = fit_knn(features[:500], target[:500], features[500:700], target[500:700], kind="multilabel")
    losses = knn.settings["val_loss_by_k"]
    assert knn.k == knn.settings["k"] == min(losses, key=losses.get)
    assert knn.k > 1
    score = knn.predict(features[700:])
    assert ((score > 0) & (score < 1)).all()
    assert auroc(target[700:, 0], score[:, 0]) > 0.8


def test_multiclass_votes_sum_to_one_and_k_stays_below_the_records():
    generator = np.random.default_rng(0)
    target = np.eye(3)[np.arange(30) % 3]
    features = generator.normal(size=(30, 4))
    knn = fit_knn(features, target, features, target, kind="multiclass", neighbours=(500,))
    assert knn.k == 30
    np.testing.assert_allclose(knn.predict(features).sum(1), 1)
