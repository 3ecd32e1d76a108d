"""A look at a cohort's risk scores before they guide anything: their spread, and how much is known."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from openclef.risk.inputs import Array

AGE_SEX_ONLY = "the score is one of age and sex only"
MODAL_SHARE = 0.5  # more patients than this on one value: degenerate
AGE_SEX_ONLY_SHARE = 0.9  # more patients than this with at most two known inputs: age and sex only
LEAST_SPREAD = 1e-6  # 5th to 95th percentile, relative to the largest value


class Description(NamedTuple):
    """Table and verdict of `describe`.

    Args:
        rows: One dict a level of completeness, the last for all patients: completeness (None for all), n,
            share, unknown (patients whose value is NaN), median, q25, q75, min, max, modal_value,
            modal_share.
        degenerate: Why this score cannot guide much, or None.

    Example:
        >>> describe([0.1, 0.2], [0, 0], [1.0, 1.0]).degenerate is None
        True
    """

    rows: list[dict[str, Any]]
    degenerate: str | None

    def __str__(self) -> str:
        names = list(self.rows[0])
        lines = [[_cell(row[name]) for name in names] for row in self.rows]
        widths = [max(len(line[i]) for line in [names, *lines]) for i in range(len(names))]
        text = ["  ".join(cell.rjust(width) for cell, width in zip(line, widths)) for line in [names, *lines]]
        return "\n".join([*text, f"degenerate: {self.degenerate or 'no'}"])


def _cell(value: float | int | None) -> str:
    if value is None:
        return "all"
    return f"{value:,}" if isinstance(value, int) else f"{value:.4g}"


def describe(value: ArrayLike, n_missing: ArrayLike, completeness: ArrayLike) -> Description:
    """Summarise a score over a cohort by completeness, and say whether it is degenerate.

    A score is degenerate as guidance where nearly no two patients differ: no value is known, more than half
    of the patients share one value, or the spread is about zero. It is reported, too, where more than nine in
    ten patients have at most two known inputs: then the score is one of age and sex.

    Args:
        value: The score, (patients,), NaN where unknown.
        n_missing: Number of unknown inputs, (patients,).
        completeness: Share of known inputs, (patients,), 0..1.

    Returns:
        `Description`: rows by completeness (highest first, then all patients) and the degenerate message or
        None.

    Raises:
        ValueError: No patients, or arrays of different lengths.

    Example:
        >>> from openclef.risk import score2
        >>> result = score2(age_years=[50, 50, 50, 64], sex="male")
        >>> rows, degenerate = describe(result.value, result.n_missing, result.completeness)
        >>> rows[-1]["n"], rows[-1]["modal_share"]
        (4, 0.75)
        >>> print(degenerate)
        75 % of patients share one value (0.02887); 100 % have at most two known inputs: the score is one of
        age and sex only
    """
    value = np.asarray(value, dtype=np.float64).ravel()
    n_missing = np.asarray(n_missing).ravel()
    completeness = np.asarray(completeness, dtype=np.float64).ravel()
    if value.size == 0 or not value.size == n_missing.size == completeness.size:
        raise ValueError(
            f"value, n_missing and completeness have {value.size}, {n_missing.size} and {completeness.size} "
            "entries; accepted are three arrays of one or more patients; pass those of a RiskResult."
        )
    levels, level = np.unique(completeness.round(6), return_inverse=True)
    rows = [
        {"completeness": float(levels[i]), **_summary(value[level == i], value.size)}
        for i in reversed(range(levels.size))
    ]
    rows.append({"completeness": None, **_summary(value, value.size)})
    return Description(rows, _degenerate(rows[-1], value, n_missing, completeness))


def _summary(value: Array, total: int) -> dict[str, Any]:
    known = value[~np.isnan(value)]
    row: dict[str, Any] = {"n": value.size, "share": value.size / total, "unknown": value.size - known.size}
    names = ("min", "q25", "median", "q75", "max", "modal_value", "modal_share")
    if known.size == 0:
        return {**row, **dict.fromkeys(names, float("nan"))}
    distinct, counts = np.unique(known, return_counts=True)
    most = int(counts.argmax())
    quartiles = np.quantile(known, [0, 0.25, 0.5, 0.75, 1]).tolist()
    return {**row, **dict(zip(names, [*quartiles, float(distinct[most]), float(counts[most] / known.size)]))}


def _degenerate(everyone: dict[str, Any], value: Array, n_missing: Array, completeness: Array) -> str | None:
    known = value[~np.isnan(value)]
    if known.size == 0:
        return "no patient has a value: age or sex is unknown for all"
    reasons = []
    low, high = np.quantile(known, [0.05, 0.95])
    if everyone["modal_share"] > MODAL_SHARE and known.size > 1:
        share, modal = everyone["modal_share"], everyone["modal_value"]
        reasons.append(f"{100 * share:.0f} % of patients share one value ({modal:.4g})")
    elif high - low <= LEAST_SPREAD * np.abs(known).max():
        reasons.append(f"the values hardly differ (5th to 95th percentile {low:.4g} to {high:.4g})")
    with np.errstate(
        divide="ignore", invalid="ignore"
    ):  # completeness 1: nothing missing, number of inputs not needed
        n_known = np.where(n_missing > 0, n_missing / (1 - completeness) - n_missing, np.inf)
    two_known = float(np.mean(n_known < 2.5))
    many_inputs = bool(np.any((n_missing > 0) & (n_known + n_missing > 2.5)))
    if two_known > AGE_SEX_ONLY_SHARE and many_inputs:
        share = 100 * two_known
        reasons.append(f"{share:.0f} % have at most two known inputs: {AGE_SEX_ONLY}")
    return "; ".join(reasons) or None
