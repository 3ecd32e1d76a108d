"""One patient for the command line, and the list of scores."""

from __future__ import annotations

import inspect
import json
import subprocess
import sys
from typing import get_args

import numpy as np
import pandas as pd
import pytest

from openclef import risk
from openclef.risk import SCORES, patient_arguments, score_patient
from openclef.risk.inputs import QUANTITIES

COMPLETE = {
    "age_years": 50.0,
    "sex": "male",
    "smoker": True,
    "diabetes": False,
    "sbp_mmhg": 140.0,
    "total_chol_mmol_l": 6.3,
    "hdl_mmol_l": 1.4,
}
EVERYTHING = COMPLETE | {
    "age_at_diabetes_years": 45.0,
    "hba1c_mmol_mol": 50.0,
    "egfr_ml_min": 80.0,
    "bp_treated": True,
    "statin": False,
    "bmi": 28.0,
    "heart_failure": False,
    "hypertension": True,
    "stroke": False,
    "vascular_disease": False,
}
NUMBERS_OF_INPUTS = {
    "score2": 7,
    "score2_diabetes": 10,
    "framingham": 8,
    "framingham_bmi": 7,
    "prevent_cvd": 10,
    "prevent_ascvd": 10,
    "prevent_hf": 8,
    "cha2ds2_vasc": 7,
    "age": 1,
    "age_sex": 2,
}


def test_published_example_as_json() -> None:
    answer = score_patient("score2", **COMPLETE, region="moderate")
    assert round(100 * answer["value"], 1) == 8.1
    assert (answer["n_missing"], answer["completeness"], answer["missing"]) == (0, 1.0, [])
    assert answer["settings"] == {"region": "moderate"}
    assert answer["warnings"] == answer["flags"] == []
    assert json.loads(json.dumps(answer)) == answer


def test_unknown_inputs_are_named() -> None:
    answer = score_patient("score2", **(COMPLETE | {"sbp_mmhg": None, "hdl_mmol_l": float("nan")}))
    assert answer["missing"] == ["sbp_mmhg", "hdl_mmol_l"]
    assert answer["n_missing"] == 2
    assert "sbp_mmhg, hdl_mmol_l" in answer["warnings"][0]
    json.dumps(answer, allow_nan=False)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"age_years": 35.0}, "age is outside 40 to under 90"),
        ({"age_years": 90.0}, "age is outside 40 to under 90"),
        ({"diabetes": True}, "use score2_diabetes"),
        ({"sex": None}, "age and sex must be known"),
        ({"age_years": None}, "age and sex must be known"),
    ],
)
def test_no_answer_comes_with_its_reason(changed: dict, message: str) -> None:
    answer = score_patient("score2", **(COMPLETE | changed))
    assert answer["value"] is None
    assert len(answer["warnings"]) == 1
    assert message in answer["warnings"][0]


def test_wrong_arguments_are_refused() -> None:
    with pytest.raises(ValueError, match="accepted are score2, score2_diabetes, framingham"):
        score_patient("score3")
    with pytest.raises(ValueError, match="given bmi; accepted are age_years, sex"):
        score_patient("score2", **COMPLETE, bmi=25)
    with pytest.raises(ValueError, match="accepted is one patient"):
        score_patient("score2", **(COMPLETE | {"age_years": [50, 60]}))
    with pytest.raises(ValueError, match="mg/dL"):
        score_patient("score2", **(COMPLETE | {"total_chol_mmol_l": 240.0}))


def test_age_and_age_sex() -> None:
    assert score_patient("age", age_years=np.float64(61))["value"] == 61
    assert score_patient("age_sex", age_years=61, sex="female", region="high")["completeness"] == 1


def test_arguments_have_types_for_a_command_line() -> None:
    arguments = patient_arguments("score2")
    assert list(arguments) == [*SCORES["score2"].inputs, "region"]
    assert bool in get_args(arguments["smoker"][0])
    assert get_args(arguments["region"][0]) == ("low", "moderate", "high", "very_high")
    assert all(text for _, text in arguments.values())


def test_every_listed_score_runs_on_its_inputs_and_is_a_public_function() -> None:
    for name, score in SCORES.items():
        assert score.name == name
        assert getattr(risk, name) is score.function
        inputs = {one: np.array([EVERYTHING[one]] * 3) for one in score.inputs}
        for _ in range(2):
            result = score.function(**inputs)
        assert result.value.shape == result.n_missing.shape == result.completeness.shape == (3,)
        assert set(result.flags) <= set(risk.result.FLAGS)


def test_inputs_are_the_arguments_and_are_counted() -> None:
    assert {name: len(score.inputs) for name, score in SCORES.items()} == NUMBERS_OF_INPUTS
    for name, score in SCORES.items():
        arguments = inspect.signature(score.function).parameters
        assert tuple(arguments) == (*score.inputs, *score.settings), name
        assert set(score.inputs) <= set(QUANTITIES)
        result = score.function(**dict.fromkeys(score.inputs))
        assert np.isnan(result.value)
        assert (int(result.n_missing), float(result.completeness)) == (len(score.inputs), 0)


@pytest.mark.parametrize("name", [name for name in SCORES if name not in ("age", "age_sex")])
def test_each_unknown_input_counts_once_in_every_form(name: str) -> None:
    inputs = SCORES[name].inputs
    complete = {one: EVERYTHING[one] for one in inputs}
    everything = SCORES[name].function(**complete)
    assert int(everything.n_missing) == 0
    for one in inputs:
        for unknown in (None, "", float("nan")):
            result = SCORES[name].function(**(complete | {one: unknown}))
            assert int(result.n_missing) == 1
            assert float(result.completeness) == pytest.approx(1 - 1 / len(inputs))
            assert np.isnan(result.value) == (one in ("age_years", "sex"))


@pytest.mark.parametrize("name", SCORES)
def test_one_patient_an_array_and_a_table_agree(name: str) -> None:
    function, inputs = SCORES[name].function, SCORES[name].inputs
    people = pd.DataFrame([EVERYTHING, EVERYTHING | {"sex": "female", "age_years": 66, "bmi": None}])
    people = people.set_index(pd.Index([9, 4]))
    columns = function(**{one: people[one] for one in inputs})
    lists = function(**{one: people[one].tolist() for one in inputs})
    np.testing.assert_array_equal(columns.value, lists.value)
    for place, (_, row) in enumerate(people.iterrows()):
        alone = function(**{one: row[one] for one in inputs})
        assert alone.value.shape == ()
        assert float(alone.value) == pytest.approx(columns.value[place], rel=1e-12)
        assert int(alone.n_missing) == columns.n_missing[place]


def test_strict_warnings_name_the_line_that_called() -> None:
    for name, score in SCORES.items():
        if "strict" in score.settings:
            given = {"diabetes": True} if name == "score2_diabetes" else {}
            with pytest.warns(UserWarning, match=f"{name} gives no value for 1 of 1: age is") as caught:
                score.function(age_years=17, sex="male", strict=True, **given)
            assert {warning.filename for warning in caught} == {__file__}


def test_torch_and_pandas_are_not_imported() -> None:
    code = (
        "import sys, openclef.risk as r; r.score2(age_years=50, sex='male');"
        "print([m for m in ('torch', 'pandas', 'scipy') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
