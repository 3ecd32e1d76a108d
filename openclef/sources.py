"""Sources of signals, whatever they are (a store, files, folders, arrays), cut into windows of one lead."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from openclef.condition import Condition
from openclef.preprocessing import Preprocessing
from openclef.record import Record, Window
from openclef.signal import quality_flags
from openclef.source_files import READING_ERRORS, SourceLog, Sources, parts_of_file
from openclef.store import Store

__all__ = ["ALL_LEADS", "Piece", "Windowing", "pieces", "read_ahead", "read_under"]

ALL_LEADS = "all"
"""What stands for every lead of a recording."""

_ROWS = 64  # of a store, read at a time


class Windowing(NamedTuple):
    """How recordings are cut into windows.

    Attributes:
        lead: Lead by its standard name, or "all" for every lead of each recording.
        overlap_s: Seconds that a window shares with the one before it.
        short: "pad" keeps windows that are not full, with missing samples; "refuse" refuses recordings shorter than a
            window, and leaves out the rest of longer ones.

    Example:
        >>> Windowing("I")
        Windowing(lead='I', overlap_s=0.0, short='pad')
    """

    lead: str
    overlap_s: float = 0.0
    short: Literal["pad", "refuse"] = "pad"


class Piece(NamedTuple):
    """One window of one lead, ready to embed.

    Attributes:
        recording: Number of the recording, from 0.
        source: Path, record_id, or "array 0" by position.
        lead: The lead.
        start_s: Where it starts in its recording, in seconds.
        seconds: Seconds of it that were recorded.
        flags: What is visibly wrong with it.
        signal: (time,) in the source's unit, NaN where missing.
        fs: Sampling rate in Hz.
        too_short: Whether there is nothing to embed.

    Example:
        >>> Piece(0, "a", "I", 0.0, 10.0, (), np.zeros(1000, np.float32), 100.0, False).source
        'a'
    """

    recording: int
    source: str
    lead: str
    start_s: float
    seconds: float
    flags: tuple[str, ...]
    signal: NDArray[np.float32]
    fs: float
    too_short: bool


def pieces(
    sources: Sources,
    preprocessing: Preprocessing,
    windowing: Windowing,
    *,
    fs: float | None = None,
    leads: Sequence[str] | None = None,
    unit: str | None = None,
    log: SourceLog | None = None,
    skip: bool = False,
) -> Iterator[Piece]:
    """Cut sources into windows of a model's length, lead by lead, in their order.

    A file that can be read in parts is never held whole.

    Args:
        sources: What `openclef.source_files.expand` gives.
        preprocessing: The model's, which says how long a window is and which rates and units will do.
        windowing: Which leads, and how they are cut.
        fs: Sampling rate in Hz of arrays, and of files that do not state it.
        leads: Lead names of arrays with several rows, and of files that do not state them.
        unit: Unit of arrays, and of files that do not state it; None = mV.
        log: Takes what was read, guessed and skipped.
        skip: Go on with the next source where one cannot be read, with the reason in the log.

    Yields:
        `Piece`: one window of one lead; those of one recording follow each other, and those of one window.

    Raises:
        ValueError: If the rate or the leads are unknown, a file states another rate or unit, the lead is not there, or
            a recording is too short.
        FileNotFoundError: If a file is not there.

    Example:
        >>> from openclef.source_files import expand
        >>> wave = np.sin(np.arange(2500) / 10)
        >>> [piece.start_s for piece in pieces(expand(wave), Preprocessing(), Windowing("I"), fs=100)]
        [0.0, 10.0, 20.0]
    """
    log = SourceLog() if log is None else log
    only_lead = windowing.lead if windowing.lead != ALL_LEADS else "I"
    number = 0
    for position, source in enumerate(sources.items):
        if isinstance(source, Store):
            yield from _pieces_of_store(source, preprocessing, windowing, number)
            number += len(source)
            log.recordings += len(source)
            continue
        if isinstance(source, Record):
            name, parts = source.record_id, iter([source])
        elif isinstance(source, (str, Path)):
            name = str(source)
            parts = parts_of_file(Path(source), log, lead=only_lead, fs=fs, leads=leads, unit=unit)
        else:
            name = f"array {position}"
            parts = iter([_record_of_array(source, name, fs, only_lead, leads, unit or "mV")])
        given = 0
        try:
            for piece in _pieces_of_recording(
                parts, name, preprocessing, windowing, number, must_hold=sources.single
            ):
                yield piece
                given += 1
            log.recordings += 1
        except READING_ERRORS as error:
            if not skip or not isinstance(source, (str, Path)):
                raise
            where = f"after {given} windows: " if given else ""
            log.skipped[name] = where + " ".join(str(error).split())
            if not given:
                log.guessed.pop(name, None)
                log.noted.pop(name, None)
        number += 1


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


def _pieces_of_recording(
    parts: Iterable[Record],
    name: str,
    preprocessing: Preprocessing,
    windowing: Windowing,
    number: int,
    must_hold: bool,
) -> Iterator[Piece]:
    """Windows of a recording that comes in parts."""
    waiting: list[Piece] | None = [] if must_hold or windowing.short == "refuse" else None
    known_s = last_s = 0.0
    for record, windows in _cut(parts, preprocessing, windowing):
        last_s = max(last_s, record.start_s + record.seconds)
        if windowing.short == "refuse":
            windows = [
                window for window in windows if window.seconds > preprocessing.seconds - 0.5 / record.fs
            ]
        for window in windows:
            for row, lead in enumerate(record.leads):
                piece = _piece(window, row, lead, record, name, preprocessing.seconds, number)
                if waiting is None:
                    yield piece
                    continue
                waiting.append(piece)
                known_s = max(known_s, int((~np.isnan(piece.signal)).sum()) / record.fs)
                if not piece.too_short or not must_hold:
                    yield from waiting
                    waiting = None
    if waiting is not None and windowing.short == "refuse" and not waiting:
        raise ValueError(
            f"{name} lasts {last_s:.2f} s, less than the model's window of {preprocessing.seconds:g} s; pass a longer "
            "recording, or short='pad'."
        )
    if waiting is not None:
        raise ValueError(
            f"{name} has {known_s:.2f} s of recorded samples in lead {windowing.lead}; at least 1 s (or half the "
            "model's window) is needed: pass a longer recording, or a list, which keeps it as a row of NaN."
        )


def _cut(
    parts: Iterable[Record], preprocessing: Preprocessing, windowing: Windowing
) -> Iterator[tuple[Record, list[Window]]]:
    """Windows of each part, with the leads asked for; a part's last full window goes on with the next part."""
    rest: Record | None = None
    for part in parts:
        preprocessing.check(part.fs, part.unit)
        chosen = part if windowing.lead == ALL_LEADS else part.select([windowing.lead])
        if rest is not None:
            signal = np.concatenate([rest.signal, chosen.signal], axis=1)
            chosen = replace(chosen, signal=signal, start_s=rest.start_s)
        windows = chosen.windows(preprocessing.seconds, windowing.overlap_s)
        full = [window for window in windows if window.seconds > preprocessing.seconds - 0.5 / chosen.fs]
        rest = chosen
        if len(full) > 1:
            begin = round((full[-1].start_s - chosen.start_s) * chosen.fs)
            rest = replace(chosen, signal=chosen.signal[:, begin:], start_s=full[-1].start_s)
            yield chosen, full[:-1]
    if rest is not None:
        yield rest, rest.windows(preprocessing.seconds, windowing.overlap_s)


