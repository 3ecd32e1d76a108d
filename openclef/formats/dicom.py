"""DICOM waveforms: twelve-lead, general and ambulatory ECG."""

from __future__ import annotations

import re
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from openclef.formats.stated import (
    about,
    age_between,
    age_years,
    agreed_leads,
    agreed_rate,
    agreed_unit,
    moment,
    sex,
)
from openclef.formats.unit import MILLIVOLTS
from openclef.record import Record
from openclef.signal import LEADS, canonical_lead

__all__ = ["is_dicom", "read_dicom"]

_NUMBERED = {
    **dict(zip(range(1, 9), ("I", "II", "V1", "V2", "V3", "V4", "V5", "V6"))),
    **dict(zip(range(61, 65), ("III", "aVR", "aVL", "aVF"))),
}
"""Leads by number, as in SCP-ECG (5.6.3-9-1) and ISO/IEEE 11073 (2:1)."""

_TYPES = {
    (16, "SS"): "i2",
    (16, "US"): "u2",
    (8, "SB"): "i1",
    (8, "UB"): "u1",
    (32, "SL"): "i4",
    (32, "UL"): "u4",
}
_DAMAGE = (
    ValueError,
    TypeError,
    LookupError,
    AttributeError,
    ArithmeticError,
    EOFError,
    OSError,
    NotImplementedError,
)


def is_dicom(head: bytes) -> bool:
    """Tell whether a file is DICOM.

    Args:
        head: its first bytes, at least 132.

    Returns:
        True where DICM follows a preamble of 128 bytes.

    Example:
        >>> is_dicom(bytes(128) + b"DICM"), is_dicom(b"DICM")
        (True, False)
    """
    return head[128:132] == b"DICM"


def read_dicom(
    path: str | Path,
    *,
    fs: float | None = None,
    leads: Sequence[str] | None = None,
    unit: str | None = None,
    record_id: str | None = None,
) -> Record:
    """Read the rhythm recording of a DICOM waveform file.

    Of several groups of channels the longest original one is read; derived ones, such as median beats, are not, and
    other original ones and channels that are no ECG are left out with a warning. Padding values are missing.

    Args:
        path: the file.
        fs: the file states its rate in Hz; another one is refused.
        leads: the file states its leads; other ones are refused.
        unit: ``mV``, ``uV`` or ``V``, for channels without a unit.
        record_id: the record's name; None takes the file's.

    Returns:
        The record in mV, float32, (lead, time); subject_id, age_years, sex and recorded_at where they are stated.

    Raises:
        ValueError: if the file is damaged or cut short, or has no ECG.
        ImportError: without the package pydicom.

    Warns:
        UserWarning: if something is left out.

    Source:
        DICOM PS3.3, section C.10.9 (Waveform Module), and PS3.16, CID 3001.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     _ = Path(folder, "a.dcm").write_bytes(b"not one")
        ...     read_dicom(Path(folder, "a.dcm"))
        Traceback (most recent call last):
        ValueError: a.dcm is no DICOM file; pass one, or a file in another format
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"DICOM file {path} is missing; check the path")
    with path.open("rb") as file:
        if not is_dicom(file.read(132)):
            raise ValueError(f"{path.name} is no DICOM file; pass one, or a file in another format")
    dataset = _open(path)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter(
                "ignore"
            )  # of values that break the standard: what is used is looked at below
            group = _rhythm(path.name, dataset)
            rate = agreed_rate(path.name, float(group.SamplingFrequency), fs)
            names, signal = _signal(path.name, group, dataset, unit)
            subject_id, metadata = _about_patient(dataset)
    except _damage() as error:
        if isinstance(error, ValueError) and str(error).startswith(path.name):
            raise
        raise ValueError(f"{path.name} is damaged ({error}); copy it again or export it anew") from None
    left_out = [name for name in names if name.startswith("-")]
    others = len(dataset.WaveformSequence) - 1 - sum(_is_derived(each) for each in dataset.WaveformSequence)
    if left_out or others:
        said = [name[1:] for name in left_out] + ([f"{others} more groups of channels"] if others else [])
        warnings.warn(f"{path.name}: left out: {', '.join(said)}", stacklevel=2)
    kept = [row for row, name in enumerate(names) if not name.startswith("-")]
    if not kept:
        raise ValueError(f"{path.name} has no ECG channel but {', '.join(name[1:] for name in names)}")
    return Record(
        signal[kept],
        rate,
        agreed_leads(path.name, [names[row] for row in kept], leads),
        record_id or path.stem,
        subject_id=subject_id,
        metadata=metadata,
    )


def _open(path: Path) -> Any:
    try:
        import pydicom
    except ImportError:
        raise ImportError(
            "DICOM files need the package pydicom; install it with: pip install 'openclef[formats]'"
        ) from None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return pydicom.dcmread(path, stop_before_pixels=True)
    except _damage() as error:
        raise ValueError(f"{path.name} is damaged ({error}); copy it again or export it anew") from None


def _damage() -> tuple[type[Exception], ...]:
    """What pydicom raises of damaged files, some of it only when a value is looked at."""
    import pydicom

    return (
        *_DAMAGE,
        pydicom.errors.InvalidDicomError,
        pydicom.errors.BytesLengthException,
        RecursionError,
    )


def _is_derived(group: Any) -> bool:
    return str(group.get("WaveformOriginality", "ORIGINAL")).strip().upper() == "DERIVED"


def _rhythm(name: str, dataset: Any) -> Any:
    if "WaveformSequence" not in dataset or not len(dataset.WaveformSequence):
        kind = getattr(dataset.get("SOPClassUID"), "name", "an unknown kind of object")
        raise ValueError(f"{name} holds no waveform ({kind}); accepted are DICOM ECG waveforms")
    original = [group for group in dataset.WaveformSequence if not _is_derived(group)]
    if not original:
        raise ValueError(
            f"{name} holds derived waveforms alone, such as median beats; export the rhythm recording"
        )
    return max(original, key=lambda group: group.NumberOfWaveformSamples / float(group.SamplingFrequency))


def _signal(name: str, group: Any, dataset: Any, unit: str | None) -> tuple[list[str], np.ndarray]:
    """The channels' names, with - before those that are no ECG, and (channel, time) in mV."""
    channels, samples = int(group.NumberOfWaveformChannels), int(group.NumberOfWaveformSamples)
    kind = (int(group.WaveformBitsAllocated), str(group.WaveformSampleInterpretation))
    if kind not in _TYPES:
        raise ValueError(
            f"{name} holds samples of {kind[0]} bits, kind {kind[1]}; accepted are {_accepted()}"
        )
    dtype = np.dtype(_TYPES[kind]).newbyteorder("<" if dataset.original_encoding[1] else ">")
    needed, content = channels * samples * dtype.itemsize, bytes(group.WaveformData)
    if needed < 1 or len(content) < needed or len(group.ChannelDefinitionSequence) != channels:
        raise ValueError(
            f"{name} is damaged: {channels} channels of {samples} samples need {needed:,} bytes and "
            f"{len(group.ChannelDefinitionSequence)} definitions, and {len(content):,} bytes are there; copy it again"
        )
    raw = np.frombuffer(content[:needed], dtype).reshape(samples, channels).T
    signal = raw.astype(np.float32)
    padding = group.get("WaveformPaddingValue")
    if padding is not None:
        value = (
            np.frombuffer(bytes(padding)[: dtype.itemsize], dtype)
            if isinstance(padding, bytes)
            else [padding]
        )
        signal[raw == value[0]] = np.nan
    names = []
    for row, channel in enumerate(group.ChannelDefinitionSequence):
        lead, stated = _lead(channel), _unit(channel)
        if stated is not None and stated.lower() not in MILLIVOLTS:
            names.append(f"-{lead} in {stated}")
            continue
        names.append(lead)
        factor = agreed_unit(f"{name}, channel {lead}", stated, unit)
        step = float(channel.get("ChannelSensitivity", 1)) * float(
            channel.get("ChannelSensitivityCorrectionFactor", 1)
        )
        signal[row] = (signal[row] * step + float(channel.get("ChannelBaseline", 0))) * factor
    return names, signal


