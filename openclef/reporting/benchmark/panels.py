"""Small figures of models' values with intervals: rows of dots, and lines."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from openclef.reporting.drawing import Style, dots, line_at, row_axis
from openclef.reporting.markup import Html, figure, label

NAN = float("nan")


class Value(NamedTuple):
    """A value with its interval.

    Args:
        value: The estimate.
        low: Lower end.
        high: Upper end.

    Example:
        >>> Value(0.8, 0.7, 0.9).low
        0.7
    """

    value: float
    low: float
    high: float


UNKNOWN = Value(NAN, NAN, NAN)


def dot_panel(
    title: object,
    rows: Sequence[tuple[str, str]],
    values: Mapping[tuple[str, int], Value],
    styles: Mapping[str, Style],
    *,
    axis: str,
    alt: str,
    caption: str,
    at: float | None = None,
    bars: bool = False,
) -> Html:
    """Return a figure of a row a group, label or condition, and in each a dot with its interval for each model.

    Args:
        title: Heading.
        rows: Name of each row, and a second line beneath it.
        values: By model and row.
        styles: Of the models that are drawn, from above to below in each row.
        axis: Title of the horizontal axis.
        alt: What the figure shows, for who cannot see it.
        caption: What it means.
        at: Value of a vertical line, such as that of chance.
        bars: Whether bars reach from that line to the values.

    Example:
        >>> style = Style("series-0", "circle", "solid", False)
        >>> drawn = dot_panel("sex", [("female", "n 5")], {("clef", 0): Value(0.8, 0.7, 0.9)}, {"clef": style},
        ...                   axis="AUROC", alt="", caption="")
        >>> drawn.count('"type":"scatter"')
        1
    """
    step = 1 / (len(styles) + 1)
    many = len(styles) > 8
    pixels = max(34.0, (7.0 if many else 10.0) * (len(styles) + 1))
    traces: list[dict[str, Any]] = []
    for order, (model, style) in enumerate(styles.items()):
        of = [values.get((model, row), UNKNOWN) for row in range(len(rows))]
        place = np.arange(len(rows)) + (order + 1) * step - 0.5
        value, low, high = (np.array([getattr(each, end) for each in of]) for end in Value._fields)
        if bars and at is not None:
            traces.append(
                {
                    "type": "bar",
                    "name": label(model),
                    "orientation": "h",
                    "base": at,
                    "x": value - at,
                    "y": place,
                    "width": 0.72 * step,
                    "marker": {"color": f"@{style.colour}/0.26", "line": {"width": 0}},
                    "hoverinfo": "skip",
                }
            )
        traces.append(dots(style, model, place, value, low, high, size=5 if many else 7))
    names = [f"{label(name)}<br>{label(second)}" if second else label(name) for name, second in rows]
    shapes = [_between(row - 0.5) for row in range(1, len(rows))] + ([line_at(at)] if at is not None else [])
    layout = {
        "xaxis": {"title": {"text": label(axis)}, "zeroline": False, "nticks": 6},
        "yaxis": row_axis(names) | {"autorange": False, "range": [len(rows) - 0.5, -0.5]},
        "shapes": shapes,
        "hovermode": "closest",
        "barmode": "overlay",
    }
    return figure(
        traces, layout, title=title, alt=alt, caption=caption, height=round(62 + pixels * len(rows))
    )


def _between(place: float) -> dict[str, Any]:
    """A thin line between two rows."""
    return {
        "type": "line",
        "layer": "below",
        "xref": "paper",
        "x0": 0,
        "x1": 1,
        "y0": place,
        "y1": place,
        "line": {"color": "@grid", "width": 1},
    }
