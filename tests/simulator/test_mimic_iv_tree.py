"""The simulated MIMIC-IV: its layout, its traps, its truth looked up anew in the files by another road."""

from __future__ import annotations

import csv
import gzip
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import wfdb

from openclef.shards import sha256_of
from openclef.signal import LEADS
from openclef.simulator import draw_patients, simulate_mimic_iv
from openclef.simulator.cohort import record_signal
from openclef.simulator.configuration import CONFIGURATIONS
from openclef.simulator.mimic_iv_files import COMMENTS, DAMAGES, TABLES
from openclef.simulator.mimic_iv_tree import draw_hospital


@pytest.fixture(scope="module")
def tree(tmp_path_factory):
    folder = tmp_path_factory.mktemp("mimic") / "tree"
    return simulate_mimic_iv(
        folder, patients=80, seed=1, signals=24, labevents=9000, damaged_share=0.3, workers=1
    )


def table(tree: Path, name: str) -> pd.DataFrame:
    return pd.read_csv(tree / "mimiciv/hosp" / f"{name}.csv.gz", dtype=str, keep_default_na=False)


def listed(tree: Path) -> pd.DataFrame:
    return pd.read_csv(tree / "mimic-iv-ecg/record_list.csv", dtype=str)


def test_tables_have_the_real_names_and_columns(tree):
    for name, columns in TABLES.items():
        with gzip.open(tree / "mimiciv/hosp" / f"{name}.csv.gz", "rt") as file:
            assert file.readline().strip() == columns
    assert listed(tree).columns.tolist() == ["subject_id", "study_id", "file_name", "ecg_time", "path"]
    assert len(table(tree, "labevents")) == 9000
    subjects = table(tree, "labevents")["subject_id"].astype(int)
    assert subjects.is_monotonic_increasing


def test_machine_measurements_have_the_real_columns(tree):
    rows = pd.read_csv(tree / "mimic-iv-ecg/machine_measurements.csv", dtype=str)
    assert rows.columns[[0, 1, 2, 3, 4, 21, 22, -1]].tolist() == [
        "subject_id", "study_id", "cart_id", "ecg_time", "report_0", "report_17", "bandwidth", "t_axis",
    ]  # fmt: skip
    assert rows["study_id"].tolist() == listed(tree)["study_id"].tolist()


def test_only_texts_with_commas_or_quotes_are_quoted(tree):
    with gzip.open(tree / "mimiciv/hosp/labevents.csv.gz", "rt", newline="") as file:
        lines = file.read().splitlines()
    rows = list(csv.reader(lines))
    assert {len(row) for row in rows} == {len(TABLES["labevents"].split(","))}
    said = {row[-1] for row in rows[1:]}
    assert said == {"", *COMMENTS}
    for line, row in zip(lines, rows, strict=True):
        assert ('"' in line) == ("," in row[-1])
    text = gzip.decompress((tree / "mimiciv/hosp/d_labitems.csv.gz").read_bytes())
    assert b'"Cholesterol, HDL"' in text


def test_fractions_are_of_ecgs_that_have_signals(tree):
    truth = pd.read_parquet(tree / "truth.parquet").set_index("record_id")
    fractions = pd.read_csv(tree / "LVEF.csv")
    names = fractions["waveform_path"].str.rsplit("/", n=1).str[1]
    assert truth.loc[names, "has_signal"].all()
    assert (fractions["class"] == (fractions["LVEF"] >= 50)).all()


def test_the_same_seed_gives_the_same_bytes(tree, tmp_path):
    again = simulate_mimic_iv(
        tmp_path / "again", patients=80, seed=1, signals=24, labevents=9000, damaged_share=0.3, workers=2
    )
    files = sorted(path.relative_to(tree) for path in tree.rglob("*") if path.is_file())
    assert files == sorted(path.relative_to(again) for path in again.rglob("*") if path.is_file())
    assert all(sha256_of(tree / path) == sha256_of(again / path) for path in files)


