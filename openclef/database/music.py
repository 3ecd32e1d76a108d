"""MUSIC: 24 h Holter ECGs of 936 patients with chronic heart failure, and how they fared in four years."""

from __future__ import annotations

import hashlib
import warnings
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from openclef.database.metadata_table import drop_implausible, numbers, over_89
from openclef.database.plan import SPLITS, Database, Plan, find_folder, where_to_get
from openclef.formats.wfdb_window import read_wfdb_window
from openclef.record import Record
from openclef.signal import canonical_lead
from openclef.store import Task

TASK = "music/outcome"
LABELS = ("survivor", "non_cardiac_death", "sudden_cardiac_death", "pump_failure_death")
CAUSES = {"0": LABELS[0], "1": LABELS[1], "3": LABELS[2], "6": LABELS[3], "7": LABELS[3]}
"""Codes of the column "Cause of death"."""

EXITS = {"0": "survivor", "1": "lost_to_follow_up", "2": "transplanted", "3": "death"}
"""Codes of the column "Exit of the study"; empty for survivors."""

FS = 200.0
SCALE = 0.001
"""mV a step."""

SEARCH_S = 600.0
"""How far a window may lie behind its time, where there is no signal."""

_NUMBERS = {
    "age_years": "Age",
    "height_cm": "Height (cm)",
    "weight_kg": "Weight (kg)",
    "sbp_mmhg": "Systolic blood pressure (mmHg)",
    "dbp_mmhg": "Diastolic blood pressure (mmHg)",
    "total_chol_mmol_l": "Total Cholesterol (mmol/L)",
    "hdl_mmol_l": "HDL (mmol/L)",
    "lvef_percent": "LVEF (%)",
    "nyha_class": "NYHA class",
    "follow_up_days": "Follow-up period from enrollment (days)",
}
_YES_NO = {
    "diabetes": "Diabetes (yes=1)",
    "hypertension": "History of hypertension (yes=1)",
    "statin": "Statins (yes=1)",
}
_NEEDED = ("Patient ID", "Cause of death", "Exit of the study", "Holter available", "Age", "Gender (male=1)")


def plan(
    src: str | Path,
    *,
    lead: str = "X",
    lead_names: Mapping[str, str] | None = None,
    start_s: float = 600.0,
    windows: int = 1,
    every_s: float = 3600.0,
    split: str = "stratified",
    censored: str = "keep",
    seconds: float = 10.0,
) -> Plan:
    """Plan the conversion of MUSIC's Holter recordings, release 1.0.1.

    Of each recording of about 24 h only the windows are read. The first begins ``start_s`` after the
    recorder was started, past the time in which it is put on; where there is no signal, at the next 10 s that
    hold one, at most 600 s later.

    Args:
        src: the folder that holds ``subject-info.csv`` and ``Holter_ECG``.
        lead: the lead to keep; the Holters have the orthogonal leads X, Y, Z (4 % of them only two).
        lead_names: names to replace, where a header names its leads otherwise.
        start_s: where the first window begins, in seconds from the recording's start.
        windows: windows a patient; each is a record of its own, with the patient's outcome.
        every_s: seconds from one window's time to the next.
        split: ``"stratified"``, 60/20/20 within each outcome in the order of a hash of the patient's id, or
            ``"row_order"``, the first 70 % of the table's rows, the next 10 %, the rest.
        censored: ``"keep"`` patients lost to follow-up or transplanted as survivors, as the table codes
            them, or ``"leave_out"``.
        seconds: a window's length.

    Returns:
        The plan.

    Raises:
        FileNotFoundError: if the folder, the table or every recording is missing.
        ValueError: if the table lacks a column or names a patient twice, or an option is not accepted.

    Source:
        Martin-Yebra et al., PhysioNet 2024; codes as in ``subject-info_codes.csv``.

    Example:
        >>> plan("nowhere")
        Traceback (most recent call last):
        FileNotFoundError: nowhere is no folder. MUSIC ...
    """
    for option, given, accepted in (
        ("split", split, ("stratified", "row_order")),
        ("censored", censored, ("keep", "leave_out")),
    ):
        if given not in accepted:
            raise ValueError(f"{option}={given!r}; accepted are {', '.join(accepted)}")
    if windows < 1 or start_s < 0 or every_s < seconds:
        raise ValueError(
            f"windows={windows}, start_s={start_s:g}, every_s={every_s:g}; accepted are at least one window, "
            f"a start from 0 and at least {seconds:g} s from one window to the next"
        )
    folder = find_folder(src, DATABASE)
    rows = _read_table(folder / "subject-info.csv")
    if not next((folder / "Holter_ECG").glob("*_H.hea"), None):
        raise FileNotFoundError(f"{folder} holds no record under Holter_ECG. {where_to_get(DATABASE)}")
    without = rows["holter available"].map(_code) != "1"
    if without.any():
        warnings.warn(f"{int(without.sum())} of {len(rows)} patients have no Holter; left out", stacklevel=2)
    patients = _patients(rows[~without].reset_index(drop=True), split)
    if censored == "leave_out":
        gone = patients["exit_of_study"].isin(["lost_to_follow_up", "transplanted"])
        patients = patients[~gone].reset_index(drop=True)
    starts = [start_s + number * every_s for number in range(windows)]
    records = patients.loc[patients.index.repeat(windows)].reset_index(drop=True)
    records["_start_s"] = starts * len(patients)
    times = records["_start_s"].map(lambda start: f"{start:06.0f}")
    records.insert(0, "record_id", records["subject_id"] + "_" + times)
    return Plan(
        name="music",
        title=DATABASE.title,
        records=records,
        read=partial(
            read,
            folder=str(folder / "Holter_ECG"),
            lead=canonical_lead(lead),
            lead_names=dict(lead_names or {}),
            seconds=seconds,
        ),
        fs=FS,
        leads=(canonical_lead(lead),),
        scale=SCALE,
        tasks=(Task(TASK, "multiclass", LABELS, (TASK,)),),
        seconds=seconds,
        subject_namespace="music",
        licence=DATABASE.licence,
        source=DATABASE.url,
        citation=DATABASE.citation,
        settings={
            "lead": lead,
            "lead_names": dict(lead_names or {}),
            "starts": starts,
            "split": split,
            "censored": censored,
            "seconds": seconds,
        },
    )


