"""MUSIC 1.0.1 in small: the table with its quirks, and Holters that are empty but for a stretch.

Run `python -m tests.layouts.music FOLDER` to write it.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

from tests.layouts.beats import beats

FS = 200
GAIN = 100  # units a mV
SIGNAL_S = (600.0, 640.0)

COLUMNS = [
    "Patient ID", "Follow-up period from enrollment (days)", "days_4years", "Exit of the study", "Cause of death",
    "Age", "Gender (male=1)", "Weight (kg)", "Height (cm)", "Body Mass Index (Kg/m2)", "NYHA class",
    "Diastolic blood  pressure (mmHg)", "Systolic blood pressure (mmHg)", "HF etiology - Diagnosis",
    "Diabetes (yes=1)", "History of dyslipemia (yes=1)", "Peripheral vascular disease (yes=1)",
    "History of hypertension (yes=1)", "Prior Myocardial Infarction (yes=1)", "Total Cholesterol (mmol/L)",
    "HDL (mmol/L)", "LVEF (%)", "Hig-resolution ECG available", "ECG rhythm ", "Average RR (ms)",
    "Holter available", "Holter onset (hh:mm:ss)", "Holter  rhythm ", "Average RR (ms)",
    "Number of ventricular premature contractions per hour", "Betablockers (yes=1)", "Statins (yes=1)",
]  # fmt: skip
CAUSES = ["0", "1", "3", "6", "0", "3", "7", "1"]


def write(
    folder: str | Path, *, patients: int = 40, seconds: float = 700.0, seed: int = 0
) -> dict[str, np.ndarray]:
    """Write the layout; gives for each patient with a good Holter the values in mV, (lead, time), of SIGNAL_S.

    Each class has a quarter of the patients, with 220 of them ten in the test part; the heart rate follows the class.

    Traps: P0005 has no Holter; P0006's signal file is missing; P0007's header has a gain of 0; P0008 has
    two leads; P0009's first 20 s stand still; P0010 has missing samples; P0011 is ">89"; P0012 weighs "81,5";
    P0013 was lost to follow-up and P0017 transplanted, both coded as survivors; P0014's cause of death is 9.
    """
    folder = Path(folder)
    (folder / "Holter_ECG").mkdir(parents=True, exist_ok=True)
    generator = np.random.default_rng(seed)
    lines, truth = [";".join(COLUMNS)], {}
    for number in range(1, patients + 1):
        name = f"P{number:04d}"
        lines.append(";".join(_row(number, name, generator)))
        if number == 5:
            continue
        leads = ["X", "Y", "Z"][: 2 if number == 8 else 3]
        rate = generator.normal(65 + 5 * int(CAUSES[(number - 1) % 8]), 12)
        signal = _write_holter(folder / "Holter_ECG", name, number, leads, seconds, rate, generator)
        if number not in (6, 7):
            truth[name] = signal
    (folder / "subject-info.csv").write_text("\n".join(lines) + "\n", encoding="latin-1")
    (folder / "RECORDS").write_text(
        "".join(f"Holter_ECG/P{n:04d}_H\n" for n in range(1, patients + 1) if n != 5)
    )
    return truth


def _row(number: int, name: str, generator: np.random.Generator) -> list[str]:
    cause = {13: "0", 14: "9", 17: "0"}.get(number, CAUSES[(number - 1) % len(CAUSES)])
    left = {13: "1", 17: "2"}.get(number, "" if cause == "0" else "3")
    age, weight = int(generator.integers(40, 85)), int(generator.integers(55, 110))
    values = {
        "Patient ID": name,
        "Follow-up period from enrollment (days)": "1200" if cause == "0" else "300",
        "Exit of the study": left,
        "Cause of death": cause,
        "Age": ">89" if number == 11 else str(age),
        "Gender (male=1)": str(int(generator.random() < 0.7)),
        "Weight (kg)": "81,5" if number == 12 else str(weight),
        "Height (cm)": str(int(generator.integers(150, 190))),
        "NYHA class": str(int(generator.integers(2, 4))),
        "Diastolic blood  pressure (mmHg)": "NA" if number == 3 else str(int(generator.integers(60, 90))),
        "Systolic blood pressure (mmHg)": str(int(generator.integers(95, 160))),
        "Diabetes (yes=1)": str(int(generator.random() < 0.4)),
        "History of hypertension (yes=1)": str(int(generator.random() < 0.6)),
        "Total Cholesterol (mmol/L)": f"{generator.uniform(3, 7):.2f}".replace(".", ","),
        "HDL (mmol/L)": f"{generator.uniform(0.7, 2):.2f}".replace(".", ","),
        "LVEF (%)": str(int(generator.integers(18, 55))),
        "Holter available": "0" if number == 5 else "1",
        "Holter onset (hh:mm:ss)": "'11:38:43'",
        "Number of ventricular premature contractions per hour": "4,970,833,333",
        "Statins (yes=1)": str(int(generator.random() < 0.5)),
    }
    return [values.get(column, "") for column in COLUMNS]


def _write_holter(
    folder: Path,
    name: str,
    number: int,
    leads: list[str],
    seconds: float,
    rate: float,
    generator: np.random.Generator,
) -> np.ndarray:
    start, stop = SIGNAL_S
    shape = beats(generator, stop - start, FS, rate=rate)
    digital = np.round(np.stack([shape * scale for scale in (1.0, 0.7, -0.5)[: len(leads)]]) * GAIN).astype(
        "<i2"
    )
    if number == 9:
        digital[:, : 20 * FS] = 3
    if number == 10:
        digital[:, 100:160] = -32768
    if number != 6:
        with (folder / f"{name}_H.dat").open(
            "wb"
        ) as file:  # the rest is a hole that takes no room on the disk
            file.seek(int(start * FS) * len(leads) * 2)
            file.write(np.ascontiguousarray(digital.T).tobytes())
            file.truncate(int(seconds * FS) * len(leads) * 2)
    gain = 0 if number == 7 else GAIN
    header = [f"{name}_H {len(leads)} {FS} {int(seconds * FS)} 11:38:43 01/01/2004"]
    header += [f"{name}_H.dat 16 {gain}(0)/mV 16 0 0 0 0 {lead}" for lead in leads]
    (folder / f"{name}_H.hea").write_text("\n".join(header) + "\n")
    return np.where(digital == -32768, np.nan, digital / GAIN)


if __name__ == "__main__":
    write(sys.argv[1])
