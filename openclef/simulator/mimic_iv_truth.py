"""What an extraction from the simulated MIMIC-IV must find: each ECG's values, looked for record by record.

This is the slow and plain way, from what the simulator knows of its own rows; the extraction shares no code with it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import numpy as np
from numpy.typing import NDArray

from openclef.simulator.mimic_iv_measurements import AFTER_DAYS, BEFORE_DAYS, LABS
from openclef.simulator.mimic_iv_stays import CODES

if TYPE_CHECKING:  # pandas takes long to import; a command's help does without it
    import pandas as pd

Array = NDArray[Any]

__all__ = ["find_truth"]

PLAUSIBLE = {
    "height_cm": (120, 230),
    "weight_kg": (25, 350),
    "bmi": (10, 80),
    "total_chol_mmol_l": (1, 20),
    "hdl_mmol_l": (0.1, 6),
    "hba1c_mmol_mol": (15, 200),
    "creatinine_mg_dl": (0.1, 25),
}
_DIAGNOSES = (
    "diabetes",
    "hypertension",
    "heart_failure",
    "stroke",
    "vascular_disease",
    "atrial_fibrillation",
)
_DAY = np.timedelta64(1, "D").astype("timedelta64[s]").astype(np.int64)


def find_truth(
    records: pd.DataFrame,
    patients: pd.DataFrame,
    *,
    omr: pd.DataFrame,
    labs: pd.DataFrame,
    stays: pd.DataFrame,
    diagnoses: pd.DataFrame,
    prescriptions: pd.DataFrame,
) -> pd.DataFrame:
    """Find each record's values among the rows that were written.

    Args:
        records: of `place_in_time`.
        patients: of the same.
        omr: of `draw_omr`.
        labs: of `draw_labs`.
        stays: of `draw_admissions`.
        diagnoses: of `draw_diagnoses`.
        prescriptions: of `draw_prescriptions`.

    Returns:
        Row by row as records: age_years, age_over_89, sex, and every value of the extraction, NaN where none is in the
        window (365 days before to 30 days after).

    Example:
        >>> from openclef.simulator.mimic_iv_tree import draw_hospital
        >>> hospital = draw_hospital(30, seed=0)
        >>> float(hospital.truth["sbp_mmhg"].notna().mean()) > 0.4
        True
    """
    import pandas as pd

    time = records["ecg_time"].to_numpy().astype("datetime64[s]").astype(np.int64)
    people = records["person"].to_numpy()
    day = time // _DAY
    found: dict[str, Array] = {name: np.full(len(records), np.nan) for name in ("sbp_mmhg", "dbp_mmhg")}
    by_person = _groups(omr[omr["_kind"] == "pressure"], "chartdate")
    for place, person in enumerate(people):
        rows = by_person.get(person)
        if rows is not None:
            found["sbp_mmhg"][place], found["dbp_mmhg"][place] = _pressure(rows, day[place])
    for name in ("height_cm", "weight_kg", "bmi"):
        by_person = _groups(omr[omr["_kind"] == name], "chartdate", PLAUSIBLE[name])
        found[name] = np.array(
            [_of_nearest_day(by_person.get(p), at) for p, at in zip(people, day, strict=True)], float
        )
    computed = found["weight_kg"] / (found["height_cm"] / 100) ** 2
    low, high = PLAUSIBLE["bmi"]
    computed[~((computed >= low) & (computed <= high))] = np.nan
    found["bmi"] = np.where(np.isnan(found["bmi"]), computed, found["bmi"])
    for name in LABS:
        by_person = _groups(labs[labs["_kind"] == name], "charttime", PLAUSIBLE[name])
        found[name] = np.array(
            [_nearest(by_person.get(p), int(at)) for p, at in zip(people, time, strict=True)], float
        )
    found |= _egfr(found["creatinine_mg_dl"], records)
    found |= _diagnosed(records, patients, stays, diagnoses)
    found |= _treated(people, time, prescriptions)
    return pd.DataFrame(
        {name: records[name].to_numpy() for name in ("age_years", "age_over_89", "sex")} | found
    )


def _groups(
    rows: pd.DataFrame, clock: str, plausible: tuple[float, float] | None = None
) -> dict[int, dict[str, Array]]:
    """The rows that count, by person."""
    kept = rows["_value"].notna() & rows[clock].notna()
    if plausible is not None:
        kept &= rows["_value"].between(*plausible)
    rows = rows[kept]
    clocks = rows[clock].to_numpy().astype("datetime64[s]").astype(np.int64)
    columns = {
        "clock": clocks // _DAY if clock == "chartdate" else clocks,
        "value": rows["_value"].to_numpy(),
    }
    for name, column in (("rank", "_rank"), ("second", "_second")):
        if column in rows:
            columns[name] = rows[column].to_numpy()
    person = rows["person"].to_numpy()
    edges = np.flatnonzero(np.diff(person, prepend=-1))
    return {
        int(person[a]): {name: column[a:b] for name, column in columns.items()}
        for a, b in zip(edges, [*edges[1:], len(person)])
    }


def _nearest_clock(clock: Array, at: int, day: int) -> int | None:
    """The clock nearest to a time, within the window; of two equally near ones the earlier."""
    inside = clock[(clock >= at - BEFORE_DAYS * day) & (clock <= at + AFTER_DAYS * day)]
    if not len(inside):
        return None
    return int(min(inside.tolist(), key=lambda each: (abs(each - at), each)))


def _pressure(rows: dict[str, Array], day: int) -> tuple[float, float]:
    sbp, dbp = rows["value"], rows["second"]
    fits = (sbp >= 60) & (sbp <= 260) & (dbp >= 30) & (dbp <= 160) & (sbp > dbp)
    nearest = _nearest_clock(rows["clock"][fits], day, 1)
    if nearest is None:
        return np.nan, np.nan
    chosen = fits & (rows["clock"] == nearest)
    chosen &= rows["rank"] == rows["rank"][chosen].min()
    return float(np.median(sbp[chosen])), float(np.median(dbp[chosen]))


def _of_nearest_day(rows: dict[str, Array] | None, day: int) -> float:
    nearest = None if rows is None else _nearest_clock(rows["clock"], day, 1)
    if rows is None or nearest is None:
        return np.nan
    return float(np.median(rows["value"][rows["clock"] == nearest]))


def _nearest(rows: dict[str, Array] | None, time: int) -> float:
    nearest = None if rows is None else _nearest_clock(rows["clock"], time, _DAY)
    if rows is None or nearest is None:
        return np.nan
    return float(rows["value"][np.flatnonzero(rows["clock"] == nearest)[0]])  # the smallest labevent_id


def _egfr(creatinine: Array, records: pd.DataFrame) -> dict[str, Array]:
    """CKD-EPI 2021, N Engl J Med 2021;385:1737."""
    female = records["sex"].to_numpy() == "female"
    ratio = creatinine / np.where(female, 0.7, 0.9)
    slope = np.where(ratio < 1, ratio ** np.where(female, -0.241, -0.302), ratio**-1.2)
    age = records["age_years"].to_numpy()
    value = 142 * slope * 0.9938**age * np.where(female, 1.012, 1.0)
    return {"egfr_ml_min": np.where((records["sex"].to_numpy() == "") | ~(age >= 18), np.nan, value)}


def _diagnosed(
    records: pd.DataFrame, patients: pd.DataFrame, stays: pd.DataFrame, diagnoses: pd.DataFrame
) -> dict[str, Array]:
    names = ("age_at_diabetes_years", "smoker", *_DIAGNOSES)
    found = {name: np.full(len(records), np.nan) for name in names}
    admissions = {cast("int", p): rows["admittime"].to_numpy() for p, rows in stays.groupby("person")}
    coded = {
        cast("int", person): list(
            zip(
                rows["admittime"].to_numpy(),
                map(CODES.get, zip(rows["icd_code"], rows["icd_version"])),
                strict=True,
            )
        )
        for person, rows in diagnoses.groupby("person")
    }
    anchor = patients[["anchor_age", "anchor_year", "listed"]].to_numpy()
    times = records["ecg_time"].to_numpy()
    age = records["age_years"].to_numpy()
    for place, person in enumerate(records["person"].to_numpy()):
        at = times[place]
        if not (admissions.get(person, np.array([], times.dtype)) <= at).any():
            continue
        before = [(when, says or ()) for when, says in coded.get(person, []) if when <= at]
        for name in _DIAGNOSES:
            found[name][place] = float(any(name in says for _, says in before))
        smoking = [(when, says) for when, says in before if "current" in says or "former" in says]
        last = max((when for when, _ in smoking), default=None)
        found["smoker"][place] = float(any(when == last and "current" in says for when, says in smoking))
        written, year, listed = anchor[person]
        if found["diabetes"][place] and listed:
            first = min(when for when, says in before if "diabetes" in says)
            then = written + int(first.astype("datetime64[Y]").astype(int)) + 1970 - year
            found["age_at_diabetes_years"][place] = min(then, 90, age[place])
    return found


def _treated(people: Array, time: Array, prescriptions: pd.DataFrame) -> dict[str, Array]:
    rows = prescriptions[prescriptions["starttime"].notna()]
    by_person = {
        cast("int", person): (
            own["starttime"].to_numpy().astype("datetime64[s]").astype(np.int64),
            own["_class"].to_numpy(),
        )
        for person, own in rows.groupby("person")
    }
    found = {name: np.full(len(people), np.nan) for name in ("bp_treated", "statin")}
    for place, (person, at) in enumerate(zip(people, time, strict=True)):
        if person not in by_person:
            continue
        start, kind = by_person[person]
        inside = (start >= at - BEFORE_DAYS * _DAY) & (start <= at)
        if inside.any():
            for name, column in found.items():
                column[place] = float((kind[inside] == name).any())
    return found
