"""The training set of the PhysioNet/CinC Challenge 2017 in small: MATLAB files, headers, one table.

Run `python -m tests.layouts.cinc2017 FOLDER` to write it.
"""

from __future__ import annotations

import struct
import sys
from pathlib import Path
from typing import NamedTuple

import numpy as np

from openclef.database.plan import split_by_subject
from tests.layouts.beats import beat_train, beats

FS, GAIN = 300, 1000
LABELS = ("N", "A", "O", "~", "N", "A", "O", "N")
"""Of the records of each side of the split in turn."""


class Written(NamedTuple):
    """A record: its values in mV, (time,), and its class."""

    signal: np.ndarray
    label: str


def write(folder: str | Path, *, records: int = 48, seed: int = 0) -> dict[str, Written]:
    """Write the layout into `training2017`; gives what was written, by record.

    Most records last 10 s, as few there do. Class A has irregular beats without a P wave, O early and wide ones, ~
    is noise. With 200 records N, A and O have ten records in the test part.

    Traps: A00002 lasts 61 s, A00004 9 s, A00006 14.9 s, A00008 15 s; A00010's signals are missing, A00012's cut
    short; A00014 is in no row of the table.
    """
    folder = Path(folder) / "training2017"
    folder.mkdir(parents=True, exist_ok=True)
    generator = np.random.default_rng(seed)
    names = [f"A{2 * number:05d}" for number in range(1, records + 1)]
    sides = split_by_subject(names)
    written: dict[str, Written] = {}
    for number, name in enumerate(names):
        rank = int((sides[:number] == sides[number]).sum())
        label = LABELS[rank % len(LABELS)]
        seconds = {"A00002": 61, "A00004": 9, "A00006": 14.9, "A00008": 15}.get(name, 10)
        digital = np.round(_signal(generator, label, seconds) * GAIN).astype("<i2")
        _write_record(folder / name, digital)
        written[name] = Written(digital / GAIN, label)
    rows = [f"{name},{record.label}" for name, record in written.items() if name != "A00014"]
    (folder / "REFERENCE-v3.csv").write_text("\n".join(rows) + "\n")
    (folder / "A00010.mat").unlink()
    short = folder / "A00012.mat"
    short.write_bytes(short.read_bytes()[:-1000])
    return written


def _signal(generator: np.random.Generator, label: str, seconds: float) -> np.ndarray:
    rate = generator.normal(75, 8)
    if label == "O":
        samples = round(seconds * FS)
        centres = np.arange(100, samples - 60, int(FS * 60 / rate))
        symbols = ["N"] * len(centres)
        for beat in range(2, len(centres), 4):
            centres[beat] -= round(0.25 * FS)
            symbols[beat] = "V"
        return beat_train(generator, centres, symbols, samples, FS)
    fibrillates = label == "A"
    return beats(
        generator, seconds, FS, rate=rate, rr_spread=generator.uniform(0.05, 0.25) if fibrillates else 0.05,
        p_height=generator.uniform(0, 0.5) if fibrillates else generator.uniform(0.2, 1.5),
        noise_mv=0.4 if label == "~" else generator.uniform(0.01, 0.1),
    )  # fmt: skip


def _write_record(path: Path, digital: np.ndarray) -> None:
    # MATLAB level 4: type (little-endian int16), rows, columns, real, length of the name, name; then the values
    head = struct.pack("<5i", 30, 1, len(digital), 0, 4) + b"val\x00"
    path.with_name(f"{path.name}.mat").write_bytes(head + digital.tobytes())
    check = (int(digital.astype(int).sum()) + 32768) % 65536 - 32768
    path.with_name(f"{path.name}.hea").write_text(
        f"{path.name} 1 {FS} {len(digital)}\n{path.name}.mat 16+24 {GAIN}/mV 16 0 {digital[0]} {check} 0 ECG\n"
    )


if __name__ == "__main__":
    write(sys.argv[1])
