from __future__ import annotations

import numpy as np
import pytest
import torch

from openclef.condition import Condition
from openclef.preprocessing import Preprocessing
from openclef.protocol.evaluation import evaluate
from openclef.simulator.cohort import simulate
from openclef.task import Task
from tests.protocol.planted import TASKS, Planted, people, pick, write


def test_age_and_sex_stand_alone_and_beside_the_model(store):
    blind = Planted(noise=30.0)
    result = evaluate(blind, store, "tiny/age", baselines=("age_sex",), draws=30)
    assert list(dict.fromkeys(result.metrics["model"])) == ["planted", "planted + age_sex", "age_sex"]
    mae = {
        name: pick(result.metrics, name, "mae")["value"] for name in dict.fromkeys(result.metrics["model"])
    }
    assert mae["planted + age_sex"] < 0.6 * mae["planted"]  # the target is age
    assert mae["age_sex"] < 0.6 * mae["planted"]
    alone = evaluate("age_sex", store, "tiny/age", draws=30)
    assert alone.model == "age_sex"
    assert pick(alone.metrics, "age_sex", "mae")["value"] == mae["age_sex"]


@pytest.mark.parametrize("column", ["age_years", "mine/age_years", "sex"])
def test_a_task_that_asks_for_age_or_sex_is_not_given_them(tmp_path, column):
    asked = Task(
        "tiny/asked", "multiclass" if column == "sex" else "regression", ("female", "male"), (column,)
    )
    features, rows = people(200)
    rows = [row | {"mine/age_years": row["age_years"]} for row in rows]
    store = write(tmp_path / "own", features, rows, tasks=(*TASKS, asked))
    result = evaluate(
        Planted(), store, "tiny/asked", baselines=("age_sex", "random_encoder"), seeds=(0,), draws=5
    )
    assert set(result.metrics["model"]) == {"planted", "random_encoder"}
    with pytest.raises(ValueError, match="tiny/asked asks for age or sex"):
        evaluate("age_sex", store, "tiny/asked")
    beside = evaluate(Planted(), store, "tiny/af", baselines=("age_sex",), draws=5)
    assert set(beside.metrics["model"]) == {"planted", "planted + age_sex", "age_sex"}


def test_without_metadata_there_is_no_age_and_sex(tmp_path):
    store = write(tmp_path / "plain", *people(200, metadata=False))
    result = evaluate(Planted(), store, "tiny/age", baselines=("age_sex",), draws=10)
    assert set(result.metrics["model"]) == {"planted"}
    with pytest.raises(ValueError, match="age_years or sex"):
        evaluate("age_sex", store, "tiny/age")


def test_random_encoders_follow_the_model_and_its_preprocessing(tmp_path):
    from openclef.protocol.baselines import random_encoder

    store = write(tmp_path / "few", *people(60))
    state = torch.random.get_rng_state()
    encoder = random_encoder(
        "resnext1d_small", preprocessing=Preprocessing(fs=50, seconds=2, band=(0.5, 20.0)), seed=3
    )
    assert torch.equal(torch.random.get_rng_state(), state)
    again = random_encoder("resnext1d_small", preprocessing=encoder.preprocessing, seed=3)
    assert all(torch.equal(a, b) for a, b in zip(encoder.state_dict().values(), again.state_dict().values()))
    encoder.name = "trained"
    result = evaluate(
        encoder,
        store,
        "tiny/af",
        baselines=("random_encoder",),
        seeds=(3, 4),
        append_age_sex=False,
        draws=5,
        min_positives=2,
    )
    assert set(result.metrics["model"]) == {"trained", "random_encoder"}
    first = result.predictions[
        (result.predictions["model"] == "random_encoder") & (result.predictions["seed"] == 0)
    ]
    own = result.predictions[result.predictions["model"] == "trained"]
    np.testing.assert_allclose(
        first["score"], own["score"]
    )  # seed 3 of the same architecture and preprocessing
    with pytest.raises(ValueError, match="resnext1d_small"):
        random_encoder("vgg")


def test_classical_features_are_a_baseline(tmp_path):
    store = simulate(tmp_path / "sim", patients=80, seconds=10, workers=1, seed=3)
    result = evaluate(
        "features", store, "sim/age", draws=10, conditions=(Condition(noise_snr_db=10),), cache=tmp_path / "c"
    )
    assert list(dict.fromkeys(result.metrics["model"])) == ["features"]  # the task is age
    assert set(result.metrics["condition"]) == {"", "noise 10 dB"}
    assert pick(result.metrics[result.metrics["condition"] == ""], "features", "mae")["value"] > 0
    assert len(list((tmp_path / "c").glob("*.npz"))) == 2
