"""The rules of the extraction: `concepts.toml`, or a changed copy of it, read and checked."""

from __future__ import annotations

import hashlib
import re
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from openclef.database.metadata_table import PLAUSIBLE

MEASUREMENTS = ("height_cm", "weight_kg", "bmi")
LABS = ("total_chol_mmol_l", "hdl_mmol_l", "hba1c_mmol_mol", "creatinine_mg_dl")
DIAGNOSES = ("diabetes", "hypertension", "heart_failure", "stroke", "vascular_disease", "atrial_fibrillation")
DRUGS = ("bp_treated", "statin")

_CODE = re.compile(r"[A-Z0-9][A-Z0-9?]*\*?")
_INGREDIENT = re.compile(r"[a-z]+")


@dataclass(frozen=True)
class Unit:
    """How a number in one unit becomes the value's own: number * times / divided_by + plus.

    Example:
        >>> Unit("%", times=10.93, plus=-23.5).plus
        -23.5
    """

    name: str
    times: float = 1.0
    divided_by: float = 1.0
    plus: float = 0.0


@dataclass(frozen=True)
class Measurement:
    """A value of the table omr: its result names with their factors, and its plausible range.

    Example:
        >>> Measurement({"Height": 2.54}, (120, 230)).results["Height"]
        2.54
    """

    results: dict[str, float]
    plausible: tuple[float, float]


@dataclass(frozen=True)
class Lab:
    """A value of the table labevents: itemids, accepted units (the expected one first) and plausible range.

    Example:
        >>> Lab((50912,), (Unit("mg/dl"),), (0.1, 25)).units[0].name
        'mg/dl'
    """

    itemids: tuple[int, ...]
    units: tuple[Unit, ...]
    plausible: tuple[float, float]


@dataclass(frozen=True)
class Codes:
    """Patterns of ICD codes, by version; those of `icd10_except` do not count.

    Example:
        >>> codes = Codes(icd9=("250*",), icd10=("G45*",), icd10_except=("G454",))
        >>> codes.match(9, "25000"), codes.match(10, "G459"), codes.match(10, "G454"), codes.match(9, "G459")
        (True, True, False, False)
    """

    icd9: tuple[str, ...] = ()
    icd10: tuple[str, ...] = ()
    icd10_except: tuple[str, ...] = ()

    def match(self, version: int, code: str) -> bool:
        """Tell whether a code counts.

        Args:
            version: 9 or 10.
            code: without dot and spaces, in capitals.
        """
        if version == 9:
            return matches(self.icd9, code)
        return version == 10 and matches(self.icd10, code) and not matches(self.icd10_except, code)


@dataclass(frozen=True)
class Concepts:
    """All rules.

    Args:
        before_days: days before the ECG in which a measured value counts.
        after_days: days after it.
        sbp_mmhg: plausible systolic pressures.
        dbp_mmhg: plausible diastolic pressures.
        postures: result names of blood pressure, in groups, the preferred one first.
        measurements: name of the value to its rules.
        labs: likewise.
        diagnoses: likewise.
        smoking_current: codes of current smokers.
        smoking_former: codes of former smokers.
        drug_days: days before the ECG in which a prescription counts.
        routes_not_counted: in capitals.
        drugs: name of the value to its ingredients, in lower case.
        text: the file as it stands.

    Example:
        >>> concepts = read_concepts()
        >>> concepts.before_days, concepts.labs["hdl_mmol_l"].itemids, concepts.diagnoses["diabetes"].icd9
        (365, (50904,), ('250*',))
    """

    before_days: int
    after_days: int
    sbp_mmhg: tuple[float, float]
    dbp_mmhg: tuple[float, float]
    postures: tuple[tuple[str, ...], ...]
    measurements: dict[str, Measurement]
    labs: dict[str, Lab]
    diagnoses: dict[str, Codes]
    smoking_current: Codes
    smoking_former: Codes
    drug_days: int
    routes_not_counted: tuple[str, ...]
    drugs: dict[str, tuple[str, ...]]
    text: str

    @property
    def sha256(self) -> str:
        """SHA-256 of the file.

        Example:
            >>> len(read_concepts().sha256)
            64
        """
        return hashlib.sha256(self.text.encode()).hexdigest()


def shipped_concepts() -> Path:
    """Return the file of rules that comes with the package, to read or to copy.

    Example:
        >>> shipped_concepts().name
        'concepts.toml'
    """
    return Path(__file__).with_name("concepts.toml")


def matches(patterns: tuple[str, ...], code: str) -> bool:
    """Tell whether a code is one of some patterns; "*" stands for any end, "?" for one character.

    Example:
        >>> matches(("433?1", "I63*"), "43301"), matches(("433?1",), "4331"), matches(("I63*",), "I639")
        (True, False, True)
    """
    return bool(patterns) and re.fullmatch(as_expression(patterns), code) is not None


