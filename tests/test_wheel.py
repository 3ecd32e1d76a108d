"""The wheel builds, installs elsewhere and runs."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

import openclef

ROOT = Path(__file__).resolve().parents[1]


@pytest.mark.slow
def test_wheel_installs_elsewhere(tmp_path: Path) -> None:
    pytest.importorskip("hatchling")
    build = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation", str(ROOT)]
    subprocess.run([*build, "-w", str(tmp_path)], check=True, cwd=tmp_path)
    (wheel,) = tmp_path.glob("openclef-*.whl")
    held = zipfile.ZipFile(wheel).namelist()
    for name in ("shipped_models/openclef-small-sim/model/model.safetensors", "reporting/page.js"):
        assert f"openclef/{name}" in held
    subprocess.run([sys.executable, "-m", "venv", str(tmp_path / "env")], check=True)
    python = tmp_path / "env" / "bin" / "python"
    subprocess.run(
        [python, "-m", "pip", "install", "--quiet", "--no-deps", "--no-index", str(wheel)], check=True
    )
    shown = subprocess.run(
        [tmp_path / "env" / "bin" / "openclef", "--version"],
        capture_output=True,
        text=True,
        check=True,
        cwd=tmp_path,
    )
    assert shown.stdout.strip() == f"openclef {openclef.__version__}"
