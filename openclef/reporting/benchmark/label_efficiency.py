"""Label efficiency: values against the share of training labels."""

from __future__ import annotations

import numpy as np
import pandas as pd

from openclef.reporting.benchmark.tables import Tables
from openclef.reporting.benchmark.views import (
    View,
    judged_otherwise,
    lead_words,
    lines_of_tasks,
    main_metrics,
    metric_words,
    of_measured_tasks,
    open_first,
    rows_of,
    share_words,
    styles_of,
    task_name,
    views_of,
)
from openclef.reporting.drawing import Style, line_with_band
from openclef.reporting.markup import Html, Section, element, figure, join, label, number
from openclef.reporting.values import better, interval


def efficiency_section(tables: Tables) -> Section:
    """Return a figure a task, with a line a model, where there are at least two shares.

    Args:
        tables: Of the benchmark.

    Example:
        >>> import tempfile
        >>> from pathlib import Path
        >>> from openclef.reporting.benchmark.tables import read_tables
        >>> folder = Path(tempfile.mkdtemp())
        >>> (folder / "benchmark.json").write_text("{}") and efficiency_section(read_tables(folder)).anchor
        'efficiency'
    """
    title = "Label efficiency"
    rows = of_measured_tasks(main_metrics(tables.recorded()))
    shares = sorted(rows["label_share"].unique())
    if len(shares) < 2:
        said = "One share of the training labels was judged; a curve needs at least two (label_shares)."
        if not len(rows):
            said = "benchmark.csv has no rows: no curve."
        return Section("efficiency", title, element("p", said, class_="missing"))
    styles = styles_of(tables)
    largest = [view for view in views_of(rows, tables) if view.label_share == shares[-1]]
    about = element(
        "p",
        "Value against the share of training subjects whose labels were used, on a logarithmic axis; each seed "
        "draws its own subjects. Bands: 95 % intervals.",
    )
    views = [view._replace(label_share=float("nan")) for view in largest]
    body = open_first(views, lambda view: _view(rows, view, tables, styles), words=_words)
    return Section("efficiency", title, join([about, body]))


def _words(view: View) -> str:
    return ", ".join(filter(None, [view.protocol, lead_words(view.lead)]))


def _view(rows: pd.DataFrame, view: View, tables: Tables, styles: dict[str, Style]) -> Html:
    here = rows_of(rows, view, any_share=True)
    return lines_of_tasks(here, tables, styles, lambda of, task, models: _panel(of, task, view, models))


def _panel(rows: pd.DataFrame, task: str, view: View, models: dict[str, Style]) -> Html:
    metric, unit = rows["metric"].iloc[0], rows["unit"].iloc[0]
    traces = []
    for model, style in models.items():
        line = rows[(rows["model"] == model) & rows["value"].notna()].sort_values("label_share")
        if len(line):
            ends = (line[name] for name in ("value", "low", "high"))
            strength = 0.1 if len(models) <= 8 else 0.04
            traces += line_with_band(style, model, line["label_share"], *ends, strength=strength)
    shares = sorted(rows["label_share"].unique())
    lower = better(metric, 0.0, 1.0)
    layout = {
        "xaxis": {
            "type": "log",
            "tickvals": shares,
            "ticktext": [f"{100 * share:.3g} %" for share in shares],
            "title": {"text": "training labels"},
            "range": [np.log10(shares[0]) - 0.08, np.log10(shares[-1]) + 0.08],
            "zeroline": False,
        },
        "yaxis": {"nticks": 6, "zeroline": False, "title": {"text": label(metric_words(metric, unit))}},
        "hovermode": "closest",
    }
    return figure(
        traces,
        layout,
        title=join([task_name(task), element("span", "lower is better", class_="sub") if lower else ""]),
        alt=f"{metric_words(metric, unit)} on {task} against the share of training labels, {len(models)} models. "
        + efficiency_reading(rows, metric),
        caption=efficiency_reading(rows, metric) + judged_otherwise(rows, view),
        height=270,
    )


def efficiency_reading(rows: pd.DataFrame, metric: str) -> str:
    """Say which model is best with the fewest and with the most labels.

    Args:
        rows: Of one task: model, label_share, value, low, high, n.
        metric: Its main metric.

    Example:
        >>> rows = pd.DataFrame({"model": ["clef", "clef"], "label_share": [0.01, 1.0], "value": [0.6, 0.8], "low": 0.5,
        ...                      "high": 0.9, "n": 40})
        >>> efficiency_reading(rows, "auroc")
        'Highest with 1 % of the training labels: clef, 0.600 ...; with all training labels: clef, 0.800 ...; n 40.'
    """
    known = rows[rows["value"].notna()]
    if known.empty:
        return "Not measurable."
    lower = better(metric, 0.0, 1.0)
    said = []
    for share in (known["label_share"].min(), known["label_share"].max()):
        of = known[known["label_share"] == share]
        best = of.loc[of["value"].idxmin() if lower else of["value"].idxmax()]
        said.append(f"with {share_words(share)}: {best['model']}, {interval(best)}")
    return (
        f"{'Lowest' if lower else 'Highest'} {'; '.join(dict.fromkeys(said))}; n {number(known['n'].max())}."
    )
