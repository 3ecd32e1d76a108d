"""EDF, EDF+ and BDF: recordings in blocks of equal length, with a header of fixed fields."""

from __future__ import annotations

import re
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from openclef.formats.stated import about, age_between, agreed_rate, agreed_unit
from openclef.formats.unit import MILLIVOLTS
from openclef.record import Record
from openclef.signal import LEADS, canonical_lead, canonical_leads

__all__ = ["edf_seconds", "is_edf", "read_edf"]

_EDF, _BDF = b"0       ", b"\xffBIOSEMI"
_ECG = re.compile(r"^(?:ecg|ekg)\b[\s:_-]*", re.IGNORECASE)
_UNREADABLE = (ValueError, IndexError, KeyError, OverflowError, ArithmeticError, EOFError, OSError)


class _Layout(NamedTuple):
    """What the header says of the blocks: counts, seconds, and bytes of the annotations in a block."""

    signals: int
    blocks: int
    block_s: float
    block_bytes: int
    header_bytes: int
    annotations: tuple[int, int] | None


def is_edf(head: bytes) -> bool:
    """Tell whether a file is EDF, EDF+ or BDF.

    Args:
        head: its first bytes, at least 192.

    Returns:
        True where version, dates and the size of the header stand where they have to.

    Example:
        >>> is_edf(b"0       " + b" " * 160 + b"01.01.2001.00.00512     "), is_edf(b"0,1,2")
        (True, False)
    """
    dates = head[168:184].replace(b".", b"").replace(b":", b"").replace(b" ", b"")
    return head[:8] in (_EDF, _BDF) and head[184:192].strip().isdigit() and (dates.isdigit() or b"X" in dates)


