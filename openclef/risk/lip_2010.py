"""CHA2DS2-VASc: points for the risk of stroke in atrial fibrillation.

Source: Lip et al., Chest 2010;137:263 (doi 10.1378/chest.09-1584), Table 2.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from openclef.risk.assessment import assess
from openclef.risk.inputs import Array, Defaults
from openclef.risk.result import RiskResult, Score

INPUTS = ("age_years", "sex", "heart_failure", "hypertension", "diabetes", "stroke", "vascular_disease")
POINTS = {"heart_failure": 1, "hypertension": 1, "diabetes": 1, "stroke": 2, "vascular_disease": 1}

VALID_YEARS = (18.0, np.inf)
RULES = {"extrapolated": "age is under 18 years"}


def cha2ds2_vasc(
    *,
    age_years: ArrayLike,
    sex: ArrayLike,
    heart_failure: ArrayLike = np.nan,
    hypertension: ArrayLike = np.nan,
    diabetes: ArrayLike = np.nan,
    stroke: ArrayLike = np.nan,
    vascular_disease: ArrayLike = np.nan,
    defaults: Defaults | None = None,
    strict: bool = False,
) -> RiskResult:
    """CHA2DS2-VASc, 0 to 9 points: the risk of stroke of a patient with atrial fibrillation.

    It needs no measurement at all, only diagnoses. An unknown one (NaN, None or "") counts as no, or as
    `defaults` says. The value is in points; guidance sees the differences between patients over their largest
    difference, so points and points / 9 guide alike.

    Args:
        age_years: Age in years (65 to 74: 1 point, from 75 on 2); scalar or array, as are all inputs.
        sex: "female" (1 point) or "male".
        heart_failure: Heart failure or left ventricular dysfunction, True or False (1 or 0).
        hypertension: Hypertension.
        diabetes: Diabetes.
        stroke: Previous stroke, TIA or thromboembolism (2 points).
        vascular_disease: Previous infarction, peripheral artery disease or aortic plaque.
        defaults: Values for unknown inputs: name to value, or to values by sex.
        strict: For one patient rather than as guidance: under 18 years the value is NaN, with a warning.

    Returns:
        `RiskResult`: value (points 0..9; NaN where age or sex is unknown), n_missing and completeness over
        the seven inputs, flags age_clipped, extrapolated.

    Raises:
        ValueError: A value that cannot be, an unknown sex or default.

    Source:
        Chest 2010;137:263, Table 2.

    Example:
        >>> cha2ds2_vasc(age_years=[70, 50], sex=["female", "male"], hypertension=[True, False],
        ...              diabetes=[True, False]).value
        array([4., 0.])
    """
    given = {
        "age_years": age_years,
        "sex": sex,
        "heart_failure": heart_failure,
        "hypertension": hypertension,
        "diabetes": diabetes,
        "stroke": stroke,
        "vascular_disease": vascular_disease,
    }
    return assess(
        "cha2ds2_vasc",
        given,
        _points,
        standard=dict.fromkeys(POINTS, 0.0),
        valid_years=VALID_YEARS,
        rules=RULES,
        defaults=defaults,
        strict=strict,
    )


def _points(known: dict[str, Array], sex: str) -> Array:
    age = known["age_years"]
    return (
        np.where(age >= 75, 2.0, np.where(age >= 65, 1.0, 0.0))
        + (1.0 if sex == "female" else 0.0)
        + np.sum([points * known[name] for name, points in POINTS.items()], axis=0)
    )


SCORE = Score(
    name="cha2ds2_vasc",
    title="CHA2DS2-VASc: risk of stroke in atrial fibrillation",
    function=cha2ds2_vasc,
    inputs=INPUTS,
    settings=("defaults", "strict"),
    unit="points",
    source="Chest 2010;137:263",
    validity="adults with atrial fibrillation without mitral stenosis or a mechanical valve; 0 to 9 points",
)
