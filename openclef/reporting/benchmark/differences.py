"""Differences of pairs of models: a forest plot a task, and the table behind it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from openclef.metrics import LOWER_IS_BETTER
from openclef.reporting.benchmark.tables import Tables
from openclef.reporting.benchmark.views import (
    View,
    metric_words,
    no_rows,
    open_first,
    side_by_side,
    styles_of,
    task_name,
    tasks_of,
    views_of,
)
from openclef.reporting.drawing import Style, dots, line_at, row_axis
from openclef.reporting.markup import Html, Section, element, figure, folded, join, label, number, table
from openclef.reporting.values import WITH_AGE_SEX, base_of, clear_of_zero, interval, is_baseline, model_order

MOST = 20
"""Rows of a task's figure; where a task has more, the figures are parted by the second model."""
LIMIT = 2_500
"""Rows of a table at most; the file has all."""


def differences_section(tables: Tables) -> Section:
    """Return the differences of comparisons.csv.

    Args:
        tables: Of the benchmark.

    Example:
        >>> import tempfile
        >>> from pathlib import Path
        >>> from openclef.reporting.benchmark.tables import read_tables
        >>> folder = Path(tempfile.mkdtemp())
        >>> (folder / "benchmark.json").write_text("{}") and differences_section(read_tables(folder)).anchor
        'differences'
    """
    title, rows = "Differences between models", tables.comparisons
    if rows.empty:
        return Section("differences", title, no_rows("comparisons.csv", "no two models were compared"))
    draws = tables.setting("permutations")
    about = element(
        "p",
        "First model minus second, on the same records; 95 % interval of the paired bootstrap. p: paired permutation "
        f"test{f' of {number(draws)} permutations' if isinstance(draws, int) else ''}, adjusted after Holm over the "
        "comparisons of one task, lead and label share. Where the interval contains 0, no difference was shown. "
        "comparisons.csv has all of them.",
    )
    styles = styles_of(tables)
    of_numbers = tables.metrics[tables.metrics["metric"] == "mae"].drop_duplicates("task")
    units = dict(zip(of_numbers["task"], of_numbers["unit"]))
    views = views_of(rows, tables)
    body = open_first(views, lambda view: _view(tables, view, styles, units, whole=view == views[0]))
    return Section("differences", title, join([about, body]))


def _view(
    tables: Tables, view: View, styles: dict[str, Style], units: dict[str, str], *, whole: bool
) -> Html:
    rows = tables.comparisons
    drawn = view.label_share == rows["label_share"].max()
    rows = rows[(rows["lead"] == view.lead) & np.isclose(rows["label_share"], view.label_share)]
    rows = rows[(rows["protocol"] == view.protocol) | ~rows["protocol"].isin(_protocols(tables, view))]
    rows = _ordered(rows)
    parts: list[Html] = []
    for name, of in _kinds(rows, str(tables.setting("reference", ""))) if drawn else ():
        tasks, panels = [], []
        for task in tasks_of(of, tables):
            for metric, some in of[of["task"] == task].groupby("metric", sort=False):
                tasks.append(task)
                panels.append(_forest(some, task, str(metric), units.get(task, ""), styles))
        body = side_by_side(tasks, panels)
        parts.append(folded(name, body) if parts else body)
    limit = LIMIT if whole else LIMIT // 5
    cut = f"; the first {limit:,} of {len(rows):,}" if len(rows) > limit else ""
    body = _table(rows.head(limit), units, cut)
    return join([*parts, folded(f"{len(rows):,} differences as a table{cut}", body)]) if drawn else body


def _kinds(rows: pd.DataFrame, reference: str) -> list[tuple[str, pd.DataFrame]]:
    """Part the rows where a task has many: first those against the reference, then each baseline, then models."""
    if rows.groupby("task").size().max() <= MOST:
        return [("", rows)]
    kind = rows["against"].where(rows["against"].map(is_baseline).astype(bool), "")
    first = [name for name in dict.fromkeys(kind) if base_of(name) == reference]
    names = [*first, *(name for name in dict.fromkeys(kind) if name and name not in first)]
    groups = [(f"Against {name}", rows[kind == name]) for name in names]
    return groups + [("Models against each other", rows[kind == ""])] * bool((kind == "").any())


def _protocols(tables: Tables, view: View) -> list[str]:
    """Protocols that have a view of their own."""
    return [each.protocol for each in views_of(tables.comparisons, tables) if each.lead == view.lead]


def _ordered(rows: pd.DataFrame) -> pd.DataFrame:
    """Rows by the model they are compared with, named in the column versus, then by model."""
    place = {name: i for i, name in enumerate(model_order([*rows["against"], *rows["model"]]))}
    versus = [_versus(row) for row in rows.to_dict("records")]
    groups = {name: i for i, name in enumerate(sorted(versus))}
    keys = [
        [place[name] for name in rows["model"]],
        [groups[name] for name in versus],
        [place[name] for name in rows["against"]],
    ]
    return rows.assign(versus=versus).iloc[np.lexsort(keys)].reset_index(drop=True)


