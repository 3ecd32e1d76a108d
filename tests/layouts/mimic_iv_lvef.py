"""MIMIC-IV-ECG 1.0 with LVEF.csv in small. Names and values are invented; none is a patient's.

Run `python -m tests.layouts.mimic_iv_lvef FOLDER` to write it.
"""

from __future__ import annotations

import gzip
import sys
from pathlib import Path

import numpy as np

from openclef.database.plan import split_by_subject
from tests.layouts.beats import beats

FS, SAMPLES, GAIN = 500, 5000, 200
LEADS = ("I", "II", "III", "aVR", "aVF", "aVL", "V1", "V2", "V3", "V4", "V5", "V6")  # aVF before aVL
SIZES = (0.6, 1.0, 0.4, -0.8, 0.7, 0.1, -0.5, -0.3, 0.3, 0.9, 1.1, 0.8)


def path_of(subject: int, study: int) -> str:
    """An ECG's path, as in the tables."""
    return f"files/p{subject // 10000}/p{subject}/s{study}/{study}"


def subject_ids(count: int) -> list[int]:
    """Invented ids, of which the split by hash puts two of five outside training."""
    ids, number = [], 19900000
    for person in range(count):
        while (
            split_by_subject([number], shares=(0.8, 0.1, 0.1))[0]
            != ("train", "val", "train", "test", "train")[person % 5]
        ):
            number += 1117
        ids.append(number)
        number += 1117
    return ids


def write(
    folder: str | Path, *, subjects: int = 40, seed: int = 0
) -> tuple[dict[str, np.ndarray], dict[str, float]]:
    """Write the layout; gives values in mV, (lead, time), and ejection fractions, by record.

    LVEF.csv has a class of 1 for a fraction from 50 on, as published; its rows stand in the order of the subjects.
    With 120 subjects each class has ten ECGs in the test part. The lower the fraction, the wider the QRS and the faster
    the heart.

    Traps: every third subject has two ECGs; of number 2 a stretch and of number 3 a lead is missing (NaN); number 4's
    file is missing, number 5's header has no gain; number 6's fraction is 7065, number 7's 0.6; number 8 has two
    rows that differ; a row names a file elsewhere; subject 12's anchor age is 91, subject 13 is no patient.
    """
    folder = Path(folder)
    generator, drawn = (np.random.default_rng([seed, stream]) for stream in (0, 1))
    truth, fractions = {}, {}
    rows, listed, people = (
        ["subject_id,waveform_path,LVEF,class"],
        ["subject_id,study_id,file_name,ecg_time,path"],
        [],
    )
    number = 0
    for person, subject in enumerate(subject_ids(subjects)):
        age = 91 if person == 12 else 40 + person % 45
        people.append(f"{subject},{'FM'[person % 2]},{age},2150,2011 - 2013,")
        for _ in range(2 if person % 3 == 0 else 1):
            study, fraction = 48000000 + 31 * number, float(drawn.integers(20, 70))
            fraction = {6: 7065.0, 7: 0.6}.get(number, fraction)
            name, path = str(study), path_of(subject, study)
            truth[name] = _write_record(folder / path, number, min(fraction, 70.0), generator)
            fractions[name] = fraction
            rows.append(f"{subject},{path},{fraction:g},{int(fraction >= 50)}")
            if number == 8:
                rows.append(f"{subject},{path},{fraction + 5:g},{int(fraction + 5 >= 50)}")
            listed.append(f"{subject},{study},{study},2152-03-04 05:06:00,{path}")
            number += 1
    rows.append("19999999,elsewhere/ecg.dat,40,0")
    (folder / "LVEF.csv").write_text("\n".join(rows) + "\n")
    (folder / "record_list.csv").write_text("\n".join(listed) + "\n")
    del people[13]
    with gzip.open(folder / "patients.csv.gz", "wt") as file:
        file.write(
            "\n".join(["subject_id,gender,anchor_age,anchor_year,anchor_year_group,dod", *people]) + "\n"
        )
    return truth, fractions


def _write_record(path: Path, number: int, fraction: float, generator: np.random.Generator) -> np.ndarray:
    path.parent.mkdir(parents=True, exist_ok=True)
    low = (70 - fraction) / 50
    wide, rate = (1 + 0.7 * low) * np.exp(generator.normal(0, 0.3)), generator.normal(62 + 25 * low, 15)
    shape = beats(generator, SAMPLES / FS, FS, rate=rate, qrs_width=wide)
    values = np.outer(SIZES, shape) + generator.normal(0, 0.005, (12, SAMPLES))
    digital = np.round(values * GAIN).astype("<i2")
    if number == 2:
        digital[:, 1000:1500] = -32768
    if number == 3:
        digital[7] = -32768
    if number != 4:
        path.with_name(f"{path.name}.dat").write_bytes(np.ascontiguousarray(digital.T).tobytes())
    lines = [f"{path.name} 12 {FS} {SAMPLES} 05:06:00 04/03/2152"]
    for lead, row in zip(LEADS, digital):
        check = (int(row.astype(int).sum()) + 32768) % 65536 - 32768
        gain = "0(0)" if number == 5 else f"{GAIN}.0(0)"
        lines.append(f"{path.name}.dat 16 {gain}/mV 16 0 {row[0]} {check} 0 {lead}")
    path.with_name(f"{path.name}.hea").write_text("\n".join(lines) + "\n# <subject_id>: invented\n")
    return np.where(digital == -32768, np.nan, digital / GAIN)


if __name__ == "__main__":
    write(sys.argv[1])
