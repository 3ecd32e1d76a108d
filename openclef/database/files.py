"""Files of one's own, listed in a CSV file: any format, mixed rates, labels in columns."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd

from openclef.database.file_paths import find_paths, is_there, name_records
from openclef.database.labels import declare_labels
from openclef.database.metadata_table import describe_records, numbers, read_table
from openclef.database.plan import SPLITS, Database, Plan
from openclef.database.table_rows import FIRST_ROW, TableRows
from openclef.formats import read_record
from openclef.formats.arrays import SUFFIXES, read_array
from openclef.formats.resampling import resample
from openclef.record import Record
from openclef.signal import canonical_leads

OF_ONE_FILE = ("fs", "leads", "lead", "unit")
"""Columns that say what a row's file does not state itself: rate in Hz, lead names, unit."""

_MOST_TRIED = 20  # files that fail, before the plan gives up
_HINT = (
    "; a column fs, leads or unit of the table says it for each file, and file_fs, file_leads, file_unit or "
    "file_scale for all"
)


def plan(
    src: str | Path,
    *,
    labels: Mapping[str, Any] | Sequence[str] | None = None,
    fs: float = 500.0,
    leads: Sequence[str] | None = None,
    lead_names: Mapping[str, str] | None = None,
    root: str | None = None,
    path: str = "path",
    record_id: str = "record_id",
    subject_id: str = "subject_id",
    file_fs: float | None = None,
    file_leads: Sequence[str] | None = None,
    file_unit: str | None = None,
    file_scale: float | None = None,
    scale: float = 0.001,
    name: str | None = None,
    title: str = "",
    seconds: float = 10.0,
    subject_namespace: str = "",
    rename: Mapping[str, str] | None = None,
    sex_codes: Mapping[str, str] | None = None,
    split: str = "split",
    split_codes: Mapping[str, str] | None = None,
    age_over_89_code: float | None = None,
    licence: str = "",
    citation: str = "",
) -> Plan:
    r"""Plan the conversion of all files that a CSV file lists, one a row, resampled to one rate.

    What the labels are taken for is printed on the error stream. Errors and ``skipped.csv`` name the row, as
    a spreadsheet counts: the names of the columns are row 1.

    Args:
        src: the CSV file.
        labels: columns to predict: names, whose kind is inferred; or a mapping from name to kind (``"binary"``,
            ``"multiclass"``, ``"multilabel"``, ``"regression"``) or to ``{"kind": ..., "labels": [...],
            "unit": ...}`` (``openclef.database.metadata_table.describe_records``). None: every column that
            looks like a label.
        fs: rate in Hz of the store, to which every file is resampled.
        leads: leads to keep; None: those of the first file.
        lead_names: names to replace, for example ``{"ECG": "I"}``.
        root: folder that the paths begin from; None: that of the CSV file.
        path: column of the files' paths; where the table has none, a file is found by its record's name.
        record_id: column of the records' names; without it they are the paths without ending.
        subject_id: column of the people; without it every record counts as a subject of its own.
        file_fs: rate in Hz of files that do not state theirs.
        file_leads: lead names of files that do not state theirs.
        file_unit: ``mV``, ``uV``, ``V`` or ``zscore``, of files that do not state theirs.
        file_scale: unit a step of arrays of integers that do not state it.
        scale: mV a step of the store.
        name: the store's name, with which the tasks' begin; that of the CSV file by default.
        title: its full name.
        seconds: a window's length.
        subject_namespace: shared by stores of the same people; the store's name by default.
        rename: column in the file to column in the store, for example ``{"Age": "age_years"}``.
        sex_codes: value in the file to ``"male"`` or ``"female"``.
        split: column of splits; where the table has none, 60/20/20 by a hash of the subject's id.
        split_codes: value in the file to ``"train"``, ``"val"``, ``"test"`` or "".
        age_over_89_code: the age that stands for over 89.
        licence: licence of the data.
        citation: what to cite.

    Returns:
        The plan.

    Raises:
        FileNotFoundError: if there is no such CSV file, or none of its files is there.
        ValueError: if the table does not fit, or something about the files is not known.

    Example:
        >>> import tempfile, numpy as np
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     np.save(Path(folder, "a.npy"), np.zeros(1300, np.float32))
        ...     _ = Path(folder, "mine.csv").write_text("path,subject_id,fs,unit,ef\na.npy,p1,130,mV,55.5\n")
        ...     made = plan(Path(folder, "mine.csv"), leads=["I"], labels={"ef": "regression"})
        >>> made.fs, made.tasks[0].name, made.records["mine/ef"].tolist()
        (500.0, 'mine/ef', [55.5])
    """
    src = Path(src)
    frame = _read(src)
    name = name or src.stem
    base = src.parent if root is None else src.parent / root
    if not base.is_dir():
        raise FileNotFoundError(f"root={str(base)!r} is no folder; pass the one that the paths begin from")
    where = TableRows(src.name, frame)
    paths = find_paths(where, base, src, path=path, record_id=record_id)
    has_split = split in frame
    if not has_split and split != "split":
        raise ValueError(f"split={split!r} is no column of {src.name}; it has {', '.join(frame.columns)}")
    taken = {path, record_id, subject_id, split, *OF_ONE_FILE, *(rename or {})}
    tasks, told = declare_labels(frame, labels, taken, name)
    if record_id not in frame:
        frame[record_id] = name_records(paths)
    if subject_id not in frame:
        if subject_id != "subject_id":
            raise ValueError(
                f"subject_id={subject_id!r} is no column of {src.name}; it has {', '.join(frame.columns)}"
            )
        warnings.warn(
            f"{src.name} has no column subject_id; every record counts as a subject of its own", stacklevel=2
        )
    records, made = where.call(
        partial(
            describe_records,
            tasks=tasks,
            record_id=record_id,
            subject_id=subject_id if subject_id in frame else None,
            rename=rename,
            sex_codes=sex_codes,
            split=split if has_split else None,
            split_codes=split_codes,
            age_over_89_code=age_over_89_code,
        )
    )
    _check_ids(records, where)
    records["_path"] = paths
    records["_row"] = [f"row {row} of {src.name}" for row in range(FIRST_ROW, FIRST_ROW + len(frame))]
    records["_fs"] = where.call(lambda rows: numbers(rows["fs"])) if "fs" in frame else float("nan")
    column = next((each for each in ("leads", "lead") if each in frame), None)
    records["_leads"] = frame[column] if column else ""
    records["_unit"] = frame.get("unit", "")
    settings: dict[str, Any] = {
        "root": str(base),
        "fs": float(fs),
        "lead_names": dict(lead_names or {}),
        "file_fs": file_fs,
        "file_leads": None if file_leads is None else canonical_leads(file_leads),
        "file_unit": file_unit,
        "file_scale": file_scale,
    }
    first = _first(records, settings | {"leads": None if leads is None else canonical_leads(leads)})
    names = first.leads if leads is None else canonical_leads(leads)
    print(
        f"{src.name}: {len(records)} files, to {fs:g} Hz, {', '.join(names)}",
        *told,
        sep="\n  ",
        file=sys.stderr,
    )
    return Plan(
        name=name,
        title=title or name,
        records=records,
        read=partial(read, leads=names, **settings),
        fs=float(fs),
        leads=names,
        scale=float(scale),
        tasks=made,
        unit=first.unit,
        seconds=seconds,
        subject_namespace=subject_namespace or name,
        licence=licence,
        source=(
            f"files listed in {src.name}, each resampled from its own rate to {fs:g} Hz "
            "(scipy.signal.resample_poly)"
        ),
        citation=citation,
        settings={**settings, "leads": names, "scale": scale},
        part_records=64,
    )


