"""SCORE2 and SCORE2-OP against published examples, an independent table of 240 people, and properties."""

from __future__ import annotations

import math
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from openclef.risk import region_of, score2
from openclef.risk.esc_2021 import COUNTRIES, INPUTS, REGIONS

SEXES = ("male", "female")


def percent(region: str, age: float, sex: str, smoker: int, sbp: float, total: float, hdl: float, diabetes=0):
    result = score2(
        age_years=age,
        sex=sex,
        smoker=smoker,
        diabetes=diabetes,
        sbp_mmhg=sbp,
        total_chol_mmol_l=total,
        hdl_mmol_l=hdl,
        region=region,
    )
    return 100 * float(result.value)


# SCORE2 paper, Supplementary Table 4: age 50, smoker, SBP 140, total cholesterol 6.3, HDL 1.4.
SCORE2_EXAMPLE = {
    "low": ((6.314292, 6.3), (4.331930, 4.3)),
    "moderate": ((8.106610, 8.1), (5.227252, 5.2)),
    "high": ((8.808876, 8.8), (7.126372, 7.1)),
    "very_high": ((15.058106, 15.1), (14.126696, 14.1)),
}
# SCORE2-OP paper, Supplementary Table 3: age 75, smoker, SBP 140, total cholesterol 5.5, HDL 1.3 (of high and
# very high risk only computed decimals).
SCORE2_OP_EXAMPLE = {
    "low": ((18.562104, 18.6), (15.158016, 15.2)),
    "moderate": ((23.941979, 23.9), (19.996559, 20.0)),
    "high": ((27.807827, None), (30.591831, None)),
    "very_high": ((39.708546, None), (45.533473, None)),
}


@pytest.mark.parametrize("region", REGIONS)
@pytest.mark.parametrize("sex", SEXES)
def test_worked_examples_of_the_papers(region: str, sex: str) -> None:
    exact, published = SCORE2_EXAMPLE[region][SEXES.index(sex)]
    assert percent(region, 50, sex, 1, 140, 6.3, 1.4) == pytest.approx(exact, abs=5e-7)
    assert round(percent(region, 50, sex, 1, 140, 6.3, 1.4), 1) == published
    exact, published = SCORE2_OP_EXAMPLE[region][SEXES.index(sex)]
    assert percent(region, 75, sex, 1, 140, 5.5, 1.3) == pytest.approx(exact, abs=5e-7)
    if published is not None:
        assert round(percent(region, 75, sex, 1, 140, 5.5, 1.3), 1) == published


@pytest.mark.parametrize(
    ("patient", "expected"),
    [
        (("low", 45, "male", 0, 110, 5, 2), 1.1),
        (("very_high", 45, "female", 1, 140, 5, 2), 6.0),
        (("high", 48, "male", 1, 160, 8, 2), 10.0),
        (("low", 75, "male", 0, 140, 5.5, 1.3), 13.3),
        (("low", 75, "female", 0, 110, 5, 2), 6.1),
        (("high", 75, "male", 1, 140, 6, 1.3), 29.2),
        (("high", 75, "female", 1, 110, 5, 2), 19.0),
        (("very_high", 75, "male", 1, 140, 6, 1.3), 40.8),
        (("very_high", 75, "female", 1, 140, 6, 1.3), 46.2),
        (("low", 50, "male", 1, 140, 5.5, 1.3), 5.9),
        (("low", 50, "female", 1, 140, 5.5, 1.3), 4.2),
    ],
)
def test_examples_of_heartscore_org(patient: tuple, expected: float) -> None:
    assert round(percent(*patient), 1) == expected


@pytest.mark.parametrize(
    ("age", "sex", "diabetes", "expected"),
    [
        (60, "male", 1, 12.1096),
        (60, "female", 1, 8.6315),
        (60, "male", 0, 7.4074),
        (60, "female", 0, 4.7239),
        (75, "male", 1, 26.2877),
        (75, "female", 1, 22.8806),
        (75, "male", 0, 17.0879),
        (75, "female", 0, 12.8321),
    ],
)
def test_diabetes_term(age: float, sex: str, diabetes: int, expected: float) -> None:
    assert percent("moderate", age, sex, 0, 140, 5.5, 1.3, diabetes) == pytest.approx(expected, abs=6e-5)


def test_known_jump_between_the_two_formulas_at_70() -> None:
    below = [percent("moderate", math.nextafter(70, 0), sex, 0, 130, 5.2, 1.3) for sex in SEXES]
    from_70 = [percent("moderate", 70, sex, 0, 130, 5.2, 1.3) for sex in SEXES]
    assert [round(value, 2) for value in below] == [11.57, 8.27]
    assert [round(value, 2) for value in from_70] == [10.16, 7.29]


