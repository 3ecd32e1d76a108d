"""For whom a score is valid, and what strict use does about everybody else."""

from __future__ import annotations

import warnings
from collections.abc import Mapping

import numpy as np

from openclef.risk.inputs import Array


def outside(values: Array, low: float, high: float, *, to: bool = False) -> Array:
    """Tell which known values lie outside a range.

    Args:
        values: Numbers, NaN where unknown.
        low: Smallest value inside.
        high: First value that is not inside any more; with `to`, the last one inside.
        to: Whether `high` itself is inside.

    Returns:
        True where a value is outside; an unknown one is not.

    Example:
        >>> outside(np.array([39.0, 40.0, 70.0, np.nan]), 40, 70).tolist()
        [True, False, True, False]
        >>> outside(np.array([70.0]), 40, 70, to=True).tolist()
        [False]
    """
    return np.asarray((values < low) | ((values > high) if to else (values >= high)))


def withhold(
    score: str, value: Array, flags: Mapping[str, Array], rules: Mapping[str, str], *, stacklevel: int = 3
) -> Array:
    """Strict use: no answer where a rule of validity is broken, and a warning that says which.

    Args:
        score: Name of the score, for the warning.
        value: The score, one value a patient.
        flags: Flag name to who has it.
        rules: Name of each flag that breaks a rule, to the rule in words.
        stacklevel: Of the warning; 3 is the caller of a score that calls this function itself.

    Returns:
        The score, NaN where withheld.

    Example:
        >>> import warnings
        >>> with warnings.catch_warnings(record=True) as caught:
        ...     warnings.simplefilter("always")
        ...     rules = {"extrapolated": "age is outside 30 to under 75 years"}
        ...     value = withhold("mine", np.array([0.1, 0.2]), {"extrapolated": np.array([True, False])}, rules)
        >>> value.tolist(), str(caught[0].message)
        ([nan, 0.2], 'mine gives no value for 1 of 2: age is outside 30 to under 75 years.')
    """
    for flag, rule in rules.items():
        count = int(np.count_nonzero(flags[flag]))
        if count:
            warnings.warn(
                f"{score} gives no value for {count:,} of {value.size:,}: {rule}.", stacklevel=stacklevel
            )
            value = np.where(flags[flag], np.nan, value)
    return value
