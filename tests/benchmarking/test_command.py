from __future__ import annotations

import json

import pytest
import yaml

from openclef import cli
from openclef.benchmarking.command import parse_models
from openclef.model import save_encoder
from openclef.protocol.baselines import random_encoder


@pytest.fixture(scope="module")
def folder(tmp_path_factory, planted):
    """A saved encoder of short windows."""
    return str(
        save_encoder(
            random_encoder(preprocessing=planted().preprocessing), tmp_path_factory.mktemp("m") / "a"
        )
    )


def test_a_benchmark_from_the_command_line(folder, store, tmp_path, capsys):
    out = tmp_path / "out"
    config = {
        "stores": [str(store.path)],
        "out": str(out),
        "tasks": ["tiny/age"],
        "seeds": [0, 1],
        "draws": 20,
    }
    config |= {
        "permutations": 20,
        "baselines": ["age_sex"],
        "finetuning": {"epochs": 2},
        "quiet": True,
        "report": False,
    }
    (tmp_path / "grid.yaml").write_text(yaml.safe_dump(config))
    given = [f"one={folder},{folder}", f"two={folder}", "--config", str(tmp_path / "grid.yaml")]
    asked = ["--conditions", '[{"lead": "II"}, {"noise_snr_db": 10}]', "--label_shares", "0.5", "1"]
    assert cli.main(["benchmark", *given, *asked]) == 0
    printed = capsys.readouterr().out
    assert "tiny/age MAE years" in printed
    assert "0.5 of the training labels" in printed
    for name in ("one", "two + age_sex", "age_sex"):
        assert f"\n{name} " in printed
    assert f"tables: {out}" in printed
    about = json.loads((out / "benchmark.json").read_text())
    assert [each["name"] for each in about["settings"]["conditions"]] == ["lead II", "noise 10 dB"]
    assert about["settings"]["finetuning"]["epochs"] == 2
    assert about["models"][0]["sources"] == [folder, folder]


def test_baselines_alone_and_the_page(store, tmp_path, capsys):
    given = [
        "--stores",
        str(store.path),
        "--out",
        str(tmp_path / "out"),
        "--tasks",
        "tiny/age",
        "--draws",
        "10",
    ]
    assert cli.main(["benchmark", *given, "--baselines", "age_sex", "--by"]) == 0
    printed = capsys.readouterr()
    assert "age_sex" in printed.out
    assert "1 cells in" in printed.err
    assert "report: " in printed.out
    assert "Averages over tasks" in (tmp_path / "out" / "report.html").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (["--conditions", '[{"snr": 10}]'], "a condition has 'snr'; accepted are noise_snr_db, lead"),
        (["--tasks", "tiny/none"], "no store declares the task 'tiny/none'"),
        (["--protocols", "svm"], "protocols are 'svm'"),
    ],
)
def test_errors_are_one_line(store, tmp_path, capsys, given, message):
    base = ["benchmark", "--stores", str(store.path), "--out", str(tmp_path / "out"), "--quiet", "true"]
    assert cli.main([*base, *given]) == 1
    printed = capsys.readouterr().err.strip()
    assert message in printed
    assert len(printed.splitlines()) == 1


def test_models_are_named_on_the_command_line(tmp_path, monkeypatch):
    assert parse_models(["runs/a", "openclef-small-sim"]) == ["runs/a", "openclef-small-sim"]
    assert parse_models([]) == []
    assert parse_models(["a=runs/a,runs/b", "b=c"]) == {"a": ["runs/a", "runs/b"], "b": ["c"]}
    monkeypatch.chdir(tmp_path)
    (tmp_path / "lr=0.1").mkdir()
    assert parse_models(["lr=0.1"]) == ["lr=0.1"]
    for given, message in (
        (["a=", "b=c"], "no folder"),
        (["=runs/a"], "no name"),
        (["a=b", "a=c"], "given twice"),
        (["a=b", "c"], "name all models"),
    ):
        with pytest.raises(ValueError, match=message):
            parse_models(given)
