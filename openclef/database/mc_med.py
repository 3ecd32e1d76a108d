"""MC-MED: lead II of bedside monitors in 83,623 visits to an emergency department, and what became of them."""

from __future__ import annotations

import re
import warnings
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from openclef.database.metadata_table import drop_implausible, numbers, over_89, plain_ids
from openclef.database.plan import SPLITS, Database, Plan, find_folder, where_to_get
from openclef.formats.wfdb import read_header_line
from openclef.formats.wfdb_window import read_wfdb_window
from openclef.record import Record
from openclef.store import Task

FS = 500.0
SCALE = 0.001
"""mV a step."""

ED_DISPOSITIONS = ("Discharge", "Inpatient", "Observation", "ICU")
DISCHARGE_DISPOSITIONS = (
    "home_or_against_advice",
    "home_health_or_nursing",
    "other_hospital",
    "death_or_hospice",
    "psychiatric_or_rehabilitation",
    "other",
)
ACUITIES = ("1", "2", "3", "4", "5")
"""Emergency Severity Index, 1 the most urgent."""

SPLIT_FILES = {"chronological": "split_chrono", "random": "split_random"}

_KEYWORDS = (
    (DISCHARGE_DISPOSITIONS[3], r"expired|deceased|\bdied\b|hospice|donor|organ harvest"),
    (DISCHARGE_DISPOSITIONS[2], r"planned.*readmission"),
    (DISCHARGE_DISPOSITIONS[4], r"psych|rehab"),
    (DISCHARGE_DISPOSITIONS[1], r"home health|nursing|\bsnf\b|residential|custodial"),
    (DISCHARGE_DISPOSITIONS[2], r"acute|long.?term|\bltc\b|\bltac|federal|child|critical.?access"),
    (DISCHARGE_DISPOSITIONS[0], r"\bhome\b|against medical advice|\bama\b"),
)
_VISITS = ("CSN", "MRN", "Age", "Gender", "Triage_SBP", "Triage_DBP", "Triage_acuity", "ED_dispo", "DC_dispo")
_OPTIONAL = ("Arrival_time", "Visit_no")


def plan(
    src: str | Path,
    *,
    split: str = "chronological",
    search_s: float = 600.0,
    lead_names: Mapping[str, str] | None = None,
    seconds: float = 10.0,
) -> Plan:
    """Plan the conversion of MC-MED's electrocardiograms, release 1.0.1.

    One window a visit: the first 10 s of lead II that hold a signal, looked for in the visit's segments in
    their order. No other sample is read, and of the tables only the needed columns.

    Args:
        src: the folder that holds ``visits.csv``, ``waveform_summary.csv``, the ``split_*.csv`` and
            ``waveforms``.
        split: ``"chronological"`` or ``"random"``: which of the published splits. Where one parts a
            patient's visits, all of them go to the side of the first, with a warning.
        search_s: how far to look for a signal, in seconds of recording.
        lead_names: names to replace, where headers do not call the lead II.
        seconds: a window's length.

    Returns:
        The plan.

    Raises:
        FileNotFoundError: if the folder, a table or every recording is missing.
        ValueError: if a table lacks a column, or a visit stands in two parts of the split.

    Source:
        Kansal et al., Sci Data 2025; groups of discharge dispositions as in the CLEF reference's keywords.

    Example:
        >>> plan("nowhere")
        Traceback (most recent call last):
        FileNotFoundError: nowhere is no folder. MC-MED, ...
    """
    if split not in SPLIT_FILES:
        raise ValueError(f"split={split!r}; accepted are {', '.join(SPLIT_FILES)}")
    if search_s < seconds:
        raise ValueError(f"search_s={search_s:g} is less than a window of {seconds:g} s; pass at least that")
    folder = find_folder(src, DATABASE)
    if not (folder / "visits.csv").is_file() and (folder / "data" / "visits.csv").is_file():
        folder = folder / "data"
    visits = _read_table(folder / "visits.csv", _VISITS, _OPTIONAL)
    segments = _segments(folder / "waveform_summary.csv")
    if not next((folder / "waveforms").glob("*/*/II/*.hea"), None):
        raise FileNotFoundError(
            f"{folder} holds no record under waveforms; unpack waveforms_0xx.zip ... there. "
            f"{where_to_get(DATABASE)}"
        )
    visits["_segments"] = visits["CSN"].map(segments).fillna(0).astype(int)
    visits = visits[visits["_segments"] > 0].reset_index(drop=True)
    if visits.empty:
        raise ValueError(
            f"none of the visits has an electrocardiogram by {folder / 'waveform_summary.csv'}; "
            "fetch the tables again"
        )
    visits["split"] = _splits(folder, SPLIT_FILES[split], visits)
    return Plan(
        name="mc_med",
        title=DATABASE.title,
        records=_records(visits),
        read=partial(
            read,
            folder=str(folder / "waveforms"),
            seconds=seconds,
            search_s=search_s,
            lead_names=dict(lead_names or {}),
        ),
        fs=FS,
        leads=("II",),
        scale=SCALE,
        tasks=(
            _multiclass("ed_disposition", ED_DISPOSITIONS),
            _multiclass("discharge_disposition", DISCHARGE_DISPOSITIONS),
            _multiclass("acuity", ACUITIES),
            Task("mc_med/sbp", "regression", ("sbp",), ("sbp_mmhg",), unit="mmHg"),
            Task("mc_med/dbp", "regression", ("dbp",), ("dbp_mmhg",), unit="mmHg"),
        ),
        seconds=seconds,
        subject_namespace="mc_med",
        licence=DATABASE.licence,
        source=DATABASE.url,
        citation=DATABASE.citation,
        settings={
            "split": split,
            "search_s": search_s,
            "lead_names": dict(lead_names or {}),
            "seconds": seconds,
        },
    )


