"""A tiny backbone and a problem that it can learn in a second: records hidden under noise that views do not share."""

from __future__ import annotations

import copy

import torch
from torch import nn

from openclef.data import Batch
from tests import two_processes

TIME = 40


class SmallBackbone(nn.Module):
    """(B, 1, 40) -> (B, 16), optionally with BatchNorm."""

    dim = 16

    def __init__(self, normalised: bool = False, seed: int = 0) -> None:
        super().__init__()
        torch.manual_seed(seed)
        between = nn.BatchNorm1d(32) if normalised else nn.Tanh()
        self.net = nn.Sequential(nn.Flatten(), nn.Linear(TIME, 32), between, nn.Linear(32, self.dim))

    def forward(self, views: torch.Tensor) -> torch.Tensor:
        return self.net(views)


def noisy_batch(count: int, seed: int, subject: list[int] | None = None) -> Batch:
    """Two views: half of the samples are the record's, the other half noise of each view's own, thrice as strong."""
    generator = torch.Generator().manual_seed(seed)
    record = torch.randn(count, TIME // 2, generator=generator)
    noise = 3 * torch.randn(2, count, TIME // 2, generator=generator)
    views = [torch.cat([record, each], dim=1)[:, None] for each in noise]
    numbers = torch.arange(count) if subject is None else torch.tensor(subject)
    return Batch(views[0], views[1], torch.full((count,), torch.nan), torch.zeros(count), numbers)


def margin(backbone: nn.Module) -> float:
    """By how much the cosine of two views of a record exceeds that of different records' (features centred)."""
    batch = noisy_batch(256, seed=10_000)
    with torch.no_grad():
        views = [h - h.mean(dim=0) for h in (backbone(batch.first), backbone(batch.second))]
    cosine = nn.functional.normalize(views[0], dim=1) @ nn.functional.normalize(views[1], dim=1).T
    same = torch.eye(256, dtype=torch.bool)
    return float(cosine[same].mean() - cosine[~same].mean())


def train(method: nn.Module, steps: int, learning_rate: float = 1e-2, count: int = 32) -> list[float]:
    """Train on new records at each step; returns the losses."""
    optimizer = torch.optim.AdamW(method.parameters(), lr=learning_rate, weight_decay=0.01)
    losses = []
    method.train()
    for step in range(steps):
        # Subjects never come back, as in a pool larger than the queue.
        numbers = range(step * count, (step + 1) * count)
        loss = method(noisy_batch(count, step, list(numbers))).loss
        loss.backward()
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        losses.append(float(loss.detach()))
    return losses


def assert_evaluation_changes_nothing(method: nn.Module) -> None:
    """In evaluation mode the state stays, bit for bit, and two records alone are enough."""
    train(method, 2)
    before = copy.deepcopy(method.state_dict())
    method.eval()
    with torch.no_grad():
        losses = [float(method(noisy_batch(count, 5)).loss) for count in (2, 8, 2)]
    assert losses[0] == losses[2]
    for name, value in method.state_dict().items():
        assert torch.equal(value, before[name]), name


def assert_resumes(make) -> None:
    """A method loaded from another's state takes the same next steps, bit for bit."""
    method, other = make(), make()
    train(method, 3)
    other.load_state_dict(method.state_dict(), strict=True)
    assert train(method, 3) == train(other, 3)
    for (name, value), loaded in zip(method.state_dict().items(), other.state_dict().values(), strict=True):
        assert torch.equal(value, loaded), name


def assert_second_features_are_of_the_backbone(method: nn.Module) -> None:
    """What is reported are the backbone's features of both views."""
    batch = noisy_batch(8, 3)
    method.eval()
    step = method(batch)
    torch.testing.assert_close(step.first, method.backbone(batch.first).detach())
    torch.testing.assert_close(step.second, method.backbone(batch.second).detach())
    assert not step.first.requires_grad
    assert not step.second.requires_grad
    assert float(sum(step.terms.values())) == float(step.loss.detach())
    assert not any(term.requires_grad for term in [*step.terms.values(), *step.weights.values()])


SEVERAL_STEPS = """
import json, os, sys, torch
from openclef.method import METHODS
from openclef.data import Batch
from openclef.pretraining import _gatherer
from openclef.training import make_fabric
from tests.method.hidden_records import SmallBackbone, noisy_batch

torch.set_num_threads(1)
(name, settings), out = json.loads(sys.argv[1]), sys.argv[2]
fabric = make_fabric(accelerator="cpu")
method = METHODS[name](SmallBackbone(), **settings)
wrapped, optimizer = fabric.setup(method, torch.optim.SGD(method.parameters(), lr=0.1))
method.gather = _gatherer(fabric)
share = 8 // fabric.world_size
at = slice(fabric.global_rank * share, (fabric.global_rank + 1) * share)
losses = []
for number in range(4):
    whole = noisy_batch(8, number, [(3 * number + k) % 11 for k in range(8)])
    part = [getattr(whole, n)[at] for n in ("first", "second", "risk", "completeness", "subject")]
    loss = wrapped(Batch(*part)).loss
    fabric.backward(loss)
    optimizer.step()
    optimizer.zero_grad()
    losses.append(loss.detach())
if fabric.global_rank == fabric.world_size - 1:  # not the one whose buffers DDP hands to the others
    torch.save({"losses": torch.stack(losses), "state": method.state_dict()}, out)
fabric.barrier()
os._exit(0)
"""


def assert_several_steps_equal_one_process(name: str, settings: dict, folder, monkeypatch) -> None:
    """Four steps over two processes leave the state of four in one: momentum copies, queues, statistics and all."""
    monkeypatch.setenv("PYTHONPATH", ".")
    one, two = (two_processes.run(SEVERAL_STEPS, processes, (name, settings), folder) for processes in (1, 2))
    torch.testing.assert_close(two["losses"], one["losses"], rtol=1e-4, atol=1e-5)
    assert len(set(one["losses"].tolist())) == 4
    assert two["state"].keys() == one["state"].keys()
    for key, value in one["state"].items():
        torch.testing.assert_close(
            two["state"][key], value, rtol=1e-3, atol=1e-4, msg=lambda text, key=key: f"{key}: {text}"
        )
