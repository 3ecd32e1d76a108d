"""Metadata and labels of one's own in a CSV file: columns to contract names, sex codes, splits, tasks."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from openclef.database.plan import SPLITS, label_columns, label_matrix, split_by_subject
from openclef.formats.csv import first_line, refuse_doubled
from openclef.risk.inputs import QUANTITIES
from openclef.store import Task

PLAUSIBLE = {
    **{name: (each.low, each.high) for name, each in QUANTITIES.items() if each.kind == "number"},
    "dbp_mmhg": (10.0, 250.0),
    "height_cm": (30.0, 250.0),
    "weight_kg": (1.0, 450.0),
}
"""Smallest and largest value that a column of numbers may hold."""

YES_NO = (
    *(name for name, each in QUANTITIES.items() if each.kind == "yes_no"),
    "atrial_fibrillation",
)
"""Columns of yes and no, kept as 1 and 0."""

MISSING = ("", "nan", "na", "n/a", "none", "null", "nat", "<na>")
"""Cells, in lower case, that count as missing."""

_YES = {"1": 1.0, "1.0": 1.0, "true": 1.0, "yes": 1.0, "y": 1.0}
_NO = {"0": 0.0, "0.0": 0.0, "false": 0.0, "no": 0.0, "n": 0.0}
_SEXES = {"male": "male", "m": "male", "female": "female", "f": "female"}
_SPLIT_NAMES = {"training": "train", "valid": "val", "validation": "val", "dev": "val", "testing": "test"}
_TASK_KEYS = {
    "multilabel": {"separator", "others", "empty_is_negative"},
    "multiclass": set(),
    "binary": {"positive"},
    "regression": {"unit"},
}


def read_table(path: str | Path) -> pd.DataFrame:
    r"""Read a CSV file as text, cell by cell as it stands; missing cells are "".

    Args:
        path: a comma-, semicolon- or tab-separated file with a first line of column names.

    Returns:
        Table of strings.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if it is empty, not a table, not UTF-8, or has two columns of one name.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     _ = Path(folder, "a.csv").write_text("id;age\n007;\n")
        ...     read_table(Path(folder, "a.csv")).to_dict("records")
        [{'id': '007', 'age': ''}]
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(
            f"table {path} is missing; pass metadata=<a CSV file in the folder, or its path>"
        )
    first = first_line(path)
    separator = max((",", ";", "\t"), key=first.count)
    refuse_doubled(path, first, separator)
    try:
        frame = pd.read_csv(path, sep=separator, dtype=str, keep_default_na=False, encoding="utf-8-sig")
    except (pd.errors.EmptyDataError, pd.errors.ParserError) as error:
        raise ValueError(f"{path} is no table ({error}); accepted is a CSV file with column names") from None
    frame.columns = [str(column).strip() for column in frame.columns]
    return frame.apply(lambda column: column.str.strip())


