"""MC-MED: the first signal of each visit, labels, and a published split that parts a patient."""

from __future__ import annotations

import re

import numpy as np
import pandas as pd
import pytest

import openclef
from openclef.checking import check
from openclef.database.mc_med import DISCHARGE_DISPOSITIONS, discharge_group
from tests.layouts import mc_med
from tests.layouts.mc_med import csn


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    folder = tmp_path_factory.mktemp("mc-med")
    return folder, mc_med.write(folder)


def convert(folder, dst, **settings):
    settings = {"max_skipped_share": 0.1} | settings
    return openclef.convert("mc_med", folder, dst, workers=1, progress=False, **settings)


@pytest.fixture(scope="module")
def converted(source, tmp_path_factory):
    with pytest.warns(UserWarning) as warned:  # noqa: PT030, what they say is a test's business
        store = convert(source[0], tmp_path_factory.mktemp("stores") / "store")
    return store, [str(each.message) for each in warned]


def test_windows_are_what_was_written(source, converted):
    store, _ = converted
    assert (store.name, store.fs, store.leads, store.samples) == ("mc_med", 500, ("II",), 5000)
    assert set(store.records.record_id) == set(source[1])
    for row, record in enumerate(store.records.itertuples()):
        np.testing.assert_allclose(store.read(row)[0, 0], source[1][record.record_id], atol=5e-4)
    records = store.records.set_index("record_id")
    assert records.start_s[[csn(5), csn(6), csn(7), csn(0)]].tolist() == [0, 30, 0, 0]
    assert records.waveform_segment[[csn(5), csn(6), csn(7), csn(0)]].tolist() == [2, 1, 2, 1]
    skipped = dict(pd.read_csv(store.path / "skipped.csv", dtype=str).values)
    assert skipped == {
        csn(3): f"file {csn(3)}_1.dat is missing; fetch it again",
        csn(4): "lead II states no gain, so its amplitude is unknown; add it to the header",
        csn(13): "no window of 10 s holds a signal within 600 s of 0 s",
    }


def test_labels_and_metadata(converted):
    store, warned = converted
    records = store.records.set_index("record_id")
    assert {name: task.kind for name, task in store.tasks.items()} == {
        "mc_med/ed_disposition": "multiclass",
        "mc_med/discharge_disposition": "multiclass",
        "mc_med/acuity": "multiclass",
        "mc_med/sbp": "regression",
        "mc_med/dbp": "regression",
    }
    for number in set(range(66)) - {1, 2, 3, 4, 8, 12, 13}:
        row = records.loc[csn(number)]
        assert row["mc_med/acuity"] == str(number % 5 + 1)
        assert row["mc_med/ed_disposition"] == mc_med.ED[number % 4]
        assert row["mc_med/discharge_disposition"] == DISCHARGE_DISPOSITIONS[number % 6]
        assert row["dc_dispo"] == mc_med.DISCHARGES[number % 6]
        assert 90 <= row["sbp_mmhg"] < 190
        assert 50 <= row["dbp_mmhg"] < 110
    assert records.loc[csn(8), ["sbp_mmhg", "dbp_mmhg"]].isna().all()
    assert records.loc[csn(8), "mc_med/acuity"] == ""
    assert records.loc[csn(12), ["mc_med/ed_disposition", "mc_med/discharge_disposition"]].tolist() == [
        "",
        "",
    ]
    assert records.loc[csn(9), ["age_years", "age_over_89", "sex"]].tolist() == [90, 1, ""]
    assert records.sex[[csn(14), csn(15)]].tolist() == ["male", "female"]
    for task in ("ed_disposition", "discharge_disposition", "acuity"):
        counts = records.groupby([f"mc_med/{task}", "split"]).size().unstack(fill_value=0)
        labels = list(store.tasks[f"mc_med/{task}"].labels)
        assert (counts.loc[labels, ["train", "val", "test"]] > 0).all(axis=None)
    assert check(store).ok, str(check(store))
    told = " | ".join(warned)
    assert "1 visits have other values of ED_dispo, for example 'Observatory'" in told
    assert "1 of 64 values of sbp_mmhg are outside 40 to 300, for example 0; they count as unknown" in told


