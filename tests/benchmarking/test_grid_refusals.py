from __future__ import annotations

import errno
import json

import pandas as pd
import pytest
import torch

import openclef
from openclef.shards import hold_folder


def test_what_cannot_be_judged_is_listed_and_the_rest_goes_on(store, planted, few, tmp_path):
    leaked = planted(0.2, subjects=frozenset(store.subjects()))
    found = openclef.benchmark(
        {"clean": planted(0.2), "leaked": leaked},
        store,
        tmp_path / "out",
        tasks="tiny/age",
        leads=("I", "V6"),
        baselines=(),
        **few,
    )
    assert set(found.metrics["model"]) == {"clean", "clean + age_sex"}
    assert found.skipped[["lead", "model"]].to_numpy().tolist() == [
        ["I", "leaked"]
    ]  # no store has V6: not asked
    assert "were in the encoder's pretraining" in found.skipped["reason"][0]
    for table in (found.labels, found.comparisons, found.ranks):
        assert table.empty
    with pytest.raises(ValueError, match=r"none of 1 cells can be judged: .*pretraining"):
        openclef.benchmark({"leaked": leaked}, store, tmp_path / "out", tasks="tiny/age", baselines=(), **few)


def test_a_folder_is_not_taken_from_others(store, planted, few, tmp_path):
    ask = {"tasks": "tiny/age", "baselines": (), **few}
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "thesis.txt").write_text("mine")
    with pytest.raises(FileExistsError, match="holds no benchmark"):
        openclef.benchmark([planted()], store, tmp_path / "full", **ask)
    with (
        hold_folder(tmp_path / "held"),
        pytest.raises(BlockingIOError, match="another benchmark is running"),
    ):
        openclef.benchmark([planted()], store, tmp_path / "held", **ask)
    with pytest.raises(FileExistsError, match="is a file"):
        openclef.benchmark([planted()], store, tmp_path / "full" / "thesis.txt", **ask)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"tasks": ["tiny/old"]}, "no store declares the task 'tiny/old'; they declare tiny/labels"),
        ({"tasks": []}, "there is no task"),
        ({"protocols": ("probes",)}, "protocols are 'probes'; accepted are probe, knn"),
        ({"baselines": ("random",)}, "baselines are 'random'"),
        ({"split": "train"}, "split is 'train'"),
        ({"reference": "simclr"}, "reference is 'simclr'"),
        ({"label_shares": (2,)}, "label_share"),
        ({"leads": ()}, "leads are empty"),
        ({"draws": 0}, "draws is 0"),
        ({"conditions": (openclef.Condition(),)}, "change something"),
    ],
)
def test_settings_that_cannot_be_right(store, planted, few, tmp_path, settings, message):
    with pytest.raises(ValueError, match=message):
        openclef.benchmark([planted()], store, tmp_path / "out", **{**few, **settings})


def test_nothing_to_judge(store, few, tmp_path):
    with pytest.raises(ValueError, match="there is nothing to judge"):
        openclef.benchmark([], store, tmp_path / "out", protocols="finetune", **few)


def test_stores_that_cannot_be_right(store, planted, few, tmp_path):
    with pytest.raises(ValueError, match="No store is given"):
        openclef.benchmark([planted()], [], tmp_path / "a", **few)
    with pytest.raises(ValueError, match="given twice"):
        openclef.benchmark([planted()], [store, store.path], tmp_path / "b", **few)
    with pytest.raises(FileNotFoundError):
        openclef.benchmark([planted()], tmp_path / "none", tmp_path / "c", **few)


def test_what_is_wrong_with_a_call_is_refused_before_anything_is_judged(store, planted, few, tmp_path, calls):
    for given, message in (
        ({"by": "colour"}, "by are 'colour'; accepted are store, sex, age_band"),
        ({"by": None}, "by are None; pass a list"),
        ({"seeds": 5}, "seeds are 5; pass a list of whole numbers"),
        ({"seeds": (0, 0)}, "pass each once"),
        ({"seeds": (-1,)}, "seeds are .-1,.; pass a list"),
        ({"seeds": (0.5,)}, "seeds are"),
        ({"seeds": "01"}, "seeds are"),
        ({"training_seeds": ()}, "training_seeds are empty"),
        ({"label_shares": None}, "label_shares are None"),
        ({"label_shares": ["a"]}, "label_share is 'a'"),
        ({"leads": [""]}, "leads are .*; pass names"),
        ({"device": "gpu"}, "device is 'gpu', which cannot be used"),
        ({"finetuning": {"epochs": 1}}, "finetuning is .*; pass openclef.Finetuning"),
        ({"baselines": None}, "baselines are None"),
        ({"protocols": None}, "protocols are None"),
        ({"tasks": 5}, "no store declares the task 5"),
    ):
        with pytest.raises(ValueError, match=message):
            openclef.benchmark({"a": planted()}, store, tmp_path / "out", **(few | given))
    assert calls == []
    with pytest.raises(ValueError, match="has no name before its ending"):
        openclef.benchmark({"a": planted()}, tmp_path / "...csv", tmp_path / "out", **few)


