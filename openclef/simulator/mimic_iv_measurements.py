"""What a hospital measured of the simulated patients: rows of MIMIC-IV's tables omr and labevents, with their traps.

Each row has the text as it is written, and in columns that begin with ``_`` what it means: its value in openclef's
unit, NaN where it must not count. The truth is computed from these, not from the text.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:  # pandas takes long to import; a command's help does without it
    import pandas as pd

Array = NDArray[Any]

__all__ = ["LABS", "draw_labs", "draw_omr"]

AFTER_DAYS, BEFORE_DAYS = 30, 365  # the window in which a value belongs to an ECG
MG_DL_TO_MMOL_L = 0.02586
KG_A_LB, CM_AN_INCH = 0.45359237, 2.54
_SEATED = ("Blood Pressure", "Blood Pressure Sitting")
_STANDING = ("Blood Pressure Standing", "Blood Pressure Standing (1 min)", "Blood Pressure Standing (3 mins)")
_NOT_PRESSURES = ("___", "unable", "120/", "/80", "130-80", "300/20", "80/120", "")
_NOT_NUMBERS = ("___", "<10", "ERROR", "HEMOLYZED", ">1000", "")


class Lab(NamedTuple):
    """A laboratory value as it is written: item, label, usual unit, and another unit that some rows have.

    Example:
        >>> round(240 * LABS["total_chol_mmol_l"].factor, 2)
        6.21
    """

    itemid: int
    label: str
    unit: str
    decimals: int
    factor: float
    plus: float
    other_unit: str
    other_factor: float


LABS = {
    "total_chol_mmol_l": Lab(50907, "Cholesterol, Total", "mg/dL", 0, MG_DL_TO_MMOL_L, 0.0, "mmol/L", 1.0),
    "hdl_mmol_l": Lab(50904, "Cholesterol, HDL", "mg/dL", 0, MG_DL_TO_MMOL_L, 0.0, "mmol/L", 1.0),
    "hba1c_mmol_mol": Lab(50852, "% Hemoglobin A1c", "%", 1, 10.93, -23.5, "mmol/mol", 1.0),
    "creatinine_mg_dl": Lab(50912, "Creatinine", "mg/dL", 1, 1.0, 0.0, "umol/L", 1 / 88.42),
}
"""The values of labevents: value = number * factor + plus in the usual unit, number * other_factor in the other."""


def draw_omr(records: pd.DataFrame, truth: pd.DataFrame, rng: np.random.Generator) -> pd.DataFrame:
    """Draw the rows of omr: blood pressure, height, weight, BMI.

    Args:
        records: of `place_in_time`.
        truth: columns sbp_mmhg and bmi (NaN: was not measured), row by row as records.
        rng: what is drawn from.

    Returns:
        person, subject_id, chartdate (datetime64[D] as datetime64[s]), seq_num, result_name, result_value as written;
        ``_kind`` (pressure, height_cm, weight_kg, bmi), ``_rank`` (posture, 1 first), ``_value`` (SBP, or the
        value), ``_second`` (DBP).

    Example:
        >>> import pandas as pd
        >>> from openclef.simulator.mimic_iv_people import place_in_time
        >>> from openclef.simulator.patients import draw_patients
        >>> cohort, rng = draw_patients(40, seed=0), np.random.default_rng(0)
        >>> rows = draw_omr(place_in_time(cohort, rng)[0], cohort[["sbp_mmhg", "bmi"]], rng)
        >>> sorted(rows["_kind"].unique())
        ['bmi', 'height_cm', 'pressure', 'weight_kg']
    """
    import pandas as pd

    day = records["ecg_time"].to_numpy().astype("datetime64[D]")
    parts = _pressures(truth["sbp_mmhg"].to_numpy(), day, rng) + _sizes(
        records, truth["bmi"].to_numpy(), day, rng
    )
    rows = pd.concat([pd.DataFrame(part) for part in parts], ignore_index=True)
    record = rows.pop("record").to_numpy()
    for name in ("person", "subject_id"):
        rows[name] = records[name].to_numpy()[record]
    rows = rows.sort_values(["person", "chartdate"], kind="stable", ignore_index=True)
    rows["seq_num"] = rows.groupby(["person", "chartdate", "result_name"]).cumcount() + 1
    return rows


def _near_days(count: int, rng: np.random.Generator) -> Array:
    """Days from the ECG, within the window and mostly near."""
    near = np.round(rng.laplace(0, 40, count))
    return np.clip(near, -BEFORE_DAYS, AFTER_DAYS).astype(int)


def _pressures(sbp: Array, day: Array, rng: np.random.Generator) -> list[dict[str, Any]]:
    def rows(
        record: Array, days: Array, names: Array, sbp_now: Array, dbp_now: Array, rank: int
    ) -> dict[str, Any]:
        written = [f"{s:.0f}/{d:.0f}" for s, d in zip(sbp_now, dbp_now, strict=True)]
        return {
            "record": record,
            "chartdate": day[record] + days,
            "result_name": names,
            "result_value": written,
            "_kind": "pressure",
            "_rank": rank,
            "_value": sbp_now,
            "_second": dbp_now,
        }

    known = np.flatnonzero(~np.isnan(sbp))
    days = _near_days(len(known), rng)
    dbp = np.clip(np.round(0.45 * sbp[known] + 18 + rng.normal(0, 6, len(known))), 35, 150)
    dbp = np.minimum(dbp, sbp[known] - 12)
    spread = rng.integers(1, 5, len(known))
    readings = rng.integers(1, 4, len(known))
    named = rng.random(len(known))
    parts = []
    for shift in (0, 1, -1):  # three readings, or two at equal distances, or one: the median is the truth
        has = {0: readings != 2, 1: readings >= 2, -1: readings >= 2}[shift]
        at = known[has]
        step = shift * spread[has]
        for rank, names, part in ((1, _SEATED, named >= 0.05), (2, ("Blood Pressure Lying",), named < 0.05)):
            chosen = part[has]
            parts.append(
                rows(
                    at[chosen],
                    days[has][chosen],
                    rng.choice(names, int(chosen.sum())),
                    (sbp[at] + step)[chosen],
                    (dbp[has] + step)[chosen],
                    rank,
                )
            )
    standing = rng.random(len(known)) < 0.25
    at = known[standing]
    parts.append(rows(at, days[standing], rng.choice(_STANDING, len(at)), sbp[at] - 8, dbp[standing] - 3, 3))
    further = np.flatnonzero(rng.random(len(known)) < 0.4)
    beyond = np.where(days[further] >= 0, days[further] + 1, days[further] - 1)
    beyond += np.sign(beyond + 0.5).astype(int) * rng.integers(0, 60, len(further))
    parts.append(
        rows(
            known[further],
            beyond,
            rng.choice(_SEATED, len(further)),
            sbp[known[further]] + 9,
            dbp[further] + 2,
            1,
        )
    )
    tied = np.flatnonzero((rng.random(len(known)) < 0.3) & (days < 0) & (days >= -AFTER_DAYS))
    parts.append(
        rows(known[tied], -days[tied], rng.choice(_SEATED, len(tied)), sbp[known[tied]] + 7, dbp[tied] + 1, 1)
    )
    anyone = np.flatnonzero(rng.random(len(day)) < 0.2)  # too early or too late by a day or more
    outside = np.where(rng.random(len(anyone)) < 0.5, -BEFORE_DAYS - 1, AFTER_DAYS + 1)
    outside += np.sign(outside) * rng.integers(0, 300, len(anyone))
    parts.append(
        rows(
            anyone,
            outside,
            rng.choice(_SEATED, len(anyone)),
            np.full(len(anyone), 133.0),
            np.full(len(anyone), 71.0),
            1,
        )
    )
    broken = np.flatnonzero(rng.random(len(day)) < 0.15)
    nothing = np.full(len(broken), np.nan)
    unread = rows(broken, np.zeros(len(broken), int), rng.choice(_SEATED, len(broken)), nothing, nothing, 1)
    parts.append(unread | {"result_value": rng.choice(_NOT_PRESSURES, len(broken))})
    return parts


def _sizes(records: pd.DataFrame, bmi: Array, day: Array, rng: np.random.Generator) -> list[dict[str, Any]]:
    """Height, weight and BMI; some have height and weight only."""

    def rows(
        kind: str, name: Array, record: Array, days: Array, written: list[str], value: Array
    ) -> dict[str, Any]:
        return {
            "record": record,
            "chartdate": day[record] + days,
            "result_name": name,
            "result_value": written,
            "_kind": kind,
            "_rank": 1,
            "_value": value,
            "_second": np.nan,
        }

    known = np.flatnonzero(~np.isnan(bmi))
    days = _near_days(len(known), rng)
    persons = int(records["person"].max()) + 1
    tall = np.round(rng.normal(66.5, 3.5, persons).clip(55, 78) * 2) / 2
    inches = tall[records["person"].to_numpy()[known]]
    pounds = np.round(bmi[known] * (inches * CM_AN_INCH / 100) ** 2 / KG_A_LB, 1)
    parts = []
    has = rng.random(len(known)) < 0.6
    names = rng.choice(("Height (Inches)", "Height"), int(has.sum()), p=(0.9, 0.1))
    written = [f"{value:g}" for value in inches[has]]
    parts.append(rows("height_cm", names, known[has], days[has], written, inches[has] * CM_AN_INCH))
    has = rng.random(len(known)) < 0.8
    names = rng.choice(("Weight (Lbs)", "Weight"), int(has.sum()), p=(0.9, 0.1))
    written = [f"{value:g}" for value in pounds[has]]
    parts.append(rows("weight_kg", names, known[has], days[has], written, pounds[has] * KG_A_LB))
    has = rng.random(len(known)) < 0.75
    names = rng.choice(("BMI (kg/m2)", "BMI"), int(has.sum()), p=(0.9, 0.1))
    parts.append(
        rows(
            "bmi",
            names,
            known[has],
            days[has],
            [f"{v:.1f}" for v in bmi[known][has]],
            np.round(bmi[known][has], 1),
        )
    )
    for kind, name, wrong in (
        ("height_cm", "Height (Inches)", "1.70"),
        ("weight_kg", "Weight (Lbs)", "___"),
        ("bmi", "BMI (kg/m2)", "999"),
    ):
        broken = np.flatnonzero(rng.random(len(day)) < 0.05)
        nothing = np.full(len(broken), np.nan)
        parts.append(
            rows(
                kind,
                np.full(len(broken), name),
                broken,
                np.zeros(len(broken), int),
                [wrong] * len(broken),
                nothing,
            )
        )
    return parts


def draw_labs(records: pd.DataFrame, truth: pd.DataFrame, rng: np.random.Generator) -> pd.DataFrame:
    """Draw the rows of labevents that matter: lipids, HbA1c, creatinine.

    Args:
        records: of `place_in_time`.
        truth: the columns of `LABS` (NaN: was not measured), row by row as records.
        rng: what is drawn from.

    Returns:
        person, subject_id, itemid, charttime (NaT: not written), value, valuenum, valueuom as written; ``_kind`` (the
        column of openclef) and ``_value``. Rows stand in the order in which they get their labevent_id.

    Example:
        >>> from openclef.simulator.mimic_iv_people import place_in_time
        >>> from openclef.simulator.patients import draw_patients
        >>> cohort, rng = draw_patients(40, seed=0), np.random.default_rng(0)
        >>> cohort["creatinine_mg_dl"] = 1.0
        >>> rows = draw_labs(place_in_time(cohort, rng)[0], cohort[list(LABS)], rng)
        >>> sorted(rows["itemid"].unique().tolist())
        [50852, 50904, 50907, 50912]
    """
    import pandas as pd

    time = records["ecg_time"].to_numpy().astype("datetime64[s]").astype(np.int64)
    parts = [
        pd.DataFrame(part)
        for name, lab in LABS.items()
        for part in _lab(name, lab, truth[name].to_numpy(), time, rng)
    ]
    rows = pd.concat(parts, ignore_index=True)
    record = rows.pop("record").to_numpy()
    for name in ("person", "subject_id"):
        rows[name] = records[name].to_numpy()[record]
    rows["charttime"] = rows["charttime"].to_numpy(np.int64).astype("datetime64[s]")
    rows.loc[rng.random(len(rows)) < 0.003, ["charttime", "_value"]] = (pd.NaT, np.nan)
    return rows.sort_values(["person", "charttime"], kind="stable", ignore_index=True)


def _lab(name: str, lab: Lab, value: Array, time: Array, rng: np.random.Generator) -> list[dict[str, Any]]:
    day = 86_400

    def rows(record: Array, seconds: Array, number: Array, counts: bool = True) -> dict[str, Any]:
        """Rows in the usual unit; a twentieth in the other, a thirtieth with the number in the column value only."""
        other = rng.random(len(record)) < 0.05
        in_other = (number * lab.factor + lab.plus) / lab.other_factor
        shown = np.where(other, np.round(in_other, 2), number)
        meant = np.where(other, shown * lab.other_factor, number * lab.factor + lab.plus)
        bare = rng.random(len(record)) < 0.03
        return {
            "record": record,
            "itemid": lab.itemid,
            "charttime": time[record] + seconds,
            "value": [f"{each:g}" for each in shown],
            "valuenum": np.where(bare, np.nan, shown),
            "valueuom": np.where(
                other, lab.other_unit, np.where(rng.random(len(record)) < 0.02, "", lab.unit)
            ),
            "_kind": name,
            "_value": meant if counts else np.nan,
        }

    known = np.flatnonzero(~np.isnan(value))
    number = np.round((value[known] - lab.plus) / lab.factor, lab.decimals)
    seconds = np.clip(rng.laplace(0, 20, len(known)) * day, -BEFORE_DAYS * day, AFTER_DAYS * day).astype(
        np.int64
    )
    seconds = seconds // 60 * 60
    step = 10.0**-lab.decimals
    parts = [rows(known, seconds, number)]
    same = np.flatnonzero(rng.random(len(known)) < 0.05)  # at the same time, with a later labevent_id
    parts.append(rows(known[same], seconds[same], number[same] + 3 * step))
    tied = np.flatnonzero((rng.random(len(known)) < 0.2) & (seconds < 0) & (seconds >= -AFTER_DAYS * day))
    parts.append(rows(known[tied], -seconds[tied], number[tied] + 5 * step))
    further = np.flatnonzero(rng.random(len(known)) < 0.4)
    beyond = seconds[further] + np.sign(seconds[further] + 0.5).astype(int) * rng.integers(
        60, 90 * day, len(further)
    )
    parts.append(rows(known[further], beyond // 60 * 60, number[further] + 7 * step))
    anyone = np.flatnonzero(rng.random(len(value)) < 0.1)
    early = rng.random(len(anyone)) < 0.5
    outside = np.where(early, -BEFORE_DAYS * day - 60, AFTER_DAYS * day + 60)
    outside = outside + np.sign(outside) * rng.integers(0, 400, len(anyone)) * day
    usual = np.full(len(anyone), np.round((_USUAL[name] - lab.plus) / lab.factor, lab.decimals))
    parts.append(rows(anyone, outside, usual))
    nearer = np.flatnonzero(
        rng.random(len(value)) < 0.1
    )  # text, an impossible value, a unit that nobody knows
    what = rng.integers(0, 3, len(nearer))
    text = rng.choice(_NOT_NUMBERS, len(nearer))
    for wrong in range(3):
        at = nearer[what == wrong]
        part = rows(at, np.zeros(len(at), np.int64), np.full(len(at), 1.0), counts=False)
        part |= {"valueuom": lab.unit, "value": text[what == wrong], "valuenum": np.nan}
        if wrong:
            part |= {"value": "99999" if wrong == 1 else "2", "valuenum": 99999.0 if wrong == 1 else 2.0}
        parts.append(part | ({"valueuom": "furlongs"} if wrong == 2 else {}))
    return parts


_USUAL = {"total_chol_mmol_l": 5.0, "hdl_mmol_l": 1.3, "hba1c_mmol_mol": 38.0, "creatinine_mg_dl": 0.9}
