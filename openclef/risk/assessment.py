"""The steps that every score takes from its inputs as given to its result."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from numpy.typing import ArrayLike

from openclef.risk.formula import by_sex
from openclef.risk.inputs import Array, Defaults, clip_age, count_missing, fill_unknown, read_inputs
from openclef.risk.result import RiskResult
from openclef.risk.validity import outside, withhold

Values = dict[str, Array]
Standard = Mapping[str, "float | Callable[[Values], Array]"]
Flags = Mapping[str, Callable[[Values], Array]]
Ranges = Mapping[str, "tuple[str, float, float]"]


def assess(
    score: str,
    given: Mapping[str, ArrayLike],
    formula: Callable[[Values, str], Array],
    *,
    standard: Standard,
    valid_years: tuple[float, float],
    rules: Mapping[str, str],
    flags: Flags | None = None,
    ranges: Ranges | None = None,
    defaults: Defaults | None = None,
    strict: bool = False,
) -> RiskResult:
    """Read inputs, count the unknown, clip ages, fill in, compute by sex, flag, and withhold in strict use.

    A score's public function calls this one, so that a warning of strict use names the line that called it.

    Args:
        score: The score's name.
        given: Its inputs as its caller gave them, with age_years and sex.
        formula: Takes the filled inputs of patients of one sex, and that sex; returns their values.
        standard: What an unknown input becomes: a number, or a function of the inputs with clipped ages.
            Names that the score does not have are left out, here and in `rules` and `ranges`.
        valid_years: First age that is validated, and the first that is not any more.
        rules: Flag to the rule of validity that it breaks, in words.
        flags: Flag to a function of the inputs (age not clipped; NaN where unknown) that says who has it.
        ranges: Flag to an input and its smallest and largest validated value.
        defaults: The caller's values for unknown inputs.
        strict: Whether breaking a rule withholds the value.

    Returns:
        `RiskResult` with the flags age_clipped, extrapolated, hdl_above_total_chol where the score has both,
        and those of `flags` and `ranges`.

    Raises:
        ValueError: An input or a default that cannot be.

    Example:
        >>> assess("mine", {"age_years": [50, 80], "sex": "male", "sbp_mmhg": [None, 140]},
        ...        lambda known, sex: known["sbp_mmhg"] / 1000, standard={"sbp_mmhg": 120.0},
        ...        valid_years=(40, 70), rules={"extrapolated": "age is outside 40 to under 70"}).value
        array([0.12, 0.14])
    """
    values = read_inputs(given)
    n_missing, completeness = count_missing(values, tuple(given))
    age, age_clipped = clip_age(values["age_years"])
    clipped = values | {"age_years": age}
    chosen = {
        name: value(clipped) if callable(value) else value
        for name, value in standard.items()
        if name in given
    }
    value = by_sex(formula, fill_unknown(clipped, chosen, defaults))
    found = {"age_clipped": age_clipped, "extrapolated": outside(values["age_years"], *valid_years)}
    for flag, who in (flags or {}).items():
        found[flag] = who(values)
    for flag, (name, low, high) in (ranges or {}).items():
        if name in given:
            found[flag] = outside(values[name], low, high, to=True)
    if "hdl_mmol_l" in given and "total_chol_mmol_l" in given:
        found["hdl_above_total_chol"] = values["hdl_mmol_l"] > values["total_chol_mmol_l"]
    if strict:
        broken = {flag: rule for flag, rule in rules.items() if flag in found}
        value = withhold(score, value, found, broken, stacklevel=4)
    return RiskResult(value, n_missing, completeness, found)