def describe_records(
    frame: pd.DataFrame,
    *,
    record_id: str | None = None,
    subject_id: str | None = None,
    rename: Mapping[str, str] | None = None,
    sex_codes: Mapping[str, str] | None = None,
    split: str | None = None,
    split_codes: Mapping[str, str] | None = None,
    tasks: Mapping[str, Mapping[str, Any]] | None = None,
    age_over_89_code: float | None = None,
) -> tuple[pd.DataFrame, tuple[Task, ...]]:
    """Turn a table of strings into the store's columns.

    Kept are the columns that bear a contract name (``age_years``, ``sex``, ``sbp_mmhg``, ...), also after
    ``rename``, and every column that ``rename`` names. Values that cannot be (a height of 6 cm) become
    missing and are counted in a warning; where more than 5 % of a column cannot be, its unit is wrong, and
    that is an error.

    Args:
        frame: table from ``read_table``, one row a record.
        record_id: the column that names the records; None: ``row-0``, ``row-1`` ...
        subject_id: the column that names the people; None: every record counts as a subject of its own.
        rename: column in the file to column in the store, for example ``{"Age": "age_years"}``.
        sex_codes: value in the file to ``"male"`` or ``"female"``; male, female, m, f need none.
        split: the column of splits; None: 60/20/20 by a hash of the subject's id (``split_by_subject``).
        split_codes: value in the file to ``"train"``, ``"val"``, ``"test"`` or "".
        tasks: task name to ``{"kind": ..., "column": ..., "labels": [...]}``; multilabel takes
            ``"separator"`` (";"), ``"others": "ignore"`` for values outside the labels, and
            ``"empty_is_negative": True`` where an
            empty cell means none of the labels (else the record takes no part); binary takes ``"positive"``:
            the values that mean yes; regression takes ``"unit"``.
        age_over_89_code: the age that stands for over 89, for example 300; it becomes 90 with ``age_over_89``
            1.

    Returns:
        The records, and the tasks.

    Raises:
        ValueError: if a column is missing or holds what it cannot.

    Example:
        >>> table = pd.DataFrame({"id": ["1", "2"], "Age": ["61.5", ""], "sex": ["F", "m"], "af": ["1", "0"]})
        >>> records, tasks = describe_records(
        ...     table, record_id="id", subject_id="id", rename={"Age": "age_years"},
        ...     tasks={"mine/af": {"kind": "binary", "column": "af"}},
        ... )
        >>> records[["record_id", "age_years", "sex", "mine/af"]].values.tolist()
        [['1', 61.5, 'female', 1.0], ['2', nan, 'male', 0.0]]
    """
    _need(frame, [column for column in (record_id, subject_id, split, *(rename or {})) if column], "columns")
    frame = frame.rename(columns=dict(rename or {}))
    twice = sorted(set(frame.columns[frame.columns.duplicated()]))
    if twice:
        raise ValueError(f"rename gives {', '.join(twice)} to two columns; pass each name once")
    named = {
        column: (rename or {}).get(column, column) for column in (record_id, subject_id, split) if column
    }
    out = pd.DataFrame(index=frame.index)
    if record_id is None:
        out["record_id"] = [f"row-{index}" for index in range(len(frame))]
    else:
        out["record_id"] = plain_ids(frame[named[record_id]])
    out["subject_id"] = "" if subject_id is None else plain_ids(frame[named[subject_id]])
    out["split"] = _splits(frame[named[split]] if split else None, out, split_codes)
    for name in frame.columns:
        if name in named.values() and name not in (rename or {}).values():
            continue
        if name == "sex":
            out[name] = _sexes(frame[name], sex_codes)
        elif name in YES_NO:
            out[name] = _yes_no(frame[name])
        elif name in PLAUSIBLE:
            out[name] = numbers(frame[name])
        elif name in (rename or {}).values() and name not in out:
            out[name] = _numbers_or_text(frame[name])
    if "age_years" in out:
        out["age_years"], above = over_89(out["age_years"], code=age_over_89_code)
        if age_over_89_code is not None:
            out["age_over_89"] = above
    elif age_over_89_code is not None:
        raise ValueError(
            "age_over_89_code is given without a column age_years; pass rename={<column>: 'age_years'}"
        )
    out = drop_implausible(out)
    made = []
    for name, settings in (tasks or {}).items():
        task, columns = _task(name, settings, frame, rename or {})
        made.append(task)
        out = pd.concat([out, columns], axis=1)
    return out, tuple(made)


def plain_ids(column: pd.Series) -> pd.Series:
    """Turn ids into strings; the ``15709.0`` of a column with gaps becomes ``15709``, a missing one "".

    Args:
        column: ids, as numbers or text.

    Returns:
        Strings.

    Example:
        >>> plain_ids(pd.Series([15709.0, None])).tolist(), plain_ids(pd.Series(["007", "a.0"])).tolist()
        (['15709', ''], ['007', 'a.0'])
    """
    text = column.astype(object).where(column.notna(), "").map(str).str.strip()
    text = text.where(~text.str.lower().isin(MISSING), "")
    return text.str.replace(r"^(\d+)\.0+$", r"\1", regex=True)


