"""ISHNE: the standard output format of Holter recorders; a stretch is read without the rest."""

from __future__ import annotations

import binascii
import struct
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from openclef.formats.stated import NotStated, about, age_between, agreed_rate, moment
from openclef.record import Record
from openclef.signal import canonical_lead, canonical_leads

_MAGIC = b"ISHNE1.0"
_HEADER = 522  # magic number, checksum and the block of fixed length
_MOST_LEADS = 12
_MISSING = -32768
_LEADS = {
    2: "X",
    3: "Y",
    4: "Z",
    5: "I",
    6: "II",
    7: "III",
    8: "aVR",
    9: "aVL",
    10: "aVF",
    11: "V1",
    12: "V2",
    13: "V3",
    14: "V4",
    15: "V5",
    16: "V6",
    17: "ES",
    18: "AS",
    19: "AI",
}
"""Lead codes of the standard; 0 (unknown) and 1 (generic bipolar) name no lead."""


class _Header(NamedTuple):
    """What the header says, and how many samples a lead the file holds."""

    rate: float | None
    codes: tuple[int, ...]
    nanovolts: tuple[int, ...]
    begin: int
    samples: int
    subject_id: str | None
    sex: str | None
    born: str | None
    recorded: str | None


def is_ishne(head: bytes) -> bool:
    """Tell whether a file is an ISHNE Holter ECG.

    Args:
        head: the file's first 4,096 bytes.

    Returns:
        True if its magic number is ``ISHNE1.0``.

    Example:
        >>> is_ishne(b"ISHNE1.0" + bytes(514)), is_ishne(b"ANN  1.0")
        (True, False)
    """
    return head.startswith(_MAGIC)


def read_ishne(
    path: str | Path,
    *,
    fs: float | None = None,
    leads: Sequence[str] | None = None,
    unit: str | None = None,
    record_id: str | None = None,
    start_s: float = 0.0,
    seconds: float | None = None,
) -> Record:
    """Read an ISHNE Holter ECG, or a stretch of it; only what is asked for is held.

    Args:
        path: the file.
        fs: sampling rate in Hz, where the file does not state it.
        leads: one name a lead, where the file calls a lead unknown or generic.
        unit: the standard fixes it (nV a step); another than ``mV`` counts as a mistake and is refused.
        record_id: the record's name; None takes the file's.
        start_s: where the stretch begins, in seconds from the recording's start.
        seconds: how long it is; None reads to the end, and a stretch that goes beyond the end stops there.

    Returns:
        The record in mV, float32, (lead, time), NaN where the file says -32768; subject_id, and ``age_years``, ``sex``
        and ``recorded_at`` (when the recording began) in its metadata, where the file states them.

    Raises:
        FileNotFoundError: if there is no such file.
        NotStated: if the file states no rate, or not the leads, and no argument gives them.
        ValueError: if it is damaged, cut short or no such file, or the stretch lies outside the recording.

    Warns:
        UserWarning: if the header does not have the checksum that it states (0: it states none), or bytes follow the
            samples.

    Source:
        Badilini, The ISHNE Holter standard output file format, Ann Noninvasive Electrocardiol 1998;3:263-266. The
        checksum is CRC-CCITT (polynomial 1021, beginning at FFFF) over the header's two blocks. The count of samples
        is read as that of one lead, or of all leads where the file's size says so.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     _ = Path(folder, "a.ecg").write_bytes(b"ISHNE1.0" + bytes(100))
        ...     read_ishne(Path(folder, "a.ecg"))
        Traceback (most recent call last):
        ValueError: a.ecg is cut short: it has 108 bytes, and its header alone needs 522; copy it again
    """
    path = Path(path)
    header = _read_header(path)
    rate = agreed_rate(path.name, header.rate, fs)
    if unit not in (None, "mV"):
        raise ValueError(f"{path.name} states amplitudes in nV and unit={unit!r} is passed; pass no unit")
    names = _names(path.name, header.codes, leads)
    first, last = _stretch(path.name, header.samples, rate, start_s, seconds)
    shape = (header.samples, len(names))
    stored = np.memmap(path, dtype="<i2", mode="r", offset=header.begin, shape=shape)
    signal = np.empty((len(names), last - first), np.float32)
    for row, nanovolts in enumerate(header.nanovolts):
        steps = stored[first:last, row]
        signal[row] = steps
        signal[row] *= np.float32(nanovolts * 1e-6)
        signal[row][steps == _MISSING] = np.nan
    return Record(
        signal,
        rate,
        names,
        record_id or path.stem,
        subject_id=header.subject_id,
        start_s=first / rate,
        metadata=about(
            age_years=age_between(header.born, header.recorded), sex=header.sex, recorded_at=header.recorded
        ),
    )


