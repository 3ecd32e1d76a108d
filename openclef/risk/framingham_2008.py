"""Framingham 2008: ten-year risk of general cardiovascular disease, with laboratory values or with BMI.

Source: D'Agostino et al., Circulation 2008;117:743 (doi 10.1161/CIRCULATIONAHA.107.699579): the
regression coefficients and baseline survival of the primary model and of the one with BMI in place of lipids.
"""

from __future__ import annotations

from functools import partial

import numpy as np
from numpy.typing import ArrayLike

from openclef.risk.assessment import Standard, assess
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
    "bp_treated",
)
BMI_INPUTS = ("age_years", "sex", "smoker", "diabetes", "sbp_mmhg", "bp_treated", "bmi")

# Log hazard ratios of natural logarithms; cholesterol in mg/dL. One of the two terms of SBP is 0.
COEFFICIENTS = {
    "male": {
        "age": 3.06117,
        "total_chol": 1.12370,
        "hdl": -0.93263,
        "sbp*untreated": 1.93303,
        "sbp*treated": 1.99881,
        "smoker": 0.65451,
        "diabetes": 0.57367,
    },
    "female": {
        "age": 2.32888,
        "total_chol": 1.20904,
        "hdl": -0.70833,
        "sbp*untreated": 2.76157,
        "sbp*treated": 2.82263,
        "smoker": 0.52873,
        "diabetes": 0.69154,
    },
}
MEAN = {"male": 23.9802, "female": 26.1931}
BASELINE_SURVIVAL = {"male": 0.88936, "female": 0.95012}

BMI_COEFFICIENTS = {
    "male": {
        "age": 3.11296,
        "bmi": 0.79277,
        "sbp*untreated": 1.85508,
        "sbp*treated": 1.92672,
        "smoker": 0.70953,
        "diabetes": 0.53160,
    },
    "female": {
        "age": 2.72107,
        "bmi": 0.51125,
        "sbp*untreated": 2.81291,
        "sbp*treated": 2.88267,
        "smoker": 0.61868,
        "diabetes": 0.77763,
    },
}
BMI_MEAN = {"male": 23.9388, "female": 26.0145}
BMI_BASELINE_SURVIVAL = {"male": 0.88431, "female": 0.94833}

MMOL_L_PER_MG_DL = 0.02586
VALID_YEARS = (30.0, 75.0)
RULES = {"extrapolated": "age is outside 30 to under 75 years"}
STANDARD: Standard = {
    "smoker": 0.0,
    "diabetes": 0.0,
    "sbp_mmhg": 130.0,
    "total_chol_mmol_l": 5.2,
    "hdl_mmol_l": 1.3,
    "bp_treated": 0.0,
    "bmi": 25.0,
}
_framingham = partial(assess, standard=STANDARD, valid_years=VALID_YEARS, rules=RULES)


def framingham(
    *,
    age_years: ArrayLike,
    sex: ArrayLike,
    smoker: ArrayLike = np.nan,
    diabetes: ArrayLike = np.nan,
    sbp_mmhg: ArrayLike = np.nan,
    total_chol_mmol_l: ArrayLike = np.nan,
    hdl_mmol_l: ArrayLike = np.nan,
    bp_treated: ArrayLike = np.nan,
    defaults: Defaults | None = None,
    strict: bool = False,
) -> RiskResult:
    """Ten-year risk of general cardiovascular disease by Framingham 2008, with cholesterol.

    An unknown input (NaN, None or "") takes the value in `defaults`, or else: no for smoking, diabetes and
    treatment, SBP 130 mmHg, total cholesterol 5.2 and HDL 1.3 mmol/L.

    Args:
        age_years: Age in years; scalar or array, as are all inputs; all are broadcast to one shape.
        sex: "female" or "male".
        smoker: Current smoker, True or False (1 or 0).
        diabetes: Diabetes, True or False.
        sbp_mmhg: Systolic blood pressure in mmHg.
        total_chol_mmol_l: Total cholesterol in mmol/L (the publication's mg/dL are converted inside).
        hdl_mmol_l: HDL cholesterol in mmol/L.
        bp_treated: Takes drugs against high blood pressure, True or False.
        defaults: Values for unknown inputs, such as the cohort's medians: name to value, or to values by sex.
        strict: For one patient rather than as guidance: outside the validated ages (30 to under 75) the value
            is NaN, with a warning. Otherwise the score is extrapolated, with ages clipped to 18..100 and
            flagged.

    Returns:
        `RiskResult`: value (fraction 0..1; NaN where age or sex is unknown), n_missing and completeness over
        the eight inputs, flags age_clipped, extrapolated, hdl_above_total_chol.

    Raises:
        ValueError: A value that cannot be (such as cholesterol in mg/dL), an unknown sex or default.

    Source:
        Circulation 2008;117:743, primary model.

    Example:
        The publication's examples: a woman of 61, and a man of 53 with diabetes under treatment:

        >>> result = framingham(age_years=[61, 53], sex=["female", "male"], smoker=[True, False],
        ...                     diabetes=[False, True], sbp_mmhg=[124, 125], bp_treated=[False, True],
        ...                     total_chol_mmol_l=[180 * 0.02586, 161 * 0.02586],
        ...                     hdl_mmol_l=[47 * 0.02586, 55 * 0.02586])
        >>> result.value.round(3)
        array([0.105, 0.156])
    """
    given = {
        "age_years": age_years,
        "sex": sex,
        "smoker": smoker,
        "diabetes": diabetes,
        "sbp_mmhg": sbp_mmhg,
        "total_chol_mmol_l": total_chol_mmol_l,
        "hdl_mmol_l": hdl_mmol_l,
        "bp_treated": bp_treated,
    }
    formula = partial(_risk, score="framingham")
    return _framingham("framingham", given, formula, defaults=defaults, strict=strict)


