"""Arrays in ``.npy``, ``.npz`` and HDF5 files: one recording, or many of equal length. Never unpickled."""

from __future__ import annotations

import math
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from openclef.formats.stated import NotStated
from openclef.formats.unit import millivolts
from openclef.record import Record

SUFFIXES = (".npy", ".npz", ".h5", ".hdf5")
"""File name endings of array files."""

_MISSING_INT16 = -32768
_BESIDE = ("fs", "leads", "scale", "unit")


@dataclass(frozen=True)
class ArrayFile:
    """What an array file says, without its samples.

    Args:
        path: the file.
        key: the array's name in it; "" for ``.npy``.
        shape: the array's shape.
        dtype: the array's type.
        fs: sampling rate in Hz, or None.
        leads: lead names, or None.
        scale: unit a step, or None.
        unit: unit's name, or None.

    Example:
        >>> ArrayFile(Path("a.npy"), "", (3, 1, 1000), np.dtype("int16")).fs is None
        True
    """

    path: Path
    key: str
    shape: tuple[int, ...]
    dtype: np.dtype
    fs: float | None = None
    leads: tuple[str, ...] | None = None
    scale: float | None = None
    unit: str | None = None


def describe_array(path: str | Path, key: str = "signal") -> ArrayFile:
    """Read shape and type of an array, and the rate, leads, scale and unit that lie beside it.

    In ``.npz`` these are arrays named ``fs``, ``leads``, ``scale`` and ``unit``; in HDF5 they are attributes
    of the data set or of the file, or data sets beside it.

    Args:
        path: a ``.npy``, ``.npz``, ``.h5`` or ``.hdf5`` file.
        key: the array's name in the file; not used for ``.npy``. A file with one array needs none.

    Returns:
        The description; fields that the file does not state are None.

    Raises:
        ValueError: if the file is damaged, has no such array, or holds Python objects.
        ImportError: for HDF5 without the package h5py.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     signal = np.zeros((3, 2, 100), np.int16)
        ...     np.savez(Path(folder, "a.npz"), signal=signal, fs=100, leads=["I", "II"])
        ...     found = describe_array(Path(folder, "a.npz"))
        >>> found.shape, found.fs, found.leads
        ((3, 2, 100), 100.0, ('I', 'II'))
    """
    path = Path(path)
    suffix = path.suffix.lower()
    if suffix not in SUFFIXES:
        raise ValueError(f"{path.name}: accepted array files end in {', '.join(SUFFIXES)}")
    if not path.is_file():
        raise FileNotFoundError(f"array file {path} is missing; check the path")
    beside: dict[str, Any] = {}
    if suffix == ".npy":
        key, (shape, dtype) = "", _describe_npy(path)
    elif suffix == ".npz":
        with _damage_named(path):
            key, shape, dtype, beside = _describe_npz(path, key)
    else:
        key, shape, dtype, beside = _describe_hdf5(path, key)
    if dtype.hasobject:
        raise ValueError(
            f"{path.name} holds Python objects, and loading those would run code from the file; "
            "accepted are arrays of numbers: save recordings of equal length as one float32 or int16 array"
        )
    if dtype.kind not in "fiu":
        raise ValueError(f"{path.name} holds values of type {dtype}; accepted are real numbers")
    leads = beside.get("leads")
    return ArrayFile(
        path,
        key,
        tuple(shape),
        dtype,
        fs=None if beside.get("fs") is None else float(np.asarray(beside["fs"]).item()),
        leads=None if leads is None else tuple(_text(lead) for lead in np.atleast_1d(leads)),
        scale=None if beside.get("scale") is None else float(np.asarray(beside["scale"]).item()),
        unit=None if beside.get("unit") is None else _text(np.asarray(beside["unit"]).item()),
    )


def load_array(file: ArrayFile) -> Any:
    """Open an array: ``.npy`` and HDF5 are read piece by piece on use, ``.npz`` is read whole.

    Args:
        file: the description from ``describe_array``.

    Returns:
        An array, memory map or HDF5 data set; index it to get samples.

    Raises:
        ValueError: if a ``.npz`` file is damaged.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     np.savez(Path(folder, "a.npz"), np.ones((1, 3)))
        ...     load_array(describe_array(Path(folder, "a.npz"))).sum()
        np.float64(3.0)
    """
    suffix = file.path.suffix.lower()
    if suffix == ".npy":
        return np.load(file.path, mmap_mode="r", allow_pickle=False)
    if suffix == ".npz":
        with _damage_named(file.path), np.load(file.path, allow_pickle=False) as arrays:
            return arrays[file.key]
    return _open_hdf5(file.path)[file.key]


