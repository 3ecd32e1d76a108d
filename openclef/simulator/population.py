"""Simulated people: risk factors as they go together in a population, in two hospitals, over several visits.

SBP, cholesterol, HDL, BMI, diabetes and smoking given age and sex, and their correlations, are fits to NHANES
2009-2012 (12,391 adults; US National Center for Health Statistics) that `studies/simulator/fit_nhanes.py`
prints. Treatment follows NCHS Data Brief 133 (2013: about 22 % of adults and half of those over 60 take
medicine against high blood pressure) and Data Brief 177 (2014: 28 % of adults over 40 a cholesterol-lowering
one). eGFR, HbA1c and the age at which diabetes began were set by hand to ordinary values. Ages are those of
hospitals, not of the population.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, ndtri

from openclef.simulator.configuration import Configuration

if TYPE_CHECKING:  # pandas takes long to import; a command's help does without it
    import pandas as pd

Array = NDArray[Any]

# With a = (age - 55) / 10 and m = 1 for men: coefficients of 1, a, a^2, m, m a, diabetes.
LOG_MEASURED = (
    (4.800, 0.046, 0.002, 0.021, -0.022, 0.019),  # SBP
    (1.693, 0.012, -0.018, -0.051, -0.027, -0.091),  # total cholesterol
    (0.368, 0.024, 0.003, -0.173, -0.004, -0.112),  # HDL
    (3.371, -0.008, -0.012, -0.021, -0.004, 0.123),  # BMI
)
RESIDUAL_SD = (0.124, 0.201, 0.270, 0.215)
RESIDUAL_CORRELATION = (
    (1.00, 0.10, -0.01, 0.13),
    (0.10, 1.00, 0.16, 0.03),
    (-0.01, 0.16, 1.00, -0.31),
    (0.13, 0.03, -0.31, 1.00),
)
# A person's usual value is constant, one visit's differs from it: share of the residual variance within a person.
WITHIN_PERSON = (0.25, 0.15, 0.10, 0.02)
LOGIT_DIABETES = (-1.467, 0.533, -0.153, 0.084)  # 1, a, a^2, m
LOGIT_SMOKER = (-1.529, -0.338, -0.093, 0.485)
LOGIT_BP_TREATED = (-1.55, 0.75, 0.30, 0.8)  # 1, a, (SBP - 125) / 10, diabetes
LOGIT_STATIN = (-1.75, 0.65, 0.0, 1.2)  # the same
TREATMENT_LOWERS_SBP_MMHG = 10.0  # what the heart had borne before
AGES_YEARS = (18.0, 95.0)
MEAN_YEARS_BETWEEN_VISITS = 1.5
MOST_VISITS = 200
OLDEST_YEARS = 100.0  # nobody comes later

_BLOCK = 5  # of each five patients three train, one validates, one tests
_PATIENT_COLUMNS = (
    40  # numbers drawn for a patient, and for a visit: fixed, so that one patient does not depend
)
_VISIT_COLUMNS = 24  # on how many others there are


def draw_people(patients: int, seed: int, configuration: Configuration) -> tuple[pd.DataFrame, Array]:
    """Draw patients: who they are, and the chance that later decides on disease and missing values.

    A patient depends on the seed and the own number only: a larger cohort begins with the smaller one.

    Args:
        patients: Number of patients.
        seed: Seed.
        configuration: Hospitals and their people.

    Returns:
        One row a patient: subject_id, split (60 % train, 20 % val, 20 % test), hospital, sex, age_years at the
        first visit, smoker, diabetes, age_at_diabetes_years; and uniform numbers (patient, 24) for what follows.

    Example:
        >>> from openclef.simulator.configuration import CONFIGURATIONS
        >>> people, chance = draw_people(1000, 1, CONFIGURATIONS["A"])
        >>> people["split"].value_counts().sort_index().to_dict(), chance.shape
        ({'test': 200, 'train': 600, 'val': 200}, (1000, 24))
    """
    import pandas as pd

    rows = -(-patients // _BLOCK) * _BLOCK
    generator = np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(0,)))
    uniform = generator.random((rows, _PATIENT_COLUMNS))
    split = _split(uniform[:, 0])[:patients]
    uniform = uniform[:patients].clip(1e-9, 1 - 1e-9)
    hospitals = configuration.hospitals
    shares = np.cumsum([hospital.share for hospital in hospitals])
    at = np.searchsorted(shares / shares[-1], uniform[:, 1])

    def of_hospital(name: str) -> Array:
        return np.array([getattr(hospital, name) for hospital in hospitals])[at]

    age = of_hospital("age_mean_years") + of_hospital("age_sd_years") * ndtri(uniform[:, 2])
    age = np.floor(age.clip(*AGES_YEARS))
    male = (uniform[:, 3] < of_hospital("male_share")).astype(float)
    identity = {
        "subject_id": [f"S{number:06d}" for number in range(patients)],
        "split": split,
        "hospital": np.array([hospital.name for hospital in hospitals], dtype=object)[at],
    }
    history = draw_history(
        age, male, uniform[:, 4:7], of_hospital("diabetes_logit"), of_hospital("smoker_logit")
    )
    return pd.concat([pd.DataFrame(identity), history], axis=1), uniform[:, _PATIENT_COLUMNS - 24 :]


def draw_history(
    age_years: Array,
    male: Array,
    uniform: Array,
    diabetes_logit: float | Array = 0.0,
    smoker_logit: float | Array = 0.0,
) -> pd.DataFrame:
    """Draw diabetes and smoking given age and sex.

    Args:
        age_years: (patient,).
        male: (patient,), 1 for men.
        uniform: (patient, 3) uniform numbers.
        diabetes_logit: Added to NHANES's logit of diabetes.
        smoker_logit: Added to NHANES's logit of smoking.

    Returns:
        One row a patient: sex, age_years, smoker, diabetes (0 or 1), age_at_diabetes_years (NaN without).

    Example:
        >>> draw_history(np.array([60.0]), np.ones(1), np.full((1, 3), 0.1))["diabetes"].tolist()
        [1.0]
    """
    import pandas as pd

    few = _few(age_years, male)
    diabetes = uniform[:, 0] < expit(np.dot(LOGIT_DIABETES, few) + diabetes_logit)
    smoker = uniform[:, 1] < expit(np.dot(LOGIT_SMOKER, few) + smoker_logit)
    years_with_diabetes = np.floor(-9.0 * np.log(uniform[:, 2])).clip(0, 40)
    return pd.DataFrame(
        {
            "sex": np.where(male == 1, "male", "female").astype(object),
            "age_years": age_years,
            "smoker": smoker.astype(float),
            "diabetes": diabetes.astype(float),
            "age_at_diabetes_years": np.where(
                diabetes, (age_years - years_with_diabetes).clip(np.minimum(15, age_years)), np.nan
            ),
        }
    )


def draw_visits(people: pd.DataFrame, chance: Array, seed: int, records_per_patient: float) -> pd.DataFrame:
    """Draw each patient's visits, one record each, over the years.

    Args:
        people: Patients from `draw_people`.
        chance: Their uniform numbers; the first seven are used here.
        seed: The same seed.
        records_per_patient: Mean number of records; their numbers are geometric, one at least. Visits after the age of
            100 are left out.

    Returns:
        One row a record, patient by patient: `patient` (row in people), `visit`, `years_since_first`, and the
        people's columns with age_years, bp_treated, statin, sbp_mmhg, total_chol_mmol_l, hdl_mmol_l, bmi,
        egfr_ml_min and hba1c_mmol_mol at the visit; "usual_" and sbp_mmhg, total_chol_mmol_l, hdl_mmol_l or bmi,
        what the heart has borne (SBP without treatment); and "chance 0".. "chance 9", uniform numbers of the
        visit for what follows.

    Example:
        >>> from openclef.simulator.configuration import CONFIGURATIONS
        >>> people, chance = draw_people(100, 1, CONFIGURATIONS["A"])
        >>> visits = draw_visits(people, chance, 1, records_per_patient=3.0)
        >>> bool(visits.groupby("subject_id")["age_years"].is_monotonic_increasing.all())
        True
    """
    import pandas as pd

    patients = len(people)
    count = _visit_counts(chance[:, 0], records_per_patient)
    first_age = people["age_years"].to_numpy()
    parts, since = [], np.zeros(patients)
    for visit in range(int(count.max(initial=0))):
        drawn = np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(2, visit)))
        uniform = drawn.random((patients, _VISIT_COLUMNS)).clip(1e-9, 1 - 1e-9)
        if visit:
            since = since - MEAN_YEARS_BETWEEN_VISITS * np.log(uniform[:, 0])
        here = np.flatnonzero((count > visit) & (first_age + since <= OLDEST_YEARS))
        part = measure(people.iloc[here], chance[here], uniform[here], since[here])
        part.insert(0, "patient", here)
        part.insert(1, "visit", visit)
        parts.append(part)
    visits = pd.concat(parts, ignore_index=True)
    return visits.sort_values(["patient", "visit"], kind="stable", ignore_index=True)


def measure(people: pd.DataFrame, chance: Array, uniform: Array, since: Array) -> pd.DataFrame:
    """Draw what is measured at a visit: the usual values and the day's, in the units of the risk scores.

    Args:
        people: One row a patient: sex, diabetes, and age_years at the first visit.
        chance: (patient, 7 or more) uniform numbers of the patients, as in `draw_visits`.
        uniform: (patient, 24) uniform numbers of the visit.
        since: (patient,) years since the first visit.

    Returns:
        The people's columns and what `draw_visits` names.

    Example:
        >>> history = draw_history(np.array([60.0]), np.ones(1), np.full((1, 3), 0.9))
        >>> half = np.full((1, 24), 0.5)
        >>> measure(history, half, half, np.zeros(1))[["sbp_mmhg", "bp_treated"]].values.tolist()
        [[126.0, 0.0]]
    """
    table = people.copy()
    table["years_since_first"] = since.round(2)
    age = people["age_years"].to_numpy() + np.floor(since)
    male = (people["sex"] == "male").to_numpy(float)
    diabetes = people["diabetes"].to_numpy()
    usual, today = (
        factors_given(age, male, diabetes, normal) for normal in _residuals(chance[:, 1:5], uniform[:, 1:5])
    )
    more = np.stack([np.ones(len(age)), (age - 55) / 10, (usual["sbp_mmhg"] - 125) / 10, diabetes])
    treated = chance[:, 5] < expit(np.dot(LOGIT_BP_TREATED, more))
    table["age_years"] = age
    table["bp_treated"] = treated.astype(float)
    table["statin"] = (chance[:, 6] < expit(np.dot(LOGIT_STATIN, more))).astype(float)
    for name, digits in (("sbp_mmhg", 0), ("total_chol_mmol_l", 2), ("hdl_mmol_l", 2), ("bmi", 1)):
        table[name] = today[name].round(digits)
    kidney = 107 - 0.85 * (age - 40) - 5 * diabetes + 14 * ndtri(uniform[:, 5])
    table["egfr_ml_min"] = kidney.clip(15, 140).round()
    sugar = np.where(diabetes == 1, 54 + 13 * ndtri(uniform[:, 6]), 36 + 3.5 * ndtri(uniform[:, 6]))
    table["hba1c_mmol_mol"] = np.where(diabetes == 1, sugar.clip(38, 130), sugar.clip(24, 47)).round()
    usual["sbp_mmhg"] = usual["sbp_mmhg"] + TREATMENT_LOWERS_SBP_MMHG * treated
    for name, values in usual.items():
        table[f"usual_{name}"] = values
    for column in range(10):
        table[f"chance {column}"] = uniform[:, 8 + column]
    return table


def factors_given(age_years: Array, male: Array, diabetes: Array, normal: Array) -> dict[str, Array]:
    """Return SBP, total cholesterol, HDL and BMI given age, sex, diabetes and standard normal residuals.

    Args:
        age_years: (patient,).
        male: (patient,), 1 for men.
        diabetes: (patient,), 0 or 1.
        normal: (patient, 4), each standard normal and correlated as in `RESIDUAL_CORRELATION`.

    Returns:
        sbp_mmhg, total_chol_mmol_l, hdl_mmol_l and bmi, (patient,) each, within possible ranges.

    Example:
        >>> one = np.ones(1)
        >>> factors_given(55 * one, one, 0 * one, np.zeros((1, 4)))["sbp_mmhg"].round(1).tolist()
        [124.1]
    """
    few = _few(age_years, male)
    many = np.concatenate([few, [male * few[1], diabetes]])
    sbp, total, hdl, bmi = np.exp(np.dot(LOG_MEASURED, many) + (normal * np.array(RESIDUAL_SD)).T)
    total = total.clip(2, 11)
    return {
        "sbp_mmhg": sbp.clip(80, 230),
        "total_chol_mmol_l": total,
        "hdl_mmol_l": hdl.clip(0.4, 0.6 * total),
        "bmi": bmi.clip(15, 60),
    }


def correlated_normals(uniform: Array) -> Array:
    """Turn uniform numbers (patient, 4) into standard normal ones with `RESIDUAL_CORRELATION`.

    Example:
        >>> correlated_normals(np.full((2, 4), 0.5)).tolist()
        [[0.0, 0.0, 0.0, 0.0], [0.0, 0.0, 0.0, 0.0]]
    """
    return ndtri(uniform) @ np.linalg.cholesky(np.array(RESIDUAL_CORRELATION)).T


def _residuals(between: Array, within: Array) -> tuple[Array, Array]:
    """A person's usual residuals, and the day's: together they have the variance of one NHANES examination."""
    share = np.array(WITHIN_PERSON)
    usual = np.sqrt(1 - share) * correlated_normals(between)
    return usual, usual + np.sqrt(share) * correlated_normals(within)


def _few(age_years: Array, male: Array) -> Array:
    decades = (np.minimum(age_years, 85) - 55) / 10  # NHANES ends at 80
    return np.stack([np.ones(len(decades)), decades, decades**2, male])


def _visit_counts(uniform: Array, mean: float) -> Array:
    if mean == 1:
        return np.ones(len(uniform), dtype=int)
    more = np.floor(np.log(uniform) / np.log1p(-1 / mean)).astype(int)
    return (1 + more).clip(1, MOST_VISITS)


def _split(uniform: Array) -> Array:
    """Of each block of five patients three at random train, one validates, one tests."""
    order = uniform.reshape(-1, _BLOCK).argsort(axis=1).argsort(axis=1)
    return np.array(["train", "train", "train", "val", "test"], dtype=object)[order].ravel()
