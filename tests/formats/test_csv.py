"""Text tables of one recording."""

from __future__ import annotations

import numpy as np
import pytest

from openclef.formats.csv import read_csv


@pytest.mark.parametrize("separator", [",", ";", "\t"])
def test_named_columns_with_times(tmp_path, separator):
    rows = [["time_s", "AVR (uV)", "i (mV)"], ["0.00", "100", "1"], ["0.01", "", "2"], ["0.02", "-50", "nan"]]
    (tmp_path / "a.csv").write_text("\n".join(separator.join(row) for row in rows) + "\n")
    record = read_csv(tmp_path / "a.csv")
    assert record.leads == ("aVR", "I")
    assert record.fs == 100
    np.testing.assert_allclose(record.signal, [[0.1, np.nan, -0.05], [1, 2, np.nan]], rtol=1e-6)


def test_numbers_only_need_names(tmp_path):
    (tmp_path / "a.csv").write_text("1\n2\n3\n")
    record = read_csv(tmp_path / "a.csv", fs=130, leads=["I"], unit="mV")
    np.testing.assert_array_equal(record.signal, [[1, 2, 3]])
    with pytest.raises(ValueError, match="leads are missing"):
        read_csv(tmp_path / "a.csv", fs=130, unit="mV")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("I\n1\n2\n", "fs is missing for a.csv; pass fs=<Hz>"),
        ("t,I\n0,1\n1,2\n", "unit is missing"),
        ("t,I (mV)\n0,1\n1,x\n", "accepted are numbers"),
        ("t,I (mV)\n0,1\n1,2\n9,3\n", "not evenly spaced"),
        ("t,I (mV)\n1,1\n0,2\n", "does not rise"),
        ("t,I (mV),i (mV)\n0,1,1\n1,2,2\n", "same lead twice"),
        ("t,I (mV),II (mmHg)\n0,1,1\n1,2,2\n", "accepted are mV, uV and V"),
        ("", "is empty"),
    ],
)
def test_what_cannot_be_read_says_why(tmp_path, text, message):
    (tmp_path / "a.csv").write_text(text)
    with pytest.raises(ValueError, match=message):
        read_csv(tmp_path / "a.csv")


def test_text_that_is_not_utf_8_is_named(tmp_path):
    for encoding in ("latin-1", "utf-16", "utf-16-le"):
        (tmp_path / "a.csv").write_bytes("time_s,I (µV)\n0.0,1\n0.01,2\n".encode(encoding))
        with pytest.raises(ValueError, match=r"a.csv is no UTF-8 text .*; save it as UTF-8"):
            read_csv(tmp_path / "a.csv")


def test_two_columns_of_one_name_are_refused(tmp_path):
    (tmp_path / "a.csv").write_text("I,II, I\n1,2,3\n")
    with pytest.raises(ValueError, match=r"a.csv has several columns 'I'; give each column its own name"):
        read_csv(tmp_path / "a.csv", fs=100, unit="mV")
