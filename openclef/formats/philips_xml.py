"""Philips Sierra XML: exports of PageWriter cardiographs and TraceMasterVue."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from openclef.formats.vendor import read_by_parser
from openclef.formats.xml_file import read_xml, root_name
from openclef.record import Record

__all__ = ["is_philips_xml", "read_philips_xml"]

_TITLE = "Philips Sierra XML"
_ROOT = "restingecgdata"


def is_philips_xml(head: bytes) -> bool:
    """Tell whether a file is a Philips Sierra XML export.

    Args:
        head: the file's first 4,096 bytes.

    Returns:
        True if its first element is ``restingecgdata``.

    Example:
        >>> is_philips_xml(b'<?xml version="1.0"?><restingecgdata>'), is_philips_xml(b"<RestingECG>")
        (True, False)
    """
    return root_name(head) == _ROOT


def read_philips_xml(
    path: str | Path,
    *,
    fs: float | None = None,
    leads: Sequence[str] | None = None,
    unit: str | None = None,
    record_id: str | None = None,
) -> Record:
    """Read the rhythm of one Philips Sierra XML export, compressed (XLI) or not.

    Entities are refused, as for every XML file.

    Args:
        path: the file.
        fs: the file states its rate in Hz; another one is refused.
        leads: the file states its leads; other ones are refused.
        unit: the file states its unit; another one is refused.
        record_id: the record's name; None takes the file's.

    Returns:
        The record in mV, float32, (lead, time); subject_id, age_years, sex and recorded_at where they are stated.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if it is damaged or no such file, has entities, or a version that is not known.
        ImportError: without the packages ecgdatakit and defusedxml.

    Warns:
        UserWarning: if something is left out.

    Source:
        Philips Sierra ECG XML schema 1.03, 1.04 and 1.04.01, by the package ecgdatakit.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     _ = Path(folder, "a.xml").write_text("<restingecgdata/>")
        ...     read_philips_xml(Path(folder, "a.xml"))
        Traceback (most recent call last):
        ValueError: a.xml is damaged, or no Philips Sierra XML that can be read (...); copy it again or export it anew
    """
    read_xml(path, _ROOT, _TITLE)  # refuses entities, references to other files, and what is no XML
    return read_by_parser(
        path, "sierra_xml:SierraXMLParser", _TITLE, fs=fs, leads=leads, unit=unit, record_id=record_id
    )
