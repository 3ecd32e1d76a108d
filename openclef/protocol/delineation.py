"""Waves of the averaged beat: where P, QRS and T lie, their intervals and their amplitudes.

neurokit2 finds the peaks of P and T by their prominence. Where waves begin and end is measured here: the QRS where its
slope fades, P and T where tangents meet the level beyond them.
"""

from __future__ import annotations

import math
import warnings

import numpy as np
from numpy.typing import NDArray
from scipy.signal import peak_prominences

from openclef.protocol.beats import FS, Beats, likeness, load_neurokit, samples_of

__all__ = ["measure_waves"]

Array = NDArray[np.floating]

_INVERTED = 2.0  # how much more an inverted P wave must stand out than an upright one


def measure_waves(beats: Beats) -> dict[str, float]:
    """Measure intervals and amplitudes of the averaged beat.

    Args:
        beats: The beats of a lead.

    Returns:
        Those of `openclef.protocol.measurement.FEATURES` from p_share to t_r_ratio that can be measured.

    Raises:
        ImportError: If neurokit2 is not installed.

    Example:
        >>> time_s = np.arange(-100, 150) / 250
        >>> qrs, t = np.exp(-(time_s**2) / 0.0003), 0.3 * np.exp(-((time_s - 0.3) ** 2) / 0.003)
        >>> beats = Beats(np.tile(qrs + t, (5, 1)), qrs + t, 100, np.full(5, 1.0))
        >>> waves = measure_waves(beats)
        >>> round(waves["r_amplitude_mv"], 2), round(waves["t_amplitude_mv"], 2)
        (1.0, 0.3)
    """
    beat, r = beats.average, beats.before
    onset, end = _qrs_bounds(beat, r)
    level = float(np.median(beat[max(onset - samples_of(0.024), 0) : max(onset - samples_of(0.004), 1)]))
    beat = beat - level
    qrs = beat[onset : end + 1]
    size = float(qrs.max() - qrs.min())
    if size <= 0:
        return {}
    rr_s = beats.usual_rr_s
    wave = _peaks(beat, r, rr_s)
    high = onset + int(qrs.argmax())
    amplitude = {
        "q": min(float(beat[onset : high + 1].min()), 0.0),
        "r": max(float(beat[high]), 0.0),
        "s": min(float(beat[high : end + 1].min()), 0.0),
    }
    j_60 = end + samples_of(0.060)
    if j_60 < beat.size:
        amplitude["st"] = float(beat[j_60])
    found = {
        "qrs_duration_ms": (end - onset) / FS * 1000,
        "qrs_size_mv": size,
        "qrs_area_mv_ms": float(qrs.sum()) / FS * 1000,
        "qrs_area_relative_ms": float(qrs.sum()) / size / FS * 1000,
        "qrs_balance": float(qrs.max() + qrs.min()) / size,
    }
    t = wave["T"]
    if t is not None and t > end:
        amplitude["t"] = float(beat[t])
        found["t_r_ratio"] = amplitude["t"] / max(amplitude["r"], 0.1 * size)
        found |= _of_t(beat, onset, end, t, rr_s)
    p = wave["P"]
    found |= {"p_share": 0.0}
    if p is not None and p < onset:
        first, last = _tangents(beat, p, 0, onset, samples_of(0.10))
        share = _share_with_p(beats, first, last)
        found["p_share"] = share
        if share >= 0.5:
            base = 0.5 * (beat[first] + beat[last])
            amplitude["p"] = float(beat[p] - base)
            found["p_duration_ms"] = (last - first) / FS * 1000
            found["pr_ms"] = (onset - first) / FS * 1000
    found |= {f"{name}_amplitude_mv": value for name, value in amplitude.items()}
    return found | {f"{name}_relative": value / size for name, value in amplitude.items()}


