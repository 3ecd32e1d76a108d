"""SCORE2-Diabetes against published examples, an independent table, and properties."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from openclef.risk import score2, score2_diabetes
from tests.risk.golden import compare

PATIENT = {
    "age_years": 60,
    "smoker": False,
    "diabetes": True,
    "sbp_mmhg": 140,
    "total_chol_mmol_l": 5.5,
    "hdl_mmol_l": 1.3,
}


@pytest.mark.parametrize(
    ("onset", "hba1c", "egfr", "expected"),
    [
        (60, 50, 90, [(8.4, 6.1), (11.0, 7.6), (12.5, 11.1), (20.3, 20.6)]),
        (50, 70, 60, [(12.9, 9.8), (17.2, 12.7), (21.0, 20.4), (31.2, 34.0)]),
    ],
)
def test_published_examples(onset: float, hba1c: float, egfr: float, expected: list) -> None:
    for region, of_sexes in zip(("low", "moderate", "high", "very_high"), expected, strict=True):
        result = score2_diabetes(
            **PATIENT,
            sex=["male", "female"],
            age_at_diabetes_years=onset,
            hba1c_mmol_mol=hba1c,
            egfr_ml_min=egfr,
            region=region,
            strict=True,
        )
        assert tuple((100 * result.value).round(1)) == of_sexes


def test_every_person_of_the_reference_table(golden_folder: Path) -> None:
    assert compare(golden_folder, "score2_diabetes", diabetes=True) == 120


def test_unknown_inputs_take_the_documented_values() -> None:
    for sex in ("female", "male"):
        for age in (44, 60, 69.5):
            unknown = score2_diabetes(age_years=age, sex=sex, diabetes=True)
            stated = score2_diabetes(
                age_years=age,
                sex=sex,
                smoker=False,
                diabetes=True,
                sbp_mmhg=120,
                total_chol_mmol_l=6.0,
                hdl_mmol_l=1.3,
                age_at_diabetes_years=age,
                hba1c_mmol_mol=31,
                egfr_ml_min=90,
            )
            assert float(unknown.value) == pytest.approx(float(stated.value), rel=1e-12)
            assert int(unknown.n_missing) == 7
            nobody_knows = score2_diabetes(age_years=age, sex=sex)
            healthy = score2_diabetes(age_years=age, sex=sex, diabetes=False)
            assert float(nobody_knows.value) == float(healthy.value) < float(unknown.value)


def test_defaults_of_the_caller() -> None:
    both = {"age_years": 60, "sex": ["male", "female"], "diabetes": True}
    result = score2_diabetes(
        **both, defaults={"hba1c_mmol_mol": {"male": 60, "female": 55}, "age_at_diabetes_years": 48}
    )
    stated = score2_diabetes(**both, hba1c_mmol_mol=[60, 55], age_at_diabetes_years=48)
    np.testing.assert_array_equal(result.value, stated.value)
    with pytest.raises(ValueError, match="defaults has 'bmi'"):
        score2_diabetes(**both, defaults={"bmi": 30})


def test_age_at_diagnosis_matters_only_with_diabetes() -> None:
    onsets = score2_diabetes(
        age_years=60, sex="male", diabetes=[True, False], age_at_diabetes_years=[[40], [60]]
    ).value
    assert onsets[0, 0] > onsets[1, 0]
    assert onsets[0, 1] == onsets[1, 1]


def test_strict_answers_for_known_diabetes_within_the_ages() -> None:
    with pytest.warns(UserWarning, match="gives no value") as caught:
        result = score2_diabetes(
            age_years=[39.9, 40, 69.9, 70, 55, 55],
            sex="male",
            diabetes=[1, 1, 1, 1, 0, math.nan],
            strict=True,
        )
    assert np.isnan(result.value).tolist() == [True, False, False, True, True, True]
    assert [str(warning.message) for warning in caught] == [
        "score2_diabetes gives no value for 2 of 6: age is outside 40 to under 70 years.",
        "score2_diabetes gives no value for 2 of 6: SCORE2-Diabetes is for people who are known to have diabetes; "
        "for others use score2.",
    ]


def test_flags() -> None:
    result = score2_diabetes(
        age_years=[5, 50, 75], sex="male", diabetes=[1, 0, 1], age_at_diabetes_years=[4, 60, 50]
    )
    assert {name: flag.tolist() for name, flag in result.flags.items()} == {
        "age_clipped": [True, False, False],
        "extrapolated": [True, False, True],
        "no_diabetes": [False, True, False],
        "diabetes_after_age": [False, True, False],
        "hdl_above_total_chol": [False, False, False],
    }
    assert np.isfinite(result.value).all()


def test_score2_refers_to_it() -> None:
    with pytest.warns(UserWarning, match="use score2_diabetes"):
        score2(age_years=60, sex="male", diabetes=True, strict=True)


@pytest.mark.parametrize(
    ("name", "value", "unit"),
    [
        ("hba1c_mmol_mol", 7.2, "per cent"),
        ("egfr_ml_min", 0.9, "mL/s"),
        ("total_chol_mmol_l", 213, "mg/dL"),
        ("hdl_mmol_l", 50, "mg/dL"),
        ("sbp_mmhg", 18, "kPa"),
        ("age_at_diabetes_years", 2009, "calendar year"),
    ],
)
def test_other_units_are_refused_by_name(name: str, value: float, unit: str) -> None:
    with pytest.raises(ValueError, match=f"{name} is {value:g}; .*{unit}"):
        score2_diabetes(**({"age_years": 60, "sex": "male"} | {name: value}))


patients = st.fixed_dictionaries(
    {
        "age_years": st.floats(40, 69.9),
        "sex": st.sampled_from(["female", "male"]),
        "smoker": st.sampled_from([0, 1, math.nan]),
        "diabetes": st.sampled_from([0, 1, math.nan]),
        "sbp_mmhg": st.one_of(st.floats(90, 200), st.just(math.nan)),
        "total_chol_mmol_l": st.one_of(st.floats(3, 8), st.just(math.nan)),
        "hdl_mmol_l": st.one_of(st.floats(0.6, 2.5), st.just(math.nan)),
        "age_at_diabetes_years": st.one_of(st.floats(30, 69), st.just(math.nan)),
        "hba1c_mmol_mol": st.one_of(st.floats(31, 90), st.just(math.nan)),
        "egfr_ml_min": st.one_of(st.floats(30, 120), st.just(math.nan)),
        "region": st.sampled_from(["low", "moderate", "high", "very_high"]),
    }
)


@given(patients, st.floats(90, 180), st.floats(0.5, 20))
def test_is_a_probability_that_rises_with_risk(patient: dict, sbp: float, more: float) -> None:
    result = score2_diabetes(**patient)
    assert 0 < float(result.value) < 1
    assert int(result.n_missing) == sum(value != value for value in patient.values())

    def rises(name: str, values: list[float]) -> None:
        assert (np.diff(score2_diabetes(**(patient | {name: values})).value) > 0).all()

    rises("sbp_mmhg", [sbp, sbp + more])
    rises("smoker", [0, 1])
    rises("hba1c_mmol_mol", [40, 40 + more])
    rises("hdl_mmol_l", [2.0, 2.0 - more / 20])


@given(patients, st.floats(40, 65), st.floats(0.1, 4.9))
def test_rises_with_age_at_one_age_of_diagnosis(patient: dict, age: float, more: float) -> None:
    patient = patient | {"age_years": [age, age + more], "age_at_diabetes_years": 40}
    low, high = score2_diabetes(**patient).value
    assert high > low