def read(
    row: dict[str, Any], *, folder: str, lead: str, lead_names: dict[str, str], seconds: float
) -> Record:
    """Read one window of the plan, and nothing else of its recording.

    Args:
        row: a row of the plan's records.
        folder: the folder ``Holter_ECG``.
        lead: the lead to keep.
        lead_names: names to replace.
        seconds: the window's length.

    Returns:
        The window in mV.

    Raises:
        OSError: if a file is missing.
        ValueError: if the recording is damaged, lacks the lead, or holds no signal there.

    Example:
        >>> row = {"record_id": "P0001_000600", "subject_id": "P0001", "_start_s": 600.0}
        >>> read(row, folder="nowhere", lead="X", lead_names={}, seconds=10)
        Traceback (most recent call last):
        FileNotFoundError: record 'P0001_000600': file P0001_H.hea is missing; fetch it again
    """
    return read_wfdb_window(
        Path(folder, f"{row['subject_id']}_H"),
        seconds=seconds,
        start_s=float(row["_start_s"]),
        search_s=SEARCH_S,
        leads=(lead,),
        lead_names=lead_names,
        fs=FS,
        record_id=str(row["record_id"]),
    )


def split_stratified(subjects: pd.Series, outcome: pd.Series) -> np.ndarray:
    """Split 60/20/20 within each outcome, subjects in the order of the SHA-256 of their id.

    Args:
        subjects: one id a row, each once.
        outcome: one outcome a row.

    Returns:
        Array of ``"train"``, ``"val"``, ``"test"``, one a row.

    Example:
        >>> ids = pd.Series([f"P{number}" for number in range(10)])
        >>> split_stratified(ids, pd.Series(["a"] * 5 + ["b"] * 5)).tolist()
        ['train', 'test', 'train', 'train', 'val', 'train', 'train', 'val', 'test', 'train']
    """
    order = subjects.map(lambda subject: hashlib.sha256(str(subject).encode()).hexdigest())
    rank = order.groupby(outcome).rank(method="first") - 0.5
    place = rank / outcome.groupby(outcome).transform("size")
    return np.asarray(SPLITS)[np.searchsorted([0.6, 0.8], place, side="right")]


