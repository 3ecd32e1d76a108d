"""Gradients over two processes equal those of one process with the whole batch, for both terms of the loss."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from openclef.method import METHODS
from tests.two_processes import assert_two_processes_equal_one

CASES: dict[
    str, list[dict[str, Any]]
] = {  # settings of each method beside which two processes have to equal one
    "clef": [{}],
    "simclr": [{}],
    "moco": [{"queue_size": 64, "batch_negatives": True}],  # from the empty queue alone the first loss is 0
    "byol": [{}],
    "vicreg": [{}],
    "same_subject": [{}],
    "y_aware": [{"training_risk": [0.05, 0.2, 0.5, 0.9]}],
    "cpc": [{}],
    "risk_regression": [{"training_risk": [0.05, 0.2, 0.5, 0.9]}],
    "mixture": [
        {
            "methods": {"y_aware": 1.0, "vicreg": 0.04, "risk_regression": 0.5},
            "training_risk": [0.05, 0.2, 0.5, 0.9],
        }
    ],
}


def test_every_method_has_the_gradients_of_one_process(tmp_path: Path) -> None:
    assert set(CASES) == set(METHODS)
    assert_two_processes_equal_one([(name, each) for name, of in CASES.items() for each in of], tmp_path)


@pytest.mark.slow
def test_the_contrastive_term_alone_has_the_gradients_of_one_process(tmp_path: Path) -> None:
    assert_two_processes_equal_one([("clef", {"aligned": False})], tmp_path)


@pytest.mark.slow
def test_pretraining_under_torchrun_equals_one_process(small_store, tmp_path: Path) -> None:
    """The whole command, augmentation and all: the same losses, one run folder, an encoder that loads."""
    import pandas as pd

    import openclef

    config = tmp_path / "config.yaml"
    config.write_text(
        "{risk: age_sex, lead: I, epochs: 2, batch_size: 16, projector_dim: 16, preprocessing: {fs: 100}, "
        "parts: 2, optimisation: {learning_rate: 0.001, schedule: cosine}}"
    )
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    launch = [
        "-m",
        "torch.distributed.run",
        "--nproc_per_node=2",
        f"--master_port={port}",
        "-m",
        "openclef.cli",
    ]
    for name, start in (("one", ["-m", "openclef.cli"]), ("two", launch)):
        command = [sys.executable, *start, "pretrain", str(small_store.path), str(tmp_path / name)]
        outcome = subprocess.run(
            [*command, "--config", str(config), "--accelerator", "cpu"],
            capture_output=True,
            text=True,
            timeout=300,
            env={**os.environ, "OMP_NUM_THREADS": "1"},
            check=False,
        )
        assert outcome.returncode == 0, outcome.stderr[-3000:]
    one, two = (pd.read_csv(tmp_path / name / "metrics.csv") for name in ("one", "two"))
    columns = ["loss", "loss_contrastive", "loss_alignment", "val_loss", "weight_mean", "effective_rank"]
    assert two[columns].to_numpy() == pytest.approx(one[columns].to_numpy(), rel=1e-3)
    assert (
        openclef.load(tmp_path / "two").pretraining_subjects
        == openclef.load(tmp_path / "one").pretraining_subjects
    )
