"""Checkpoints that hold more than tensors: what they ask for is named, and never run."""

from __future__ import annotations

import argparse
import io
import os
import pickle
import zipfile
from collections import defaultdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

import openclef
from openclef import cli
from openclef.weight_conversion import unknown_globals


class Settings:
    """A class of somebody's own."""

    def __init__(self) -> None:
        self.rate = 1e-3
        self.nested = {"a": argparse.Namespace(x=[1, 2])}


class Danger:
    """Runs a command when it is unpickled in the usual way."""

    def __init__(self, place: Path) -> None:
        self.place = place

    def __reduce__(self) -> tuple[Any, ...]:
        return os.system, (f"touch {self.place}",)


class Evaluates(Danger):
    def __reduce__(self) -> tuple[Any, ...]:
        return eval, (f"open({str(self.place)!r}, 'w')",)


TENSORS = {"a.weight": torch.arange(6.0).reshape(2, 3), "b": torch.tensor([1, 2], dtype=torch.int64)}


@pytest.fixture
def odd(tmp_path: Path) -> Path:
    """A checkpoint as trainers leave them: settings, optimiser, numpy scalars, shared and half-precision tensors."""
    content = {
        "model": TENSORS | {"twice": TENSORS["a.weight"], "half": torch.ones(2, dtype=torch.float16)},
        "args": argparse.Namespace(lr=0.1),
        "cfg": Settings(),
        "loss": np.float64(0.3),
        "counts": defaultdict(list, {"a": [1]}),
        "optimizer": torch.optim.AdamW([torch.nn.Parameter(torch.ones(2))]).state_dict(),
    }
    torch.save(content, tmp_path / "odd.pt")
    return tmp_path / "odd.pt"


def test_tensors_are_taken_and_the_rest_is_named(odd: Path) -> None:
    asked = unknown_globals(odd)
    assert "argparse.Namespace" in asked
    assert any(name.endswith("test_weight_conversion.Settings") for name in asked)
    assert not any(name.startswith(("torch.", "collections.")) for name in asked)
    out = odd.with_suffix(".safetensors")
    with pytest.raises(ValueError, match=r"asks for .*argparse\.Namespace.*4 tensors.*trust=True"):
        openclef.convert_weights(odd, out)
    assert not out.exists()
    done = openclef.convert_weights(odd, out, trust=True)
    assert done.not_imported == tuple(asked)
    assert done.left_out == ("args", "cfg", "loss", "counts", "optimizer")
    assert set(done.tensors) == {"a.weight", "b", "twice", "half"}
    found = load_file(out)
    assert set(found) == {"a.weight", "b", "twice", "half"}
    assert torch.equal(found["a.weight"], TENSORS["a.weight"])
    assert torch.equal(found["twice"], TENSORS["a.weight"])
    assert (found["b"].dtype, found["half"].dtype) == (torch.int64, torch.float16)
    with pytest.raises(FileExistsError, match="overwrite=True"):
        openclef.convert_weights(odd, out, trust=True)


def test_a_question_decides(odd: Path) -> None:
    out = odd.with_name("b.safetensors")
    questions: list[str] = []

    def refuse(question: str) -> bool:
        questions.append(question)
        return False

    with pytest.raises(ValueError, match="only if you trust"):
        openclef.convert_weights(odd, out, ask=refuse)
    assert "None of it is imported or run here" in questions[0]
    openclef.convert_weights(odd, out, ask=lambda question: True)
    assert out.exists()


@pytest.mark.parametrize("kind", [Danger, Evaluates])
@pytest.mark.parametrize("deep", [False, True])
def test_nothing_in_a_malicious_file_runs(tmp_path: Path, kind: type[Danger], deep: bool) -> None:
    place = tmp_path / "ran"
    danger: Any = kind(place)
    content = {"model": dict(TENSORS), "more": {"list": [danger], "set": (danger,)} if deep else danger}
    torch.save(content, tmp_path / "bad.pt")
    asked = openclef.convert_weights(
        tmp_path / "bad.pt", tmp_path / "out.safetensors", trust=True
    ).not_imported
    assert not place.exists()
    assert set(asked) & {"posix.system", "nt.system", "builtins.eval", "__builtin__.eval"}
    assert set(load_file(tmp_path / "out.safetensors")) == set(TENSORS)