def read(
    row: dict[str, Any],
    *,
    root: str,
    fs: float,
    leads: tuple[str, ...] | None,
    lead_names: dict[str, str],
    file_fs: float | None,
    file_leads: tuple[str, ...] | None,
    file_unit: str | None,
    file_scale: float | None,
) -> Record:
    """Read one file of the plan, and bring it to the store's rate and leads.

    Args:
        row: a row of the plan's records.
        root: the folder that the paths begin from.
        fs: rate in Hz of the store.
        leads: leads to keep; None keeps all.
        lead_names: names to replace.
        file_fs: rate in Hz where neither the file nor the row states it.
        file_leads: lead names where neither states them.
        file_unit: unit where neither states it.
        file_scale: unit a step of integers where the file does not state it.

    Returns:
        The record, with its own rate as ``source_fs``.

    Raises:
        OSError: if the file is missing; the message names the row.
        ValueError: if it is damaged or does not fit; the message names the row.

    Example:
        >>> row = {"record_id": "a", "_path": "a.npy", "_row": "row 2 of a.csv", "_fs": 130.0, "_leads": "I",
        ...        "_unit": "mV"}
        >>> read(row, root="nowhere", fs=500, leads=("I",), lead_names={}, file_fs=None, file_leads=None,
        ...      file_unit=None, file_scale=None)
        Traceback (most recent call last):
        FileNotFoundError: record 'a': row 2 of a.csv: file a.npy is missing; correct the path
    """
    place, told = Path(root, row["_path"]), f"record {str(row['record_id'])!r}: {row['_row']}: "
    if not is_there(place):
        raise FileNotFoundError(f"{told}file {row['_path']} is missing; correct the path")
    stated_fs = None if pd.isna(row["_fs"]) else float(row["_fs"])
    stated = tuple(each for each in row["_leads"].replace(",", " ").replace(";", " ").split() if each)
    try:
        record = _load(
            place,
            fs=stated_fs or file_fs,
            leads=stated or file_leads,
            only=leads,
            unit=row["_unit"] or file_unit,
            scale=file_scale,
        )
        if stated_fs is not None and abs(record.fs / stated_fs - 1) > 1e-3:
            raise ValueError(
                f"the column fs says {stated_fs:g} Hz and the file {record.fs:g} Hz; correct one"
            )
        renamed = tuple(lead_names.get(lead, lead) for lead in record.leads)
        record = Record(
            record.signal,
            record.fs,
            renamed,
            str(row["record_id"]),
            unit=record.unit,
            metadata={"source_fs": record.fs},
        )
        absent = [lead for lead in leads or () if lead not in record.leads]
        if absent:
            raise ValueError(
                f"leads missing: {', '.join(absent)}; it has {', '.join(record.leads)}: pass lead_names, for "
                f"example {{{record.leads[0]!r}: {absent[0]!r}}}"
            )
        return resample(record if leads is None else record.select(leads), fs)
    except FileNotFoundError as error:  # a header whose signal file is missing
        raise FileNotFoundError(told + _reason(error)) from None
    except ValueError as error:
        raise ValueError(told + _reason(error)) from None


