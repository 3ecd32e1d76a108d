"""Chapman-Shaoxing-Ningbo: codes to labels, the published split and its faults, copies, damaged headers."""

from __future__ import annotations

import warnings

import numpy as np
import pandas as pd
import pytest
import wfdb

import openclef
from openclef.database.chapman import LABELS, TASK
from openclef.database.chapman import plan as plan_chapman
from tests.layouts import chapman

SKIPPED = {
    "JS00003": "file JS00003.mat is missing; fetch it again",
    "JS00004": "the signal file is shorter than its header says; fetch it again",
}


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    folder = tmp_path_factory.mktemp("chapman")
    return folder, chapman.write(folder)


@pytest.fixture(scope="module")
def store(source, tmp_path_factory):
    return convert(source[0], tmp_path_factory.mktemp("stores") / "store")


def convert(source, dst, **settings):
    settings = {"max_skipped_share": 0.2} | settings
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return openclef.convert("chapman", source, dst, workers=1, progress=False, **settings)


def labelled(records, name):
    row = records.set_index("record_id").loc[name, [f"{TASK}/{label}" for label in LABELS]].astype(float)
    return None if row.isna().all() else {label for label, value in zip(LABELS, row) if value == 1}


def test_signals_are_what_was_written(source, store):
    _, truth = source
    assert not openclef.check(store).problems
    assert (store.name, store.fs, store.samples) == ("chapman", 500, 5000)
    assert store.leads == chapman.LEADS
    assert set(store.records.record_id) == set(truth) - {*SKIPPED, "JS01052", "JS23074"}
    for row, name in enumerate(store.records.record_id):
        np.testing.assert_allclose(store.read(row)[0], truth[name], atol=1e-6)
    skipped = pd.read_csv(store.path / "skipped.csv").set_index("record_id").reason
    assert {name: skipped[name] for name in SKIPPED} == SKIPPED
    assert skipped["JS01052"].startswith("the header's first line is")
    assert len(skipped) == 4


def test_labels_are_those_of_the_codes(store):
    assert len(LABELS) == 38
    assert store.tasks[TASK].labels == LABELS
    for name in store.records.record_id:
        expected = set(chapman.labels_of(name)) - {"SB"}
        assert labelled(store.records, name) == (expected or None)
    with_st = store.records[f"{TASK}/STTC"] == 1
    assert (store.records.loc[with_st, f"{TASK}/ST"] == 0).any()


def test_metadata_and_patients(store):
    records = store.records.set_index("record_id")
    assert np.isnan(records.age_years[["JS00005", "JS00006"]]).all()
    assert (records.age_years["JS00002"], records.sex["JS00002"], records.sex["JS00006"]) == (
        22,
        "female",
        "",
    )
    assert records.age_over_89.isin([0, 1]).sum() == len(records) - 2
    assert records.subject_id["JS10700"] == "JS00007"
    assert (records.subject_id == records.index).sum() == len(records) - 1
    assert records.snomed_codes["JS00008"].endswith("55827005")
    assert records.groupby("subject_id").split.nunique().max() == 1
    positives = records.groupby("split")[[f"{TASK}/{label}" for label in LABELS]].sum()
    assert (positives > 0).all(axis=None)
    assert set(positives.index) == {"train", "val", "test"}


def test_published_split(tmp_path, source):
    folder, _ = source
    with (
        pytest.warns(UserWarning, match="4 of 38 records are in no file of the split; left out"),
        pytest.warns(
            UserWarning, match="the split parts copies of one recording; 1 go to the side of the first"
        ),
        pytest.warns(UserWarning, match="1 recordings are copies of another record by their headers"),
    ):
        records = plan_chapman(folder, split_folder="split").records
    side = records.set_index("record_id").split
    assert not {"JS00001", "JS00008"} & set(side.index)
    for number in range(2, 36):
        if number != 8:
            assert side[f"JS{number:05d}"] == ("train", "train", "val", "train", "test")[number % 5]
    assert side["JS10700"] == side["JS00007"] == "val"  # published as test
    assert labelled(records, "JS00003") == set(chapman.labels_of("JS00003")) - {"SB"}


def test_published_labels_are_kept_apart(source):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        published = plan_chapman(source[0], split_folder=str(source[0] / "split"), labels="published").records
        true = plan_chapman(source[0], split_folder="split").records
    name = next(name for name in true.record_id if "STTC" in labelled(true, name))
    assert "ST" not in labelled(true, name)
    assert "ST" in labelled(published, name)
    assert list(published.columns) == list(true.columns)


def test_no_signal_is_read_for_the_plan(source, monkeypatch):
    def refuse(*args, **more):
        raise AssertionError("a signal was read")

    monkeypatch.setattr(wfdb, "rdrecord", refuse)
    with pytest.warns(UserWarning, match="copies"):
        assert len(plan_chapman(source[0]).records) == 38


def test_errors_say_what_to_do(tmp_path, source):
    with pytest.raises(FileNotFoundError, match=r"SNOMED-CT.csv is missing. Chapman.*5.4 GB; CC BY 4.0"):
        plan_chapman(tmp_path)
    table = (source[0] / "ConditionNames_SNOMED-CT.csv").read_text()
    (tmp_path / "ConditionNames_SNOMED-CT.csv").write_text(table)
    with pytest.raises(FileNotFoundError, match="holds no record under WFDBRecords"):
        plan_chapman(tmp_path)
    (tmp_path / "ConditionNames_SNOMED-CT.csv").write_text(table.replace("JEB,", "XYZ,"))
    with pytest.raises(ValueError, match="lacks the acronyms JEB; fetch it again"):
        plan_chapman(tmp_path)
    with pytest.raises(ValueError, match="labels='published'; accepted are codes, and published together"):
        plan_chapman(source[0], labels="published")
    split = tmp_path / "split"
    split.mkdir()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with pytest.raises(FileNotFoundError, match=r"holds 0 files \*train\*.csv"):
            plan_chapman(source[0], split_folder=str(split))
        for path in (source[0] / "split").glob("*.csv"):
            (split / path.name).write_text((source[0] / "split" / "chapman_train.csv").read_text())
        with pytest.raises(ValueError, match="stands more than once in the split"):
            plan_chapman(source[0], split_folder=str(split))
        (split / "chapman_val.csv").write_text("ecg_path,age,diagnose,SB\n")
        with pytest.raises(ValueError, match="is no published split"):
            plan_chapman(source[0], split_folder=str(split))
