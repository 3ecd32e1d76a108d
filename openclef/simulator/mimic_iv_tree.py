"""The simulated cohort in the layout of MIMIC-IV and MIMIC-IV-ECG, for rehearsal before access to the real ones."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, cast

import numpy as np
from numpy.typing import NDArray

from openclef.shards import hold_folder
from openclef.signal import LEADS
from openclef.simulator.cohort import record_signal
from openclef.simulator.configuration import Configuration, chosen_configuration
from openclef.simulator.mimic_iv_files import (
    DAMAGES,
    FS,
    MACHINE_MEASUREMENTS,
    OTHER_ITEMS,
    write_labevents,
    write_record,
    write_table,
)
from openclef.simulator.mimic_iv_measurements import LABS, draw_labs, draw_omr
from openclef.simulator.mimic_iv_people import ecg_path, place_in_time
from openclef.simulator.mimic_iv_stays import CODES, draw_admissions, draw_diagnoses, draw_prescriptions
from openclef.simulator.mimic_iv_truth import find_truth
from openclef.simulator.patients import check_ranges, draw_patients
from openclef.statistics import check_counts

if TYPE_CHECKING:  # pandas takes long to import; a command's help does without it
    import pandas as pd

Array = NDArray[Any]

__all__ = ["Hospital", "draw_hospital", "simulate_mimic_iv"]

MISSING_SAMPLES_SHARE = 0.05  # of the records have a stretch without samples
LVEF_SHARE = 0.15  # of the patients have an ejection fraction in LVEF.csv
_MINIMUM_LABEVENTS = 30  # a record, where no number is given
_TREE = {"LVEF.csv", "mimic-iv-ecg", "mimiciv", "truth.parquet"}


class Hospital(NamedTuple):
    """The simulated hospital's tables, and what must be found in them.

    Args:
        cohort: of `draw_patients`, the truth behind it all.
        records: a row an ECG, of `place_in_time`.
        patients: of the same.
        omr: of `draw_omr`.
        labs: of `draw_labs`.
        stays: of `draw_admissions`.
        diagnoses: of `draw_diagnoses`.
        prescriptions: of `draw_prescriptions`.
        truth: of `find_truth`, row by row as records.

    Example:
        >>> Hospital._fields[-1]
        'truth'
    """

    cohort: pd.DataFrame
    records: pd.DataFrame
    patients: pd.DataFrame
    omr: pd.DataFrame
    labs: pd.DataFrame
    stays: pd.DataFrame
    diagnoses: pd.DataFrame
    prescriptions: pd.DataFrame
    truth: pd.DataFrame


def draw_hospital(patients: int, seed: int = 0, **cohort: Any) -> Hospital:
    """Draw the tables of the simulated hospital.

    Args:
        patients: number of patients.
        seed: of everything drawn.
        **cohort: further arguments of `draw_patients`.

    Returns:
        The tables.

    Example:
        >>> hospital = draw_hospital(20, seed=0, records_per_patient=2.0)
        >>> len(hospital.truth) == len(hospital.records) == len(hospital.cohort)
        True
    """
    drawn = draw_patients(patients, seed, **cohort)
    rng = np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(7,)))
    records, people = place_in_time(drawn, rng)
    measured = drawn[["sbp_mmhg", "bmi", "total_chol_mmol_l", "hdl_mmol_l", "hba1c_mmol_mol"]].assign(
        creatinine_mg_dl=_creatinine(drawn)
    )
    omr = draw_omr(records, measured, rng)
    labs = draw_labs(records, measured[list(LABS)], rng)
    stays = draw_admissions(records, rng)
    ill = drawn.iloc[stays["_record"].to_numpy()].reset_index(drop=True)
    diagnoses = draw_diagnoses(stays, _conditions(ill, rng), _real_years(stays, people), rng)
    treated = ill[["truth_bp_treated", "truth_statin"]].set_axis(["bp_treated", "statin"], axis=1)
    prescriptions = draw_prescriptions(stays, treated, rng)
    tables = {
        "omr": omr,
        "labs": labs,
        "stays": stays,
        "diagnoses": diagnoses,
        "prescriptions": prescriptions,
    }
    truth = find_truth(records, people, **tables)
    return Hospital(drawn, records, people, **tables, truth=truth)


def _creatinine(cohort: pd.DataFrame) -> Array:
    """The creatinine in mg/dL that gives the cohort's eGFR."""
    female = cohort["sex"].to_numpy() == "female"
    knot = np.where(female, 0.7, 0.9)
    at_knot = np.where(female, 142 * 1.012, 142.0) * 0.9938 ** cohort["age_years"].to_numpy()
    share = cohort["egfr_ml_min"].to_numpy() / at_knot
    exponent = np.where(share > 1, np.where(female, -0.241, -0.302), -1.2)
    return np.asarray((knot * share ** (1 / exponent)).clip(0.3, 15))


