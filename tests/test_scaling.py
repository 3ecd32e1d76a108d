"""Several processes: launchers are understood, gradients are those of one process, and SLURM's notice saves the run."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import lightning_fabric
import pandas as pd
import pytest
import torch

from openclef.training import make_fabric

TORCHRUN = {"TORCHELASTIC_RUN_ID": "none", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": "29500"}
SLURM = {"SLURM_JOB_ID": "4711", "SLURM_JOB_NAME": "pretrain", "SLURM_NODELIST": "node[07-08]"}


def _torchrun(rank: int, of: int, local_rank: int, a_host: int) -> dict[str, str]:
    numbers = {"RANK": rank, "WORLD_SIZE": of, "LOCAL_RANK": local_rank, "LOCAL_WORLD_SIZE": a_host}
    return TORCHRUN | {name: str(value) for name, value in numbers.items()}


def _slurm(rank: int, of: int, nodes: int) -> dict[str, str]:
    a_node = of // nodes
    numbers = {"NTASKS": of, "NNODES": nodes, "NTASKS_PER_NODE": a_node}
    numbers |= {"PROCID": rank, "LOCALID": rank % a_node, "NODEID": rank // a_node}
    return SLURM | {f"SLURM_{name}": str(value) for name, value in numbers.items()}


@pytest.fixture
def fabric_under(monkeypatch: pytest.MonkeyPatch):
    """The function from a launcher's environment to a Fabric that was made in it, but not launched."""
    monkeypatch.setattr(lightning_fabric.Fabric, "launch", lambda self: None)
    for name in list(os.environ):
        if name.startswith(("SLURM_", "TORCHELASTIC_")):
            monkeypatch.delenv(name)

    def make(environment: dict[str, str]):
        for name, value in environment.items():
            monkeypatch.setenv(name, value)
        return make_fabric(accelerator="cpu")

    return make


@pytest.mark.parametrize(
    ("environment", "nodes", "devices", "rank", "node"),
    [
        (_torchrun(1, of=2, local_rank=1, a_host=2), 1, 2, 1, 0),
        (_torchrun(5, of=8, local_rank=1, a_host=4) | {"GROUP_RANK": "1"}, 2, 4, 5, 1),
        (_slurm(1, of=2, nodes=1), 1, 2, 1, 0),
        (_slurm(6, of=8, nodes=2), 2, 4, 6, 1),
        # torchrun started by srun, one task a node: torchrun's count holds.
        (
            _slurm(1, of=2, nodes=2) | _torchrun(5, of=8, local_rank=1, a_host=4) | {"GROUP_RANK": "1"},
            2,
            4,
            5,
            1,
        ),
    ],
    ids=["torchrun", "torchrun, two nodes", "slurm", "slurm, two nodes", "torchrun within slurm"],
)
def test_launchers(fabric_under, environment, nodes, devices, rank, node) -> None:
    strategy = fabric_under(environment).strategy
    assert isinstance(strategy, lightning_fabric.strategies.DDPStrategy)
    assert (strategy.num_nodes, strategy.num_processes) == (nodes, devices)
    launcher = strategy.cluster_environment
    assert (launcher.world_size(), launcher.global_rank()) == (nodes * devices, rank)
    assert (launcher.node_rank(), launcher.local_rank()) == (node, rank % devices)
    assert launcher.creates_processes_externally


def test_first_node_of_slurm_is_where_processes_meet(fabric_under, monkeypatch) -> None:
    monkeypatch.delenv("MASTER_ADDR", raising=False)
    monkeypatch.delenv("MASTER_PORT", raising=False)
    launcher = fabric_under(_slurm(3, of=8, nodes=2)).strategy.cluster_environment
    assert launcher.main_address == "node07"
    assert launcher.main_port == 15000 + 4711


@pytest.mark.parametrize(
    "environment",
    [
        _slurm(0, of=1, nodes=1),
        # a shell of salloc: tasks are reserved, but srun has not started this process as one of them
        SLURM | {"SLURM_NTASKS": "4", "SLURM_NNODES": "1", "SLURM_JOB_NAME": "bash"},
        {},
    ],
    ids=["one task", "interactive shell", "no launcher"],
)
def test_one_process(fabric_under, environment) -> None:
    strategy = fabric_under(environment).strategy
    assert not isinstance(strategy, lightning_fabric.strategies.DDPStrategy)


