"""How fast are WFDB files converted, by how many cores? Records a second, in one run on this machine.

Writes records of 12 leads, 10 s at 500 Hz (as PTB-XL's) into a temporary folder and converts them; they are in the
page cache, so this is the processor's share of the work. Reading from a slow disk comes on top.

python benchmarks/conversion.py [--records 1536] [--workers 1 2] [--csv conversion.csv]
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import wfdb

import openclef
from openclef.signal import LEADS


def main() -> None:
    """Write the files, convert them with each number of workers, and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--records", type=int, default=1536, help="256 make a part, the unit of work")
    parser.add_argument("--workers", nargs="+", type=int, default=[1, 2])
    parser.add_argument("--csv", type=Path)
    given = parser.parse_args()
    warnings.simplefilter("ignore")  # that the noise is no ECG and has no table of subjects
    rows = []
    with tempfile.TemporaryDirectory(prefix="conversion_") as name:
        folder = Path(name)
        size = write_files(folder / "files", given.records) / 2**20
        print(
            f"{given.records:,} records, {size:,.0f} MiB; {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}"
        )
        convert(folder / "files", folder / "warm", max(given.workers), limit=512)
        for workers in given.workers:
            seconds = convert(folder / "files", folder / f"store_{workers}", workers)
            speed = given.records / seconds
            rows.append({"workers": workers, "seconds": seconds, "records_per_second": speed})
            ratio = speed / rows[0]["records_per_second"]
            print(
                f"{workers} workers: {seconds:6.2f} s  {speed:7,.0f} records/s  {size / seconds:6,.0f} MiB/s  "
                f"{ratio:.2f} times the first"
            )
    if given.csv is not None:
        pd.DataFrame(rows).to_csv(given.csv, index=False)


def write_files(folder: Path, records: int) -> int:
    """Write records of one noise under different names; return their bytes."""
    folder.mkdir()
    steps = np.random.default_rng(0).integers(-500, 500, (5000, 12))
    wfdb.wrsamp(
        "r00000",
        fs=500,
        units=["mV"] * 12,
        sig_name=list(LEADS),
        d_signal=steps,
        fmt=["16"] * 12,
        adc_gain=[1000.0] * 12,
        baseline=[0] * 12,
        write_dir=str(folder),
    )
    header = (folder / "r00000.hea").read_text()
    signal = (folder / "r00000.dat").read_bytes()
    for number in range(1, records):
        (folder / f"r{number:05d}.hea").write_text(header.replace("r00000", f"r{number:05d}"))
        (folder / f"r{number:05d}.dat").write_bytes(signal)
    return records * len(signal)


def convert(source: Path, store: Path, workers: int, limit: int | None = None) -> float:
    """Return the seconds that a conversion takes."""
    begin = time.perf_counter()
    made = openclef.convert("wfdb_folder", source, store, workers=workers, limit=limit, progress=False)
    seconds = time.perf_counter() - begin
    if limit is None and len(made) != len(list(source.glob("*.hea"))):
        raise SystemExit(f"{len(made)} records of {source} were converted; see {store}/skipped.csv")
    return seconds


if __name__ == "__main__":
    main()
