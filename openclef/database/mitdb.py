"""MIT-BIH Arrhythmia Database: half-hour ambulatory ECGs of 47 patients, every beat annotated."""

from __future__ import annotations

import re
import warnings
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from openclef.database.beat_windows import choose, fitting
from openclef.database.metadata_table import drop_implausible, over_89
from openclef.database.plan import SPLITS, Database, Plan, find_folder, where_to_get
from openclef.formats.wfdb import read_header_line, read_wfdb
from openclef.formats.wfdb_annotation import AAMI_CLASSES, read_annotations
from openclef.record import Record
from openclef.signal import canonical_lead
from openclef.store import Task

TASK = "mitdb/beat"
LABELS = ("N", "S", "V")
"""Normal, supraventricular ectopic, ventricular ectopic (``openclef.formats.wfdb_annotation.AAMI_CLASSES``)."""

FS = 360.0
SCALE = 0.005
"""mV a step: 200 units a mV, the source's own."""

SAME_PATIENT = {"202": "201"}
"""Record 202 is of the patient of record 201."""

DS1 = (
    "101", "106", "108", "109", "112", "114", "115", "116", "118", "119", "122",
    "124", "201", "203", "205", "207", "208", "209", "215", "220", "223", "230",
)  # fmt: skip
"""Training records of de Chazal et al. 2004; the other 22 without a pacemaker are its test set."""

SHARES = (0.6, 0.2, 0.2)


def plan(
    src: str | Path,
    *,
    lead: str = "MLII",
    lead_names: Mapping[str, str] | None = None,
    windows: int = 50,
    paced: str = "leave_out",
    split: str = "balanced",
    seed: int = 0,
    seconds: float = 10.0,
) -> Plan:
    """Plan the conversion of the MIT-BIH Arrhythmia Database, release 1.0.0, or of part of its records.

    A window is ``seconds`` long with a beat at its centre, whose class is the window's label; each is a record
    of its own, ``101_0012345`` (its first sample). Only annotations are read here, and later the windows alone.

    Args:
        src: the folder that holds ``101.hea``, ``101.dat``, ``101.atr`` ...
        lead: the lead to keep; records without it are left out with a warning.
        lead_names: names to replace, where headers name the lead otherwise.
        windows: beats a record and class, at most.
        paced: ``"leave_out"`` records of patients with a pacemaker (102, 104, 107, 217), as EC57 does, or
            ``"keep"`` them for their N, S and V beats.
        split: ``"balanced"``, 60/20/20 by patient so that the classes are spread alike, or ``"de_chazal"``:
            the published halves, the first of them parted 75/25 into training and validation.
        seed: of the choice of beats.
        seconds: a window's length.

    Returns:
        The plan.

    Raises:
        FileNotFoundError: if the folder, every record or every annotation file is missing.
        ValueError: if an option is not accepted, or no record has the lead.

    Source:
        Moody and Mark, IEEE EMB 2001; ANSI/AAMI EC57; de Chazal et al., IEEE Trans Biomed Eng 2004.

    Example:
        >>> plan("nowhere")
        Traceback (most recent call last):
        FileNotFoundError: nowhere is no folder. MIT-BIH Arrhythmia Database: ...
    """
    for option, given, accepted in (
        ("paced", paced, ("leave_out", "keep")),
        ("split", split, ("balanced", "de_chazal")),
    ):
        if given not in accepted:
            raise ValueError(f"{option}={given!r}; accepted are {', '.join(accepted)}")
    if windows < 1:
        raise ValueError(f"windows={windows}; accepted is a number of beats a record and class from 1")
    folder = find_folder(src, DATABASE)
    names = sorted(path.stem for path in folder.glob("*.hea"))
    if not names:
        raise FileNotFoundError(f"{folder} holds no record. {where_to_get(DATABASE)}")
    lead = canonical_lead(lead)
    headers = {name: _header(folder / f"{name}.hea", lead_names or {}) for name in names}
    without = [name for name in names if lead not in headers[name]["leads"]]
    if without:
        warnings.warn(f"records without lead {lead} are left out: {', '.join(without)}", stacklevel=2)
    tables = [
        _beats(folder / name, name, windows, paced, seed, seconds) for name in names if name not in without
    ]
    tables = [table for table in tables if table is not None]
    if not tables:
        raise FileNotFoundError(
            f"{folder} holds no record with lead {lead} and an annotation file. {where_to_get(DATABASE)}"
        )
    records = pd.concat(tables, ignore_index=True)
    records["split"] = _splits(records, split)
    for column in ("age_years", "sex"):
        records[column] = records["_path"].map({name: header[column] for name, header in headers.items()})
    records["age_years"], records["age_over_89"] = over_89(records["age_years"].astype(float), code=None)
    return Plan(
        name="mitdb",
        title=DATABASE.title,
        records=drop_implausible(records),
        read=partial(read, folder=str(folder), lead=lead, lead_names=dict(lead_names or {}), seconds=seconds),
        fs=FS,
        leads=(lead,),
        scale=SCALE,
        tasks=(Task(TASK, "multiclass", LABELS, (TASK,)),),
        seconds=seconds,
        subject_namespace="mitdb",
        licence=DATABASE.licence,
        source=DATABASE.url,
        citation=DATABASE.citation,
        settings={
            "lead": lead,
            "lead_names": dict(lead_names or {}),
            "windows": windows,
            "paced": paced,
            "split": split,
            "seed": seed,
            "seconds": seconds,
        },
    )


