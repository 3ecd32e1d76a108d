"""HL7 annotated ECG (aECG): the XML in which trials hand ECGs to the FDA, and many devices export them."""

from __future__ import annotations

import re
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from xml.etree.ElementTree import Element

import numpy as np

from openclef.formats.stated import about, age_between, age_years, agreed_leads, agreed_rate, agreed_unit, sex
from openclef.formats.xml_file import Numbers, XmlFile, read_xml, root_name
from openclef.record import Record
from openclef.signal import canonical_lead

_TITLE = "HL7 annotated ECG"
_PASSED_OVER = (
    "subjectOf",
    "annotationSet",
    "derivation",
    "text",
)  # annotations, and beats derived from the rhythm
_LEAD = re.compile(r"_?ECG_LEAD_(.+)$", re.IGNORECASE)
_AGES = ("21612-7", "30525-0")  # LOINC: reported age, age
_SECONDS = {"s": 1.0, "ms": 1e-3, "us": 1e-6, "min": 60.0}
_TIME = re.compile(r"(\d{4})(\d\d)?(\d\d)?(\d\d)?(\d\d)?(\d\d)?(?:\.(\d+))?([+-]\d{4})?")
_LARGEST = 1e15  # of the numbers that describe an ECG
_MOST_GAPS = 16  # samples that the joint time line may have, against those that the file holds


def is_hl7_aecg(head: bytes) -> bool:
    """Tell whether a file is an HL7 annotated ECG.

    Args:
        head: the file's first 4,096 bytes.

    Returns:
        True if its first element is ``AnnotatedECG``.

    Example:
        >>> is_hl7_aecg(b'<AnnotatedECG xmlns="urn:hl7-org:v3">'), is_hl7_aecg(b"<RestingECG>")
        (True, False)
    """
    return root_name(head) == "AnnotatedECG"


def read_hl7_aecg(
    path: str | Path,
    *,
    fs: float | None = None,
    leads: Sequence[str] | None = None,
    unit: str | None = None,
    record_id: str | None = None,
) -> Record:
    """Read the rhythm of one HL7 annotated ECG.

    Leads that were recorded one group after the other lie on one time line, missing where they were not recorded.
    Beats that were derived from the rhythm, and annotations, are left out.

    Args:
        path: the file.
        fs: sampling rate in Hz, where the file does not state it.
        leads: the lead names, which the file states; they must be its own.
        unit: ``mV``, ``uV`` or ``V``, where the file does not state it.
        record_id: the record's name; None takes the file's.

    Returns:
        The record in mV, float32, (lead, time), with the subject's id; ``age_years``, ``sex`` and ``recorded_at`` are
        in its metadata where the file tells them.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if it is damaged, no such file, holds no rhythm, or lacks something that no argument gives.
        ImportError: without the package defusedxml.

    Warns:
        UserWarning: where something is left out: further series, other signals, leads of another rate.

    Source:
        HL7 Version 3 Standard: Regulated Studies, Annotated ECG, Release 1 (ANSI/HL7 V3 ECG, R1-2004); HL7 aECG
        Implementation Guide, 21 March 2005.

    Example:
        >>> import tempfile
        >>> text = '''<AnnotatedECG xmlns="urn:hl7-org:v3"><component><series><code code="RHYTHM"/><component>
        ...   <sequenceSet><component><sequence><code code="TIME_RELATIVE"/>
        ...     <value><head value="0" unit="s"/><increment value="2" unit="ms"/></value></sequence></component>
        ...   <component><sequence><code code="MDC_ECG_LEAD_AVR"/><value><origin value="0" unit="uV"/>
        ...     <scale value="5" unit="uV"/><digits>10 20 -30</digits></value></sequence></component></sequenceSet>
        ... </component></series></component></AnnotatedECG>'''
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     _ = Path(folder, "a.xml").write_text(text)
        ...     record = read_hl7_aecg(Path(folder, "a.xml"))
        >>> record.fs, record.leads, [round(float(value), 3) for value in record.signal[0]]
        (500.0, ('aVR',), [0.05, 0.1, -0.15])
    """
    path = Path(path)
    file = read_xml(path, "AnnotatedECG", _TITLE, _PASSED_OVER, numeric=("digits",))
    root = file.root
    series = _rhythm(root, path.name)
    parts = series.findall("component/sequenceSet")
    sets = [found for part in parts if (found := _read_set(part, file, path.name, fs, unit))]
    if not sets:
        raise ValueError(
            f"{path.name} holds no lead of an ECG in its rhythm; accepted is {_TITLE} with leads"
        )
    signal, rate, names, begin = _join(sets, path.name)
    recorded = _iso(begin) or _iso(_effective(series)) or _iso(_effective(root))
    person = next(root.iter("trialSubject"), None)
    return Record(
        signal=signal,
        fs=rate,
        leads=agreed_leads(path.name, names, leads),
        record_id=record_id or path.stem,
        subject_id=_subject(person),
        metadata=about(
            age_years=_age(root, person, recorded),
            sex=_sex(person),
            recorded_at=recorded,
        ),
    )


