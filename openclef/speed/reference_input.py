"""The input as a plain loop makes it: WFDB files read for each view, filtered with scipy, one after the other.

Each record's header is parsed once, by wfdb: parsing takes wfdb 4.3 longer than all else that a view needs, and
a loop that did it twice would be slow enough to be no measure.
`openclef speed` states the ratio of openclef's own input against this one.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import wfdb
from numpy.typing import NDArray
from scipy.signal import butter, filtfilt

__all__ = ["filtered_lead", "pairs", "write_records"]

FS = 500  # Hz
GAIN = 1000  # steps for 1 mV
FILTER = butter(5, (0.67, 40.0), "bandpass", fs=FS)
SAME_LEAD, NOISY, MASKED = 0.8, 0.8, 0.2
NOISE_MV = 0.1
MASK_SHARE = (0.1, 0.3)


def write_records(folder: Path, signals: NDArray[np.int16], leads: Sequence[str]) -> list[str]:
    """Write records as WFDB files of 16 bits.

    Args:
        folder: made where it is missing.
        signals: (record, lead, time) in uV at 500 Hz.
        leads: names.

    Returns:
        The records' paths, without suffix.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     paths = write_records(Path(folder), np.ones((2, 1, 500), np.int16), ["I"])
        ...     len(paths), float(wfdb.rdrecord(paths[0]).p_signal[0, 0])
        (2, 0.001)
    """
    folder.mkdir(parents=True, exist_ok=True)
    count = len(leads)
    paths = []
    for number, signal in enumerate(signals):
        name = f"r{number:05d}"
        wfdb.wrsamp(
            name,
            fs=FS,
            units=["mV"] * count,
            sig_name=list(leads),
            d_signal=signal.T.astype(np.int64),
            fmt=["16"] * count,
            adc_gain=[float(GAIN)] * count,
            baseline=[0] * count,
            write_dir=str(folder),
        )
        paths.append(str(folder / name))
    return paths


def filtered_lead(path: str, lead: int, header: wfdb.Record | None = None) -> NDArray[np.float64]:
    """Read one lead of a record and band-pass it, 0.67-40 Hz, forward and backward.

    Args:
        path: of the record, as `write_records` wrote it, without suffix.
        lead: its number in the file.
        header: the record's, where it has been read already.

    Returns:
        (time,) in mV.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     path = write_records(Path(folder), np.ones((1, 2, 500), np.int16), ["I", "II"])[0]
        ...     filtered_lead(path, 1).shape
        (500,)
    """
    header = header or wfdb.rdheader(path)
    steps = np.fromfile(Path(path).with_name(header.file_name[lead]), "<i2").reshape(-1, header.n_sig)[
        :, lead
    ]
    return np.asarray(filtfilt(*FILTER, (steps - header.baseline[lead]) / header.adc_gain[lead]))


def pairs(
    paths: Sequence[str], lead_count: int, noise: NDArray[np.float64], seed: int = 0
) -> Iterator[tuple[NDArray[np.float32], NDArray[np.float32]]]:
    """Yield two views of each record: a lead read and filtered for each, noise, a masked block, z-score.

    Args:
        paths: of the records.
        lead_count: leads that each has.
        noise: (kind, time) noise of standard deviation 1, longer than the records, from which stretches are cut.
        seed: of all that is drawn.

    Example:
        >>> import tempfile
        >>> rng = np.random.default_rng(0)
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     paths = write_records(Path(folder), rng.integers(-99, 99, (1, 2, 500)).astype(np.int16), ["I", "II"])
        ...     first, second = next(pairs(paths, 2, rng.normal(size=(3, 900))))
        >>> first.shape, round(float(second.std()), 3)
        ((500,), 1.0)
    """
    rng = np.random.default_rng(seed)
    for path in paths:
        lead = int(rng.integers(lead_count))
        other = lead if rng.random() < SAME_LEAD else int(rng.integers(lead_count))
        header = wfdb.rdheader(path)
        first, second = (filtered_lead(path, one, header) for one in (lead, other))
        yield _view(first, noise, rng), _view(second, noise, rng)


def _view(
    view: NDArray[np.float64], noise: NDArray[np.float64], rng: np.random.Generator
) -> NDArray[np.float32]:
    if rng.random() < NOISY:
        start = rng.integers(noise.shape[1] - len(view) + 1)
        view = view + NOISE_MV * noise[rng.integers(len(noise)), start : start + len(view)]
    if rng.random() < MASKED:
        length = round(rng.uniform(*MASK_SHARE) * len(view))
        start = rng.integers(len(view) - length + 1)
        view[start : start + length] = 0.0
    return ((view - view.mean()) / (view.std() + 1e-8)).astype(np.float32)
