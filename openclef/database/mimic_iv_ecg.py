"""MIMIC-IV-ECG: 800,035 12-lead ECGs of 161,352 patients, with clinical metadata where it has been extracted."""

from __future__ import annotations

import sys
import warnings
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd

from openclef.database.metadata_table import PLAUSIBLE, YES_NO, drop_implausible
from openclef.database.mimic_iv_files import (
    ECG_PATH,
    FS,
    SCALE,
    SHARES,
    SUBJECT_NAMESPACE,
    check_tree,
    find_file,
    path_columns,
    read,
    with_patients,
)
from openclef.database.plan import Database, Plan, find_folder, split_by_subject, where_to_get
from openclef.shards import sha256_of
from openclef.signal import LEADS

RECORDS = ("all", "first", "last", "random")
"""Which of a subject's ECGs are converted: all, or one."""

_LIST_COLUMNS = ["subject_id", "study_id", "ecg_time", "path"]
_METADATA = "metadata.parquet"
_BESIDE = ("_date", "_source")  # a value's date and source stay in the extraction's table


def plan(
    src: str | Path,
    *,
    metadata: str | None = None,
    records: str = "all",
    seed: int = 0,
    lvef_table: str | None = None,
    patients: str | None = None,
) -> Plan:
    """Plan the conversion of MIMIC-IV-ECG 1.0, all of it or one ECG a subject.

    Nothing is looked up for single records: a file that is missing is told when it is to be read.

    Args:
        src: the folder of MIMIC-IV-ECG, with ``record_list.csv`` and ``files/p1000/p10001725/s41420867/`` ...
        metadata: the folder that ``openclef.extract_metadata`` wrote, or its ``metadata.parquet``; None: none.
        records: which of a subject's ECGs: ``"all"``, or by the time of recording ``"first"`` or ``"last"``
            (ties by study_id, unknown times taken only where there is no other), or one at ``"random"``.
        seed: of ``"random"``, from 0; which one is taken depends on it and the study_ids alone.
        lvef_table: ``LVEF.csv`` of the ECGFounder repository; its subjects are held out of pretraining: they
            belong to no split.
        patients: MIMIC-IV's ``hosp/patients.csv.gz``, for age and sex where there is no ``metadata``.

    Returns:
        The plan.

    Raises:
        FileNotFoundError: if the folder, a table or every record is missing.
        ValueError: if a table lacks a column, or the metadata is of other records.

    Source:
        Gow et al., MIMIC-IV-ECG, PhysioNet 2023.

    Example:
        >>> plan("nowhere")
        Traceback (most recent call last):
        FileNotFoundError: nowhere is no folder. MIMIC-IV-ECG, ...
    """
    folder = find_folder(src, DATABASE)
    if metadata is not None and patients is not None:
        raise ValueError(
            "metadata and patients are both given; the metadata holds age and sex already: leave patients out"
        )
    listed = _read_list(folder / "record_list.csv")
    check_tree(folder, DATABASE)
    chosen = listed.iloc[choose_records(listed, records, seed)].reset_index(drop=True)
    codes, subjects = pd.factorize(chosen["subject_id"])
    splits = split_by_subject(subjects, shares=SHARES)
    if lvef_table is not None:
        held_out = subjects.isin(_lvef_subjects(find_file(folder, lvef_table)))
        splits[held_out] = ""
        if not held_out.any():
            warnings.warn(f"no subject of {Path(lvef_table).name} is in record_list.csv", stacklevel=2)
    table = pd.DataFrame(
        {
            "record_id": chosen["record_id"],
            "subject_id": chosen["subject_id"],
            "split": splits[codes],
            "ecg_time": chosen["ecg_time"],
            "_path": chosen["path"],
        }
    )
    shaped = {"records": records, "seed": seed if records == "random" else None, "metadata": None}
    if metadata is not None:
        file = _metadata_file(find_file(folder, metadata))
        table = _with_metadata(table, listed, file)
        shaped["metadata"] = sha256_of(file)
    elif patients is not None:
        table = with_patients(table, find_file(folder, patients))
    else:
        warnings.warn(
            "neither metadata nor patients is given: age, sex and all else will be unknown, so that no risk score can "
            "guide; pass metadata=<the folder that openclef.extract_metadata wrote>, or patients=<patients.csv.gz>",
            stacklevel=2,
        )
    told = [f"{len(listed):,} ECGs of {listed['subject_id'].nunique():,} subjects are listed"]
    if records != "all":
        told.append(f"records={records!r} takes {len(table):,}, one a subject")
    if lvef_table is not None:
        told.append(
            f"{held_out.sum():,} subjects ({held_out[codes].sum():,} ECGs) of {Path(lvef_table).name} are held "
            "out: they belong to no split"
        )
    print("mimic_iv_ecg: " + "; ".join(told), file=sys.stderr)
    return Plan(
        name="mimic_iv_ecg",
        title=DATABASE.title,
        records=drop_implausible(table),
        read=partial(read, folder=str(folder)),
        fs=FS,
        leads=LEADS,
        scale=SCALE,
        subject_namespace=SUBJECT_NAMESPACE,
        licence=DATABASE.licence,
        source=DATABASE.url,
        citation=DATABASE.citation,
        settings=shaped,
    )


