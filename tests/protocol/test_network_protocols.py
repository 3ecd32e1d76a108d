"""Fine-tuning and training from scratch as ways of judging, through `evaluate` and the command line."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

import openclef
from openclef import cli
from openclef.model import save_encoder
from openclef.preprocessing import Preprocessing
from openclef.protocol.baselines import random_encoder
from openclef.protocol.evaluation import compare, evaluate
from openclef.protocol.network import Finetuning

TASK = "small/old"
QUICK = {"finetuning": Finetuning(epochs=1, batch_size=16), "draws": 5, "min_positives": 2, "device": "cpu"}


@pytest.fixture(scope="module")
def encoder():
    torch.set_num_threads(1)
    made = random_encoder(preprocessing=Preprocessing(fs=50, seconds=4, band=(0.5, 20.0)), seed=7)
    made.name = "mine"
    return made


@pytest.fixture(scope="module")
def tuned(small_store, encoder, tmp_path_factory):
    torch.set_num_threads(1)
    runs = tmp_path_factory.mktemp("runs")
    result = evaluate(
        encoder,
        small_store,
        TASK,
        protocol="finetune",
        seeds=(3, 4),
        baselines=("age_sex", "scratch", "random_encoder"),
        runs=runs,
        **QUICK,
    )
    return runs, result


def test_all_models_stand_in_one_table(tuned) -> None:
    runs, result = tuned
    metrics = result.metrics[result.metrics["metric"] == "auroc"].set_index("model")
    assert dict(metrics["protocol"]) == {
        "mine": "finetune",
        "mine + age_sex": "finetune",
        "age_sex": "probe",
        "scratch": "scratch",
        "scratch + age_sex": "scratch",
        "random_encoder": "probe",
        "random_encoder + age_sex": "probe",
    }
    assert metrics.loc["mine", "seeds"] == metrics.loc["scratch", "seeds"] == 2
    assert metrics["value"].between(0, 1).all()
    assert metrics.loc["mine + age_sex", "value"] > 0.9, "the target is age"
    assert sorted(path.name for path in runs.iterdir()) == [
        "mine-finetune-0",
        "mine-finetune-1",
        "scratch-scratch-0",
        "scratch-scratch-1",
    ]
    assert "best_epoch" in result.settings[0]
    row = compare(result, result, against_model="scratch", draws=20, permutations=20, min_positives=2).iloc[0]
    assert (row["model"], row["against"]) == ("mine", "scratch")


def test_the_scores_are_the_models_means_over_a_records_windows(tuned, small_store) -> None:
    runs, result = tuned
    scores = result.predictions
    for seed in (0, 1):
        table = openclef.predict(openclef.load(runs / f"mine-finetune-{seed}"), small_store)
        assert len(table) > len(small_store), "10 s are several windows of 4 s"
        expected = table.groupby("source")["old"].mean()
        rows = scores[(scores["model"] == "mine") & (scores["seed"] == seed)]
        assert set(rows["split"]) == {"val", "test"}
        np.testing.assert_allclose(rows["score"], expected[rows["record_id"]], rtol=1e-5)
    one, two = (
        openclef.load(runs / name).backbone.state_dict() for name in ("mine-finetune-0", "mine-finetune-1")
    )
    assert any(not torch.equal(one[name], two[name]) for name in one)


def test_finished_runs_are_used_again_and_others_are_not(tuned, small_store, encoder, monkeypatch) -> None:
    from openclef import training

    runs, result = tuned

    def refused(*args, **named):
        raise AssertionError("trained again")

    monkeypatch.setattr(training, "fit", refused)
    again = evaluate(encoder, small_store, TASK, protocol="finetune", seeds=(3, 4), runs=runs, **QUICK)
    mine = result.predictions[result.predictions["model"].str.startswith("mine")]
    pd.testing.assert_frame_equal(again.predictions, mine.reset_index(drop=True))
    with pytest.raises(FileExistsError, match="finished run"):
        evaluate(encoder, small_store, TASK, protocol="finetune", seeds=(3, 5), runs=runs, **QUICK)


def test_scratch_takes_the_models_architecture_and_not_its_weights(tuned, small_store, encoder) -> None:
    runs, _ = tuned
    other = random_encoder(preprocessing=encoder.preprocessing, seed=99)
    test = small_store.records["split"].to_numpy() == "test"
    other.pretraining_subjects = frozenset(small_store.subjects()[test])  # has seen the test subjects
    with pytest.raises(ValueError, match="24 of 24 test subjects were in the encoder's pretraining"):
        evaluate(other, small_store, TASK, protocol="finetune", **QUICK)
    result = evaluate(other, small_store, TASK, protocol="scratch", seeds=(3, 4), runs=runs, **QUICK)
    assert result.model == "scratch"
    assert result.note == ""
    config = json.loads((runs / "scratch-scratch-0" / "config.json").read_text())
    assert (config["backbone_rate"], config["warm_start"]) == (1.0, False)
    assert config["preprocessing"]["fs"] == 50
    named = evaluate("scratch", small_store, TASK, preprocessing=encoder.preprocessing, seeds=(3,), **QUICK)
    first = result.predictions[(result.predictions["seed"] == 0) & (result.predictions["model"] == "scratch")]
    alone = named.predictions[named.predictions["model"] == "scratch"]
    np.testing.assert_allclose(alone["score"], first["score"])


def test_several_encoders_are_tuned_once_each_with_few_labels(small_store, encoder, tmp_path) -> None:
    result = evaluate(
        [encoder, encoder],
        small_store,
        TASK,
        protocol="finetune",
        label_share=0.25,
        append_age_sex=False,
        split="val",
        runs=tmp_path,
        **QUICK,
    )
    assert sorted(set(result.predictions["seed"])) == [0, 1]
    assert set(result.predictions["split"]) == {"val"}
    subjects = [openclef.load(path).pretraining_subjects for path in sorted(tmp_path.iterdir())]
    assert [len(each) for each in subjects] == [12, 12]
    assert subjects[0] != subjects[1], "each draws its own"
    with pytest.raises(ValueError, match="seeds are empty"):
        evaluate(encoder, small_store, TASK, protocol="finetune", seeds=(), **QUICK)


def test_a_module_that_cannot_be_tuned_is_refused(small_store) -> None:
    backbone = torch.nn.Linear(3, 3)
    backbone.dim = 3
    for protocol in ("finetune", "scratch"):
        with pytest.raises(ValueError, match="model is Linear; pass an Encoder"):
            evaluate(backbone, small_store, TASK, protocol=protocol, **QUICK)
    with pytest.raises(ValueError, match="pass one of probe, knn, finetune, scratch"):
        evaluate(backbone, small_store, TASK, protocol="fine-tune", **QUICK)


def test_the_command_line(small_store, encoder, tmp_path, capsys, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    save_encoder(encoder, "model")
    store = str(small_store.path)
    short = ["--epochs", "1", "--batch_size", "16", "--accelerator", "cpu"]
    assert (
        cli.main(["finetune", "model", store, TASK, "run", *short, "--optimisation.learning_rate", "0.01"])
        == 0
    )
    assert (
        "Fine-tuning on small/old, lead I: 144 windows of 48 subjects, 72 for validation"
        in capsys.readouterr().out
    )
    assert json.loads(Path("run/config.json").read_text())["optimisation"]["learning_rate"] == 0.01
    assert cli.main(["predict", "run", store, "--out", "p/predictions.parquet"]) == 0
    assert "288 rows, small/old (calibrated probability): old" in capsys.readouterr().out
    table = pd.read_parquet("p/predictions.parquet")
    assert list(table) == ["source", "lead", "start_s", "seconds", "flags", "old"]
    given = ["evaluate", "model", store, TASK, "--protocol", "finetune", "--seeds", "[1]", "--out", "result"]
    given += ["--draws", "5", "--baselines", "false", "--finetuning", '{"epochs": 1, "batch_size": 16}']
    assert cli.main(given) == 0
    assert Path("result/runs/mine-finetune-0/run.json").exists()
    capsys.readouterr()
    for wrong, message in (
        (["predict", "model", store, "--out", "a.parquet"], "mine has no head"),
        (["predict", "run", store], "out is missing"),
        (["embed", "run", store, "--out", "e.csv"], "pass a name that ends in .parquet"),
        (["finetune", "model", store, "small/young", "b"], "does not declare the task"),
        (["finetune", "model", store, TASK, "run"], "finished run"),
        ([*given[:-1], '{"epoch": 1}'], "does not accept option 'epoch'"),
    ):
        assert cli.main(wrong) == 1
        printed = capsys.readouterr().err
        assert message in printed
        assert len(printed.strip().splitlines()) == 1
    assert cli.main(["list", "protocols"]) == 0
    assert "finetune: Fine-tune an encoder" in capsys.readouterr().out


def test_a_report_takes_a_fine_tuned_run(tuned, small_store, tmp_path) -> None:
    pytest.importorskip("plotly")
    runs, result = tuned
    result.save(tmp_path / "result")
    page = openclef.report(
        [runs / "mine-finetune-0", tmp_path / "result"], out=tmp_path / "r.html", windows=20
    )
    assert "mine-finetune-0" in Path(page).read_text(encoding="utf-8")
