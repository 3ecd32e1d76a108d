"""The linear probe: logistic regression or ridge on frozen features, its strength chosen on validation.

Features are standardised by the training records and rotated to their principal axes once. There the ridge
has a closed form for every strength, and the logistic loss is well conditioned after scaling each axis by its
curvature: a few dozen L-BFGS steps for all labels together reach the optimum.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from numbers import Real
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

Array = NDArray[np.floating]
KINDS = ("multilabel", "multiclass", "binary", "regression")
STRENGTHS = tuple(float(strength) for strength in 10.0 ** np.arange(-4.0, 2.01, 0.5))
"""L2 penalties a training record, from weak to strong; scikit-learn's C is 1 / (records * strength)."""
WORSE = 3
"""So many strengths in a row without a lower validation log-loss end the search."""


@dataclass(frozen=True)
class LinearProbe:
    """A fitted linear probe.

    Args:
        mean: (dim,) of the training features.
        spread: (dim,) standard deviation of them; 1 where they are constant.
        weight: (dim, labels) on standardised features.
        bias: (labels,).
        kind: "multilabel", "multiclass", "binary" or "regression".
        settings: What validation chose.

    Example:
        >>> probe = LinearProbe(np.zeros(1), np.ones(1), np.ones((1, 1)), np.zeros(1), "binary")
        >>> probe.predict([[0.0]]).tolist()
        [[0.5]]
    """

    mean: Array
    spread: Array
    weight: Array
    bias: Array
    kind: str
    settings: dict[str, Any] = field(default_factory=dict)

    def predict(self, features: ArrayLike) -> Array:
        """Scores of records: probabilities, or values in the target's unit.

        Args:
            features: (records, dim).

        Returns:
            (records, labels); for "multiclass" each row sums to 1.

        Example:
            >>> probe = LinearProbe(np.zeros(1), np.ones(1), np.ones((1, 1)), np.ones(1), "regression")
            >>> probe.predict([[2.0]]).tolist()
            [[3.0]]
        """
        standard = (np.asarray(features, dtype=float) - self.mean) / self.spread
        return _scores(standard @ self.weight + self.bias, self.kind)


def fit_linear_probe(
    train: ArrayLike,
    train_target: ArrayLike,
    val: ArrayLike,
    val_target: ArrayLike,
    *,
    kind: str,
    strengths: tuple[float, ...] = STRENGTHS,
) -> LinearProbe:
    """Fit a linear probe on training records, its strength chosen by validation log-loss or absolute error.

    Classification: one logistic regression a label against the rest with an L2 penalty and a free intercept,
    one strength for all labels of a task; "multiclass" probabilities are normalised to a sum of 1.
    Regression: ridge. The probe is fitted on the training records alone; validation records choose, and never
    enter the fit. A label that is constant among the training records is predicted at its (smoothed)
    prevalence. Strengths are tried from strong to weak, for classes until `WORSE` in a row do not lower the best
    loss: the weakest ones are the slowest to fit by far.

    Args:
        train: (records, dim) features.
        train_target: (records, labels), 0/1 or real; NaN = takes no part in the label.
        val: (records, dim) features of the validation records.
        val_target: (records, labels).
        kind: "multilabel", "multiclass" (one column a class), "binary" or "regression".
        strengths: L2 penalties a record to choose from.

    Returns:
        A `LinearProbe`; its settings hold the strength and the validation loss of each strength that was tried.

    Raises:
        ValueError: If shapes disagree, features are not finite, or a part has no record.

    Source:
        Protocol of arXiv 2602.17531: tuned logistic probes chosen by validation log-loss.

    Example:
        >>> generator = np.random.default_rng(0)
        >>> target = np.tile([0.0, 1.0], 50)[:, None]
        >>> features = generator.normal(size=(100, 3)) + 2 * target
        >>> probe = fit_linear_probe(features[:60], target[:60], features[60:], target[60:], kind="binary")
        >>> bool(((probe.predict(features) > 0.5) == target).mean() > 0.9)
        True
    """
    features, target, val_features, outcome = check_parts(train, train_target, val, val_target, kind)
    mean, spread = features.mean(0), features.std(0)
    spread = np.where(spread > 1e-9 * (1.0 + np.abs(mean)), spread, 1.0)
    standard, val_standard = (features - mean) / spread, (val_features - mean) / spread
    axes, rotated = _principal_axes(standard)
    val_rotated = val_standard @ axes
    solve = _ridge_path if kind == "regression" else _logistic_path
    ordered = sorted(strengths, reverse=True)
    path: list[tuple[Array, Array]] = []
    losses: list[float] = []
    for weight, bias in solve(rotated, target, ordered):
        path.append((weight, bias))
        losses.append(validation_loss(outcome, _scores(val_rotated @ weight + bias, kind), kind))
        if kind != "regression" and len(losses) - 1 - int(np.argmin(losses)) >= WORSE:
            break
    best = int(np.argmin(losses))
    weight, bias = path[best]
    settings = {
        "strength": ordered[best],
        "val_loss": losses[best],
        "val_loss_by_strength": dict(zip(ordered, losses)),
        "train_records": int(features.shape[0]),
    }
    return LinearProbe(mean, spread, axes @ weight, bias, kind, settings)


