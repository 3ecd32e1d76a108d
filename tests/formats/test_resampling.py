"""Resampling: closed forms at many rates, gaps, lengths."""

from __future__ import annotations

import numpy as np
import pytest

from openclef.formats.resampling import resample
from openclef.record import Record


@pytest.mark.parametrize("rate", [125, 130, 200, 250, 360, 488.28125, 498.67, 512, 1000])
def test_a_tone_stays_a_tone(rate):
    time_s = np.arange(round(10 * rate)) / rate
    found = resample(Record(np.sin(2 * np.pi * 7 * time_s)[None], rate, ("I",), "a"), 500)
    assert found.fs == 500
    assert 5000 <= found.signal.shape[1] <= 5001
    error = np.abs(found.signal[0] - np.sin(2 * np.pi * 7 * np.arange(found.signal.shape[1]) / 500))
    assert error.max() < 0.04  # at the ends the signal is continued by reflection
    assert error[250:-250].max() < 0.003


def test_frequencies_above_half_the_new_rate_are_filtered_out():
    time_s = np.arange(10_000) / 1000
    found = resample(Record(np.sin(2 * np.pi * 180 * time_s)[None], 1000, ("I",), "a"), 250)
    assert np.abs(found.signal[0, 50:-50]).max() < 0.02


def test_gaps_stay_gaps_at_their_time():
    signal = np.ones((1, 1300))
    signal[0, 260:390] = np.nan  # 2 s to 3 s
    found = resample(Record(signal, 130, ("I",), "a"), 500).signal[0]
    missing = np.flatnonzero(np.isnan(found)) / 500
    assert abs(missing[0] - 2) < 0.01
    assert abs(missing[-1] - 3) < 0.01
    assert len(missing) == pytest.approx(500, abs=4)
    np.testing.assert_allclose(found[~np.isnan(found)], 1, atol=0.01)


def test_the_same_rate_changes_nothing_and_what_else_is_known_stays():
    record = Record(
        np.random.default_rng(0).normal(size=(2, 50)), 500, ("I", "II"), "a", subject_id="s", start_s=3
    )
    assert np.array_equal(resample(record, 500.0).signal, record.signal)
    found = resample(record, 250)
    assert (found.leads, found.subject_id, found.start_s, found.seconds) == (("I", "II"), "s", 3, 0.1)
    with pytest.raises(ValueError, match="fs=0; accepted is a rate above 0"):
        resample(record, 0)
