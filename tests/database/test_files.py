"""Files of one's own by one command: mixed formats and rates, labels declared or inferred, errors by row."""

from __future__ import annotations

import contextlib
import io
import json

import numpy as np
import pandas as pd
import pytest

import openclef
from openclef.checking import check
from openclef.database.plan import split_by_subject
from tests.layouts import files

OPTIONS = {"leads": ["I"], "lead_names": {"ECG": "I"}}


def convert(src, dst, **settings):
    return openclef.convert("files", src, dst, workers=1, progress=False, **(OPTIONS | settings))


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    folder = tmp_path_factory.mktemp("own")
    return folder / "ecgs.csv", files.write(folder)


@pytest.fixture
def small(tmp_path):
    """Five files, one of each format, and a function that rewrites their table."""
    folder = tmp_path / "own"
    table = files.write(folder, files=5)

    def rewrite(**columns):
        changed = table.assign(**columns).drop(
            columns=[name for name, value in columns.items() if value is None]
        )
        changed.to_csv(folder / "ecgs.csv", index=False)
        return folder / "ecgs.csv"

    return rewrite


@pytest.fixture(scope="module")
def converted(source, tmp_path_factory):
    """The store that the command line makes of 200 files, and what it printed on the error stream."""
    from openclef.cli import main

    dst, told = tmp_path_factory.mktemp("stores") / "store", io.StringIO()
    options = ["--options", json.dumps(OPTIONS), "--workers", "1"]
    with contextlib.redirect_stderr(told):
        assert main(["convert", "files", str(source[0]), str(dst), *options]) == 0
    return openclef.open_store(dst), told.getvalue()


def test_200_files_of_mixed_rates_by_one_command(source, converted):
    table, (store, told) = source[1], converted
    assert (len(store), store.fs, store.leads, store.name) == (200, 500, ("I",), "ecgs")
    assert "resampled from its own rate to 500 Hz (scipy.signal.resample_poly)" in store.info["source"]
    assert (store.path / "skipped.csv").read_text() == "record_id,reason\n"
    records = store.records
    assert records.record_id.tolist() == [f"e{number:03d}" for number in range(200)]
    np.testing.assert_allclose(
        records.source_fs, [files.RATES[number % 7] for number in range(200)], rtol=1e-6
    )
    assert records.split.tolist() == split_by_subject(table.subject_id).tolist()
    assert records.groupby("subject_id").split.nunique().max() == 1
    signals = store.read(slice(None))[:, 0]
    for number in range(200):
        expected = files.wave(number, 500)
        assert np.abs(signals[number, 25:-25] - expected[25:-25]).max() < 0.03, number
    assert "ecgs.csv: 200 files, to 500 Hz, I" in told
    assert "ecgs/af: binary, inferred (0: 100, 1: 100)" in told
    assert "ecgs/rhythm: multiclass, inferred (AF: 67, SR: 67, paced: 66)" in told
    assert "ecgs/findings: multilabel, inferred (LBBB: 67, LVH: 134, RBBB: 66)" in told
    assert "ecgs/ef: regression, inferred (200 values" in told
    assert "note: no label (200 values in 200 cells); left out" in told


def test_labels_and_metadata(source, converted):
    table, store = source[1], converted[0]
    assert {name: task.kind for name, task in store.tasks.items()} == {
        "ecgs/af": "binary",
        "ecgs/rhythm": "multiclass",
        "ecgs/findings": "multilabel",
        "ecgs/ef": "regression",
    }
    records = store.records
    np.testing.assert_array_equal(records["ecgs/af"], table.af.astype(float))
    assert records["ecgs/rhythm"].tolist() == table.rhythm.tolist()
    np.testing.assert_array_equal(records["ecgs/findings/LVH"], [float(n % 3 < 2) for n in range(200)])
    np.testing.assert_array_equal(records["ecgs/ef"], table.ef.astype(float))
    np.testing.assert_array_equal(records.age_years, table.age_years.astype(float))
    assert records.sex.tolist() == table.sex.map({"m": "male", "f": "female"}).tolist()
    assert check(store).ok, str(check(store))


