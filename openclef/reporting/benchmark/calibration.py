"""Calibration: reliability diagrams, and Brier scores with expected calibration errors in tables."""

from __future__ import annotations

import numpy as np
import pandas as pd

from openclef.reporting.benchmark.tables import Tables
from openclef.reporting.benchmark.value_table import by_protocol, value_table
from openclef.reporting.benchmark.views import (
    View,
    judged_otherwise,
    lines_of_tasks,
    no_rows,
    open_first,
    rows_of,
    styles_of,
    task_name,
    tasks_of,
    views_of,
)
from openclef.reporting.drawing import Style
from openclef.reporting.markup import Html, Section, element, figure, folded, join, label, number
from openclef.reporting.values import metric_title, reading

FEWEST = 10
"""Predictions of a bin that is drawn; of fewer the share scatters by chance."""


def calibration_section(tables: Tables) -> Section:
    """Return reliability diagrams with the largest share of training labels, and the tables of both errors.

    Args:
        tables: Of the benchmark.

    Example:
        >>> import tempfile
        >>> from pathlib import Path
        >>> from openclef.reporting.benchmark.tables import read_tables
        >>> folder = Path(tempfile.mkdtemp())
        >>> (folder / "benchmark.json").write_text("{}") and calibration_section(read_tables(folder)).anchor
        'calibration'
    """
    rows = tables.recorded()
    errors = rows[rows["metric"].isin(("brier", "ece"))]
    bins = tables.reliability
    if errors.empty and bins.empty:
        said = "No calibration was measured: reliability.csv has no rows and benchmark.csv no Brier score."
        return Section("calibration", "Calibration", element("p", said, class_="missing"))
    about = element(
        "p",
        "After temperature scaling on the validation records. On the diagonal a probability of 30 % comes true "
        "for 30 % of the records. A larger marker: more predictions, over measurable labels and seeds; "
        f"bins of fewer than {FEWEST} are not drawn. The Brier score also holds how well labels are told apart; the "
        "expected calibration error does not.",
    )
    parts = [about]
    styles = styles_of(tables)
    every = pd.concat(
        [
            errors[["model", "protocol", "lead", "label_share"]],
            bins[["model", "protocol", "lead", "label_share"]],
        ]
    )
    views = [view for view in views_of(every, tables) if view.label_share == every["label_share"].max()]
    if bins.empty:
        parts.append(no_rows("reliability.csv", "no diagrams"))
    parts.append(open_first(views, lambda view: _view(errors, bins, view, tables, styles)))
    return Section("calibration", "Calibration", join(parts))


def _view(
    errors: pd.DataFrame, bins: pd.DataFrame, view: View, tables: Tables, styles: dict[str, Style]
) -> Html:
    here, of_errors = rows_of(bins, view), rows_of(errors, view)
    parts: list[Html] = []
    if len(here):
        parts.append(
            lines_of_tasks(
                here, tables, styles, lambda of, task, models: _diagram(of, task, view, models, of_errors)
            )
        )
    errors_parts: list[Html] = []
    for metric in ("brier", "ece"):
        rows = of_errors[of_errors["metric"] == metric]
        if len(rows):
            headings = {task: task_name(task) for task in tasks_of(rows, tables)}
            caption = f"{metric_title(metric)}, {view.words()}; lower is better. Bold: lowest of the column."
            errors_parts.append(
                value_table(
                    by_protocol(rows), "task", headings, caption=caption, best=dict.fromkeys(headings, metric)
                )
            )
    if errors_parts:
        parts.append(folded("Brier score and expected calibration error of every model", *errors_parts))
    return join(parts)


def _diagram(
    rows: pd.DataFrame, task: str, view: View, models: dict[str, Style], errors: pd.DataFrame
) -> Html:
    largest = max(float(rows["n"].max()), 1.0) if rows["n"].notna().any() else 1.0
    traces: list[dict[str, object]] = [
        {
            "type": "scatter",
            "mode": "lines",
            "x": [0, 1],
            "y": [0, 1],
            "hoverinfo": "skip",
            "line": {"color": "@muted", "width": 1, "dash": "dot"},
        }
    ]
    for model, style in models.items():
        of = rows[(rows["model"] == model) & rows[["mean_predicted", "observed"]].notna().all(axis=1)]
        of = of[of["n"] >= FEWEST]
        of = of.sort_values("mean_predicted")
        traces.append(
            {
                "type": "scatter",
                "mode": "lines+markers",
                "x": of["mean_predicted"].to_numpy(),
                "y": of["observed"].to_numpy(),
                "name": label(model),
                "line": {"color": f"@{style.colour}", "width": 1.5, "dash": style.dash},
                "marker": {
                    "size": 3.5 + 11 * np.sqrt(of["n"].to_numpy() / largest),
                    "symbol": style.symbol,
                    "color": "@panel" if style.hollow else f"@{style.colour}",
                    "line": {"color": f"@{style.colour}", "width": 1.2},
                },
                "customdata": of["n"].to_numpy(),
                "hovertemplate": f"{label(model)}: predicted %{{x:.3f}}, observed %{{y:.3f}}, "
                "n %{customdata:,.0f}<extra></extra>",
            }
        )
    axis = {"range": [-0.03, 1.03], "tickvals": [0, 0.25, 0.5, 0.75, 1], "zeroline": False}
    of_task = errors[(errors["task"] == task) & errors["model"].isin(models)]
    said = " ".join(
        f"{metric_title(metric)}, {_small(reading(of_task[of_task['metric'] == metric], metric))}"
        for metric in ("brier", "ece")
        if (of_task["metric"] == metric).any()
    )
    count = rows.groupby("model")["n"].sum().max()
    return figure(
        traces,
        {
            "xaxis": {**axis, "title": {"text": "predicted probability"}},
            "yaxis": {**axis, "title": {"text": "observed share"}},
            "hovermode": "closest",
        },
        title=task_name(task),
        alt=f"Reliability diagram of {task}: observed share by predicted probability, {len(models)} models. {said}",
        caption=f"{said} Up to {number(count)} predictions a model.".strip() + judged_otherwise(rows, view),
        height=320,
    )


def _small(words: str) -> str:
    return words[:1].lower() + words[1:]
