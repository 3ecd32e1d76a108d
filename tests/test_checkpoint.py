"""Run folders: the same run is the same run wherever its stores lie; shipped encoders are found by name."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from openclef.checkpoint import load, start_run
from openclef.shipped import SHIPPED, shipped_folder


def config(path: str, sha256: str = "aa", epochs: int = 2) -> dict:
    return {"epochs": epochs, "stores": [{"name": "sim", "path": path, "records_sha256": sha256}]}


def test_a_store_at_another_path_is_the_same_store(tmp_path: Path) -> None:
    start_run(tmp_path / "run", config("runs/demo/store"))
    start_run(tmp_path / "run", config("/home/me/runs/demo/store"))  # resumes
    for other in (config("runs/demo/store", sha256="bb"), config("runs/demo/store", epochs=3)):
        with pytest.raises(FileExistsError, match="other settings"):
            start_run(tmp_path / "run", other)


def test_the_message_names_what_differs_only(tmp_path: Path) -> None:
    start_run(tmp_path / "run", config("a"))
    with pytest.raises(FileExistsError, match=r"\(epochs: 2 there, 3 given\)"):
        start_run(tmp_path / "run", config("b", epochs=3))


@pytest.mark.parametrize("name", sorted(SHIPPED))
def test_a_shipped_encoder_loads_and_embeds(name: str) -> None:
    encoder = load(name)
    embedding = encoder.embed(torch.randn(2, 1, 2500), fs=250)
    assert embedding.shape == (2, encoder.dim)
    assert torch.isfinite(embedding).all()
    assert encoder.pretraining_subjects
    assert sum(path.stat().st_size for path in shipped_folder(name).rglob("*") if path.is_file()) < 2.5e6


def test_a_folder_of_that_name_goes_before_the_shipped_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("openclef-small-sim").mkdir()
    with pytest.raises(FileNotFoundError, match="no finished run"):
        load("openclef-small-sim")