def _accepted() -> str:
    return ", ".join(f"{bits} bits {kind}" for bits, kind in _TYPES)


def _lead(channel: Any) -> str:
    """A channel's lead by its code, else by the code's meaning or the channel's label."""
    source = channel.ChannelSourceSequence[0] if channel.get("ChannelSourceSequence") else {}
    found = re.fullmatch(r"(?:5\.6\.3-9-|2:)(\d+)(?:-\d+)?", str(source.get("CodeValue", "")).strip())
    if found and int(found[1]) in _NUMBERED:
        return _NUMBERED[int(found[1])]
    for text in (source.get("CodeMeaning"), channel.get("ChannelLabel"), source.get("CodeValue")):
        name = re.sub(r"\(.*?\)", "", str(text or "")).strip()
        if name:
            first = canonical_lead(name)
            return first if first in LEADS else name
    return "ECG"


def _unit(channel: Any) -> str | None:
    sequence = channel.get("ChannelSensitivityUnitsSequence")
    return str(sequence[0].get("CodeValue", "")).strip() or None if sequence else None


def _about_patient(dataset: Any) -> tuple[str | None, dict[str, Any]]:
    born, recorded = (_iso(dataset.get(name)) for name in ("PatientBirthDate", "AcquisitionDateTime"))
    recorded = recorded or _iso(dataset.get("AcquisitionDate") or dataset.get("StudyDate"))
    age = re.fullmatch(r"(\d{3})([DWMY])", str(dataset.get("PatientAge") or ""))
    words = {"D": "days", "W": "weeks", "M": "months", "Y": "years"}
    return str(dataset.get("PatientID") or "") or None, about(
        age_years=age_years(age[1], words[age[2]]) if age else age_between(born, recorded),
        sex=sex(str(dataset.get("PatientSex") or "")),
        recorded_at=recorded,
    )


def _iso(value: Any) -> str | None:
    """A DICOM date, with or without a time, as ISO text."""
    found = re.match(r"(\d{4})(\d{2})(\d{2})(?:(\d{2})(\d{2})(\d{2})?)?", str(value or ""))
    if not found:
        return None
    clock = f"{found[4]}:{found[5]}:{found[6] or '00'}" if found[4] else None
    return moment(int(found[1]), int(found[2]), int(found[3]), clock)
