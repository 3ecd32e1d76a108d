"""Any folder tree of WFDB records, with or without a CSV file of metadata and labels."""

from __future__ import annotations

import re
import warnings
from collections import Counter
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd

from openclef.database.metadata_table import describe_records, plain_ids, read_table
from openclef.database.plan import Database, Plan, find_folder, split_by_subject
from openclef.formats.unit import millivolts
from openclef.formats.wfdb import HeaderLine, read_header_line, read_wfdb
from openclef.record import Record
from openclef.signal import canonical_leads

_PART_BYTES = 64_000_000


def plan(
    src: str | Path,
    *,
    metadata: str | None = None,
    leads: Sequence[str] | None = None,
    lead_names: Mapping[str, str] | None = None,
    fs: float | None = None,
    scale: float | None = None,
    exact: bool = True,
    name: str | None = None,
    title: str = "",
    seconds: float = 10.0,
    record_id: str | None = None,
    subject_id: str | None = None,
    subject_namespace: str = "",
    rename: Mapping[str, str] | None = None,
    sex_codes: Mapping[str, str] | None = None,
    split: str | None = None,
    split_codes: Mapping[str, str] | None = None,
    tasks: Mapping[str, Mapping[str, Any]] | None = None,
    age_over_89_code: float | None = None,
    without_row: str = "keep",
    licence: str = "",
    source: str = "",
    citation: str = "",
) -> Plan:
    """Plan the conversion of all WFDB records under a folder.

    A record is named after its file, or by its path where two files of the folder have one name. Headers of
    several segments, records at another rate, and records that lack a lead are left out with their reason.

    Args:
        src: the folder; records may lie at any depth.
        metadata: CSV file, relative to the folder or absolute.
        leads: leads to keep; None: those of the first record, in the order of the names.
        lead_names: names to replace, for example ``{"ECG": "I"}``.
        fs: sampling rate in Hz; None: the most common one.
        scale: mV a step; None: that of the first record's gain.
        exact: leave out records whose own step is no multiple of ``scale``; False rounds them.
        name: the store's name; the folder's by default.
        title: its full name.
        seconds: a window's length.
        record_id: column of the CSV file that names the records, by file name or by path in the folder, with
            or without ending.
        subject_id: column that names the people; None: every record counts as a subject of its own.
        subject_namespace: shared by stores of the same people; the store's name by default.
        rename: column in the file to column in the store, for example ``{"Age": "age_years"}``.
        sex_codes: value in the file to ``"male"`` or ``"female"``.
        split: column of splits; None: 60/20/20 by a hash of the subject's id.
        split_codes: value in the file to ``"train"``, ``"val"``, ``"test"`` or "".
        tasks: task name to its kind, column and labels
            (``openclef.database.metadata_table.describe_records``).
        age_over_89_code: the age that stands for over 89.
        without_row: ``"keep"`` records that the CSV file does not list, with nothing known of them, or
            ``"leave_out"``.
        licence: licence of the data.
        source: where it comes from.
        citation: what to cite.

    Returns:
        The plan.

    Raises:
        FileNotFoundError: if the folder holds no record, or the CSV file is missing.
        ValueError: if the CSV file does not fit.

    Example:
        >>> import tempfile, wfdb, numpy as np
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     wfdb.wrsamp("a", fs=360, units=["mV"], sig_name=["MLII"], d_signal=np.zeros((10, 1), int),
        ...                 fmt=["16"], adc_gain=[200.0], baseline=[0], write_dir=folder)
        ...     made = plan(folder, name="mine")
        >>> made.fs, made.leads, made.scale
        (360.0, ('MLII',), 0.005)
    """
    folder = find_folder(src, DATABASE)
    if without_row not in ("keep", "leave_out"):
        raise ValueError(f"without_row={without_row!r}; accepted are keep and leave_out")
    paths = sorted(path.relative_to(folder).with_suffix("").as_posix() for path in folder.rglob("*.hea"))
    if not paths:
        raise FileNotFoundError(f"{folder} holds no WFDB header (*.hea); pass the folder with the records")
    headers = _headers(folder, paths)
    readable = {path: header for path, header in headers.items() if header.segments == 0 and header.leads > 0}
    if not readable:
        raise ValueError(
            f"{folder} holds {len(paths)} headers and no single-segment record; nothing to convert"
        )
    first, found_scale = _first_record(folder, readable, lead_names, scale is None)
    names = canonical_leads(first if leads is None else leads)
    scale = found_scale if scale is None else float(scale)
    rates = Counter(header.fs for header in readable.values())
    fs = rates.most_common(1)[0][0] if fs is None else float(fs)
    ids = _record_ids(paths)
    settings: dict[str, Any] = {
        "subject_id": subject_id,
        "rename": rename,
        "sex_codes": sex_codes,
        "split": split,
        "split_codes": split_codes,
        "tasks": tasks,
        "age_over_89_code": age_over_89_code,
    }
    if metadata is None:
        wrong = [name for name, value in {**settings, "record_id": record_id}.items() if value]
        if wrong:
            raise ValueError(f"{', '.join(wrong)} is given without a table; pass metadata=<a CSV file>")
        columns = {"record_id": ids, "subject_id": "", "split": split_by_subject(ids), "_path": paths}
        records, made = pd.DataFrame(columns), ()
    else:
        frame = read_table(folder / metadata)
        records, made = _with_table(frame, paths, ids, record_id, settings)
        unknown = int((records["_listed"] == 0).sum())
        if unknown and without_row == "leave_out":
            records = records[records["_listed"] == 1].reset_index(drop=True)
        if unknown:
            done = "kept with nothing known of them" if without_row == "keep" else "left out"
            warnings.warn(
                f"{unknown} of {len(paths)} records have no row in {metadata}; {done}", stacklevel=2
            )
    if subject_id is None:
        warnings.warn("subject_id is not given; every record counts as a subject of its own", stacklevel=2)
    name = name or folder.resolve().name
    longest = max(header.samples for header in readable.values())
    return Plan(
        name=name,
        title=title or name,
        records=records,
        read=partial(
            read,
            folder=str(folder),
            leads=names,
            lead_names=dict(lead_names or {}),
            fs=fs,
            scale=scale if exact else None,
        ),
        fs=fs,
        leads=names,
        scale=scale,
        tasks=made,
        seconds=seconds,
        subject_namespace=subject_namespace or name,
        licence=licence,
        source=source,
        citation=citation,
        settings={"leads": names, "lead_names": dict(lead_names or {}), "scale": scale, "exact": exact},
        part_records=max(1, min(256, _PART_BYTES // max(1, 2 * len(names) * longest))),
    )


def read(
    row: dict[str, Any],
    *,
    folder: str,
    leads: tuple[str, ...],
    lead_names: dict[str, str],
    fs: float,
    scale: float | None,
) -> Record:
    """Read one record of the plan.

    Args:
        row: a row of the plan's records.
        folder: the source folder.
        leads: leads to keep.
        lead_names: names to replace.
        fs: the rate in Hz that the record must have.
        scale: the step in mV of which its values must be multiples; None does not check.

    Returns:
        The record in mV.

    Raises:
        OSError: if a file is missing.
        ValueError: if the record is damaged or does not fit.

    Example:
        >>> row = {"record_id": "a", "_path": "a"}
        >>> read(row, folder="nowhere", leads=("I",), lead_names={}, fs=500, scale=None)
        Traceback (most recent call last):
        FileNotFoundError: record 'a': file a.hea is missing; fetch it again
    """
    return read_wfdb(
        Path(folder, f"{row['_path']}.hea"),
        leads=leads,
        lead_names=lead_names,
        scale=scale,
        fs=fs,
        record_id=str(row["record_id"]),
    )


def _headers(folder: Path, paths: list[str]) -> dict[str, HeaderLine]:
    """First lines of all headers that can be read; the others say why when they are converted."""
    headers = {}
    for path in paths:
        try:
            headers[path] = read_header_line(folder / f"{path}.hea")
        except (OSError, ValueError):
            continue
    return headers


def _first_record(
    folder: Path, headers: dict[str, HeaderLine], lead_names: Mapping[str, str] | None, need_scale: bool
) -> tuple[list[str], float]:
    """Lead names and step in mV of the first record whose header is whole."""
    import wfdb

    reason = ""
    for path in headers:
        try:
            header = wfdb.rdheader(str(folder / path))
            names = [(lead_names or {}).get(lead, lead) for lead in header.sig_name]
            steps = [abs(millivolts(unit) / gain) for unit, gain in zip(header.units, header.adc_gain)]
        except (OSError, ValueError, IndexError, KeyError, TypeError, ZeroDivisionError) as error:
            reason = reason or f"{path}: {error}"
            continue
        return names, float(f"{min(steps):.12g}") if need_scale else 1.0
    raise ValueError(f"none of the {len(headers)} headers in {folder} can be used ({reason})")


def _record_ids(paths: list[str]) -> list[str]:
    names = [path.rsplit("/", 1)[-1] for path in paths]
    return names if len(set(names)) == len(names) else paths


def _with_table(
    frame: pd.DataFrame, paths: list[str], ids: list[str], column: str | None, settings: dict[str, Any]
) -> tuple[pd.DataFrame, tuple[Any, ...]]:
    if column is None or column not in frame:
        told = "record_id is missing" if column is None else f"record_id={column!r} is no column"
        raise ValueError(
            f"{told}; pass record_id=<the column that names the records>: {', '.join(frame.columns)}"
        )
    given = plain_ids(frame[column]).map(_plain_path)
    by_path = given.str.contains("/").any()
    place = dict(zip(paths if by_path else [path.rsplit("/", 1)[-1] for path in paths], range(len(paths))))
    if len(place) < len(paths):
        raise ValueError(
            f"several records of the folder have one file name; column {column} must name them by their "
            f"paths in the folder, for example {paths[0]}"
        )
    known = given.isin(list(place))
    if not known.any():
        raise ValueError(
            f"no row of the table names a record: column {column} holds {given.iloc[0]!r}, the folder "
            f"{next(iter(place))!r}; pass another record_id column"
        )
    twice = sorted(set(given[known][given[known].duplicated()]))
    if twice:
        raise ValueError(f"the table has several rows for {', '.join(twice[:5])}; pass one row a record")
    if not known.all():
        warnings.warn(
            f"{int((~known).sum())} of {len(frame)} rows name no record of the folder", stacklevel=3
        )
    listed = frame[known].reset_index(drop=True)
    described, made = describe_records(listed, record_id=column, **settings)
    described["_place"] = [place[name] for name in given[known]]
    records = pd.DataFrame({"_place": range(len(paths)), "_path": paths, "_id": ids})
    records = records.merge(described, on="_place", how="left")
    records["_listed"] = records["record_id"].notna().astype(int)
    records["record_id"] = records["_id"]
    records["subject_id"] = records["subject_id"].fillna("")
    unlisted = records["_listed"] == 0
    records.loc[unlisted, "split"] = split_by_subject(records.loc[unlisted, "record_id"])
    if settings["split"] is not None:
        records.loc[unlisted, "split"] = ""
    texts = [name for name in records if not pd.api.types.is_numeric_dtype(records[name])]
    records = records.fillna(dict.fromkeys(texts, ""))
    return records.drop(columns=["_place", "_id"]), made


def _plain_path(text: str) -> str:
    return re.sub(r"\.(hea|dat|mat)$", "", text.replace("\\", "/").removeprefix("./"))


DATABASE = Database(
    name="wfdb_folder",
    title="A folder of WFDB records, with or without a CSV file of metadata",
    plan=plan,
    access="your own files",
)
