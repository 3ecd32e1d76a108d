"""How fast are the views of pretraining made, and which stage takes how long?

    rates   records/s and views/s of whole batches, from memory and from memory-mapped shards, beside a plain loop
            that reads WFDB twice a record, filters with scipy's filtfilt, adds noise and z-scores
    stages  microseconds a record of each stage of a batch, one after the other in one thread

Records have 12 leads, 10 s at 500 Hz; preprocessing and views are the defaults. All ways take turns in one process, and
the shortest of the repeats counts, so that other work on the machine disturbs the ratios little.

python benchmarks/input.py [--records 512] [--batches 64 256] [--repeats 5]
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from collections import deque
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

from openclef.augment import Views, mask_blocks
from openclef.data import Batches, seeded
from openclef.noise import add_noise
from openclef.pool import Pool
from openclef.preprocessing import Preprocessing
from openclef.signal import LEADS
from openclef.speed.recordings import Recordings, noise_of_level_1, write_recordings
from openclef.speed.reference_input import pairs

AT_ONCE = 16  # windows of a stage, as `make_batch` takes them on a CPU
WFDB_RECORDS = 128  # of the plain loop
SAME_LEAD = 0.82  # of the pairs


def main() -> None:
    """Write recordings, measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--records", type=int, default=512)
    parser.add_argument("--batches", nargs="+", type=int, default=[64, 256])
    parser.add_argument("--repeats", type=int, default=5)
    given = parser.parse_args()
    print(
        f"{os.cpu_count()} cores, {torch.get_num_threads()} threads, load {os.getloadavg()[0]:.1f} before the start"
    )
    with tempfile.TemporaryDirectory() as folder:
        recordings = write_recordings(
            Path(folder), given.records, seconds=10, wfdb_records=min(WFDB_RECORDS, given.records)
        )
        rates(recordings, given.batches, given.repeats)
        stages(recordings, given.repeats)


def rates(recordings: Recordings, batch_sizes: list[int], repeats: int) -> None:
    """Print records/s and views/s of each way, and how many times the plain loop's they are."""
    ways: dict[str, tuple[int, Callable[[], object]]] = {}
    for where in ("resident", "memory-mapped"):
        pool = Pool([recordings.store], split="all")
        if where == "resident":
            pool.to("cpu")
        for size in batch_sizes:
            batches = Batches(pool, batch_size=size, preprocessing=Preprocessing(), views=Views())
            ways[f"{where}, batches of {size}"] = (
                len(batches) * size,
                lambda batches=batches: deque(batches.epoch(0), maxlen=0),
            )
    noise = noise_of_level_1(3, 4 * recordings.store.samples)
    ways["plain loop"] = (
        len(recordings.wfdb_paths),
        lambda: deque(pairs(recordings.wfdb_paths, len(LEADS), noise), maxlen=0),
    )
    seconds = shortest({way: work for way, (_, work) in ways.items()}, repeats)
    per_s = {way: count / seconds[way] for way, (count, _) in ways.items()}
    print(f"\n{'':30}{'records/s':>10}{'views/s':>10}{'times the plain loop':>22}")
    for way, rate in per_s.items():
        print(f"{way:30}{rate:10,.0f}{2 * rate:10,.0f}{rate / per_s['plain loop']:22.1f}")


def stages(recordings: Recordings, repeats: int) -> None:
    """Print microseconds a record of each stage: reading and filtering once a lead, the others once a view."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    mapped, held = (Pool([recordings.store], split="all") for _ in range(2))
    held.to("cpu")
    preprocessing, views, generator = Preprocessing(), Views(), seeded("cpu", 0)
    fs, fs_model = recordings.store.fs, preprocessing.fs
    rng = np.random.default_rng(0)
    rows, leads = rng.permutation(len(held.row))[:AT_ONCE], rng.integers(len(LEADS), size=AT_ONCE)
    signal, complete = held.read(0, held.row[rows], leads)
    filtered = preprocessing.filter(signal, fs, complete)
    noisy = add_noise(filtered, fs_model, generator=generator)
    works: dict[str, tuple[float, Callable[[], object]]] = {
        "read, resident": (2 - SAME_LEAD, lambda: held.read(0, held.row[rows], leads)),
        "read, memory-mapped": (2 - SAME_LEAD, lambda: mapped.read(0, mapped.row[rows], leads)),
        "filter": (2 - SAME_LEAD, lambda: preprocessing.filter(signal, fs, complete)),
        "noise": (2, lambda: add_noise(filtered, fs_model, generator=generator)),
        "mask": (2, lambda: mask_blocks(noisy, views.mask_probability, views.mask_share, generator)),
        "z-score": (2, lambda: preprocessing.standardise(noisy)),
    }
    seconds = shortest({name: work for name, (_, work) in works.items()}, 10 * repeats)
    torch.set_num_threads(threads)
    print(f"\n{'':24}{'microseconds a record, one thread':>34}")
    for name, (times, _) in works.items():
        print(f"{name:24}{seconds[name] * times / AT_ONCE * 1e6:34.1f}")


def shortest(works: dict[str, Callable[[], object]], repeats: int) -> dict[str, float]:
    """Seconds of each work: the shortest of so many, in turns, after one that is not counted."""
    taken: dict[str, list[float]] = {name: [] for name in works}
    for _ in range(repeats + 1):
        for name, work in works.items():
            begin = time.perf_counter()
            work()
            taken[name].append(time.perf_counter() - begin)
    return {name: min(each[1:]) for name, each in taken.items()}


if __name__ == "__main__":
    main()
