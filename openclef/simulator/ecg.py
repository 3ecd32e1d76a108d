"""A simulated 12-lead ECG: a cardiac dipole moving in time, projected on the leads.

The heart is a vector in three dimensions (x to the patient's left, y to the feet, z to the back, in mV). Each
wave of a beat (P, QRS, ST, T) is a Gaussian in time along a direction of its own. Leads I, II and V1 to V6
are projections of the vector (Dower's lead vectors); III, aVR, aVL and aVF are computed from the rounded I
and II, so that Einthoven's and Goldberger's equations hold as they do in a recording.

Sources: the dipole model of Sameni et al., EURASIP J Adv Signal Process 2007:043407, with waves after
McSharry et al., IEEE Trans Biomed Eng 2003;50:289; lead vectors of Dower et al., J Electrocardiol 1980;13:13.
Sizes and times of the waves were set by eye to ordinary ECGs; they are no measurement.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from openclef.signal import LEADS

Array = NDArray[Any]

# Lead vectors (x left, y feet, z back), after Dower.
LEAD_VECTORS = {
    "I": (0.632, -0.235, 0.059),
    "II": (0.235, 1.066, -0.132),
    "V1": (-0.515, 0.157, -0.917),
    "V2": (0.044, 0.164, -1.387),
    "V3": (0.882, 0.098, -1.277),
    "V4": (1.213, 0.127, -0.601),
    "V5": (1.125, 0.127, -0.086),
    "V6": (0.831, 0.076, 0.230),
}

# Waves of an ordinary beat: centre in s after the R peak (of ST and T: at 60 beats a minute), width to the
# left and right in s (standard deviations), vector in mV.
WAVES = {
    "P right": (-0.158, 0.018, 0.018, (0.030, 0.070, -0.040)),
    "P left": (-0.132, 0.018, 0.020, (0.060, 0.045, 0.030)),
    "Q": (-0.026, 0.008, 0.009, (-0.170, -0.050, -0.240)),
    "R": (0.000, 0.010, 0.011, (1.150, 0.900, 0.480)),
    "S": (0.025, 0.009, 0.011, (-0.180, -0.200, 0.480)),
    "ST": (0.110, 0.040, 0.050, (0.015, 0.015, -0.030)),
    "T early": (0.230, 0.055, 0.045, (0.130, 0.080, -0.090)),
    "T": (0.285, 0.050, 0.032, (0.290, 0.170, -0.110)),
    "delta": (-0.036, 0.016, 0.020, (0.0, 0.0, 0.0)),
}
NAMES = tuple(WAVES)
_INDEX = {name: i for i, name in enumerate(NAMES)}
_P = [_INDEX["P right"], _INDEX["P left"]]
_QRS = [_INDEX[name] for name in ("Q", "R", "S", "delta")]
_T = [_INDEX["T early"], _INDEX["T"]]
_REPOLARISATION = [_INDEX["ST"], *_T]


@dataclass(frozen=True, eq=False)
class Heart:
    """One simulated patient's heart: the shape of a beat, and the rhythm.

    Args:
        rate_bpm: Mean heart rate at rest, beats a minute.
        variability: Standard deviation of the RR interval in sinus rhythm, relative to its mean.
        centre_s: Time of each wave after the R peak, (wave,) in s, in the order of `NAMES`.
        width_s: Standard deviation of each wave to its left and right, (2, wave) in s.
        vector_mv: Vector of each wave, (wave, 3) in mV.
        af: Atrial fibrillation: no P wave, irregular beats, fibrillatory waves.
        fibrillation_mv: Amplitude of the fibrillatory waves in mV.

    Example:
        >>> heart = draw_heart(np.random.default_rng(0), age_years=60, female=False, severity=0.2, load=0.0)
        >>> heart.vector_mv.shape == (len(NAMES), 3)
        True
    """

    rate_bpm: float
    variability: float
    centre_s: Array
    width_s: Array
    vector_mv: Array
    af: bool
    fibrillation_mv: float


def draw_heart(
    generator: np.random.Generator,
    *,
    age_years: float,
    female: bool,
    severity: float,
    load: float,
    af: bool = False,
    preexcitation: bool = False,
) -> Heart:
    """Draw one patient's heart: an ordinary one, changed by age, sex, disease and chance.

    Age turns the axis to the left, flattens the T wave, lengthens PR and steadies the rhythm. Disease
    depresses ST, flattens and turns the T wave, widens QRS and raises the rate. A pressure load raises R and
    turns T against it. All are changes of shape, so they survive z-scoring.

    Args:
        generator: Source of chance; the same generator gives the same heart.
        age_years: Age in years.
        female: Whether a woman.
        severity: Severity of the heart's disease, 0 none to 1 severe.
        load: Pressure load on the left ventricle, in standard deviations.
        af: Atrial fibrillation.
        preexcitation: An accessory pathway: short PR, delta wave, wide QRS.

    Returns:
        The heart.

    Example:
        >>> young, old = (
        ...     draw_heart(np.random.default_rng(0), age_years=age, female=True, severity=0.1, load=0.0)
        ...     for age in (25, 85)
        ... )
        >>> bool(old.variability < young.variability)
        True
    """
    chance = generator.standard_normal(24)
    decades = (age_years - 55) / 10
    centre = np.array([WAVES[name][0] for name in NAMES])
    width = np.array([[WAVES[name][side] for name in NAMES] for side in (1, 2)])
    vector = np.array([WAVES[name][3] for name in NAMES])

    vector *= np.exp(0.15 * chance[0]) * (0.88 if female else 1.0)
    vector *= np.exp(0.15 * chance[1 : 1 + len(NAMES)])[:, None]  # waves vary apart from each other
    vector[_INDEX["R"]] *= 1 + 0.12 * np.clip(load, -1, 3)
    vector[_T] *= np.clip(1.0 - 0.05 * decades - 0.75 * severity - 0.15 * np.clip(load, 0, 3), -0.4, 1.5)
    vector[_INDEX["ST"]] -= (0.16 * severity + 0.04 * max(load, 0.0)) * np.array([0.75, 0.55, -0.25])

    qrs_axis = 10 * chance[10] - 4.0 * decades + 6.0  # degrees in the frontal plane; negative is to the left
    t_turn = 10 * chance[11] - 35 * severity
    vector = vector @ _rotation(qrs_axis, 12 * chance[12]).T
    vector[_REPOLARISATION] = vector[_REPOLARISATION] @ _rotation(t_turn, 10 * chance[13]).T

    qrs = np.exp(0.07 * chance[14]) * (1 + 0.015 * decades + 0.22 * severity) * (0.95 if female else 1.0)
    if preexcitation:
        pathway = np.array([0.55 * np.sign(chance[15]) + 0.2, 0.35 * np.sign(chance[16]), -0.45])
        vector[_INDEX["Q"]] *= 0.3  # the septum is reached before its turn
        vector[_INDEX["delta"]] = 0.60 * pathway * np.exp(0.2 * chance[17])
        vector[_T] -= 0.25 * vector[_INDEX["delta"]]  # repolarisation turns against the early part
        qrs *= 1.15
    centre[_QRS] *= qrs
    width[:, _QRS] *= qrs
    pr = -0.020 if preexcitation else 0.006 * decades + 0.014 * chance[18]
    centre[_P] -= np.clip(pr, -0.030, 0.060) + 0.02 * (qrs - 1)
    centre[_REPOLARISATION] *= np.exp(0.04 * chance[19]) * (1.03 if female else 1.0)
    if af:
        vector[_P] = 0.0

    rate = (86.0 if af else 68.0) + 10 * chance[20] + 10 * severity + (3.0 if female else 0.0)
    variability = 0.035 * np.exp(-0.20 * decades + 0.35 * chance[21] - 0.8 * severity)
    return Heart(
        rate_bpm=float(np.clip(rate, 45, 130)),
        variability=float(np.clip(variability, 0.004, 0.12)),
        centre_s=centre,
        width_s=width,
        vector_mv=vector,
        af=af,
        fibrillation_mv=float(0.075 * np.exp(0.35 * chance[22])),
    )


def _rotation(frontal_degrees: float, horizontal_degrees: float) -> Array:
    """Rotation in the frontal plane (positive: from left towards the feet), then in the horizontal plane."""
    a, b = np.deg2rad([frontal_degrees, horizontal_degrees])
    frontal = np.array([[np.cos(a), -np.sin(a), 0], [np.sin(a), np.cos(a), 0], [0, 0, 1]])
    horizontal = np.array([[np.cos(b), 0, -np.sin(b)], [0, 1, 0], [np.sin(b), 0, np.cos(b)]])
    return horizontal @ frontal


def draw_beats(heart: Heart, generator: np.random.Generator, seconds: float) -> tuple[Array, Array]:
    """Draw the times of the R peaks, from before the recording until after it.

    Sinus rhythm varies with breathing, with the slow wave of blood pressure (0.1 Hz) and by chance; in atrial
    fibrillation the intervals are independent draws from a gamma distribution above a refractory time.

    Args:
        heart: The patient's heart.
        generator: Source of chance.
        seconds: Length of the recording in s.

    Returns:
        Times of the R peaks in s from the recording's start, and each one's RR interval before it in s.

    Example:
        >>> generator = np.random.default_rng(0)
        >>> heart = draw_heart(generator, age_years=60, female=False, severity=0.2, load=0.0)
        >>> peaks, intervals = draw_beats(heart, generator, seconds=10)
        >>> bool(peaks[0] < 0 and peaks[-1] > 10)
        True
    """
    mean = 60.0 / (heart.rate_bpm + 3.0 * generator.standard_normal())
    count = int((seconds + 7.0) / 0.3) + 2
    phase = generator.uniform(0, 2 * np.pi, 2)
    breath_hz = generator.uniform(0.18, 0.32)
    start = -4.0 - mean * generator.random()
    if heart.af:
        refractory = 0.32
        excess = max(mean - refractory, 0.12)
        intervals = refractory + generator.gamma(3.0, excess / 3.0, count)
    else:
        about = mean * np.arange(count)  # where each beat would fall in a steady rhythm
        breathing = np.sin(2 * np.pi * breath_hz * about + phase[0])
        pressure = np.sin(2 * np.pi * 0.1 * about + phase[1])
        change = 0.9 * breathing + 0.7 * pressure + 0.6 * generator.standard_normal(count)
        intervals = mean * (1 + heart.variability * change)
    peaks = start + np.cumsum(intervals)
    keep = peaks < seconds + 1.0
    keep[np.argmin(keep)] = True  # one beat beyond the end
    return peaks[keep], intervals[keep]


def simulate_ecg(
    heart: Heart, generator: np.random.Generator, *, seconds: float, fs: float, noise: float = 1.0
) -> Array:
    """Simulate one 12-lead recording of a heart.

    Args:
        heart: The patient's heart.
        generator: Source of chance: rhythm, electrode placement, noise.
        seconds: Length in s.
        fs: Sampling rate in Hz.
        noise: Strength of baseline wander, muscle and mains noise; 0 for none, 1 for an ordinary recording.

    Returns:
        Array (12, time) of int16 in uV; leads in the order of `openclef.signal.LEADS`.

    Example:
        >>> generator = np.random.default_rng(0)
        >>> heart = draw_heart(generator, age_years=60, female=False, severity=0.2, load=0.0)
        >>> ecg = simulate_ecg(heart, generator, seconds=10, fs=250)
        >>> ecg.shape, ecg.dtype
        ((12, 2500), dtype('int16'))
        >>> bool((ecg[1] - ecg[0] == ecg[2]).all())  # Einthoven: II - I = III
        True
    """
    samples = round(seconds * fs)
    peaks, intervals = draw_beats(heart, generator, seconds)
    dipole = _beats_to_dipole(heart, generator, peaks, intervals, samples, fs)
    if heart.af:
        dipole += _fibrillation(heart, generator, samples, fs)
    leads = np.array(list(LEAD_VECTORS.values()))
    leads[2:] += 0.05 * generator.standard_normal((6, 3))  # chest electrodes are never placed twice the same
    measured = leads @ dipole
    if noise > 0:
        measured += noise * _noise(generator, len(leads), samples, fs)
    microvolts = np.rint(1000 * measured).clip(-16000, 16000)
    return _all_leads(microvolts)


def _beats_to_dipole(
    heart: Heart, generator: np.random.Generator, peaks: Array, intervals: Array, samples: int, fs: float
) -> Array:
    """The heart's vector over time, (3, time) in mV: each beat is drawn in a window about its R peak."""
    before, after = round(0.36 * fs), round(0.70 * fs)
    first = np.floor(peaks * fs).astype(int) - before
    times = (first[:, None] + np.arange(before + after)) / fs - peaks[
        :, None
    ]  # (beat, time) after the R peak
    centre = np.repeat(heart.centre_s[None], len(peaks), axis=0)
    stretch = np.sqrt(np.clip(intervals, 0.35, 1.4))[:, None]  # repolarisation follows the rate (Bazett)
    centre[:, _REPOLARISATION] *= stretch
    width = np.repeat(heart.width_s[:, None], len(peaks), axis=1)  # (side, beat, wave)
    width[:, :, _REPOLARISATION] *= stretch**0.7
    distance = times[:, None, :] - centre[:, :, None]
    scaled = np.where(distance < 0, distance / width[0, :, :, None], distance / width[1, :, :, None])
    waves = np.exp(-0.5 * scaled**2)
    size = 1 + 0.025 * generator.standard_normal((len(peaks), 1, 1))  # breathing and chance
    beats = size * np.einsum("wd,bwt->bdt", heart.vector_mv, waves)
    padded = np.zeros((3, samples + 2 * (before + after)))
    for begin, beat in zip(first + before + after, beats):
        if 0 <= begin <= padded.shape[1] - beat.shape[1]:
            padded[:, begin : begin + beat.shape[1]] += beat
    return padded[:, before + after : before + after + samples]


