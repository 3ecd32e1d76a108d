"""Clinical risk scores in plain numpy: scalars or arrays in, NaN for unknown, fractions out.

A new score is one file (its function and its `Score`) and one line in `SCORES`; an input that no score had
before gets a line in `openclef.risk.inputs.QUANTITIES`. torch is never imported here.

Example:
    >>> from openclef import risk
    >>> sorted(risk.SCORES)
    ['age', 'age_sex', 'cha2ds2_vasc', 'framingham', 'framingham_bmi', 'prevent_ascvd', 'prevent_cvd', 'prevent_hf',
     'score2', 'score2_diabetes']
    >>> float(risk.score2(age_years=50, sex="male", smoker=True, diabetes=False, sbp_mmhg=140,
    ...                   total_chol_mmol_l=6.3, hdl_mmol_l=1.4, region="high").value.round(3))
    0.088
"""

from __future__ import annotations

from openclef.risk import aha_prevent_2023, demographics, esc_2021, esc_2023, framingham_2008, lip_2010
from openclef.risk.aha_prevent_2023 import prevent_ascvd, prevent_cvd, prevent_hf
from openclef.risk.ckd_epi_2021 import egfr_ckd_epi_2021
from openclef.risk.demographics import age, age_sex
from openclef.risk.esc_2021 import region_of, score2
from openclef.risk.esc_2023 import score2_diabetes
from openclef.risk.framingham_2008 import framingham, framingham_bmi
from openclef.risk.lip_2010 import cha2ds2_vasc
from openclef.risk.patient import patient_arguments, score_patient
from openclef.risk.result import RiskResult, Score
from openclef.risk.summary import Description, describe
from openclef.risk.tables import score_table, unknown_inputs

SCORES: dict[str, Score] = {
    "score2": esc_2021.SCORE,
    "score2_diabetes": esc_2023.SCORE,
    "framingham": framingham_2008.FRAMINGHAM,
    "framingham_bmi": framingham_2008.FRAMINGHAM_BMI,
    "prevent_cvd": aha_prevent_2023.CVD_SCORE,
    "prevent_ascvd": aha_prevent_2023.ASCVD_SCORE,
    "prevent_hf": aha_prevent_2023.HF_SCORE,
    "cha2ds2_vasc": lip_2010.SCORE,
    "age": demographics.AGE,
    "age_sex": demographics.AGE_SEX,
}

__all__ = [
    "SCORES",
    "Description",
    "RiskResult",
    "Score",
    "age",
    "age_sex",
    "cha2ds2_vasc",
    "describe",
    "egfr_ckd_epi_2021",
    "framingham",
    "framingham_bmi",
    "patient_arguments",
    "prevent_ascvd",
    "prevent_cvd",
    "prevent_hf",
    "region_of",
    "score2",
    "score2_diabetes",
    "score_patient",
    "score_table",
    "unknown_inputs",
]