@dataclass
class _Set:
    """Leads that were recorded together."""

    fs: float
    begin: datetime | float | None  # absolute, in seconds, or not stated
    head: str  # the same as the file has it
    leads: dict[str, np.ndarray]

    @property
    def samples(self) -> int:
        return max(len(samples) for samples in self.leads.values())


def _rhythm(root: Element, name: str) -> Element:
    every = root.findall("component/series")
    kinds = [_attribute(series, "code", "code").upper() for series in every]
    rhythms = [series for series, kind in zip(every, kinds) if kind == "RHYTHM"] or [
        series for series, kind in zip(every, kinds) if kind != "REPRESENTATIVE_BEAT"
    ]
    if not rhythms:
        there = f"only series of {', '.join(sorted(set(kinds)))}" if kinds else "no series"
        raise ValueError(
            f"{name} holds {there}; accepted is {_TITLE} with a series of RHYTHM: export it anew"
        )
    if len(rhythms) > 1:
        warnings.warn(
            f"{name} holds {len(rhythms)} rhythm series; the first is read, and left out are those that begin at "
            + ", ".join(_effective(series) or "an unstated time" for series in rhythms[1:4])
            + (" ..." if len(rhythms) > 4 else ""),
            stacklevel=3,
        )
    return rhythms[0]


def _read_set(part: Element, file: XmlFile, name: str, fs: float | None, unit: str | None) -> _Set | None:
    rate, begin, head, others = None, None, "", []
    leads: dict[str, np.ndarray] = {}
    for sequence in part.findall("component/sequence"):
        code, value = _attribute(sequence, "code", "code"), sequence.find("value")
        if code.upper() in ("TIME_ABSOLUTE", "TIME_RELATIVE"):
            rate, begin = _time(value, code.upper() == "TIME_ABSOLUTE", name)
            head = _attribute(value, "head", "value") if value is not None else ""
            continue
        found = _LEAD.search(code)
        if found is None or value is None:
            others.append(code or "without a code")
            continue
        lead = "-aVR" if found[1].upper() == "AVRNEG" else canonical_lead(found[1])
        if lead in leads:
            raise ValueError(f"{name} holds lead {lead} twice in one sequence set; export it anew")
        digits = value.find("digits")
        if digits is None:
            raise ValueError(
                f"{name}, lead {lead} holds no digits; accepted are samples as <digits>: export it anew"
            )
        leads[lead] = _samples(value, file.numbers.pop(digits), f"{name}, lead {lead}", unit)
    if others:
        warnings.warn(f"{name}: left out is what is no lead of an ECG: {', '.join(others[:9])}", stacklevel=4)
    if not leads:
        return None
    empty = [lead for lead, samples in leads.items() if not len(samples)]
    if empty:
        raise ValueError(
            f"{name} holds no samples of lead {', '.join(empty)}; copy it again, or export it anew"
        )
    lengths = {len(samples) for samples in leads.values()}
    if len(lengths) > 1:
        warnings.warn(
            f"{name}: its leads have from {min(lengths):,} to {max(lengths):,} samples; the shorter are missing at "
            "their end",
            stacklevel=4,
        )
    return _Set(agreed_rate(name, rate, fs), begin, head, leads)


