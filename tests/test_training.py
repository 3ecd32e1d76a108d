"""Resume, interruption and the run folder, through the public function."""

from __future__ import annotations

import contextlib
import json
import math
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch

import openclef
from openclef.augment import Views
from openclef.guidance import Guidance
from openclef.optimisation import Optimisation
from openclef.pool import Pool
from openclef.preprocessing import Preprocessing
from openclef.training import ASK_STEPS, _any_rank_at, make_fabric

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


def _finished(process: subprocess.Popen) -> bool:
    _, errors = process.communicate(timeout=300)
    assert process.returncode == 0, errors
    return True


def _wait_for_checkpoint(process: subprocess.Popen, out: Path, newer_than: int = 0) -> int:
    """Wait until the run has written a checkpoint after a given time (ns); returns when that was."""
    path = out / "checkpoint.pt"
    while process.poll() is None:
        if path.exists() and path.stat().st_mtime_ns > newer_than:
            return path.stat().st_mtime_ns
        time.sleep(0.002)
    raise AssertionError(f"the run ended first: {process.communicate()[1][-2000:]}")


def test_sigterm_saves_and_resumes(whole: Path, small_store, tmp_path: Path) -> None:
    out = tmp_path / "run"
    process = _start(small_store.path, out)
    _wait_for_checkpoint(process, out)
    process.send_signal(signal.SIGTERM)
    _, errors = process.communicate(timeout=120)
    assert process.returncode == 143, errors
    state = torch.load(out / "checkpoint.pt", weights_only=True)
    assert (state["epoch"], state["step"]) < (3, 0)
    assert not (out / "run.json").exists()
    process = _start(small_store.path, out)
    _, errors = process.communicate(timeout=120)
    assert process.returncode == 0, errors
    assert _weights(out) == _weights(whole)


@pytest.mark.slow
def test_killed_at_five_random_moments_ends_with_the_same_weights(small_store, tmp_path: Path) -> None:
    rng = random.Random(0)
    never, killed = tmp_path / "never", tmp_path / "killed"
    assert _finished(_start(small_store.path, never, epochs=8))
    newest = 0
    for _ in range(5):
        process = _start(small_store.path, killed, epochs=8)
        newest = _wait_for_checkpoint(process, killed, newer_than=newest)
        time.sleep(rng.uniform(0.0, 0.15))  # in a step, in writing a checkpoint, between them
        process.send_signal(signal.SIGKILL)
        process.communicate()
        assert not (killed / "run.json").exists(), "it was to be killed while it ran"
    assert _finished(_start(small_store.path, killed, epochs=8))
    assert _weights(killed) == _weights(never)


def test_the_best_epoch_is_the_lowest_and_nan_is_never_best() -> None:
    from openclef.training import _is_lowest

    nan = float("nan")
    for losses, best in (([2.0, 1.0, 1.5], [0, 1]), ([nan, 3.0, nan], [0, 1]), ([1.0, 1.0], [0])):
        rows = [{"val_loss": value} for value in losses]
        found = [end for end in range(len(rows)) if _is_lowest(rows[: end + 1], "val_loss")]
        assert found == best


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


@pytest.mark.parametrize("content", [b"junk", b"", b"PK\x03\x04 not a zip", bytes(range(256)) * 8])
def test_junk_instead_of_a_checkpoint(content: bytes, tmp_path: Path) -> None:
    from openclef.checkpoint import read_checkpoint

    (tmp_path / "checkpoint.pt").write_bytes(content)
    with pytest.raises(ValueError, match="delete it to start the run anew"):
        read_checkpoint(tmp_path)


def test_one_subject_has_no_negatives(tmp_path: Path, make_store) -> None:
    store = make_store(tmp_path / "store", one_subject=True)
    with pytest.raises(ValueError, match="one subject only"):
        openclef.pretrain([store], tmp_path / "run", **(SMALL | {"method": "simclr", "split": "all"}))


def test_a_full_disk_is_said_and_leaves_nothing_half_written(tmp_path: Path, monkeypatch) -> None:
    import errno

    from openclef.checkpoint import read_checkpoint, write_checkpoint

    write_checkpoint(tmp_path, {"epoch": 1})

    def full(path: Path, content: object) -> int:
        raise OSError(errno.ENOSPC, "No space left on device", str(path))

    with monkeypatch.context() as patch:
        patch.setattr(Path, "write_bytes", full)
        with pytest.raises(OSError, match=r"(?i)space"):
            write_checkpoint(tmp_path, {"epoch": 2})
    assert read_checkpoint(tmp_path) == {"epoch": 1}
    assert [path.name for path in tmp_path.iterdir()] == ["checkpoint.pt"]


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


