"""MATLAB files of one recording: an array, and beside it its rate, unit and leads. Nothing in them is executed."""

from __future__ import annotations

import math
import struct
import warnings
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from openclef.formats.arrays import to_physical
from openclef.formats.matlab_variables import Variable, list_variables, read_variable
from openclef.formats.stated import NotStated, agreed_amplitude, agreed_leads, agreed_rate
from openclef.record import Record

_SIGNALS = ("val", "ecg", "signal", "data")
_RATES = ("fs", "freq", "sampling_rate", "sr", "samplerate")
_UNITS = ("unit", "units")
_LEADS = ("leads", "lead_names", "sig_name")
_NUMERIC = {
    "double": 8,
    "single": 4,
    "int8": 1,
    "uint8": 1,
    "int16": 2,
    "uint16": 2,
    "int32": 4,
    "uint32": 4,
    "int64": 8,
    "uint64": 8,
}
_MOST_BYTES = 1 << 30
_MOST_BESIDE = 1 << 16  # bytes of a rate, a unit or the leads' names
_DEFLATE = 1032  # times that the best compression makes a file smaller
_MOST_LEADS = 4096
_DAMAGE = (
    ValueError,
    TypeError,
    KeyError,
    IndexError,
    AttributeError,
    OverflowError,
    EOFError,
    OSError,
    MemoryError,
    NotImplementedError,
    RuntimeError,
    struct.error,
    zlib.error,
)


class _Content(NamedTuple):
    """A recording's array, and what lies beside it."""

    name: str
    samples: np.ndarray
    rate: float | None
    unit: str | None
    leads: list[str] | None


def is_matlab(head: bytes) -> bool:
    r"""Tell whether a file is a MATLAB file.

    Args:
        head: the file's first 4,096 bytes.

    Returns:
        True for versions 5 to 7.3 by their header, and for version 4 by its first variable's.

    Example:
        >>> is_matlab(b"MATLAB 5.0 MAT-file".ljust(124) + b"\x00\x01IM"), is_matlab(b"MATLAB"), is_matlab(b"")
        (True, False, False)
    """
    return _version(head) is not None


