"""MFER (ISO 22077): waveforms of Japanese devices."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from openclef.formats.vendor import read_by_parser
from openclef.record import Record

__all__ = ["is_mfer", "read_mfer"]


def is_mfer(head: bytes) -> bool:
    """Tell whether a file is MFER with its preamble.

    Args:
        head: the file's first 4,096 bytes.

    Returns:
        True if it begins with the preamble's tag and "MFR "; files without a preamble are known by their ending, .mwf.

    Example:
        >>> is_mfer(bytes([0x40, 0x20]) + b"MFR Standard 12 leads ECG"), is_mfer(b"MFR ")
        (True, False)
    """
    return head[:1] == b"\x40" and head[2:6] == b"MFR "


def read_mfer(
    path: str | Path,
    *,
    fs: float | None = None,
    leads: Sequence[str] | None = None,
    unit: str | None = None,
    record_id: str | None = None,
) -> Record:
    """Read one MFER recording.

    Args:
        path: the file.
        fs: the file states its rate in Hz; another one is refused.
        leads: the file states its leads; other ones are refused.
        unit: ``mV``, ``uV`` or ``V``, where the file does not state it.
        record_id: the record's name; None takes the file's.

    Returns:
        The record in mV, float32, (lead, time), NaN where samples are missing; subject_id, age_years, sex and
        recorded_at where they are stated.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if it is damaged or no such file, or its samples are compressed.
        ImportError: without the package ecgdatakit.

    Warns:
        UserWarning: if something is left out or missing.

    Source:
        MFER Part 1 (ISO 22077-1), by the package ecgdatakit.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     _ = Path(folder, "a.mwf").write_bytes(b"not one")
        ...     read_mfer(Path(folder, "a.mwf"))
        Traceback (most recent call last):
        ValueError: a.mwf is damaged, or no MFER that can be read (...); copy it again or export it anew
    """
    return read_by_parser(path, "mfer:MFERParser", "MFER", fs=fs, leads=leads, unit=unit, record_id=record_id)
