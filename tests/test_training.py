"""Resume, interruption and the run folder, through the public function."""

from __future__ import annotations

import json
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

import openclef
from openclef.augment import Views
from openclef.optimisation import Optimisation
from openclef.preprocessing import Preprocessing

SMALL = {
    "method": "clef",
    "risk": "age_sex",
    "epochs": 3,
    "batch_size": 16,
    "seed": 3,
    "preprocessing": Preprocessing(fs=100, seconds=10),
    "views": Views(crop_s=2.0, noise_level_mv=0.05),
    "optimisation": Optimisation(learning_rate=1e-3, schedule="cosine"),
    "quiet": True,
    "accelerator": "cpu",
}
SCRIPT = """
import sys, torch
sys.path.insert(0, {tests!r})
torch.set_num_threads(1)
import openclef
from test_training import SMALL
openclef.pretrain([{store!r}], {out!r}, **(SMALL | dict(save_seconds={save_seconds}, epochs={epochs})))
"""


def _weights(run: Path) -> bytes:
    return (run / "model" / "model.safetensors").read_bytes()


def _start(store: Path, out: Path, epochs: int = 3, save_seconds: float = 0.0) -> subprocess.Popen:
    code = SCRIPT.format(
        tests=str(Path(__file__).parent),
        store=str(store),
        out=str(out),
        epochs=epochs,
        save_seconds=save_seconds,
    )
    return subprocess.Popen([sys.executable, "-c", code], stderr=subprocess.PIPE, text=True)


@pytest.fixture(scope="module")
def whole(small_store, tmp_path_factory) -> Path:
    """A run that nothing interrupted, in a process of its own with one thread."""
    out = tmp_path_factory.mktemp("runs") / "whole"
    process = _start(small_store.path, out)
    _, errors = process.communicate()
    assert process.returncode == 0, errors
    return out


def test_run_folder_is_complete_and_loads(whole: Path) -> None:
    names = {p.relative_to(whole).as_posix() for p in whole.rglob("*") if p.is_file()}
    assert {
        "config.json", "checkpoint.pt", "metrics.csv", "run.json", "pretraining_subjects.json",
        "model/config.json", "model/model.safetensors",
    } <= names  # fmt: skip
    model = openclef.load(whole)
    assert model.dim == 256
    assert model.preprocessing == SMALL["preprocessing"]
    assert len(model.pretraining_subjects) == 48
    header = (whole / "metrics.csv").read_text().splitlines()[0].split(",")
    assert {
        "loss",
        "val_loss",
        "effective_rank",
        "mean_cosine",
        "weight_mean",
        "weight_min",
        "neutral_share",
    } <= set(header)
    assert json.loads((whole / "config.json").read_text())["risk"] == "age_sex"


def test_interrupted_mid_epoch_ends_with_the_same_weights(
    whole: Path, small_store, tmp_path: Path, monkeypatch
) -> None:
    """The loop is broken off at a step; the second call goes on from the checkpoint."""
    from openclef import training

    torch.set_num_threads(1)
    out = tmp_path / "run"
    steps = 0

    def kept(outcome):
        nonlocal steps
        steps += 1
        if steps == 5:
            raise KeyboardInterrupt
        return original(outcome)

    original = training._kept
    monkeypatch.setattr(training, "_kept", kept)
    with pytest.raises(KeyboardInterrupt):
        openclef.pretrain([small_store], out, **(SMALL | {"save_seconds": 0.0}))
    assert not (out / "run.json").exists()
    with pytest.raises(FileNotFoundError, match="resume"):
        openclef.load(out)
    openclef.pretrain([small_store], out, **(SMALL | {"save_seconds": 0.0}))
    assert _weights(out) == _weights(whole)


def test_sigterm_saves_and_resumes(whole: Path, small_store, tmp_path: Path) -> None:
    out = tmp_path / "run"
    process = _start(small_store.path, out, save_seconds=1e9)
    while not (out / "config.json").exists() and process.poll() is None:
        time.sleep(0.02)
    time.sleep(0.3)
    process.send_signal(signal.SIGTERM)
    _, errors = process.communicate(timeout=120)
    assert process.returncode in (143, -15, 0), errors
    process = _start(small_store.path, out)
    _, errors = process.communicate(timeout=120)
    if "finished run" not in errors:
        assert process.returncode == 0, errors
    assert _weights(out) == _weights(whole)