def _conditions(ill: pd.DataFrame, rng: np.random.Generator) -> pd.DataFrame:
    """What a stay's codes may say: what the cohort knows, and vascular disease that goes with age and smoking."""
    import pandas as pd

    older = (ill["age_years"].to_numpy() - 40).clip(0) / 250
    smoker = ill["truth_smoker"].to_numpy() == 1
    hypertension = (ill["truth_sbp_mmhg"].to_numpy() >= 140) | (ill["truth_bp_treated"].to_numpy() == 1)
    return pd.DataFrame(
        {
            "diabetes": ill["truth_diabetes"].to_numpy(),
            "smoker": ill["truth_smoker"].to_numpy(),
            "hypertension": hypertension.astype(float),
            "heart_failure": ill["sim/low_ef"].to_numpy(),
            "stroke": (rng.random(len(ill)) < older).astype(float),
            "vascular_disease": (rng.random(len(ill)) < older * (1 + smoker)).astype(float),
            "atrial_fibrillation": ill["sim/af"].to_numpy(),
        }
    )


def _real_years(stays: pd.DataFrame, patients: pd.DataFrame) -> Array:
    own = patients.iloc[stays["person"].to_numpy()]
    return np.asarray(
        own["real_year"].to_numpy() + stays["admittime"].dt.year.to_numpy() - own["anchor_year"].to_numpy()
    )


def simulate_mimic_iv(
    dst: str | Path,
    patients: int = 2000,
    seed: int = 0,
    *,
    configuration: str | Configuration = "A",
    rho: float = 0.4,
    records_per_patient: float = 3.0,
    missing_share: float | Mapping[str, float] = 0.3,
    missing_kind: str = "at_random",
    signals: int | None = None,
    labevents: int | None = None,
    damaged_share: float = 0.0,
    workers: int | None = None,
    overwrite: bool = False,
) -> Path:
    """Write a simulated hospital in the layout of MIMIC-IV and MIMIC-IV-ECG, with the traps of the real one.

    The patients, their ECGs and what is known of them are those of `openclef.simulate`, at 500 Hz and 10 s. The same
    seed gives the same bytes.

    Args:
        dst: folder: ``mimiciv/hosp/*.csv.gz``, ``mimic-iv-ecg/`` with ``record_list.csv`` and ``files/``, ``LVEF.csv``
            (ejection fractions in the form of ECGFounder's table), and ``truth.parquet``: for each ECG what an
            extraction must find, ``has_signal`` and ``damaged``. It appears when it is whole.
        patients: number of patients.
        seed: of everything drawn.
        configuration: "A", "B" or a `Configuration`.
        rho: share of the liability to disease that risk factors explain.
        records_per_patient: mean number of ECGs of a patient.
        missing_share: share of unknown values; one for all, or by group.
        missing_kind: "at_random" or "healthy".
        signals: how many ECGs have signals, patient by patient; None: all.
        labevents: rows of that table; None: 30 an ECG.
        damaged_share: share of those with signals whose files are damaged.
        workers: processes; None: one a core.
        overwrite: replace a folder that stands there.

    Returns:
        The folder.

    Raises:
        ValueError: an argument out of range.
        FileExistsError: the folder is there and overwrite is False.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     tree = simulate_mimic_iv(Path(folder, "mimic"), patients=4, signals=2, workers=1)
        ...     sorted(path.name for path in tree.iterdir())
        ['LVEF.csv', 'mimic-iv-ecg', 'mimiciv', 'truth.parquet']
    """
    check_counts(**({} if workers is None else {"workers": workers}))
    check_ranges(
        damaged_share=(damaged_share, 0.0, 1.0),
        signals=(signals or 0, 0, np.inf),
        labevents=(labevents or 0, 0, np.inf),
    )
    chosen = chosen_configuration(configuration)
    dst = Path(dst).absolute()
    _refuse_others(dst, overwrite)
    hospital = draw_hospital(
        patients,
        seed,
        configuration=chosen,
        rho=rho,
        records_per_patient=records_per_patient,
        missing_share=missing_share,
        missing_kind=missing_kind,
    )
    unfinished = dst.with_name(f".{dst.name}.unfinished")
    with hold_folder(unfinished):
        try:
            for left in unfinished.iterdir():  # by a run that was killed
                shutil.rmtree(left) if left.is_dir() else left.unlink()
            _write_tables(unfinished / "mimiciv" / "hosp", hospital, labevents, seed)
            _write_ecgs(unfinished, hospital, chosen, signals, damaged_share, seed, workers)
            _put_in_place(unfinished, dst)
        finally:
            shutil.rmtree(unfinished, ignore_errors=True)
    return dst


