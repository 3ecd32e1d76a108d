"""A toy problem: beats whose rate and width are the record's own, and a backbone that learns it in a second."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

from openclef.data import Batch

SAMPLES = 320


class Tiny(nn.Module):
    """(B, 1, time) -> (B, 24)."""

    dim = 24

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv1d(1, 16, 15, stride=2, padding=7),
            nn.SiLU(),
            nn.Conv1d(16, self.dim, 9, stride=2, padding=4),
        )

    def forward(self, signal: torch.Tensor) -> torch.Tensor:
        return F.silu(self.layers(signal)).mean(2)


def toy_batch(records: int = 16, seed: int = 0) -> Batch:
    """Two views of each record: shifted in time, with other noise; risk rises with the width of a beat."""
    generator = torch.Generator().manual_seed(seed)
    beats_per_second = 1 + torch.rand(records, 1, generator=generator)
    width = 0.02 + 0.08 * torch.rand(records, 1, generator=generator)
    views = []
    for _ in range(2):
        time_s = torch.arange(SAMPLES) / 64 + torch.rand(records, 1, generator=generator)
        phase = (time_s * beats_per_second) % 1 - 0.5
        noise = 0.1 * torch.randn(records, SAMPLES, generator=generator)
        view = torch.exp(-0.5 * (phase / width).square()) + noise
        views.append(((view - view.mean(1, keepdim=True)) / view.std(1, keepdim=True))[:, None])
    return Batch(views[0], views[1], 2 * width.flatten(), torch.ones(records), torch.arange(records))


def train(method: nn.Module, steps: int, learning_rate: float = 3e-3) -> list[float]:
    """Train on a new batch each step; returns the losses."""
    optimizer = torch.optim.Adam(method.parameters(), lr=learning_rate)
    losses = []
    method.train()
    for step in range(steps):
        loss = method(toy_batch(seed=100 + step)).loss
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(float(loss.detach()))
    method.eval()
    return losses


@torch.no_grad()
def ranks_of_other_view(method: nn.Module) -> float:
    """How well features of new records find their other view: mean share of records that are nearer than it.

    0.5 is chance, 0 perfect. Features are centred, so that a common direction counts for nothing.
    """
    batch = toy_batch(records=64, seed=7)
    first, second = (method.backbone(view) for view in (batch.first, batch.second))
    mean = torch.cat([first, second]).mean(0)
    similarity = F.normalize(first - mean, dim=1) @ F.normalize(second - mean, dim=1).T
    nearer = similarity > similarity.diagonal()[:, None]
    return float(nearer.float().mean())
