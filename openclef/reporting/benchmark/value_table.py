"""A table of values with their intervals: a row a model, a group of rows a protocol."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from openclef.reporting.benchmark.views import PROTOCOLS, in_order
from openclef.reporting.markup import Html, breakable, element, grouped_table, join, number
from openclef.reporting.values import better, decimals, fixed, model_order

FEW = 3
"""Columns up to which an interval stands beside its value and not beneath it, where the screen is wide."""


def value_table(
    groups: Sequence[tuple[str, pd.DataFrame]],
    column: str,
    headings: Mapping[str, object],
    *,
    caption: str,
    best: Mapping[str, str] | None = None,
    best_of_group: bool = False,
    percent: Sequence[str] = (),
    count: str = "n",
) -> Html:
    """Return a table of models by the values of a column, each with its interval.

    Args:
        groups: Name and rows of each group of the table, with model, value, low, high, the column, and the count.
        column: Whose values become columns.
        headings: Name of each of these, in their order.
        caption: What the table holds.
        best: Metric of each column whose best value stands in bold.
        best_of_group: Whether that is the best of each group, not of the column.
        percent: Columns of changes in %, given with a sign and one decimal.
        count: Column with the number that a value was computed from; said in the heading where it is always the
            same, else beneath each value.

    Example:
        >>> rows = pd.DataFrame({"model": ["clef", "age_sex"], "task": "a", "value": [0.8, 0.7], "low": 0.6,
        ...                      "high": 0.9, "n": 50})
        >>> "<strong>0.800</strong>" in value_table([("", rows)], "task", {"a": "a"}, caption="", best={"a": "auroc"})
        True
    """
    every = pd.concat([rows for _, rows in groups])
    columns = {name: _Column(every[every[column] == name], count, name in percent) for name in headings}
    head = [
        "model",
        *(
            join([breakable(title), element("span", columns[name].shared, class_="ends")])
            for name, title in headings.items()
        ),
    ]
    best = best or {}
    winners = {name: _best(every[every[column] == name], best.get(name)) for name in headings}
    bodies = []
    for title, rows in groups:
        found: dict[tuple[str, str], dict[Any, Any]] = {}
        for row in rows.to_dict("records"):
            found.setdefault((row["model"], row[column]), row)
        if best_of_group:
            alone = rows["model"].nunique() < 2
            winners = {
                name: _best(rows[rows[column] == name], None if alone else best.get(name))
                for name in headings
            }
        lines = [
            [model, *(columns[name].cell(found.get((model, name)), winners[name]) for name in headings)]
            for model in model_order(rows["model"])
        ]
        bodies.append((title if len(groups) > 1 else "", lines))
    class_ = "wide few" if len(headings) <= FEW else "wide"
    return grouped_table(head, bodies, caption=caption, class_=class_)


def by_protocol(rows: pd.DataFrame) -> list[tuple[str, pd.DataFrame]]:
    """Return rows by protocol, in the order in which protocols are shown.

    Example:
        >>> [name for name, _ in by_protocol(pd.DataFrame({"protocol": ["knn", "probe"]}))]
        ['probe', 'knn']
    """
    return [(name, rows[rows["protocol"] == name]) for name in in_order(rows["protocol"], PROTOCOLS)]


def _best(rows: pd.DataFrame, metric: str | None) -> float:
    values = rows["value"].to_numpy(float)
    values = values[np.isfinite(values)]
    if metric is None or not len(values):
        return float("nan")
    return float(values.min() if better(metric, 0.0, 1.0) else values.max())


class _Column:
    """What the cells of one column have in common: decimals, sign, the count."""

    def __init__(self, rows: pd.DataFrame, count: str, percent: bool) -> None:
        self.digits = 1 if percent else decimals(*rows[["value", "low", "high"]].to_numpy(float).ravel())
        self.percent = percent
        self.count = count
        counts = rows[count].dropna().unique()
        self.shared = f"{count} {number(counts[0])}" if len(counts) == 1 else ""

    def cell(self, row: Mapping[Any, Any] | None, best: float) -> Html:
        if row is None:
            return Html()
        value, low, high = (float(row[name]) for name in ("value", "low", "high"))
        if not np.isfinite(value):
            return element("span", "not measurable", class_="ends")
        said = fixed(value, self.digits, sign=self.percent)
        parts: list[object] = [element("strong", said) if value == best else said]
        if np.isfinite(low) and np.isfinite(high):
            ends = " to ".join(fixed(end, self.digits, sign=self.percent) for end in (low, high))
            parts.append(element("span", ends, class_="ends"))
        if not self.shared:
            parts.append(element("span", f"{self.count} {number(row[self.count])}", class_="ends"))
        return join(parts)
