"""The rules of the extraction a second time: one ECG after the other, in plain pandas, from no file of rules."""

from __future__ import annotations

import math
import re
from statistics import median

import pandas as pd

DAY = pd.Timedelta(days=1)
NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)")

RANKS = {
    "Blood Pressure": 1,
    "Blood Pressure Sitting": 1,
    "Blood Pressure Lying": 2,
    "Blood Pressure Standing": 3,
    "Blood Pressure Standing (1 min)": 3,
    "Blood Pressure Standing (3 mins)": 3,
}
SIZES = {
    "height_cm": (("Height (Inches)", "Height"), 2.54, 120, 230),
    "weight_kg": (("Weight (Lbs)", "Weight"), 0.45359237, 25, 350),
    "bmi": (("BMI (kg/m2)", "BMI"), 1.0, 10, 80),
}
LABS = {
    "total_chol_mmol_l": ("50907", {"": "mg/dl"}, 1, 20),
    "hdl_mmol_l": ("50904", {"": "mg/dl"}, 0.1, 6),
    "hba1c_mmol_mol": ("50852", {"": "%"}, 15, 200),
    "creatinine_mg_dl": ("50912", {"": "mg/dl"}, 0.1, 25),
}
ACE_ARB = (
    "lisinopril enalapril captopril ramipril benazepril quinapril fosinopril moexipril perindopril trandolapril "
    "losartan valsartan irbesartan candesartan olmesartan telmisartan azilsartan"
)
OTHERS = (
    "hydrochlorothiazide chlorthalidone indapamide metolazone chlorothiazide amlodipine nifedipine diltiazem verapamil "
    "felodipine isradipine nicardipine metoprolol atenolol carvedilol bisoprolol labetalol nebivolol nadolol "
    "propranolol spironolactone eplerenone clonidine hydralazine doxazosin prazosin terazosin methyldopa "
    "minoxidil aliskiren"
)
STATINS = "atorvastatin simvastatin rosuvastatin pravastatin lovastatin fluvastatin pitavastatin"
DRUGS = {
    "bp_treated": set(f"{ACE_ARB} {OTHERS}".split()),
    "statin": set(STATINS.split()),
}
CONDITIONS = "diabetes hypertension heart_failure stroke vascular_disease atrial_fibrillation".split()  # noqa: SIM905
EYES = {"LEFT EYE", "RIGHT EYE", "BOTH EYES", "OU", "OS", "OD"}


def number(text: object) -> float | None:
    found = None if not isinstance(text, str) else NUMBER.fullmatch(text.strip())
    return float(found[0]) if found else None


def moment(text: object) -> pd.Timestamp | None:
    return pd.Timestamp(text) if isinstance(text, str) and re.match(r"\d{4}-\d\d-\d\d", text) else None


def nearest(time: pd.Timestamp, candidates: list[pd.Timestamp]) -> pd.Timestamp | None:
    inside = [each for each in candidates if -365 * DAY <= each - time <= 30 * DAY]
    return min(inside, key=lambda each: (abs(each - time), each > time)) if inside else None


def has(code: str, version: int, name: str) -> bool:
    start = code.startswith
    if name == "diabetes":
        return start("250") if version == 9 else code[:3] in {"E08", "E09", "E10", "E11", "E12", "E13"}
    if name == "hypertension":
        nine = {"401", "402", "403", "404", "405"}
        return code[:3] in (nine if version == 9 else {"I10", "I11", "I12", "I13", "I15", "I16"})
    if name == "heart_failure":
        nine = {"39891", "40201", "40211", "40291", "40401", "40403", "40411", "40413", "40491", "40493"}
        return (
            start("428") or code in nine
            if version == 9
            else start("I50") or code in {"I110", "I130", "I132", "I0981"}
        )
    if name == "stroke":
        if version == 9:
            occlusion = len(code) == 5 and code[:3] in {"433", "434"} and code[4] == "1"
            return occlusion or code[:3] in {"435", "436", "444"} or code == "V1254"
        return (code[:3] in {"I63", "I64", "G45", "I74"} and code != "G454") or code == "Z8673"
    if name == "vascular_disease":
        if version == 9:
            return code[:3] in {"410", "412"} or code in {"4400", "4439"} or start("4402")
        return code[:3] in {"I21", "I22"} or code in {"I252", "I700", "I739"} or start("I702")
    if name == "atrial_fibrillation":
        return code == "42731" if version == 9 else code in {"I480", "I4891"} or code[:4] in {"I481", "I482"}
    remission = version == 10 and len(code) == 6 and start("F172") and code[5] == "1"
    if name == "current":
        return start("3051") if version == 9 else (start("F17") and not remission) or code == "Z720"
    assert name == "former"
    return code == "V1582" if version == 9 else code == "Z87891" or remission


