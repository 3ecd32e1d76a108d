"""The first stretch of a long WFDB record that holds an ECG, without reading the rest."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from openclef.formats.wfdb import read_wfdb
from openclef.record import Record
from openclef.signal import quality_flags

MISSING_SHARE = 0.1
"""A window with more missing samples than this, in a lead, holds no signal."""

_WINDOWS_READ = 6  # at a time, where the first holds no signal


def read_wfdb_window(
    path: str | Path,
    *,
    seconds: float = 10.0,
    start_s: float = 0.0,
    search_s: float = 600.0,
    leads: Sequence[str] | None = None,
    lead_names: Mapping[str, str] | None = None,
    fs: float | None = None,
    record_id: str | None = None,
) -> Record:
    """Read the first full window at or after a time in which every lead holds a signal.

    Windows follow each other without overlap from ``start_s`` on. One holds a signal where at most a tenth of
    a lead's samples are missing and it does not stand still for more than half of its time.

    Args:
        path: the record, with or without suffix.
        seconds: the window's length.
        start_s: where to begin, in seconds from the record's start.
        search_s: how far to look from there, in seconds.
        leads: names of the leads to keep; None keeps all.
        lead_names: names to replace, for example ``{"ECG": "II"}``.
        fs: the rate in Hz that the record must have; None accepts any.
        record_id: the record's name; None takes the file's.

    Returns:
        The window in mV, with the ``start_s`` at which it begins.

    Raises:
        FileNotFoundError: if the header or a signal file is missing.
        ValueError: if no window holds a signal, or the record is damaged or not what is asked for.

    Example:
        >>> import tempfile, wfdb
        >>> beat = np.sin(np.arange(1000) / 5)
        >>> beat[:250] = np.nan
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     wfdb.wrsamp("a", fs=100, units=["mV"], sig_name=["II"], p_signal=beat[:, None], fmt=["16"],
        ...                 adc_gain=[1000.0], baseline=[0], write_dir=folder)
        ...     record = read_wfdb_window(Path(folder, "a"), seconds=2)
        >>> record.start_s, record.seconds
        (4.0, 2.0)
    """
    name = record_id or Path(path).name
    place, end = start_s, start_s + search_s
    while place < end:
        length = seconds if place == start_s else min(_WINDOWS_READ * seconds, max(seconds, end - place))
        try:
            part = read_wfdb(
                path,
                leads=leads,
                lead_names=lead_names,
                fs=fs,
                record_id=name,
                start_s=place,
                seconds=length,
            )
        except ValueError as error:
            if place > start_s and "beyond its end" in str(error):
                break
            raise
        for window in part.windows(seconds):
            if window.seconds >= seconds * (1 - 1e-9) and _holds_signal(window.signal, part):
                return replace(part, signal=window.signal, start_s=window.start_s)
        if part.seconds < length - 0.5 / part.fs:
            break  # the record's end
        place += length
    raise ValueError(
        f"record {name!r}: no window of {seconds:g} s holds a signal within {search_s:g} s of {start_s:g} s"
    )


def _holds_signal(signal: np.ndarray, record: Record) -> bool:
    if (np.isnan(signal).mean(axis=1) > MISSING_SHARE).any():
        return False
    flags = quality_flags(signal, record.fs, record.unit, record.leads)
    return not any(flag.startswith("flat:") for flag in flags)
