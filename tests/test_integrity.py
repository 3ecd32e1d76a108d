"""Integrity of metadata: what a clinician would say of made-up cohorts."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy.stats import spearmanr

from openclef import risk
from openclef.integrity import judge_integrity
from openclef.simulator import draw_patients


@pytest.fixture(scope="module")
def people():
    return draw_patients(600, seed=3, missing_share=0.3)


def of(found, score):
    return next(each for each in found.judgements if each.score == score)


def test_a_cohort_with_measurements_is_informative(people):
    found = judge_integrity(people)
    assert of(found, "score2").verdict == "informative"
    assert of(found, "age_sex").verdict == "age and sex"
    assert "score2" in found.verdict
    assert "say more than age and sex" in found.verdict


def test_correlations_are_scipys(people):
    found = judge_integrity(people, ["score2"])
    scored = risk.score_table(people, ["score2", "age_sex", "age"])
    own = found.correlations[found.correlations["score"] == "score2"].set_index("other")["spearman"]
    for other, values in (("age", scored["age"]), ("age_sex", scored["age_sex"])):
        assert own[other] == pytest.approx(spearmanr(scored["score2"], values).statistic, abs=1e-12)
    assert own["completeness"] == pytest.approx(
        spearmanr(scored["score2"], scored["score2_completeness"]).statistic, abs=1e-12
    )


def test_shares_at_the_default_are_those_of_the_unknown(people):
    found = judge_integrity(people, ["score2"])
    for row in found.inputs.to_dict("records"):
        if row["input"] not in ("age_years", "sex"):
            assert row["default"] == pytest.approx(people[row["input"]].isna().mean())
            assert row["known"] + row["default"] == pytest.approx(1)


def test_wrong_defaults_are_what_scoring_with_them_gives(people):
    found = judge_integrity(people, ["score2"])
    row = found.wrong_defaults.set_index(["input", "wrong"]).loc[("sbp_mmhg", "high")]
    quantiles = people.groupby("sex")["sbp_mmhg"].quantile(0.9)
    filled = people.assign(sbp_mmhg=people["sbp_mmhg"].fillna(people["sex"].map(quantiles)))
    truth = spearmanr(
        risk.score_table(people, ["score2"])["score2"], risk.score_table(filled, ["score2"])["score2"]
    )
    assert row["spearman"] == pytest.approx(truth.statistic, abs=1e-12)
    assert row["unknown"] == pytest.approx(people["sbp_mmhg"].isna().mean())


def test_age_and_sex_alone_are_called_so(people):
    bare = people[["subject_id", "age_years", "sex"]]
    found = judge_integrity(bare)
    assert [each.score for each in found.judgements] == ["age", "age_sex"]
    assert "age-and-sex guidance" in found.verdict
    hardly = people[["subject_id", "age_years", "sex"]].assign(smoker=np.nan)
    hardly.loc[:2, "smoker"] = 1.0
    judged = of(judge_integrity(hardly, ["score2"]), "score2")
    assert judged.verdict == "age and sex"
    assert "Spearman 0.9" in judged.reasons[0] or "Spearman 1.0" in judged.reasons[0]


def test_filled_in_values_are_found(people):
    filled = people.assign(hdl_mmol_l=people["hdl_mmol_l"].fillna(1.3))
    judged = of(judge_integrity(filled, ["score2"]), "score2")
    assert judged.verdict == "doubtful"
    assert "known hdl_mmol_l are exactly 1.3" in judged.reasons[0]


def test_one_value_for_all_is_degenerate():
    same = pd.DataFrame({"age_years": np.full(100, 60.0), "sex": "male"})
    assert of(judge_integrity(same), "age_sex").verdict == "degenerate"
    unmeasured = of(judge_integrity(same, ["score2"]), "score2")
    assert unmeasured.verdict == "degenerate"
    assert "100 % of patients share one value" in unmeasured.reasons[0]


def test_a_subject_counts_once(people):
    twice = pd.concat([people, people])
    assert judge_integrity(twice, ["score2"]).correlations.equals(
        judge_integrity(people, ["score2"]).correlations
    )
    unnamed = twice.assign(subject_id="")
    assert judge_integrity(unnamed, ["score2"]).subjects == len(twice)


def test_few_or_no_people_are_said_to_be_so(people):
    assert of(judge_integrity(people.head(10), ["score2"]), "score2").verdict == "cannot be judged"
    unknown = people.assign(age_years=np.nan)
    assert of(judge_integrity(unknown, ["score2"]), "score2").verdict == "cannot be judged"
    with pytest.raises(ValueError, match="records has no row or no column"):
        judge_integrity(people.head(0))
    with pytest.raises(ValueError, match=r"score 'qrisk' is unknown; accepted are .*score2"):
        judge_integrity(people, ["qrisk"])


def test_without_a_subject_id_each_counts_and_without_age_nothing_is_judged(people):
    for unknown in (None, np.nan):
        assert judge_integrity(people.assign(subject_id=unknown), ["score2"]).subjects == len(people)
    found = judge_integrity(people.assign(age_years=np.nan))
    assert "nothing can be judged" in found.verdict
    with pytest.raises(ValueError, match="each once"):
        judge_integrity(people, ["score2", "score2"])
    assert [each.score for each in judge_integrity(people, "score2").judgements] == ["score2"]
