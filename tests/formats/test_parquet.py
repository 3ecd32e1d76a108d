"""Parquet tables of one recording: a column a lead, or a list a lead."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given

from openclef.formats.parquet import is_parquet, read_parquet
from openclef.formats.stated import NotStated
from tests.formats.mutation import FUZZ, MUTATIONS, assert_record_or_refusal, damage, twelve_leads
from tests.formats.writers.parquet import write_parquet

SIGNAL = twelve_leads(100.0, 3.0)[[0, 6]]
LEADS = {"I": SIGNAL[0], "V1": SIGNAL[1]}
MOMENTS = np.datetime64("2020-01-01") + np.arange(300) * np.timedelta64(10_000, "us")


@pytest.mark.parametrize(
    ("columns", "metadata", "given_"),
    [
        ({"I (mV)": SIGNAL[0], "Lead V1 [uV]": SIGNAL[1] * 1000}, {}, {"fs": 100}),
        ({"time_s": np.arange(300) / 100, **LEADS}, {}, {"unit": "mV"}),
        ({"t (us)": np.arange(300) * 10_000, **LEADS}, {"unit": "mV"}, {}),
        ({"when [x]": np.arange(300.0), **LEADS}, None, None),
        ({"timestamp": MOMENTS, **LEADS}, {"unit": "mV", "fs": "100"}, {}),
        ({"sample": np.arange(300), **LEADS}, {"fs": "100.0", "unit": "mV"}, {}),
        ({name: [list(values)] for name, values in LEADS.items()}, {"fs": "100", "unit": "mV"}, {}),
        ({name: pa.array([values], pa.list_(pa.float32(), 300)) for name, values in LEADS.items()}, {}, None),
    ],
)
def test_the_recording_comes_back(tmp_path, columns, metadata, given_):
    path = write_parquet(tmp_path / "a.parquet", columns, metadata)
    if given_ is None:
        given_ = {"fs": 100, "unit": "mV"}
    if "when [x]" in columns:
        with pytest.raises(ValueError, match=r"a\.parquet, column when: unit 'x'; accepted are mV, uV and V"):
            read_parquet(path, **given_)
        return
    record = read_parquet(path, **given_)
    assert is_parquet(path.read_bytes()[:4096])
    assert (record.fs, record.leads, record.unit, record.record_id) == (100, ("I", "V1"), "mV", "a")
    np.testing.assert_allclose(record.signal, SIGNAL, rtol=1e-5)


def test_integers_and_missing_values(tmp_path):
    path = write_parquet(tmp_path / "a.parquet", {"I": pa.array([1, None, 3], pa.int16())}, {"unit": "uV"})
    record = read_parquet(path, fs=500, leads=["II"], record_id="b")
    assert (record.leads, record.record_id) == (("II",), "b")
    np.testing.assert_allclose(record.signal, [[0.001, np.nan, 0.003]], rtol=1e-6)


def test_what_is_missing_is_asked_for_and_nothing_else(tmp_path):
    path = write_parquet(tmp_path / "a.parquet", LEADS)
    for missing, what in (({}, "fs"), ({"fs": 100}, "unit")):
        with pytest.raises(NotStated, match=rf"{what} is missing for a\.parquet; pass") as error:
            read_parquet(path, **missing)
        assert (error.value.what, error.value.rows) == (what, 2)
    assert read_parquet(path, fs=100, unit="zscore").unit == "zscore"
    with pytest.raises(ValueError, match=r"a\.parquet holds 2 leads \(I, V1\) and leads=\['I'\] is passed"):
        read_parquet(path, fs=100, unit="mV", leads=["I"])
    path = write_parquet(tmp_path / "a.parquet", LEADS, {"fs": "100", "unit": "mV"})
    for wrong in ({"fs": 250}, {"unit": "V"}, {"unit": "zscore"}):
        with pytest.raises(ValueError, match=r"a\.parquet.* states .* is passed; pass no"):
            read_parquet(path, **wrong)
    path = write_parquet(tmp_path / "a.parquet", {"t": np.arange(300) / 100, **LEADS}, {"unit": "mV"})
    with pytest.raises(ValueError, match=r"a\.parquet states 100 Hz and fs=250 is passed; pass no fs"):
        read_parquet(path, fs=250)


def test_times_of_no_known_unit_are_left_out(tmp_path):
    path = write_parquet(tmp_path / "a.parquet", {"timestamp": np.arange(300) * 7, **LEADS})
    with pytest.warns(UserWarning, match=r"a\.parquet: columns of times left out: timestamp"):
        assert read_parquet(path, fs=100, unit="mV").leads == ("I", "V1")


@pytest.mark.parametrize(
    ("columns", "metadata", "message"),
    [
        (
            {"name": ["a", "b"], "I": [1.0, 2.0]},
            {},
            r"a\.parquet: column name holds text; accepted are numbers",
        ),
        ({"I": [True, False]}, {}, r"a\.parquet: column I holds bool; accepted are numbers"),
        ({"I": [b"x", b"y"]}, {}, r"a\.parquet: column I holds binary; accepted are numbers"),
        ({"I": [{"a": 1}]}, {}, r"a\.parquet: column I holds struct.*; accepted are numbers"),
        ({"I": [[[1.0]]]}, {}, r"a\.parquet: column I holds list.*; accepted are numbers"),
        (
            {"I": [[1.0], [2.0]]},
            {},
            r"a\.parquet: column I holds a list in each of 2 rows; accepted is one recording",
        ),
        (
            {"I": [[1.0, 2.0]], "II": [[1.0]]},
            {},
            r"a\.parquet holds leads of 1 to 2 samples; accepted are leads of",
        ),
        ({"I": pa.array([], pa.float32())}, {}, r"a\.parquet holds no sample; accepted is a row a sample"),
        ({"t": [0.0, 1.0]}, {}, r"a\.parquet holds no column of a lead; accepted are numbers"),
        (
            {"I (mV)": [0.0, 1.0], "II (zscore)": [1.0, 2.0]},
            {},
            r"a\.parquet has columns in zscore and in volts",
        ),
        (
            {"I": [0.0, 1.0], "i": [1.0, 2.0]},
            {"unit": "mV"},
            r"a\.parquet: lead names .* mean the same lead twice",
        ),
        ({"I": [0.0, 1.0]}, {"fs": "many"}, r"a\.parquet states fs='many'; accepted is a rate above 0 in Hz"),
        ({"I (mmHg)": [0.0, 1.0]}, {}, r"a\.parquet, column I: unit 'mmHg'; accepted are mV, uV and V"),
        (
            {"t": [0.0, 1.0, 5.0], "I": [1.0] * 3},
            {},
            r"a\.parquet: the times are not evenly spaced; resample",
        ),
        ({"t": [0.0, 1.0], "I": [1.0] * 2}, {"fs": "9"}, r"a\.parquet states 9 Hz and by its times 1 Hz"),
    ],
)
def test_what_cannot_be_read_says_why(tmp_path, columns, metadata, message):
    path = write_parquet(tmp_path / "a.parquet", columns, metadata)
    with pytest.raises(ValueError, match=message):
        read_parquet(path, **({} if "fs" in metadata or "t" in columns else {"fs": 100}))


def test_more_than_a_file_can_hold_is_refused(tmp_path):
    path = write_parquet(tmp_path / "a.parquet", {"I": np.zeros(1_000_000)}, {"fs": "100", "unit": "mV"})
    with pytest.raises(
        ValueError, match=r"a\.parquet states 1,000,000 values in [\d,]+ bytes, which is more than"
    ):
        read_parquet(path)


def test_other_files_are_refused(tmp_path):
    path = write_parquet(tmp_path / "a.parquet", LEADS, {"fs": "100", "unit": "mV"})
    path.write_bytes(path.read_bytes()[:-9])
    with pytest.raises(ValueError, match=r"a\.parquet is damaged \(.*\); copy it again or write it anew"):
        read_parquet(path)
    path.write_bytes(b"I\n1\n")
    with pytest.raises(
        ValueError, match=r"a\.parquet is no parquet file; pass one, or a file in another format"
    ):
        read_parquet(path)
    with pytest.raises(FileNotFoundError, match=r"b\.parquet is missing in .*; check the path"):
        read_parquet(tmp_path / "b.parquet")


@pytest.mark.parametrize("head", [b"", b"PAR", b"ORC", b"MATLAB", b"\x00" * 4096])
def test_other_beginnings_are_not_claimed(head):
    assert not is_parquet(head)


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    path = tmp_path_factory.mktemp("fuzz") / "whole.parquet"
    short = {name: np.asarray(values[:40], np.float32) for name, values in LEADS.items()}
    about = {"fs": "100", "unit": "mV"}
    table = {"t": np.arange(40) / 100, **short}
    return [
        write_parquet(path, table, about).read_bytes(),
        write_parquet(path, {name: [values] for name, values in short.items()}, about).read_bytes(),
        write_parquet(
            path, table, about, compression="none", use_dictionary=False, store_schema=False
        ).read_bytes(),
    ]


@pytest.mark.parametrize("kind", range(3))
@FUZZ
@given(mutations=MUTATIONS)
def test_damaged_files_are_refused_or_read(small, tmp_path, kind, mutations):
    content = damage(small[kind], mutations)
    is_parquet(content[:4096])
    assert_record_or_refusal(read_parquet, tmp_path / "damaged.parquet", content)
