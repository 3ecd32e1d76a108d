"""Who is in the simulated MIMIC-IV, and when: shifted dates, identities, anchors, the times of the ECGs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:  # pandas takes long to import; a command's help does without it
    import pandas as pd

Array = NDArray[Any]

__all__ = ["UNKNOWN_PATIENTS_SHARE", "ecg_path", "place_in_time"]

UNKNOWN_PATIENTS_SHARE = 0.02  # of the patients with ECGs have no row in patients.csv.gz
OLDEST_WRITTEN = 89  # above, anchor_age is written as 91
FIRST_YEARS = (
    2110,
    2200,
)  # of a patient's first ECG: each patient's dates are shifted by a constant of their own
GROUPS = ("2008 - 2010", "2011 - 2013", "2014 - 2016", "2017 - 2019", "2020 - 2022")
_SUBJECTS, _STUDIES = (10_000_000, 19_999_999), (40_000_000, 49_999_999)
_MINUTES_A_DAY = 24 * 60


def place_in_time(cohort: pd.DataFrame, rng: np.random.Generator) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Give patients identities and shifted dates, and each record a time.

    Args:
        cohort: of `draw_patients`.
        rng: what is drawn from.

    Returns:
        The records, one row a record of the cohort and in its order: ``person`` (number of the patient), subject_id,
        study_id, ecg_time (datetime64[s]), age_years at that time by the rule of MIMIC-IV (anchor_age and whole
        years from anchor_year; 90 for over 89), age_over_89, sex; the last three unknown where the patient has no
        row. The patients: person, subject_id, gender, anchor_age as written, anchor_year, anchor_year_group,
        true_anchor_age, real_year (of the anchor), listed (has a row in patients.csv.gz).

    Example:
        >>> from openclef.simulator.patients import draw_patients
        >>> cohort = draw_patients(50, seed=0, records_per_patient=2.0)
        >>> records, patients = place_in_time(cohort, np.random.default_rng(0))
        >>> len(records) == len(cohort), len(patients), bool(records["ecg_time"].dt.year.between(2110, 2300).all())
        (True, 50, True)
    """
    import pandas as pd

    person = np.unique(cohort["subject_id"].to_numpy(str), return_inverse=True)[1]
    first = np.flatnonzero(np.diff(person, prepend=-1))
    count = len(first)
    start = rng.integers(*FIRST_YEARS, count)
    anchor_year = start - rng.integers(0, 3, count)
    age = np.floor(cohort["age_years"].to_numpy()[first]).astype(int) - (start - anchor_year)
    group = rng.integers(0, len(GROUPS), count)
    male = cohort["sex"].to_numpy()[first] == "male"
    patients = pd.DataFrame(
        {
            "person": np.arange(count),
            "subject_id": _SUBJECTS[0]
            + np.sort(rng.choice(_SUBJECTS[1] - _SUBJECTS[0], count, replace=False)),
            "gender": np.where(male, "M", "F"),
            "anchor_age": np.where(age > OLDEST_WRITTEN, 91, age),
            "anchor_year": anchor_year,
            "anchor_year_group": np.asarray(GROUPS)[group],
            "true_anchor_age": age,
            "real_year": 2009 + 3 * group,
            "listed": rng.random(count) >= UNKNOWN_PATIENTS_SHARE,
        }
    )
    midnight = (start - 1970).astype("datetime64[Y]").astype("datetime64[D]")
    began = midnight.astype("datetime64[s]") + _minutes(rng.integers(0, 365 * _MINUTES_A_DAY, count))
    years = cohort["years_since_first"].to_numpy()
    later = _minutes(np.round(years * 365.25 * _MINUTES_A_DAY) + rng.integers(0, 600, len(cohort)))
    time = began[person] + np.where(years > 0, later, np.timedelta64(0, "s"))
    records = pd.DataFrame(
        {
            "person": person,
            "subject_id": patients["subject_id"].to_numpy()[person],
            "study_id": _STUDIES[0] + rng.choice(_STUDIES[1] - _STUDIES[0], len(cohort), replace=False),
            "ecg_time": time,
        }
    )
    return records.assign(**_ages(records, patients)), patients


def _ages(records: pd.DataFrame, patients: pd.DataFrame) -> dict[str, Array]:
    own = patients.iloc[records["person"].to_numpy()]
    listed = own["listed"].to_numpy()
    written = own["anchor_age"].to_numpy()
    age = written + records["ecg_time"].dt.year.to_numpy() - own["anchor_year"].to_numpy()
    above = (age > OLDEST_WRITTEN) | (written == 91)
    return {
        "age_years": np.where(listed, np.where(above, 90.0, age), np.nan),
        "age_over_89": np.where(listed, above.astype(float), np.nan),
        "sex": np.where(listed, np.where(own["gender"] == "M", "male", "female"), ""),
    }


def _minutes(count: Array) -> Array:
    return (np.asarray(count, np.int64) * 60).astype("timedelta64[s]")


def ecg_path(subject_id: int, study_id: int) -> str:
    """An ECG's path in MIMIC-IV-ECG, without suffix.

    Example:
        >>> ecg_path(10001725, 41420867)
        'files/p1000/p10001725/s41420867/41420867'
    """
    return f"files/p{subject_id // 10_000}/p{subject_id}/s{study_id}/{study_id}"
