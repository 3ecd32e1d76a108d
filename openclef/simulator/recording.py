"""An ECG recorder: a beating heart's dipole seen by electrodes, with noise, filters and an ADC."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.fft import irfft, next_fast_len, rfft

from openclef.signal import LEADS
from openclef.simulator.heart import Heart
from openclef.simulator.rhythm import Rhythm, draw_rhythm
from openclef.simulator.waves import DEPOLARISATION, LEAD_VECTORS, REPOLARISATION, VENTRICULAR_ECTOPIC

Array = NDArray[Any]

_PAD_S = 1.0  # simulated before and after the record, so that filters see no edge
_DEPOLARISATION_S = (-0.36, 0.34)  # window of P and QRS about a beat's onset
_REPOLARISATION_S = (0.0, 0.86)
# The electrodes RA, LA, LL, V1 to V6 make the leads I, II, V1 to V6; V is against Wilson's terminal.
_ELECTRODES = np.zeros((8, 9))
_ELECTRODES[0, :2] = -1, 1
_ELECTRODES[1, [0, 2]] = -1, 1
_ELECTRODES[2:, :3] = -1 / 3
_ELECTRODES[2:, 3:] = np.eye(6)
# Muscle noise of each electrode, relative to the left arm's.
_MUSCLE = np.array([0.33, 1.0, 0.33, 0.18, 0.18, 0.18, 0.18, 0.18, 0.18])[:, None]


@dataclass(frozen=True)
class Equipment:
    """A hospital's recorder and its rooms.

    Noise is that of one electrode in a median record; records and electrodes differ about it.

    Args:
        high_pass_hz: Corner of the recorder's high-pass in Hz.
        low_pass_hz: Corner of its low-pass in Hz.
        mains_hz: Frequency of the mains, 50 or 60 Hz.
        mains_mv: Amplitude of mains hum in mV.
        muscle_mv: Standard deviation of muscle noise at the left arm between 20 and 100 Hz in mV.
        wander_mv: Standard deviation of baseline wander in mV.
        amplifier_mv: Standard deviation of white noise in mV.
        motion_per_minute: Steps of an electrode's potential, how many a minute.
        noise_log_sd: Spread of the noise's level between records, of its logarithm.
        placement_sd: Spread of the chest leads' vectors between records.
        step_uv: Step of the ADC in uV.

    Raises:
        ValueError: A value out of its range.

    Example:
        >>> Equipment(mains_hz=60.0, step_uv=5.0).low_pass_hz
        150.0
    """

    high_pass_hz: float = 0.05
    low_pass_hz: float = 150.0
    mains_hz: float = 50.0
    mains_mv: float = 0.001
    muscle_mv: float = 0.0035
    wander_mv: float = 0.030
    amplifier_mv: float = 0.0003
    motion_per_minute: float = 0.4
    noise_log_sd: float = 0.55
    placement_sd: float = 0.05
    step_uv: float = 1.0

    def __post_init__(self) -> None:
        ranges = {
            "high_pass_hz": (0.0, 2.0),
            "low_pass_hz": (20.0, 2000.0),
            "mains_hz": (1.0, 400.0),
            "motion_per_minute": (0.0, 60.0),
            "noise_log_sd": (0.0, 2.0),
            "placement_sd": (0.0, 0.5),
            "step_uv": (1.0, 20.0),
        }
        for field in fields(self):
            low, high = ranges.get(field.name, (0.0, 5.0))
            value = getattr(self, field.name)
            if not low <= value <= high:
                raise ValueError(
                    f"{field.name} is {value}; accepted are {low:g} to {high:g}; pass another {field.name}."
                )
        if self.step_uv != round(self.step_uv):
            raise ValueError(f"step_uv is {self.step_uv}; accepted are whole uV; pass 1 or 5.")


def simulate_ecg(
    heart: Heart,
    generator: np.random.Generator,
    *,
    seconds: float,
    fs: float,
    equipment: Equipment | None = None,
    noise: bool = True,
) -> Array:
    """Simulate one 12-lead recording of a heart.

    Args:
        heart: The heart, from `draw_heart`.
        generator: Source of chance: rhythm, place of the electrodes, noise.
        seconds: Length in s, 1 to 600.
        fs: Sampling rate in Hz, 100 to 2000.
        equipment: The recorder; None for an ordinary one.
        noise: Whether to add noise; the recorder's filters and ADC stay.

    Returns:
        Array (12, time) of int16 in uV; leads in the order of `openclef.signal.LEADS`. I, II and V1 to V6 are whole
        steps of the ADC; the others are computed from I and II, to the nearest uV.

    Raises:
        ValueError: seconds or fs out of range.

    Example:
        >>> from openclef.simulator import Condition, draw_heart
        >>> heart = draw_heart(np.random.default_rng(0), Condition(60, female=False, sbp_mmhg=130))
        >>> ecg = simulate_ecg(heart, np.random.default_rng(1), seconds=10, fs=250)
        >>> ecg.shape, ecg.dtype
        ((12, 2500), dtype('int16'))
        >>> bool((ecg[1] - ecg[0] == ecg[2]).all())  # Einthoven: II - I = III
        True
    """
    for name, value, low, high in (("seconds", seconds, 1, 600), ("fs", fs, 100, 2000)):
        if not low <= value <= high:
            raise ValueError(f"{name} is {value}; accepted are {low} to {high}; pass another {name}.")
    recorder = equipment or Equipment()
    samples = round(seconds * fs)
    pad = round(_PAD_S * fs)
    total = next_fast_len(samples + 2 * pad, real=True)
    time_s = (np.arange(total) - pad) / fs
    rhythm = draw_rhythm(heart, generator, seconds=total / fs - _PAD_S)
    vectors = heart.lead_vectors.copy()
    vectors[2:] += recorder.placement_sd * generator.standard_normal((6, 3))  # never placed twice the same
    leads = _beats(heart, vectors, rhythm, generator, total, fs)
    if heart.af:
        leads += vectors @ _fibrillation(heart, generator, time_s)
    drift: Array | float = 0.0
    if noise:
        leads += _ELECTRODES @ _electrode_noise(recorder, generator, rhythm, time_s, fs)
        drift = _ELECTRODES @ (
            _drift_spectrum(recorder, generator, total, fs) + _muscle_spectrum(recorder, generator, total, fs)
        )
    leads = irfft((rfft(leads) + drift) * _filter(recorder, total, fs), total)[:, pad : pad + samples]
    return _twelve_leads(leads, recorder.step_uv)


def _beats(
    heart: Heart, vectors: Array, rhythm: Rhythm, generator: np.random.Generator, total: int, fs: float
) -> Array:
    """The beats in leads I, II, V1 to V6, (8, time) in mV, from `_PAD_S` before the record."""
    beats = len(rhythm.onset_s)
    centre = heart.centre_s[rhythm.kind]  # (beat, wave)
    width = heart.width_s[rhythm.kind].transpose(1, 0, 2)  # (side, beat, wave)
    vector = heart.vector_mv[rhythm.kind]  # (beat, wave, 3)

    # Repolarisation follows the rate of the last minute, and a little the last interval.
    recent = 0.85 * rhythm.mean_s + 0.15 * rhythm.interval_s.clip(0.4, 1.6)
    stretch = (recent**heart.qt_rate_exponent)[:, None]
    after = np.where(rhythm.kind == VENTRICULAR_ECTOPIC, 0.15, heart.qrs_s)[:, None]
    late = centre[:, REPOLARISATION]
    centre[:, REPOLARISATION] = np.where(late > after, after + (late - after) * stretch, late)
    width = width.copy()
    width[:, :, REPOLARISATION] *= stretch**0.8
    centre[:, :2] += 0.0015 * generator.standard_normal((beats, 1))  # PR

    # Breathing moves the heart; each beat differs a little from the last.
    chance = generator.standard_normal((beats, 3))
    breath = rhythm.breathing(rhythm.onset_s)[:, None]
    turn = (
        np.deg2rad(heart.breath_turn_deg) * breath * np.array([[0.35, 0.4, 1.0]]) + np.deg2rad(0.6) * chance
    )
    vector = vector + np.cross(turn[:, None, :], vector)
    height = vectors @ vector.transpose(0, 2, 1) + heart.local_mv[rhythm.kind]  # (beat, lead, wave)
    height *= (1 + 0.015 * breath + 0.008 * generator.standard_normal((beats, 1)))[:, :, None]
    height[:, :, REPOLARISATION] *= (1 + 0.025 * generator.standard_normal((beats, 1)))[:, :, None]

    first = rhythm.onset_s + _PAD_S
    leads = np.zeros((len(vectors), total))
    for waves, window in ((DEPOLARISATION, _DEPOLARISATION_S), (REPOLARISATION, _REPOLARISATION_S)):
        begin = np.floor((first + window[0]) * fs).astype(int)
        length = math.ceil((window[1] - window[0]) * fs)
        after_onset = (begin[:, None] + np.arange(length)) / fs - first[:, None]  # (beat, time)
        distance = after_onset[:, None, :] - centre[:, waves, None]
        scale = np.where(distance < 0, 1 / width[0][:, waves, None], 1 / width[1][:, waves, None])
        bumps = np.exp(-0.5 * (distance * scale) ** 2)
        drawn = height[:, :, waves] @ bumps  # (beat, lead, time)
        for at, beat in zip(begin.tolist(), drawn):
            low, high = max(0, -at), min(length, total - at)
            if low < high:
                leads[:, at + low : at + high] += beat[:, low:high]
    return leads


def _fibrillation(heart: Heart, generator: np.random.Generator, time_s: Array) -> Array:
    """Fibrillatory waves, (3, time): 4 to 9 Hz, wandering in rate, size and shape, largest towards V1."""
    step_s = 0.4
    duration = time_s[-1] - time_s[0]
    knots = int(duration / step_s) + 2
    at = (time_s - time_s[0]) / step_s
    rate_hz = np.clip(heart.fibrillation_hz + 0.7 * generator.standard_normal((2, knots)), 4, 9)
    size = heart.fibrillation_mv * np.exp(0.35 * generator.standard_normal((2, knots)))
    start = generator.uniform(0, 2 * np.pi, (2, 3))
    direction = np.array([[-0.30, 0.42, -0.75], [-0.10, 0.45, 0.25]]) + 0.12 * generator.standard_normal(
        (2, 3)
    )
    result = np.zeros((3, len(time_s)))
    grid = np.arange(knots)
    for wave, share in ((0, 1.0), (1, 0.55)):
        turns = np.concatenate([[0.0], np.cumsum(rate_hz[wave][:-1]) * step_s])
        phase = 2 * np.pi * np.interp(at, grid, turns) + start[wave, 0]
        phase += 0.5 * np.sin(0.31 * phase + start[wave, 2])
        shape = np.sin(phase) + 0.38 * np.sin(2 * phase + start[wave, 1]) + 0.12 * np.sin(3 * phase)
        result += share * direction[wave][:, None] * (np.interp(at, grid, size[wave]) * shape)
    return result


def _electrode_noise(
    recorder: Equipment, generator: np.random.Generator, rhythm: Rhythm, time_s: Array, fs: float
) -> Array:
    """The amplifier's noise, hum, breathing and motion at each electrode, (9, time) in mV."""
    total = len(time_s)
    level = np.exp(recorder.noise_log_sd * generator.standard_normal(2))
    noise = np.zeros((9, total))
    if recorder.amplifier_mv:
        noise += recorder.amplifier_mv * generator.standard_normal((9, total))

    # Mains hum with its odd and even harmonics; the size follows the patient's and cable's movements.
    slow = 1 + 0.25 * np.sin(2 * np.pi * 0.07 * time_s + generator.uniform(0, 2 * np.pi))
    hum = np.zeros(total)
    for harmonic, share in ((1, 1.0), (2, 0.08), (3, 0.22), (5, 0.08)):
        phase = generator.uniform(0, 2 * np.pi)
        if harmonic * recorder.mains_hz < 0.48 * fs:
            hum += share * np.sin(2 * np.pi * harmonic * recorder.mains_hz * time_s + phase)
    noise += (recorder.mains_mv * level[0] * generator.standard_normal((9, 1))) * (slow * hum)

    # Breathing moves the electrodes; now and then one of them is pulled.
    noise += (0.5 * recorder.wander_mv * level[1] * generator.standard_normal((9, 1))) * rhythm.breathing(
        time_s
    )
    pulls = int(generator.poisson(recorder.motion_per_minute * total / fs / 60))
    for at_s, which, height, decay_s in zip(
        generator.uniform(time_s[0], time_s[-1], pulls),
        generator.integers(0, 9, pulls),
        generator.standard_normal(pulls) * 8 * recorder.wander_mv * level[1],
        generator.uniform(0.3, 1.5, pulls),
    ):
        since = np.maximum(time_s - at_s, 0.0)
        noise[which] += height * (1 - np.exp(-since / 0.03)) * np.exp(-since / decay_s)
    return noise


