"""PTB-XL: 21,799 clinical 12-lead ECGs of 10 s from 18,869 patients, with statements and official folds."""

from __future__ import annotations

import ast
import warnings
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from openclef.database.metadata_table import drop_implausible, numbers, over_89, plain_ids
from openclef.database.plan import Database, Plan, find_folder, label_columns, label_matrix, where_to_get
from openclef.formats.wfdb import read_wfdb
from openclef.record import Record
from openclef.signal import LEADS
from openclef.store import Task

SCALE = 0.001
"""mV a step: PTB-XL's own, 1 uV."""

LABELS = {"diagnostic": 44, "subdiagnostic": 23, "superdiagnostic": 5, "form": 19, "rhythm": 12}
"""Number of labels of each task ``ptb_xl/...``; ``scp_statements.csv`` must give exactly these."""

_COLUMNS = ("ecg_id", "patient_id", "age", "sex", "scp_codes", "strat_fold", "filename_lr", "filename_hr")
_STATEMENTS = ("diagnostic", "form", "rhythm", "diagnostic_class", "diagnostic_subclass")


def plan(src: str | Path, *, fs: float = 500, seconds: float = 10.0) -> Plan:
    """Plan the conversion of PTB-XL in its official layout, releases 1.0.1 to 1.0.3.

    Folds 1 to 8 are training, 9 validation, 10 test. A record without any label of a task takes no part in
    it; any likelihood of a statement counts, 0 ("unknown") included. Ages over 89, which release 1.0.3 codes
    as 300, become 90 with ``age_over_89`` 1; the 90 and 91 of earlier releases are kept and marked alike.

    Args:
        src: the folder that holds ``ptbxl_database.csv``, ``scp_statements.csv`` and ``records100`` or
            ``records500``.
        fs: 500 or 100 Hz: which of the two sets of files.
        seconds: a window's length.

    Returns:
        The plan.

    Raises:
        FileNotFoundError: if the folder or a table is missing, or no record is there.
        ValueError: if a table lacks a column, or gives other label sets than PTB-XL's.

    Source:
        Wagner et al., Sci Data 2020; label sets as in the PTB-XL benchmark, Strodthoff et al., IEEE JBHI
        2021.

    Example:
        >>> plan("nowhere")
        Traceback (most recent call last):
        FileNotFoundError: nowhere is no folder. PTB-XL, ...
    """
    if fs not in (100, 500):
        raise ValueError(f"fs={fs!r}; PTB-XL has files of 100 and 500 Hz: pass fs=500 or fs=100")
    folder = find_folder(src, DATABASE)
    rows = _read_table(folder / "ptbxl_database.csv", _COLUMNS)
    statements = _read_table(folder / "scp_statements.csv", _STATEMENTS, index_col=0)
    if not next((folder / f"records{fs:g}").rglob("*.hea"), None):
        raise FileNotFoundError(f"{folder} holds no record under records{fs:g}. {where_to_get(DATABASE)}")
    records, label_tables = _metadata(rows), []
    tasks = []
    codes = [_codes(text, ecg) for text, ecg in zip(rows["scp_codes"], rows["ecg_id"])]
    for kind, meaning in label_maps(statements).items():
        name = f"ptb_xl/{kind}"
        labels = tuple(sorted(set(meaning.values())))
        columns = label_columns(name, labels)
        carried = [{meaning[code] for code in has if code in meaning} for has in codes]
        label_tables.append(pd.DataFrame(label_matrix(carried, labels), columns=list(columns)))
        tasks.append(Task(name, "multilabel", labels, columns))
    files = rows["filename_lr" if fs == 100 else "filename_hr"].fillna("").astype(str)
    records = pd.concat([records, *label_tables, files.rename("_path")], axis=1)
    return Plan(
        name="ptb_xl",
        title=DATABASE.title,
        records=records,
        read=partial(read, folder=str(folder), fs=float(fs)),
        fs=float(fs),
        leads=LEADS,
        scale=SCALE,
        tasks=tuple(tasks),
        seconds=seconds,
        subject_namespace="ptb_xl",
        licence=DATABASE.licence,
        source=DATABASE.url,
        citation=DATABASE.citation,
        settings={"fs": fs, "seconds": seconds},
    )


def read(row: dict[str, Any], *, folder: str, fs: float) -> Record:
    """Read one record of the plan.

    Args:
        row: a row of the plan's records.
        folder: the source folder.
        fs: the rate in Hz that the record must have.

    Returns:
        The record in mV, leads in the standard order.

    Raises:
        OSError: if a file is missing.
        ValueError: if the record is damaged.

    Example:
        >>> read({"record_id": "1", "_path": "records500/00000/00001_hr"}, folder="nowhere", fs=500)
        Traceback (most recent call last):
        FileNotFoundError: record '1': file 00001_hr.hea is missing; fetch it again
    """
    return read_wfdb(
        Path(folder, row["_path"]), leads=LEADS, scale=SCALE, fs=fs, record_id=str(row["record_id"])
    )


