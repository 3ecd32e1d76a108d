"""When the heart beats: sinus rhythm that breathes, atrial fibrillation, and ectopic beats."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from openclef.simulator.heart import Heart
from openclef.simulator.waves import ATRIAL_ECTOPIC, NORMAL, VENTRICULAR_ECTOPIC

Array = NDArray[Any]

_SHORTEST_S = 0.30  # no ventricle follows faster at rest
_PRESSURE_HZ = np.array(
    [0.075, 0.088, 0.097, 0.106, 0.121]
)  # the slow wave of blood pressure is no pure tone
_SLOW_HZ = 0.004 * 1.55 ** np.arange(
    7
)  # to 0.055 Hz; amplitudes fall as 1/sqrt(f): a 1/f spectrum on a log grid
_AF_SHAPE = 3.2  # of the gamma distribution of RR in atrial fibrillation, above the shortest


@dataclass(frozen=True, eq=False)
class Rhythm:
    """The beats of one record, from before its start until after its end.

    Args:
        onset_s: Onset of each beat's QRS after the start of the record, (beat,) in s.
        interval_s: RR interval before each beat, (beat,) in s.
        kind: Kind of each beat, (beat,): NORMAL, ATRIAL_ECTOPIC or VENTRICULAR_ECTOPIC of `waves`.
        mean_s: Mean RR interval of the record in s.
        breath_hz: Rate of breathing in Hz.
        breath_phase: Phase of breathing, and of two slow changes of its rate, (3,).

    Example:
        >>> rhythm = Rhythm(np.zeros(1), np.ones(1), np.zeros(1, int), 1.0, 0.25, np.zeros(3))
        >>> float(rhythm.breathing(np.array([0.0]))[0])
        0.0
    """

    onset_s: Array
    interval_s: Array
    kind: Array
    mean_s: float
    breath_hz: float
    breath_phase: Array

    def breathing(self, time_s: Array) -> Array:
        """Breathing at given times, a wave of amplitude 1 whose rate wanders a little.

        Args:
            time_s: Times after the start of the record in s.

        Returns:
            Its value at each time.

        Example:
            >>> rhythm = Rhythm(np.zeros(1), np.ones(1), np.zeros(1, int), 1.0, 0.25, np.zeros(3))
            >>> bool(np.abs(rhythm.breathing(np.linspace(0, 60, 600))).max() <= 1)
            True
        """
        return _breathing(time_s, self.breath_hz, self.breath_phase)


def _breathing(time_s: Array, hertz: float, phase: Array) -> Array:
    wander = 0.9 * np.sin(0.13 * time_s + phase[1]) + 0.5 * np.sin(0.31 * time_s + phase[2])
    return np.sin(2 * np.pi * hertz * time_s + phase[0] + wander)


def draw_rhythm(heart: Heart, generator: np.random.Generator, *, seconds: float) -> Rhythm:
    """Draw the times and kinds of the beats of one record.

    In sinus rhythm RR varies with breathing, with the slow wave of blood pressure about 0.1 Hz, and more slowly with
    a spectrum like 1/f. In atrial fibrillation the intervals are independent draws above a shortest one. Ectopic
    beats come early; a pause follows, compensatory after ventricular ones.

    Args:
        heart: The heart.
        generator: Source of chance.
        seconds: Length of the record in s.

    Returns:
        The beats, from at least 2 s before the record until at least 1 s after it.

    Example:
        >>> from openclef.simulator import Condition, draw_heart
        >>> heart = draw_heart(np.random.default_rng(0), Condition(60, female=False, sbp_mmhg=130))
        >>> rhythm = draw_rhythm(heart, np.random.default_rng(1), seconds=10)
        >>> bool(rhythm.onset_s[0] < -2 and rhythm.onset_s[-1] > 11)
        True
    """
    rate_bpm = max(40.0, heart.rate_bpm + heart.rate_visit_sd_bpm * float(generator.standard_normal()))
    mean_s = 60.0 / rate_bpm
    phase = generator.uniform(0, 2 * np.pi, 3)
    breath_hz = heart.breath_hz * math.exp(0.08 * float(generator.standard_normal()))
    start = -3.0 - mean_s * (1 + generator.random())
    count = math.ceil((seconds + 10.0) / (0.75 * mean_s)) + 12
    if heart.af:
        interval = _SHORTEST_S + generator.gamma(
            _AF_SHAPE, max(mean_s - _SHORTEST_S, 0.12) / _AF_SHAPE, count
        )
    else:
        about = start + mean_s * np.arange(count)  # where each beat would fall in a steady rhythm
        interval = mean_s * (1 + _variation(heart, generator, about, breath_hz, phase))
        interval = interval.clip(max(_SHORTEST_S, 0.55 * mean_s), 1.8 * mean_s)
    kind, interval = _ectopics(heart, generator, interval)
    onset = start + np.cumsum(interval)
    while onset[-1] < seconds + 1.0:  # many early beats
        more = np.full(count, mean_s)
        onset = np.concatenate([onset, onset[-1] + np.cumsum(more)])
        interval, kind = np.concatenate([interval, more]), np.concatenate([kind, np.zeros(count, int)])
    last = int(np.searchsorted(onset, seconds + 1.0)) + 1
    return Rhythm(onset[:last], interval[:last], kind[:last], mean_s, breath_hz, phase)


def _variation(
    heart: Heart, generator: np.random.Generator, about_s: Array, breath_hz: float, phase: Array
) -> Array:
    """Relative change of RR at the times of the beats."""
    size = generator.standard_normal((2, len(_PRESSURE_HZ) + len(_SLOW_HZ)))
    hertz = np.concatenate([_PRESSURE_HZ, _SLOW_HZ])
    share = np.concatenate(
        [
            np.full(len(_PRESSURE_HZ), heart.pressure_hrv / math.sqrt(len(_PRESSURE_HZ))),
            np.full(len(_SLOW_HZ), heart.slow_hrv / math.sqrt(len(_SLOW_HZ))),
        ]
    )
    angle = 2 * np.pi * hertz[:, None] * about_s
    slow = (size[0] * share) @ np.cos(angle) + (size[1] * share) @ np.sin(angle)
    breath = math.sqrt(2) * heart.respiratory_hrv * _breathing(about_s, breath_hz, phase + (0.8, 0.0, 0.0))
    return slow + breath + 0.004 * generator.standard_normal(len(about_s))


def _ectopics(heart: Heart, generator: np.random.Generator, interval_s: Array) -> tuple[Array, Array]:
    """Kinds of the beats, and their intervals with ectopic beats early and pauses after them."""
    count = len(interval_s)
    chance, coupling = generator.random((2, count))
    kind = np.full(count, NORMAL)
    ventricular = chance < heart.ventricular_ectopic_share
    atrial = (chance > 1 - heart.atrial_ectopic_share) & (not heart.af)
    kind[ventricular], kind[atrial] = VENTRICULAR_ECTOPIC, ATRIAL_ECTOPIC
    kind[0] = NORMAL
    after = np.flatnonzero(kind[1:] * kind[:-1]) + 1
    kind[after] = NORMAL  # no two in a row; of three the third may stay
    early = np.flatnonzero(kind)
    interval = interval_s.copy()
    share = np.where(
        kind[early] == VENTRICULAR_ECTOPIC, 0.52 + 0.24 * coupling[early], 0.60 + 0.22 * coupling[early]
    )
    lead = np.maximum(_SHORTEST_S + 0.06, share * interval_s[early])
    follow = early[early + 1 < count]
    if not heart.af:
        interval[early] = lead
        pause = np.where(
            kind[follow] == VENTRICULAR_ECTOPIC,
            interval_s[follow] + interval_s[follow + 1] - interval[follow],  # the sinus node is not reset
            1.08 * interval_s[follow + 1],
        )
        interval[follow + 1] = pause
    return kind, interval