def test_a_malicious_state_dict_gives_no_tensors(tmp_path: Path) -> None:
    torch.save({"model": Danger(tmp_path / "ran")}, tmp_path / "bad.pt")
    with pytest.raises(ValueError, match="no tensors"):
        openclef.convert_weights(tmp_path / "bad.pt", tmp_path / "out.safetensors", trust=True)
    assert not (tmp_path / "ran").exists()


def test_a_key_says_where(tmp_path: Path) -> None:
    torch.save({"model": {"x": torch.zeros(1)}, "ecg_model": TENSORS, "c": Settings()}, tmp_path / "a.pt")
    openclef.convert_weights(tmp_path / "a.pt", tmp_path / "a.safetensors", trust=True, key="ecg_model")
    assert set(load_file(tmp_path / "a.safetensors")) == set(TENSORS)
    with pytest.raises(ValueError, match=r"no 'encoder' at its top; it has 'model', 'ecg_model', 'c'"):
        openclef.convert_weights(tmp_path / "a.pt", tmp_path / "b.safetensors", trust=True, key="encoder")


def test_files_that_are_none(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="does not exist"):
        openclef.convert_weights(tmp_path / "none.pt", tmp_path / "a.safetensors")
    with pytest.raises(ValueError, match=r"does not end in \.safetensors"):
        openclef.convert_weights(tmp_path / "none.pt", tmp_path / "a.pt")
    (tmp_path / "old.pt").write_bytes(pickle.dumps(TENSORS))
    with pytest.raises(ValueError, match=r"no file of PyTorch 1\.6 or later"):
        openclef.convert_weights(tmp_path / "old.pt", tmp_path / "a.safetensors")
    whole = io.BytesIO()
    torch.save({"model": TENSORS}, whole)
    (tmp_path / "cut.pt").write_bytes(whole.getvalue()[:-100])
    with zipfile.ZipFile(tmp_path / "zip.pt", "w") as archive:
        archive.writestr("a/data.pkl", b"nonsense")
    for name in ("cut.pt", "zip.pt"):
        with pytest.raises(ValueError, match=r"download it again|damaged"):
            openclef.convert_weights(tmp_path / name, tmp_path / "a.safetensors", trust=True)
    torch.save({"epoch": 3}, tmp_path / "empty.pt")
    with pytest.raises(ValueError, match="holds no tensors"):
        openclef.convert_weights(tmp_path / "empty.pt", tmp_path / "a.safetensors", trust=True)
    assert not (tmp_path / "a.safetensors").exists()


