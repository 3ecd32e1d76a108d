"""Files of one's own: WFDB, text and array files of seven rates, and the CSV file that lists them.

Run `python -m tests.layouts.files FOLDER` to write it.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pandas as pd
import wfdb

RATES = (125.0, 130.0, 200.0, 250.0, 360.0, 500.0, 1000.0)
ENDINGS = ("hea", "csv", "npy", "npz", "tsv")
SECONDS = 10.0


def wave(number: int, fs: float) -> np.ndarray:
    """A file's lead I in mV: a sum of tones that no rate of RATES loses."""
    time = np.arange(round(SECONDS * fs)) / fs
    rate = 1 + number % 7 / 10
    return sum(np.sin(2 * np.pi * rate * part * time + number) / part for part in (1, 2, 5, 9))


def write(folder: str | Path, *, files: int = 200, seed: int = 0) -> pd.DataFrame:
    """Write the files and `ecgs.csv`; gives its table.

    Every second file of a format that can has another lead before lead I; text files call it "Lead I" or "ECG";
    array files state nothing beside the samples, or all of it (.npz). Two files in three have a subject of their own.
    """
    folder, rows = Path(folder), []
    generator = np.random.default_rng(seed)
    for number in range(files):
        fs, ending = RATES[number % len(RATES)], ENDINGS[number % len(ENDINGS)]
        path = f"{ending}/e{number:03d}.{ending}"
        subject = number - number % 3 // 2
        (folder / ending).mkdir(parents=True, exist_ok=True)
        _write_file(folder / path, number, fs, stated=ending in ("npz", "hea"))
        rows.append(
            {
                "path": path,
                "subject_id": f"s{subject:03d}",
                "fs": "" if ending in ("npz", "hea", "tsv") else f"{fs:g}",
                "leads": "I" if ending == "npy" else "",
                "unit": "mV" if ending == "npy" else "",
                "age_years": str(int(generator.integers(20, 90))),
                "sex": "mf"[subject % 2],
                "af": str(number % 2),
                "rhythm": ("SR", "AF", "paced")[number % 3],
                "findings": ("LVH;LBBB", "LVH", "RBBB")[number % 3],
                "ef": f"{generator.uniform(20, 70):.1f}",
                "note": f"seen on ward {number}",
            }
        )
    table = pd.DataFrame(rows)
    table.to_csv(folder / "ecgs.csv", index=False)
    return table


def _write_file(path: Path, number: int, fs: float, *, stated: bool) -> None:
    signal = wave(number, fs)
    both = np.stack([-signal, signal]) if number % 2 else signal[None]
    leads = ["V1", "I"] if number % 2 else ["I"]
    if path.suffix == ".hea":
        wfdb.wrsamp(
            path.stem, fs=fs, units=["mV"] * len(leads), sig_name=leads, p_signal=both.T, fmt=["16"] * len(leads),
            adc_gain=[2000.0] * len(leads), baseline=[0] * len(leads), write_dir=str(path.parent),
        )  # fmt: skip
    elif path.suffix == ".npy":
        np.save(path, signal.astype(np.float32))
    elif path.suffix == ".npz":
        np.savez(
            path, signal=np.round(both * 1000).astype(np.int16), fs=fs, leads=leads, scale=1.0, unit="uV"
        )
    elif path.suffix == ".csv":
        names = ",".join(f"Lead {lead} (uV)" for lead in leads)
        np.savetxt(path, both.T * 1000, fmt="%.0f", delimiter=",", header=names, comments="")
    else:
        times = np.arange(len(signal)) / fs
        np.savetxt(
            path, np.column_stack([times, signal]), fmt=["%.6f", "%.4f"], delimiter="\t", header="time_s\tECG (mV)",
            comments="",
        )  # fmt: skip


if __name__ == "__main__":
    write(sys.argv[1])