def read_edf(
    path: str | Path,
    *,
    fs: float | None = None,
    leads: Sequence[str] | None = None,
    unit: str | None = None,
    record_id: str | None = None,
    start_s: float = 0.0,
    seconds: float | None = None,
) -> Record:
    """Read the ECG channels of an EDF, EDF+ or BDF file.

    ECG channels are those whose label begins with ECG or EKG or is a standard lead's name. Others are left out, and
    so are ECG channels of another rate than the most frequent one; a warning names them. Time that EDF+D does not
    cover is missing (NaN).

    Args:
        path: the file.
        fs: the file states its rate in Hz; another one is refused.
        leads: names for ECG channels whose labels are no standard leads, such as "ECG": one name a channel.
        unit: ``mV``, ``uV`` or ``V``, for channels whose physical dimension is empty.
        record_id: the record's name; None takes the file's.
        start_s: where to begin, in seconds from the recording's start; the rest is not read.
        seconds: how much to read; less where the recording ends earlier. None reads to the end.

    Returns:
        The record in mV, float32, (lead, time); subject_id, age_years, sex and recorded_at where EDF+ states them.

    Raises:
        ValueError: if the file is damaged, cut short, or has no ECG channel, unit or rate, or a part is asked for of a
            recording with gaps.
        ImportError: without the package edfio.

    Warns:
        UserWarning: if channels are left out.

    Source:
        Kemp and Olivan, European data format 'plus' (EDF+), 2003; BioSemi's BDF.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     _ = Path(folder, "a.edf").write_bytes(b"0       ")
        ...     read_edf(Path(folder, "a.edf"))
        Traceback (most recent call last):
        ValueError: a.edf is cut short: its header has 8 bytes, and at least 512 are needed; copy it again
    """
    path = Path(path)
    layout = _layout(path)
    file = _open(path)
    try:
        chosen = _ecg_channels(path.name, file, leads)
        rate = agreed_rate(path.name, float(chosen[0][1].sampling_frequency), fs)
        names = tuple(name for name, _ in chosen)
        first, stop = _stretch(path.name, layout, rate, start_s, seconds)
        signal = np.empty((len(chosen), stop - first), np.float32)
        for row, (name, channel) in enumerate(chosen):
            stated = channel.physical_dimension.strip() or None
            factor = agreed_unit(f"{path.name}, channel {name}", stated, unit)
            if channel.digital_max <= channel.digital_min:
                raise ValueError(
                    f"{path.name}, channel {name}: its digital range is {channel.digital_min} to "
                    f"{channel.digital_max}, so its amplitude is not known; convert the recording anew"
                )
            signal[row] = _samples(channel, first, stop) * factor
        subject_id, metadata = _about_patient(file)
    except _UNREADABLE as error:
        if isinstance(error, ValueError) and str(error).startswith(path.name):
            raise
        raise ValueError(f"{path.name} is damaged ({error}); copy it again or convert it anew") from None
    whole = start_s == 0 and seconds is None
    length = round(rate * layout.block_s)
    blocks = range(layout.blocks) if whole else range(first // length, -(-stop // length))
    onsets = _onsets(path, layout, blocks)
    if onsets is not None and not whole:
        raise ValueError(f"{path.name} has gaps, and a part of it is asked for; read it whole")
    if onsets is not None:
        signal = _spread(path.name, signal, onsets, layout, rate)
    return Record(
        signal,
        rate,
        names,
        record_id or path.stem,
        subject_id=subject_id,
        start_s=first / rate,
        metadata=metadata,
    )


def edf_seconds(path: str | Path) -> float | None:
    """Say how long a recording is by its header.

    Args:
        path: the file.

    Returns:
        Its length in seconds; None where it has gaps, so that it is read whole.

    Raises:
        ValueError: if the header is damaged, or the file is cut short.

    Example:
        >>> import inspect
        >>> list(inspect.signature(edf_seconds).parameters)
        ['path']
    """
    path = Path(path)
    layout = _layout(path)
    gaps = _onsets(path, layout, range(layout.blocks)) is not None
    return None if gaps else layout.blocks * layout.block_s


def _stretch(
    name: str, layout: _Layout, rate: float, start_s: float, seconds: float | None
) -> tuple[int, int]:
    """The first sample to read and the one after the last."""
    total = layout.blocks * round(rate * layout.block_s)
    if start_s < 0 or (seconds is not None and seconds <= 0) or round(start_s * rate) >= total:
        raise ValueError(
            f"{name}: start_s={start_s:g}, seconds={seconds!r} of {total / rate:g} s; accepted are a start within the "
            "recording and a length above 0"
        )
    first = round(start_s * rate)
    return first, total if seconds is None else min(total, first + max(1, round(seconds * rate)))


def _samples(channel: Any, first: int, stop: int) -> np.ndarray:
    """A channel's samples in its unit; only those asked for are read."""
    rate = channel.sampling_frequency
    return channel.get_data_slice(first / rate, stop / rate)


def _layout(path: Path) -> _Layout:
    """Read the header's counts, and compare them with the file's size before anything is allocated."""
    if not path.is_file():
        raise FileNotFoundError(f"EDF file {path} is missing; check the path")
    size = path.stat().st_size
    with path.open("rb") as file:
        head = file.read(256)
        if size < 512:
            raise ValueError(
                f"{path.name} is cut short: its header has {min(size, 256)} bytes, and at least 512 are needed; "
                "copy it again"
            )
        if not is_edf(head):
            raise ValueError(f"{path.name} is no EDF or BDF file; pass one, or a file in another format")
        try:
            header_bytes, blocks, signals = int(head[184:192]), int(head[236:244]), int(head[252:256])
            block_s = float(head[244:252])
            if not (0 < signals <= 4096 and header_bytes == 256 * (signals + 1) and 0 < block_s <= 86_400):
                raise ValueError("the header's counts do not agree")
            fields = file.read(256 * signals)
            counts = [int(fields[at : at + 8]) for at in range(216 * signals, 224 * signals, 8)]
        except ValueError as error:
            raise ValueError(f"{path.name} has a damaged header ({error}); copy it again") from None
    labels = [fields[16 * number : 16 * (number + 1)].strip() for number in range(signals)]
    bytes_each = 3 if head[:8] == _BDF else 2
    block_bytes = bytes_each * sum(counts)
    if min(counts) < 0 or block_bytes == 0 or max(counts) / block_s > 1e6:
        raise ValueError(f"{path.name} has a damaged header (samples a block: {counts}); copy it again")
    there = (size - header_bytes) // block_bytes
    if blocks < 0:  # written while recording, and never closed
        blocks = there
    if blocks < 1 or there < blocks:
        raise ValueError(
            f"{path.name} is cut short: its header promises {blocks} blocks of {block_s:g} s, and "
            f"{max(there, 0)} are there; copy it again"
        )
    found = None
    for label, start, count in zip(labels, np.cumsum([0, *counts]), counts):
        if label in (b"EDF Annotations", b"BDF Annotations"):
            found = (int(start) * bytes_each, int(start + count) * bytes_each)
            break
    return _Layout(signals, blocks, block_s, block_bytes, header_bytes, found)


def _open(path: Path) -> Any:
    try:
        import edfio
    except ImportError:
        raise ImportError(
            "EDF files need the package edfio; install it with: pip install 'openclef[formats]'"
        ) from None
    with path.open("rb") as file:
        bdf = file.read(8) == _BDF
    read = edfio.read_bdf if bdf else edfio.read_edf
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of counts in the header, which have been compared with the file
            return read(path, header_encoding="latin-1")
    except _UNREADABLE as error:
        raise ValueError(f"{path.name} is damaged ({error}); copy it again or convert it anew") from None


def _ecg_channels(name: str, file: Any, leads: Sequence[str] | None) -> list[tuple[str, Any]]:
    """Choose the channels that are ECG, by label, of the rate that most of them have."""
    ecg, others = [], []
    for channel in file.signals:
        label = channel.label.strip()
        lead = canonical_lead(_ECG.sub("", label)) or "ECG"
        is_voltage = channel.physical_dimension.strip().lower() in (*MILLIVOLTS, "")
        if (_ECG.match(label) or lead in LEADS or lead == "MLII") and is_voltage:
            ecg.append((lead, channel))
        else:
            others.append(label or "without a label")
    if not ecg:
        raise ValueError(
            f"{name} has no ECG channel but {', '.join(others) or 'annotations alone'}; accepted are labels such as "
            "'ECG II' or 'V1': rename the channel in the file"
        )
    rates = [float(channel.sampling_frequency) for _, channel in ecg]
    common = max(rates, key=lambda rate: (rates.count(rate), rate))
    others += [f"{lead} at {rate:g} Hz" for (lead, _), rate in zip(ecg, rates) if rate != common]
    ecg = [each for each, rate in zip(ecg, rates) if rate == common]
    if others:
        warnings.warn(f"{name}: channels left out: {', '.join(others)}", stacklevel=4)
    names = [lead for lead, _ in ecg]
    if leads is not None and list(canonical_leads(leads)) != names:
        if len(leads) != len(ecg) or any(lead in LEADS for lead in names):
            raise ValueError(
                f"{name} states the leads {', '.join(names)} and leads={list(leads)!r} is passed; pass no leads"
            )
        names = list(leads)
    if len(set(names)) < len(names):
        raise ValueError(
            f"{name} has several channels of one name ({', '.join(names)}); pass leads=<one name each>"
        )
    return list(zip(names, (channel for _, channel in ecg)))


def _about_patient(file: Any) -> tuple[str | None, dict[str, Any]]:
    """The patient's code, and age, sex and date: from EDF+'s subfields alone; anonymised ones are unknown."""
    fields = file.local_patient_identification.split()
    plus = len(fields) >= 4 and fields[1] in ("F", "M", "X")
    found: dict[str, str | None] = {"born": None, "recorded_at": None}
    for name, read in (
        ("born", lambda: file.patient.birthdate.isoformat() if plus else None),
        ("recorded_at", lambda: file.startdatetime.isoformat()),
    ):
        try:
            found[name] = read()
        except ValueError:  # anonymised, or no date
            continue
    if (found["recorded_at"] or "").startswith("1985-01-01"):  # what stands for an anonymised date
        found["recorded_at"] = None
    return fields[0] if plus and fields[0] != "X" else None, about(
        age_years=age_between(found["born"], found["recorded_at"]),
        sex={"M": "male", "F": "female"}.get(fields[1]) if plus else None,
        recorded_at=found["recorded_at"],
    )


def _onsets(path: Path, layout: _Layout, blocks: range) -> np.ndarray | None:
    """Seconds from the first of these blocks' start to each, where they do not follow each other without a gap."""
    if layout.annotations is None:
        return None
    first, last = layout.annotations
    onsets = np.full(len(blocks), np.nan)
    with path.open("rb") as file:
        for place, block in enumerate(blocks):
            file.seek(layout.header_bytes + block * layout.block_bytes + first)
            found = re.match(rb"[+-]\d{1,9}(?:\.\d{1,9})?", file.read(last - first))
            if found:
                onsets[place] = float(found[0])
    if not np.isfinite(onsets).all():
        raise ValueError(
            f"{path.name}: {int(np.isnan(onsets).sum())} of {len(blocks)} blocks do not say when they begin; "
            "convert the recording anew"
        )
    onsets -= onsets[0]
    return None if np.allclose(onsets, np.arange(len(blocks)) * layout.block_s, atol=1e-3) else onsets


def _spread(name: str, signal: np.ndarray, onsets: np.ndarray, layout: _Layout, rate: float) -> np.ndarray:
    """Put blocks where they belong in time; what lies between them is missing."""
    length = round(rate * layout.block_s)
    places = np.round(onsets * rate).astype(np.int64)
    if (np.diff(places) < length).any():
        raise ValueError(f"{name}: blocks overlap or are out of order; convert the recording anew")
    total = int(places[-1]) + length
    if total > 20 * signal.shape[1] + 3600 * rate:
        raise ValueError(
            f"{name}: {onsets[-1]:,.0f} s lie between its first and last block, of which "
            f"{signal.shape[1] / rate:,.0f} s are recorded; cut it into its pieces"
        )
    spread = np.full((len(signal), total), np.nan, np.float32)
    for block, place in enumerate(places):
        spread[:, place : place + length] = signal[:, block * length : (block + 1) * length]
    return spread
