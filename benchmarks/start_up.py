"""How long until the first batch of a store of 800,000 records? Seconds and memory of a fresh process.

python benchmarks/start_up.py [--records 800000] [--subjects 161000]

The store is as large as MIMIC-IV-ECG and holds nothing: its shards are files with holes, which take no space on disk,
all samples 0. Metadata and risk are random numbers.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from openclef.shards import sha256_of, write_json
from openclef.signal import LEADS
from openclef.store import open_store

ROWS = 4000  # of a shard
FS, SECONDS = 500, 10


def main() -> None:
    """Build a store, then start in a fresh process and print what it took."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--records", type=int, default=800_000)
    parser.add_argument("--subjects", type=int, default=161_000)
    parser.add_argument("--start", help="only start, with the store in this folder")
    given = parser.parse_args()
    if given.start:
        start(given.start)
        return
    with tempfile.TemporaryDirectory() as folder:
        build(Path(folder, "store"), given.records, given.subjects)
        for _ in range(2):  # the second time with files in the page cache
            subprocess.run([sys.executable, __file__, "--start", str(Path(folder, "store"))], check=True)


def build(folder: Path, records: int, subjects: int) -> None:
    """Write a store whose shards are holes."""
    import pyarrow as pa
    from pyarrow import parquet

    (folder / "shards").mkdir(parents=True)
    rng = np.random.default_rng(0)
    subject = np.sort(rng.integers(0, subjects, records))
    shards = []
    for number, first in enumerate(range(0, records, ROWS)):
        rows = min(ROWS, records - first)
        file = folder / f"shards/{number:05d}.npy"
        with file.open("wb") as opened:
            header = {"descr": "<i2", "fortran_order": False, "shape": (rows, len(LEADS), FS * SECONDS)}
            np.lib.format.write_array_header_1_0(opened, header)
            opened.truncate(opened.tell() + rows * len(LEADS) * FS * SECONDS * 2)
        shards.append({"file": f"shards/{number:05d}.npy", "rows": rows})
    unknown = rng.random((3, records)) < 0.6
    table = pa.table(
        {
            "record_id": pa.array([f"{40_000_000 + number}" for number in range(records)]),
            "subject_id": pa.array((10_000_000 + subject).astype(str).tolist()),
            "start_s": np.zeros(records),
            "seconds": np.full(records, float(SECONDS)),
            "split": pa.array(np.where(subject % 20 == 0, "val", "train").tolist()),
            "flags": pa.array(np.where(rng.random(records) < 0.03, "flat:V1", "").tolist()),
            "shard": np.arange(records) // ROWS,
            "row": np.arange(records) % ROWS,
            "age_years": rng.uniform(18, 91, records),
            "sex": pa.array(np.where(subject % 2, "male", "female").tolist()),
            "sbp_mmhg": np.where(unknown[0], np.nan, rng.normal(130, 18, records)),
            "total_cholesterol_mmol_l": np.where(unknown[1], np.nan, rng.normal(5, 1, records)),
            "hdl_cholesterol_mmol_l": np.where(unknown[2], np.nan, rng.normal(1.4, 0.3, records)),
            "report": pa.array([f"Sinus rhythm. Normal ECG {number % 997}" for number in range(records)]),
        }
    )
    parquet.write_table(table, folder / "records.parquet")
    write_json(folder / "dataset.json", description(folder, shards))
    open_store(folder).add_risk("score2", region="low")


def description(folder: Path, shards: list[dict]) -> dict:
    """What dataset.json says: as a small real store says it, with other shards."""
    from openclef.record import Record
    from openclef.store import StoreWriter

    with tempfile.TemporaryDirectory() as other:
        writer = StoreWriter(other, name="holes", scale=0.001, fs=FS, leads=LEADS, seconds=SECONDS)
        nothing = np.zeros((len(LEADS), FS * SECONDS), np.float32)
        writer.write_part(0, [Record(nothing, FS, LEADS, "a", subject_id="a")], [{"split": "train"}])
        writer.finish()
        info = json.loads(Path(other, "dataset.json").read_text())
    entry = info["shards"][0]
    return info | {
        "shards": [entry | shard for shard in shards],
        "records_sha256": sha256_of(folder / "records.parquet"),
    }


def peak_memory_mb() -> float:
    """Peak of this process's own memory; what getrusage says begins with that of the process that started it."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) / 1024


def start(folder: str) -> None:
    """Do what a pretraining run does until it has its first batch, and print seconds and memory."""
    begin = time.perf_counter()
    from openclef.augment import Views
    from openclef.data import Batches
    from openclef.pool import training_pool
    from openclef.preprocessing import Preprocessing

    imported = time.perf_counter()
    base_mb = peak_memory_mb()
    store = open_store(folder)
    pool = training_pool([store], "train", "score2", "random", [])
    pool.fingerprint()
    pooled = time.perf_counter()
    batches = Batches(pool, batch_size=64, preprocessing=Preprocessing(), views=Views())
    next(batches.epoch(0))
    ready = time.perf_counter()
    peak_mb = peak_memory_mb()
    print(
        f"{len(store):,} records, {len(pool.subjects):,} subjects in training: import {imported - begin:.2f} s,"
        f" pool {pooled - imported:.2f} s, first batch {ready - pooled:.2f} s; memory {peak_mb:.0f} MB"
        f" ({base_mb:.0f} MB after import)",
        flush=True,
    )


if __name__ == "__main__":
    main()
