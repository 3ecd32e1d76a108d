"""The settings of a run's config.json that a report reads, and what each may be."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any


def _number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _none_or_number(value: object) -> bool:
    return value is None or _number(value)


def _above_0(value: object) -> bool:
    return _number(value) and value > 0  # type: ignore[operator]


def _count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 1


def _whole(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _word(value: object) -> bool:
    return isinstance(value, str)


def _two_numbers(value: object) -> bool:
    return isinstance(value, list | tuple) and len(value) == 2 and all(map(_number, value))


def _band(value: object) -> bool:
    return value is None or (
        isinstance(value, list | tuple) and len(value) == 2 and all(map(_none_or_number, value))
    )


_Check = tuple[Callable[[object], bool], str]
_NUMBER: _Check = (_number, "a number")
_NONE_OR_NUMBER: _Check = (_none_or_number, "a number or null")
_ABOVE_0: _Check = (_above_0, "a number above 0")
_COUNT: _Check = (_count, "a whole number of at least 1")
_WORD: _Check = (_word, "a word")

# By group of settings ("" = the top) and name; a setting that is not there is not stated, and no fault.
_ACCEPTED: dict[str, dict[str, _Check]] = {
    "": {
        "method": _WORD,
        "backbone": _WORD,
        "epochs": _COUNT,
        "batch_size": _COUNT,
        "seed": (_whole, "a whole number"),
        "split": _WORD,
        "lead": _WORD,
    },
    "views": {
        "same_lead_probability": _NUMBER,
        "noise": _WORD,
        "noise_probability": _NUMBER,
        "noise_level_mv": _NONE_OR_NUMBER,
        "noise_snr_db": _NONE_OR_NUMBER,
        "mask_probability": _NUMBER,
        "mask_share": (_two_numbers, "two numbers"),
        "shift_s": _NUMBER,
        "crop_s": _NONE_OR_NUMBER,
    },
    "preprocessing": {
        "fs": _ABOVE_0,
        "seconds": _ABOVE_0,
        "band": (_band, "null or two edges in Hz"),
        "normalise": _WORD,
    },
    "optimisation": {"learning_rate": _NUMBER, "warmup_epochs": _NONE_OR_NUMBER},
}


def check_config(config: dict[str, Any], file: Path) -> None:
    """Check the settings that a report reads.

    Args:
        config: What the file holds.
        file: A run's config.json.

    Raises:
        ValueError: A setting has a value that it cannot have; the message names the file.

    Example:
        >>> check_config({"epochs": 3, "views": {"crop_s": None}}, Path("config.json"))
        >>> check_config({"views": {"crop_s": "8"}}, Path("config.json"))
        Traceback (most recent call last):
        ...
        ValueError: config.json is damaged (views.crop_s is '8'; accepted is a number or null); restore it, or ...
    """
    for group, accepted in _ACCEPTED.items():
        settings = config.get(group, {}) if group else config
        settings = settings if isinstance(settings, dict) else {}
        for name, (fits, words) in accepted.items():
            if name in settings and not fits(settings[name]):
                _refuse(file, f"{group}.{name}".removeprefix("."), settings[name], words)
    views = config.get("views")
    if isinstance(views, dict) and "noise_level_mv" in views and views.get("noise", "none") != "none":
        level = views["noise_level_mv"]
        if level is None and views.get("noise_snr_db") is None:
            _refuse(file, "views.noise_level_mv", level, "a number where noise_snr_db is null")
    stores = config.get("stores")
    for entry in stores if isinstance(stores, list) else []:
        if isinstance(entry, dict) and not _none_or_number(entry.get("windows")):
            _refuse(file, "windows of a store", entry.get("windows"), "a number")


def _refuse(file: Path, name: str, value: object, accepted: str) -> None:
    raise ValueError(
        f"{file} is damaged ({name} is {value!r}; accepted is {accepted}); restore it, or leave its folder out."
    )
