"""The simulated ECG: lead algebra, rhythm, and shapes that change with age and disease."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from openclef.signal import LEADS
from openclef.simulator.ecg import LEAD_VECTORS, NAMES, draw_beats, draw_heart, simulate_ecg

ROW = {lead: row for row, lead in enumerate(LEADS)}


def heart_of(seed: int, **settings):
    ordinary = {"age_years": 60.0, "female": False, "severity": 0.1, "load": 0.0}
    return draw_heart(np.random.default_rng(seed), **(ordinary | settings))


def ecg_of(seed: int, *, seconds: float = 10, fs: float = 250, noise: float = 1.0, **settings):
    generator = np.random.default_rng([seed, 1])
    return simulate_ecg(heart_of(seed, **settings), generator, seconds=seconds, fs=fs, noise=noise)


@given(
    seed=st.integers(0, 10_000),
    fs=st.sampled_from([100, 250, 360, 500]),
    af=st.booleans(),
    preexcitation=st.booleans(),
    severity=st.floats(0, 1),
)
def test_einthoven_and_goldberger_hold(
    seed: int, fs: int, af: bool, preexcitation: bool, severity: float
) -> None:
    ecg = ecg_of(seed, fs=fs, seconds=4, af=af, preexcitation=preexcitation, severity=severity).astype(int)
    assert ecg.shape == (12, 4 * fs)
    one, two, three, avr, avl, avf = (ecg[ROW[lead]] for lead in ("I", "II", "III", "aVR", "aVL", "aVF"))
    assert (two == one + three).all()
    assert np.abs(avr + (one + two) / 2).max() <= 0.5  # uV
    assert np.abs(avl - (one - three) / 2).max() <= 0.5
    assert np.abs(avf - (two + three) / 2).max() <= 0.5
    assert np.abs(avr + avl + avf).max() <= 2
    assert np.abs(ecg).max() < 8000  # 8 mV


def test_leads_are_projections_of_one_vector() -> None:
    """Without noise and misplaced electrodes eight leads have rank 3."""
    ecg = ecg_of(3, noise=0.0).astype(float)
    limb = ecg[[ROW["I"], ROW["II"]]]
    chest = ecg[[ROW[lead] for lead in LEAD_VECTORS if lead.startswith("V")]]
    singular = np.linalg.svd(np.concatenate([limb, chest]), compute_uv=False)
    assert singular[2] > 100 * singular[3]


def test_same_chance_same_ecg_other_chance_another() -> None:
    np.testing.assert_array_equal(ecg_of(1), ecg_of(1))
    assert np.corrcoef(ecg_of(1)[1], ecg_of(2)[1])[0, 1] < 0.9


def test_af_is_irregular_without_p_waves() -> None:
    def spread(seed: int, af: bool) -> tuple[float, float]:
        peaks, intervals = draw_beats(heart_of(seed, af=af), np.random.default_rng(seed), seconds=60)
        np.testing.assert_allclose(np.diff(peaks), intervals[1:])
        relative = intervals.std() / intervals.mean()
        neighbours = np.abs(np.diff(intervals)).mean() / intervals.mean()
        return relative, neighbours

    sinus = np.array([spread(seed, False) for seed in range(40)])
    af = np.array([spread(seed, True) for seed in range(40)])
    assert np.median(sinus[:, 0]) < 0.06
    assert af[:, 0].min() > 0.12 > np.quantile(sinus[:, 0], 0.95)
    assert np.median(af[:, 1]) > 5 * np.median(sinus[:, 1])
    p = [NAMES.index(name) for name in ("P right", "P left")]
    assert not heart_of(0, af=True).vector_mv[p].any()
    assert heart_of(0).vector_mv[p].any()


def test_rates_and_amplitudes_are_those_of_people() -> None:
    rates, r_of_two, spreads = [], [], []
    for seed in range(60):
        heart = heart_of(seed)
        peaks, _ = draw_beats(heart, np.random.default_rng(seed), seconds=10)
        assert peaks[0] < 0
        assert peaks[-1] >= 10
        rates.append(60 / np.diff(peaks).mean())
        ecg = ecg_of(seed, noise=0.0)
        r_of_two.append(ecg[ROW["II"]].max() / 1000)
        spreads.append(np.ptp(ecg, axis=1) / 1000)
    assert 60 < np.median(rates) < 80
    assert min(rates) > 40
    assert 0.5 < np.median(r_of_two) < 2.0
    assert 0.2 < np.median(spreads) < 2.5


def mean_beat(lead: str, **settings) -> np.ndarray:
    """Mean noiseless beat over 40 hearts, about the R peak, scaled to unit spread as z-scoring does."""
    beats = []
    for seed in range(40):
        heart = heart_of(seed, **settings)
        generator = np.random.default_rng([seed, 1])
        peaks, _ = draw_beats(heart, np.random.default_rng([seed, 1]), seconds=10)
        ecg = simulate_ecg(heart, generator, seconds=10, fs=500, noise=0.0)[ROW[lead]].astype(float)
        at = [round(500 * peak) for peak in peaks if 0.4 < peak < 9.2]
        beat = np.mean([ecg[i - 150 : i + 300] for i in at], axis=0)
        beats.append((beat - beat.mean()) / beat.std())
    return np.mean(beats, axis=0)


@pytest.mark.parametrize(
    "change", [{"age_years": 90.0}, {"severity": 0.9}, {"load": 2.0}, {"preexcitation": True}]
)
def test_age_disease_and_load_change_the_shape_not_only_the_size(change: dict) -> None:
    ordinary = mean_beat("V5", age_years=30.0)
    changed = mean_beat("V5", **({"age_years": 30.0} | change))
    assert np.abs(changed - ordinary).max() > 0.3
    t_wave = slice(150 + 100, 150 + 190)
    if "preexcitation" not in change:
        assert changed[t_wave].max() < ordinary[t_wave].max()


def test_disease_depresses_st_and_preexcitation_shortens_pr() -> None:
    baseline, st_level = slice(150 - 28, 150 - 22), slice(150 + 45, 150 + 55)

    def st_shift(**settings) -> float:
        beat = mean_beat("V5", **settings)
        return beat[st_level].mean() - beat[baseline].mean()

    assert st_shift(severity=0.9) < st_shift(severity=0.0) - 0.3
    p = NAMES.index("P left")
    assert heart_of(5, preexcitation=True).centre_s[p] > heart_of(5).centre_s[p]


def test_severity_and_load_show_in_a_graded_way() -> None:
    heights = [mean_beat("V5", severity=severity)[250:340].max() for severity in (0.0, 0.3, 0.6)]
    assert heights[0] > heights[1] > heights[2]
