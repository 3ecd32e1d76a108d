"""A plain beating signal for the small layouts: nothing of it is a real recording."""

from __future__ import annotations

import numpy as np

_WAVES = (
    (-0.16, 0.025, 0.12),
    (-0.03, 0.010, -0.1),
    (0.0, 0.012, 1.0),
    (0.03, 0.010, -0.2),
    (0.28, 0.05, 0.3),
)


def beats(
    generator: np.random.Generator,
    seconds: float,
    fs: float,
    *,
    rate: float = 70.0,
    rr_spread: float = 0.0,
    p_height: float = 1.0,
    qrs_width: float = 1.0,
    t_height: float = 1.0,
    noise_mv: float = 0.01,
) -> np.ndarray:
    """P, QRS and T as bumps in mV, (time,), with a little noise.

    `rate` is in beats a minute, `rr_spread` the standard deviation of an interval as a share of it; the others are
    relative to the usual P wave, QRS and T wave. A layout lets them hang on its labels, so that these can be told.
    """
    time = np.arange(round(seconds * fs)) / fs
    signal = generator.normal(0, noise_mv, len(time))
    scales = ((1.0, p_height), *[(qrs_width, 1.0)] * 3, (1.0, t_height))
    interval = 60 / rate
    onset = generator.uniform(0.2, 0.8)
    while onset < seconds:
        near = slice(max(0, int((onset - 0.4) * fs)), int((onset + 0.6) * fs))
        for (delay, width, height), (wider, higher) in zip(_WAVES, scales):
            delay, width = delay * wider if abs(delay) < 0.1 else delay, width * wider
            signal[near] += height * higher * np.exp(-(((time[near] - onset - delay) / width) ** 2) / 2)
        onset += interval * max(0.5, 1 + generator.normal(0, rr_spread)) if rr_spread else interval
    return signal


def beat_train(
    generator: np.random.Generator, centres: np.ndarray, symbols: list[str], samples: int, fs: float
) -> np.ndarray:
    """Beats at given samples in mV, (time,): narrow ones, and for V and E wide ones without a P wave."""
    time = np.arange(samples) / fs
    signal = generator.normal(0, 0.01, samples)
    for centre, symbol in zip(centres, symbols):
        near = slice(max(0, int(centre - 0.4 * fs)), int(centre + 0.6 * fs))
        wide = symbol in "VE"
        for delay, width, height in _WAVES[wide:]:
            width = width * 3 if wide else width
            signal[near] += height * np.exp(-(((time[near] - centre / fs - delay) / width) ** 2) / 2)
    return signal
