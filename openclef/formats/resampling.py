"""Resampling of one recording to another rate, by a polyphase filter."""

from __future__ import annotations

import math
from dataclasses import replace
from fractions import Fraction

import numpy as np

from openclef.record import Record
from openclef.signal import fill_gaps, is_sampling_rate

_FILTER_SAMPLES = 20  # twice the half length of scipy's filter, in samples of the slower rate
_LARGEST = 1000  # of the ratio's denominator: an error below 1e-6 of the rate


def resample(record: Record, fs: float) -> Record:
    """Bring a recording to a rate by ``scipy.signal.resample_poly``.

    The anti-aliasing filter is scipy's (Kaiser window, beta 5, symmetric: no delay); the ends are extended by
    their odd reflection. Missing samples are filled in a straight line before, and missing again afterwards.

    Args:
        record: the recording.
        fs: the rate in Hz that it shall have.

    Returns:
        The recording at ``fs``; itself where it has that rate already.

    Raises:
        ValueError: if the rate is none.

    Example:
        >>> tone = np.sin(2 * np.pi * 5 * np.arange(1300) / 130)
        >>> found = resample(Record(tone[None], 130, ("I",), "a"), 500)
        >>> error = np.abs(found.signal - np.sin(2 * np.pi * 5 * np.arange(5000) / 500))
        >>> found.signal.shape, bool(error.max() < 0.01)
        ((1, 5000), True)
    """
    if not is_sampling_rate(fs):
        raise ValueError(f"fs={fs!r}; accepted is a rate above 0 in Hz, for example fs=500")
    if np.isclose(record.fs, fs, rtol=1e-6, atol=0):
        return replace(record, fs=float(fs))
    from scipy.signal import resample_poly

    ratio = Fraction(fs / record.fs).limit_denominator(_LARGEST)
    missing = np.isnan(record.signal)
    up, down = ratio.numerator, ratio.denominator
    beyond = down * math.ceil(_FILTER_SAMPLES * max(1, down / up) / down)  # in whole steps of the output
    filled = np.pad(
        fill_gaps(record.signal.astype(np.float64)),
        ((0, 0), (beyond, beyond)),
        mode="reflect",
        reflect_type="odd",
    )
    first, length = beyond * up // down, math.ceil(record.signal.shape[1] * up / down)
    signal = resample_poly(filled, up, down, axis=1)[:, first : first + length]
    if missing.any():
        nearest = np.round(np.arange(signal.shape[1]) * record.fs / fs).astype(int)
        signal[missing[:, np.minimum(nearest, missing.shape[1] - 1)]] = np.nan
    return replace(record, signal=signal, fs=float(fs))