def ishne_seconds(path: str | Path) -> float | None:
    """Say how long a recording is by its header.

    Args:
        path: the file.

    Returns:
        Its length in seconds; None where the file states no rate.

    Raises:
        ValueError: if the header is damaged, or the file is cut short.

    Example:
        >>> import inspect
        >>> list(inspect.signature(ishne_seconds).parameters)
        ['path']
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # who reads the file says them
        header = _read_header(Path(path))
    return header.samples / header.rate if header.rate else None


def _read_header(path: Path) -> _Header:
    """Read the header, and compare its counts with the file's size before anything is allocated."""
    if not path.is_file():
        raise FileNotFoundError(f"ISHNE Holter ECG {path.name} is missing in {path.parent}; check the path")
    size = path.stat().st_size
    with path.open("rb") as file:
        head = file.read(_HEADER)
        if not is_ishne(head):
            raise ValueError(
                f"{path.name} is no ISHNE Holter ECG; accepted is a file that begins with {_MAGIC.decode()}: pass one, "
                "or a file in another format"
            )
        if size < _HEADER:
            raise ValueError(
                f"{path.name} is cut short: it has {size} bytes, and its header alone needs {_HEADER}; copy it again"
            )
        variable, count, _, begin = struct.unpack_from("<4i", head, 10)
        leads = struct.unpack_from("<h", head, 156)[0]
        if not 1 <= leads <= _MOST_LEADS or begin < _HEADER or variable < 0 or count < 1:
            raise ValueError(
                f"{path.name} has a damaged header ({leads} leads, {count:,} samples from byte {begin:,} on); accepted "
                f"are 1 to {_MOST_LEADS} leads, samples, and these behind the header: copy it again"
            )
        checksum = struct.unpack_from("<H", head, 8)[0]
        if checksum and begin <= min(size, _HEADER + (1 << 24)):
            there = binascii.crc_hqx(head[10:] + file.read(begin - _HEADER), 0xFFFF)
            if there != checksum:
                warnings.warn(
                    f"{path.name}: its header states the checksum {checksum:04X} and has {there:04X}; what it says of "
                    "rate, leads and person may be damaged: compare it with the original",
                    stacklevel=3,
                )
    there = max(size - begin, 0)
    if there == 2 * count and count % leads == 0:  # the count is that of all leads together
        count //= leads
    if there < 2 * count * leads:
        raise ValueError(
            f"{path.name} is cut short: its header promises {count:,} samples of {leads} leads, which need "
            f"{2 * count * leads:,} bytes, and {there:,} are there; copy it again"
        )
    if there > 2 * count * leads:
        warnings.warn(
            f"{path.name}: {there - 2 * count * leads:,} bytes follow the {count:,} samples that its header promises; "
            "they are left out",
            stacklevel=3,
        )
    nanovolts = struct.unpack_from(f"<{leads}h", head, 206)
    if min(nanovolts) <= 0:
        raise ValueError(
            f"{path.name} states amplitudes of {', '.join(map(str, nanovolts))} nV a step; accepted are numbers above "
            "0: export it anew"
        )
    rate = struct.unpack_from("<h", head, 272)[0]
    return _Header(
        rate=None if rate in (0, -9) else float(rate),
        codes=struct.unpack_from(f"<{leads}h", head, 158),
        nanovolts=nanovolts,
        begin=begin,
        samples=count,
        subject_id=head[108:128].partition(b"\0")[0].decode("latin-1").strip() or None,
        sex={1: "male", 2: "female"}.get(struct.unpack_from("<h", head, 128)[0]),
        born=_date(head, 132),
        recorded=_date(head, 138, 150),
    )


def _date(head: bytes, place: int, clock: int | None = None) -> str | None:
    """Day, month and year, and perhaps hours, minutes and seconds; None where this is no date."""
    day, month, year = struct.unpack_from("<3h", head, place)
    if not 1800 <= year <= 9999:
        return None
    hours = struct.unpack_from("<3h", head, clock) if clock is not None else (-1, 0, 0)
    time = ":".join(f"{part:02}" for part in hours) if min(hours) >= 0 else None
    return moment(year, month, day, time)


def _names(name: str, codes: tuple[int, ...], given: Sequence[str] | None) -> tuple[str, ...]:
    """The leads' names: those of the file, and the caller's where the file names none."""
    stated = [_LEADS.get(code) for code in codes]
    words = ", ".join(lead or "unknown" for lead in stated)
    if given is None:
        if None in stated:
            raise NotStated(
                f"leads are missing for {name}: the file states {words}; pass leads=<one name each>",
                "leads",
                len(codes),
            )
        wanted = [lead for lead in stated if lead]
    else:
        wanted = [canonical_lead(lead) for lead in ([given] if isinstance(given, str) else given)]
        if len(wanted) != len(codes) or any(lead not in (None, want) for lead, want in zip(stated, wanted)):
            raise ValueError(
                f"{name} states the leads {words} and leads={list(given)!r} is passed; pass one name each, and for "
                "those that are stated the same"
            )
    try:
        return canonical_leads(wanted)
    except ValueError as error:
        raise ValueError(f"{name}: {error}") from None


def _stretch(name: str, samples: int, rate: float, start_s: float, seconds: float | None) -> tuple[int, int]:
    total = samples / rate
    if not 0 <= start_s < total:
        raise ValueError(
            f"start_s={start_s!r} for {name}; accepted is 0 to less than {total:g} s, its duration: pass one of these"
        )
    if seconds is not None and not seconds > 0:
        raise ValueError(
            f"seconds={seconds!r} for {name}; accepted is a duration above 0, or None for the rest"
        )
    first = min(round(start_s * rate), samples - 1)
    last = samples if seconds is None else min(samples, first + max(1, round(min(seconds, total) * rate)))
    return first, last
