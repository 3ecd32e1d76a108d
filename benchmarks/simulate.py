"""How fast is the simulator? Records a second, beside the same work without ECGs, in one run on this machine.

python benchmarks/simulate.py [--patients 2000] [--workers 2]
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path

import numpy as np

from openclef.record import Record
from openclef.signal import LEADS
from openclef.simulator import draw_patients, simulate
from openclef.store import StoreWriter


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--patients", type=int, default=2000)
    parser.add_argument("--workers", type=int)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        simulate(Path(folder, "warm"), patients=4)
        begin = time.perf_counter()
        simulate(Path(folder, "sim"), patients=given.patients, workers=given.workers)
        whole = time.perf_counter() - begin
        begin = time.perf_counter()
        draw_patients(given.patients)
        people = time.perf_counter() - begin
        written = write_noise(Path(folder, "noise"), given.patients)
    print(f"simulate: {given.patients / whole:,.0f} records/s (12 leads, 10 s, 250 Hz), {whole:.1f} s")
    print(f"of it patients: {people:.2f} s; one process writing as many records of noise: {written:.2f} s")


def write_noise(folder: Path, records: int) -> float:
    """Seconds to write a store of the same size without simulating anything: the floor."""
    signal = np.random.default_rng(0).normal(0, 0.1, (12, 2500)).astype(np.float32)
    writer = StoreWriter(folder, name="noise", scale=0.001, fs=250, leads=LEADS, seconds=10)
    begin = time.perf_counter()
    for part, start in enumerate(range(0, records, 250)):
        names = [str(number) for number in range(start, min(start + 250, records))]
        rows = [Record(signal, 250, LEADS, name, subject_id=name) for name in names]
        writer.write_part(part, rows, [{"split": "train"}] * len(rows))
    writer.finish()
    return time.perf_counter() - begin


if __name__ == "__main__":
    main()
