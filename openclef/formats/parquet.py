"""One recording in a parquet table: a column a lead and a row a sample, or one row with a list a lead."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from openclef.formats import parquet_footer
from openclef.formats.columns import is_counter, of_column, rate_of_times, time_scale
from openclef.formats.stated import NotStated, agreed_amplitude
from openclef.record import Record
from openclef.signal import is_sampling_rate

_MAGIC = b"PAR1"
_MOST_COLUMNS = 4096
_MOST_BYTES = 1 << 30
_MOST_VALUES_A_BYTE = 64  # a signal with any noise has two at most
_DAMAGE = (
    pa.ArrowException,
    ValueError,
    TypeError,
    KeyError,
    IndexError,
    OverflowError,
    OSError,
    MemoryError,
    NotImplementedError,
    RuntimeError,
)


def is_parquet(head: bytes) -> bool:
    """Tell whether a file is a parquet table.

    Args:
        head: the file's first 4,096 bytes.

    Returns:
        True if it begins with ``PAR1``.

    Example:
        >>> is_parquet(b"PAR1" + bytes(8)), is_parquet(b"PAR")
        (True, False)
    """
    return head.startswith(_MAGIC)


def read_parquet(
    path: str | Path,
    *,
    fs: float | None = None,
    leads: Sequence[str] | None = None,
    unit: str | None = None,
    record_id: str | None = None,
) -> Record:
    """Read one recording from a parquet table.

    Either a column is a lead and a row is a sample, with or without a column of times (numbers whose unit stands in the
    column's name, or moments), or the only row holds a list a lead. Columns that count samples are left out. The unit
    stands in brackets in the column's name, or in the schema's metadata as ``unit``; the rate there as ``fs``, where no
    column of times tells it.

    Args:
        path: the file.
        fs: sampling rate in Hz, where the file does not state it.
        leads: one name a column of a lead; None takes the columns'.
        unit: ``mV``, ``uV``, ``V`` or ``zscore``, where the file does not state it.
        record_id: the record's name; None takes the file's.

    Returns:
        The record in mV (or ``zscore``), float32, (lead, time); NaN where a value is null.

    Raises:
        FileNotFoundError: if there is no such file.
        NotStated: if the rate or the unit is neither stated nor given.
        ValueError: if it is damaged or no such file, states more than it can hold, or a column is no lead.

    Warns:
        UserWarning: if columns of times are left out.

    Source:
        Apache Parquet format 2, read by pyarrow.

    Example:
        >>> import tempfile
        >>> table = pa.table({"t [ms]": [0, 2, 4], "II (uV)": [100.0, None, -50.0]})
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     pq.write_table(table, Path(folder, "a.parquet"))
        ...     record = read_parquet(Path(folder, "a.parquet"))
        >>> record.fs, record.leads, [round(float(value), 3) for value in record.signal[0]]
        (500.0, ('II',), [0.1, nan, -0.05])
    """
    path = Path(path)
    table = _table(path)
    metadata = {
        key.decode("latin-1").lower(): value.decode("latin-1")
        for key, value in (table.schema.metadata or {}).items()
        if key.lower() in (b"fs", b"unit")
    }
    columns, times = _columns(path.name, table)
    rate = _rate(path.name, times, metadata.get("fs"), fs, len(columns))
    if leads is not None and (isinstance(leads, str) or len(leads) != len(columns)):
        raise ValueError(
            f"{path.name} holds {len(columns)} leads ({_printable(', '.join(columns))}) and leads={leads!r} is passed; "
            "pass one name a lead"
        )
    signals, held = [], set()
    for title, values in columns.items():
        name, stated = of_column(title)
        stated = stated or metadata.get("unit")
        if stated is None and unit is None:
            raise NotStated(
                f"unit is missing for {path.name}; pass unit='mV', 'uV' or 'zscore'", "unit", len(columns)
            )
        factor, kind = agreed_amplitude(f"{path.name}, column {_printable(name)}", stated, unit)
        with np.errstate(over="ignore"):
            signals.append((values * factor).astype(np.float32))
        held.add(kind)
    if len(held) > 1:
        raise ValueError(f"{path.name} has columns in zscore and in volts; accepted is one kind")
    names = tuple(leads) if leads is not None else tuple(of_column(title)[0] for title in columns)
    try:
        return Record(np.stack(signals), rate, names, record_id or path.stem, unit=held.pop())
    except ValueError as error:
        raise ValueError(f"{path.name}: {error}") from None


def _printable(text: str) -> str:
    return "".join(letter if letter.isprintable() else "?" for letter in text[:200])


def _damaged(name: str, error: BaseException) -> ValueError:
    told = _printable(" ".join(str(error).split())) or type(error).__name__
    return ValueError(f"{name} is damaged ({told}); copy it again or write it anew")


def _table(path: Path) -> pa.Table:
    """Read the table, after its counts have been compared with the file's size."""
    if not path.is_file():
        raise FileNotFoundError(f"parquet file {path.name} is missing in {path.parent}; check the path")
    size = path.stat().st_size
    with path.open("rb") as file:
        if not is_parquet(file.read(4)):
            raise ValueError(f"{path.name} is no parquet file; pass one, or a file in another format")
    try:
        footer = parquet_footer.read_footer(path)
        _check_counts(path.name, footer, size)
        with pq.ParquetFile(
            path,
            pre_buffer=False,
            page_checksum_verification=True,
            thrift_string_size_limit=min(size, 1 << 26),
            thrift_container_size_limit=min(size, 1 << 22),
        ) as file:
            _check_types(path.name, file.schema_arrow, footer.rows)
            table = file.read(use_threads=False)
            table.validate(full=True)
    except _DAMAGE as error:
        if isinstance(error, ValueError) and str(error).startswith(path.name):
            raise
        raise _damaged(path.name, error) from None
    return table


def _check_counts(name: str, footer: parquet_footer.Footer, size: int) -> None:
    rows, columns = footer.rows, footer.columns
    if rows < 1 or columns < 1:
        raise ValueError(f"{name} holds no sample; accepted is a row a sample, or a row with a list a lead")
    if columns > _MOST_COLUMNS:
        raise ValueError(
            f"{name} has {columns:,} columns; accepted are up to {_MOST_COLUMNS:,}: a row a sample and a column a "
            "lead, so write its transpose"
        )
    values = max(footer.values, rows * columns)
    if values > _MOST_VALUES_A_BYTE * size or 8 * values > _MOST_BYTES or footer.unpacked > _MOST_BYTES:
        raise ValueError(
            f"{name} states {values:,} values in {size:,} bytes, which is more than a recording's can be or over 1 GB; "
            "copy it again, or cut the recording into pieces"
        )


def _check_types(name: str, schema: pa.Schema, rows: int) -> None:
    twice = sorted({title for title in schema.names if schema.names.count(title) > 1})
    if twice:
        raise ValueError(
            f"{name} has several columns {', '.join(map(repr, twice))}; give each column its own name"
        )
    for field in schema:
        of = field.type
        if _is_list(of):
            if rows > 1:
                raise ValueError(
                    f"{name}: column {_printable(field.name)} holds a list in each of {rows:,} rows; accepted is one "
                    "recording, which is one row with a list a lead"
                )
            of = of.value_type
        elif pa.types.is_timestamp(of) or pa.types.is_duration(of):
            continue
        if not (pa.types.is_integer(of) or pa.types.is_floating(of)):
            kind = "text" if pa.types.is_string(of) or pa.types.is_large_string(of) else str(field.type)[:40]
            raise ValueError(
                f"{name}: column {_printable(field.name)} holds {kind}; accepted are numbers, one column a lead: leave "
                "the column out"
            )


def _is_list(kind: pa.DataType) -> bool:
    return pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind)