def _load(
    path: Path,
    *,
    fs: float | None,
    leads: tuple[str, ...] | None,
    only: tuple[str, ...] | None,
    unit: str | None,
    scale: float | None,
) -> Record:
    """Read a file; one of a single nameless lead is the store's only one."""

    def once(names: tuple[str, ...] | None) -> Record:
        if path.suffix.lower() in SUFFIXES:
            return read_array(path, fs=fs, leads=names, unit=unit, scale=scale)
        return read_record(path, fs=fs, leads=names, unit=unit)

    try:
        return once(leads)
    except ValueError as error:
        if "leads are missing" not in str(error) or only is None or len(only) != 1:
            raise
    return once(only)


def _first(records: pd.DataFrame, settings: dict[str, Any]) -> Record:
    """The first file that can be read; one of each ending is tried, so that what is unknown is found now."""
    found: dict[str, Record] = {}
    reason: OSError | ValueError | None = None
    failed = 0
    for row in records.to_dict("records"):
        ending = Path(row["_path"]).suffix.lower()
        if ending in found:
            continue
        try:
            found[ending] = read({str(key): value for key, value in row.items()}, **settings)
        except (OSError, ValueError) as error:
            if isinstance(error, ValueError) and _HINT in str(error):
                raise
            reason, failed = reason or error, failed + 1
            if failed == _MOST_TRIED:
                break
    if reason is not None and not found:
        raise type(reason)(f"none of the first {failed} files can be read, for example {reason}")
    return next(iter(found.values()))


def _reason(error: Exception) -> str:
    text = str(error)
    if text.startswith("record "):
        text = text.split(": ", 1)[-1]
    unknown = " missing for " in text or "holds integers" in text
    return text + (_HINT if unknown else "")


def _read(src: Path) -> pd.DataFrame:
    if not src.is_file():
        what = "is a folder" if src.is_dir() else "is missing"
        raise FileNotFoundError(
            f"{src} {what}; pass the CSV file that lists the files: columns path, subject_id and labels "
            "(docs/own-files.md)"
        )
    frame = read_table(src)
    if frame.empty:
        raise ValueError(f"{src.name} has no row; list one file a row")
    return frame


def _check_ids(records: pd.DataFrame, where: TableRows) -> None:
    where.refuse(records["record_id"] == "", "the record has no name", "fill the cell")
    where.refuse(
        records["record_id"].duplicated(), "the record's name stands in an earlier row", "name each once"
    )
    placed = records[(records["subject_id"] != "") & records["split"].isin(SPLITS)]
    first = placed.groupby("subject_id")["split"].first()
    there = records["subject_id"].map(first)
    parted = records["split"].isin(SPLITS) & there.notna() & (there != records["split"])
    where.refuse(
        parted,
        "its subject stands in another split in an earlier row",
        "bring all of a subject's rows to one split",
    )


DATABASE = Database(
    name="files",
    title="Files of any format and rate, listed in a CSV file with labels",
    plan=plan,
    access="your own files",
)