def test_the_traps_are_there():
    hospital = draw_hospital(1500, seed=0, records_per_patient=2.0)
    labs, omr = hospital.labs, hospital.omr
    assert {"___", "unable", "120/"} <= set(omr["result_value"])
    assert omr.duplicated(["person", "chartdate", "result_name"]).any()
    assert {"mg/dL", "mmol/L", "", "furlongs"} <= set(labs["valueuom"])
    assert {"<10", "HEMOLYZED"} <= set(labs["value"])
    assert (labs["valuenum"].isna() & labs["_value"].notna()).any()
    assert labs["charttime"].isna().any()
    assert labs[labs["charttime"].notna()].duplicated(["person", "charttime", "itemid"]).any()
    assert set(hospital.diagnoses["icd_version"]) == {9, 10}
    assert (hospital.patients["anchor_age"] == 91).any()
    assert not hospital.patients["anchor_age"].between(90, 90).any()
    assert not hospital.patients["listed"].all()
    assert len(set(hospital.stays["person"])) < 1500
    assert (hospital.prescriptions["route"] == "LEFT EYE").any()
    for name in ("sbp_mmhg", "total_chol_mmol_l", "diabetes", "statin"):
        assert 0.05 < hospital.truth[name].notna().mean() < 0.95


def test_records_are_those_of_the_cohort_in_the_hospitals_lead_order(tree):
    truth = pd.read_parquet(tree / "truth.parquet")
    paths = listed(tree).set_index("study_id")["path"]
    times = listed(tree).set_index("study_id")["ecg_time"]
    cohort = draw_patients(80, 1, records_per_patient=3.0)
    hospital = draw_hospital(80, 1, records_per_patient=3.0)
    visit = hospital.records.groupby("person").cumcount()
    sound = truth[truth["has_signal"] & (truth["damaged"] == "")]
    assert len(sound) == 24 - round(0.3 * 24)
    for study in sound["record_id"][:6]:
        record = wfdb.rdrecord(str(tree / "mimic-iv-ecg" / paths[study]))
        assert record.sig_name[3:6] == ["aVR", "aVF", "aVL"]
        assert str(record.base_datetime) == times[study]
        assert (record.fs, record.sig_len, record.adc_gain[0]) == (500, 5000, 200)
        place = int(np.flatnonzero(hospital.records["study_id"] == int(study))[0])
        person = int(hospital.records["person"][place])
        expected = record_signal(
            cohort.iloc[place].to_dict(), CONFIGURATIONS["A"], seed=1, patient=person, visit=int(visit[place]),
            seconds=10.0, fs=500.0,
        )  # fmt: skip
        ordered = expected[[LEADS.index(lead) for lead in record.sig_name]].T
        known = ~np.isnan(record.p_signal)
        assert known.mean() > 0.8
        assert np.abs(record.p_signal - ordered)[known].max() <= 0.0025 + 1e-6


def test_damage_is_listed_and_real(tree):
    truth = pd.read_parquet(tree / "truth.parquet")
    paths = listed(tree).set_index("study_id")["path"]
    damaged = truth[truth["damaged"] != ""]
    assert len(damaged) == round(0.3 * 24)
    assert set(damaged["damaged"]) <= set(DAMAGES)
    for study in damaged["record_id"]:
        with pytest.raises((ValueError, OSError, IndexError)):
            assert len(wfdb.rdrecord(str(tree / "mimic-iv-ecg" / paths[study])).p_signal) == 5000
    without = truth.loc[~truth["has_signal"], "record_id"]
    assert not any((tree / "mimic-iv-ecg" / f"{paths[study]}.hea").exists() for study in without)