def _peaks(beat: Array, r: int, rr_s: float) -> dict[str, int | None]:
    """Peaks of P and T in the averaged beat, as neurokit2 finds them by prominence."""
    # It needs two beats, looks half an RR interval to either side, and takes upright P waves only: the second beat is
    # the first one upside down.
    half = max(r, beat.size - r)
    once = np.pad(beat, (half - r, half - (beat.size - r)), mode="edge")
    pr_s = min(max(rr_s - 0.32 * math.sqrt(rr_s) - 0.09, 0.10), 0.36)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # no extremum at the R peak
        waves = load_neurokit().ecg_delineate(
            np.concatenate([once, -once]),
            np.array([half, 3 * half]),
            sampling_rate=FS,
            method="prominence",
            max_pr_interval=1000 * pr_s,
            typical_st_segment=110,
        )[1]

    def place(name: str, number: int) -> int | None:
        at = waves[f"ECG_{name}_Peaks"][number] - (half - r) - 2 * half * number
        return int(at) if 0 <= at < beat.size else None  # NaN is neither

    upright, inverted = place("P", 0), place("P", 1)
    turned = _prominence(-beat, inverted, r) > _INVERTED * _prominence(beat, upright, r)
    return {"P": inverted if turned else upright, "T": place("T", 0)}


def _prominence(beat: Array, peak: int | None, r: int) -> float:
    """Prominence of a peak before the QRS within 0.2 s; 0 without one."""
    if peak is None or not 0 < peak < r:
        return 0.0
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        return float(peak_prominences(beat[:r], [peak], wlen=samples_of(0.2))[0][0])


def _qrs_bounds(beat: Array, r: int) -> tuple[int, int]:
    """First and last sample of the QRS: beyond, the slope stays small for 20 ms."""
    slope = np.convolve(np.abs(np.gradient(beat)), np.ones(3) / 3, mode="same")
    reach, still = samples_of(0.13), samples_of(0.020)
    around = slope[max(r - reach, 0) : r + reach]
    small: NDArray[np.bool_] = slope < 0.08 * around.max()
    calm = np.min(np.lib.stride_tricks.sliding_window_view(small, still), axis=1)  # from here on, for 20 ms
    left = np.flatnonzero(calm[max(r - reach - still, 0) : max(r - still + 1, 1)])
    onset = max(r - reach - still, 0) + int(left[-1]) + still - 1 if left.size else max(r - reach, 0)
    right = np.flatnonzero(calm[r : r + reach + 1])
    end = r + int(right[0]) if right.size else min(r + reach, beat.size - 1)
    return min(onset, r), max(end, min(r + 1, beat.size - 1))


def _tangents(beat: Array, peak: int, low: int, high: int, reach: int) -> tuple[int, int]:
    """Where the steepest tangents on both sides of a wave meet the level beyond them."""
    sign = 1.0 if beat[peak] >= 0.5 * (beat[max(peak - reach, low)] + beat[min(peak + reach, high)]) else -1.0
    wave = sign * beat
    slope = np.gradient(wave)
    first = max(peak - reach, low)
    steep = first + int(slope[first : peak + 1].argmax())
    floor = float(wave[first : steep + 1].min())
    start = steep - (wave[steep] - floor) / slope[steep] if slope[steep] > 0 else first
    last = min(peak + reach, high)
    steep = peak + int(slope[peak : last + 1].argmin())
    floor = float(wave[steep : last + 1].min())
    stop = steep - (wave[steep] - floor) / slope[steep] if slope[steep] < 0 else last
    return max(round(start), first), min(round(stop), last)


def _of_t(beat: Array, onset: int, end: int, t: int, rr_s: float) -> dict[str, float]:
    first, last = _tangents(beat, t, end, beat.size - 1, samples_of(min(0.22, 0.25 * math.sqrt(rr_s))))
    qt_s = (last - onset) / FS
    if not 0.2 <= qt_s <= 0.72:
        return {}
    return {
        "qt_ms": 1000 * qt_s,
        "qtc_ms": 1000 * qt_s / rr_s ** (1 / 3),
        "t_duration_ms": (last - first) / FS * 1000,
    }


def _share_with_p(beats: Beats, first: int, last: int) -> float:
    """Share of beats whose signal around the P wave is like that of the others."""
    margin = samples_of(0.02)
    part = beats.cut[:, max(first - margin, 0) : last + margin + 1]
    alike = likeness(part)
    return float((alike > 0.5).mean()) if np.isfinite(alike).all() else math.nan
