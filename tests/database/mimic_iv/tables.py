"""Hospital tables with MIMIC-IV's columns, written from a few rows or drawn at random. Nothing is a patient's."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import pandas as pd

COLUMNS = {
    "patients": "subject_id,gender,anchor_age,anchor_year,anchor_year_group,dod",
    "admissions": "subject_id,hadm_id,admittime,dischtime,deathtime,admission_type,admit_provider_id,"
    "admission_location,discharge_location,insurance,language,marital_status,race,edregtime,edouttime,"
    "hospital_expire_flag",
    "omr": "subject_id,chartdate,seq_num,result_name,result_value",
    "labevents": "labevent_id,subject_id,hadm_id,specimen_id,itemid,order_provider_id,charttime,storetime,value,"
    "valuenum,valueuom,ref_range_lower,ref_range_upper,flag,priority,comments",
    "diagnoses_icd": "subject_id,hadm_id,seq_num,icd_code,icd_version",
    "prescriptions": "subject_id,hadm_id,pharmacy_id,poe_id,poe_seq,order_provider_id,starttime,stoptime,drug_type,"
    "drug,formulary_drug_cd,gsn,ndc,prod_strength,form_rx,dose_val_rx,dose_unit_rx,form_val_disp,form_unit_disp,"
    "doses_per_24_hrs,route",
}


def write_tables(folder: Path, ecgs: pd.DataFrame, **tables: pd.DataFrame) -> Path:
    """Write record_list.csv and hosp/*.csv.gz; columns that a table lacks are empty. Gives the folder hosp."""
    hosp = folder / "hosp"
    hosp.mkdir(parents=True, exist_ok=True)
    listed = ecgs.assign(file_name=ecgs["study_id"], path="files/" + ecgs["study_id"])
    listed[["subject_id", "study_id", "file_name", "ecg_time", "path"]].to_csv(
        folder / "record_list.csv", index=False
    )
    for name, rows in tables.items():
        full = rows.reindex(columns=COLUMNS[name].split(","))
        with gzip.open(hosp / f"{name}.csv.gz", "wt", encoding="utf-8", compresslevel=1) as file:
            full.to_csv(file, index=False)
    return hosp


def rows(columns: str, *values: tuple[object, ...]) -> pd.DataFrame:
    """A table of text from a few rows."""
    return pd.DataFrame(
        [["" if cell is None else str(cell) for cell in row] for row in values], columns=columns.split(",")
    ).replace("", None)


def random_tables(seed: int, subjects: int = 14) -> tuple[pd.DataFrame, dict[str, pd.DataFrame]]:
    """ECGs, and tables of values that lie on and just beside every border of the rules."""
    draw = np.random.default_rng(seed)
    people = [str(10_000_000 + 7 * i) for i in range(subjects)]
    start = pd.Timestamp("2150-03-01 12:00:00")
    ecgs = []
    for subject in people:
        for _ in range(draw.integers(1, 5)):
            time = start + pd.Timedelta(
                days=int(draw.integers(0, 500)), hours=int(draw.choice([0, 0, 11, 12]))
            )
            ecgs.append((subject, str(40_000_000 + len(ecgs)), str(time) if draw.random() > 0.03 else "___"))
    draw.shuffle(ecgs)
    listed = pd.DataFrame(ecgs, columns=["subject_id", "study_id", "ecg_time"])
    times = {
        subject: [pd.Timestamp(time) for other, _, time in ecgs if other == subject and time != "___"]
        or [start]
        for subject in people
    }

    def near(subject: str, *days: int) -> pd.Timestamp:
        """A moment on a border, beside it, or anywhere."""
        time = times[subject][draw.integers(len(times[subject]))]
        offset = pd.Timedelta(days=int(draw.choice([*days, 0, 1, -1, 3, -3, int(draw.integers(-420, 60))])))
        return time + offset + pd.Timedelta(seconds=int(draw.choice([0, 0, 1, -1, 3600])))

    def some(n: int) -> list[str]:
        return [people[i] for i in draw.integers(0, len(people) - 1, n)]  # the last has nothing

    def pick(*choices: object) -> object:
        return choices[draw.integers(len(choices))]

    patients = [
        (
            subject,
            pick("F", "M", "M", "", "f "),
            pick(0, 18, 45, 60, 88, 89, 91, 91),
            pick(2149, 2150, 2151),
            "2011 - 2013",
        )
        for subject in people
        if draw.random() > 0.1
    ]
    admissions, diagnoses = [], []
    codes = [
        (9, "25000"), (10, "E119"), (10, " e0800 "), (9, "3051"), (10, "F17210"), (10, "F17211"), (10, "Z87891"),
        (9, "V1582"), (10, "z720"), (9, "4019"), (10, "I10"), (9, "4280"), (9, "39891"), (9, "398911"),
        (9, "43301"), (9, "43300"), (10, "G454"), (10, "G459"), (10, "I639"), (9, "4400"), (9, "44020"),
        (9, "4409"), (10, "I700"), (10, "I709"), (10, "I480"), (10, "I4811"), (10, "I4892"), (9, "42731"),
        (9, "42732"), (9, "I10"), (10, "4019"), (10, "I16.0"), (9, "412"), (10, "I252"), (10, "Z8673"), (10, ""),
    ]  # fmt: skip
    for subject in some(3 * subjects):
        hadm = str(20_000_000 + len(admissions))
        when = pick(near(subject, 0, 0), near(subject, -400, -900), "", "2149-01-01 00:00:00")
        admissions.append((subject, hadm, when))
        for place in range(draw.integers(0, 6)):
            version, code = pick(*codes)  # type: ignore[misc]
            owner = hadm if draw.random() > 0.05 else "29999999"
            diagnoses.append((subject, owner, place + 1, code, version))
    postures = ("", " Sitting", " Lying", " Standing", " Standing (1 min)", " Standing (3 mins)", " Jumping")
    omr = []
    for subject in some(40 * subjects):
        day = str(near(subject, -365, -366, 30, 31).date()) if draw.random() > 0.02 else ""
        kind = draw.integers(3)
        if kind == 0:
            name = f"Blood Pressure{pick(*postures)}"
            value = pick(
                f"{draw.integers(90, 200)}/{draw.integers(40, 110)}", "120/80", " 131 / 85 ", "260/160", "60/30",
                "261/80", "59/40", "80/80", "120", "120/", "120/80/60", "refused", "1e2/80", "", "121.5/80.25", "/",
            )  # fmt: skip
        elif kind == 1:
            name = pick("Height (Inches)", "Height", "Weight (Lbs)", "Weight")
            value = pick(
                "65",
                "70.5",
                "190",
                "180.25",
                "47.2",
                "5",
                "55.1",
                "772",
                "___",
                "",
                f"{draw.integers(50, 99)}",
            )
        else:
            name, value = (
                pick("BMI (kg/m2)", "BMI", "eGFR"),
                pick("24.2", "31", "80", "10", "80.1", "9.9", "n/a"),
            )
        omr.append((subject, day, len(omr) % 4 + 1, name, value))
    labs = []
    numbers = {
        "50907": ("190", "38.5", "38.67", "773.4", "774", "5.2", "20", "0.9"),
        "50904": ("50", "1.2", "3.8", "233", "6", "0.05"),
        "50852": ("5.7", "6.5", "48", "3.52", "3.5", "20.4", "201"),
        "50912": ("0.9", "1.2", "0.1", "25", "25.1", "0.09", "88.42", "110"),
        "50868": ("12",),
    }
    for subject in some(60 * subjects):
        item = str(pick(*numbers))
        number = str(pick(*numbers[item]))
        value, valuenum = pick(
            (number, number), (number, number), (number, ""), ("___", ""), ("<10", ""), ("<10", number), ("", number),
            ("", ""), ("ERROR", ""), (f" {number} ", ""), ("GREATER THAN 20", "nan"),
        )  # type: ignore[misc] # fmt: skip
        unit = pick("mg/dL", " MG / DL", "", "mmol/L", "umol/L", "%", "mmol/mol", "g/L")
        time = str(near(subject, -365, 30)) if draw.random() > 0.02 else ""
        labs.append((str(len(labs) * 37 % 100_003), subject, item, time, value, valuenum, unit))
    drugs = []
    names = (
        "Lisinopril", "Metoprolol Tartrate", "Timolol Maleate 0.5%", "Atorvastatin", "amLODIPine-Atorvastatin",
        "Heparin", "Furosemide", "Prelosartanol", "HYDROCHLOROTHIAZIDE", "Sodium Chloride 0.9%  Flush",
        "Losartan, Potassium",
        "", "Nifedipine CR", "simvastatin",
    )  # fmt: skip
    for subject in some(8 * subjects):
        time = str(near(subject, -365, -366)) if draw.random() > 0.05 else ""
        drugs.append(
            (subject, time, pick(*names), pick("PO", "PO/NG", "BOTH EYES", "left eye", "", "OU", "IV"))
        )
    tables = {
        "patients": rows("subject_id,gender,anchor_age,anchor_year,anchor_year_group", *patients),
        "admissions": rows("subject_id,hadm_id,admittime", *admissions),
        "diagnoses_icd": rows("subject_id,hadm_id,seq_num,icd_code,icd_version", *diagnoses),
        "omr": rows("subject_id,chartdate,seq_num,result_name,result_value", *omr),
        "labevents": rows("labevent_id,subject_id,itemid,charttime,value,valuenum,valueuom", *labs),
        "prescriptions": rows("subject_id,starttime,drug,route", *drugs),
    }
    return listed, tables
