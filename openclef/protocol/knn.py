"""k nearest neighbours on frozen features by cosine similarity, k chosen on validation."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from openclef.metrics import auroc
from openclef.protocol.probe import check_parts
from openclef.statistics import measurable_labels

Array = NDArray[np.floating]
NEIGHBOURS = (1, 3, 5, 10, 20, 50, 100, 200)


@dataclass(frozen=True)
class Knn:
    """Nearest neighbours of training records.

    Args:
        mean: (dim,) of the training features.
        spread: (dim,) standard deviation of them.
        train: (records, dim) standardised training features of unit length.
        target: (records, labels).
        k: Neighbours.
        kind: "multilabel", "multiclass", "binary" or "regression".
        settings: What validation chose.

    Example:
        >>> knn = Knn(np.zeros(2), np.ones(2), np.eye(2), np.array([[0.0], [1.0]]), 1, "regression")
        >>> knn.predict([[0.1, 3.0]]).tolist()
        [[1.0]]
    """

    mean: Array
    spread: Array
    train: Array
    target: Array
    k: int
    kind: str
    settings: dict[str, Any] = field(default_factory=dict)

    def predict(self, features: ArrayLike) -> Array:
        """Mean target of the k nearest training records; for classes the prevalence votes as one more.

        Args:
            features: (records, dim).

        Returns:
            (records, labels).

        Example:
            >>> Knn(np.zeros(2), np.ones(2), np.eye(2), np.eye(2), 2, "regression").predict([[1.0, 0.0]])
            array([[0.5, 0.5]])
        """
        order = _nearest(_unit(features, self.mean, self.spread), self.train, self.k)
        return _vote(order, self.target, self.k, self.kind)


def fit_knn(
    train: ArrayLike,
    train_target: ArrayLike,
    val: ArrayLike,
    val_target: ArrayLike,
    *,
    kind: str,
    neighbours: tuple[int, ...] = NEIGHBOURS,
) -> Knn:
    """Nearest neighbours by cosine, their number chosen by validation macro AUROC or absolute error.

    Args:
        train: (records, dim) features, standardised here by the training records.
        train_target: (records, labels), 0/1 or real; NaN = takes no part in the label.
        val: (records, dim) features of the validation records.
        val_target: (records, labels).
        kind: "multilabel", "multiclass", "binary" or "regression".
        neighbours: Numbers of neighbours to choose from.

    Returns:
        A `Knn`; its settings hold k and the validation loss of each k.

    Raises:
        ValueError: If shapes disagree, features are not finite, or a part has no record.

    Example:
        >>> target = np.tile([0.0, 1.0], 20)[:, None]
        >>> features = np.concatenate([target, 1 - target], axis=1)
        >>> fit_knn(features, target, features, target, kind="regression").predict(features)[:2].tolist()
        [[0.0], [1.0]]
    """
    features, target, val_features, outcome = check_parts(train, train_target, val, val_target, kind)
    mean, spread = features.mean(0), features.std(0)
    spread = np.where(spread > 1e-9 * (1.0 + np.abs(mean)), spread, 1.0)
    unit = _unit(features, mean, spread)
    choices = sorted({min(k, len(unit)) for k in neighbours})
    order = _nearest(_unit(val_features, mean, spread), unit, choices[-1])
    losses = []
    for k in choices:
        score = _vote(order, target, k, kind)
        if kind == "regression":
            losses.append(float(np.nanmean(np.abs(score - outcome))))
        else:
            labels = np.flatnonzero(measurable_labels(outcome))
            areas = [float(auroc(outcome[:, label], score[:, label])) for label in labels]
            losses.append(1.0 - float(np.mean(areas)) if areas else 0.0)
    best = int(np.argmin(losses))
    settings = {"k": choices[best], "val_loss": losses[best], "val_loss_by_k": dict(zip(choices, losses))}
    return Knn(mean, spread, unit, target, choices[best], kind, settings)


def _unit(features: ArrayLike, mean: Array, spread: Array) -> Array:
    standard = (np.asarray(features, dtype=float) - mean) / spread
    return standard / np.maximum(np.linalg.norm(standard, axis=1, keepdims=True), 1e-12)


def _nearest(queries: Array, train: Array, k: int) -> NDArray[np.integer]:
    """(queries, k) training rows from the nearest on."""
    order = np.empty((len(queries), k), dtype=np.int64)
    step = max(1, 20_000_000 // len(train))
    for start in range(0, len(queries), step):
        distance = -(queries[start : start + step] @ train.T)
        order[start : start + step] = np.argsort(distance, axis=1, kind="stable")[:, :k]
    return order


def _vote(order: NDArray[np.integer], target: Array, k: int, kind: str) -> Array:
    votes = target[order[:, :k]]
    known = ~np.isnan(votes)
    total, count = np.where(known, votes, 0.0).sum(1), known.sum(1)
    prior = np.nanmean(np.where(np.isnan(target).all(0), 0.0, target), axis=0)
    if kind == "regression":
        return np.where(count > 0, total / np.maximum(count, 1), prior)
    return (total + prior) / (count + 1)
