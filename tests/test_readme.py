"""The README's commands and its Python run as they stand, on small real ECGs and simulated patients."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from openclef.cli import main

ROOT = Path(__file__).resolve().parents[1]
README = (ROOT / "README.md").read_text()


@pytest.mark.slow
def test_readme_python(tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    code = re.search(r"```python\n(.*?)```", README, re.S).group(1)
    exec(compile(code, "README.md", "exec"), {"__name__": "readme"})
    assert (tmp_path / "runs/sim/run.json").exists()


@pytest.mark.slow
def test_readme_commands(tmp_path, monkeypatch, data_folder, capsys) -> None:
    """Every `openclef ...` line, with PTB-XL's real layout and one epoch."""
    monkeypatch.chdir(tmp_path)
    lines = [line.split("#")[0].strip() for line in README.splitlines() if line.startswith("    openclef ")]
    assert len(lines) >= 8
    for line in lines:
        given = shlex.split(line)[1:]
        given = [str(data_folder / "ptb-xl") if part == "path/to/ptb-xl" else part for part in given]
        given = [str(ROOT / part) if part.startswith("configs/") else part for part in given]
        if given[0] == "pretrain":
            given += ["--epochs", "1", "--batch_size", "64"]
        assert main(given) == 0, f"{line}\n{capsys.readouterr().err}"


def test_every_linked_file_is_there() -> None:
    for page in [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]:
        for target in re.findall(r"\]\((?!http)([^)#]+)", page.read_text()):
            assert (page.parent / target).exists(), f"{page.name} links to {target}"