def test_the_truth_is_what_the_files_say(tree):
    """Cholesterol, blood pressure and diabetes, looked up in the written text, record by record."""
    truth = pd.read_parquet(tree / "truth.parquet").set_index("record_id")
    labs, omr, admissions = table(tree, "labevents"), table(tree, "omr"), table(tree, "admissions")
    diagnoses = table(tree, "diagnoses_icd").merge(admissions[["hadm_id", "admittime"]], on="hadm_id")
    labs = labs[(labs["itemid"] == "50907") & (labs["charttime"] != "")]
    for row in listed(tree).to_dict("records"):
        at = pd.Timestamp(row["ecg_time"])
        best = None
        for lab in labs[labs["subject_id"] == row["subject_id"]].to_dict("records"):
            text = lab["valuenum"] or lab["value"]
            if not text.replace(".", "", 1).isdigit() or lab["valueuom"] not in ("mg/dL", "mmol/L", ""):
                continue
            value = float(text) * (1 if lab["valueuom"] == "mmol/L" else 0.02586)
            away = pd.Timestamp(lab["charttime"]) - at
            if 1 <= value <= 20 and pd.Timedelta(days=-365) <= away <= pd.Timedelta(days=30):
                key = (abs(away), away, int(lab["labevent_id"]))
                best = min(best, (*key, value)) if best else (*key, value)
        found = truth.loc[row["study_id"], "total_chol_mmol_l"]
        assert np.isnan(found) if best is None else found == pytest.approx(best[3], rel=1e-12)
        readings = {}
        own = omr[(omr["subject_id"] == row["subject_id"]) & omr["result_name"].str.startswith("Blood")]
        for reading in own.to_dict("records"):
            parts = reading["result_value"].split("/")
            away = (pd.Timestamp(reading["chartdate"]) - at.normalize()).days
            if len(parts) == 2 and all(part.isdigit() for part in parts) and -365 <= away <= 30:
                sbp, dbp = map(float, parts)
                if 60 <= sbp <= 260 and 30 <= dbp <= 160 and sbp > dbp:
                    name = reading["result_name"]
                    rank = 3 if "Standing" in name else 2 if "Lying" in name else 1
                    readings.setdefault((abs(away), away), {}).setdefault(rank, []).append(sbp)
        found = truth.loc[row["study_id"], "sbp_mmhg"]
        if not readings:
            assert np.isnan(found)
        else:
            nearest = readings[min(readings)]
            assert found == np.median(nearest[min(nearest)])
        before = admissions[
            (admissions["subject_id"] == row["subject_id"]) & (admissions["admittime"] <= row["ecg_time"])
        ]
        coded = diagnoses[diagnoses["hadm_id"].isin(before["hadm_id"])]["icd_code"]
        found = truth.loc[row["study_id"], "diabetes"]
        expected = float(coded.str.match(r"250|E1[0139]|E08|E09").any()) if len(before) else np.nan
        assert found == pytest.approx(expected, nan_ok=True)


def test_what_stands_there_is_kept(tmp_path):
    kept = tmp_path / "tree"
    kept.mkdir()  # an empty folder is no tree
    simulate_mimic_iv(kept, patients=2, signals=0)
    with pytest.raises(FileExistsError, match="is there; pass another folder, or overwrite=True"):
        simulate_mimic_iv(kept, patients=2, signals=0)
    simulate_mimic_iv(kept, patients=2, signals=0, overwrite=True)
    assert (kept / "truth.parquet").is_file()
    (kept / "thesis.txt").write_text("of somebody's")
    with pytest.raises(FileExistsError, match="holds other files; pass a new folder"):
        simulate_mimic_iv(kept, patients=2, signals=0, overwrite=True)
    assert (kept / "thesis.txt").is_file()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["tree"]
    with pytest.raises(ValueError, match="damaged_share is 2; accepted are 0 to 1"):
        simulate_mimic_iv(tmp_path / "other", patients=2, damaged_share=2)
    with pytest.raises(ValueError, match="signals is -3; accepted are 0 to inf"):
        simulate_mimic_iv(tmp_path / "other", patients=2, signals=-3)
    assert not (tmp_path / "other").exists()


def test_half_a_tree_never_stands_there(tmp_path, monkeypatch):
    whole = simulate_mimic_iv(tmp_path / "whole", patients=3, signals=2, workers=1)
    left = tmp_path / ".tree.unfinished" / "mimiciv"  # by a run that was killed
    left.mkdir(parents=True)
    (left / "half.csv").write_text("1,2")
    (left.parent / "truth.parquet").write_text("")

    def fail(*_):
        raise OSError("the disk is full")

    with monkeypatch.context() as patch:
        patch.setattr("openclef.simulator.mimic_iv_tree.write_record", fail)
        with pytest.raises(OSError, match="the disk is full"):
            simulate_mimic_iv(tmp_path / "other", patients=3, signals=2, workers=1)
    assert not (tmp_path / "other").exists()
    again = simulate_mimic_iv(tmp_path / "tree", patients=3, signals=2, workers=1)
    files = sorted(path.relative_to(again) for path in again.rglob("*") if path.is_file())
    assert files == sorted(path.relative_to(whole) for path in whole.rglob("*") if path.is_file())
    assert all(sha256_of(again / path) == sha256_of(whole / path) for path in files)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["tree", "whole"]
