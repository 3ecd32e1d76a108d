"""SCORE2 and SCORE2-OP: ten-year risk of fatal and non-fatal cardiovascular disease in Europe.

Sources: SCORE2 working group, Eur Heart J 2021;42:2439 (doi 10.1093/eurheartj/ehab309), Supplementary Methods
Tables 2-4; SCORE2-OP working group, Eur Heart J 2021;42:2455 (doi 10.1093/eurheartj/ehab312).
"""

from __future__ import annotations

from functools import partial

import numpy as np
from numpy.typing import ArrayLike

from openclef.risk.assessment import Standard, assess
from openclef.risk.formula import linear_predictor
from openclef.risk.inputs import Array, Defaults
from openclef.risk.result import RiskResult, Score

INPUTS = ("age_years", "sex", "smoker", "diabetes", "sbp_mmhg", "total_chol_mmol_l", "hdl_mmol_l")
REGIONS = ("low", "moderate", "high", "very_high")

# Log hazard ratios. SCORE2 (ehab309): age per 5 years from 60, SBP per 20 mmHg from 120, total cholesterol
# per mmol/L from 6, HDL per 0.5 mmol/L from 1.3.
SCORE2_COEFFICIENTS = {
    "male": {
        "age": 0.3742,
        "smoker": 0.6012,
        "sbp": 0.2777,
        "diabetes": 0.6457,
        "total_chol": 0.1458,
        "hdl": -0.2698,
        "age*smoker": -0.0755,
        "age*sbp": -0.0255,
        "age*total_chol": -0.0281,
        "age*hdl": 0.0426,
        "age*diabetes": -0.0983,
    },
    "female": {
        "age": 0.4648,
        "smoker": 0.7744,
        "sbp": 0.3131,
        "diabetes": 0.8096,
        "total_chol": 0.1002,
        "hdl": -0.2606,
        "age*smoker": -0.1088,
        "age*sbp": -0.0277,
        "age*total_chol": -0.0226,
        "age*hdl": 0.0613,
        "age*diabetes": -0.1272,
    },
}
SCORE2_BASELINE_SURVIVAL = {"male": 0.9605, "female": 0.9776}
# Recalibration to the region: (scale 1, scale 2).
SCORE2_SCALES = {
    "male": {
        "low": (-0.5699, 0.7476),
        "moderate": (-0.1565, 0.8009),
        "high": (0.3207, 0.9360),
        "very_high": (0.5836, 0.8294),
    },
    "female": {
        "low": (-0.7380, 0.7019),
        "moderate": (-0.3143, 0.7701),
        "high": (0.5710, 0.9369),
        "very_high": (0.9412, 0.8329),
    },
}

# SCORE2-OP (ehab312): age from 73, SBP from 150, total cholesterol from 6, HDL from 1.4, all per unit.
SCORE2_OP_COEFFICIENTS = {
    "male": {
        "age": 0.0634,
        "diabetes": 0.4245,
        "smoker": 0.3524,
        "sbp": 0.0094,
        "total_chol": 0.0850,
        "hdl": -0.3564,
        "age*diabetes": -0.0174,
        "age*smoker": -0.0247,
        "age*sbp": -0.0005,
        "age*total_chol": 0.0073,
        "age*hdl": 0.0091,
    },
    "female": {
        "age": 0.0789,
        "diabetes": 0.6010,
        "smoker": 0.4921,
        "sbp": 0.0102,
        "total_chol": 0.0605,
        "hdl": -0.3040,
        "age*diabetes": -0.0107,
        "age*smoker": -0.0255,
        "age*sbp": -0.0004,
        "age*total_chol": -0.0009,
        "age*hdl": 0.0154,
    },
}
SCORE2_OP_BASELINE_SURVIVAL = {"male": 0.7576, "female": 0.8082}
SCORE2_OP_MEAN = {"male": 0.0929, "female": 0.2290}
SCORE2_OP_SCALES = {
    "male": {"low": (-0.34, 1.19), "moderate": (0.01, 1.25), "high": (0.08, 1.15), "very_high": (0.05, 0.70)},
    "female": {
        "low": (-0.52, 1.01),
        "moderate": (-0.10, 1.10),
        "high": (0.38, 1.09),
        "very_high": (0.38, 0.69),
    },
}

OLDER_FROM_YEARS = 70.0  # SCORE2 below, SCORE2-OP from here on
VALID_YEARS = (40.0, 90.0)  # SCORE2 [40, 70), SCORE2-OP [70, 90)
STANDARD: Standard = {
    "smoker": 0.0,
    "diabetes": 0.0,
    "sbp_mmhg": lambda values: np.where(_older(values), 150.0, 120.0),
    "total_chol_mmol_l": 6.0,
    "hdl_mmol_l": lambda values: np.where(_older(values), 1.4, 1.3),
}
RULES = {
    "extrapolated": "age is outside 40 to under 90 years (from 70 on SCORE2-OP)",
    "diabetes": "SCORE2 is for people without diabetes; use score2_diabetes",
}

