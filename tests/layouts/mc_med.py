"""MC-MED 1.0.1 in small: tables, splits without a header, and lead II in segments. All values are invented.

Run `python -m tests.layouts.mc_med FOLDER` to write it.
"""

from __future__ import annotations

import csv
import sys
from pathlib import Path

import numpy as np

from tests.layouts.beats import beats

FS = 500
GAIN = 1000

COLUMNS = [
    "MRN", "CSN", "Visit_no", "Visits", "Age", "Gender", "Race", "Ethnicity", "Means_of_arrival", "Triage_Temp",
    "Triage_HR", "Triage_RR", "Triage_SpO2", "Triage_SBP", "Triage_DBP", "Triage_acuity", "CC", "ED_dispo",
    "Hours_to_next_visit", "Dispo_class_next_visit", "ED_LOS", "Hosp_LOS", "DC_dispo", "Payor_class",
    "Admit_service", "Dx_ICD9", "Dx_ICD10", "Dx_name", "Arrival_time", "Roomed_time", "Dispo_time", "Admit_time",
    "Departure_time",
]  # fmt: skip
ACUITIES = ["1-Resuscitation", "2-Emergent", "3-Urgent", "4-Semi-Urgent", "5-Non-Urgent"]
ED = ["Discharge", "Inpatient", "Observation", "ICU"]
DISCHARGES = [
    "Home/Work (includes foster care)", "Skilled Nursing Facility", "Acute Care Hospital", "Expired",
    "Inpatient Rehab Facility", "Court/Law Enforcement",
]  # fmt: skip
SIDES = ("train", "val", "test")


def csn(number: int) -> str:
    """A visit's id."""
    return str(98_100_000 + 1237 * number)


def write(folder: str | Path, *, visits: int = 66, seed: int = 0) -> dict[str, np.ndarray]:
    """Write the layout; gives for each visit the 10 s in mV that a reader shall find.

    Visits 0 to 53 % are training, and so on; each label is on each side, with 300 visits ten times on the test side.
    The heart rate follows acuity, the QRS the disposition, the P wave the discharge, the T wave the systolic pressure.

    Traps, by the visit's number:
    1 has no waveform; 2 only a Pleth; 3's file is missing; 4's gain is 0; 5's first segment stands still; 6 begins
    with 25 s missing; 7's first segment lasts 8 s; 8 has a pressure of 0, and no acuity; 9 is 90 years old and of
    unknown gender; 10 stands in no split; 11 is the same patient as 0, as a later visit, and listed in the test set;
    12 has an unknown ED disposition, and no discharge disposition; 13 holds no signal at all.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    generator = np.random.default_rng(seed)
    truth, sides, summary, rows = {}, {side: [] for side in SIDES}, [], []
    for number in range(visits):
        visit, side = csn(number), SIDES[np.searchsorted([0.55, 0.78], number / visits, side="right")]
        if number != 10:
            sides["test" if number == 11 else side].append(visit)
        rows.append(row := _row(number, visit, generator))
        summary += [] if number == 1 else [[visit, "Pleth", 1, 3600.0], [visit, "Resp", 1, 3600.0]]
        if number in (1, 2):
            continue
        found = _write_segments(folder, visit, number, row, generator)
        summary.append([visit, "II", len(found), 30.0 * len(found)])
        if number not in (3, 4, 13):
            truth[visit] = next(stretch for stretch in found if stretch is not None)
    _write_csv(folder / "visits.csv", [COLUMNS, *rows])
    _write_csv(folder / "waveform_summary.csv", [["CSN", "Type", "Segments", "Duration"], *summary])
    for stem in ("split_chrono", "split_random"):
        for side in SIDES:
            _write_csv(folder / f"{stem}_{side}.csv", [[visit] for visit in sides[side]])
    return truth


def _row(number: int, visit: str, generator: np.random.Generator) -> list[str]:
    patient = 0 if number == 11 else number
    values = {
        "MRN": str(77_000_000 + 31 * patient),
        "CSN": visit,
        "Visit_no": "2" if number == 11 else "1",
        "Visits": "2" if patient == 0 else "1",
        "Age": "90" if number == 9 else str(int(generator.integers(18, 89))),
        "Gender": "U" if number == 9 else "MF"[(patient + patient // 16) % 2],
        "Triage_SBP": "0" if number == 8 else str(int(generator.integers(90, 190))),
        "Triage_DBP": "" if number == 8 else f"{int(generator.integers(50, 110))}.0",
        "Triage_acuity": "" if number == 8 else ACUITIES[number % 5],
        "CC": 'CHEST PAIN, "SHARP"',
        "ED_dispo": "Observatory" if number == 12 else ED[number % 4],
        "DC_dispo": "" if number == 12 else DISCHARGES[number % 6],
        "Arrival_time": f"{2150 + number // 24}-01-{1 + number % 24:02d}T08:00:00Z",
    }
    return [values.get(column, "") for column in COLUMNS]


def _write_segments(
    folder: Path, visit: str, number: int, row: list[str], generator: np.random.Generator
) -> list[np.ndarray | None]:
    """Write a visit's segments; gives of each the 10 s that hold a signal first."""
    place = folder / "waveforms" / visit[-3:] / visit / "II"
    place.mkdir(parents=True)
    found: list[np.ndarray | None] = []
    sbp = float(row[COLUMNS.index("Triage_SBP")] or 120)
    vary = np.exp(generator.normal(0, 0.3, 3))
    waves = {
        "rate": generator.normal(110 - 10 * (number % 5), 15),
        "qrs_width": (0.8 + 0.2 * (number % 4)) * vary[0],
        "p_height": (2 - 0.4 * (number % 6)) * vary[1],
        "t_height": (0.4 + (sbp - 90) / 100) * vary[2],
    }
    for segment in range(1, 3 if number in (5, 7) else 2):
        values = beats(generator, 8 if number == 7 and segment == 1 else 40, FS, **waves)
        digital = np.round(values * GAIN).astype("<i2")
        first: int | None = 0
        if number == 6:
            digital[: 25 * FS] = -32768
            first = 30  # 20 s to 30 s is half missing
        if number == 13 or (number == 5 and segment == 1):
            digital[:] = 17
            first = None
        if number == 7 and segment == 1:
            first = None
        name = f"{visit}_{segment}"
        if number != 3:
            (place / f"{name}.dat").write_bytes(digital.tobytes())
        gain = 0 if number == 4 else GAIN
        (place / f"{name}.hea").write_text(
            f"{name} 1 {FS} {len(digital)} 08:10:00.000 01/01/2150\n{name}.dat 16 {gain}(0)/mV 16 0 0 0 0 II\n"
        )
        part = None if first is None else digital[first * FS : (first + 10) * FS]
        found.append(None if part is None else np.where(part == -32768, np.nan, part / GAIN))
    return found


def _write_csv(path: Path, rows: list[list]) -> None:
    with path.open("w", newline="") as file:
        csv.writer(file, lineterminator="\n").writerows(rows)


if __name__ == "__main__":
    write(sys.argv[1])