def check_parts(
    train: ArrayLike, train_target: ArrayLike, val: ArrayLike, val_target: ArrayLike, kind: str
) -> tuple[Array, Array, Array, Array]:
    """Training and validation parts as float arrays with shapes that agree.

    Args:
        train: (records, dim).
        train_target: (records, labels).
        val: (records, dim).
        val_target: (records, labels).
        kind: One of `KINDS`.

    Returns:
        The four arrays.

    Raises:
        ValueError: If the kind is unknown, shapes disagree, features are not finite, or a part is empty.

    Example:
        >>> [part.shape for part in check_parts([[1.0]], [[0.0]], [[2.0]], [[1.0]], "binary")]
        [(1, 1), (1, 1), (1, 1), (1, 1)]
    """
    if kind not in KINDS:
        raise ValueError(f"kind is {kind!r}; pass one of {', '.join(KINDS)}.")
    parts = [np.asarray(part, dtype=float) for part in (train, train_target, val, val_target)]
    for name, features, target in (("train", parts[0], parts[1]), ("val", parts[2], parts[3])):
        if features.ndim != 2 or target.ndim != 2 or features.shape[0] != target.shape[0]:
            raise ValueError(
                f"{name} has features {features.shape} and target {target.shape}; pass (records, dim) and "
                "(records, labels)."
            )
        if not features.shape[0] or np.isnan(target).all():
            raise ValueError(
                f"No {name} record has a target; the protocol needs records in train and in val."
            )
        if not np.isfinite(features).all():
            raise ValueError(f"{name} features hold values that are not finite; embed valid signals only.")
    if parts[0].shape[1] != parts[2].shape[1] or parts[1].shape[1] != parts[3].shape[1]:
        raise ValueError(
            f"train has features {parts[0].shape} and target {parts[1].shape}, val {parts[2].shape} and "
            f"{parts[3].shape}; pass equal numbers of features and of labels."
        )
    return parts[0], parts[1], parts[2], parts[3]


def _scores(logit: Array, kind: str) -> Array:
    if kind == "regression":
        return logit
    probability = 1.0 / (1.0 + np.exp(-np.clip(logit, -60.0, 60.0)))
    return probability / probability.sum(1, keepdims=True) if kind == "multiclass" else probability


def validation_loss(target: Array, score: Array, kind: str) -> float:
    """Log-loss, averaged over labels, or mean absolute error: what chooses on validation records.

    Args:
        target: (records, labels) 0/1 or values, NaN = takes no part.
        score: (records, labels) probabilities or values.
        kind: One of `KINDS`.

    Example:
        >>> round(validation_loss(np.array([[1.0], [np.nan]]), np.array([[0.5], [0.1]]), "binary"), 4)
        0.6931
    """
    if kind == "regression":
        return float(np.nanmean(np.abs(target - score)))
    score = np.clip(score, 1e-12, 1 - 1e-12)
    if kind == "multiclass":
        return float(-np.log(score[target == 1]).mean())
    known = ~np.isnan(target).all(0)
    terms = -(target * np.log(score) + (1 - target) * np.log1p(-score))[:, known]
    return float(np.nanmean(terms, axis=0).mean())


def _principal_axes(standard: Array) -> tuple[Array, Array]:
    """Directions (dim, rank) of the training features and the features along them (records, rank)."""
    wide = standard.shape[1] > standard.shape[0]
    squares = standard @ standard.T if wide else standard.T @ standard
    power, vectors = np.linalg.eigh(squares)
    kept = power > power[-1] * 1e-12
    if wide:
        axes = standard.T @ (vectors[:, kept] / np.sqrt(power[kept]))
    else:
        axes = vectors[:, kept]
    return axes, standard @ axes