def read(
    row: dict[str, Any], *, folder: str, lead: str, lead_names: dict[str, str], seconds: float
) -> Record:
    """Read one window of the plan, and nothing else of its recording.

    Args:
        row: a row of the plan's records.
        folder: the source folder.
        lead: the lead to keep.
        lead_names: names to replace.
        seconds: the window's length.

    Returns:
        The window in mV.

    Raises:
        OSError: if a file is missing.
        ValueError: if the recording is damaged.

    Example:
        >>> row = {"record_id": "101_0000360", "_path": "101", "_start": 360}
        >>> read(row, folder="nowhere", lead="MLII", lead_names={}, seconds=10)
        Traceback (most recent call last):
        FileNotFoundError: record '101_0000360': file 101.hea is missing; fetch it again
    """
    return read_wfdb(
        Path(folder, row["_path"]),
        leads=(lead,),
        lead_names=lead_names,
        scale=SCALE,
        fs=FS,
        record_id=str(row["record_id"]),
        start_s=int(row["_start"]) / FS,
        seconds=seconds,
    )


def split_balanced(
    subjects: pd.Series, labels: pd.Series, *, shares: tuple[float, float, float] = SHARES
) -> np.ndarray:
    """Split few subjects with many windows each so that every class is spread by the shares, as far as it can be.

    Subjects are placed one after the other, the one that holds most of a class first; each goes where its
    classes are furthest below the share.

    Args:
        subjects: one id a window.
        labels: one class a window.
        shares: share of every class in training, validation and test.

    Returns:
        Array of ``"train"``, ``"val"``, ``"test"``, one a window.

    Example:
        >>> subjects = pd.Series(["a", "b", "c", "d", "e"])
        >>> split_balanced(subjects, pd.Series(["S"] * 5)).tolist()
        ['train', 'val', 'test', 'train', 'train']
    """
    counts = pd.crosstab(subjects, labels)
    held = (counts / counts.sum()).sort_index()
    held = held.loc[held.max(axis=1).sort_values(ascending=False, kind="stable").index]
    parts = [part for part, share in enumerate(shares) if share > 0]
    filled = {part: np.zeros(held.shape[1]) for part in parts}
    side = {}
    for subject, share in held.iterrows():
        room = [share.to_numpy() @ (1 - filled[part] / shares[part]) for part in parts]
        chosen = parts[int(np.argmax(np.round(room, 9)))]
        filled[chosen] += share.to_numpy()
        side[subject] = SPLITS[chosen]
    return subjects.map(side).to_numpy(dtype=object)


def _header(path: Path, lead_names: Mapping[str, str]) -> dict[str, Any]:
    """Leads, age and sex: the first comment of a header reads ``75 F 1011 654 x1``; an age of -1 is unknown."""
    lines = [line.strip() for line in path.read_text(encoding="utf-8", errors="replace").splitlines()]
    signals = [line.split() for line in lines if line and not line.startswith("#")][1:]
    names = [fields[-1] for fields in signals if len(fields) > 8]
    comment = next((line.lstrip("# ") for line in lines if line.startswith("#")), "")
    found = re.match(r"(?P<age>-?\d+)\s+(?P<sex>[MF])\b", comment)
    age = float(found["age"]) if found else np.nan
    return {
        "leads": [canonical_lead(lead_names.get(name, name)) for name in names],
        "age_years": age if age > 0 else np.nan,
        "sex": {"M": "male", "F": "female"}[found["sex"]] if found else "",
    }


def _beats(path: Path, name: str, windows: int, paced: str, seed: int, seconds: float) -> pd.DataFrame | None:
    """The windows of one record; None where it is left out."""
    try:
        annotations, header = read_annotations(path), read_header_line(path)
    except (OSError, ValueError) as error:
        warnings.warn(f"{error}; the record is left out", stacklevel=3)
        return None
    if paced == "leave_out" and np.isin(annotations.symbols, ["/", "f"]).any():
        return None
    length = round(seconds * FS)
    rows = []
    for label in LABELS:
        symbols = [symbol for symbol, group in AAMI_CLASSES.items() if group == label]
        centres = annotations.samples[np.isin(annotations.symbols, symbols)]
        starts = fitting(centres, length=length, samples=header.samples)
        rows += [(start, label) for start in choose(starts, windows, key=f"{seed}:{name}:{label}").tolist()]
    table = pd.DataFrame(sorted(rows), columns=["_start", TASK])
    table.insert(0, "record_id", [f"{name}_{start:07d}" for start in table["_start"]])
    table.insert(1, "subject_id", SAME_PATIENT.get(name, name))
    return table.assign(source_record=name, _path=name)


def _splits(records: pd.DataFrame, split: str) -> np.ndarray:
    subjects, labels = records["subject_id"], records[TASK]
    if split == "balanced":
        return split_balanced(subjects, labels)
    training = subjects.isin(DS1)
    if training.all() or not training.any():
        half = "second (100, 103, 105 ...)" if training.all() else "first (101, 106, 108 ...)"
        raise ValueError(
            f"split='de_chazal' needs both halves, and no record of the {half} is there; fetch the whole "
            "database, or pass split='balanced'"
        )
    side = np.full(len(records), "test", dtype=object)
    side[training] = split_balanced(subjects[training], labels[training], shares=(0.75, 0.25, 0.0))
    return side


DATABASE = Database(
    name="mitdb",
    title="MIT-BIH Arrhythmia Database",
    plan=plan,
    licence="ODC-By 1.0",
    access="open access",
    size="0.1 GB",
    url="https://physionet.org/content/mitdb/1.0.0/",
    citation=(
        "Moody and Mark, The impact of the MIT-BIH Arrhythmia Database, IEEE Eng in Med and Biol 2001, doi "
        "10.1109/51.932724; Goldberger et al., PhysioBank, PhysioToolkit, and PhysioNet, Circulation 2000"
    ),
    tasks=(TASK,),
)
