"""The first section: what was judged, what could not be, and averages over tasks."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from openclef.reporting.benchmark.averages import averages
from openclef.reporting.benchmark.tables import Tables
from openclef.reporting.benchmark.views import (
    in_order,
    main_metrics,
    metric_words,
    no_rows,
    of_measured_tasks,
    share_words,
    task_name,
    tasks_of,
)
from openclef.reporting.markup import Html, Section, element, fact_table, folded, join, number, table
from openclef.reporting.values import (
    WITH_AGE_SEX,
    base_of,
    is_baseline,
    model_order,
)

_BASELINES = {
    "random_encoder": "encoders of random weights, never trained, judged as the models are",
    "age_sex": "age and sex alone, no ECG",
    "features": "classical features of the ECG (rates, intervals, morphology), no network",
    "scratch": "the same architecture trained on the task's own labels from random weights",
}


def summary_section(tables: Tables) -> Section:
    """Return what was judged, what was not and why, and the averages over tasks.

    Args:
        tables: Of the benchmark.

    Example:
        >>> import tempfile
        >>> from pathlib import Path
        >>> from openclef.reporting.benchmark.tables import read_tables
        >>> folder = Path(tempfile.mkdtemp())
        >>> (folder / "benchmark.json").write_text("{}") and summary_section(read_tables(folder)).anchor
        'summary'
    """
    parts = [element("p", _overview(tables)), element("p", _how_to_read(tables)), _baselines(tables)]
    parts += [*_skipped_line(tables), *_not_measured(tables), *_notes(tables)]
    parts += averages(tables)
    parts += _costs(tables)
    parts += _tasks(tables)
    parts.append(_facts(tables))
    parts += _skipped(tables)
    return Section("summary", "Summary", join(parts))


def _overview(tables: Tables) -> str:
    """Say in a sentence what was judged."""
    rows = tables.recorded()
    alone = list(dict.fromkeys(base_of(name) for name in model_order(rows["model"])))
    if not alone:
        return "No cell of this benchmark was judged."
    models = [name for name in alone if not is_baseline(name)]
    main = main_metrics(rows).drop_duplicates("task")["metric"].value_counts()
    kinds = [
        f"{main[name]} by {words}" for name, words in (("auroc", "AUROC"), ("mae", "MAE")) if name in main
    ]
    splits = ", ".join(dict.fromkeys(each for each in rows["split"] if each)) or "judged"
    return (
        f"{_counted(len(models), 'model')} beside {_counted(len(alone) - len(models), 'baseline')} on "
        f"{_counted(rows['task'].nunique(), 'task')} ({', '.join(kinds)}), "
        f"{_counted(len(tables.leads()), 'lead')}, {_counted(rows['protocol'].nunique(), 'protocol')}, "
        f"{_counted(rows['label_share'].nunique(), 'label share')}; {splits} split."
    )


def _counted(count: int, name: str) -> str:
    return f"{count:,} {name}{'' if count == 1 else 's'}"


def _how_to_read(tables: Tables) -> Html:
    draws = tables.setting("draws")
    drawn = f" of {number(draws)} draws" if isinstance(draws, int) else ""
    said = [
        "For research. Every value has its 95 % interval: the two-level bootstrap over subjects and seeds"
        f"{drawn}, not over training sets. Where the interval of a difference contains 0, no difference was shown. ",
        element("b", WITH_AGE_SEX.strip()),
        ": the model’s features with age and sex appended, since an encoder may merely have read these from the ECG.",
    ]
    if any(task.startswith("sim/") for task in tables.metrics["task"]):
        said += [" Tasks with the badge ", element("span", "simulated", class_="badge")]
        said.append(" are of simulated patients: what holds there need not hold for people.")
    return join(said)


def _baselines(tables: Tables) -> Html:
    used = [name for name in _BASELINES if name in set(tables.metrics["model"].map(base_of))]
    if not used:
        return element("p", "No baseline was judged beside the models.", class_="missing")
    items = [element("li", element("b", name), f": {_BASELINES[name]}") for name in used]
    return join([element("p", "Baselines, grey in the figures:"), element("ul", *items, class_="list")])


def _cells(rows: pd.DataFrame) -> int:
    """Number of judged cells; a model with age and sex appended is of its model's cell."""
    alone = rows.assign(model=rows["model"].map(base_of).astype(str))
    return len(alone[["model", "task", "protocol", "lead", "label_share"]].drop_duplicates())


