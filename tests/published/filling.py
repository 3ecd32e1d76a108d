"""Weights and a signal that anyone can make again: closed forms, in place of files that cannot be had here."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

MANIFESTS = Path(__file__).parent / "manifests"
WAVES = ((0.6, 1.2, 0.0), (0.3, 2.4, 0.5), (0.2, 7.0, 1.0), (0.1, 19.0, 2.0), (0.05, 33.0, 0.3))


def manifest(name: str) -> dict[str, Any]:
    """What is known of a published file: {"read_from", "tensors": [[name, shape], ...], "golden": {...}}."""
    return json.loads((MANIFESTS / f"{name}.json").read_text())


def fill(tensors: list[list[Any]], same: Callable[[str], str] = str) -> dict[str, Tensor]:
    """Values of tensor number j, element i: v = 2 frac(sin(12.9898 i + 78.233 j) 43758.5453) - 1 in float64.

    Matrices and kernels are v sqrt(3 / fan_in), vectors v / 20, and 1 + v / 20 where they scale (named weight, gamma,
    running_var, original0, weight_g); counters (num_batches_tracked) are 0. Tensors that `same`
    gives one name are equal.
    """
    filled = {}
    for j, (name, shape) in enumerate(tensors):
        last = name.rsplit(".", 1)[-1]
        if same(name) in filled:
            filled[name] = filled[same(name)].clone()
            continue
        if last == "num_batches_tracked":
            filled[name] = torch.zeros((), dtype=torch.int64)
            continue
        phase = 12.9898 * np.arange(int(np.prod(shape)), dtype=np.float64) + 78.233 * j
        u = np.sin(phase) * 43758.5453
        v = 2 * (u - np.floor(u)) - 1
        axes = [size for size in shape if size != 1] or [1]
        if last in ("original0", "weight_g") or (
            len(axes) == 1 and last in ("weight", "gamma", "running_var")
        ):
            v = 1 + v / 20
        elif len(axes) == 1:
            v = v / 20
        else:
            v = v * np.sqrt(3 / np.prod(shape[1:]))
        filled[name] = torch.from_numpy(v.astype(np.float32).reshape(shape))
    return filled


def wave(leads: int, samples: int, fs: float, batch: int = 2) -> Tensor:
    """(batch, leads, samples): sums of five waves, shifted in phase by lead and row, each z-scored."""
    time_s = np.arange(samples) / fs
    rows = [
        [
            sum(a * np.sin(2 * np.pi * f * time_s + p + 0.7 * lead + 1.3 * row) for a, f, p in WAVES)
            for lead in range(leads)
        ]
        for row in range(batch)
    ]
    signal = np.array(rows)
    signal = (signal - signal.mean(-1, keepdims=True)) / signal.std(-1, keepdims=True)
    return torch.from_numpy(signal.astype(np.float32))
