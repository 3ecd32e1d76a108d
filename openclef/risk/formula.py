"""What the formulas of several publications share: a sum of terms, and one set of coefficients for each sex."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from openclef.risk.inputs import SEXES, Array

ROWS_AT_A_TIME = 32_768  # all that a formula makes of them stays in the processor's caches


def linear_predictor(terms: Mapping[str, Array], coefficients: Mapping[str, float]) -> Array:
    """Sum of coefficients times terms; a name such as "age*sbp" is the product of two terms.

    Args:
        terms: Term name to one value per patient.
        coefficients: Term name, or two joined by "*", to its coefficient.

    Returns:
        One value per patient.

    Example:
        >>> terms = {"age": np.array([1.0, 2.0]), "sbp": np.array([3.0, 4.0])}
        >>> linear_predictor(terms, {"age": 10.0, "age*sbp": 1.0})
        array([13., 28.])
    """
    total = np.zeros_like(next(iter(terms.values())))
    for name, coefficient in coefficients.items():
        first, _, second = name.partition("*")
        total += coefficient * (terms[first] * terms[second] if second else terms[first])
    return total


def by_sex(
    formula: Callable[[dict[str, Array], str], Array], known: Mapping[str, Array], among: Array | bool = True
) -> Array:
    """Compute a formula for the women, then for the men.

    Args:
        formula: Takes the inputs of patients of one sex, each (n,), and that sex; returns (n,) values.
        known: Input name to one value per patient, with "age_years" and "sex" (0 female, 1 male).
        among: Which patients.

    Returns:
        One value per patient; NaN where age or sex is unknown, and for all others than `among`.

    Example:
        >>> known = {"age_years": np.array([50.0, 60.0, np.nan]), "sex": np.array([0.0, 1.0, 1.0])}
        >>> by_sex(lambda inputs, sex: inputs["age_years"] * (2 if sex == "male" else 1), known)
        array([ 50., 120.,  nan])
    """
    shape = known["sex"].shape
    columns = {name: np.ravel(column) for name, column in known.items()}
    wanted = np.ravel(~np.isnan(known["age_years"]) & among)
    value = np.full(wanted.shape, np.nan)
    for start in range(0, len(value), ROWS_AT_A_TIME):
        rows = slice(start, start + ROWS_AT_A_TIME)
        block = {name: column[rows] for name, column in columns.items()}
        for code, sex in enumerate(SEXES):
            who = np.flatnonzero((block["sex"] == code) & wanted[rows])
            if who.size:
                value[rows][who] = formula({name: column[who] for name, column in block.items()}, sex)
    return value.reshape(shape)
