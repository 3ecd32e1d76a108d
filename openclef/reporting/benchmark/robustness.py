"""Robustness: each task's main metric under changed recordings, beside recordings as they are."""

from __future__ import annotations

import pandas as pd

from openclef.reporting.benchmark.panels import Value, dot_panel
from openclef.reporting.benchmark.tables import Tables
from openclef.reporting.benchmark.variations import Variation, variation_section
from openclef.reporting.benchmark.views import (
    View,
    in_order,
    judged_otherwise,
    metric_words,
    task_name,
)
from openclef.reporting.drawing import Style, among
from openclef.reporting.markup import Html, Section, folded, number, table
from openclef.reporting.values import better, decimals, fixed, interval, model_order

AS_RECORDED = "as recorded"


def robustness_section(tables: Tables) -> Section:
    """Return a figure a task of its main metric under every condition, with the largest share of training labels.

    Args:
        tables: Of the benchmark.

    Example:
        >>> import tempfile
        >>> from pathlib import Path
        >>> from openclef.reporting.benchmark.tables import read_tables
        >>> folder = Path(tempfile.mkdtemp())
        >>> (folder / "benchmark.json").write_text("{}") and robustness_section(read_tables(folder)).anchor
        'robustness'
    """
    return variation_section(
        tables,
        Variation(
            column="condition",
            anchor="robustness",
            title="Robustness",
            absent="No condition was judged; pass conditions=[openclef.Condition(noise_snr_db=10)], for example.",
            about="Models fitted on recordings as they are, judged on the same test recordings after a change. Age and "
            "sex alone do not read the ECG and do not change. Changes are differences of two values and have no "
            "interval of their own here.",
            panel=_panel,
            values=_values,
        ),
    )


def _panel(rows: pd.DataFrame, task: str, view: View, alone: dict[str, Style]) -> Html:
    metric, unit = rows["metric"].iloc[0], rows["unit"].iloc[0]
    rows = rows[rows["model"].isin(alone)]
    conditions = ["", *(each for each in in_order(rows["condition"], None) if each)]
    values = {
        (row["model"], conditions.index(row["condition"])): Value(row["value"], row["low"], row["high"])
        for row in rows.to_dict("records")
    }
    counts = {each: rows.loc[rows["condition"] == each, "n"].max() for each in conditions}
    reading = robustness_reading(rows, metric)
    return dot_panel(
        task_name(task),
        [(each or AS_RECORDED, f"n {number(counts[each])}") for each in conditions],
        values,
        among(alone, rows["model"], hollow=False),
        axis=metric_words(metric, unit) + (", lower is better" if better(metric, 0.0, 1.0) else ""),
        alt=f"{metric_words(metric, unit)} on {task} as recorded and under {len(conditions) - 1} conditions. {reading}",
        caption=reading + judged_otherwise(rows, view),
    )


def changes(rows: pd.DataFrame) -> pd.DataFrame:
    """Return rows under conditions with the change of their value against that as recorded.

    Args:
        rows: Of one task and metric: model, protocol, condition, value.

    Example:
        >>> rows = pd.DataFrame({"model": "clef", "protocol": "probe", "condition": ["", "100 Hz"],
        ...                      "value": [0.8, 0.7]})
        >>> changes(rows)["change"].round(3).tolist()
        [-0.1]
    """
    before = rows[rows["condition"] == ""].drop_duplicates(["model", "protocol"])
    before = before[["model", "protocol", "value"]].rename(columns={"value": "before"})
    after = rows[rows["condition"] != ""].merge(before, on=["model", "protocol"], how="left")
    return after.assign(change=after["value"] - after["before"])


def robustness_reading(rows: pd.DataFrame, metric: str) -> str:
    """Say under which condition values change most, and where a model's interval is clear of that as recorded.

    Args:
        rows: Of one task and metric: model, protocol, condition, value, low, high.
        metric: Its name.

    Example:
        >>> rows = pd.DataFrame({"model": "clef", "protocol": "probe", "condition": ["", "100 Hz"], "value": [0.8, 0.7],
        ...                      "low": [0.75, 0.65], "high": [0.85, 0.74]})
        >>> robustness_reading(rows, "auroc")
        'Worse than as recorded, the intervals do not overlap: clef under 100 Hz.'
    """
    worse: dict[str, list[str]] = {}
    for model, of in rows.groupby("model", sort=False):
        before = of[of["condition"] == ""]
        if before.empty:
            continue
        low, high = float(before["low"].iloc[0]), float(before["high"].iloc[0])
        for row in of[of["condition"] != ""].to_dict("records"):
            if row["low"] > high if better(metric, 0.0, 1.0) else row["high"] < low:
                worse.setdefault(row["condition"], []).append(str(model))
    if not worse:
        return "Under every condition the intervals overlap those as recorded."
    said = "; ".join(f"{', '.join(models)} under {condition}" for condition, models in worse.items())
    return f"Worse than as recorded, the intervals do not overlap: {said}."


def _values(rows: pd.DataFrame, tasks: list[str]) -> Html:
    lines = []
    for task in tasks:
        of = rows[rows["task"] == task]
        after = changes(of)
        before = {row["model"]: row for row in of[of["condition"] == ""].to_dict("records")}
        for model in model_order(after["model"]):
            if model in before:
                row = before[model]
                metric = metric_words(row["metric"], row["unit"])
                lines.append(
                    [task_name(task), model, metric, AS_RECORDED, interval(row), "", number(row["n"])]
                )
            for each in after[after["model"] == model].to_dict("records"):
                change = fixed(each["change"], decimals(each["value"], each["high"]), sign=True)
                lines.append(
                    [
                        "",
                        model,
                        metric_words(each["metric"], each["unit"]),
                        each["condition"],
                        interval(each),
                        change,
                    ]
                    + [number(each["n"])]
                )
    headings = ["task", "model", "metric", "condition", "value [95 % interval]", "change", "n"]
    every = table(headings, lines, caption="Values under each condition, and their change", numeric=4)
    return folded("Values and changes as a table, with age and sex appended too", every)
