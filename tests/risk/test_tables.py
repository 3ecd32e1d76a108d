"""Scores of a whole table: the same as one by one, with gaps where the table has gaps."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from openclef.risk import SCORES, score_table, unknown_inputs

PEOPLE = pd.DataFrame(
    {
        "note": ["a", "b", "c", "d"],
        "sex": ["male", "female", None, ""],
        "sbp_mmhg": [140.0, np.nan, 120.0, 110.0],
        "age_years": [50.0, 72.0, 61.0, np.nan],
        "smoker": [1.0, 0.0, np.nan, 1.0],
    },
    index=[7, 3, 3, 9],
)


def test_each_score_is_the_function_on_the_columns_that_are_there() -> None:
    table = score_table(PEOPLE)
    assert list(table) == [f"{name}{end}" for name in SCORES for end in ("", "_n_missing", "_completeness")]
    assert table.index.tolist() == [7, 3, 3, 9]
    for name, score in SCORES.items():
        result = score.function(**{one: PEOPLE[one] for one in score.inputs if one in PEOPLE})
        np.testing.assert_array_equal(table[name], result.value)
        np.testing.assert_array_equal(table[f"{name}_n_missing"], result.n_missing)
        np.testing.assert_array_equal(table[f"{name}_completeness"], result.completeness)
        assert table[f"{name}_n_missing"].dtype == np.int64


def test_settings_go_to_the_scores_that_have_them() -> None:
    given = {"region": "high", "defaults": {"sbp_mmhg": 133}}
    table = score_table(PEOPLE, ["age", "score2", "age_sex"], **given)
    inputs = {one: PEOPLE[one] for one in SCORES["score2"].inputs if one in PEOPLE}
    np.testing.assert_array_equal(table["score2"], SCORES["score2"].function(**inputs, **given).value)
    np.testing.assert_array_equal(
        table["age_sex"], score_table(PEOPLE, ["age_sex"], region="high")["age_sex"]
    )


def test_a_table_without_any_input_or_row_is_unknown() -> None:
    table = score_table(PEOPLE[["note"]], ["score2"])
    assert table["score2"].isna().all()
    assert (table["score2_completeness"] == 0).all()
    assert score_table(PEOPLE.iloc[:0]).shape == (0, 3 * len(SCORES))


@pytest.mark.parametrize(
    ("names", "settings", "message"),
    [
        (["score3"], {}, "names is .*accepted is a list of scores"),
        (["age", "age"], {}, "each once"),
        ("score2", {}, "accepted is a list"),
        (["age"], {"region": "low"}, "have no setting region; accepted are none"),
        (["score2"], {"defaults": {"height_cm": 170}}, "defaults has height_cm"),
        (["score2"], {"region": "USA"}, "region is 'USA'"),
    ],
)
def test_what_no_score_has_is_refused(names: object, settings: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        score_table(PEOPLE, names, **settings)


def test_an_implausible_value_is_refused_by_name() -> None:
    with pytest.raises(ValueError, match=r"total_chol_mmol_l is 213 .*mg/dL"):
        score_table(PEOPLE.assign(total_chol_mmol_l=213.0))


def test_unknown_inputs_are_those_that_no_row_has() -> None:
    people = PEOPLE.assign(diabetes=np.nan, statin=[None, None, 1.0, None])
    assert unknown_inputs(people, "score2") == ["diabetes", "total_chol_mmol_l", "hdl_mmol_l"]
    assert unknown_inputs(people, "prevent_cvd") == [
        *("diabetes", "total_chol_mmol_l", "hdl_mmol_l", "egfr_ml_min", "bp_treated")
    ]
    assert unknown_inputs(people.assign(sex=""), "age_sex") == ["sex"]