def test_labels_are_what_the_options_say(tmp_path, small):
    labels = {
        "af": {"kind": "multiclass", "labels": ["0", "1", "2"]},
        "ef": {"kind": "regression", "unit": "%"},
        "rhythm": {"kind": "binary", "positive": ["AF"]},
    }
    store = convert(small(), tmp_path / "store", labels=labels, name="ward", fs=250, max_skipped_share=0.0)
    assert list(store.tasks) == ["ward/af", "ward/ef", "ward/rhythm"]
    assert store.tasks["ward/af"].labels == ("0", "1", "2")
    assert store.tasks["ward/ef"].unit == "%"
    assert store.records["ward/rhythm"].tolist() == [0, 1, 0, 0, 1]
    assert (store.fs, store.samples) == (250, 2500)
    store = convert(small(), tmp_path / "two", labels=["ef"])
    assert list(store.tasks) == ["ecgs/ef"]


def test_a_column_of_splits_and_missing_subjects(tmp_path, small):
    path = small(split=["train", "val", "test", "train", ""], subject_id=["a", "b", "c", "a", ""])
    records = convert(path, tmp_path / "store").records
    assert records.split.tolist() == ["train", "val", "test", "train", ""]
    assert records.subject_id.tolist() == ["a", "b", "c", "a", "record:e004"]
    path = small(split=["train", "val", "test", "train", "val"], subject_id=["a", "b", "c", "a", "a"])
    with pytest.raises(
        ValueError, match=r"ecgs.csv, row 6: its subject stands in another split in an earlier row"
    ):
        convert(path, tmp_path / "other")
    with pytest.warns(UserWarning, match="ecgs.csv has no column subject_id; every record counts"):
        assert len(convert(small(subject_id=None), tmp_path / "third")) == 5


def test_files_found_by_the_records_names(tmp_path, small):
    path = small(path=None, record_id=[f"e{number:03d}" for number in range(5)])
    store = convert(path, tmp_path / "store")
    assert store.records.record_id.tolist() == [f"e{number:03d}" for number in range(5)]
    (path.parent / "copy").mkdir()
    (path.parent / "copy/e002.npy").write_bytes((path.parent / "npy/e002.npy").read_bytes())
    with pytest.raises(ValueError, match=r"ecgs.csv, row 4: several files below .* bear that record's name"):
        convert(path, tmp_path / "other")


def test_what_a_file_does_not_state_is_asked_for_at_once(tmp_path, small):
    with pytest.raises(ValueError, match=r"row 3 of ecgs.csv: fs is missing for e001.csv; pass fs=.*file_fs"):
        convert(small(fs=None), tmp_path / "store")
    with pytest.raises(ValueError, match=r"row 4 of ecgs.csv: unit is missing for e002.npy.*file_unit"):
        convert(small(unit=None), tmp_path / "store")
    store = convert(small(unit=None), tmp_path / "store", file_unit="uV")
    loud = np.abs(store.read([1, 2])).max(axis=(1, 2))
    assert loud[0] == pytest.approx(np.abs(files.wave(1, 130)).max(), rel=0.05)  # the file's own unit wins
    assert loud[1] < 0.01
    assert len(convert(small(leads=None), tmp_path / "nameless")) == 5  # the store's only lead
    with pytest.raises(ValueError, match=r"row 4 of ecgs.csv: leads are missing for e002.npy"):
        convert(small(leads=None), tmp_path / "several", leads=["I", "II"], max_skipped_share=1)


def test_integers_need_a_scale(tmp_path, small):
    path = small()
    np.save(path.parent / "npy/e002.npy", np.round(files.wave(2, 200) * 1000).astype(np.int16))
    with pytest.raises(ValueError, match=r"row 4 of ecgs.csv: e002.npy holds integers.*file_scale"):
        convert(path, tmp_path / "store")
    store = convert(path, tmp_path / "store", file_scale=0.001)
    assert np.abs(store.read(2)[0, 0, 25:-25] - files.wave(2, 500)[25:-25]).max() < 0.03


