"""Formats of vendors that the package ecgdatakit parses: its record becomes ours, its failures one kind of error."""

from __future__ import annotations

import importlib
import struct
import warnings
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from openclef.formats.stated import about, age_between, age_years, agreed_leads, agreed_rate, agreed_unit, sex
from openclef.record import Record
from openclef.signal import canonical_lead

__all__ = ["read_by_parser"]

_MAX_BYTES = 1 << 28  # a parser holds the whole file, and its samples as float64
_DAMAGE = (
    ValueError,
    TypeError,
    LookupError,
    AttributeError,
    ArithmeticError,
    EOFError,
    OSError,
    MemoryError,
    RecursionError,
    struct.error,
)


def read_by_parser(
    path: str | Path,
    parser: str,
    title: str,
    *,
    fs: float | None = None,
    leads: Sequence[str] | None = None,
    unit: str | None = None,
    record_id: str | None = None,
) -> Record:
    """Read one recording with a parser of ecgdatakit.

    Of leads of several rates or lengths the most frequent kind is kept, and a warning names the others.

    Args:
        path: the file.
        parser: module and class within ``ecgdatakit.parsing.parsers``, for example ``scp_ecg:SCPECGParser``.
        title: what the format is called, for messages.
        fs: sampling rate in Hz; another than the file's is refused.
        leads: the leads' names, where the file names none; else they must be its own.
        unit: ``mV``, ``uV`` or ``V``, where the file does not state it.
        record_id: the record's name; None takes the file's.

    Returns:
        The record in mV, float32, (lead, time); subject_id, age_years, sex and recorded_at where they are stated.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if the file is damaged, holds no lead, or lacks something that no argument gives.
        ImportError: without the package ecgdatakit.

    Warns:
        UserWarning: what the parser says, and leads that are left out.

    Example:
        >>> read_by_parser("no.scp", "scp_ecg:SCPECGParser", "SCP-ECG")
        Traceback (most recent call last):
        FileNotFoundError: SCP-ECG file no.scp is missing; check the path
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"{title} file {path} is missing; check the path")
    size = path.stat().st_size
    if size > _MAX_BYTES:
        raise ValueError(
            f"{path.name} has {size:,} bytes; accepted are {title} files up to {_MAX_BYTES:,}: convert it to EDF"
        )
    parsed = _parsed(path, parser, title)
    kept = _of_one_kind(path.name, parsed.leads)
    exact = parsed.raw_metadata.get("sampling_rates")
    rate = (
        float(exact[0])
        if exact and round(exact[0]) == kept[0].sampling_rate
        else float(kept[0].sampling_rate)
    )
    signal = np.stack([_millivolts(path.name, lead, unit) for lead in kept])
    patient, recorded = parsed.patient, parsed.recording.date
    moment = recorded.isoformat() if recorded is not None else None
    born = patient.birth_date.isoformat() if patient.birth_date is not None else None
    age = age_years(patient.age)
    return Record(
        signal,
        agreed_rate(path.name, rate or None, fs),
        agreed_leads(path.name, [canonical_lead(lead.label) for lead in kept], leads),
        record_id or path.stem,
        subject_id=str(patient.patient_id).strip() or None,
        metadata=about(
            age_years=age if age is not None else age_between(born, moment),
            sex=sex(str(patient.sex)),
            recorded_at=moment,
        ),
    )


def _parsed(path: Path, parser: str, title: str) -> Any:
    module, _, name = parser.partition(":")
    try:
        found = importlib.import_module(f"ecgdatakit.parsing.parsers.{module}")
        from ecgdatakit.exceptions import ECGDataKitError
    except ImportError:
        raise ImportError(
            f"{title} files need the package ecgdatakit; install it with: pip install 'openclef[formats]'"
        ) from None
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        try:
            parsed = getattr(found, name)().parse(path)
        except (ECGDataKitError, *_DAMAGE) as error:
            text = " ".join(str(error).replace(str(path), path.name).split())[:300]
            raise ValueError(
                f"{path.name} is damaged, or no {title} that can be read ({text}); copy it again or export it anew"
            ) from None
    for text in dict.fromkeys(" ".join(str(each.message).split()) for each in said):
        warnings.warn(f"{path.name}: {text}", stacklevel=4)
    if not any(len(lead.samples) for lead in parsed.leads):
        raise ValueError(f"{path.name} holds no samples of a rhythm; export the rhythm recording")
    return parsed


def _of_one_kind(name: str, leads: Sequence[Any]) -> list[Any]:
    """The leads of the most frequent rate and length."""
    kinds = Counter((lead.sampling_rate, len(lead.samples)) for lead in leads if len(lead.samples))
    common = max(kinds, key=lambda kind: (kinds[kind], kind))
    others = [lead.label for lead in leads if (lead.sampling_rate, len(lead.samples)) != common]
    if others:
        warnings.warn(
            f"{name}: leads of another rate or length left out: {', '.join(others)[:200]}", stacklevel=4
        )
    return [lead for lead in leads if (lead.sampling_rate, len(lead.samples)) == common]


def _millivolts(name: str, lead: Any, unit: str | None) -> np.ndarray:
    """A lead's samples in mV; what lies beyond float32 is missing."""
    stated = (lead.resolution_unit if lead.is_raw else lead.units) or None
    factor = agreed_unit(f"{name}, lead {lead.label}", stated, unit)
    samples = np.asarray(lead.samples, dtype=np.float64)
    if lead.is_raw:
        if not np.isfinite(lead.resolution) or lead.resolution == 0:
            raise ValueError(
                f"{name}, lead {lead.label} states no amplitude a step, so its amplitude is unknown"
            )
        samples = samples * lead.resolution + lead.offset
    return samples * factor