# Countries by ISO 3166 code (ehab309, Figure 1). Countries of North Africa and the Middle East, of which the
# paper names a part, are left out, and so is every country outside the paper, such as the USA.
COUNTRIES = {
    "low": "BE DK FR IL LU NO ES CH NL GB",
    "moderate": "AT CY FI DE GR IS IE IT MT PT SM SI SE",
    "high": "AL BA HR CZ EE HU KZ PL SK TR",
    "very_high": "AM AZ BY BG GE KG LV LT MK MD ME RO RU RS UA UZ",
}


def score2(
    *,
    age_years: ArrayLike,
    sex: ArrayLike,
    smoker: ArrayLike = np.nan,
    diabetes: ArrayLike = np.nan,
    sbp_mmhg: ArrayLike = np.nan,
    total_chol_mmol_l: ArrayLike = np.nan,
    hdl_mmol_l: ArrayLike = np.nan,
    region: str = "low",
    defaults: Defaults | None = None,
    strict: bool = False,
) -> RiskResult:
    """Ten-year risk of cardiovascular disease by SCORE2 (below 70 years) and SCORE2-OP (from 70 years on).

    An unknown input (NaN, None or "") takes the value in `defaults`, or else the score's own: no for smoking
    and diabetes, SBP 120 mmHg (150 from 70 years on), total cholesterol 6.0 mmol/L, HDL 1.3 mmol/L (1.4 from
    70 on). Because of the two values of SBP the risk of a patient with unknown SBP jumps up at 70; a value in
    `defaults` leaves only the jump between the two formulas.

    Args:
        age_years: Age in years; scalar or array, as are all inputs; all are broadcast to one shape.
        sex: "female" or "male".
        smoker: Current smoker, True or False (1 or 0).
        diabetes: Diabetes, True or False. The published score is for people without; this switches on the
            term that the authors used in recalibration.
        sbp_mmhg: Systolic blood pressure in mmHg.
        total_chol_mmol_l: Total cholesterol in mmol/L.
        hdl_mmol_l: HDL cholesterol in mmol/L.
        region: Risk region of the country: "low", "moderate", "high" or "very_high"; see `region_of`.
        defaults: Values for unknown inputs, such as the cohort's medians: name to value, or to values by sex.
        strict: For one patient rather than as guidance: outside the validated ages (40 to under 90) and for
            people with diabetes the value is NaN, with a warning that says which rule. Otherwise the score is
            extrapolated, with ages clipped to 18..100 and flagged.

    Returns:
        `RiskResult`: value (fraction 0..1; NaN where age or sex is unknown), n_missing and completeness over
        the seven inputs, flags age_clipped, extrapolated, diabetes, hdl_above_total_chol.

    Raises:
        ValueError: A value that cannot be (such as cholesterol in mg/dL), an unknown sex, region or default.

    Source:
        SCORE2: Eur Heart J 2021;42:2439, Supplementary Methods Tables 2-4. SCORE2-OP: Eur Heart J
            2021;42:2455.

    Example:
        The worked example of SCORE2's Supplementary Table 4, a man and a woman in a low-risk region:

        >>> result = score2(age_years=50, sex=["male", "female"], smoker=True, diabetes=False, sbp_mmhg=140,
        ...                 total_chol_mmol_l=6.3, hdl_mmol_l=1.4, region="low")
        >>> result.value.round(3)
        array([0.063, 0.043])
        >>> score2(age_years=50, sex="male", smoker=True).completeness
        array(0.42857143)
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
    }
    return assess(
        "score2",
        given,
        partial(_risk, region=region),
        standard=STANDARD,
        valid_years=VALID_YEARS,
        rules=RULES,
        flags={"diabetes": lambda values: values["diabetes"] == 1},
        defaults=defaults,
        strict=strict,
    )


def _risk(known: dict[str, Array], sex: str, region: str) -> Array:
    older = _older(known)
    value = np.empty(older.shape)
    for formula, who in ((_score2, ~older), (_score2_op, older)):
        value[who] = formula({name: column[who] for name, column in known.items()}, sex, region)
    return value


def _older(values: dict[str, Array]) -> Array:
    return np.asarray(values["age_years"] >= OLDER_FROM_YEARS)


def _score2(known: dict[str, Array], sex: str, region: str) -> Array:
    terms = {
        "age": (known["age_years"] - 60) / 5,
        "smoker": known["smoker"],
        "diabetes": known["diabetes"],
        "sbp": (known["sbp_mmhg"] - 120) / 20,
        "total_chol": known["total_chol_mmol_l"] - 6,
        "hdl": (known["hdl_mmol_l"] - 1.3) / 0.5,
    }
    hazard = np.exp(linear_predictor(terms, SCORE2_COEFFICIENTS[sex]))
    return recalibrate(hazard, SCORE2_BASELINE_SURVIVAL[sex], SCORE2_SCALES[sex][region])


def _score2_op(known: dict[str, Array], sex: str, region: str) -> Array:
    terms = {
        "age": known["age_years"] - 73,
        "smoker": known["smoker"],
        "diabetes": known["diabetes"],
        "sbp": known["sbp_mmhg"] - 150,
        "total_chol": known["total_chol_mmol_l"] - 6,
        "hdl": known["hdl_mmol_l"] - 1.4,
    }
    hazard = np.exp(linear_predictor(terms, SCORE2_OP_COEFFICIENTS[sex]) - SCORE2_OP_MEAN[sex])
    return recalibrate(hazard, SCORE2_OP_BASELINE_SURVIVAL[sex], SCORE2_OP_SCALES[sex][region])


def recalibrate(hazard_ratio: Array, baseline_survival: float, scales: tuple[float, float]) -> Array:
    """Ten-year risk from a hazard ratio, recalibrated to a region.

    u = 1 - S0^hazard_ratio; risk = 1 - exp(-exp(scale 1 + scale 2 ln(-ln(1 - u)))), and ln(1 - u) is
    hazard_ratio ln S0.

    Args:
        hazard_ratio: Exponential of the (centred) linear predictor, one a patient.
        baseline_survival: Ten-year baseline survival S0.
        scales: The region's scale 1 and scale 2.

    Returns:
        Risk, a fraction 0..1.

    Source:
        Eur Heart J 2021;42:2439, Supplementary Methods Table 4.

    Example:
        >>> float(recalibrate(np.array(1.0), 0.9605, (0.0, 1.0)).round(4))
        0.0395
    """
    cumulative_hazard = -hazard_ratio * np.log(baseline_survival)
    scale1, scale2 = scales
    return -np.expm1(-np.exp(scale1 + scale2 * np.log(cumulative_hazard)))


def check_region(region: str) -> str:
    """Return the risk region, or raise an error that lists the regions.

    Args:
        region: "low", "moderate", "high" or "very_high".

    Returns:
        The same.

    Raises:
        ValueError: Any other value.

    Example:
        >>> check_region("very high")
        Traceback (most recent call last):
            ...
        ValueError: region is 'very high'; accepted are low, moderate, high, very_high;
        region_of(country) finds a country's region.
    """
    if not isinstance(region, str) or region not in REGIONS:
        raise ValueError(
            f"region is {region!r}; accepted are {', '.join(REGIONS)}; "
            "region_of(country) finds a country's region."
        )
    return region


def region_of(country: str) -> str:
    """The SCORE2 risk region of a country.

    Args:
        country: ISO 3166 two-letter code, such as "DE"; "UK" is taken as "GB".

    Returns:
        "low", "moderate", "high" or "very_high".

    Raises:
        ValueError: A country that the publication does not assign to a region, such as the USA.

    Source:
        Eur Heart J 2021;42:2439, Figure 1 and Supplementary Methods.

    Example:
        >>> region_of("DE"), region_of("NO")
        ('moderate', 'low')
        >>> region_of("US")
        Traceback (most recent call last):
            ...
        ValueError: country is 'US'; accepted are the two-letter codes ... choose a region and say so.
    """
    code = "GB" if country == "UK" else country
    for region, countries in COUNTRIES.items():
        if code in countries.split():
            return region
    accepted = " ".join(sorted(" ".join(COUNTRIES.values()).split()))
    raise ValueError(
        f"country is {country!r}; accepted are the two-letter codes of countries with a SCORE2 region "
        f"({accepted}); SCORE2 is calibrated for no other country: choose a region and say so."
    )


SCORE = Score(
    name="score2",
    title="SCORE2 and SCORE2-OP: ten-year risk of fatal and non-fatal cardiovascular disease",
    function=score2,
    inputs=INPUTS,
    settings=("region", "defaults", "strict"),
    unit="fraction",
    source="Eur Heart J 2021;42:2439 (SCORE2) and 2021;42:2455 (SCORE2-OP)",
    validity="age 40 to under 70 (SCORE2), 70 to under 90 (SCORE2-OP); no diabetes, no previous CVD",
)
