"""What a table's columns are, by their names and values: times, counters of samples, or leads with a unit."""

from __future__ import annotations

import math
import re

import numpy as np

_SECONDS = {
    "s": 1.0,
    "sec": 1.0,
    "second": 1.0,
    "seconds": 1.0,
    "ms": 1e-3,
    "msec": 1e-3,
    "us": 1e-6,
    "µs": 1e-6,
    "μs": 1e-6,
    "ns": 1e-9,
}
_TIMES = ("time", "t", "seconds", "elapsed time", "elapsed", "zeit", "temps")
_STAMPS = ("timestamp", "timestamps", "time stamp")
_WITH_UNIT = re.compile(r"(time|t|timestamp)_(s|ms|us|ns)")
_COUNTERS = (
    "",
    "sample",
    "samples",
    "sample #",
    "sample number",
    "sample_number",
    "index",
    "idx",
    "n",
    "no",
    "nr",
    "number",
    "__index_level_0__",
)


def of_column(title: str) -> tuple[str, str | None]:
    """Take a column's title apart.

    Args:
        title: a name, perhaps with a unit in brackets.

    Returns:
        The name, and the unit or None.

    Example:
        >>> of_column("I (mV)"), of_column("ecg [µV]"), of_column("V1")
        (('I', 'mV'), ('ecg', 'µV'), ('V1', None))
    """
    found = re.fullmatch(r"([^\[(]*?)\s*[\[(](\w+)[\])]", title.strip())
    return (found[1], found[2]) if found else (title.strip(), None)


def time_scale(title: str) -> float | None:
    """Tell whether a column's title is that of times, and in which unit these are.

    Args:
        title: a name, perhaps with a unit in brackets.

    Returns:
        Seconds in one unit; NaN where these are times whose unit is not stated or not known; None for all else.

    Example:
        >>> time_scale("time"), time_scale("timestamp [ms]"), time_scale("t_us"), time_scale("I")
        (1.0, 0.001, 1e-06, None)
    """
    name, unit = of_column(title.lower())
    joined = _WITH_UNIT.fullmatch(name)
    if joined and unit in (None, joined[2]):
        return _SECONDS[joined[2]]
    if name not in _TIMES and not name.endswith(_STAMPS):
        return None
    if unit is None:
        return 1.0 if name in _TIMES else math.nan
    return _SECONDS.get(unit, math.nan)


def is_counter(title: str, values: np.ndarray) -> bool:
    """Tell whether a column counts samples.

    Args:
        title: the column's name; "" where it has none.
        values: its values.

    Returns:
        True if it is called like a counter, or not at all, and rises from row to row by one.

    Example:
        >>> is_counter("sample", np.arange(5)), is_counter("I", np.arange(5)), is_counter("n", np.array([1.0, 1.0]))
        (True, False, False)
    """
    return title.strip().lower() in _COUNTERS and bool((np.diff(values) == 1).all())


def rate_of_times(name: str, values: np.ndarray, scale: float) -> float:
    """Compute the sampling rate from a column of times.

    Args:
        name: the file's name, for messages.
        values: one time a row.
        scale: seconds in one unit.

    Returns:
        The rate in Hz.

    Raises:
        ValueError: if the times do not rise, or not evenly beyond what their rounding explains.

    Example:
        >>> rate_of_times("a.csv", np.array([0.0, 2.0, 4.0]), 1e-3)
        500.0
    """
    values = np.asarray(values, dtype=np.float64)
    with np.errstate(over="ignore", invalid="ignore"):
        steps = np.diff(values) * scale
        step = float((values[-1] - values[0]) * scale / len(steps)) if len(steps) else 0.0
    if len(steps) == 0 or not np.all(np.isfinite(steps)) or not np.median(steps) > 0 or not step > 0:
        raise ValueError(f"{name}: the column of times does not rise; accepted are times, one row a sample")
    if np.abs(steps - step).max() > max(0.5 * step, _rounding(values, scale, step)):
        raise ValueError(f"{name}: the times are not evenly spaced; resample the recording to one rate")
    rate = round(1.0 / step, 6)
    if not 0 < rate < float("inf"):
        raise ValueError(
            f"{name}: the times state {1.0 / step:g} Hz; accepted is a rate above 0: correct them"
        )
    return rate


def _rounding(values: np.ndarray, scale: float, step: float) -> float:
    """What times were rounded to, in seconds, with a margin; 0 where it is more than a step, or cannot be told."""
    for digits in range(-3, 10):
        unit = 10.0**-digits
        if unit * scale <= step and np.allclose(
            np.round(values / unit) * unit, values, rtol=0, atol=unit * 1e-3
        ):
            return 1.01 * unit * scale
    return 0.0
