"""What a file states of itself: against what the caller says, and in the words of the store's columns."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from datetime import date, datetime

from openclef.formats.unit import millivolts
from openclef.signal import canonical_leads, is_sampling_rate

_SEXES = {"m": "male", "male": "male", "f": "female", "female": "female"}
_YEARS = {
    "year": 1.0,
    "yr": 1.0,
    "y": 1.0,
    "a": 1.0,
    "month": 1 / 12,
    "mo": 1 / 12,
    "week": 7 / 365.2425,
    "wk": 7 / 365.2425,
    "day": 1 / 365.2425,
    "d": 1 / 365.2425,
    "hour": 1 / 8765.82,
    "h": 1 / 8765.82,
}
_OLDEST = 125.0


class NotStated(ValueError):
    """Something that reading needs is neither in the file nor given by the caller, who can give it.

    Args:
        message: what is missing, and what to pass.
        what: the argument that would give it: ``fs``, ``leads`` or ``unit``.
        rows: how many leads the file holds, where that is known.

    Example:
        >>> error = NotStated("leads are missing for a.csv; pass one name a column", "leads", rows=2)
        >>> str(error).partition(";")[0], error.what, error.rows
        ('leads are missing for a.csv', 'leads', 2)
    """

    def __init__(self, message: str, what: str = "fs", rows: int | None = None) -> None:
        super().__init__(message)
        self.what = what
        self.rows = rows


def agreed_rate(name: str, stated: float | None, given: float | None) -> float:
    """Settle the sampling rate between a file and the caller.

    Args:
        name: the file's name, for messages.
        stated: the rate in Hz that the file states, or None.
        given: the rate in Hz that the caller gives, or None.

    Returns:
        The rate in Hz.

    Raises:
        NotStated: if nobody states it.
        ValueError: if both do and differ, or it is no rate.

    Example:
        >>> agreed_rate("a.xml", 500.0, None), agreed_rate("a.xml", None, 250)
        (500.0, 250.0)
    """
    if given is not None and not is_sampling_rate(given):
        raise ValueError(f"fs={given!r} for {name}; accepted is a rate above 0 in Hz, for example fs=500")
    if stated is None:
        if given is None:
            raise NotStated(f"fs is missing for {name}: the file states no sampling rate; pass fs=<Hz>", "fs")
        return float(given)
    if not is_sampling_rate(stated):
        raise ValueError(
            f"{name} states a sampling rate of {stated!r} Hz; accepted is one above 0: copy it again"
        )
    if given is not None and not math.isclose(stated, given, rel_tol=1e-6):
        raise ValueError(f"{name} states {stated:g} Hz and fs={given:g} is passed; pass no fs")
    return float(stated)


def agreed_leads(name: str, stated: Sequence[str], given: Sequence[str] | None) -> tuple[str, ...]:
    """Settle the lead names between a file that states them and the caller.

    Args:
        name: the file's name, for messages.
        stated: the file's lead names, in any spelling.
        given: the caller's, or None.

    Returns:
        The standard names, in the file's order.

    Raises:
        ValueError: if two names mean one lead, or the caller's are others.

    Example:
        >>> agreed_leads("a.xml", ["I", "AVR"], ["I", "aVR"])
        ('I', 'aVR')
    """
    try:
        leads = canonical_leads(stated)
    except ValueError as error:
        raise ValueError(f"{name}: {error}") from None
    if given is not None and canonical_leads(given) != leads:
        raise ValueError(
            f"{name} states the leads {', '.join(leads)} and leads={list(given)!r} is passed; pass no leads, and "
            "take some with record.select"
        )
    return leads


def agreed_unit(name: str, stated: str | None, given: str | None) -> float:
    """Settle the unit of amplitude between a file and the caller.

    Args:
        name: the file's name, for messages.
        stated: the unit that the file states, or None.
        given: the unit that the caller gives, or None.

    Returns:
        Millivolts in one unit.

    Raises:
        NotStated: if nobody states it.
        ValueError: if both do and differ, or it is none of voltage.

    Example:
        >>> agreed_unit("a.xml", "uV", None), agreed_unit("a.xml", None, "V")
        (0.001, 1000.0)
    """
    unit = given if stated is None or not stated.strip() else stated
    if unit is None:
        raise NotStated(
            f"unit is missing for {name}: the file states none; pass unit='mV', 'uV' or 'V'", "unit"
        )
    try:
        factor = millivolts(unit)
    except ValueError as error:
        raise ValueError(f"{name}: {error}") from None
    if (
        unit is stated
        and given is not None
        and (given == "zscore" or not math.isclose(millivolts(given), factor))
    ):
        raise ValueError(f"{name} states the unit {unit} and unit={given!r} is passed; pass no unit")
    return factor


def agreed_amplitude(name: str, stated: str | None, given: str | None) -> tuple[float, str]:
    """Settle the unit of amplitude of a file that may also hold standardised values.

    Args:
        name: the file's name, for messages.
        stated: the unit that the file states, or None.
        given: the unit that the caller gives, or None.

    Returns:
        What one unit is in the record's, and the record's: ``mV`` or ``zscore``.

    Raises:
        NotStated: if nobody states it.
        ValueError: if both do and differ, or it is neither of voltage nor ``zscore``.

    Example:
        >>> agreed_amplitude("a.mat", "uV", None), agreed_amplitude("a.mat", None, "zscore")
        ((0.001, 'mV'), (1.0, 'zscore'))
    """
    standing = (stated or "").strip().lower()
    if standing == "zscore" and given in (None, "zscore"):
        return 1.0, "zscore"
    if not standing and given == "zscore":
        return 1.0, "zscore"
    if standing == "zscore":
        raise ValueError(f"{name} states the unit zscore and unit={given!r} is passed; pass no unit")
    return agreed_unit(name, stated, given), "mV"


def sex(text: str | None) -> str | None:
    """Bring a stated sex into the words of the store.

    Args:
        text: what a file says, for example ``M`` or ``Female``.

    Returns:
        ``"male"``, ``"female"``, or None for all else.

    Example:
        >>> sex("M"), sex(" Female "), sex("UN"), sex(None)
        ('male', 'female', None, None)
    """
    return _SEXES.get((text or "").strip().lower())


def age_years(value: str | float | None, unit: str = "years") -> float | None:
    """Bring a stated age into years.

    Args:
        value: the number, or its text.
        unit: ``years``, ``months``, ``weeks``, ``days`` or ``hours``, or a short form of these.

    Returns:
        The age in years; None where it is not stated, or is none that a person has.

    Example:
        >>> age_years("64"), age_years("18", "MONTHS"), age_years("", "years"), age_years(999)
        (64.0, 1.5, None, None)
    """
    word = unit.strip().lower()
    factor = _YEARS.get(word, _YEARS.get(word.rstrip("s")))
    try:
        years = float(value if value is not None else "nan") * (factor if factor is not None else math.nan)
    except ValueError:
        return None
    return years if 0 <= years <= _OLDEST else None


def age_between(born: str | None, recorded: str | None) -> float | None:
    """Compute the age in completed years from two stated dates.

    Args:
        born: date of birth in ISO form, or None.
        recorded: date of the recording in ISO form, with or without time, or None.

    Returns:
        The age in years; None where a date is unknown, or the age is none that a person has.

    Example:
        >>> age_between("1976-01-01", "2008-12-23T19:44:46"), age_between("1976-01-01", None)
        (32.0, None)
    """
    if not born or not recorded or len(born) < 10 or len(recorded) < 10:
        return None
    begin, end = date.fromisoformat(born[:10]), date.fromisoformat(recorded[:10])
    return age_years(end.year - begin.year - ((end.month, end.day) < (begin.month, begin.day)))


def moment(year: int, month: int, day: int, clock: str | None = None) -> str | None:
    """Write a stated date, and a time of the day if there is one, in ISO form.

    Args:
        year: the year, of four digits.
        month: from 1.
        day: from 1.
        clock: hours, minutes and perhaps seconds with colons between them, or None.

    Returns:
        ISO text, with the time where it is a time of the day; None where there is no such date.

    Example:
        >>> moment(2008, 12, 23), moment(2008, 12, 23, "19:44:46.5"), moment(2008, 13, 1)
        ('2008-12-23', '2008-12-23T19:44:46.500', None)
    """
    try:
        day_text = date(year, month, day).isoformat()
    except ValueError:
        return None
    found = re.fullmatch(r"(\d{1,2}):(\d{2})(?::(\d{2})(?:\.(\d{1,6})\d*)?)?", (clock or "").strip())
    if found is None:
        return day_text
    try:
        time = datetime(
            year,
            month,
            day,
            int(found[1]),
            int(found[2]),
            int(found[3] or 0),
            int((found[4] or "").ljust(6, "0")),
        )
    except ValueError:
        return day_text
    if not time.microsecond:
        return time.isoformat()
    return time.isoformat(timespec="microseconds" if time.microsecond % 1000 else "milliseconds")


def about(**facts: str | float | None) -> dict[str, str | float]:
    """Keep those facts that are known, for a record's metadata.

    Args:
        **facts: values by column name; None or "" where the file does not tell.

    Returns:
        The others.

    Example:
        >>> about(age_years=64.0, sex=None, recorded_at="")
        {'age_years': 64.0}
    """
    return {key: value for key, value in facts.items() if value is not None and value != ""}
