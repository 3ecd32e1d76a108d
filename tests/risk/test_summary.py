"""The look at a cohort's scores, and when they are called degenerate."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest

from openclef.risk import age_sex, describe, score2


def described(result):
    return describe(result.value, result.n_missing, result.completeness)


def test_rows_by_completeness_agree_with_plain_counts() -> None:
    generator = np.random.default_rng(1)
    n = 500
    sbp = np.where(generator.random(n) < 0.5, np.nan, generator.normal(130, 15, n))
    result = score2(age_years=generator.uniform(40, 80, n), sex="male", smoker=0, sbp_mmhg=sbp)
    rows, degenerate = described(result)
    assert degenerate is None
    assert [row["completeness"] for row in rows] == pytest.approx([4 / 7, 3 / 7, None])
    complete = result.value[~np.isnan(sbp)]
    assert rows[0]["n"] == complete.size
    assert rows[0]["share"] == complete.size / n
    assert rows[0]["median"] == np.median(complete)
    assert (rows[0]["q25"], rows[0]["q75"]) == tuple(np.quantile(complete, [0.25, 0.75]))
    assert (rows[-1]["min"], rows[-1]["max"]) == (result.value.min(), result.value.max())
    json.dumps(rows)


def test_a_shared_value_is_degenerate() -> None:
    result = score2(age_years=[60] * 6 + [50, 55], sex="male", smoker=0, sbp_mmhg=120)
    assert "75 % of patients share one value" in described(result).degenerate
    result = score2(age_years=[60] * 4 + [50, 55, 65, 68], sex="male", smoker=0, sbp_mmhg=120)
    assert described(result).degenerate is None


def test_an_absent_score_is_degenerate() -> None:
    result = score2(age_years=[math.nan] * 3, sex="male")
    rows, degenerate = described(result)
    assert degenerate.startswith("no patient has a value")
    assert rows[-1]["unknown"] == 3
    assert math.isnan(rows[-1]["median"])


def test_no_spread_is_degenerate() -> None:
    value = 0.1 + np.arange(100) * 1e-12
    assert "hardly differ" in describe(value, np.zeros(100, int), np.ones(100)).degenerate


def test_age_and_sex_only_is_reported_where_the_score_has_more_inputs() -> None:
    ages = np.linspace(40, 69, 100)
    assert "age and sex only" in described(score2(age_years=ages, sex="male")).degenerate
    assert described(score2(age_years=ages, sex="male", smoker=False)).degenerate is None
    assert described(age_sex(age_years=ages, sex="male")).degenerate is None
    some = np.where(np.arange(100) < 20, 130.0, np.nan)
    assert described(score2(age_years=ages, sex="male", sbp_mmhg=some)).degenerate is None


def test_prints_as_a_table() -> None:
    text = str(described(score2(age_years=np.linspace(40, 69, 100), sex="male", smoker=False)))
    assert text.splitlines()[0].split()[:3] == ["completeness", "n", "share"]
    assert text.splitlines()[-2].split()[:2] == ["all", "100"]
    assert text.splitlines()[-1] == "degenerate: no"


def test_arrays_of_different_length_are_refused() -> None:
    with pytest.raises(ValueError, match="have 2, 1 and 2 entries"):
        describe([0.1, 0.2], [0], [1.0, 1.0])
    with pytest.raises(ValueError, match="have 0, 0 and 0 entries"):
        describe([], [], [])
