from __future__ import annotations

import json
import subprocess
import sys

import pytest

from openclef import cli


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


@pytest.mark.parametrize("kind", ["databases", "risks", "backbones", "methods", "protocols", "formats"])
def test_list(kind: str, capsys) -> None:
    assert cli.main(["list", kind, "--json", "true"]) == 0
    assert json.loads(capsys.readouterr().out)