def _costs(tables: Tables) -> list[Html]:
    """What each model costs; nothing where the benchmark is older than its costs."""
    if tables.costs.empty:
        return []
    rows = [
        (
            str(row["model"]),
            [
                row["backbone"],
                f"{row['parameters']:,.0f}",
                f"{row['dim']:,.0f}",
                "one" if row["leads"] == "one" else str(len(str(row["leads"]).split())),
                f"{row['fs_hz']:g}",
                f"{row['window_s']:g}",
                f"{row['gflop']:.3g}",
                f"{row['embeddings_per_second']:.3g}",
            ],
        )
        for row in tables.costs.to_dict("records")
    ]
    headings = ["backbone", "parameters", "features", "leads", "Hz", "window, s", "GFLOP a lead", "leads/s"]
    threads = tables.costs["threads"].iloc[0]
    said = (
        "What embedding one lead of 10 s costs: operations of the network over all windows that it is cut into, 2 a "
        f"multiplication-addition; leads a second with preprocessing, {_counted(int(threads), 'thread')} of a CPU. "
        "Rates of one benchmark compare with each other where nothing else was running."
    )
    return [
        element("h3", "What each model costs"),
        element("p", said, class_="caption"),
        fact_table("Cost of each model", headings, rows),
    ]


def _skipped_line(tables: Tables) -> list[Html]:
    count, judged = len(tables.skipped), _cells(tables.metrics)
    if not count:
        return []
    reasons = tables.skipped["reason"].nunique()
    return [
        element(
            "p",
            f"Not judged: {count:,} of {count + judged:,} cells (model, task, lead, protocol, label share), for "
            f"{reasons} {'reasons' if reasons > 1 else 'reason'}; see ",
            element("a", "what could not be judged", href="#skipped"),
            ".",
            class_="missing",
        )
    ]


def _not_measured(tables: Tables) -> list[Html]:
    """Name the tasks whose main metric no model has: too few of the judged records are of one class."""
    main = main_metrics(tables.recorded())
    tasks = [task for task in dict.fromkeys(main["task"]) if task not in set(of_measured_tasks(main)["task"])]
    if not tasks:
        return []
    least = number(_whole(tables.setting("min_positives")))
    regression = {task for task in tasks if set(main.loc[main["task"] == task, "metric"]) == {"mae"}}
    reasons = {
        f"no label has {least} positives and {least} negatives among the judged records": [
            task for task in tasks if task not in regression
        ],
        f"fewer than {least} judged records have a value": [task for task in tasks if task in regression],
    }
    return [
        element(
            "p",
            f"Not measurable, since {reason}: {', '.join(named)}. They stand in the tables and in no average, rank or "
            "figure.",
            class_="missing",
        )
        for reason, named in reasons.items()
        if named
    ]


def _notes(tables: Tables) -> list[Html]:
    """What evaluations could not check, as benchmark.json has it."""
    notes = tables.about.get("notes")
    said: dict[str, list[str]] = {}
    for each in notes if isinstance(notes, list) else []:
        if isinstance(each, dict) and each.get("note"):
            said.setdefault(str(each["note"]), []).append(str(each.get("model", "?")))
    return [
        element("p", f"{', '.join(dict.fromkeys(models))}: {note}.", class_="missing")
        for note, models in said.items()
    ]


def _facts(tables: Tables) -> Html:
    rows = tables.metrics
    models = model_order(rows["model"])
    alone = list(dict.fromkeys(base_of(name) for name in models))
    shares = sorted(rows["label_share"].unique(), reverse=True)
    splits = ", ".join(dict.fromkeys(each for each in rows["split"] if each))
    conditions = [each for each in dict.fromkeys(rows["condition"]) if each]
    parts = list(dict.fromkeys(each.split("=")[0] for each in rows["part"] if each))
    facts: list[tuple[str, object]] = [
        ("models", ", ".join(name for name in alone if not is_baseline(name))),
        ("baselines", ", ".join(name for name in alone if is_baseline(name))),
        ("stores", ", ".join(_names(tables.about.get("stores")) or dict.fromkeys(tables.looks["store"]))),
        ("tasks", number(rows["task"].nunique()) if len(rows) else ""),
        ("protocols", ", ".join(in_order(rows["protocol"], tables.setting("protocols")))),
        ("leads", ", ".join(tables.leads())),
        ("label shares", ", ".join(share_words(share) for share in shares)),
        ("conditions", ", ".join(conditions)),
        ("subgroups by", ", ".join(parts)),
        ("judged split", splits or tables.setting("split", "")),
        ("reference", tables.setting("reference", "")),
        ("seeds", _listed(tables.setting("seeds"))),
        ("permutations", number(_whole(tables.setting("permutations")))),
        ("fewest positives", number(_whole(tables.setting("min_positives")))),
        ("versions", _versions(tables.about.get("versions"))),
        ("time taken", _time(tables.about.get("seconds"))),
    ]
    return fact_table(
        "What was judged", [], [(name, [words]) for name, words in facts if words not in ("", "–")]
    )


