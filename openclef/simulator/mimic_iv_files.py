"""Writes the simulated hospital as MIMIC-IV's compressed tables and MIMIC-IV-ECG's WFDB tree."""

from __future__ import annotations

import gzip
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:  # pandas takes long to import; a command's help does without it
    import pandas as pd

Array = NDArray[Any]

__all__ = [
    "COMMENTS",
    "DAMAGES",
    "MACHINE_MEASUREMENTS",
    "ORDER",
    "write_labevents",
    "write_record",
    "write_table",
]

ORDER = ("I", "II", "III", "aVR", "aVF", "aVL", "V1", "V2", "V3", "V4", "V5", "V6")
"""The leads in the order of MIMIC-IV-ECG's files."""

FS, STEPS_A_MV = 500, 200
DAMAGES = ("truncated", "signal missing", "header garbage", "signal empty")
"""Ways in which a record of the tree can be damaged."""

TABLES = {
    "patients": "subject_id,gender,anchor_age,anchor_year,anchor_year_group,dod",
    "admissions": "subject_id,hadm_id,admittime,dischtime,deathtime,admission_type,admit_provider_id,"
    "admission_location,discharge_location,insurance,language,marital_status,race,edregtime,edouttime,"
    "hospital_expire_flag",
    "omr": "subject_id,chartdate,seq_num,result_name,result_value",
    "labevents": "labevent_id,subject_id,hadm_id,specimen_id,itemid,order_provider_id,charttime,storetime,value,"
    "valuenum,valueuom,ref_range_lower,ref_range_upper,flag,priority,comments",
    "d_labitems": "itemid,label,fluid,category",
    "diagnoses_icd": "subject_id,hadm_id,seq_num,icd_code,icd_version",
    "d_icd_diagnoses": "icd_code,icd_version,long_title",
    "prescriptions": "subject_id,hadm_id,pharmacy_id,poe_id,poe_seq,order_provider_id,starttime,stoptime,drug_type,"
    "drug,formulary_drug_cd,gsn,ndc,prod_strength,form_rx,dose_val_rx,dose_unit_rx,form_val_disp,form_unit_disp,"
    "doses_per_24_hrs,route",
}
"""Tables of hosp and their columns, as PhysioNet ships them (MIMIC-IV 3.1)."""

MACHINE_MEASUREMENTS = (
    *("subject_id", "study_id", "cart_id", "ecg_time"),
    *(f"report_{line}" for line in range(18)),
    *("bandwidth", "filtering", "rr_interval", "p_onset", "p_end", "qrs_onset", "qrs_end", "t_end"),
    *("p_axis", "qrs_axis", "t_axis"),
)
"""Columns of MIMIC-IV-ECG's machine_measurements.csv."""

COMMENTS = ("___", "HEMOLYZED.", "LIPEMIC, RESULT MAY BE FALSE.", 'REPORTED TO "___", READ BACK.')
"""What comments of labevents say: with commas and quotes in them, which a reader of CSV must mind."""
_COMMENTED_SHARE = 0.1

OTHER_ITEMS = (
    (50868, "Anion Gap", "mEq/L", 14.0, 3.0),
    (50882, "Bicarbonate", "mEq/L", 25.0, 3.0),
    (50902, "Chloride", "mEq/L", 102.0, 4.0),
    (50931, "Glucose", "mg/dL", 120.0, 30.0),
    (50971, "Potassium", "mEq/L", 4.2, 0.5),
    (50983, "Sodium", "mEq/L", 139.0, 3.0),
    (51006, "Urea Nitrogen", "mg/dL", 18.0, 7.0),
    (51221, "Hematocrit", "%", 36.0, 5.0),
    (51265, "Platelet Count", "K/uL", 230.0, 70.0),
    (51301, "White Blood Cells", "K/uL", 8.0, 2.5),
)
"""Items of labevents that no score needs: itemid, label, unit, mean, standard deviation."""

_CHUNK_ROWS = 500_000
_COMMA, _QUOTE = b"\x01", b"\x02"  # stand for the characters until pyarrow has written the others


