"""What is measured in one lead: rate, rhythm, intervals, morphology, spectrum and quality, at 250 Hz."""

from __future__ import annotations

import math
from fractions import Fraction
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy import signal as filters

from openclef.protocol.beats import FS, Beats, cut_beats, likeness, load_neurokit, r_peaks, samples_of
from openclef.protocol.delineation import measure_waves
from openclef.signal import fill_gaps

__all__ = ["FEATURES", "IN_MV", "measure_lead"]

Array = NDArray[np.floating]

BAND = (0.5, 40.0)
_SHORTEST_S = 1.0
_BANDS_HZ = ((0.5, 1.0), (1.0, 4.0), (4.0, 9.0), (9.0, 15.0), (15.0, 25.0), (25.0, 40.0))

_RHYTHM = (
    "beats",
    "heart_rate_bpm",
    "rr_mean_ms",
    "rr_median_ms",
    "rr_sd_ms",
    "rr_rmssd_ms",
    "rr_pnn50",
    "rr_cv",
    "rr_irregularity",
    "rr_sample_entropy",
    "premature_share",
    "unlike_share",
)
_INTERVALS = (
    "p_share",
    "p_duration_ms",
    "pr_ms",
    "qrs_duration_ms",
    "qt_ms",
    "qtc_ms",
    "t_duration_ms",
)
_AMPLITUDES = ("p", "q", "r", "s", "st", "t")
IN_MV = (*(f"{wave}_amplitude_mv" for wave in _AMPLITUDES), "qrs_size_mv", "qrs_area_mv_ms")
"""Those in the unit of the signal."""
_MORPHOLOGY = (
    *IN_MV,
    *(f"{wave}_relative" for wave in _AMPLITUDES),
    "qrs_area_relative_ms",
    "qrs_balance",
    "t_r_ratio",
)
_QUALITY = (
    "beat_correlation",
    "residual_share",
    "residual_share_4_9_hz",
    "kurtosis",
    *(f"power_share_{low:g}_{high:g}_hz" for low, high in _BANDS_HZ),
    "missing_share",
)
FEATURES = (*_RHYTHM, *_INTERVALS, *_MORPHOLOGY, *_QUALITY)
"""Names of the features, in the order of the columns."""


def measure_lead(lead: Array, fs: float) -> dict[str, float]:
    """Measure one lead, see `openclef.protocol.features.ecg_features`.

    Args:
        lead: (time,) with NaN where a sample is missing.
        fs: Sampling rate in Hz.

    Returns:
        A value for each name of `FEATURES`, NaN where it cannot be measured.

    Raises:
        ImportError: If neurokit2 is not installed.

    Example:
        >>> measure_lead(np.zeros(500), 250.0)["heart_rate_bpm"]
        nan
    """
    found = dict.fromkeys(FEATURES, math.nan)
    lead = np.where(np.isfinite(lead), lead, np.nan)
    missing = np.isnan(lead)
    if lead.size:
        found["missing_share"] = float(missing.mean())
    known = np.flatnonzero(~missing)
    if known.size < _SHORTEST_S * fs:
        return found
    lead, missing = lead[known[0] : known[-1] + 1], missing[known[0] : known[-1] + 1]
    raw = _resampled(fill_gaps(lead[None])[0], fs)
    place = np.minimum((np.arange(raw.size) * fs / FS).round().astype(int), missing.size - 1)
    gap = missing[place]
    raw = raw - raw.mean()
    size = float(np.abs(raw).max())
    if not math.isfinite(size) or size <= 1e-6 * max(1.0, float(np.nanmax(np.abs(lead)))):
        return found  # a flat line
    clean = filters.sosfiltfilt(_band_pass(), raw)
    found |= _of_spectrum(raw[~gap] if gap.any() else raw)
    peak = r_peaks(clean / size, gap)
    beats = cut_beats(clean, peak, gap)
    found["beats"] = float(len(peak))
    if beats is None:
        return found
    found |= _of_rhythm(beats)
    found |= _of_shape(beats)
    found |= measure_waves(beats)
    return found


