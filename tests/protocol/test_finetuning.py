"""Fine-tuning through the public function: what is learned, stopped, saved, resumed and refused."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

import openclef
from openclef.metrics import auroc, fit_temperature
from openclef.optimisation import Optimisation
from openclef.preprocessing import Preprocessing
from openclef.protocol.baselines import random_encoder
from openclef.protocol.cohort import gather_records
from openclef.protocol.network import Finetuning
from openclef.protocol.probe import fit_linear_probe
from openclef.record import Record
from openclef.store import StoreWriter
from openclef.task import Task

FAST, RATE, RHYTHM, PARTS = TASKS = (
    Task("beat/fast", "binary", ("fast",), ("fast",)),
    Task("beat/rate", "regression", ("rate",), ("rate_bpm",), unit="bpm"),
    Task("beat/rhythm", "multiclass", ("slow", "middle", "quick"), ("rhythm",)),
    Task("beat/parts", "multilabel", ("fast", "loud"), ("fast", "loud")),
)
SMALL = {
    "preprocessing": Preprocessing(fs=50, seconds=4, band=(0.5, 20.0)),
    "epochs": 3,
    "batch_size": 16,
    "seed": 2,
    "quiet": True,
    "accelerator": "cpu",
}
TUNE = {name: value for name, value in SMALL.items() if name != "preprocessing"}


def write(folder: Path, subjects: int = 160, seed: int = 0, **changes):
    """A store of beats whose rate is known; "loud" is known for a half of the records."""
    rng = np.random.default_rng(seed)
    writer = StoreWriter(folder, name="beat", scale=0.001, fs=50, leads=("I", "II"), seconds=4, tasks=TASKS)
    records, rows = [], []
    time_s = np.arange(200) / 50
    for number in range(subjects):
        rate = float(rng.uniform(50, 130))
        phase = (time_s * rate / 60 + rng.random()) % 1
        beat = np.exp(-((phase - 0.5) ** 2) / 0.004) + rng.normal(0, 0.2, 200)
        records.append(Record(np.stack([beat, 0.5 * beat]), 50, ("I", "II"), f"r{number}"))
        rows.append(
            {
                "subject_id": f"s{number}",
                "split": ("train", "train", "val", "test")[number % 4],
                "age_years": 40.0 + number % 30,
                "sex": ("female", "male")[number % 2],
                "fast": float(rate > 90),
                "loud": np.nan if number % 8 < 4 else float(rng.random() < 0.5),
                "rate_bpm": rate,
                "rhythm": RHYTHM.labels[int((rate > 75) + (rate > 105))],
            }
            | {name: value(number) for name, value in changes.items()}
        )
    writer.write_part(0, records, rows)
    return writer.finish()


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    torch.set_num_threads(1)
    return write(tmp_path_factory.mktemp("stores") / "beat")


@pytest.fixture(scope="module")
def fast_run(store, tmp_path_factory):
    torch.set_num_threads(1)
    out = tmp_path_factory.mktemp("runs") / "fast"
    return openclef.finetune("random_encoder", store, "beat/fast", out, **(SMALL | {"epochs": 9}))


def _weights(folder: Path) -> bytes:
    return (folder / "model" / "model.safetensors").read_bytes()


def test_a_planted_signal_is_learned_and_predicted(store, fast_run) -> None:
    table = openclef.predict(openclef.load(fast_run.path), store)
    assert list(table) == ["source", "lead", "start_s", "seconds", "flags", "fast"]
    records = store.records.set_index("record_id").loc[table["source"]]
    test = (records["split"] == "test").to_numpy()
    assert auroc(records["fast"].to_numpy()[test], table["fast"].to_numpy()[test]) > 0.9
    assert table["fast"].between(0, 1).all()


def test_the_run_folder_is_a_whole_run(store, fast_run) -> None:
    config = json.loads((fast_run.path / "config.json").read_text())
    assert (config["task"], config["lead"], config["backbone_rate"]) == ("beat/fast", "I", 1.0)
    assert config["warm_start"] is False
    history = pd.read_csv(fast_run.path / "metrics.csv")
    assert {"epoch", "loss", "val_loss", "val_auroc", "learning_rate"} <= set(history)
    model = openclef.load(fast_run.path)
    assert model.labels == ("fast",)
    split = store.records["split"].to_numpy()
    assert model.pretraining_subjects == frozenset(store.subjects()[split == "train"])
    assert model.subjects_complete
    assert openclef.embed(model, store)["embedding"].map(len).eq(256).all(), "it still embeds"


def test_the_best_epochs_weights_are_kept_and_it_stops_early(store, fast_run, tmp_path) -> None:
    """A learning rate that wrecks the network: the best epoch comes early, and its weights are what is left."""
    wild = Optimisation(learning_rate=0.02, schedule="constant")
    settings = TUNE | {"epochs": 30, "patience": 2, "optimisation": wild, "backbone_rate": 1.0}
    run = openclef.finetune(fast_run.path, store, "beat/fast", tmp_path / "run", **settings)
    losses = [row["val_loss"] for row in run.history]
    best = int(np.argmin(losses))
    assert len(losses) == best + 1 + 2 < 30
    cohort = gather_records(store, "beat/fast")
    val = cohort.mask("val")
    uncalibrated = openclef.load(run.path)
    temperature = uncalibrated.head.temperature
    uncalibrated.head.temperature = 1.0
    from openclef.head import Predictor
    from openclef.protocol.probe import validation_loss

    score = cohort.features(Predictor(uncalibrated), val)[val]
    assert validation_loss(cohort.target[val], score, "binary") == pytest.approx(min(losses), rel=1e-4)
    assert temperature == pytest.approx(fit_temperature(cohort.target[val], score), rel=1e-3)
    assert temperature != 1.0
    calibrated = cohort.features(Predictor(openclef.load(run.path)), val)[val]
    assert validation_loss(cohort.target[val], calibrated, "binary") <= min(losses) + 1e-9


@pytest.mark.parametrize("task", ["beat/rhythm", "beat/parts", "beat/rate"])
def test_every_kind_of_task(store, fast_run, tmp_path, task) -> None:
    run = openclef.finetune(fast_run.path, store, task, tmp_path / "run", **TUNE)
    table = openclef.predict(run.model, store)
    records = store.records.set_index("record_id").loc[table["source"]]
    test = (records["split"] == "test").to_numpy()
    if task == "beat/rhythm":
        np.testing.assert_allclose(table[list(RHYTHM.labels)].to_numpy().sum(1), 1, rtol=1e-5)
        assert auroc(records["rhythm"][test] == "quick", table["quick"][test]) > 0.85
    elif task == "beat/parts":
        assert auroc(records["fast"][test], table["fast"][test]) > 0.85
        assert run.history[0]["loss"] > 0
        assert np.isfinite([row["loss"] for row in run.history]).all()
    else:
        assert run.model.head.unit == "bpm"
        train = records["rate_bpm"][records["split"] == "train"]
        assert run.model.head.target_mean == pytest.approx(train.mean(), rel=1e-6)
        assert run.model.head.target_spread == pytest.approx(train.std(ddof=0), rel=1e-6)
        error = (table["rate"] - records["rate_bpm"].to_numpy())[test].abs().mean()
        assert error < 0.7 * (records["rate_bpm"][test] - train.mean()).abs().mean()
        assert run.history[-1]["val_loss"] > 1, "bpm, not standard deviations"


def test_a_warm_start_is_the_linear_probe(store) -> None:
    from openclef.head import Head
    from openclef.protocol.supervised import Supervised, start_head
    from openclef.protocol.windows import LabelledBatches, LabelledWindows

    encoder = random_encoder(preprocessing=SMALL["preprocessing"], seed=1)
    for task in (FAST, RATE):
        cohort = gather_records(store, task.name)
        train, val = cohort.mask("train"), cohort.mask("val")
        parts = [
            LabelledBatches(LabelledWindows(cohort, mask, encoder), batch_size=16, shuffle=False)
            for mask in (train, val)
        ]
        head = Head(encoder.dim, task.labels, task.kind)
        start_head(head, *parts, Supervised(encoder.backbone, head), warm=True)
        features = cohort.features(encoder, train | val)
        probe = fit_linear_probe(
            features[train], cohort.target[train], features[val], cohort.target[val], kind=task.kind
        )
        found = head.predict(torch.from_numpy(features[val])).detach().numpy()
        np.testing.assert_allclose(found, probe.predict(features[val]), rtol=2e-3, atol=2e-3)


def test_the_head_learns_at_its_own_rate(store, fast_run, tmp_path) -> None:
    settings = TUNE | {"epochs": 2, "backbone_rate": 0.05, "patience": 9}
    run = openclef.finetune(fast_run.path, store, "beat/fast", tmp_path / "run", **settings)
    state = torch.load(tmp_path / "run" / "checkpoint.pt", weights_only=True)
    head, backbone = state["optimizer"]["param_groups"]
    assert len(head["params"]) == 2
    assert len(backbone["params"]) > 50
    assert backbone["lr"] == pytest.approx(0.05 * head["lr"])
    assert head["lr"] == pytest.approx(run.history[-1]["learning_rate"])


def test_a_rate_of_zero_trains_the_head_alone(store, fast_run, tmp_path) -> None:
    settings = TUNE | {"backbone_rate": 0.0, "epochs": 1}
    run = openclef.finetune(fast_run.path, store, "beat/rate", tmp_path / "run", **settings)
    before, after = (each.model.backbone.state_dict() for each in (fast_run, run))
    assert all(torch.equal(before[name], after[name]) for name in before)


def test_the_given_encoder_is_left_as_it_is(store, tmp_path) -> None:
    encoder = random_encoder(preprocessing=SMALL["preprocessing"])
    before = {name: tensor.clone() for name, tensor in encoder.state_dict().items()}
    state = torch.random.get_rng_state()
    settings = TUNE | {"epochs": 1}
    openclef.finetune(encoder, store, "beat/fast", tmp_path / "run", **settings)
    assert torch.equal(torch.random.get_rng_state(), state)
    assert all(torch.equal(before[name], tensor) for name, tensor in encoder.state_dict().items())
    assert encoder.head is None
    assert not next(encoder.parameters()).requires_grad


def test_interrupted_anywhere_it_ends_the_same(store, tmp_path, monkeypatch) -> None:
    """Broken off in the second epoch, at a step, and between the best epoch and the last."""
    from openclef import training

    settings = SMALL | {"save_seconds": 0.0, "epochs": 3, "patience": 1}
    settings["optimisation"] = Optimisation(learning_rate=5e-3, schedule="cosine")
    whole = openclef.finetune("random_encoder", store, "beat/rate", tmp_path / "whole", **settings)
    steps = 0
    original = training._kept

    def kept(outcome):
        nonlocal steps
        steps += 1
        if steps in (7, 12):
            raise KeyboardInterrupt
        return original(outcome)

    monkeypatch.setattr(training, "_kept", kept)
    out = tmp_path / "broken"
    calls = 0
    while not (out / "run.json").exists():
        calls += 1
        try:
            run = openclef.finetune("random_encoder", store, "beat/rate", out, **settings)
        except KeyboardInterrupt:
            assert calls < 3
    assert calls >= 2
    assert _weights(out) == _weights(whole.path)
    assert (out / "model" / "config.json").read_text().replace("broken", "whole") == (
        whole.path / "model" / "config.json"
    ).read_text()
    rows = [{name: row[name] for name in ("loss", "val_loss")} for row in run.history]
    assert rows == [{name: row[name] for name in ("loss", "val_loss")} for row in whole.history]


def test_stopped_early_and_killed_before_the_end_it_does_not_train_on(store, tmp_path, monkeypatch) -> None:
    from openclef import checkpoint

    wild = Optimisation(learning_rate=0.05, schedule="constant")
    settings = SMALL | {"epochs": 20, "patience": 1, "optimisation": wild}

    def killed(*args, **named):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(checkpoint, "finish_run", killed)
        with pytest.raises(KeyboardInterrupt):
            openclef.finetune("random_encoder", store, "beat/fast", tmp_path / "run", **settings)
    before = pd.read_csv(tmp_path / "run" / "metrics.csv")
    run = openclef.finetune("random_encoder", store, "beat/fast", tmp_path / "run", **settings)
    assert len(run.history) == len(before) < 20


SCRIPT = """
import sys, torch
torch.set_num_threads(1)
import openclef
from openclef.preprocessing import Preprocessing
openclef.finetune("random_encoder", {store!r}, "beat/rate", {out!r}, epochs=12, batch_size=16, patience=12, quiet=True,
                  accelerator="cpu", save_seconds=0.0,
                  preprocessing=Preprocessing(fs=50, seconds=4, band=(0.5, 20.0)))
