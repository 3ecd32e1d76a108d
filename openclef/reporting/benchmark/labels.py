"""AUROC of each label: bars by model, the most frequent label first, and labels that are too rare in a list."""

from __future__ import annotations

import pandas as pd

from openclef.reporting.benchmark.panels import Value, dot_panel
from openclef.reporting.benchmark.tables import Tables
from openclef.reporting.benchmark.value_table import by_protocol, value_table
from openclef.reporting.benchmark.views import (
    OPEN_TASKS,
    View,
    judged_otherwise,
    no_rows,
    open_first,
    rows_of,
    share_words,
    styles_of,
    task_name,
    tasks_of,
    views_of,
)
from openclef.reporting.drawing import Style, among, with_key
from openclef.reporting.markup import Html, Section, breakable, element, folded, join, number, table
from openclef.reporting.values import interval

_OPEN = 12
"""A task with more labels is folded, but for the first task; so are tasks after the first `OPEN_TASKS`."""


def labels_section(tables: Tables) -> Section:
    """Return the labels of every task, with the largest share of training labels.

    Args:
        tables: Of the benchmark.

    Example:
        >>> import tempfile
        >>> from pathlib import Path
        >>> from openclef.reporting.benchmark.tables import read_tables
        >>> folder = Path(tempfile.mkdtemp())
        >>> (folder / "benchmark.json").write_text("{}") and labels_section(read_tables(folder)).title
        'Labels one by one'
    """
    title, rows = "Labels one by one", tables.labels
    if rows.empty:
        return Section("labels", title, no_rows("labels.csv", "no task has more than one label"))
    share = rows["label_share"].max()
    rows = rows[rows["label_share"] == share]
    least = tables.setting("min_positives", 10)
    about = element(
        "p",
        f"One label against the rest, {share_words(share)}, ordered by prevalence among the judged records. "
        "Beneath each label: its prevalence and positives; few positives give wide intervals. Bars begin at 0.5, "
        "what chance gives. Models with age and sex appended stand in the tables.",
    )
    styles = styles_of(tables)
    views = views_of(rows, tables)

    def show(view: View) -> Html:
        return _view(rows, view, tables, styles, least, whole=view == views[0])

    return Section(
        "labels",
        title,
        join([about, open_first(views, show)]),
    )


def _view(
    rows: pd.DataFrame,
    view: View,
    tables: Tables,
    styles: dict[str, Style],
    least: object,
    *,
    whole: bool,
) -> Html:
    here = rows_of(rows, view)
    alone = among(styles, here["model"], hollow=False)
    parts = []
    for place, task in enumerate(tasks_of(here, tables)):
        of = here[here["task"] == task]
        body = _task(of, task, view, alone, least)
        if whole:
            body = join([body, _tables(of, task)])
        count = of["label"].nunique()
        heading = element("h4", task_name(task), element("span", _labels(count), class_="sub"))
        if place and (count > _OPEN or place >= OPEN_TASKS):
            parts.append(folded(join([task_name(task), f" ({_labels(count)})"]), body))
        else:
            parts += [heading, body]
    return with_key(alone, *parts)


def _labels(count: int) -> str:
    return f"{count} label{'s' * (count != 1)}"


def _task(rows: pd.DataFrame, task: str, view: View, alone: dict[str, Style], least: object) -> Html:
    once = rows.drop_duplicates("label").sort_values("prevalence", ascending=False, kind="stable")
    measured, rare = once[once["measurable"].astype(bool)], once[~once["measurable"].astype(bool)]
    parts: list[Html] = []
    if len(measured):
        labels = list(measured["label"])
        lines = [
            (row["label"], f"{_percent(row['prevalence'])}, {number(row['positives'])} of {number(row['n'])}")
            for row in measured.to_dict("records")
        ]
        shown = rows[rows["label"].isin(labels)]
        values = {
            (row["model"], labels.index(row["label"])): Value(
                row["auroc"], row["auroc_low"], row["auroc_high"]
            )
            for row in shown.to_dict("records")
        }
        models = among(alone, rows["model"], hollow=False)
        parts.append(
            dot_panel(
                "",
                lines,
                values,
                models,
                axis="AUROC",
                alt=f"AUROC of {_labels(len(labels))} of {task} by {len(models)} models, with intervals; labels.csv "
                "has the values",
                caption=labels_reading(shown[shown["model"].isin(models)]) + judged_otherwise(shown, view),
                at=0.5,
                bars=True,
            )
        )
    if len(rare):
        parts.append(_rare(rare, least))
    return join(parts)


