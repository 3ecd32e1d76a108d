"""Age, and SCORE2 at age and sex alone."""

from __future__ import annotations

import math

import numpy as np
import pytest

from openclef.risk import age, age_sex, score2


def test_age_is_the_age_as_given() -> None:
    result = age(age_years=[3.5, 61, math.nan, 110])
    np.testing.assert_array_equal(result.value, [3.5, 61, math.nan, 110])
    assert result.n_missing.tolist() == [0, 0, 1, 0]
    assert result.completeness.tolist() == [1, 1, 0, 1]
    with pytest.raises(ValueError, match="accepted are 0 to 120"):
        age(age_years=300)


def test_age_sex_is_score2_without_the_rest_and_is_complete() -> None:
    ages = np.arange(20, 100)
    for sex in ("female", "male"):
        for region in ("low", "very_high"):
            result = age_sex(age_years=ages, sex=sex, region=region)
            np.testing.assert_array_equal(result.value, score2(age_years=ages, sex=sex, region=region).value)
            assert (result.completeness == 1).all()
            assert set(result.flags) == {"age_clipped", "extrapolated"}
    assert age_sex(age_years=[60, math.nan], sex=["", None]).completeness.tolist() == [0.5, 0]


def test_age_sex_rises_with_age_even_where_the_formula_changes() -> None:
    for sex in ("female", "male"):
        assert (np.diff(age_sex(age_years=np.arange(18, 101), sex=sex).value) > 0).all()