"""


def _start(store, out: Path) -> subprocess.Popen:
    code = SCRIPT.format(store=str(store.path), out=str(out))
    return subprocess.Popen([sys.executable, "-c", code], stderr=subprocess.DEVNULL)


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_signals_end_with_the_same_weights(store, tmp_path, number) -> None:
    whole = _start(store, tmp_path / "whole")
    assert whole.wait(timeout=300) == 0
    out = tmp_path / "run"
    process = _start(store, out)
    while not (out / "checkpoint.pt").exists():
        assert process.poll() is None
        time.sleep(0.01)
    process.send_signal(number)
    process.communicate(timeout=120)
    assert not (out / "run.json").exists()
    assert process.returncode == (143 if number == signal.SIGTERM else -number)
    assert _start(store, out).wait(timeout=300) == 0
    assert _weights(out) == _weights(tmp_path / "whole")


def test_few_labels_are_those_of_few_subjects(store, tmp_path) -> None:
    settings = SMALL | {"epochs": 1, "label_share": 0.1}
    run = openclef.finetune("random_encoder", store, "beat/fast", tmp_path / "run", **settings)
    assert len(run.model.pretraining_subjects) == 8


def test_bfloat16_and_smooth_l1_and_augmentation_run(store, tmp_path) -> None:
    settings = SMALL | {
        "epochs": 1,
        "precision": "bf16-mixed",
        "regression_loss": "smooth_l1",
        "views": openclef.Views(crop_s=3.0, noise_level_mv=0.05),
    }
    run = openclef.finetune("random_encoder", store, "beat/rate", tmp_path / "run", **settings)
    assert np.isfinite(run.history[0]["val_loss"])
    assert openclef.predict(run.model, store)["rate"].between(40, 140).all()


def test_whom_an_encoder_has_seen_is_handed_on(store, tmp_path) -> None:
    encoder = random_encoder(preprocessing=SMALL["preprocessing"])
    settings = TUNE | {"epochs": 1}
    hashes = store.subjects()
    test = hashes[store.records["split"].to_numpy() == "test"]
    encoder.pretraining_subjects = frozenset([*test[:2], "00"])
    run = openclef.finetune(encoder, store, "beat/fast", tmp_path / "leaked", **settings)
    assert {*test[:2], "00"} < run.model.pretraining_subjects
    with pytest.raises(ValueError, match="2 of 40 test subjects were in the encoder's pretraining"):
        openclef.evaluate(run.path, store, "beat/fast")
    encoder.pretraining_subjects = None
    run = openclef.finetune(encoder, store, "beat/fast", tmp_path / "unknown", **settings)
    assert run.model.pretraining_subjects == frozenset(hashes[store.records["split"].to_numpy() == "train"])
    assert not run.model.subjects_complete
    result = openclef.evaluate(run.path, store, "beat/fast", append_age_sex=False, draws=5)
    assert result.note.startswith("the encoder does not say whom")


def test_what_cannot_be_trained_is_refused_and_leaves_nothing(store, tmp_path, fast_run) -> None:
    out = tmp_path / "run"
    for wrong, message in (
        ({"epochs": 0}, "epochs is 0; accepted are whole numbers from 1"),
        ({"patience": 0}, "patience is 0"),
        ({"batch_size": 0}, "batch_size is 0"),
        ({"seed": -1}, "seed is -1"),
        ({"label_share": 0.0}, "label_share is 0.0; accepted is a share above 0"),
        ({"backbone_rate": -1.0}, "backbone_rate is -1"),
        ({"regression_loss": "l2"}, "regression_loss is 'l2'"),
        ({"lead": "V9"}, "V9"),
        ({"backbone": "vgg"}, "backbone is 'vgg'"),
        ({"views": openclef.Views(crop_s=9.0)}, "crop"),
        ({"preprocessing": Preprocessing(fs=500)}, "too low"),
    ):
        with pytest.raises(ValueError, match=message):
            openclef.finetune("random_encoder", store, "beat/fast", out, **(SMALL | wrong))
        assert not out.exists()
    with pytest.raises(ValueError, match="does not declare the task 'beat/slow'"):
        openclef.finetune("random_encoder", store, "beat/slow", out, **SMALL)
    with pytest.raises(ValueError, match="a pretrained model has its own"):
        openclef.finetune(fast_run.path, store, "beat/fast", out, **SMALL)
    with pytest.raises(ValueError, match="model is Identity; pass an Encoder"):
        openclef.finetune(torch.nn.Identity(), store, "beat/fast", out)
    with pytest.raises(FileNotFoundError, match="runs/none does not exist"):
        openclef.finetune("runs/none", store, "beat/fast", out)
    with pytest.raises(FileExistsError, match="finished run"):
        openclef.finetune("random_encoder", store, "beat/fast", fast_run.path, **SMALL)
    with pytest.raises(ValueError, match="Identity; pass an Encoder with a head"):
        openclef.predict(torch.nn.Identity(), store)
    with pytest.raises(ValueError, match="has no head"):
        openclef.predict(random_encoder(), store)


def test_stores_that_cannot_be_trained_on_are_refused(tmp_path) -> None:
    only = write(tmp_path / "only", 12, split=lambda number: "train")
    with pytest.raises(ValueError, match=r"no target in val of beat; .*give the store both splits"):
        openclef.finetune("random_encoder", only, "beat/fast", tmp_path / "run", **SMALL)
    both = write(tmp_path / "both", 12, subject_id=lambda number: f"s{number // 2}")
    with pytest.raises(ValueError, match="subjects have records in two splits"):
        openclef.finetune("random_encoder", both, "beat/fast", tmp_path / "run", **SMALL)


def test_settings_are_checked() -> None:
    assert Finetuning().optimisation.learning_rate == 1e-3
    with pytest.raises(ValueError, match="patience is 0"):
        Finetuning(patience=0)
