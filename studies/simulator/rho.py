"""What risk factors can say about simulated disease, by rho: closed form, exposure, a probe from true factors, SCORE2.

    python studies/simulator/rho.py

20,000 patients, nothing missing, no ECG; the probe is a logistic regression of one half judged on the other.
"""

from __future__ import annotations

import argparse

import numpy as np
import pandas as pd
from rich.console import Console
from rich.table import Table
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score

from openclef.risk import SCORES, score2
from openclef.simulator import CONFIGURATIONS, draw_patients, expected_auroc

LABELS = {"af": "atrial", "lvh": "hypertrophy", "low_ef": "dysfunction"}
FACTORS = ("smoker", "diabetes", "sbp_mmhg", "total_chol_mmol_l", "hdl_mmol_l", "bmi", "bp_treated")


def main() -> None:
    """Draw cohorts and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--patients", type=int, default=20_000)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    for configuration in CONFIGURATIONS:
        title = f"Configuration {configuration}: AUROC for disease, {given.patients:,} simulated patients"
        table = Table(
            "rho", "task", "closed form", "exposure", "probe", "SCORE2", "SCORE2 and exposure", title=title
        )
        for rho in (0.0, 0.1, 0.25, 0.4, 0.5, 0.75):
            cohort = draw_patients(
                given.patients, given.seed, configuration=configuration, rho=rho, missing_share=0.0
            )
            score = score2(**{name: cohort[name] for name in SCORES["score2"].inputs}).value
            for label, name in LABELS.items():
                target, damage = cohort[f"sim/{label}"].to_numpy(), cohort[f"truth_{name}_exposure"]
                expected = expected_auroc(rho, CONFIGURATIONS[configuration].diseases[name].prevalence)
                values = (
                    expected,
                    roc_auc_score(target, damage),
                    probe(cohort, target),
                    roc_auc_score(target, score),
                    pd.Series(score).corr(damage, method="spearman"),
                )
                table.add_row(f"{rho:g}", f"sim/{label}", *(f"{value:.3f}" for value in values))
        Console().print(table)


def probe(cohort: pd.DataFrame, target: np.ndarray) -> float:
    """AUROC of a logistic regression from the true risk factors."""
    columns = [cohort[f"truth_{name}"] for name in FACTORS]
    inputs = np.column_stack([cohort["age_years"], cohort["sex"] == "male", *columns]).astype(float)
    inputs = (inputs - inputs.mean(axis=0)) / inputs.std(axis=0)
    half = len(target) // 2
    fit = LogisticRegression(max_iter=1000).fit(inputs[:half], target[:half])
    return float(roc_auc_score(target[half:], fit.predict_proba(inputs[half:])[:, 1]))


if __name__ == "__main__":
    main()