def _names(entries: Any) -> list[str]:
    """Names of the models or stores that benchmark.json lists, as texts, as entries with a name, or by name."""
    if isinstance(entries, dict):
        return [str(name) for name in entries]
    if not isinstance(entries, list):
        return []
    return [str(each.get("name", "?")) if isinstance(each, dict) else str(each) for each in entries]


def _listed(value: Any) -> str:
    return ", ".join(str(each) for each in value) if isinstance(value, list) else ""


def _whole(value: Any) -> float | None:
    return value if isinstance(value, int | float) else None


def _versions(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{name} {version}" for name, version in value.items())
    return str(value or "")


def _time(seconds: Any) -> str:
    if not isinstance(seconds, int | float):
        return ""
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"


def _tasks(tables: Tables) -> list[Html]:
    rows = main_metrics(tables.recorded())
    heading = element("h3", "Tasks")
    if rows.empty:
        return [heading, no_rows("benchmark.csv", "no result")]
    stores = _stores_of_tasks(tables)
    lines = []
    for task in tasks_of(rows, tables):
        of = rows[rows["task"] == task]
        looks = tables.looks[tables.looks["task"] == task].drop_duplicates("store", keep="last")
        labels = tables.labels[tables.labels["task"] == task].drop_duplicates("label")
        measured = f"{int(labels['measurable'].astype(bool).sum())} of {len(labels)}" if len(labels) else "–"
        subjects = number(looks["subjects"].sum()) if len(looks) and looks["subjects"].notna().all() else "–"
        lines.append(
            [
                task_name(task),
                metric_words(of["metric"].iloc[0], of["unit"].iloc[0]),
                ", ".join(stores.get(task, ()) or dict.fromkeys(looks["store"])) or "–",
                _spread(of["n"].to_numpy(float)),
                subjects,
                measured,
            ]
        )
    headings = ["task", "judged by", "stores", "records", "subjects", "labels measured"]
    caption = "Records and subjects of the judged split; a label with too few positives or negatives is not measured"
    return [heading, table(headings, lines, caption=caption, numeric=3)]


def _stores_of_tasks(tables: Tables) -> dict[str, list[str]]:
    """Names of the stores that were judged on each task, as benchmark.json has them."""
    tasks = tables.about.get("tasks")
    return {
        str(each.get("name")): [str(name) for name in each["stores"]]
        for each in (tasks if isinstance(tasks, list) else [])
        if isinstance(each, dict) and isinstance(each.get("stores"), list)
    }


def _spread(values: np.ndarray) -> str:
    known = values[np.isfinite(values)]
    if not len(known):
        return "–"
    low, high = known.min(), known.max()
    return number(low) if low == high else f"{number(low)} to {number(high)}"


def _skipped(tables: Tables) -> list[Html]:
    heading = element("h3", "What could not be judged", id="skipped")
    rows = tables.skipped
    if rows.empty:
        return [heading, element("p", "Nothing was left out: every cell that was asked for was judged.")]
    columns = ["task", "lead", "protocol", "label_share", "model"]
    reasons = [
        [reason, number(len(of)), *(_some(of[name]) for name in columns)]
        for reason, of in rows.groupby("reason", sort=False)
    ]
    headings = ["reason", "cells", "tasks", "leads", "protocols", "label shares", "models"]
    lead = [[element("span", line[0], class_="reason"), *line[1:]] for line in reasons]
    parts = [heading, table(headings, lead, caption="Cells that could not be judged, by reason", numeric=99)]
    if len(rows) > len(reasons):
        every = [
            [task_name(row["task"]), *(row[name] or "all" for name in columns[1:]), row["reason"]]
            for _, row in rows.iterrows()
        ]
        body = table(["task", *columns[1:], "reason"], every, caption="Each cell", numeric=99)
        parts.append(folded(f"Each cell ({len(rows):,} rows)", body))
    return parts


def _some(names: pd.Series) -> str:
    """The different names of a column, a few of them."""
    found = [name or "all" for name in dict.fromkeys(names)]
    return ", ".join(found[:4]) + (f" and {len(found) - 4} more" if len(found) > 4 else "")
