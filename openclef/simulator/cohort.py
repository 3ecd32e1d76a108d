"""A simulated cohort as a store: patients with risk factors, a disease with known truth, and 12-lead ECGs."""

from __future__ import annotations

import hashlib
import json
import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from openclef.record import Record
from openclef.signal import LEADS
from openclef.simulator.ecg import draw_heart, simulate_ecg
from openclef.simulator.patients import draw_patients
from openclef.store import Store, StoreWriter, Task

if TYPE_CHECKING:
    import pandas as pd

SCALE_MV = 0.001
PART_RECORDS = 250  # records of one part; part of the plan, so it must not depend on the number of workers
MODEL_VERSION = 1  # raised whenever the simulated values change

TASKS = (
    Task("sim/disease", "binary", ("disease",), ("sim/disease",)),
    Task("sim/af", "binary", ("af",), ("sim/af",)),
    Task("sim/preexcitation", "binary", ("preexcitation",), ("sim/preexcitation",)),
    Task("sim/age", "regression", ("age",), ("age_years",), unit="years"),
    Task("sim/log_hazard", "regression", ("log_hazard",), ("sim/log_hazard",), unit="log hazard"),
)


def simulate(
    dst: str | Path,
    patients: int = 2000,
    seed: int = 0,
    *,
    records_per_patient: int = 1,
    seconds: float = 10.0,
    fs: float = 250.0,
    missing_share: float = 0.3,
    workers: int | None = None,
    overwrite: bool = False,
) -> Store:
    """Simulate a cohort and write it as a store.

    The patients have age, sex, smoking, diabetes, SBP and lipids that go together as in NHANES, with values
    missing at random, and a disease whose hazard depends on them and on a frailty that no risk score knows.
    Their ECGs show age and disease in the shape of the beats. The same seed gives the same bytes, whatever
    the number of workers, and the first patients of a larger cohort are those of a smaller one.

    Args:
        dst: Folder of the store.
        patients: Number of patients.
        seed: Seed of everything drawn.
        records_per_patient: ECGs of each patient.
        seconds: Length of each ECG in s.
        fs: Sampling rate in Hz.
        missing_share: Share of unknown values of smoking, diabetes, SBP and lipids, 0..1.
        workers: Processes; None for one a processor core.
        overwrite: Replace a store that is already there.

    Returns:
        The store: 12 leads in mV; tasks sim/disease, sim/af, sim/preexcitation (binary), sim/age and
        sim/log_hazard (regression); splits by subject, 60 % train, 20 % val, 20 % test.

    Raises:
        ValueError: An argument out of range.
        FileExistsError: The folder holds a store and overwrite is False.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     store = simulate(folder, patients=5, seed=0, seconds=2, workers=1)
        ...     len(store), store.leads[:3], store.fs, sorted(store.tasks)[:2]
        (5, ('I', 'II', 'III'), 250.0, ['sim/af', 'sim/age'])
    """
    _check(patients, seed, records_per_patient, seconds, fs, missing_share, workers)
    settings = {
        "model_version": MODEL_VERSION,
        "patients": patients,
        "seed": seed,
        "records_per_patient": records_per_patient,
        "seconds": float(seconds),
        "fs": float(fs),
        "missing_share": float(missing_share),
    }
    writer = StoreWriter(
        dst,
        name="sim",
        title=f"Simulated cohort of {patients:,} patients, seed {seed}",
        unit="mV",
        scale=SCALE_MV,
        fs=fs,
        leads=LEADS,
        seconds=seconds,
        subject_namespace=f"sim-{seed}",
        tasks=TASKS,
        licence="CC0 1.0",
        source="simulated by openclef.simulate with " + json.dumps(settings, sort_keys=True),
        citation="",
        resume_key=hashlib.sha256(json.dumps(settings, sort_keys=True).encode()).hexdigest(),
        overwrite=overwrite,
    )
    cohort = draw_patients(patients, seed, missing_share=missing_share)
    per_part = max(1, PART_RECORDS // records_per_patient)
    finished = writer.finished_parts()
    parts = [
        (number, start, cohort.iloc[start : start + per_part])
        for number, start in enumerate(range(0, patients, per_part))
        if number not in finished
    ]
    drawing = {
        "seed": seed,
        "records_per_patient": records_per_patient,
        "seconds": float(seconds),
        "fs": float(fs),
    }
    if len(parts) < 2 or workers == 1:
        for part in parts:
            _write_part(writer, *part, drawing)
    else:
        from joblib import Parallel, cpu_count, delayed

        processes = min(workers or cpu_count(), len(parts))
        Parallel(n_jobs=processes)(delayed(_write_part)(writer, *part, drawing) for part in parts)
    return writer.finish()


def _write_part(
    writer: StoreWriter,
    number: int,
    start: int,
    cohort: pd.DataFrame,
    drawing: dict[str, Any],
) -> None:
    """Simulate and write the ECGs of some patients, each from a seed of its own."""
    seed, seconds, fs = drawing["seed"], drawing["seconds"], drawing["fs"]
    records: list[Record] = []
    columns: list[dict[str, Any]] = []
    for patient, about in enumerate(cohort.to_dict("records"), start=start):
        row = {str(name): value for name, value in about.items()}
        heart = draw_heart(
            np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(1, patient))),
            age_years=row["age_years"],
            female=row["sex"] == "female",
            severity=row.pop("severity"),
            load=row.pop("load"),
            af=bool(row["sim/af"]),
            preexcitation=bool(row["sim/preexcitation"]),
        )
        subject = row.pop("subject_id")
        for visit in range(drawing["records_per_patient"]):
            generator = np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(1, patient, visit)))
            signal = simulate_ecg(heart, generator, seconds=seconds, fs=fs) * np.float32(SCALE_MV)
            records.append(Record(signal, fs, LEADS, f"{subject}-{visit}", subject_id=subject))
            columns.append(dict(row))
    writer.write_part(number, records, columns)


def _check(
    patients: int,
    seed: int,
    records_per_patient: int,
    seconds: float,
    fs: float,
    missing_share: float,
    workers: int | None,
) -> None:
    """Refuse arguments that cannot be simulated."""
    ranges: tuple[tuple[str, float, float, float], ...] = (
        ("patients", patients, 1, 10_000_000),
        ("seed", seed, 0, 2**63 - 1),
        ("records_per_patient", records_per_patient, 1, 10_000),
        ("seconds", seconds, 1.0, 600.0),
        ("fs", fs, 100.0, 2000.0),
        ("missing_share", missing_share, 0.0, 1.0),
        ("workers", 1 if workers is None else workers, 1, math.inf),
    )
    for name, value, low, high in ranges:
        if not low <= value <= high:
            raise ValueError(f"{name} is {value}; accepted are {low:g} to {high:g}; pass another {name}.")
