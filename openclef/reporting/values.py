"""Results as people read them: titles of metrics, values with intervals, the order of models."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import pandas as pd

from openclef.metrics import LOWER_IS_BETTER

BASELINES = ("age_sex", "random_encoder", "features", "scratch")
WITH_AGE_SEX = " + age_sex"
_TITLES = {
    "auroc": "AUROC",
    "auprc": "AUPRC",
    "mae": "Mean absolute error",
    "rmse": "Root mean squared error",
    "r2": "R²",
    "r": "Pearson r",
    "brier": "Brier score",
    "ece": "Expected calibration error",
    "prevalence": "Prevalence",
}


def metric_title(metric: str) -> str:
    """Return the name of a metric as a heading has it.

    Example:
        >>> metric_title("mae"), metric_title("auroc:AF")
        ('Mean absolute error', 'auroc:AF')
    """
    return _TITLES.get(metric, metric)


def base_of(model: str) -> str:
    """Return the model without what was appended.

    Example:
        >>> base_of("clef + age_sex")
        'clef'
    """
    return model.removesuffix(WITH_AGE_SEX)


def is_baseline(model: str) -> bool:
    """Tell whether a model is a baseline, alone or with age and sex appended.

    Example:
        >>> is_baseline("features + age_sex"), is_baseline("clef")
        (True, False)
    """
    return base_of(model) in BASELINES


def model_order(names: Iterable[str]) -> list[str]:
    """Order the models of a table: baselines first, and each alone before with age and sex appended.

    Example:
        >>> model_order(["clef + age_sex", "clef", "random_encoder", "age_sex", "random_encoder + age_sex"])
        ['age_sex', 'random_encoder', 'random_encoder + age_sex', 'clef', 'clef + age_sex']
    """
    unique = list(dict.fromkeys(names))
    alone = list(dict.fromkeys(base_of(name) for name in unique))
    ordered = [name for name in BASELINES if name in alone]
    ordered += [name for name in alone if name not in BASELINES]
    return [each for base in ordered for each in (base, base + WITH_AGE_SEX) if each in unique]


def sorted_rows(rows: pd.DataFrame) -> pd.DataFrame:
    """Sort the rows of one metric by `model_order`; rows of one model stay in the order in which they were found.

    Example:
        >>> sorted_rows(pd.DataFrame({"model": ["clef", "age_sex"], "value": [0.8, 0.7]}))["model"].tolist()
        ['age_sex', 'clef']
    """
    place = {name: i for i, name in enumerate(model_order(rows["model"]))}
    return rows.iloc[np.argsort(rows["model"].map(place).to_numpy(), kind="stable")].reset_index(drop=True)


def interval(
    row: Mapping[Any, Any] | pd.Series, *, unit: str = "", sign: bool = False, digits: int | None = None
) -> str:
    """Return a value with its interval: three decimals below 10, else one.

    Args:
        row: With value, low and high.
        unit: Put after it.
        sign: Whether positive numbers have one.
        digits: Decimals; None = by size.

    Example:
        >>> interval(pd.Series({"value": 0.8, "low": 0.75, "high": 0.85}))
        '0.800 [0.750, 0.850]'
        >>> interval(pd.Series({"value": -12.0, "low": -13.0, "high": -11.04}), unit="%", sign=True)
        '−12.0 [−13.0, −11.0] %'
    """
    value, low, high = float(row["value"]), float(row["low"]), float(row["high"])
    if not np.isfinite(value):
        return "not measurable"
    digits = decimals(value, low, high) if digits is None else digits
    said = fixed(value, digits, sign=sign)
    if np.isfinite(low) and np.isfinite(high):
        said += f" [{fixed(low, digits, sign=sign)}, {fixed(high, digits, sign=sign)}]"
    return f"{said} {unit}".rstrip()


def decimals(*values: float) -> int:
    """Return how many decimals values of this size are given with: three below 10, else one.

    Example:
        >>> decimals(0.8), decimals(12.5, 9.0), decimals(float("nan"))
        (3, 1, 3)
    """
    return 3 if max((abs(each) for each in values if np.isfinite(each)), default=0.0) < 10 else 1


def fixed(value: float, digits: int, *, sign: bool = False) -> str:
    """Return a number with so many decimals, with a true minus, and no sign before a zero.

    Example:
        >>> fixed(-0.0001, 3), fixed(-1.5, 1), fixed(0.25, 2, sign=True), fixed(float("nan"), 1)
        ('0.000', '−1.5', '+0.25', '–')
    """
    if not np.isfinite(value):
        return "–"
    rounded = round(float(value), digits) + 0.0
    shown = f"{rounded:+.{digits}f}" if sign and rounded else f"{rounded:.{digits}f}"
    return shown.replace("-", "−")


def clear_of_zero(low: float, high: float, digits: int | None = None) -> bool:
    """Tell whether an interval of a difference leaves out 0, as it is printed: an end printed as 0 is 0.

    Example:
        >>> clear_of_zero(0.0004, 0.02), clear_of_zero(-0.05, -0.01), clear_of_zero(float("nan"), 1.0)
        (False, True, False)
    """
    digits = decimals(low, high) if digits is None else digits
    return round(low, digits) > 0 or round(high, digits) < 0


def better(metric: str, value: float, other: float) -> bool:
    """Tell whether a value of a metric is better than another.

    Example:
        >>> better("auroc", 0.8, 0.7), better("mae", 0.8, 0.7)
        (True, False)
    """
    return value < other if metric in LOWER_IS_BETTER else value > other


def reading(rows: pd.DataFrame, metric: str) -> str:
    """Say in a sentence which model is best, and whether its interval is clear of the best baseline's.

    Args:
        rows: Rows of one metric: model, value, low, high.
        metric: Its name.

    Example:
        >>> rows = pd.DataFrame({"model": ["age_sex", "clef"], "value": [0.7, 0.8], "low": [0.65, 0.75],
        ...                      "high": [0.75, 0.85]})
        >>> reading(rows, "auroc")
        'Highest: clef, 0.800 [0.750, 0.850]; the best baseline is age_sex, ...: the intervals overlap.'
    """
    lower = metric in LOWER_IS_BETTER
    known = rows[np.isfinite(rows["value"].astype(float))]
    if known.empty:
        return ""
    ordered = known.sort_values("value", ascending=lower, kind="stable")
    best = ordered.iloc[0]
    start = f"{'Lowest' if lower else 'Highest'}: {best['model']}, {interval(best)}"
    base = ordered["model"].map(is_baseline)
    if base.iloc[0]:
        rival = ordered[~base]
        if rival.empty:
            return start + "."
        return (
            f"{start}, a baseline; the best encoder is {rival.iloc[0]['model']}, {interval(rival.iloc[0])}."
        )
    if not base.any():
        return start + "; no baseline was judged beside it."
    rival_row = ordered[base].iloc[0]
    ends = [float(row[end]) for row in (best, rival_row) for end in ("low", "high")]
    if not np.isfinite(ends).all():
        return f"{start}; the best baseline is {rival_row['model']}, {interval(rival_row)}."
    overlap = best["low"] <= rival_row["high"] and rival_row["low"] <= best["high"]
    return f"{start}; the best baseline is {rival_row['model']}, {interval(rival_row)}: the intervals " + (
        "overlap." if overlap else "do not overlap."
    )
