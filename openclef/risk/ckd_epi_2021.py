"""CKD-EPI 2021: glomerular filtration rate from creatinine, an input of other scores.

Source: Inker et al., N Engl J Med 2021;385:1737 (doi 10.1056/NEJMoa2102953): the equation of creatinine, age
and sex, without race.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from openclef.risk.formula import by_sex
from openclef.risk.inputs import Array, read_inputs

ADULT_FROM_YEARS = 18.0
# Creatinine (mg/dL) where the slope changes, and the exponent below it.
KNOT = {"female": 0.7, "male": 0.9}
EXPONENT_BELOW = {"female": -0.241, "male": -0.302}
EXPONENT_ABOVE = -1.200
FACTOR = {"female": 142 * 1.012, "male": 142.0}
FACTOR_PER_YEAR = 0.9938


def egfr_ckd_epi_2021(*, creatinine_mg_dl: ArrayLike, age_years: ArrayLike, sex: ArrayLike) -> Array:
    """Estimate the glomerular filtration rate from creatinine, by CKD-EPI 2021.

    Args:
        creatinine_mg_dl: Serum creatinine in mg/dL (umol/L over 88.42); scalar or array.
        age_years: Age in years.
        sex: "female" or "male".

    Returns:
        eGFR in mL/min/1.73 m2, of the shape to which the inputs broadcast; NaN where an input is unknown and
        below 18 years, for which the equation was not made.

    Raises:
        ValueError: A value that cannot be, such as creatinine in umol/L.

    Source:
        N Engl J Med 2021;385:1737: 142 min(Scr / k, 1)^a max(Scr / k, 1)^-1.2 0.9938^age [1.012 if female];
        k 0.7 (female) or 0.9, a -0.241 (female) or -0.302.

    Example:
        >>> egfr_ckd_epi_2021(creatinine_mg_dl=[0.9, 1.0, None], age_years=[55, 50, 50],
        ...                   sex=["female", "male", "male"]).round(1)
        array([75.5, 91.7,  nan])
    """
    known = read_inputs({"creatinine_mg_dl": creatinine_mg_dl, "age_years": age_years, "sex": sex})
    return by_sex(_egfr, known, known["age_years"] >= ADULT_FROM_YEARS)


def _egfr(known: dict[str, Array], sex: str) -> Array:
    ratio = known["creatinine_mg_dl"] / KNOT[sex]
    slopes = np.minimum(ratio, 1) ** EXPONENT_BELOW[sex] * np.maximum(ratio, 1) ** EXPONENT_ABOVE
    return FACTOR[sex] * slopes * FACTOR_PER_YEAR ** known["age_years"]
