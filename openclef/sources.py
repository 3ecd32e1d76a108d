"""Sources of signals, whatever they are (a store, files, arrays), cut into windows of one lead."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from openclef.condition import Condition
from openclef.preprocessing import Preprocessing
from openclef.record import Record
from openclef.signal import quality_flags
from openclef.store import Store, open_store

__all__ = ["Piece", "count_records", "pieces", "read_ahead", "read_under"]

_ROWS = 64  # of a store, read at a time


class Piece(NamedTuple):
    """One window of one lead, ready to embed.

    Attributes:
        source: Path, record_id, or "array 0" by position.
        start_s: Where it starts in its recording, in seconds.
        seconds: Seconds of it that were recorded.
        flags: What is visibly wrong with it.
        signal: (time,) in the source's unit, NaN where missing.
        fs: Sampling rate in Hz.
        too_short: Whether there is nothing to embed.

    Example:
        >>> Piece("a", 0.0, 10.0, (), np.zeros(1000, np.float32), 100.0, False).source
        'a'
    """

    source: str
    start_s: float
    seconds: float
    flags: tuple[str, ...]
    signal: NDArray[np.float32]
    fs: float
    too_short: bool


def pieces(
    sources: Any,
    preprocessing: Preprocessing,
    *,
    lead: str,
    fs: float | None = None,
    leads: Sequence[str] | None = None,
    unit: str | None = None,
) -> Iterator[Piece]:
    """Cut sources into windows of a model's length, one lead of each, in their order.

    Args:
        sources: A `Store`, a `Record`, the path of a recording or of a store, an array, or a list of these.
        preprocessing: The model's, which says how long a window is and which rates and units will do.
        lead: Lead by its standard name; the name of the row, where an array has only one.
        fs: Sampling rate in Hz of arrays, and of files that do not state it.
        leads: Lead names of arrays with several rows, and of files that do not state them.
        unit: Unit of arrays, and of files that do not state it; None = mV.

    Yields:
        `Piece`: one window.

    Raises:
        ValueError: If the rate or the leads are unknown, a file states another rate or unit, the lead is not there, or
            a single recording is too short.
        FileNotFoundError: If a file is not there.

    Example:
        >>> wave = np.sin(np.arange(2500) / 10)
        >>> [piece.start_s for piece in pieces(wave, Preprocessing(), fs=100, lead="I")]
        [0.0, 10.0, 20.0]
    """
    single = not isinstance(sources, (list, tuple))
    for position, source in enumerate([sources] if single else sources):
        if isinstance(source, (str, Path)) and (Path(source) / "dataset.json").is_file():
            source = open_store(source)
        if isinstance(source, Store):
            yield from _pieces_of_store(source, preprocessing, lead)
            continue
        if isinstance(source, Record):
            record = source
        elif isinstance(source, (str, Path)):
            record = _record_of_file(Path(source), fs, lead, leads, unit)
        else:
            record = _record_of_array(source, f"array {position}", fs, lead, leads, unit or "mV")
        preprocessing.check(record.fs, record.unit)
        name = str(source) if isinstance(source, (str, Path)) else record.record_id
        cut = list(_pieces_of_record(record.select([lead]), name, preprocessing.seconds))
        if single and all(piece.too_short for piece in cut):
            known_s = max(int((~np.isnan(piece.signal)).sum()) for piece in cut) / record.fs
            raise ValueError(
                f"{name} has {known_s:.2f} s of recorded samples in lead {lead}; at least 1 s (or half the "
                "model's window) is needed: pass a longer recording, or a list, which keeps it as a row of NaN."
            )
        yield from cut


def count_records(sources: Any) -> int:
    """Count the records of sources, a store's rows or one a file or array, without reading signals.

    Args:
        sources: As `pieces` takes them.

    Returns:
        Their number.

    Example:
        >>> count_records([np.zeros(1000), "a.hea"])
        2
    """
    given = sources if isinstance(sources, (list, tuple)) else [sources]
    stores = [
        open_store(each)
        if isinstance(each, (str, Path)) and (Path(each) / "dataset.json").is_file()
        else each
        for each in given
    ]
    return sum(len(each) if isinstance(each, Store) else 1 for each in stores)


def read_under(
    store: Store, rows: ArrayLike, lead: str, condition: Condition | None = None
) -> tuple[NDArray[np.floating], float]:
    """Read one lead of rows of a store, as recorded or changed.

    Args:
        store: The store.
        rows: Row numbers.
        lead: Lead by name; a condition's goes before it.
        condition: How the recordings are changed.

    Returns:
        (rows, time) in the store's unit, NaN = missing, and the rate in Hz.

    Raises:
        ValueError: If the lead is not there.

    Example:
        >>> import inspect
        >>> list(inspect.signature(read_under).parameters)
        ['store', 'rows', 'lead', 'condition']
    """
    numbers = np.asarray(rows)
    asked = lead if condition is None or condition.lead is None else condition.lead
    signal = store.read(numbers, leads=[asked])[:, 0]
    return (signal, store.fs) if condition is None else condition.apply(signal, store.fs, numbers)


def read_ahead(items: Iterable[Any]) -> Iterator[Any]:
    """Give items on, each made in a thread while the one before it is in use.

    Args:
        items: None of them None.

    Yields:
        The items, in their order; an error in the making of one is raised here.

    Example:
        >>> list(read_ahead(number**2 for number in range(4)))
        [0, 1, 4, 9]
    """
    remaining = iter(items)
    with ThreadPoolExecutor(1) as reader:
        waiting = reader.submit(next, remaining, None)
        while (item := waiting.result()) is not None:
            waiting = reader.submit(next, remaining, None)
            yield item


def _pieces_of_record(record: Record, name: str, seconds: float) -> Iterator[Piece]:
    """Windows of a record of one lead."""
    for window in record.windows(seconds):
        recorded = round(window.seconds * record.fs)
        flags = quality_flags(window.signal[:, :recorded], record.fs, record.unit, record.leads)
        flags += ["padded"] * (recorded < window.signal.shape[1])
        known = int((~np.isnan(window.signal)).sum())
        short = known < round(min(1.0, seconds / 2) * record.fs)  # less than a heartbeat says nothing
        flags += ["too_short"] * short
        yield Piece(name, window.start_s, window.seconds, tuple(flags), window.signal[0], record.fs, short)


def _pieces_of_store(store: Store, preprocessing: Preprocessing, lead: str) -> Iterator[Piece]:
    preprocessing.check(store.fs, store.unit)
    records = store.records
    for first in range(0, len(store), _ROWS):
        rows = np.arange(first, min(first + _ROWS, len(store)))
        signals = store.read(rows, leads=[lead])[:, 0]
        part = records.iloc[first : first + _ROWS][["record_id", "start_s", "seconds"]]
        for signal, (name, start_s, seconds) in zip(
            signals, part.itertuples(index=False, name=None), strict=True
        ):
            recorded = min(round(seconds * store.fs), signal.size)
            whole = Record(signal[None, :recorded], store.fs, (lead,), name, unit=store.unit, start_s=start_s)
            yield from _pieces_of_record(whole, name, preprocessing.seconds)


def _record_of_file(
    path: Path, fs: float | None, lead: str, leads: Sequence[str] | None, unit: str | None
) -> Record:
    """Read a file; what it states itself must not be contradicted."""
    from openclef.formats import FORMATS, read_record
    from openclef.formats.arrays import describe_array

    if path.is_dir():
        raise ValueError(
            f"{path} is a folder without dataset.json, so no store; pass a store, a file, or a list of files."
        )
    if leads is None and path.suffix.lower() in FORMATS["array"].suffixes:
        file = describe_array(path)
        if file.leads is None and (len(file.shape) == 1 or file.shape[:-1] == (1,)):
            leads = [lead]
    record = read_record(path, fs=fs, leads=leads, unit=unit or "mV")
    if fs is not None and not np.isclose(record.fs, fs, rtol=2e-3):  # times in milliseconds are rounded
        raise ValueError(
            f"{path} states {record.fs:g} Hz and fs={fs:g} was passed; leave fs out for files that state their "
            "rate, and pass arrays of another rate as Record."
        )
    describing = path.suffix.lower() in FORMATS["wfdb"].suffixes or Path(f"{path}.hea").is_file()
    if unit is not None and (describing or "zscore" in (unit, record.unit)) and unit != record.unit:
        raise ValueError(
            f"{path} states its unit itself and is read in {record.unit}; unit={unit!r} was passed: leave unit "
            "out for files that state it, and pass arrays of another unit as Record."
        )
    return record


def _record_of_array(
    array: Any, name: str, fs: float | None, lead: str, leads: Sequence[str] | None, unit: str
) -> Record:
    signal = np.asarray(array)
    if signal.dtype.kind not in "fiu" or signal.ndim not in (1, 2):
        raise ValueError(
            f"{name} is {type(array).__name__} with shape {signal.shape}; pass numbers as (time,) or "
            "(lead, time): one array a recording, several in a list."
        )
    if fs is None:
        raise ValueError("fs is missing for an array; pass fs=<Hz>, for example fs=130 for Polar H10.")
    signal = np.atleast_2d(signal)
    if leads is None:
        if len(signal) > 1:
            raise ValueError(
                f"leads are missing for {name} with {len(signal)} rows; pass leads=[...], one name a row, "
                "and the array as (lead, time)."
            )
        leads = [lead]
    if unit == "zscore":
        return Record(signal, fs, tuple(leads), name, unit="zscore")
    from openclef.formats.unit import millivolts

    return Record(signal * millivolts(unit), fs, tuple(leads), name)
