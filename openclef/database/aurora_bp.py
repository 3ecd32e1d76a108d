"""Aurora-BP, auscultatory protocol: lead I from wearable devices at rest, with blood pressure by two observers."""

from __future__ import annotations

import warnings
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from openclef.database.metadata_table import drop_implausible, numbers, over_89
from openclef.database.plan import Database, Plan, find_folder, split_by_subject, where_to_get
from openclef.formats.resampling import resample
from openclef.record import Record
from openclef.signal import quality_flags
from openclef.store import Task

FS = 500.0
"""The common time base of the published files; the devices themselves sampled at 488.28 and 498.67 Hz."""

SCALE = 0.001
"""mV a step."""

SHARES = (0.7, 0.15, 0.15)
MEASUREMENT = ("initial", "Calibration start 1")
"""Phase and name of the measurement whose ECG is taken."""

_SAME_RATE = 1e-3  # a time base that differs by less is 500 Hz
_MISSING_SHARE = 0.1
_PARTICIPANTS = ("pid", "age", "height", "weight", "gender")
_MEASUREMENTS = ("pid", "phase", "measurement", "sbp", "dbp", "waveform_file_path", "waveforms_generated")
_YES_NO = {
    "diabetes": "diabetes",
    "hypertension": "high_blood_pressure",
    "stroke": "previous_stroke",
    "heart_failure": "heart_failure",
}


def plan(src: str | Path, *, target: str = "baseline", seconds: float = 10.0) -> Plan:
    """Plan the conversion of one resting measurement of each participant of the auscultatory protocol.

    One window a participant: of "Calibration start 1" of the initial visit (supine, at rest) the first 10 s
    that hold a signal. The electrodes' offset (the window's median) is taken off.

    Args:
        src: the folder that holds ``participants.tsv``, ``measurements_auscultatory.tsv``, ``features.tsv``
            and ``measurements_auscultatory``.
        target: what the tasks predict: ``"baseline"``, the participant's mean over the calibration
            measurements, from ``features.tsv``; or ``"measurement"``, the pressure of this measurement.
        seconds: a window's length.

    Returns:
        The plan.

    Raises:
        FileNotFoundError: if the folder, a table or every recording is missing.
        ValueError: if a table lacks a column, or an option is not accepted.

    Source:
        Mieloszyk et al., IEEE JBHI 2022; file descriptions of microsoft/aurorabp-sample-data.

    Example:
        >>> plan("nowhere")
        Traceback (most recent call last):
        FileNotFoundError: nowhere is no folder. Aurora-BP, ...
    """
    if target not in ("baseline", "measurement"):
        raise ValueError(f"target={target!r}; accepted are baseline, measurement")
    folder = find_folder(src, DATABASE)
    people = _read_table(folder / "participants.tsv", _PARTICIPANTS)
    measured = _read_table(folder / "measurements_auscultatory.tsv", _MEASUREMENTS)
    chosen = (measured["phase"] == MEASUREMENT[0]) & (measured["measurement"] == MEASUREMENT[1])
    rows = measured[chosen].drop_duplicates("pid").reset_index(drop=True)
    there = rows["waveforms_generated"].isin(["1", "1.0"]) & (rows["waveform_file_path"] != "")
    without = measured["pid"].nunique() - int(there.sum())
    if without:
        warnings.warn(
            f"{without} of {measured['pid'].nunique()} participants have no waveform of {MEASUREMENT[1]}; left out",
            stacklevel=2,
        )
    rows = rows[there].reset_index(drop=True)
    root = folder
    if (folder / "measurements_auscultatory" / "measurements_auscultatory").is_dir():
        root = folder / "measurements_auscultatory"  # as some archives unpack
    if not any((root / path).is_file() for path in rows["waveform_file_path"]):
        raise FileNotFoundError(
            f"{folder} holds no waveform of {MEASUREMENT[1]} under measurements_auscultatory. "
            f"{where_to_get(DATABASE)}"
        )
    records = _records(rows, people)
    baselines = _baselines(folder) if target == "baseline" else None
    for name, column, low, high in (("sbp", "sbp_mmhg", 40, 300), ("dbp", "dbp_mmhg", 10, 250)):
        values = records[column]
        if baselines is not None:
            values = records["subject_id"].map(baselines[f"baseline_{name}"])
        records[f"aurora_bp/{name}"] = values.where(values.between(low, high))
    return Plan(
        name="aurora_bp",
        title=DATABASE.title,
        records=records,
        read=partial(read, folder=str(root), seconds=seconds),
        fs=FS,
        leads=("I",),
        scale=SCALE,
        tasks=tuple(
            Task(f"aurora_bp/{name}", "regression", (name,), (f"aurora_bp/{name}",), unit="mmHg")
            for name in ("sbp", "dbp")
        ),
        seconds=seconds,
        subject_namespace="aurora_bp",
        licence=DATABASE.licence,
        source=DATABASE.url,
        citation=DATABASE.citation,
        settings={"target": target, "seconds": seconds},
    )


