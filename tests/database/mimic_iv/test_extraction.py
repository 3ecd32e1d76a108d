from __future__ import annotations

import gzip
import json
import math
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import openclef
from openclef.database.mimic_iv.writing import NAMES
from tests.database.mimic_iv.conftest import small_hospital
from tests.database.mimic_iv.reference import differences
from tests.database.mimic_iv.tables import random_tables, rows, write_tables

NAN = math.nan


def extract(folder: Path, out: str = "out", **options) -> pd.DataFrame:
    """Extract from the folder; gives metadata.parquet by record."""
    given = {"progress": False, "risks": ["score2"], "threads": 2} | options
    done = openclef.extract_metadata(
        "mimic_iv", folder, folder / out, ecgs=folder / "record_list.csv", **given
    )
    return pd.read_parquet(done.folder / "metadata.parquet").set_index("record_id", drop=False)


def check(frame: pd.DataFrame, record: str, **expected: object) -> None:
    for name, value in expected.items():
        given = frame.loc[record, name]
        if isinstance(value, str):
            assert given == value, name
        else:
            np.testing.assert_allclose(given, value, rtol=1e-12, err_msg=name)


@pytest.mark.parametrize("seed", range(3))
def test_random_tables_agree_with_the_rules_one_by_one(tmp_path: Path, seed: int) -> None:
    ecgs, tables = random_tables(seed)
    write_tables(tmp_path, ecgs, **tables)
    frame = extract(tmp_path)
    assert frame["record_id"].tolist() == ecgs["study_id"].tolist()
    assert differences(frame, tables) == []
    assert all(frame[name].notna().sum() > 0 for name in NAMES)


@settings(max_examples=4)
@given(
    seed=st.integers(100, 10**6),
    left_out=st.sets(st.sampled_from(["omr", "labevents", "admissions", "prescriptions"])),
)
def test_any_tables_agree_with_the_rules(tmp_path_factory, seed: int, left_out: set[str]) -> None:
    folder = tmp_path_factory.mktemp("any")
    ecgs, tables = random_tables(seed, subjects=8)
    tables = {name: table for name, table in tables.items() if name not in left_out}
    write_tables(folder, ecgs, **tables)
    assert differences(extract(folder, risks=[]), tables) == []


