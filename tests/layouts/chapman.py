"""Chapman-Shaoxing-Ningbo (ecg-arrhythmia 1.0.0) in small: MATLAB files under WFDBRecords, codes in headers.

Run `python -m tests.layouts.chapman FOLDER` to write it.
"""

from __future__ import annotations

import struct
import sys
from pathlib import Path

import numpy as np

from openclef.database.plan import split_by_subject
from tests.layouts.beats import beats

FS, SAMPLES = 500, 5000
LEADS = ("I", "II", "III", "aVR", "aVL", "aVF", "V1", "V2", "V3", "V4", "V5", "V6")
SIZES = (0.6, 1.0, 0.4, -0.8, 0.1, 0.7, -0.5, -0.3, 0.3, 0.9, 1.1, 0.8)

CODES = {
    "1AVB": 270492004, "2AVB": 195042002, "2AVB1": 54016002, "2AVB2": 28189009, "3AVB": 27885002, "ABI": 251173003,
    "ALS": 39732003, "APB": 284470004, "AQW": 164917005, "ARS": 47665007, "AVB": 233917008, "CCR": 251199005,
    "CR": 251198002, "ERV": 428417006, "FQRS": 164942001, "IDC": 698252002, "IVB": 698252002, "JEB": 426995002,
    "LBBB": 164909002, "LBBBB": 164909002, "LVH": 164873001, "LVQRSAL": 251146004, "MI": 164865005, "MIBW": 164865005,
    "MIFW": 164865005, "PRIE": 164947007, "PWC": 164912004, "QTIE": 111975006, "RAH": 446358003, "RBBB": 59118001,
    "RVH": 89792004, "STDD": 429622005, "STE": 164930006, "STTC": 428750005, "STTU": 164931005, "TWC": 164934002,
    "TWO": 59931005, "UW": 164937009, "VB": 11157007, "VEB": 75532003, "VPB": 17338001, "WPW": 74390002,
    "SB": 426177001, "SR": 426783006, "AFIB": 164889003, "ST": 427084000, "AF": 164890007, "SA": 427393009,
    "SVT": 426761007, "AT": 713422000,
}  # fmt: skip
PUBLISHED = (
    "AQW", "UW", "SR", "WPW", "2AVB", "AT", "VB", "ARS", "STTC", "SA", "STE", "VPB", "TWO", "STTU", "ALS",
    "APB", "2AVB1", "PRIE", "CCR", "CR", "AF", "AVB", "QTIE", "LBBB", "VEB", "SVT", "RBBB", "1AVB", "STDD",
    "MI", "AFIB", "TWC", "PWC", "ERV", "RVH", "LVH", "ST", "JEB",
)  # fmt: skip


def write(folder: str | Path, *, records: int = 34, seed: int = 0) -> dict[str, np.ndarray]:
    """Write the layout and, under `split`, a published split; gives values in mV, (lead, time), by record.

    Every record carries SB and twelve of the 38 labels, so that each label is in each part of the split by hash; with
    200 records every label has ten positives in its test part. Rate, rhythm and waves follow some of the labels.

    Traps: JS00001 has only SB, JS01052 a first line that runs into the second, JS23074 lacks lead I;
    JS00003's file is missing, JS00004's is short; JS00005's age is NaN, JS00006's 0 and its sex Unknown;
    JS10700 is a copy of JS00007; JS00008 has a code that the table lacks; JS00009's leads stand in another order.
    """
    folder = Path(folder)
    generator = np.random.default_rng(seed)
    folder.mkdir(parents=True, exist_ok=True)
    rows = [f"{acronym},what {acronym} stands for,{code}" for acronym, code in CODES.items()]
    (folder / "ConditionNames_SNOMED-CT.csv").write_text(
        "Acronym Name,Full Name,Snomed_CT\n" + "\n".join(rows) + "\n"
    )
    truth, carried = {}, {}
    names = [
        "JS00001",
        *[f"JS{2 + number:05d}" for number in range(records)],
        "JS01052",
        "JS10700",
        "JS23074",
    ]
    for number, name in enumerate(names):
        labels = labels_of(name)
        signal = truth["JS00007"] if name == "JS10700" else _signal(generator, labels)
        _write_record(folder, name, number, labels, signal)
        truth[name], carried[name] = signal, labels
    (_path(folder, "JS00003") / "JS00003.mat").unlink()
    short = _path(folder, "JS00004") / "JS00004.mat"
    short.write_bytes(short.read_bytes()[:-1000])
    _write_split(folder / "split", carried)
    return truth


