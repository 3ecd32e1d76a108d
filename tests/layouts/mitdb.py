"""The MIT-BIH Arrhythmia Database 1.0.0 in small: its record names, format 212, headers and annotations.

Run `python -m tests.layouts.mitdb FOLDER` to write it.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import NamedTuple

import numpy as np
import wfdb

from tests.layouts.beats import beat_train

FS, GAIN, BASELINE = 360, 200, 1024
NAMES = (
    "100", "101", "102", "103", "106", "108", "114", "115", "118", "119", "201", "202", "209", "213", "217", "232",
)  # fmt: skip
"""Some of the database's records; MORE holds others."""
MORE = (
    "104", "105", "107", "109", "111", "112", "113", "116", "117", "121", "122", "123", "124", "200", "203", "205",
    "207", "208", "210", "212", "214", "215", "219", "220", "221", "222", "223", "228", "230", "231", "233", "234",
)  # fmt: skip
PACED = ("102", "104", "107", "217")


class Written(NamedTuple):
    """What was written: values in mV by lead, and each beat's sample and symbol."""

    signal: dict[str, np.ndarray]
    centres: np.ndarray
    symbols: list[str]


def write(
    folder: str | Path, *, records: int = 16, seconds: float = 60.0, seed: int = 0
) -> dict[str, Written]:
    """Write the layout, up to all 48 records; gives what was written, by record.

    Traps: 102 and 104 have no MLII, and they, 107 and 217 are paced; 114 has its leads the other way round; 202 is
    of the patient of 201; 103's age is -1; 115's annotations are missing, 119's broken; 232's signal file is missing;
    108 has beats within 5 s of both ends, a fusion and an unclassifiable beat.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    generator = np.random.default_rng(seed)
    truth = {}
    names = (*NAMES, *MORE)[:records]
    for number, name in enumerate(names):
        truth[name] = _write_record(folder, name, number, seconds, generator)
    (folder / "115.atr").unlink()
    (folder / "119.atr").write_bytes(b"no annotations\n" * 3 + b"\xff")
    (folder / "232.dat").unlink()
    (folder / "RECORDS").write_text("\n".join(sorted(names)) + "\n")
    return truth


def _write_record(
    folder: Path, name: str, number: int, seconds: float, generator: np.random.Generator
) -> Written:
    samples = round(seconds * FS)
    step = int(FS * 60 / (60 + 3 * (number % 16)))
    centres = np.arange(180, samples - 60, step)
    rare = {0: "SV", 1: "V", 2: "SV", 3: "S"}[number % 4]
    symbols = ["N" if beat % 3 else rare[(beat // 3) % len(rare)] for beat in range(len(centres))]
    symbols = [{"N": "NLRej"[number % 5], "S": "AaJS"[number % 4], "V": "VE"[number % 2]}[s] for s in symbols]
    if name in PACED:
        symbols = ["/" if beat % 4 else symbol for beat, symbol in enumerate(symbols)]
    if name == "108":
        symbols[10], symbols[11] = "F", "Q"
    signal = beat_train(generator, centres, symbols, samples, FS)
    leads = {"102": ("V5", "V2"), "104": ("V5", "V2"), "114": ("V5", "MLII")}.get(name, ("MLII", "V1"))
    digital = np.stack([np.round(signal * part * GAIN) + BASELINE for part in (1.0, -0.5)], axis=1).astype(
        int
    )
    wfdb.wrsamp(
        name, fs=FS, units=["mV"] * 2, sig_name=list(leads), d_signal=digital, fmt=["212"] * 2,
        adc_gain=[GAIN] * 2, baseline=[BASELINE] * 2, write_dir=str(folder),
    )  # fmt: skip
    sums = [(int(column.sum()) + 32768) % 65536 - 32768 for column in digital.T]
    person = NAMES.index("201") if name == "202" else number
    age = -1 if name == "103" else 30 + 4 * (person % 14)
    header = [f"{name} 2 {FS} {samples}"]
    header += [
        f"{name}.dat 212 {GAIN} 11 {BASELINE} {first} {check} 0 {lead}"
        for first, check, lead in zip(digital[0], sums, leads)
    ]
    header += [f"# {age} {'FM'[person % 2]} {1000 + number} 654 x1", "# Digoxin, 2 a day"]
    (folder / f"{name}.hea").write_text("\n".join(header) + "\n")
    wfdb.wrann(
        name, "atr", np.concatenate([[18], centres]), symbol=["+", *symbols], write_dir=str(folder),
        aux_note=["(N\x00", *[""] * len(symbols)],
    )  # fmt: skip
    values = (digital.T - BASELINE) / GAIN
    return Written(dict(zip(leads, values)), centres, symbols)


if __name__ == "__main__":
    write(sys.argv[1])