def label_maps(statements: pd.DataFrame) -> dict[str, dict[str, str]]:
    """Read from ``scp_statements.csv`` which statement carries which label of the five tasks.

    Args:
        statements: the table, one row a statement, indexed by its code.

    Returns:
        For each task a mapping from statement to label.

    Raises:
        ValueError: if the numbers of labels are not PTB-XL's (44, 23, 5, 19, 12).

    Example:
        >>> label_maps(pd.DataFrame({name: [] for name in _STATEMENTS}))
        Traceback (most recent call last):
        ValueError: scp_statements.csv gives 0 labels of the kind diagnostic; PTB-XL has 44: fetch the file
            again
    """

    def flagged(flag: str) -> list[str]:
        return [str(code) for code in statements.index[statements[flag] == 1]]

    diagnostic = flagged("diagnostic")
    maps = {kind: {code: code for code in flagged(kind)} for kind in ("diagnostic", "form", "rhythm")}
    for kind, column in (("subdiagnostic", "diagnostic_subclass"), ("superdiagnostic", "diagnostic_class")):
        maps[kind] = {code: str(statements.loc[code, column]) for code in diagnostic}
    for kind, expected in LABELS.items():
        found = len(set(maps[kind].values()))
        if found != expected:
            raise ValueError(
                f"scp_statements.csv gives {found} labels of the kind {kind}; PTB-XL has {expected}: "
                "fetch the file again"
            )
    return {kind: maps[kind] for kind in LABELS}


def _read_table(path: Path, columns: tuple[str, ...], **settings: Any) -> pd.DataFrame:
    if not path.is_file():
        raise FileNotFoundError(f"{path} is missing. {where_to_get(DATABASE)}")
    frame = pd.read_csv(path, **settings)
    absent = [column for column in columns if column not in frame]
    if absent:
        raise ValueError(f"{path} lacks {', '.join(absent)}; it has {', '.join(frame)}: fetch the file again")
    return frame


def _metadata(rows: pd.DataFrame) -> pd.DataFrame:
    fold = rows["strat_fold"].astype("Int64")
    outside = ~fold.between(1, 10).fillna(False).astype(bool)
    if outside.any():
        raise ValueError(
            f"strat_fold of {int(outside.sum())} rows is not 1 to 10; fetch ptbxl_database.csv again"
        )
    sex = rows["sex"].map({0: "male", 1: "female"}).fillna("")
    wrong = sorted(set(rows["sex"].dropna()) - {0, 1})
    if wrong:
        raise ValueError(
            f"sex holds {wrong}; PTB-XL codes 0 = male, 1 = female: fetch ptbxl_database.csv again"
        )
    age, above = over_89(numbers(rows["age"]), code=300)
    subject = plain_ids(rows["patient_id"])
    if (subject == "").any():
        warnings.warn(
            f"{int((subject == '').sum())} records name no patient; each counts as a subject of its own",
            stacklevel=3,
        )
    fold = fold.astype(int)
    records = pd.DataFrame(
        {
            "record_id": plain_ids(rows["ecg_id"]),
            "subject_id": subject,
            "split": np.select([fold <= 8, fold == 9], ["train", "val"], "test"),
            "strat_fold": fold.astype(float),
            "age_years": age,
            "age_over_89": above,
            "sex": sex,
        }
    )
    for name, column in (("height_cm", "height"), ("weight_kg", "weight")):
        if column in rows:
            records[name] = numbers(rows[column])
    if "recording_date" in rows:
        records["recording_date"] = rows["recording_date"].fillna("").astype(str)
    return drop_implausible(records)


def _codes(text: Any, ecg: Any) -> set[str]:
    try:
        codes = ast.literal_eval(str(text))
    except (ValueError, SyntaxError):
        codes = None
    if not isinstance(codes, dict):
        raise ValueError(
            f"scp_codes of ecg_id {ecg} is {text!r}; accepted is a dict, for example {{'NORM': 100.0}}"
        )
    return {str(code) for code in codes}


DATABASE = Database(
    name="ptb_xl",
    title="PTB-XL, a large publicly available electrocardiography dataset",
    plan=plan,
    licence="CC BY 4.0",
    access="open access",
    size="3.2 GB",
    url="https://physionet.org/content/ptb-xl/1.0.3/",
    citation=(
        "Wagner et al., PTB-XL, a large publicly available electrocardiography dataset, Sci Data 2020, "
        "doi 10.1038/s41597-020-0495-6; Goldberger et al., PhysioBank, PhysioToolkit, and PhysioNet, "
        "Circulation 2000"
    ),
    tasks=tuple(f"ptb_xl/{kind}" for kind in LABELS),
)