class Broken(torch.nn.Module):
    """Fails in some way when it is used."""

    dim = 8

    def __init__(self, error, preprocessing):
        super().__init__()
        self.error, self.preprocessing, self.pretraining_subjects = error, preprocessing, frozenset()

    def forward(self, signal):
        raise self.error


@pytest.mark.parametrize(
    "error", [RuntimeError("CUDA out of memory"), TypeError("no"), ZeroDivisionError("0")]
)
def test_a_model_that_fails_is_listed_and_the_others_go_on(store, planted, few, tmp_path, error):
    models = {"bad": Broken(error, planted().preprocessing), "good": planted(0.2)}
    found = openclef.benchmark(models, store, tmp_path / "out", tasks="tiny/age", baselines=(), **few)
    assert set(found.metrics["model"]) == {"good", "good + age_sex"}
    assert found.skipped["reason"].tolist() == [f"{type(error).__name__}: {error}"]


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (AttributeError("no fc"), "AttributeError: no fc"),
        (AssertionError(), "AssertionError"),
        (OverflowError("too\n large"), "OverflowError: too large"),
        (ValueError("eight features are needed"), "eight features are needed"),
    ],
)
def test_reasons_are_one_line(store, planted, few, tmp_path, error, reason):
    with pytest.raises(ValueError, match="none of 1 cells can be judged"):
        openclef.benchmark(
            {"bad": Broken(error, planted().preprocessing)},
            store,
            tmp_path / "out",
            tasks="tiny/age",
            baselines=(),
            **few,
        )
    assert pd.read_csv(tmp_path / "out" / "skipped.csv")["reason"].tolist() == [reason]


@pytest.mark.parametrize("error", [KeyboardInterrupt(), OSError(errno.ENOSPC, "no space left")])
def test_an_interruption_and_a_full_disk_end_the_call(store, planted, few, tmp_path, error):
    models = {"good": planted(), "bad": Broken(error, planted().preprocessing)}
    with pytest.raises(type(error)):
        openclef.benchmark(models, store, tmp_path / "out", tasks="tiny/age", baselines=(), **few)


def test_a_damaged_ledger_does_not_cost_the_tables(write_store, planted, few, tmp_path):
    store = write_store(tmp_path / "tiny")
    (store.path / "looks.jsonl").write_text("{broken\n")
    found = openclef.benchmark(
        {"a": planted(0.2)}, store, tmp_path / "out", tasks="tiny/age", baselines=(), **few
    )
    assert len(found.metrics)
    assert found.looks.empty
    assert any("looks.jsonl, line 1, is damaged" in each["note"] for each in found.about["notes"])


@pytest.mark.parametrize("records", ["many", "", None, [3]])
def test_a_look_of_no_number_is_a_note(write_store, planted, few, tmp_path, capsys, records):
    store = write_store(tmp_path / "tiny")
    look = {
        "time": "2026-01-01",
        "store": "tiny",
        "task": "tiny/age",
        "model": "a",
        "label_share": 1,
        "subjects": 3,
    }
    (store.path / "looks.jsonl").write_text(json.dumps(look | {"records": records}) + "\n")
    ask = {"tasks": "tiny/age", "baselines": (), **few, "quiet": False}
    found = openclef.benchmark({"a": planted(0.2)}, store, tmp_path / "out", **ask)
    assert found.looks.empty
    notes = [each["note"] for each in found.about["notes"] if each["model"] == "looks"]
    assert len(notes) == 1
    assert "whose records is" in notes[0]
    assert notes[0] in capsys.readouterr().err