def test_the_small_hospital(hospital: Path) -> None:
    frame = extract(hospital)
    assert frame["record_id"].tolist() == ["44", "41", "42", "43", "45", "46", "47"]
    assert differences(frame, small_hospital()[1]) == []
    check(frame, "41", age_years=65, age_over_89=0, sex="female")
    # of one day the first posture alone, the median of an even number; that before the ECG of two as near
    check(frame, "41", sbp_mmhg=129.5, dbp_mmhg=82.5, sbp_mmhg_date="2180-05-05")
    check(frame, "41", height_cm=165.1, weight_kg=151 * 0.45359237, weight_kg_source="omr Weight (Lbs)")
    check(
        frame,
        "41",
        bmi=151 * 0.45359237 / 1.651**2,
        bmi_date="2180-05-01",
        bmi_source="computed from height and weight",
    )
    # 365 days before the ECG to the second, and one second more
    check(
        frame,
        "41",
        total_chol_mmol_l=200 * 0.02586,
        total_chol_mmol_l_date="2179-05-07 22:23:00",
        hdl_mmol_l=NAN,
    )
    check(frame, "41", total_chol_mmol_l_source="labevents 50907", hdl_mmol_l_source="", hdl_mmol_l_date="")
    # text and a wrong unit in between; an hour before goes before an hour after
    check(frame, "41", creatinine_mg_dl=0.9, creatinine_mg_dl_date="2180-05-06 21:23:00")
    check(frame, "41", egfr_ml_min=143.704 * (0.9 / 0.7) ** -1.2 * 0.9938**65)
    check(frame, "41", egfr_ml_min_source="CKD-EPI 2021 from labevents 50912")
    # two at one time: the smaller labevent_id, its number from the text, its unit not said
    check(frame, "41", hba1c_mmol_mol=10.93 * 6.5 - 23.5)
    # an admission at the ECG's second counts, one a second later does not
    check(
        frame, "41", diabetes=1, diabetes_date="2176-01-01 08:00:00", diabetes_source="diagnoses_icd 9 25000"
    )
    check(
        frame,
        "41",
        age_at_diabetes_years=61,
        atrial_fibrillation=0,
        atrial_fibrillation_date="2180-05-06 22:23:00",
    )
    check(
        frame,
        "41",
        smoker=0,
        smoker_source="diagnoses_icd 10 Z87891",
        stroke_source="no code in 2 admissions",
    )
    check(frame, "47", smoker=1, smoker_source="diagnoses_icd 10 F17210", atrial_fibrillation=1)
    check(
        frame,
        "41",
        bp_treated=1,
        bp_treated_source="prescriptions Lisinopril",
        statin=0,
        statin_source="no drug in 1 prescription",
    )
    check(frame, "47", bp_treated=NAN, statin=NAN, sbp_mmhg=NAN)
    # over 89; the last day and the first of the window; the only admission comes later
    check(frame, "42", age_years=90, age_over_89=1, bmi=27.5, bmi_date="2179-05-07", weight_kg=NAN)
    check(frame, "42", total_chol_mmol_l=5.2, total_chol_mmol_l_date="2180-06-05 22:23:00", hdl_mmol_l=NAN)
    check(frame, "42", creatinine_mg_dl=1.0, hypertension=NAN, hypertension_source="", smoker=NAN)
    check(
        frame,
        "42",
        bp_treated=0,
        bp_treated_date="2180-05-03 09:00:00",
        bp_treated_source="no drug in 3 prescriptions",
    )
    # 88 at the anchor, two years before the ECG; remission is no current smoking, Z72.0 of the same admission is
    check(frame, "43", age_years=90, age_over_89=1, bmi=NAN, sbp_mmhg=110, sbp_mmhg_date="2180-06-05")
    check(frame, "43", smoker=1, smoker_source="diagnoses_icd 10 Z720", smoker_date="2179-01-01 00:00:00")
    check(frame, "43", stroke=0, hypertension=0, heart_failure=1, heart_failure_date="2179-06-01 00:00:00")
    check(frame, "43", bp_treated=NAN, creatinine_mg_dl=NAN, total_chol_mmol_l=NAN)
    # an anchor_age of 0, a combined tablet, and a day too late
    check(frame, "44", age_years=NAN, age_over_89=NAN, sex="female", bp_treated=1, statin=1, sbp_mmhg=NAN)
    # nothing but age and sex; not even those
    check(frame, "45", age_years=30, age_over_89=0, sex="male", diabetes=NAN)
    assert frame.loc["46", list(NAMES)].isna().all()
    check(frame, "46", sex="", age_years=NAN)


def test_what_was_dropped_is_counted(hospital: Path) -> None:
    extract(hospital)
    dropped = (
        pd.read_csv(hospital / "out" / "dropped.csv").set_index(["table", "name", "reason"])["n"].to_dict()
    )
    assert dropped == {
        ("diagnoses_icd", "stroke", "its admission is not in admissions, or without admittime"): 1,
        ("labevents", "creatinine_mg_dl", "another unit"): 1,
        ("labevents", "creatinine_mg_dl", "no charttime"): 1,
        ("labevents", "creatinine_mg_dl", "text instead of a number"): 1,
        ("labevents", "total_chol_mmol_l", "implausible"): 1,
        ("omr", "blood pressure", "implausible"): 1,
        ("omr", "blood pressure", "not a pair of numbers"): 1,
        ("omr", "weight_kg", "implausible"): 1,
        ("patients", "age_years", "no anchor_age, or 0"): 1,
        ("prescriptions", "bp_treated", "route of eye or ear"): 1,
        ("prescriptions", "drugs", "no starttime"): 1,
    }


def test_scores_are_those_of_the_table(hospital: Path) -> None:
    frame = extract(hospital, risks="all").reset_index(drop=True)
    risks = pd.read_parquet(hospital / "out" / "risks.parquet")
    assert risks["record_id"].tolist() == frame["record_id"].tolist()
    expected = openclef.risk.score_table(frame)
    pd.testing.assert_frame_equal(risks.drop(columns="record_id"), expected)
    assert risks["score2_completeness"].tolist()[1] == pytest.approx(6 / 7)  # HDL is a second too old


