"""SCP-ECG (EN 1064, ISO 11073-91064): resting ECGs of many European devices."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from pathlib import Path

from openclef.formats.vendor import read_by_parser
from openclef.record import Record

__all__ = ["is_scp_ecg", "read_scp_ecg"]


def is_scp_ecg(head: bytes) -> bool:
    r"""Tell whether a file is SCP-ECG.

    Args:
        head: the file's first 4,096 bytes.

    Returns:
        True if section 0, the list of sections, stands where it has to and begins with itself.

    Example:
        >>> is_scp_ecg(bytes(512)), is_scp_ecg(b"I,II\n1,2\n")
        (False, False)
    """
    if len(head) < 32:
        return False
    record, section, length = struct.unpack_from("<I2xHI", head, 2)
    first, begin = struct.unpack_from("<H4xI", head, 22)
    return section == first == 0 and begin == 7 and 26 <= length <= record - 6 and (length - 16) % 10 == 0


def read_scp_ecg(
    path: str | Path,
    *,
    fs: float | None = None,
    leads: Sequence[str] | None = None,
    unit: str | None = None,
    record_id: str | None = None,
) -> Record:
    """Read the rhythm of one SCP-ECG record, Huffman coded or not, with the reference beat where it was taken off.

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
        ValueError: if it is damaged or no such file, or holds long-term data alone (section 12 of version 3).
        ImportError: without the package ecgdatakit.

    Warns:
        UserWarning: if a checksum differs, or something is left out.

    Source:
        EN 1064:2020, by the package ecgdatakit.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     _ = Path(folder, "a.scp").write_bytes(b"not one")
        ...     read_scp_ecg(Path(folder, "a.scp"))
        Traceback (most recent call last):
        ValueError: a.scp is damaged, or no SCP-ECG that can be read (...); copy it again or export it anew
    """
    return read_by_parser(
        path, "scp_ecg:SCPECGParser", "SCP-ECG", fs=fs, leads=leads, unit=unit, record_id=record_id
    )