def _time(value: Element | None, absolute: bool, name: str) -> tuple[float | None, datetime | float | None]:
    """Rate in Hz and the moment of the first sample."""
    if value is None:
        return None, None
    head = _attribute(value, "head", "value")
    unit = _attribute(value, "head", "unit") or "s"
    seconds = _number(head)
    begin: datetime | float | None = _moment(head) if absolute else None
    if not absolute and seconds is not None and unit in _SECONDS:
        begin = seconds * _SECONDS[unit]
    step_text, step_unit = _attribute(value, "increment", "value"), _attribute(value, "increment", "unit")
    step = _number(step_text)
    if step is None or not step_unit:
        return None, begin
    if step_unit not in _SECONDS or step <= 0:
        raise ValueError(
            f"{name} states a time step of {step_text[:20]!r} {step_unit[:20]!r}; accepted are s, ms and us above 0: "
            "export it anew"
        )
    return _rate(step_text, step * _SECONDS[step_unit], _SECONDS[step_unit]), begin


def _rate(text: str, step_s: float, unit_s: float) -> float:
    """The rate of a step in time; the whole number that the step was rounded from, where its digits show that."""
    rate = 1 / step_s
    if not rate < _LARGEST:
        return rate
    whole, digits = round(rate), re.sub(r"[eE].*|^[0.]+|\.", "", text)
    places = len(text.partition(".")[2]) if "e" not in text.lower() else 15
    rounded = len(digits) >= 3 and abs(rate - whole) < 2e-3 * rate
    if whole and rounded and round(1 / (whole * unit_s), places) == float(text):
        return float(whole)
    return round(rate, 6)


def _samples(value: Element, digits: Numbers, what: str, unit: str | None) -> np.ndarray:
    scale = _number(_attribute(value, "scale", "value"))
    if scale is None or scale == 0:
        raise ValueError(f"{what} states no scale, so its amplitude is unknown; export it anew")
    origin = _number(_attribute(value, "origin", "value")) or 0.0
    millivolts = agreed_unit(what, _attribute(value, "scale", "unit") or None, unit)
    offset = origin * (agreed_unit(what, _attribute(value, "origin", "unit"), unit) if origin else 0.0)
    samples = digits.samples(what)
    samples *= np.float32(scale * millivolts)
    samples += np.float32(offset)
    return samples


def _join(sets: list[_Set], name: str) -> tuple[np.ndarray, float, list[str], str]:
    """Put the sets of the most leads' rate on one time line."""
    rates = [part.fs for part in sets]
    best = max(
        rates, key=lambda rate: (sum(len(part.leads) for part in sets if part.fs == rate), -rates.index(rate))
    )
    kept = [part for part in sets if part.fs == best]
    _say(name, [part for part in sets if part.fs != best], f"of another rate than {best:g} Hz")
    first, offsets = kept[0], [0] * len(kept)
    if len(kept) > 1:
        same = [part for part in kept if type(part.begin) is type(first.begin) and part.begin is not None]
        _say(
            name,
            [part for part in kept if part not in same and part is not first],
            "of which no start is stated",
        )
        kept = same or [first]
        offsets = _offsets(kept)
        if _gaps(kept, offsets) > _MOST_GAPS:
            _say(name, kept[1:], "far apart in time")
            kept, offsets = kept[:1], [0]
    if _gaps(kept, offsets) > _MOST_GAPS:
        raise ValueError(f"{name} has leads of very different lengths; copy it again, or export it anew")
    names = list(dict.fromkeys(lead for part in kept for lead in part.leads))
    length = max(offset + part.samples for offset, part in zip(offsets, kept))
    signal = np.empty((len(names), length), dtype=np.float32)
    twice = []
    for row, lead in zip(signal, names):
        row[:] = np.nan  # row by row, and what is copied is let go: a long recording is held once
        for offset, part in zip(offsets, kept):
            samples = part.leads.pop(lead, None)
            if samples is not None:
                place = row[offset : offset + len(samples)]
                free = np.isnan(place)
                np.copyto(place, samples, where=free)
                if not free.all():
                    twice.append(lead)
    if twice:
        warnings.warn(
            f"{name} holds lead {', '.join(dict.fromkeys(twice))} twice at one time; the first is kept",
            stacklevel=3,
        )
    return signal, best, names, kept[offsets.index(0)].head


