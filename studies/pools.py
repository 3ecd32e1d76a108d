"""The stores of the studies, by name: real recordings, and simulated cohorts by configuration and rho."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
from real_stores import convert

import openclef
from openclef.store import Store

REAL = ("ptb_xl", "ptb_xl_z", "cinc2017")
COHORT = re.compile(
    r"sim_(?P<configuration>[AB])_rho(?P<rho>\d\.\d+)(?:_n(?P<patients>\d+))?(?:_seed(?P<seed>\d+))?"
    r"(?:_missing(?P<missing>\d\.\d+)(?P<healthy>_healthy)?)?(?:_records(?P<records>\d\.\d+))?"
)
PATIENTS, MISSING = 4000, 0.3
RISKS = (
    "score2",
    "score2_diabetes",
    "framingham",
    "framingham_bmi",
    "prevent_cvd",
    "prevent_hf",
    "age",
    "age_sex",
)


def open_pool(names: list[str], data: Path, out: Path) -> list[Store]:
    """Open stores, or make them first.

    Args:
        names: of `REAL`, or such as sim_A_rho0.4, sim_B_rho0.0_n2000_seed1: configuration, share of the liability that
            risk factors explain, patients, seed. `_missing0.5` is the share of unknown metadata (0.3 by default), with
            `_healthy` more often unknown in the healthy; `_records1.5` the mean number of records a patient.
        data: Folder with the real recordings.
        out: Folder of the studies; the stores go into its folder `stores`.
    """
    real = [name for name in names if name in REAL]
    # PTB-XL's two parts share 34 records: the official part has to be there for the names of the array's labels
    found = convert(data, out / "stores", REAL[: 1 + max(map(REAL.index, real))]) if real else {}
    return [found[name] if name in found else _cohort(name, out / "stores" / name) for name in names]


def _cohort(name: str, place: Path) -> Store:
    match = COHORT.fullmatch(name)
    if match is None:
        raise ValueError(f"no pool {name!r}; accepted are {', '.join(REAL)} and such as sim_A_rho0.4")
    if (place / "dataset.json").exists():
        return _with_risks(openclef.open_store(place))
    store = openclef.simulate(
        place,
        patients=int(match["patients"] or PATIENTS),
        seed=int(match["seed"] or 0),
        configuration=match["configuration"],
        rho=float(match["rho"]),
        missing_share=float(match["missing"] or MISSING),
        missing_kind="healthy" if match["healthy"] else "at_random",
        records_per_patient=float(match["records"] or 1),
    )
    return _with_risks(store)


def _with_risks(store: Store) -> Store:
    """All scores, and two controls: SCORE2 of somebody else, and the truth that the simulator drew diseases from."""
    for risk in RISKS:
        if risk not in store.risks:
            store.add_risk(risk)
    records = store.records
    if "score2_shuffled" not in store.risks:
        subjects, place = np.unique(records["subject_id"], return_inverse=True)
        first = np.unique(place, return_index=True)[1]
        other = np.random.default_rng(0).permutation(len(subjects))[place]
        score = store.risk("score2").iloc[first].iloc[other]
        store.add_own_risk("score2_shuffled", score["value"], completeness=score["completeness"])
    if "truth" not in store.risks:
        kinds = ("atrial", "hypertrophy", "dysfunction")
        liability = np.stack([records[f"truth_{kind}_liability"].to_numpy(float) for kind in kinds])
        store.add_own_risk("truth", liability.mean(0), title="mean liability to the three diseases")
    return store
