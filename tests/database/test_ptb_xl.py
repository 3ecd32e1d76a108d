"""PTB-XL: layout, folds, labels and the traps of its table."""

from __future__ import annotations

import ast
import hashlib
import warnings

import numpy as np
import pandas as pd
import pytest
import wfdb

import openclef
from openclef.database.ptb_xl import LABELS, label_maps
from openclef.signal import LEADS
from tests.layouts import ptb_xl

SKIPPED = {
    "3": "file 00003_hr.hea is missing; fetch it again",
    "4": "the signal file is shorter than its header says; fetch it again",
}


def convert(folder, dst, **settings):
    return openclef.convert("ptb_xl", folder, dst, workers=1, progress=False, **settings)


@pytest.mark.parametrize(("fs", "suffix"), [(100, "lr"), (500, "hr")])
def test_metadata_labels_and_signals(tmp_path, ptb_xl_folder, fs, suffix):
    folder = ptb_xl_folder()
    with pytest.warns(UserWarning, match="they count as unknown") as warned:
        store = convert(folder, tmp_path / "store", fs=fs)
    told = " | ".join(str(each.message) for each in warned)
    assert "2 records name no patient" in told
    assert "1 of 3 values of height_cm are outside 30 to 250, for example 6" in told
    records = store.records.set_index("record_id")
    assert store.fs == fs
    assert store.leads == LEADS
    assert records.split.to_dict() == {"1": "train", "2": "test", "3": "val", "4": "train", "5": "train"}
    assert records.strat_fold.tolist() == [3, 10, 9, 3, 1]
    assert records.subject_id.tolist()[:2] == ["15709", "13243"]
    assert records.subject_id["1"] == records.subject_id["4"]
    assert len({records.subject_id[name] for name in "135"}) == 3
    np.testing.assert_array_equal(records.age_years, [56, 90, 91, np.nan, 89])
    np.testing.assert_array_equal(records.age_over_89, [0, 1, 1, np.nan, 0])
    assert records.sex.tolist() == ["female", "male", "male", "female", "male"]
    np.testing.assert_array_equal(records.height_cm, [np.nan, np.nan, 170, 160, np.nan])
    assert records.recording_date["1"] == "1984-11-09 09:17:34"
    for row, name in enumerate(records.index):
        source = wfdb.rdrecord(str(folder / f"records{fs}/00000/0000{name}_{suffix}"))
        np.testing.assert_array_equal(store.read(row)[0], source.p_signal.T.astype(np.float32))


def test_any_likelihood_counts_and_others_take_no_part(tmp_path, ptb_xl_folder):
    with pytest.warns(UserWarning, match="name no patient"):
        store = convert(ptb_xl_folder(), tmp_path / "store", fs=100)
    records = store.records.set_index("record_id")
    assert {name.split("/")[1]: len(task.labels) for name, task in store.tasks.items()} == LABELS
    assert all(list(task.labels) == sorted(task.labels) for task in store.tasks.values())
    taken = {
        name: records[list(task.columns)].notna().all(axis=1).to_dict() for name, task in store.tasks.items()
    }
    assert [taken["ptb_xl/diagnostic"][name] for name in "12345"] == [True, True, False, False, False]
    assert [taken["ptb_xl/superdiagnostic"][name] for name in "12345"] == [True, True, False, False, False]
    assert [taken["ptb_xl/form"][name] for name in "12345"] == [False, True, False, False, True]
    assert [taken["ptb_xl/rhythm"][name] for name in "12345"] == [True, False, True, False, True]
    # D01 is of class MI and D06 too; both are form statements or not by their own flags
    assert records.loc["2", list(store.tasks["ptb_xl/superdiagnostic"].columns)].sum() == 1
    assert records["ptb_xl/superdiagnostic/MI"]["2"] == 1
    assert records["ptb_xl/subdiagnostic/S01"]["2"] == 1
    assert records["ptb_xl/subdiagnostic/S06"]["2"] == 1
    assert records["ptb_xl/form/D01"]["2"] == 1


def test_missing_files_are_skipped_with_a_reason(tmp_path, ptb_xl_folder):
    folder = ptb_xl_folder(missing=(3,))
    with (
        pytest.warns(UserWarning, match="name no patient"),
        pytest.raises(ValueError, match=r"1 of 5 records .* 00003_lr.hea is missing"),
    ):
        convert(folder, tmp_path / "store", fs=100)
    with pytest.warns(UserWarning, match="name no patient"):
        store = convert(folder, tmp_path / "store", fs=100, max_skipped_share=0.2)
    assert store.records.record_id.tolist() == ["1", "2", "4", "5"]
    skipped = pd.read_csv(store.path / "skipped.csv", dtype=str)
    assert skipped.values.tolist() == [["3", "file 00003_lr.hea is missing; fetch it again"]]