def _fibrillation(heart: Heart, generator: np.random.Generator, samples: int, fs: float) -> Array:
    """Fibrillatory waves, (3, time): 4.5 to 8 Hz, wandering in rate and size, largest towards V1."""
    knots = max(4, int(samples / fs * 2))
    at = np.linspace(0, knots - 1, samples)
    hertz = generator.uniform(4.5, 8.0) + 0.8 * generator.standard_normal(knots)
    size = heart.fibrillation_mv * np.exp(0.35 * generator.standard_normal(knots))
    phase = 2 * np.pi * np.cumsum(np.interp(at, np.arange(knots), hertz)) / fs
    shape = np.sin(phase) + 0.35 * np.sin(2 * phase + 0.8)
    direction = np.array([-0.35, 0.45, -0.40]) + 0.1 * generator.standard_normal(3)
    return direction[:, None] * np.interp(at, np.arange(knots), size) * shape


def _noise(generator: np.random.Generator, leads: int, samples: int, fs: float) -> Array:
    """Baseline wander, muscle noise and mains hum, (lead, time) in mV; recordings differ in strength."""
    time_s = np.arange(samples) / fs
    level = np.exp(0.6 * generator.standard_normal(3))
    hertz = np.array([0.06, 0.13, 0.25, 0.45]) * np.exp(0.2 * generator.standard_normal(4))
    phase = generator.uniform(0, 2 * np.pi, 4)
    size = generator.standard_normal((leads, 4)) * np.array([0.06, 0.04, 0.05, 0.012])
    wander = level[0] * size @ np.sin(2 * np.pi * hertz[:, None] * time_s + phase[:, None])
    muscle = 0.009 * level[1] * generator.standard_normal((leads, samples))
    total = wander + muscle
    if fs > 2 * 50:
        hum = np.sin(2 * np.pi * 50 * time_s + generator.uniform(0, 2 * np.pi))
        total += 0.003 * level[2] * generator.standard_normal((leads, 1)) * hum
    return total


def _all_leads(measured: Array) -> Array:
    """Twelve leads from I, II and V1 to V6 in whole uV; derived leads are rounded by at most half a uV."""
    one, two = measured[:2]
    derived = {
        "III": two - one,
        "aVR": np.rint(-(one + two) / 2),
        "aVL": np.rint(one - two / 2),
        "aVF": np.rint(two - one / 2),
    }
    rows = dict(zip(LEAD_VECTORS, measured)) | derived
    return np.stack([rows[lead] for lead in LEADS]).astype(np.int16)
