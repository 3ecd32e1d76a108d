"""When the heart beats."""

from __future__ import annotations

import numpy as np

from openclef.simulator import Condition, draw_heart
from openclef.simulator.rhythm import draw_rhythm
from openclef.simulator.waves import ATRIAL_ECTOPIC, NORMAL, VENTRICULAR_ECTOPIC


def rhythms(seconds: float = 60.0, hearts: int = 60, **changes):
    ordinary = {"age_years": 55.0, "female": False, "sbp_mmhg": 125.0}
    for seed in range(hearts):
        heart = draw_heart(np.random.default_rng(seed), Condition(**(ordinary | changes)))
        yield draw_rhythm(heart, np.random.default_rng([seed, 1]), seconds=seconds)


def test_beats_cover_the_record_and_intervals_are_their_differences() -> None:
    for changes in ({}, {"af": True}, {"dysfunction": 1.0, "atrial": 1.0}):
        for rhythm in rhythms(10.0, **changes):
            assert rhythm.onset_s[0] < -2
            assert rhythm.onset_s[-1] > 11
            np.testing.assert_allclose(np.diff(rhythm.onset_s), rhythm.interval_s[1:])
            assert rhythm.interval_s.min() >= 0.3
            assert len(rhythm.kind) == len(rhythm.onset_s)


def test_af_is_irregular_from_beat_to_beat_and_sinus_rhythm_is_not() -> None:
    def spread(**changes) -> np.ndarray:
        return np.array([np.std(r.interval_s) / np.mean(r.interval_s) for r in rhythms(**changes)])

    sinus, af = spread(), spread(af=True)
    assert np.median(sinus) < 0.07
    assert af.min() > 0.12
    neighbours = [np.corrcoef(r.interval_s[:-1], r.interval_s[1:])[0, 1] for r in rhythms(300.0, 10, af=True)]
    assert abs(np.mean(neighbours)) < 0.1  # independent draws


def test_sinus_rhythm_breathes() -> None:
    # most of the power of RR below 0.5 Hz lies about the rate of breathing or below it, none at random above
    for rhythm in rhythms(300.0, 10, age_years=25.0):
        normal = rhythm.kind == NORMAL
        even = np.arange(0, 300, 0.25)
        rr = np.interp(even, rhythm.onset_s[normal], rhythm.interval_s[normal])
        power = np.abs(np.fft.rfft(rr - rr.mean())) ** 2
        hertz = np.fft.rfftfreq(len(even), 0.25)
        if (rhythm.kind != NORMAL).mean() < 0.01:
            assert power[(hertz > 0.15) & (hertz < 0.45)].sum() > 3 * power[hertz > 0.6].sum()


def test_ectopic_beats_are_early_never_two_in_a_row_and_more_frequent_in_disease() -> None:
    found = list(rhythms(dysfunction=0.9, atrial=0.9))
    kinds = np.concatenate([r.kind for r in found])
    healthy = np.concatenate([r.kind for r in rhythms()])
    for kind in (ATRIAL_ECTOPIC, VENTRICULAR_ECTOPIC):
        assert (kinds == kind).mean() > 2 * (healthy == kind).mean()
    for rhythm in found:
        ectopic = np.flatnonzero(rhythm.kind)
        assert not (np.diff(ectopic) == 1).any()
        early = ectopic[(ectopic > 0) & (ectopic + 1 < len(rhythm.kind))]
        assert (rhythm.interval_s[early] < 0.9 * rhythm.interval_s[early + 1]).all()