def test_errors_say_what_to_do(tmp_path, ptb_xl_folder):
    with pytest.raises(FileNotFoundError, match=r"physionet.org/content/ptb-xl.*3.2 GB; CC BY 4.0"):
        convert(tmp_path / "nowhere", tmp_path / "store")
    folder = ptb_xl_folder(missing=(1, 2, 3, 4, 5))
    with pytest.raises(FileNotFoundError, match="holds no record under records500"):
        convert(folder, tmp_path / "store")
    with pytest.raises(ValueError, match="PTB-XL has files of 100 and 500 Hz"):
        convert(folder, tmp_path / "store", fs=250)
    (folder / "scp_statements.csv").unlink()
    with pytest.raises(FileNotFoundError, match=r"scp_statements.csv is missing"):
        convert(folder, tmp_path / "store")


@pytest.mark.parametrize(
    ("column", "value", "message"),
    [
        ("scp_codes", "__import__('os').getcwd()", "scp_codes of ecg_id 1 is"),
        ("scp_codes", "[1]", "accepted is a dict"),
        ("sex", 2, "PTB-XL codes 0 = male, 1 = female"),
        ("strat_fold", 11, "strat_fold of 1 rows is not 1 to 10"),
        ("age", "old", "column age holds 'old'"),
    ],
)
def test_a_wrong_table_is_refused(tmp_path, ptb_xl_folder, column, value, message):
    folder = ptb_xl_folder()
    table = pd.read_csv(folder / "ptbxl_database.csv").astype({column: object})
    table.loc[0, column] = value
    table.to_csv(folder / "ptbxl_database.csv", index=False)
    with pytest.raises(ValueError, match=message):
        convert(folder, tmp_path / "store", fs=100)


def test_a_patient_on_two_sides_is_refused(tmp_path, ptb_xl_folder):
    folder = ptb_xl_folder()
    table = pd.read_csv(folder / "ptbxl_database.csv")
    table.loc[3, "strat_fold"] = 10
    table.to_csv(folder / "ptbxl_database.csv", index=False)
    with (
        pytest.warns(UserWarning, match="name no patient"),
        pytest.raises(ValueError, match="1 subjects are on two sides of the split"),
    ):
        convert(folder, tmp_path / "store", fs=100)


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    folder = tmp_path_factory.mktemp("ptb-xl")
    return folder, ptb_xl.write(folder, records=64)


@pytest.fixture(scope="module")
def store(written, tmp_path_factory):
    with pytest.warns(UserWarning, match="1 of 22 values of height_cm are outside 30 to 250, for example 6"):
        return convert(written[0], tmp_path_factory.mktemp("stores") / "store")


def test_the_layout_is_read_as_it_was_written(written, store):
    folder, truth = written
    assert not openclef.check(store).problems
    assert (store.name, store.fs, store.leads, store.samples) == ("ptb_xl", 500, LEADS, 5000)
    assert set(store.records.record_id) == set(truth) - set(SKIPPED)
    assert dict(pd.read_csv(store.path / "skipped.csv", dtype=str).values) == SKIPPED
    for row, name in enumerate(store.records.record_id):
        np.testing.assert_allclose(store.read(row)[0], truth[name].signal[500], atol=1e-6)
    assert (folder / "records500/01000/01064_hr.dat").is_file()


def test_the_slower_files_of_the_layout(tmp_path, written):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        slow = convert(written[0], tmp_path / "store", fs=100)
    assert (slow.fs, slow.samples, len(slow)) == (100, 1000, 63)  # 4's file is whole at 100 Hz
    for row, name in enumerate(slow.records.record_id):
        np.testing.assert_allclose(slow.read(row)[0], written[1][name].signal[100], atol=1e-6)


