"""The sum of terms, and formulas by sex in blocks of rows."""

from __future__ import annotations

import numpy as np
import pytest

from openclef.risk import formula


def test_linear_predictor_is_the_sum_of_products() -> None:
    terms = {"a": np.array([1.0, 2.0]), "b": np.array([3.0, -1.0]), "c": np.array([0.5, 0.25])}
    total = formula.linear_predictor(terms, {"a": 2.0, "a*b": -1.0, "c*c": 4.0})
    np.testing.assert_array_equal(total, [2 - 3 + 1, 4 + 2 + 0.25])
    with pytest.raises(KeyError):
        formula.linear_predictor(terms, {"a*d": 1.0})


@pytest.mark.parametrize("rows", [1, 2, 7, 100])
def test_blocks_of_any_size_give_the_same(rows: int, monkeypatch: pytest.MonkeyPatch) -> None:
    draw = np.random.default_rng(0)
    sex = draw.choice([0.0, 1.0, np.nan], (5, 7))
    age = np.where(draw.random((5, 7)) < 0.2, np.nan, draw.uniform(20, 90, (5, 7)))
    among = draw.random((5, 7)) < 0.7
    known = {"age_years": age, "sex": sex, "add": np.broadcast_to(np.arange(7.0), (5, 7))}
    expected = np.where(
        among, np.where(sex == 1, age + known["add"], np.where(sex == 0, -age, np.nan)), np.nan
    )
    monkeypatch.setattr(formula, "ROWS_AT_A_TIME", rows)
    value = formula.by_sex(
        lambda part, of: part["age_years"] + part["add"] if of == "male" else -part["age_years"], known, among
    )
    np.testing.assert_array_equal(value, expected)
