from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import torch
from scipy.stats import norm

from openclef.backbone import BACKBONES
from openclef.condition import Condition
from openclef.model import Encoder
from openclef.preprocessing import Preprocessing
from openclef.protocol.evaluation import compare, evaluate
from openclef.protocol.scoring import COLUMNS, metrics_of
from tests.protocol.planted import Planted, people, pick, write


def test_planted_features_reach_the_closed_form_and_rare_labels_stand_apart(tmp_path):
    store = write(tmp_path / "big", *people(3000))
    result = evaluate(Planted(), store, "tiny/labels", append_age_sex=False, draws=100)
    assert list(result.metrics.columns) == [*COLUMNS, "label_share", "condition", "part", "note"]
    truth = norm.cdf(1 / np.sqrt(2))
    for label in ("A", "B"):
        found = pick(result.metrics, "planted", f"auroc:{label}")
        assert found["value"] == pytest.approx(truth, abs=0.03)
        assert found["low"] < truth < found["high"]
    small = evaluate(
        Planted(), write(tmp_path / "small", *people(600)), "tiny/labels", append_age_sex=False, draws=100
    )
    macro = pick(small.metrics, "planted", "auroc")
    parts = [pick(small.metrics, "planted", f"auroc:{label}")["value"] for label in ("A", "B")]
    assert macro["value"] == pytest.approx(np.mean(parts))
    assert "rare (6)" in macro["note"]
    assert macro["n"] == 240
    rare = pick(small.metrics, "planted", "auroc:rare")
    assert rare["n"] == 6
    assert rare["note"] == "not measurable: 6 positives, 234 negatives"
    assert pick(small.metrics, "planted", "auroc:A")["note"] == ""
    prevalence = pick(small.metrics, "planted", "prevalence:A")
    assert prevalence["value"] * 240 == pytest.approx(pick(small.metrics, "planted", "auroc:A")["n"])
    assert 0 < pick(small.metrics, "planted", "ece")["value"] < 0.2


def test_labels_without_information_give_an_interval_that_covers_one_half(store):
    result = evaluate(Planted(), store, "tiny/random", append_age_sex=False, draws=200)
    found = pick(result.metrics, "planted", "auroc")
    assert found["low"] < 0.5 < found["high"]


def test_multiclass_and_regression(store):
    rhythm = evaluate(Planted(), store, "tiny/rhythm", append_age_sex=False, draws=30)
    assert pick(rhythm.metrics, "planted", "auroc")["value"] > 0.95
    sums = rhythm.predictions.groupby("record_id")["score"].sum()
    np.testing.assert_allclose(sums, 1)
    age = evaluate(Planted(), store, "tiny/age", append_age_sex=False, draws=30)
    assert set(age.metrics["metric"]) == {"mae", "rmse", "r2", "r"}
    assert pick(age.metrics, "planted", "mae")["value"] == pytest.approx(np.sqrt(2 / np.pi), abs=0.15)
    assert pick(age.metrics, "planted", "r2")["value"] > 0.95
    neighbours = evaluate(Planted(), store, "tiny/rhythm", protocol="knn", append_age_sex=False, draws=30)
    assert pick(neighbours.metrics, "planted", "auroc")["value"] > 0.9
    assert set(neighbours.metrics["protocol"]) == {"knn"}


def test_a_regression_of_few_records_has_no_values_and_says_so(tmp_path):
    features, rows = people(23)  # nine in test: 6 to 9, 16 to 19, and 22
    rows = [row | {"split": "test" if i == 22 else row["split"]} for i, row in enumerate(rows)]
    store = write(tmp_path / "few", features, rows)
    few = evaluate(Planted(), store, "tiny/age", append_age_sex=False, draws=10)
    assert few.metrics["metric"].tolist() == ["mae", "rmse", "r2", "r"]
    assert few.metrics[["value", "low", "high"]].isna().all(axis=None)
    assert set(few.metrics["note"]) == {"not measurable: 9 records"}
    assert set(few.metrics["n"]) == {9}
    with pytest.raises(ValueError, match="tiny/age has 9 judged records, fewer than 10; nothing to compare"):
        compare(few, few, metric="mae")
    asked = evaluate(Planted(), store, "tiny/age", append_age_sex=False, draws=10, min_positives=9)
    assert asked.metrics["value"].notna().all()
    assert set(asked.metrics["note"]) == {""}
    assert compare(asked, asked, metric="mae", min_positives=9, draws=5, permutations=5)["p"].item() == 1


