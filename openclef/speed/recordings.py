"""Recordings to measure with: noise as a store and as WFDB files, in a temporary folder."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from openclef.record import Record
from openclef.signal import LEADS
from openclef.speed.reference_input import FS, write_records
from openclef.store import Store, StoreWriter

__all__ = ["Recordings", "noise_of_level_1", "write_recordings"]

SCALE_MV = 0.001
LEVEL_MV = 0.2
PART = 128  # records of one shard


@dataclass(frozen=True)
class Recordings:
    """The same recordings twice.

    Args:
        store: of 12 leads at 500 Hz.
        wfdb_paths: the first of them as WFDB files, without suffix.

    Example:
        >>> Recordings.__dataclass_fields__["wfdb_paths"].type
        'list[str]'
    """

    store: Store
    wfdb_paths: list[str]


def noise_of_level_1(kinds: int, samples: int, seed: int = 0) -> NDArray[np.float64]:
    """Return noise of standard deviation 1.

    Args:
        kinds: rows.
        samples: of each.
        seed: of what is drawn.

    Example:
        >>> noise_of_level_1(2, 10).shape
        (2, 10)
    """
    return np.random.default_rng(seed).normal(size=(kinds, samples))


def write_recordings(folder: Path, records: int, seconds: float, wfdb_records: int) -> Recordings:
    """Write noise of 0.2 mV in 12 leads at 500 Hz as a store, and the first records as WFDB files too.

    Args:
        folder: where the store and the files are made.
        records: in the store.
        seconds: length of each.
        wfdb_records: how many are also written as WFDB files.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     made = write_recordings(Path(folder), records=3, seconds=2, wfdb_records=2)
        ...     len(made.store), len(made.wfdb_paths)
        (3, 2)
    """
    samples = round(seconds * FS)
    writer = StoreWriter(
        folder / "store", name="noise", scale=SCALE_MV, fs=FS, leads=LEADS, seconds=seconds, title="Noise"
    )
    paths: list[str] = []
    for part, first in enumerate(range(0, records, PART)):
        count = min(PART, records - first)
        steps = noise_of_level_1(count * len(LEADS), samples, seed=part) * (LEVEL_MV / SCALE_MV)
        raw = steps.astype(np.int16).reshape(count, len(LEADS), samples)
        writer.write_part(
            part,
            [Record(signal * SCALE_MV, FS, LEADS, f"r{first + n:05d}") for n, signal in enumerate(raw)],
            [{"split": "train"}] * count,
        )
        if len(paths) < wfdb_records:
            folder_of_part = folder / f"wfdb{part}"
            paths += write_records(folder_of_part, raw[: wfdb_records - len(paths)], LEADS)
    return Recordings(writer.finish(), paths)