def read_matlab(
    path: str | Path,
    *,
    fs: float | None = None,
    leads: Sequence[str] | None = None,
    unit: str | None = None,
    record_id: str | None = None,
) -> Record:
    """Read one recording from a MATLAB file.

    The recording is the array ``val``, ``ecg``, ``signal`` or ``data``, or the only array of two dimensions; its longer
    axis is time. The rate is a number named ``fs``, ``freq``, ``sampling_rate``, ``sr`` or ``samplerate``, the unit a
    text ``unit`` or ``units``, the leads a text or cells ``leads``, ``lead_names`` or ``sig_name``, in any capitals.

    Args:
        path: the file.
        fs: sampling rate in Hz, where the file does not state it.
        leads: one name a lead, where the file does not state them.
        unit: ``mV``, ``uV``, ``V`` or ``zscore``, where the file does not state it.
        record_id: the record's name; None takes the file's.

    Returns:
        The record in mV (or ``zscore``), float32, (lead, time); -32768 in int16 is a missing sample.

    Raises:
        FileNotFoundError: if there is no such file.
        NotStated: if the rate, the leads or the unit is neither stated nor given.
        ValueError: if it is damaged or no such file, holds no such array, or states more than it can hold.
        ImportError: for version 7.3 without the package h5py.

    Warns:
        UserWarning: if it is not certain which axis is time.

    Source:
        MathWorks, MAT-File Format, R2024a (versions 4 to 7); version 7.3 is HDF5.

    Example:
        >>> import tempfile
        >>> from scipy.io import savemat
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     savemat(Path(folder, "a.mat"), {"val": [[1.0], [-2.0], [3.0]], "Fs": 500, "unit": "uV", "leads": "II"})
        ...     record = read_matlab(Path(folder, "a.mat"))
        >>> record.fs, record.leads, [round(float(value), 4) for value in record.signal[0]]
        (500.0, ('II',), [0.001, -0.002, 0.003])
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"MATLAB file {path.name} is missing in {path.parent}; check the path")
    with path.open("rb") as file:
        version = _version(file.read(4096))
    if version is None:
        raise ValueError(
            f"{path.name} is no MATLAB file; accepted are versions 4 to 7.3: save it with MATLAB's save, or pass a "
            "file in another format"
        )
    content = _read_hdf5(path) if version == "7.3" else _read_mat(path, version)
    samples = _lead_by_time(path.name, content, leads if content.leads is None else content.leads)
    rows = len(samples)
    if content.rate is None and fs is None:
        raise NotStated(f"fs is missing for {path.name}; pass fs=<Hz>, for example fs=500", "fs", rows)
    rate = agreed_rate(path.name, content.rate, fs)
    if content.leads is None and leads is None:
        raise NotStated(
            f"leads are missing for {path.name}; pass one name a lead, for example leads=['I']", "leads", rows
        )
    names = tuple(leads or ()) if content.leads is None else agreed_leads(path.name, content.leads, leads)
    if not content.unit and unit is None:
        raise NotStated(f"unit is missing for {path.name}; pass unit='mV', 'uV' or 'zscore'", "unit", rows)
    factor, held = agreed_amplitude(path.name, content.unit, unit)
    if len(names) != rows:
        raise ValueError(
            f"{path.name} holds {rows} leads of {samples.shape[1]:,} samples, and {len(names)} names are stated or "
            f"passed ({', '.join(map(str, names))[:80]}); pass one name a lead"
        )
    with np.errstate(over="ignore", invalid="ignore"):
        signal = to_physical(samples, factor, "mV")
    return Record(signal, rate, names, record_id or path.stem, unit=held)


def _version(head: bytes) -> str | None:
    """The version: 7.3, 5 (up to 7.2) with its byte order, 4 with its byte order, or None."""
    if head.startswith(b"MATLAB ") and len(head) >= 128:
        versions = {b"\x00\x01IM": "5<", b"\x01\x00MI": "5>", b"\x00\x02IM": "7.3", b"\x02\x00MI": "7.3"}
        return versions.get(head[124:128])
    for order in "<>":
        if len(head) >= 21:
            kind, rows, columns, imaginary, length = struct.unpack(f"{order}5i", head[:20])
            kind -= 1000 * (order == ">")
            known = 0 <= kind <= 52 and kind // 10 <= 5 and kind % 10 <= 2
            name = head[20 : 20 + length - 1] if 2 <= length <= 64 else b""
            if known and min(rows, columns) >= 0 and imaginary in (0, 1) and _is_name(name):
                return f"4{order}" if head[19 + length : 20 + length] == b"\0" else None
    return None


def _is_name(name: bytes) -> bool:
    return name[:1].isalpha() and name.replace(b"_", b"").isalnum()


def _lead_by_time(name: str, content: _Content, leads: Sequence[str] | None) -> np.ndarray:
    """Turn the array so that its rows are leads; the longer axis is time, unless the leads' number tells otherwise."""
    rows, columns = content.samples.shape
    known = 0 if leads is None else 1 if isinstance(leads, str) else len(leads)
    turned = rows > columns
    if known and (rows == known) != (columns == known):
        certain = (columns == known) == turned and rows != columns
        turned = columns == known
    else:
        certain = rows != columns
    if not certain:
        taken = "columns" if turned else "rows"
        warnings.warn(
            f"{name}: array {_printable(content.name)} is {rows} by {columns}; its {taken} are taken for leads: if "
            "that is wrong, save its transpose",
            stacklevel=3,
        )
    samples = content.samples.T if turned else content.samples
    if len(samples) > _MOST_LEADS:
        raise ValueError(
            f"{name}: array {_printable(content.name)} is {rows:,} by {columns:,}; accepted is one recording, leads "
            "by time"
        )
    return samples


