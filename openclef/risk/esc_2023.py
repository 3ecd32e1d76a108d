"""SCORE2-Diabetes: ten-year risk of cardiovascular disease of people with type 2 diabetes in Europe.

Source: SCORE2-Diabetes working group, Eur Heart J 2023;44:2544 (doi 10.1093/eurheartj/ehad260).
"""

from __future__ import annotations

from functools import partial

import numpy as np
from numpy.typing import ArrayLike

from openclef.risk.assessment import Standard, assess
from openclef.risk.esc_2021 import SCORE2_BASELINE_SURVIVAL, SCORE2_SCALES, check_region, recalibrate
from openclef.risk.formula import linear_predictor
from openclef.risk.inputs import Array, Defaults
from openclef.risk.result import RiskResult, Score

INPUTS = (
    "age_years",
    "sex",
    "smoker",
    "diabetes",
    "sbp_mmhg",
    "total_chol_mmol_l",
    "hdl_mmol_l",
    "age_at_diabetes_years",
    "hba1c_mmol_mol",
    "egfr_ml_min",
)

# Log hazard ratios: age per 5 years from 60, SBP per 20 mmHg from 120, total cholesterol per mmol/L from 6, HDL
# per 0.5 mmol/L from 1.3, age at diagnosis per 5 years from 50, HbA1c per 9.34 mmol/mol from 31, the logarithm
# of eGFR per 0.15 from 4.5.
COEFFICIENTS = {
    "male": {
        "age": 0.5368,
        "smoker": 0.4774,
        "sbp": 0.1322,
        "diabetes": 0.6457,
        "total_chol": 0.1102,
        "hdl": -0.1087,
        "age*smoker": -0.0672,
        "age*sbp": -0.0268,
        "age*diabetes": -0.0983,
        "age*total_chol": -0.0181,
        "age*hdl": 0.0095,
        "diabetes*onset": -0.0998,
        "hba1c": 0.0955,
        "egfr": -0.0591,
        "egfr*egfr": 0.0058,
        "hba1c*age": -0.0134,
        "egfr*age": 0.0115,
    },
    "female": {
        "age": 0.6624,
        "smoker": 0.6139,
        "sbp": 0.1421,
        "diabetes": 0.8096,
        "total_chol": 0.1127,
        "hdl": -0.1568,
        "age*smoker": -0.1122,
        "age*sbp": -0.0167,
        "age*diabetes": -0.1272,
        "age*total_chol": -0.0200,
        "age*hdl": 0.0186,
        "diabetes*onset": -0.118,
        "hba1c": 0.1173,
        "egfr": -0.0640,
        "egfr*egfr": 0.0062,
        "hba1c*age": -0.0196,
        "egfr*age": 0.0169,
    },
}

STANDARD: Standard = {
    "smoker": 0.0,
    "diabetes": 0.0,
    "sbp_mmhg": 120.0,
    "total_chol_mmol_l": 6.0,
    "hdl_mmol_l": 1.3,
    "age_at_diabetes_years": lambda values: values["age_years"],
    "hba1c_mmol_mol": 31.0,
    "egfr_ml_min": 90.0,
}
VALID_YEARS = (40.0, 70.0)
RULES = {
    "extrapolated": "age is outside 40 to under 70 years",
    "no_diabetes": "SCORE2-Diabetes is for people who are known to have diabetes; for others use score2",
}


