"""What the label columns of a table are: declared by the user, or inferred from their cells and told."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from openclef.database.metadata_table import MISSING, PLAUSIBLE, YES_NO
from openclef.task import KINDS

MOST_CLASSES = 30
"""A column of text with more values than this is no label."""

MOST_INTEGER_CLASSES = 10
"""A column of whole numbers with more values than this is a quantity."""

_TRUTH = {"0", "1", "0.0", "1.0", "yes", "no", "y", "n", "true", "false"}
_KEPT = {*PLAUSIBLE, *YES_NO, "sex", "age_over_89"}


def declare_labels(
    frame: pd.DataFrame, labels: Mapping[str, Any] | Sequence[str] | None, taken: set[str], name: str
) -> tuple[dict[str, dict[str, Any]], list[str]]:
    """Say what each label column is, for ``describe_records``.

    Args:
        frame: table of strings from ``read_table``.
        labels: column names; or a mapping from column name to kind, or to settings with ``"kind"``; None: all
            columns that look like labels.
        taken: columns that are no labels.
        name: the store's name; a task is ``name/column``.

    Returns:
        Task name to its settings, and a line a column in words.

    Raises:
        ValueError: if a column is missing or looks like no label, or a kind is unknown.

    Example:
        >>> table = pd.DataFrame({"id": ["a", "b"], "af": ["1", "0"], "ef": ["55.5", "60"]})
        >>> tasks, told = declare_labels(table, None, {"id"}, "mine")
        >>> told
        ['mine/af: binary, inferred (0: 1, 1: 1)', 'mine/ef: regression, inferred (2 values, 55.5 to 60)']
    """
    if labels is None:
        wanted: dict[str, Any] = {str(column): None for column in frame if column not in taken | _KEPT}
    elif isinstance(labels, Mapping):
        wanted = dict(labels)
    else:
        wanted = dict.fromkeys([labels] if isinstance(labels, str) else labels)
    tasks, told = {}, []
    for column, given in wanted.items():
        if column not in frame:
            raise ValueError(
                f"labels names {column}, which is no column; there are {', '.join(frame.columns)}"
            )
        cells = frame[column].where(~frame[column].str.lower().isin(MISSING), "")
        settings = dict(given) if isinstance(given, Mapping) else {} if given is None else {"kind": given}
        inferred = "kind" not in settings
        if inferred:
            kind = infer_kind(cells[cells != ""])
            if kind is None and labels is None:
                told.append(f"{column}: no label ({_looks(cells)}); left out")
                continue
            if kind is None:
                raise ValueError(
                    f"column {column} looks like no label ({_looks(cells)}); pass its kind, for example "
                    f"labels={{{column!r}: 'multiclass'}}"
                )
            settings["kind"] = kind
        if settings["kind"] not in KINDS:
            raise ValueError(f"labels: {column} is {settings['kind']!r}; accepted are {', '.join(KINDS)}")
        if settings["kind"] in ("multiclass", "multilabel") and "labels" not in settings:
            settings["labels"] = _values(cells, settings)
        task = f"{name}/{column}"
        tasks[task] = {"column": column, **settings}
        how = ", inferred" if inferred else ""
        told.append(f"{task}: {settings['kind']}{how} ({_counts(cells, settings)})")
    return tasks, told


def infer_kind(cells: pd.Series) -> str | None:
    """Tell what kind of label a column's cells are.

    Args:
        cells: strings that are not missing.

    Returns:
        ``"binary"`` for 0 and 1, yes and no, true and false; ``"multilabel"`` where a cell holds a semicolon;
        ``"regression"`` for numbers that are not whole, or whole ones of more than 10 values;
        ``"multiclass"`` for 2 to 10 whole numbers, or 2 to 30 texts that repeat; else None.

    Example:
        >>> [infer_kind(pd.Series(cells)) for cells in (["0", "1"], ["AF", "SR", "AF"], ["AF;SR", "SR"], ["2.5"])]
        ['binary', 'multiclass', 'multilabel', 'regression']
    """
    values = set(cells.str.lower())
    if not values:
        return None
    if values <= _TRUTH:
        return "binary"
    as_numbers = pd.to_numeric(cells, errors="coerce")
    if as_numbers.notna().all():
        whole = bool((as_numbers % 1 == 0).all())
        return "multiclass" if whole and 1 < as_numbers.nunique() <= MOST_INTEGER_CLASSES else "regression"
    if cells.str.contains(";", regex=False).any():
        return "multilabel"
    return "multiclass" if 1 < len(values) <= MOST_CLASSES and len(values) < len(cells) else None


def _looks(cells: pd.Series) -> str:
    known = cells[cells != ""]
    return "all cells are empty" if known.empty else f"{known.nunique()} values in {len(known)} cells"


def _values(cells: pd.Series, settings: Mapping[str, Any]) -> list[str]:
    """The labels that stand there: numbers in their order, else words in theirs."""
    values = list(_single(cells, settings).unique())
    as_numbers = pd.to_numeric(pd.Series(values, dtype=object), errors="coerce")
    return sorted(values, key=float) if values and as_numbers.notna().all() else sorted(values)


def _single(cells: pd.Series, settings: Mapping[str, Any]) -> pd.Series:
    """The cells that are not missing; of a multilabel column one label each."""
    if settings["kind"] == "multilabel":
        cells = cells.str.split(str(settings.get("separator", ";"))).explode().str.strip()
    return cells[cells != ""]


def _counts(cells: pd.Series, settings: Mapping[str, Any]) -> str:
    known = cells[cells != ""]
    if settings["kind"] == "regression":
        values = pd.to_numeric(known, errors="coerce")
        return f"{len(known)} values, {values.min():g} to {values.max():g}"
    counts = _single(known, settings).value_counts().sort_index()
    told = ", ".join(f"{value}: {count}" for value, count in counts.head(10).items())
    return told + (f" and {len(counts) - 10} more" if len(counts) > 10 else "")