@pytest.mark.slow
def test_killed_five_times_ends_with_the_same_weights(whole: Path, small_store, tmp_path: Path) -> None:
    out = tmp_path / "run"
    rng = random.Random(0)
    started = time.monotonic()
    process = _start(small_store.path, out)
    process.communicate()
    length = time.monotonic() - started
    killed = 0
    second = tmp_path / "killed"
    while killed < 5:
        process = _start(small_store.path, second)
        try:
            process.communicate(timeout=rng.uniform(0.6, 1.0) * length)
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGKILL)
            process.communicate()
            killed += 1
        if (second / "run.json").exists():
            break
    while not (second / "run.json").exists():
        _, errors = _start(small_store.path, second).communicate()
        assert "Error" not in errors, errors
    assert killed >= 1
    assert _weights(out) == _weights(whole) == _weights(second)


def test_refuses_finished_or_other_runs(whole: Path, small_store, tmp_path: Path) -> None:
    with pytest.raises(FileExistsError, match="finished run"):
        openclef.pretrain([small_store], whole, **SMALL)
    other = tmp_path / "other"
    other.mkdir()
    config = json.loads((whole / "config.json").read_text()) | {"epochs": 99}
    (other / "config.json").write_text(json.dumps(config))
    with pytest.raises(FileExistsError, match="epochs: 99 there, 3 given"):
        openclef.pretrain([small_store], other, **SMALL)
    stranger = tmp_path / "stranger"
    stranger.mkdir()
    (stranger / "thesis.txt").write_text("mine")
    with pytest.raises(FileExistsError, match="holds no run"):
        openclef.pretrain([small_store], stranger, **SMALL)
    assert (stranger / "thesis.txt").read_text() == "mine"


def test_a_changed_file_is_not_loaded(whole: Path, tmp_path: Path) -> None:
    import shutil

    copy = tmp_path / "copy"
    shutil.copytree(whole, copy)
    weights = copy / "model" / "model.safetensors"
    content = bytearray(weights.read_bytes())
    content[-1] ^= 1
    weights.write_bytes(content)
    with pytest.raises(ValueError, match="has changed"):
        openclef.load(copy)


def test_damaged_checkpoint_says_what_to_do(small_store, tmp_path: Path, whole: Path) -> None:
    out = tmp_path / "run"
    out.mkdir()
    (out / "config.json").write_text((whole / "config.json").read_text())
    (out / "checkpoint.pt").write_bytes((whole / "checkpoint.pt").read_bytes()[:1000])
    with pytest.raises(ValueError, match="delete it to start the run anew"):
        openclef.pretrain([small_store], out, **SMALL)


def test_settings_that_cannot_be_trained(small_store, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="method 'magic' is unknown; pass one of clef, simclr"):
        openclef.pretrain([small_store], tmp_path / "a", **(SMALL | {"method": "magic"}))
    with pytest.raises(ValueError, match="lead 'V9' is not in store"):
        openclef.pretrain([small_store], tmp_path / "b", **(SMALL | {"lead": "V9"}))
    with pytest.raises(KeyError, match="holds no risk 'score2'"):
        openclef.pretrain([small_store], tmp_path / "c", **(SMALL | {"risk": "score2"}))
    with pytest.raises(ValueError, match="too low"):
        openclef.pretrain(
            [small_store], tmp_path / "d", **(SMALL | {"preprocessing": Preprocessing(band=(0.5, 60))})
        )
    with pytest.raises(ValueError, match="fewer than one batch"):
        openclef.pretrain([small_store], tmp_path / "e", **(SMALL | {"batch_size": 64}))


def test_simclr_needs_no_risk(small_store, tmp_path: Path) -> None:
    run = openclef.pretrain(
        [small_store], tmp_path / "s", **(SMALL | {"method": "simclr", "risk": None, "epochs": 1})
    )
    assert run.history[0]["loss_alignment"] == 0.0
    assert run.model.dim == 256


def test_fixed_lead_and_tensorboard(small_store, tmp_path: Path) -> None:
    pytest.importorskip("tensorboard")
    settings = SMALL | {"lead": "II", "epochs": 1, "tensorboard": True}
    run = openclef.pretrain([small_store], tmp_path / "s", **settings)
    assert any((run.path / "tensorboard").iterdir())
