from __future__ import annotations

import numpy as np
import pytest
import scipy.signal

from openclef.condition import Condition, check_conditions

FS = 250.0
TIME = np.arange(2500) / FS


def ecg(rows=3, drift=0.0):
    beats = np.exp(-((((TIME % 0.8) - 0.4) / 0.02) ** 2))
    return np.stack([beats + drift * np.sin(2 * np.pi * 0.1 * TIME)] * rows).astype(np.float32)


@pytest.mark.parametrize("drift", [0.0, 5.0])
@pytest.mark.parametrize("snr_db", [-5, 0, 10, 24])
def test_noise_has_the_ratio_asked_for_whatever_the_drift(snr_db, drift):
    signal = ecg(1, drift).astype(float)
    noisy, fs = Condition(noise_snr_db=snr_db).apply(signal, FS, [7])
    assert fs == FS

    def fast_power(values):  # a Chebyshev filter, which is not the one in use
        high_pass = scipy.signal.cheby2(8, 60, 0.45, "highpass", fs=FS, output="sos")
        return (scipy.signal.sosfiltfilt(high_pass, values, padlen=1500) ** 2).sum()

    ratio = fast_power(ecg(1)[0]) / fast_power((noisy - signal)[0])
    assert 10 * np.log10(ratio) == pytest.approx(snr_db, abs=0.7)


def test_noise_belongs_to_the_row_and_not_to_the_batch():
    condition = Condition(noise_snr_db=10)
    together, _ = condition.apply(ecg(3), FS, [4, 5, 6])
    alone, _ = condition.apply(ecg(1), FS, [5])
    assert np.array_equal(together[1], alone[0])
    assert not np.array_equal(together[0], together[1])


def test_missing_samples_stay_missing_and_the_rest_gets_noise():
    signal = ecg(2)
    signal[0, 300:900] = np.nan
    signal[1] = np.nan
    noisy, _ = Condition(noise_snr_db=0).apply(signal, FS, [0, 1])
    assert np.array_equal(np.isnan(noisy), np.isnan(signal))
    assert np.isnan(signal[0, 300])  # the given array is left alone


@pytest.mark.parametrize("recorded", [500, 650, 1500])
def test_noise_of_a_window_that_is_not_full_has_the_ratio_in_what_was_recorded(recorded):
    signal = ecg(1).astype(float)
    signal[0, recorded:] = np.nan
    ratios = []
    for row in range(60):
        noisy, _ = Condition(noise_snr_db=10).apply(signal, FS, [row])
        noise = (noisy - signal)[0, :recorded]
        high_pass = scipy.signal.cheby2(8, 60, 0.45, "highpass", fs=FS, output="sos")
        both = np.stack([signal[0, :recorded], noise])
        power = scipy.signal.sosfiltfilt(high_pass, both, axis=1, padlen=recorded - 1).var(axis=1)
        ratios.append(10 * np.log10(power[0] / power[1]))
    assert np.median(ratios) == pytest.approx(10, abs=1.5)


def test_a_lower_rate_keeps_the_band_and_a_higher_one_changes_nothing():
    tone = np.sin(2 * np.pi * 8 * TIME)[None].astype(np.float32)
    lower, fs = Condition(fs=100).apply(tone, FS, [0])
    assert (fs, lower.shape) == (100.0, (1, 1000))
    np.testing.assert_allclose(lower[0], np.sin(2 * np.pi * 8 * np.arange(1000) / 100), atol=0.01)
    above = np.sin(2 * np.pi * 80 * TIME)[None].astype(np.float32)
    assert np.abs(Condition(fs=100).apply(above, FS, [0])[0][0, 50:-50]).max() < 0.05  # no alias
    same, fs = Condition(fs=300).apply(tone, FS, [0])
    assert fs == FS
    assert same is tone


def test_less_time_and_several_changes_at_once():
    shorter, _ = Condition(seconds=2.5).apply(ecg(), FS, [0, 1, 2])
    assert np.isnan(shorter[:, 625:]).all()
    assert not np.isnan(shorter[:, :625]).any()
    both = Condition(seconds=2.5, fs=125, noise_snr_db=10)
    changed, fs = both.apply(ecg(), FS, [0, 1, 2])
    assert (changed.shape, fs, both.name) == ((3, 1250), 125.0, "noise 10 dB, 125 Hz, 2.5 s a window")
    assert Condition(seconds=2.5).apply(ecg()[:0], FS, [])[0].shape == (0, 2500)


def test_what_is_no_condition_is_refused():
    for settings in (
        {"fs": 0},
        {"fs": 0.001},
        {"fs": float("nan")},
        {"fs": "100"},
        {"fs": True},
        {"seconds": -1},
        {"seconds": 0.001},
        {"noise_snr_db": float("inf")},
        {"noise_snr_db": "10"},
        {"lead": ""},
        {"lead": 5},
    ):
        with pytest.raises(ValueError, match=f"{next(iter(settings))}.* is .*; pass "):
            Condition(**settings)
    twice = Condition(fs=100), Condition(fs=100.0)
    for given in (twice, (Condition(),), ("noise",), Condition(fs=100)):
        with pytest.raises(ValueError, match=r"conditions are .*; pass"):
            check_conditions(given)
