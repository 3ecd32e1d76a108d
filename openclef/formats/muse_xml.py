"""GE MUSE XML: what the MUSE system of GE HealthCare exports of a resting ECG."""

from __future__ import annotations

import base64
import binascii
import math
import re
import warnings
import zlib
from collections.abc import Sequence
from pathlib import Path
from xml.etree.ElementTree import Element

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
from openclef.formats.xml_file import read_xml, root_name
from openclef.record import Record
from openclef.signal import LEADS, canonical_lead, derive_limb_leads

_TITLE = "GE MUSE XML of a resting ECG"
_UNITS = {
    "MICROVOLTS": "uV",
    "MICROVOLT": "uV",
    "MILLIVOLTS": "mV",
    "MILLIVOLT": "mV",
    "VOLTS": "V",
    "VOLT": "V",
}
_LATER = ("LeadOffsetFirstSample", "LeadTimeOffset")  # a lead that begins after the others


def is_muse_xml(head: bytes) -> bool:
    """Tell whether a file is a GE MUSE XML export.

    Args:
        head: the file's first 4,096 bytes.

    Returns:
        True if its first element is ``RestingECG``.

    Example:
        >>> is_muse_xml(b'<!DOCTYPE RestingECG SYSTEM "restecg.dtd"><RestingECG>'), is_muse_xml(b"<AnnotatedECG>")
        (True, False)
    """
    return root_name(head) == "RestingECG"


def read_muse_xml(
    path: str | Path,
    *,
    fs: float | None = None,
    leads: Sequence[str] | None = None,
    unit: str | None = None,
    record_id: str | None = None,
) -> Record:
    """Read the rhythm of one GE MUSE XML export.

    MUSE stores eight leads of a 12-lead ECG: where I and II are there and none of III, aVR, aVL and aVF, these are
    computed from them. Median beats are left out. Where the file states a CRC-32 of a lead's samples, it is checked;
    0 counts as not stated.

    Args:
        path: the file.
        fs: sampling rate in Hz, where the file does not state it.
        leads: the lead names, which the file states; they must be its own (with the computed ones).
        unit: ``mV``, ``uV`` or ``V``, where the file does not state it.
        record_id: the record's name; None takes the file's.

    Returns:
        The record in mV, float32, (lead, time), with the patient's id; ``age_years``, ``sex`` and ``recorded_at`` are
        in its metadata where the file tells them.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if it is damaged, no such file, holds no rhythm, or lacks something that no argument gives.
        ImportError: without the package defusedxml.

    Warns:
        UserWarning: where a lead was off, or a stated baseline is not applied.

    Source:
        The elements' names and meaning: restecg.dtd of MUSE's exports, and exported files; GE publishes no
        specification. CRC-32 as in ISO 3309, over the decoded bytes.

    Example:
        >>> import tempfile
        >>> lead = '''<LeadData><LeadAmplitudeUnitsPerBit>5</LeadAmplitudeUnitsPerBit>
        ... <LeadAmplitudeUnits>MICROVOLTS</LeadAmplitudeUnits><LeadID>V1</LeadID>
        ... <WaveFormData>AQD+/w==</WaveFormData></LeadData>'''
        >>> text = f'''<RestingECG><Waveform><WaveformType>Rhythm</WaveformType><SampleBase>500</SampleBase>
        ... {lead}</Waveform></RestingECG>'''
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     _ = Path(folder, "a.xml").write_text(text)
        ...     record = read_muse_xml(Path(folder, "a.xml"))
        >>> record.fs, record.leads, [round(float(value), 3) for value in record.signal[0]]
        (500.0, ('V1',), [0.005, -0.01])
    """
    path = Path(path)
    root = read_xml(path, "RestingECG", _TITLE).root
    waveform = _rhythm(root, path.name)
    rate = agreed_rate(path.name, _rate(waveform, path.name), fs)
    recorded = _leads(waveform, path.name, unit)
    names = list(recorded)
    if {"I", "II"} <= recorded.keys() and recorded.keys().isdisjoint(LEADS[2:6]):
        recorded |= derive_limb_leads(recorded["I"], recorded["II"])
        names = [lead for lead in LEADS if lead in recorded] + [lead for lead in names if lead not in LEADS]
    patient, test = root.find("PatientDemographics"), root.find("TestDemographics")
    when = _date(_text(test, "AcquisitionDate"), _text(test, "AcquisitionTime"))
    return Record(
        signal=np.stack([recorded[lead] for lead in names]),
        fs=rate,
        leads=agreed_leads(path.name, names, leads),
        record_id=record_id or path.stem,
        subject_id=_text(patient, "PatientID") or None,
        metadata=about(age_years=_age(patient, when), sex=sex(_text(patient, "Gender")), recorded_at=when),
    )


def _rhythm(root: Element, name: str) -> Element:
    every = root.findall("Waveform")
    kinds = [_text(waveform, "WaveformType") for waveform in every]
    rhythms = [waveform for waveform, kind in zip(every, kinds) if kind.lower() == "rhythm"]
    if not rhythms:
        there = (
            f"only waveforms of type {', '.join(map(repr, sorted(set(kinds))))}" if kinds else "no waveform"
        )
        raise ValueError(
            f"{name} holds {there}; accepted is {_TITLE} with one of type Rhythm: export it anew"
        )
    if len(rhythms) > 1:
        warnings.warn(
            f"{name} holds {len(rhythms)} rhythms; the first is read, the others are left out", stacklevel=3
        )
    coding = _text(rhythms[0], "SampleType")
    if coding.upper() not in ("", "CONTINUOUS_SAMPLES"):
        raise ValueError(
            f"{name} holds samples of type {coding[:40]!r}; accepted is CONTINUOUS_SAMPLES: export it anew"
        )
    return rhythms[0]


