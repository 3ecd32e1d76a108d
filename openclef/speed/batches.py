"""How fast the input is: two views of each record, read, filtered, augmented and normalised."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any

import torch

from openclef.augment import Views
from openclef.data import Batch, Batches
from openclef.pool import Pool
from openclef.preprocessing import Preprocessing
from openclef.signal import LEADS
from openclef.speed.profiling import profiled
from openclef.speed.recordings import Recordings, noise_of_level_1
from openclef.speed.reference_input import pairs
from openclef.speed.timing import Work, interleave

__all__ = ["batches_of", "example_batch", "input_rates"]

EXPECTED_PER_S = 150  # the reference is slower than it should be below this


def batches_of(recordings: Recordings, batch_size: int, device: torch.device, resident: bool) -> Batches:
    """Return the batches that pretraining draws from the recordings, with its defaults.

    Args:
        recordings: from `write_recordings`.
        batch_size: records a batch.
        device: where the batches are made.
        resident: hold the signals on the device, else read them from the memory-mapped shards.

    Example:
        >>> import inspect
        >>> list(inspect.signature(batches_of).parameters)
        ['recordings', 'batch_size', 'device', 'resident']
    """
    pool = Pool([recordings.store], split="train")
    if resident:
        pool.to(device)
    preprocessing = Preprocessing(seconds=recordings.store.seconds)
    return Batches(pool, batch_size=batch_size, preprocessing=preprocessing, views=Views(), device=device)


def example_batch(recordings: Recordings, batch_size: int, device: torch.device) -> Batch:
    """Return a batch of the recordings whose records have a risk, all inputs known, and a subject each.

    Args:
        recordings: from `write_recordings`.
        batch_size: records.
        device: where it lies.

    Example:
        >>> import inspect
        >>> list(inspect.signature(example_batch).parameters)
        ['recordings', 'batch_size', 'device']
    """
    drawn = next(iter(batches_of(recordings, batch_size, device, resident=False).epoch(0)))
    risk = torch.linspace(0.01, 0.4, batch_size, device=device)
    return Batch(
        drawn.first,
        drawn.second,
        risk,
        torch.ones(batch_size, device=device),
        torch.arange(batch_size, device=device),
    )


def input_rates(
    recordings: Recordings,
    batch_size: int,
    repeats: int,
    device: torch.device,
    advance: Callable[[str], None],
) -> list[dict[str, Any]]:
    """Measure records/s of the input: resident, memory-mapped, and the plain loop of `reference_input`.

    A repeat is one epoch of the recordings.

    Args:
        recordings: from `write_recordings`.
        batch_size: records a batch.
        repeats: timings of each.
        device: where the batches are made; the plain loop stays on the processor.
        advance: called with the name before each timing.

    Returns:
        One row each of "resident", "memory-mapped" and "reference": numbers as of `Timing.facts`, and how many times
        `EXPECTED_PER_S` it is.

    Example:
        >>> import tempfile
        >>> from pathlib import Path
        >>> from openclef.speed.recordings import write_recordings
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     made = write_recordings(Path(folder), records=4, seconds=2, wfdb_records=2)
        ...     rows = input_rates(made, 2, 1, torch.device("cpu"), lambda name: None)
        >>> [row["way"] for row in rows]
        ['resident', 'memory-mapped', 'reference']
    """
    epochs = {
        way: batches_of(recordings, batch_size, device, resident=way == "resident")
        for way in ("resident", "memory-mapped")
    }
    noise = noise_of_level_1(3, 4 * recordings.store.samples)

    def exhaust(batches: Batches) -> Callable[[], object]:
        return lambda: deque(batches.epoch(0), maxlen=0)

    works = {way: Work(exhaust(each), len(each) * batch_size) for way, each in epochs.items()}
    works["reference"] = Work(
        lambda: deque(pairs(recordings.wfdb_paths, len(LEADS), noise), maxlen=0), len(recordings.wfdb_paths)
    )
    timings = interleave(works, repeats, device, lambda way: advance(f"input, {way}"))
    rows = []
    for way, timing in timings.items():
        row = {"way": way} | timing.facts(None if way == "reference" else timings["reference"])
        if way != "reference":
            row["ratio_to_expected"] = timing.per_s / EXPECTED_PER_S
        if way == "resident":
            row["profile"] = profiled(works[way].call, device).facts()
        rows.append(row)
    slow = timings["reference"].per_s < EXPECTED_PER_S
    rows[-1]["slow"] = slow  # so that a ratio against a slow reference is not read as a fast input
    return rows