def _ridge_path(rotated: Array, target: Array, strengths: list[float]) -> Iterator[tuple[Array, Array]]:
    """Ridge weights (rank, labels) and intercepts for each strength; the target's spread is taken out."""
    known = ~np.isnan(target[:, 0])
    part, values = rotated[known], target[known]
    mean, spread = values.mean(0), values.std(0)
    spread = np.where(spread > 0, spread, 1.0)
    centre = part.mean(0)
    squares = (part - centre).T @ (part - centre) / len(part)
    power, vectors = np.linalg.eigh(squares)
    projected = vectors.T @ ((part - centre).T @ ((values - mean) / spread)) / len(part)
    for strength in strengths:
        weight = vectors @ (projected / (np.maximum(power, 0.0)[:, None] + strength)) * spread
        yield weight, mean - centre @ weight


def _logistic_path(rotated: Array, target: Array, strengths: list[float]) -> Iterator[tuple[Array, Array]]:
    """Logistic weights (rank, labels) and intercepts for each strength, each started from the one before."""
    from scipy.optimize import minimize

    records, rank = rotated.shape
    known = ~np.isnan(target)
    share = known / np.maximum(known.sum(0), 1)  # each label's mean over its own records
    outcome = np.where(known, target, 0.0)
    positives, taken = (outcome * known).sum(0), known.sum(0)
    prevalence = (positives + 0.5) / (taken + 1.0)
    bias = np.log(prevalence) - np.log1p(-prevalence)
    varies = np.flatnonzero((positives > 0) & (positives < taken))
    weight = np.zeros((rank, target.shape[1]))
    if not varies.size:
        yield weight, bias
        return
    share, outcome = share[:, varies], outcome[:, varies]
    curvature = (prevalence * (1 - prevalence))[varies]
    power = (rotated**2).mean(0)
    with_one = np.concatenate([rotated, np.ones((records, 1))], axis=1)
    start = np.concatenate([weight[:, varies], bias[None, varies]])
    for strength in strengths:
        penalty = np.append(np.full(rank, strength), 0.0)[:, None]
        scale = 1.0 / np.sqrt(np.append(power, 1.0)[:, None] * curvature + penalty)

        def objective(flat: Array, penalty: Array = penalty, scale: Array = scale) -> tuple[float, Array]:
            parameter = flat.reshape(scale.shape) * scale
            logit = with_one @ parameter
            decay = np.exp(-np.abs(logit))
            loss = (share * (np.log1p(decay) + np.maximum(logit, 0.0) - outcome * logit)).sum()
            probability = np.where(logit >= 0, 1.0, decay) / (1.0 + decay)
            gradient = with_one.T @ (share * (probability - outcome)) + penalty * parameter
            return float(loss + 0.5 * (penalty * parameter**2).sum()), (gradient * scale).ravel()

        found = minimize(
            objective,
            (start / scale).ravel(),
            jac=True,
            method="L-BFGS-B",
            options={"maxiter": 500, "maxcor": 20, "ftol": 1e-10, "gtol": 1e-5},
        )
        start = found.x.reshape(scale.shape) * scale
        full_weight, full_bias = weight.copy(), bias.copy()
        full_weight[:, varies], full_bias[varies] = start[:-1], start[-1]
        yield full_weight, full_bias


def check_share(label_share: float) -> None:
    """Refuse a share of the training subjects that is none.

    Raises:
        ValueError: If it is no number above 0 and at most 1.

    Example:
        >>> check_share(1.5)
        Traceback (most recent call last):
        ...
        ValueError: label_share is 1.5; accepted is a share above 0 and at most 1: pass for example label_share=0.1.
    """
    if not isinstance(label_share, Real) or isinstance(label_share, bool) or not 0 < label_share <= 1:
        raise ValueError(
            f"label_share is {label_share!r}; accepted is a share above 0 and at most 1: pass for example "
            "label_share=0.1."
        )


def draw_subjects(subject: ArrayLike, share: float, *, seed: int = 0) -> NDArray[np.bool_]:
    """Mark the records of a random share of the subjects, for probes with few labels.

    Smaller shares are parts of larger ones with the same seed.

    Args:
        subject: (records,) subject ids of the training records.
        share: Share of the subjects, above 0 and at most 1; at least one subject is taken.
        seed: Seed of the draw.

    Returns:
        (records,) bool.

    Raises:
        ValueError: If the share is outside 0..1.

    Example:
        >>> int(draw_subjects(np.arange(200), 0.1).sum())
        20
    """
    check_share(share)
    names, code = np.unique(np.asarray(subject), return_inverse=True)
    order = np.random.default_rng([seed, 3]).permutation(names.size)
    chosen = np.zeros(names.size, bool)
    chosen[order[: max(1, round(share * names.size))]] = True
    return chosen[code]
