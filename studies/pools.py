"""The stores of the studies, by name: real recordings, semi-synthetic ones, and simulated cohorts."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from real_stores import convert

import openclef
from openclef.risk import score_table
from openclef.simulator import CONFIGURATIONS, simulate_metadata
from openclef.store import Store

REAL = ("ptb_xl", "ptb_xl_z", "cinc2017")
COHORT = re.compile(
    r"sim_(?P<configuration>[AB])_rho(?P<rho>\d\.\d+)(?:_hospital(?P<hospital>[12]))?(?:_n(?P<patients>\d+))?(?:_seed(?P<seed>\d+))?"
    r"(?:_missing(?P<missing>\d\.\d+)(?P<healthy>_healthy)?)?(?:_records(?P<records>\d\.\d+))?"
)
SEMI_SYNTHETIC = re.compile(r"(?P<store>ptb_xl(?:_z)?)_semi(?P<rho>\d\.\d+)")
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


COVARIATES = ("age_years", "sex", "smoker", "diabetes", "sbp_mmhg", "total_chol_mmol_l", "hdl_mmol_l")
"""What SCORE2 is computed from: each is a risk of its own, covariate_NAME, and left out once, score2_without_NAME."""


def open_pool(names: list[str], data: Path, out: Path) -> list[Store]:
    """Open stores, or make them first.

    Args:
        names: of `REAL`; ptb_xl_semi0.4, ptb_xl_z_semi0.4: the same ECGs with simulated risk factors that know the
            superclasses, with this rho; such as sim_A_rho0.4, sim_B_rho0.0_n2000_seed1: configuration, share of the
            liability that risk factors explain, patients, seed. `_hospital2` takes all from the configuration's second
            hospital. `_missing0.5` is the share of unknown metadata (0.3 by default), with `_healthy` more often
            unknown in the healthy; `_records1.5` the mean number of records a patient.
        data: Folder with the real recordings.
        out: Folder of the studies; the stores go into its folder `stores`.
    """
    wanted = {name: SEMI_SYNTHETIC.fullmatch(name) for name in names}
    real = [match["store"] if match else name for name, match in wanted.items() if match or name in REAL]
    # PTB-XL's two parts share 34 records: the official part has to be there for the names of the array's labels
    found = convert(data, out / "stores", REAL[: 1 + max(map(REAL.index, real))]) if real else {}
    for name, match in wanted.items():
        if match:
            found[name] = _semi_synthetic(found[match["store"]], out / "stores" / name, float(match["rho"]))
    return [found[name] if name in found else _cohort(name, out / "stores" / name) for name in names]


def _semi_synthetic(store: Store, place: Path, rho: float) -> Store:
    if (place / "dataset.json").exists():
        return openclef.open_store(place)
    made = simulate_metadata(
        store, place, task="ptb_xl/superdiagnostic", healthy=("NORM",), rho=rho, missing_share=MISSING
    )
    return made.add_risk("score2").add_risk("age_sex")


def _cohort(name: str, place: Path) -> Store:
    match = COHORT.fullmatch(name)
    if match is None:
        raise ValueError(f"no pool {name!r}; accepted are {', '.join(REAL)} and such as sim_A_rho0.4")
    if (place / "dataset.json").exists():
        return _with_risks(openclef.open_store(place))
    configuration = CONFIGURATIONS[match["configuration"]]
    if match["hospital"]:
        hospital = configuration.hospitals[int(match["hospital"]) - 1]
        configuration = replace(
            configuration,
            name=f"{configuration.name}-{hospital.name}",
            hospitals=(replace(hospital, share=1.0),),
        )
    store = openclef.simulate(
        place,
        patients=int(match["patients"] or PATIENTS),
        seed=int(match["seed"] or 0),
        configuration=configuration,
        rho=float(match["rho"]),
        missing_share=float(match["missing"] or MISSING),
        missing_kind="healthy" if match["healthy"] else "at_random",
        records_per_patient=float(match["records"] or 1),
    )
    return _with_risks(store)


def _with_risks(store: Store) -> Store:
    """All scores, their parts, and two controls: somebody else's SCORE2, and what the simulator drew diseases from."""
    records = store.records
    for risk in RISKS:
        if risk not in store.risks:
            store.add_risk(risk)
    for name in COVARIATES:
        if f"covariate_{name}" not in store.risks:
            value = (records[name] == "male").astype(float) if name == "sex" else records[name]
            store.add_own_risk(f"covariate_{name}", value, completeness=value.notna())
        if name not in ("age_years", "sex"):
            _add_score(store, f"score2_without_{name}", "score2", **{name: np.nan})
    pressure, treated = records["sbp_mmhg"], records["bp_treated"]
    untreated = np.where(pressure + treated >= 0, 0.0, np.nan)
    _add_score(
        store,
        "cha2ds2_vasc_from_pressure",  # the cohort has no diagnoses of hypertension
        "cha2ds2_vasc",
        hypertension=np.where((pressure >= 140) | (treated == 1), 1.0, untreated),
    )
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


def _add_score(store: Store, label: str, score: str, **inputs: Any) -> None:
    if label not in store.risks:
        table = score_table(store.records.assign(**inputs), [score])
        store.add_own_risk(label, table[score], completeness=table[f"{score}_completeness"])
