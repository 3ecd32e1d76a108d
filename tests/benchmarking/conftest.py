"""A store of planted features, encoders that read them, and one benchmark of these."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import openclef
from openclef.benchmarking import judging
from openclef.preprocessing import Preprocessing
from openclef.record import Record
from openclef.store import StoreWriter
from openclef.task import Task

LABELS = Task("tiny/labels", "multilabel", ("A", "B", "NA"), ("l/A", "l/B", "l/NA"))
COPY = Task("tiny/copy", "multilabel", ("A", "B", "NA"), ("l/A", "l/B", "l/NA"))
AGE = Task("tiny/age", "regression", ("age",), ("l/years",), unit="years")
AF = Task("tiny/af", "binary", ("af",), ("l/A",))
PREPROCESSING = Preprocessing(fs=50, seconds=2, band=None, normalise="none")
FEW = {"draws": 40, "permutations": 40, "min_positives": 5, "seeds": (0, 1), "quiet": True}


class Planted(torch.nn.Module):
    """Reads the features that were written into the signal, one every 12 samples, with noise of its own."""

    dim = 8

    def __init__(
        self, noise: float = 0.5, seed: int = 0, name: str = "planted", subjects=frozenset()
    ) -> None:
        super().__init__()
        self.preprocessing = PREPROCESSING
        self.noise, self.seed, self.name, self.pretraining_subjects = noise, seed, name, subjects

    def forward(self, signal: torch.Tensor) -> torch.Tensor:
        features = signal[:, 0, 6::12][:, : self.dim]
        seeds = (features.abs().sum(1) * 1e4).long() + self.seed
        drawn = [torch.randn(self.dim, generator=torch.Generator().manual_seed(int(s))) for s in seeds]
        return features + self.noise * torch.stack(drawn)


def write(
    folder, *, records=240, seed=0, tasks=(LABELS, COPY, AGE), metadata=True, name="tiny", leads=("I", "II")
):
    generator = np.random.default_rng(seed)
    features = generator.normal(size=(records, 8))
    flags = generator.random((records, 2)) < 0.4
    features[:, :2] += flags
    age = 60 + 10 * features[:, 5] + generator.normal(size=records)
    rows = []
    for i in range(records):
        row = {
            "subject_id": f"s{i // 2}",  # two records each
            "split": ("train", "train", "val", "test", "test")[i // 2 % 5],
            "l/A": float(flags[i, 0]),
            "l/B": float(flags[i, 1]),
            "l/NA": float(i % 80 == 6),
            "l/years": age[i],
        }
        if metadata:
            row |= {"age_years": age[i] if i % 7 else None, "sex": ("female", "male", "")[i % 3]}
        rows.append(row)
    writer = StoreWriter(folder, name=name, scale=0.001, fs=50, leads=leads, seconds=2, tasks=list(tasks))
    signals = np.pad(np.repeat(features, 12, axis=1), ((0, 0), (0, 4)), mode="edge")
    made = [Record(np.stack([s, 0.5 * s]), 50, leads, f"r{seed}-{i}") for i, s in enumerate(signals)]
    writer.write_part(0, made, rows)
    return writer.finish()


@pytest.fixture(scope="session")
def planted():
    """The class of planted encoders."""
    return Planted


@pytest.fixture(scope="session")
def few():
    """Settings for a quick benchmark."""
    return FEW


@pytest.fixture(scope="session")
def write_store():
    """The function that writes such a store."""
    return write


@pytest.fixture(scope="session")
def store(tmp_path_factory):
    """A store of three tasks, two of them the same."""
    return write(tmp_path_factory.mktemp("stores") / "tiny")


@pytest.fixture(scope="session")
def models():
    """Two methods and a copy of the first."""
    good = [Planted(0.2, seed=0), Planted(0.2, seed=1)]
    return {"good": good, "twin": list(good), "poor": Planted(3.0)}


@pytest.fixture(scope="session")
def bench(store, models, tmp_path_factory):
    """A benchmark of them; read it, do not change it."""
    return openclef.benchmark(
        models,
        store,
        tmp_path_factory.mktemp("bench") / "out",
        conditions=(openclef.Condition(lead="II"),),
        by=("sex",),
        baselines=("random_encoder", "age_sex"),
        **FEW,
    )


@pytest.fixture
def calls(monkeypatch):
    """Names of what is evaluated."""
    made = []
    judge = judging.evaluate

    def counted(model, *given, **settings):
        made.append(settings["name"])
        return judge(model, *given, **settings)

    monkeypatch.setattr(judging, "evaluate", counted)
    return made
