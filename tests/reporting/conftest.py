"""A tiny store with two runs, an unfinished one and results, made once."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from openclef.augment import Views
from openclef.preprocessing import Preprocessing
from openclef.pretraining import pretrain
from openclef.store import open_store

BAD = "<script>alert(1)</script>"


def _row(model: str, value: float, metric: str = "auroc", task: str = "small/old", **more) -> dict:
    """One row as an evaluation saves it."""
    about = {
        "protocol": "probe",
        "lead": "I",
        "n": 24,
        "seeds": 1,
        "label_share": 1.0,
        "part": "",
        "note": "",
    }
    ends = {"low": round(value - 0.1, 3), "high": round(value + 0.1, 3)}
    return {"model": model, "task": task, "metric": metric, "value": value, **ends, **about, **more}


def _save_rows(folder: Path, rows: list[dict], split: str | None = None) -> Path:
    """Write metrics.json, and evaluation.json where a split is given."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "metrics.json").write_text(json.dumps(rows))
    if split is not None:
        about = {"model": rows[0]["model"], "split": split, "settings": [], "note": ""}
        (folder / "evaluation.json").write_text(json.dumps(about))
    return folder


@pytest.fixture(scope="session")
def row():
    """Make a row as an evaluation saves it: row(model, value, metric, task, ...)."""
    return _row


@pytest.fixture(scope="session")
def save_rows():
    """Save rows as an evaluation does: save_rows(folder, rows, split)."""
    return _save_rows


@pytest.fixture(scope="session")
def reported(tmp_path_factory: pytest.TempPathFactory, make_store) -> Path:
    """A folder with store/, clef/, simclr/, unfinished/ and results/."""
    folder = tmp_path_factory.mktemp("reported")
    store = make_store(folder / "store").add_risk("age_sex")
    for method in ("clef", "simclr"):
        pretrain(
            [store],
            folder / method,
            method=method,
            risk="age_sex",
            epochs=2,
            batch_size=16,
            preprocessing=Preprocessing(fs=100.0, seconds=10.0),
            views=Views(crop_s=8.0),
            quiet=True,
            accelerator="cpu",
        )
    shutil.copytree(folder / "clef", folder / "unfinished")
    (folder / "unfinished" / "run.json").unlink()
    shutil.rmtree(folder / "unfinished" / "model")
    rows = [
        _row("simclr", 0.7),
        _row("simclr + age_sex", 0.75),
        _row("random_encoder", 0.6),
        _row("age_sex", 0.72),
    ]
    rows += [
        _row("simclr", 0.5, "auprc"),
        _row("simclr", 0.375, "prevalence"),
        _row(BAD, 0.6, task=f"small/{BAD}"),
    ]
    _save_rows(folder / "results" / "simclr", rows, split="test")
    _save_rows(folder / "results" / "clef", [_row("clef", 0.8), _row("age_sex", 0.72)], split="test")
    _save_rows(folder, [*rows[:4], _row("clef", 0.8)])
    return folder


@pytest.fixture(scope="session")
def page(reported: Path) -> Path:
    """The report of that folder."""
    import openclef

    return openclef.report(reported, reported.parent / "reported.html", title=f"Tiny {BAD}")


@pytest.fixture
def small(reported: Path):
    """Its store."""
    return open_store(reported / "store")