def test_the_region_is_that_asked_for(hospital: Path) -> None:
    frame = extract(hospital, region="very_high", overwrite=True).reset_index(drop=True)
    risks = pd.read_parquet(hospital / "out" / "risks.parquet")
    expected = openclef.risk.score_table(frame, ["score2"], region="very_high")
    pd.testing.assert_frame_equal(risks.drop(columns="record_id"), expected)
    low = openclef.risk.score_table(frame, ["score2"])["score2"]
    assert (risks["score2"] > low)[low.notna()].all()
    assert json.loads((hospital / "out" / "settings.json").read_text())["score_settings"] == {
        "region": "very_high"
    }
    extract(hospital, "without", risks=["age"], region="high")  # no score has a region: it does not matter


def test_only_patients_is_needed(hospital: Path) -> None:
    for name in ("admissions", "omr", "labevents", "prescriptions"):
        (hospital / "hosp" / f"{name}.csv.gz").unlink()
    with pytest.warns(
        UserWarning, match=r"no admissions\.csv\.gz, omr\.csv\.gz, labevents.* will be unknown"
    ):
        frame = extract(hospital)
    assert frame[list(NAMES)].isna().all(axis=None)
    assert (frame["age_years"].notna().sum(), len(frame)) == (5, 7)
    about = json.loads((hospital / "out" / "settings.json").read_text())
    assert {name for name, file in about["tables"].items() if file is None} == {
        *("admissions", "diagnoses_icd", "omr", "labevents", "prescriptions")
    }
    (hospital / "hosp" / "patients.csv.gz").unlink()
    with pytest.raises(FileNotFoundError, match=r"holds no patients\.csv\.gz"):
        extract(hospital, "other")


def test_other_columns_and_uncompressed_files_do_not_matter(hospital: Path) -> None:
    before = extract(hospital)
    hosp = hospital / "hosp"
    for path in list(hosp.glob("*.csv.gz")):
        table = pd.read_csv(path, dtype=str, keep_default_na=False)
        kept = [name for name in table if (table[name] != "").any() or name == "comments"]
        table.assign(**{'new "one"': 'a "b",\nc'})[[*reversed(kept), 'new "one"']].to_csv(
            path.with_suffix(""), index=False
        )
        path.unlink()
    pd.testing.assert_frame_equal(extract(hospital, "other"), before)


def test_the_same_tables_give_the_same_bytes(hospital: Path) -> None:
    extract(hospital, "one", threads=1)
    extract(hospital, "two", threads=2, memory_limit="200MB")
    for name in ("metadata.parquet", "risks.parquet", "dropped.csv", "settings.json"):
        assert (hospital / "one" / name).read_bytes() == (hospital / "two" / name).read_bytes()
    assert sorted(path.name for path in (hospital / "one").iterdir()) == [
        *("dropped.csv", "metadata.parquet", "risks.parquet", "settings.json")
    ]


def test_a_finished_extraction_is_replaced_only_on_request(hospital: Path) -> None:
    extract(hospital)
    with pytest.raises(FileExistsError, match="overwrite=True"):
        extract(hospital)
    (hospital / "hosp" / "omr.csv.gz").unlink()
    assert extract(hospital, overwrite=True)["sbp_mmhg"].isna().all()
    (hospital / "mine").mkdir()
    (hospital / "mine" / "notes.txt").write_text("keep")
    with pytest.raises(FileExistsError, match="holds other files"):
        extract(hospital, "mine", overwrite=True)
    with pytest.raises(FileExistsError, match="is a file"):
        extract(hospital, "record_list.csv")


def test_nothing_is_left_of_an_extraction_that_fails(hospital: Path) -> None:
    extract(hospital)
    before = (hospital / "out" / "metadata.parquet").read_bytes()
    (hospital / "hosp" / "labevents.csv.gz").write_bytes(b"no gzip")
    with pytest.raises(ValueError, match=r"labevents\.csv\.gz is damaged"):
        extract(hospital, overwrite=True)
    assert (hospital / "out" / "metadata.parquet").read_bytes() == before
    assert sorted(path.name for path in hospital.iterdir()) == ["hosp", "out", "record_list.csv"]


