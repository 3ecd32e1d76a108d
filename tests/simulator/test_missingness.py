"""Missing metadata: the share that was asked for, of the kind that was asked for."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from openclef.simulator.missingness import GROUPS, hide, shares_of
from openclef.simulator.patients import HIDDEN, draw_patients


@pytest.mark.parametrize("kind", ["at_random", "healthy"])
@pytest.mark.parametrize("records_per_patient", [1.0, 4.0])
def test_the_share_is_the_one_asked_for(kind: str, records_per_patient: float) -> None:
    shares = {"lipids": 0.6, "smoker": 0.1, "egfr": 1.0}
    cohort = draw_patients(
        10_000, 5, missing_share=shares, missing_kind=kind, records_per_patient=records_per_patient
    )
    unknown = cohort[list(HIDDEN)].isna().mean()
    assert unknown["total_chol_mmol_l"] == unknown["hdl_mmol_l"] == pytest.approx(0.6, abs=0.02)
    assert unknown["smoker"] == pytest.approx(0.1, abs=0.015)
    assert unknown["egfr_ml_min"] == 1
    assert unknown[["sbp_mmhg", "bmi", "bp_treated"]].eq(0).all()


def test_healthy_is_missing_more_often_in_the_healthy_and_at_random_is_not() -> None:
    for kind, differs in (("at_random", False), ("healthy", True)):
        cohort = draw_patients(10_000, 5, missing_share=0.4, missing_kind=kind)
        ill = (cohort[["sim/af", "sim/lvh", "sim/low_ef"]] == 1).any(axis=1)
        unknown = cohort["total_chol_mmol_l"].isna()
        gap = unknown[~ill].mean() - unknown[ill].mean()
        assert gap > 0.2 if differs else abs(gap) < 0.03


def test_hiding_changes_nothing_else() -> None:
    whole = draw_patients(2000, 4, missing_share=0.0)
    partly = draw_patients(2000, 4, missing_share=0.3)
    pd.testing.assert_frame_equal(partly.fillna(whole), whole)
    for name in HIDDEN:
        assert (partly[f"truth_{name}"].equals(whole[name])) or name == "age_at_diabetes_years"
    assert draw_patients(50, 4, missing_share=1.0)[list(HIDDEN)].isna().all(axis=None)


@pytest.mark.parametrize("kind", ["at_random", "healthy"])
def test_what_is_about_the_patient_is_unknown_at_all_visits(kind: str) -> None:
    cohort = draw_patients(500, 4, records_per_patient=4.0, missing_share=0.5, missing_kind=kind)
    known = cohort.groupby("subject_id")[["smoker", "diabetes", "sbp_mmhg"]].agg(
        lambda values: values.notna().mean()
    )
    assert known["smoker"].isin([0, 1]).all()
    assert known["diabetes"].isin([0, 1]).all()
    assert not known["sbp_mmhg"].isin([0, 1]).all()


@settings(max_examples=30, deadline=None)
@given(st.dictionaries(st.sampled_from(sorted(GROUPS)), st.floats(0, 1), max_size=len(GROUPS)))
def test_any_shares_are_taken(shares: dict) -> None:
    taken = shares_of(shares)
    assert set(taken) == set(GROUPS)
    rows = pd.DataFrame({name: np.ones(4) for names in GROUPS.values() for name in names})
    uniform = np.random.default_rng(0).random((4, len(GROUPS)))
    for kind in ("at_random", "healthy"):
        hidden = hide(
            rows, shares=taken, kind=kind, illness=np.zeros(4), of_patients=uniform, of_visits=uniform
        )
        for group, names in GROUPS.items():
            assert hidden[list(names)].isna().to_numpy().std(axis=1).max() == 0  # together
            if taken[group] in (0, 1):
                assert hidden[list(names)].isna().to_numpy().mean() == taken[group]


@pytest.mark.parametrize(
    "wrong", [-0.1, 1.5, float("nan"), True, "much", {"lipids": 2}, {"blood": 0.1}, {"bmi": None}]
)
def test_wrong_shares_are_named(wrong: object) -> None:
    with pytest.raises(ValueError, match=r"^missing_share"):
        shares_of(wrong)
