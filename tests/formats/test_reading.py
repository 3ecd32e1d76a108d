"""One function for all formats, by the ending of the file's name."""

from __future__ import annotations

import numpy as np
import pytest

from openclef.formats import read_record


def test_formats_agree_on_a_real_recording(data_folder, tmp_path):
    path = data_folder / "ptb-xl/records100/00000/00001_lr"
    record = read_record(f"{path}.hea")
    np.testing.assert_array_equal(read_record(path).signal, record.signal)
    np.save(tmp_path / "a.npy", record.signal)
    lines = [",".join(record.leads), *(",".join(map(repr, map(float, row))) for row in record.signal.T)]
    (tmp_path / "a.csv").write_text("\n".join(lines))
    for name in ("a.npy", "a.csv"):
        leads = record.leads if name == "a.npy" else None
        other = read_record(tmp_path / name, fs=100, leads=leads, unit="mV")
        np.testing.assert_array_equal(other.signal, record.signal)
        assert other.leads == record.leads


def test_unknown_ending(tmp_path):
    (tmp_path / "a.doc").write_bytes(b"anything")
    with pytest.raises(
        ValueError, match=r"a.doc is of no known format; accepted are WFDB .* \(endings .bdf, .csv"
    ):
        read_record(tmp_path / "a.doc")
    with pytest.raises(FileNotFoundError, match=r"b.doc is missing"):
        read_record(tmp_path / "b.doc")


def test_rates_and_names_that_cannot_be_are_refused(tmp_path):
    np.save(tmp_path / "a.npy", np.zeros((1, 100)))
    for fs in (9.9, 50_001):
        with pytest.raises(ValueError, match=r"Hz for a.npy; accepted are 10 to 50,000 Hz"):
            read_record(tmp_path / "a.npy", fs=fs, leads=["I"], unit="mV")
    with pytest.warns(UserWarning, match="fs=10 Hz for a.npy is unusual"):
        read_record(tmp_path / "a.npy", fs=10, leads=["I"], unit="mV")
    with pytest.raises(ValueError, match="holds an empty name"):
        read_record(tmp_path / "a.npy", fs=100, leads=[""], unit="mV")
