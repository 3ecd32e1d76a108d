"""Chapman-Shaoxing-Ningbo: 45,152 clinical 12-lead ECGs of 10 s, each of one patient, with SNOMED-CT codes."""

from __future__ import annotations

import re
import warnings
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from openclef.database.metadata_table import drop_implausible, over_89
from openclef.database.plan import (
    SPLITS,
    Database,
    Plan,
    find_folder,
    label_columns,
    label_matrix,
    split_by_subject,
    where_to_get,
)
from openclef.formats.wfdb import read_wfdb
from openclef.record import Record
from openclef.signal import LEADS
from openclef.store import Task

TASK = "chapman/diagnosis"
LABELS = (
    "1AVB", "2AVB", "2AVB1", "AF", "AFIB", "ALS", "APB", "AQW", "ARS", "AT", "AVB", "CCR", "CR", "ERV", "JEB", "LBBB",
    "LVH", "MI", "PRIE", "PWC", "QTIE", "RBBB", "RVH", "SA", "SR", "ST", "STDD", "STE", "STTC", "STTU", "SVT", "TWC",
    "TWO", "UW", "VB", "VEB", "VPB", "WPW",
)  # fmt: skip
"""The 38 acronyms of the published splits, in alphabetical order; AF is flutter, ST is sinus tachycardia."""

FS = 500.0
SCALE = 0.001
"""mV a step: the source's own, 1 uV."""

_CONDITIONS = "ConditionNames_SNOMED-CT.csv"
_NO_LABELS = ("ecg_path", "age", "diagnose")


def plan(
    src: str | Path, *, split_folder: str | None = None, labels: str = "codes", seconds: float = 10.0
) -> Plan:
    """Plan the conversion of "A large scale 12-lead electrocardiogram database for arrhythmia study", 1.0.0.

    Each record is of one patient. Some recordings are in the database twice, under two names: records whose
    headers state the same first values and checksums in all leads count as one patient's, that of the first
    name, and stay on one side of the split. A record with none of the 38 labels takes no part in the task.

    Args:
        src: the folder that holds ``WFDBRecords`` and ``ConditionNames_SNOMED-CT.csv``.
        split_folder: folder of the published split, three CSV files with train, val and test in their names;
            records that they do not list are left out. None: 60/20/20 by a hash of the patient.
        labels: ``"codes"``: from the headers' codes; ``"published"``: the columns of the published split, of
            which several are wrong (docs/databases/chapman.md).
        seconds: a window's length.

    Returns:
        The plan.

    Raises:
        FileNotFoundError: if the folder, the table of codes, every record or a file of the split is missing.
        ValueError: if the table of codes lacks one of the labels, the split one of the columns, or a record
            stands in two of its files.

    Source:
        Zheng et al., Sci Rep 2020; splits: Liu et al., MERL, ICML 2024, also used by HeartLang.

    Example:
        >>> plan("nowhere")
        Traceback (most recent call last):
        FileNotFoundError: nowhere is no folder. Chapman-Shaoxing-Ningbo...
    """
    if labels not in ("codes", "published") or (labels == "published" and split_folder is None):
        raise ValueError(
            f"labels={labels!r}; accepted are codes, and published together with split_folder=<its folder>"
        )
    folder = find_folder(src, DATABASE)
    meaning = read_codes(folder / _CONDITIONS)
    paths = sorted(folder.glob("WFDBRecords/*/*/*.hea"))
    if not paths:
        raise FileNotFoundError(f"{folder} holds no record under WFDBRecords. {where_to_get(DATABASE)}")
    headers = pd.DataFrame([_header(path, folder) for path in paths])
    records = _describe(headers)
    columns = label_columns(TASK, LABELS)
    carried = [
        {meaning[code] for code in codes.split(";") if code in meaning} for codes in records["snomed_codes"]
    ]
    matrix = pd.DataFrame(label_matrix(carried, LABELS), columns=list(columns))
    if split_folder is None:
        records["split"] = split_by_subject(records["subject_id"])
    else:
        published = _read_splits(folder / split_folder)
        absent = ~published.index.isin(records["record_id"])
        unlisted = ~records["record_id"].isin(published.index)
        for count, told in (
            (absent.sum(), f"of the {len(published)} records that the split lists are not in {folder}"),
            (unlisted.sum(), f"of {len(records)} records are in no file of the split; left out"),
        ):
            if count:
                warnings.warn(f"{int(count)} {told}", stacklevel=2)
        records = records[~unlisted].reset_index(drop=True)
        matrix = matrix[~unlisted].reset_index(drop=True)
        listed = published.loc[records["record_id"]].reset_index(drop=True)
        records["split"] = _kept_together(records, listed["split"])
        if labels == "published":
            matrix = listed[list(LABELS)].astype(float).set_axis(list(columns), axis=1)
    return Plan(
        name="chapman",
        title=DATABASE.title,
        records=pd.concat([records, matrix], axis=1),
        read=partial(read, folder=str(folder)),
        fs=FS,
        leads=LEADS,
        scale=SCALE,
        tasks=(Task(TASK, "multilabel", LABELS, columns),),
        seconds=seconds,
        subject_namespace="chapman",
        licence=DATABASE.licence,
        source=DATABASE.url,
        citation=DATABASE.citation,
        settings={"labels": labels, "seconds": seconds},
    )


