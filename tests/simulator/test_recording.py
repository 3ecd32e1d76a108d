"""The recorder: lead algebra, noise, filters, the converter; and shapes that survive z-scoring."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from openclef.signal import LEADS
from openclef.simulator import Condition, Equipment, draw_heart, simulate_ecg
from openclef.simulator.rhythm import draw_rhythm
from openclef.simulator.waves import LEAD_VECTORS

ROW = {lead: row for row, lead in enumerate(LEADS)}


def heart_of(seed: int, **changes):
    ordinary = {"age_years": 55.0, "female": False, "sbp_mmhg": 125.0}
    return draw_heart(np.random.default_rng(seed), Condition(**(ordinary | changes)))


def ecg_of(
    seed: int, *, seconds: float = 10, fs: float = 250, noise: bool = True, step_uv: float = 1, **changes
):
    return simulate_ecg(
        heart_of(seed, **changes),
        np.random.default_rng([seed, 1]),
        seconds=seconds,
        fs=fs,
        equipment=Equipment(step_uv=step_uv),
        noise=noise,
    )


@given(
    seed=st.integers(0, 10_000),
    fs=st.sampled_from([100, 250, 360, 500, 1000]),
    step_uv=st.sampled_from([1, 2, 5]),
    af=st.booleans(),
    preexcitation=st.booleans(),
    grade=st.floats(0, 1),
)
def test_einthoven_and_goldberger_hold(seed, fs, step_uv, af, preexcitation, grade) -> None:
    changes = {"af": af, "preexcitation": preexcitation, "dysfunction": grade, "hypertrophy": 1 - grade}
    ecg = ecg_of(seed, fs=fs, seconds=4, step_uv=step_uv, **changes).astype(int)
    assert ecg.shape == (12, 4 * fs)
    one, two, three, avr, avl, avf = (ecg[ROW[lead]] for lead in ("I", "II", "III", "aVR", "aVL", "aVF"))
    assert np.abs(two - one - three).max() <= 2  # uV
    assert np.abs(avr + (one + two) / 2).max() <= 2
    assert np.abs(avl - (one - three) / 2).max() <= 2
    assert np.abs(avf - (two + three) / 2).max() <= 2
    measured = ecg[[ROW[lead] for lead in LEAD_VECTORS]]
    assert (measured % step_uv == 0).all()
    assert np.abs(ecg).max() < 10_000  # 10 mV


def test_same_chance_same_bytes_other_chance_another_ecg() -> None:
    np.testing.assert_array_equal(ecg_of(1), ecg_of(1))
    assert np.corrcoef(ecg_of(1)[1], ecg_of(2)[1])[0, 1] < 0.9


@pytest.mark.parametrize(("seconds", "fs"), [(1, 100), (1, 2000), (600, 100), (10, 128.5)])
def test_any_length_and_rate(seconds: float, fs: float) -> None:
    ecg = ecg_of(4, seconds=seconds, fs=fs)
    assert ecg.shape == (12, round(seconds * fs))
    assert np.ptp(ecg[ROW["II"]]) > 200


def test_a_heart_is_nearly_but_not_exactly_a_dipole() -> None:
    shares = []
    for seed in range(20):
        ecg = ecg_of(seed, noise=False).astype(float)[[ROW[lead] for lead in LEAD_VECTORS]]
        power = np.linalg.svd(ecg - ecg.mean(axis=1, keepdims=True), compute_uv=False) ** 2
        shares.append(power[3:].sum() / power.sum())
    assert 0.0002 < np.median(shares) < 0.02


def test_noise_is_larger_in_limb_leads_falls_with_frequency_and_can_be_left_out() -> None:
    quiet, loud = [], []
    for seed in range(12):
        difference = (ecg_of(seed, fs=500).astype(float) - ecg_of(seed, fs=500, noise=False))[:, 500:-500]
        power = np.abs(np.fft.rfft(difference - difference.mean(axis=1, keepdims=True))) ** 2
        hertz = np.fft.rfftfreq(difference.shape[1], 1 / 500)
        loud.append([power[ROW[lead]][(hertz > 20) & (hertz < 45)].sum() for lead in ("I", "V4")])
        quiet.append([power[ROW["I"]][(hertz > low) & (hertz < low + 10)].mean() for low in (5, 20, 70)])
    assert np.median(np.array(loud)[:, 0] / np.array(loud)[:, 1]) > 2
    falling = np.median(quiet, axis=0)
    assert falling[0] > 2 * falling[1] > 4 * falling[2]


def test_the_recorder_filters() -> None:
    heart = heart_of(2)

    def spectrum(**settings) -> tuple[np.ndarray, np.ndarray]:
        equipment = Equipment(mains_mv=0.0, **settings)
        ecg = simulate_ecg(heart, np.random.default_rng(3), seconds=20, fs=500, equipment=equipment)[0]
        return np.fft.rfftfreq(len(ecg), 1 / 500), np.abs(np.fft.rfft(ecg.astype(float))) ** 2

    hertz, wide = spectrum()
    _, narrow = spectrum(high_pass_hz=0.5, low_pass_hz=40.0)
    low, high = (hertz > 0) & (hertz < 0.2), (hertz > 80) & (hertz < 150)
    assert narrow[low].sum() < 0.1 * wide[low].sum()
    assert narrow[high].sum() < 0.3 * wide[high].sum()


@pytest.mark.parametrize("hertz", [50.0, 60.0])
def test_mains_hum_stands_at_its_frequency(hertz: float) -> None:
    equipment = Equipment(mains_hz=hertz, mains_mv=0.05)
    ecg = simulate_ecg(heart_of(2), np.random.default_rng(3), seconds=20, fs=500, equipment=equipment)[0]
    power = np.abs(np.fft.rfft(ecg.astype(float))) ** 2
    at = np.argmax(power[700:1600]) + 700  # 35 to 80 Hz
    assert np.fft.rfftfreq(len(ecg), 1 / 500)[at] == pytest.approx(hertz, abs=0.3)


def mean_beat(lead: str, **changes) -> np.ndarray:
    """Mean noiseless beat over 40 hearts from 150 ms before the QRS, scaled to unit spread as z-scoring does."""
    beats = []
    for seed in range(40):
        heart = heart_of(seed, **changes)
        ecg = simulate_ecg(heart, np.random.default_rng([seed, 1]), seconds=10, fs=500, noise=False)
        rhythm = draw_rhythm(heart, np.random.default_rng([seed, 1]), seconds=12)
        signal = ecg[ROW[lead]].astype(float)
        slope = np.abs(np.gradient(signal))
        at = []
        for onset in rhythm.onset_s[(rhythm.kind == 0) & (rhythm.onset_s > 0.4) & (rhythm.onset_s < 9.0)]:
            begin = round(500 * onset)
            at.append(begin - 20 + int(np.argmax(slope[begin - 20 : begin + 60])) - 20)
        beat = np.median([signal[i - 150 : i + 300] for i in at if i >= 150], axis=0)
        beats.append((beat - beat.mean()) / beat.std())
    return np.mean(beats, axis=0)


@pytest.mark.parametrize(
    "change",
    [
        {"age_years": 90.0},
        {"hypertrophy": 0.9},
        {"dysfunction": 0.9},
        {"atrial": 0.9},
        {"sbp_mmhg": 200.0},
        {"preexcitation": True},
    ],
)
def test_age_disease_and_pressure_change_the_shape_not_only_the_size(change: dict) -> None:
    ordinary, changed = (mean_beat("I", **{"age_years": 30.0} | each) for each in ({}, change))
    least = 0.03 if "atrial" in change or "sbp_mmhg" in change else 0.1
    assert np.abs(changed - ordinary).max() > least


def test_strain_turns_the_lateral_t_wave_by_degrees() -> None:
    t_wave = slice(150 + 80, 150 + 190)
    heights = [mean_beat("V6", hypertrophy=grade)[t_wave].mean() for grade in (0.0, 0.4, 0.9)]
    assert heights[0] > heights[1] > heights[2]


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"seconds": 0.5}, "seconds is 0.5; accepted are 1 to 600"),
        ({"fs": 50}, "fs is 50; accepted are 100 to 2000"),
        ({"fs": float("nan")}, "fs is nan"),
    ],
)
def test_wrong_lengths_and_rates_are_named(wrong: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        simulate_ecg(heart_of(0), np.random.default_rng(0), **({"seconds": 10, "fs": 250} | wrong))


@pytest.mark.parametrize(
    "wrong", [{"step_uv": 2.5}, {"low_pass_hz": 5.0}, {"mains_mv": -1.0}, {"placement_sd": 3.0}]
)
def test_wrong_equipment_is_named(wrong: dict) -> None:
    name = next(iter(wrong))
    with pytest.raises(ValueError, match=f"^{name} is"):
        Equipment(**wrong)
