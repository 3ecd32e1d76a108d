"""A simulated cohort as a store: patients with risk factors, disease of known truth, and 12-lead ECGs over time."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from openclef.record import Record
from openclef.shards import hold_folder
from openclef.signal import LEADS
from openclef.simulator.configuration import MODEL_VERSION, Configuration, chosen_configuration
from openclef.simulator.heart import draw_heart
from openclef.simulator.missingness import shares_of
from openclef.simulator.patients import check_ranges, draw_patients
from openclef.simulator.physiology import Condition
from openclef.simulator.recording import simulate_ecg
from openclef.statistics import check_counts
from openclef.store import Store, StoreWriter, Task

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["TASKS", "simulate"]

SCALE_MV = 0.001
PART_RECORDS = 250  # records of one part; part of the plan, so it must not depend on the number of workers

TASKS = (
    Task("sim/af", "binary", ("af",), ("sim/af",)),
    Task("sim/lvh", "binary", ("lvh",), ("sim/lvh",)),
    Task("sim/low_ef", "binary", ("low_ef",), ("sim/low_ef",)),
    Task("sim/lvef", "regression", ("lvef",), ("sim/lvef",), unit="%"),
    Task("sim/age", "regression", ("age",), ("age_years",), unit="years"),
    Task("sim/sbp", "regression", ("sbp",), ("truth_sbp_mmhg",), unit="mmHg"),
    Task("sim/preexcitation", "binary", ("preexcitation",), ("sim/preexcitation",)),
)


def simulate(
    dst: str | Path,
    patients: int = 2000,
    seed: int = 0,
    *,
    configuration: str | Configuration = "A",
    rho: float = 0.4,
    records_per_patient: float = 1.0,
    missing_share: float | Mapping[str, float] = 0.3,
    missing_kind: str = "at_random",
    seconds: float = 10.0,
    fs: float = 250.0,
    workers: int | None = None,
    overwrite: bool = False,
) -> Store:
    """Simulate a cohort and write it as a store.

    The patients of two hospitals have age, sex, blood pressure, lipids, BMI, smoking, diabetes and treatment that
    go together as in NHANES. Three diseases come from a lifetime's damage and from a frailty that nobody
    measures; no risk score goes into them. ECGs show age, blood pressure and disease in the shape of the beats,
    and a pre-excitation that has nothing to do with risk. The same seed gives the same bytes, whatever the number
    of workers, and the first patients of a larger cohort are those of a smaller one. docs/simulator.md says what
    this is good for and what it is not.

    Args:
        dst: Folder of the store.
        patients: Number of patients.
        seed: Seed of everything drawn.
        configuration: "A" to choose on, "B" to test on once, or a `Configuration` of your own.
        rho: Share of the liability to disease that risk factors explain, 0 (none) to 0.75.
        records_per_patient: Mean number of records of a patient, over years; their numbers are geometric.
        missing_share: Share of unknown values, 0..1: one for all, or by group, as {"lipids": 0.6, "smoker": 0.2}
            (`openclef.simulator.GROUPS`; groups left out are known).
        missing_kind: "at_random", or "healthy": more often unknown in those who were healthy at the first visit. Which
            values are known then says something about disease, at rho 0 too.
        seconds: Length of each ECG in s.
        fs: Sampling rate in Hz.
        workers: Processes; None for one a processor core.
        overwrite: Replace a store that is already there.

    Returns:
        The store: 12 leads in mV; tasks sim/af, sim/lvh, sim/low_ef, sim/preexcitation (binary), sim/lvef, sim/age
        and sim/sbp (regression); splits by subject, 60 % train, 20 % val, 20 % test; the truth in columns "truth_...".

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
    if workers is not None:
        check_counts(workers=workers)
    check_ranges(seconds=(seconds, 1.0, 600.0), fs=(fs, 100.0, 2000.0))
    chosen = chosen_configuration(configuration)
    # All that can be refused is refused before a folder is touched.
    cohort = draw_patients(
        patients,
        seed,
        configuration=chosen,
        rho=rho,
        records_per_patient=records_per_patient,
        missing_share=missing_share,
        missing_kind=missing_kind,
    )
    drawing = {
        "patients": int(patients),
        "seed": int(seed),
        "rho": float(rho),
        "records_per_patient": float(records_per_patient),
        "missing_share": shares_of(missing_share),
        "missing_kind": missing_kind,
    }
    recording = {"seed": int(seed), "seconds": float(seconds), "fs": float(fs)}
    settings = drawing | recording | {"configuration": chosen.name, "sha256": chosen.sha256}
    settings["model_version"] = MODEL_VERSION
    text = json.dumps(settings, sort_keys=True)
    with hold_folder(Path(dst).absolute()):
        writer = StoreWriter(
            dst,
            name="sim",
            title=f"Simulated cohort of {patients:,} patients (configuration {chosen.name}, rho {rho:g}, seed {seed})",
            unit="mV",
            scale=SCALE_MV,
            fs=fs,
            leads=LEADS,
            seconds=seconds,
            subject_namespace=f"sim-{chosen.name}-{seed}",
            tasks=TASKS,
            licence="CC0 1.0",
            source=f"simulated by openclef.simulate with {text}",
            citation="",
            resume_key=hashlib.sha256(text.encode()).hexdigest(),
            overwrite=overwrite,
        )
        finished = writer.finished_parts()
        parts = [
            (number, first, rows)
            for number, (first, rows) in enumerate(_parts(cohort, patients, records_per_patient))
            if number not in finished
        ]
        if len(parts) < 2 or workers == 1:
            for part in parts:
                _write_part(writer, *part, chosen, recording)
        else:
            from joblib import Parallel, cpu_count, delayed

            processes = min(workers or cpu_count(), len(parts))
            Parallel(n_jobs=processes)(
                delayed(_write_part)(writer, *part, chosen, recording) for part in parts
            )
        return writer.finish()