def _muscle_spectrum(recorder: Equipment, generator: np.random.Generator, total: int, fs: float) -> Array:
    """Spectrum of muscle noise, (9, frequency) in mV: falls with frequency from 3 Hz on, with heavy tails.

    Sums of Laplace steps. A step's standard deviation over 2 ms is that of the noise between 20 and 100 Hz.
    """
    size = recorder.muscle_mv * math.exp(recorder.noise_log_sd * float(generator.standard_normal()))
    size *= math.sqrt(500 / fs / 2)  # a Laplace step of scale 1 has the variance 2
    each = size * _MUSCLE * np.exp(0.5 * generator.standard_normal((9, 1)))
    knots = int(total / fs / 0.7) + 2
    bursts = np.interp(
        np.arange(total) / fs / 0.7, np.arange(knots), np.exp(0.5 * generator.standard_normal(knots) - 0.12)
    )
    walk = np.cumsum((each * bursts) * generator.laplace(size=(9, total)), axis=1)
    hertz = np.arange(total // 2 + 1) * (fs / total)
    return rfft(walk) * (hertz**2 / np.sqrt(hertz**4 + 3.0**4))


def _drift_spectrum(recorder: Equipment, generator: np.random.Generator, total: int, fs: float) -> Array:
    """Spectrum of the electrodes' slow drift, (9, frequency) in mV: flat to 0.1 Hz, then falling."""
    hertz = np.arange(total // 2 + 1) * (fs / total)
    shape = np.where((hertz > 0) & (hertz < 2.0), 1 / (1 + (hertz / 0.10) ** 2.6) ** 0.5, 0.0)
    count = int(np.searchsorted(hertz, 2.0))
    size = recorder.wander_mv * math.exp(recorder.noise_log_sd * float(generator.standard_normal()))
    size *= total / 2 / math.sqrt(max(1e-9, float(np.sum(shape**2)) / 2))
    spectrum = np.zeros((9, total // 2 + 1), dtype=complex)
    chance = generator.standard_normal((2, 9, count))
    spectrum[:, :count] = size / math.sqrt(2) * shape[:count] * (chance[0] + 1j * chance[1])
    return spectrum * np.exp(0.95 * generator.standard_normal((9, 1)) - 0.25)


def _filter(recorder: Equipment, total: int, fs: float) -> Array:
    """The recorder's gain at each frequency: second order at both ends, without phase."""
    hertz = np.arange(total // 2 + 1) * (fs / total)
    gain = 1 / np.sqrt(1 + (hertz / recorder.low_pass_hz) ** 4)
    if recorder.high_pass_hz > 0:
        gain *= hertz**2 / np.sqrt(hertz**4 + recorder.high_pass_hz**4)
    return gain


def _twelve_leads(measured_mv: Array, step_uv: float) -> Array:
    """Twelve leads in uV from I, II and V1 to V6: those in whole steps, the derived ones to the nearest uV."""
    steps = np.rint(measured_mv * (1000 / step_uv)) * step_uv
    limit = 8000 // step_uv * step_uv  # III is up to twice as large
    one, two = steps[:2].clip(-limit, limit)
    rows = dict(zip(LEAD_VECTORS, steps.clip(-2 * limit, 2 * limit)))
    rows |= {
        "I": one,
        "II": two,
        "III": two - one,
        "aVR": np.rint(-(one + two) / 2),
        "aVL": np.rint(one - two / 2),
        "aVF": np.rint(two - one / 2),
    }
    return np.stack([rows[lead] for lead in LEADS]).astype(np.int16)