def choose_records(listed: pd.DataFrame, records: str, seed: int = 0) -> np.ndarray:
    """Choose which of a subject's ECGs are converted.

    Args:
        listed: the list, with ``record_id`` (numbers as text), ``subject_id`` and ``ecg_time``.
        records: one of ``RECORDS``.
        seed: of ``"random"``, from 0.

    Returns:
        Places of the chosen rows, in the list's order.

    Raises:
        ValueError: if ``records`` is unknown, the seed below 0, or a ``record_id`` no number.

    Source:
        The random choice is that of the smallest number that SplitMix64 makes of study and seed (Steele, Lea
        and Flood, Fast splittable pseudorandom number generators, OOPSLA 2014).

    Example:
        >>> listed = pd.DataFrame({
        ...     "record_id": ["7", "5", "6"], "subject_id": ["a", "a", "b"],
        ...     "ecg_time": ["2180-05-06 22:23:00", "2180-05-06 22:23:00", "2150-01-01 00:00:00"],
        ... })
        >>> choose_records(listed, "first").tolist(), choose_records(listed, "last").tolist()
        ([1, 2], [0, 2])
    """
    if records not in RECORDS:
        raise ValueError(f"records={records!r}; accepted are {', '.join(RECORDS)}")
    if seed < 0:
        raise ValueError(f"seed={seed}; accepted are whole numbers from 0")
    if records == "all":
        return np.arange(len(listed))
    study = pd.to_numeric(listed["record_id"], errors="coerce").to_numpy(float)
    if not (study >= 0).all():
        raise ValueError(
            f"study_id holds {listed['record_id'][~(study >= 0)].iloc[0]!r}; accepted are numbers: fetch the "
            "list again"
        )
    study = study.astype(np.uint64)
    subject = pd.factorize(listed["subject_id"])[0]
    if records == "random":
        rank = _mix(study ^ _mix(np.full(1, seed % 2**64, np.uint64)))
    else:
        time = pd.to_datetime(listed["ecg_time"], errors="coerce", format="ISO8601")
        seconds = (time - pd.Timestamp(0)).dt.total_seconds()
        rank = seconds.fillna(np.inf if records == "first" else -np.inf).to_numpy()
    order = np.lexsort((study, rank, subject))
    changes = subject[order][1:] != subject[order][:-1]
    ends = np.append(changes, True) if records == "last" else np.insert(changes, 0, True)
    return np.sort(order[ends])


def _mix(numbers: np.ndarray) -> np.ndarray:
    """SplitMix64's output for each state."""
    mixed = numbers + np.uint64(0x9E3779B97F4A7C15)
    mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return mixed ^ (mixed >> np.uint64(31))


def _read_list(path: Path) -> pd.DataFrame:
    """Columns record_id, subject_id, ecg_time and path, as text."""
    if not path.is_file():
        raise FileNotFoundError(f"{path} is missing. {where_to_get(DATABASE)}")
    try:
        table = pd.read_csv(path, usecols=_LIST_COLUMNS, dtype=str, keep_default_na=False)
    except ValueError as error:
        raise ValueError(
            f"{path} lacks one of {', '.join(_LIST_COLUMNS)} ({error}); fetch it again"
        ) from None
    for column in ("subject_id", "study_id", "path"):
        empty = int((table[column] == "").sum())
        if empty:
            raise ValueError(f"column {column} of {path} is empty in {empty} rows; fetch it again")
    return table.rename(columns={"study_id": "record_id"})


def _lvef_subjects(path: Path) -> np.ndarray:
    """Subjects of the ECGs that LVEF.csv names."""
    if not path.is_file():
        raise FileNotFoundError(
            f"{path} is missing; pass lvef_table=<LVEF.csv of https://github.com/PKUDigitalHealth/ECGFounder>"
        )
    columns = path_columns(pd.read_csv(path, dtype=str, keep_default_na=False, nrows=100))
    if not columns:
        raise ValueError(
            f"{path} names no ECG; accepted is a table with paths as files/p1000/p10001725/s41420867/41420867"
        )
    cells = pd.read_csv(path, usecols=columns[:1], dtype=str, keep_default_na=False)[columns[0]]
    subjects = cells.str.strip().str.replace("\\", "/").str.extract(ECG_PATH)["subject"]
    strange = int(subjects.isna().sum())
    if strange:
        warnings.warn(
            f"{strange} rows of {path.name} name no ECG of MIMIC-IV-ECG, for example "
            f"{cells[subjects.isna()].iloc[0]!r}; whom they mean is not held out: mend them, if they are of the task",
            stacklevel=3,
        )
    return subjects.dropna().unique()


