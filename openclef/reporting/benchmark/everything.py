"""All rows of benchmark.csv, folded task by task."""

from __future__ import annotations

import numpy as np
import pandas as pd

from openclef.reporting.benchmark.tables import Tables
from openclef.reporting.benchmark.views import no_rows, tasks_of
from openclef.reporting.markup import Html, Section, element, folded, join, number, table
from openclef.reporting.values import interval, metric_title, model_order

LIMIT = 10_000
"""Rows that the page holds at most; the file has all."""


def everything_section(tables: Tables, limit: int = LIMIT) -> Section:
    """Return every metric of every model, without those of single labels.

    Args:
        tables: Of the benchmark.
        limit: Rows at most.

    Example:
        >>> import tempfile
        >>> from pathlib import Path
        >>> from openclef.reporting.benchmark.tables import read_tables
        >>> folder = Path(tempfile.mkdtemp())
        >>> (folder / "benchmark.json").write_text("{}") and everything_section(read_tables(folder)).anchor
        'everything'
    """
    title = "All metrics"
    if tables.metrics.empty:
        return Section("everything", title, no_rows("benchmark.csv", "no result"))
    rows = tables.metrics[~tables.metrics["metric"].str.contains(":", regex=False)]
    tasks = tasks_of(rows, tables)
    cut = ""
    if len(rows) > limit:
        kept = [
            of.head(max(1, limit // len(tasks)))
            for of in (_sorted(rows[rows["task"] == task]) for task in tasks)
        ]
        cut = f" The page holds the first {sum(map(len, kept)):,} of {len(rows):,}; benchmark.csv has all."
        rows = pd.concat(kept)
    parts: list[object] = [
        element(
            "p",
            "Every metric under every protocol, lead, label share, condition and part, as benchmark.csv has them; "
            f"those of single labels are in labels.csv.{cut}",
        )
    ]
    for task in tasks:
        of = _sorted(rows[rows["task"] == task])
        parts.append(folded(f"{task} ({len(of):,} rows)", _table(of, task)))
    return Section("everything", title, join(parts))


def _sorted(rows: pd.DataFrame) -> pd.DataFrame:
    place = {name: i for i, name in enumerate(model_order(rows["model"]))}
    metrics = {name: i for i, name in enumerate(dict.fromkeys(rows["metric"]))}
    first = (rows["condition"] != "") | (rows["part"] != "")
    keys = [rows["model"].map(place), rows["metric"].map(metrics), -rows["label_share"], first]
    return rows.iloc[np.lexsort(keys)]


def _table(rows: pd.DataFrame, task: str) -> Html:
    extra = [name for name in ("protocol", "lead", "condition", "part") if rows[name].nunique() > 1]
    shares = rows["label_share"].nunique() > 1
    headings = [
        "metric",
        "model",
        *extra,
        *(["labels"] if shares else []),
        "value [95 % interval]",
        "n",
        "seeds",
    ]
    cells = [
        [
            metric_title(row["metric"]),
            row["model"],
            *(row[name] for name in extra),
            *([f"{100 * row['label_share']:.3g} %"] if shares else []),
            interval(row, unit=row["unit"] if row["metric"] in ("mae", "rmse") else ""),
            number(row["n"]),
            number(row["seeds"]),
        ]
        for row in rows.to_dict("records")
    ]
    notes = [note for note in dict.fromkeys(rows["note"]) if note]
    body = table(headings, cells, caption=task, numeric=2 + len(extra) + shares)
    return join([body, *(element("p", f"Note: {note}", class_="note") for note in notes[:8])])
