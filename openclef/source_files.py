"""Files as sources of signals: found in folders, read in parts, with what was guessed, left out and skipped."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import chain
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from openclef.formats import FORMATS, NotStated, format_of, read_parts
from openclef.formats.finding import find_recordings
from openclef.record import Record
from openclef.signal import LEADS
from openclef.store import Store, open_store

__all__ = ["READING_ERRORS", "Sources", "SourceLog", "expand", "parts_of_file"]

PART_S = 600.0
"""Seconds of a recording that are read at a time, where its format allows."""

READING_ERRORS = (ValueError, OSError, ImportError)
"""What reading a recording can raise: it is damaged, lacks something, is not there, or needs another package."""


@dataclass
class SourceLog:
    """What became of the sources: how many were read, what was guessed, left out and skipped.

    Args:
        recordings: how many were read.
        skipped: reasons, by source.
        guessed: what was taken for granted where a file does not state it, by source.
        noted: what readers said, such as channels that they left out, by source.
        aside: how many other files the folders hold, by their endings.

    Example:
        >>> SourceLog(skipped={"a.edf": "a.edf is cut short"}).skipped["a.edf"]
        'a.edf is cut short'
    """

    recordings: int = 0
    skipped: dict[str, str] = field(default_factory=dict)
    guessed: dict[str, list[str]] = field(default_factory=dict)
    noted: dict[str, list[str]] = field(default_factory=dict)
    aside: dict[str, int] = field(default_factory=dict)

    def guess(self, source: str, what: str) -> None:
        """Write down what was taken for granted of a source.

        Args:
            source: its name.
            what: for example "unit mV".

        Example:
            >>> log = SourceLog()
            >>> log.guess("a.npy", "unit mV")
            >>> log.guessed
            {'a.npy': ['unit mV']}
        """
        known = self.guessed.setdefault(source, [])
        if what not in known:
            known.append(what)

    def guesses(self) -> list[str]:
        """Say what was guessed, each guess once, with how many files it concerns.

        Example:
            >>> SourceLog(guessed={"x/a.npy": ["unit mV"], "x/b.npy": ["unit mV"]}).guesses()
            ['guessed unit mV for 2 files that do not state it: a.npy, b.npy']
        """
        return [
            f"guessed {what} for {len(files)} file{'s' * (len(files) > 1)} that do not state it: {_some(files)}"
            for what, files in _turned(self.guessed).items()
        ]

    def notes(self) -> list[str]:
        """Say what readers said; of many such sayings the first ten.

        Example:
            >>> SourceLog(noted={"x/a.edf": ["a.edf: channels left out: SpO2"]}).notes()
            ['a.edf: channels left out: SpO2']
        """
        said = list(_turned(self.noted))
        return said[:10] + [f"and {len(said) - 10} more such notes"] * (len(said) > 10)


def _turned(by_source: dict[str, list[str]]) -> dict[str, list[str]]:
    """Sources by what is said of them."""
    turned: dict[str, list[str]] = {}
    for source, sayings in by_source.items():
        for what in sayings:
            turned.setdefault(what, []).append(source)
    return turned


def _some(files: list[str], shown: int = 3) -> str:
    names = [Path(file).name for file in files]
    return ", ".join(names[:shown]) + (f" and {len(names) - shown} more" if len(names) > shown else "")


class Sources(NamedTuple):
    """Sources one by one.

    Attributes:
        items: Stores, `Record`s, paths of recordings, and arrays.
        single: Whether one source was given, and not a list or a folder.
        aside: How many other files the folders hold, by their endings.

    Example:
        >>> Sources([Path("a.hea")], True, {}).single
        True
    """

    items: list[Any]
    single: bool
    aside: dict[str, int]

    def records(self) -> int:
        """Count the records: a store's rows, or one an item.

        Example:
            >>> Sources([np.zeros(1000), Path("a.hea")], False, {}).records()
            2
        """
        return sum(len(item) if isinstance(item, Store) else 1 for item in self.items)


def expand(sources: Any) -> Sources:
    """Open stores and list the recordings of folders.

    Args:
        sources: A `Store`, a `Record`, an array, the path of a recording, a store or a folder of recordings, or a list
            of these.

    Returns:
        The sources one by one.

    Raises:
        ValueError: If a folder holds no recording, or a store is damaged.

    Example:
        >>> expand(["a.hea", np.zeros(1000)]).records()
        2
    """
    single = not isinstance(sources, (list, tuple))
    items: list[Any] = []
    aside: dict[str, int] = {}
    for source in [sources] if single else sources:
        if not isinstance(source, (str, Path)) or not Path(source).is_dir():
            items.append(source)
        elif (Path(source) / "dataset.json").is_file():
            items.append(open_store(source))
        else:
            found = find_recordings(source)
            if not found.files:
                raise ValueError(
                    f"{source} is a folder without dataset.json, so no store, and holds no recording; "
                    "pass a store, a file, or a folder of recordings (openclef list formats)."
                )
            items += found.files
            single = False
            for ending, count in found.aside.items():
                aside[ending] = aside.get(ending, 0) + count
    return Sources(items, single, aside)


def parts_of_file(
    path: Path,
    log: SourceLog,
    *,
    lead: str,
    fs: float | None = None,
    leads: Sequence[str] | None = None,
    unit: str | None = None,
) -> Iterator[Record]:
    """Read a file in parts; what it states itself must not be contradicted, and what nobody states is guessed.

    A unit that nobody states is taken to be mV. A file of one lead without a standard name is taken to be the lead
    asked for. Both are written into the log; a rate is never guessed.

    Args:
        path: The file.
        log: Takes what was guessed, and what the reader says.
        lead: Lead that is asked for.
        fs: Sampling rate in Hz, for files that do not state it.
        leads: Lead names, for files that do not state them.
        unit: Unit, for files that do not state it.

    Yields:
        Records in the order of time.

    Raises:
        ValueError: If the file is damaged, contradicts what is passed, or does not state its rate.
        FileNotFoundError: If it is not there.

    Example:
        >>> import tempfile
        >>> log = SourceLog()
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     np.save(Path(folder, "a.npy"), np.zeros(1000, np.float32))
        ...     record = next(parts_of_file(Path(folder, "a.npy"), log, lead="II", fs=100))
        >>> record.leads, list(log.guessed.values())
        (('II',), [['lead II', 'unit mV']])
    """
    name = str(path)
    given: dict[str, Any] = {"fs": fs, "leads": leads, "unit": unit}
    parts = _opened(path, given, log, lead)
    for record in parts:
        _agree(path, record, fs, unit)
        if (
            len(record.leads) == 1
            and record.leads[0] not in LEADS
            and leads is None
            and record.leads[0] != lead
        ):
            log.guess(name, f"lead {lead}, which the file calls {record.leads[0]}")
            record = replace(record, leads=(lead,))
        yield record


def _opened(path: Path, given: dict[str, Any], log: SourceLog, lead: str) -> Iterator[Record]:
    """The parts of a file, with what it lacks filled in as far as that can be guessed."""
    name = str(path)
    while True:
        parts = _listening(read_parts(path, seconds=PART_S, **given), name, log)
        try:
            first = next(parts)
        except NotStated as error:
            if error.what == "unit" and given["unit"] is None:
                given["unit"] = "mV"
                log.guess(name, "unit mV")
            elif error.what == "leads" and error.rows == 1 and given["leads"] is None:
                given["leads"] = [lead]
                log.guess(name, f"lead {lead}")
            else:
                raise
            continue
        return chain([first], parts)


def _listening(parts: Iterator[Record], name: str, log: SourceLog) -> Iterator[Record]:
    """Parts, with the reader's warnings in the log instead of on the screen."""
    while True:
        with warnings.catch_warnings(record=True) as said:
            warnings.simplefilter("always", UserWarning)
            record = next(parts, None)
        for each in said:
            if issubclass(each.category, UserWarning):
                notes = log.noted.setdefault(name, [])
                if str(each.message) not in notes:
                    notes.append(str(each.message))
        if record is None:
            return
        yield record


def _agree(path: Path, record: Record, fs: float | None, unit: str | None) -> None:
    """Refuse a rate or unit that is passed and is not the file's."""
    if fs is not None and not np.isclose(record.fs, fs, rtol=2e-3):  # times in milliseconds are rounded
        raise ValueError(
            f"{path} states {record.fs:g} Hz and fs={fs:g} was passed; leave fs out for files that state their "
            "rate, and pass arrays of another rate as Record."
        )
    describing = FORMATS[str(format_of(path))].self_describing
    if unit is not None and (describing or "zscore" in (unit, record.unit)) and unit != record.unit:
        raise ValueError(
            f"{path} states its unit itself and is read in {record.unit}; unit={unit!r} was passed: leave unit "
            "out for files that state it, and pass arrays of another unit as Record."
        )
