"""Beats of one lead at 250 Hz: R peaks, beats cut out and aligned, their average, and how alike they are."""

from __future__ import annotations

import math
import warnings
from functools import lru_cache
from types import ModuleType
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

__all__ = ["FS", "Beats", "cut_beats", "likeness", "load_neurokit", "r_peaks", "samples_of"]

Array = NDArray[np.floating]

FS = 250.0
"""Rate in Hz at which everything is measured."""


class Beats(NamedTuple):
    """Beats cut out of a signal at 250 Hz, aligned with one another.

    Args:
        cut: (beats, samples) those that lie in the signal and touch no gap.
        average: (samples,) their median.
        before: Samples of a beat before its peak, the largest deflection of the QRS.
        rr_s: (intervals,) from peak to peak in s, where no gap lies between.

    Example:
        >>> Beats(np.zeros((1, 5)), np.zeros(5), 2, np.array([0.8, 0.9, 0.8])).usual_rr_s
        0.8
    """

    cut: Array
    average: Array
    before: int
    rr_s: Array

    @property
    def usual_rr_s(self) -> float:
        """Median RR interval in s.

        Example:
            >>> Beats(np.zeros((1, 5)), np.zeros(5), 2, np.array([0.5])).usual_rr_s
            0.5
        """
        return float(np.median(self.rr_s))


@lru_cache
def load_neurokit() -> ModuleType:
    """Import neurokit2 without its deprecation warnings.

    Returns:
        The module.

    Raises:
        ImportError: If it is not installed.

    Example:
        >>> load_neurokit().__name__
        'neurokit2'
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # it imports scipy.misc
        try:
            import neurokit2
        except ImportError as error:
            raise ImportError(
                'classical features need neurokit2; pip install "openclef[features]".'
            ) from error
    return neurokit2


def samples_of(seconds: float) -> int:
    """Samples that a time takes at `FS`, rounded.

    Example:
        >>> samples_of(0.1)
        25
    """
    return round(seconds * FS)


def r_peaks(clean: Array, gap: NDArray[np.bool_]) -> NDArray[np.integer]:
    """Find R peaks with neurokit2's own method, in the rectified signal: a QRS may point downwards.

    Args:
        clean: (time,) band-passed signal at `FS`, about 1 in size.
        gap: (time,) True where nothing was recorded; peaks there are left out.

    Returns:
        (beats,) samples.

    Raises:
        ImportError: If neurokit2 is not installed.

    Example:
        >>> pulses = np.exp(-(((np.arange(1000) / 250) % 1 - 0.5) ** 2) / 0.0004)
        >>> r_peaks(pulses, np.zeros(1000, bool)).tolist()
        [125, 375, 625, 875]
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # the mean of no QRS
        found = load_neurokit().ecg_findpeaks(np.abs(clean), sampling_rate=FS, method="neurokit")[
            "ECG_R_Peaks"
        ]
    peak = np.asarray(found, dtype=int)
    return peak[~gap[peak]]


def cut_beats(clean: Array, peak: NDArray[np.integer], gap: NDArray[np.bool_]) -> Beats | None:
    """Align the beats with one another, put their peaks on the largest deflection, and average them.

    A beat reaches from where the T wave before it has ended to where the P wave after it begins, at most from 0.5 s
    before to 0.75 s after its peak.

    Args:
        clean: (time,) band-passed signal at `FS`.
        peak: (beats,) samples of the R peaks, ascending.
        gap: (time,) True where nothing was recorded.

    Returns:
        The `Beats`; None without two neighbouring beats, or without a whole one.

    Example:
        >>> pulses = np.exp(-(((np.arange(1000) / 250) % 1 - 0.5) ** 2) / 0.0004)
        >>> beats = cut_beats(pulses, np.array([127, 374, 625, 875]), np.zeros(1000, bool))
        >>> beats.rr_s.tolist(), len(beats.cut), int(beats.average.argmax()) == beats.before
        ([1.0, 1.0, 1.0], 3, True)
    """
    if len(peak) < 2:
        return None
    peak = _aligned(clean, peak)
    peak = peak[np.concatenate(([True], np.diff(peak) > samples_of(0.15)))]
    if len(peak) < 2:
        return None
    gaps = np.concatenate(([0], np.cumsum(gap)))
    rr_s = (np.diff(peak) / FS)[gaps[peak[1:]] == gaps[peak[:-1]]]
    if not rr_s.size:
        return None
    usual_s = float(np.median(rr_s))
    t_peak_s = 0.32 * math.sqrt(usual_s)
    before = samples_of(min(0.5, max(usual_s - t_peak_s - 0.04, 0.2)))
    after = samples_of(min(0.75, max(usual_s - 0.22, t_peak_s + 0.12)))
    peak = peak[(peak >= before) & (peak + after <= clean.size)]
    peak = peak[gaps[peak + after] == gaps[peak - before]]
    if not peak.size:
        return None
    cut = clean[peak[:, None] + np.arange(-before, after)]
    return Beats(cut, np.median(cut, axis=0), before, rr_s)


def _aligned(clean: Array, peak: NDArray[np.integer]) -> NDArray[np.integer]:
    """Move each peak by up to 60 ms to where its QRS fits the median QRS best."""
    half, reach = samples_of(0.10), samples_of(0.06)
    padded = np.pad(clean, half + reach, mode="edge")
    lags = np.arange(-reach, reach + 1)
    for _ in range(2):
        around = padded[peak[:, None] + np.arange(2 * (half + reach) + 1)]
        template = np.median(around[:, reach : reach + 2 * half + 1], axis=0)
        template = template - template.mean()
        windows = np.lib.stride_tricks.sliding_window_view(around, 2 * half + 1, axis=1)
        fit = windows @ template - 1e-9 * np.abs(lags)
        peak = np.clip(peak + lags[fit.argmax(1)], 0, clean.size - 1)
    around = padded[peak[:, None] + np.arange(2 * (half + reach) + 1)]
    template = np.median(
        around[:, half + reach - samples_of(0.06) : half + reach + samples_of(0.06) + 1], axis=0
    )
    largest = int(np.abs(template - np.median(around)).argmax()) - samples_of(0.06)
    return np.unique(np.clip(peak + largest, 0, clean.size - 1))


def likeness(cut: Array) -> Array:
    """Correlate each beat with the mean of the others.

    Args:
        cut: (beats, samples).

    Returns:
        (beats,) correlations, NaN where one is constant or there is one beat alone.

    Example:
        >>> likeness(np.array([[0.0, 3.0, 0.0], [0.0, 2.0, 0.0], [1.0, 0.0, 1.0]])).round(3).tolist()
        [1.0, 1.0, -1.0]
    """
    if len(cut) < 2:
        return np.full(len(cut), np.nan)
    others = (cut.sum(0) - cut) / (len(cut) - 1)
    one, other = cut - cut.mean(1, keepdims=True), others - others.mean(1, keepdims=True)
    norm = np.sqrt((one**2).sum(1) * (other**2).sum(1))
    return np.where(norm > 0, (one * other).sum(1) / np.where(norm > 0, norm, 1.0), np.nan)
