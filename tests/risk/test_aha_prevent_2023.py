"""PREVENT against published examples, an independent table, and properties."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from openclef.risk import SCORES, prevent_ascvd, prevent_cvd, prevent_hf
from tests.risk.golden import compare

MG_DL = 0.02586
PATIENT = {
    "age_years": 50,
    "smoker": False,
    "diabetes": True,
    "sbp_mmhg": 160,
    "total_chol_mmol_l": 200 * MG_DL,
    "hdl_mmol_l": 45 * MG_DL,
    "egfr_ml_min": 90,
    "bp_treated": True,
    "statin": False,
    "bmi": 35,
}
FUNCTIONS = {"prevent_cvd": prevent_cvd, "prevent_ascvd": prevent_ascvd, "prevent_hf": prevent_hf}


def of(name: str, everything: dict) -> dict:
    return {one: value for one, value in everything.items() if one in SCORES[name].inputs}


@pytest.mark.parametrize(
    ("name", "published", "computed"),
    [
        ("prevent_cvd", (0.147, 0.163), (14.6839, 16.3171)),
        ("prevent_ascvd", (0.092, 0.102), (9.1951, 10.1944)),
        ("prevent_hf", (0.081, 0.106), (8.0561, 10.5911)),
    ],
)
def test_worked_examples(name: str, published: tuple, computed: tuple) -> None:
    result = FUNCTIONS[name](**of(name, PATIENT), sex=["female", "male"], strict=True)
    assert tuple(result.value.round(3)) == published
    np.testing.assert_allclose(100 * result.value, computed, atol=6e-5)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_every_person_of_the_reference_table(golden_folder: Path, name: str) -> None:
    assert compare(golden_folder, name) == 188


@pytest.mark.parametrize("name", FUNCTIONS)
def test_unknown_inputs_take_the_documented_values(name: str) -> None:
    documented = {
        "smoker": 0,
        "diabetes": 0,
        "sbp_mmhg": 130,
        "total_chol_mmol_l": 4.8,
        "hdl_mmol_l": 1.3,
        "egfr_ml_min": 90,
        "bp_treated": 0,
        "statin": 0,
        "bmi": 25,
    }
    both = {"age_years": 62, "sex": ["female", "male"]}
    unknown, stated = FUNCTIONS[name](**both), FUNCTIONS[name](**both, **of(name, documented))
    np.testing.assert_allclose(unknown.value, stated.value, rtol=1e-12)
    assert unknown.n_missing.tolist() == [len(SCORES[name].inputs) - 2] * 2


def test_at_the_centre_only_the_constant_is_left() -> None:
    for sex, constant in (("female", -3.307728), ("male", -3.031168)):
        value = float(prevent_cvd(age_years=55, sex=sex).value)
        assert math.log(value / (1 - value)) == pytest.approx(constant, abs=1e-12)


@pytest.mark.parametrize(
    ("name", "limits", "rule"),
    [
        ("age_years", (30, 79.9), "age is outside 30 to under 80 years"),
        ("total_chol_mmol_l", (130 * MG_DL, 320 * MG_DL), r"130 to 320 mg/dL"),
        ("hdl_mmol_l", (20 * MG_DL, 100 * MG_DL), r"20 to 100 mg/dL"),
        ("sbp_mmhg", (90, 200), "90 to 200 mmHg"),
        ("egfr_ml_min", (15, 150), "15 to 150 mL/min"),
        ("bmi", (18.5, 39.99), "18.5 to under 40"),
    ],
)
def test_strict_withholds_outside_each_validated_range(name: str, limits: tuple, rule: str) -> None:
    low, high = limits
    values = [low * 0.99, low, high, high + 0.011 if name == "bmi" else high * 1.01]
    for score, function in FUNCTIONS.items():
        if name not in SCORES[score].inputs:
            continue
        patient = of(score, PATIENT) | {"sex": "female", name: values}
        with pytest.warns(UserWarning, match=f"{score} gives no value for 2 of 4: .*{rule}") as caught:
            strict = function(**patient, strict=True)
        assert len(caught) == 1
        assert np.isnan(strict.value).tolist() == [True, False, False, True]
        guiding = function(**patient)
        assert np.isfinite(guiding.value).all()
        flags = [flag for flag in guiding.flags.values() if flag.tolist() == [True, False, False, True]]
        assert len(flags) == 1


def test_unknown_inputs_break_no_rule(recwarn: pytest.WarningsRecorder) -> None:
    for function in FUNCTIONS.values():
        assert np.isfinite(function(age_years=50, sex="male", strict=True).value)
    assert not recwarn


@pytest.mark.parametrize(
    ("name", "value", "unit"),
    [("total_chol_mmol_l", 200, "mg/dL"), ("hdl_mmol_l", 45, "mg/dL"), ("sbp_mmhg", 21, "kPa")],
)
def test_other_units_are_refused_by_name(name: str, value: float, unit: str) -> None:
    with pytest.raises(ValueError, match=f"{name} is {value}; .*{unit}"):
        prevent_cvd(**({"age_years": 60, "sex": "male"} | {name: value}))


patients = st.fixed_dictionaries(
    {
        "age_years": st.floats(30, 79.9),
        "sex": st.sampled_from(["female", "male"]),
        "smoker": st.sampled_from([0, 1, math.nan]),
        "diabetes": st.sampled_from([0, 1, math.nan]),
        "sbp_mmhg": st.one_of(st.floats(90, 200), st.just(math.nan)),
        "total_chol_mmol_l": st.one_of(st.floats(3.4, 8.2), st.just(math.nan)),
        "hdl_mmol_l": st.one_of(st.floats(0.6, 2.5), st.just(math.nan)),
        "egfr_ml_min": st.one_of(st.floats(15, 150), st.just(math.nan)),
        "bp_treated": st.sampled_from([0, 1, math.nan]),
        "statin": st.sampled_from([0, 1, math.nan]),
        "bmi": st.one_of(st.floats(18.5, 39.9), st.just(math.nan)),
    }
)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_is_a_probability_that_rises_with_risk(name: str) -> None:
    function = FUNCTIONS[name]

    @given(patients, st.floats(110, 195), st.floats(0.1, 5))
    def holds(everything: dict, sbp: float, more: float) -> None:
        patient = of(name, everything)
        result = function(**patient)
        assert 0 < float(result.value) < 1
        assert int(result.n_missing) == sum(value != value for value in patient.values())
        # below 110 mmHg the published equations fall with SBP
        for one, values in (("sbp_mmhg", [sbp, sbp + more]), ("smoker", [0, 1]), ("diabetes", [0, 1])):
            low, high = function(**(patient | {one: values})).value
            assert high > low, one

    holds()


@pytest.mark.parametrize("name", FUNCTIONS)
def test_rises_with_age_and_with_falling_kidney_function(name: str) -> None:
    ages = np.arange(30, 80)
    for sex in ("female", "male"):
        for smoker in (0, 1):
            for egfr in (45, 90):
                patient = of(name, {"sbp_mmhg": 135, "smoker": smoker, "egfr_ml_min": egfr})
                assert (np.diff(FUNCTIONS[name](age_years=ages, sex=sex, **patient).value) > 0).all()
        kidneys = FUNCTIONS[name](age_years=60, sex=sex, egfr_ml_min=np.arange(120, 14, -5)).value
        assert (np.diff(kidneys) > 0).all()
