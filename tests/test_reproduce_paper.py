"""docs/mimic-iv.md and docs/reproduce-paper.md on the simulated hospital and small layouts of the seven data sets."""

from __future__ import annotations

import importlib.util
import re
import shlex
import warnings
from argparse import Namespace
from pathlib import Path
from types import ModuleType

import pandas as pd
import pytest
import yaml

import openclef
from openclef.cli import main
from tests.eighteen_tasks import BEYOND, EIGHTEEN, SMALL, write_layouts

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture
def script() -> ModuleType:
    spec = importlib.util.spec_from_file_location("reproduce", ROOT / "examples" / "reproduce_paper.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def commands(page: str) -> list[list[str]]:
    text = (ROOT / "docs" / page).read_text()
    return [shlex.split(line)[1:] for line in re.findall(r"^    (openclef .*)$", text, re.M)]


@pytest.mark.slow
def test_the_page_of_mimic_iv_leads_from_the_tables_to_an_encoder(tmp_path, monkeypatch, capsys) -> None:
    """Every command as it stands, but for the paths of the repository and an epoch of the small encoder."""
    monkeypatch.chdir(tmp_path)
    given = commands("mimic-iv.md")
    assert [command[0] for command in given] == [
        "simulate", "extract_metadata", "convert", "risk", "check", "pretrain",
    ]  # fmt: skip
    for command in given:
        if command[0] == "simulate":
            command[-1] = "260"
        if command[0] == "pretrain":
            command[-1] = str(ROOT / command[-1])
            command += ["--epochs", "1", "--backbone", "resnext1d_small", "--preprocessing.fs", "125"]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            assert main(command) == 0, f"{command}\n{capsys.readouterr().err}"
    printed = capsys.readouterr().out
    assert "linkage: linked" in printed
    assert "Verdict: score2" in printed
    store = openclef.open_store("stores/mimic_iv_ecg")
    assert set(store.risks) == {"score2", "age_sex", "prevent_cvd"}
    truth = pd.read_parquet("rehearsal/truth.parquet").set_index("record_id")
    for name in ("sbp_mmhg", "total_chol_mmol_l", "smoker", "egfr_ml_min"):
        found = store.records.set_index("record_id")[name]
        pd.testing.assert_series_equal(found, truth.loc[found.index, name], check_names=False, rtol=1e-9)
    held_out = pd.read_csv("rehearsal/LVEF.csv", dtype=str)["subject_id"]
    assert set(store.records.loc[store.records["subject_id"].isin(held_out), "split"]) == {""}
    assert Path("runs/mimic/run.json").is_file()


@pytest.mark.slow
def test_the_script_leads_to_a_number_for_each_of_the_eighteen_tasks(
    script, tmp_path, monkeypatch, capsys
) -> None:
    monkeypatch.chdir(tmp_path)
    openclef.simulator.simulate_mimic_iv("rehearsal", patients=60, seed=2, workers=1)
    write_layouts(tmp_path / "raw")
    without = {task.split("/")[0] for task in BEYOND}
    databases = {
        name: {"src": f"raw/{name}", "options": small.options}
        for name, small in SMALL.items()
        if name not in without
    }
    Path("databases.yaml").write_text(yaml.safe_dump(databases))
    arguments = [
        "--hosp",
        "rehearsal/mimiciv/hosp",
        "--ecgs",
        "rehearsal/mimic-iv-ecg",
        "--out",
        "runs/paper",
    ]
    arguments += ["--lvef_table", "rehearsal/LVEF.csv", "--databases", "databases.yaml"]
    arguments += [
        "--pretrain",
        "--epochs 1 --batch_size 16 --backbone resnext1d_small --preprocessing.fs 125",
    ]
    arguments += ["--benchmark", "--draws 20 --permutations 20 --seeds 0 --report false --quiet true"]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert script.main([*arguments, "--dry_run"]) == 0
        planned = capsys.readouterr().out
        assert not Path("runs").exists()
        assert script.main(arguments) == 0, capsys.readouterr().err
        ran = capsys.readouterr().out
        assert [line for line in ran.splitlines() if line.startswith("$ ")] == planned.splitlines()
        assert script.main(arguments) == 0
    assert capsys.readouterr().out.count("# done") == len(planned.splitlines()) - 2
    found = pd.read_csv("runs/paper/benchmark/benchmark.csv")
    for model in ("clef", "simclr"):
        assert set(found.loc[(found["model"] == model) & found["value"].notna(), "task"]) == set(EIGHTEEN)


def test_the_script_stops_where_other_options_would_have_made_something_else(
    script, tmp_path, monkeypatch, capsys
) -> None:
    """The steps are not run here: each makes its file and no more."""
    monkeypatch.chdir(tmp_path)
    ran: list[str] = []

    def run(command: list[str]) -> int:
        ran.append(command[0])
        for step in script.steps(given):
            if step.command == command and step.done is not None:
                step.done.parent.mkdir(parents=True, exist_ok=True)
                step.done.touch()
        return 0

    monkeypatch.setattr(script, "openclef", run)
    arguments = ["--hosp", "hosp", "--ecgs", "ecgs", "--out", "runs"]
    kept = {
        "records": "first",
        "region": "low",
        "concepts": None,
        "databases": None,
        "lvef_table": None,
        "seeds": 1,
    }
    given = Namespace(
        **kept, hosp="hosp", ecgs="ecgs", out="runs", max_skipped_share=0.05, pretrain=[], benchmark=[]
    )
    assert script.main(arguments) == 0
    every = ["extract_metadata", "convert", "check", "risk", "risk", "pretrain", "pretrain"]
    assert ran == every
    assert script.main(arguments) == 0
    assert ran == [*every, "check"]
    capsys.readouterr()
    assert script.main([*arguments, "--region", "high"]) == 2
    assert "was made by: openclef extract_metadata" in capsys.readouterr().err
    assert script.main([*arguments, "--pretrain", "--epochs 3"]) == 2
    assert "clef-0/run.json was made by: openclef pretrain" in capsys.readouterr().err
    assert ran == [*every, "check", "check"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (None, "databases.yaml is missing"),
        ("- ptb_xl", "holds no databases"),
        ("a: [", "is no YAML"),
        ("ptbxl: {src: .}", "names 'ptbxl'; accepted are ptb_xl"),
        ("ptb_xl: here", r"accepted is \{src: FOLDER"),
        ("ptb_xl: {src: nowhere}", "nowhere is not there"),
        ("ptb_xl: {src: ., options: {rate: 100}}", "has the options {'rate': 100}; accepted are"),
    ],
)
def test_the_data_sets_of_the_tasks_are_looked_at_before_the_first_step(
    script, text, message, tmp_path, monkeypatch, capsys
) -> None:
    monkeypatch.chdir(tmp_path)
    if text is not None:
        Path("databases.yaml").write_text(text)
    given = ["--hosp", "hosp", "--ecgs", "ecgs", "--databases", "databases.yaml"]
    assert script.main([*given, "--dry_run"]) == 2
    printed = capsys.readouterr()
    assert re.search(message, printed.err)
    assert not printed.out
