"""eGFR by CKD-EPI 2021 against the equation in other words, and its properties."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from openclef.risk import egfr_ckd_epi_2021
from openclef.risk.inputs import QUANTITIES


def slow(creatinine: float, age: float, sex: str) -> float:
    """The equation in its four cases."""
    if sex == "female":
        exponent = -0.241 if creatinine <= 0.7 else -1.2
        return 142 * (creatinine / 0.7) ** exponent * 0.9938**age * 1.012
    exponent = -0.302 if creatinine <= 0.9 else -1.2
    return 142 * (creatinine / 0.9) ** exponent * 0.9938**age


@pytest.mark.parametrize(
    ("creatinine", "age", "sex", "expected"),
    [
        (1.0, 50, "male", 91.7),  # 142 (1 / 0.9)^-1.2 0.9938^50
        (0.8, 50, "male", 107.8),  # 142 (0.8 / 0.9)^-0.302 0.9938^50
        (0.9, 55, "female", 75.5),  # 142 (0.9 / 0.7)^-1.2 0.9938^55 1.012
        (0.6, 30, "female", 123.8),  # 142 (0.6 / 0.7)^-0.241 0.9938^30 1.012
        (0.7, 20, "female", 126.9),  # 142 0.9938^20 1.012
        (2.0, 70, "male", 35.2),  # 142 (2 / 0.9)^-1.2 0.9938^70
    ],
)
def test_worked_examples(creatinine: float, age: float, sex: str, expected: float) -> None:
    value = float(egfr_ckd_epi_2021(creatinine_mg_dl=creatinine, age_years=age, sex=sex))
    assert value == pytest.approx(expected, abs=0.051)
    assert value == pytest.approx(slow(creatinine, age, sex), rel=1e-12)


@given(st.floats(0.2, 15), st.floats(18, 100), st.sampled_from(["female", "male"]))
def test_is_the_equation_and_falls_with_creatinine_and_age(creatinine: float, age: float, sex: str) -> None:
    patient = {"sex": sex, "age_years": age, "creatinine_mg_dl": creatinine}
    assert float(egfr_ckd_epi_2021(**patient)) == pytest.approx(slow(creatinine, age, sex), rel=1e-12)
    for name, more in (("creatinine_mg_dl", creatinine + 0.1), ("age_years", age + 1)):
        low, high = egfr_ckd_epi_2021(**(patient | {name: [more, patient[name]]}))
        assert low < high


def test_unknown_and_children_have_none() -> None:
    value = egfr_ckd_epi_2021(
        creatinine_mg_dl=[1.0, None, 1.0, 1.0, 1.0],
        age_years=[17.9, 50, math.nan, 50, 18],
        sex=["male", "male", "male", "", "male"],
    )
    assert np.isnan(value).tolist() == [True, True, True, True, False]


def test_whatever_creatinine_is_accepted_gives_an_egfr_that_scores_accept() -> None:
    creatinine, kidneys = QUANTITIES["creatinine_mg_dl"], QUANTITIES["egfr_ml_min"]
    value = egfr_ckd_epi_2021(
        creatinine_mg_dl=[creatinine.low, creatinine.high],
        age_years=[[18], [100]],
        sex=[[["male"]], [["female"]]],
    )
    assert kidneys.low <= value.min() < 2
    assert 240 < value.max() <= kidneys.high


def test_umol_are_refused_by_name() -> None:
    with pytest.raises(ValueError, match=r"creatinine_mg_dl is 80; .*umol/L, divide it by 88\.42"):
        egfr_ckd_epi_2021(creatinine_mg_dl=80, age_years=50, sex="male")
