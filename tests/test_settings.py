"""Settings against annotations."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from openclef.settings import check_settings


@dataclass(frozen=True)
class Inner:
    rate: float = 0.1
    pair: tuple[float, float] = (0.0, 1.0)
    steps: int = 1


def example(
    count: int = 1,
    share: float = 0.5,
    on: bool = True,
    name: str | None = None,
    how: Literal["a", "b"] = "a",
    scale: float | Literal["batch"] = "batch",
    inner: Inner = Inner(),
    names: Sequence[str] = (),
    own: dict[str, Any] | None = None,
    anything: Any = None,
) -> None:
    """Only its annotations count."""


@pytest.mark.parametrize(
    "settings",
    [
        {"count": np.int64(3), "share": 1, "on": False},
        {"share": np.float32(0.5), "name": "x", "how": "b", "scale": 2},
        {"scale": "batch", "inner": Inner(steps=2), "names": ["a"], "own": {"b": 1}, "anything": object()},
        {"unknown": math.nan},
        {"inner": Inner(pair=[0, 1])},  # type: ignore[arg-type]
    ],
)
def test_what_fits_passes(settings) -> None:
    check_settings(settings, example)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"count": 1.5}, "count is 1.5; pass a whole number."),
        ({"count": True}, "count is True; pass a whole number."),
        ({"count": "3"}, "count is '3'; pass a whole number."),
        ({"count": None}, "count is None; pass a whole number."),
        ({"share": "0.5"}, "share is '0.5'; pass a finite number."),
        ({"share": math.inf}, "share is inf; pass a finite number."),
        ({"share": [0.5]}, r"share is \[0.5\]; pass a finite number."),
        ({"on": "false"}, "on is 'false'; pass true or false."),
        ({"on": 1}, "on is 1; pass true or false."),
        ({"name": 3}, "name is 3; pass a text or None."),
        ({"how": "c"}, "how is 'c'; pass one of 'a', 'b'."),
        ({"scale": "all"}, "scale is 'all'; pass a finite number or one of 'batch'."),
        ({"scale": math.nan}, "scale is nan"),
        ({"inner": {"rate": 1.0}}, r"inner is \{'rate': 1.0\}; pass Inner."),
        ({"inner": Inner(rate=math.nan)}, "inner.rate is nan; pass a finite number."),
        ({"inner": Inner(pair=(0.0,))}, "inner.pair is .*; pass 2 values: a finite number, a finite number."),  # type: ignore[arg-type]
        ({"inner": Inner(steps=1.0)}, "inner.steps is 1.0; pass a whole number."),  # type: ignore[arg-type]
        ({"names": "ab"}, "names is 'ab'; pass a list, each item a text."),
        ({"names": [1]}, r"names is \[1\]; pass a list"),
        ({"own": [1]}, r"own is \[1\]; pass names with their values or None."),
        ({"count": "x" * 500}, r"count is 'x+\.\.\.; pass"),
    ],
)
def test_what_does_not_fit_is_named(settings, message) -> None:
    with pytest.raises(ValueError, match=f"^{message}"):
        check_settings(settings, example)


@given(st.floats(), st.integers(), st.booleans(), st.text())
def test_numbers_pass_where_they_are_finite(number, whole, flag, text) -> None:
    for value in (number, whole, flag, text):
        fits = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
        if fits:
            check_settings({"share": value}, example)
        else:
            with pytest.raises(ValueError, match=r"^share is"):
                check_settings({"share": value}, example)
