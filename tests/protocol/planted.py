"""Stores with features planted in the signal, tasks of these, and an encoder that reads them."""

from __future__ import annotations

import numpy as np
import torch

from openclef.preprocessing import Preprocessing
from openclef.record import Record
from openclef.store import StoreWriter
from openclef.task import Task

LABELS = Task("tiny/labels", "multilabel", ("A", "B", "rare"), ("l/A", "l/B", "l/rare"))
RHYTHM = Task("tiny/rhythm", "multiclass", ("N", "AF", "O"), ("l/rhythm",))
AF = Task("tiny/af", "binary", ("af",), ("l/af",))
AGE = Task("tiny/age", "regression", ("age",), ("l/years",), unit="years")
RANDOM = Task("tiny/random", "binary", ("random",), ("l/random",))
TASKS = (LABELS, RHYTHM, AF, AGE, RANDOM)
DIM = 8


class Planted(torch.nn.Module):
    """Reads the features that were written into the signal, one every 12 samples."""

    dim = DIM

    def __init__(self, noise=0.0, seed=0, subjects=None, name="planted"):
        super().__init__()
        self.preprocessing = Preprocessing(fs=50, seconds=2, band=None, normalise="none")
        self.noise, self.seed, self.name, self.pretraining_subjects = noise, seed, name, subjects

    def forward(self, signal):
        features = signal[:, 0, 6::12][:, :DIM]
        if self.noise:
            # noise that belongs to the signal, whatever the batch
            seeds = (features.abs().sum(1) * 1e4).long() + self.seed
            drawn = [torch.randn(DIM, generator=torch.Generator().manual_seed(int(s))) for s in seeds]
            features = features + self.noise * torch.stack(drawn)
        return features


def people(records, seed=0, metadata=True):
    generator = np.random.default_rng(seed)
    split = np.where(
        np.arange(records) % 10 < 5, "train", np.where(np.arange(records) % 10 < 6, "val", "test")
    )
    features = generator.normal(size=(records, DIM))
    flags = generator.random((records, 2)) < 0.4
    features[:, :2] += flags  # distance 1 for A and B
    rhythm = generator.integers(0, 3, records)
    features[:, 2:5] += 3 * np.eye(3)[rhythm]
    age = 60 + 10 * features[:, 5] + generator.normal(size=records)
    rows = []
    for i in range(records):
        row = {
            "record_id": f"r{seed}-{i}",
            "subject_id": f"s{seed}-{i}",
            "split": str(split[i]),
            "l/A": float(flags[i, 0]),
            "l/B": float(flags[i, 1]),
            "l/rare": float(i % 100 == 7),  # a hundredth, in test
            "l/rhythm": RHYTHM.labels[rhythm[i]],
            "l/af": float(rhythm[i] == 1),
            "l/years": age[i],
            "l/random": float(generator.random() < 0.4),
        }
        if metadata:
            row |= {"age_years": age[i] if i % 7 else None, "sex": ("female", "male", "")[i % 3]}
        rows.append(row)
    return features, rows


def write(folder, features, rows, fs=50, name="tiny", tasks=TASKS):
    writer = StoreWriter(folder, name=name, scale=0.001, fs=fs, leads=("I", "II"), seconds=2, tasks=tasks)
    repeat = 12 * fs // 50
    signals = np.repeat(features, repeat, axis=1)
    signals = np.pad(signals, ((0, 0), (0, round(fs * 2) - signals.shape[1])), mode="edge")
    records = [Record(np.stack([s, 0 * s]), fs, ("I", "II"), r["record_id"]) for s, r in zip(signals, rows)]
    writer.write_part(0, records, rows)
    return writer.finish()


def pick(metrics, model, metric, part=""):
    rows = metrics[(metrics["model"] == model) & (metrics["metric"] == metric) & (metrics["part"] == part)]
    assert len(rows) == 1
    return rows.iloc[0]
