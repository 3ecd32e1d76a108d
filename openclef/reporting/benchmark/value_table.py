"""A table of values with their intervals: a row a model, a group of rows a protocol."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from openclef.reporting.benchmark.views import PROTOCOLS, in_order
from openclef.reporting.markup import Html, breakable, element, grouped_table, join, number
from openclef.reporting.values import better, decimals, fixed, model_order


def value_table(
    rows: pd.DataFrame,
    column: str,
    headings: Mapping[str, object],
    *,
    caption: str,
    best: str | Mapping[str, str] | None = None,
    percent: Sequence[str] = (),
    count: str = "n",
) -> Html:
    """Return a table of models by the values of a column, each with its interval beneath.

    Args:
        rows: With model, protocol, value, low, high, the column, and the count.
        column: Whose values become columns.
        headings: Name of each of these, in their order.
        caption: What the table holds.
        best: Metric by which the best of a column stands in bold, or one for each; None = nothing does.
        percent: Columns of changes in %, given with a sign and one decimal.
        count: Column with the number that a value was computed from; said in the heading where it is always the
            same, else beneath each value.

    Example:
        >>> rows = pd.DataFrame({"model": ["clef", "age_sex"], "protocol": "probe", "task": "a", "value": [0.8, 0.7],
        ...                      "low": 0.6, "high": 0.9, "n": 50})
        >>> "<strong>0.800</strong>" in value_table(rows, "task", {"a": "a"}, caption="AUROC", best="auroc")
        True
    """
    found: dict[tuple[str, str, str], dict[str, Any]] = {}
    for row in rows.to_dict("records"):
        found.setdefault((row["protocol"], row["model"], row[column]), {str(k): v for k, v in row.items()})
    columns = {name: _Column(rows[rows[column] == name], count, best, name) for name in headings}
    head = [
        "model",
        *(
            join([breakable(title), element("span", columns[name].shared, class_="ends")])
            for name, title in headings.items()
        ),
    ]
    protocols = in_order(rows["protocol"], PROTOCOLS)
    groups = [
        (
            protocol if len(protocols) > 1 else "",
            [
                [
                    model,
                    *(
                        columns[name].cell(found.get((protocol, model, name)), name in percent)
                        for name in headings
                    ),
                ]
                for model in model_order(rows.loc[rows["protocol"] == protocol, "model"])
            ],
        )
        for protocol in protocols
    ]
    return grouped_table(head, groups, caption=caption, class_="wide few" if len(headings) < 4 else "wide")


class _Column:
    """What the cells of one column have in common: decimals, the best value, the count."""

    def __init__(
        self, rows: pd.DataFrame, count: str, best: str | Mapping[str, str] | None, name: str
    ) -> None:
        self.digits = decimals(*rows[["value", "low", "high"]].to_numpy(float).ravel())
        self.count = count
        counts = rows[count].dropna().unique()
        self.shared = f"{count} {number(counts[0])}" if len(counts) == 1 else ""
        metric = best.get(name) if isinstance(best, Mapping) else best
        values = rows["value"].to_numpy(float)
        values = values[np.isfinite(values)]
        self.best = float("nan")
        if metric and len(values):
            self.best = float(values.min() if better(metric, 0.0, 1.0) else values.max())

    def cell(self, row: Mapping[str, Any] | None, signed: bool) -> Html:
        if row is None:
            return Html()
        value, low, high = (float(row[name]) for name in ("value", "low", "high"))
        digits = 1 if signed else self.digits
        if not np.isfinite(value):
            return element("span", "not measurable", class_="ends")
        said = fixed(value, digits, sign=signed)
        parts: list[object] = [element("strong", said) if value == self.best else said]
        if np.isfinite(low) and np.isfinite(high):
            ends = f"{fixed(low, digits, sign=signed)} to {fixed(high, digits, sign=signed)}"
            parts.append(element("span", ends, class_="ends"))
        if not self.shared:
            parts.append(element("span", f"{self.count} {number(row[self.count])}", class_="ends"))
        return join(parts)
