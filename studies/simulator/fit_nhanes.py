"""Fit the simulator's risk factors to NHANES 2009-2012, and print the constants of openclef/simulator/population.py.

    python studies/simulator/fit_nhanes.py --data ../shared/data/nhanes/nhanes_2009_2012_adults.csv

Ordinary least squares of the logarithms of SBP, total cholesterol, HDL and BMI, logistic regressions of diabetes and
smoking, on age, sex and (for the measurements) diabetes; and the correlations of what is left.
"""

from __future__ import annotations

import argparse

import numpy as np
import pandas as pd
from sklearn.linear_model import LogisticRegression

MEASURED = ("sbp_mmhg", "total_chol_mmol_l", "hdl_mmol_l", "bmi")


def main() -> None:
    """Fit and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", required=True, help="CSV of NHANES adults")
    people = pd.read_csv(parser.parse_args().data)
    decades = (people["age_years"] - 55) / 10
    male = (people["sex"] == "male").astype(float)
    print(f"{len(people):,} adults; a = (age - 55) / 10, m = 1 for men")

    few = np.stack([decades, decades**2, male], axis=1)
    for name in ("diabetes", "current_smoker"):
        known = people[name].notna().to_numpy()
        fit = LogisticRegression(C=np.inf).fit(few[known], people.loc[known, name])
        print(f"logit {name}, of 1, a, a^2, m: {_listed([*fit.intercept_, *fit.coef_[0]])}")

    many = np.column_stack(
        [np.ones(len(people)), decades, decades**2, male, male * decades, people["diabetes"]]
    )
    known = np.isfinite(many).all(axis=1) & people[list(MEASURED)].notna().all(axis=1).to_numpy()
    logs = np.log(people.loc[known, list(MEASURED)].to_numpy())
    coefficients, *_ = np.linalg.lstsq(many[known], logs, rcond=None)
    residual = logs - many[known] @ coefficients
    for name, column, spread in zip(MEASURED, coefficients.T, residual.std(axis=0)):
        print(f"log {name}, of 1, a, a^2, m, m a, diabetes: {_listed(column)}; residual sd {spread:.3f}")
    print(f"correlation of residuals ({', '.join(MEASURED)}; {known.sum():,} adults):")
    for row in np.corrcoef(residual.T):
        print(f"  {_listed(row, 2)}")


def _listed(values: object, digits: int = 3) -> str:
    return ", ".join(f"{value:.{digits}f}" for value in np.asarray(values))


if __name__ == "__main__":
    main()