def verify_array(file: ArrayFile) -> None:
    """Read a ``.npz`` array once through, so that damage is found before the first record is.

    Args:
        file: the description from ``describe_array``; other files than ``.npz`` are left alone.

    Raises:
        ValueError: if the file is damaged.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     path = Path(folder, "a.npz")
        ...     np.savez(path, np.ones((1, 3)))
        ...     _ = path.write_bytes(path.read_bytes().replace(np.ones(1).tobytes(), bytes(8)))
        ...     verify_array(describe_array(path))
        Traceback (most recent call last):
        ValueError: a.npz is damaged (Bad CRC-32 for file 'arr_0.npy'); copy it again or make it anew
    """
    if file.path.suffix.lower() != ".npz":
        return
    with (
        _damage_named(file.path),
        zipfile.ZipFile(file.path) as archive,
        archive.open(f"{file.key}.npy") as content,
    ):
        while content.read(1 << 24):
            pass  # the end compares the checksum


def to_physical(samples: np.ndarray, scale: float | None, unit: str) -> np.ndarray:
    """Turn an array's samples into mV, or leave them in ``zscore``.

    Args:
        samples: integer or real numbers, any shape; -32768 in an int16 array is a missing sample.
        scale: unit a step; None counts as 1.
        unit: ``mV``, ``uV``, ``V`` or ``zscore``.

    Returns:
        float64 array of the same shape in mV (or ``zscore``), NaN where missing.

    Example:
        >>> to_physical(np.array([1000, -32768], np.int16), 0.5, "uV")
        array([0.5, nan])
    """
    physical = samples.astype(np.float64) * ((1.0 if scale is None else scale) * unit_factor(unit))
    if samples.dtype == np.int16:
        physical[samples == _MISSING_INT16] = np.nan
    return physical


def unit_factor(unit: str) -> float:
    """Say what one unit is in mV; 1 for ``zscore``, which stays as it is.

    Args:
        unit: ``mV``, ``uV``, ``V`` or ``zscore``.

    Returns:
        The factor.

    Example:
        >>> unit_factor("zscore"), unit_factor("uV")
        (1.0, 0.001)
    """
    return 1.0 if unit == "zscore" else millivolts(unit)


def read_array(
    path: str | Path,
    *,
    fs: float | None = None,
    leads: Sequence[str] | None = None,
    unit: str | None = None,
    scale: float | None = None,
    key: str = "signal",
    record_id: str | None = None,
) -> Record:
    """Read one recording, (lead, time) or (time,), from an array file.

    Args:
        path: a ``.npy``, ``.npz``, ``.h5`` or ``.hdf5`` file.
        fs: sampling rate in Hz, where the file does not state it.
        leads: one name a lead, where the file does not state them.
        unit: ``mV``, ``uV``, ``V`` or ``zscore``, where the file does not state it.
        scale: unit a step, where the file does not state it; needed for integers.
        key: the array's name in the file.
        record_id: the record's name; None takes the file's.

    Returns:
        The record in mV (or ``zscore``), float32, (lead, time).

    Raises:
        NotStated: if the rate, the leads or the unit is neither stated nor given.
        ValueError: if the shape is not that of one recording, or integers have no scale.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     np.savez(Path(folder, "a.npz"), signal=np.full((1, 4), 250, np.int16), fs=100, leads=["I"],
        ...              scale=1.0, unit="uV")
        ...     read_array(Path(folder, "a.npz")).signal
        array([[0.25, 0.25, 0.25, 0.25]], dtype=float32)
    """
    file = describe_array(path, key)
    name = file.path.name
    fs = file.fs if file.fs is not None else fs
    names = file.leads if file.leads is not None else leads
    unit = file.unit if file.unit is not None else unit
    scale = file.scale if file.scale is not None else scale
    rows = {1: 1, 2: file.shape[0]}.get(len(file.shape)) if file.shape else None
    if fs is None:
        raise NotStated(
            f"fs is missing for {name}; pass fs=<Hz>, for example fs=130 for Polar H10", "fs", rows
        )
    if names is None:
        raise NotStated(
            f"leads are missing for {name}; pass one name a lead, for example leads=['I']", "leads", rows
        )
    if unit is None:
        raise NotStated(f"unit is missing for {name}; pass unit='mV', 'uV' or 'zscore'", "unit", rows)
    if file.dtype.kind != "f" and scale is None:
        raise ValueError(f"{name} holds integers; pass scale=<{unit} a step>, for example scale=0.001")
    if len(file.shape) not in (1, 2):
        raise ValueError(
            f"{name} has shape {file.shape}; accepted is one recording, (lead, time): many recordings in one "
            "file are converted with openclef.convert('table', ...)"
        )
    samples = np.atleast_2d(np.asarray(load_array(file)[()]))
    if len(samples) != len(names) and samples.shape[1] == len(names):
        raise ValueError(f"{name} has shape {file.shape}; accepted is (lead, time): save its transpose")
    return Record(
        signal=to_physical(samples, scale, unit),
        fs=fs,
        leads=tuple(names),
        record_id=record_id or file.path.stem,
        unit="zscore" if unit == "zscore" else "mV",
    )


