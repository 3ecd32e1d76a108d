"""Published foundation models: names, shapes and features of each are those of its authors' code."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

import openclef
from openclef.model import load_encoder, save_encoder
from openclef.published import PUBLISHED
from tests.published.filling import MANIFESTS, fill, manifest, wave

DESCRIBED = sorted(path.stem for path in MANIFESTS.glob("*.json"))
LARGE = 60e6  # parameters from which a model is for `make test-all`


def _marked() -> list[Any]:
    marks: list[Any] = []
    for name in DESCRIBED:
        large = manifest(name)["parameters"] > LARGE
        marks.append(pytest.param(name, marks=pytest.mark.slow) if large else name)
    return marks


def test_every_model_has_a_manifest() -> None:
    assert set(DESCRIBED) == {name for name in PUBLISHED if not name.startswith("clef")}


@pytest.mark.parametrize("name", DESCRIBED)
def test_names_and_shapes_are_the_published_ones(name: str) -> None:
    published, known = PUBLISHED[name], manifest(name)
    shapes = {key: tuple(shape) for key, shape in known["tensors"]}
    once = {published.respelled(key): shape for key, shape in shapes.items()}
    assert {key: tuple(each.shape) for key, each in published.expected().items()} == {
        key: shape for key, shape in once.items() if published.uses(key)
    }
    assert known["count"] == len(shapes)
    assert known["parameters"] == sum(
        torch.Size(shape).numel()
        for key, shape in once.items()
        if not key.endswith(("running_mean", "running_var", "num_batches_tracked"))
    )


@pytest.mark.parametrize("name", _marked())
def test_features_are_those_of_the_original_code(name: str) -> None:
    published, known = PUBLISHED[name], manifest(name)
    encoder = openclef.load(name, weights={"state_dict": fill(known["tensors"], published.respelled)})
    leads, samples = max(1, len(published.leads)), published.preprocessing.samples
    with torch.no_grad():
        features = encoder(wave(leads, samples, published.preprocessing.fs))
    golden = torch.tensor(known["golden"]["embedding"])  # (2, first components)
    assert features.shape == (2, known["golden"]["dim"])
    scale = features.abs().max()
    assert float((features[:, : golden.shape[1]] - golden).abs().max() / scale) < 2e-4
    assert torch.allclose(features.norm(dim=1), torch.tensor(known["golden"]["norm"]), rtol=1e-3)


@pytest.mark.parametrize("name", _marked())
def test_from_a_file_to_embeddings_and_back(name: str, tmp_path: Path) -> None:
    published, known = PUBLISHED[name], manifest(name)
    tensors = fill(known["tensors"], published.respelled)
    save_file(tensors, tmp_path / "weights.safetensors")
    encoder = openclef.load(name, weights=tmp_path / "weights.safetensors")
    frames = [
        openclef.embed(encoder, torch.randn(1, int(12 * fs)).numpy(), fs=fs, lead="II") for fs in (130, 500)
    ]
    for frame in frames:
        assert len(frame["embedding"].iloc[0]) == encoder.dim
        assert torch.isfinite(torch.tensor(frame["embedding"].iloc[0])).all()
    again = load_encoder(save_encoder(encoder, tmp_path / "model"))
    signal = wave(max(1, len(published.leads)), published.preprocessing.samples, published.preprocessing.fs)
    with torch.no_grad():
        assert torch.equal(again(signal), encoder(signal))
    assert again.lead_names == published.leads


@pytest.mark.parametrize("name", [name for name in _marked() if isinstance(name, str)])
def test_what_does_not_fit_is_named(name: str) -> None:
    published = PUBLISHED[name]
    tensors = {published.respelled(key): torch.zeros(shape) for key, shape in manifest(name)["tensors"]}
    first = next(iter(published.expected()))
    without = {key: tensor for key, tensor in tensors.items() if key != first}
    with pytest.raises(ValueError, match="1 missing"):
        openclef.load(name, weights=without)
    with pytest.raises(ValueError, match=r"1 of another shape .*\(7,\)"):
        openclef.load(name, weights=tensors | {first: torch.zeros(7)})
    with pytest.raises(ValueError, match=r"1 unexpected \(surprise\)"):
        openclef.load(name, weights=tensors | {"surprise": torch.zeros(7)})


def test_weights_are_asked_for() -> None:
    with pytest.raises(ValueError, match=r"weights are missing for clef_small.*zenodo"):
        openclef.load("clef_small")
    with pytest.raises(ValueError, match="no published model"):
        openclef.load("resnext", weights="a.pt")
