"""Folders of WFDB records, with tables of all kinds beside them."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import wfdb

import openclef
from openclef.database.plan import split_by_subject


def convert(folder, dst, **settings):
    return openclef.convert("wfdb_folder", folder, dst, workers=1, progress=False, **settings)


def write_table(folder, **columns):
    table = pd.DataFrame(
        {"file": [f"r{i}.hea" for i in range(6)], "person": ["a", "a", "b", "c", "d", "e"]} | columns
    )
    table.to_csv(folder / "meta.csv", index=False)
    return table


def test_without_a_table(tmp_path, wfdb_tree):
    with pytest.warns(
        UserWarning, match="subject_id is not given; every record counts as a subject of its own"
    ):
        store = convert(wfdb_tree, tmp_path / "store")
    assert (store.name, store.fs, store.leads, store.scale) == ("tree", 100, ("MLII", "V5"), 0.005)
    assert len(store) == 6  # 12 s give one window of 10 s, and 2 s are less than half of one
    records = store.records.set_index("record_id")
    assert sorted(records.index) == [f"r{i}" for i in range(6)]
    assert records.split.tolist() == split_by_subject(records.index).tolist()
    for row, name in enumerate(records.index):
        expected = wfdb.rdrecord(str(wfdb_tree / f"part{int(name[1]) % 2}" / name)).p_signal[:1000].T
        np.testing.assert_array_equal(store.read(row)[0], expected.astype(np.float32))


def test_with_a_table(tmp_path, wfdb_tree):
    write_table(
        wfdb_tree,
        Age=[50, 51, 300, "", 70, 71],
        Sex=["M", "F", "f", "", "m", "M"],
        smokes=["yes", "no", "", "1", "0", "no"],
        codes=["AF;SR", "SR", "", "AF", "SR", "SR"],
        dead=[0, 1, 1, 0, "", 0],
        ef=[55.5, 40, "", 60, 35, 50],
        rhythm=["AF", "SR", "SR", "", "AF", "SR"],
    )
    store = convert(
        wfdb_tree,
        tmp_path / "store",
        metadata="meta.csv",
        record_id="file",
        subject_id="person",
        rename={"Age": "age_years", "Sex": "sex", "smokes": "smoker"},
        age_over_89_code=300,
        name="mine",
        tasks={
            "mine/codes": {"kind": "multilabel", "column": "codes"},
            "mine/dead": {"kind": "binary", "column": "dead"},
            "mine/ef": {"kind": "regression", "column": "ef", "unit": "%"},
            "mine/rhythm": {"kind": "multiclass", "column": "rhythm"},
        },
    )
    records = store.records.set_index("record_id").sort_index()
    np.testing.assert_array_equal(records.age_years, [50, 51, 90, np.nan, 70, 71])
    assert records.sex.tolist() == ["male", "female", "female", "", "male", "male"]
    np.testing.assert_array_equal(records.smoker, [1, 0, np.nan, 1, 0, 0])
    assert records.subject_id.tolist() == ["a", "a", "b", "c", "d", "e"]
    assert records.split.tolist() == split_by_subject(records.subject_id).tolist()
    np.testing.assert_array_equal(records["mine/codes/AF"], [1, 0, np.nan, 1, 0, 0])
    np.testing.assert_array_equal(records["mine/dead"], [0, 1, 1, 0, np.nan, 0])
    np.testing.assert_array_equal(records["mine/ef"], [55.5, 40, np.nan, 60, 35, 50])
    assert records["mine/rhythm"].tolist() == ["AF", "SR", "SR", "", "AF", "SR"]
    assert store.tasks["mine/ef"].unit == "%"
    assert store.tasks["mine/codes"].labels == ("AF", "SR")


def test_rows_and_records_that_do_not_meet(tmp_path, wfdb_tree):
    table = write_table(wfdb_tree, age_years=range(50, 56))
    table.loc[4:5, "file"] = ["elsewhere", "nowhere"]
    table.to_csv(wfdb_tree / "meta.csv", index=False)
    settings = {"metadata": "meta.csv", "record_id": "file", "subject_id": "person"}
    with pytest.warns(UserWarning, match="have no row") as warned:
        store = convert(wfdb_tree, tmp_path / "store", **settings)
    told = " | ".join(str(each.message) for each in warned)
    assert "2 of 6 rows name no record of the folder" in told
    assert "2 of 6 records have no row in meta.csv; kept with nothing known of them" in told
    records = store.records.set_index("record_id").sort_index()
    np.testing.assert_array_equal(records.age_years, [50, 51, 52, 53, np.nan, np.nan])
    assert records.split.isin(["train", "val", "test"]).all()
    with pytest.warns(UserWarning, match="left out"):
        store = convert(wfdb_tree, tmp_path / "store2", without_row="leave_out", **settings)
    assert sorted(store.records.record_id) == ["r0", "r1", "r2", "r3"]


def test_records_named_by_path(tmp_path, wfdb_tree, write_record):
    write_record(wfdb_tree / "part1", "r0", leads=["MLII", "V5"], fs=100, samples=1200, gain=200.0, seed=9)
    table = pd.DataFrame({"path": ["part0/r0.dat", "./part1/r0"], "who": ["x", "y"]})
    table.to_csv(wfdb_tree / "meta.csv", index=False)
    settings = {"metadata": "meta.csv", "subject_id": "who", "without_row": "leave_out"}
    with pytest.warns(UserWarning, match="left out"):
        store = convert(wfdb_tree, tmp_path / "store", record_id="path", **settings)
    assert store.records.record_id.tolist() == ["part0/r0", "part1/r0"]
    assert store.records.subject_id.tolist() == ["x", "y"]
    pd.DataFrame({"path": ["r0"], "who": ["x"]}).to_csv(wfdb_tree / "meta.csv", index=False)
    with pytest.raises(ValueError, match="must name them by their paths in the folder, for example part0/r0"):
        convert(wfdb_tree, tmp_path / "store3", record_id="path", **settings)


@pytest.mark.filterwarnings("ignore:subject_id is not given")
def test_records_that_do_not_fit_are_skipped_with_reasons(tmp_path, wfdb_tree, write_record):
    leads = ["MLII", "V5"]
    write_record(wfdb_tree, "faster", leads=leads, fs=250, samples=2500, gain=200.0)
    write_record(wfdb_tree, "other", leads=["V1", "V5"], fs=100, samples=1000, gain=200.0)
    write_record(wfdb_tree, "finer", leads=leads, fs=100, samples=1000, gain=333.0)
    write_record(wfdb_tree, "twice", leads=["V5", "v5"], fs=100, samples=1000, gain=200.0)
    write_record(wfdb_tree, "cut", leads=leads, fs=100, samples=1000, gain=200.0)
    (wfdb_tree / "cut.dat").write_bytes((wfdb_tree / "cut.dat").read_bytes()[:-1])
    wfdb.wrsamp(
        "empty", fs=100, units=["mV"] * 2, sig_name=leads, p_signal=np.full((1000, 2), np.nan),
        fmt=["16"] * 2, adc_gain=[200.0] * 2, baseline=[0] * 2, write_dir=str(wfdb_tree),
    )  # fmt: skip
    (wfdb_tree / "long.hea").write_text("long/2 2 100 2000\ncut 1000\nfiner 1000\n")
    (wfdb_tree / "broken.hea").write_text("")
    with pytest.raises(ValueError, match=r"more than max_skipped_share=0.1"):
        convert(wfdb_tree, tmp_path / "store", max_skipped_share=0.1, leads=leads, scale=0.005)
    store = convert(wfdb_tree, tmp_path / "store", max_skipped_share=0.9, leads=leads, scale=0.005)
    reasons = dict(pd.read_csv(store.path / "skipped.csv").values)
    assert sorted(store.records.record_id) == [f"r{i}" for i in range(6)]
    expected = {
        "faster": "fs is 250 Hz and 100 Hz is wanted",
        "other": "leads missing: MLII; it has V1, V5",
        "finer": "no multiple of the store's 0.005 mV",
        "twice": "same lead twice",
        "cut": "shorter than its header says",
        "empty": "no valid sample",
        "long": "several segments",
        "broken": "first line is ''",
    }
    assert set(reasons) == set(expected)
    for name, text in expected.items():
        assert text in reasons[name]
    rounded = convert(
        wfdb_tree, tmp_path / "rounded", max_skipped_share=0.9, leads=leads, scale=0.005, exact=False
    )
    assert "finer" in set(rounded.records.record_id)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"record_id": "file"}, "is given without a table; pass metadata="),
        ({"metadata": "absent.csv", "record_id": "file"}, "absent.csv is missing"),
        ({"metadata": "meta.csv"}, "record_id is missing; pass record_id=.*: file, person, sex"),
        ({"metadata": "meta.csv", "record_id": "id"}, "record_id='id' is no column.*: file, person, sex"),
        ({"metadata": "meta.csv", "record_id": "person"}, "no row of the table names a record"),
        (
            {"metadata": "meta.csv", "record_id": "file", "subject_id": "who"},
            "no columns who; it has file, person",
        ),
        ({"metadata": "meta.csv", "record_id": "file"}, "sex holds '0', '1'.*pass sex_codes"),
        ({"without_row": "guess"}, "accepted are keep and leave_out"),
        ({"colour": "red"}, "option colour is unknown to wfdb_folder; accepted: metadata, leads"),
    ],
)
@pytest.mark.filterwarnings("ignore:subject_id is not given")
def test_wrong_settings_are_refused(tmp_path, wfdb_tree, settings, message):
    write_table(wfdb_tree, sex=["0", "1"] * 3)
    with pytest.raises((ValueError, FileNotFoundError), match=message):
        convert(wfdb_tree, tmp_path / "store", **settings)


def test_a_folder_without_records(tmp_path):
    with pytest.raises(FileNotFoundError, match="is no folder"):
        convert(tmp_path / "nowhere", tmp_path / "store")
    with pytest.raises(FileNotFoundError, match="holds no WFDB header"):
        convert(tmp_path, tmp_path / "store")


@pytest.mark.filterwarnings("ignore:subject_id is not given")
def test_half_hour_recordings(tmp_path, data_folder):
    store = convert(data_folder / "mitdb", tmp_path / "store", limit=2, leads=["V1"], max_skipped_share=0.5)
    assert store.name == "mitdb"
    assert store.scale == 0.005
    assert store.records.window.tolist() == list(range(181))
    first = wfdb.rdrecord(str(data_folder / "mitdb/101"), channel_names=["V1"], sampto=3600)
    np.testing.assert_array_equal(store.read(0)[0], first.p_signal.T.astype(np.float32))
