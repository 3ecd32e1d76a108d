"""One patient's score as plain values, for the command line."""

from __future__ import annotations

import warnings
from typing import Any, Literal

import numpy as np

from openclef.risk.esc_2021 import REGIONS
from openclef.risk.inputs import QUANTITIES
from openclef.risk.result import FLAGS, Score

_TYPES: dict[str, Any] = {
    "number": float | None,
    "yes_no": bool | None,
    "sex": Literal["female", "male"] | None,
}


def patient_arguments(name: str) -> dict[str, tuple[Any, str]]:
    """The arguments that one patient's score takes, with a type and a line of help for each.

    Args:
        name: A key of `openclef.risk.SCORES`.

    Returns:
        Argument name to (type, help): the score's inputs, all of which may be None, and its region if it has
        one.

    Raises:
        ValueError: An unknown score.

    Example:
        >>> patient_arguments("age")
        {'age_years': (float | None, 'age in years')}
    """
    score = _score(name)
    arguments = {name: (_TYPES[QUANTITIES[name].kind], QUANTITIES[name].title) for name in score.inputs}
    if "region" in score.settings:
        arguments["region"] = (Literal[REGIONS], "SCORE2 risk region of the country")
    return arguments


def score_patient(name: str, **inputs: Any) -> dict[str, Any]:
    """Compute one patient's score in strict use, as plain values that JSON can hold.

    Args:
        name: A key of `openclef.risk.SCORES`.
        **inputs: The score's inputs and region, see `patient_arguments`; None or left out means unknown.

    Returns:
        score, title, value (None where the score gives none), unit, n_missing, completeness, missing (names
        of the unknown inputs), inputs (the known ones), settings, flags (names), warnings (sentences),
        validity, source.

    Raises:
        ValueError: An unknown score, an argument that the score does not have, an impossible value, or
            arrays.

    Example:
        >>> patient = score_patient("score2", age_years=50, sex="male", smoker=True, diabetes=False,
        ...                         sbp_mmhg=140, total_chol_mmol_l=6.3, hdl_mmol_l=None)
        >>> round(patient["value"], 4), patient["missing"], patient["warnings"]
        (0.0665, ['hdl_mmol_l'], ["unknown inputs took the score's standard values: hdl_mmol_l."])
        >>> score_patient("score2", age_years=35, sex="male")["value"] is None
        True
    """
    score = _score(name)
    accepted = patient_arguments(name)
    wrong = [argument for argument in inputs if argument not in accepted]
    if wrong:
        raise ValueError(
            f"{name} was given {', '.join(wrong)}; accepted are {', '.join(accepted)}; leave it out."
        )
    for argument, given in inputs.items():
        if np.ndim(given) > 0:
            raise ValueError(
                f"{argument} has {np.size(given)} values; accepted is one patient; use risk.{name}."
            )
    given = {argument: inputs.get(argument) for argument in score.inputs}
    settings = {"region": inputs.get("region") or "low"} if "region" in accepted else {}
    strict = {"strict": True} if "strict" in score.settings else {}
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        result = score.function(**given, **settings, **strict)
    missing = [
        argument for argument, value in given.items() if value is None or value == "" or value != value
    ]
    flags = [flag for flag, array in result.flags.items() if bool(array)]
    notes = [str(warning.message) for warning in caught]
    if not notes:  # a warning of the strict rules already says why there is no value
        notes = [f"{FLAGS[flag]}." for flag in flags]
    value = float(result.value)
    if {"age_years", "sex"} & set(missing):
        notes.append(
            "no value: age and sex must be known." if "sex" in given else "no value: age must be known."
        )
    elif missing and not np.isnan(value):
        notes.append(f"unknown inputs took the score's standard values: {', '.join(missing)}.")
    return {
        "score": name,
        "title": score.title,
        "value": None if np.isnan(value) else value,
        "unit": score.unit,
        "n_missing": int(result.n_missing),
        "completeness": float(result.completeness),
        "missing": missing,
        "inputs": {argument: _plain(value) for argument, value in given.items() if argument not in missing},
        "settings": settings,
        "flags": flags,
        "warnings": notes,
        "validity": score.validity,
        "source": score.source,
    }


def _score(name: str) -> Score:
    from openclef.risk import SCORES  # here, because the package imports this module

    if name not in SCORES:
        raise ValueError(
            f"score is {name!r}; accepted are {', '.join(SCORES)}; `openclef list risks` shows them."
        )
    return SCORES[name]


def _plain(value: Any) -> Any:
    """A numpy scalar as the Python value that JSON knows."""
    return value.item() if isinstance(value, (np.generic, np.ndarray)) else value
