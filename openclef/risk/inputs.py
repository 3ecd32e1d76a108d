"""Reading the inputs of a clinical risk score: units, ranges, unknown values, defaults.

Every score file uses the same four steps: `read_inputs`, `count_missing`, `clip_age`, `fill_unknown`.
Inside, sex and every yes/no input are floats (female 0, male 1; no 0, yes 1) and NaN means unknown.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
Defaults = Mapping[str, "float | Mapping[str, float]"]

SEXES = ("female", "male")


@dataclass(frozen=True)
class Quantity:
    """One input of a score: what it is and which values are possible.

    Args:
        kind: "number", "yes_no" or "sex".
        title: What it is, with its unit.
        low: Smallest value accepted (of a number).
        high: Largest value accepted (of a number).
        advice: What to do about a value outside.

    Example:
        >>> QUANTITIES["hdl_mmol_l"].high
        6.0
    """

    kind: str
    title: str
    low: float = -np.inf
    high: float = np.inf
    advice: str = "correct it, or pass NaN if it is unknown"


_MG_DL = "if this is mg/dL, multiply it by 0.02586; pass NaN if it is unknown"
_KPA = "if this is kPa, multiply it by 7.50062; pass NaN if it is unknown"
_HBA1C_PERCENT = "if this is per cent, pass 10.929 (value - 2.152); pass NaN if it is unknown"
_UMOL_L = "if this is umol/L, divide it by 88.42; pass NaN if it is unknown"
_EGFR_ML_S = "if this is mL/s, multiply it by 60; pass NaN if it is unknown"
_BMI = "pass weight in kg over the square of height in m; pass NaN if it is unknown"

QUANTITIES: dict[str, Quantity] = {
    "age_years": Quantity(
        "number", "age in years", 0.0, 120.0, "some databases write 300 for over 89: pass 90; NaN if unknown"
    ),
    "sex": Quantity("sex", 'sex, "female" or "male"'),
    "smoker": Quantity("yes_no", "current smoker"),
    "diabetes": Quantity("yes_no", "diagnosed diabetes"),
    "sbp_mmhg": Quantity("number", "systolic blood pressure in mmHg", 40.0, 300.0, _KPA),
    "total_chol_mmol_l": Quantity("number", "total cholesterol in mmol/L", 0.2, 20.0, _MG_DL),
    "hdl_mmol_l": Quantity("number", "HDL cholesterol in mmol/L", 0.05, 6.0, _MG_DL),
    "age_at_diabetes_years": Quantity(
        "number", "age at diagnosis of diabetes in years", 0.0, 120.0, "pass an age, no calendar year"
    ),
    "hba1c_mmol_mol": Quantity("number", "HbA1c in mmol/mol", 15.0, 250.0, _HBA1C_PERCENT),
    "creatinine_mg_dl": Quantity("number", "serum creatinine in mg/dL", 0.1, 25.0, _UMOL_L),
    "egfr_ml_min": Quantity(
        "number", "estimated glomerular filtration rate in mL/min/1.73 m2", 1.0, 250.0, _EGFR_ML_S
    ),
    "bp_treated": Quantity("yes_no", "takes drugs against high blood pressure"),
    "statin": Quantity("yes_no", "takes a statin"),
    "bmi": Quantity("number", "body mass index in kg/m2", 10.0, 120.0, _BMI),
    "heart_failure": Quantity("yes_no", "heart failure or left ventricular dysfunction"),
    "hypertension": Quantity("yes_no", "hypertension"),
    "stroke": Quantity("yes_no", "previous stroke, TIA or thromboembolism"),
    "vascular_disease": Quantity("yes_no", "previous infarction, peripheral artery disease, aortic plaque"),
}


def read_inputs(given: Mapping[str, object]) -> dict[str, Array]:
    """Turn scalars and arrays into float64 arrays of one shape, NaN where unknown, and check their ranges.

    Args:
        given: Input name (a key of `QUANTITIES`) to scalar or array; NaN, None and "" mean unknown.

    Returns:
        The same names with float64 arrays broadcast to one shape. Sex is 0 female, 1 male; yes/no is 0, 1.

    Raises:
        ValueError: A value that the quantity cannot have, or shapes that do not broadcast.

    Example:
        >>> values = read_inputs({"sex": ["male", "", "female"], "sbp_mmhg": 140})
        >>> values["sex"].tolist(), values["sbp_mmhg"].tolist()
        ([1.0, nan, 0.0], [140.0, 140.0, 140.0])
        >>> read_inputs({"total_chol_mmol_l": 213})
        Traceback (most recent call last):
            ...
        ValueError: total_chol_mmol_l is 213; accepted are 0.2 to 20 (total cholesterol in mmol/L); if this
        is mg/dL, multiply it by 0.02586; pass NaN if it is unknown.
    """
    values = {name: _read(name, value) for name, value in given.items()}
    try:
        shape = np.broadcast_shapes(*(value.shape for value in values.values()))
    except ValueError:
        shapes = ", ".join(f"{name} {value.shape}" for name, value in values.items())
        raise ValueError(
            f"inputs have the shapes {shapes}; accepted are scalars and arrays that broadcast to one shape; "
            "pass one value per patient."
        ) from None
    return {name: np.broadcast_to(value, shape) for name, value in values.items()}


def _read(name: str, value: object) -> Array:
    quantity = QUANTITIES[name]
    numbers = _read_sex(value) if quantity.kind == "sex" else _to_float(name, quantity, value)
    if quantity.kind == "sex":
        return numbers
    if quantity.kind == "yes_no":
        wrong = ~((numbers == 0) | (numbers == 1) | np.isnan(numbers))
        if wrong.any():
            raise ValueError(
                f"{name} is {_first(numbers, wrong)}; accepted are True or 1, False or 0, and NaN for "
                f"unknown ({quantity.title}); recode the column."
            )
        return numbers
    wrong = ~((numbers >= quantity.low) & (numbers <= quantity.high) | np.isnan(numbers))
    if wrong.any():
        raise ValueError(
            f"{name} is {_first(numbers, wrong)}; accepted are {quantity.low:g} to {quantity.high:g} "
            f"({quantity.title}); {quantity.advice}."
        )
    return numbers


def _first(numbers: Array, wrong: Array) -> str:
    """The first wrong value, and how many more there are."""
    found = numbers[wrong]
    more = f" (and {found.size - 1:,} more such values)" if found.size > 1 else ""
    return f"{found.flat[0]:g}{more}"


def _to_float(name: str, quantity: Quantity, value: Any) -> Array:
    if not isinstance(value, (list, tuple)) and not hasattr(value, "dtype"):
        value = np.asarray(value)  # a scalar, or an array of another library such as pyarrow
    if getattr(getattr(value, "dtype", None), "kind", "") in tuple("fiub"):
        if hasattr(value, "to_numpy"):  # a column of pandas, of whatever storage
            return np.asarray(value.to_numpy(dtype=np.float64, na_value=np.nan))
        if isinstance(value, np.ma.MaskedArray):
            return np.ma.filled(value.astype(np.float64), np.nan)
        return np.asarray(value, dtype=np.float64)

    def meaning(item: object) -> float:
        if isinstance(item, (bool, int, float, np.bool_, np.integer, np.floating)):
            return float(item)
        raise ValueError(
            f"{name} is {item!r}; accepted are numbers, and NaN, None or an empty string for unknown "
            f"({quantity.title}); convert the column to numbers."
        )

    return _read_distinct(value, meaning)


def _read_sex(value: Any) -> Array:
    if isinstance(value, np.ndarray) and value.dtype.kind in "UT" and not np.ma.isMaskedArray(value):
        return _read_sex_words(value)
    return _read_distinct(value, _sex_meaning)


def _read_sex_words(words: Array) -> Array:
    """An array of text, compared as a whole: many times faster than word by word."""
    female, male = words == SEXES[0], words == SEXES[1]
    other = ~(female | male | (words == ""))
    if other.any():
        _sex_meaning(str(words[other].flat[0]))
    return np.where(male, 1.0, np.where(female, 0.0, np.nan))


def _sex_meaning(item: object) -> float:
    if isinstance(item, str) and item in SEXES:
        return float(SEXES.index(item))
    raise ValueError(
        f'sex is {item!r}; accepted are "female" and "male", and "", None or NaN for unknown; '
        "recode the column (databases differ in which sex is 0 and which is 1)."
    )


def _read_distinct(value: Any, meaning: Callable[[object], float]) -> Array:
    """Read objects and text, looking only at the distinct values one by one."""
    if callable(getattr(value, "factorize", None)):  # a column of pandas, of whatever storage
        codes, found = value.factorize()
        meanings = [np.nan if _is_unknown(item) else meaning(item) for item in found]
        return np.array([*meanings, np.nan])[codes]  # code -1, the last, is unknown
    if isinstance(value, np.ma.MaskedArray):
        value = np.where(np.ma.getmaskarray(value), np.array(None), value.data.astype(object))
    # a list stays objects: numpy would turn ["male", NaN] into the words "male" and "nan"
    array = np.array(value, dtype=object) if isinstance(value, (list, tuple)) else np.asarray(value)
    flat = array.ravel().tolist()
    known = {item: np.nan if _is_unknown(item) else meaning(item) for item in set(flat)}
    return np.fromiter(map(known.__getitem__, flat), np.float64, len(flat)).reshape(array.shape)


def _is_unknown(item: object) -> bool:
    """None, "", NaN, and pandas' NA and NaT (known by their type's name: pandas is not needed here)."""
    if item is None or (isinstance(item, str) and item == ""):
        return True
    if isinstance(item, (float, np.floating)):
        return bool(np.isnan(item))
    return type(item).__name__ in ("NAType", "NaTType")


def count_missing(values: Mapping[str, Array], names: Sequence[str]) -> tuple[Array, Array]:
    """Count each patient's unknown inputs.

    Args:
        values: Input name to array, as `read_inputs` returns it.
        names: The inputs that the score has.

    Returns:
        Number of unknown inputs (int), and completeness = 1 - that number / number of inputs.

    Example:
        >>> values = read_inputs({"age_years": [50, 60], "sex": ["male", None]})
        >>> count_missing(values, ("age_years", "sex"))
        (array([0, 1]), array([1. , 0.5]))
    """
    n_missing = np.asarray(np.sum([np.isnan(values[name]) for name in names], axis=0, dtype=np.int64))
    return n_missing, np.asarray((len(names) - n_missing) / len(names))


def clip_age(age_years: Array, low: float = 18.0, high: float = 100.0) -> tuple[Array, Array]:
    """Clip ages to the range in which a score may be extrapolated.

    Args:
        age_years: Ages, NaN where unknown.
        low: Youngest age used.
        high: Oldest age used.

    Returns:
        The clipped ages, and where an age was changed.

    Example:
        >>> clip_age(np.array([5.0, 50.0, np.nan]))
        (array([18., 50., nan]), array([ True, False, False]))
    """
    return np.asarray(np.clip(age_years, low, high)), np.asarray((age_years < low) | (age_years > high))


def fill_unknown(
    values: Mapping[str, Array], standard: Mapping[str, float | Array], defaults: Defaults | None = None
) -> dict[str, Array]:
    """Replace unknown inputs by the caller's values, or else by the score's own.

    Args:
        values: Input name to array, as `read_inputs` returns it; must hold "sex" where defaults are by sex.
        standard: The score's value for each input that may be filled; a scalar or one value per patient.
        defaults: The caller's values, such as a cohort's medians: input name to a value, or to a value by sex
            (``{"sbp_mmhg": {"female": 122, "male": 127}}``).

    Returns:
        All arrays, filled. Age and sex are never filled.

    Raises:
        ValueError: A default for an input that cannot be filled, an impossible value, or a sex left out.

    Example:
        >>> values = read_inputs({"sex": ["male", "female"], "sbp_mmhg": [np.nan, 118]})
        >>> fill_unknown(values, {"sbp_mmhg": 120})["sbp_mmhg"]
        array([120., 118.])
        >>> fill_unknown(values, {"sbp_mmhg": 120}, {"sbp_mmhg": {"female": 122, "male": 127}})["sbp_mmhg"]
        array([127., 118.])
    """
    chosen: dict[str, float | Array] = dict(standard)
    for name, given in (defaults or {}).items():
        if name not in standard:
            raise ValueError(f"defaults has {name!r}; accepted are {', '.join(standard)}; remove it.")
        if isinstance(given, Mapping):
            if set(given) != set(SEXES):
                raise ValueError(
                    f"defaults[{name!r}] has {sorted(given)}; accepted is one value, or one for each of "
                    f"{', '.join(SEXES)}; give both."
                )
            female, male = (float(_known_default(name, given[sex])) for sex in SEXES)
            chosen[name] = np.where(values["sex"] == 1, male, female)
        else:
            chosen[name] = float(_known_default(name, given))
    filled = dict(values)
    for name, value in chosen.items():
        filled[name] = np.where(np.isnan(values[name]), value, values[name])
    return filled


def _known_default(name: str, value: object) -> Array:
    number = _read(name, value)
    if number.shape != () or np.isnan(number):
        raise ValueError(
            f"defaults[{name!r}] is {value!r}; accepted is one known number; pass the value to fill in."
        )
    return number