def read(row: dict[str, Any], *, folder: str, seconds: float) -> Record:
    """Read the first window of a measurement that holds a signal, at 500 Hz.

    The rate is that of the file's column of times. The published files have 500 Hz; another rate, as of a
    file in a device's own time, is resampled to it.

    Args:
        row: a row of the plan's records.
        folder: the folder that ``waveform_file_path`` begins from.
        seconds: the window's length.

    Returns:
        The window in mV, lead I, without its median; a shorter recording whole.

    Raises:
        OSError: if the file is missing.
        ValueError: if it is damaged, or holds no signal.

    Example:
        >>> read({"record_id": "a000", "_path": "a000.tsv"}, folder="nowhere", seconds=10)
        Traceback (most recent call last):
        FileNotFoundError: record 'a000': file a000.tsv is missing; fetch it again
    """
    name, path = str(row["record_id"]), Path(folder, str(row["_path"]))
    if not path.is_file():
        raise FileNotFoundError(f"record {name!r}: file {path.name} is missing; fetch it again")
    try:
        frame = pd.read_csv(path, sep="\t", usecols=["t", "ekg"], dtype=float)
    except ValueError as error:
        raise ValueError(
            f"record {name!r}: {path.name} is damaged ({error}); accepted are numbers in the columns t and ekg: "
            "fetch it again"
        ) from None
    rate = _rate(frame["t"].to_numpy(), name)
    whole = Record(frame["ekg"].to_numpy()[None], rate, ("I",), name)
    whole = replace(whole, fs=FS) if abs(rate / FS - 1) < _SAME_RATE else resample(whole, FS)
    for window in whole.windows(seconds):
        full = window.seconds >= seconds * (1 - 1e-9)
        if not full and whole.seconds >= seconds:
            break
        signal = window.signal[:, : round(window.seconds * FS)]
        if np.isnan(signal).mean() > _MISSING_SHARE or "flat:I" in quality_flags(signal, FS, "mV", ("I",)):
            continue
        return replace(whole, signal=signal - np.nanmedian(signal), start_s=window.start_s)
    raise ValueError(f"record {name!r}: no window of {seconds:g} s holds a signal")


def _read_table(path: Path, columns: tuple[str, ...]) -> pd.DataFrame:
    if not path.is_file():
        raise FileNotFoundError(f"{path} is missing. {where_to_get(DATABASE)}")
    wanted = {*columns, *_YES_NO.values(), "cvd_meds"}
    frame = pd.read_csv(path, sep="\t", usecols=lambda name: name in wanted, dtype=str, keep_default_na=False)
    absent = [column for column in columns if column not in frame]
    if absent:
        raise ValueError(
            f"{path} lacks {', '.join(absent)}; accepted is the table as published: fetch it again"
        )
    return frame.apply(lambda column: column.str.strip())


def _records(rows: pd.DataFrame, people: pd.DataFrame) -> pd.DataFrame:
    twice = people["pid"][people["pid"].duplicated()]
    if len(twice):
        raise ValueError(f"participants.tsv names {twice.iloc[0]} twice; fetch the file again")
    about = people.set_index("pid").reindex(rows["pid"]).fillna("").reset_index(drop=True)
    age, above = over_89(numbers(about["age"]), code=None)
    records = pd.DataFrame(
        {
            "record_id": rows["pid"],
            "subject_id": rows["pid"],
            "split": split_by_subject(rows["pid"], shares=SHARES),
            "age_years": age,
            "age_over_89": above,
            "sex": about["gender"].map({"M": "male", "F": "female"}).fillna(""),
            "height_cm": (numbers(about["height"]) * 2.54).round(1),
            "weight_kg": (numbers(about["weight"]) * 0.45359237).round(1),
            "sbp_mmhg": numbers(rows["sbp"]),
            "dbp_mmhg": numbers(rows["dbp"]),
            "_path": rows["waveform_file_path"],
        }
    )
    for name, column in {**_YES_NO, "cvd_medication": "cvd_meds"}.items():
        if column in about:
            records[name] = numbers(about[column])
    return drop_implausible(records)


def _baselines(folder: Path) -> pd.DataFrame:
    """Each participant's baseline pressures; the same in all of its rows."""
    path = folder / "features.tsv"
    if not path.is_file():
        raise FileNotFoundError(
            f"{path} is missing; pass target='measurement' to predict each measurement's own pressure. "
            f"{where_to_get(DATABASE)}"
        )
    wanted = ["pid", "baseline_sbp", "baseline_dbp"]
    try:
        features = pd.read_csv(path, sep="\t", usecols=wanted)
    except ValueError as error:
        raise ValueError(f"{path}: {error}; accepted is the table as published: fetch it again") from None
    return features.groupby("pid")[wanted[1:]].first()


def _rate(times: np.ndarray, name: str) -> float:
    steps = np.diff(times)
    if len(steps) == 0 or not np.isfinite(times).all() or not (steps > 0).all():
        raise ValueError(f"record {name!r}: the column t does not rise; fetch the file again")
    step = (times[-1] - times[0]) / len(steps)
    if np.abs(steps - step).max() > 0.5 * step:
        raise ValueError(
            f"record {name!r}: the times are not evenly spaced; accepted is one rate: fetch the file again"
        )
    return float(1.0 / step)


DATABASE = Database(
    name="aurora_bp",
    title="Aurora-BP, wearable measurements with blood pressure, auscultatory protocol",
    plan=plan,
    licence="Microsoft's data use agreement",
    access="on request",
    size="21 GB with all sensors; the auscultatory part is smaller",
    url="https://github.com/microsoft/aurorabp-sample-data",
    citation=(
        "Mieloszyk et al., A Comparison of Wearable Tonometry, Photoplethysmography, and Electrocardiography for "
        "Cuffless Measurement of Blood Pressure in an Ambulatory Setting, IEEE J Biomed Health Inform 2022, "
        "26(7):2864-2875"
    ),
    tasks=("aurora_bp/sbp", "aurora_bp/dbp"),
)