def test_what_a_killed_run_left_is_cleared(hospital: Path) -> None:
    (hospital / ".out.unfinished" / "scratch").mkdir(parents=True)
    (hospital / ".out.unfinished" / "metadata.parquet").write_text("half")
    extract(hospital)
    assert sorted(path.name for path in hospital.iterdir()) == ["hosp", "out", "record_list.csv"]


@pytest.mark.parametrize(
    "table", ["patients", "admissions", "omr", "labevents", "diagnoses_icd", "prescriptions"]
)
def test_a_damaged_file_is_named(hospital: Path, table: str) -> None:
    path = hospital / "hosp" / f"{table}.csv.gz"
    whole = path.read_bytes()
    text = gzip.decompress(whole)
    stored = bytearray(gzip.compress(text, 0))
    stored[len(stored) // 2] ^= 1
    for damaged in (
        whole[: len(whole) * 2 // 3],  # the download stopped
        whole[:-5],
        bytes(stored),  # one bit, which only the checksum shows
        gzip.compress(text[:-8]),  # a line is cut
        b"",
    ):
        path.write_bytes(damaged)
        with pytest.raises(ValueError, match=rf"{table}.csv.gz is (damaged|empty).*fetch it again"):
            extract(hospital, "new")
    header, _, rest = text.partition(b"\n")
    path.write_bytes(gzip.compress(header.replace(b"subject_id", b"subject") + b"\n" + rest))
    with pytest.raises(ValueError, match=rf"{table}.csv.gz has no column subject_id; it has"):
        extract(hospital, "new")
    assert not (hospital / "new").exists()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("subject_id,study_id\n1,2\n", "damaged or lacks one of"),
        ("subject_id,study_id,ecg_time\n", "lists no ECG"),
        ("subject_id,study_id,ecg_time\np1,2,2180-01-01 00:00:00\n", "the subject_id 'p1'"),
        (
            "subject_id,study_id,ecg_time\n1,2,2180-01-01 00:00:00\n1,2,2180-01-01 00:00:00\n",
            "study_id '2' twice",
        ),
        ("subject_id,study_id,ecg_time\n1,2,2180-01-01 00:00:00\n1,2\n", "damaged or lacks"),
    ],
)
def test_a_damaged_list_is_named(hospital: Path, content: str, message: str) -> None:
    (hospital / "record_list.csv").write_text(content)
    with pytest.raises(ValueError, match=message):
        extract(hospital)


def test_settings_that_cannot_be_are_refused_before_anything_is_read(hospital: Path) -> None:
    with pytest.raises(ValueError, match="accepted are 'all', or names"):
        extract(hospital, risks=["score3"])
    with pytest.raises(ValueError, match="region"):
        extract(hospital, region="middle")
    with pytest.raises(ValueError, match="memory_limit='much'"):
        extract(hospital, memory_limit="much")
    with pytest.raises(ValueError, match="accepted is 'mimic_iv'"):
        openclef.extract_metadata("mimic_iii", hospital, hospital / "out", ecgs=hospital)
    with pytest.raises(FileNotFoundError, match=r"record_list\.csv of MIMIC-IV-ECG"):
        openclef.extract_metadata("mimic_iv", hospital, hospital / "out", ecgs=hospital / "hosp")
    assert not (hospital / "out").exists()


def test_a_patient_listed_twice_is_an_error(tmp_path: Path) -> None:
    ecgs, tables = small_hospital()
    tables["patients"] = pd.concat([tables["patients"], tables["patients"].head(1)])
    write_tables(tmp_path, ecgs, **tables)
    with pytest.raises(ValueError, match="has the subject 10000000 twice"):
        extract(tmp_path)


def test_a_time_before_birth_gives_no_age(tmp_path: Path) -> None:
    ecgs = rows("subject_id,study_id,ecg_time", ("1", "2", "2100-01-01 00:00:00"))
    patients = rows("subject_id,gender,anchor_age,anchor_year", ("1", "M", 20, 2150))
    write_tables(tmp_path, ecgs, patients=patients)
    assert extract(tmp_path)["age_years"].isna().all()
    assert (tmp_path / "out" / "dropped.csv").read_text().splitlines()[1:] == [
        "record_list,age_years,ECG before the year of birth,1"
    ]


