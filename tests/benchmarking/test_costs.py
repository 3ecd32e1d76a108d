"""Costs of a benchmark: a row a model that embeds, measured once an architecture."""

from __future__ import annotations

from pathlib import Path

import pytest

import openclef
from openclef.benchmarking.costs import cost_rows
from openclef.benchmarking.kept import Kept
from openclef.device import processor_name
from openclef.protocol.baselines import random_encoder


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> openclef.Benchmark:
    folder = tmp_path_factory.mktemp("costs")
    store = openclef.simulate(folder / "sim", patients=120, workers=1)
    before = openclef.Preprocessing(fs=100)
    models = {"mine": [random_encoder(preprocessing=before, seed=each) for each in (5, 6)]}
    return openclef.benchmark(
        models,
        [store],
        folder / "out",
        tasks=["sim/age"],
        seeds=(0,),
        draws=20,
        permutations=20,
        by=(),
        quiet=True,
    )


def test_a_row_for_each_model_that_embeds(found: openclef.Benchmark) -> None:
    costs = found.costs.set_index("model")
    assert set(costs.index) == {"mine", "random_encoder"}
    assert (costs["parameters"] == 443_184).all()
    assert (costs["fs_hz"] == 100).all()
    assert (costs["leads"] == "one").all()
    assert (costs["gflop"] > 0.01).all()
    assert (costs["embeddings_per_second"] > 0).all()


def test_the_page_shows_them(found: openclef.Benchmark) -> None:
    page = openclef.report(found.folder).read_text(encoding="utf-8")
    assert "What each model costs" in page
    assert "443,184" in page
    (found.folder / "costs.csv").unlink()  # as an older benchmark
    assert "What each model costs" not in openclef.report(found.folder).read_text(encoding="utf-8")


def test_nothing_is_measured_twice(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from openclef.benchmarking import costs as module
    from openclef.benchmarking.cell import Cell
    from openclef.benchmarking.competitor import name_models
    from openclef.task import Task

    calls = []
    original = module._measured
    monkeypatch.setattr(module, "_measured", lambda each: calls.append(each.name) or original(each))
    given, _, _ = name_models({"a": random_encoder(seed=1), "b": random_encoder(seed=2)})
    task = Task("a/sbp", "regression", ("sbp",), ("sbp_mmhg",))
    cells = [Cell(task, "I", "probe", 1.0, each, (), False) for each in given]
    kept = Kept(tmp_path)
    first = cost_rows(cells, kept)
    assert cost_rows(cells, kept) == first
    assert len(calls) == 1  # one architecture, whatever its weights
    before = openclef.Preprocessing(fs=100)
    given, _, _ = name_models(
        {"a": random_encoder(seed=1), "c": random_encoder(seed=1, preprocessing=before)}
    )
    cost_rows([Cell(task, "I", "probe", 1.0, each, (), False) for each in given], kept)
    assert len(calls) == 2


def test_a_random_encoder_costs_what_its_architecture_does(found: openclef.Benchmark) -> None:
    costs = found.costs.set_index("model")
    assert costs.loc["mine", "embeddings_per_second"] == costs.loc["random_encoder", "embeddings_per_second"]
    assert costs["cpu"].eq(processor_name()).all()
