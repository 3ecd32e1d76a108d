"""PREVENT base equations: ten-year risk of cardiovascular disease, ASCVD and heart failure in the United States.

Source: Khan et al., Circulation 2024;149:430 (doi 10.1161/CIRCULATIONAHA.123.067626), published online 2023;
coefficients of the ten-year base models in its supplement.
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
    "egfr_ml_min",
    "bp_treated",
    "statin",
)
HF_INPUTS = ("age_years", "sex", "smoker", "diabetes", "sbp_mmhg", "egfr_ml_min", "bp_treated", "bmi")

# Age per 10 years from 55; non-HDL cholesterol per mmol/L from 3.5; HDL per 0.3 mmol/L from 1.3; SBP per 20 mmHg
# below 110 (low) and above, from 130 (high); eGFR per -15 below 60 (low) and above, from 90 (high); BMI per 5
# below 30, from 25 (low), and above 30 (high). Each model is a logit.
TERMS = (
    *("age", "non_hdl", "hdl", "sbp_low", "sbp_high", "diabetes", "smoker", "egfr_low", "egfr_high"),
    *("treated", "statin", "sbp_high*treated", "non_hdl*statin", "age*non_hdl", "age*hdl", "age*sbp_high"),
    *("age*diabetes", "age*smoker", "age*egfr_low", "constant"),
)
HF_TERMS = (
    *("age", "sbp_low", "sbp_high", "diabetes", "smoker", "bmi_low", "bmi_high", "egfr_low", "egfr_high"),
    *("treated", "sbp_high*treated", "age*sbp_high", "age*diabetes", "age*smoker", "age*bmi_high"),
    *("age*egfr_low", "constant"),
)
CVD = {
    "female": (
        *(0.7939329, 0.0305239, -0.1606857, -0.2394003, 0.3600781, 0.8667604, 0.5360739, 0.6045917),
        *(0.0433769, 0.3151672, -0.1477655, -0.0663612, 0.1197879, -0.0819715, 0.0306769, -0.0946348),
        *(-0.27057, -0.078715, -0.1637806, -3.307728),
    ),
    "male": (
        *(0.7688528, 0.0736174, -0.0954431, -0.4347345, 0.3362658, 0.7692857, 0.4386871, 0.5378979),
        *(0.0164827, 0.288879, -0.1337349, -0.0475924, 0.150273, -0.0517874, 0.0191169, -0.1049477),
        *(-0.2251948, -0.0895067, -0.1543702, -3.031168),
    ),
}
ASCVD = {
    "female": (
        *(0.719883, 0.1176967, -0.151185, -0.0835358, 0.3592852, 0.8348585, 0.4831078, 0.4864619),
        *(0.0397779, 0.2265309, -0.0592374, -0.0395762, 0.0844423, -0.0567839, 0.0325692, -0.1035985),
        *(-0.2417542, -0.0791142, -0.1671492, -3.819975),
    ),
    "male": (
        *(0.7099847, 0.1658663, -0.1144285, -0.2837212, 0.3239977, 0.7189597, 0.3956973, 0.3690075),
        *(0.0203619, 0.2036522, -0.0865581, -0.0322916, 0.114563, -0.0300005, 0.0232747, -0.0927024),
        *(-0.2018525, -0.0970527, -0.1217081, -3.500655),
    ),
}
HF = {
    "female": (
        *(0.8998235, -0.4559771, 0.3576505, 1.038346, 0.583916, -0.0072294, 0.2997706, 0.7451638),
        *(0.0557087, 0.3534442, -0.0981511, -0.0946663, -0.3581041, -0.1159453, -0.003878, -0.1884289),
        -4.310409,
    ),
    "male": (
        *(0.8972642, -0.6811466, 0.3634461, 0.923776, 0.5023736, -0.0485841, 0.3726929, 0.6926917),
        *(0.0251827, 0.2980922, -0.0497731, -0.1289201, -0.3040924, -0.1401688, 0.0068126, -0.1797778),
        -3.946391,
    ),
}
COEFFICIENTS = {
    score: {sex: dict(zip(terms, numbers, strict=True)) for sex, numbers in model.items()}
    for score, terms, model in (
        ("prevent_cvd", TERMS, CVD),
        ("prevent_ascvd", TERMS, ASCVD),
        ("prevent_hf", HF_TERMS, HF),
    )
}

STANDARD: Standard = {
    "smoker": 0.0,
    "diabetes": 0.0,
    "sbp_mmhg": 130.0,
    "total_chol_mmol_l": 4.8,  # with HDL 1.3 the non-HDL cholesterol of the centre, 3.5
    "hdl_mmol_l": 1.3,
    "egfr_ml_min": 90.0,
    "bp_treated": 0.0,
    "statin": 0.0,
    "bmi": 25.0,
}
VALID_YEARS = (30.0, 80.0)
_ROUNDING = 1 + 1e-12  # so that a limit in mg/dL, converted, lies inside
# Flag to input, smallest and largest value inside.
RANGES = {
    "total_chol_out_of_range": ("total_chol_mmol_l", 130 * 0.02586 / _ROUNDING, 320 * 0.02586 * _ROUNDING),
    "hdl_out_of_range": ("hdl_mmol_l", 20 * 0.02586 / _ROUNDING, 100 * 0.02586 * _ROUNDING),
    "sbp_out_of_range": ("sbp_mmhg", 90.0, 200.0),
    "egfr_out_of_range": ("egfr_ml_min", 15.0, 150.0),
    "bmi_out_of_range": ("bmi", 18.5, float(np.nextafter(40, 0))),
}
RULES = {
    "extrapolated": "age is outside 30 to under 80 years",
    "total_chol_out_of_range": "total cholesterol is outside 3.36 to 8.28 mmol/L (130 to 320 mg/dL)",
    "hdl_out_of_range": "HDL cholesterol is outside 0.517 to 2.59 mmol/L (20 to 100 mg/dL)",
    "sbp_out_of_range": "systolic blood pressure is outside 90 to 200 mmHg",
    "egfr_out_of_range": "eGFR is outside 15 to 150 mL/min/1.73 m2",
    "bmi_out_of_range": "body mass index is outside 18.5 to under 40 kg/m2",
}
_prevent = partial(assess, standard=STANDARD, valid_years=VALID_YEARS, rules=RULES, ranges=RANGES)


def prevent_cvd(
    *,
    age_years: ArrayLike,
    sex: ArrayLike,
    smoker: ArrayLike = np.nan,
    diabetes: ArrayLike = np.nan,
    sbp_mmhg: ArrayLike = np.nan,
    total_chol_mmol_l: ArrayLike = np.nan,
    hdl_mmol_l: ArrayLike = np.nan,
    egfr_ml_min: ArrayLike = np.nan,
    bp_treated: ArrayLike = np.nan,
    statin: ArrayLike = np.nan,
    defaults: Defaults | None = None,
    strict: bool = False,
) -> RiskResult:
    """Ten-year risk of cardiovascular disease (ASCVD or heart failure) by PREVENT's base equation.

    An unknown input (NaN, None or "") takes the value in `defaults`, or else: no for smoking, diabetes and
    both treatments, SBP 130 mmHg, total cholesterol 4.8 and HDL 1.3 mmol/L, eGFR 90.

    Args:
        age_years: Age in years; scalar or array, as are all inputs; all are broadcast to one shape.
        sex: "female" or "male".
        smoker: Current smoker, True or False (1 or 0).
        diabetes: Diabetes, True or False.
        sbp_mmhg: Systolic blood pressure in mmHg. Below 110 the risk of the published equation falls with it.
        total_chol_mmol_l: Total cholesterol in mmol/L.
        hdl_mmol_l: HDL cholesterol in mmol/L.
        egfr_ml_min: Estimated glomerular filtration rate in mL/min/1.73 m2; see `egfr_ckd_epi_2021`.
        bp_treated: Takes drugs against high blood pressure, True or False.
        statin: Takes a statin, True or False.
        defaults: Values for unknown inputs, such as the cohort's medians: name to value, or to values by sex.
        strict: For one patient rather than as guidance: outside the validated ages (30 to under 80), total
            cholesterol (130 to 320 mg/dL), HDL (20 to 100 mg/dL), SBP (90 to 200 mmHg) or eGFR (15 to 150)
            the value is NaN, with a warning that says which rule. Otherwise the score is extrapolated, with
            flags, and ages are clipped to 18..100.

    Returns:
        `RiskResult`: value (fraction 0..1; NaN where age or sex is unknown), n_missing and completeness over
        the ten inputs, flags age_clipped, extrapolated, hdl_above_total_chol, and out_of_range for each of
        total_chol, hdl, sbp and egfr.

    Raises:
        ValueError: A value that cannot be (such as cholesterol in mg/dL), an unknown sex or default.

    Source:
        Circulation 2024;149:430, supplement, ten-year base model of total CVD.

    Example:
        The publication's worked example, of 50 years with diabetes and a treated SBP of 160 mmHg:

        >>> prevent_cvd(age_years=50, sex=["female", "male"], smoker=False, diabetes=True, sbp_mmhg=160, statin=False,
        ...             total_chol_mmol_l=200 * 0.02586, hdl_mmol_l=45 * 0.02586, egfr_ml_min=90,
        ...             bp_treated=True).value.round(3)
        array([0.147, 0.163])
    """
    given = {
        "age_years": age_years,
        "sex": sex,
        "smoker": smoker,
        "diabetes": diabetes,
        "sbp_mmhg": sbp_mmhg,
        "total_chol_mmol_l": total_chol_mmol_l,
        "hdl_mmol_l": hdl_mmol_l,
        "egfr_ml_min": egfr_ml_min,
        "bp_treated": bp_treated,
        "statin": statin,
    }
    formula = partial(_risk, score="prevent_cvd")
    return _prevent("prevent_cvd", given, formula, defaults=defaults, strict=strict)


def prevent_ascvd(
    *,
    age_years: ArrayLike,
    sex: ArrayLike,
    smoker: ArrayLike = np.nan,
    diabetes: ArrayLike = np.nan,
    sbp_mmhg: ArrayLike = np.nan,
    total_chol_mmol_l: ArrayLike = np.nan,
    hdl_mmol_l: ArrayLike = np.nan,
    egfr_ml_min: ArrayLike = np.nan,
    bp_treated: ArrayLike = np.nan,
    statin: ArrayLike = np.nan,
    defaults: Defaults | None = None,
    strict: bool = False,
) -> RiskResult:
    """Ten-year risk of atherosclerotic cardiovascular disease by PREVENT's base equation.

    Args:
        age_years: As in `prevent_cvd`, and so are all others.
        sex: "female" or "male".
        smoker: Current smoker.
        diabetes: Diabetes.
        sbp_mmhg: Systolic blood pressure in mmHg.
        total_chol_mmol_l: Total cholesterol in mmol/L.
        hdl_mmol_l: HDL cholesterol in mmol/L.
        egfr_ml_min: Estimated glomerular filtration rate in mL/min/1.73 m2.
        bp_treated: Takes drugs against high blood pressure.
        statin: Takes a statin.
        defaults: Values for unknown inputs.
        strict: For one patient rather than as guidance.

    Returns:
        `RiskResult`, as in `prevent_cvd`.

    Raises:
        ValueError: A value that cannot be (such as cholesterol in mg/dL), an unknown sex or default.

    Source:
        Circulation 2024;149:430, supplement, ten-year base model of ASCVD.

    Example:
        >>> prevent_ascvd(age_years=50, sex=["female", "male"], smoker=False, diabetes=True, sbp_mmhg=160, statin=False,
        ...               total_chol_mmol_l=200 * 0.02586, hdl_mmol_l=45 * 0.02586, egfr_ml_min=90,
        ...               bp_treated=True).value.round(3)
        array([0.092, 0.102])
    """
    given = {
        "age_years": age_years,
        "sex": sex,
        "smoker": smoker,
        "diabetes": diabetes,
        "sbp_mmhg": sbp_mmhg,
        "total_chol_mmol_l": total_chol_mmol_l,
        "hdl_mmol_l": hdl_mmol_l,
        "egfr_ml_min": egfr_ml_min,
        "bp_treated": bp_treated,
        "statin": statin,
    }
    formula = partial(_risk, score="prevent_ascvd")
    return _prevent("prevent_ascvd", given, formula, defaults=defaults, strict=strict)


def prevent_hf(
    *,
    age_years: ArrayLike,
    sex: ArrayLike,
    smoker: ArrayLike = np.nan,
    diabetes: ArrayLike = np.nan,
    sbp_mmhg: ArrayLike = np.nan,
    egfr_ml_min: ArrayLike = np.nan,
    bp_treated: ArrayLike = np.nan,
    bmi: ArrayLike = np.nan,
    defaults: Defaults | None = None,
    strict: bool = False,
) -> RiskResult:
    """Ten-year risk of heart failure by PREVENT's base equation, which has BMI in place of cholesterol.

    An unknown BMI is 25 kg/m2; for the others see `prevent_cvd`.

    Args:
        age_years: As in `prevent_cvd`, and so are all others.
        sex: "female" or "male".
        smoker: Current smoker.
        diabetes: Diabetes.
        sbp_mmhg: Systolic blood pressure in mmHg.
        egfr_ml_min: Estimated glomerular filtration rate in mL/min/1.73 m2.
        bp_treated: Takes drugs against high blood pressure.
        bmi: Body mass index in kg/m2; validated from 18.5 to under 40.
        defaults: Values for unknown inputs.
        strict: For one patient rather than as guidance.

    Returns:
        `RiskResult`: value (fraction 0..1; NaN where age or sex is unknown), n_missing and completeness over
        the eight inputs, flags age_clipped, extrapolated, and out_of_range for each of sbp, egfr and bmi.

    Raises:
        ValueError: A value that cannot be, an unknown sex or default.

    Source:
        Circulation 2024;149:430, supplement, ten-year base model of heart failure.

    Example:
        >>> prevent_hf(age_years=50, sex=["female", "male"], smoker=False, diabetes=True, sbp_mmhg=160, egfr_ml_min=90,
        ...            bp_treated=True, bmi=35).value.round(3)
        array([0.081, 0.106])
    """
    given = {
        "age_years": age_years,
        "sex": sex,
        "smoker": smoker,
        "diabetes": diabetes,
        "sbp_mmhg": sbp_mmhg,
        "egfr_ml_min": egfr_ml_min,
        "bp_treated": bp_treated,
        "bmi": bmi,
    }
    formula = partial(_risk, score="prevent_hf")
    return _prevent("prevent_hf", given, formula, defaults=defaults, strict=strict)


def _risk(known: dict[str, Array], sex: str, score: str) -> Array:
    sbp, egfr = known["sbp_mmhg"], known["egfr_ml_min"]
    terms = {
        "constant": np.ones_like(sbp),
        "age": (known["age_years"] - 55) / 10,
        "sbp_low": (np.minimum(sbp, 110) - 110) / 20,
        "sbp_high": (np.maximum(sbp, 110) - 130) / 20,
        "diabetes": known["diabetes"],
        "smoker": known["smoker"],
        "egfr_low": (np.minimum(egfr, 60) - 60) / -15,
        "egfr_high": (np.maximum(egfr, 60) - 90) / -15,
        "treated": known["bp_treated"],
    }
    if score == "prevent_hf":
        terms["bmi_low"] = (np.minimum(known["bmi"], 30) - 25) / 5
        terms["bmi_high"] = (np.maximum(known["bmi"], 30) - 30) / 5
    else:
        terms["statin"] = known["statin"]
        terms["non_hdl"] = known["total_chol_mmol_l"] - known["hdl_mmol_l"] - 3.5
        terms["hdl"] = (known["hdl_mmol_l"] - 1.3) / 0.3
    return 1 / (1 + np.exp(-linear_predictor(terms, COEFFICIENTS[score][sex])))


_LIPIDS = "total cholesterol 130 to 320 and HDL 20 to 100 mg/dL"
_LIMITS = "age 30 to under 80, SBP 90 to 200 mmHg, eGFR 15 to 150"
CVD_SCORE = Score(
    name="prevent_cvd",
    title="PREVENT base: ten-year risk of cardiovascular disease, heart failure included",
    function=prevent_cvd,
    inputs=INPUTS,
    settings=("defaults", "strict"),
    unit="fraction",
    source="Circulation 2024;149:430",
    validity=f"{_LIMITS}, {_LIPIDS}; no previous CVD",
)
ASCVD_SCORE = Score(
    name="prevent_ascvd",
    title="PREVENT base: ten-year risk of atherosclerotic cardiovascular disease",
    function=prevent_ascvd,
    inputs=INPUTS,
    settings=("defaults", "strict"),
    unit="fraction",
    source="Circulation 2024;149:430",
    validity=f"{_LIMITS}, {_LIPIDS}; no previous CVD",
)
HF_SCORE = Score(
    name="prevent_hf",
    title="PREVENT base: ten-year risk of heart failure",
    function=prevent_hf,
    inputs=HF_INPUTS,
    settings=("defaults", "strict"),
    unit="fraction",
    source="Circulation 2024;149:430",
    validity=f"{_LIMITS}, BMI 18.5 to under 40; no previous CVD",
)
