"""MATLAB files: versions 4 to 7.2 by scipy, version 7.3 as MATLAB lays it out in HDF5."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np


def write_matlab(path: Path, values: Mapping[str, Any], version: str = "5", packed: bool = False) -> Path:
    """Write variables: arrays, numbers, texts, and lists of texts, which become cells (in version 4, rows of text)."""
    if version == "7.3":
        return _write_73(path, values, packed)
    from scipy.io import savemat

    ready = {
        name: np.array(value, dtype=object) if isinstance(value, list) and version == "5" else value
        for name, value in values.items()
    }
    savemat(path, ready, format=version, do_compression=packed)
    return path


def _write_73(path: Path, values: Mapping[str, Any], packed: bool) -> Path:
    import h5py

    with h5py.File(path, "w", userblock_size=512) as file:
        for name, value in values.items():
            if isinstance(value, list):
                references = []
                for place, text in enumerate(value):
                    _text(file, f"#refs#/{name}{place}", text)
                    references.append(file[f"#refs#/{name}{place}"].ref)
                cells = np.array([references], dtype=object).T
                item = file.create_dataset(name, data=cells, dtype=h5py.ref_dtype)
                item.attrs["MATLAB_class"] = np.bytes_("cell")
            elif isinstance(value, str):
                _text(file, name, value)
            else:
                array = np.atleast_2d(np.asarray(value))
                item = file.create_dataset(name, data=array.T, compression="gzip" if packed else None)
                kind = {"float64": "double", "float32": "single"}.get(array.dtype.name, array.dtype.name)
                item.attrs["MATLAB_class"] = np.bytes_(kind)
    with path.open("r+b") as file:
        title = (
            b"MATLAB 7.3 MAT-file, Platform: GLNXA64, Created on: Mon Jan  1 00:00:00 2024 HDF5 schema 1.00 ."
        )
        file.write(title.ljust(116) + bytes(8) + b"\x00\x02IM")
    return path


def _text(file: Any, name: str, text: str) -> None:
    item = file.create_dataset(name, data=np.array([[ord(letter)] for letter in text], dtype=np.uint16))
    item.attrs["MATLAB_class"] = np.bytes_("char")