def score2_diabetes(
    *,
    age_years: ArrayLike,
    sex: ArrayLike,
    smoker: ArrayLike = np.nan,
    diabetes: ArrayLike = np.nan,
    sbp_mmhg: ArrayLike = np.nan,
    total_chol_mmol_l: ArrayLike = np.nan,
    hdl_mmol_l: ArrayLike = np.nan,
    age_at_diabetes_years: ArrayLike = np.nan,
    hba1c_mmol_mol: ArrayLike = np.nan,
    egfr_ml_min: ArrayLike = np.nan,
    region: str = "low",
    defaults: Defaults | None = None,
    strict: bool = False,
) -> RiskResult:
    """Ten-year risk of cardiovascular disease with type 2 diabetes, by SCORE2-Diabetes.

    An unknown input (NaN, None or "") takes the value in `defaults`, or else the score's own: no for smoking
    and diabetes, SBP 120 mmHg, total cholesterol 6.0 and HDL 1.3 mmol/L, HbA1c 31 mmol/mol, eGFR 90, and the
    present age as the age at diagnosis. A patient without diabetes has neither its term nor that of the age
    at diagnosis.

    Args:
        age_years: Age in years; scalar or array, as are all inputs; all are broadcast to one shape.
        sex: "female" or "male".
        smoker: Current smoker, True or False (1 or 0).
        diabetes: Type 2 diabetes, True or False.
        sbp_mmhg: Systolic blood pressure in mmHg.
        total_chol_mmol_l: Total cholesterol in mmol/L.
        hdl_mmol_l: HDL cholesterol in mmol/L.
        age_at_diabetes_years: Age in years when diabetes was diagnosed.
        hba1c_mmol_mol: HbA1c in mmol/mol.
        egfr_ml_min: Estimated glomerular filtration rate in mL/min/1.73 m2; see `egfr_ckd_epi_2021`.
        region: Risk region of the country: "low", "moderate", "high" or "very_high"; see `region_of`.
        defaults: Values for unknown inputs, such as the cohort's medians: name to value, or to values by sex.
        strict: For one patient rather than as guidance: outside the validated ages (40 to under 70) and for
            people not known to have diabetes the value is NaN, with a warning that says which rule. Otherwise
            the score is extrapolated, with ages clipped to 18..100 and flagged.

    Returns:
        `RiskResult`: value (fraction 0..1; NaN where age or sex is unknown), n_missing and completeness over
        the ten inputs, flags age_clipped, extrapolated, no_diabetes, diabetes_after_age,
        hdl_above_total_chol.

    Raises:
        ValueError: A value that cannot be (such as HbA1c in per cent), an unknown sex, region or default.

    Source:
        Eur Heart J 2023;44:2544, Supplementary Methods.

    Example:
        A man and a woman of 60 years, diagnosed at 50, with HbA1c 70 mmol/mol and eGFR 60:

        >>> result = score2_diabetes(age_years=60, sex=["male", "female"], smoker=False, diabetes=True,
        ...                          sbp_mmhg=140, total_chol_mmol_l=5.5, hdl_mmol_l=1.3,
        ...                          age_at_diabetes_years=50, hba1c_mmol_mol=70, egfr_ml_min=60, region="low")
        >>> result.value.round(3)
        array([0.129, 0.098])
    """
    region = check_region(region)
    given = {
        "age_years": age_years,
        "sex": sex,
        "smoker": smoker,
        "diabetes": diabetes,
        "sbp_mmhg": sbp_mmhg,
        "total_chol_mmol_l": total_chol_mmol_l,
        "hdl_mmol_l": hdl_mmol_l,
        "age_at_diabetes_years": age_at_diabetes_years,
        "hba1c_mmol_mol": hba1c_mmol_mol,
        "egfr_ml_min": egfr_ml_min,
    }
    return assess(
        "score2_diabetes",
        given,
        partial(_risk, region=region),
        standard=STANDARD,
        valid_years=VALID_YEARS,
        rules=RULES,
        flags={
            "no_diabetes": lambda values: values["diabetes"] != 1,
            "diabetes_after_age": lambda values: values["age_at_diabetes_years"] > values["age_years"],
        },
        defaults=defaults,
        strict=strict,
    )


def _risk(known: dict[str, Array], sex: str, region: str) -> Array:
    terms = {
        "age": (known["age_years"] - 60) / 5,
        "smoker": known["smoker"],
        "diabetes": known["diabetes"],
        "sbp": (known["sbp_mmhg"] - 120) / 20,
        "total_chol": known["total_chol_mmol_l"] - 6,
        "hdl": (known["hdl_mmol_l"] - 1.3) / 0.5,
        "onset": (known["age_at_diabetes_years"] - 50) / 5,
        "hba1c": (known["hba1c_mmol_mol"] - 31) / 9.34,
        "egfr": (np.log(known["egfr_ml_min"]) - 4.5) / 0.15,
    }
    hazard = np.exp(linear_predictor(terms, COEFFICIENTS[sex]))
    return recalibrate(hazard, SCORE2_BASELINE_SURVIVAL[sex], SCORE2_SCALES[sex][region])


SCORE = Score(
    name="score2_diabetes",
    title="SCORE2-Diabetes: ten-year risk of fatal and non-fatal cardiovascular disease with type 2 diabetes",
    function=score2_diabetes,
    inputs=INPUTS,
    settings=("region", "defaults", "strict"),
    unit="fraction",
    source="Eur Heart J 2023;44:2544",
    validity="age 40 to under 70; type 2 diabetes, no previous CVD",
)