@lru_cache
def _band_pass() -> Array:
    return filters.butter(2, BAND, btype="bandpass", fs=FS, output="sos")


def _resampled(lead: Array, fs: float) -> Array:
    ratio = Fraction(FS / fs).limit_denominator(1000)
    if ratio == 1:
        return lead
    return filters.resample_poly(lead, ratio.numerator, ratio.denominator, padtype="line")


def _of_spectrum(raw: Array) -> dict[str, float]:
    """Shares of the bands in the power from the lowest to the highest of them, and the kurtosis."""
    hertz, power = filters.welch(raw, FS, nperseg=min(raw.size, samples_of(4.0)), detrend="linear")
    share = np.array([power[(hertz >= low) & (hertz < high)].sum() for low, high in _BANDS_HZ])
    names = [f"power_share_{low:g}_{high:g}_hz" for low, high in _BANDS_HZ]
    with np.errstate(invalid="ignore", divide="ignore"):
        found = dict(zip(names, (share / share.sum()).tolist()))
        fourth = np.mean((raw - raw.mean()) ** 4) / np.var(raw) ** 2
    return found | {"kurtosis": float(np.log(fourth))}


def _of_rhythm(beats: Beats) -> dict[str, float]:
    rr = beats.rr_s
    middle, mean = beats.usual_rr_s, float(rr.mean())
    found = {
        "heart_rate_bpm": 60.0 / mean,
        "rr_mean_ms": 1000 * mean,
        "rr_median_ms": 1000 * middle,
        "premature_share": float((rr < 0.8 * middle).mean()),
    }
    if rr.size < 2:
        return found
    change, spread = np.abs(np.diff(rr)), float(rr.std(ddof=1))
    found |= {
        "rr_sd_ms": 1000 * spread,
        "rr_rmssd_ms": 1000 * float(np.sqrt((change**2).mean())),
        "rr_pnn50": float((change > 0.050).mean()),
        "rr_cv": spread / mean,
        "rr_irregularity": float(np.median(change)) / middle,
    }
    if rr.size >= 6:
        # Within 60 ms counts as alike: a tolerance relative to a small spread would measure the sampling.
        with np.errstate(divide="ignore", invalid="ignore"):
            entropy = float(load_neurokit().entropy_sample(rr, dimension=1, tolerance=0.06)[0])
        found["rr_sample_entropy"] = entropy if math.isfinite(entropy) else math.nan
    return found


def _of_shape(beats: Beats) -> dict[str, float]:
    """How alike the beats are, and what the averaged beat leaves unexplained."""
    found = {}
    around = beats.cut[:, max(beats.before - samples_of(0.15), 0) : beats.before + samples_of(0.35)]
    alike = likeness(around)
    if len(alike) > 1 and np.isfinite(alike).all():
        found["beat_correlation"] = float(np.median(alike))
        found["unlike_share"] = float((alike < 0.8).mean())
    if len(beats.cut) < 3:
        return found
    start = max(beats.before - samples_of(0.35), 0)
    level = beats.cut - beats.cut.mean(1, keepdims=True)
    rest = level - (level.sum(0) - level) / (len(level) - 1)
    rest, level = rest[:, start:], level[:, start:]
    power = float((level**2).mean())
    if power > 0:
        found["residual_share"] = min(float((rest**2).mean()) / power, 2.0)
        spectrum = (np.abs(np.fft.rfft(rest * np.hanning(rest.shape[1]), axis=1)) ** 2).mean(0)
        hertz = np.fft.rfftfreq(rest.shape[1], 1 / FS)
        total = spectrum[(hertz >= 0.5) & (hertz < 40)].sum()
        if total > 0:
            found["residual_share_4_9_hz"] = float(spectrum[(hertz >= 4) & (hertz < 9)].sum() / total)
    return found