def test_every_person_of_the_reference_table(golden_folder: Path) -> None:
    people = pd.read_csv(golden_folder / "risk-scores.csv")
    assert len(people) == 240
    for region, group in people.groupby("region"):
        inputs = {name: group[name] for name in INPUTS}
        with_term = score2(**inputs, region=str(region))
        without = score2(**(inputs | {"diabetes": 0}), region=str(region))
        np.testing.assert_allclose(with_term.value, group["score2_diabetes_term"], rtol=0, atol=6e-9)
        np.testing.assert_allclose(without.value, group["score2_no_diabetes"], rtol=0, atol=6e-9)
        assert (with_term.n_missing == 0).all()
        assert (with_term.completeness == 1).all()


def test_unknown_inputs_take_the_documented_values() -> None:
    for age, sbp, hdl in ((55, 120, 1.3), (69.99, 120, 1.3), (70, 150, 1.4), (85, 150, 1.4)):
        for sex in SEXES:
            unknown = score2(age_years=age, sex=sex)
            assert 100 * float(unknown.value) == pytest.approx(
                percent("low", age, sex, 0, sbp, 6.0, hdl), rel=1e-12
            )
            assert int(unknown.n_missing) == 5
            assert float(unknown.completeness) == pytest.approx(2 / 7)


def test_defaults_of_the_caller_go_before_the_scores_own() -> None:
    result = score2(
        age_years=[60, 75, 60],
        sex=["male", "female", "female"],
        sbp_mmhg=[math.nan, math.nan, 155],
        defaults={"sbp_mmhg": {"male": 131, "female": 127}, "total_chol_mmol_l": 5.0},
    )
    expected = [
        percent("low", 60, "male", 0, 131, 5.0, 1.3),
        percent("low", 75, "female", 0, 127, 5.0, 1.4),
        percent("low", 60, "female", 0, 155, 5.0, 1.3),
    ]
    np.testing.assert_allclose(100 * result.value, expected, rtol=1e-12)
    assert result.n_missing.tolist() == [5, 5, 4]