GRADIENTS = """
import os, sys, torch
from openclef.backbone import BACKBONES
from openclef.data import Batch
from openclef.method import METHODS
from openclef.pretraining import _gatherer
from openclef.training import make_fabric

torch.set_num_threads(1)
found = {}
for method, precision in (("simclr", "32-true"), ("clef", "bf16-mixed")):
    fabric = make_fabric(precision, accelerator="cpu")
    torch.manual_seed(0)
    module = METHODS[method](BACKBONES["resnext1d_small"](leads=1), temperature=0.5)
    generator = torch.Generator().manual_seed(5)
    views = torch.randn(2, 8, 1, 200, generator=generator)
    risk = torch.rand(8, generator=generator)
    risk[3] = float("nan")
    subject = torch.tensor([0, 1, 2, 3, 0, 5, 6, 7])
    wrapped = fabric.setup(module)
    module.gather = _gatherer(fabric)
    share = 8 // fabric.world_size
    at = slice(fabric.global_rank * share, (fabric.global_rank + 1) * share)
    step = wrapped(Batch(views[0][at], views[1][at], risk[at], torch.ones(8)[at], subject[at]))
    fabric.backward(step.loss)
    flat = torch.cat([value.grad.flatten() for value in module.parameters()])
    found[method] = {"loss": step.loss.detach().float(), "gradient": flat}
if fabric.is_global_zero:
    torch.save(found, sys.argv[1])
fabric.barrier()
os._exit(0)  # what is tested is done: how gloo's threads end is not
"""


def _free_port() -> str:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return str(free.getsockname()[1])


def _start(command: list[str], environments: list[dict[str, str]]) -> list[subprocess.Popen]:
    plain = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("SLURM_", "TORCHELASTIC_")) and name not in ("MASTER_ADDR", "MASTER_PORT")
    }
    port = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": _free_port(), "OMP_NUM_THREADS": "1"}
    return [
        subprocess.Popen(
            [sys.executable, *command], env=plain | more | port, stderr=subprocess.PIPE, text=True
        )
        for more in environments
    ]


def _end(processes: list[subprocess.Popen], expected: int = 0) -> None:
    for process in processes:
        _, said = process.communicate(timeout=300)
        assert process.returncode == expected, said[-3000:]


@pytest.mark.slow
def test_gradients_of_simclr_and_of_bfloat16_equal_one_process(tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(GRADIENTS)
    two = [_torchrun(rank, of=2, local_rank=rank, a_host=2) for rank in range(2)]
    started = _start([str(script), str(tmp_path / "1.pt")], [{}])
    started += _start([str(script), str(tmp_path / "2.pt")], two)
    _end(started)
    one, two_processes = (torch.load(tmp_path / f"{n}.pt", weights_only=True) for n in (1, 2))
    for method, loss, share in (("simclr", 1e-5, 1e-4), ("clef", 1e-2, 0.1)):  # clef in bfloat16: 8 bits
        expected, given = one[method], two_processes[method]
        assert expected["gradient"].norm() > 1e-3
        assert given["loss"] == pytest.approx(expected["loss"].item(), rel=loss)
        apart = (given["gradient"] - expected["gradient"]).norm() / expected["gradient"].norm()
        assert apart < share, method


@pytest.mark.slow
def test_notice_of_slurm_saves_the_run_and_the_requeued_job_ends_it(small_store, tmp_path: Path) -> None:
    """Two tasks as srun starts them; SIGUSR1, as --signal=USR1@... sends it, then the same job again."""
    config = tmp_path / "config.yaml"
    config.write_text(
        "{risk: age_sex, epochs: 8, batch_size: 16, preprocessing: {fs: 100}, views: {crop_s: 2.0}, "
        "accelerator: cpu, quiet: true}"
    )
    whole, cut = tmp_path / "whole", tmp_path / "cut"

    def job(out: Path) -> list[subprocess.Popen]:
        command = ["-m", "openclef.cli", "pretrain", str(small_store.path), str(out), "--config", str(config)]
        return _start(command, [_slurm(rank, of=2, nodes=1) for rank in range(2)])

    tasks = job(cut)
    while not (cut / "metrics.csv").exists():
        assert all(task.poll() is None for task in tasks)
        time.sleep(0.05)
    for task in tasks:
        task.send_signal(signal.SIGUSR1)
    _end(tasks, expected=143)
    assert 0 < len(pd.read_csv(cut / "metrics.csv")) < 8
    assert not (cut / "run.json").exists()
    _end(job(cut))
    _end(job(whole))
    written = [(run / "model/model.safetensors").read_bytes() for run in (cut, whole)]
    assert written[0] == written[1]
