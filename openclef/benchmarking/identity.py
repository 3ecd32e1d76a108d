"""What an encoder is known by, so that its cells are found again: hashes of all that decides its features."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

import numpy as np

from openclef.protocol.cache import encoder_sha256, may_keep

__all__ = ["source_sha256", "subjects_sha256"]

# Told elsewhere (weights and parts in the state, preprocessing, subjects), or no setting of the features.
_NOT_SETTINGS = (
    "training",
    "_parameters",
    "_buffers",
    "_modules",
    "_non_persistent_buffers_set",
    "preprocessing",
    "pretraining_subjects",
)


def source_sha256(encoder: Any) -> str:
    """Hash of an encoder; a module of one's own is known by its class, weights and settings in plain values.

    Args:
        encoder: An `Encoder` or another module. Of a module of one's own count, beside its weights, attributes that are
            numbers, text, arrays, tensors, or lists, tuples, sets and mappings of these.

    Returns:
        Hexadecimal.

    Example:
        >>> from openclef.protocol.baselines import random_encoder
        >>> source_sha256(random_encoder(seed=0)) == source_sha256(random_encoder(seed=1))
        False
    """
    digest = encoder_sha256(encoder)
    if may_keep(encoder):
        return digest
    return hashlib.sha256((digest + _settings_of(encoder)).encode()).hexdigest()


def subjects_sha256(encoder: Any) -> str:
    """Hash of whom an encoder was pretrained on; whether it may be judged on a store depends on it.

    Args:
        encoder: An `Encoder` or another module.

    Returns:
        Hexadecimal.

    Example:
        >>> import torch
        >>> len(subjects_sha256(torch.nn.Identity()))
        64
    """
    subjects = getattr(encoder, "pretraining_subjects", None)
    known = None if subjects is None else sorted(map(str, subjects))
    told = json.dumps([known, bool(getattr(encoder, "subjects_complete", True))])
    return hashlib.sha256(told.encode()).hexdigest()


def _settings_of(encoder: Any, above: tuple[int, ...] = ()) -> str:
    """Settings of a module and of those in it: plain ones, and behind them lists, arrays and the like, if any."""
    plain, several = {}, {}
    for place, module in encoder.named_modules():
        outside = {key: module._buffers[key] for key in module._non_persistent_buffers_set}  # of the state
        for key, value in (vars(module) | outside).items():
            if key in _NOT_SETTINGS or "_hooks" in key:
                continue
            if isinstance(value, (bool, int, float, str)):
                plain[f"{place}.{key}"] = value
            elif _holds_values(value):
                several[f"{place}.{key}"] = _in_words(value, (*above, id(encoder)))
    return json.dumps(plain, sort_keys=True) + (json.dumps(several, sort_keys=True) if several else "")


def _holds_values(value: Any) -> bool:
    import torch

    containers = (Mapping, list, tuple, set, frozenset)
    return isinstance(value, (*containers, np.ndarray, np.generic, torch.Tensor, complex, bytes))


def _in_words(value: Any, above: tuple[int, ...]) -> Any:
    """A value as JSON can hold it; of what is no plain value the type, and of what holds itself nothing more."""
    import torch

    kind = type(value).__qualname__
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    if isinstance(value, torch.Tensor):
        return [kind, str(value.dtype), list(value.shape), _tensor_sha256(value)]
    if isinstance(value, (np.ndarray, np.generic)) and not value.dtype.hasobject:
        digest = hashlib.sha256(np.ascontiguousarray(value).tobytes()).hexdigest()
        return [kind, str(value.dtype), list(value.shape), digest]
    if id(value) in above:
        return [kind]
    inside = (*above, id(value))
    if isinstance(value, torch.nn.Module):  # in a list, where torch does not see it
        state = [[name, _in_words(each, inside)] for name, each in value.state_dict().items()]
        return [kind, str(value), state, _settings_of(value, inside)]
    if isinstance(value, Mapping):
        pairs = [[_in_words(key, inside), _in_words(each, inside)] for key, each in value.items()]
        return [kind, sorted(pairs, key=json.dumps)]
    if isinstance(value, (set, frozenset)):
        return [kind, sorted((_in_words(each, inside) for each in value), key=json.dumps)]
    if isinstance(value, (list, tuple)):
        return [kind, [_in_words(each, inside) for each in value]]
    if isinstance(value, np.ndarray):
        return [kind, list(value.shape), [_in_words(each, inside) for each in value.ravel().tolist()]]
    return [kind, repr(value)] if isinstance(value, (complex, bytes)) else [kind]


def _tensor_sha256(tensor: Any) -> str:
    """Hash of a tensor's bytes, whatever its type; "" where it has none, as on torch's device meta."""
    import torch

    if tensor.is_meta or tensor.is_quantized:
        return ""
    dense = tensor.detach().to_dense() if tensor.layout != torch.strided else tensor.detach()
    whole = dense.resolve_conj().resolve_neg().cpu().contiguous().reshape(-1)
    return hashlib.sha256(whole.view(torch.uint8).numpy().tobytes()).hexdigest()