class Reference:
    """Values and dates of an ECG, by the rules."""

    def __init__(self, tables: dict[str, pd.DataFrame]) -> None:
        self.tables = {name: rows.astype(object).where(rows.notna(), None) for name, rows in tables.items()}

    def of(self, table: str, subject: str) -> list[dict]:
        if table not in self.tables:
            return []
        rows = self.tables[table]
        return rows[rows["subject_id"] == subject].to_dict("records")

    def values(self, subject: str, ecg_time: str) -> dict[str, object]:
        """Value and NAME_date of what is known."""
        time = moment(ecg_time)
        out: dict[str, object] = {}
        patient = (self.of("patients", subject) or [{}])[0]
        gender = (patient.get("gender") or "").strip().upper()
        out["sex"] = {"F": "female", "M": "male"}.get(gender, "")
        if time is None:
            return out
        anchor = number(patient.get("anchor_age"))
        if anchor:
            age = anchor + time.year - int(patient["anchor_year"])
            over = anchor >= 91 or age > 89
            out |= {"age_years": 90.0 if over else age, "age_over_89": float(over)}
        self.pressure(subject, time, out)
        self.sizes(subject, time, out)
        self.labs(subject, time, out)
        self.diagnoses(subject, time, anchor, patient, out)
        self.drugs(subject, time, out)
        return out

    def pressure(self, subject: str, time: pd.Timestamp, out: dict) -> None:
        days: dict[pd.Timestamp, list] = {}
        for row in self.of("omr", subject):
            pair = [number(part) for part in (row["result_value"] or "").split("/")]
            day = moment(row["chartdate"])
            if row["result_name"] not in RANKS or day is None or len(pair) != 2 or None in pair:
                continue
            sbp, dbp = pair
            if 60 <= sbp <= 260 and 30 <= dbp <= 160 and sbp > dbp:
                days.setdefault(day, []).append((RANKS[row["result_name"]], sbp, dbp))
        day = nearest(time.normalize(), list(days))
        if day is not None:
            best = min(rank for rank, _, _ in days[day])
            chosen = [(sbp, dbp) for rank, sbp, dbp in days[day] if rank == best]
            out["sbp_mmhg"], out["dbp_mmhg"] = (median(column) for column in zip(*chosen))
            out["sbp_mmhg_date"] = out["dbp_mmhg_date"] = str(day.date())

    def sizes(self, subject: str, time: pd.Timestamp, out: dict) -> None:
        for name, (results, factor, low, high) in SIZES.items():
            days: dict[pd.Timestamp, list[float]] = {}
            for row in self.of("omr", subject):
                value, day = number(row["result_value"]), moment(row["chartdate"])
                if row["result_name"] not in results or value is None or day is None:
                    continue
                if low <= value * factor <= high:
                    days.setdefault(day, []).append(value * factor)
            day = nearest(time.normalize(), list(days))
            if day is not None:
                out[name], out[f"{name}_date"] = median(days[day]), str(day.date())
        if "bmi" not in out and "height_cm" in out and "weight_kg" in out:
            bmi = out["weight_kg"] / (out["height_cm"] / 100) ** 2
            if 10 <= bmi <= 80:
                out["bmi"], out["bmi_date"] = bmi, out["weight_kg_date"]

    def labs(self, subject: str, time: pd.Timestamp, out: dict) -> None:
        for name, (item, standard, low, high) in LABS.items():
            times: dict[pd.Timestamp, tuple[int, float]] = {}
            for row in self.of("labevents", subject):
                drawn = moment(row["charttime"])
                value = number(row["valuenum"])
                value = number(row["value"]) if value is None else value
                if row["itemid"] != item or drawn is None or value is None:
                    continue
                unit = re.sub(r"\s", "", row["valueuom"] or "").lower()
                unit = standard.get(unit, unit)
                if unit == "mg/dl" and name != "hba1c_mmol_mol":
                    value = value if name == "creatinine_mg_dl" else value * 0.02586
                elif unit == "%" and name == "hba1c_mmol_mol":
                    value = 10.93 * value - 23.5
                elif unit == "umol/l" and name == "creatinine_mg_dl":
                    value = value / 88.42
                elif (unit, name) not in {
                    ("mmol/l", "total_chol_mmol_l"),
                    ("mmol/l", "hdl_mmol_l"),
                    ("mmol/mol", "hba1c_mmol_mol"),
                }:
                    continue
                if low <= value <= high:
                    place = int(row["labevent_id"])
                    if drawn not in times or place < times[drawn][0]:
                        times[drawn] = (place, value)
            drawn = nearest(time, list(times))
            if drawn is not None:
                out[name], out[f"{name}_date"] = times[drawn][1], str(drawn)
        age, sex = out.get("age_years"), out["sex"]
        if "creatinine_mg_dl" in out and age is not None and age >= 18 and sex:
            knot, slope, factor = (0.7, -0.241, 1.012) if sex == "female" else (0.9, -0.302, 1.0)
            ratio = out["creatinine_mg_dl"] / knot
            out["egfr_ml_min"] = 142 * min(ratio, 1) ** slope * max(ratio, 1) ** -1.2 * 0.9938**age * factor
            out["egfr_ml_min_date"] = out["creatinine_mg_dl_date"]

    def diagnoses(self, subject, time, anchor, patient, out) -> None:
        stays = {
            row["hadm_id"]: moment(row["admittime"])
            for row in self.of("admissions", subject)
            if moment(row["admittime"]) is not None and moment(row["admittime"]) <= time
        }
        if not stays or "diagnoses_icd" not in self.tables:
            return
        codes = [
            (
                stays[row["hadm_id"]],
                (row["icd_code"] or "").strip().upper().replace(".", ""),
                int(row["icd_version"]),
            )
            for row in self.of("diagnoses_icd", subject)
            if row["hadm_id"] in stays
        ]
        latest = max(stays.values())
        for name in CONDITIONS:
            when = [at for at, code, version in codes if has(code, version, name)]
            out[name] = float(bool(when))
            out[f"{name}_date"] = str(min(when) if when else latest)
        if out["diabetes"] and out.get("age_years") is not None:
            first = pd.Timestamp(out["diabetes_date"])
            age = anchor + first.year - int(patient["anchor_year"])
            out["age_at_diabetes_years"] = min(age, 90.0, out["age_years"])
            out["age_at_diabetes_years_date"] = str(first)
        smoking = [
            (at, has(code, version, "current"))
            for at, code, version in codes
            if has(code, version, "current") or has(code, version, "former")
        ]
        if smoking:
            decides = max(at for at, _ in smoking)
            out["smoker"] = float(any(current for at, current in smoking if at == decides))
            out["smoker_date"] = str(decides)
        else:
            out["smoker"], out["smoker_date"] = 0.0, str(latest)

    def drugs(self, subject: str, time: pd.Timestamp, out: dict) -> None:
        started = [
            (moment(row["starttime"]), row)
            for row in self.of("prescriptions", subject)
            if moment(row["starttime"]) is not None and time - 365 * DAY <= moment(row["starttime"]) <= time
        ]
        for name, ingredients in DRUGS.items():
            of_class = [
                at
                for at, row in started
                if ingredients & set(re.split(r"\W+", (row["drug"] or "").lower()))
                and (row["route"] or "").strip().upper() not in EYES
            ]
            if started:
                out[name] = float(bool(of_class))
                out[f"{name}_date"] = str(max(of_class or [at for at, _ in started]))