def numbers(column: pd.Series) -> pd.Series:
    """Turn a column into numbers.

    Args:
        column: numbers, or text; empty, ``nan``, ``NA`` and the like are missing.

    Returns:
        float64, NaN where missing.

    Raises:
        ValueError: if a cell is neither a number nor missing.

    Example:
        >>> numbers(pd.Series(["3.5", "NA"])).tolist()
        [3.5, nan]
    """
    text = column.astype(object).where(column.notna(), "").map(str).str.strip()
    missing = text.str.lower().isin(MISSING)
    values = pd.to_numeric(text.where(~missing, "nan"), errors="coerce").astype(float)
    wrong = sorted(set(text[values.isna() & ~missing]) | set(text[np.isinf(values)]))
    if wrong:
        raise ValueError(
            f"column {column.name} holds {wrong[0]!r}"
            + (f" and {len(wrong) - 1} more" if len(wrong) > 1 else "")
            + "; accepted are numbers and empty cells: correct the file"
        )
    return values


def over_89(age: pd.Series, *, code: float | None) -> tuple[pd.Series, pd.Series]:
    """Replace the code that stands for an age over 89 by 90, and mark who is that old.

    Args:
        age: years.
        code: the code, for example 300; None where there is none.

    Returns:
        Years, and a column of 1 (90 or more) and 0, NaN where the age is unknown.

    Example:
        >>> [column.tolist() for column in over_89(pd.Series([56.0, 300.0, 91.0]), code=300)]
        [[56.0, 90.0, 91.0], [0.0, 1.0, 1.0]]
    """
    if code is not None:
        age = age.where(age != code, 90.0)
    return age, (age >= 90).astype(float).where(age.notna())


def drop_implausible(records: pd.DataFrame) -> pd.DataFrame:
    """Make values missing that cannot be, and warn of their number.

    Args:
        records: one row a record, with contract names.

    Returns:
        The records without those values.

    Raises:
        ValueError: if more than 5 % of a column (and more than one value) cannot be: its unit is wrong.

    Example:
        >>> drop_implausible(pd.DataFrame({"hdl_mmol_l": [52.0, 61.0]}))
        Traceback (most recent call last):
        ValueError: 2 of 2 values of hdl_mmol_l are outside 0.05 to 6, for example 52; ...
    """
    records = records.copy()
    for name, (low, high) in PLAUSIBLE.items():
        if name not in records:
            continue
        outside = records[name].notna() & ~records[name].between(low, high)
        count, known = int(outside.sum()), int(records[name].notna().sum())
        if count == 0:
            continue
        told = (
            f"{count} of {known} values of {name} are outside {low:g} to {high:g}, "
            f"for example {records.loc[outside, name].iloc[0]:g}"
        )
        if count > 1 and count > 0.05 * known:
            raise ValueError(f"{told}; check the unit and convert the column")
        warnings.warn(f"{told}; they count as unknown", stacklevel=2)
        records.loc[outside, name] = np.nan
    return records


def _need(frame: pd.DataFrame, columns: Sequence[str], what: str) -> None:
    absent = [column for column in columns if column not in frame]
    if absent:
        raise ValueError(f"the table has no {what} {', '.join(absent)}; it has {', '.join(frame.columns)}")


def _splits(
    column: pd.Series | None, out: pd.DataFrame, codes: Mapping[str, str] | None
) -> np.ndarray | pd.Series:
    if column is None:
        return split_by_subject(out["subject_id"].where(out["subject_id"] != "", out["record_id"]))
    known = {name: name for name in (*SPLITS, "")} | _SPLIT_NAMES
    known |= {str(given): meant for given, meant in (codes or {}).items()}
    found = column.where(column.isin(list(known)), column.str.lower())
    wrong = sorted(set(found) - set(known))
    if wrong or not set(known.values()) <= {*SPLITS, ""}:
        raise ValueError(
            f"split column {column.name} holds {', '.join(map(repr, wrong[:5]))}; accepted are train, val, "
            "test and empty: pass split_codes, for example {'10': 'test'}"
        )
    return found.map(known)


