"""Encoder: a backbone with the preprocessing that it was trained behind, saved to and loaded from a folder.

A model folder holds `config.json` (architecture, preprocessing, name, labels, head, hash of the weights) and
`model.safetensors`.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from openclef.backbone import BACKBONES
from openclef.head import Head
from openclef.preprocessing import Preprocessing
from openclef.store import write_atomically

FORMAT = "openclef-model"
FORMAT_VERSION = 1
CONFIG_KEYS = (
    "format",
    "format_version",
    "backbone",
    "backbone_settings",
    "preprocessing",
    "name",
    "labels",
    "weights_sha256",
)


class Encoder(nn.Module):
    """A backbone and its preprocessing, as they are used, saved and handed on together.

    Args:
        backbone: Module from (batch, leads, time) to (batch, dim), with `.dim`; from `BACKBONES` or your own.
        preprocessing: What is done to signals before the backbone; the default one unless given.
        name: What the model is called in results.
        backbone_name: Its name in `BACKBONES`; needed to save the encoder.
        backbone_settings: The keyword settings that it was built with; needed to save the encoder.
        labels: What each output stands for, where the backbone's own outputs are predictions; None for features.
        head: What makes predictions of the features; its labels are then the encoder's.
        lead_names: Names of the backbone's leads in order, where it takes several; None for one, any.

    Raises:
        ValueError: The backbone does not say its `.dim`, or labels, head or lead names do not fit it.

    Example:
        >>> backbone = BACKBONES["resnext1d_small"]()
        >>> encoder = Encoder(backbone, Preprocessing(fs=100), name="untrained")
        >>> encoder.dim, encoder.leads, encoder.preprocessing.samples
        (256, 1, 1000)
        >>> encoder(torch.zeros(2, 1, 1000)).shape
        torch.Size([2, 256])
    """

    def __init__(
        self,
        backbone: nn.Module,
        preprocessing: Preprocessing | None = None,
        name: str = "",
        backbone_name: str = "",
        backbone_settings: Mapping[str, Any] | None = None,
        labels: Sequence[str] | None = None,
        head: Head | None = None,
        lead_names: Sequence[str] | None = None,
    ) -> None:
        super().__init__()
        dim = getattr(backbone, "dim", None)
        if not isinstance(dim, int):
            raise ValueError(
                f"{type(backbone).__name__} has no .dim; give a backbone its number of features as .dim."
            )
        if labels is not None and len(labels) != dim:
            raise ValueError(f"{len(labels)} labels were given for {dim} outputs; pass one label an output.")
        if head is not None and (labels is not None or head.linear.in_features != dim):
            raise ValueError(
                f"a head of {head.linear.in_features} features was given for {dim} outputs with labels {labels}; "
                "pass a head of as many features, and no labels beside it."
            )
        self.backbone = backbone
        self.dim: int = dim
        self.leads: int = getattr(backbone, "leads", 1)
        self.lead_names = tuple(lead_names or ())
        if self.lead_names and len(self.lead_names) != self.leads:
            raise ValueError(
                f"{len(self.lead_names)} lead names were given for a backbone of {self.leads} leads; pass one a lead."
            )
        self.preprocessing = Preprocessing() if preprocessing is None else preprocessing
        self.name = name
        self.backbone_name = backbone_name
        self.backbone_settings = dict(backbone_settings or {})
        self.head = head
        self.labels = head.labels if head is not None else None if labels is None else tuple(labels)
        self.pretraining_subjects: frozenset[str] | None = None
        self.subjects_complete = True
        self.ignored: tuple[str, ...] = ()

    def forward(self, signal: Tensor) -> Tensor:
        """Embed preprocessed signals.

        Args:
            signal: (batch, leads, time), as `preprocessing` returns it.

        Returns:
            (batch, dim): features, whether there is a head or not.

        Example:
            >>> Encoder(BACKBONES["resnext1d_small"]())(torch.zeros(2, 1, 5000)).shape
            torch.Size([2, 256])
        """
        return self.backbone(signal)

    @torch.no_grad()
    def embed(self, signal: Tensor | np.ndarray, fs: float, unit: str = "mV") -> Tensor:
        """Preprocess and embed recorded signals, in evaluation mode and without gradient.

        Args:
            signal: (batch, leads, time), NaN where missing, at most the preprocessing's window long.
            fs: Its sampling rate in Hz.
            unit: "mV", "uV" or "zscore".

        Returns:
            (batch, dim), on the encoder's device.

        Raises:
            ValueError: A shape, rate, length or unit that this encoder does not take.

        Example:
            >>> encoder = Encoder(BACKBONES["resnext1d_small"]())
            >>> encoder.embed(np.random.default_rng(0).normal(size=(3, 1, 2500)), fs=250).shape
            torch.Size([3, 256])
        """
        return self._in_use(signal, fs, unit)

    @torch.no_grad()
    def predict(self, signal: Tensor | np.ndarray, fs: float, unit: str = "mV") -> Tensor:
        """Preprocess recorded signals and predict with the head, in evaluation mode and without gradient.

        Args:
            signal: (batch, leads, time), NaN where missing, at most the preprocessing's window long.
            fs: Its sampling rate in Hz.
            unit: "mV", "uV" or "zscore".

        Returns:
            (batch, labels): calibrated probabilities, or values in the target's unit, on the encoder's device.

        Raises:
            ValueError: There is no head, or a shape, rate, length or unit that this encoder does not take.

        Example:
            >>> encoder = Encoder(BACKBONES["resnext1d_small"](), head=Head(256, ["af"], "binary"))
            >>> encoder.labels, encoder.predict(np.zeros((3, 1, 2500)), fs=250).shape
            (('af',), torch.Size([3, 1]))
        """
        return self.required_head().predict(self._in_use(signal, fs, unit))

    def required_head(self) -> Head:
        """Return the head.

        Raises: ValueError: There is none.
        """
        if self.head is None:
            raise ValueError(
                f"{self.name or 'this encoder'} has no head, so it predicts nothing; fine-tune it with "
                "openclef.finetune, or use openclef.embed for its features."
            )
        return self.head

    def _in_use(self, signal: Tensor | np.ndarray, fs: float, unit: str) -> Tensor:
        signal = torch.as_tensor(signal)
        if signal.ndim != 3 or signal.shape[1] != self.leads:
            raise ValueError(
                f"signal has shape {tuple(signal.shape)}; this encoder takes (batch, {self.leads}, time). "
                "Select its leads by name first."
            )
        if unit == "uV":
            signal, unit = signal * 1e-3, "mV"
        self.preprocessing.check(fs, unit)
        device = next((parameter.device for parameter in self.parameters()), signal.device)
        training = self.training
        self.eval()
        try:
            return self(self.preprocessing(signal.to(device), fs))
        finally:
            self.train(training)

    def to_config(self) -> dict[str, Any]:
        """Return what rebuilds this encoder, but for its weights, as plain values for JSON.

        Raises:
            ValueError: The backbone's name is unknown.

        Example:
            >>> encoder = Encoder(BACKBONES["resnext1d_small"](), backbone_name="resnext1d_small")
            >>> encoder.to_config()["backbone"]
            'resnext1d_small'
        """
        _check_backbone_name(self.backbone_name, "this encoder")
        return {
            "format": FORMAT,
            "format_version": FORMAT_VERSION,
            "backbone": self.backbone_name,
            "backbone_settings": self.backbone_settings,
            "preprocessing": self.preprocessing.to_dict(),
            "name": self.name,
            "labels": None if self.labels is None else list(self.labels),
            "lead_names": list(self.lead_names),
            "head": None if self.head is None else self.head.to_config(),
        }


def save_encoder(encoder: Encoder, folder: str | Path) -> Path:
    """Write an encoder into a folder: `model.safetensors`, then `config.json` with the hash of the weights.

    Args:
        encoder: Its backbone must be one of `BACKBONES`, with the settings that it was built with.
        folder: Made if need be; an encoder in it is replaced.

    Returns:
        The folder.

    Raises:
        ValueError: The backbone's name is unknown, or the settings do not build this encoder's tensors.

    Example:
        >>> import tempfile
        >>> encoder = Encoder(BACKBONES["resnext1d_small"](), backbone_name="resnext1d_small")
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     loaded = load_encoder(save_encoder(encoder, folder))
        >>> loaded.dim
        256
    """
    folder = Path(folder)
    config = encoder.to_config()
    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in encoder.state_dict().items()}
    with torch.device("meta"):
        rebuilt = _build(config, "this encoder")
    check_tensors(rebuilt.state_dict(), tensors, "this encoder")
    folder.mkdir(parents=True, exist_ok=True)
    weights = folder / "model.safetensors"
    write_atomically(weights, lambda path: save_file(tensors, path, metadata={"format": "pt"}))
    config["weights_sha256"] = _sha256(weights)
    text = json.dumps(config, indent=1) + "\n"
    write_atomically(folder / "config.json", lambda path: _write_text(path, text))
    return folder


def load_encoder(folder: str | Path) -> Encoder:
    """Load an encoder from a folder that `save_encoder` wrote, in evaluation mode, on the CPU.

    Args:
        folder: Holds `config.json` and `model.safetensors`.

    Returns:
        The encoder.

    Raises:
        FileNotFoundError: One of the files is not there.
        ValueError: Another format or version, an unknown backbone or setting, weights of another hash, or
            tensors that are missing, unexpected, of another shape or kind, or not finite.

    Example:
        >>> load_encoder("no/such/folder")
        Traceback (most recent call last):
        ...
        FileNotFoundError: no/such/folder/config.json does not exist; ...
    """
    folder = Path(folder)
    for file in (folder / "config.json", folder / "model.safetensors"):
        if not file.is_file():
            raise FileNotFoundError(
                f"{file} does not exist; pass a model folder with config.json and model.safetensors."
            )
    source = str(folder)
    config = _read_config(folder / "config.json")
    if _sha256(folder / "model.safetensors") != config["weights_sha256"]:
        raise ValueError(
            f"{folder / 'model.safetensors'} has changed since it was saved (its hash is not config.json's); "
            "copy the whole folder again."
        )
    try:
        tensors = load_file(folder / "model.safetensors")
    except SafetensorError as error:
        raise ValueError(
            f"{folder / 'model.safetensors'} is damaged ({error}); copy the folder again."
        ) from error
    with torch.random.fork_rng(devices=[]):  # a model that is loaded leaves the caller's random numbers alone
        encoder = _build(config, source)
    check_tensors(encoder.state_dict(), tensors, source)
    encoder.load_state_dict(tensors)
    return encoder.eval()


def check_tensors(expected: Mapping[str, Tensor], given: Mapping[str, Tensor], source: str) -> None:
    """Refuse weights that are not exactly those of an architecture.

    Args:
        expected: Tensors of each name's shape and kind; they may be on the device "meta".
        given: The tensors by name; floating-point ones in any precision of at least 16 bit.
        source: Where they come from, for the message.

    Raises:
        ValueError: Tensors are missing, unexpected, of another shape or kind, not finite, or variances below zero;
            the message names them.

    Example:
        >>> check_tensors({"a": torch.zeros(2)}, {"b": torch.zeros(2)}, "weights.pt")
        Traceback (most recent call last):
        ...
        ValueError: weights.pt does not fit: 1 missing (a); 1 unexpected (b). Pass ...
    """
    both = [name for name in expected if name in given]
    alike = [name for name in both if _is_of_kind(given[name], expected[name])]
    same = [name for name in alike if given[name].shape == expected[name].shape]
    faults = {
        "missing": [name for name in expected if name not in given],
        "unexpected": [name for name in given if name not in expected],
        "of another shape": [
            f"{name}: {tuple(given[name].shape)} instead of {tuple(expected[name].shape)}"
            for name in both
            if given[name].shape != expected[name].shape
        ],
        "of another kind": [
            f"{name}: {_kind(given[name])} instead of {_kind(expected[name])}"
            for name in both
            if name not in alike
        ],
        "not finite": [
            name for name in same if not bool(torch.isfinite(given[name].to(expected[name].dtype)).all())
        ],
        "below zero": [
            name for name in same if name.endswith("running_var") and bool((given[name] < 0).any())
        ],
    }
    if any(faults.values()):
        raise ValueError(
            f"{source} does not fit: "
            + "; ".join(
                f"{len(names)} {fault} ({_first_few(names)})" for fault, names in faults.items() if names
            )
            + ". Pass the weights of this architecture, whole and unchanged."
        )


_FLOATS = (torch.float16, torch.bfloat16, torch.float32, torch.float64)
_INTEGERS = (torch.uint8, torch.int8, torch.int16, torch.int32, torch.int64)


def _is_of_kind(given: Tensor, expected: Tensor) -> bool:
    if given.layout != torch.strided or given.is_meta:
        return False
    kinds = next((kinds for kinds in (_FLOATS, _INTEGERS) if expected.dtype in kinds), (expected.dtype,))
    return given.dtype in kinds


def _kind(tensor: Tensor) -> str:
    name = str(tensor.dtype).removeprefix("torch.")
    if tensor.layout != torch.strided:
        return f"{str(tensor.layout).removeprefix('torch.')} {name}"
    return f"{name} without values" if tensor.is_meta else name


def _first_few(names: Sequence[str], shown: int = 5) -> str:
    return ", ".join(names[:shown]) + (", ..." if len(names) > shown else "")


def _read_config(file: Path) -> dict[str, Any]:
    try:
        config = json.loads(file.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ValueError(f"{file} is no JSON ({error}); copy the model folder again.") from error
    if not isinstance(config, dict) or config.get("format") != FORMAT:
        raise ValueError(f"{file} does not describe an openclef model; its format must be {FORMAT!r}.")
    if config.get("format_version") != FORMAT_VERSION:
        raise ValueError(
            f"{file} has format_version {config.get('format_version')!r}; this openclef reads "
            f"{FORMAT_VERSION}. Load it with the version of openclef that wrote it."
        )
    missing = [key for key in CONFIG_KEYS if key not in config]
    if missing:
        raise ValueError(f"{file} lacks {', '.join(missing)}; copy the model folder again.")
    return config


def _build(config: Mapping[str, Any], source: str) -> Encoder:
    _check_backbone_name(config["backbone"], source)
    try:
        backbone = BACKBONES[config["backbone"]](**config["backbone_settings"])
    except TypeError as error:
        raise ValueError(
            f"{source} has settings that {config['backbone']} does not take ({error}); "
            "correct backbone_settings."
        ) from error
    head = _build_head(config.get("head"), source)  # models of before heads have no such key
    return Encoder(
        backbone,
        Preprocessing.from_dict(config["preprocessing"]),
        name=config["name"],
        backbone_name=config["backbone"],
        backbone_settings=config["backbone_settings"],
        labels=None if head is not None else config["labels"],
        head=head,
        lead_names=config.get("lead_names"),  # models of before have no such key, and one lead
    )


def _build_head(settings: Mapping[str, Any] | None, source: str) -> Head | None:
    if settings is None:
        return None
    try:
        return Head(**settings)
    except TypeError as error:
        raise ValueError(f"{source} has a damaged head ({error}); copy the model folder again.") from error


def _check_backbone_name(name: str, source: str) -> None:
    if name not in BACKBONES:
        raise ValueError(
            f"{source} names the backbone {name!r}; known are {', '.join(BACKBONES)}. "
            "Pass backbone_name=<one of them>, or add yours to openclef.backbone.BACKBONES."
        )


def _sha256(file: Path) -> str:
    with file.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()


def _write_text(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8")