def test_a_parted_patient_stands_on_one_side(converted):
    store, warned = converted
    records = store.records.set_index("record_id")
    assert records.subject_id[csn(0)] == records.subject_id[csn(11)] == "77000000"
    assert records.split[[csn(0), csn(11)]].tolist() == ["train", "train"]
    assert records.split[csn(10)] == ""
    assert records[records.split != ""].groupby("subject_id").split.nunique().max() == 1
    told = " | ".join(warned)
    assert "split_chrono_*.csv part the visits of 1 patients, for example 77000000" in told
    assert "1 of 64 visits stand in no file split_chrono_*.csv" in told


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_only_windows_and_needed_columns_are_read(tmp_path, source, monkeypatch):
    read, bytes_read, columns = np.fromfile, [], {}

    def counted(*args, **more):
        found = read(*args, **more)
        bytes_read.append(found.nbytes)
        return found

    read_csv = pd.read_csv

    def noted(path, **more):
        frame = read_csv(path, **more)
        columns[getattr(path, "name", "")] = set(frame)
        return frame

    monkeypatch.setattr(np, "fromfile", counted)
    monkeypatch.setattr(pd, "read_csv", noted)
    store = convert(source[0], tmp_path / "store", split="random")
    assert {"CC", "Dx_name", "Payor_class"}.isdisjoint(columns["visits.csv"])
    usual = [size for size in bytes_read if size == 5000 * 2]
    assert len(usual) >= len(store)
    assert sum(bytes_read) - sum(usual) <= 5 * 30 * 500 * 2  # visits whose first window holds no signal


@pytest.mark.parametrize(
    ("text", "group"),
    [
        ("Home/Work (includes foster care)", 0),
        ("Left Against Medical Advice", 0),
        ("AMA", 0),
        ("Home Health Care Svc", 1),
        ("SNF-Skilled Nursing Facility", 1),
        ("Residential Facility", 1),
        ("Custodial Care Facility", 1),
        ("Acute Care Hospital", 2),
        ("Long Term Care Hospital", 2),
        ("Federal Hospital", 2),
        ("Cancer Center or Children's Hospital", 2),
        ("Critical Access Hospital", 2),
        ("Home with planned acute care hospital readmission", 2),
        ("Expired", 3),
        ("Expired to be Readmitted as Donor", 3),
        ("Hospice/Home", 3),
        ("Psychiatric Hospital", 4),
        ("Inpatient Rehab Facility", 4),
        ("Court/Law Enforcement", 5),
        ("ED Only - Left Without Being Seen", 5),
    ],
)
def test_discharge_groups(text, group):
    assert discharge_group(text) == discharge_group(text.upper()) == DISCHARGE_DISPOSITIONS[group]


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_errors_say_what_to_do(tmp_path):
    folder, store = tmp_path / "mc-med", tmp_path / "store"
    with pytest.raises(FileNotFoundError, match=r"is no folder. MC-MED.*credentialed access: .*757 GB"):
        convert(folder, store)
    mc_med.write(folder, visits=3)
    with pytest.raises(ValueError, match="split='time'; accepted are chronological, random"):
        convert(folder, store, split="time")
    with pytest.raises(ValueError, match="search_s=5 is less than a window"):
        convert(folder, store, search_s=5.0)
    (folder / "split_chrono_test.csv").write_text(f"{csn(0)}\n")
    with pytest.raises(ValueError, match=f"visit {csn(0)} stands in two files"):
        convert(folder, store)
    (folder / "split_chrono_test.csv").unlink()
    with pytest.raises(FileNotFoundError, match=re.escape("split_chrono_test.csv is missing")):
        convert(folder, store)
    visits = (folder / "visits.csv").read_text()
    (folder / "visits.csv").write_text(visits.replace("DC_dispo", "dispo"))
    with pytest.raises(ValueError, match="lacks DC_dispo"):
        convert(folder, store)
    (folder / "visits.csv").write_text(visits)
    for path in folder.glob("waveforms/*/*/II/*.hea"):
        path.unlink()
    with pytest.raises(FileNotFoundError, match=r"unpack waveforms_0xx.zip"):
        convert(folder, store)
