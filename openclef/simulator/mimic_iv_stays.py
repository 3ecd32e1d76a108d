"""Hospital stays of the simulated patients: rows of MIMIC-IV's admissions, diagnoses_icd and prescriptions.

Each code and drug is listed here with what it means, so that the truth needs no pattern of codes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:  # pandas takes long to import; a command's help does without it
    import pandas as pd

Array = NDArray[Any]

__all__ = ["CODES", "DRUGS", "draw_admissions", "draw_diagnoses", "draw_prescriptions"]

WITHOUT_ADMISSION_SHARE = 0.25
ICD_10_FROM_YEAR = 2016
_HADM = (20_000_000, 29_999_999)

CODES: dict[tuple[str, int], tuple[str, ...]] = {
    ("25000", 9): ("diabetes",),
    ("25002", 9): ("diabetes",),
    ("E119", 10): ("diabetes",),
    ("E1165", 10): ("diabetes",),
    ("2510", 9): (),  # hypoglycaemic coma
    ("E162", 10): (),  # hypoglycaemia
    ("3051", 9): ("current",),
    ("V1582", 9): ("former",),
    ("F17210", 10): ("current",),
    ("Z720", 10): ("current",),
    ("Z87891", 10): ("former",),
    ("F17211", 10): ("former",),  # in remission
    ("4019", 9): ("hypertension",),
    ("I10", 10): ("hypertension",),
    ("40291", 9): ("hypertension", "heart_failure"),
    ("I110", 10): ("hypertension", "heart_failure"),
    ("42823", 9): ("heart_failure",),
    ("39891", 9): ("heart_failure",),
    ("I5022", 10): ("heart_failure",),
    ("43491", 9): ("stroke",),
    ("43490", 9): (),  # occlusion without infarction
    ("4359", 9): ("stroke",),
    ("I639", 10): ("stroke",),
    ("G459", 10): ("stroke",),
    ("G454", 10): (),  # transient global amnesia
    ("Z8673", 10): ("stroke",),
    ("412", 9): ("vascular_disease",),
    ("4439", 9): ("vascular_disease",),
    ("I252", 10): ("vascular_disease",),
    ("I70213", 10): ("vascular_disease",),
    ("I2510", 10): (),  # coronary disease without infarction
    ("42731", 9): ("atrial_fibrillation",),
    ("42732", 9): (),  # flutter
    ("I4891", 10): ("atrial_fibrillation",),
    ("I4820", 10): ("atrial_fibrillation",),
    ("I4892", 10): (),  # flutter
    ("78650", 9): (),  # chest pain
    ("R079", 10): (),
    ("N179", 10): (),
    ("5849", 9): (),
}
"""Each code of the simulated tables and its version: what it says, as the rules of the extraction have it."""

DRUGS: dict[str, str] = {
    "Lisinopril": "bp_treated",
    "amLODIPine": "bp_treated",
    "Metoprolol Succinate XL": "bp_treated",
    "HydrALAzine": "bp_treated",
    "NIFEdipine CR": "bp_treated",
    "LOSARTAN POTASSIUM": "bp_treated",
    "Hydrochlorothiazide": "bp_treated",
    "Atorvastatin": "statin",
    "simvastatin": "statin",
    "Rosuvastatin Calcium": "statin",
    "Furosemide": "",
    "Sodium Chloride 0.9%  Flush": "",
    "Acetaminophen": "",
    "Nystatin Oral Suspension": "",
    "Insulin": "",
}
"""Each drug of the simulated prescriptions, as it is written, and the class for which it counts."""


def draw_admissions(records: pd.DataFrame, rng: np.random.Generator) -> pd.DataFrame:
    """Draw stays before, during and after the ECGs; some patients have none.

    Args:
        records: of `place_in_time`.
        rng: what is drawn from.

    Returns:
        person, subject_id, hadm_id, admittime, dischtime; ``_record``, the record whose condition the stay's is.

    Example:
        >>> from openclef.simulator.mimic_iv_people import place_in_time
        >>> from openclef.simulator.patients import draw_patients
        >>> rng = np.random.default_rng(0)
        >>> stays = draw_admissions(place_in_time(draw_patients(60, seed=0), rng)[0], rng)
        >>> bool((stays["dischtime"] > stays["admittime"]).all())
        True
    """
    import pandas as pd

    time = records["ecg_time"].to_numpy().astype("datetime64[s]")
    person = records["person"].to_numpy()
    admitted = rng.random(int(person.max()) + 1) >= WITHOUT_ADMISSION_SHARE
    hour = 3600
    parts = []
    for share, earliest, latest in (
        (0.5, -48 * hour, 0),  # the ECG of the stay
        (0.3, -900 * 24 * hour, -30 * 24 * hour),
        (0.2, 60, 300 * 24 * hour),  # says nothing about the ECG before it
    ):
        has = np.flatnonzero((rng.random(len(records)) < share) & admitted[person])
        shift = rng.integers(earliest, latest, len(has), endpoint=True) // 60 * 60
        parts.append(pd.DataFrame({"_record": has, "admittime": time[has] + shift.astype("timedelta64[s]")}))
    stays = pd.concat(parts, ignore_index=True)
    record = stays["_record"].to_numpy()
    stays.insert(0, "person", person[record])
    stays.insert(1, "subject_id", records["subject_id"].to_numpy()[record])
    stays["dischtime"] = stays["admittime"] + (rng.integers(12, 200, len(stays)) * hour).astype(
        "timedelta64[s]"
    )
    stays = stays.sort_values(["person", "admittime"], kind="stable", ignore_index=True)
    stays.insert(2, "hadm_id", _HADM[0] + rng.choice(_HADM[1] - _HADM[0], len(stays), replace=False))
    return stays


def draw_diagnoses(
    stays: pd.DataFrame, conditions: pd.DataFrame, real_years: Array, rng: np.random.Generator
) -> pd.DataFrame:
    """Draw the codes of each stay: of ICD-9 before 2016, of ICD-10 from then on; not every condition is coded.

    Args:
        stays: of `draw_admissions`.
        conditions: one row a stay, 1 or 0: diabetes, smoker, hypertension, heart_failure, stroke, vascular_disease,
            atrial_fibrillation.
        real_years: the year before the dates were shifted, one a stay.
        rng: what is drawn from.

    Returns:
        person, subject_id, hadm_id, seq_num, icd_code, icd_version, admittime.

    Example:
        >>> import pandas as pd
        >>> stays = pd.DataFrame({"person": [0], "subject_id": [1], "hadm_id": [2], "admittime": [pd.Timestamp(0)]})
        >>> names = ["diabetes", "smoker", "hypertension", "heart_failure", "stroke", "vascular_disease"]
        >>> ill = pd.DataFrame(1.0, index=[0], columns=[*names, "atrial_fibrillation"])
        >>> rows = draw_diagnoses(stays, ill, np.array([2010]), np.random.default_rng(0))
        >>> rows["icd_version"].unique().tolist()
        [9]
    """
    import pandas as pd

    version = np.where(np.asarray(real_years) >= ICD_10_FROM_YEAR, 10, 9)
    said = {"current": "smoker"}
    former = np.flatnonzero((conditions["smoker"].to_numpy() == 0) & (rng.random(len(stays)) < 0.3))
    parts = []
    for meaning in ("diabetes", "current", "former", "hypertension", "heart_failure", "stroke", "vascular_disease",
                    "atrial_fibrillation", ""):  # fmt: skip
        if meaning == "former":
            has = former
        elif meaning == "":
            has = np.flatnonzero(rng.random(len(stays)) < 0.8)
        else:
            ill = conditions[said.get(meaning, meaning)].to_numpy() == 1
            has = np.flatnonzero(ill & (rng.random(len(stays)) < 0.85))
        for each in (9, 10):
            codes = [code for (code, own), means in CODES.items() if own == each and _says(means, meaning)]
            at = has[version[has] == each]
            parts.append(
                pd.DataFrame({"stay": at, "icd_code": rng.choice(codes, len(at)), "icd_version": each})
            )
    rows = pd.concat(parts, ignore_index=True).sort_values("stay", kind="stable", ignore_index=True)
    rows = rows.drop_duplicates(["stay", "icd_code"], ignore_index=True)
    stay = rows.pop("stay").to_numpy()
    for place, name in enumerate(("person", "subject_id", "hadm_id")):
        rows.insert(place, name, stays[name].to_numpy()[stay])
    rows.insert(3, "seq_num", rows.groupby("hadm_id").cumcount() + 1)
    return rows.assign(admittime=stays["admittime"].to_numpy()[stay])


def _says(means: tuple[str, ...], meaning: str) -> bool:
    return meaning in means if meaning else not means


def draw_prescriptions(stays: pd.DataFrame, treated: pd.DataFrame, rng: np.random.Generator) -> pd.DataFrame:
    """Draw the prescriptions of the stays; of some stays none is on file.

    Args:
        stays: of `draw_admissions`.
        treated: one row a stay, 1 or 0: bp_treated, statin.
        rng: what is drawn from.

    Returns:
        person, subject_id, hadm_id, starttime (NaT: not written), drug, route; ``_class``, for which it counts ("" for
        none).

    Example:
        >>> import pandas as pd
        >>> stays = pd.DataFrame({"person": [0], "subject_id": [1], "hadm_id": [2], "admittime": [pd.Timestamp(0)]})
        >>> treated = pd.DataFrame({"bp_treated": [1.0], "statin": [0.0]})
        >>> rows = draw_prescriptions(stays, treated, np.random.default_rng(1))
        >>> set(rows["_class"]) <= {"bp_treated", ""}
        True
    """
    import pandas as pd

    filed = rng.random(len(stays)) < 0.85
    parts = []
    for name in ("bp_treated", "statin", ""):
        drugs = [drug for drug, kind in DRUGS.items() if kind == name]
        share = 0.9 if name else 0.95
        ill = treated[name].to_numpy() == 1 if name else np.ones(len(stays), bool)
        at = np.flatnonzero(filed & ill & (rng.random(len(stays)) < share))
        chosen = rng.choice(drugs, len(at))
        parts.append(pd.DataFrame({"stay": at, "drug": chosen, "route": "PO", "_class": name}))
    drops = np.flatnonzero(filed & (rng.random(len(stays)) < 0.03))  # by name in a class, by route not
    parts.append(pd.DataFrame({"stay": drops, "drug": "Metoprolol", "route": "LEFT EYE", "_class": ""}))
    rows = pd.concat(parts, ignore_index=True).sort_values("stay", kind="stable", ignore_index=True)
    stay = rows.pop("stay").to_numpy()
    for place, name in enumerate(("person", "subject_id", "hadm_id")):
        rows.insert(place, name, stays[name].to_numpy()[stay])
    later = (rng.integers(0, 72 * 60, len(rows)) * 60).astype("timedelta64[s]")
    rows["starttime"] = stays["admittime"].to_numpy()[stay].astype("datetime64[s]") + later
    lost = rng.random(len(rows)) < 0.01
    rows.loc[lost, "starttime"] = pd.NaT
    return rows
