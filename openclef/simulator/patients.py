"""Simulated patients: risk factors as they go together in a population, and a disease of known truth.

Blood pressure, cholesterol, HDL, smoking and diabetes given age and sex, and their correlations, were fitted
to NHANES 2009-2012 (12,391 adults; US National Center for Health Statistics). Age is that of a hospital's ECG
archive (PTB-XL: median 62 years, interquartile range 22). The disease's hazard is this module's own: it
depends on the risk factors and on a frailty that no score knows; no risk score goes into it. Atrial
fibrillation and pre-excitation are more frequent than in life, so that small cohorts have some.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, ndtri

if TYPE_CHECKING:  # pandas takes long to import; a command's help does without it
    import pandas as pd

Array = NDArray[Any]

# Fits to NHANES 2009-2012, with a = (age - 55) / 10 and m = 1 for men: coefficients of 1, a, a^2, m, m a,
# diabetes.
LOG_SBP = (4.801, 0.046, 0.002, 0.021, -0.022, 0.017)
LOG_TOTAL_CHOL = (1.693, 0.012, -0.018, -0.052, -0.027, -0.093)
LOG_HDL = (0.368, 0.024, 0.003, -0.175, -0.005, -0.111)
RESIDUAL_SD = (0.126, 0.202, 0.271)
RESIDUAL_CORRELATION = ((1.0, 0.10, -0.01), (0.10, 1.0, 0.16), (-0.01, 0.16, 1.0))
LOGIT_DIABETES = (-1.467, 0.533, -0.153, 0.084)  # 1, a, a^2, m
LOGIT_SMOKER = (-1.529, -0.338, -0.093, 0.485)

MAY_BE_MISSING = (("smoker",), ("diabetes",), ("sbp_mmhg",), ("total_chol_mmol_l", "hdl_mmol_l"))
_COLUMNS = (
    24  # uniform numbers a patient; fixed, so that a patient does not depend on how many others there are
)
_BLOCK = 5  # of each five patients three train, one validates, one tests


def draw_patients(patients: int, seed: int = 0, *, missing_share: float = 0.3) -> pd.DataFrame:
    """Draw a cohort: risk factors, hidden hazard, diagnoses and split.

    A patient depends on the seed and on the own number only: a larger cohort begins with the smaller one, and
    another `missing_share` hides other values of the same people.

    Args:
        patients: Number of patients.
        seed: Seed.
        missing_share: Share of unknown values of smoking, diabetes, SBP and lipids (total cholesterol and HDL
            are unknown together), completely at random.

    Returns:
        One row a patient: subject_id, split (60 % train, 20 % val, 20 % test), age_years, sex, smoker,
        diabetes, sbp_mmhg, total_chol_mmol_l, hdl_mmol_l (NaN where unknown); the truth: sim/disease, sim/af,
        sim/preexcitation (0 or 1), sim/log_hazard; severity (0..1) and load, which shape the ECG.

    Example:
        >>> cohort = draw_patients(1000, seed=1)
        >>> {split: int((cohort["split"] == split).sum()) for split in ("train", "val", "test")}
        {'train': 600, 'val': 200, 'test': 200}
        >>> bool(cohort.groupby("sim/disease")["age_years"].mean().diff().iloc[1] > 5)
        True
    """
    import pandas as pd

    rows = -(-patients // _BLOCK) * _BLOCK
    uniform = np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(0,))).random((rows, _COLUMNS))
    split = _split(uniform[:, 0])[:patients]
    uniform = uniform[:patients]
    normal = ndtri(uniform.clip(1e-9, 1 - 1e-9))

    age = np.floor(np.clip(60 + 16 * normal[:, 1], 18, 95))
    male = (uniform[:, 2] < 0.5).astype(float)
    decades = (np.minimum(age, 85) - 55) / 10
    few = np.stack([np.ones(patients), decades, decades**2, male])
    diabetes = (uniform[:, 3] < expit(np.dot(LOGIT_DIABETES, few))).astype(float)
    smoker = (uniform[:, 4] < expit(np.dot(LOGIT_SMOKER, few))).astype(float)
    many = np.concatenate([few, [male * decades, diabetes]])
    residual = normal[:, 5:8] @ np.linalg.cholesky(np.array(RESIDUAL_CORRELATION)).T * np.array(RESIDUAL_SD)
    sbp = np.rint(np.exp(np.dot(LOG_SBP, many) + residual[:, 0]).clip(80, 230))
    total = np.exp(np.dot(LOG_TOTAL_CHOL, many) + residual[:, 1]).clip(2, 11)
    hdl = np.exp(np.dot(LOG_HDL, many) + residual[:, 2]).clip(0.4, 0.6 * total)

    frailty = normal[:, 8]
    log_hazard = (
        -1.9
        + 0.060 * (age - 60)
        + 0.35 * male
        + 0.45 * smoker
        + 0.55 * diabetes
        + 0.020 * (sbp - 125)
        + 0.20 * (total - hdl - 3.7)
        + 0.80 * frailty
    )
    disease = (uniform[:, 9] < -np.expm1(-np.exp(log_hazard))).astype(float)
    severity = expit(0.9 * (log_hazard + 1.2) + 0.9 * disease - 1.5 + 0.8 * normal[:, 10])
    af = (uniform[:, 11] < expit(-2.9 + 0.065 * (age - 62) + 0.4 * frailty + 0.4 * disease)).astype(float)
    preexcitation = (uniform[:, 12] < 0.05).astype(float)
    load = 0.6 * (sbp - 125) / 18 + 0.8 * normal[:, 13]

    cohort = pd.DataFrame(
        {
            "subject_id": [f"S{number:06d}" for number in range(patients)],
            "split": split,
            "age_years": age,
            "sex": np.where(male == 1, "male", "female"),
            "smoker": smoker,
            "diabetes": diabetes,
            "sbp_mmhg": sbp,
            "total_chol_mmol_l": total.round(2),
            "hdl_mmol_l": hdl.round(2),
            "sim/disease": disease,
            "sim/af": af,
            "sim/preexcitation": preexcitation,
            "sim/log_hazard": log_hazard,
            "severity": severity,
            "load": load,
        }
    )
    for column, names in enumerate(MAY_BE_MISSING, start=14):
        cohort.loc[uniform[:, column] < missing_share, list(names)] = np.nan
    return cohort


def _split(uniform: Array) -> Array:
    """Of each block of five patients three at random train, one validates, one tests."""
    order = uniform.reshape(-1, _BLOCK).argsort(axis=1).argsort(axis=1)
    return np.array(["train", "train", "train", "val", "test"], dtype=object)[order].ravel()