def _parts(cohort: pd.DataFrame, patients: int, records_per_patient: float) -> list[tuple[int, pd.DataFrame]]:
    """Stretches of whole patients of about `PART_RECORDS` records, each with its first patient's number."""
    per_part = max(1, round(PART_RECORDS / records_per_patient))
    number = cohort["subject_id"].str[1:].astype(int).to_numpy()
    starts = range(0, patients, per_part)
    edges = np.searchsorted(number, [*starts, patients])
    return [(start, cohort.iloc[a:b]) for start, a, b in zip(starts, edges[:-1], edges[1:])]


def _write_part(
    writer: StoreWriter,
    number: int,
    first: int,
    cohort: pd.DataFrame,
    configuration: Configuration,
    recording: dict[str, Any],
) -> None:
    """Simulate and write the ECGs of some patients, each from a seed of its own."""
    fs = recording["fs"]
    records: list[Record] = []
    columns: list[dict[str, Any]] = []
    patient, visit, before = first - 1, 0, None
    for about in cohort.to_dict("records"):
        row = {str(name): value for name, value in about.items()}
        subject = row.pop("subject_id")
        if subject == before:
            visit += 1
        else:
            patient, visit, before = patient + 1, 0, subject
        millivolts = record_signal(row, configuration, patient=patient, visit=visit, **recording)
        records.append(Record(millivolts, fs, LEADS, f"{subject}-{visit}", subject_id=subject))
        columns.append(row)
    writer.write_part(number, records, columns)


def record_signal(
    row: Mapping[str, Any],
    configuration: Configuration,
    *,
    seed: int,
    patient: int,
    visit: int,
    seconds: float,
    fs: float,
) -> np.ndarray:
    """Simulate the ECG of one record of a cohort.

    Args:
        row: the record, of `draw_patients`.
        configuration: that of the cohort.
        seed: that of the cohort.
        patient: the patient's number, from 0.
        visit: the number of the patient's record, from 0.
        seconds: length in s.
        fs: sampling rate in Hz.

    Returns:
        (12, time) float32 in mV, leads as in `openclef.signal.LEADS`.

    Example:
        >>> row = draw_patients(1, seed=0).to_dict("records")[0]
        >>> settings = {"seed": 0, "patient": 0, "visit": 0, "seconds": 2.0, "fs": 250.0}
        >>> record_signal(row, chosen_configuration("A"), **settings).shape
        (12, 500)
    """
    heart = draw_heart(
        np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(1, patient))),
        _condition(row),
        configuration.physiology,
    )
    equipment = {hospital.name: hospital.equipment for hospital in configuration.hospitals}
    signal = simulate_ecg(
        heart,
        np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(1, patient, visit))),
        seconds=seconds,
        fs=fs,
        equipment=equipment[row["hospital"]],
    )
    return np.asarray(signal * np.float32(SCALE_MV))


def _condition(row: Mapping[str, Any]) -> Condition:
    """What of a record's truth shapes its ECG."""
    return Condition(
        age_years=row["age_years"],
        female=row["sex"] == "female",
        sbp_mmhg=row["truth_sbp_mmhg"],
        hypertrophy=row["truth_hypertrophy_grade"],
        dysfunction=row["truth_dysfunction_grade"],
        atrial=row["truth_atrial_grade"],
        af=bool(row["sim/af"]),
        preexcitation=bool(row["sim/preexcitation"]),
    )