def _rate(waveform: Element, name: str) -> float | None:
    base, exponent = _text(waveform, "SampleBase"), _text(waveform, "SampleExponent") or "0"
    if not base:
        return None
    number, power = _number(base), _number(exponent)
    if number is None or power is None or abs(power) > 9 or power != int(power):
        raise ValueError(
            f"{name} states a rate of {base[:20]!r} times 10 to the {exponent[:20]!r}; accepted are numbers: copy it "
            "again"
        )
    return number * 10.0 ** int(power)


def _leads(waveform: Element, name: str, unit: str | None) -> dict[str, np.ndarray]:
    """The stored leads, float32 in mV."""
    found: dict[str, np.ndarray] = {}
    for data in waveform.findall("LeadData"):
        label = _text(data, "LeadID")
        if not label:
            raise ValueError(f"{name} holds a lead without a name; export it anew")
        lead = canonical_lead(label)
        if lead in found:
            raise ValueError(f"{name} holds lead {lead} twice; export it anew")
        found[lead] = _samples(data, f"{name}, lead {lead}", unit)
    if not found:
        raise ValueError(
            f"{name} holds no lead in its rhythm; accepted is {_TITLE} with leads: export it anew"
        )
    lengths = {len(samples) for samples in found.values()}
    if len(lengths) > 1:
        raise ValueError(
            f"{name} holds leads of {min(lengths):,} to {max(lengths):,} samples; accepted are leads of one length: "
            "copy it again, or export it anew"
        )
    return found


def _samples(data: Element, what: str, unit: str | None) -> np.ndarray:
    step = _number(_text(data, "LeadAmplitudeUnitsPerBit"))
    if step is None or step == 0:
        raise ValueError(f"{what} states no amplitude a bit, so its amplitude is unknown; export it anew")
    stated = _text(data, "LeadAmplitudeUnits")
    millivolts = agreed_unit(what, _UNITS.get(stated.upper(), stated) or None, unit)
    later = [field for field in _LATER if _number(_text(data, field) or "0") != 0]
    if later:
        raise ValueError(
            f"{what} begins later than others ({later[0]} {_text(data, later[0])[:20]}), in a way that is not "
            "documented; accepted are leads that begin together: export it as HL7 or DICOM"
        )
    content = _content(data, what)
    baseline = _text(data, "FirstSampleBaseline")
    if baseline and _number(baseline) != 0:
        warnings.warn(
            f"{what} states a baseline of {baseline[:20]} steps, which is not applied: it is not documented",
            stacklevel=5,
        )
    if _text(data, "LeadOff").upper() == "TRUE":
        warnings.warn(f"{what} was off, as the file states; its samples are read as they are", stacklevel=5)
    return np.frombuffer(content, dtype="<i2").astype(np.float32) * np.float32(step * millivolts)


def _content(data: Element, what: str) -> bytes:
    """The decoded bytes of a lead, checked against all that the file says of them."""
    size = _text(data, "LeadSampleSize")
    if size and _number(size) != 2:
        raise ValueError(f"{what} has {size[:20]} bytes a sample; accepted are 2: export it anew")
    try:
        content = base64.b64decode("".join(_text(data, "WaveFormData").split()), validate=True)
    except (binascii.Error, ValueError) as error:
        raise ValueError(f"{what} is damaged ({error}); copy the file again") from None
    if not content or len(content) % 2:
        raise ValueError(f"{what} has {len(content):,} bytes; accepted are two a sample: copy the file again")
    for field, there in (("LeadByteCountTotal", len(content)), ("LeadSampleCountTotal", len(content) // 2)):
        count = _text(data, field)
        if count and _number(count) != there:
            raise ValueError(f"{what} states {field} {count[:20]} and holds {there:,}; copy the file again")
    checksum = _text(data, "LeadDataCRC32")
    if checksum and _number(checksum) not in (0, zlib.crc32(content)):
        raise ValueError(f"{what} does not have the checksum that the file states; copy the file again")
    return content


def _text(element: Element | None, tag: str) -> str:
    return ("" if element is None else element.findtext(tag) or "").strip()


def _number(text: str) -> float | None:
    """A number; MUSE writes the decimal mark of its country."""
    try:
        number = float(text.replace(",", "."))
    except ValueError:
        return None
    return number if math.isfinite(number) else None


def _date(date: str, clock: str) -> str | None:
    """MUSE writes month, day and year."""
    found = re.fullmatch(r"(\d{1,2})[-/](\d{1,2})[-/](\d{4})", date)
    if found:
        return moment(int(found[3]), int(found[1]), int(found[2]), clock)
    found = re.fullmatch(r"(\d{4})-(\d{1,2})-(\d{1,2})", date)
    return moment(int(found[1]), int(found[2]), int(found[3]), clock) if found else None


def _age(patient: Element | None, recorded: str | None) -> float | None:
    stated = age_years(_text(patient, "PatientAge"), _text(patient, "AgeUnits"))
    return age_between(_date(_text(patient, "DateofBirth"), ""), recorded) if stated is None else stated