def test_nothing_is_left_where_settings_are_refused(small_store, tmp_path: Path) -> None:
    """So that the corrected call is not taken for another run."""
    out = tmp_path / "run"
    for wrong, message in (
        ({"views": Views(crop_s=11.0)}, "crop"),
        ({"temperature": -1.0}, "temperature"),
        ({"seed": -1}, "seed"),
        ({"preprocessing": Preprocessing(fs=100, seconds=5)}, "views.crop_s"),
        (
            {"recipe": "official", "guidance": Guidance(difference="rank")},
            "fixes all of the guidance but alpha",
        ),
    ):
        with pytest.raises(ValueError, match=message):
            openclef.pretrain([small_store], out, **(SMALL | wrong))
        assert not out.exists()


def test_another_risk_is_another_run(tmp_path: Path, monkeypatch, make_store) -> None:
    from openclef import training

    store = make_store(tmp_path / "store").add_risk("age_sex", label="guide")

    def broken(outcome):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(training, "_kept", broken)
        with pytest.raises(KeyboardInterrupt):
            openclef.pretrain([store], tmp_path / "run", **(SMALL | {"risk": "guide"}))
    store.add_risk("age", label="guide")
    with pytest.raises(FileExistsError, match="pool_sha256"):
        openclef.pretrain([store], tmp_path / "run", **(SMALL | {"risk": "guide"}))


def test_official_recipe_takes_alpha_and_is_not_warned_about(small_store, tmp_path: Path) -> None:
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        settings = SMALL | {"recipe": "official", "guidance": Guidance(alpha=0.3), "epochs": 1}
        run = openclef.pretrain([small_store], tmp_path / "run", **(settings | {"batch_size": 24}))
    assert run.history[0]["weight_max"] < 0.1, "weights went through the softmax"


def test_bfloat16_trains_close_to_float32(small_store, tmp_path: Path) -> None:
    settings = SMALL | {"epochs": 1, "batch_size": 24}
    full = openclef.pretrain([small_store], tmp_path / "full", **settings)
    half = openclef.pretrain([small_store], tmp_path / "half", **(settings | {"precision": "bf16-mixed"}))
    assert half.history[0]["loss"] == pytest.approx(full.history[0]["loss"], rel=0.02)
    assert half.history[0]["weight_mean"] == pytest.approx(full.history[0]["weight_mean"], rel=1e-5), (
        "risk kept float32"
    )


def test_all_rows_can_be_trained_on(small_store, tmp_path: Path) -> None:
    run = openclef.pretrain([small_store], tmp_path / "run", **(SMALL | {"split": "all", "epochs": 1}))
    assert len(run.model.pretraining_subjects) == 96
    assert openclef.load(run.path / "model").pretraining_subjects == run.model.pretraining_subjects


