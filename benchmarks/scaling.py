"""How does pretraining scale? Time and memory against records, batch, processes and size of the encoder.

    records   seconds an epoch and peak memory, for signals held in memory and for those read from memory maps
    batch     milliseconds and memory a view, and what the loss over all pairs takes
    ranks     records a second: one process, one with two threads, two processes (torchrun)
    sizes     memory of each encoder, counted from the tensors that its gradient needs, and what fits a device

Every measurement is a process of its own, on noise in a store of 12 leads, 10 s at 100 Hz. `records` cuts views of
2 s, so that whole epochs are quick. A part takes one to two minutes on 2 idle cores. Beside seconds that passed stand
those that the processor worked for the process ("CPU"), which other work on the machine disturbs less.

python benchmarks/scaling.py --parts records batch ranks sizes [--out folder for the tables as CSV]
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

RECORDS = (2_000, 5_000, 10_000, 20_000)
BATCHES = (32, 64, 128, 256, 512, 1024)
WARM = 256  # records on which a process becomes warm, outside the measurement
DEVICES_GB = (16, 24, 80, 141)
USABLE = 0.9  # of a device's memory: the rest is its context and what lies between allocations
# Of --parts batch: what a view takes at the peak of the backward pass, over what autograd keeps for it (part sizes),
# and how many matrices of (2B, 2B) float32 the loss takes.
PEAK_OVER_KEPT = 1.4
LOSS_MATRICES = 23


def main() -> None:
    """Measure the parts and print them."""
    if sys.argv[1:2] == ["measure"]:
        print(json.dumps(MEASUREMENTS[sys.argv[2]](**json.loads(sys.argv[3]))))
        return
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=list(PARTS))
    parser.add_argument("--records", nargs="+", type=int, default=RECORDS)
    parser.add_argument("--batches", nargs="+", type=int, default=BATCHES)
    parser.add_argument("--threads", type=int, default=1, help="of a process, in records and batch")
    parser.add_argument("--out", type=Path, help="folder for the tables, one CSV file a part")
    given = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that the process being measured ends too
    print(f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f} before the start\n")
    for part in given.parts:
        with tempfile.TemporaryDirectory(prefix="scaling_") as folder:
            table = PARTS[part](given, Path(folder))
        print()
        if given.out is not None:
            given.out.mkdir(parents=True, exist_ok=True)
            table.to_csv(given.out / f"{part}.csv", index=False)


def _measure(name: str, threads: int, **arguments: Any) -> dict[str, Any]:
    """Run one of MEASUREMENTS in a fresh process and return its numbers."""
    command = [sys.executable, __file__, "measure", name, json.dumps(arguments)]
    environment = {**os.environ, "OMP_NUM_THREADS": str(threads), "PYTHONWARNINGS": "ignore"}
    outcome = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    if outcome.returncode:
        raise SystemExit(f"{name} {arguments} failed:\n{outcome.stderr[-3000:]}")
    return json.loads(outcome.stdout.splitlines()[-1])


@contextmanager
def _peak() -> Iterator[dict[str, float]]:
    """Watch how far the process's memory rises, in MiB.

    "private" is what it has allocated; "mapped" are pages of files that it reads, which the system may take back.
    """
    highest = {"private_mib": 0.0, "mapped_mib": 0.0}
    over = threading.Event()

    def look() -> None:
        while True:
            lines = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
            for name, key in (("private_mib", "RssAnon"), ("mapped_mib", "RssFile")):
                highest[name] = max(highest[name], int(lines[key].split()[0]) / 1024)
            if over.wait(0.02):
                return

    watcher = threading.Thread(target=look)
    watcher.start()
    try:
        yield highest
    finally:
        over.set()
        watcher.join()


def _write_store(folder: Path, records: int) -> float:
    """Write noise of so many subjects, and WARM more of split "test" to become warm on; return the seconds."""
    from openclef.record import Record
    from openclef.signal import LEADS
    from openclef.store import StoreWriter

    noise = np.random.default_rng(0).normal(0, 0.1, (12, 1000)).astype(np.float32)
    writer = StoreWriter(folder, name="noise", scale=0.001, fs=100, leads=LEADS, seconds=10)
    begin = time.perf_counter()
    for part, start in enumerate(range(0, records + WARM, 500)):
        numbers = range(start, min(start + 500, records + WARM))
        known = [
            {"split": "test" if n < WARM else "train", "age_years": 30.0 + n % 50, "sex": "male"}
            for n in numbers
        ]
        rows = [Record(noise, 100, LEADS, str(n), subject_id=str(n)) for n in numbers]
        writer.write_part(part, rows, known)
    writer.finish().add_risk("age_sex")
    return time.perf_counter() - begin


def _pretrain(store: str, out: str, **changed: Any) -> dict[str, float]:
    import openclef

    settings: dict[str, Any] = {
        "risk": "age_sex",
        "epochs": 1,
        "batch_size": 64,
        "views": openclef.Views(crop_s=2.0),
        "preprocessing": openclef.Preprocessing(fs=100),
        "accelerator": "cpu",
        "quiet": True,
    }
    return openclef.pretrain(store, out, **(settings | changed)).history[-1]


def _epoch(store: str, out: str, resident: bool) -> dict[str, float]:
    """One epoch of a store: its seconds and the memory of the process."""
    import openclef.pool

    if not resident:
        openclef.pool.RESIDENT_BYTES = 0
    _pretrain(store, f"{out}_warm", split="test")
    begin = time.process_time()
    with _peak() as peak:
        row = _pretrain(store, out)
    cpu_s = time.process_time() - begin  # of the whole call: reading the store and saving too
    return {"records_per_second": row["records_per_second"], "cpu_s": cpu_s, **peak}


def _records(given: argparse.Namespace, folder: Path) -> pd.DataFrame:
    rows = []
    print("records: one epoch of the small encoder, batch 64, 12 leads, 10 s at 100 Hz, views of 2 s")
    print(
        f"{'signals':<12}{'records':>9}{'s':>8}{'CPU s':>8}{'records/s':>11}{'private MiB':>13}{'mapped MiB':>12}"
    )
    for records in given.records:
        store = folder / f"noise_{records}"
        _write_store(store, records)
        ends = records in (min(given.records), max(given.records))
        for signals in ("in memory", "mapped") if ends else ("in memory",):
            found = _measure(
                "epoch",
                given.threads,
                store=str(store),
                out=str(folder / f"run_{records}_{signals[:2]}"),
                resident=signals == "in memory",
            )
            steps = records // 64
            seconds = steps * 64 / found["records_per_second"]
            row = {"signals": signals, "records": records, "seconds": seconds, **found}
            rows.append(row)
            print(
                f"{signals:<12}{records:>9,}{seconds:>8.2f}{row['cpu_s']:>8.2f}{row['records_per_second']:>11,.0f}"
                f"{row['private_mib']:>13,.0f}{row['mapped_mib']:>12,.0f}"
            )
    table = pd.DataFrame(rows)
    for signals in ("in memory", "mapped"):
        of = table[table["signals"] == signals]
        print(f"\nsignals {signals}")
        _print_line("seconds an epoch", "record", of["records"], of["seconds"])
        _print_line("CPU seconds", "record", of["records"], of["cpu_s"])
        _print_line("private MiB", "record", of["records"], of["private_mib"])
    return table


def _print_line(what: str, unit: str, x: pd.Series, y: pd.Series) -> None:
    """Fit y = a + b x by relative least squares and print it with its deviations; also those from a line through 0."""
    if len(x) == 2:
        print(f"  {what}: {y.iloc[0]:.4g} at {x.iloc[0]:,} {unit}s, {y.iloc[1]:.4g} at {x.iloc[1]:,}")
        return
    columns = np.stack([np.ones(len(x)), x.to_numpy(float)], axis=1) / y.to_numpy()[:, None]
    (a, b), *_ = np.linalg.lstsq(columns, np.ones(len(x)), rcond=None)
    off = ", ".join(f"{value:+.1%}" for value in y / (a + b * x) - 1)
    share = y / x
    print(
        f"  {what} = {a:.4g} + {b:.4g} a {unit}; off by {off}; "
        f"largest cost a {unit} over smallest: {share.max() / share.min():.2f}"
    )


def _step(batch_size: int) -> dict[str, float]:
    """Forward and backward of the method on views of 10 s at 100 Hz."""
    import torch

    from openclef.backbone import BACKBONES
    from openclef.data import Batch
    from openclef.method import METHODS

    torch.manual_seed(0)
    method = METHODS["clef"](BACKBONES["resnext1d_small"](leads=1))

    def batch(size: int) -> Batch:
        views, known = torch.randn(2, size, 1, 1000), torch.rand(size)
        return Batch(views[0], views[1], known, torch.ones(size), torch.arange(size))

    method(batch(8)).loss.backward()
    whole = batch(batch_size)
    return _time_and_memory(lambda: method(whole).loss.backward())


def _loss(batch_size: int) -> dict[str, float]:
    """Forward and backward of the loss over all pairs of embeddings of 256 numbers."""
    import torch

    from openclef.loss import clef_loss

    def run(size: int) -> None:
        z = torch.randn(2, size, 256, requires_grad=True)
        clef_loss(z[0], z[1], torch.rand(size), torch.ones(size), torch.arange(size)).total.backward()

    run(8)
    return _time_and_memory(lambda: run(batch_size))


def _time_and_memory(run: Callable[[], Any]) -> dict[str, float]:
    """Median seconds of three runs, and how many MiB they add at most to what the process had allocated."""
    with _peak() as before:
        time.sleep(0.05)
    took = []
    with _peak() as peak:
        for _ in range(3):
            began = time.perf_counter(), time.process_time()
            run()
            took.append((time.perf_counter() - began[0], time.process_time() - began[1]))
    seconds, cpu_s = np.median(took, axis=0)
    added = peak["private_mib"] - before["private_mib"]
    return {"seconds": float(seconds), "cpu_s": float(cpu_s), "mib": added}


def _batch(given: argparse.Namespace, folder: Path) -> pd.DataFrame:
    print("batch: forward and backward of the small encoder and the loss, views of 10 s at 100 Hz")
    print(
        f"{'batch':>6}{'ms a step':>11}{'CPU ms a view':>15}{'MiB':>7}{'MiB a view':>12}"
        f"{'loss CPU ms':>13}{'loss MiB':>10}"
    )
    rows = []
    for size in given.batches:
        step = _measure("step", given.threads, batch_size=size)
        loss = _measure("loss", given.threads, batch_size=size)
        row = {
            "batch": size,
            "ms_a_step": 1000 * step["seconds"],
            "cpu_ms_a_step": 1000 * step["cpu_s"],
            "cpu_ms_a_view": 1000 * step["cpu_s"] / (2 * size),
            "mib": step["mib"],
            "mib_a_view": step["mib"] / (2 * size),
            "loss_cpu_ms": 1000 * loss["cpu_s"],
            "loss_mib": loss["mib"],
        }
        rows.append(row)
        print(
            f"{size:>6}{row['ms_a_step']:>11,.0f}{row['cpu_ms_a_view']:>15.2f}{row['mib']:>7,.0f}"
            f"{row['mib_a_view']:>12.2f}{row['loss_cpu_ms']:>13.1f}{row['loss_mib']:>10.1f}"
        )
    table = pd.DataFrame(rows)
    print()
    _print_line("CPU ms a step", "view", 2 * table["batch"], table["cpu_ms_a_step"])
    _print_line("MiB", "view", 2 * table["batch"], table["mib"])
    return table


def _ranks(given: argparse.Namespace, folder: Path) -> pd.DataFrame:
    store = folder / "noise"
    _write_store(store, 1000)
    print("ranks: openclef pretrain, batch 64 over all processes, 1,000 records of 10 s at 100 Hz")
    print(f"{'':<28}{'records/s':>10}{'against the first':>19}")
    rows: list[dict[str, Any]] = []
    for processes, threads in ((1, 1), (1, 2), (2, 1)):
        name = f"{processes}_{threads}"
        command = ["-m", "openclef.cli", "pretrain", str(store), str(folder / name)]
        command += ["--risk", "age_sex", "--epochs", "2", "--preprocessing.fs", "100"]
        command += ["--accelerator", "cpu", "--quiet", "true"]
        if processes > 1:
            with socket.socket() as free:
                free.bind(("127.0.0.1", 0))
                port = free.getsockname()[1]
            launch = ["-m", "torch.distributed.run", f"--nproc_per_node={processes}"]
            command = [*launch, "--master_addr=127.0.0.1", f"--master_port={port}", *command]
        subprocess.run(
            [sys.executable, *command],
            check=True,
            capture_output=True,
            env={**os.environ, "OMP_NUM_THREADS": str(threads), "PYTHONWARNINGS": "ignore"},
        )
        history = pd.read_csv(folder / name / "metrics.csv")
        speed = float(history["records_per_second"].iloc[-1])
        rows.append({"processes": processes, "threads": threads, "records_per_second": speed})
        label = f"{processes} process{'es' * (processes > 1)}, {threads} thread{'s' * (threads > 1)} each"
        print(f"{label:<28}{speed:>10,.0f}{speed / rows[0]['records_per_second']:>19.2f}")
    return pd.DataFrame(rows)


def _saved(backbone: str, samples: int, precision: str) -> dict[str, float]:
    """Bytes that autograd keeps for the backward pass of one view, and what does not grow with views."""
    import torch

    from openclef.backbone import BACKBONES

    net = BACKBONES[backbone](leads=1)
    weights = {each.untyped_storage().data_ptr() for each in net.parameters()}

    def kept(views: int) -> int:
        held: dict[int, torch.Tensor] = {}

        def pack(tensor: torch.Tensor) -> torch.Tensor:
            held[tensor.untyped_storage().data_ptr()] = tensor  # held, so that no address comes twice
            return tensor

        half = torch.autocast("cpu", dtype=torch.bfloat16, enabled=precision != "32-true")
        with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor), half:
            net(torch.randn(views, 1, samples))
        return sum(each.untyped_storage().nbytes() for at, each in held.items() if at not in weights)

    one, three = kept(1), kept(3)
    return {
        "parameters": sum(each.numel() for each in net.parameters()),
        "view_bytes": (three - one) / 2,
        "fixed_bytes": one - (three - one) / 2,
    }


def _sizes(given: argparse.Namespace, folder: Path) -> pd.DataFrame:
    from openclef.backbone import BACKBONES

    print("sizes: estimates for one device. A view is 10 s at 500 Hz; a batch of B records has 2 B views.")
    print(
        "fixed = 20 bytes a parameter (weight, gradient, DDP's bucket, Adam's two) + weights cast to bfloat16"
    )
    fits = "".join(f"{f'{size} GB':>9}" for size in DEVICES_GB)
    print(
        f"{'':<19}{'precision':<12}{'parameters':>12}{'fixed GB':>10}{'MB kept a view':>16}  largest B on{fits}"
    )
    rows = []
    for backbone in BACKBONES:
        for precision in ("32-true", "bf16-mixed"):
            found = _measure("saved", 1, backbone=backbone, samples=5000, precision=precision)
            fixed = 20 * found["parameters"] + found["fixed_bytes"]
            largest = {size: _largest_batch(size, fixed, found["view_bytes"]) for size in DEVICES_GB}
            rows.append(
                {"backbone": backbone, "precision": precision, **found}
                | {f"batch_at_{size}_gb": batch for size, batch in largest.items()}
            )
            print(
                f"{backbone:<19}{precision:<12}{found['parameters']:>12,.0f}{fixed / 1e9:>10.2f}"
                f"{found['view_bytes'] / 1e6:>16.2f}{'':<14}"
                + "".join(f"{batch:>9,}" for batch in largest.values())
            )
    return pd.DataFrame(rows)


def _largest_batch(device_gb: float, fixed: float, view: float) -> int:
    """Largest B of one device, whose memory is filled by what is fixed, 2 B views and the (2B, 2B) of the loss."""
    free = USABLE * device_gb * 1e9 - fixed
    if free <= 0:
        return 0
    a, b = LOSS_MATRICES * 4 * 4, 2 * PEAK_OVER_KEPT * view
    return int((-b + (b * b + 4 * a * free) ** 0.5) / (2 * a))


PARTS: dict[str, Callable[[argparse.Namespace, Path], pd.DataFrame]] = {
    "records": _records,
    "batch": _batch,
    "ranks": _ranks,
    "sizes": _sizes,
}
MEASUREMENTS: dict[str, Callable[..., dict[str, float]]] = {
    "epoch": _epoch,
    "step": _step,
    "loss": _loss,
    "saved": _saved,
}

if __name__ == "__main__":
    main()