def write_table(folder: Path, name: str, rows: pd.DataFrame) -> None:
    """Write one table of hosp; columns that the rows lack stay empty, others of theirs are left out.

    Args:
        folder: hosp.
        name: a key of `TABLES`.
        rows: the columns that are known, times as datetime64.

    Example:
        >>> import pandas as pd, tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     write_table(Path(folder), "omr", pd.DataFrame({"subject_id": [1], "result_name": ["BMI"]}))
        ...     print(gzip.open(Path(folder, "omr.csv.gz"), "rt").read().split())
        ['subject_id,chartdate,seq_num,result_name,result_value', '1,,,BMI,']
    """
    with _compressed(folder / f"{name}.csv.gz") as file:
        _write(file, name, rows, header=True)


def write_labevents(
    folder: Path, known: pd.DataFrame, patients: pd.DataFrame, times: dict[int, Array], rows: int, seed: int
) -> None:
    """Write labevents: the rows that matter among many others, patient by patient, in pieces of bounded memory.

    Args:
        folder: hosp.
        known: of `draw_labs`, sorted by person.
        patients: of `place_in_time`.
        times: each person's times of ECGs, datetime64[s]; the other rows lie around them.
        rows: of the whole table; at least those of ``known``.
        seed: of the other rows.

    Example:
        >>> import tempfile
        >>> from openclef.simulator.mimic_iv_tree import draw_hospital
        >>> hospital = draw_hospital(3, seed=0)
        >>> times = {person: np.array(["2150-01-01"], "datetime64[s]") for person in range(3)}
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     write_labevents(Path(folder), hospital.labs, hospital.patients, times, 200, seed=0)
        ...     len(gzip.open(Path(folder, "labevents.csv.gz"), "rt").readlines())
        201
    """
    import pandas as pd

    rng = np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(8,)))
    count = len(patients)
    others = rng.multinomial(max(0, rows - len(known)), np.full(count, 1 / count))
    edges = np.searchsorted(known["person"].to_numpy(), np.arange(count + 1))
    written = 0
    with _compressed(folder / "labevents.csv.gz") as file:
        for a, b in _pieces(others + np.diff(edges)):
            part = pd.concat(
                [known.iloc[edges[a] : edges[b]], _other_rows(others[a:b], patients.iloc[a:b], times, rng)],
                ignore_index=True,
            )
            # lost times of the known rows come first, so that the order of those at one time is kept
            part = part.sort_values(
                ["person", "charttime"], kind="stable", ignore_index=True, na_position="first"
            )
            part["labevent_id"] = written + 1 + np.arange(len(part))
            part["specimen_id"] = 10_000_000 + part["labevent_id"]
            part["storetime"] = part["charttime"] + np.timedelta64(3600, "s")
            said = np.array(("", *COMMENTS), object)
            part["comments"] = said[
                rng.integers(1, len(said), len(part)) * (rng.random(len(part)) < _COMMENTED_SHARE)
            ]
            _write(file, "labevents", part, header=written == 0)
            written += len(part)
        if written == 0:
            _write(file, "labevents", known, header=True)


def _pieces(rows: Array) -> Iterator[tuple[int, int]]:
    start, held = 0, 0
    for person, count in enumerate(rows):
        held += int(count)
        if held >= _CHUNK_ROWS:
            yield start, person + 1
            start, held = person + 1, 0
    if start < len(rows):
        yield start, len(rows)


def _other_rows(
    counts: Array, patients: pd.DataFrame, times: dict[int, Array], rng: np.random.Generator
) -> pd.DataFrame:
    import pandas as pd

    person = np.repeat(patients["person"].to_numpy(), counts)
    first = np.array([times[each][0] for each in patients["person"]], "datetime64[s]")
    item = rng.integers(0, len(OTHER_ITEMS), len(person))
    ids, _, units, means, deviations = (np.array(column) for column in zip(*OTHER_ITEMS, strict=True))
    value = np.abs(np.round(rng.normal(means[item], deviations[item]), 1))
    shift = (rng.integers(-500 * 24 * 60, 500 * 24 * 60, len(person)) * 60).astype("timedelta64[s]")
    return pd.DataFrame(
        {
            "person": person,
            "subject_id": np.repeat(patients["subject_id"].to_numpy(), counts),
            "itemid": ids[item],
            "charttime": np.repeat(first, counts) + shift,
            "value": value.astype(str),
            "valuenum": value,
            "valueuom": units[item],
        }
    )


@contextmanager
def _compressed(path: Path) -> Iterator[gzip.GzipFile]:
    """A gzip file without name and time in it: the same content gives the same bytes."""
    with path.open("wb") as raw, gzip.GzipFile("", "wb", compresslevel=1, fileobj=raw, mtime=0) as file:
        yield file


