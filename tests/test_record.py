from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from openclef.record import Record


def record(signal: np.ndarray | None = None, **changes) -> Record:
    given = {"signal": np.zeros((2, 100)) if signal is None else signal, "fs": 100, "leads": ("I", "II")}
    return Record(**(given | {"record_id": "a"} | changes))


@given(
    samples=st.integers(1, 400),
    fs=st.sampled_from([10.0, 33.3, 100.0]),
    seconds=st.floats(0.1, 5),
)
def test_windows_cover_the_recording_in_order(samples, fs, seconds):
    signal = np.arange(samples, dtype=np.float32)[None]
    whole = Record(signal, fs, ("I",), "a", start_s=7.0)
    length = round(seconds * fs)
    windows = whole.windows(seconds)
    assert all(window.signal.shape == (1, length) for window in windows)
    joined = np.concatenate([window.signal[0] for window in windows])
    known = joined[~np.isnan(joined)]
    np.testing.assert_array_equal(known, signal[0, : len(known)])
    left_out = samples - len(known)
    assert 2 * left_out < length  # less than half a window, and then only the end
    assert left_out == 0 or len(windows) == samples // length
    for number, window in enumerate(windows):
        recorded = int((~np.isnan(window.signal)).sum())
        assert window.seconds == pytest.approx(recorded / fs)
        assert window.start_s == pytest.approx(7.0 + number * length / fs)


@pytest.mark.parametrize(("samples", "windows"), [(1, 1), (49, 1), (100, 1), (149, 1), (150, 2), (200, 2)])
def test_a_last_partial_window_needs_half_its_length(samples, windows):
    assert len(record(np.zeros((2, samples))).windows(1)) == windows


def test_a_window_without_a_sample_is_refused():
    with pytest.raises(ValueError, match="less than one sample at 100 Hz"):
        record().windows(0.001)


def test_select_is_by_name_and_says_what_there_is():
    two = record(np.array([[1.0], [2.0]]), metadata={"age_years": 50}, subject_id="s")
    chosen = two.select(["II", "i"])
    assert chosen.leads == ("II", "I")
    assert chosen.signal.ravel().tolist() == [2, 1]
    assert (chosen.metadata, chosen.subject_id) == ({"age_years": 50}, "s")
    with pytest.raises(ValueError, match=r"record 'a': lead V1 is not there; available leads: I, II"):
        two.select("V1")


def test_microvolts_survive_float32():
    steps = np.arange(-32767, 32768)
    held = record(steps[None] / 1000, leads=("I",)).signal
    np.testing.assert_array_equal(np.rint(held[0].astype(np.float64) * 1000), steps)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"signal": np.zeros(5)}, r"accepted is \(lead, time\)"),
        ({"signal": np.zeros((2, 0))}, "at least one sample"),
        ({"signal": np.zeros((2, 5), complex)}, "real numbers"),
        ({"fs": 0}, "rate above 0"),
        ({"fs": float("nan")}, "rate above 0"),
        ({"leads": ("I",)}, "2 leads in the signal and 1 names"),
        ({"leads": ("I", "lead i")}, "same lead twice"),
        ({"unit": "uV"}, "accepted are mV, zscore"),
        ({"record_id": ""}, "record_id is empty"),
    ],
)
def test_what_cannot_be_right_is_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        record(**changes)


def test_one_name_alone_is_one_lead():
    assert Record(np.zeros((1, 5)), 100, "MDC_ECG_LEAD_AVF", "a").leads == ("aVF",)


def test_what_is_infinite_is_missing() -> None:
    signal = np.array([[1.0, np.inf, -np.inf, 1e300]])
    record = Record(signal, fs=4, leads=("I",), record_id="a")
    np.testing.assert_array_equal(record.signal, np.array([[1.0, np.nan, np.nan, np.nan]], np.float32))
    assert np.isinf(signal[0, 1])