def _pieces_of_store(
    store: Store, preprocessing: Preprocessing, windowing: Windowing, number: int
) -> Iterator[Piece]:
    preprocessing.check(store.fs, store.unit)
    records = store.records
    leads = list(store.leads) if windowing.lead == ALL_LEADS else [windowing.lead]
    for first in range(0, len(store), _ROWS):
        rows = np.arange(first, min(first + _ROWS, len(store)))
        signals = store.read(rows, leads=leads)
        part = records.iloc[first : first + _ROWS][["record_id", "start_s", "seconds"]]
        for row, signal, (name, start_s, seconds) in zip(
            rows, signals, part.itertuples(index=False, name=None), strict=True
        ):
            recorded = min(round(seconds * store.fs), signal.shape[1])
            whole = Record(
                signal[:, :recorded], store.fs, tuple(leads), name, unit=store.unit, start_s=start_s
            )
            yield from _pieces_of_recording(
                [whole], name, preprocessing, windowing, number + int(row), must_hold=False
            )


def _piece(
    window: Window, row: int, lead: str, record: Record, name: str, seconds: float, number: int
) -> Piece:
    signal = window.signal[row]
    recorded = round(window.seconds * record.fs)
    flags = quality_flags(signal[None, :recorded], record.fs, record.unit, (lead,))
    flags += ["padded"] * (recorded < signal.size)
    known = int((~np.isnan(signal)).sum())
    short = known < round(min(1.0, seconds / 2) * record.fs)  # less than a heartbeat says nothing
    flags += ["too_short"] * short
    return Piece(number, name, lead, window.start_s, window.seconds, tuple(flags), signal, record.fs, short)


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