def _refuse_others(dst: Path, overwrite: bool) -> None:
    """Refuse a finished tree unless it is to be replaced, and always what is none."""
    if not dst.exists() or (dst.is_dir() and not any(dst.iterdir())):
        return
    if not dst.is_dir() or {path.name for path in dst.iterdir()} != _TREE:
        raise FileExistsError(f"{dst} holds other files; pass a new folder")
    if not overwrite:
        raise FileExistsError(f"{dst} is there; pass another folder, or overwrite=True (--overwrite true)")


def _put_in_place(unfinished: Path, dst: Path) -> None:
    """Give the tree its name; at no moment does half of the one before stand there."""
    before = dst.with_name(f".{dst.name}.before")
    shutil.rmtree(before, ignore_errors=True)
    if dst.exists():
        dst.rename(before)
    unfinished.rename(dst)
    shutil.rmtree(before, ignore_errors=True)


def _write_tables(folder: Path, hospital: Hospital, labevents: int | None, seed: int) -> None:
    import pandas as pd

    folder.mkdir(parents=True)
    write_table(folder, "patients", hospital.patients[hospital.patients["listed"]])
    write_table(
        folder, "admissions", hospital.stays.assign(admission_type="EW EMER.", hospital_expire_flag=0)
    )
    write_table(folder, "omr", hospital.omr)
    write_table(folder, "diagnoses_icd", hospital.diagnoses)
    write_table(
        folder,
        "prescriptions",
        hospital.prescriptions.assign(drug_type="MAIN", prod_strength="10 mg, tablet"),
    )
    known = [(lab.itemid, lab.label) for lab in LABS.values()]
    items = pd.DataFrame([*known, *((each[0], each[1]) for each in OTHER_ITEMS)], columns=["itemid", "label"])
    write_table(folder, "d_labitems", items.assign(fluid="Blood", category="Chemistry"))
    titles = pd.DataFrame(list(CODES), columns=["icd_code", "icd_version"])
    write_table(folder, "d_icd_diagnoses", titles.assign(long_title="Simulated, without a title"))
    times = {
        cast("int", person): np.sort(rows["ecg_time"].to_numpy().astype("datetime64[s]"))
        for person, rows in hospital.records.groupby("person")
    }
    rows = _MINIMUM_LABEVENTS * len(hospital.records) if labevents is None else labevents
    write_labevents(folder, hospital.labs, hospital.patients, times, rows, seed)


