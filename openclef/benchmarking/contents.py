"""What the cells hold: metrics, labels, and calibration curves, as rows of the tables."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from openclef.benchmarking.cell import Grid, JudgedCell
from openclef.benchmarking.kept import Kept
from openclef.metrics import apply_temperature, fit_temperature
from openclef.protocol.scoring import Stack, stack
from openclef.statistics import measurable_labels

__all__ = ["label_rows", "metric_rows", "reliability_rows"]

BINS = 10


def metric_rows(judged: Sequence[JudgedCell], grid: Grid) -> pd.DataFrame | list[dict[str, Any]]:
    """Metrics of all cells, with split and unit.

    Args:
        judged: The cells.
        grid: What is the same for all.

    Returns:
        Rows of `benchmark.csv`.

    Example:
        >>> metric_rows([], Grid())
        []
    """
    tables = []
    for each in judged:
        in_units = each.metrics["metric"].isin(("mae", "rmse"))
        unit = np.where(in_units, each.cell.task.unit, "")
        tables.append(each.metrics.assign(split=grid.split, unit=unit))
    return pd.concat(tables, ignore_index=True) if tables else []


def label_rows(judged: Sequence[JudgedCell], grid: Grid, kept: Kept) -> list[dict[str, Any]]:
    """Each label of each classification cell: how many, and how well it is told apart.

    Args:
        judged: The cells.
        grid: What is the same for all.
        kept: Where counts are kept.

    Returns:
        Rows of `labels.csv`.

    Example:
        >>> label_rows([], Grid(), Kept("nowhere"))
        []
    """
    rows = []
    for each in judged:
        if each.cell.task.kind == "regression":
            continue
        counts = _of_predictions(each, grid, kept)["counts"]
        recorded = each.metrics[(each.metrics["condition"] == "") & (each.metrics["part"] == "")]
        for model, table in recorded.groupby("model", sort=False):
            by_metric = table.set_index("metric")
            for label in (one for one in each.cell.task.labels if one in counts):
                row: dict[str, Any] = {"model": model, **each.cell.about, "label": label, **counts[label]}
                for metric in ("auroc", "auprc"):
                    name = f"{metric}:{label}" if len(counts) > 1 else metric
                    found: Any = by_metric.loc[name] if name in by_metric.index else None
                    for end, column in (("", "value"), ("_low", "low"), ("_high", "high")):
                        row[metric + end] = np.nan if found is None else float(found[column])
                rows.append(row)
    return rows


def reliability_rows(judged: Sequence[JudgedCell], grid: Grid, kept: Kept) -> list[dict[str, Any]]:
    """Calibration curves: predicted probability against frequency, after temperature scaling on validation.

    Args:
        judged: The cells.
        grid: What is the same for all.
        kept: Where curves are kept.

    Returns:
        Rows of `reliability.csv`; none for regression, nor for the split "val", which fits the temperature.

    Example:
        >>> reliability_rows([], Grid(), Kept("nowhere"))
        []
    """
    rows = []
    for each in judged:
        if each.cell.task.kind == "regression" or grid.split == "val":
            continue
        for model, curve in _of_predictions(each, grid, kept)["curves"].items():
            rows += [{"model": model, **each.cell.about} | point for point in curve]
    return rows


def _of_predictions(judged: JudgedCell, grid: Grid, kept: Kept) -> dict[str, Any]:
    """Counts of labels and calibration curves, the predictions read once for both."""
    about = {"what": "labels", "of": judged.sha256, "least": grid.min_positives, "split": grid.split}

    def compute() -> dict[str, Any]:
        table = judged.predictions(grid.split)
        stacks = {str(model): stack(rows) for model, rows in table.groupby("model", sort=False)}
        curves = {}
        if grid.split != "val":
            of_val = judged.predictions("val")
            for model, stacked in stacks.items():
                val = stack(of_val[of_val["model"] == model])
                curves[model] = _curve(stacked, val, grid.min_positives)
        return {"counts": _counts(next(iter(stacks.values())), grid.min_positives), "curves": curves}

    return kept.get(about, compute)


def _counts(stacked: Stack, least: int) -> dict[str, dict[str, Any]]:
    target, measurable = stacked.target, measurable_labels(stacked.target, least)
    found = {}
    for i, label in enumerate(stacked.labels):
        n, positives = int((~np.isnan(target[:, i])).sum()), int((target[:, i] == 1).sum())
        found[label] = {
            "n": n,
            "positives": positives,
            "prevalence": positives / n,
            "measurable": bool(measurable[i]),
        }
    return found


def _curve(stacked: Stack, val: Stack, least: int) -> list[dict[str, float | int]]:
    """Bins of equal width, pooled over measurable labels and seeds; empty ones are left out."""
    multiclass = stacked.kind == "multiclass"
    kept = measurable_labels(stacked.target, least)
    target, probability = [], []
    for score, of_val in zip(stacked.score, val.score):
        temperature = fit_temperature(val.target, of_val, multiclass=multiclass)
        scaled = apply_temperature(score, temperature, multiclass=multiclass)[:, kept]
        known = ~np.isnan(stacked.target[:, kept])
        target.append(stacked.target[:, kept][known])
        probability.append(scaled[known])
    return _bins(np.concatenate(target), np.concatenate(probability))


def _bins(target: NDArray[np.floating], probability: NDArray[np.floating]) -> list[dict[str, float | int]]:
    place = np.clip((probability * BINS).astype(int), 0, BINS - 1)
    return [
        {
            "bin_low": number / BINS,
            "bin_high": (number + 1) / BINS,
            "mean_predicted": float(probability[place == number].mean()),
            "observed": float(target[place == number].mean()),
            "n": int((place == number).sum()),
        }
        for number in range(BINS)
        if (place == number).any()
    ]
