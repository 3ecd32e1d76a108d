"""Fine-tuning on a CSV file of one's own: one command, splits by subject, converted once, resumed and refused."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import openclef

CSV_OPTIONS = {"lead_names": {"ECG": "I"}, "workers": 1}


def _by_command(table: Path, out: Path, *more: str) -> int:
    from openclef.cli import main

    given = ["finetune", "openclef-small-sim", str(table), "af", str(out), "--epochs", "1"]
    return main([*given, "--accelerator", "cpu", "--options", json.dumps(CSV_OPTIONS), *more])


def _own_files(folder: Path, number: int, monkeypatch) -> tuple[Path, list[str]]:
    """A CSV file of so many files, and what is converted from now on."""
    from openclef.database import own_table
    from tests.layouts import files

    files.write(folder, files=number)
    done: list[str] = []
    original = own_table.convert

    def convert(database, src, dst, **settings):
        done.append(str(dst))
        return original(database, src, dst, **settings)

    monkeypatch.setattr(own_table, "convert", convert)
    return folder / "ecgs.csv", done


def _judge_own(table: Path, out: Path) -> None:
    """The store beside the run, whom the model has seen, and what it predicts."""
    from openclef.database.plan import split_by_subject

    store = openclef.open_store(f"{out}-store")
    rows, records = pd.read_csv(table, dtype=str), store.records
    assert len(store) == len(rows)
    assert set(records["source_fs"].round()) == {125, 130, 200, 250, 360, 500, 1000}
    assert records.groupby("subject_id")["split"].nunique().max() == 1
    assert records["split"].tolist() == split_by_subject(rows["subject_id"]).tolist()
    assert set(records["split"]) == {"train", "val", "test"}
    model = openclef.load(out)
    assert (model.required_head().task, model.labels) == ("ecgs/af", ("af",))
    trained = store.subjects()[records["split"].to_numpy() == "train"]
    held_out = store.subjects()[records["split"].to_numpy() != "train"]
    assert set(trained) <= model.pretraining_subjects
    assert not model.pretraining_subjects & set(held_out)


def test_a_csv_file_of_mixed_rates_by_one_command(tmp_path, monkeypatch, capsys) -> None:
    table, converted = _own_files(tmp_path / "my", 40, monkeypatch)
    out = tmp_path / "runs" / "mine"
    assert _by_command(table, out) == 0
    printed = capsys.readouterr()
    assert "ecgs/af: binary, inferred (0: 20, 1: 20)" in printed.err
    assert f"ecgs.csv: its store is {out}-store" in printed.err
    assert "Fine-tuning on ecgs/af, lead I" in printed.out
    _judge_own(table, out)
    from openclef.cli import main

    new = tmp_path / "new.csv"
    np.savetxt(new, np.sin(np.arange(1300) / 9), header="I (mV)", comments="")
    assert main(["predict", str(out), str(new), "--fs", "130", "--out", str(tmp_path / "p.parquet")]) == 0
    assert pd.read_parquet(tmp_path / "p.parquet")["af"].between(0, 1).tolist() == [True]
    capsys.readouterr()

    assert _by_command(table, out) == 1
    assert "holds a finished run; load it with openclef.load" in capsys.readouterr().err
    table.write_text(table.read_text().replace("paced", "SR"))
    assert _by_command(table, out) == 1
    assert len(converted) == 1, "a finished run is refused before its store is replaced"
    assert _by_command(table, out, "--overwrite", "true") == 0
    assert len(converted) == 2


def test_an_interrupted_run_of_a_csv_file_goes_on_without_converting_again(
    tmp_path, monkeypatch, capsys
) -> None:
    from openclef import training

    table, converted = _own_files(tmp_path / "my", 40, monkeypatch)
    out = tmp_path / "mine"

    def broken(outcome):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(training, "_kept", broken)
        assert _by_command(table, out) == 130
    assert not (out / "run.json").exists()
    capsys.readouterr()
    assert _by_command(table, out) == 0
    assert f"ecgs.csv: unchanged, and its store {out}-store is used again" in capsys.readouterr().err
    assert (out / "run.json").exists()
    assert converted == [f"{out}-store"]


@pytest.mark.slow
def test_200_files_of_mixed_rates_by_one_command(tmp_path, monkeypatch) -> None:
    table, converted = _own_files(tmp_path / "my", 200, monkeypatch)
    out = tmp_path / "mine"
    assert _by_command(table, out, "--epochs", "2") == 0
    _judge_own(table, out)
    predicted = openclef.predict(openclef.load(out), f"{out}-store")
    assert len(predicted) == 200
    assert predicted["af"].between(0, 1).all()
    result = openclef.evaluate(out, f"{out}-store", "ecgs/af", append_age_sex=False, draws=20)
    assert result.note == ""
    assert len(converted) == 1


def test_what_is_no_csv_file_of_labelled_files_is_refused(small_store, tmp_path, monkeypatch, capsys) -> None:
    table, converted = _own_files(tmp_path / "my", 5, monkeypatch)
    for given, message in (
        ([table.parent, "af"], "my is a folder and no store; pass the folder of a store, or the CSV file"),
        ([tmp_path / "none.csv", "af"], r"none\.csv is missing; pass the CSV file that lists your files"),
        ([[table], "af"], "stores hold .*ecgs.csv, a CSV file; pass it alone"),
        ([table, "afib"], r"task is 'afib', which is none; .* declares ecgs/af, ecgs/rhythm"),
    ):
        with pytest.raises((ValueError, FileNotFoundError), match=message):
            openclef.finetune(
                "random_encoder",
                *given,
                tmp_path / "run",
                **({"options": CSV_OPTIONS} if table in given else {}),
            )
    with pytest.raises(ValueError, match="no CSV file is given; options belong to the CSV file"):
        openclef.finetune("random_encoder", small_store, "small/old", tmp_path / "run", options=CSV_OPTIONS)
    with pytest.raises(FileNotFoundError, match="runs/none does not exist"):
        openclef.finetune("runs/none", table, "af", tmp_path / "other")
    assert not (tmp_path / "other-store").exists(), "the model is looked for before anything is converted"
    table.write_text("path,subject_id\nhea/e000.hea,s000\n")
    with pytest.raises(ValueError, match=r"ecgs\.csv has no column of labels"):
        openclef.finetune("random_encoder", table, "af", tmp_path / "run")
    capsys.readouterr()
    assert _by_command(tmp_path / "none.csv", tmp_path / "run") == 1
    assert len(capsys.readouterr().err.strip().splitlines()) == 1
    assert len(converted) == 2