def _read_table(path: Path) -> pd.DataFrame:
    """The table as text; columns in lower case and without doubled spaces, which differ between readers."""
    if not path.is_file():
        raise FileNotFoundError(f"{path} is missing. {where_to_get(DATABASE)}")
    frame = pd.read_csv(path, sep=";", dtype=str, keep_default_na=False, encoding_errors="replace")
    frame.columns = [_plain(column) for column in frame.columns]
    absent = [name for name in _NEEDED if _plain(name) not in frame]
    if absent:
        raise ValueError(
            f"{path} lacks {', '.join(absent)}; it has {', '.join(frame.columns[:8])} ...: accepted is the "
            "table as published, separated by semicolons; fetch the file again"
        )
    frame = frame.loc[:, ~frame.columns.duplicated()]  # "Average RR (ms)" stands there twice
    frame = frame.apply(lambda column: column.str.strip().str.strip("'"))
    frame = frame[frame["patient id"] != ""].reset_index(drop=True)
    twice = frame["patient id"][frame["patient id"].duplicated()]
    if len(twice):
        raise ValueError(f"{path} names patient {twice.iloc[0]} twice; fetch the file again")
    return frame


def _patients(rows: pd.DataFrame, split: str) -> pd.DataFrame:
    cause = rows["cause of death"].map(_code)
    unknown = sorted(set(cause) - set(CAUSES) - {""})
    if unknown:
        warnings.warn(
            f"{int(cause.isin(unknown).sum())} patients have the causes of death {', '.join(unknown)}, which "
            f"are none of {', '.join(CAUSES)}; they take no part in {TASK}",
            stacklevel=3,
        )
    outcome = cause.map(CAUSES).fillna("")
    left = rows["exit of the study"].map(_code)
    patients = pd.DataFrame({"subject_id": rows["patient id"]})
    if split == "stratified":
        patients["split"] = split_stratified(patients["subject_id"], outcome)
    else:
        count = len(rows)
        edges = [int(0.7 * count), int(0.7 * count) + int(0.1 * count)]
        patients["split"] = np.asarray(SPLITS)[np.searchsorted(edges, np.arange(count), side="right")]
    for name, column in _NUMBERS.items():
        if _plain(column) in rows:
            patients[name] = numbers(rows[_plain(column)].map(_decimal))
    patients["age_years"], patients["age_over_89"] = over_89(patients["age_years"], code=None)
    patients["sex"] = rows[_plain("Gender (male=1)")].map(_code).map({"1": "male", "0": "female"}).fillna("")
    for name, column in _YES_NO.items():
        if _plain(column) in rows:
            patients[name] = rows[_plain(column)].map(_code).map({"1": 1.0, "0": 0.0})
    patients["heart_failure"] = 1.0
    survived = (left == "") & (outcome == LABELS[0])  # the table leaves their cell empty
    patients["exit_of_study"] = left.map(EXITS).fillna("").mask(survived, EXITS["0"])
    patients[TASK] = outcome
    return drop_implausible(patients)


def _plain(column: str) -> str:
    return " ".join(str(column).split()).lower()


def _code(cell: str) -> str:
    return _decimal(cell).removesuffix(".0")


def _decimal(cell: str) -> str:
    """A number as Python writes it: MUSIC has decimal commas, NA, and ">89" for ages above."""
    if cell.startswith(">"):
        return "90" if cell == ">89" else ""
    return "" if cell.upper() == "NA" else cell.replace(",", ".") if cell.count(",") == 1 else cell


DATABASE = Database(
    name="music",
    title="MUSIC (Sudden Cardiac Death in Chronic Heart Failure), Holter recordings",
    plan=plan,
    licence="ODbL 1.0",
    access="open access",
    size="90 GB; the Holters' windows are read in place",
    url="https://physionet.org/content/music-sudden-cardiac-death/1.0.1/",
    citation=(
        "Martin-Yebra, Martínez and Laguna, MUSIC (Sudden Cardiac Death in Chronic Heart Failure), version "
        "1.0.1, PhysioNet, doi 10.13026/fa8p-he52; Vazquez et al., The MUSIC Risk score, Eur Heart J 2009; "
        "Goldberger et al., PhysioBank, PhysioToolkit, and PhysioNet, Circulation 2000"
    ),
    tasks=(TASK,),
)