def _write(file: gzip.GzipFile, name: str, rows: pd.DataFrame, header: bool) -> None:
    import pyarrow as pa
    from pyarrow import compute, csv

    columns = TABLES[name].split(",")
    arrays = []
    for column in columns:
        if column not in rows:
            arrays.append(pa.nulls(len(rows), pa.string()))
            continue
        values = rows[column]
        if values.dtype.kind == "M":
            times = pa.array(values.to_numpy().astype("datetime64[s]"))
            arrays.append(times.cast(pa.date32()) if column == "chartdate" else times)
        elif values.dtype.kind in "iuf":
            arrays.append(pa.array(values.to_numpy(), from_pandas=True))
        else:
            text = pa.array(values.astype(object), pa.string(), from_pandas=True)
            text = compute.if_else(compute.equal(text, ""), pa.scalar(None, pa.string()), text)
            arrays.append(_quoted(text))
    if header:
        file.write((TABLES[name] + "\n").encode())
    written = pa.BufferOutputStream()
    options = csv.WriteOptions(include_header=False, quoting_style="none")
    csv.write_csv(pa.table(arrays, columns), written, options)
    file.write(written.getvalue().to_pybytes().replace(_COMMA, b",").replace(_QUOTE, b'"'))


def _quoted(text: Any) -> Any:
    """Quote texts with commas or quotes, and only those, as the real tables do; pyarrow quotes all or none."""
    from pyarrow import compute

    needs = compute.match_substring_regex(text, '[",]')
    if not compute.any(needs).as_py():
        return text
    quote = _QUOTE.decode()
    inside = compute.replace_substring(compute.replace_substring(text, '"', quote * 2), ",", _COMMA.decode())
    return compute.if_else(needs, compute.binary_join_element_wise(quote, inside, quote, ""), text)


def write_record(
    path: Path, subject_id: int, recorded: datetime, signal_mv: Array, leads: Iterable[str], damage: str
) -> None:
    """Write one ECG as MIMIC-IV-ECG has it: format 16, 200 steps a mV, 500 Hz, aVF before aVL.

    Args:
        path: without suffix.
        subject_id: named in the header's comment.
        recorded: when.
        signal_mv: (lead, time); NaN becomes the missing value.
        leads: their names.
        damage: one of `DAMAGES`, or "" for a sound record.

    Raises:
        KeyError: a lead is not there.

    Example:
        >>> import tempfile, wfdb
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     path = Path(folder, "files", "41420867")
        ...     write_record(path, 10001725, datetime(2180, 5, 6, 22, 23), np.full((12, 500), 0.5), ORDER, "")
        ...     header = wfdb.rdheader(str(path))
        >>> header.sig_name[3:6], str(header.base_datetime)
        (['aVR', 'aVF', 'aVL'], '2180-05-06 22:23:00')
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    place = {lead: row for row, lead in enumerate(leads)}
    ordered = signal_mv[[place[lead] for lead in ORDER]]
    rounded = np.round(np.nan_to_num(ordered) * STEPS_A_MV).clip(-32767, 32767)
    steps = np.where(np.isnan(ordered), -32768, rounded).astype("<i2")
    samples, header = path.with_name(f"{path.name}.dat"), path.with_name(f"{path.name}.hea")
    samples.write_bytes(np.ascontiguousarray(steps.T).tobytes())
    # The package wfdb takes 45 ms to write a header; the lines are those of header(5), WFDB Applications Guide.
    lines = [f"{path.name} {len(ORDER)} {FS} {steps.shape[1]} {recorded:%H:%M:%S %d/%m/%Y}"]
    for lead, row in zip(ORDER, steps, strict=True):
        checksum = (int(row.sum(dtype=np.int64)) + 32768) % 65536 - 32768
        lines.append(f"{samples.name} 16 {STEPS_A_MV}.0(0)/mV 16 0 {row[0]} {checksum} 0 {lead}")
    header.write_text("\n".join([*lines, f"#<subject_id>: {subject_id}"]) + "\n")
    if damage == "truncated":
        samples.write_bytes(samples.read_bytes()[:-5000])
    elif damage == "signal missing":
        samples.unlink()
    elif damage == "header garbage":
        header.write_bytes(b"\x00\xffthis is no header\n")
    elif damage == "signal empty":
        samples.write_bytes(b"")