def test_a_changed_window_and_codes_change_the_values(hospital: Path) -> None:
    from openclef.database.mimic_iv.concepts import shipped_concepts

    before = extract(hospital)
    copy = hospital / "mine.toml"
    text = shipped_concepts().read_text(encoding="utf-8")
    text = text.replace("before_days = 365\n", "before_days = 366\n", 1).replace(
        'icd9 = ["250*"]', "icd9 = []", 1
    )
    copy.write_text(text, encoding="utf-8")
    after = extract(hospital, "other", concepts=copy)
    assert math.isnan(before.loc["41", "hdl_mmol_l"])
    check(after, "41", hdl_mmol_l=50 * 0.02586, diabetes=1, diabetes_source="diagnoses_icd 10 E119")
    hashes = {
        json.loads((hospital / out / "settings.json").read_text())["concepts_sha256"]
        for out in ("out", "other")
    }
    assert len(hashes) == 2


def test_the_module_needs_no_torch() -> None:
    code = (
        "import openclef, sys; openclef.extract_metadata; assert not {'torch', 'duckdb'} & set(sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_files_of_ones_own_in_the_folder_are_kept(hospital: Path) -> None:
    extract(hospital)
    note = hospital / "out" / "notes.txt"
    note.write_text("keep")
    with pytest.raises(FileExistsError, match=r"holds other files, such as notes\.txt; pass a new folder"):
        extract(hospital, overwrite=True)
    assert note.read_text() == "keep"


def test_a_link_to_another_disk_stays_a_link(hospital: Path) -> None:
    (hospital / "disk").mkdir()
    (hospital / "link").symlink_to(hospital / "disk")
    extract(hospital, "link")
    extract(hospital, "link", overwrite=True)
    assert (hospital / "link").is_symlink()
    assert (hospital / "disk" / "metadata.parquet").is_file()


def test_a_table_without_rows_is_no_absence_of_disease(hospital: Path) -> None:
    path = hospital / "hosp" / "diagnoses_icd.csv.gz"
    path.write_bytes(gzip.compress(gzip.decompress(path.read_bytes()).split(b"\n")[0] + b"\n"))
    with pytest.raises(ValueError, match=r"diagnoses_icd\.csv\.gz has no row; .* take it out of the folder"):
        extract(hospital)


def test_codes_of_an_unknown_version_are_counted(tmp_path: Path) -> None:
    ecgs, tables = small_hospital()
    tables["diagnoses_icd"] = tables["diagnoses_icd"].assign(icd_version="ICD9")
    write_tables(tmp_path, ecgs, **tables)
    extract(tmp_path)
    assert "icd_version is neither 9 nor 10" in (tmp_path / "out" / "dropped.csv").read_text()


def test_impossible_ages_are_unknown_and_counted(tmp_path: Path) -> None:
    ecgs = rows(
        "subject_id,study_id,ecg_time", ("1", "2", "2999-01-01 00:00:00"), ("1", "3", "2151-01-01 00:00:00")
    )
    patients = rows("subject_id,gender,anchor_age,anchor_year", ("1", "M", 20, 2150))
    write_tables(tmp_path, ecgs, patients=patients)
    assert extract(tmp_path)["age_years"].tolist() == pytest.approx([NAN, 21], nan_ok=True)
    assert "older than 130 years by the dates,1" in (tmp_path / "out" / "dropped.csv").read_text()


def test_another_hospital_and_a_list_without_times_are_errors(tmp_path: Path) -> None:
    patients = rows("subject_id,gender,anchor_age,anchor_year", ("1", "M", 20, 2150))
    write_tables(
        tmp_path, rows("subject_id,study_id,ecg_time", ("7", "2", "2151-01-01 00:00:00")), patients=patients
    )
    with pytest.raises(ValueError, match="has none of the subjects of the list"):
        extract(tmp_path)
    write_tables(tmp_path, rows("subject_id,study_id,ecg_time", ("1", "2", "01/02/2151")), patients=patients)
    with pytest.raises(ValueError, match="no ecg_time of the list can be read, for example '01/02/2151'"):
        extract(tmp_path)
    for wrong in ({"memory_limit": "-5GB"}, {"memory_limit": "0GB"}, {"threads": 10**9}, {"threads": 0}):
        with pytest.raises(ValueError, match="accepted are a size above 0 and 1 to 1024 threads"):
            extract(tmp_path, **wrong)
