"""MIMIC-IV-ECG with left ventricular ejection fractions: 75,412 12-lead ECGs of 19,486 patients."""

from __future__ import annotations

import warnings
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd

from openclef.database.metadata_table import drop_implausible, numbers
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
from openclef.signal import LEADS
from openclef.store import Task

LOW_EF, LVEF = "mimic_iv_lvef/low_ef", "mimic_iv_lvef/lvef"

PLAUSIBLE_PERCENT = (5.0, 90.0)
"""Ejection fractions outside are errors of the extraction from text; the table has some up to thousands."""

_LABELS = ("class", "label", "low_ef")


def plan(
    src: str | Path,
    *,
    table: str = "LVEF.csv",
    below_percent: float | None = None,
    patients: str | None = None,
    seconds: float = 10.0,
) -> Plan:
    """Plan the conversion of the ECGs of MIMIC-IV-ECG 1.0 that have an ejection fraction.

    The table says of each ECG the ejection fraction and whether it is low. Which of its label's two values
    means low is found in the table itself: the one with the lower mean ejection fraction.

    Args:
        src: the folder of MIMIC-IV-ECG, with ``files/p1000/p10001725/s41420867/41420867.hea`` ...
        table: ``LVEF.csv`` of the ECGFounder repository: a path in that folder, or from where it is called.
        below_percent: an ejection fraction below this is low, whatever the table's label says; None: the label.
        patients: MIMIC-IV's ``hosp/patients.csv.gz``, for age and sex; None: they stay unknown.
        seconds: a window's length.

    Returns:
        The plan.

    Raises:
        FileNotFoundError: if the folder, a table or every record is missing.
        ValueError: if the table lacks a column, or its label has other values than 0 and 1.

    Source:
        Gow et al., PhysioNet 2023; Li et al., An electrocardiogram foundation model built on over 10 million
        recordings (ECGFounder), NEJM AI 2025.

    Example:
        >>> plan("nowhere")
        Traceback (most recent call last):
        FileNotFoundError: nowhere is no folder. MIMIC-IV-ECG ...
    """
    folder = find_folder(src, DATABASE)
    rows = _read_table(find_file(folder, table), below_percent is None)
    check_tree(folder, DATABASE)
    percent, low = _targets(rows, below_percent)
    records = pd.DataFrame(
        {
            "record_id": rows["name"],
            "subject_id": rows["subject"],
            "split": split_by_subject(rows["subject"], shares=SHARES),
            "lvef_percent": percent,
            LOW_EF: low,
            "ecg_time": _times(folder / "record_list.csv", rows["path"]),
            "_path": "files/" + rows["path"],
        }
    )
    if patients is not None:
        records = with_patients(records, find_file(folder, patients))
    return Plan(
        name="mimic_iv_lvef",
        title=DATABASE.title,
        records=drop_implausible(records),
        read=partial(read, folder=str(folder)),
        fs=FS,
        leads=LEADS,
        scale=SCALE,
        tasks=(
            Task(LOW_EF, "binary", ("low_ef",), (LOW_EF,)),
            Task(LVEF, "regression", ("lvef",), ("lvef_percent",), unit="%"),
        ),
        seconds=seconds,
        subject_namespace=SUBJECT_NAMESPACE,
        licence=DATABASE.licence,
        source=DATABASE.url,
        citation=DATABASE.citation,
        settings={"below_percent": below_percent, "seconds": seconds},
    )


def _read_table(path: Path, need_label: bool) -> pd.DataFrame:
    """Columns path, subject, name, lvef and label; each ECG once."""
    if not path.is_file():
        raise FileNotFoundError(
            f"{path} is missing; pass table=<LVEF.csv of https://github.com/PKUDigitalHealth/ECGFounder>. "
            f"{where_to_get(DATABASE)}"
        )
    head = pd.read_csv(path, dtype=str, keep_default_na=False, nrows=100)
    names = {str(column).strip().lower(): str(column) for column in head}
    paths = path_columns(head)
    last = [str(column) for column in head if str(column).strip().lower() in _LABELS] or [
        str(head.columns[-1])
    ]
    if not paths or "lvef" not in names or (need_label and last[-1] in (paths[0], names["lvef"])):
        raise ValueError(
            f"{path} has the columns {', '.join(map(str, head))}; accepted is a table with paths as "
            "files/p1000/p10001725/s41420867/41420867, a column LVEF, and the label as class or in the last "
            "column: fetch it again"
        )
    columns = {paths[0]: "given", names["lvef"]: "lvef"} | ({last[-1]: "label"} if need_label else {})
    table = pd.read_csv(path, usecols=list(columns), dtype=str, keep_default_na=False).rename(columns=columns)
    table = table.apply(lambda column: column.str.strip())
    rows = pd.concat([table["given"].str.extract(ECG_PATH), table.drop(columns="given")], axis=1)
    strange = rows["path"].isna()
    if strange.any():
        warnings.warn(
            f"{int(strange.sum())} rows of {path.name} name no ECG of MIMIC-IV-ECG; left out", stacklevel=3
        )
    rows = rows[~strange].drop_duplicates()
    twice = rows["path"].duplicated(keep=False)
    if twice.any():
        count = rows.loc[twice, "path"].nunique()
        warnings.warn(
            f"{count} ECGs have several rows in {path.name} that differ; they are left out", stacklevel=3
        )
    return rows[~twice].reset_index(drop=True)