def _versus(row: Mapping[Any, Any]) -> str:
    """Name the second model, with its protocol where that is another one and neither is "scratch"."""
    known = ("", row["protocol"], base_of(row["against"]))
    same = row["against_protocol"] in known or row["protocol"] == base_of(row["model"])
    return str(row["against"]) if same else f"{row['against']} ({row['against_protocol']})"


def _forest(rows: pd.DataFrame, task: str, metric: str, unit: str, styles: dict[str, Style]) -> Html:
    notes = [_note(1, -0.75, "Holm p", "left")]
    places: list[float] = []
    place, group = 0.0, ""
    for model, versus in zip(rows["model"], rows["versus"]):
        if versus != group:
            group = versus
            notes.append(_note(0, place, f"minus {label(group)}", "left"))
            place += 1
        places.append(place)
        place += 1.4 if model.endswith(WITH_AGE_SEX) else 1
    rows = rows.assign(place=places)
    traces = [
        dots(styles[model], model, of["place"], of["value"], of["low"], of["high"], size=9)
        for model, of in ((name, rows[rows["model"] == name]) for name in dict.fromkeys(rows["model"]))
    ]
    traces.append({"type": "scatter", "x": [None], "y": [None], "yaxis": "y2", "hoverinfo": "skip"})
    names = [label(model).replace(WITH_AGE_SEX, "<br>+ age_sex") for model in rows["model"]]
    ends = {"autorange": False, "range": [place - 0.3, -1.2]}
    words = metric_words(metric, unit)
    layout = {
        "xaxis": {
            "title": {"text": label(f"{words}; {'left' if metric in LOWER_IS_BETTER else 'right'}: better")},
            "zeroline": False,
            "nticks": 5,
        },
        "yaxis": row_axis(names, places) | ends,
        "yaxis2": {
            **row_axis([_p(p) for p in rows["p_holm"]], places),
            **ends,
            "overlaying": "y",
            "side": "right",
            "tickfont": {"size": 11, "color": "@soft"},
            "fixedrange": True,
        },
        "shapes": [line_at(0, dash="solid")],
        "annotations": notes,
        "margin": {"r": 58},
        "hovermode": "closest",
    }
    reading = differences_reading(rows)
    return figure(
        traces,
        layout,
        title=task_name(task),
        alt=f"Differences in {words} on {task}, {len(rows)} pairs of models, with intervals. {reading}",
        caption=reading,
        height=round(74 + 25 * place),
    )


def _note(x: float, y: float, text: str, side: str) -> dict[str, Any]:
    return {
        "x": x,
        "xref": "paper",
        "xshift": 6 if x else 0,
        "y": y,
        "text": f"<b>{text}</b>",
        "xanchor": side,
        "yanchor": "middle",
        "showarrow": False,
        "font": {"size": 11, "color": "@ink"},
    }


def _p(value: float) -> str:
    if not np.isfinite(value):
        return "–"
    return "< 0.001" if value < 0.001 else f"{value:.3f}"


def differences_reading(rows: pd.DataFrame) -> str:
    """Say how many differences have an interval without 0, and which stand after Holm's adjustment.

    Args:
        rows: Of one task: model, against, value, low, high, p_holm.

    Example:
        >>> rows = pd.DataFrame({"model": ["clef"], "against": "age_sex", "value": 0.1, "low": -0.1, "high": 0.3,
        ...                      "p_holm": 0.4})
        >>> differences_reading(rows)
        'The interval contains 0 for all 1: no difference was shown.'
    """
    clear = rows[[clear_of_zero(low, high) for low, high in zip(rows["low"], rows["high"])]]
    if clear.empty:
        return f"The interval contains 0 for all {len(rows)}: no difference was shown."
    firm = clear[clear["p_holm"] < 0.05]
    start = f"The interval leaves out 0 for {len(clear)} of {len(rows)}"
    if firm.empty:
        return start + ", with p < 0.05 after Holm for none."
    pairs = [f"{row['model']} minus {row['against']}" for _, row in firm.iterrows()]
    named = ", ".join(pairs[:3]) + (f" and {len(pairs) - 3} more" if len(pairs) > 3 else "")
    return f"{start}, with p < 0.05 after Holm for {len(firm)}: {named}."


def _table(rows: pd.DataFrame, units: dict[str, str], cut: str) -> Html:
    headings = [
        "first model",
        "second model",
        "task",
        "metric",
        "difference [95 % interval]",
        "p",
        "p (Holm)",
        "n",
    ]
    cells = [
        [
            f"{row['model']} ({row['protocol']})",
            f"{row['against']} ({row['against_protocol']})",
            task_name(row["task"]),
            metric_words(row["metric"], units.get(row["task"], "") if row["metric"] == "mae" else ""),
            interval(row, sign=True),
            _p(row["p"]),
            _p(row["p_holm"]),
            number(row["n"]),
        ]
        for _, row in rows.iterrows()
    ]
    caption = f"Differences, first model minus second; for MAE a negative one is better{cut}"
    return table(headings, cells, caption=caption, numeric=4)