def read(row: dict[str, Any], *, folder: str) -> Record:
    """Read one record of the plan.

    Args:
        row: a row of the plan's records.
        folder: the source folder.

    Returns:
        The record in mV, leads in the standard order.

    Raises:
        OSError: if a file is missing.
        ValueError: if the record is damaged.

    Example:
        >>> read({"record_id": "JS00001", "_path": "WFDBRecords/01/010/JS00001"}, folder="nowhere")
        Traceback (most recent call last):
        FileNotFoundError: record 'JS00001': file JS00001.hea is missing; fetch it again
    """
    return read_wfdb(Path(folder, row["_path"]), leads=LEADS, scale=SCALE, fs=FS)


def read_codes(path: str | Path) -> dict[str, str]:
    r"""Read which SNOMED-CT code carries which of the 38 labels.

    Args:
        path: ``ConditionNames_SNOMED-CT.csv``: columns ``Acronym Name``, ``Full Name``, ``Snomed_CT``.

    Returns:
        Code to label; codes of other acronyms are left out. Where several acronyms share a code (MI, MIBW,
        MIFW ...), it carries the one that is a label.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if it lacks a column or a label.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     file = Path(folder, "codes.csv")
        ...     _ = file.write_text("Acronym Name,Full Name,Snomed_CT\n" + "".join(
        ...         f"{label},,{number}\n" for number, label in enumerate((*LABELS, "SB"))))
        ...     codes = read_codes(file)
        >>> codes["0"], "38" in codes
        ('1AVB', False)
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"{path} is missing. {where_to_get(DATABASE)}")
    table = pd.read_csv(path, dtype=str, keep_default_na=False, encoding="utf-8-sig")
    table.columns = [re.sub(r"\W", "", column).lower() for column in table.columns]
    absent = [column for column in ("acronymname", "snomed_ct") if column not in table]
    if absent:
        raise ValueError(
            f"{path} lacks Acronym Name or Snomed_CT; it has {', '.join(map(str, table))}: fetch it again"
        )
    table = table.apply(lambda column: column.str.strip())
    table = table[table["acronymname"].isin(LABELS)]
    missing = sorted(set(LABELS) - set(table["acronymname"]))
    if missing:
        raise ValueError(f"{path} lacks the acronyms {', '.join(missing)}; fetch it again")
    return dict(zip(table["snomed_ct"], table["acronymname"]))


def _header(path: Path, folder: Path) -> dict[str, Any]:
    """What a header says without its signals: comments, and a fingerprint of first values and checksums."""
    text = path.read_text(encoding="utf-8", errors="replace")
    said = {
        key.strip().lower(): value.strip()
        for key, value in re.findall(r"^#\s*(\w+)\s*:(.*)$", text, re.MULTILINE)
    }
    signals = re.findall(r"^\S+\.mat\s+\S+\s+\S+\s+\S+\s+\S+\s+(-?\d+)\s+(-?\d+)\s", text, re.MULTILINE)
    whole = len(signals) == len(LEADS) and any(int(check) for _, check in signals)
    return {
        "record_id": path.stem,
        "_path": path.relative_to(folder).with_suffix("").as_posix(),
        "age": said.get("age", ""),
        "sex": said.get("sex", ""),
        "snomed_codes": ";".join(re.findall(r"\d+", said.get("dx", ""))),
        "same": " ".join(number for pair in signals for number in pair) if whole else path.stem,
    }


def _describe(headers: pd.DataFrame) -> pd.DataFrame:
    """The store's columns; an age of 0, which no infant has here, and NaN are unknown."""
    headers = headers.sort_values("record_id", ignore_index=True)
    twice = headers["record_id"][headers["record_id"].duplicated()]
    if len(twice):
        raise ValueError(f"record {twice.iloc[0]} is in two folders of WFDBRecords; keep one of them")
    subject = headers.groupby("same")["record_id"].transform("first")
    copies = int((subject != headers["record_id"]).sum())
    if copies:
        warnings.warn(
            f"{copies} recordings are copies of another record by their headers, for example "
            f"{headers['record_id'][subject != headers['record_id']].iloc[0]}; they count as one patient's",
            stacklevel=3,
        )
    age = pd.to_numeric(headers["age"], errors="coerce").astype(float)
    records = pd.DataFrame(
        {
            "record_id": headers["record_id"],
            "subject_id": subject,
            "sex": headers["sex"].str.lower().map({"male": "male", "female": "female"}).fillna(""),
            "snomed_codes": headers["snomed_codes"],
            "_path": headers["_path"],
        }
    )
    records["age_years"], records["age_over_89"] = over_89(age.where(age > 0), code=None)
    return drop_implausible(records)