def test_from_a_refused_file_to_an_encoder(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from openclef.published import PUBLISHED

    tensors = {name: torch.zeros(like.shape) for name, like in PUBLISHED["clef_small"].expected().items()}
    file, out = tmp_path / "clef_small.ckpt", tmp_path / "clef_small.safetensors"
    torch.save({"state_dict": tensors, "settings": Settings()}, file)
    with pytest.raises(ValueError, match=r"openclef convert_weights .*clef_small\.ckpt weights\.safetensors"):
        openclef.load("clef_small", weights=file)
    assert cli.main(["convert_weights", str(file), str(out)]) == 1  # nobody there to ask
    assert "--trust true" in capsys.readouterr().err
    assert cli.main(["convert_weights", str(file), str(out), "--trust", "true"]) == 0
    printed = capsys.readouterr().out
    assert "left out, beside them: settings" in printed
    assert "asked for and not imported: " in printed
    assert openclef.load("clef_small", weights=out).dim == 256


class Program(torch.nn.Module):
    """A program of TorchScript, which is run by loading and calling it."""

    def forward(self, signal: torch.Tensor) -> torch.Tensor:
        return signal + 1


@pytest.mark.parametrize("twice", [False, True])
def test_a_program_is_refused_before_it_is_loaded(tmp_path: Path, twice: bool) -> None:
    file = tmp_path / "program.pt"
    torch.jit.trace(Program(), torch.zeros(1)).save(file)
    if twice:  # an archive within another file's bytes, which readers may see differently
        with zipfile.ZipFile(tmp_path / "other.pt", "w") as archive:
            archive.writestr("a/data.pkl", b"x")
        file.write_bytes(file.read_bytes() + (tmp_path / "other.pt").read_bytes())
    message = r"is a TorchScript program.*torch\.jit\.load\(old\)\.state_dict\(\)"
    with pytest.raises(ValueError, match=message):
        openclef.convert_weights(file, tmp_path / "a.safetensors", trust=True)
    with pytest.raises(ValueError, match=message):
        unknown_globals(file)
    with pytest.raises(ValueError, match=message):
        openclef.load("clef_small", weights=file)
    assert not (tmp_path / "a.safetensors").exists()


def test_one_flipped_bit_is_noticed(tmp_path: Path) -> None:
    file = tmp_path / "a.pt"
    torch.save({"model": {"a": torch.arange(4096.0)}}, file)
    content = bytearray(file.read_bytes())
    content[content.index(torch.arange(4096.0).numpy().tobytes()[-64:]) + 3] ^= 1
    file.write_bytes(content)
    with pytest.raises(ValueError, match=r"is damaged .*download it again"):
        openclef.convert_weights(file, tmp_path / "a.safetensors", trust=True)
    with pytest.raises(ValueError, match=r"is damaged .*download it again"):
        openclef.load("clef_small", weights=file)


def test_tensors_that_safetensors_cannot_hold_are_named(tmp_path: Path) -> None:
    whole = torch.ones(3, 3)
    cases = {
        "two tensors of the name '1'": {1: whole, "1": whole},
        "safetensors keeps for itself": {"__metadata__": whole},
        "its top has 's'": {"s": whole.to_sparse()},
        "claims tensors of 40,000,000,000,000 bytes": {"e": torch.ones(1).expand(10**13)},
        "at its top; its top has 'encoder', 'epoch'": {"encoder": {"a": whole}, "epoch": 3},
    }
    for message, content in cases.items():
        torch.save(content, tmp_path / "a.pt")
        with pytest.raises(ValueError, match=message):
            openclef.convert_weights(tmp_path / "a.pt", tmp_path / "a.safetensors", trust=True)
    assert not (tmp_path / "a.safetensors").exists()
    torch.save({"model": {"a": whole, "cls": {"b": whole}}, "epoch": 3}, tmp_path / "b.pt")
    done = openclef.convert_weights(tmp_path / "b.pt", tmp_path / "b.safetensors")
    assert done == (("a",), ("epoch", "cls"), ())


@pytest.mark.parametrize("kind", [torch.uint16, torch.uint64, torch.float8_e4m3fn])
def test_rare_kinds_of_numbers_are_taken(tmp_path: Path, kind: torch.dtype) -> None:
    torch.save({"a": torch.ones(3).to(kind)}, tmp_path / "a.pt")
    openclef.convert_weights(tmp_path / "a.pt", tmp_path / "a.safetensors")
    found = load_file(tmp_path / "a.safetensors")["a"]
    assert found.dtype == kind
    assert found.float().tolist() == [1.0, 1.0, 1.0]


def test_a_state_dict_that_is_another_s_is_named_and_not_printed() -> None:
    from openclef.published import PUBLISHED

    small = {
        name: torch.zeros(like.shape, dtype=like.dtype)
        for name, like in PUBLISHED["clef_small"].expected().items()
    }
    with pytest.raises(ValueError, match=r"^the state dict holds clef_small, not clef_medium; pass"):
        openclef.load("clef_medium", weights=small)
    with pytest.raises(ValueError, match="the state dict is empty, no state dict; pass"):
        openclef.load("clef_medium", weights={})
    for path in (None, 3, " "):
        with pytest.raises(ValueError, match=r"path is .*; pass a run folder"):
            openclef.load(path)  # type: ignore[arg-type]
