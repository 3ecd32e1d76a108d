"""One array file with all signals and a CSV file with a row for each: one's own data in the simplest form."""

from __future__ import annotations

import math
import warnings
from collections.abc import Mapping, Sequence
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

import numpy as np

from openclef.database.metadata_table import describe_records, read_table
from openclef.database.plan import Database, Plan, find_folder
from openclef.formats.arrays import (
    ArrayFile,
    describe_array,
    load_array,
    to_physical,
    unit_factor,
    verify_array,
)
from openclef.record import Record
from openclef.signal import canonical_leads

LAYOUTS = ("lead_time", "time_lead")
"""Orders of the axes after the first, which is the record."""

_PART_BYTES = 64_000_000


def plan(
    src: str | Path,
    *,
    signals: str,
    metadata: str,
    key: str = "signal",
    layout: str = "lead_time",
    fs: float | None = None,
    leads: Sequence[str] | None = None,
    unit: str | None = None,
    scale: float | None = None,
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
    licence: str = "",
    citation: str = "",
) -> Plan:
    r"""Plan the conversion of an array (record, lead, time) and a table whose row i belongs to record i.

    Integers are stored as they are, under their own scale, so exactly. Real numbers are rounded to a step of
    0.001 mV (or 0.001 in ``zscore``) unless ``scale`` says otherwise; a record with a value beyond the int16
    range of that step is left out with its reason, never clipped.

    Args:
        src: the folder with both files.
        signals: ``.npy``, ``.npz``, ``.h5`` or ``.hdf5`` file of shape (record, lead, time), or (record,
            time) for one lead.
        metadata: CSV file with one row a record, in the same order.
        key: the array's name in ``.npz`` and HDF5 files.
        layout: ``"time_lead"`` for arrays (record, time, lead).
        fs: sampling rate in Hz; taken from the file where that states it.
        leads: one name a lead; taken from the file where that states them.
        unit: ``mV``, ``uV``, ``V`` or ``zscore``; taken from the file where that states it.
        scale: unit a step: of the array's integers, or to which its real numbers are rounded.
        name: the store's name; the folder's by default.
        title: its full name.
        seconds: a window's length.
        record_id: column that names the records.
        subject_id: column that names the people.
        subject_namespace: shared by stores of the same people; the store's name by default.
        rename: column in the file to column in the store, for example ``{"age": "age_years"}``.
        sex_codes: value in the file to ``"male"`` or ``"female"``.
        split: column of splits; None: 60/20/20 by a hash of the subject's id.
        split_codes: value in the file to ``"train"``, ``"val"``, ``"test"`` or "".
        tasks: task name to its kind, column and labels
            (``openclef.database.metadata_table.describe_records``).
        age_over_89_code: the age that stands for over 89.
        licence: licence of the data.
        citation: what to cite.

    Returns:
        The plan.

    Raises:
        FileNotFoundError: if a file is missing.
        ValueError: if the files do not fit each other, or something is not known.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     np.save(Path(folder, "ecg.npy"), np.zeros((2, 1, 1000), np.float32))
        ...     _ = Path(folder, "records.csv").write_text("person,age_years\np1,50\np2,60\n")
        ...     made = plan(folder, signals="ecg.npy", metadata="records.csv", subject_id="person",
        ...                 fs=100, leads=["I"], unit="mV", name="mine")
        >>> made.records[["record_id", "subject_id", "age_years"]].values.tolist(), made.scale
        ([['row-0', 'p1', 50.0], ['row-1', 'p2', 60.0]], 0.001)
    """
    folder = find_folder(src, DATABASE)
    if layout not in LAYOUTS:
        raise ValueError(f"layout={layout!r}; accepted are {', '.join(LAYOUTS)}")
    array = describe_array(folder / signals, key)
    fs = _stated("fs", fs, array.fs, array.path.name, "fs=<Hz>, for example fs=130 for Polar H10")
    names = canonical_leads(
        _stated("leads", leads, array.leads, array.path.name, "one name a lead, for example leads=['I']")
    )
    unit = _stated("unit", unit, array.unit, array.path.name, "unit='mV', 'uV' or 'zscore'")
    factor = unit_factor(unit)
    samples = _samples(array, names, layout)
    step = array.scale if scale is None else scale
    whole = array.dtype.kind != "f"
    if whole and step is None:
        raise ValueError(
            f"{array.path.name} holds integers; pass scale=<{unit} a step>, for example scale=0.001"
        )
    store_scale = 0.001 if step is None else step * factor
    verify_array(array)
    frame = read_table(folder / metadata)
    if len(frame) != array.shape[0]:
        raise ValueError(
            f"{metadata} has {len(frame)} rows and {signals} {array.shape[0]} records; row i must belong "
            "to record i: bring both to the same records in the same order"
        )
    if subject_id is None:
        warnings.warn("subject_id is not given; every record counts as a subject of its own", stacklevel=2)
    records, made = describe_records(
        frame,
        record_id=record_id,
        subject_id=subject_id,
        rename=rename,
        sex_codes=sex_codes,
        split=split,
        split_codes=split_codes,
        tasks=tasks,
        age_over_89_code=age_over_89_code,
    )
    records["_row"] = range(len(records))
    name = name or folder.resolve().name
    return Plan(
        name=name,
        title=title or name,
        records=records,
        read=partial(
            read,
            path=str(array.path),
            key=key,
            fs=float(fs),
            leads=names,
            unit=unit,
            scale=step if whole else None,
            time_lead=layout == "time_lead",
        ),
        fs=float(fs),
        leads=names,
        scale=float(store_scale),
        tasks=made,
        unit="zscore" if unit == "zscore" else "mV",
        seconds=seconds,
        subject_namespace=subject_namespace or name,
        licence=licence,
        source=signals,
        citation=citation,
        settings={
            "signals": signals,
            "key": key,
            "layout": layout,
            "unit": unit,
            "scale": step,
            "bytes": array.path.stat().st_size,
        },
        part_records=max(1, min(256, _PART_BYTES // max(1, 2 * len(names) * samples))),
    )


def read(
    row: dict[str, Any],
    *,
    path: str,
    key: str,
    fs: float,
    leads: tuple[str, ...],
    unit: str,
    scale: float | None,
    time_lead: bool,
) -> Record:
    """Read one record of the plan.

    Args:
        row: a row of the plan's records.
        path: the array file.
        key: the array's name in it.
        fs: sampling rate in Hz.
        leads: lead names.
        unit: unit of the array.
        scale: unit a step, for integers.
        time_lead: True where the axes are (record, time, lead).

    Returns:
        The record in mV (or ``zscore``).

    Raises:
        OSError: if the file is gone.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     np.save(Path(folder, "a.npy"), np.array([[[1, 2]], [[3, 4]]], np.int16))
        ...     record = read(
        ...         {"record_id": "b", "_row": 1}, path=f"{folder}/a.npy", key="", fs=2, leads=("I",),
        ...         unit="mV", scale=1.0, time_lead=False,
        ...     )
        >>> record.signal
        array([[3., 4.]], dtype=float32)
    """
    file = Path(path).stat()
    samples = np.asarray(_open(path, key, file.st_mtime_ns, file.st_size)[int(row["_row"])])
    if samples.ndim == 1:
        samples = samples[None]
    elif time_lead:
        samples = samples.T
    return Record(
        signal=to_physical(samples, scale, unit),
        fs=fs,
        leads=leads,
        record_id=str(row["record_id"]),
        unit="zscore" if unit == "zscore" else "mV",
    )


@lru_cache(maxsize=1)
def _open(path: str, key: str, changed: int, size: int) -> Any:
    """Open the array once a process, and again where the file has changed; a ``.npz`` is read whole."""
    return load_array(describe_array(path, key))


def _stated(what: str, given: Any, found: Any, file: str, example: str) -> Any:
    if given is None and found is None:
        raise ValueError(f"{what} is missing for {file}; pass {example}")
    if given is None or found is None:
        return found if given is None else given
    same = math.isclose(given, found) if what == "fs" else _comparable(given) == _comparable(found)
    if not same:
        raise ValueError(
            f"{what}={given!r} is passed and {file} states {found!r}; leave one out or correct it"
        )
    return given


def _comparable(value: Any) -> Any:
    return str(value).lower() if isinstance(value, str) else canonical_leads(value)


def _samples(array: ArrayFile, leads: tuple[str, ...], layout: str) -> int:
    shape = array.shape
    if len(shape) == 2:
        shape = (shape[0], 1, shape[1]) if layout == "lead_time" else (shape[0], shape[1], 1)
    if len(shape) != 3:
        raise ValueError(
            f"{array.path.name} has shape {array.shape}; accepted are (record, lead, time), or "
            "(record, time) for one lead"
        )
    found, samples = shape[1:] if layout == "lead_time" else shape[:0:-1]
    if found != len(leads):
        hint = "; pass layout='time_lead' for (record, time, lead)" if samples == len(leads) else ""
        raise ValueError(
            f"{array.path.name} has shape {array.shape} and {len(leads)} lead names ({', '.join(leads)}); "
            f"accepted is one name a lead{hint}"
        )
    return samples


DATABASE = Database(
    name="table",
    title="An array file with all signals and a CSV file with a row for each",
    plan=plan,
    access="your own files",
)
