"""KardiaMobile: recordings as the API of AliveCor's Kardia gives them, in JSON."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from openclef.formats.vendor import read_by_parser
from openclef.record import Record

__all__ = ["is_kardia_json", "read_kardia_json"]

_KEY = re.compile(rb'"(recordedAt|algorithmDetermination|patientID|amplitudeResolution|data12L)"')


def is_kardia_json(head: bytes) -> bool:
    """Tell whether a file is a recording of the Kardia API.

    Args:
        head: the file's first 4,096 bytes.

    Returns:
        True if it is a JSON object with the time of recording and another of the API's keys.

    Example:
        >>> is_kardia_json(b'{"recordedAt": "2020-01-01T00:00:00Z", "patientID": "a"}'), is_kardia_json(b'{"a": 1}')
        (True, False)
    """
    keys = set(_KEY.findall(head))
    return (
        head.removeprefix(b"\xef\xbb\xbf").lstrip()[:1] == b"{" and b"recordedAt" in keys and len(keys) >= 2
    )


def read_kardia_json(
    path: str | Path,
    *,
    fs: float | None = None,
    leads: Sequence[str] | None = None,
    unit: str | None = None,
    record_id: str | None = None,
) -> Record:
    """Read the unfiltered signal of a KardiaMobile recording of one or six leads.

    Args:
        path: the file.
        fs: the file states its rate in Hz; another one is refused.
        leads: the file states its leads; other ones are refused.
        unit: ``mV``, ``uV`` or ``V`` a step, where the file does not state the amplitude's resolution.
        record_id: the record's name; None takes the file's.

    Returns:
        The record in mV, float32, (lead, time); subject_id and recorded_at where they are stated.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if it is damaged or no such file, or a 12-lead recording, whose amplitude is not stated.
        ImportError: without the package ecgdatakit.

    Warns:
        UserWarning: if something is left out.

    Source:
        The Kardia API's documentation, by the package ecgdatakit.

    Example:
        >>> import json, tempfile
        >>> raw = {"frequency": 300, "amplitudeResolution": 500, "samples": {"leadI": [2, -4]}}
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     _ = Path(folder, "a.json").write_text(json.dumps({"recordedAt": "", "data": {"raw": raw}}))
        ...     record = read_kardia_json(Path(folder, "a.json"))
        >>> record.fs, record.leads, [round(float(value), 4) for value in record.signal[0]]
        (300.0, ('I',), [0.001, -0.002])
    """
    return read_by_parser(
        path,
        "alivecor_kardia:AliveCorKardiaParser",
        "KardiaMobile JSON",
        fs=fs,
        leads=leads,
        unit=unit,
        record_id=record_id,
    )
