"""Gradients over two processes equal those of one process with the whole batch, for both terms of the loss."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import torch

SCRIPT = """
import os, sys, torch
from openclef.backbone import BACKBONES
from openclef.data import Batch
from openclef.guidance import Guidance
from openclef.method import METHODS
from openclef.pretraining import _gatherer
from openclef.training import make_fabric

torch.set_num_threads(1)
terms, out = sys.argv[1], sys.argv[2]
fabric = make_fabric(accelerator="cpu")
torch.manual_seed(0)
settings = {"weighted": "w" in terms, "aligned": "d" in terms}
method = METHODS["clef"](BACKBONES["resnext1d_small"](leads=1), projector_dim=16, **settings)
generator = torch.Generator().manual_seed(5)
views = torch.randn(2, 8, 1, 200, generator=generator)
risk = torch.rand(8, generator=generator)
risk[3] = float("nan")
completeness = torch.rand(8, generator=generator)
subject = torch.tensor([0, 1, 2, 3, 0, 5, 6, 7])
wrapped = fabric.setup(method)
method.gather = _gatherer(fabric)
share = 8 // fabric.world_size
at = slice(fabric.global_rank * share, (fabric.global_rank + 1) * share)
step = wrapped(Batch(views[0][at], views[1][at], risk[at], completeness[at], subject[at]))
fabric.backward(step.loss)
if fabric.is_global_zero:
    gradients = {name: value.grad for name, value in method.named_parameters()}
    torch.save({"loss": step.loss.detach(), "gradients": gradients}, out)
fabric.barrier()
os._exit(0)  # what is tested is done: how gloo's threads end is not
"""


def _run(processes: int, terms: str, folder: Path) -> dict:
    out = folder / f"{processes}.pt"
    script = folder / "script.py"
    script.write_text(SCRIPT)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, str(script), terms, str(out)]
    if processes > 1:
        launch = ["-m", "torch.distributed.run", f"--nproc_per_node={processes}", f"--master_port={port}"]
        command = [sys.executable, *launch, "--master_addr=127.0.0.1", *command[1:]]
    outcome = subprocess.run(
        command,
        capture_output=True,
        text=True,
        timeout=300,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        check=False,
    )
    assert outcome.returncode == 0, outcome.stderr[-3000:]
    return torch.load(out, weights_only=True)


@pytest.mark.parametrize(
    "terms", [pytest.param("w", id="contrastive", marks=pytest.mark.slow), pytest.param("wd", id="both")]
)
def test_gradients_equal_one_process(terms: str, tmp_path: Path) -> None:
    one, two = _run(1, terms, tmp_path), _run(2, terms, tmp_path)
    assert two["loss"] == pytest.approx(one["loss"].item(), rel=1e-5)
    largest = max(value.abs().max() for value in one["gradients"].values())
    assert largest > 1e-4
    for name, value in one["gradients"].items():
        assert torch.allclose(two["gradients"][name], value, rtol=1e-3, atol=float(1e-4 * largest)), name


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