def _gaps(sets: list[_Set], offsets: list[int]) -> float:
    """How many times as many samples the joint time line has as the sets."""
    rows = len({lead for part in sets for lead in part.leads})
    length = max(offset + part.samples for offset, part in zip(offsets, sets))
    return rows * length / sum(len(samples) for part in sets for samples in part.leads.values())


def _offsets(sets: list[_Set]) -> list[int]:
    """Samples from the earliest start to each."""
    starts: list[float] = []
    for part in sets:
        if isinstance(part.begin, datetime):
            starts.append(part.begin.replace(tzinfo=part.begin.tzinfo or UTC).timestamp())
        else:
            starts.append(float(part.begin or 0.0))
    return [round((start - min(starts)) * part.fs) for start, part in zip(starts, sets)]


def _say(name: str, left_out: list[_Set], why: str) -> None:
    if left_out:
        leads = ", ".join(lead for part in left_out for lead in part.leads)
        warnings.warn(f"{name}: left out are leads {why}: {leads[:120]}", stacklevel=4)


def _attribute(element: Element, path: str, key: str) -> str:
    found = element.find(path)
    return (found.get(key) or "").strip() if found is not None else ""


def _number(text: str) -> float | None:
    try:
        number = float(text)
    except ValueError:
        return None
    return number if abs(number) < _LARGEST else None


def _effective(element: Element) -> str:
    for part in ("effectiveTime/low", "effectiveTime/center"):
        if text := _attribute(element, part, "value"):
            return text
    return _attribute(element, "effectiveTime", "value")


def _moment(text: str) -> datetime | None:
    """The time that an HL7 time stamp states, to the day or better."""
    iso = _iso(text)
    return datetime.fromisoformat(iso) if iso else None


def _iso(text: str) -> str | None:
    found = _TIME.fullmatch(text)
    if found is None or found[3] is None:
        return None
    time = f"T{found[4]}:{found[5]}:{found[6] or '00'}" if found[5] else ""
    if time and int(found[7] or 0):
        time += "." + found[7][:6].ljust(3, "0")
    zone = f"{found[8][:3]}:{found[8][3:]}" if time and found[8] else ""
    iso = f"{found[1]}-{found[2]}-{found[3]}{time}{zone}"
    try:
        datetime.fromisoformat(iso)
    except ValueError:
        return None
    return iso


def _subject(person: Element | None) -> str | None:
    if person is None:
        return None
    known = _attribute(person, "id", "extension") or _attribute(person, "id", "root")
    return known if known.strip("?-. ") else None


def _sex(person: Element | None) -> str | None:
    if person is None:
        return None
    place = "subjectDemographicPerson/administrativeGenderCode"
    return sex(_attribute(person, place, "code")) or sex(_attribute(person, place, "displayName"))


def _age(root: Element, person: Element | None, recorded: str | None) -> float | None:
    for observation in root.iter("relatedObservation"):
        if _attribute(observation, "code", "code") in _AGES:
            years = age_years(
                _attribute(observation, "value", "value"), _attribute(observation, "value", "unit") or "a"
            )
            if years is not None:
                return years
    if person is None or recorded is None:
        return None
    born = _iso(_attribute(person, "subjectDemographicPerson/birthTime", "value"))
    return age_between(born, recorded)