def _read_splits(folder: Path) -> pd.DataFrame:
    """The published split, indexed by record: its side and its 38 columns."""
    tables = []
    for side in SPLITS:
        files = sorted(folder.glob(f"*{side}*.csv"))
        if len(files) != 1:
            raise FileNotFoundError(
                f"{folder} holds {len(files)} files *{side}*.csv; accepted is one for each of "
                f"{', '.join(SPLITS)}, for example chapman_{side}.csv: pass split_folder=<their folder>"
            )
        table = pd.read_csv(files[0], encoding="utf-8-sig")
        found = [str(column) for column in table if column not in _NO_LABELS]
        if "ecg_path" not in table or set(found) != set(LABELS):
            other = sorted(set(found) ^ set(LABELS))
            raise ValueError(
                f"{files[0]} is no published split: it needs ecg_path and a column for each of the 38 labels "
                f"(differing: {', '.join(other) or 'ecg_path'}); fetch it again"
            )
        table.index = table["ecg_path"].astype(str).str.extract(r"([^/\\]+?)(?:\.\w+)?$", expand=False)
        tables.append(table[list(LABELS)].assign(split=side))
    splits = pd.concat(tables)
    twice = splits.index[splits.index.duplicated()]
    if len(twice):
        raise ValueError(f"record {twice[0]} stands more than once in the split of {folder}; fetch it again")
    return splits


def _kept_together(records: pd.DataFrame, side: pd.Series) -> np.ndarray:
    """The published side; copies of one recording go where the first of them is."""
    first = side.groupby(records["subject_id"]).transform("first")
    moved = int((first != side).sum())
    if moved:
        warnings.warn(
            f"the split parts copies of one recording; {moved} go to the side of the first", stacklevel=3
        )
    return first.to_numpy()


DATABASE = Database(
    name="chapman",
    title="Chapman-Shaoxing-Ningbo, a large scale 12-lead electrocardiogram database for arrhythmia study",
    plan=plan,
    licence="CC BY 4.0",
    access="open access",
    size="5.4 GB",
    url="https://physionet.org/content/ecg-arrhythmia/1.0.0/",
    citation=(
        "Zheng, Guo and Chu, A large scale 12-lead electrocardiogram database for arrhythmia study, version "
        "1.0.0, PhysioNet, doi 10.13026/wgex-er52; Zheng et al., Optimal multi-stage arrhythmia classification "
        "approach, Sci Rep 2020; Goldberger et al., PhysioBank, PhysioToolkit, and PhysioNet, Circulation 2000"
    ),
    tasks=(TASK,),
)