@contextmanager
def _damage_named(path: Path) -> Iterator[None]:
    """Turn what zipfile, zlib and numpy raise for a damaged file into an error that names the file."""
    try:
        yield
    except (zipfile.BadZipFile, zlib.error, EOFError, UnicodeDecodeError, NotImplementedError) as error:
        raise ValueError(f"{path.name} is damaged ({error}); copy it again or make it anew") from None


def _npy_header(file: Any, name: str) -> tuple[tuple[int, ...], np.dtype]:
    try:
        version = np.lib.format.read_magic(file)
        if version == (1, 0):
            shape, _, dtype = np.lib.format.read_array_header_1_0(file)
        else:
            shape, _, dtype = np.lib.format.read_array_header_2_0(file)
    except ValueError as error:
        raise ValueError(
            f"{name} is empty, damaged or no NumPy array ({error}); save it anew with numpy.save"
        ) from None
    return shape, dtype


def _describe_npy(path: Path) -> tuple[tuple[int, ...], np.dtype]:
    with path.open("rb") as file:
        shape, dtype = _npy_header(file, path.name)
        begin = file.tell()
    needed, there = begin + math.prod(shape) * dtype.itemsize, path.stat().st_size
    if there < needed and not dtype.hasobject:
        raise ValueError(
            f"{path.name} is cut short: it has {there:,} bytes and its array of shape {shape} needs "
            f"{needed:,}; copy it again"
        )
    return shape, dtype


def _choose(keys: Sequence[str], key: str, name: str) -> str:
    if key in keys:
        return key
    signals = [other for other in keys if other not in _BESIDE]
    if len(signals) == 1:
        return signals[0]
    raise ValueError(f"{name} holds no array {key!r} but {', '.join(sorted(keys))}; pass key=<one of them>")


def _describe_npz(path: Path, key: str) -> tuple[str, tuple[int, ...], np.dtype, dict[str, Any]]:
    with zipfile.ZipFile(path) as archive:
        keys = [name.removesuffix(".npy") for name in archive.namelist() if name.endswith(".npy")]
        key = _choose(keys, key, path.name)
        with archive.open(f"{key}.npy") as file:
            shape, dtype = _npy_header(file, f"{path.name}, array {key},")
    with np.load(path, allow_pickle=False) as arrays:
        return key, shape, dtype, {name: arrays[name] for name in _BESIDE if name in keys}


def _h5py() -> Any:
    try:
        import h5py
    except ImportError:
        raise ImportError(
            "HDF5 files need the package h5py; install it with: pip install 'openclef[hdf5]'"
        ) from None
    return h5py


def _open_hdf5(path: Path) -> Any:
    try:
        return _h5py().File(path, "r")
    except OSError as error:
        raise ValueError(
            f"{path.name} is empty, damaged or no HDF5 file ({error}); copy it again or make it anew"
        ) from None


def _describe_hdf5(path: Path, key: str) -> tuple[str, tuple[int, ...], np.dtype, dict[str, Any]]:
    h5py = _h5py()
    with _open_hdf5(path) as file:
        key = _choose([name for name in file if isinstance(file[name], h5py.Dataset)], key, path.name)
        beside: dict[str, Any] = {}
        for name in _BESIDE:
            for place in (file[key].attrs, file.attrs):
                if name in place:
                    beside.setdefault(name, place[name])
            if name in file and name not in beside:
                beside[name] = file[name][()]
        return key, file[key].shape, file[key].dtype, beside


def _text(value: Any) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)
