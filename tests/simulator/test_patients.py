"""The table of simulated patients: same people for the same seed, splits, what the tasks need."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from openclef.risk import SCORES, score2
from openclef.simulator import draw_patients
from openclef.simulator.disease import expected_auroc

OBSERVED = list(SCORES["score2"].inputs)


def test_a_larger_cohort_begins_with_the_smaller() -> None:
    small, large = (draw_patients(n, seed=4, records_per_patient=2.0) for n in (23, 500))
    pd.testing.assert_frame_equal(small, large.iloc[: len(small)])
    assert not draw_patients(23, seed=5)["age_years"].equals(draw_patients(23, seed=4)["age_years"])


def test_splits_are_60_20_20_by_subject_and_unrelated_to_the_truth() -> None:
    cohort = draw_patients(20_000, seed=11)
    assert cohort["split"].value_counts(normalize=True).to_dict() == {"train": 0.6, "val": 0.2, "test": 0.2}
    for column in ("age_years", "sim/low_ef", "sim/af"):
        by_split = cohort.groupby("split")[column].mean()
        assert np.ptp(by_split) < 4 * cohort[column].std() / np.sqrt(4000)
    several = draw_patients(300, seed=11, records_per_patient=3.0)
    assert several.groupby("subject_id")["split"].nunique().eq(1).all()


def test_disease_comes_and_stays() -> None:
    cohort = draw_patients(2000, seed=2, records_per_patient=4.0, rho=0.6)
    for label in ("af", "lvh", "low_ef"):
        assert cohort.groupby("subject_id")[f"sim/{label}"].is_monotonic_increasing.all()
        changed = cohort.groupby("subject_id")[f"sim/{label}"].nunique().gt(1).mean()
        assert 0.005 < changed < 0.2


def test_a_score_knows_much_of_the_exposure_and_not_all() -> None:
    # SCORE2 was not made for this disease: it ranks patients less well than their exposure does
    from sklearn.metrics import roc_auc_score

    cohort = draw_patients(20_000, seed=11, rho=0.5, missing_share=0.0)
    of_score = roc_auc_score(cohort["sim/low_ef"], score2(**{name: cohort[name] for name in OBSERVED}).value)
    assert 0.75 < of_score < expected_auroc(0.5, 0.12) - 0.01


def test_configurations_draw_other_people() -> None:
    a, b = draw_patients(500, seed=1, configuration="A"), draw_patients(500, seed=1, configuration="B")
    assert set(a["hospital"]) == {"general", "heart_centre"}
    assert set(b["hospital"]) == {"city", "valley"}
    with pytest.raises(ValueError, match="configuration is 'C'; accepted are A, B"):
        draw_patients(5, configuration="C")
