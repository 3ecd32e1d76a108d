"""File formats: one file a format, each reading one recording into a ``Record``.

A new format is one file here and one line in ``FORMATS``.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from openclef.formats.arrays import read_array
from openclef.formats.csv import read_csv
from openclef.formats.rate import check_rate
from openclef.formats.wfdb import read_wfdb
from openclef.record import Record

__all__ = ["FORMATS", "Format", "read_record"]


@dataclass(frozen=True)
class Format:
    """A file format.

    Args:
        title: what it is, in words.
        suffixes: file name endings, in lower case, with the dot.
        read: the function that reads a file into a ``Record``.
        self_describing: True where the file states rate, leads and unit itself.

    Example:
        >>> FORMATS["wfdb"].suffixes
        ('.hea', '.dat', '.mat')
    """

    title: str
    suffixes: tuple[str, ...]
    read: Callable[..., Record]
    self_describing: bool = False


FORMATS: dict[str, Format] = {
    "wfdb": Format("WFDB record (PhysioNet)", (".hea", ".dat", ".mat"), read_wfdb, self_describing=True),
    "array": Format("NumPy or HDF5 array of one recording", (".npy", ".npz", ".h5", ".hdf5"), read_array),
    "csv": Format("text table, a column a lead", (".csv", ".tsv", ".txt"), read_csv),
}


def read_record(
    path: str | Path,
    *,
    fs: float | None = None,
    leads: Sequence[str] | None = None,
    unit: str | None = None,
) -> Record:
    """Read one recording; its file name's ending tells the format.

    Args:
        path: the file; a WFDB record may be named without an ending.
        fs: sampling rate in Hz, for files that do not state one.
        leads: lead names, for files that do not state them.
        unit: ``mV``, ``uV``, ``V`` or ``zscore``, for files that do not state one.

    Returns:
        The record in mV (or ``zscore``), float32, (lead, time).

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if the format is unknown, the file is damaged, lacks something that no argument gives, or
            states a rate outside 10 to 50,000 Hz.

    Warns:
        UserWarning: if the rate is outside 50 to 5,000 Hz.

    Example:
        >>> import tempfile, numpy as np
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     np.save(Path(folder, "a.npy"), np.zeros((1, 5000), np.float32))
        ...     read_record(Path(folder, "a.npy"), fs=500, leads=["I"], unit="mV").seconds
        10.0
    """
    path = Path(path)
    suffix = path.suffix.lower()
    known = {ending: kind for kind in FORMATS.values() for ending in kind.suffixes}
    kind = known.get(suffix)
    if kind is None and Path(f"{path}.hea").is_file():
        kind = FORMATS["wfdb"]
    if kind is None:
        raise ValueError(
            f"{path.name} is of no known format; accepted endings are {', '.join(sorted(known))}: "
            "convert the file to one of them"
        )
    record = kind.read(path) if kind.self_describing else kind.read(path, fs=fs, leads=leads, unit=unit)
    check_rate(record.fs, path.name)
    if not all(record.leads):
        raise ValueError(f"{path.name}: leads={record.leads!r} holds an empty name; name each lead")
    return record
