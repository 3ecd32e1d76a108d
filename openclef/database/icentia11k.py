"""Icentia11k: 11,000 patients' single-lead wearable ECGs, each beat and rhythm annotated."""

from __future__ import annotations

import re
import warnings
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from openclef.database.beat_windows import choose, fitting, order
from openclef.database.plan import Database, Plan, find_folder, split_by_subject, where_to_get
from openclef.database.scan import scan
from openclef.formats.wfdb import read_header_line, read_wfdb
from openclef.formats.wfdb_annotation import AAMI_CLASSES, Annotations, read_annotations, rhythms
from openclef.record import Record
from openclef.store import Task

TASKS = {"beat": ("N", "S", "V"), "rhythm": ("N", "AFIB", "AFL")}
"""Classes of ``icentia11k/beat`` and ``icentia11k/rhythm``."""

FS = 250.0
GAIN = (2**15 - 1) * 6 / (0.9375 * 2820)
"""Units a mV, about 74.36: a step is 13.4 uV."""

SHARES = (0.7, 0.15, 0.15)


def plan(
    src: str | Path,
    *,
    windows: int = 1,
    segments: int | None = None,
    patients: int | None = None,
    seed: int = 0,
    index: str | None = None,
    scan_workers: int = 1,
    lead_names: Mapping[str, str] | None = None,
    seconds: float = 10.0,
) -> Plan:
    """Plan the conversion of Icentia11k, release 1.0, or of part of its patients.

    A beat's window has the beat at its centre; a rhythm's window lies wholly within a stretch of that rhythm.
    Each window is a record of its own, with a label of one of the two tasks. Of a patient the annotation files
    are read, one segment after the other in an order drawn by a hash, until every class has its windows; of
    the signals only the windows are read, later.

    Args:
        src: the folder that holds ``p00/p00000/p00000_s00.hea``, ``.dat``, ``.atr`` ...
        windows: windows a patient and class, at most; they do not overlap within a class.
        segments: segments of a patient to look into, at most; None: all, up to 50.
        patients: look only at the first patients; None: all.
        seed: of the choice of segments and windows.
        index: file that keeps, patient by patient, what the annotations gave, so that a conversion that was
            stopped need not read them again; None keeps nothing.
        scan_workers: processes that read annotations.
        lead_names: names to replace; the headers' ``ecg`` is lead I.
        seconds: a window's length.

    Returns:
        The plan.

    Raises:
        FileNotFoundError: if the folder is missing or holds no annotated segment.
        ValueError: if an option is not accepted, or ``index`` is of another plan.

    Source:
        Tan et al., Computing in Cardiology 2021; annotations as on PhysioNet.

    Example:
        >>> plan("nowhere")
        Traceback (most recent call last):
        FileNotFoundError: nowhere is no folder. Icentia11k ...
    """
    for option, given in (("windows", windows), ("segments", segments), ("patients", patients)):
        if given is not None and given < 1:
            raise ValueError(f"{option}={given}; accepted is a number from 1")
    folder = find_folder(src, DATABASE)
    people = sorted(path.relative_to(folder).as_posix() for path in folder.glob("p[0-9][0-9]/p[0-9]*[0-9]"))
    people = people[:patients]
    settings: dict[str, Any] = {"windows": windows, "segments": segments, "seed": seed, "seconds": seconds}
    look = partial(find_windows, folder=str(folder), **settings)
    found = scan(people, look, settings=settings, index=index, workers=scan_workers)
    damaged = sum(row["damaged"] for row in found.values())
    if damaged:
        warnings.warn(
            f"{damaged} annotation files or headers are damaged; their segments are left out", stacklevel=2
        )
    rows = [row for person in people for row in found[person]["windows"]]
    if not rows:
        raise FileNotFoundError(
            f"{folder} holds no segment with annotations under p00/p00000 ... {where_to_get(DATABASE)}"
        )
    records = pd.DataFrame(rows, columns=["_path", "_start", "_task", "_label"])
    stem = records["_path"].str.rsplit("/", n=1).str[-1]
    starts = records["_start"].map("{:07d}".format)
    records.insert(0, "record_id", stem + "_" + starts + "_" + records["_task"])
    records.insert(1, "subject_id", stem.str.split("_").str[0])
    records.insert(2, "split", split_by_subject(records["subject_id"], shares=SHARES))
    for task in TASKS:
        records[f"icentia11k/{task}"] = records["_label"].where(records["_task"] == task, "")
    scale = _step(folder / records["_path"][0])
    labelled = [task for task in TASKS if (records["_task"] == task).any()]
    return Plan(
        name="icentia11k",
        title=DATABASE.title,
        records=records.drop(columns=["_task", "_label"]),
        read=partial(
            read,
            folder=str(folder),
            lead_names={"ecg": "I", "ECG": "I"} | dict(lead_names or {}),
            scale=scale,
            seconds=seconds,
        ),
        fs=FS,
        leads=("I",),
        scale=scale,
        tasks=tuple(
            Task(f"icentia11k/{task}", "multiclass", TASKS[task], (f"icentia11k/{task}",))
            for task in labelled
        ),
        seconds=seconds,
        subject_namespace="icentia11k",
        licence=DATABASE.licence,
        source=DATABASE.url,
        citation=DATABASE.citation,
        settings=settings | {"patients": patients, "lead_names": dict(lead_names or {})},
    )