@pytest.mark.parametrize(
    ("defaults", "message"),
    [
        ({"age_years": 60}, "accepted are smoker, diabetes"),
        ({"sbp_mmhg": {"male": 130}}, "give both"),
        ({"sbp_mmhg": math.nan}, "one known number"),
        ({"total_chol_mmol_l": 200}, "mg/dL"),
    ],
)
def test_wrong_defaults_are_refused(defaults: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        score2(age_years=60, sex="male", defaults=defaults)


def test_a_callers_sbp_narrows_the_jump_at_70() -> None:
    def jump(**settings: object) -> float:
        low, high = score2(age_years=[math.nextafter(70, 0), 70], sex="male", **settings).value
        return abs(high - low)

    assert jump(defaults={"sbp_mmhg": 132}) == pytest.approx(jump(sbp_mmhg=132))
    assert jump(sbp_mmhg=132) < 0.6 * jump()


def test_age_or_sex_unknown_gives_no_value_but_a_completeness() -> None:
    result = score2(age_years=[math.nan, 60, 60], sex=["male", None, "male"], smoker=1, sbp_mmhg=140)
    assert np.isnan(result.value).tolist() == [True, True, False]
    assert result.n_missing.tolist() == [4, 4, 3]
    np.testing.assert_allclose(result.completeness, [3 / 7, 3 / 7, 4 / 7])


def test_strict_withholds_outside_the_validated_range_and_says_which_rule() -> None:
    ages = [39.9, 40, 69.9, 70, 89.9, 90]
    with pytest.warns(UserWarning, match=r"no value for 2 of 6: age is outside 40 to under 90"):
        result = score2(age_years=ages, sex="female", diabetes=False, strict=True)
    assert np.isnan(result.value).tolist() == [True, False, False, False, False, True]
    with pytest.warns(UserWarning, match="use score2_diabetes"):
        result = score2(age_years=60, sex="female", diabetes=[True, False, math.nan], strict=True)
    assert np.isnan(result.value).tolist() == [True, False, False]


def test_guidance_extrapolates_and_clips_age_with_flags(recwarn: pytest.WarningsRecorder) -> None:
    result = score2(age_years=[5, 18, 39, 60, 95, 100, 119], sex="male")
    assert not recwarn
    assert np.isfinite(result.value).all()
    assert result.value[0] == result.value[1]
    assert result.value[5] == result.value[6]
    assert result.flags["age_clipped"].tolist() == [True, False, False, False, False, False, True]
    assert result.flags["extrapolated"].tolist() == [True, True, True, False, True, True, True]


def test_hdl_above_total_cholesterol_is_flagged() -> None:
    result = score2(age_years=60, sex="male", total_chol_mmol_l=1.2, hdl_mmol_l=[5.0, 1.0, math.nan])
    assert result.flags["hdl_above_total_chol"].tolist() == [True, False, False]


def test_unknown_region_and_country() -> None:
    with pytest.raises(ValueError, match="accepted are low, moderate, high, very_high"):
        score2(age_years=60, sex="male", region="USA")
    assert [region_of(code) for code in ("GB", "UK", "DE", "PL", "UA")] == [
        "low",
        "low",
        "moderate",
        "high",
        "very_high",
    ]
    for country in ("US", "", "GBR", "de"):
        with pytest.raises(ValueError, match="choose a region and say so"):
            region_of(country)
    codes = " ".join(COUNTRIES.values()).split()
    assert len(codes) == len(set(codes)) == 10 + 13 + 10 + 16
    assert tuple(COUNTRIES) == REGIONS


patients = st.fixed_dictionaries(
    {
        "age_years": st.floats(18, 100),
        "sex": st.sampled_from(SEXES),
        "smoker": st.sampled_from([0, 1, math.nan]),
        "diabetes": st.sampled_from([0, 1, math.nan]),
        "sbp_mmhg": st.one_of(st.floats(80, 220), st.just(math.nan)),
        "total_chol_mmol_l": st.one_of(st.floats(2, 12), st.just(math.nan)),
        "hdl_mmol_l": st.one_of(st.floats(0.4, 3), st.just(math.nan)),
        "region": st.sampled_from(REGIONS),
    }
)


@given(patients)
def test_is_a_probability_and_counts_what_is_missing(patient: dict) -> None:
    result = score2(**patient)
    assert 0 < float(result.value) < 1
    missing = sum(value != value for value in patient.values())
    assert int(result.n_missing) == missing
    assert float(result.completeness) == pytest.approx(1 - missing / 7)


@given(patients, st.floats(40, 69.9), st.floats(80, 219), st.floats(0.5, 30))
def test_rises_with_blood_pressure_and_smoking_and_falls_with_hdl(
    patient: dict, age: float, sbp: float, more: float
) -> None:
    patient = patient | {"age_years": age}  # the validated range of SCORE2
    low, high = score2(**(patient | {"sbp_mmhg": [sbp, sbp + more]})).value
    assert high > low
    no, yes = score2(**(patient | {"smoker": [False, True]})).value
    assert yes > no
    high, low = score2(**(patient | {"hdl_mmol_l": [0.8, 0.8 + more / 20]})).value
    assert low < high


@given(patients, st.floats(0, 1), st.floats(0, 1))
def test_rises_with_age_within_the_validated_range(patient: dict, first: float, second: float) -> None:
    """For measurements up to SBP 180 and cholesterol 8; interactions with age turn it round beyond."""
    younger, older = sorted((first, second))
    within = {
        "sbp_mmhg": 90 + patient["age_years"] - 18,
        "total_chol_mmol_l": 3 + 5 * first,
        "hdl_mmol_l": 0.8 + second,
    }
    patient = patient | within
    low, high = score2(**(patient | {"age_years": [40 + 28 * younger, 41 + 28 * older]})).value
    assert high > low
    patient = patient | {"smoker": 0, "diabetes": 0, "age_years": [70 + 18 * younger, 71 + 18 * older]}
    low, high = score2(**patient).value
    assert high > low


@given(st.lists(patients, min_size=2, max_size=12), st.randoms(use_true_random=False))
def test_each_patient_stands_alone(cohort: list[dict], random) -> None:
    region = cohort[0]["region"]
    columns = {name: [patient[name] for patient in cohort] for name in INPUTS}
    together = score2(**columns, region=region)
    order = list(range(len(cohort)))
    random.shuffle(order)
    shuffled = score2(**{name: [column[i] for i in order] for name, column in columns.items()}, region=region)
    np.testing.assert_allclose(shuffled.value, together.value[order], rtol=1e-12)
    np.testing.assert_array_equal(shuffled.n_missing, together.n_missing[order])
    alone = [float(score2(**(patient | {"region": region})).value) for patient in cohort]
    np.testing.assert_allclose(together.value, alone, rtol=1e-12)


def test_broadcasts_like_numpy() -> None:
    grid = score2(age_years=np.arange(40, 70)[:, None], sex=["female", "male"], smoker=True)
    assert grid.value.shape == grid.n_missing.shape == grid.flags["diabetes"].shape == (30, 2)
    assert (np.diff(grid.value, axis=0) > 0).all()
    assert score2(age_years=50, sex="male").value.shape == ()


def test_inputs_are_left_as_they_were() -> None:
    sbp = np.array([math.nan, 140.0])
    score2(age_years=np.array([5.0, 60.0]), sex="male", sbp_mmhg=sbp)
    assert math.isnan(sbp[0])


@pytest.mark.parametrize("storage", ["str", "object", "string[pyarrow]"])
def test_a_million_patients_take_less_than_a_second(storage: str) -> None:
    generator = np.random.default_rng(0)
    n = 1_000_000
    words = np.array(["female", "male"])[generator.integers(0, 2, n)]
    sex = words if storage == "str" else pd.Series(words).astype(storage)
    age = generator.uniform(20, 95, n)
    sbp = np.where(generator.random(n) < 0.3, np.nan, generator.normal(130, 15, n).clip(80, 220))
    smoker = generator.random(n) < 0.2
    times = []
    for _ in range(2):
        start = time.process_time()
        result = score2(age_years=age, sex=sex, sbp_mmhg=sbp, smoker=smoker)
        times.append(time.process_time() - start)
    assert np.isfinite(result.value).all()
    assert min(times) < 1.0  # 0.2 s on an idle core
