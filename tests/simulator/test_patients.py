"""The simulated people: how risk factors go together, what is hidden, and a disease of its own cause."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import roc_auc_score

from openclef.risk import SCORES, score2
from openclef.simulator import draw_patients

OBSERVED = list(SCORES["score2"].inputs)
HIDDEN = ["smoker", "diabetes", "sbp_mmhg", "total_chol_mmol_l", "hdl_mmol_l"]


@pytest.fixture(scope="module")
def cohort() -> pd.DataFrame:
    return draw_patients(20_000, seed=11, missing_share=0.0)


def test_a_larger_cohort_begins_with_the_smaller() -> None:
    small, large = draw_patients(23, seed=4), draw_patients(500, seed=4)
    pd.testing.assert_frame_equal(small, large.iloc[:23])
    assert not draw_patients(23, seed=5)["age_years"].equals(small["age_years"])


def test_missing_share_hides_values_of_the_same_people() -> None:
    whole = draw_patients(4000, seed=4, missing_share=0.0)
    partly = draw_patients(4000, seed=4, missing_share=0.3)
    assert not whole[OBSERVED].isna().any(axis=None)
    pd.testing.assert_frame_equal(partly.fillna(whole), whole)
    assert partly[HIDDEN].isna().mean().between(0.27, 0.33).all()
    assert not partly[["age_years", "sex"]].isna().any(axis=None)
    assert draw_patients(50, seed=4, missing_share=1.0)[HIDDEN].isna().all(axis=None)
    older = whole["age_years"] > 60
    assert abs(partly["sbp_mmhg"].isna()[older].mean() - partly["sbp_mmhg"].isna()[~older].mean()) < 0.05


def test_splits_are_60_20_20_and_unrelated_to_the_truth(cohort: pd.DataFrame) -> None:
    shares = cohort["split"].value_counts(normalize=True)
    assert shares.to_dict() == {"train": 0.6, "val": 0.2, "test": 0.2}
    for column in ("age_years", "sim/disease", "sim/af"):
        by_split = cohort.groupby("split")[column].mean()
        assert np.ptp(by_split) < 4 * cohort[column].std() / np.sqrt(4000)


def test_prevalences(cohort: pd.DataFrame) -> None:
    means = cohort[["sim/disease", "sim/af", "sim/preexcitation", "smoker", "diabetes"]].mean()
    assert 0.25 < means["sim/disease"] < 0.35
    assert 0.06 < means["sim/af"] < 0.12
    assert 0.04 < means["sim/preexcitation"] < 0.06
    assert 0.10 < means["smoker"] < 0.25
    assert 0.12 < means["diabetes"] < 0.25


def test_preexcitation_is_unrelated_to_risk(cohort: pd.DataFrame) -> None:
    for column in ("age_years", "sbp_mmhg", "sim/log_hazard", "sim/disease"):
        assert abs(np.corrcoef(cohort["sim/preexcitation"], cohort[column])[0, 1]) < 4 / np.sqrt(len(cohort))


def test_disease_has_a_cause_that_no_score_knows(cohort: pd.DataFrame) -> None:
    disease = cohort["sim/disease"]
    from_age = roc_auc_score(disease, cohort["age_years"])
    from_score = roc_auc_score(disease, score2(**{name: cohort[name] for name in OBSERVED}).value)
    from_hazard = roc_auc_score(disease, cohort["sim/log_hazard"])
    assert 0.65 < from_age < from_score - 0.01 < from_hazard - 0.04
    expected = -np.expm1(-np.exp(cohort["sim/log_hazard"]))
    assert disease.mean() == pytest.approx(expected.mean(), abs=4 / np.sqrt(len(cohort)) / 2)


def test_values_go_into_every_score(cohort: pd.DataFrame) -> None:
    for score in SCORES.values():
        assert np.isfinite(score.function(**{name: cohort[name] for name in score.inputs}).value).all()
    assert (cohort["hdl_mmol_l"] < cohort["total_chol_mmol_l"]).all()


def test_risk_factors_given_age_and_sex_are_those_of_nhanes(cohort: pd.DataFrame, data_folder: Path) -> None:
    nhanes = pd.read_csv(data_folder / "nhanes" / "nhanes_2009_2012_adults.csv")
    nhanes = nhanes.rename(columns={"current_smoker": "smoker"})
    for sex in ("female", "male"):
        for low, high in ((40, 55), (55, 70), (70, 80)):
            real, made = (
                people[(people["sex"] == sex) & people["age_years"].between(low, high, inclusive="left")]
                for people in (nhanes, cohort)
            )
            for column, within in (("sbp_mmhg", 4), ("total_chol_mmol_l", 0.2), ("hdl_mmol_l", 0.08)):
                assert made[column].mean() == pytest.approx(real[column].mean(), abs=within), (
                    sex,
                    low,
                    column,
                )
                assert made[column].std() == pytest.approx(real[column].std(), rel=0.25), (sex, low, column)
            for column in ("smoker", "diabetes"):
                assert made[column].mean() == pytest.approx(real[column].mean(), abs=0.06), (sex, low, column)