def read(
    row: dict[str, Any], *, folder: str, lead_names: dict[str, str], scale: float, seconds: float
) -> Record:
    """Read one window of the plan, and nothing else of its segment.

    Args:
        row: a row of the plan's records.
        folder: the source folder.
        lead_names: names to replace.
        scale: mV a step.
        seconds: the window's length.

    Returns:
        The window in mV, lead I.

    Raises:
        OSError: if a file is missing.
        ValueError: if the segment is damaged, or has another gain or rate.

    Example:
        >>> row = {"record_id": "p00000_s00_0000250_beat", "_path": "p00/p00000/p00000_s00", "_start": 250}
        >>> read(row, folder="nowhere", lead_names={}, scale=1 / GAIN, seconds=10)
        Traceback (most recent call last):
        FileNotFoundError: record 'p00000_s00_0000250_beat': file p00000_s00.hea is missing; fetch it again
    """
    return read_wfdb(
        Path(folder, row["_path"]),
        leads=("I",),
        lead_names=lead_names,
        scale=scale,
        fs=FS,
        record_id=str(row["record_id"]),
        start_s=int(row["_start"]) / FS,
        seconds=seconds,
    )


def find_windows(
    patient: str, *, folder: str, windows: int, segments: int | None, seed: int, seconds: float
) -> dict[str, Any]:
    """Find a patient's windows in the annotations.

    Args:
        patient: the patient's folder, ``p00/p00000``.
        folder: the source folder.
        windows: windows a class, at most.
        segments: segments to look into, at most; None: all.
        seed: of the choice.
        seconds: a window's length.

    Returns:
        ``windows``: lists of the segment's path, first sample, task and class, in rising order; ``damaged``:
        how many segments could not be read.

    Example:
        >>> find_windows("p00/p00000", folder="nowhere", windows=1, segments=None, seed=0, seconds=10)
        {'windows': [], 'damaged': 0}
    """
    length = round(seconds * FS)
    names = sorted(path.stem for path in Path(folder, patient).glob("*_s*.atr"))
    missing = {(task, label): windows for task, labels in TASKS.items() for label in labels}
    found, damaged = [], 0
    for name in order(names, key=str(seed))[:segments]:
        path = Path(folder, patient, name)
        try:
            annotations, header = read_annotations(path), read_header_line(path)
        except (OSError, ValueError):
            damaged += 1
            continue
        for (task, label), count in missing.items():
            if count == 0:
                continue
            starts = _starts(annotations, task, label, length, header.samples)
            taken = choose(starts, count, key=f"{seed}:{name}:{task}:{label}", apart=length)
            found += [[f"{patient}/{name}", start, task, label] for start in taken.tolist()]
            missing[task, label] -= len(taken)
        if not any(missing.values()):
            break
    return {"windows": sorted(found), "damaged": damaged}


def _step(path: Path) -> float:
    """The first segment's mV a step: a header may state the gain with fewer digits; another gain is not the set's."""
    try:
        text = Path(f"{path}.hea").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return 1 / GAIN
    found = re.search(r"\.dat\s+16\s+([\d.]+)", text)
    return 1 / float(found[1]) if found and np.isclose(float(found[1]), GAIN, rtol=1e-3) else 1 / GAIN


def _starts(annotations: Annotations, task: str, label: str, length: int, samples: int) -> np.ndarray:
    """First samples of all windows of a class in one segment; those of a rhythm follow each other from its onset."""
    if task == "beat":
        symbols = [symbol for symbol, group in AAMI_CLASSES.items() if group == label]
        centres = annotations.samples[np.isin(annotations.symbols, symbols)]
        return fitting(centres, length=length, samples=samples)
    stretches = [
        np.arange(rhythm.start, min(rhythm.stop, samples) - length + 1, length)
        for rhythm in rhythms(annotations)
        if rhythm.name == label
    ]
    return np.concatenate(stretches) if stretches else np.array([], np.int64)


DATABASE = Database(
    name="icentia11k",
    title="Icentia11k Single Lead Continuous Raw Electrocardiogram Dataset",
    plan=plan,
    licence="CC BY-NC-SA 4.0",
    access="open access",
    size="1.1 TB; annotations (about 24 GB) and single windows are read in place",
    url="https://physionet.org/content/icentia11k-continuous-ecg/1.0/",
    citation=(
        "Tan et al., Icentia11k: an unsupervised representation learning dataset for arrhythmia subtype "
        "discovery, Computing in Cardiology 2021; version 1.0, PhysioNet, doi 10.13026/kk0v-r952; Goldberger "
        "et al., PhysioBank, PhysioToolkit, and PhysioNet, Circulation 2000"
    ),
    tasks=tuple(f"icentia11k/{task}" for task in TASKS),
)
