from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from openclef import cli
from openclef.commands.listing import KINDS


def test_help_imports_nothing_heavy() -> None:
    code = (
        "import sys; from openclef.cli import main; main(['--help']);"
        "heavy = {'torch', 'numpy', 'pandas', 'jsonargparse', 'rich'} & set(sys.modules); assert not heavy, heavy"
    )
    outcome = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert outcome.returncode == 0, outcome.stderr
    assert all(name in outcome.stdout for name in cli.COMMANDS)


@pytest.mark.parametrize("command", [name for name in cli.COMMANDS if name != "score"])
def test_a_commands_help_does_without_torch(command: str) -> None:
    code = (
        "import sys\nfrom openclef.cli import main\n"
        f"try:\n    main([{command!r}, '--help'])\nexcept SystemExit as stop:\n    assert stop.code == 0\n"
        "assert 'torch' not in sys.modules, 'torch was imported'"
    )
    outcome = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert outcome.returncode == 0, outcome.stderr[-2000:]
    assert "usage: openclef" in outcome.stdout


def test_score_prints_json(capsys) -> None:
    given = "--age_years 50 --sex male --smoker true --diabetes false --sbp_mmhg 140 --total_chol_mmol_l 6.3"
    assert cli.main(["score", "score2", *given.split(), "--hdl_mmol_l", "1.4", "--region", "low"]) == 0
    printed = json.loads(capsys.readouterr().out)
    assert printed["value"] == pytest.approx(0.06314292, abs=1e-8)
    assert printed["missing"] == []


def test_errors_are_one_line_and_a_status(capsys) -> None:
    assert cli.main(["score", "score3"]) == 1
    assert cli.main(["check", "no/such/store"]) == 1
    assert cli.main(["convert", "ptb_xxl", "a", "b"]) == 1
    printed = capsys.readouterr()
    errors = printed.err.strip().splitlines()
    assert len(errors) == 2
    assert "score3" in errors[0]
    assert "ptb_xl" in errors[1]
    assert "no/such/store" in printed.out
    assert cli.main(["pretrian"]) == 2


def test_config_file_and_print_config(tmp_path, capsys) -> None:
    with pytest.raises(SystemExit):
        cli.main(["pretrain", "a", "b", "--epochs", "7", "--guidance.alpha", "0.3", "--print_config"])
    printed = capsys.readouterr().out
    assert "epochs: 7" in printed
    assert "alpha: 0.3" in printed


@pytest.mark.parametrize("kind", KINDS)
def test_list(kind: str, capsys) -> None:
    assert cli.main(["list", kind, "--json", "true"]) == 0
    rows = json.loads(capsys.readouterr().out)
    assert rows
    assert all(row["name"] for row in rows)
    assert cli.main(["list", kind]) == 0
    assert len(capsys.readouterr().out.strip().splitlines()) == len(rows)


def test_list_knows_the_contracts_kinds_tasks_and_models(capsys) -> None:
    assert set(KINDS) == {
        *("databases", "risks", "backbones", "methods", "protocols", "tasks", "models", "formats")
    }
    cli.main(["list", "tasks", "--json", "true"])
    tasks = {row["name"]: row["database"] for row in json.loads(capsys.readouterr().out)}
    assert tasks["ptb_xl/superdiagnostic"] == "ptb_xl"
    assert tasks["sim/low_ef"] == "openclef simulate"
    cli.main(["list", "models", "--json", "true"])
    models = {row["name"]: row for row in json.loads(capsys.readouterr().out)}
    assert (models["openclef-small-sim"]["dim"], "simulated" in models["openclef-small-sim"]["what"]) == (
        256,
        True,
    )
    clef = {name: (row["file"], row["dim"]) for name, row in models.items() if name.startswith("clef")}
    assert clef == {
        "clef_small": ("clef_small.ckpt", 256),
        "clef_medium": ("clef_medium.ckpt", 1024),
        "clef_large": ("clef_largel.ckpt", 2048),
    }
    assert models["clef_large"]["parameters"] == 296_301_312
    assert models["clef_small"]["signal"] == "one lead at 500 Hz, windows of 10 s"
    for name, row in models.items():  # how to get it, and under which licence
        assert "file" not in row or all(
            row[key] for key in ("licence", "weights", "code", "trained_on", "paper", "layer", "fs_hz")
        ), name
    assert {"ecg_fm", "st_mem", "moment", "moirai"} <= set(models)