def as_expression(patterns: tuple[str, ...]) -> str:
    """Write patterns as one regular expression.

    Example:
        >>> as_expression(("433?1", "I63*"))
        '433.1|I63.*'
    """
    return "|".join(pattern.replace("?", ".").replace("*", ".*") for pattern in patterns)


def plain_unit(unit: str) -> str:
    """Write a unit without spaces, in lower case.

    Example:
        >>> plain_unit(" mg / dL")
        'mg/dl'
    """
    return re.sub(r"\s", "", unit).lower()


def read_concepts(path: str | Path | None = None) -> Concepts:
    r"""Read and check a file of rules.

    Args:
        path: a changed copy of `shipped_concepts()`; None: that file itself.

    Returns:
        The rules.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if it is no TOML, lacks a rule, or has one that cannot be; the message names file and rule.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     copy = Path(folder, "mine.toml")
        ...     text = shipped_concepts().read_text(encoding="utf-8-sig")
        ...     _ = copy.write_text(text.replace("before_days = 365\n", "before_days = 730\n", 1), encoding="utf-8-sig")
        ...     read_concepts(copy).before_days
        730
    """
    file = shipped_concepts() if path is None else Path(path)
    if not file.is_file():
        raise FileNotFoundError(
            f"{file} is missing; pass a changed copy of openclef's concepts.toml, which is {shipped_concepts()}"
        )
    try:
        text = file.read_text(encoding="utf-8-sig")
        table = tomllib.loads(text)
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ValueError(f"{file} is no TOML ({error}); correct it") from None
    try:
        return _concepts(table, text)
    except _WrongRuleError as error:
        raise ValueError(f"{file}: {error}; correct it, or begin again from {shipped_concepts()}") from None


class _WrongRuleError(Exception):
    pass


def _concepts(table: Any, text: str) -> Concepts:
    _keys(
        table,
        "the file",
        ("window", "blood_pressure", "measurement", "lab", "diagnosis", "smoking", "drugs", "drug"),
    )
    window = _keys(table["window"], "window", ("before_days", "after_days"))
    pressure = _keys(
        table["blood_pressure"], "blood_pressure", ("systolic_mmhg", "diastolic_mmhg", "postures")
    )
    smoking = _keys(table["smoking"], "smoking", ("current", "former"))
    drugs = _keys(table["drugs"], "drugs", ("before_days", "routes_not_counted"))
    postures = _list(pressure["postures"], "blood_pressure.postures", list, "a list of lists of result names")
    concepts = Concepts(
        before_days=_days(window["before_days"], "window.before_days"),
        after_days=_days(window["after_days"], "window.after_days"),
        sbp_mmhg=_range(pressure["systolic_mmhg"], "blood_pressure.systolic_mmhg", "sbp_mmhg"),
        dbp_mmhg=_range(pressure["diastolic_mmhg"], "blood_pressure.diastolic_mmhg", "dbp_mmhg"),
        postures=tuple(tuple(_list(group, "blood_pressure.postures", str, "names")) for group in postures),
        measurements=_each(table["measurement"], "measurement", MEASUREMENTS, _measurement),
        labs=_each(table["lab"], "lab", LABS, _lab),
        diagnoses=_each(table["diagnosis"], "diagnosis", DIAGNOSES, _codes),
        smoking_current=_codes(smoking["current"], "smoking.current", ""),
        smoking_former=_codes(smoking["former"], "smoking.former", ""),
        drug_days=_days(drugs["before_days"], "drugs.before_days"),
        routes_not_counted=tuple(
            route.strip().upper()
            for route in _list(drugs["routes_not_counted"], "drugs.routes_not_counted", str, "routes")
        ),
        drugs=_each(table["drug"], "drug", DRUGS, _ingredients),
        text=text,
    )
    results = [
        *(name for group in concepts.postures for name in group),
        *(name for each in concepts.measurements.values() for name in each.results),
    ]
    _once(results, "result name", "measurements")
    _once([item for lab in concepts.labs.values() for item in lab.itemids], "itemid", "laboratory values")
    return concepts


def _each(table: Any, where: str, names: tuple[str, ...], read: Callable[[Any, str, str], Any]) -> Any:
    _keys(table, where, names)
    return {name: read(table[name], f"{where}.{name}", name) for name in names}


def _measurement(table: Any, where: str, name: str) -> Measurement:
    _keys(table, where, ("results", "plausible"))
    results = _mapping(table["results"], f"{where}.results")
    factors = {str(key): _number(value, f"{where}.results") for key, value in results.items()}
    if any(factor <= 0 for factor in factors.values()):
        raise _WrongRuleError(f"{where}.results has a factor of 0 or less; accepted are factors above 0")
    return Measurement(factors, _range(table["plausible"], f"{where}.plausible", name))


