"""WFDB records (``.hea`` with ``.dat`` or ``.mat``): PhysioNet's format."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from openclef.formats.unit import millivolts
from openclef.formats.wfdb_samples import WfdbSamples, header_lines, read_any, read_plain
from openclef.record import Record
from openclef.signal import canonical_lead, canonical_leads

_SUFFIXES = (".hea", ".dat", ".mat")


class HeaderLine(NamedTuple):
    """What the first line of a WFDB header says.

    Args:
        leads: number of leads.
        fs: sampling rate in Hz; 250 where the header states none, as the format defines.
        samples: samples a lead; 0 where the header states none.
        segments: number of segments; 0 for an ordinary record.

    Example:
        >>> HeaderLine(leads=2, fs=360.0, samples=650000, segments=0).fs
        360.0
    """

    leads: int
    fs: float
    samples: int
    segments: int


def record_stem(path: str | Path) -> Path:
    """Strip a WFDB record's suffix: header, signal file and bare name mean the same record.

    Args:
        path: ``a.hea``, ``a.dat``, ``a.mat`` or ``a``.

    Returns:
        The path without that suffix.

    Example:
        >>> record_stem("files/00001_lr.hea").name, record_stem("files/00001_lr").name
        ('00001_lr', '00001_lr')
    """
    path = Path(path)
    return path.with_suffix("") if path.suffix.lower() in _SUFFIXES else path


def read_header_line(path: str | Path) -> HeaderLine:
    r"""Read only the first line of a header: enough to plan a conversion, and quick.

    Args:
        path: the record, with or without suffix.

    Returns:
        Number of leads, rate, length and number of segments.

    Raises:
        ValueError: if the line does not follow the format.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     _ = Path(folder, "a.hea").write_text("# made up\na 12 500 5000\n")
        ...     read_header_line(Path(folder, "a"))
        HeaderLine(leads=12, fs=500.0, samples=5000, segments=0)
    """
    stem = record_stem(path)
    return _header_line(stem, _header_text(stem))


def wfdb_seconds(path: str | Path) -> float | None:
    r"""Say how long a record is by its header.

    Args:
        path: the record, with or without suffix.

    Returns:
        Its length in seconds; None where the header does not state it.

    Raises:
        FileNotFoundError: if the header is missing.
        ValueError: if its first line does not follow the format.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     _ = Path(folder, "a.hea").write_text("a 12 500 5000\n")
        ...     wfdb_seconds(Path(folder, "a"))
        10.0
    """
    first = read_header_line(path)
    return first.samples / first.fs if first.samples else None


def _header_text(stem: Path) -> str:
    return Path(f"{stem}.hea").read_text(encoding="utf-8", errors="replace")


def _header_line(stem: Path, header: str) -> HeaderLine:
    line = next(iter(header_lines(header)), "")
    found = re.fullmatch(
        r"(?P<name>[^\s/]+)(/(?P<segments>\d+))?\s+(?P<leads>\d+)"
        r"(\s+(?P<fs>[\d.eE+-]+)(/[^\s]*)?(\s+(?P<samples>\d+)(\s.*)?)?)?",
        line,
    )
    try:
        if found is None:
            raise ValueError("no record line")
        fs = float(found["fs"]) if found["fs"] else 250.0
    except ValueError:
        raise ValueError(
            f"record {stem.name!r}: the header's first line is {line[:60]!r}; accepted is "
            "'NAME LEADS FS SAMPLES': fetch the file again"
        ) from None
    return HeaderLine(int(found["leads"]), fs, int(found["samples"] or 0), int(found["segments"] or 0))


def read_wfdb(
    path: str | Path,
    *,
    leads: Sequence[str] | None = None,
    lead_names: Mapping[str, str] | None = None,
    scale: float | None = None,
    fs: float | None = None,
    record_id: str | None = None,
    start_s: float = 0.0,
    seconds: float | None = None,
) -> Record:
    """Read one WFDB record, or a stretch of it, in millivolts by its own gain and baseline, and verify it.

    The samples are checked against the header's length and checksum (a checksum of 0 counts as not stated:
    much software writes 0), the unit must be one of voltage, and a gain must be stated. Of a stretch only its
    own samples are read from the disk, and no checksum is compared.

    Args:
        path: the record, with or without suffix.
        leads: names of the leads to keep, in this order; None keeps all.
        lead_names: names to replace, for example ``{"ECG": "I"}`` where a header says only that.
        scale: a step in mV of which every value must be a multiple, so that a store of that scale holds them
            exactly; None checks nothing.
        fs: the rate in Hz that the record must have; None accepts any.
        record_id: the record's name; None takes the file's.
        start_s: where the stretch begins, in seconds from the record's start.
        seconds: how long it is; less is read where the record ends earlier. None reads to the end.

    Returns:
        The record in mV, float32, (lead, time); NaN where the file marks a sample as invalid.

    Raises:
        FileNotFoundError: if the header or a signal file is missing.
        ValueError: if the record is damaged, or is not what is asked for.

    Source:
        The header's fields: WFDB Applications Guide, header(5).

    Example:
        >>> import tempfile, wfdb
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     wfdb.wrsamp(
        ...         "a", fs=500, units=["mV"], sig_name=["AVR"], d_signal=np.array([[0], [100], [-5]]),
        ...         fmt=["16"], adc_gain=[1000.0], baseline=[0], write_dir=folder,
        ...     )
        ...     record = read_wfdb(Path(folder, "a.hea"))
        >>> record.leads, record.signal.tolist()
        (('aVR',), [[0.0, 0.10000000149011612, -0.004999999888241291]])
    """
    stem = record_stem(path)
    name = record_id or stem.name
    try:
        return _read(stem, name, leads, lead_names, scale, fs, start_s, seconds)
    except FileNotFoundError as error:
        missing = Path(str(error.filename or stem)).name
        raise FileNotFoundError(f"record {name!r}: file {missing} is missing; fetch it again") from None
    except ValueError as error:
        text = str(error)
        raise ValueError(text if text.startswith("record ") else f"record {name!r}: {text}") from None


def _read(
    stem: Path,
    name: str,
    leads: Sequence[str] | None,
    lead_names: Mapping[str, str] | None,
    scale: float | None,
    fs: float | None,
    start_s: float,
    seconds: float | None,
) -> Record:
    header = _header_text(stem)
    first = _header_line(stem, header)
    if first.segments:
        raise ValueError("is a header of several segments; accepted are single records: read its segments")
    if first.leads == 0:
        raise ValueError("the header names no lead; nothing to read")
    _check_files(header)
    start, stop = _stretch(first, start_s, seconds)
    source = read_plain(stem, header, start, stop)
    if source is None:
        source = read_any(stem, start, stop)
        _check_gains(header, source)
    if fs is not None and not np.isclose(source.fs, fs):
        raise ValueError(
            f"fs is {source.fs:g} Hz and {fs:g} Hz is wanted; convert each rate to a store of its own"
        )
    if (start, stop) == (0, None):
        _check_sums(source)
    names = canonical_leads([(lead_names or {}).get(lead, lead) for lead in source.leads])
    wanted = names if leads is None else tuple(canonical_lead(lead) for lead in leads)
    missing = [lead for lead in wanted if lead not in names]
    if missing:
        raise ValueError(f"leads missing: {', '.join(missing)}; it has {', '.join(names)}")
    rows = []
    for lead in wanted:
        index = names.index(lead)
        factor = millivolts(source.units[index])
        if scale is not None:
            _check_step(lead, factor / source.gains[index], scale)
        rows.append(source.physical[index] * factor)
    start_s = start / first.fs if start else 0.0
    return Record(signal=np.stack(rows), fs=source.fs, leads=wanted, record_id=name, start_s=start_s)


def _stretch(first: HeaderLine, start_s: float, seconds: float | None) -> tuple[int, int | None]:
    """First frame, and the one after the last; None for the record's end."""
    if start_s < 0 or (seconds is not None and seconds <= 0):
        raise ValueError(
            f"start_s={start_s:g}, seconds={seconds!r}; accepted are a start from 0 and a length above 0"
        )
    if start_s == 0 and seconds is None:
        return 0, None
    start = round(start_s * first.fs)
    if first.samples and start >= first.samples:
        raise ValueError(
            f"it lasts {first.samples / first.fs:g} s, and {start_s:g} s is beyond its end; begin earlier"
        )
    if seconds is None:
        return start, None
    stop = start + max(1, round(seconds * first.fs))
    return start, min(stop, first.samples) if first.samples else stop