def read(
    row: dict[str, Any], *, folder: str, seconds: float, search_s: float, lead_names: dict[str, str]
) -> Record:
    """Read a visit's first window that holds a signal.

    Args:
        row: a row of the plan's records.
        folder: the folder ``waveforms``.
        seconds: the window's length.
        search_s: how far to look, in seconds over all segments.
        lead_names: names to replace.

    Returns:
        The window in mV, lead II, with ``waveform_segment`` and the ``start_s`` within that segment.

    Raises:
        OSError: if the first segment's file is missing.
        ValueError: if no segment holds a signal there; the reason is that of the first segment.

    Example:
        >>> row = {"record_id": "98123456", "_segments": 1}
        >>> read(row, folder="nowhere", seconds=10, search_s=600, lead_names={})
        Traceback (most recent call last):
        FileNotFoundError: record '98123456': file 98123456_1.hea is missing; fetch it again
    """
    visit = str(row["record_id"])
    reason: OSError | ValueError | None = None
    left = search_s
    for number in range(1, int(row["_segments"]) + 1):
        path = Path(folder, visit[-3:], visit, "II", f"{visit}_{number}")
        try:
            record = read_wfdb_window(
                path,
                seconds=seconds,
                search_s=left,
                leads=("II",),
                lead_names=lead_names,
                fs=FS,
                record_id=visit,
            )
        except (OSError, ValueError) as error:
            reason = reason or error
        else:
            record.metadata["waveform_segment"] = float(number)
            return record
        left -= _lasts(path)
        if left < seconds:
            break
    raise reason or ValueError(f"record {visit!r}: has no segment")


def discharge_group(disposition: str) -> str:
    """Group a value of ``DC_dispo`` by keywords, in any capitals.

    Args:
        disposition: the value; "" where it is unknown.

    Returns:
        One of ``DISCHARGE_DISPOSITIONS``; "" for "".

    Example:
        >>> [discharge_group(text) for text in ("Skilled Nursing Facility", "Left Against Medical Advice")]
        ['home_health_or_nursing', 'home_or_against_advice']
    """
    if not disposition:
        return ""
    for group, words in _KEYWORDS:
        if re.search(words, disposition, re.IGNORECASE):
            return group
    return DISCHARGE_DISPOSITIONS[-1]


def _multiclass(name: str, labels: tuple[str, ...]) -> Task:
    return Task(f"mc_med/{name}", "multiclass", labels, (f"mc_med/{name}",))


def _read_table(path: Path, columns: tuple[str, ...], optional: tuple[str, ...] = ()) -> pd.DataFrame:
    """Read only these columns, as text."""
    if not path.is_file():
        raise FileNotFoundError(f"{path} is missing. {where_to_get(DATABASE)}")
    wanted = (*columns, *optional)
    frame = pd.read_csv(path, usecols=lambda name: name in wanted, dtype=str, keep_default_na=False)
    absent = [column for column in columns if column not in frame]
    if absent:
        raise ValueError(
            f"{path} lacks {', '.join(absent)}; accepted is the table as published: fetch it again"
        )
    frame = frame.apply(lambda column: column.str.strip())
    frame["CSN"] = plain_ids(frame["CSN"])
    return frame


def _segments(path: Path) -> pd.Series:
    """Number of segments of lead II of each visit."""
    summary = _read_table(path, ("CSN", "Type", "Segments"))
    summary = summary[summary["Type"] == "II"]
    return numbers(summary["Segments"]).groupby(summary["CSN"]).max()


