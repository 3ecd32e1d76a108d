"""How fast are the risk scores? Rows a second, beside a plain loop over patients, in one run on this machine.

python benchmarks/risk_scores.py [--rows 1000000] [--repeats 3]

Every score of `openclef.risk` for simulated patients with gaps, as numpy columns with sex as text; then SCORE2 with
sex in other storage, and all scores of a pandas table. The loop is SCORE2's formula written with `math` for one
patient at a time, on fewer rows; its values have to equal the score's.
"""

from __future__ import annotations

import argparse
import math
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd

from openclef.risk import SCORES, score2, score_table
from openclef.risk import esc_2021 as esc

LOOPED = 20_000  # rows of the plain loop


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--repeats", type=int, default=3)
    given = parser.parse_args()
    people = patients(given.rows)

    print(f"{given.rows:,} patients, best of {given.repeats}, CPU time of one process")
    print("| score | seconds | rows/s |\n| --- | --- | --- |")
    for name, score in SCORES.items():
        inputs = {one: people[one] for one in score.inputs}
        seconds = best(lambda: score.function(**inputs), given.repeats)  # noqa: B023 (called at once)
        print(f"| {name} | {seconds:.2f} | {given.rows / seconds:,.0f} |")

    inputs = {one: people[one] for one in SCORES["score2"].inputs}
    print("\n| score2 with sex as | seconds |\n| --- | --- |")
    for storage, sex in storages(people["sex"]).items():
        seconds = best(lambda: score2(**(inputs | {"sex": sex})), given.repeats)  # noqa: B023
        print(f"| {storage} | {seconds:.2f} |")

    frame = pd.DataFrame(people)
    seconds = best(lambda: score_table(frame), 1)
    print(f"\nscore_table of all {len(SCORES)} scores: {seconds:.1f} s, {given.rows / seconds:,.0f} rows/s")

    few = {one: column[:LOOPED] for one, column in inputs.items()}
    rows = [dict(zip(few, row)) for row in zip(*(column.tolist() for column in few.values()))]
    looped = [plain_score2(**row) for row in rows]
    np.testing.assert_allclose(looped, score2(**few).value, rtol=1e-12)
    slow = best(lambda: [plain_score2(**row) for row in rows], given.repeats) / len(rows)
    fast = best(lambda: score2(**inputs), given.repeats) / given.rows
    print(
        f"plain loop of score2: {1 / slow:,.0f} rows/s; openclef: {1 / fast:,.0f} rows/s, {slow / fast:.0f} times"
    )


def best(call: Callable[[], Any], repeats: int) -> float:
    """Least CPU time of several calls, in seconds."""
    times = []
    for _ in range(repeats):
        begin = time.process_time()
        call()
        times.append(time.process_time() - begin)
    return min(times)


def patients(rows: int) -> dict[str, np.ndarray]:
    """Columns of simulated patients: every input of every score, a fifth of each unknown but age and sex."""
    draw = np.random.default_rng(0)

    def gaps(values: np.ndarray) -> np.ndarray:
        return np.where(draw.random(rows) < 0.2, np.nan, values)

    def spread(mean: float, sd: float, low: float, high: float) -> np.ndarray:
        return draw.normal(mean, sd, rows).clip(low, high)

    yes_no = (
        *("smoker", "diabetes", "bp_treated", "statin"),
        *("heart_failure", "hypertension", "stroke", "vascular_disease"),
    )
    age = draw.uniform(20, 95, rows)
    return {
        "age_years": age,
        "sex": np.array(["female", "male"])[draw.integers(0, 2, rows)],
        "sbp_mmhg": gaps(spread(130, 18, 80, 220)),
        "total_chol_mmol_l": gaps(spread(5.2, 1.1, 2.5, 12)),
        "hdl_mmol_l": gaps(spread(1.4, 0.35, 0.4, 2.4)),
        "age_at_diabetes_years": gaps(age * draw.uniform(0.6, 1, rows)),
        "hba1c_mmol_mol": gaps(spread(40, 10, 20, 130)),
        "egfr_ml_min": gaps(spread(85, 20, 10, 150)),
        "bmi": gaps(spread(27, 5, 15, 60)),
        **{name: gaps((draw.random(rows) < 0.2).astype(float)) for name in yes_no},
    }


def storages(sex: np.ndarray) -> dict[str, Any]:
    """The same text, as it comes out of different libraries."""
    return {
        "numpy str": sex,
        "numpy object": sex.astype(object),
        "pandas str": pd.Series(sex),
        "pandas object": pd.Series(sex.astype(object), dtype=object),
        "pandas string[pyarrow]": pd.Series(sex, dtype="string[pyarrow]"),
        "pandas category": pd.Series(sex, dtype="category"),
        "list": sex.tolist(),
    }


def plain_score2(
    age_years: float,
    sex: str,
    smoker: float,
    diabetes: float,
    sbp_mmhg: float,
    total_chol_mmol_l: float,
    hdl_mmol_l: float,
) -> float:
    """SCORE2 and SCORE2-OP of one patient in a low-risk region, as one would first write it."""
    age = min(max(age_years, 18.0), 100.0)
    older = age >= 70
    smoker = 0.0 if math.isnan(smoker) else smoker
    diabetes = 0.0 if math.isnan(diabetes) else diabetes
    sbp = (150.0 if older else 120.0) if math.isnan(sbp_mmhg) else sbp_mmhg
    total = 6.0 if math.isnan(total_chol_mmol_l) else total_chol_mmol_l
    hdl = (1.4 if older else 1.3) if math.isnan(hdl_mmol_l) else hdl_mmol_l
    if older:
        beta, survival = esc.SCORE2_OP_COEFFICIENTS[sex], esc.SCORE2_OP_BASELINE_SURVIVAL[sex]
        mean, scales = esc.SCORE2_OP_MEAN[sex], esc.SCORE2_OP_SCALES[sex]["low"]
        a, b, t, h = age - 73, sbp - 150, total - 6, hdl - 1.4
    else:
        beta, survival = esc.SCORE2_COEFFICIENTS[sex], esc.SCORE2_BASELINE_SURVIVAL[sex]
        mean, scales = 0.0, esc.SCORE2_SCALES[sex]["low"]
        a, b, t, h = (age - 60) / 5, (sbp - 120) / 20, total - 6, (hdl - 1.3) / 0.5
    predictor = (
        beta["age"] * a
        + (beta["smoker"] + beta["age*smoker"] * a) * smoker
        + (beta["diabetes"] + beta["age*diabetes"] * a) * diabetes
        + (beta["sbp"] + beta["age*sbp"] * a) * b
        + (beta["total_chol"] + beta["age*total_chol"] * a) * t
        + (beta["hdl"] + beta["age*hdl"] * a) * h
    )
    uncalibrated = 1 - survival ** math.exp(predictor - mean)
    return 1 - math.exp(-math.exp(scales[0] + scales[1] * math.log(-math.log(1 - uncalibrated))))


if __name__ == "__main__":
    main()
