"""Units of amplitude that files may state, and what they are in millivolts."""

from __future__ import annotations

MILLIVOLTS = {"mv": 1.0, "uv": 1e-3, "µv": 1e-3, "μv": 1e-3, "v": 1e3}
"""Millivolts in one unit, by the unit's name in lower case."""


def millivolts(unit: str) -> float:
    """Say how many millivolts one unit is.

    Args:
        unit: a unit's name as a file states it: ``mV``, ``uV`` or ``V``, in any capitals.

    Returns:
        Millivolts in one unit.

    Raises:
        ValueError: for every other unit; its amplitude is not known.

    Example:
        >>> millivolts("uV"), millivolts("V")
        (0.001, 1000.0)
    """
    factor = MILLIVOLTS.get(unit.strip().lower())
    if factor is None:
        raise ValueError(f"unit {unit!r}; accepted are mV, uV and V: convert the signal to mV")
    return factor
