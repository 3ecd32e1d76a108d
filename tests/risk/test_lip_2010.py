"""CHA2DS2-VASc against published examples, an independent table, and every combination of diagnoses."""

from __future__ import annotations

import itertools
import math
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from openclef.guidance import Guidance
from openclef.risk import cha2ds2_vasc

DIAGNOSES = ("heart_failure", "hypertension", "diabetes", "stroke", "vascular_disease")


def test_worked_examples() -> None:
    everything = dict.fromkeys(DIAGNOSES, True)
    assert cha2ds2_vasc(age_years=70, sex="female", hypertension=True, diabetes=True).value == 4
    assert cha2ds2_vasc(age_years=80, sex="female", **everything).value == 9
    assert cha2ds2_vasc(age_years=50, sex="male", **dict.fromkeys(DIAGNOSES, False)).value == 0


def test_every_person_of_the_reference_table(golden_folder: Path) -> None:
    people = pd.read_csv(golden_folder / "risk-scores.csv")
    inputs = {name: people[name] for name in ("age_years", "sex", *DIAGNOSES)}
    np.testing.assert_array_equal(cha2ds2_vasc(**inputs, strict=True).value, people["cha2ds2_vasc"])


def test_every_combination_is_the_sum_of_its_points() -> None:
    ages = {64.99: 0, 65: 1, 74.99: 1, 75: 2}
    rows = list(itertools.product(ages, ("female", "male"), *[(0, 1)] * 5))
    columns = dict(zip(("age_years", "sex", *DIAGNOSES), map(list, zip(*rows)), strict=True))
    expected = [
        ages[age] + (sex == "female") + failure + tension + sugar + 2 * stroke + vessels
        for age, sex, failure, tension, sugar, stroke, vessels in rows
    ]
    result = cha2ds2_vasc(**columns)
    assert result.value.tolist() == expected
    assert (min(expected), max(expected)) == (0, 9)


def test_unknown_diagnoses_count_as_no_and_are_counted() -> None:
    result = cha2ds2_vasc(age_years=[70, math.nan, 70], sex=["female", "male", None], stroke=[None, 1, 1])
    np.testing.assert_array_equal(result.value, [2, math.nan, math.nan])
    assert result.n_missing.tolist() == [5, 5, 5]
    defaults = {"hypertension": {"female": 1, "male": 0}}
    assert cha2ds2_vasc(age_years=50, sex=["female", "male"], defaults=defaults).value.tolist() == [2, 0]


def test_strict_is_for_adults() -> None:
    with pytest.warns(UserWarning, match="no value for 1 of 2: age is under 18 years"):
        result = cha2ds2_vasc(age_years=[17, 18], sex="male", strict=True)
    assert np.isnan(result.value).tolist() == [True, False]


@pytest.mark.parametrize("difference", ["squared", "absolute", "rank"])
@pytest.mark.parametrize("weighting", ["raw", "mean_one", "softmax"])
def test_guidance_is_the_same_in_points_and_in_points_over_9(difference: str, weighting: str) -> None:
    points = torch.tensor([0.0, 1, 1, 4, 9, math.nan], dtype=torch.float64)
    guidance = Guidance(difference=difference, weighting=weighting)
    ours, ninths = guidance.pairs(points), guidance.pairs(points / 9)
    torch.testing.assert_close(ours.weight, ninths.weight, rtol=0, atol=1e-5)
    torch.testing.assert_close(ours.target, ninths.target, rtol=0, atol=1e-5)
