"""Apple Watch: the text files of the folder ``electrocardiograms`` in an export of Apple Health."""

from __future__ import annotations

import io
import re
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

from openclef.formats.stated import about, age_between, agreed_leads, agreed_rate, agreed_unit, moment
from openclef.formats.text_file import PARSE_ERRORS, head_lines, number, parse_error, read_text
from openclef.formats.unit import MILLIVOLTS
from openclef.record import Record
from openclef.signal import LEADS, canonical_lead

_TITLE = "Apple Watch ECG"
_MOST_HEADER_LINES = 60
_HERTZ = ("hz", "ert", "herc", "герц", "ヘルツ", "赫")
_QUANTITY = re.compile(r"([\d.,]+)\s*([^\s\d]{2,12})")
_RECORDED = re.compile(r"(\d{4})-(\d{2})-(\d{2})[ T](\d{2}:\d{2}:\d{2}) ?[+-]\d{2}:?\d{2}")
_MONTHS = (
    ("jan", "janv"),
    ("feb", "févr"),
    ("mar", "mär", "mars"),
    ("apr", "avr"),
    ("may", "mai"),
    ("jun", "juin"),
    ("jul", "juil"),
    ("aug", "août"),
    ("sep", "sept"),
    ("oct", "okt"),
    ("nov",),
    ("dec", "dez", "déc"),
)


class _Header(NamedTuple):
    """What the keyed lines say, and the number of the line of the first sample."""

    rate: float | None
    lead: str | None
    unit: str | None
    born: str | None
    recorded: str | None
    first: int


def is_apple_watch(head: bytes) -> bool:
    r"""Tell whether a file is an Apple Watch's ECG.

    Told by its structure, since the words are in the watch's language: lines of a word and a value, among them a rate
    in hertz, and after it a lead or a unit of voltage.

    Args:
        head: the file's first 4,096 bytes.

    Returns:
        True for such lines.

    Example:
        >>> is_apple_watch("Messrate,512 Hertz\n\nAbleitung,Ableitung I\nEinheit,µV\n\n1\n".encode())
        True
        >>> is_apple_watch(b"time_s,I (mV)\n0,1\n")
        False
    """
    found = _header(head_lines(head))
    return found is not None and found.rate is not None and (found.lead or found.unit) is not None


def read_apple_watch(
    path: str | Path,
    *,
    fs: float | None = None,
    leads: Sequence[str] | None = None,
    unit: str | None = None,
    record_id: str | None = None,
) -> Record:
    r"""Read one ECG that an Apple Watch recorded, from an export of Apple Health in any language.

    Args:
        path: the file.
        fs: sampling rate in Hz, where the file does not state it.
        leads: one name, where the file states no lead.
        unit: ``mV``, ``uV`` or ``V``, where the file does not state it.
        record_id: the record's name; None takes the file's.

    Returns:
        The record in mV, float32, (lead, time); ``recorded_at`` in the watch's time, and ``age_years`` where the date
        of birth is one that can be read, are in its metadata. The person's name is not read.

    Raises:
        FileNotFoundError: if there is no such file.
        NotStated: if the file lacks the rate or the unit, and no argument gives it.
        ValueError: if it is damaged, or no such file.

    Source:
        Exported files, English and German; Apple publishes no specification.

    Example:
        >>> import tempfile
        >>> text = "Recorded Date,2020-04-01 10:20:30 +0200\nSample Rate,512 hertz\n\nLead,Lead I\nUnit,µV\n\n9\n-5\n"
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     _ = Path(folder, "a.csv").write_text(text, encoding="utf-8")
        ...     record = read_apple_watch(Path(folder, "a.csv"))
        >>> record.fs, record.leads, record.metadata, [round(float(value), 4) for value in record.signal[0]]
        (512.0, ('I',), {'recorded_at': '2020-04-01T10:20:30'}, [0.009, -0.005])
    """
    path = Path(path)
    text = read_text(path, _TITLE)
    header = _header(text[:65_536].split("\n"))
    if header is None or (header.rate is None and header.unit is None):
        raise ValueError(
            f"{path.name} is no {_TITLE}; accepted is a text of the folder electrocardiograms in an export of Apple "
            "Health: pass one, or a file in another format"
        )
    rate = agreed_rate(path.name, header.rate, fs)
    factor = agreed_unit(path.name, header.unit, unit)
    stated = [header.lead] if header.lead else list(leads or ["I"])  # the watch records lead I
    names = agreed_leads(path.name, stated, leads)
    body = "\n".join(text.split("\n", header.first)[header.first :]).replace(",", ".")
    try:
        samples = pd.read_csv(io.BytesIO(body.encode()), header=None, sep="\t", dtype=float)
    except PARSE_ERRORS as error:
        raise parse_error(path.name, error) from None
    if samples.shape[1] != 1 or not np.isfinite(samples.to_numpy()).all():
        raise ValueError(f"{path.name} is damaged: it holds what is no sample; export it anew")
    return Record(
        signal=samples.to_numpy().T * factor,
        fs=rate,
        leads=names,
        record_id=record_id or path.stem,
        metadata=about(age_years=age_between(header.born, header.recorded), recorded_at=header.recorded),
    )


def _header(lines: Sequence[str]) -> _Header | None:
    """Read the lines before the samples; None where these are no keyed lines, or no sample follows."""
    keyed: list[tuple[int, str]] = []
    first = None
    for place, line in enumerate(lines[:_MOST_HEADER_LINES]):
        if number(line) is not None:
            first = place
            break
        if line.strip():
            key, comma, value = line.partition(",")
            if (not comma and keyed) or not key.strip() or number(key) is not None or len(line) > 1000:
                return None
            keyed.append((place, value.strip().strip('"').strip()))
    if first is None or not keyed:
        return None
    rate = lead = unit = born = recorded = None
    for position, (_, value) in enumerate(keyed):
        quantity = _QUANTITY.fullmatch(value)
        moment_of = _RECORDED.fullmatch(value)
        if rate is None and quantity and any(word in quantity[2].lower() for word in _HERTZ):
            rate = number(quantity[1])
        elif recorded is None and moment_of:
            recorded = moment(int(moment_of[1]), int(moment_of[2]), int(moment_of[3]), moment_of[4])
            born = _date(keyed[position - 1][1]) if position else None
        elif value.lower() in MILLIVOLTS:
            unit = value
        elif rate is not None and value and canonical_lead(value.split()[-1]) in LEADS:
            lead = canonical_lead(value.split()[-1])
    return _Header(rate, lead, unit, born, recorded, first)


def _date(text: str) -> str | None:
    """A date as the watch's region writes it, where it can mean one day only."""
    iso = re.fullmatch(r"(\d{4})-(\d{1,2})-(\d{1,2})", text)
    if iso:
        return moment(int(iso[1]), int(iso[2]), int(iso[3]))
    dots = re.fullmatch(r"(\d{1,2})\.\s?(\d{1,2})\.\s?(\d{4})", text)
    if dots:
        return moment(int(dots[3]), int(dots[2]), int(dots[1]))
    words = re.fullmatch(r"(?:(\d{1,2})\.?\s+)?([^\W\d_]{3,9})\.?\s+(?:(\d{1,2}),?\s+)?(\d{4})", text)
    if not words or (words[1] is None) == (words[3] is None):
        return None
    for month, names in enumerate(_MONTHS, start=1):
        if words[2].lower().startswith(names):
            return moment(int(words[4]), month, int(words[1] or words[3]))
    return None
