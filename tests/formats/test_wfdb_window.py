"""Stretches of WFDB records: only their own samples are read, and the first that holds a signal is found."""

from __future__ import annotations

import numpy as np
import pytest
import wfdb

from openclef.formats.wfdb import read_wfdb
from openclef.formats.wfdb_window import read_wfdb_window


@pytest.fixture
def long_record(tmp_path):
    """Ten minutes at 100 Hz: 25 s flat, 20 s missing, then beats; the digital values are returned."""
    digital = np.round(1000 * np.sin(np.arange(60_000) / 7)).astype(int)
    digital[:2500] = 12
    digital[2500:4500] = -32768
    wfdb.wrsamp(
        "a", fs=100, units=["mV"], sig_name=["II"], d_signal=digital[:, None], fmt=["16"], adc_gain=[1000.0],
        baseline=[0], write_dir=str(tmp_path),
    )  # fmt: skip
    return tmp_path / "a", np.where(digital == -32768, np.nan, digital / 1000)


@pytest.mark.parametrize(("start_s", "seconds"), [(0, 10), (50, 2.5), (595, None), (595, 30), (599.99, 1)])
def test_a_stretch_is_that_part_of_the_whole(long_record, start_s, seconds):
    path, signal = long_record
    record = read_wfdb(path, start_s=start_s, seconds=seconds)
    begin = round(start_s * 100)
    end = len(signal) if seconds is None else begin + round(seconds * 100)
    np.testing.assert_allclose(record.signal[0], signal[begin:end], atol=1e-6)
    assert record.start_s == pytest.approx(start_s)


def test_only_the_stretch_is_read_from_the_disk(long_record, monkeypatch):
    path, _ = long_record
    counts = []
    read = np.fromfile

    def counted(*args, **more):
        found = read(*args, **more)
        counts.append(found.nbytes)
        return found

    monkeypatch.setattr(np, "fromfile", counted)
    read_wfdb(path, start_s=300, seconds=10)
    assert counts == [2 * 1000]


def test_the_first_window_with_a_signal(long_record):
    path, signal = long_record
    record = read_wfdb_window(path)
    assert (record.start_s, record.signal.shape) == (50, (1, 1000))  # 40 to 50 s is half missing
    np.testing.assert_allclose(record.signal[0], signal[5000:6000], atol=1e-6)
    assert read_wfdb_window(path, start_s=123.4).start_s == pytest.approx(123.4)
    assert read_wfdb_window(path, start_s=590).start_s == 590


def test_no_window_with_a_signal(long_record):
    path, _ = long_record
    with pytest.raises(ValueError, match="no window of 10 s holds a signal within 40 s of 0 s"):
        read_wfdb_window(path, search_s=40)
    with pytest.raises(ValueError, match="no window of 10 s holds a signal within 600 s of 595 s"):
        read_wfdb_window(path, start_s=595)
    with pytest.raises(ValueError, match="it lasts 600 s, and 600 s is beyond its end"):
        read_wfdb_window(path, start_s=600)
    with pytest.raises(FileNotFoundError, match=r"file b.hea is missing"):
        read_wfdb_window(path.parent / "b")
    with pytest.raises(ValueError, match="accepted are a start from 0"):
        read_wfdb(path, start_s=-1)
