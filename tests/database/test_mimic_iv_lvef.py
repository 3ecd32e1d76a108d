"""MIMIC-IV-ECG with ejection fractions: leads by name, what low means, patients together, missing samples."""

from __future__ import annotations

import warnings

import numpy as np
import pandas as pd
import pytest

import openclef
from openclef.database.mimic_iv_lvef import LOW_EF, LVEF
from openclef.database.mimic_iv_lvef import plan as plan_lvef
from openclef.signal import LEADS
from tests.layouts import mimic_iv_lvef


def record(number: int) -> str:
    return str(48000000 + 31 * number)


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    folder = tmp_path_factory.mktemp("mimic")
    return folder, *mimic_iv_lvef.write(folder)


@pytest.fixture(scope="module")
def store(source, tmp_path_factory):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return openclef.convert(
            "mimic_iv_lvef", source[0], tmp_path_factory.mktemp("stores") / "store", workers=1, progress=False,
            patients="patients.csv.gz",
        )  # fmt: skip


def plan(folder, **settings):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return plan_lvef(folder, **settings).records.set_index("record_id")


def test_signals_are_what_was_written(source, store):
    _, truth, _ = source
    assert not openclef.check(store).problems
    assert (store.name, store.fs, store.leads, store.samples) == ("mimic_iv_lvef", 500, LEADS, 5000)
    assert set(store.records.record_id) == set(truth) - {record(4), record(5), record(8)}
    order = [mimic_iv_lvef.LEADS.index(lead) for lead in LEADS]
    assert order != list(range(12))
    for row, name in enumerate(store.records.record_id):
        np.testing.assert_allclose(store.read(row)[0], truth[name][order], atol=1e-6)
    flags = store.records.set_index("record_id")["flags"]
    assert flags[record(3)] == "mostly_missing:V2"
    skipped = dict(pd.read_csv(store.path / "skipped.csv", dtype=str).values)
    assert skipped == {
        record(4): f"file {record(4)}.dat is missing; fetch it again",
        record(5): "lead I states no gain, so its amplitude is unknown; add it to the header",
    }


def test_low_is_low_whatever_the_label_is_called(source, store):
    folder, _, fractions = source
    records = store.records.set_index("record_id")
    assert store.tasks[LVEF].unit == "%"
    for name, row in records.iterrows():
        if name in (record(6), record(7)):
            assert np.isnan(row[LOW_EF])
            assert np.isnan(row.lvef_percent)
        else:
            assert (row.lvef_percent, row[LOW_EF]) == (fractions[name], float(fractions[name] < 50))
    table = pd.read_csv(folder / "LVEF.csv")
    table["class"] = 1 - table["class"]
    table = table[["waveform_path", "LVEF", "class"]].rename(columns={"waveform_path": "path", "class": "y"})
    table.to_csv(folder / "turned.csv", index=False)
    turned = plan(folder, table=str(folder / "turned.csv"))
    pd.testing.assert_series_equal(turned[LOW_EF], plan(folder)[LOW_EF])
    below = plan(folder, below_percent=40)
    known = below.lvef_percent.notna()
    assert (below[LOW_EF][known] == (below.lvef_percent[known] < 40)).all()
    assert below[LOW_EF][~known].isna().all()


def test_patients_and_splits(source, store):
    records = store.records
    assert store.subject_namespace == "mimic_iv"
    assert records.groupby("subject_id").size().max() == 2
    assert records.groupby("subject_id").split.nunique().max() == 1
    counts = records.groupby([LOW_EF, "split"]).size().unstack(fill_value=0)
    assert (counts[["train", "val", "test"]] > 0).all(axis=None)
    first = records.groupby("subject_id").first()
    person = [str(subject) for subject in mimic_iv_lvef.subject_ids(40)]
    assert (first.age_years[person[0]], first.sex[person[0]]) == (42, "female")  # two years after the anchor
    assert (first.age_years[person[12]], first.age_over_89[person[12]]) == (90, 1)
    assert np.isnan(first.age_years[person[13]])
    assert first.sex[person[13]] == ""
    assert first.ecg_time[person[0]] == "2152-03-04 05:06:00"


def test_only_what_the_table_names_is_opened(source, store, monkeypatch, tmp_path):
    folder = source[0]
    table = pd.read_csv(folder / "LVEF.csv")
    table[table.LVEF.between(20, 90)].head(12).to_csv(tmp_path / "some.csv", index=False)
    opened, read = [], openclef.database.mimic_iv_files.read_wfdb

    def noted(path, **more):
        opened.append(path.name)
        return read(path, **more)

    monkeypatch.setattr(openclef.database.mimic_iv_files, "read_wfdb", noted)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        made = openclef.convert(
            "mimic_iv_lvef", folder, tmp_path / "store", workers=1, progress=False, max_skipped_share=0.5,
            table=str(tmp_path / "some.csv"),
        )  # fmt: skip
    assert len(opened) == len(set(opened)) == len(made) + 2


def test_warnings_tell_what_is_left_out(source, tmp_path):
    with (
        pytest.warns(UserWarning, match="1 rows of LVEF.csv name no ECG of MIMIC-IV-ECG; left out"),
        pytest.warns(
            UserWarning, match="1 ECGs have several rows in LVEF.csv that differ; they are left out"
        ),
        pytest.warns(UserWarning, match=r"2 ejection fractions are outside 5 to 90 %, for example 7065"),
    ):
        plan_lvef(source[0])
    table = pd.read_csv(source[0] / "LVEF.csv")
    table["class"] = np.random.default_rng(0).integers(0, 2, len(table))
    table.to_csv(tmp_path / "noise.csv", index=False)
    with pytest.warns(UserWarning, match=r"of the labels are on the wrong side of the ejection fraction"):
        plan_lvef(source[0], table=str(tmp_path / "noise.csv"))


@pytest.mark.filterwarnings("ignore")
def test_errors_say_what_to_do(source, tmp_path):
    with pytest.raises(FileNotFoundError, match=r"LVEF.csv is missing; pass table=.*ECGFounder.*90.4 GB"):
        plan_lvef(tmp_path)
    table = pd.read_csv(source[0] / "LVEF.csv")
    table.to_csv(tmp_path / "LVEF.csv", index=False)
    with pytest.raises(FileNotFoundError, match="holds no record under files"):
        plan_lvef(tmp_path)
    for wrong, told in (
        (table.rename(columns={"LVEF": "EF"}), "a column LVEF, and the label as class or in the last"),
        (table.drop(columns="waveform_path"), "a table with paths as"),
        (table.drop(columns="class"), "has the columns subject_id, waveform_path, LVEF; accepted"),
        (table.assign(**{"class": 3}), "the label holds 3; accepted are 0 and 1"),
        (table.assign(**{"class": 1}), "it cannot be told which means low"),
    ):
        wrong.to_csv(tmp_path / "wrong.csv", index=False)
        with pytest.raises(ValueError, match=told):
            plan_lvef(source[0], table=str(tmp_path / "wrong.csv"))
    with pytest.raises(FileNotFoundError, match=r"patients.csv.gz is missing; pass patients="):
        plan_lvef(source[0], patients="hosp/patients.csv.gz")
    with pytest.raises(ValueError, match="lacks one of subject_id, gender, anchor_age, anchor_year"):
        plan_lvef(source[0], patients="LVEF.csv")