def framingham_bmi(
    *,
    age_years: ArrayLike,
    sex: ArrayLike,
    smoker: ArrayLike = np.nan,
    diabetes: ArrayLike = np.nan,
    sbp_mmhg: ArrayLike = np.nan,
    bp_treated: ArrayLike = np.nan,
    bmi: ArrayLike = np.nan,
    defaults: Defaults | None = None,
    strict: bool = False,
) -> RiskResult:
    """Ten-year risk of general cardiovascular disease by Framingham 2008, with BMI in place of cholesterol.

    It needs nothing from a laboratory. An unknown input (NaN, None or "") takes the value in `defaults`, or
    else: no for smoking, diabetes and treatment, SBP 130 mmHg, BMI 25 kg/m2.

    Args:
        age_years: Age in years; scalar or array, as are all inputs; all are broadcast to one shape.
        sex: "female" or "male".
        smoker: Current smoker, True or False (1 or 0).
        diabetes: Diabetes, True or False.
        sbp_mmhg: Systolic blood pressure in mmHg.
        bp_treated: Takes drugs against high blood pressure, True or False.
        bmi: Body mass index in kg/m2.
        defaults: Values for unknown inputs, such as the cohort's medians: name to value, or to values by sex.
        strict: As in `framingham`.

    Returns:
        `RiskResult`: value (fraction 0..1; NaN where age or sex is unknown), n_missing and completeness over
        the seven inputs, flags age_clipped, extrapolated.

    Raises:
        ValueError: A value that cannot be, an unknown sex or default.

    Source:
        Circulation 2008;117:743, model with BMI in place of lipids.

    Example:
        >>> framingham_bmi(age_years=[55], sex="male", smoker=False, diabetes=False, sbp_mmhg=140,
        ...                bp_treated=False, bmi=30).value.round(4)
        array([0.1675])
    """
    given = {
        "age_years": age_years,
        "sex": sex,
        "smoker": smoker,
        "diabetes": diabetes,
        "sbp_mmhg": sbp_mmhg,
        "bp_treated": bp_treated,
        "bmi": bmi,
    }
    formula = partial(_risk, score="framingham_bmi")
    return _framingham("framingham_bmi", given, formula, defaults=defaults, strict=strict)


def _risk(known: dict[str, Array], sex: str, score: str) -> Array:
    terms = {
        "age": np.log(known["age_years"]),
        "sbp": np.log(known["sbp_mmhg"]),
        "treated": known["bp_treated"],
        "untreated": 1 - known["bp_treated"],
        "smoker": known["smoker"],
        "diabetes": known["diabetes"],
    }
    if score == "framingham_bmi":
        terms["bmi"] = np.log(known["bmi"])
        coefficients, mean, survival = BMI_COEFFICIENTS[sex], BMI_MEAN[sex], BMI_BASELINE_SURVIVAL[sex]
    else:
        terms["total_chol"] = np.log(known["total_chol_mmol_l"] / MMOL_L_PER_MG_DL)
        terms["hdl"] = np.log(known["hdl_mmol_l"] / MMOL_L_PER_MG_DL)
        coefficients, mean, survival = COEFFICIENTS[sex], MEAN[sex], BASELINE_SURVIVAL[sex]
    # 1 - S0^exp(LP - mean)
    return -np.expm1(np.exp(linear_predictor(terms, coefficients) - mean) * np.log(survival))


FRAMINGHAM = Score(
    name="framingham",
    title="Framingham 2008: ten-year risk of general cardiovascular disease",
    function=framingham,
    inputs=INPUTS,
    settings=("defaults", "strict"),
    unit="fraction",
    source="Circulation 2008;117:743",
    validity="age 30 to under 75; no previous CVD",
)
FRAMINGHAM_BMI = Score(
    name="framingham_bmi",
    title="Framingham 2008 without laboratory: ten-year risk of general cardiovascular disease",
    function=framingham_bmi,
    inputs=BMI_INPUTS,
    settings=("defaults", "strict"),
    unit="fraction",
    source="Circulation 2008;117:743",
    validity="age 30 to under 75; no previous CVD",
)
