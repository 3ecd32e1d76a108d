"""The simulated people: risk factors as in NHANES, hospitals that differ, visits over years."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from openclef.risk import SCORES
from openclef.simulator.configuration import CONFIGURATIONS
from openclef.simulator.population import draw_people, draw_visits

A = CONFIGURATIONS["A"]


@pytest.fixture(scope="module")
def visits() -> pd.DataFrame:
    people, chance = draw_people(20_000, 11, A)
    return draw_visits(people, chance, 11, 1.0)


def test_values_go_into_every_score(visits: pd.DataFrame) -> None:
    for score in SCORES.values():
        known = {name: visits[name] for name in score.inputs if name in visits}
        if len(known) == len(score.inputs):
            assert np.isfinite(score.function(**known).value).all()
    assert (visits["hdl_mmol_l"] < visits["total_chol_mmol_l"]).all()


def test_risk_factors_given_age_and_sex_are_those_of_nhanes(visits: pd.DataFrame, data_folder: Path) -> None:
    nhanes = pd.read_csv(data_folder / "nhanes" / "nhanes_2009_2012_adults.csv")
    nhanes = nhanes.rename(columns={"current_smoker": "smoker"})
    general = visits[
        visits["hospital"] == "general"
    ]  # the heart centre has more diabetes and smoking by design
    for sex in ("female", "male"):
        for low, high in ((40, 55), (55, 70), (70, 80)):
            real, made = (
                people[(people["sex"] == sex) & people["age_years"].between(low, high, inclusive="left")]
                for people in (nhanes, general)
            )
            for column, within in (
                ("sbp_mmhg", 4),
                ("total_chol_mmol_l", 0.2),
                ("hdl_mmol_l", 0.08),
                ("bmi", 1.5),
            ):
                assert made[column].mean() == pytest.approx(real[column].mean(), abs=within), (
                    sex,
                    low,
                    column,
                )
                assert made[column].std() == pytest.approx(real[column].std(), rel=0.35), (sex, low, column)
            for column in ("smoker", "diabetes"):
                assert made[column].mean() == pytest.approx(real[column].mean(), abs=0.06), (sex, low, column)


def test_correlations_are_those_of_nhanes(visits: pd.DataFrame, data_folder: Path) -> None:
    nhanes = pd.read_csv(data_folder / "nhanes" / "nhanes_2009_2012_adults.csv")
    columns = ["sbp_mmhg", "total_chol_mmol_l", "hdl_mmol_l", "bmi"]

    def correlations(people: pd.DataFrame) -> np.ndarray:
        chosen = people[people["age_years"].between(50, 65)]
        return chosen[columns].corr().to_numpy()

    assert np.abs(correlations(visits) - correlations(nhanes)).max() < 0.1


def test_treatment_is_as_frequent_as_published(visits: pd.DataFrame) -> None:
    old = visits["age_years"] >= 60
    assert 0.45 < visits.loc[old, "bp_treated"].mean() < 0.60  # NCHS Data Brief 133
    assert (
        0.20 < visits.loc[visits["age_years"] >= 40, "statin"].mean() < 0.38
    )  # NCHS Data Brief 177, and hospitals
    treated = visits[visits["bp_treated"] == 1]
    expected = 10.0 + visits["usual_sbp_mmhg"][visits["bp_treated"] == 0].mean()
    assert treated["usual_sbp_mmhg"].mean() > expected


def test_hospitals_differ_in_who_comes(visits: pd.DataFrame) -> None:
    means = (
        visits.assign(male=visits["sex"] == "male")
        .groupby("hospital")[["age_years", "male", "diabetes"]]
        .mean()
    )
    assert (means.loc["heart_centre"] > means.loc["general"] + [5, 0.05, 0.05]).all()
    shares = visits["hospital"].value_counts(normalize=True)
    assert shares["general"] == pytest.approx(0.65, abs=0.02)


def test_visits_go_over_years_and_their_number_is_as_asked() -> None:
    people, chance = draw_people(4000, 3, A)
    visits = draw_visits(people, chance, 3, 3.0)
    count = visits.groupby("subject_id").size()
    assert visits["age_years"].max() <= 100
    assert len(count) == 4000
    assert count.mean() == pytest.approx(3.0, abs=0.15)
    assert count.max() > 10
    within = visits.groupby("subject_id")
    assert within["years_since_first"].is_monotonic_increasing.all()
    assert within["years_since_first"].first().eq(0).all()
    assert within["sex"].nunique().eq(1).all()
    grown = visits["age_years"] - people["age_years"].to_numpy()[visits["patient"]]
    assert (np.floor(visits["years_since_first"]) - grown).abs().max() <= 1
    # one visit differs from another by what differs within a person, not by a person's whole variation
    several = visits.groupby("subject_id").filter(lambda rows: len(rows) > 3)
    spread = several.groupby("subject_id")["sbp_mmhg"].std().median()
    assert 4 < spread < 12


def test_a_larger_cohort_begins_with_the_smaller() -> None:
    def draw(patients: int) -> pd.DataFrame:
        people, chance = draw_people(patients, 4, A)
        return draw_visits(people, chance, 4, 2.0)

    small, large = draw(23), draw(500)
    pd.testing.assert_frame_equal(small, large.iloc[: len(small)])
