"""From predictions to results: metrics with intervals, computed from the table of predictions alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from openclef.metrics import apply_temperature, fit_temperature
from openclef.statistics import Estimate, bootstrap, measurable_labels

MIN_POSITIVES = 10
"""A label with fewer positives or negatives among the judged records is reported apart, outside the mean; of fewer
records no error of a regression is reported."""

COLUMNS = ("model", "task", "protocol", "lead", "metric", "value", "low", "high", "n", "seeds")
_OF_NUMBERS = ("mae", "rmse", "r2", "r")
_GROUP = ["model", "task", "protocol", "lead", "label_share"]
_AFTER = ("label_share", "condition", "part", "note")
_AGE_BANDS = (0, 40, 60, 75, 150)


@dataclass(frozen=True)
class Stack:
    """Predictions of one model as arrays.

    Args:
        keys: Index of (store, record_id), sorted.
        subject: (records,) subject ids.
        labels: Label names.
        target: (records, labels).
        score: (seeds, records, labels).
        kind: Kind of the task.

    Example:
        >>> one = np.ones((1, 1))
        >>> Stack(pd.Index(["a"]), np.array(["s"]), ["NORM"], one, np.stack([one] * 5), "binary").seeds
        5
    """

    keys: pd.Index
    subject: NDArray[Any]
    labels: list[str]
    target: NDArray[np.floating]
    score: NDArray[np.floating]
    kind: str

    @property
    def seeds(self) -> int:
        """Number of seeds.

        Example:
            >>> Stack(pd.Index([]), np.array([]), [], np.ones((0, 0)), np.ones((2, 0, 0)), "binary").seeds
            2
        """
        return int(self.score.shape[0])


def stack(predictions: pd.DataFrame) -> Stack:
    """Arrange the long table of one model, task and split as arrays.

    Args:
        predictions: Rows of one model as `evaluate` gives them.

    Returns:
        A `Stack`; targets and scores of labels in which a record takes no part are NaN.

    Raises:
        ValueError: If a seed lacks records that another has.

    Example:
        >>> rows = [{"seed": s, "store": "a", "record_id": r, "subject_id": r, "label": "AF", "target": 1.0,
        ...          "score": 0.5, "kind": "binary"} for s in (0, 1) for r in ("x", "y")]
        >>> stack(pd.DataFrame(rows)).score.shape
        (2, 2, 1)
    """
    record, keys = pd.MultiIndex.from_frame(predictions[["store", "record_id"]].astype(str)).factorize(
        sort=True
    )
    label, labels = pd.factorize(predictions["label"].astype(str))
    seed, seeds = pd.factorize(predictions["seed"], sort=True)
    score = np.full((len(seeds), len(keys), len(labels)), np.nan)
    target = np.full(score.shape, np.nan)
    score[seed, record, label] = predictions["score"].to_numpy(float)
    target[seed, record, label] = predictions["target"].to_numpy(float)
    if len(seeds) > 1 and not np.array_equal(
        target, np.broadcast_to(target[:1], target.shape), equal_nan=True
    ):
        raise ValueError("The seeds of a model have different records or targets; evaluate them together.")
    subject = np.empty(len(keys), dtype=object)
    subject[record] = predictions["subject_id"].astype(str).to_numpy(object)
    kind = str(predictions["kind"].iloc[0])
    return Stack(pd.Index(keys), subject.astype(str), [str(one) for one in labels], target[0], score, kind)


def metrics_of(
    predictions: pd.DataFrame,
    *,
    split: str = "test",
    by: str | Sequence[str] | None = None,
    draws: int = 1000,
    seed: int = 0,
    min_positives: int = MIN_POSITIVES,
) -> pd.DataFrame:
    """Metrics with 95 % intervals of every model in a table of predictions.

    Classification: macro AUROC, AUPRC with the prevalence, Brier score and expected calibration error over
    the measurable labels, and of all records AUROC, AUPRC and prevalence of each label ("auroc:<label>", with n = its
    positives). Brier score and calibration error are taken after temperature scaling on the validation
    records, and left out where none are at hand. Regression: MAE, RMSE, R2 and r. With several seeds the
    value is the mean of the seeds' metrics.

    Args:
        predictions: As `evaluate` gives them, or read from predictions.parquet.
        split: Judged split, "test" or "val".
        by: Give metrics by part as well: columns of the table ("store", "sex") or "age_band".
        draws: Bootstrap draws over subjects and seeds.
        seed: Seed of the draws.
        min_positives: Fewest positives and negatives of a label that enters the mean, and fewest records of a
            regression, whose metrics are else NaN, with a note.

    Returns:
        A table with the columns model, task, protocol, lead, metric, value, low, high, n, seeds, and after them
        label_share, condition ("" = as recorded), part ("" = all records, else for example "sex=female") and note.

    Raises:
        ValueError: If no record is of the split, or `by` names no column.

    Example:
        >>> about = {"model": "m", "seed": 0, "task": "t", "protocol": "probe", "lead": "I", "store": "a",
        ...          "label_share": 1.0, "condition": "", "split": "test", "label": "sbp", "kind": "regression"}
        >>> rows = [about | {"record_id": str(r), "subject_id": str(r), "target": float(r), "score": r + 2.0}
        ...         for r in range(12)]
        >>> table = metrics_of(pd.DataFrame(rows), draws=10)
        >>> table.loc[table.metric == "mae", ["value", "n", "seeds"]].to_dict("records")
        [{'value': 2.0, 'n': 12, 'seeds': 1}]
    """
    judged = predictions[predictions["split"] == split]
    if not len(judged):
        raise ValueError(f"No prediction is of the split {split!r}; the table has {_splits(predictions)}.")
    by = [] if by is None else [by] if isinstance(by, str) else list(by)
    parts = {column: _parts(judged, column) for column in by}
    rows: list[dict[str, Any]] = []
    for names, group in judged.groupby(_GROUP, sort=False, observed=True):
        about = dict(zip(_GROUP, names))
        mask = np.logical_and.reduce([predictions[key] == value for key, value in about.items()])
        val = predictions[mask & (predictions["split"] == "val").to_numpy()] if split != "val" else judged[:0]
        temperatures = _temperatures(val)
        for condition, changed in group.groupby("condition", sort=False):
            subsets = [("", changed)]
            for column, part in parts.items() if condition == "" else ():
                found = part[changed.index]
                subsets += [(f"{column}={name}", changed[found == name]) for name in sorted(set(found))]
            for name, subset in subsets:
                by_label = condition == "" and name == ""
                told = _metrics(stack(subset), temperatures, draws, seed, min_positives, by_label)
                rows += [about | {"condition": condition, "part": name} | row for row in told]
    return pd.DataFrame(rows)[[*COLUMNS, *_AFTER]]


def _splits(predictions: pd.DataFrame) -> str:
    return ", ".join(sorted(set(predictions["split"].astype(str)))) or "no rows"


def _parts(judged: pd.DataFrame, by: str) -> pd.Series:
    if by == "age_band" and "age_years" in judged:
        names = [f"{low}-{high - 1}" for low, high in pairwise(_AGE_BANDS)]
        bands = pd.cut(judged["age_years"], _AGE_BANDS, right=False, labels=names)
        return bands.astype(object).where(bands.notna(), "unknown")
    if by not in judged:
        raise ValueError(
            f"by is {by!r}; pass age_band or a column of the predictions: {', '.join(judged.columns)}."
        )
    return judged[by].astype(str).replace("", "unknown")


def _temperatures(val: pd.DataFrame) -> list[float] | None:
    """A temperature for each seed, fitted on validation predictions."""
    if not len(val) or val["kind"].iloc[0] == "regression":
        return None
    stacked = stack(val)
    multiclass = stacked.kind == "multiclass"
    return [fit_temperature(stacked.target, score, multiclass=multiclass) for score in stacked.score]


def _metrics(
    stacked: Stack, temperatures: list[float] | None, draws: int, seed: int, least: int, by_label: bool
) -> list[dict[str, Any]]:
    n, target = len(stacked.keys), stacked.target

    def row(metric: str, estimate: Any, count: int = n, note: str = "") -> dict[str, Any]:
        return {
            "metric": metric,
            "value": estimate.value,
            "low": estimate.low,
            "high": estimate.high,
            "n": count,
            "seeds": stacked.seeds,
            "note": note,
        }

    settings: dict[str, Any] = {"draws": draws, "seed": seed, "least": least}
    if stacked.kind == "regression":
        if n < least:
            nothing = Estimate(np.nan, np.nan, np.nan)
            return [row(metric, nothing, note=f"not measurable: {n} records") for metric in _OF_NUMBERS]
        return [
            row(metric, bootstrap(metric, target, stacked.score, stacked.subject, **settings).macro())
            for metric in _OF_NUMBERS
        ]
    kept = measurable_labels(target, least)
    positives = (target == 1).sum(0)
    negatives = (target == 0).sum(0)
    left_out = [f"{stacked.labels[i]} ({positives[i]})" for i in np.flatnonzero(~kept)]
    note = f"mean over {kept.sum()} of {kept.size} labels" if kept.size > 1 else ""
    if left_out:
        note += f"{'; ' if note else ''}not measurable, with positives: {', '.join(left_out)}"
    scores = stacked.score
    if temperatures is not None:
        multiclass = stacked.kind == "multiclass"
        pairs = zip(scores, temperatures)
        scaled = np.stack([apply_temperature(score, t, multiclass=multiclass) for score, t in pairs])
    labels = np.ones(kept.size, bool) if by_label else kept  # those whose metrics are wanted
    target, scores = target[:, labels], scores[:, :, labels]
    ordered = {
        metric: bootstrap(metric, target, scores, stacked.subject, **settings)
        for metric in ("auroc", "auprc")
    }
    # The mean of a 0/1 target is the mean absolute error of predicting 0.
    ordered["prevalence"] = bootstrap(
        "mae", target, np.zeros_like(target), stacked.subject, draws=draws, seed=seed
    )
    rows = [row(metric, found.macro(kept[labels]), note=note) for metric, found in ordered.items()]
    if temperatures is not None:
        target, scaled = target[:, kept[labels]], scaled[:, :, kept]
        for metric in ("brier", "ece"):
            found = bootstrap(metric, target, scaled, stacked.subject, **settings)
            rows.append(row(metric, found.macro(), note=note))
    if len(stacked.labels) > 1 and by_label:
        for i, label in enumerate(stacked.labels):
            short = "" if kept[i] else f"not measurable: {positives[i]} positives, {negatives[i]} negatives"
            rows += [
                row(f"{metric}:{label}", found.label(i), int(positives[i]), short)
                for metric, found in ordered.items()
            ]
    return rows