def test_import_model_makes_a_folder_that_commands_take(tmp_path, capsys, monkeypatch) -> None:
    import torch

    from openclef.published import PUBLISHED

    monkeypatch.chdir(tmp_path)
    torch.save(
        {
            "state_dict": {
                name: torch.zeros(like.shape) for name, like in PUBLISHED["clef_small"].expected().items()
            }
        },
        "clef_small.ckpt",
    )
    np.save("wave.npy", np.sin(np.arange(2600) / 7).astype(np.float32))
    assert cli.main(["embed", "clef_small", "wave.npy", "--fs", "260", "--out", "a.parquet"]) == 1
    assert "openclef import_model clef_small clef_small.ckpt" in capsys.readouterr().err
    assert cli.main(["import_model", "clef_small", "clef_small.ckpt", "models/clef"]) == 0
    assert "443,184 parameters" in capsys.readouterr().out
    assert cli.main(["embed", "models/clef", "wave.npy", "--fs", "260", "--out", "a.parquet"]) == 0
    assert cli.main(["import_model", "clef_small", "clef_small.ckpt", "models/clef"]) == 1
    assert "--overwrite true" in capsys.readouterr().err
    assert (
        cli.main(["import_model", "clef_small", "clef_small.ckpt", "models/clef", "--overwrite", "true"]) == 0
    )
    assert cli.main(["import_model", "clef_small", "clef_small.ckpt", "models", "--overwrite", "true"]) == 1
    assert "holds something else" in capsys.readouterr().err
    assert cli.main(["import_model", "clef", "clef_small.ckpt", "models/other"]) == 1
    assert "is no published model; pass one of clef_small" in capsys.readouterr().err
    assert not Path("models/other").exists()


@pytest.fixture(scope="module")
def model(tmp_path_factory) -> str:
    from openclef.model import save_encoder
    from openclef.protocol.baselines import random_encoder

    return str(save_encoder(random_encoder(), tmp_path_factory.mktemp("model")))


def test_embed_takes_files_names_their_rows_and_makes_folders(model, tmp_path, monkeypatch, capsys) -> None:
    monkeypatch.chdir(tmp_path)
    signal = np.sin(np.arange(2000) / 7).astype(np.float32)
    np.save("one.npy", signal)
    np.save("two.npy", np.stack([signal, signal + 1]))
    assert cli.main(["embed", model, "one.npy", "--out", "new/a.parquet", "--fs", "100", "--lead", "V5"]) == 0
    assert pd.read_parquet("new/a.parquet")["lead"].tolist() == ["V5", "V5"]
    both = ["embed", model, '["two.npy", "two.npy"]', "--fs", "100", "--leads", '["I", "V5"]', "--lead", "V5"]
    assert cli.main([*both, "--out", "b.parquet"]) == 0
    frame = pd.read_parquet("b.parquet")
    assert frame["source"].tolist() == ["two.npy"] * 4
    assert len(frame["embedding"][0]) == 256
    Path("file").write_text("")
    for given, message in (
        (["one.npy", "--fs", "100"], "pass the parquet file to write"),
        (["one.npy", "--fs", "100", "--out", "."], "a folder"),
        (["one.npy", "--fs", "100", "--out", "file/a.parquet"], "file is a file"),
        (["[]", "--out", "c.parquet"], "No source"),
        (["one.npy", "--out", "c.parquet"], "fs is missing"),
        (["two.npy", "--fs", "100", "--out", "c.parquet"], "leads are missing"),
    ):
        capsys.readouterr()
        assert cli.main(["embed", model, *given]) == 1
        printed = capsys.readouterr().err
        assert message in printed
        assert len(printed.splitlines()) == 1
    assert not Path("c.parquet").exists()


def test_evaluate_says_what_it_could_not_check(model, small_store, tmp_path, capsys) -> None:
    given = ["evaluate", model, str(small_store.path), "small/old", "--baselines", "false", "--draws", "5"]
    (tmp_path / "file").write_text("")
    assert cli.main([*given, "--out", str(tmp_path / "file")]) == 1
    assert "is a file" in capsys.readouterr().err
    assert cli.main(given) == 0
    assert "note: the encoder does not say whom it was pretrained on" in capsys.readouterr().out


def test_options_of_a_wrong_type_are_one_line(data_folder, tmp_path, capsys) -> None:
    given = ["convert", "ptb_xl", str(data_folder / "ptb-xl"), str(tmp_path / "out"), "--options"]
    assert cli.main([*given, '{"seconds": [1]}']) == 1
    assert len(capsys.readouterr().err.strip().splitlines()) == 1
