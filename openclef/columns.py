"""Columns of ``records.parquet``: their names, types and plausible values, and how parts are joined."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:  # pyarrow takes long to import; a command's help does without it
    import pyarrow as pa

    from openclef.task import Task

FIXED_COLUMNS = ("record_id", "subject_id", "window", "start_s", "seconds", "shard", "row", "split", "flags")
"""Columns that every ``records.parquet`` begins with."""

SPLITS = ("train", "val", "test", "")
"""Values of the column ``split``; empty where a record belongs to none."""

SEXES = ("female", "male", "")
"""Values of the column ``sex``; empty where it is unknown."""

_YES_NO = [
    "smoker",
    "diabetes",
    "bp_treated",
    "statin",
    "heart_failure",
    "hypertension",
    "stroke",
    "vascular_disease",
    "atrial_fibrillation",
]

PLAUSIBLE: dict[str, tuple[float, float]] = {
    "age_years": (0, 125),
    "sbp_mmhg": (30, 350),
    "dbp_mmhg": (10, 250),
    "total_chol_mmol_l": (0.5, 40),
    "hdl_mmol_l": (0.05, 10),
    "height_cm": (20, 260),
    "weight_kg": (0.3, 650),
    "bmi": (5, 150),
    "hba1c_mmol_mol": (15, 250),
    "creatinine_mg_dl": (0.05, 40),
    "egfr_ml_min": (1, 250),
    "age_at_diabetes_years": (0, 125),
    **dict.fromkeys(_YES_NO, (0, 1)),
}
"""Range of each known metadata column: outside it a value is an error of unit or coding, not of nature."""

UNNAMED_UNITS = {
    "age": "age_years",
    "sbp": "sbp_mmhg",
    "dbp": "dbp_mmhg",
    "height": "height_cm",
    "weight": "weight_kg",
    "total_chol": "total_chol_mmol_l",
    "hdl": "hdl_mmol_l",
    "gender": "sex",
}
"""Names that leave the unit open, and the name to use."""

_TEXT = ("record_id", "subject_id", "split", "flags")


def is_missing(value: Any) -> bool:
    """Tell whether a value of a table's cell is missing: None, NaN, NA, NaT or the empty string.

    Example:
        >>> [is_missing(value) for value in (None, float("nan"), "", 0, "a")]
        [True, True, True, False, False]
    """
    return bool(
        value is None or type(value).__name__ in ("NAType", "NaTType") or value != value or value == ""
    )


def as_text(value: Any) -> str:
    """Give a cell as a string, empty where it is missing.

    Example:
        >>> as_text(None), as_text(15)
        ('', '15')
    """
    return "" if is_missing(value) else str(value)


def part_column(name: str, values: Sequence[Any]) -> pa.Array:
    """Build one column of a part.

    Args:
        name: the column's name.
        values: its cells, missing ones as None, NaN or "".

    Returns:
        Strings (missing: "") if the known cells are strings, otherwise float64 (missing: NaN); the fixed
        columns have their own types.

    Raises:
        ValueError: if a cell is neither number, truth value nor string, or the column mixes them.

    Example:
        >>> part_column("smoker", [True, None]).to_pylist(), part_column("sex", ["male", None]).to_pylist()
        ([1.0, nan], ['male', ''])
    """
    import pyarrow as pa

    if name in _TEXT:
        return pa.array([as_text(value) for value in values], pa.string())
    if name == "window":
        return pa.array(values, pa.int64())
    known = [value for value in values if not is_missing(value)]
    if all(isinstance(value, str) for value in known) and any(isinstance(value, str) for value in values):
        return pa.array([as_text(value) for value in values], pa.string())
    odd = [value for value in known if not isinstance(value, (bool, int, float, np.bool_, np.number))]
    if odd:
        raise ValueError(
            f"column {name!r} holds {odd[0]!r} beside {known[0]!r}; a column holds numbers, truth values or "
            "strings and no mixture: convert them in the database's plan"
        )
    return pa.array([math.nan if is_missing(value) else float(value) for value in values], pa.float64())


def join_parts(parts: Sequence[pa.Table], tasks: Sequence[Task]) -> pa.Table:
    """Join the rows of parts: the columns of any part, those of tasks last, each of one type.

    Args:
        parts: one table a shard, in the order of the shards.
        tasks: the store's tasks; a column of theirs that no part has is filled with the missing value.

    Returns:
        The content of ``records.parquet``.

    Raises:
        ValueError: if a column holds numbers in one part and strings in another.

    Example:
        >>> import pyarrow as pa
        >>> fixed = {name: ["a"] for name in ("record_id", "subject_id", "split", "flags")}
        >>> fixed |= {"window": [0], "start_s": [0.0], "seconds": [10.0]}
        >>> parts = [pa.table(fixed), pa.table(fixed | {"age_years": [60.0]})]
        >>> join_parts(parts, [])["age_years"].to_pylist()
        [nan, 60.0]
    """
    import pyarrow as pa

    lengths = [len(part) for part in parts]
    of_tasks = dict.fromkeys(column for task in tasks for column in task.columns)
    texts = {task.columns[0] for task in tasks if task.kind == "multiclass"} | {"sex"}
    others = dict.fromkeys(name for part in parts for name in part.column_names)
    names = dict.fromkeys([*FIXED_COLUMNS, *(name for name in others if name not in of_tasks), *of_tasks])
    joined: dict[str, Any] = {}
    for name in names:
        cells = [part[name].to_numpy() if name in part.column_names else None for part in parts]
        if name == "shard":
            joined[name] = np.repeat(np.arange(len(parts)), lengths)
        elif name == "row":
            joined[name] = np.concatenate([np.arange(length) for length in lengths])
        elif name in FIXED_COLUMNS and name not in _TEXT:
            joined[name] = np.concatenate([cell for cell in cells if cell is not None])
        else:
            joined[name] = _one_type(name, cells, lengths, name in texts)
    return pa.table(joined)


def _one_type(
    name: str, cells: list[np.ndarray | None], lengths: list[int], is_text: bool
) -> np.ndarray | list[str]:
    """Join one column; a part where it is absent or wholly missing takes the type of the others."""
    texts = {i: cell for i, cell in enumerate(cells) if cell is not None and cell.dtype.kind not in "fiu"}
    numbers = {i: cell for i, cell in enumerate(cells) if cell is not None and i not in texts}
    has_text = any(any(cell) for cell in texts.values())
    has_number = any(not np.isnan(cell).all() for cell in numbers.values())
    if has_number and (has_text or is_text):
        raise ValueError(
            f"column {name!r} holds numbers where it should hold strings, or both; give it one type in the "
            "database's plan, then convert with overwrite=True"
        )
    if has_text or is_text or (texts and not has_number):
        return [text for i, length in enumerate(lengths) for text in texts.get(i, [""] * length)]
    return np.concatenate([numbers.get(i, np.full(length, np.nan)) for i, length in enumerate(lengths)])
