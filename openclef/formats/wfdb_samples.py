r"""The samples of one WFDB record: the plain case, which nearly all ECGs are, is read here; the rest by ``wfdb``.

``wfdb`` 4.3 takes milliseconds for a header, more than the samples need. A header is plain where it has one
segment, states its length, and names for each lead the same file in format 16, one sample a frame, no skew, with
gain, unit and checksum. Everything else is left to ``wfdb``, damage too, so that both give the same samples and
the same reasons.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import date
from pathlib import Path
from typing import NamedTuple

import numpy as np

_MISSING = -32768  # format 16's invalid sample

_RECORD_LINE = re.compile(
    r"[-\w]+[ \t]+(?P<leads>\d{1,4})[ \t]+(?P<fs>\d{1,6}(\.\d{1,6})?)[ \t]+(?P<samples>\d{1,12})"
    r"([ \t]+([01]\d|2[0-3]):[0-5]\d:[0-5]\d(\.\d{1,6})?([ \t]+(?P<date>\d\d/\d\d/\d{4}))?)?",
    re.ASCII,
)
_SIGNAL_LINE = re.compile(
    r"(?P<file>[-\w]+\.\w+)[ \t]+16(\+(?P<offset>\d{1,9}))?"
    r"[ \t]+(?P<gain>-?\d{1,9}(\.\d{1,9})?)(\((?P<baseline>-?\d{1,9})\))?/(?P<unit>[\w^?%/-]+)"
    r"[ \t]+\d{1,3}[ \t]+(?P<zero>-?\d{1,9})[ \t]+-?\d{1,9}[ \t]+(?P<checksum>-?\d{1,9})[ \t]+0"
    r"[ \t]+(?P<lead>[!-~][ -~]*)",
    re.ASCII,
)


class WfdbSamples(NamedTuple):
    """The samples of a record's stretch, and what its header says of them.

    Args:
        fs: sampling rate in Hz of the samples.
        leads: names as the header has them.
        units: each lead's unit, as the header has it.
        gains: each lead's steps a unit.
        checksums: each lead's checksum of the whole record; 0 or None where it is not stated or cannot be
            compared.
        digital: each lead's samples as they are in the file.
        physical: each lead's samples in its unit, float64; NaN where invalid.

    Example:
        >>> WfdbSamples(500.0, ["I"], ["mV"], [1000.0], [7], [np.array([7])], [np.array([0.007])]).leads
        ['I']
    """

    fs: float
    leads: Sequence[str]
    units: Sequence[str]
    gains: Sequence[float]
    checksums: Sequence[int | None]
    digital: Sequence[np.ndarray]
    physical: Sequence[np.ndarray]


def read_plain(stem: Path, header: str, start: int, stop: int | None) -> WfdbSamples | None:
    r"""Read the samples of a record whose header is plain.

    Args:
        stem: the record's path without suffix.
        header: the header's text.
        start: the first sample.
        stop: the one after the last; None for the record's end.

    Returns:
        The samples; None where the header is not plain, or the file is shorter than it says.

    Raises:
        FileNotFoundError: if the signal file is missing.

    Source:
        WFDB Applications Guide, header(5) and signal(5).

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     np.array([100, -32768, -5], "<i2").tofile(Path(folder, "a.dat"))
        ...     found = read_plain(Path(folder, "a"), "a 1 500 3\na.dat 16 1000(0)/mV 16 0 100 95 0 I\n", 0, None)
        >>> found.leads, found.physical[0].tolist()
        (['I'], [0.1, nan, -0.005])
    """
    lines = header_lines(header)
    record = _RECORD_LINE.fullmatch(lines[0]) if lines and header.isascii() else None
    signals = [found for found in map(_SIGNAL_LINE.fullmatch, lines[1:]) if found is not None]
    if record is None or not len(signals) == len(lines) - 1 == int(record["leads"]):
        return None
    samples, leads = int(record["samples"]), len(signals)
    gains = [float(found["gain"]) for found in signals]
    places = {(found["file"], int(found["offset"] or 0)) for found in signals}
    if len(places) != 1 or samples == 0 or 0.0 in gains or not _is_date(record["date"]):
        return None
    ((name, offset),) = places
    count = ((samples if stop is None else stop) - start) * leads
    path = stem.parent / name
    if path.stat().st_size < offset + 2 * (start * leads + count):
        return None
    flat = np.fromfile(path, "<i2", count, offset=offset + 2 * start * leads)
    digital = np.ascontiguousarray(flat.reshape(-1, leads).T)
    baselines = [int(found["baseline"] or found["zero"]) for found in signals]
    physical = digital.astype(np.float64)
    physical -= np.asarray(baselines, np.float64)[:, None]
    physical /= np.asarray(gains)[:, None]
    physical[digital == _MISSING] = np.nan
    return WfdbSamples(
        fs=float(record["fs"]),
        leads=[found["lead"] for found in signals],
        units=[found["unit"] for found in signals],
        gains=gains,
        checksums=[int(found["checksum"]) for found in signals],
        digital=list(digital),
        physical=list(physical),
    )


def read_any(stem: Path, start: int, stop: int | None) -> WfdbSamples:
    """Read the samples of any record of one segment, by the package ``wfdb``.

    Args:
        stem: the record's path without suffix.
        start: the first frame.
        stop: the one after the last; None for the record's end.

    Returns:
        The samples.

    Raises:
        OSError: if a file is missing.
        ValueError: if the record is damaged, or its leads have several rates.

    Example:
        >>> read_any(Path("nowhere"), 0, None)
        Traceback (most recent call last):
        FileNotFoundError: [Errno 2] No such file or directory: ...nowhere.hea'
    """
    # Imported here because wfdb takes 0.4 s to import.
    import wfdb

    try:
        source = wfdb.rdrecord(str(stem), sampfrom=start, sampto=stop, physical=False, smooth_frames=False)
        physical = source.dac(expanded=True, return_res=64)
    except (
        IndexError,
        KeyError,
        TypeError,
        AttributeError,
        ZeroDivisionError,
        OverflowError,
        MemoryError,
    ) as error:
        # wfdb meets these in headers that break off, that name unknown formats or impossible lengths.
        raise ValueError(f"the header is damaged ({type(error).__name__}: {error})") from None
    except ValueError as error:
        if "not loaded correctly" in str(error) or "reshape" in str(error):
            raise ValueError("the signal file is shorter than its header says; fetch it again") from None
        raise ValueError(f"the header is damaged ({error})") from None
    frames = set(source.samps_per_frame)
    if len(frames) > 1:
        raise ValueError("leads have different sampling rates; accepted is one rate: resample the source")
    # where leads are skewed wfdb has shifted the samples, and a checksum is of those before the shift
    sums = [] if any(source.skew) else source.checksum or []
    return WfdbSamples(
        fs=float(source.fs) * frames.pop(),
        leads=source.sig_name,
        units=source.units,
        gains=source.adc_gain,
        checksums=sums,
        digital=source.e_d_signal,
        physical=physical,
    )


def header_lines(header: str) -> list[str]:
    r"""Take the lines of a header that are neither empty nor comments.

    Args:
        header: the header's text.

    Returns:
        The record line, then the signal lines.

    Example:
        >>> header_lines("# made up\na 1 500 3\n\na.dat 16 1000/mV\n")
        ['a 1 500 3', 'a.dat 16 1000/mV']
    """
    return [line for line in map(str.strip, header.splitlines()) if line and not line.startswith("#")]


def _is_date(text: str | None) -> bool:
    """Whether a header's date, dd/mm/yyyy, is one; none stated is fine."""
    if text is None:
        return True
    day, month, year = map(int, text.split("/"))
    try:
        date(year, month, day)
    except ValueError:
        return False
    return True
