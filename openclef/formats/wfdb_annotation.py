"""WFDB annotation files (``.atr``): beats and rhythms, and the heartbeat classes of the AAMI."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import numpy as np

from openclef.formats.wfdb import record_stem

AAMI_CLASSES = {
    **dict.fromkeys(("N", "L", "R", "e", "j"), "N"),
    **dict.fromkeys(("A", "a", "J", "S"), "S"),
    **dict.fromkeys(("V", "E"), "V"),
}
"""Beat symbols to N (normal, bundle branch block, escape), S (supraventricular ectopic), V (ventricular ectopic).

Fusion beats, paced and unclassifiable ones (F, f, /, Q) belong to none of the three (ANSI/AAMI EC57).
"""


class Annotations(NamedTuple):
    """The annotations of one record, in the order of time.

    Args:
        samples: sample number of each, int64.
        symbols: its symbol, for example ``"N"`` or ``"+"`` (change of rhythm).
        notes: its text, for example ``"(AFIB"``; mostly empty.

    Example:
        >>> Annotations(np.array([5]), np.array(["N"]), np.array([""])).samples
        array([5])
    """

    samples: np.ndarray
    symbols: np.ndarray
    notes: np.ndarray


class Rhythm(NamedTuple):
    """A stretch of one rhythm.

    Args:
        name: as annotated, without the bracket: ``"N"``, ``"AFIB"`` ...
        start: first sample.
        stop: the sample after the last.

    Example:
        >>> Rhythm("AFIB", 0, 2500).stop
        2500
    """

    name: str
    start: int
    stop: int


def read_annotations(path: str | Path, *, extension: str = "atr") -> Annotations:
    """Read a record's annotation file; no signal is read.

    Args:
        path: the record, with or without suffix.
        extension: the annotation file's suffix.

    Returns:
        Its annotations.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if it is damaged.

    Example:
        >>> import tempfile, wfdb
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     wfdb.wrann("a", "atr", np.array([10, 90]), symbol=["+", "V"], aux_note=["(N", ""],
        ...                write_dir=folder)
        ...     found = read_annotations(Path(folder, "a"))
        >>> found.samples.tolist(), found.symbols.tolist(), found.notes.tolist()
        ([10, 90], ['+', 'V'], ['(N', ''])
    """
    # Imported here because wfdb takes 0.4 s to import.
    import wfdb

    stem = record_stem(path)
    file = Path(f"{stem}.{extension}")
    if not file.is_file():
        raise FileNotFoundError(f"record {stem.name!r}: file {file.name} is missing; fetch it again")
    try:
        found = wfdb.rdann(str(stem), extension)
    except (
        IndexError,
        KeyError,
        TypeError,
        ValueError,
        AttributeError,
        ZeroDivisionError,
        OverflowError,
    ) as error:
        # wfdb meets these in files that break off or are no annotation files.
        raise ValueError(
            f"record {stem.name!r}: file {file.name} is damaged ({type(error).__name__}: {error}); fetch it again"
        ) from None
    notes = [str(note).strip("\x00 ") for note in found.aux_note]
    return Annotations(
        np.asarray(found.sample, np.int64), np.asarray(found.symbol, str), np.asarray(notes, str)
    )


def rhythms(annotations: Annotations) -> list[Rhythm]:
    """Give the stretches of rhythm: each from its ``(NAME`` to the next, to a ``)``, or to the last annotation.

    Args:
        annotations: of one record.

    Returns:
        The stretches in the order of time; a note such as ``(N)``, a rhythm of one beat, is one of no length.

    Example:
        >>> notes = np.array(["(N", "", "(AFIB", ")", "(N)", ""])
        >>> rhythms(Annotations(np.array([0, 40, 90, 200, 300, 400]), np.array(["+"] * 6), notes))
        [Rhythm(name='N', start=0, stop=90), Rhythm(name='AFIB', start=90, stop=200),
         Rhythm(name='N', start=300, stop=300)]
    """
    found: list[Rhythm] = []
    name, start = "", 0
    marked = np.flatnonzero((annotations.notes != "") & (annotations.symbols == "+"))
    for sample, note in zip(annotations.samples[marked].tolist(), annotations.notes[marked].tolist()):
        if note[0] not in "()":
            continue
        if name:
            found.append(Rhythm(name, start, sample))
        name, start = note.lstrip("(").rstrip(")"), sample
        if name and note.endswith(")"):
            found.append(Rhythm(name, start, sample))
            name = ""
    if name:
        found.append(Rhythm(name, start, int(annotations.samples[-1])))
    return found
