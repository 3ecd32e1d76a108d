"""Sampling rates that an ECG can have."""

from __future__ import annotations

import warnings

ACCEPTED_HZ = (10.0, 50_000.0)
"""Rates outside of this are refused."""

USUAL_HZ = (50.0, 5_000.0)
"""Rates outside of this give a warning."""


def check_rate(fs: float, source: str) -> None:
    """Refuse a sampling rate that no ECG has, and warn of an unusual one.

    Args:
        fs: sampling rate in Hz.
        source: where it comes from, for the message.

    Raises:
        ValueError: if it is outside 10 to 50,000 Hz.

    Warns:
        UserWarning: if it is outside 50 to 5,000 Hz.

    Example:
        >>> check_rate(1e6, "a.npy")
        Traceback (most recent call last):
        ValueError: fs=1e+06 Hz for a.npy; accepted are 10 to 50,000 Hz: pass the recording's own rate, ...
    """
    advice = "pass the recording's own rate, or correct it in the file"
    if not ACCEPTED_HZ[0] <= fs <= ACCEPTED_HZ[1]:
        raise ValueError(f"fs={fs:g} Hz for {source}; accepted are 10 to 50,000 Hz: {advice}")
    if not USUAL_HZ[0] <= fs <= USUAL_HZ[1]:
        warnings.warn(
            f"fs={fs:g} Hz for {source} is unusual for an ECG (50 to 5,000 Hz); if it is wrong, {advice}",
            stacklevel=3,
        )
