"""PhysioNet/CinC Challenge 2017: hand-held single-lead ECGs (lead I, 300 Hz), four rhythm classes."""

from __future__ import annotations

import warnings
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd

from openclef.database.plan import Database, Plan, find_folder, split_by_subject, where_to_get
from openclef.formats.wfdb import read_wfdb
from openclef.record import Record
from openclef.store import Task

TASK = "cinc2017/rhythm"
LABELS = ("N", "A", "O", "~")
"""Normal, atrial fibrillation, other rhythm, too noisy to classify."""

FS = 300.0
SCALE = 0.001

_REFERENCES = ("REFERENCE-v3.csv", "REFERENCE.csv")


def plan(src: str | Path, *, seconds: float = 10.0) -> Plan:
    """Plan the conversion of the Challenge's public training set.

    The set names no patients: every record counts as a subject of its own, and the split (60/20/20) is made
    by a hash of the record's name, so two recordings of one person may fall on both sides. It has no age and
    no sex. The lead, which the headers call ``ECG``, is lead I (left to right hand). A recording of 9 to 61 s
    gives several windows.

    Args:
        src: the folder ``training2017``, or its parent.
        seconds: a window's length.

    Returns:
        The plan.

    Raises:
        FileNotFoundError: if the folder, the reference table or every record is missing.
        ValueError: if the reference holds another class.

    Source:
        Clifford et al., CinC 2017. The labels are those of ``REFERENCE-v3.csv``, or of ``REFERENCE.csv``
        where that is missing.

    Example:
        >>> plan("nowhere")
        Traceback (most recent call last):
        FileNotFoundError: nowhere is no folder. AF classification ...
    """
    folder = find_folder(src, DATABASE)
    if (folder / "training2017").is_dir():
        folder = folder / "training2017"
    reference = next((folder / name for name in _REFERENCES if (folder / name).is_file()), None)
    if reference is None:
        raise FileNotFoundError(f"{folder} holds no {' or '.join(_REFERENCES)}. {where_to_get(DATABASE)}")
    rows = pd.read_csv(reference, header=None, names=["record_id", "label"], dtype=str, keep_default_na=False)
    rows = rows.apply(lambda column: column.str.strip())
    wrong = sorted(set(rows["label"]) - set(LABELS))
    if wrong:
        raise ValueError(f"{reference.name} holds the classes {wrong}; accepted are {', '.join(LABELS)}")
    there = {path.stem for path in folder.glob("*.hea")}
    if not there:
        raise FileNotFoundError(f"{folder} holds no record. {where_to_get(DATABASE)}")
    unlabelled = len(there - set(rows["record_id"]))
    if unlabelled:
        warnings.warn(f"{unlabelled} records of {folder} are not in {reference.name}; left out", stacklevel=2)
    records = pd.DataFrame(
        {
            "record_id": rows["record_id"],
            "subject_id": rows["record_id"],
            "split": split_by_subject(rows["record_id"]),
            TASK: rows["label"],
        }
    )
    return Plan(
        name="cinc2017",
        title=DATABASE.title,
        records=records,
        read=partial(read, folder=str(folder)),
        fs=FS,
        leads=("I",),
        scale=SCALE,
        tasks=(Task(TASK, "multiclass", LABELS, (TASK,)),),
        seconds=seconds,
        subject_namespace="cinc2017",
        licence=DATABASE.licence,
        source=DATABASE.url,
        citation=DATABASE.citation,
        settings={"reference": reference.name, "seconds": seconds},
    )


def read(row: dict[str, Any], *, folder: str) -> Record:
    """Read one record of the plan.

    Args:
        row: a row of the plan's records.
        folder: the folder ``training2017``.

    Returns:
        The record in mV, lead I.

    Raises:
        OSError: if a file is missing.
        ValueError: if the record is damaged.

    Example:
        >>> read({"record_id": "A00001"}, folder="nowhere")
        Traceback (most recent call last):
        FileNotFoundError: record 'A00001': file A00001.hea is missing; fetch it again
    """
    name = str(row["record_id"])
    return read_wfdb(Path(folder, name), leads=("I",), lead_names={"ECG": "I"}, scale=SCALE, fs=FS)


DATABASE = Database(
    name="cinc2017",
    title="AF classification from a short single lead ECG recording: the PhysioNet/CinC Challenge 2017",
    plan=plan,
    licence="ODC-By 1.0",
    access="open access",
    size="about 0.1 GB, training set",
    url="https://physionet.org/content/challenge-2017/1.0.0/",
    citation=(
        "Clifford et al., AF classification from a short single lead ECG recording: the PhysioNet/Computing "
        "in Cardiology Challenge 2017, Computing in Cardiology 2017; Goldberger et al., PhysioBank, "
        "PhysioToolkit, and PhysioNet, Circulation 2000"
    ),
    tasks=(TASK,),
)
