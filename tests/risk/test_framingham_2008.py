"""Framingham 2008 against published examples, an independent table, and properties."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from openclef.risk import framingham, framingham_bmi
from tests.risk.golden import compare

MG_DL = 0.02586


@pytest.mark.parametrize(
    ("sex", "age", "total", "hdl", "sbp", "treated", "smoker", "diabetes", "expected"),
    [
        ("male", 55, 213, 50, 140, 0, 0, 0, 13.534026),
        ("female", 61, 180, 47, 124, 0, 1, 0, 10.4842),
        ("male", 53, 161, 55, 125, 1, 0, 1, 15.6227),
    ],
)
def test_worked_examples(sex, age, total, hdl, sbp, treated, smoker, diabetes, expected) -> None:
    result = framingham(
        age_years=age,
        sex=sex,
        smoker=smoker,
        diabetes=diabetes,
        sbp_mmhg=sbp,
        total_chol_mmol_l=total * MG_DL,
        hdl_mmol_l=hdl * MG_DL,
        bp_treated=treated,
        strict=True,
    )
    assert 100 * float(result.value) == pytest.approx(expected, abs=6e-5)


def test_worked_example_with_bmi() -> None:
    result = framingham_bmi(
        age_years=55, sex="male", smoker=0, diabetes=0, sbp_mmhg=140, bp_treated=0, bmi=30, strict=True
    )
    assert 100 * float(result.value) == pytest.approx(16.7483, abs=6e-5)


@pytest.mark.parametrize("name", ["framingham", "framingham_bmi"])
def test_every_person_of_the_reference_table(golden_folder: Path, name: str) -> None:
    assert compare(golden_folder, name) == 148


def test_unknown_inputs_take_the_documented_values() -> None:
    both = {"age_years": 55, "sex": ["female", "male"]}
    stated = framingham(
        **both, smoker=0, diabetes=0, sbp_mmhg=130, total_chol_mmol_l=5.2, hdl_mmol_l=1.3, bp_treated=0
    )
    np.testing.assert_allclose(framingham(**both).value, stated.value, rtol=1e-12)
    assert framingham(**both).n_missing.tolist() == [6, 6]
    stated = framingham_bmi(**both, smoker=0, diabetes=0, sbp_mmhg=130, bp_treated=0, bmi=25)
    np.testing.assert_allclose(framingham_bmi(**both).value, stated.value, rtol=1e-12)
    assert framingham_bmi(**both).n_missing.tolist() == [5, 5]
    medians = {"bmi": {"female": 28.5, "male": 27.9}, "sbp_mmhg": 122}
    stated = framingham_bmi(**both, bmi=[28.5, 27.9], sbp_mmhg=122)
    np.testing.assert_array_equal(framingham_bmi(**both, defaults=medians).value, stated.value)
    with pytest.raises(ValueError, match="defaults has 'bmi'"):
        framingham(**both, defaults={"bmi": 28})


def test_treatment_chooses_the_coefficient_of_sbp() -> None:
    treated, untreated = framingham(
        age_years=55, sex="male", sbp_mmhg=140, total_chol_mmol_l=213 * MG_DL, hdl_mmol_l=50 * MG_DL,
        bp_treated=[True, False],
    ).value  # fmt: skip
    # the linear predictors differ by (1.99881 - 1.93303) ln 140
    ratio = math.log1p(-treated) / math.log1p(-untreated)
    assert math.log(ratio) == pytest.approx((1.99881 - 1.93303) * math.log(140), rel=1e-9)


def test_strict_and_flags() -> None:
    ages = [10, 29.9, 30, 74.9, 75, 119]
    guiding = framingham(age_years=ages, sex="female", total_chol_mmol_l=1, hdl_mmol_l=2)
    assert np.isfinite(guiding.value).all()
    assert guiding.flags["age_clipped"].tolist() == [True, False, False, False, False, True]
    assert guiding.flags["extrapolated"].tolist() == [True, True, False, False, True, True]
    assert guiding.flags["hdl_above_total_chol"].all()
    assert set(framingham_bmi(age_years=50, sex="male").flags) == {"age_clipped", "extrapolated"}
    for function in (framingham, framingham_bmi):
        with pytest.warns(UserWarning, match="no value for 4 of 6: age is outside 30 to under 75 years"):
            strict = function(age_years=ages, sex="female", strict=True)
        assert np.isnan(strict.value).tolist() == [True, True, False, False, True, True]


@pytest.mark.parametrize(
    ("function", "name", "value", "unit"),
    [
        (framingham, "total_chol_mmol_l", 213, "mg/dL"),
        (framingham, "hdl_mmol_l", 50, "mg/dL"),
        (framingham, "sbp_mmhg", 18, "kPa"),
        (framingham_bmi, "bmi", 175, "weight in kg"),
    ],
)
def test_other_units_are_refused_by_name(function, name: str, value: float, unit: str) -> None:
    with pytest.raises(ValueError, match=f"{name} is {value}; .*{unit}"):
        function(**({"age_years": 60, "sex": "male"} | {name: value}))


shared = {
    "age_years": st.floats(30, 74.9),
    "sex": st.sampled_from(["female", "male"]),
    "smoker": st.sampled_from([0, 1, math.nan]),
    "diabetes": st.sampled_from([0, 1, math.nan]),
    "sbp_mmhg": st.one_of(st.floats(80, 220), st.just(math.nan)),
    "bp_treated": st.sampled_from([0, 1, math.nan]),
}
laboratory = {
    "total_chol_mmol_l": st.one_of(st.floats(2, 12), st.just(math.nan)),
    "hdl_mmol_l": st.one_of(st.floats(0.4, 3), st.just(math.nan)),
}
weight = {"bmi": st.one_of(st.floats(15, 60), st.just(math.nan))}


@pytest.mark.parametrize(
    ("function", "others", "further"),
    [
        (framingham, laboratory, {"total_chol_mmol_l": [4, 5], "hdl_mmol_l": [1.5, 1.2]}),
        (framingham_bmi, weight, {"bmi": [25, 26]}),
    ],
)
def test_is_a_probability_that_rises_with_risk(function, others: dict, further: dict) -> None:
    @given(st.fixed_dictionaries(shared | others), st.floats(0.1, 20))
    def holds(patient: dict, more: float) -> None:
        result = function(**patient)
        assert 0 < float(result.value) <= 1
        assert int(result.n_missing) == sum(value != value for value in patient.values())
        steps = {"age_years": [50, 50 + more], "sbp_mmhg": [120, 120 + more]}
        for name, values in (
            steps | {one: [0, 1] for one in ("smoker", "diabetes", "bp_treated")} | further
        ).items():
            low, high = -np.log1p(-function(**(patient | {name: values})).value)
            assert high > low, name

    holds()
