from __future__ import annotations

import inspect
import json

import pytest
import yaml

import openclef
from openclef import cli
from openclef.benchmarking import grid
from openclef.commands.benchmarking import benchmark, parse_models, read_config
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


def test_defaults_are_those_of_the_function(monkeypatch):
    parameters = inspect.signature(openclef.benchmark).parameters.values()
    made = []

    def stops(*given, **settings):
        made.append((given, settings))
        raise KeyboardInterrupt

    monkeypatch.setattr(grid, "benchmark", stops)
    with pytest.raises(KeyboardInterrupt):
        benchmark(["--stores", "stores/a", "--out", "runs/a"])
    given, settings = made[0]
    assert given == ([], ["stores/a"], "runs/a")
    defaults = {each.name: each.default for each in parameters if each.default is not each.empty}

    def plain(value):
        return list(value) if isinstance(value, (list, tuple)) else value

    assert {name: plain(value) for name, value in settings.items()} == {
        name: plain(value) for name, value in defaults.items()
    }


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


def test_models_and_single_values_in_a_file(folder, store, tmp_path, capsys):
    file = tmp_path / "grid.yaml"
    options = {
        "stores": str(store.path),
        "out": str(tmp_path / "out"),
        "tasks": "tiny/age",
        "seeds": 0,
        "draws": 10,
    }
    options |= {"baselines": "age_sex", "by": "sex", "leads": "I", "label_shares": 1, "permutations": 10}
    options |= {"models": {"one": folder, "two": [folder, folder]}, "quiet": True, "report": False}
    file.write_text(yaml.safe_dump(options))
    assert cli.main(["benchmark", "--config", str(file)]) == 0
    about = json.loads((tmp_path / "out" / "benchmark.json").read_text())
    assert [(each["name"], each.get("sources")) for each in about["models"]] == [
        ("one", [folder]),
        ("two", [folder, folder]),
        ("age_sex", None),
    ]
    assert about["settings"]["seeds"] == [0]
    assert (
        cli.main(["benchmark", f"three={folder}", f"--config={file}", "--draws", "11"]) == 0
    )  # these count more
    about = json.loads((tmp_path / "out" / "benchmark.json").read_text())
    assert [each["name"] for each in about["models"]] == ["three", "age_sex"]
    assert about["settings"]["draws"] == 11
    capsys.readouterr()


def test_models_in_a_file_may_be_a_list(tmp_path):
    file = tmp_path / "grid.yaml"
    for text, models in (
        ("models: openclef-small-sim", ["openclef-small-sim"]),
        ("models: [runs/a, runs/b]", ["runs/a", "runs/b"]),
        ("models: ['a=runs/a,runs/b']", {"a": ["runs/a", "runs/b"]}),
        ("models: {a: runs/a}", {"a": ["runs/a"]}),
        ("models: []", []),
        ("draws: 3", []),
    ):
        file.write_text(text)
        assert read_config(file)[1] == models
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "ft.yaml").write_text("epochs: 3")
    file = tmp_path / "sub" / "grid.yaml"
    file.write_text("finetuning: ft.yaml")
    assert read_config(file)[0] == {"finetuning": str((tmp_path / "sub" / "ft.yaml").resolve())}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "holds no options"),
        ("# nothing", "holds no options"),
        ("[1, 2]", "holds no options"),
        ("models: {a: [1]}", "has models {'a': [1]}; accepted is a list"),
        ("models: {a: {b: c}}", "accepted is a list"),
        ("models: {a: }", "accepted is a list"),
        ("models: {a: []}", "accepted is a list"),
        ("stores: {a: b}", "has stores {'a': 'b'}; accepted is a list"),
        ("[1", "is no YAML"),
        ("a\x00", "is no YAML"),
    ],
)
def test_files_of_options_that_cannot_be_read(tmp_path, capsys, text, message):
    file = tmp_path / "grid.yaml"
    file.write_text(text)
    assert cli.main(["benchmark", "--config", str(file)]) == 1
    printed = capsys.readouterr().err.strip()
    assert message in printed
    assert str(file) in printed
    assert len(printed.splitlines()) == 1
    assert cli.main(["benchmark", "--config", str(tmp_path / "none.yaml")]) == 1
    assert "none.yaml is missing" in capsys.readouterr().err
