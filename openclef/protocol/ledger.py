"""The ledger of looks at a test split: one line for each, in the store whose test split was looked at.

A look is a model judged on a task's test split under one protocol with its settings, lead, label budget and condition.
The same again is no new look: it gives the same number. What counts is how many different ones there were, since the
best of many looks is better than it should be.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pandas as pd

from openclef.store import Store, open_store

__all__ = ["COLUMNS", "FILE", "count_looks", "read_looks", "record_looks"]

FILE = "looks.jsonl"
COLUMNS = (
    "time", "store", "task", "model", "weights", "settings", "protocol", "lead", "label_share", "condition", "records",
    "subjects",
)  # fmt: skip
_DIFFERENT = ["model", "weights", "settings", "protocol", "lead", "label_share", "condition"]


def record_looks(store: Store, looks: Iterable[Mapping[str, Any]]) -> str:
    """Append looks to a store's ledger.

    Args:
        store: The store whose test split was looked at.
        looks: For each the columns after `store` in `COLUMNS`.

    Returns:
        "", or a sentence that says why nothing could be written.

    Example:
        >>> import tempfile
        >>> from openclef.simulator.cohort import simulate
        >>> store = simulate(tempfile.mkdtemp() + "/sim", patients=5, workers=1)
        >>> look = dict.fromkeys(COLUMNS[2:], "") | {"task": "sim/af", "model": "clef"}
        >>> record_looks(store, [look, look]), count_looks(read_looks([store])).values.tolist()
        ('', [['sim', 'sim/af', 1]])
    """
    now = datetime.now(UTC).isoformat(timespec="seconds")
    lines = "".join(
        json.dumps({"time": now, "store": store.name} | dict(look), default=str) + "\n" for look in looks
    )
    try:
        with (store.path / FILE).open("ab+") as file:
            if file.tell():
                file.seek(-1, os.SEEK_END)
                lines = ("" if file.read(1) == b"\n" else "\n") + lines  # after one that was cut off
            file.write(lines.encode())  # one write, so that lines of two processes do not mix
    except OSError as error:
        return f"the look at {store.name}'s test split could not be noted in {store.path / FILE} ({error})"
    return ""


def read_looks(stores: Sequence[Store | str | Path]) -> pd.DataFrame:
    """Read the ledgers of stores.

    Args:
        stores: The stores, or their folders.

    Returns:
        One row a look, with the columns `COLUMNS`; empty where nobody has looked yet.

    Raises:
        ValueError: A ledger is damaged; the message names file and line.

    Example:
        >>> list(read_looks([]).columns[:4])
        ['time', 'store', 'task', 'model']
    """
    rows: list[dict[str, Any]] = []
    for each in stores:
        store = each if isinstance(each, Store) else open_store(each)
        file = store.path / FILE
        lines = file.read_bytes().splitlines() if file.is_file() else []
        for number, line in enumerate(lines, start=1):
            if not line.strip():
                continue
            try:
                row = json.loads(line)
            except ValueError as error:  # an encoding's errors are of this kind too
                raise ValueError(
                    f"{file}, line {number}, is damaged ({error}); correct that line or remove it."
                ) from None
            if not isinstance(row, dict) or not all(row.get(name) for name in ("store", "task", "model")):
                raise ValueError(f"{file}, line {number}, is no look; correct that line or remove it.")
            rows.append({name: row.get(name, "") for name in COLUMNS})
    return pd.DataFrame(rows, columns=list(COLUMNS))


def count_looks(looks: pd.DataFrame) -> pd.DataFrame:
    """Count the different looks at each task of each store.

    Args:
        looks: As `read_looks` gives them.

    Returns:
        A table with the columns store, task, looks.

    Example:
        >>> count_looks(read_looks([])).columns.tolist()
        ['store', 'task', 'looks']
    """
    once = looks.drop_duplicates(["store", "task", *_DIFFERENT])
    return once.groupby(["store", "task"], sort=True).size().rename("looks").reset_index()