def _sexes(column: pd.Series, codes: Mapping[str, str] | None) -> pd.Series:
    known = (
        dict.fromkeys(MISSING, "")
        | _SEXES
        | {str(given).lower(): sex for given, sex in (codes or {}).items()}
    )
    found = plain_ids(column).str.lower()
    wrong = sorted(set(found) - set(known))
    if wrong or not set(known.values()) <= {"male", "female", ""}:
        raise ValueError(
            f"sex holds {', '.join(map(repr, wrong[:5] or sorted(set(known.values()))))}; accepted are male "
            "and female: pass sex_codes, for example {'0': 'male', '1': 'female'}"
        )
    return found.map(known)


def _yes_no(column: pd.Series) -> pd.Series:
    known = dict.fromkeys(MISSING, np.nan) | _YES | _NO
    found = column.str.lower()
    wrong = sorted(set(found) - set(known))
    if wrong:
        raise ValueError(f"column {column.name} holds {wrong[0]!r}; accepted are 1, 0, yes, no, true, false")
    return found.map(known).astype(float)


def _numbers_or_text(column: pd.Series) -> pd.Series:
    try:
        return numbers(column)
    except ValueError:
        return column


def _task(
    name: str, settings: Mapping[str, Any], frame: pd.DataFrame, rename: Mapping[str, str]
) -> tuple[Task, pd.DataFrame]:
    kind, column = settings.get("kind"), settings.get("column")
    if kind not in _TASK_KEYS or column is None:
        raise ValueError(
            f"task {name} is {dict(settings)}; accepted is {{'kind': one of {', '.join(_TASK_KEYS)}, "
            "'column': a column of the table, 'labels': [...]}"
        )
    unknown = sorted(set(settings) - {"kind", "column", "labels"} - _TASK_KEYS[kind])
    if unknown:
        raise ValueError(f"task {name}: {', '.join(unknown)} is not accepted for the kind {kind}")
    column = rename.get(column, column)
    _need(frame, [column], f"column for task {name}:")
    cells = frame[column]
    cells = cells.where(~cells.str.lower().isin(MISSING), "")
    if kind == "multilabel":
        return _multilabel(name, cells, settings)
    if kind == "multiclass":
        labels = tuple(settings.get("labels") or sorted(set(cells) - {""}))
        _refuse_others(name, set(cells) - {""} - set(labels), labels)
        return Task(name, kind, labels, (name,)), pd.DataFrame({name: cells})
    if kind == "binary":
        values = _binary(name, cells, settings)
    else:
        values = numbers(cells)
    labels = tuple(settings.get("labels") or (str(settings["column"]),))
    task = Task(name, kind, labels, (name,), unit=str(settings.get("unit", "")))
    return task, pd.DataFrame({name: values})


def _multilabel(name: str, cells: pd.Series, settings: Mapping[str, Any]) -> tuple[Task, pd.DataFrame]:
    separator = settings.get("separator", ";")
    codes = [{code.strip() for code in cell.split(separator)} - {""} for cell in cells]
    labels = tuple(settings.get("labels") or sorted(set().union(*codes)))
    if settings.get("others") != "ignore":
        _refuse_others(name, set().union(*codes) - set(labels), labels)
    columns = label_columns(name, labels)
    matrix = label_matrix(codes, labels)
    if settings.get("empty_is_negative"):
        matrix = np.nan_to_num(matrix, nan=0.0)
    return Task(name, "multilabel", labels, columns), pd.DataFrame(
        matrix, columns=list(columns), index=cells.index
    )


def _binary(name: str, cells: pd.Series, settings: Mapping[str, Any]) -> pd.Series:
    positive = settings.get("positive")
    if positive is None:
        return _yes_no(cells.rename(f"{cells.name} of task {name}"))
    wanted = {str(value) for value in (positive if isinstance(positive, (list, tuple)) else [positive])}
    return cells.isin(list(wanted)).astype(float).where(cells != "")


def _refuse_others(name: str, others: set[str], labels: Sequence[str]) -> None:
    if others:
        raise ValueError(
            f"task {name}: the column holds {', '.join(map(repr, sorted(others)[:5]))} beside the labels "
            f"{', '.join(labels)}; add them to labels, or check the separator (a multilabel task may pass "
            "'others': 'ignore')"
        )
