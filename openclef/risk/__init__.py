"""Clinical risk scores in plain numpy: scalars or arrays in, NaN for unknown, fractions out.

A new score is one file (its function and its `Score`) and one line in `SCORES`; an input that no score had
before gets a line in `openclef.risk.inputs.QUANTITIES`. torch is never imported here.

Example:
    >>> from openclef import risk
    >>> sorted(risk.SCORES)
    ['age', 'age_sex', 'score2']
    >>> float(risk.score2(age_years=50, sex="male", smoker=True, diabetes=False, sbp_mmhg=140,
    ...                   total_chol_mmol_l=6.3, hdl_mmol_l=1.4, region="high").value.round(3))
    0.088
"""

from __future__ import annotations

from openclef.risk import demographics, esc_2021
from openclef.risk.demographics import age, age_sex
from openclef.risk.esc_2021 import region_of, score2
from openclef.risk.patient import patient_arguments, score_patient
from openclef.risk.result import RiskResult, Score
from openclef.risk.summary import Description, describe
from openclef.risk.tables import score_table

SCORES: dict[str, Score] = {
    "score2": esc_2021.SCORE,
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
    "describe",
    "patient_arguments",
    "region_of",
    "score2",
    "score_patient",
    "score_table",
]
