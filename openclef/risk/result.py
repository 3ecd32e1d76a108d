"""What a risk score returns, and how a score is listed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]

# What each flag of a result means.
FLAGS = {
    "age_clipped": "age was outside 18 to 100 years and was clipped to it",
    "extrapolated": "age is outside the range for which the score was validated",
    "diabetes": "the score was published for people without diabetes; with diabetes use score2_diabetes",
    "no_diabetes": "the score is for people with diabetes, and this patient is not known to have it",
    "diabetes_after_age": "age at diagnosis of diabetes is above age, which cannot be; check the columns",
    "hdl_above_total_chol": "HDL cholesterol is above total cholesterol, which cannot be; check the columns",
    "total_chol_out_of_range": "total cholesterol is outside the range for which the score was validated",
    "hdl_out_of_range": "HDL cholesterol is outside the range for which the score was validated",
    "sbp_out_of_range": "systolic blood pressure is outside the range for which the score was validated",
    "bmi_out_of_range": "body mass index is outside the range for which the score was validated",
    "egfr_out_of_range": "eGFR is outside the range for which the score was validated",
}


@dataclass(frozen=True)
class RiskResult:
    """A risk score for every patient, with how much of it rests on known inputs.

    Args:
        value: The score in its own unit (a fraction 0..1 for probabilities), NaN where it has no answer.
        n_missing: Number of the score's inputs that were unknown.
        completeness: Share of the score's inputs that were known, 0..1.
        flags: Flag name (a key of `FLAGS`) to a boolean array.

    All arrays have the shape to which the inputs broadcast; scalars give 0-d arrays.

    Example:
        >>> from openclef.risk import score2
        >>> result = score2(age_years=[45, 101], sex="female", sbp_mmhg=130)
        >>> result.n_missing.tolist(), result.flags["age_clipped"].tolist()
        ([4, 4], [False, True])
    """

    value: Array
    n_missing: Array
    completeness: Array
    flags: dict[str, Array] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name in ("value", "n_missing", "completeness"):
            object.__setattr__(self, name, np.asarray(getattr(self, name)))
        object.__setattr__(self, "flags", {name: np.asarray(flag) for name, flag in self.flags.items()})


@dataclass(frozen=True)
class Score:
    """A clinical risk score as listed in `openclef.risk.SCORES`.

    Args:
        name: Name on the command line and in a store.
        title: One line of what it predicts.
        function: The function; takes `inputs` and `settings` as keyword arguments, returns `RiskResult`.
        inputs: Names of its inputs, which are names of a store's columns.
        settings: Names of its other keyword arguments.
        unit: Unit of the value.
        source: Publication.
        validity: For whom it was validated.

    Example:
        >>> from openclef.risk import SCORES
        >>> SCORES["score2"].unit
        'fraction'
    """

    name: str
    title: str
    function: Callable[..., RiskResult]
    inputs: tuple[str, ...]
    settings: tuple[str, ...]
    unit: str
    source: str
    validity: str