def _choose(name: str, variables: Sequence[Variable]) -> Variable:
    """The variable that is the recording."""
    arrays = [
        variable
        for variable in variables
        if variable.kind in _NUMERIC and len(variable.shape) == 2 and max(variable.shape) > 1
    ]
    for wanted in _SIGNALS:
        for variable in arrays:
            if variable.name.lower() == wanted:
                return variable
    if len(arrays) == 1:
        return arrays[0]
    there = ", ".join(
        f"{_printable(variable.name)} ({variable.kind}, {' by '.join(map(str, variable.shape))})"
        for variable in variables[:20]
    )
    raise ValueError(
        f"{name} holds {there or 'no variable'}; accepted is one array of numbers, leads by time: call it val, ecg, "
        "signal or data"
    )


def _bounded(name: str, variable: Variable, stored: int, smallest: int = 1) -> None:
    """Refuse an array that is larger than the file can hold, before it is allocated.

    The last two arguments are the bytes that there are, and the least that a number may take when it is unpacked:
    MATLAB stores whole numbers of class double in one byte where they fit.
    """
    needed = _NUMERIC[variable.kind] * math.prod(variable.shape)
    most = _DEFLATE * stored * (_NUMERIC[variable.kind] // smallest)
    if min(variable.shape) < 1 or needed > _MOST_BYTES or needed > most:
        shape = " by ".join(f"{length:,}" for length in variable.shape)
        raise ValueError(
            f"{name}: array {_printable(variable.name)} of {shape} cannot be in {stored:,} bytes or is over "
            "1 GB; copy the file again, or cut the recording into pieces"
        )


def _printable(text: str) -> str:
    return "".join(letter if letter.isprintable() else "?" for letter in text[:200]).strip()


def _beside(variables: Sequence[Variable], names: Sequence[str], kinds: Sequence[str]) -> Variable | None:
    return next(
        (
            variable
            for name in names
            for variable in variables
            if variable.name.lower() == name and variable.kind in kinds
        ),
        None,
    )


def _damaged(name: str, error: BaseException) -> ValueError:
    told = _printable(str(error)) or type(error).__name__
    return ValueError(f"{name} is damaged ({told}); copy it again or save it anew")


def _content(name: str, chosen: Variable, samples: Any, rate: Any, unit: Any, leads: Any) -> _Content:
    samples = np.asarray(samples)
    if samples.dtype.kind not in "fiu" or samples.ndim != 2 or not samples.size:
        raise ValueError(
            f"{name}: array {_printable(chosen.name)} holds {samples.dtype} in {samples.ndim} dimensions; accepted are "
            "real numbers, leads by time"
        )
    words = _words(unit)
    return _Content(
        chosen.name,
        samples,
        None if rate is None else float(np.asarray(rate, dtype=np.float64).reshape(-1)[0]),
        words[0] if words else None,  # that of the first lead stands for all
        _words(leads) or None,
    )


def _words(texts: Sequence[str] | None) -> list[str]:
    return [text for text in map(_printable, texts or ()) if text]


def _read_mat(path: Path, version: str) -> _Content:
    """Versions 4 to 7.2."""
    try:
        variables = list_variables(path, version)
    except _DAMAGE as error:
        raise _damaged(path.name, error) from None
    chosen = _choose(path.name, variables)
    _bounded(path.name, chosen, path.stat().st_size)
    rate = _beside(variables, _RATES, list(_NUMERIC))
    if rate is not None and rate.shape != (1, 1):
        raise ValueError(f"{path.name}: {rate.name} is no single number; accepted is the rate in Hz")
    unit = _beside(variables, _UNITS, ["char", "cell"])
    leads = _beside(variables, _LEADS, ["char", "cell"])
    try:
        return _content(
            path.name,
            chosen,
            read_variable(path, version, chosen, 8 * math.prod(chosen.shape) + _MOST_BESIDE),
            None if rate is None else read_variable(path, version, rate, _MOST_BESIDE),
            None if unit is None else read_variable(path, version, unit, _MOST_BESIDE),
            None if leads is None else read_variable(path, version, leads, _MOST_BESIDE),
        )
    except _DAMAGE as error:
        if isinstance(error, ValueError) and str(error).startswith(path.name):
            raise
        raise _damaged(path.name, error) from None


def _read_hdf5(path: Path) -> _Content:
    try:
        import h5py
    except ImportError:
        raise ImportError(
            "MATLAB 7.3 files need the package h5py; install it with: pip install 'openclef[formats]'"
        ) from None
    try:
        with h5py.File(path, "r") as file:
            sets = {str(name): _own(h5py, file, name) for name in list(file)[:1000]}
            variables = [
                Variable(name, _shape(item), _kind(item)) for name, item in sets.items() if item is not None
            ]
            chosen = _choose(path.name, variables)
            stored = sets[chosen.name]
            there = min(stored.id.get_storage_size(), path.stat().st_size)
            _bounded(path.name, chosen, there, smallest=_NUMERIC[chosen.kind])
            rate = _beside(variables, _RATES, list(_NUMERIC))
            if rate is not None and rate.shape != (1, 1):
                raise ValueError(f"{path.name}: {rate.name} is no single number; accepted is the rate in Hz")
            unit = _beside(variables, _UNITS, ["char", "cell"])
            leads = _beside(variables, _LEADS, ["char", "cell"])
            samples = np.asarray(stored[()]).T  # MATLAB counts axes the other way round
            return _content(
                path.name,
                chosen,
                samples,
                None if rate is None else sets[rate.name][()],
                None if unit is None else _texts(h5py, file, sets[unit.name]),
                None if leads is None else _texts(h5py, file, sets[leads.name]),
            )
    except _DAMAGE as error:
        if isinstance(error, ValueError) and str(error).startswith(path.name):
            raise
        raise _damaged(path.name, error) from None


def _own(h5py: Any, file: Any, name: str) -> Any:
    """A data set that lies in this file; None for groups, and for what refers to other files."""
    if not isinstance(file.get(name, getlink=True), h5py.HardLink):
        return None
    item = file[name]
    if not isinstance(item, h5py.Dataset) or item.is_virtual or item.external or item.shape is None:
        return None
    return item


def _shape(item: Any) -> tuple[int, ...]:
    return tuple(int(length) for length in reversed(item.shape))


def _kind(item: Any) -> str:
    """MATLAB's class of a data set; where none is stated, that of its numbers."""
    stated = item.attrs.get("MATLAB_class")
    if stated is not None:
        return stated.decode("latin-1") if isinstance(stated, bytes) else str(stated)
    kind = {"f": "float", "i": "int", "u": "uint"}.get(item.dtype.kind, "unknown")
    return {"float64": "double", "float32": "single"}.get(item.dtype.name, f"{kind}{8 * item.dtype.itemsize}")


def _texts(h5py: Any, file: Any, item: Any, within: bool = False) -> list[str]:
    """The texts of a char array, or of cells of such."""
    if item.size > _MOST_BESIDE or item.ndim != 2:
        return []
    if item.dtype.kind == "u" and item.dtype.itemsize <= 2:
        return ["".join(map(chr, row)) for row in np.asarray(item[()]).T.tolist()]
    if within or item.dtype != h5py.ref_dtype or item.size > _MOST_LEADS:
        return []
    found: list[str] = []
    for reference in item[()].reshape(-1):
        cell = file[reference] if reference else None
        if (
            isinstance(cell, h5py.Dataset)
            and not cell.is_virtual
            and not cell.external
            and cell.shape is not None
        ):
            found.extend(_texts(h5py, file, cell, within=True))
    return found
