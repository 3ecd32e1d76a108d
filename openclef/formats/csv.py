"""One recording in a text table: a column a lead, a row a sample, an optional column of times."""

from __future__ import annotations

import csv
import io
import re
import warnings
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

from openclef.formats.apple_watch import is_apple_watch
from openclef.formats.columns import is_counter, of_column, rate_of_times, time_scale
from openclef.formats.polar import is_polar
from openclef.formats.stated import NotStated
from openclef.formats.text_file import PARSE_ERRORS, head_lines, number, parse_error, read_text
from openclef.formats.unit import MILLIVOLTS, millivolts
from openclef.record import Record

_SPACES = r"\s+"
_LOOKED_AT = 50  # rows that tell the layout
_MOST_COLUMNS = 4096
_COMMENT = re.compile(r"^[ \t]*[#%][^\n]*", re.MULTILINE)
_EMPTY_LINE = re.compile(r"\d[ \t]*\n[ \t]*\n\s*[-+.,\d]")
_DECIMAL_COMMA = re.compile(r"[+-]?\d*,\d+(?:[eE][+-]?\d+)?")
_COMMA_AND_SPACES = re.compile(r"\s*(?:[+-]?\d+,\d+[ ]+)+[+-]?\d+,\d+\s*")
_MOMENT = re.compile(r"\d{1,4}[-/.:]\d{1,2}[-/.:]\d{1,4}.*")


class _Layout(NamedTuple):
    """How a table is written: its separator and decimal mark, the columns' names, lines before the first row."""

    separator: str
    decimal: str
    names: list[str] | None
    skip: int
    text: list[bool]


def is_csv(head: bytes) -> bool:
    r"""Tell whether a file is a text table of numbers.

    Args:
        head: the file's first 4,096 bytes.

    Returns:
        True if it is text whose rows have one number of cells, with numbers in them, and is neither an Apple
        Watch's export nor Polar Sensor Logger's.

    Example:
        >>> is_csv(b"t,I (mV)\n0,1\n"), is_csv(b"1.5\n2.5\n"), is_csv(b"<xml>1</xml>\n"), is_csv(b"a text, in words\n")
        (True, True, False, False)
    """
    lines = [line for line in head_lines(head) if line.strip() and not _COMMENT.match(line)][:_LOOKED_AT]
    if not lines or is_apple_watch(head) or is_polar(head):
        return False
    try:
        layout = _layout("", enumerate(lines))
        rows = [_cells(line, layout.separator) for line in lines[layout.skip :]]
    except ValueError:
        return False
    return bool(rows) and len({len(row) for row in rows}) == 1 and not all(layout.text[: len(rows[0])])