def _percent(prevalence: float) -> str:
    return f"{100 * prevalence:.2g} %" if prevalence < 0.1 else f"{100 * prevalence:.0f} %"


def _rare(rare: pd.DataFrame, least: object) -> Html:
    items = [
        element(
            "li", element("b", breakable(row["label"])), f" {number(row['positives'])} of {number(row['n'])}"
        )
        for row in rare.to_dict("records")
    ]
    start = f"Too rare to measure here (fewer than {least} positives or negatives), with their positives: "
    return join([element("p", start, class_="caption"), element("ul", *items, class_="list rare")])


def labels_reading(rows: pd.DataFrame) -> str:
    """Say which model is ahead on most labels, and how many intervals contain chance.

    Args:
        rows: Of labels.csv, of one task: model, label, auroc, auroc_low, auroc_high.

    Example:
        >>> rows = pd.DataFrame({"model": ["clef", "age_sex"], "label": "AF", "auroc": [0.9, 0.6],
        ...                      "auroc_low": [0.8, 0.4], "auroc_high": [0.95, 0.7]})
        >>> labels_reading(rows)
        'Highest: clef, 0.900 [0.800, 0.950]. Interval reaches down to 0.5 or below: age_sex on 1.'
    """
    known = rows[rows["auroc"].notna()]
    if known.empty:
        return ""
    highest = known.loc[known.groupby("label", sort=False)["auroc"].idxmax()]
    best = highest["model"].value_counts()
    leaders = [name for name in best.index if best[name] == best.iloc[0]]
    if len(highest) == 1:
        first = highest.iloc[0]
        ends = {"value": first["auroc"], "low": first["auroc_low"], "high": first["auroc_high"]}
        said = f"Highest: {leaders[0]}, {interval(ends)}."
    else:
        each = " each" if len(leaders) > 1 else ""
        said = f"Highest on most labels: {', '.join(leaders)} ({best.iloc[0]} of {len(highest)}{each})."
    chance = known[known["auroc_low"].round(3) <= 0.5]["model"].value_counts()
    if len(chance):
        listed = ", ".join(
            f"{name} on {chance[name]}" for name in dict.fromkeys(known["model"]) if name in chance
        )
        said += f" Interval reaches down to 0.5 or below: {listed}."
    return said


def _tables(rows: pd.DataFrame, task: str) -> Html:
    once = rows.drop_duplicates("label").sort_values("prevalence", ascending=False, kind="stable")
    labels = list(once["label"])
    about = [
        [row["label"], _percent(row["prevalence"]), number(row["positives"]), number(row["n"])]
        for row in once.to_dict("records")
    ]
    headings = {label: label for label in labels}
    parts = []
    for metric, title in (("auroc", "AUROC"), ("auprc", "AUPRC")):
        of = rows.assign(value=rows[metric], low=rows[f"{metric}_low"], high=rows[f"{metric}_high"])
        caption = f"{title} of each label of {task}; in the heading its positives"
        parts.append(value_table(by_protocol(of), "label", headings, caption=caption, count="positives"))
    counts = table(["label", "prevalence", "positives", "records"], about, caption=f"Labels of {task}")
    return folded(f"AUROC and AUPRC of {_labels(len(labels))} as tables", *parts, counts)
