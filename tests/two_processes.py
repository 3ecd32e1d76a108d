"""Two processes against one: a method's loss and gradients must not depend on how a batch is shared."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import torch

SCRIPT = """
import json, os, sys, torch
from openclef.backbone import BACKBONES
from openclef.data import Batch
from openclef.guidance import Guidance
from openclef.method import METHODS
from openclef.pretraining import _gatherer
from openclef.training import make_fabric

torch.set_num_threads(1)
cases, out = json.loads(sys.argv[1]), sys.argv[2]
fabric = make_fabric(accelerator="cpu")
generator = torch.Generator().manual_seed(5)
views = torch.randn(2, 8, 1, 200, generator=generator)
risk = torch.rand(8, generator=generator)
risk[3] = float("nan")
completeness = torch.rand(8, generator=generator)
subject = torch.tensor([0, 1, 2, 3, 0, 5, 6, 7])
share = 8 // fabric.world_size
at = slice(fabric.global_rank * share, (fabric.global_rank + 1) * share)
found = []
for name, settings in cases:
    torch.manual_seed(0)
    method = METHODS[name](BACKBONES["resnext1d_small"](leads=1), projector_dim=16, **settings)
    wrapped = fabric.setup(method)
    method.gather = _gatherer(fabric)
    step = wrapped(Batch(views[0][at], views[1][at], risk[at], completeness[at], subject[at]))
    fabric.backward(step.loss)
    gradients = {name: value.grad for name, value in method.named_parameters() if value.requires_grad}
    found.append({"loss": step.loss.detach(), "gradients": gradients})
if fabric.is_global_zero:
    torch.save(found, out)
fabric.barrier()
os._exit(0)  # what is tested is done: how gloo's threads end is not
"""


def run(text: str, processes: int, cases: Any, folder: Path) -> Any:
    """Run a script over some processes, with the cases as JSON and the path of its results as arguments; load those."""
    out = folder / f"{processes}.pt"
    script = folder / "script.py"
    script.write_text(text)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, str(script), json.dumps(cases), str(out)]
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


def assert_two_processes_equal_one(cases: Sequence[tuple[str, dict[str, Any]]], folder: Path) -> None:
    """Compare the loss and the gradient of every parameter of methods, each a key of METHODS and its settings."""
    results = (run(SCRIPT, processes, cases, folder) for processes in (1, 2))
    for (method, _), one, two in zip(cases, *results, strict=True):
        assert two["loss"] == pytest.approx(one["loss"].item(), rel=1e-5), method
        largest = max(value.abs().max() for value in one["gradients"].values())
        assert largest > 1e-4, method
        for key, value in one["gradients"].items():
            assert torch.allclose(two["gradients"][key], value, rtol=1e-3, atol=float(1e-4 * largest)), (
                method,
                key,
            )
