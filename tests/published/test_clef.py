"""Import of published weights, from files that bear the published names and shapes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from openclef.backbone import BACKBONES
from openclef.model import load_encoder, save_encoder
from openclef.preprocessing import Preprocessing
from openclef.published.clef import load_official

SIZES = ["small", "medium", "large"]


def _published(size: str = "small", prefix: str = "backbone.") -> dict[str, Tensor]:
    torch.manual_seed(0)
    state = BACKBONES[f"resnext1d_{size}"](normalisation="batch").state_dict()
    return {prefix + name: tensor for name, tensor in state.items()}


def _same(encoder: torch.nn.Module, tensors: dict[str, Tensor]) -> bool:
    """The encoder's features are those of a network that holds the tensors itself."""
    named = {name.removeprefix("backbone."): tensor for name, tensor in tensors.items()}
    net = BACKBONES[encoder.backbone_name]().eval()
    net.load_state_dict({name: named[name] for name in net.state_dict()})
    signal = torch.randn(2, 1, 500)
    with torch.no_grad():
        return torch.equal(encoder(signal), net(signal))


@pytest.mark.parametrize("size", ["small", "medium", pytest.param("large", marks=pytest.mark.slow)])
def test_golden_names_and_shapes_load(golden_folder: Path, size: str) -> None:
    golden = json.loads((golden_folder / "reference.json").read_text())["encoder"][size]
    generator = torch.Generator().manual_seed(0)
    shapes = {name: shape for name, shape, *_ in golden["parameters"]} | dict(golden["buffers"])
    tensors = {
        f"backbone.{name}": torch.tensor(7)
        if name.endswith("num_batches_tracked")
        else 0.05 * (torch.rand(shape, generator=generator) - (0.0 if name.endswith("running_var") else 0.5))
        for name, shape in shapes.items()
    }
    encoder = load_official({"state_dict": tensors, "epoch": 99})
    assert encoder.name == f"clef_{size}"
    assert sum(p.numel() for p in encoder.parameters()) == golden["n_used"]
    assert _same(encoder, tensors)


def test_preprocessing_is_the_published_one() -> None:
    encoder = load_official(_published())
    assert encoder.preprocessing == Preprocessing(500.0, 10.0, (0.67, 40.0), 5, "zscore", "scipy")
    assert encoder.embed(torch.randn(2, 1, 5000), 500).shape == (2, 256)
    assert not encoder.training


@pytest.mark.parametrize("suffix", [".ckpt", ".pt", ".pth", ".safetensors"])
@pytest.mark.parametrize("prefix", ["backbone.", ""])
def test_files(tmp_path: Path, suffix: str, prefix: str) -> None:
    tensors, path = _published(prefix=prefix), tmp_path / f"clef_small{suffix}"
    if suffix == ".safetensors":
        save_file(tensors, path)
    else:
        torch.save({"state_dict": tensors, "epoch": 3, "hparams": {"lr": 1e-4}}, path)
    for given in (path, str(path)):
        assert _same(load_official(given), tensors)


def test_the_callers_tensors_are_left_alone() -> None:
    tensors = _published()
    encoder = load_official(tensors)
    with torch.no_grad():
        encoder.backbone.first_conv.conv.weight.zero_()
    assert bool(tensors["backbone.first_conv.conv.weight"].any())


def test_half_precision_becomes_float32() -> None:
    encoder = load_official({n: t.half() if t.is_floating_point() else t for n, t in _published().items()})
    assert {p.dtype for p in encoder.parameters()} == {torch.float32}


def test_an_imported_encoder_is_saved_as_any_other(tmp_path: Path) -> None:
    tensors = _published()
    loaded = load_encoder(save_encoder(load_official(tensors), tmp_path / "model"))
    assert loaded.preprocessing.filtering == "scipy"
    assert _same(loaded, tensors)
    assert _same(load_official(tmp_path / "model" / "model.safetensors"), tensors)  # without BatchNorm


def test_other_parts_of_a_checkpoint_are_listed() -> None:
    tensors = _published()
    encoder = load_official(
        {**tensors, "projector.0.weight": torch.zeros(3), "loss.temperature": torch.ones(1)}
    )
    assert encoder.ignored == ("projector.0.weight", "loss.temperature")
    assert _same(encoder, tensors)


USED = "stage_list.2.block_list.1.conv2.conv.weight"
UNUSED = "stage_list.2.block_list.1.bn2.weight"
STATISTIC = "first_bn.running_mean"


@pytest.mark.parametrize("name", [USED, UNUSED, STATISTIC])
@pytest.mark.parametrize("prefix", ["backbone.", ""])
def test_missing_misshaped_and_unexpected_tensors_are_named(name: str, prefix: str) -> None:
    tensors = _published(prefix=prefix)
    without = {n: t for n, t in tensors.items() if n != prefix + name}
    with pytest.raises(ValueError, match=f"as resnext1d_small\\) does not fit: 1 missing \\({name}\\)"):
        load_official(without)
    with pytest.raises(ValueError, match=f"1 missing \\({name}\\); 1 unexpected \\({name}s\\)"):
        load_official({**without, prefix + name + "s": tensors[prefix + name]})
    with pytest.raises(ValueError, match=f"1 of another shape \\({name}: \\(2, 2\\) instead of"):
        load_official({**tensors, prefix + name: torch.zeros(2, 2)})


def test_not_finite_tensors_are_named() -> None:
    tensors = _published()
    tensors[f"backbone.{USED}"][0, 0, 0] = torch.inf
    with pytest.raises(ValueError, match=f"1 not finite \\({USED}\\)"):
        load_official(tensors)


def test_unused_tensors_may_be_absent_whole() -> None:
    tensors = _published()
    assert _same(
        load_official({n: t for n, t in tensors.items() if "running" not in n and "num_b" not in n}), tensors
    )
    assert _same(load_official({n: t for n, t in tensors.items() if "bn" not in n}), tensors)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({}, "no state dict"),
        ([torch.zeros(1)], "no state dict"),
        ({"state_dict": {}}, "no state dict"),
        ({"conv1.weight": torch.zeros(64, 1, 7)}, "holds no tensor of a CLEF encoder"),
        ({"backbone.first_conv.conv.weight": [1, 2]}, "no tensors"),
    ],
)
def test_other_contents_are_refused(content: object, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        load_official(content)


def test_two_encoders_in_one_are_refused() -> None:
    with pytest.raises(ValueError, match=r"with the prefix 'backbone\.' and without it"):
        load_official({**_published(), **_published(prefix="")})


class _Other:
    """Not a tensor; a pickle that holds it needs this class to run."""


def test_other_files_are_refused(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="does not exist"):
        load_official(tmp_path / "none.ckpt")
    path = tmp_path / "weights.ckpt"
    torch.save({"state_dict": _published(), "settings": _Other()}, path)
    with pytest.raises(
        ValueError, match=r"needs more than tensors and could run code .*_Other.*convert_weights"
    ):
        load_official(path)
    torch.save(_published(), path)
    path.write_bytes(path.read_bytes()[:100_000])
    with pytest.raises(ValueError, match="cannot be read as weights"):
        load_official(path)
    path.write_bytes(b"no pickle")
    with pytest.raises(ValueError, match="is refused: it is damaged, or"):
        load_official(path)
    damaged = tmp_path / "weights.safetensors"
    damaged.write_bytes(b"no tensors")
    with pytest.raises(ValueError, match="cannot be read as weights"):
        load_official(damaged)
    other = tmp_path / "weights.onnx"
    other.touch()
    with pytest.raises(ValueError, match=r"ends in '\.onnx'"):
        load_official(other)