def labels_of(name: str) -> list[str]:
    """The acronyms of a record."""
    if name == "JS00001":
        return ["SB"]
    name = "JS00007" if int(name[2:]) > 1000 else name
    sides = split_by_subject(names := [f"JS{number:05d}" for number in range(2, int(name[2:]) + 1)])
    rank = int((sides[: names.index(name)] == sides[-1]).sum())  # among the records of its part
    return ["SB", *[PUBLISHED[(rank * 6 + step) % 38] for step in range(12)]]


def _path(folder: Path, name: str) -> Path:
    number = int(name[2:])
    return folder / "WFDBRecords" / f"{number // 1000 + 1:02d}" / f"{number // 100 + 10:03d}"


def _signal(generator: np.random.Generator, labels: list[str]) -> np.ndarray:
    fibrillates = "AFIB" in labels
    vary = np.exp(generator.normal(0, 0.3, 2))
    shape = beats(
        generator, SAMPLES / FS, FS, rate=generator.normal(100 if "ST" in labels else 70, 12),
        rr_spread=0.2 if fibrillates else 0.05, p_height=generator.uniform(0, 0.5 if fibrillates else 1.5),
        qrs_width=(1.8 if "LBBB" in labels else 1.0) * vary[0], t_height=(0.4 if "TWC" in labels else 1.0) * vary[1],
    )  # fmt: skip
    values = np.outer(SIZES, shape) + generator.normal(0, 0.005, (12, SAMPLES))
    return np.round(values * 1000) / 1000


def _write_record(folder: Path, name: str, number: int, labels: list[str], signal: np.ndarray) -> None:
    place = _path(folder, name)
    place.mkdir(parents=True, exist_ok=True)
    leads = list(LEADS) if name != "JS00009" else [*LEADS[:3], "aVR", "aVF", "aVL", *LEADS[6:]]
    digital = np.round(signal[[LEADS.index(lead) for lead in leads]] * 1000).astype("<i2")
    # MATLAB level 4: type (little-endian int16), rows, columns, real, length of the name, name; then column by column
    head = struct.pack("<5i", 30, 12, SAMPLES, 0, 4) + b"val\x00"
    (place / f"{name}.mat").write_bytes(head + np.ascontiguousarray(digital.T).tobytes())
    lines = [f"{name} 12 {FS} {SAMPLES}"]
    for lead, row in zip(leads, digital):
        check = (int(row.astype(int).sum()) + 32768) % 65536 - 32768
        lines.append(f"{name}.mat 16+24 1000/mV 16 0 {row[0]} {check} 0 {lead}")
    if name == "JS01052":
        lines[:2] = [f"{name} 12 {FS} {SAMPLES}00/mV 16 0 {digital[0, 0]} 0 0 I"]
    if name == "JS23074":
        del lines[1]
    codes = [str(CODES[label]) for label in labels] + (["55827005"] if name == "JS00008" else [])
    age = {"JS00005": "NaN", "JS00006": "0"}.get(name, str(20 + number * 2 % 69))
    sex = "Unknown" if name == "JS00006" else ("Male", "Female")[number % 2]
    lines += [
        f"#Age: {age}",
        f"#Sex: {sex}",
        f"#Dx: {','.join(codes)}",
        "#Rx: Unknown",
        "#Hx: Unknown",
        "#Sx: Unknown",
    ]
    (place / f"{name}.hea").write_text("\n".join(lines) + "\n")


def _write_split(folder: Path, carried: dict[str, list[str]]) -> None:
    """As published: labels by whether the acronym occurs in the text, so that STTC makes ST, AFIB makes AF."""
    folder.mkdir(exist_ok=True)
    sides = {"train": [], "val": [], "test": []}
    for name, labels in carried.items():
        if set(labels) & set(PUBLISHED) and name not in ("JS01052", "JS23074", "JS00008"):
            side = (
                "test" if name == "JS10700" else ("train", "train", "val", "train", "test")[int(name[2:]) % 5]
            )
            text = ",".join(labels)
            place = _path(Path("/chapman"), name)
            marks = [str(int(acronym in text)) for acronym in PUBLISHED]
            sides[side].append(f'{place}/{name}.mat,12,"{text}",{",".join(marks)}')
    for side, rows in sides.items():
        header = ",".join(["ecg_path", "age", "diagnose", *PUBLISHED])
        (folder / f"chapman_{side}.csv").write_text("\n".join([header, *rows]) + "\n")


if __name__ == "__main__":
    write(sys.argv[1])
