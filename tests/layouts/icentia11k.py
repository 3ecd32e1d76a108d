"""Icentia11k 1.0 in small: its folders, headers and annotations, with segments of 45 s instead of 70 min.

Run `python -m tests.layouts.icentia11k FOLDER` to write it.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import NamedTuple

import numpy as np
import wfdb

from tests.layouts.beats import beat_train

FS = 250
GAIN = (2**15 - 1) * 6 / (0.9375 * 2820)
RHYTHMS = ("N", "AFIB", "AFL")


class Written(NamedTuple):
    """A segment: its values in mV, each beat's sample and symbol, and each rhythm's name and ends."""

    signal: np.ndarray
    centres: np.ndarray
    symbols: list[str]
    rhythms: list[tuple[str, int, int]]


def write(
    folder: str | Path, *, patients: int = 48, seconds: float = 45.0, seed: int = 0
) -> dict[str, Written]:
    """Write the layout, three segments a patient; gives what was written, by segment.

    Every patient has N beats and rhythm, the even ones S beats and AFIB, the others AFL, two of three V beats, each in
    one of the segments; with 170 patients each class is ten times in the test part. S beats come early, V beats are
    wide, AFIB is irregular, AFL fast. The last four stand in the folder `p01`.

    Traps: the last segment is shorter; p00001's segments have no annotations; p00002_s01's are broken;
    p00003's header has a gain of 200; p00004's signals are missing; p00006 has beats only within 5 s of the ends, and
    rhythms only of less than 10 s or of one beat; Q beats everywhere.
    """
    folder = Path(folder)
    generator = np.random.default_rng(seed)
    truth = {}
    for number in range(patients):
        person = f"p{number if number < patients - 4 else 1000 + number:05d}"
        place = folder / person[:3] / person
        place.mkdir(parents=True, exist_ok=True)
        for part in range(3):
            name = f"{person}_s{part:02d}"
            length = round((seconds if part < 2 else 0.7 * seconds) * FS)
            truth[name] = _write_segment(place, name, number, part, length, generator)
    (folder / "p00/p00002/p00002_s01.atr").write_bytes(b"no annotations\n" * 3 + b"\xff")
    for path in (folder / "p00/p00004").glob("*.dat"):
        path.unlink()
    people = sorted({name[:6] for name in truth})
    (folder / "RECORDS").write_text("".join(f"{person[:3]}/{person}/\n" for person in people))
    return truth


def _write_segment(
    place: Path, name: str, number: int, part: int, samples: int, generator: np.random.Generator
) -> Written:
    step = int(FS * 60 / (60 + number % 48))
    centres = np.arange(100, samples - 100, step)
    middle = len(centres) // 2
    half = int(centres[middle])
    rhythm = "N" if part != (number + 1) % 3 else "AFL" if number % 2 else "AFIB"
    if rhythm == "AFIB":
        centres[middle + 1 :] += np.round(
            generator.uniform(-0.3, 0.3, len(centres) - middle - 1) * step
        ).astype(int)
    elif rhythm == "AFL":
        centres = np.concatenate([centres[:middle], np.arange(half, samples - 100, int(0.4 * FS))])
    symbols = ["N"] * len(centres)
    for beat in range(4, len(centres), 6):
        symbols[beat] = "Q"
    if part == number % 3:
        for beat in range(5, len(centres), 7):
            symbols[beat] = "S" if number % 2 == 0 else symbols[beat]
        for beat in range(3, len(centres), 9):
            symbols[beat] = "V" if number % 3 != 1 else symbols[beat]
        centres -= np.where(np.array(symbols) == "S", step // 4, 0)
    bounds = [("N", int(centres[0]), half - 5), (rhythm, half, int(centres[-1]))]
    if number == 6:
        symbols = ["N" if min(centre, samples - centre) < 5 * FS else "Q" for centre in centres]
        bounds = [("AFIB", 100, 100 + 9 * FS), ("AFL", 3000, 3000)]
    signal = beat_train(generator, centres, symbols, samples, FS)
    digital = np.round(signal * GAIN).astype("<i2")
    (place / f"{name}.dat").write_bytes(digital.tobytes())
    gain = 200.0 if number == 3 else GAIN
    checksum = (int(digital.astype(int).sum()) + 32768) % 65536 - 32768
    (place / f"{name}.hea").write_text(
        f"{name} 1 {FS} {samples}\n{name}.dat 16 {gain}(0)/mV 16 0 {digital[0]} {checksum} 0 ecg\n"
    )
    if number != 1:
        _write_annotations(place, name, centres, symbols, bounds)
    return Written(digital / GAIN, centres, symbols, bounds)


def _write_annotations(
    place: Path, name: str, centres: np.ndarray, symbols: list[str], bounds: list[tuple[str, int, int]]
) -> None:
    rows = [(int(centre), symbol, "") for centre, symbol in zip(centres, symbols)]
    for rhythm, start, stop in bounds:
        rows += (
            [(start, "+", f"({rhythm}")] + [(stop, "+", ")")]
            if stop > start
            else [(start, "+", f"({rhythm})")]
        )
    rows.sort(key=lambda row: row[0])
    samples, marks, notes = zip(*rows)
    wfdb.wrann(
        name,
        "atr",
        np.asarray(samples),
        symbol=list(marks),
        aux_note=list(notes),
        fs=FS,
        write_dir=str(place),
    )


if __name__ == "__main__":
    write(sys.argv[1])