def test_labels_folds_and_people_of_the_layout(written, store):
    records = store.records.set_index("record_id")
    labels = {
        "diagnostic": {code: code for code in ptb_xl.DIAGNOSTIC},
        "subdiagnostic": {code: groups.split()[1] for code, groups in ptb_xl.DIAGNOSTIC.items()},
        "superdiagnostic": {code: groups.split()[0] for code, groups in ptb_xl.DIAGNOSTIC.items()},
        "form": {code: code for code in ptb_xl.FORM},
        "rhythm": {code: code for code in ptb_xl.RHYTHM},
    }
    for name, record in records.iterrows():
        truth = written[1][name]
        assert record.split == {9: "val", 10: "test"}.get(truth.fold, "train")
        assert record.subject_id == str(20000 + 3 * truth.patient)
        for kind, meaning in labels.items():
            task = store.tasks[f"ptb_xl/{kind}"]
            found = record[list(task.columns)].astype(float)
            carried = {meaning[code] for code in truth.codes if code in meaning}
            if carried:
                assert {label for label, value in zip(task.labels, found) if value == 1} == carried
            else:
                assert found.isna().all()
    takes_part = {
        kind: records[list(store.tasks[f"ptb_xl/{kind}"].columns)].notna().all(axis=1) for kind in labels
    }
    assert [takes_part[kind]["5"] for kind in labels] == [False, False, False, True, True]
    assert [takes_part[kind]["7"] for kind in labels] == [False] * 5
    assert not takes_part["rhythm"]["8"]
    assert records["ptb_xl/superdiagnostic/MI"]["9"] == 1  # its likelihood is 0
    assert records.groupby("subject_id").size().max() == 2
    assert records.groupby("subject_id").split.nunique().max() == 1
    assert (records.age_years["10"], records.age_over_89["10"]) == (90, 1)
    assert np.isnan(records.height_cm["11"])
    assert np.isnan(records.weight_kg["12"])
    assert set(records.sex) == {"male", "female"}


def test_the_layout_has_the_real_tables_columns_and_codes(written, data_folder):
    folder, real = written[0], data_folder / "ptb-xl"
    for name in ("ptbxl_database.csv", "scp_statements.csv"):
        own, published = (pd.read_csv(each / name) for each in (folder, real))
        assert list(own.columns) == list(published.columns)
    codes = ["diagnostic", "form", "rhythm", "diagnostic_class", "diagnostic_subclass"]
    own, published = (pd.read_csv(each / "scp_statements.csv", index_col=0)[codes] for each in (folder, real))
    pd.testing.assert_frame_equal(own, published)
    for fs, suffix in ((100, "lr"), (500, "hr")):
        path = f"records{fs}/00000/00001_{suffix}.hea"
        own, published = (
            [line.split() for line in (each / path).read_text().splitlines()] for each in (folder, real)
        )
        unlike = (5, 6)  # first values and checksums
        for line, other in zip(own, published, strict=True):
            assert [part for place, part in enumerate(line) if place not in unlike] == [
                part for place, part in enumerate(other) if place not in unlike
            ]
        assert any(int(line[6]) > 2**15 for line in own[1:])  # checksums without a sign
    for line in (folder / "SHA256SUMS.txt").read_text().splitlines():
        digest, path = line.split(" ", 1)
        assert hashlib.sha256((folder / path).read_bytes()).hexdigest() == digest


def test_real_label_sets(data_folder):
    statements = pd.read_csv(data_folder / "ptb-xl/scp_statements.csv", index_col=0)
    maps = label_maps(statements)
    assert sorted(set(maps["superdiagnostic"].values())) == ["CD", "HYP", "MI", "NORM", "STTC"]
    assert maps["subdiagnostic"]["ASMI"] == "AMI"
    assert set(maps["rhythm"]) >= {"SR", "AFIB", "AFLT", "PACE"}


def test_real_records(tmp_path, data_folder):
    folder = data_folder / "ptb-xl"
    store = convert(folder, tmp_path / "store", fs=100)
    table = pd.read_csv(folder / "ptbxl_database.csv")
    records = store.records
    assert len(store) == len(table) == 500
    assert records.subject_id.nunique() == 466
    assert records.record_id.astype(int).tolist() == table.ecg_id.tolist()
    assert (records.sex == "male").sum() == (table.sex == 0).sum()
    assert records.age_over_89.sum() == (table.age > 89).sum() == 3
    has_norm = [("NORM" in ast.literal_eval(codes)) for codes in table.scp_codes]
    np.testing.assert_array_equal(records["ptb_xl/superdiagnostic/NORM"] == 1, has_norm)
    for row in range(0, 500, 25):
        expected = wfdb.rdrecord(str(folder / table.filename_lr[row])).p_signal.T.astype(np.float32)
        np.testing.assert_array_equal(store.read(row)[0], expected)


@pytest.mark.slow
def test_real_records_at_500_hz(tmp_path, data_folder):
    folder = data_folder / "ptb-xl"
    store = openclef.convert("ptb_xl", folder, tmp_path / "store", progress=False)
    table = pd.read_csv(folder / "ptbxl_database.csv")
    assert (len(store), store.fs, store.samples) == (500, 500, 5000)
    for row in range(0, 500, 10):
        expected = wfdb.rdrecord(str(folder / table.filename_hr[row])).p_signal.T.astype(np.float32)
        np.testing.assert_array_equal(store.read(row)[0], expected)
