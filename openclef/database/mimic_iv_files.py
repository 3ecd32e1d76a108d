"""MIMIC-IV's files, for every database that is made of them: ECGs, their paths, and patients."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pandas as pd

from openclef.database.metadata_table import numbers, plain_ids
from openclef.database.plan import Database, where_to_get
from openclef.formats.wfdb import read_wfdb
from openclef.record import Record
from openclef.signal import LEADS

FS = 500.0
SCALE = 0.005
"""mV a step: 200 units a mV, the source's own."""

SHARES = (0.8, 0.1, 0.1)
"""Shares of the subjects in training, validation and test, of every store of MIMIC-IV."""

SUBJECT_NAMESPACE = "mimic_iv"

ECG_PATH = r"(?P<path>p\d{4}/p(?P<subject>\d{8})/s\d+/(?P<name>\d+))(?:\.\w+)?$"
"""An ECG's path below ``files``, with or without ending, and the subject and record in it."""

_PATIENT_COLUMNS = ["subject_id", "gender", "anchor_age", "anchor_year"]


def read(row: dict[str, Any], *, folder: str) -> Record:
    """Read one record of a plan.

    Args:
        row: a row of the plan's records; ``_path`` is the record's path in the folder.
        folder: the source folder.

    Returns:
        The record in mV, leads in the standard order (the files have aVF before aVL); NaN where a sample is
        missing.

    Raises:
        OSError: if a file is missing.
        ValueError: if the record is damaged.

    Example:
        >>> row = {"record_id": "41420867", "_path": "files/p1000/p10001725/s41420867/41420867"}
        >>> read(row, folder="nowhere")
        Traceback (most recent call last):
        FileNotFoundError: record '41420867': file 41420867.hea is missing; fetch it again
    """
    return read_wfdb(
        Path(folder, row["_path"]), leads=LEADS, scale=SCALE, fs=FS, record_id=str(row["record_id"])
    )


def check_tree(folder: Path, database: Database) -> None:
    """Check that a folder holds at least one ECG where MIMIC-IV-ECG has them; looks no further.

    Args:
        folder: the source folder.
        database: whose folder it should be.

    Raises:
        FileNotFoundError: if there is none.

    Example:
        >>> from openclef.database import DATABASES
        >>> check_tree(Path("nowhere"), DATABASES["mimic_iv_lvef"])
        Traceback (most recent call last):
        FileNotFoundError: nowhere holds no record under files. MIMIC-IV-ECG ...
    """
    if not next((folder / "files").glob("p*/p*/s*/*.hea"), None):
        raise FileNotFoundError(f"{folder} holds no record under files. {where_to_get(database)}")


def find_file(folder: Path, given: str) -> Path:
    """Find a file or folder that an option names: in the source folder, else where the command was called.

    Args:
        folder: the source folder.
        given: the option's value.

    Returns:
        The place; in the source folder where it is in neither.

    Example:
        >>> find_file(Path("source"), "LVEF.csv").as_posix()
        'source/LVEF.csv'
    """
    here = Path(given)
    return here.absolute() if here.exists() and not (folder / given).exists() else folder / given


def path_columns(head: pd.DataFrame) -> list[str]:
    """Find the columns of a table that hold ECGs' paths.

    Args:
        head: the table's first rows, as text.

    Returns:
        Names of the columns with at least one path.

    Example:
        >>> path_columns(pd.DataFrame({"file": ["files/p1000/p10001725/s41420867/41420867.dat"], "EF": ["55"]}))
        ['file']
    """
    found = re.compile(ECG_PATH).search
    return [str(column) for column in head if any(found(cell.strip()) for cell in head[column])]


def with_patients(records: pd.DataFrame, path: Path) -> pd.DataFrame:
    r"""Add age and sex from MIMIC-IV's table of patients.

    The age at the ECG is the anchor's and the years from the anchor's year; an anchor of 91 stands for over 89.

    Args:
        records: one row a record, with ``subject_id`` and ``ecg_time``.
        path: ``hosp/patients.csv.gz``.

    Returns:
        The records with ``age_years``, ``age_over_89`` and ``sex``; NaN and "" where the patient is not in it.

    Raises:
        FileNotFoundError: if the table is missing.
        ValueError: if it lacks a column.

    Example:
        >>> import tempfile
        >>> records = pd.DataFrame({"subject_id": ["1", "2"], "ecg_time": ["2152-03-04 05:06:00"] * 2})
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     table = Path(folder, "patients.csv")
        ...     _ = table.write_text("subject_id,gender,anchor_age,anchor_year\n1,F,60,2150\n")
        ...     with_patients(records, table)[["age_years", "age_over_89", "sex"]].values.tolist()
        [[62.0, 0.0, 'female'], [nan, nan, '']]
    """
    if not path.is_file():
        raise FileNotFoundError(f"{path} is missing; pass patients=<MIMIC-IV's hosp/patients.csv.gz>")
    try:
        table = pd.read_csv(path, usecols=_PATIENT_COLUMNS, dtype=str, keep_default_na=False)
    except ValueError as error:
        raise ValueError(
            f"{path} lacks one of {', '.join(_PATIENT_COLUMNS)} ({error}); fetch it again"
        ) from None
    known = pd.DataFrame(
        {
            "anchor": numbers(table["anchor_age"]),
            "year": numbers(table["anchor_year"]),
            "sex": table["gender"].map({"M": "male", "F": "female"}).fillna(""),
        }
    ).set_index(plain_ids(table["subject_id"]))
    known = known[~known.index.duplicated()].reindex(records["subject_id"]).set_axis(records.index)
    year = pd.to_numeric(records["ecg_time"].str[:4], errors="coerce")
    age = (known["anchor"] + year - known["year"]).where(known["anchor"] > 0)
    above = ((age > 89) | (known["anchor"] >= 91)).astype(float).where(age.notna())
    return records.assign(
        age_years=age.where(above != 1, 90.0), age_over_89=above, sex=known["sex"].fillna("")
    )