def read_csv(
    path: str | Path,
    *,
    fs: float | None = None,
    leads: Sequence[str] | None = None,
    unit: str | None = None,
    record_id: str | None = None,
) -> Record:
    r"""Read one recording from text with commas, semicolons, tabs, spaces or ``|`` between its columns.

    The first line may name the leads, with their unit in brackets, for example ``time_s,I (mV),II (mV)``. Lines that
    begin with ``#`` or ``%`` are comments. Where commas do not separate, they may be decimal marks. An empty cell or
    ``NaN`` is a missing sample. A column of times may be in s, ms, us or ns, as its brackets say. Columns that count
    samples are no leads, and neither are columns of text. UTF-8, or UTF-16 with its mark.

    Args:
        path: the file.
        fs: sampling rate in Hz; taken from the column of times where there is one.
        leads: one name a column, where the first line does not name them.
        unit: ``mV``, ``uV``, ``V`` or ``zscore``, where the first line does not state it.
        record_id: the record's name; None takes the file's.

    Returns:
        The record in mV (or ``zscore``), float32, (lead, time).

    Raises:
        FileNotFoundError: if there is no such file.
        NotStated: if the rate, the leads or the unit is neither stated nor given.
        ValueError: if a cell is not a number, or times do not rise evenly.

    Warns:
        UserWarning: where columns are left out, or lines without a number stand between samples.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     _ = Path(folder, "a.csv").write_text("time_s,I (uV)\n0.000,100\n0.002,\n0.004,-50\n")
        ...     record = read_csv(Path(folder, "a.csv"))
        >>> record.fs, record.leads, [round(float(value), 3) for value in record.signal[0]]
        (500.0, ('I',), [0.1, nan, -0.05])
    """
    path = Path(path)
    text = _COMMENT.sub(
        "", read_text(path, "text table")
    )  # their lines stay, so that lines keep their numbers
    layout = _layout(path.name, _filled(text))
    frame = _parse(path.name, text, layout)
    if len(layout.text) == 1 and _EMPTY_LINE.search(text):
        warnings.warn(
            f"{path.name}: empty lines between samples are left out; write nan where a sample is missing",
            stacklevel=2,
        )
    columns = [frame[number].to_numpy() for number in range(len(layout.text))]
    names = layout.names or [""] * len(columns)
    kept, stated_rate, left_out = _leads(path.name, layout, columns)
    if left_out:
        warnings.warn(f"{path.name}: columns left out: {', '.join(left_out)}", stacklevel=2)
    fs = fs if stated_rate is None else stated_rate
    if fs is None:
        raise NotStated(
            f"fs is missing for {path.name}; pass fs=<Hz>, for example fs=130 for Polar H10", "fs", len(kept)
        )
    if layout.names is None and leads is None:
        raise NotStated(
            f"leads are missing for {path.name}; pass one name a column, for example leads=['I']",
            "leads",
            len(kept),
        )
    described = [of_column(names[index]) for index in kept]
    units = [stated or unit for _, stated in described]
    if None in units:
        raise NotStated(
            f"unit is missing for {path.name}; pass unit='mV', 'uV' or 'zscore'", "unit", len(kept)
        )
    zscored = [str(name).lower() == "zscore" for name in units]
    if any(zscored) and not all(zscored):
        raise ValueError(f"{path.name} has columns in zscore and in volts; accepted is one kind")
    try:
        factors = [1.0 if all(zscored) else millivolts(str(name)) for name in units]
    except ValueError as error:
        raise ValueError(f"{path.name}: {error}") from None
    with np.errstate(over="ignore"):
        signal = np.stack([columns[index] * factor for index, factor in zip(kept, factors)])
    return Record(
        signal=signal,
        fs=fs,
        leads=tuple([name for name, _ in described] if leads is None else leads),
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
    _refuse_doubled(path.name, [name.strip() for name in next(csv.reader([header], delimiter=separator), [])])


def _refuse_doubled(file: str, names: list[str]) -> None:
    twice = [name for name, count in Counter(names).items() if name and count > 1]
    if twice:
        raise ValueError(
            f"{file} has several columns {', '.join(map(repr, twice))}; give each column its own name"
        )


def _filled(text: str) -> Iterator[tuple[int, str]]:
    """The lines that are not empty, with their number from 0; the text is not split as a whole."""
    begin = 0
    for place in range(text.count("\n") + 1):
        end = text.find("\n", begin)
        line = text[begin : len(text) if end < 0 else end]
        if line.strip():
            yield place, line
        begin = end + 1


def _layout(name: str, filled: Iterator[tuple[int, str]]) -> _Layout:
    numbered = list(islice(filled, _LOOKED_AT))
    if not numbered:
        raise ValueError(f"{name} is empty; accepted is a row a sample")
    lines = [line for _, line in numbered]
    separator = _separator(lines)
    rows = [_cells(line, separator) for line in lines]
    header = None if _is_data(rows[0]) else [cell.strip(" '\"") for cell in rows.pop(0)]
    width = max(len(header or []), len(rows[0]) if rows else 0)
    if width > _MOST_COLUMNS:
        raise ValueError(
            f"{name} has {width:,} columns; accepted are up to {_MOST_COLUMNS:,}: a row a sample and a column a "
            "lead, so write its transpose"
        )
    if header is not None:
        _refuse_doubled(name, header)
        header += [""] * (width - len(header))
    columns = [[row[index] for row in rows if index < len(row) and row[index]] for index in range(width)]
    is_lead = [(of_column(title)[1] or "").lower() in MILLIVOLTS for title in header or [""] * width]
    is_text = [
        bool(cells) and not any(map(_is_number, cells)) and not called  # words in a lead are damage
        for cells, called in zip(columns, is_lead)
    ]
    comma = separator != "," and any(_DECIMAL_COMMA.fullmatch(cell) for cells in columns for cell in cells)
    skip = numbered[0][0] + (header is not None)
    return _Layout(separator, "," if comma else ".", header, skip, is_text)


def _separator(lines: list[str]) -> str:
    first, second = lines[0], lines[min(1, len(lines) - 1)]
    for mark in ("\t", ";", "|"):
        if mark in first:
            return mark
    if "," in first:
        return _SPACES if _COMMA_AND_SPACES.fullmatch(first) else ","
    words = second.split()
    if len(words) > 1 or (second is not first and _DECIMAL_COMMA.fullmatch(second.strip())):
        return _SPACES if any(number(word) is not None for word in words) else ","
    return ","


def _cells(line: str, separator: str) -> list[str]:
    if separator == _SPACES:
        return re.split(r"\s+(?![\[(])", line.strip())
    try:
        return [cell.strip() for cell in next(csv.reader([line], delimiter=separator), [])]
    except csv.Error as error:
        raise ValueError(f"{line[:20]!r} is no row of a table ({error})") from None


def _is_number(cell: str) -> bool:
    return not cell or cell.lower() in ("nan", "na", "inf", "-inf") or number(cell) is not None


def _is_data(cells: list[str]) -> bool:
    """A row of numbers and moments; a row that holds a word names the columns."""
    words = [cell for cell in cells if not _is_number(cell)]
    return all(_MOMENT.fullmatch(word) for word in words)


def _parse(name: str, text: str, layout: _Layout) -> pd.DataFrame:
    try:
        frame = pd.read_csv(
            io.BytesIO(text.encode()),
            sep=layout.separator,
            decimal=layout.decimal,
            header=None,
            names=list(range(len(layout.text))),
            index_col=False,
            dtype={index: str if is_text else float for index, is_text in enumerate(layout.text)},
            skiprows=layout.skip,
            skipinitialspace=True,
        )
    except PARSE_ERRORS as error:
        raise parse_error(name, error) from None
    if not len(frame):
        raise ValueError(f"{name} holds no sample; accepted is a row a sample")
    return frame


def _leads(
    name: str, layout: _Layout, columns: list[np.ndarray]
) -> tuple[list[int], float | None, list[str]]:
    """The columns that are leads, the rate by the column of times, and what is left out."""
    names = layout.names or [""] * len(columns)
    kept: list[int] = []
    left_out: list[str] = []
    rate = None
    may_count = len(columns) > 1 and len(columns[0]) > 2  # the first column, where none has a name
    for index, (column, values) in enumerate(zip(names, columns)):
        scale = time_scale(column) if column else None
        called = column or f"column {index + 1}"
        if layout.text[index]:
            left_out.append(f"{called} (text)")
        elif scale is not None and np.isfinite(scale) and rate is None:
            rate = rate_of_times(name, values, scale)
        elif scale is not None:
            left_out.append(
                f"{called} (times)" if np.isfinite(scale) else f"{called} (times of no known unit)"
            )
        elif (layout.names is not None or (may_count and index == 0)) and is_counter(column, values):
            continue
        elif layout.names is not None and not column:
            if not np.isnan(values).all():
                raise ValueError(f"{name}: column {index + 1} has no name; name each lead in the first line")
        else:
            kept.append(index)
    if not kept:
        raise ValueError(
            f"{name} holds no column of a lead{' but ' + ', '.join(left_out) if left_out else ''}; accepted are "
            "numbers, one column a lead"
        )
    return kept, rate, left_out
