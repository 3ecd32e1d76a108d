"""Features of a store's rows, kept in a folder, so that no protocol, task or label budget computes them again."""

from __future__ import annotations

import hashlib
import json
import zlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

from openclef.shards import sha256_of
from openclef.store import Store, write_atomically

__all__ = ["FeatureCache", "encoder_sha256"]


class FeatureCache:
    """Features of rows of stores, one file for each combination of model, store, lead and condition.

    A file holds the rows that were asked for so far and no others, however many the store has. The folder may be
    deleted at any time; a damaged file is computed anew.

    Args:
        folder: Where the files lie; made when the first is written.

    Example:
        >>> import tempfile
        >>> cache = FeatureCache(Path(tempfile.mkdtemp()) / "cache")
        >>> compute = lambda rows: np.array(rows, float)[:, None]
        >>> cache.rows({"model": "a"}, np.array([2, 0]), 3, compute).ravel().tolist()
        [2.0, 0.0]
    """

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder)

    def rows(
        self,
        about: Mapping[str, Any],
        rows: NDArray[np.integer],
        total: int,
        compute: Callable[[NDArray[np.integer]], NDArray[np.floating]],
    ) -> NDArray[np.floating]:
        """Features of rows; those that are not there yet are computed and kept.

        Args:
            about: What decides the features; plain values.
            rows: (n,) row numbers.
            total: Rows of the store.
            compute: From row numbers to (rows, features).

        Returns:
            (n, features), the same as `compute(rows)` gives.

        Example:
            >>> import tempfile
            >>> cache = FeatureCache(tempfile.mkdtemp())
            >>> cache.rows({}, np.array([1]), 2, lambda rows: np.ones((len(rows), 4))).shape
            (1, 4)
        """
        file = self.folder / f"{_sha256(about)[:32]}.npz"
        known, values = _read(file, total)
        missing = np.setdiff1d(rows, known)
        if missing.size or values is None:
            found = compute(missing)
            if values is not None and values.shape[1] != found.shape[1]:
                values, missing = None, np.unique(rows)  # another model's, put into this place
                found = compute(missing)
            if values is None:
                known, values = missing, found
            else:
                order = np.argsort(known := np.concatenate([known, missing]))
                known, values = known[order], np.concatenate([values, found])[order]
            self.folder.mkdir(parents=True, exist_ok=True)
            now = known, values
            write_atomically(file, lambda path: _write(path, *now, total))
        return values[np.searchsorted(known, rows)]


def _read(file: Path, total: int) -> tuple[NDArray[np.integer], NDArray[np.floating] | None]:
    """Row numbers, ascending, and their values; None where there are none, or none that fit."""
    nothing = np.zeros(0, np.int64), None
    if not file.is_file():
        return nothing
    try:
        with file.open("rb") as opened, np.load(opened, allow_pickle=False) as kept:
            known, values, of = kept["known"], kept["values"], kept["total"]
    except (ValueError, OSError, KeyError, EOFError, BadZipFile, TypeError, RuntimeError, zlib.error):
        return nothing
    if known.ndim != 1 or known.dtype.kind != "i" or of.shape != () or of != total:
        return nothing
    within = not known.size or (known[0] >= 0 and known[-1] < total and bool((np.diff(known) > 0).all()))
    return (known, values) if within and values.ndim == 2 and len(values) == len(known) else nothing


def _write(path: Path, known: NDArray[np.integer], values: NDArray[np.floating], total: int) -> None:
    with path.open("wb") as file:
        np.savez(file, known=known, values=values, total=total)


def _sha256(about: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(about, sort_keys=True, default=str).encode()).hexdigest()


def store_sha256(store: Store) -> str:
    """Hash of what a store holds: its description with the hashes of all shards and of the records.

    Example:
        >>> store_sha256(Store("nowhere"))
        Traceback (most recent call last):
        ...
        FileNotFoundError: ...
    """
    return sha256_of(store.path / "dataset.json")


def encoder_sha256(encoder: Any) -> str:
    """Hash of what decides an encoder's features: architecture, weights and preprocessing.

    Args:
        encoder: An `Encoder` or another module with weights.

    Returns:
        Hexadecimal; encoders with the same hash give the same features.

    Example:
        >>> from openclef.protocol.baselines import random_encoder
        >>> encoder_sha256(random_encoder(seed=0)) == encoder_sha256(random_encoder(seed=0))
        True
        >>> encoder_sha256(random_encoder(seed=0)) == encoder_sha256(random_encoder(seed=1))
        False
    """
    preprocessing = getattr(encoder, "preprocessing", None)
    about = {
        "class": type(encoder).__qualname__,
        "backbone": getattr(encoder, "backbone_name", "") or str(encoder),
        "settings": getattr(encoder, "backbone_settings", {}),
        "preprocessing": preprocessing.to_dict() if preprocessing is not None else None,
    }
    digest = hashlib.sha256(json.dumps(about, sort_keys=True, default=str).encode())
    update_with_weights(digest, encoder)
    return digest.hexdigest()


def update_with_weights(digest: Any, module: Any) -> None:
    """Add a module's weights, of whatever type, to a hash.

    Args:
        digest: From `hashlib`.
        module: The module.

    Example:
        >>> import torch
        >>> digest = hashlib.sha256()
        >>> update_with_weights(digest, torch.nn.Linear(2, 2).bfloat16())
    """
    import torch

    for name, tensor in module.state_dict().items():
        flat = tensor.detach().cpu().contiguous().reshape(-1)
        digest.update(name.encode() + flat.view(torch.uint8).numpy().tobytes())


def may_keep(encoder: Any) -> bool:
    """Whether an encoder's hash says all about it: an `Encoder` of an architecture that openclef knows.

    A module of one's own may hold settings beside its weights, so its features are not kept.

    Example:
        >>> may_keep("no encoder")
        False
    """
    from openclef.backbone import BACKBONES
    from openclef.model import Encoder

    return type(encoder) is Encoder and encoder.backbone_name in BACKBONES
