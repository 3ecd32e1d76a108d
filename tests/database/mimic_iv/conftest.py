"""A small hospital, made by hand, with the traps of MIMIC-IV's tables."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from tests.database.mimic_iv.tables import rows

ECG = "2180-05-06 22:23:00"
ANNA, BERT, CARL, DORA, EMIL, NOBODY = (str(10_000_000 + i) for i in range(6))


def small_hospital() -> tuple[pd.DataFrame, dict[str, pd.DataFrame]]:
    """ECGs of six people, and the tables; the last has no row in any of them."""
    ecgs = rows(
        "subject_id,study_id,ecg_time",
        (DORA, "44", ECG),
        (ANNA, "41", ECG),
        (BERT, "42", ECG),
        (CARL, "43", ECG),
        (EMIL, "45", "2170-05-06 22:23:00"),
        (NOBODY, "46", ECG),
        (ANNA, "47", "2182-01-01 00:00:00"),
    )
    patients = rows(
        "subject_id,gender,anchor_age,anchor_year,anchor_year_group",
        (ANNA, "F", 60, 2175, "2011 - 2013"),
        (BERT, "M", 91, 2180, "2014 - 2016"),
        (CARL, "M", 88, 2178, "2008 - 2010"),
        (DORA, "F", 0, 2180, "2008 - 2010"),
        (EMIL, "M", 30, 2170, "2017 - 2019"),
    )
    admissions = rows(
        "subject_id,hadm_id,admittime",
        (ANNA, "21", "2176-01-01 08:00:00"),
        (ANNA, "22", "2180-05-06 22:23:00"),
        (ANNA, "23", "2180-05-06 22:23:01"),
        (BERT, "24", "2180-05-07 00:00:00"),
        (CARL, "25", "2179-01-01 00:00:00"),
        (CARL, "26", "2179-06-01 00:00:00"),
    )
    diagnoses = rows(
        "subject_id,hadm_id,seq_num,icd_code,icd_version",
        (ANNA, "21", 1, "25000  ", 9),
        (ANNA, "21", 2, "3051", 9),
        (ANNA, "22", 1, "z87891", 10),
        (ANNA, "22", 2, "E119", 10),
        (ANNA, "23", 1, "F17210", 10),
        (ANNA, "23", 2, "I480", 10),
        (BERT, "24", 1, "I10", 10),
        (CARL, "25", 1, "F17211", 10),
        (CARL, "25", 2, "Z720", 10),
        (CARL, "26", 1, "G454", 10),
        (CARL, "26", 2, "I10", 9),
        (CARL, "26", 3, "39891", 9),
        (CARL, "99", 1, "I639", 10),
    )
    omr = rows(
        "subject_id,chartdate,seq_num,result_name,result_value",
        (ANNA, "2180-05-05", 1, "Blood Pressure Standing", "150/90"),
        (ANNA, "2180-05-05", 2, "Blood Pressure", "140/80"),
        (ANNA, "2180-05-05", 3, "Blood Pressure Sitting", "131/85"),
        (ANNA, "2180-05-05", 4, "Blood Pressure", "120/90"),
        (ANNA, "2180-05-05", 5, "Blood Pressure", "128/70"),
        (ANNA, "2180-05-07", 1, "Blood Pressure", "199/99"),
        (ANNA, "2180-05-06", 1, "Blood Pressure", "refused"),
        (ANNA, "2180-05-06", 2, "Blood Pressure", "300/90"),
        (ANNA, "2180-05-01", 1, "Height (Inches)", "65"),
        (ANNA, "2180-05-01", 1, "Weight (Lbs)", "150"),
        (ANNA, "2180-05-01", 2, "Weight (Lbs)", "152"),
        (BERT, "2179-05-07", 1, "BMI (kg/m2)", "27.5"),
        (BERT, "2179-05-07", 1, "Weight (Lbs)", "5"),
        (CARL, "2179-05-06", 1, "BMI (kg/m2)", "27.5"),
        (CARL, "2180-06-05", 1, "Blood Pressure Lying", "110/60"),
        (DORA, "2180-06-06", 1, "Blood Pressure", "110/60"),
    )
    labs = rows(
        "labevent_id,subject_id,itemid,charttime,value,valuenum,valueuom",
        (5, ANNA, 50907, "2179-05-07 22:23:00", "200", "200", "mg/dL"),
        (6, ANNA, 50904, "2179-05-07 22:22:59", "50", "50", "mg/dL"),
        (9, ANNA, 50912, "2180-05-06 21:23:00", "0.9", "0.9", "mg/dL"),
        (8, ANNA, 50912, "2180-05-06 23:23:00", "3.0", "3.0", "mg/dL"),
        (7, ANNA, 50912, "2180-05-06 22:23:00", "___", None, "mg/dL"),
        (4, ANNA, 50912, "2180-05-06 22:24:00", "1.5", "1.5", "mEq/L"),
        (12, ANNA, 50852, "2180-05-06 22:23:00", "6.0", "6.0", "%"),
        (11, ANNA, 50852, "2180-05-06 22:23:00", " 6.5 ", None, None),
        (13, BERT, 50907, "2180-06-05 22:23:00", "5.2", "5.2", "mmol/L"),
        (14, BERT, 50904, "2180-06-05 22:23:01", "1.2", "1.2", "mmol/L"),
        (15, BERT, 50912, "2180-05-01 00:00:00", "88.42", "88.42", "umol/L"),
        (16, CARL, 50907, "2180-05-01 00:00:00", "5.2", "5.2", "mg/dL"),
        (17, CARL, 50912, None, "1.0", "1.0", "mg/dL"),
        (18, EMIL, 50868, "2170-05-06 22:23:00", "12", "12", "mEq/L"),
    )
    prescriptions = rows(
        "subject_id,starttime,drug,route",
        (ANNA, "2179-05-07 22:23:00", "Lisinopril", "PO"),
        (ANNA, "2180-05-06 22:23:01", "Atorvastatin", "PO"),
        (BERT, "2180-05-01 09:00:00", "Carvedilol Ophth. Soln.", "BOTH EYES"),
        (BERT, "2180-05-02 09:00:00", "Furosemide", "PO"),
        (BERT, "2180-05-03 09:00:00", None, "PO"),
        (CARL, "2179-05-07 22:22:59", "Metoprolol Succinate XL", "PO"),
        (DORA, "2180-05-01 09:00:00", "amLODIPine-Atorvastatin", "PO"),
        (DORA, None, "Heparin", "SC"),
    )
    return ecgs, {
        "patients": patients,
        "admissions": admissions,
        "diagnoses_icd": diagnoses,
        "omr": omr,
        "labevents": labs,
        "prescriptions": prescriptions,
    }


@pytest.fixture
def hospital(tmp_path: Path) -> Path:
    """A folder with hosp/*.csv.gz and record_list.csv of the small hospital."""
    from tests.database.mimic_iv.tables import write_tables

    ecgs, tables = small_hospital()
    write_tables(tmp_path, ecgs, **tables)
    return tmp_path
