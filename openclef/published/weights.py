"""Reading published weights: safetensors, or PyTorch's files without running anything in them."""

from __future__ import annotations

import pickle
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from openclef.published.archive import check_archive

__all__ = ["read_weights", "state_dict_of"]

HOLDERS = ("state_dict", "model_state_dict", "model")
"""Keys under which published checkpoints hold their state dict, in the order of trying."""


def read_weights(path: str | Path, holder: str = "") -> Any:
    """Read a file of weights: a state dict, or whatever a checkpoint holds beside one.

    Args:
        path: A file that ends in .safetensors, .ckpt, .pt, .pth or .bin.
        holder: Key under which the wanted tensors are, where it is none of `HOLDERS`; for the message that says how
            a refused file is converted.

    Returns:
        What the file holds, on the CPU.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: Another kind of file, a damaged one, a program, or a pickle that needs more than tensors.

    Example:
        >>> read_weights("no.ckpt")
        Traceback (most recent call last):
        ...
        FileNotFoundError: no.ckpt does not exist; pass a file of published weights.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"{path} does not exist; pass a file of published weights.")
    damaged = f"{path} cannot be read as weights"
    if path.suffix == ".safetensors":
        try:
            return load_file(path)
        except SafetensorError as error:
            raise ValueError(f"{damaged} ({error}); download it again.") from error
    if path.suffix not in (".ckpt", ".pt", ".pth", ".bin"):
        raise ValueError(
            f"{path} ends in {path.suffix!r}; published weights end in .ckpt, .pt, .pth, .bin or .safetensors. "
            "Pass such a file, or a state dict."
        )
    check_archive(path)
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        key = f" --key {holder}" if holder else ""
        reason = str(error).split("WeightsUnpickler error:")[-1].strip().splitlines()[0]
        raise ValueError(
            f"{path} is refused: it is damaged, or a pickle that needs more than tensors and could run code "
            f"({reason[:300]}). If you trust where it comes from, take its tensors out of it: "
            f"openclef convert_weights {path} weights.safetensors{key}"
        ) from error
    except (
        RuntimeError,
        EOFError,
        OSError,
        KeyError,
        ValueError,
        IndexError,
        TypeError,
        AttributeError,
    ) as error:
        raise ValueError(f"{damaged} ({error}); download it again.") from error


def state_dict_of(content: Any, source: str, holder: str = "") -> dict[str, Tensor]:
    """Return the state dict in what a checkpoint holds.

    Args:
        content: A state dict, or a dict that holds one under one of `HOLDERS`.
        source: Where it comes from, for messages.
        holder: Another key that comes before those.

    Returns:
        Tensors by name.

    Raises:
        ValueError: There is none, or something in it is no tensor.

    Example:
        >>> list(state_dict_of({"state_dict": {"a": torch.zeros(1)}, "epoch": 3}, "a.ckpt"))
        ['a']
    """
    for key in (holder, *HOLDERS) if holder else HOLDERS:
        if isinstance(content, Mapping) and isinstance(content.get(key), Mapping):
            content = content[key]
            break
    if not isinstance(content, Mapping) or not content:
        found = (
            f"holds {type(content).__name__}, no state dict" if content != {} else "is empty, no state dict"
        )
        raise ValueError(
            f"{source} {found}; pass one of tensors, or a dict "
            f"that holds one under {', '.join(map(repr, HOLDERS))}."
        )
    other = [str(name) for name, tensor in content.items() if not isinstance(tensor, Tensor)]
    if other:
        raise ValueError(
            f"{source} holds entries that are no tensors ({', '.join(other[:5])}); "
            "pass a state dict of tensors."
        )
    return {str(name): tensor for name, tensor in content.items()}