def test_seeds_are_kept_and_their_mean_reported(store):
    models = [Planted(noise=1.0, seed=s) for s in range(3)]
    result = evaluate(models, store, "tiny/af", append_age_sex=False, draws=50)
    found = pick(result.metrics, "planted", "auroc")
    assert found["seeds"] == 3
    single = [
        pick(evaluate(model, store, "tiny/af", append_age_sex=False, draws=10).metrics, "planted", "auroc")[
            "value"
        ]
        for model in models
    ]
    assert found["value"] == pytest.approx(np.mean(single), abs=1e-9)
    assert sorted(set(result.predictions["seed"])) == [0, 1, 2]


def test_pretrained_and_tested_is_refused(store):
    hashes = store.subjects()
    split = store.records["split"].to_numpy()
    fine = Planted(subjects=frozenset(hashes[split == "train"]))
    evaluate(fine, store, "tiny/af", append_age_sex=False, draws=5)
    leaked = frozenset([*hashes[split == "train"], *hashes[split == "test"][:2]])
    with pytest.raises(ValueError, match="2 of 240 test subjects were in the encoder's pretraining"):
        evaluate([fine, Planted(subjects=leaked)], store, "tiny/af")
    evaluate(Planted(subjects=leaked), store, "tiny/af", split="val", append_age_sex=False, draws=5)
    with pytest.raises(ValueError, match="60 of 60 val subjects"):
        evaluate(Planted(subjects=frozenset(hashes[split == "val"])), store, "tiny/af", split="val")


def test_validation_can_be_seen_without_test(store):
    result = evaluate(Planted(), store, "tiny/af", split="val", append_age_sex=False, draws=20)
    assert set(result.predictions["split"]) == {"val"}
    assert pick(result.metrics, "planted", "auroc")["n"] == 60
    assert "brier" not in set(result.metrics["metric"])  # there is nothing left to fit the temperature on


def test_stores_of_two_rates_are_pooled_and_parts_reported(store, tmp_path):
    other = write(tmp_path / "other", *people(300, seed=1), fs=100, name="other")
    result = evaluate(Planted(), [store, other], "tiny/rhythm", append_age_sex=False, by="store", draws=20)
    assert pick(result.metrics, "planted", "auroc")["n"] == 360
    for part, n in (("store=tiny", 240), ("store=other", 120)):
        found = pick(result.metrics, "planted", "auroc", part)
        assert found["n"] == n
        assert found["value"] > 0.9
    bands = metrics_of(result.predictions, by="age_band", draws=5, min_positives=5)
    assert {"age_band=40-59", "age_band=60-74", "age_band=unknown"} <= set(bands["part"])
    both = metrics_of(result.predictions, by=("sex", "store"), draws=5)
    parts = {"sex=female", "sex=male", "sex=unknown", "store=tiny", "store=other"}
    assert set(both["part"]) == {"", *parts}


def test_label_budgets_use_fewer_subjects(store):
    few = evaluate(Planted(), store, "tiny/af", label_share=0.1, append_age_sex=False, draws=10)
    assert few.settings[0]["train_records"] == 30
    assert set(few.metrics["label_share"]) == {0.1}
    assert few.predictions.equals(
        evaluate(Planted(), store, "tiny/af", label_share=0.1, append_age_sex=False, draws=10).predictions
    )


def test_options_are_checked(store, tmp_path):
    for settings, message in (
        ({"protocol": "svm"}, "probe, knn"),
        ({"split": "train"}, "test, val"),
        ({"baselines": ("svm",)}, "random_encoder, age_sex, features"),
        ({"conditions": (Condition(),)}, "pass different ones that change something"),
        ({"by": "colour", "draws": 2}, "by is .colour.; pass one or more of store, sex, age_band"),
        ({"label_share": 0}, "label_share is 0"),
        ({"label_share": 1.01}, "label_share is 1.01"),
        ({"label_share": float("nan")}, "label_share is nan"),
        ({"label_share": "all"}, "label_share is 'all'"),
        ({"draws": 0}, "draws is 0; accepted are whole numbers from 1"),
        ({"draws": -1}, "draws is -1"),
        ({"seed": -1}, "seed is -1; accepted are whole numbers from 0"),
        ({"min_positives": 0}, "min_positives is 0"),
        ({"batch_size": 0}, "batch_size is 0"),
    ):
        with pytest.raises(ValueError, match=message):
            evaluate(Planted(), store, "tiny/af", **settings)
    with pytest.raises(FileNotFoundError, match="no folder and no baseline"):
        evaluate("runs/none", store, "tiny/af")
    features, rows = people(100)
    without = [row | {"split": "train" if row["split"] == "val" else row["split"]} for row in rows]
    with pytest.raises(ValueError, match="no records in val of tiny"):
        evaluate(Planted(), write(tmp_path / "none", features, without), "tiny/af")


