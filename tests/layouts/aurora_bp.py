"""Aurora-BP's auscultatory part in small: tables and waveform files, tab-separated. All values are invented.

Run `python -m tests.layouts.aurora_bp FOLDER` to write it.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

from tests.layouts.beats import beats

PARTICIPANTS = [
    "pid", "n_meas_inlab", "n_meas_ambulatory", "aurora_size", "fitzpatrick_scale", "bp_cuff_arm",
    "in_feature_table", "age", "height", "weight", "gender", "self_report_htn", "high_blood_pressure",
    "coronary_artery_disease", "diabetes", "arrythmia", "previous_heart_attack", "previous_stroke",
    "heart_failure", "aortic_stenosis", "valvular_heart_disease", "other_cv_diseases", "cvd_meds",
]  # fmt: skip
MEASUREMENTS = [
    "pid", "phase", "measurement", "date_time", "sbp", "dbp", "duration", "pressure_quality",
    "optical_quality", "waveform_file_path", "waveforms_generated", "primary_systolic", "primary_diastolic",
    "secondary_systolic", "secondary_diastolic", "consensus_systolic_error", "consensus_diastolic_error",
]  # fmt: skip
FEATURES = [
    "pid", "phase", "measurement", "date_time", "sbp", "dbp", "baseline_sbp", "baseline_dbp", "delta_sbp",
    "delta_dbp", "hr_ekg",
]  # fmt: skip


def write(folder: str | Path, *, participants: int = 28, seed: int = 0) -> dict[str, np.ndarray]:
    """Write the layout; gives for each participant with a good file the values in mV of the window to be found.

    With 160 participants more than twenty are in the test part; the T wave follows the systolic, the P wave the
    diastolic pressure.

    Traps: a003 is in no row of features.tsv; a004's file is missing; a005 has no waveform; a006's times are those of
    a device, 488.28125 Hz; a007 begins with 4 s missing in 24 s; a008's offset is 60 mV; a009's diastolic pressure is
    0; a010 lasts 7 s; o000 belongs to the other protocol; a second measurement of a000 is never to be read.
    """
    folder = Path(folder)
    generator = np.random.default_rng(seed)
    tables = {
        "participants": [PARTICIPANTS],
        "measurements_auscultatory": [MEASUREMENTS],
        "features": [FEATURES],
    }
    truth = {}
    tables["participants"].append(_fill(PARTICIPANTS, pid="o000", age="33.0", gender="M"))
    tables["features"].append(_fill(FEATURES, pid="o000", phase="initial", baseline_sbp="121.0"))
    for number in range(participants):
        pid = f"a{number:03d}"
        sbp, dbp = int(generator.integers(95, 170)), int(generator.integers(55, 100))
        tables["participants"].append(_person(pid, number, generator))
        for phase, name, add in (
            ("initial", "Calibration start 1", 0),
            ("initial", "Calibration start 2", 4),
        ):
            path = f"measurements_auscultatory/{pid}/{pid}.{phase}.{name.replace(' ', '_')}.tsv"
            made = number != 5
            tables["measurements_auscultatory"].append(
                _fill(
                    MEASUREMENTS, pid=pid, phase=phase, measurement=name, sbp=f"{sbp + add}.0",
                    dbp="0.0" if number == 9 else f"{dbp + add}.0", waveforms_generated=str(int(made)),
                    waveform_file_path=path if made else "",
                )
            )  # fmt: skip
            if number != 3:
                tables["features"].append(
                    _fill(
                        FEATURES, pid=pid, phase=phase, measurement=name, baseline_sbp=f"{sbp + 2}.0",
                        baseline_dbp=f"{dbp + 2}.0",
                    )
                )  # fmt: skip
            if number not in (4, 5) and (add == 0 or number == 0):
                (folder / path).parent.mkdir(parents=True, exist_ok=True)
                vary = np.exp(generator.normal(0, 0.3, 2))
                waves = {
                    "t_height": (0.4 + (sbp - 95) / 60) * vary[0],
                    "p_height": (0.5 + (dbp - 55) / 20) * vary[1],
                }
                found = _write_waveform(folder / path, number, generator, waves, broken=add > 0)
                truth.setdefault(pid, found)
    for name, rows in tables.items():
        text = "\n".join("\t".join(row) for row in rows)
        (folder / f"{name}.tsv").write_text(text + "\n")
    return truth


def _fill(columns: list[str], **values: str) -> list[str]:
    return [values.get(column, "") for column in columns]


def _person(pid: str, number: int, generator: np.random.Generator) -> list[str]:
    return _fill(
        PARTICIPANTS, pid=pid, age=f"{int(generator.integers(20, 80))}.0", height="68.0", weight="150.0",
        gender="FM"[number % 2], diabetes=str(number % 3 // 2), high_blood_pressure=str(number % 2),
        heart_failure="0", previous_stroke="0", cvd_meds=str(number % 2), in_feature_table=str(int(number != 3)),
    )  # fmt: skip


def _write_waveform(
    path: Path, number: int, generator: np.random.Generator, waves: dict[str, float], *, broken: bool
) -> np.ndarray:
    fs = 488.28125 if number == 6 else 500.0
    seconds = {7: 24, 10: 7}.get(number, 11)
    signal = beats(generator, seconds, fs, rate=58 + number % 40, **waves) + (60 if number == 8 else 6.5)
    signal = np.round(signal, 4)
    if number == 7:
        signal[: int(4 * fs)] = np.nan
    cells = ["" if np.isnan(value) else f"{value:.4f}" for value in signal]
    if broken:
        cells[5] = "never read"
    rest = "-5.8e+05\t2901\t-0.9\t0.05\t0.4"
    lines = ["t\tekg\toptical\tpressure\taccel_x\taccel_y\taccel_z"]
    lines += [f"{index / fs:.5g}\t{cell}\t{rest}" for index, cell in enumerate(cells)]
    path.write_text("\n".join(lines) + "\n")
    first = 10 if number == 7 else 0
    window = signal[int(first * fs) : int((first + 10) * fs)]
    return window - np.median(window)


if __name__ == "__main__":
    write(sys.argv[1])