def _lab(table: Any, where: str, name: str) -> Lab:
    _keys(table, where, ("itemids", "unit", "units", "plausible"), optional=("label",))
    units = [
        _unit(each, rule, f"{where}.units")
        for each, rule in _mapping(table["units"], f"{where}.units").items()
    ]
    _once([each.name for each in units], "unit", where)
    expected = [each for each in units if each.name == plain_unit(str(table["unit"]))]
    if not expected:
        raise _WrongRuleError(f"{where}.unit is {table['unit']!r}, which {where}.units does not have")
    return Lab(
        itemids=tuple(_list(table["itemids"], f"{where}.itemids", int, "whole numbers")),
        units=(*expected, *(each for each in units if each not in expected)),
        plausible=_range(table["plausible"], f"{where}.plausible", name),
    )


def _unit(name: str, rule: Any, where: str) -> Unit:
    _keys(rule, f"{where}.{name!r}", (), optional=("times", "divided_by", "plus"), sourced=False)
    numbers = {key: _number(value, f"{where}.{name!r}.{key}") for key, value in rule.items()}
    if numbers.get("divided_by", 1) <= 0 or numbers.get("times", 1) <= 0:
        raise _WrongRuleError(f"{where}.{name!r} multiplies or divides by 0 or less; accepted is above 0")
    return Unit(plain_unit(name), **numbers)


def _codes(table: Any, where: str, name: str) -> Codes:
    _keys(table, where, ("icd9", "icd10"), optional=("icd10_except",))
    lists = {
        key: tuple(_list(table.get(key, []), f"{where}.{key}", str, "codes"))
        for key in ("icd9", "icd10", "icd10_except")
    }
    for key, codes in lists.items():
        for code in codes:
            if not _CODE.fullmatch(code):
                raise _WrongRuleError(
                    f"{where}.{key} has {code!r}; accepted are codes in capitals without the dot, with ? for one "
                    "character and * for any end"
                )
    return Codes(**lists)


def _ingredients(table: Any, where: str, name: str) -> tuple[str, ...]:
    _keys(table, where, ("ingredients",))
    groups = _mapping(table["ingredients"], f"{where}.ingredients")
    words = [
        word
        for group, given in groups.items()
        for word in _list(given, f"{where}.ingredients.{group}", str, "ingredients")
    ]
    for word in words:
        if not _INGREDIENT.fullmatch(word):
            raise _WrongRuleError(f"{where}.ingredients has {word!r}; accepted is one word in lower case")
    return tuple(words)


def _keys(
    table: Any, where: str, needed: tuple[str, ...], *, optional: tuple[str, ...] = (), sourced: bool = True
) -> dict[str, Any]:
    """Check that a table has the keys that it needs, and no others; a source may stand anywhere."""
    _mapping(table, where)
    absent = [key for key in needed if key not in table]
    if absent:
        raise _WrongRuleError(f"{where} has no {', '.join(absent)}")
    accepted = (*needed, *optional, *(("source",) if sourced else ()))
    unknown = [key for key in table if key not in accepted]
    if unknown:
        raise _WrongRuleError(f"{where} has {', '.join(unknown)}; accepted are {', '.join(accepted)}")
    return dict(table)


def _mapping(value: Any, where: str) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        raise _WrongRuleError(f"{where} is {value!r}; accepted is a table")
    return value


def _list(value: Any, where: str, kind: type, what: str) -> list[Any]:
    if not isinstance(value, list) or any(
        not isinstance(each, kind) or isinstance(each, bool) for each in value
    ):
        raise _WrongRuleError(f"{where} is {value!r}; accepted is a list of {what}")
    _once([str(each) for each in value], "entry", where)
    return value


def _days(value: Any, where: str) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= 36525:
        raise _WrongRuleError(f"{where} is {value!r}; accepted are whole days from 0 to 36525")
    return value


def _number(value: Any, where: str) -> float:
    if not isinstance(value, int | float) or isinstance(value, bool) or not -1e9 < value < 1e9:
        raise _WrongRuleError(f"{where} is {value!r}; accepted is a number")
    return float(value)


def _range(value: Any, where: str, name: str) -> tuple[float, float]:
    low, high = PLAUSIBLE[name]
    limits = [_number(each, where) for each in value] if isinstance(value, list) else []
    if len(limits) != 2 or not low <= limits[0] < limits[1] <= high:
        raise _WrongRuleError(
            f"{where} is {value!r}; accepted are a smallest and a largest {name} within {low:g} to {high:g}"
        )
    return limits[0], limits[1]


def _once(values: list[Any], what: str, where: str) -> None:
    twice = sorted({value for value in values if values.count(value) > 1})
    if twice:
        raise _WrongRuleError(f"{where} has the {what} {twice[0]!r} twice; each may be given once")
