"""HL7 annotated ECGs, written by the text of the HL7 aECG Implementation Guide (21 March 2005), class by class."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path
from xml.sax.saxutils import quoteattr

import numpy as np

_MDC, _ACT = "2.16.840.1.113883.6.24", "2.16.840.1.113883.5.4"


def write_hl7_aecg(
    path: Path,
    signal_mv: np.ndarray,
    fs: float,
    leads: Sequence[str],
    *,
    unit: str = "uV",
    scale: float = 5.0,
    origin: float = 0.0,
    absolute: bool = True,
    milliseconds: bool = False,
    groups: int = 1,
    beats: bool = True,
    prefix: str = "",
    encoding: str = "UTF-8",
    subject_id: str = "SBJ-123",
    sex: str = "F",
    born: str = "19530508",
    age: str = "",
    recorded: str = "20021122091000.000",
    more_sets: str = "",
    more_series: str = "",
) -> Path:
    """Write leads that were recorded together, or in ``groups`` of leads one after the other."""
    per_mv = {"uV": 1000.0, "mV": 1.0, "nV": 1e6}.get(unit, 1.0)
    begin = datetime.strptime(recorded[:14], "%Y%m%d%H%M%S")
    length = signal_mv.shape[1] // groups
    sets = []
    for group in range(groups):
        chosen = range(len(leads))[group * len(leads) // groups : (group + 1) * len(leads) // groups]
        sequences = [
            _time(
                begin + timedelta(seconds=group * length / fs),
                group * length / fs,
                fs,
                absolute,
                milliseconds,
            )
        ]
        for index in chosen:
            part = signal_mv[index, group * length : (group + 1) * length]
            digits = np.round((part * per_mv - origin) / scale).astype(int)
            sequences.append(lead_sequence(leads[index], digits, scale, origin, unit))
        sets.append(_component("sequenceSet", "".join(sequences)))
    derivation = ""
    if beats:
        median = _time(begin, 0.0, fs, False, milliseconds) + "".join(
            lead_sequence(lead, np.arange(7), scale, origin, unit) for lead in leads
        )
        derivation = (
            '<derivation typeCode="DRIV"><derivedSeries classCode="OBSSER" moodCode="EVN">'
            f'<code code="REPRESENTATIVE_BEAT" codeSystem="{_ACT}"/>{_component("sequenceSet", median)}'
            "</derivedSeries></derivation>"
        )
    note = (
        f'<subjectOf><annotationSet><component><annotation><code code="MDC_ECG_BEAT" codeSystem="{_MDC}"/>'
        "</annotation></component></annotationSet></subjectOf>"
    )
    series = _component(
        "series",
        f'<id root="b1"/><code code="RHYTHM" codeSystem="{_ACT}"/>{_interval(recorded)}{"".join(sets)}{more_sets}'
        f"{note}{derivation}",
    )
    observation = (
        f'<value xsi:type="PQ" value={quoteattr(age)} unit="a"/>'
        if age
        else '<value xsi:type="PQ" unit="a"/>'
    )
    text = f"""<?xml version="1.0" encoding="{encoding}"?>
<!-- written for a test -->
<AnnotatedECG xmlns="urn:hl7-org:v3" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" classCode="OBS">
<id root="61d1a24f-b47e-41aa-ae95-f8ac302f4eeb"/>
<code code="93000" codeSystem="2.16.840.1.113883.6.12"/>{_interval(recorded)}
<componentOf><timepointEvent><code code="VISIT_1"/><componentOf><subjectAssignment><subject><trialSubject>
<id root="2.16.840.1.113883.3.4" extension={quoteattr(subject_id)}/><subjectDemographicPerson><name>ÄB</name>
<administrativeGenderCode code="{sex}" codeSystem="2.16.840.1.113883.5.1"/><birthTime value="{born}"/>
</subjectDemographicPerson></trialSubject></subject></subjectAssignment></componentOf></timepointEvent></componentOf>
<controlVariable><relatedObservation><code code="21612-7" codeSystem="2.16.840.1.113883.6.1"/>{observation}
</relatedObservation></controlVariable>{series}{more_series}
</AnnotatedECG>
"""
    if prefix:
        text = (
            text.replace('xmlns="urn', f'xmlns:{prefix}="urn')
            .replace("</", f"</{prefix}:")
            .replace("<", f"<{prefix}:")
        )
        for sign in ("/", "?", "!"):
            text = text.replace(f"<{prefix}:{sign}", f"<{sign}")
    path.write_bytes(text.encode(encoding))
    return path


def lead_sequence(lead: str, digits: np.ndarray | str, scale: float, origin: float, unit: str) -> str:
    """One lead: SLIST_PQ, value = origin + digit * scale."""
    code = lead if "_" in lead else f"MDC_ECG_LEAD_{lead.upper()}"
    digits = digits if isinstance(digits, str) else " ".join(map(str, digits))
    return _component(
        "sequence",
        f'<code code="{code}" codeSystem="{_MDC}"/><value xsi:type="SLIST_PQ"><origin value="{origin}" unit="{unit}"/>'
        f'<scale value="{scale}" unit="{unit}"/><digits>\n{digits}\n</digits></value>',
    )


def _time(begin: datetime, begin_s: float, fs: float, absolute: bool, milliseconds: bool) -> str:
    stamp = begin.strftime("%Y%m%d%H%M%S.") + f"{begin.microsecond // 1000:03d}"
    step = f'value="{1000 / fs:.9g}" unit="ms"' if milliseconds else f'value="{1 / fs:.9g}" unit="s"'
    kind, head = ("ABSOLUTE", f'value="{stamp}"') if absolute else ("RELATIVE", f'value="{begin_s}" unit="s"')
    return _component(
        "sequence",
        f'<code code="TIME_{kind}" codeSystem="{_ACT}"/><value xsi:type="GLIST_{"TS" if absolute else "PQ"}">'
        f"<head {head}/><increment {step}/></value>",
    )


def _interval(recorded: str) -> str:
    return f'<effectiveTime><low value="{recorded}" inclusive="true"/></effectiveTime>'


def _component(name: str, inside: str) -> str:
    return (
        f'<component typeCode="COMP"><{name} classCode="OBS" moodCode="EVN">{inside}</{name}></component>\n'
    )