def test_simclr_needs_no_risk(small_store, tmp_path: Path) -> None:
    run = openclef.pretrain(
        [small_store], tmp_path / "s", **(SMALL | {"method": "simclr", "risk": None, "epochs": 1})
    )
    assert run.history[0]["loss_alignment"] == 0.0
    assert run.model.dim == 256


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"epochs": 1.5}, "epochs is 1.5; pass a whole number"),
        ({"epochs": True}, "epochs is True; pass a whole number"),
        ({"weighted": "false"}, "weighted is 'false'; pass true or false"),
        ({"temperature": math.inf}, "temperature is inf; pass a finite number"),
        ({"batch_size": 1}, "at least 2 records a batch"),
        ({"views": Views(crop_s=True)}, r"views\.crop_s is True"),
        ({"optimisation": Optimisation(learning_rate=math.nan)}, r"optimisation\.learning_rate is nan"),
        ({"method": "moco", "method_settings": {"queue_size": 10**12}}, "at most 4,194,304"),
        ({"method": "moco", "method_settings": {"queue_size": 8.0}}, r"method_settings\.queue_size is 8\.0"),
        ({"method": "byol", "method_settings": {"momentum": math.nan}}, r"method_settings\.momentum is nan"),
        (
            {
                "method": "vicreg",
                "method_settings": {
                    "invariance_weight": 0.0,
                    "variance_weight": 0.0,
                    "covariance_weight": 0.0,
                },
            },
            "all three weights are 0",
        ),
        ({"risk": None}, r"clef is guided by a risk; name one of the stores' \(age_sex\)"),
        ({"method": "y_aware", "risk": None}, "y_aware is guided by a risk"),
        ({"method": "mixture", "risk": None}, "mixture is guided by a risk"),
        ({"method": "mixture", "method_settings": {"methods": {"clef": 1.0}}}, "at least two of clef"),
        ({"risk": None, "weighted": False}, "clef is guided by a risk"),
    ],
)
def test_settings_that_cannot_be_are_refused_before_a_folder_is_made(
    small_store, tmp_path: Path, changes: dict, message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        openclef.pretrain([small_store], tmp_path / "run", **(SMALL | changes))
    assert not (tmp_path / "run").exists()


def test_without_weights_and_alignment_no_risk_is_needed(small_store, tmp_path: Path) -> None:
    settings = SMALL | {"risk": None, "weighted": False, "aligned": False, "epochs": 1}
    assert openclef.pretrain([small_store], tmp_path / "run", **settings).model.dim == 256


def test_a_mixture_without_guided_parts_needs_no_risk(small_store, tmp_path: Path) -> None:
    mixed = {"method": "mixture", "method_settings": {"methods": {"simclr": 1.0, "vicreg": 0.04}}}
    run = openclef.pretrain([small_store], tmp_path / "run", **(SMALL | mixed | {"risk": None, "epochs": 1}))
    row = run.history[0]
    terms = ("contrastive", "alignment", "invariance", "variance", "covariance")
    assert row["loss"] == pytest.approx(sum(row[f"loss_{name}"] for name in terms), rel=1e-5)


def test_only_methods_with_negatives_in_the_batch_are_told_of_few(small_store, tmp_path: Path) -> None:
    for method, told in (("simclr", True), ("vicreg", False), ("risk_regression", False), ("moco", False)):
        settings = SMALL | {"method": method, "batch_size": 8, "epochs": 1}
        with pytest.warns(UserWarning, match="negatives") if told else contextlib.nullcontext():
            run = openclef.pretrain([small_store], tmp_path / method, **settings)
        assert any("negatives" in each for each in run.warnings) == told


def test_fixed_lead_and_tensorboard(small_store, tmp_path: Path) -> None:
    pytest.importorskip("tensorboard")
    settings = SMALL | {"lead": "II", "epochs": 1, "tensorboard": True}
    run = openclef.pretrain([small_store], tmp_path / "s", **settings)
    assert any((run.path / "tensorboard").iterdir())


def test_several_processes_compare_whether_to_stop_only_now_and_then():
    """Each comparison halts all of them, and on a GPU the host with them."""

    class Two:
        world_size, device = 2, torch.device("cpu")
        compared = 0

        def all_reduce(self, asked, reduce_op):
            self.compared += 1
            return asked + 1  # the other one was asked

    several = Two()
    answers = [_any_rank_at(several, False, step) for step in range(2 * ASK_STEPS)]
    assert several.compared == 2
    assert [step for step, answer in enumerate(answers) if answer] == [0, ASK_STEPS]
    assert _any_rank_at(make_fabric(accelerator="cpu"), True, 3)


def test_several_risks_guide_together(tmp_path: Path, make_store) -> None:
    store = make_store(tmp_path / "store").add_risk("age_sex").add_risk("age")
    sex = (store.records["sex"] == "female").to_numpy(float)
    sex[:40] = np.nan
    store.add_own_risk("sex", sex, completeness=0.5)
    settings = SMALL | {"risk": ["age", "sex"], "epochs": 1}
    several = openclef.pretrain([store], tmp_path / "several", **settings)
    one = openclef.pretrain([store], tmp_path / "one", **(settings | {"risk": "age"}))
    again = openclef.pretrain([store], tmp_path / "again", **(settings | {"risk": ["age"]}))
    assert several.history[0]["loss_alignment"] != one.history[0]["loss_alignment"]
    assert again.history[0]["loss"] == one.history[0]["loss"]
    with pytest.raises(FileExistsError, match="finished run"):  # and not "another configuration"
        openclef.pretrain([store], tmp_path / "several", **settings)

    pool = Pool([store], risk=["age", "sex"])
    assert pool.risk.shape == (len(pool), 2)
    known = np.isfinite(pool.risk)
    expected = np.where(known.all(1), (1 + 0.5) / 2, 1.0)  # the mean over what is known of the record
    np.testing.assert_allclose(pool.completeness, expected)
    assert 0 < known[:, 1].mean() < 1

    unguided = Pool([store], risk=["age", "sex"], unguided=[store.name])
    assert np.isnan(unguided.risk).all()
    assert (unguided.completeness == 0).all()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"risk": []}, r"risk is \[\]; pass one name"),
        ({"risk": ["age_sex", "age_sex"]}, "several different ones"),
        ({"risk": ["age_sex", "age"]}, "openclef risk"),
        ({"risk": ["age_sex", "age"], "method": "y_aware"}, "y_aware with recipe paper takes one risk"),
        ({"risk": ["age_sex", "age"], "recipe": "official"}, "clef with recipe official takes one risk"),
        ({"risk": ["age_sex", 3]}, "risk is"),
    ],
)
def test_several_risks_are_refused_where_they_mean_nothing(small_store, tmp_path, changes, message) -> None:
    with pytest.raises((ValueError, KeyError), match=message):
        openclef.pretrain([small_store], tmp_path / "run", **(SMALL | changes))
    assert not (tmp_path / "run").exists()