def _splits(folder: Path, stem: str, visits: pd.DataFrame) -> pd.Series:
    """The published split; a patient whose visits it parts stands where the first visit does."""
    sides = []
    for side in SPLITS:
        path = folder / f"{stem}_{side}.csv"
        if not path.is_file():
            raise FileNotFoundError(f"{path} is missing. {where_to_get(DATABASE)}")
        listed = plain_ids(pd.read_csv(path, header=None, dtype=str, keep_default_na=False)[0])
        sides.append(pd.Series(side, index=listed[listed != ""]))
    side_of = pd.concat(sides)
    side_of = side_of[~(side_of.index.duplicated() & (side_of.groupby(level=0).transform("nunique") == 1))]
    if side_of.index.duplicated().any():
        twice = side_of.index[side_of.index.duplicated()][0]
        raise ValueError(f"visit {twice} stands in two files {stem}_*.csv; fetch them again")
    published = visits["CSN"].map(side_of).fillna("")
    if (published == "").any():
        warnings.warn(
            f"{int((published == '').sum())} of {len(visits)} visits stand in no file {stem}_*.csv; they belong "
            "to no split",
            stacklevel=3,
        )
    named = visits["MRN"] != ""
    order = visits.assign(
        side=published, number=numbers(visits.get("Visit_no", visits["MRN"].map(lambda _: "")))
    )
    order = order[named & (published != "")]
    order = order.sort_values([name for name in ("Arrival_time", "number") if name in order], kind="stable")
    first = order.groupby("MRN")["side"].first()
    parted = order.groupby("MRN")["side"].nunique()
    parted = parted[parted > 1]
    if len(parted):
        warnings.warn(
            f"{stem}_*.csv part the visits of {len(parted)} patients, for example {parted.index[0]}; all of a "
            "patient's visits go to the side of the first",
            stacklevel=3,
        )
    return published.where((published == "") | ~named, visits["MRN"].map(first)).fillna("")


def _records(visits: pd.DataFrame) -> pd.DataFrame:
    age, above = over_89(numbers(visits["Age"]), code=None)
    acuity = visits["Triage_acuity"].str.extract(r"^\s*([1-5])\b", expand=False).fillna("")
    records = pd.DataFrame(
        {
            "record_id": visits["CSN"],
            "subject_id": plain_ids(visits["MRN"]),
            "split": visits["split"],
            "age_years": age,
            "age_over_89": above,
            "sex": visits["Gender"].map({"M": "male", "F": "female"}).fillna(""),
            "sbp_mmhg": numbers(visits["Triage_SBP"]),
            "dbp_mmhg": numbers(visits["Triage_DBP"]),
            "dc_dispo": visits["DC_dispo"],
            "mc_med/ed_disposition": visits["ED_dispo"].where(visits["ED_dispo"].isin(ED_DISPOSITIONS), ""),
            "mc_med/discharge_disposition": visits["DC_dispo"].map(discharge_group),
            "mc_med/acuity": acuity,
            "_segments": visits["_segments"],
        }
    )
    for task, column in (("ed_disposition", "ED_dispo"), ("acuity", "Triage_acuity")):
        unknown = (visits[column] != "") & (records[f"mc_med/{task}"] == "")
        if unknown.any():
            warnings.warn(
                f"{int(unknown.sum())} visits have other values of {column}, for example "
                f"{visits.loc[unknown, column].iloc[0]!r}; they take no part in mc_med/{task}",
                stacklevel=3,
            )
    return drop_implausible(records)


def _lasts(path: Path) -> float:
    """A segment's length in seconds; 0 where its header cannot be read."""
    try:
        header = read_header_line(path)
    except (OSError, ValueError):
        return 0.0
    return header.samples / header.fs if np.isfinite(header.fs) and header.fs > 0 else 0.0


DATABASE = Database(
    name="mc_med",
    title="MC-MED, Multimodal Clinical Monitoring in the Emergency Department",
    plan=plan,
    licence="PhysioNet Credentialed Health Data License",
    access="credentialed access",
    size="757 GB; one window a visit is read in place",
    url="https://physionet.org/content/mc-med/1.0.1/",
    citation=(
        "Kansal, Chen, Jin, Rajpurkar and Kim, MC-MED, multimodal clinical monitoring in the emergency "
        "department, Sci Data 2025, doi 10.1038/s41597-025-05419-5; version 1.0.1, PhysioNet, doi "
        "10.13026/wvyw-g663; Goldberger et al., PhysioBank, PhysioToolkit, and PhysioNet, Circulation 2000"
    ),
    tasks=(
        "mc_med/ed_disposition",
        "mc_med/discharge_disposition",
        "mc_med/acuity",
        "mc_med/sbp",
        "mc_med/dbp",
    ),
)