def _targets(rows: pd.DataFrame, below_percent: float | None) -> tuple[pd.Series, pd.Series]:
    """Ejection fraction in per cent and whether it is low, NaN where unknown or impossible."""
    percent = numbers(rows["lvef"])
    outside = percent.notna() & ~percent.between(*PLAUSIBLE_PERCENT)
    if outside.any():
        smallest, largest = PLAUSIBLE_PERCENT
        warnings.warn(
            f"{int(outside.sum())} ejection fractions are outside {smallest:g} to {largest:g} %, for example "
            f"{percent[outside].iloc[0]:g}; those ECGs take no part in either task",
            stacklevel=3,
        )
    percent = percent.where(~outside)
    if below_percent is not None:
        return percent, (percent < below_percent).astype(float).where(percent.notna())
    label = numbers(rows["label"])
    wrong = sorted(set(label.dropna()) - {0.0, 1.0})
    if wrong:
        raise ValueError(
            f"the label holds {wrong[0]:g}; accepted are 0 and 1: pass below_percent=50, for example"
        )
    means = percent.groupby(label).mean().dropna()
    if len(means) < 2:
        raise ValueError(
            "the table's rows have not both labels with ejection fractions, so it cannot be told which means "
            "low; pass below_percent=50, for example"
        )
    low = (label == means.idxmin()).astype(float).where(label.notna() & ~outside)
    _doubt(percent, low)
    return percent, low


def _doubt(percent: pd.Series, low: pd.Series) -> None:
    """Warn where no threshold of the ejection fraction gives the labels."""
    both = percent.notna() & low.notna()
    wrong = [float(((percent < edge) != (low == 1))[both].mean()) for edge in np.unique(percent[both])]
    if min(wrong) > 0.01:
        warnings.warn(
            f"{min(wrong):.0%} of the labels are on the wrong side of the ejection fraction that fits them best; "
            "pass below_percent=50, for example, to take the label from the ejection fraction",
            stacklevel=4,
        )


def _times(path: Path, paths: pd.Series) -> pd.Series:
    """When each ECG was recorded, in MIMIC's shifted years; "" where ``record_list.csv`` is missing."""
    if not path.is_file():
        return pd.Series("", index=paths.index)
    listed = pd.read_csv(path, usecols=["path", "ecg_time"], dtype=str, keep_default_na=False)
    times = listed.assign(path=listed["path"].str.removeprefix("files/")).drop_duplicates("path")
    return paths.map(times.set_index("path")["ecg_time"]).fillna("")


DATABASE = Database(
    name="mimic_iv_lvef",
    title="MIMIC-IV-ECG with left ventricular ejection fractions",
    plan=plan,
    licence="ODbL 1.0 (ECGs); PhysioNet Credentialed Health Data License (MIMIC-IV)",
    access="open access to the ECGs, credentialed access to MIMIC-IV, from whose notes the fractions are",
    size="90.4 GB",
    url="https://physionet.org/content/mimic-iv-ecg/1.0/",
    citation=(
        "Gow et al., MIMIC-IV-ECG: Diagnostic Electrocardiogram Matched Subset, version 1.0, PhysioNet, doi "
        "10.13026/4nqg-sb35; Johnson et al., MIMIC-IV, Sci Data 2023; Li et al., An electrocardiogram foundation "
        "model built on over 10 million recordings (ECGFounder), NEJM AI 2025; Goldberger et al., Circulation 2000"
    ),
    tasks=(LOW_EF, LVEF),
)
