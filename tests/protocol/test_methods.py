"""A list of models is seeds of one method; other lists are refused, since they would be averaged."""

from __future__ import annotations

from pathlib import Path

import pytest

import openclef
from openclef.benchmarking.competitor import name_models
from openclef.protocol.baselines import random_encoder
from openclef.protocol.methods import name_method

SETTINGS = {"epochs": 1, "batch_size": 32, "quiet": True, "preprocessing": openclef.Preprocessing(fs=100)}


@pytest.fixture(scope="module")
def runs(small_store: openclef.Store, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("runs")
    made = {
        "a": ("simclr", 0, 0.07),
        "b": ("simclr", 1, 0.07),
        "c": ("simclr", 1, 0.2),
        "d": ("clef", 1, 0.07),
    }
    return {
        name: openclef.pretrain(
            [small_store],
            folder / name,
            method=method,
            risk="age_sex",
            seed=seed,
            temperature=temperature,
            **SETTINGS,
        ).path
        for name, (method, seed, temperature) in made.items()
    }


def test_seeds_of_one_method_are_taken(runs: dict[str, Path]) -> None:
    assert len(name_method([runs["a"], runs["b"]], "probe", None, (0,), None, None).encoders) == 2
    assert len(name_models({"simclr": [runs["a"], runs["b"]]})[0][0].sources) == 2


@pytest.mark.parametrize(
    ("other", "what"), [("c", r"temperature \(0.07 and 0.2\)"), ("d", r"method \('simclr' and 'clef'\)")]
)
def test_other_lists_are_refused(runs: dict[str, Path], other: str, what: str) -> None:
    pair = [str(runs["a"]), str(runs[other])]
    with pytest.raises(ValueError, match=rf"differ in {what}.*openclef benchmark .*a .*{other} --stores"):
        name_method(pair, "probe", None, (0,), None, None)
    with pytest.raises(ValueError, match=rf"differ in {what}"):
        name_models({"mixed": pair})


def test_encoders_of_other_architecture_or_preprocessing_are_refused() -> None:
    with pytest.raises(ValueError, match="differ in backbone"):
        name_method([random_encoder(), random_encoder("resnext1d_medium")], "probe", None, (0,), None, None)
    other = random_encoder(preprocessing=openclef.Preprocessing(fs=100))
    with pytest.raises(ValueError, match=r"an encoder and an encoder differ in preprocessing.fs"):
        name_method([random_encoder(), other], "knn", None, (0,), None, None)
