"""The encoder, and its folder: what is saved comes back, and nothing else is accepted."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import nn

from openclef.backbone import BACKBONES
from openclef.model import FORMAT_VERSION, Encoder, check_tensors, load_encoder, save_encoder
from openclef.preprocessing import Preprocessing


def _encoder(**settings: object) -> Encoder:
    torch.manual_seed(0)
    given = {"leads": 1, "normalisation": "none", **settings}
    return Encoder(
        BACKBONES["resnext1d_small"](**given),
        Preprocessing(fs=100, seconds=5, order=3),
        name="small one",
        backbone_name="resnext1d_small",
        backbone_settings=given,
    )


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return save_encoder(_encoder(), tmp_path / "model")


def _rehash(folder: Path) -> None:
    """Make the hash fit again, so that the check behind it is the one that is seen."""
    import hashlib

    config = json.loads((folder / "config.json").read_text())
    config["weights_sha256"] = hashlib.sha256((folder / "model.safetensors").read_bytes()).hexdigest()
    (folder / "config.json").write_text(json.dumps(config))


def _change(folder: Path, **values: object) -> None:
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, **values}))


def test_embedding_is_preprocessing_then_backbone_in_evaluation_mode() -> None:
    encoder = _encoder(normalisation="batch").train()
    signal = torch.randn(3, 1, 2500)
    embedding = encoder.embed(signal, 500)
    assert encoder.training
    assert not embedding.requires_grad
    encoder.eval()
    with torch.no_grad():
        assert torch.equal(embedding, encoder(encoder.preprocessing(signal, 500)))
    assert torch.allclose(encoder.embed(signal[:1], 500), embedding[:1], atol=1e-5)


def test_embedding_does_not_depend_on_unit_where_amplitude_is_normalised() -> None:
    encoder, signal = _encoder().eval(), np.random.default_rng(0).normal(size=(2, 1, 500))
    expected = encoder.embed(signal, 100)
    assert torch.allclose(encoder.embed(signal * 1000, 100, unit="uV"), expected, atol=1e-4)
    assert torch.allclose(encoder.embed(signal, 100, unit="zscore"), expected)


@pytest.mark.parametrize(
    ("shape", "fs", "unit", "message"),
    [
        ((2, 12, 500), 100, "mV", "takes \\(batch, 1, time\\)"),
        ((500,), 100, "mV", "takes \\(batch, 1, time\\)"),
        ((1, 1, 300), 60, "mV", "too low"),
        ((1, 1, 500), 100, "furlong", "is unknown"),
        ((1, 1, 600), 100, "mV", "Cut it into windows"),
    ],
)
def test_signals_that_do_not_fit_are_refused(
    shape: tuple[int, ...], fs: float, unit: str, message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        _encoder().embed(torch.zeros(shape), fs, unit)


def test_any_module_with_a_dim_is_a_backbone() -> None:
    class Mean(nn.Module):
        dim = 1

        def forward(self, signal: torch.Tensor) -> torch.Tensor:
            return signal.mean(-1)

    encoder = Encoder(Mean())
    assert encoder.preprocessing == Preprocessing()
    assert encoder.embed(torch.randn(4, 1, 5000), 500).shape == (4, 1)
    with pytest.raises(ValueError, match=r"no \.dim"):
        Encoder(nn.Linear(2, 2))
    with pytest.raises(ValueError, match="2 labels were given for 1 outputs"):
        Encoder(Mean(), labels=["a", "b"])


@pytest.mark.parametrize("normalisation", ["none", "batch"])
def test_what_is_saved_comes_back(tmp_path: Path, normalisation: str) -> None:
    encoder = _encoder(normalisation=normalisation)
    encoder.labels = tuple(f"label {n}" for n in range(encoder.dim))
    encoder(torch.randn(4, 1, 300))  # moves BatchNorm's running statistics
    before = torch.get_rng_state()
    loaded = load_encoder(save_encoder(encoder, tmp_path / "model"))
    assert torch.equal(torch.get_rng_state(), before)  # loading leaves the caller's random numbers alone
    assert not loaded.training
    for attribute in (
        "name",
        "backbone_name",
        "backbone_settings",
        "preprocessing",
        "labels",
        "dim",
        "leads",
    ):
        assert getattr(loaded, attribute) == getattr(encoder, attribute)
    assert loaded.state_dict().keys() == encoder.state_dict().keys()
    assert all(torch.equal(loaded.state_dict()[n], t) for n, t in encoder.state_dict().items())
    config = json.loads((tmp_path / "model" / "config.json").read_text())
    assert config["format"] == "openclef-model"
    assert config["format_version"] == FORMAT_VERSION == 1


def test_saving_again_replaces_and_leaves_nothing_beside(folder: Path) -> None:
    other = _encoder()
    with torch.no_grad():
        other.backbone.first_conv.conv.bias.fill_(7)
    save_encoder(other, folder)
    assert load_encoder(folder).backbone.first_conv.conv.bias.tolist() == [7.0] * 32
    assert sorted(file.name for file in folder.iterdir()) == ["config.json", "model.safetensors"]


def test_wrong_tensors_are_refused_by_name(folder: Path) -> None:
    weights = folder / "model.safetensors"
    whole = load_file(weights)
    key = "backbone.first_conv.conv.weight"
    changes = {
        f"1 missing \\({key}\\)": {n: t for n, t in whole.items() if n != key},
        "1 unexpected \\(extra\\)": {**whole, "extra": torch.zeros(1)},
        "of another shape .*\\(32, 1, 15\\) instead of \\(32, 1, 16\\)": {
            **whole,
            key: whole[key][..., 1:].clone(),
        },
        f"1 not finite \\({key}\\)": {**whole, key: torch.full_like(whole[key], torch.nan)},
    }
    for message, tensors in changes.items():
        save_file(tensors, weights)
        _rehash(folder)
        with pytest.raises(ValueError, match=message):
            load_encoder(folder)


def test_changed_or_damaged_weights_are_refused(folder: Path) -> None:
    weights = folder / "model.safetensors"
    content = bytearray(weights.read_bytes())
    content[-1] ^= 1
    weights.write_bytes(content)
    with pytest.raises(ValueError, match="has changed since it was saved"):
        load_encoder(folder)
    weights.write_bytes(content[: len(content) // 2])
    _rehash(folder)
    with pytest.raises(ValueError, match="is damaged"):
        load_encoder(folder)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"format": "other"}, "does not describe an openclef model"),
        ({"format_version": 2}, "format_version 2; this openclef reads 1"),
        ({"backbone": "resnext1d_huge"}, "names the backbone 'resnext1d_huge'; known are resnext1d_small"),
        ({"backbone_settings": {"depth": 3}}, "does not take"),
        ({"backbone_settings": {"leads": 12}}, "of another shape"),
        ({"backbone": "resnext1d_medium"}, "missing"),
        ({"preprocessing": {"fs": 500}}, "settings are not complete"),
    ],
)
def test_wrong_configurations_are_refused(folder: Path, values: dict, message: str) -> None:
    _change(folder, **values)
    with pytest.raises(ValueError, match=message):
        load_encoder(folder)


def test_incomplete_folders_are_refused(folder: Path) -> None:
    config = json.loads((folder / "config.json").read_text())
    del config["preprocessing"]
    (folder / "config.json").write_text(json.dumps(config))
    with pytest.raises(ValueError, match="lacks preprocessing"):
        load_encoder(folder)
    (folder / "config.json").write_text("{")
    with pytest.raises(ValueError, match="is no JSON"):
        load_encoder(folder)
    (folder / "model.safetensors").unlink()
    with pytest.raises(FileNotFoundError, match=r"model\.safetensors does not exist"):
        load_encoder(folder)


def test_what_could_not_be_loaded_is_not_saved(tmp_path: Path) -> None:
    nameless = Encoder(BACKBONES["resnext1d_small"]())
    with pytest.raises(ValueError, match="names the backbone ''"):
        save_encoder(nameless, tmp_path)
    wrong = _encoder()
    wrong.backbone_settings = {"leads": 2}
    with pytest.raises(ValueError, match="of another shape"):
        save_encoder(wrong, tmp_path)
    ruined = _encoder()
    with torch.no_grad():
        ruined.backbone.first_conv.conv.bias[0] = torch.nan
    with pytest.raises(ValueError, match="not finite"):
        save_encoder(ruined, tmp_path)
    assert not list(tmp_path.iterdir())


def test_many_wrong_tensors_are_counted_and_the_first_few_named() -> None:
    with pytest.raises(ValueError, match=r"9 missing \(t0, t1, t2, t3, t4, \.\.\.\)"):
        check_tensors({f"t{n}": torch.zeros(1) for n in range(9)}, {}, "weights.pt")


def test_tensors_of_another_kind_are_refused() -> None:
    expected = {
        "weight": torch.zeros(2),
        "bn.running_var": torch.zeros(2),
        "bn.num_batches_tracked": torch.tensor(0),
    }
    fine = {
        "weight": torch.ones(2).half(),
        "bn.running_var": torch.ones(2),
        "bn.num_batches_tracked": torch.tensor(3),
    }
    check_tensors(expected, fine, "weights.pt")
    for wrong, message in (
        (
            {"weight": torch.ones(2, dtype=torch.int64)},
            r"1 of another kind \(weight: int64 instead of float32\)",
        ),
        ({"weight": torch.ones(2, dtype=torch.bool)}, "weight: bool instead of float32"),
        ({"weight": torch.ones(2, dtype=torch.complex64)}, "weight: complex64 instead of float32"),
        ({"weight": torch.ones(2).to(torch.float8_e4m3fn)}, "weight: float8_e4m3fn instead of float32"),
        ({"weight": torch.ones(2).to_sparse()}, "weight: sparse_coo float32 instead of float32"),
        ({"weight": torch.ones(2, device="meta")}, "weight: float32 without values"),
        ({"weight": torch.tensor([1.0, 1e300], dtype=torch.float64)}, r"1 not finite \(weight\)"),
        ({"bn.running_var": torch.tensor([1.0, -0.1])}, r"1 below zero \(bn.running_var\)"),
        ({"bn.num_batches_tracked": torch.tensor(True)}, "num_batches_tracked: bool instead of int64"),
        ({"weight": torch.ones(1).expand(10**13)}, "of another shape"),
    ):
        with pytest.raises(ValueError, match=message):
            check_tensors(expected, {**fine, **wrong}, "weights.pt")
