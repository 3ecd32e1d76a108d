"""One recording in a text table: a column a lead, a row a sample, an optional column of times in seconds."""

from __future__ import annotations

import csv
import re
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from openclef.formats.unit import millivolts
from openclef.record import Record

_TIME = ("time", "time_s", "t", "t_s", "seconds", "time (s)", "time [s]")


def read_csv(
    path: str | Path,
    *,
    fs: float | None = None,
    leads: Sequence[str] | None = None,
    unit: str | None = None,
    record_id: str | None = None,
) -> Record:
    r"""Read one recording from comma-, semicolon- or tab-separated text.

    The first line may name the leads, with their unit in brackets, for example ``time_s,I (mV),II (mV)``. An
    empty cell or ``NaN`` is a missing sample.

    Args:
        path: the file.
        fs: sampling rate in Hz; taken from the column of times where there is one.
        leads: one name a column, where the first line does not name them.
        unit: ``mV``, ``uV``, ``V`` or ``zscore``, where the first line does not state it.
        record_id: the record's name; None takes the file's.

    Returns:
        The record in mV (or ``zscore``), float32, (lead, time).

    Raises:
        ValueError: if the rate, the leads or the unit is unknown, or a cell is not a number.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     _ = Path(folder, "a.csv").write_text("time_s,I (uV)\n0.000,100\n0.002,\n0.004,-50\n")
        ...     record = read_csv(Path(folder, "a.csv"))
        >>> record.fs, record.leads, [round(float(value), 3) for value in record.signal[0]]
        (500.0, ('I',), [0.1, nan, -0.05])
    """
    path = Path(path)
    first = first_line(path)
    separator = next((mark for mark in ("\t", ";", ",") if mark in first), ",")
    named = not all(_is_number(cell) for cell in first.split(separator))
    if named:
        refuse_doubled(path, first, separator)
    try:
        frame = pd.read_csv(
            path, sep=separator, header=0 if named else None, dtype=float, encoding="utf-8-sig"
        )
    except pd.errors.EmptyDataError:
        raise ValueError(f"{path.name} is empty; accepted is a row a sample") from None
    except ValueError as error:
        raise ValueError(f"{path.name}: {error}; accepted are numbers, one column a lead") from None
    columns = [str(column).strip() for column in frame.columns]
    times = [index for index, column in enumerate(columns) if column.lower() in _TIME] if named else []
    if times:
        fs = _rate(frame.iloc[:, times[0]].to_numpy(), path.name)
        frame = frame.drop(columns=frame.columns[times[0]])
        del columns[times[0]]
    if fs is None:
        raise ValueError(f"fs is missing for {path.name}; pass fs=<Hz>, for example fs=130 for Polar H10")
    units = [unit] * len(columns)
    if named:
        for index, column in enumerate(columns):
            stated = re.fullmatch(r"(.*?)\s*[\[(](\w+)[\])]", column)
            if stated:
                columns[index], units[index] = stated[1], stated[2]
    elif leads is None:
        raise ValueError(
            f"leads are missing for {path.name}; pass one name a column, for example leads=['I']"
        )
    if None in units:
        raise ValueError(f"unit is missing for {path.name}; pass unit='mV', 'uV' or 'zscore'")
    zscored = [str(name).lower() == "zscore" for name in units]
    if any(zscored) and not all(zscored):
        raise ValueError(f"{path.name} has columns in zscore and in volts; accepted is one kind")
    factors = [1.0 if all(zscored) else millivolts(str(name)) for name in units]
    return Record(
        signal=(frame.to_numpy() * factors).T,
        fs=fs,
        leads=tuple(columns if leads is None else leads),
        record_id=record_id or path.stem,
        unit="zscore" if all(zscored) else "mV",
    )


def first_line(path: Path) -> str:
    r"""Read the first line of a text table that is not empty.

    Args:
        path: the file.

    Returns:
        The line; "" where there is none.

    Raises:
        ValueError: if the file is not UTF-8 text.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     _ = Path(folder, "a.csv").write_bytes("id;größe\n".encode("latin-1"))
        ...     first_line(Path(folder, "a.csv"))
        Traceback (most recent call last):
        ValueError: a.csv is no UTF-8 text (...); save it as UTF-8
    """
    try:
        with path.open(encoding="utf-8-sig") as file:
            filled = [line for line in file if line.strip()]  # the whole file, so that every line is decoded
    except UnicodeDecodeError as error:
        raise ValueError(f"{path.name} is no UTF-8 text ({error}); save it as UTF-8") from None
    if filled and "\0" in filled[0]:
        raise ValueError(f"{path.name} is no UTF-8 text (it holds zero bytes); save it as UTF-8")
    return filled[0] if filled else ""


def refuse_doubled(path: Path, header: str, separator: str) -> None:
    """Refuse a table in which two columns bear one name: nobody could tell which is meant.

    Args:
        path: the file.
        header: its line of column names; empty names do not count.
        separator: what stands between them.

    Raises:
        ValueError: if a name stands there twice.

    Example:
        >>> refuse_doubled(Path("a.csv"), "id,age,id", ",")
        Traceback (most recent call last):
        ValueError: a.csv has several columns 'id'; give each column its own name
    """
    names = [name.strip() for name in next(csv.reader([header], delimiter=separator), [])]
    twice = [name for name, count in Counter(names).items() if name and count > 1]
    if twice:
        raise ValueError(
            f"{path.name} has several columns {', '.join(map(repr, twice))}; give each column its own name"
        )


def _is_number(cell: str) -> bool:
    try:
        float(cell or "nan")
    except ValueError:
        return False
    return True


def _rate(times: np.ndarray, name: str) -> float:
    steps = np.diff(times)
    if len(steps) == 0 or not np.all(np.isfinite(steps)) or np.median(steps) <= 0:
        raise ValueError(f"{name}: the column of times does not rise; accepted are seconds, one row a sample")
    step = (times[-1] - times[0]) / len(steps)
    if np.abs(steps - step).max() > 0.5 * step:
        raise ValueError(f"{name}: the times are not evenly spaced; resample the recording to one rate")
    return round(1.0 / step, 6)
