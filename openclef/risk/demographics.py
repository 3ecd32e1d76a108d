"""Age, and age and sex: scores that need no measurement, and the controls beside every other score."""

from __future__ import annotations

from numpy.typing import ArrayLike

from openclef.risk.esc_2021 import score2
from openclef.risk.inputs import count_missing, read_inputs
from openclef.risk.result import RiskResult, Score


def age(*, age_years: ArrayLike) -> RiskResult:
    """Age in years, as a risk score.

    Args:
        age_years: Age in years; scalar or array; NaN, None or "" where unknown.

    Returns:
        `RiskResult` with the age as given (years, not clipped).

    Raises:
        ValueError: An age outside 0..120.

    Example:
        >>> age(age_years=[61, None]).value
        array([61., nan])
    """
    values = read_inputs({"age_years": age_years})
    n_missing, completeness = count_missing(values, ("age_years",))
    return RiskResult(values["age_years"].copy(), n_missing, completeness)


def age_sex(*, age_years: ArrayLike, sex: ArrayLike, region: str = "low") -> RiskResult:
    """SCORE2 (from 70 years on SCORE2-OP) at its standard values for everything but age and sex.

    It is the guidance that a database with age and sex alone allows, and the control that shows what the
    other inputs of SCORE2 add. Its inputs are age and sex only: completeness is 1 for whoever has both. At 70
    years the formula changes and with it the standard SBP (120 to 150 mmHg), so the value jumps there.

    Args:
        age_years: Age in years; scalar or array; clipped to 18..100 and flagged.
        sex: "female" or "male".
        region: Risk region, as in `score2`.

    Returns:
        `RiskResult`: value (fraction 0..1, NaN where age or sex is unknown), n_missing, completeness and the
        flags age_clipped and extrapolated.

    Raises:
        ValueError: An impossible age, sex or region.

    Source:
        Eur Heart J 2021;42:2439 and 2021;42:2455.

    Example:
        >>> result = age_sex(age_years=60, sex=["female", "male", ""])
        >>> result.value.round(4).tolist(), result.completeness.tolist()
        ([0.0329, 0.05, nan], [1.0, 1.0, 0.5])
    """
    whole = score2(age_years=age_years, sex=sex, region=region)
    n_missing, completeness = count_missing(
        read_inputs({"age_years": age_years, "sex": sex}), ("age_years", "sex")
    )
    flags = {name: whole.flags[name] for name in ("age_clipped", "extrapolated")}
    return RiskResult(whole.value, n_missing, completeness, flags)


AGE = Score(
    name="age",
    title="Age",
    function=age,
    inputs=("age_years",),
    settings=(),
    unit="years",
    source="-",
    validity="any age",
)
AGE_SEX = Score(
    name="age_sex",
    title="SCORE2 and SCORE2-OP from age and sex alone, all else at the score's standard values",
    function=age_sex,
    inputs=("age_years", "sex"),
    settings=("region",),
    unit="fraction",
    source="Eur Heart J 2021;42:2439 (SCORE2) and 2021;42:2455 (SCORE2-OP)",
    validity="a control and a form of guidance, not a clinical score",
)
