"""Scores on the command line: the list, one patient, and a store."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from openclef import cli
from openclef.record import Record
from openclef.risk import SCORES, score_patient
from openclef.store import Store, open_store
from openclef.store_writing import StoreWriter

PATIENT = {
    "age_years": 60,
    "sex": "male",
    "smoker": "false",
    "diabetes": "true",
    "sbp_mmhg": 140,
    "total_chol_mmol_l": 5.5,
    "hdl_mmol_l": 1.3,
    "age_at_diabetes_years": 50,
    "hba1c_mmol_mol": 70,
    "egfr_ml_min": 60,
    "bp_treated": "true",
    "statin": "false",
    "bmi": 28,
    "heart_failure": "false",
    "hypertension": "true",
    "stroke": "false",
    "vascular_disease": "false",
}


@pytest.fixture
def store(small_store: Store, tmp_path: Path) -> str:
    shutil.copytree(small_store.path, tmp_path / "store")
    return str(tmp_path / "store")


def test_the_list_shows_what_each_score_needs_and_where_it_is_from(capsys) -> None:
    assert cli.main(["list", "risks", "--json", "true"]) == 0
    rows = json.loads(capsys.readouterr().out)
    assert [row["name"] for row in rows] == list(SCORES)
    for row in rows:
        assert set(row) == {"name", "title", "inputs", "unit", "validity", "source"}
        assert tuple(row["inputs"].split(", ")) == SCORES[row["name"]].inputs
    cli.main(["list", "risks"])
    printed = capsys.readouterr().out
    assert "Circulation 2024;149:430" in printed
    assert "bmi" in printed


@pytest.mark.parametrize("name", SCORES)
def test_every_score_of_one_patient_is_strict_and_json(name: str, capsys) -> None:
    diabetes = "false" if name == "score2" else "true"
    given = {one: PATIENT[one] for one in SCORES[name].inputs} | (
        {"diabetes": diabetes} if "diabetes" in SCORES[name].inputs else {}
    )
    words = [word for one, value in given.items() for word in (f"--{one}", str(value))]
    if "region" in SCORES[name].settings:
        words += ["--region", "moderate"]
    assert cli.main(["score", name, *words]) == 0
    printed = json.loads(capsys.readouterr().out)
    assert printed["value"] > 0
    assert (printed["unit"], printed["n_missing"], printed["warnings"]) == (SCORES[name].unit, 0, [])
    assert printed["settings"] == ({"region": "moderate"} if "region" in SCORES[name].settings else {})
    if name == "score2_diabetes":
        assert round(100 * printed["value"], 1) == 17.2
    if "sex" in given:
        assert cli.main(["score", name, *words, "--age_years", "12"]) == 0
        young = json.loads(capsys.readouterr().out)
        assert (young["value"] is None) == ("strict" in SCORES[name].settings)
        assert young["warnings"]


def test_region_is_for_the_scores_that_have_one(capsys) -> None:
    with pytest.raises(SystemExit):
        cli.main(["score", "framingham", "--age_years", "60", "--region", "low"])
    assert "region" in capsys.readouterr().err
    with pytest.raises(ValueError, match="given region; accepted are age_years"):
        score_patient("cha2ds2_vasc", region="low")


def test_a_store_takes_one_several_and_all_scores(store: str, capsys) -> None:
    assert cli.main(["risk", store, "score2", "--region", "high", "--label", "mine"]) == 0
    assert "mine of small" in capsys.readouterr().out
    assert cli.main(["risk", store, '["framingham", "score2"]', "--region", "high"]) == 0
    opened = open_store(store)
    assert {"mine", "framingham", "score2"} <= set(opened.risks)
    np.testing.assert_array_equal(opened.risk("mine")["value"], opened.risk("score2")["value"])
    assert cli.main(["risk", store, "all"]) == 0
    opened = open_store(store)
    assert set(SCORES) <= set(opened.risks)
    for name, score in SCORES.items():
        people = opened.records
        result = score.function(**{one: people[one] for one in score.inputs if one in people})
        np.testing.assert_array_equal(opened.risk(name)["value"], result.value)
        np.testing.assert_array_equal(opened.risk(name)["n_missing"], result.n_missing)


def test_the_region_is_told_and_so_is_the_one_that_stood_there(store: str, capsys) -> None:
    assert cli.main(["risk", store, "score2", "--label", "ours"]) == 0
    assert "ours: region low.\n" in capsys.readouterr().out
    assert cli.main(["risk", store, "score2", "--label", "ours", "--region", "high"]) == 0
    assert "ours: region high, instead of low, which stood there." in capsys.readouterr().out
    assert open_store(store).risk_settings("ours") == {"region": "high"}
    with pytest.raises(KeyError, match="holds no risk 'nobodys'"):
        open_store(store).risk_settings("nobodys")


@pytest.mark.filterwarnings("ignore:risk 'age_sex'")
def test_a_score_that_nobody_has_is_no_success(tmp_path: Path, capsys) -> None:
    place = str(tmp_path / "nameless")
    writer = StoreWriter(place, name="nameless", scale=0.001, fs=100, leads=("I",), seconds=10)
    writer.write_part(0, [Record(np.ones((1, 1000)), 100, ("I",), name) for name in "abc"], [{}] * 3)
    writer.finish()
    assert cli.main(["risk", place, "age_sex"]) == 1
    assert "Nobody has a value of it" in capsys.readouterr().err


def test_a_store_of_age_and_sex_says_so(store: str, capsys) -> None:
    assert set(SCORES["cha2ds2_vasc"].inputs) & set(open_store(store).records) == {"age_years", "sex"}
    assert cli.main(["risk", store, '["cha2ds2_vasc", "age_sex"]']) == 0
    printed = capsys.readouterr().out.replace("\n", " ")
    assert (
        "cha2ds2_vasc: no record has heart_failure, hypertension, diabetes, stroke, vascular_disease: "
        "it rests on age and sex alone."
    ) in printed
    assert "age_sex: no record has" not in printed


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (["score3"], "risk score3 is unknown; pass one or more of score2, score2_diabetes"),
        (['["age", "score3"]'], "risk score3 is unknown"),
        (["[]"], "pass one or more of"),
        (["all", "--label", "mine"], "label and figure are for one score"),
        (['["age", "score2"]', "--figure", "a.html"], "label and figure are for one score"),
        (["framingham", "--region", "low"], "framingham has no region"),
    ],
)
def test_what_cannot_be_is_refused_before_anything_is_written(
    store: str, given: list[str], message: str, capsys
) -> None:
    before = open_store(store).risks
    assert cli.main(["risk", store, *given]) == 1
    assert message in capsys.readouterr().err
    assert open_store(store).risks == before
