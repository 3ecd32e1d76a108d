"""Polar H10: the ECG as text, as the app Polar Sensor Logger writes it."""

from __future__ import annotations

import io
import re
import warnings
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from openclef.formats.columns import of_column
from openclef.formats.stated import about, agreed_unit, moment
from openclef.formats.text_file import PARSE_ERRORS, head_lines, parse_error, read_text
from openclef.record import Record
from openclef.signal import canonical_leads, is_sampling_rate

_TITLE = "ECG of Polar Sensor Logger"
_TIMES = "sensor timestamp [ns]"
_GAP = 3.0  # steps between two samples from which on samples are missing; packets that are lost have 73
_MOST_MISSING = 20, 60.0  # times of what was recorded, and seconds


def is_polar(head: bytes) -> bool:
    r"""Tell whether a file is an ECG of Polar Sensor Logger.

    Args:
        head: the file's first 4,096 bytes.

    Returns:
        True if its first line names the sensor's times and the ECG, with semicolons between the names.

    Example:
        >>> is_polar(b"Phone timestamp;sensor timestamp [ns];timestamp [ms];ecg [uV] \n"), is_polar(b"ecg [uV]\n1\n")
        (True, False)
    """
    lines = head_lines(head)
    return bool(lines) and _columns(lines[0]) is not None


def read_polar(
    path: str | Path,
    *,
    fs: float | None = None,
    leads: Sequence[str] | None = None,
    unit: str | None = None,
    record_id: str | None = None,
) -> Record:
    r"""Read an ECG that Polar Sensor Logger recorded from a Polar H10.

    The rate is the one of the sensor's times (about 130 Hz), over stretches without a gap. Where packets were lost,
    samples are missing (NaN), and a warning says how many.

    Args:
        path: the file.
        fs: the rate in Hz, for example 130; it replaces the computed one, which may not differ by more than 2 %.
        leads: one name; None gives ``"ECG"``, since the file names no lead.
        unit: the file states it; another one is refused.
        record_id: the record's name; None takes the file's.

    Returns:
        The record in mV, float32, (lead, time); ``recorded_at``, by the phone's clock, is in its metadata.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if it is damaged, or no such file, or its times go back.

    Warns:
        UserWarning: if packets are missing.

    Source:
        Exported files; Polar's SDK for the sensor's times (ns since 2000) and the unit (uV).

    Example:
        >>> import tempfile
        >>> rows = [f"2026-04-24T14:10:15.{n:03};{n * 8_000_000};{n * 8}.0;{n * 100}" for n in range(3)]
        >>> text = "\n".join(["Phone timestamp;sensor timestamp [ns];timestamp [ms];ecg [uV]", *rows])
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     _ = Path(folder, "a.txt").write_text(text)
        ...     record = read_polar(Path(folder, "a.txt"), leads=["I"])
        >>> record.fs, record.metadata, record.signal.tolist()[0][1:] == [np.float32(0.1), np.float32(0.2)]
        (125.0, {'recorded_at': '2026-04-24T14:10:15'}, True)
    """
    path = Path(path)
    text = read_text(path, _TITLE)
    columns = _columns(text[:4096].partition("\n")[0])
    if columns is None:
        raise ValueError(
            f"{path.name} is no {_TITLE}; accepted is text whose first line is 'Phone timestamp;{_TIMES};timestamp "
            "[ms];ecg [uV]': pass one, or a file in another format"
        )
    width, times_at, ecg_at, stated = columns
    factor = agreed_unit(path.name, stated, unit)
    types = dict.fromkeys(range(width), str) | {times_at: "int64", ecg_at: float}
    try:
        frame = pd.read_csv(
            io.BytesIO(text.encode()),
            sep=";",
            header=None,
            names=list(range(width)),
            index_col=False,
            dtype=types,  # type: ignore[arg-type]
            skiprows=1,
        )
    except PARSE_ERRORS as error:
        raise parse_error(path.name, error) from None
    if len(frame) < 2:
        raise ValueError(f"{path.name} holds {len(frame)} samples; accepted are at least two: record it anew")
    rate, places = _time_line(path.name, frame[times_at].to_numpy())
    if fs is not None:
        if not is_sampling_rate(fs) or abs(fs / rate - 1) > 0.02:
            raise ValueError(
                f"{path.name} states {rate:g} Hz by its times and fs={fs!r} is passed; pass no fs"
            )
        rate = float(fs)
    signal = np.full((1, int(places[-1]) + 1), np.nan)
    signal[0, places] = frame[ecg_at].to_numpy() * factor
    missing = signal.shape[1] - len(places)
    if missing:
        gaps = int((np.diff(places) > 1).sum())
        warnings.warn(
            f"{path.name}: {missing:,} samples ({missing / rate:.1f} s) in {gaps} gaps were not received; they are NaN",
            stacklevel=2,
        )
    names = canonical_leads(leads if leads is not None else ["ECG"])
    return Record(
        signal=signal,
        fs=rate,
        leads=names,
        record_id=record_id or path.stem,
        metadata=about(
            recorded_at=_recorded(str(frame.iloc[0, 0])) if times_at != 0 and ecg_at != 0 else None
        ),
    )


def _columns(line: str) -> tuple[int, int, int, str] | None:
    """How many columns there are, which are the sensor's times and the ECG, and the ECG's unit."""
    titles = [title.strip().lower() for title in line.split(";")]
    found = [(place, of_column(title)) for place, title in enumerate(titles) if of_column(title)[0] == "ecg"]
    if titles.count(_TIMES) != 1 or len(found) != 1 or found[0][1][1] is None or len(titles) > 100:
        return None
    return len(titles), titles.index(_TIMES), found[0][0], found[0][1][1]


def _time_line(name: str, times: np.ndarray) -> tuple[float, np.ndarray]:
    """The rate, and where on an even line of time each sample lies."""
    with np.errstate(over="ignore"):
        steps = np.diff(times.astype(np.float64) - float(times[0]))
    usual = float(np.median(steps))
    if not usual > 0:
        raise ValueError(f"{name}: the sensor's times do not rise; record it anew, or cut it into its pieces")
    if steps.min() < -_GAP * usual:
        row = int(steps.argmin()) + 2
        raise ValueError(
            f"{name}: the sensor's times go back after row {row}; cut the file into its pieces there"
        )
    gap = steps > _GAP * usual
    step = float(steps[~gap].mean())
    if not step > 0:
        raise ValueError(f"{name}: the sensor's times do not rise; record it anew, or cut it into its pieces")
    rate = round(1e9 / step, 3)
    if not rate > 0:
        raise ValueError(f"{name}: the sensor's times state {1e9 / step:g} Hz; record it anew")
    jumps = np.where(gap, np.round(steps / step), 1.0)
    times_recorded, seconds = _MOST_MISSING
    if jumps.sum() > times_recorded * len(times) + seconds * min(rate, 1000.0):
        raise ValueError(
            f"{name}: {steps.sum() / 1e9:,.0f} s lie between its first and last sample, of which "
            f"{len(times) / rate:,.0f} s were received; cut it into its pieces"
        )
    return rate, np.concatenate([[0], np.cumsum(jumps)]).astype(np.int64)


def _recorded(text: str) -> str | None:
    found = re.match(r"(\d{4})-(\d{2})-(\d{2})[T ](\d{2}:\d{2}:\d{2}(?:\.\d{1,6})?)", text)
    return moment(int(found[1]), int(found[2]), int(found[3]), found[4]) if found else None
