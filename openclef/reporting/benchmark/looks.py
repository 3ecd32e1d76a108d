"""The ledger: how often each test set was looked at, with what, and when."""

from __future__ import annotations

import pandas as pd

from openclef.protocol.ledger import COLUMNS, count_looks
from openclef.reporting.benchmark.tables import Tables
from openclef.reporting.benchmark.views import share_words, task_name
from openclef.reporting.markup import Html, Section, element, folded, join, number, table

LIMIT = 3_000
"""Rows that the page holds at most; the file has all."""


def looks_section(tables: Tables) -> Section:
    """Return the number of looks at each test set, and the ledger's rows folded.

    Args:
        tables: Of the benchmark.

    Example:
        >>> import tempfile
        >>> from pathlib import Path
        >>> from openclef.reporting.benchmark.tables import read_tables
        >>> folder = Path(tempfile.mkdtemp())
        >>> (folder / "benchmark.json").write_text("{}") and looks_section(read_tables(folder)).anchor
        'looks'
    """
    title = "Looks at the test sets"
    rows = tables.looks.reindex(columns=[*COLUMNS], fill_value="")  # an older ledger has fewer
    if rows.empty:
        said = "looks.csv has no rows: no look at a test set is noted."
        if tables.setting("split") == "val":
            said = "Judged on validation: no look at a test set is noted."
        return Section("looks", title, element("p", said, class_="missing"))
    about = element(
        "p",
        "Every evaluation on a test split is noted in its store’s ledger, by this benchmark or before it. The "
        "same model, weights, settings, protocol, lead, label share and condition again is no new look. The more looks "
        "choices were made after, the more the best value of a test set flatters.",
    )
    parts = [about, element("p", looks_reading(rows)), _counts(rows), _rows(rows)]
    return Section("looks", title, join(parts))


def looks_reading(rows: pd.DataFrame) -> str:
    """Say which test set was looked at most.

    Args:
        rows: Of looks.csv.

    Example:
        >>> row = {"store": "a", "task": "a/af", "model": "clef", "weights": "1", "protocol": "probe", "lead": "I",
        ...        "label_share": 1.0, "condition": ""}
        >>> looks_reading(pd.DataFrame([row, row | {"lead": "II"}]).reindex(columns=[*COLUMNS], fill_value=""))
        'Most looks: a/af of a, 2 different ones, of 1 model and 1 set of weights.'
    """
    counts = count_looks(rows).sort_values("looks", ascending=False, kind="stable").iloc[0]
    of = rows[(rows["store"] == counts["store"]) & (rows["task"] == counts["task"])]
    models, weights = of["model"].nunique(), of["weights"].nunique()
    return (
        f"Most looks: {counts['task']} of {counts['store']}, {counts['looks']:,} different ones, of {models} "
        f"{'models' if models != 1 else 'model'} and {weights} {'sets' if weights != 1 else 'set'} of weights."
    )


def _counts(rows: pd.DataFrame) -> Html:
    lines = []
    for row in count_looks(rows).sort_values(["store", "task"], kind="stable").to_dict("records"):
        of = rows[(rows["store"] == row["store"]) & (rows["task"] == row["task"])]
        times = sorted(each for each in of["time"] if each)
        lines.append(
            [
                task_name(row["task"]),
                row["store"],
                _moment(times[0] if times else ""),
                _moment(times[-1] if times else ""),
                _listed(of["protocol"]),
                _listed(of["lead"]),
                ", ".join(f"{100 * share:.3g} %" for share in sorted(of["label_share"].unique())),
                number(row["looks"]),
                number(of["model"].nunique()),
                number(of["weights"].nunique()),
                number(len({each for each in of["condition"] if each})),
            ]
        )
    headings = [
        "task",
        "store",
        "first",
        "last",
        "protocols",
        "leads",
        "label shares",
        "looks",
        "models",
        "weights",
    ]
    caption = "Different looks at each test set; times are UTC"
    return table([*headings, "conditions"], lines, caption=caption, numeric=7)


def _moment(time: str) -> Html:
    return element("span", time[:16].replace("T", " ") or "–", class_="moment")


def _listed(names: pd.Series) -> str:
    return ", ".join(dict.fromkeys(str(each) for each in names))


def _rows(rows: pd.DataFrame) -> Html:
    ordered = rows.sort_values("time", ascending=False, kind="stable")
    lines = [
        [
            _moment(row["time"]),
            task_name(row["task"]),
            row["store"],
            row["model"],
            row["weights"][:12],
            row["protocol"],
            row["lead"],
            share_words(row["label_share"]),
            row["condition"] or "as recorded",
            number(row["records"]),
            number(row["subjects"]),
        ]
        for row in ordered.head(LIMIT).to_dict("records")
    ]
    headings = [
        "time",
        "task",
        "store",
        "model",
        "weights",
        "protocol",
        "lead",
        "labels",
        "condition",
        "records",
    ]
    cut = f"; the latest {LIMIT:,} of {len(rows):,}, looks.csv has all" if len(rows) > LIMIT else ""
    body = table([*headings, "subjects"], lines, caption=f"The ledger, latest first{cut}", numeric=9)
    return folded(f"The ledger ({len(rows):,} rows)", body)
