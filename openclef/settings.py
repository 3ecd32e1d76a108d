"""Settings against their annotations: a wrong type or a number that is not finite is refused before anything starts."""

from __future__ import annotations

import math
import types
from collections.abc import Mapping, Sequence
from dataclasses import fields, is_dataclass
from numbers import Integral, Real
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

__all__ = ["check_settings"]

_WORDS = {
    int: "a whole number",
    float: "a finite number",
    bool: "true or false",
    str: "a text",
    type(None): "None",
}


def check_settings(values: Mapping[str, Any], annotated: Any, prefix: str = "") -> None:
    """Refuse settings that are not what the annotations of a function or dataclass say.

    Numbers of numpy pass for Python's, whole numbers for others; a boolean is no number, and a number that is not
    finite is none. Settings of a dataclass are looked into. Annotations beyond numbers, texts, booleans, None,
    literals, lists, dictionaries and classes are left to whoever reads the setting.

    Args:
        values: What was given, by name.
        annotated: The function, class or dataclass whose annotations hold.
        prefix: Put before the names in messages, as "views.".

    Raises:
        ValueError: A setting has another type; the message names it, what it is and what is accepted.

    Example:
        >>> def train(epochs: int = 1, rate: float | None = None, how: Literal["a", "b"] = "a"): ...
        >>> check_settings({"epochs": 2, "rate": None, "how": "b"}, train)
        >>> check_settings({"epochs": 1.5}, train)
        Traceback (most recent call last):
        ...
        ValueError: epochs is 1.5; pass a whole number.
    """
    function: Any = vars(annotated)["__init__"] if isinstance(annotated, type) else annotated
    hints = get_type_hints(function)
    for name, value in values.items():
        if name not in hints:
            continue
        if is_dataclass(hints[name]) and isinstance(value, hints[name]):
            inside = {each.name: getattr(value, each.name) for each in fields(value)}
            check_settings(inside, type(value), f"{prefix}{name}.")
        elif not _fits(value, hints[name]):
            raise ValueError(f"{prefix}{name} is {_shown(value)}; pass {_said(hints[name])}.")


def _fits(value: Any, hint: Any) -> bool:
    origin, inside = get_origin(hint), get_args(hint)
    if origin in (Union, types.UnionType):
        return any(_fits(value, each) for each in inside)
    if origin is Literal:
        return any(type(value) is type(each) and value == each for each in inside)
    if hint is bool:
        return isinstance(value, bool)
    if hint is int:
        return isinstance(value, Integral) and not isinstance(value, bool)
    if hint is float:
        return isinstance(value, Real) and not isinstance(value, bool) and math.isfinite(value)
    if hint in (str, type(None)):
        return isinstance(value, hint)
    if origin in (dict, Mapping):
        return isinstance(value, Mapping)
    if origin is tuple:
        return isinstance(value, (tuple, list)) and (
            Ellipsis in inside
            or (
                len(value) == len(inside)
                and all(_fits(each, one) for each, one in zip(value, inside, strict=True))
            )
        )
    if origin in (list, Sequence):
        return isinstance(value, Sequence) and (
            not isinstance(value, str) and all(_fits(each, inside[0]) for each in value)
        )
    return hint is Any or not isinstance(hint, type) or isinstance(value, hint)


def _said(hint: Any) -> str:
    origin, inside = get_origin(hint), get_args(hint)
    if origin in (Union, types.UnionType):
        said = [_said(each) for each in inside]
        return f"{', '.join(said[:-1])} or {said[-1]}"
    if origin is Literal:
        return f"one of {', '.join(map(repr, inside))}"
    if origin is tuple:
        return f"{len(inside)} values: {', '.join(_said(each) for each in inside)}"
    if origin in (list, Sequence):
        return f"a list, each item {_said(inside[0])}"
    if origin in (dict, Mapping):
        return "names with their values"
    return _WORDS.get(hint, getattr(hint, "__name__", str(hint)))


def _shown(value: Any, longest: int = 80) -> str:
    text = repr(value)
    return text if len(text) <= longest else f"{text[: longest - 3]}..."