def differences(frame: pd.DataFrame, tables: dict[str, pd.DataFrame]) -> list[str]:
    """Where an extraction's table is not what the rules say."""
    reference = Reference(tables)
    wrong = []
    for row in frame.to_dict("records"):
        expected = reference.values(row["subject_id"], row["ecg_time"])
        for name, given in row.items():
            if name in ("record_id", "subject_id", "ecg_time") or name.endswith("_source"):
                continue
            is_text = name == "sex" or name.endswith("_date")
            wanted = expected.get(name, "" if is_text else math.nan)
            if is_text:
                same = given == wanted
            elif name in ("egfr_ml_min", "bmi"):  # powers of numpy and of Python differ in the last digit
                same = math.isclose(given, wanted, rel_tol=1e-12) or (
                    math.isnan(given) and math.isnan(wanted)
                )
            else:
                same = given == wanted or (math.isnan(given) and math.isnan(wanted))
            if not same:
                wrong.append(f"{row['record_id']} {name}: {given!r}, not {wanted!r}")
            if not is_text and name not in ("age_years", "age_over_89"):
                known = given == given
                if bool(row[f"{name}_source"]) != known or bool(row[f"{name}_date"]) != known:
                    wrong.append(f"{row['record_id']} {name}: source {row[f'{name}_source']!r} of {given!r}")
    return wrong
