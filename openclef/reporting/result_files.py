"""Reading what evaluations saved: metrics.json and evaluation.json of a folder, and many of them as one table."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pandas as pd

RESULT_COLUMNS = ("model", "task", "metric", "value")
_SAME_ROW = ["model", "task", "protocol", "lead", "metric", "label_share", "condition", "part"]
_SAME_VALUE = ["value", "low", "high", "n", "seeds"]


def read_json(path: Path) -> Any:
    """Read a JSON file.

    Raises:
        ValueError: It is damaged; the message names it.

    Example:
        >>> import tempfile
        >>> file = Path(tempfile.mkdtemp()) / "a.json"
        >>> file.write_text("[1, 2") and read_json(file)
        Traceback (most recent call last):
        ...
        ValueError: ...a.json is damaged (Expecting ',' delimiter...); restore it, or leave its folder out.
    """
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ValueError(f"{path} is damaged ({error}); restore it, or leave its folder out.") from error


def read_results(folder: Path) -> tuple[pd.DataFrame | None, str]:
    """Read the rows that an evaluation saved in a folder.

    Args:
        folder: With metrics.json, and evaluation.json where it says its split.

    Returns:
        Its rows, with the columns source (the folder) and split added, or None with why they were passed over.

    Raises:
        ValueError: A file is damaged; the message names it.

    Example:
        >>> import tempfile
        >>> folder = Path(tempfile.mkdtemp())
        >>> file = folder / "metrics.json"
        >>> file.write_text('[{"model": "m", "task": "t", "metric": "auroc", "value": 0.7}]') > 0
        True
        >>> read_results(folder)[0]["value"].tolist()
        [0.7]
    """
    rows = read_json(folder / "metrics.json")
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        return None, f"{folder / 'metrics.json'} holds no rows of an evaluation and was passed over."
    if not rows:
        return None, ""
    table = pd.DataFrame(rows)
    absent = [name for name in RESULT_COLUMNS if name not in table]
    if absent:
        return None, f"{folder / 'metrics.json'} lacks the columns {', '.join(absent)} and was passed over."
    for name in ("model", "task", "metric"):
        if not all(isinstance(each, str) and each for each in table[name]):
            raise ValueError(
                f"{folder / 'metrics.json'} is damaged (column {name}: a row has no name); restore it, or leave its "
                "folder out."
            )
    about = read_json(folder / "evaluation.json") if (folder / "evaluation.json").is_file() else {}
    about = about if isinstance(about, dict) else {}
    for name in ("value", "low", "high", "n", "seeds", "label_share"):
        if name not in table:
            table[name] = 1.0 if name == "label_share" else float("nan")
        table[name] = _numbers(table[name], folder / "metrics.json")
    table["label_share"] = table["label_share"].fillna(1.0)
    for name in ("protocol", "lead", "condition", "part", "note"):
        table[name] = table[name].fillna("").astype(str) if name in table else ""
    table["split"] = str(about.get("split") or "")
    table["judged_note"] = str(about.get("note") or "")
    table["source"] = str(folder)
    return table, ""


def _numbers(column: pd.Series, file: Path) -> pd.Series:
    try:
        return pd.to_numeric(column).astype(float)
    except (ValueError, TypeError) as error:
        raise ValueError(
            f"{file} is damaged (column {column.name}: {error}); restore it, or leave its folder out."
        ) from error


def join_results(tables: list[pd.DataFrame]) -> pd.DataFrame:
    """Join result tables; a row that stands in several files is kept once, from the one that says its split.

    Args:
        tables: As `read_results` gives them.

    Example:
        >>> join_results([]).empty
        True
    """
    if not tables:
        return pd.DataFrame()
    every = pd.concat(tables, ignore_index=True)
    every["said"] = every["split"] == ""
    every["place"] = range(len(every))
    every = every.sort_values(["said", "place"], kind="stable")
    rounded = every[_SAME_VALUE].round(9)
    identity = pd.concat([every[_SAME_ROW], rounded], axis=1).astype(str)
    with_split = pd.concat([identity, every["split"]], axis=1)
    stated = identity[~every["said"].to_numpy()]
    known = pd.MultiIndex.from_frame(stated) if len(stated) else None
    copy = with_split.duplicated()
    if known is not None:
        copy |= every["said"] & pd.MultiIndex.from_frame(identity).isin(known)
    return every[~copy].sort_values("place").drop(columns=["said", "place"]).reset_index(drop=True)