def test_files_that_do_not_fit_are_skipped_by_row(tmp_path, small):
    path = small(fs=["", "130", "200", "999", ""])
    (path.parent / "csv/e001.csv").write_text("Lead I (uV)\nx\n")
    (path.parent / "npy/e002.npy").unlink()
    np.savetxt(
        path.parent / "tsv/e004.tsv", np.ones((9, 2)), header="a (mV)\tV2 (mV)", comments="", delimiter="\t"
    )
    store = convert(small(fs=["", "130", "200", "999", "100"]), tmp_path / "store", max_skipped_share=0.9)
    reasons = dict(pd.read_csv(store.path / "skipped.csv").values)
    assert store.records.record_id.tolist() == ["e000"]
    assert reasons["e001"].startswith("row 3 of ecgs.csv: e001.csv: could not convert string to float")
    assert reasons["e002"] == "row 4 of ecgs.csv: file npy/e002.npy is missing; correct the path"
    assert reasons["e003"] == "row 5 of ecgs.csv: the column fs says 999 Hz and the file 250 Hz; correct one"
    assert reasons["e004"] == (
        "row 6 of ecgs.csv: leads missing: I; it has a, V2: pass lead_names, for example {'a': 'I'}"
    )
    with pytest.raises(ValueError, match=r"4 of 5 records cannot be converted.*row 3 of ecgs.csv"):
        convert(path, tmp_path / "strict")


@pytest.mark.parametrize(
    ("columns", "options", "message"),
    [
        ({"path": ["a", "", "b", "", "c"]}, {}, r"row 3, 5: column path is empty; name the row's file"),
        (
            {"path": ["hea/e000.hea", "hea/e000.dat", "b", "c", "d"]},
            {},
            r"row 3: the file is that of an earlier row",
        ),
        ({"record_id": ["a", "b", "a", "c", ""]}, {}, r"row 6: the record has no name"),
        ({"record_id": ["a", "b", "a", "c", "d"]}, {}, r"row 4: the record's name stands in an earlier row"),
        ({"fs": ["", "130", "fast", "", ""]}, {}, r"row 4: column fs holds 'fast'"),
        ({"age_years": ["20", "30", "old", "40", "50"]}, {}, r"row 4: column age_years holds 'old'"),
        ({"sex": ["m", "f", "m", "f", "2"]}, {}, r"row 6: sex holds '2'; accepted are male and female"),
        (
            {"ef": ["1.5", "2", "3", "low", "5"]},
            {"labels": {"ef": "regression"}},
            r"row 5: column ef holds 'low'",
        ),
        (
            {},
            {"labels": {"rhythm": {"kind": "multiclass", "labels": ["SR", "AF"]}}},
            r"row 4: task ecgs/rhythm: the column holds 'paced'",
        ),
        ({"split": ["train", "val", "1", "test", ""]}, {}, r"row 4: split column split holds '1'"),
        ({}, {"labels": ["pressure"]}, r"labels names pressure, which is no column; there are path"),
        ({}, {"labels": {"af": "yes_no"}}, r"labels: af is 'yes_no'; accepted are multilabel"),
        ({}, {"labels": ["note"]}, r"column note looks like no label \(5 values in 5 cells\); pass its kind"),
        ({}, {"rename": {"Age": "age_years"}}, r"^the table has no columns Age"),
        ({}, {"split": "fold"}, r"split='fold' is no column of ecgs.csv"),
        ({}, {"subject_id": "patient"}, r"subject_id='patient' is no column of ecgs.csv"),
        ({"path": None}, {}, r"has no column path and no column record_id"),
    ],
)
def test_errors_name_the_row(tmp_path, small, columns, options, message):
    with pytest.raises(ValueError, match=message):
        convert(small(**columns), tmp_path / "store", **options)


def test_missing_files_and_folders(tmp_path, small):
    path = small()
    with pytest.raises(FileNotFoundError, match=r"is a folder; pass the CSV file that lists the files"):
        convert(path.parent, tmp_path / "store")
    with pytest.raises(FileNotFoundError, match=r"nothing.csv is missing; pass the CSV file"):
        convert(tmp_path / "nothing.csv", tmp_path / "store")
    with pytest.raises(FileNotFoundError, match=r"is no folder; pass the one that the paths begin from"):
        convert(path, tmp_path / "store", root="elsewhere")
    (tmp_path / "table.csv").write_bytes(path.read_bytes())
    with pytest.raises(FileNotFoundError, match=r"none of the 5 files of table.csv is there.*pass root="):
        convert(tmp_path / "table.csv", tmp_path / "store")
    assert len(convert(tmp_path / "table.csv", tmp_path / "store", root="own")) == 5
    (tmp_path / "table.csv").write_text("path,subject_id\n")
    with pytest.raises(ValueError, match="has no row; list one file a row"):
        convert(tmp_path / "table.csv", tmp_path / "other")


def test_the_first_files_leads_by_default(tmp_path, small):
    store = convert(small(), tmp_path / "store", leads=None, max_skipped_share=1)
    assert store.leads == ("I",)