@pytest.mark.parametrize("model", [None, 3, {"a": 1}, [None], ["age_sex"], [], torch.nn.Linear(2, 2)])
def test_what_is_no_model_is_refused(store, model):
    with pytest.raises(ValueError, match=r"pass (an|it|an encoder)|no \.dim"):
        evaluate(model, store, "tiny/af", draws=5)
    with pytest.raises(ValueError, match="seeds are empty"):
        evaluate("random_encoder", store, "tiny/af", seeds=())


def test_conditions_are_judged_by_the_fit_on_recordings_as_they_are(store):
    conditions = (
        Condition(noise_snr_db=-20),
        Condition(seconds=1),
        Condition(lead="II"),
        Condition(fs=500),
    )
    result = evaluate(Planted(), store, "tiny/af", append_age_sex=False, draws=20, conditions=conditions)
    plain = evaluate(Planted(), store, "tiny/af", append_age_sex=False, draws=20)
    recorded = result.predictions[result.predictions["condition"] == ""].reset_index(drop=True)
    pd.testing.assert_frame_equal(recorded, plain.predictions)
    changed = result.metrics[(result.metrics["condition"] != "") & (result.metrics["metric"] == "auroc")]
    assert changed["condition"].tolist() == ["noise -20 dB", "1 s a window", "lead II"]
    assert (changed["n"] == 240).all()
    value = changed.set_index("condition")["value"]
    assert value["lead II"] == 0.5  # that lead is flat: every record looks the same
    assert 0.3 < value["noise -20 dB"] < pick(plain.metrics, "planted", "auroc")["value"] - 0.1
    assert "500 Hz is left out: no recording has a higher rate" in result.note
    splits = result.predictions.loc[result.predictions["condition"] != "", "split"]
    assert set(splits) == {"test"}
    assert str(result).count("planted") == 1  # the table shows recordings as they are


def test_kept_embeddings_give_the_same_result(tmp_path, monkeypatch):
    import openclef.protocol.cohort as cohort_module

    store = write(tmp_path / "tiny", *people(60))
    encoder = Encoder(
        BACKBONES["resnext1d_small"](), Preprocessing(fs=50, seconds=2, band=None), name="mine",
        backbone_name="resnext1d_small",
    )  # fmt: skip
    settings = {
        "append_age_sex": False,
        "draws": 5,
        "conditions": (Condition(seconds=1),),
        "min_positives": 1,
    }
    plain = evaluate(encoder, store, "tiny/af", **settings)
    kept = evaluate(encoder, store, "tiny/af", cache=tmp_path / "cache", **settings)
    pd.testing.assert_frame_equal(kept.predictions, plain.predictions)
    monkeypatch.setattr(cohort_module, "embed_store", None)  # nothing is left to embed
    again = evaluate(encoder, store, "tiny/age", cache=tmp_path / "cache", **settings)
    assert len(again.predictions) == 6 + 24 + 24  # val, test, and test under the condition


def test_a_small_budget_is_drawn_once_a_seed(store):
    few = evaluate(
        Planted(), store, "tiny/af", label_share=0.1, append_age_sex=False, draws=10, seeds=(3, 4, 5)
    )
    assert few.metrics["seeds"].unique().tolist() == [3]
    scores = few.predictions.pivot_table(index="record_id", columns="seed", values="score")
    assert scores.nunique(axis=1).min() == 3  # other subjects, other fits
    whole = evaluate(Planted(), store, "tiny/af", append_age_sex=False, draws=10, seeds=(3, 4, 5))
    assert whole.metrics["seeds"].unique().tolist() == [1]


def test_every_model_has_the_same_draws_of_subjects(store):
    ask = {"label_share": 0.05, "append_age_sex": False, "draws": 20, "seeds": range(5)}
    one = evaluate(Planted(), store, "tiny/af", name="one", **ask)
    three = evaluate([Planted() for _ in range(3)], store, "tiny/af", name="three", **ask)
    seven = evaluate([Planted() for _ in range(7)], store, "tiny/af", name="seven", **ask)
    assert [result.metrics["seeds"].iloc[0] for result in (one, three, seven)] == [5, 5, 7]
    assert one.predictions["score"].equals(three.predictions["score"])  # the same encoder on the same draws
    for other in (three, seven):
        row = compare(one, other, draws=20, permutations=20).iloc[0]
        assert (row["value"], row["low"], row["high"], row["p"]) == (0, 0, 0, 1)
    assert row["seeds"] == row["against_seeds"] == 5