def _columns(name: str, table: pa.Table) -> tuple[dict[str, np.ndarray], float | None]:
    """The leads by title, as they stand, and the rate by the column of times."""
    leads: dict[str, np.ndarray] = {}
    left_out, rate = [], None
    for title in table.column_names:
        column = table.column(title)
        moments = pa.types.is_timestamp(column.type) or pa.types.is_duration(column.type)
        scale = (
            {"s": 1.0, "ms": 1e-3, "us": 1e-6, "ns": 1e-9}[column.type.unit] if moments else time_scale(title)
        )
        values = _numbers(column.cast(pa.int64()) if moments else column)
        if scale is not None and np.isfinite(scale) and rate is None:
            rate = rate_of_times(name, values, scale)
        elif scale is not None:
            left_out.append(title)
        elif not is_counter(title, values):
            leads[title] = values
    if left_out:
        warnings.warn(f"{name}: columns of times left out: {_printable(', '.join(left_out))}", stacklevel=4)
    lengths = {len(values) for values in leads.values()}
    if not leads or lengths == {0}:
        raise ValueError(f"{name} holds no column of a lead; accepted are numbers, one column a lead")
    if len(lengths) > 1:
        raise ValueError(
            f"{name} holds leads of {min(lengths):,} to {max(lengths):,} samples; accepted are leads of one length"
        )
    unnamed = [place for place, title in enumerate(leads, start=1) if not of_column(title)[0]]
    if unnamed:
        raise ValueError(f"{name}: column {unnamed[0]} of the leads has no name; name each lead")
    return leads, rate


def _numbers(column: pa.ChunkedArray) -> np.ndarray:
    """A column's values, or those of its only list, as float64; null becomes NaN."""
    if _is_list(column.type):
        column = pa.chunked_array([chunk.flatten() for chunk in column.chunks], type=column.type.value_type)
    return column.cast(pa.float64(), safe=False).to_numpy(zero_copy_only=False)


def _rate(name: str, times: float | None, stated: str | None, given: float | None, rows: int) -> float:
    rate = times
    if stated is not None:
        try:
            rate = float(stated)
        except ValueError:
            rate = float("nan")
        if not is_sampling_rate(rate):
            raise ValueError(
                f"{name} states fs={stated[:20]!r}; accepted is a rate above 0 in Hz: write it anew"
            )
        if times is not None and abs(times / rate - 1) > 0.01:
            raise ValueError(
                f"{name} states {rate:g} Hz and by its times {times:g} Hz; write it anew with one rate"
            )
    if given is not None and not is_sampling_rate(given):
        raise ValueError(f"fs={given!r} for {name}; accepted is a rate above 0 in Hz, for example fs=500")
    if rate is None:
        if given is None:
            raise NotStated(f"fs is missing for {name}; pass fs=<Hz>, for example fs=500", "fs", rows)
        return float(given)
    if given is not None and abs(rate / given - 1) > (0.01 if stated is None else 1e-6):
        raise ValueError(f"{name} states {rate:g} Hz and fs={given:g} is passed; pass no fs")
    return rate
