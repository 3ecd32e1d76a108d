"""Measure this machine: limits, input, training and embedding, each beside its reference."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch

from openclef.inference import default_batch_size
from openclef.preprocessing import Preprocessing
from openclef.speed.agreement import bf16_agreement
from openclef.speed.batches import example_batch, input_rates
from openclef.speed.encoders import embedding_rates, training_rates
from openclef.speed.limits import TYPES, copy_gb_per_s, matrix_product_gflops
from openclef.speed.machine import describe_machine
from openclef.speed.recordings import Recordings, write_recordings
from openclef.speed.reference import BATCH
from openclef.speed.result import FORMAT, Speed
from openclef.speed.timing import synchronise
from openclef.statistics import check_counts

__all__ = ["SIZES", "measure"]

SIZES = ("small", "medium", "large")
DEVICES = ("auto", "cpu", "cuda")


@dataclass(frozen=True)
class _Extent:
    """How much is measured."""

    records: int = 512
    wfdb_records: int = 128
    seconds: float = 10.0
    matrices: tuple[int, ...] = (1024, 2048, 4096)
    copied_mb: int = 512
    simulated: int = 64


QUICK = _Extent(records=8, wfdb_records=4, seconds=2.0, matrices=(128,), copied_mb=4, simulated=4)


def measure(
    *,
    sizes: str | Sequence[str] = ("small", "medium"),
    precisions: str | Sequence[str] = ("float32", "bf16"),
    repeats: int = 5,
    batch_size: int = 64,
    device: str = "auto",
    quick: bool = False,
    progress: bool = False,
) -> Speed:
    """Measure how fast this machine reads, trains and embeds, and what binds it.

    Everything is made in a temporary folder, which is gone afterwards. Figures are medians of the repeats; openclef and
    the reference take turns, so that a machine that is busy with something else slows both.

    Args:
        sizes: of the encoder: "small", "medium", "large".
        precisions: "float32", "bf16".
        repeats: timings of each.
        batch_size: records a step of training, two views each.
        device: "cpu", "cuda", or "auto": a GPU where there is one.
        quick: one repeat of small pieces, to see that it runs; the figures say nothing.
        progress: show what is being measured.

    Returns:
        The figures, with `.table()`, `.markdown()` and `.to_json()`.

    Raises:
        ValueError: an unknown size, precision or device, or a number that is too small.

    Example:
        >>> measure(sizes="tiny")
        Traceback (most recent call last):
        ...
        ValueError: sizes has 'tiny'; pass one or more of small, medium, large.
    """
    sizes = _known("sizes", sizes, SIZES)
    precisions = _known("precisions", precisions, tuple(TYPES))
    check_counts(repeats=repeats)
    if batch_size < 2:
        raise ValueError(f"batch_size is {batch_size}; pass at least 2 records, so that each has a negative.")
    where = _device(device)
    extent = _Extent()
    if quick:
        extent, repeats, batch_size = QUICK, 1, min(batch_size, 4)
    records = max(extent.records, batch_size)
    with _progress(progress) as advance, tempfile.TemporaryDirectory(prefix="openclef-speed-") as scratch:
        advance("limits")
        rates = {p: matrix_product_gflops(p, extent.matrices, where) for p in precisions}
        if "float32" not in rates:  # the reference's
            rates["float32"] = matrix_product_gflops("float32", extent.matrices, where)
        copied = copy_gb_per_s(extent.copied_mb, where)
        advance("recordings")
        recordings = write_recordings(Path(scratch), records, extent.seconds, extent.wfdb_records)
        facts: dict[str, Any] = {
            "format": FORMAT,
            "machine": describe_machine(where),
            "settings": {
                "sizes": list(sizes),
                "precisions": list(precisions),
                "repeats": repeats,
                "batch_size": batch_size,
                "quick": quick,
                **asdict(extent),
            },
            "limits": {"matrix_product_gflops": rates, "copy_gb_per_s": copied},
            "input": input_rates(recordings, batch_size, repeats, where, advance),
        }
        best = {precision: max(by_size.values()) for precision, by_size in rates.items()}
        facts |= _networks(recordings, sizes, precisions, repeats, batch_size, where, best, advance)
        record_s = 1 / facts["input"][0]["per_s"]
        for row in facts["training"]:
            row["input_share"] = record_s / (record_s + 2 / row["per_s"])
        if "bf16" in precisions:
            advance("bf16 against float32")
            facts["agreement"] = bf16_agreement(Path(scratch), extent.simulated, where)
    return Speed(facts)


def _networks(
    recordings: Recordings,
    sizes: Sequence[str],
    precisions: Sequence[str],
    repeats: int,
    batch_size: int,
    device: torch.device,
    limits: dict[str, float],
    advance: Callable[[str], None],
) -> dict[str, list[dict[str, Any]]]:
    store = recordings.store
    batch = example_batch(recordings, batch_size, device)
    rows = range(min(max(BATCH, default_batch_size(device)), len(store)))
    signal = torch.from_numpy(store.read(rows, leads=["I"])).to(device)
    ready = Preprocessing(seconds=store.seconds)(signal, store.fs)
    synchronise(device)
    found: dict[str, list[dict[str, Any]]] = {"training": [], "embedding": []}
    # First what needs less: the reference's large tensors are given back to the system after each operation, unless
    # what came before has left room for them, and a process that only embeds has no such room.
    for number, size in enumerate(sizes):
        read = store if number == 0 else None
        found["embedding"] += embedding_rates(size, precisions, ready, repeats, limits, advance, store=read)
    for size in sizes:
        found["training"] += training_rates(size, precisions, batch, repeats, limits, advance)
    return found


def _known(name: str, given: str | Sequence[str], accepted: tuple[str, ...]) -> tuple[str, ...]:
    """Return each of the names once, in the order accepted."""
    names = [given] if isinstance(given, str) else list(given)
    for each in names:
        if each not in accepted:
            raise ValueError(f"{name} has {each!r}; pass one or more of {', '.join(accepted)}.")
    if not names:
        raise ValueError(f"{name} is empty; pass one or more of {', '.join(accepted)}.")
    return tuple(each for each in accepted if each in names)


def _device(name: str) -> torch.device:
    if name not in DEVICES:
        raise ValueError(f"device is {name!r}; pass one of {', '.join(DEVICES)}.")
    available = torch.cuda.is_available()
    if name == "cuda" and not available:
        raise ValueError("device is 'cuda' and PyTorch sees no GPU; pass device='cpu' or 'auto'.")
    return torch.device("cuda" if name == "cuda" or (name == "auto" and available) else "cpu")


@contextmanager
def _progress(shown: bool) -> Iterator[Callable[[str], None]]:
    """Yield a function that says what is being measured."""
    from rich.console import Console

    console = Console(stderr=True)
    if not (shown and console.is_terminal):
        yield lambda what: None
        return
    with console.status("measuring") as status:
        yield lambda what: status.update(f"measuring {what}")
