"""Subgroups: each task's main metric by sex, age band or store."""

from __future__ import annotations

import re
from itertools import combinations

import pandas as pd

from openclef.reporting.benchmark.panels import Value, dot_panel
from openclef.reporting.benchmark.tables import Tables
from openclef.reporting.benchmark.variations import Variation, variation_section
from openclef.reporting.benchmark.views import (
    View,
    judged_otherwise,
    metric_words,
    task_name,
)
from openclef.reporting.drawing import Style, among
from openclef.reporting.markup import Html, Section, folded, number, table
from openclef.reporting.values import better, interval, model_order

_KINDS = ("sex", "age_band", "store")
FEWEST = 10
"""Records of a part that is drawn; smaller ones stand in the table."""


def subgroups_section(tables: Tables) -> Section:
    """Return a figure a task of its main metric in every part, with the largest share of training labels.

    Args:
        tables: Of the benchmark.

    Example:
        >>> import tempfile
        >>> from pathlib import Path
        >>> from openclef.reporting.benchmark.tables import read_tables
        >>> folder = Path(tempfile.mkdtemp())
        >>> (folder / "benchmark.json").write_text("{}") and subgroups_section(read_tables(folder)).anchor
        'subgroups'
    """
    return variation_section(
        tables,
        Variation(
            column="part",
            anchor="subgroups",
            title="Subgroups",
            absent='No subgroup was judged; pass by=("sex", "age_band") to openclef.benchmark.',
            about="The same fitted models on parts of the judged records. Groups with few positives have wide "
            "intervals, and a label can be measurable in one group and not in another; a higher or lower value may "
            "come from easier or harder records.",
            panel=_panel,
            values=_values,
        ),
    )


def part_order(parts: list[str]) -> list[str]:
    """Order parts: all records, sex, age bands from young to old, stores, and unknown ones last of their kind.

    Example:
        >>> part_order(["age_band=60-74", "sex=unknown", "", "age_band=0-39", "sex=female"])
        ['', 'sex=female', 'sex=unknown', 'age_band=0-39', 'age_band=60-74']
    """

    def key(part: str) -> tuple[int, str, bool, float, str]:
        kind, _, name = part.partition("=")
        place = 0 if not part else _KINDS.index(kind) + 1 if kind in _KINDS else len(_KINDS) + 1
        low = re.match(r"\d+(?:\.\d+)?", name)
        return place, kind, name == "unknown", float(low[0]) if low else 0.0, name

    return sorted(dict.fromkeys(parts), key=key)


def part_words(part: str) -> str:
    """Say a part.

    Example:
        >>> part_words("age_band=60-74"), part_words("age_band=75-149"), part_words("sex=unknown"), part_words("")
        ('60–74 years', '75 years and over', 'sex unknown', 'all records')
    """
    if not part:
        return "all records"
    kind, _, name = part.partition("=")
    if kind == "age_band" and (ends := re.fullmatch(r"(\d+)-(\d+)", name)):
        if int(ends[2]) > 120:
            return f"{ends[1]} years and over"
        return f"under {int(ends[2]) + 1} years" if int(ends[1]) == 0 else f"{ends[1]}–{ends[2]} years"
    if name == "unknown":
        return f"{kind.replace('age_band', 'age')} unknown"
    return name if kind == "sex" else part.replace("=", " ")


def _panel(rows: pd.DataFrame, task: str, view: View, alone: dict[str, Style]) -> Html:
    metric, unit = rows["metric"].iloc[0], rows["unit"].iloc[0]
    rows = rows[rows["model"].isin(alone)]
    counts = rows.groupby("part")["n"].max()
    measured = set(rows.loc[rows["value"].notna() & (rows["n"] >= FEWEST), "part"])
    every = part_order(list(rows["part"]))
    parts = [part for part in every if part in measured]
    absent = [f"{part_words(part)} (n {number(counts[part])})" for part in every if part not in measured]
    values = {
        (row["model"], parts.index(row["part"])): Value(row["value"], row["low"], row["high"])
        for row in rows[rows["part"].isin(parts)].to_dict("records")
    }
    axis = metric_words(metric, unit) + (", lower is better" if better(metric, 0.0, 1.0) else "")
    said = subgroups_reading(rows[rows["part"].isin(parts)])
    if absent:
        said += f" Not measurable, or fewer than {FEWEST} records: {', '.join(absent)}."
    return dot_panel(
        task_name(task),
        [(part_words(part), f"n {number(counts[part])}") for part in parts],
        values,
        among(alone, rows["model"], hollow=False),
        axis=axis,
        alt=f"{metric_words(metric, unit)} on {task} by part of the records: "
        f"{', '.join(map(part_words, parts))}. {said}",
        caption=said + judged_otherwise(rows, view),
        at=0.5 if metric == "auroc" else None,
    )


def subgroups_reading(rows: pd.DataFrame) -> str:
    """Say between which groups of one kind a model's intervals do not overlap.

    Args:
        rows: Of one task and metric: model, part, value, low, high.

    Example:
        >>> rows = pd.DataFrame({"model": "clef", "part": ["sex=female", "sex=male"], "value": [0.9, 0.7],
        ...                      "low": [0.85, 0.65], "high": [0.95, 0.75]})
        >>> subgroups_reading(rows)
        'Intervals that do not overlap: clef, female and male.'
    """
    apart: dict[str, list[str]] = {}
    compared = False
    known = rows[(rows["part"] != "") & rows["low"].notna() & rows["high"].notna()]
    for model, of in known.groupby("model", sort=False):
        ends = {row["part"]: (row["low"], row["high"]) for row in of.to_dict("records")}
        for one, other in combinations(part_order(list(ends)), 2):
            if one.split("=")[0] != other.split("=")[0]:
                continue
            compared = True
            if ends[one][0] > ends[other][1] or ends[other][0] > ends[one][1]:
                apart.setdefault(f"{part_words(one)} and {part_words(other)}", []).append(str(model))
    if not compared:
        return "No two groups of one kind were measured."
    if not apart:
        return "The intervals of every model’s groups overlap."
    said = [f"{', '.join(models)}, {pair}" for pair, models in apart.items()]
    more = f"; and {len(said) - 3} more pairs" if len(said) > 3 else ""
    return f"Intervals that do not overlap: {'; '.join(said[:3])}{more}."


def _values(rows: pd.DataFrame, tasks: list[str]) -> Html:
    places = [
        {name: i for i, name in enumerate(order)}
        for order in (tasks, part_order(list(rows["part"])), model_order(rows["model"]))
    ]
    records = sorted(
        rows.to_dict("records"),
        key=lambda row: [place[row[name]] for place, name in zip(places, ("task", "part", "model"))],
    )
    lines = [
        [
            task_name(row["task"]),
            part_words(row["part"]),
            row["model"],
            metric_words(row["metric"], row["unit"]),
            interval(row),
            number(row["n"]),
        ]
        for row in records
    ]
    headings = ["task", "part", "model", "metric", "value [95 % interval]", "n"]
    every = table(headings, lines, caption="Values by part of the records", numeric=4)
    return folded(f"All {len(rows):,} values as a table, with age and sex appended too", every)
