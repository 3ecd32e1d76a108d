"""Import of the published CLEF weights (Zenodo 17572734: clef_small, clef_medium, clef_large)."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from openclef.backbone import BACKBONES
from openclef.backbone.resnext1d import SIZES
from openclef.model import Encoder, check_tensors
from openclef.preprocessing import Preprocessing
from openclef.published.description import Published
from openclef.published.weights import read_weights, state_dict_of

PREFIX = "backbone."
PREPROCESSING = Preprocessing(
    fs=500.0, seconds=10.0, band=(0.67, 40.0), order=5, normalise="zscore", filtering="scipy"
)


def _published_name(name: str) -> str:
    return PREFIX + name


def load_official(path_or_state_dict: str | Path | Mapping[str, Any]) -> Encoder:
    """Load published CLEF weights, with the preprocessing that they were trained behind.

    The size is inferred from the shapes. The published state dicts carry BatchNorm tensors that CLEF never
    used: their names and shapes are checked, then they are dropped (they may also be absent altogether).
    Tensors beside the encoder (a head, a loss), that is without the prefix `backbone.` where others have it,
    are left out and listed in `.ignored`.

    Args:
        path_or_state_dict: A file (.ckpt, .pt, .pth, .bin or .safetensors), a state dict, or a dict that holds one
            under "state_dict".

    Returns:
        Encoder in evaluation mode, on the CPU, named clef_small, clef_medium or clef_large.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: Another kind of file, a pickle that needs more than tensors, or tensors that are missing,
            unexpected, of another shape or not finite; the message names them.

    Source:
        Shu et al., CLEF, arXiv 2512.02180; weights: Zenodo 17572734.

    Example:
        >>> published = BACKBONES["resnext1d_small"](normalisation="batch").state_dict()
        >>> encoder = load_official({"state_dict": {f"backbone.{name}": t for name, t in published.items()}})
        >>> encoder.name, encoder.dim, encoder.preprocessing.filtering
        ('clef_small', 256, 'scipy')
    """
    if isinstance(path_or_state_dict, (str, Path)):
        path = Path(path_or_state_dict)
        content, source = read_weights(path), str(path)
    else:
        content, source = path_or_state_dict, "the state dict"
    tensors, ignored = _encoder_part(content, source)
    size = _size(tensors, source)
    with torch.device("meta"):
        whole = BACKBONES[size](leads=1, normalisation="batch").state_dict()
        backbone = BACKBONES[size](leads=1, normalisation="none")
    used = backbone.state_dict()
    expected = dict(whole)
    # BatchNorm's parameters, and its running statistics, are unused: each set may be absent, but not in part.
    statistics = [
        name for name in whole if name.endswith(("running_mean", "running_var", "num_batches_tracked"))
    ]
    scales = [name for name in whole if name not in used and name not in statistics]
    for unused in (scales, statistics):
        if not any(name in tensors for name in unused):
            expected = {name: tensor for name, tensor in expected.items() if name not in unused}
    check_tensors(expected, tensors, f"{source} (as {size})")
    weights = {name: tensors[name].detach().to("cpu", torch.float32, copy=True) for name in used}
    backbone.load_state_dict(weights, assign=True)
    encoder = Encoder(
        backbone,
        PREPROCESSING,
        name=size.replace("resnext1d", "clef"),
        backbone_name=size,
        backbone_settings={"leads": 1, "normalisation": "none"},
    )
    encoder.ignored = ignored
    return encoder.eval()


def _encoder_part(content: Any, source: str) -> tuple[dict[str, Tensor], tuple[str, ...]]:
    """The backbone's tensors without their prefix, and the names of those that belong to something else."""
    named = state_dict_of(content, source)
    inside = {name.removeprefix(PREFIX): t for name, t in named.items() if name.startswith(PREFIX)} or named
    ignored = tuple(name for name in named if not name.startswith(PREFIX)) if inside is not named else ()
    doubtful = [name for name in ignored if name.startswith(("first_conv.", "first_bn.", "stage_list."))]
    if doubtful:
        raise ValueError(
            f"{source} holds encoder tensors with the prefix {PREFIX!r} and without it "
            f"({', '.join(doubtful[:5])}); pass those of one encoder."
        )
    return inside, ignored


def _size(tensors: Mapping[str, Tensor], source: str) -> str:
    """The size most of whose tensors are there, by name and shape."""
    fitting = {}
    for name in SIZES:
        with torch.device("meta"):
            expected = BACKBONES[name](leads=1).state_dict()
        fitting[name] = sum(
            key in tensors and tensors[key].shape == tensor.shape for key, tensor in expected.items()
        ) / len(expected)
    best = max(fitting, key=lambda name: fitting[name])
    if fitting[best] == 0:
        raise ValueError(
            f"{source} holds no tensor of a CLEF encoder (its first: {', '.join(list(tensors)[:3])}); "
            f"names start with '{PREFIX}first_conv.' or '{PREFIX}stage_list.'. Pass published CLEF weights."
        )
    return best


def _size_of_clef(size: str, file: str) -> Published:
    return Published(
        title=f"CLEF, {size}",
        backbone=f"resnext1d_{size}",
        settings={"leads": 1, "normalisation": "none"},
        preprocessing=PREPROCESSING,
        layer="mean over time of the last stage",
        trained_on="161,000 patients of MIMIC-IV-ECG, single leads; contrastive, guided by SCORE2",
        licence="code under Clear BSD; weights as published",
        paper="Shu et al. 2025, arXiv 2512.02180",
        code="https://github.com/Nokia-Bell-Labs/ecg-foundation-model",
        weights="https://zenodo.org/records/17572734",
        file=file,
        published_name=_published_name,
        load=load_official,
    )


MODELS = {
    "clef_small": _size_of_clef("small", "clef_small.ckpt"),
    "clef_medium": _size_of_clef("medium", "clef_medium.ckpt"),
    "clef_large": _size_of_clef("large", "clef_largel.ckpt"),  # spelled as on Zenodo
}
"""The published sizes by name."""