def _metadata_file(path: Path) -> Path:
    file = path / _METADATA if path.is_dir() else path
    if not file.is_file():
        raise FileNotFoundError(
            f"{file} is missing; pass metadata=<the folder that openclef.extract_metadata wrote>"
        )
    return file


def _with_metadata(records: pd.DataFrame, listed: pd.DataFrame, path: Path) -> pd.DataFrame:
    """Join the extraction's values, by record, and check that they are of these records."""
    import pyarrow as pa
    from pyarrow import parquet

    try:
        names = parquet.read_schema(path).names
        names = [name for name in names if name != "ecg_time" and not name.endswith(_BESIDE)]
        table = parquet.read_table(path, columns=names).to_pandas(split_blocks=True, self_destruct=True)
    except pa.ArrowInvalid as error:
        raise ValueError(f"{path} is no table ({error}); extract the metadata again") from None
    absent = [name for name in ("record_id", "subject_id") if name not in table]
    if absent:
        raise ValueError(
            f"{path} has no column {', '.join(absent)}; it has {', '.join(names)}: pass the folder, or the "
            "metadata.parquet, that openclef.extract_metadata wrote"
        )
    if not len(table):
        raise ValueError(f"{path} has no row; extract it again")
    _check_words(table, path)
    ids = pd.Index(table["record_id"].astype(str))
    if ids.has_duplicates:
        raise ValueError(f"{path} has several rows for {ids[ids.duplicated()][0]}; extract it again")
    place = ids.get_indexer(listed["record_id"])
    known = int((place >= 0).sum())
    if not known:
        raise ValueError(
            f"{path} is of other records: it has {ids[0]!r} and others, record_list.csv "
            f"{listed['record_id'].iloc[0]!r} and others; pass the metadata of this list"
        )
    differ = (table["subject_id"].astype(str).to_numpy()[place] != listed["subject_id"]) & (place >= 0)
    if differ.any():
        raise ValueError(
            f"{path} names another subject than record_list.csv for {int(differ.sum())} records, for "
            f"example {listed.loc[differ, 'record_id'].iloc[0]}; pass the metadata of this list"
        )
    if known < len(listed):
        warnings.warn(
            f"{len(listed) - known} of {len(listed)} records have no row in {path.name}; nothing is known of them",
            stacklevel=3,
        )
    if known < len(ids):
        warnings.warn(
            f"{len(ids) - known} of {len(ids)} rows of {path.name} name no record of record_list.csv",
            stacklevel=3,
        )
    values = table.drop(columns=[name for name in table if name in records]).set_axis(ids)
    values = values.reindex(records["record_id"]).set_axis(records.index)
    for name in values:
        is_number = pd.api.types.is_numeric_dtype(table[name])
        if not is_number and (name in PLAUSIBLE or name in YES_NO):
            raise ValueError(f"column {name} of {path} holds text; accepted are numbers: extract it again")
        values[name] = values[name].astype(float) if is_number else values[name].fillna("")
    return pd.concat([records, values], axis=1)


def _check_words(table: pd.DataFrame, path: Path) -> None:
    """Refuse what a risk score would refuse after the conversion."""
    sexes = table["sex"].fillna("") if "sex" in table else pd.Series([], dtype=object)
    strange = set(sexes.unique()) - {"female", "male", ""}
    if strange:
        raise ValueError(
            f"column sex of {path} holds {sorted(map(str, strange))[0]!r}; accepted are female, male and an empty "
            "string: extract it again"
        )
    for name in YES_NO:
        if name in table and pd.api.types.is_numeric_dtype(table[name]):
            values = set(table[name].dropna().unique()) - {0, 1}
            if values:
                raise ValueError(
                    f"column {name} of {path} holds {min(values):g}; accepted are 0, 1 and NaN: extract it again"
                )


DATABASE = Database(
    name="mimic_iv_ecg",
    title="MIMIC-IV-ECG, diagnostic electrocardiograms of MIMIC-IV's patients",
    plan=plan,
    licence="ODbL 1.0 (ECGs); PhysioNet Credentialed Health Data License (MIMIC-IV)",
    access="open access to the ECGs, credentialed access to MIMIC-IV, from which the metadata is",
    size="90.4 GB",
    url="https://physionet.org/content/mimic-iv-ecg/1.0/",
    citation=(
        "Gow et al., MIMIC-IV-ECG: Diagnostic Electrocardiogram Matched Subset, version 1.0, PhysioNet, doi "
        "10.13026/4nqg-sb35; Johnson et al., MIMIC-IV, a freely accessible electronic health record dataset, Sci "
        "Data 2023; Goldberger et al., PhysioBank, PhysioToolkit, and PhysioNet, Circulation 2000"
    ),
)