def _check_files(header: str) -> None:
    """Refuse signal files outside of the header's folder."""
    for line in header_lines(header)[1:]:
        file = line.split()[0]
        if re.search(r"[/\\:]", file) or file in ("..", "."):
            raise ValueError(
                f"the header names the signal file {file[:60]!r}; accepted are files beside the header: fetch it again"
            )


def _check_gains(header: str, source: WfdbSamples) -> None:
    """Refuse leads without a stated gain: wfdb assumes 200 per mV for them, which is a guess."""
    for line, lead, gain in zip(header_lines(header)[1:], source.leads, source.gains):
        fields = line.split()
        stated = re.match(r"[-+]?[\d.]+([eE][-+]?\d+)?", fields[2]) if len(fields) > 2 else None
        if stated is None or float(stated[0]) == 0 or not np.isfinite(gain) or gain == 0:
            raise ValueError(f"lead {lead} states no gain, so its amplitude is unknown; add it to the header")


def _check_sums(source: WfdbSamples) -> None:
    for lead, samples, stated in zip(source.leads, source.digital, source.checksums):
        if stated and (int(samples.sum()) - int(stated)) % 65536:
            raise ValueError(
                f"checksum of lead {lead} differs from the header's; fetch the signal file again"
            )


def _check_step(lead: str, step_mv: float, scale: float) -> None:
    ratio = abs(step_mv) / scale
    if round(ratio) < 1 or abs(ratio - round(ratio)) > 1e-6 * ratio:
        raise ValueError(
            f"lead {lead} has a step of {abs(step_mv):.6g} mV, no multiple of the store's {scale:.6g} mV; "
            f"pass scale={abs(step_mv):.6g}, or exact=False to round (on the command line "
            """--options '{"exact": false}')"""
        )
