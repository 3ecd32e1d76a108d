"""Disease: what rho means, and that no score is in it."""

from __future__ import annotations

import ast
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import multivariate_normal, norm
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score

import openclef.simulator
from openclef.simulator.configuration import CONFIGURATIONS
from openclef.simulator.disease import ejection_fraction, expected_auroc, grade, threshold
from openclef.simulator.patients import draw_patients

FACTORS = ("smoker", "diabetes", "sbp_mmhg", "total_chol_mmol_l", "hdl_mmol_l", "bmi", "bp_treated")
LABELS = {"af": "atrial", "lvh": "hypertrophy", "low_ef": "dysfunction"}


def of_cohort(rho: float, configuration: str = "A", patients: int = 20_000):
    return draw_patients(patients, 17, configuration=configuration, rho=rho, missing_share=0.0)


def factors_of(cohort) -> np.ndarray:
    columns = [cohort[f"truth_{name}"] for name in FACTORS]
    values = np.column_stack([cohort["age_years"], cohort["sex"] == "male", *columns]).astype(float)
    return (values - values.mean(axis=0)) / values.std(axis=0)


def probe(cohort, label: str) -> float:
    """AUROC of a logistic regression from the true risk factors, trained on one half, on the other."""
    inputs, target = factors_of(cohort), cohort[f"sim/{label}"].to_numpy()
    half = len(target) // 2
    fit = LogisticRegression(max_iter=1000).fit(inputs[:half], target[:half])
    return roc_auc_score(target[half:], fit.predict_proba(inputs[half:])[:, 1])


@pytest.mark.parametrize("rho", [0.0, 0.1, 0.4, 0.75])
@pytest.mark.parametrize("prevalence", [0.05, 0.2, 0.5])
def test_expected_auroc_is_an_orthant_of_three_normals(rho: float, prevalence: float) -> None:
    # P(E1 > E2, L1 > t, L2 < t) / (P (1 - P)): E1 - E2 correlates with L1 by sqrt(rho / 2), with L2 by minus that
    t, r = norm.isf(prevalence), np.sqrt(rho / 2)
    covariance = [[1, r, r], [r, 1, 0], [r, 0, 1]]  # of -(E1 - E2) / sqrt(2), -L1 and L2
    joint = multivariate_normal([0, 0, 0], covariance, abseps=1e-7, releps=1e-7).cdf([0, -t, t])
    assert expected_auroc(rho, prevalence) == pytest.approx(joint / (prevalence * (1 - prevalence)), abs=2e-4)


@pytest.mark.parametrize("configuration", ["A", "B"])
def test_without_rho_true_risk_factors_say_nothing(configuration: str) -> None:
    cohort = of_cohort(0.0, configuration)
    for label in LABELS:
        # standard error of an AUROC at chance with n1 and n0 test patients
        positives = cohort[f"sim/{label}"].iloc[10_000:].sum()
        error = np.sqrt(10_001 / (12 * positives * (10_000 - positives)))
        assert abs(probe(cohort, label) - 0.5) < 3.5 * error


@pytest.mark.parametrize("configuration", ["A", "B"])
def test_auroc_rises_with_rho_as_computed(configuration: str) -> None:
    diseases = CONFIGURATIONS[configuration].diseases
    for label, name in LABELS.items():
        reached = []
        for rho in (0.2, 0.5, 0.75):
            cohort = of_cohort(rho, configuration)
            expected = expected_auroc(rho, diseases[name].prevalence)
            found = roc_auc_score(cohort[f"sim/{label}"], cohort[f"truth_{name}_exposure"])
            assert found == pytest.approx(expected, abs=0.015)
            assert expected - 0.035 < probe(cohort, label) < expected + 0.015
            reached.append(found)
        assert reached == sorted(reached)


def test_liability_and_prevalence_are_as_said() -> None:
    for rho in (0.0, 0.4, 0.75):
        cohort = of_cohort(rho)
        for label, name in LABELS.items():
            liability = cohort[f"truth_{name}_liability"]
            assert abs(liability.mean()) < 0.03
            assert liability.std() == pytest.approx(1, abs=0.03)
            correlation = np.corrcoef(liability, cohort[f"truth_{name}_exposure"])[0, 1]
            assert correlation**2 == pytest.approx(rho, abs=0.03)
            prevalence = CONFIGURATIONS["A"].diseases[name].prevalence
            assert cohort[f"sim/{label}"].mean() == pytest.approx(prevalence, abs=0.01)


def test_another_rho_is_about_the_same_people() -> None:
    first, second = of_cohort(0.0, patients=50), of_cohort(0.6, patients=50)
    assert first["truth_sbp_mmhg"].equals(second["truth_sbp_mmhg"])
    assert not np.allclose(first["truth_atrial_liability"], second["truth_atrial_liability"])


def test_preexcitation_is_unrelated_to_everything() -> None:
    cohort = of_cohort(0.75)
    for column in (
        "age_years",
        "truth_sbp_mmhg",
        "sim/low_ef",
        "truth_atrial_exposure",
        "truth_hypertrophy_liability",
    ):
        assert abs(np.corrcoef(cohort["sim/preexcitation"], cohort[column])[0, 1]) < 4 / np.sqrt(len(cohort))


def test_low_ef_is_lvef_under_40_and_grades_have_no_jump() -> None:
    cohort = of_cohort(0.4)
    assert ((cohort["sim/lvef"] < 40) == (cohort["sim/low_ef"] == 1)).all()
    assert 52 < cohort["sim/lvef"].median() < 60
    liability = np.linspace(-4, 4, 8001)
    assert np.abs(np.diff(grade(liability, 0.1))).max() < 0.001
    assert np.abs(np.diff(ejection_fraction(liability, 0.1))).max() <= 0.2
    assert grade(np.array([threshold(0.1)]), 0.1)[0] == 0.5


def test_no_score_goes_into_the_disease() -> None:
    folder = Path(openclef.simulator.__file__).parent
    for path in folder.glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            names = []
            if isinstance(node, ast.ImportFrom):
                names = [node.module or "", *(f"{node.module}.{alias.name}" for alias in node.names)]
            names += [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            assert not any(name.startswith("openclef.risk") for name in names), path.name


@pytest.mark.parametrize(
    ("wrong", "message"), [((-0.1, 0.1), "rho is"), ((1.0, 0.1), "rho is"), ((0.2, 0), "prevalence is")]
)
def test_expected_auroc_refuses_what_it_cannot_be_asked(wrong: tuple, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        expected_auroc(*wrong)


def test_ties_share_the_middle_of_their_ranks() -> None:
    # people without any damage would otherwise all stand at the top of the tie
    cohort = draw_patients(60_000, 3, rho=0.4, missing_share=0.0)
    for name in LABELS.values():
        exposure = cohort[f"truth_{name}_exposure"]
        assert abs(exposure.mean()) < 0.015
        assert exposure.std() == pytest.approx(1, abs=0.02)