def _write_ecgs(
    folder: Path,
    hospital: Hospital,
    configuration: Configuration,
    signals: int | None,
    damaged_share: float,
    seed: int,
    workers: int | None,
) -> None:
    records = hospital.records
    rng = np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(9,)))
    count = len(records) if signals is None else min(signals, len(records))
    has = np.arange(len(records)) < count
    damage = np.full(len(records), "", dtype=object)
    hit = np.flatnonzero(has)[rng.permutation(count)[: round(damaged_share * count)]]
    damage[hit] = rng.choice(DAMAGES, len(hit))
    root = folder / "mimic-iv-ecg"
    root.mkdir(parents=True)
    pairs = zip(records["subject_id"], records["study_id"], strict=True)
    paths = [ecg_path(subject, study) for subject, study in pairs]
    times = records["ecg_time"].dt.strftime("%Y-%m-%d %H:%M:%S")
    listed = records[["subject_id", "study_id"]].assign(
        file_name=records["study_id"], ecg_time=times, path=paths
    )
    order = np.lexsort((records["study_id"], records["subject_id"]))
    listed.iloc[order].to_csv(root / "record_list.csv", index=False)
    machine = listed.iloc[order].assign(report_0="Simulated ECG", bandwidth="0.005-150 Hz")
    machine.reindex(columns=MACHINE_MEASUREMENTS).to_csv(root / "machine_measurements.csv", index=False)
    _write_fractions(folder / "LVEF.csv", hospital, paths, has, rng)
    truth = hospital.truth.assign(has_signal=has, damaged=damage)
    truth.insert(0, "record_id", records["study_id"].astype(str))
    truth.iloc[order].to_parquet(folder / "truth.parquet", index=False)
    visit = records.groupby("person").cumcount().to_numpy()
    _write_signals(root, hospital, paths, visit, np.flatnonzero(has), damage, configuration, seed, workers)


def _write_fractions(
    path: Path, hospital: Hospital, paths: list[str], has: Array, rng: np.random.Generator
) -> None:
    """LVEF.csv as ECGFounder's: the class is 1 for 50 % and more; only ECGs with signals."""
    import pandas as pd

    person = hospital.records["person"].to_numpy()
    chosen = np.flatnonzero((rng.random(int(person.max()) + 1) < LVEF_SHARE)[person] & has)
    fraction = np.round(hospital.cohort["sim/lvef"].to_numpy()[chosen])
    pd.DataFrame(
        {
            "subject_id": hospital.records["subject_id"].to_numpy()[chosen],
            "waveform_path": [paths[place] for place in chosen],
            "LVEF": fraction,
            "class": (fraction >= 50).astype(int),
        }
    ).to_csv(path, index=False)


def _write_signals(
    root: Path,
    hospital: Hospital,
    paths: list[str],
    visit: Array,
    places: Array,
    damage: Array,
    configuration: Configuration,
    seed: int,
    workers: int | None,
) -> None:
    from joblib import Parallel, cpu_count, delayed

    rows = hospital.cohort.to_dict("records")
    about = hospital.records[["subject_id", "ecg_time", "person"]].to_dict("records")
    jobs = [(root / paths[at], about[at], rows[at], int(visit[at]), str(damage[at])) for at in places]
    if workers == 1 or len(jobs) < 20:
        for job in jobs:
            _write_signal(*job, configuration, seed)
        return
    Parallel(n_jobs=workers or cpu_count(), batch_size=8)(
        delayed(_write_signal)(*job, configuration, seed) for job in jobs
    )


def _write_signal(
    path: Path,
    about: dict[str, Any],
    row: dict[str, Any],
    visit: int,
    damage: str,
    configuration: Configuration,
    seed: int,
) -> None:
    patient = about["person"]
    signal = record_signal(
        row, configuration, seed=seed, patient=patient, visit=visit, seconds=10.0, fs=float(FS)
    )
    rng = np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(10, patient, visit)))
    if rng.random() < MISSING_SAMPLES_SHARE:
        start = int(rng.integers(0, 4000))
        signal[:, start : start + int(rng.integers(50, 500))] = np.nan
    write_record(path, about["subject_id"], about["ecg_time"].to_pydatetime(), signal, LEADS, damage)
