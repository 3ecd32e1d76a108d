"""Disease of known cause: lifetime damage, a frailty that nobody measures, and a dial between them.

No risk score goes in. SCORE2 and its relatives multiply hazards by exponentials of today's values; here damage
adds up over the years above thresholds, saturates and has synergies. Each disease has a liability

    L = sqrt(rho) E + sqrt(1 - rho) F

of the normal score E of the damage among the configuration's patients and a standard normal frailty F that no
measurement shows. Disease is L above the threshold that gives its prevalence: rho is the share of the liability's
variance that risk factors explain (the liability-threshold model: Falconer, Ann Hum Genet 1965;29:51). At
rho = 0 risk factors say nothing about disease, and `expected_auroc` says what they can say at most at any other. All
this is about first visits: damage grows from visit to visit while frailty stays, so later ones have more disease, and
more of it is explained.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, ndtr, ndtri

from openclef.simulator.configuration import Configuration, Disease
from openclef.simulator.population import draw_people, draw_visits

if TYPE_CHECKING:  # pandas takes long to import; a command's help does without it
    import pandas as pd

Array = NDArray[Any]

MOST_RHO = 0.75
REFERENCE_PATIENTS = 20_000  # whose damage is the scale of everybody's
REFERENCE_SEED = 20_250_101
GRADE_SLOPE = 2.5  # grade .5 at the threshold, about .05 at a liability of 0 and a prevalence of .12


def damage(visits: pd.DataFrame, disease: Disease) -> Array:
    """Return the damage that a life has done towards a disease, (record,), no unit.

    Args:
        visits: Columns age_years, sex, smoker, diabetes, age_at_diabetes_years, usual_sbp_mmhg,
            usual_total_chol_mmol_l, usual_hdl_mmol_l and usual_bmi; nothing unknown but age_at_diabetes_years.
        disease: Weights.

    Example:
        >>> import pandas as pd
        >>> man = {"age_years": 65, "sex": "male", "smoker": 1, "diabetes": 0, "age_at_diabetes_years": np.nan,
        ...        "usual_sbp_mmhg": 132, "usual_total_chol_mmol_l": 6.0, "usual_hdl_mmol_l": 1.4, "usual_bmi": 25}
        >>> damage(pd.DataFrame([man]), Disease(prevalence=0.1, pressure=1.0, lipids=0.5)).round(3).tolist()
        [3.0]
    """
    age = visits["age_years"].to_numpy(float)
    years = (age - 25).clip(0)
    pressure = (visits["usual_sbp_mmhg"].to_numpy(float) - 112).clip(0) / 10 * years / 40
    non_hdl = (visits["usual_total_chol_mmol_l"] - visits["usual_hdl_mmol_l"]).to_numpy(float)
    smoking = visits["smoker"].to_numpy(float) * -np.expm1(-years / 30)
    decades_of_diabetes = ((age - visits["age_at_diabetes_years"].to_numpy(float)) / 10).clip(0)
    sugar = np.where(visits["diabetes"] == 1, 0.6 + 0.5 * np.nan_to_num(decades_of_diabetes), 0.0)
    return (
        disease.pressure * pressure
        + disease.lipids * (non_hdl - 2.6).clip(0) * years / 40
        + disease.smoking * smoking
        + disease.sugar * sugar
        + disease.obesity * (visits["usual_bmi"].to_numpy(float) - 25).clip(0) / 10
        + disease.ageing * ((age - 45).clip(0) / 10) ** 2
        + disease.male * (visits["sex"] == "male").to_numpy(float)
        + disease.synergy * smoking * pressure
    )


def exposure(visits: pd.DataFrame, configuration: Configuration, name: str) -> Array:
    """Return the damage towards a disease as a normal score among the configuration's patients, (record,).

    Args:
        visits: Columns as in `damage`.
        configuration: Whose disease and whose patients.
        name: "hypertrophy", "dysfunction" or "atrial".

    Example:
        >>> from openclef.simulator.configuration import CONFIGURATIONS
        >>> people, chance = draw_people(4000, 3, CONFIGURATIONS["A"])
        >>> scores = exposure(draw_visits(people, chance, 3, 1.0), CONFIGURATIONS["A"], "atrial")
        >>> bool(abs(scores.mean()) < 0.06 and abs(scores.std() - 1) < 0.04)
        True
    """
    return np.interp(damage(visits, configuration.diseases[name]), *_reference(configuration)[name])


@lru_cache(maxsize=16)
def _reference(configuration: Configuration) -> dict[str, tuple[Array, Array]]:
    """Damage in a fixed draw of the configuration's patients and its normal scores, by disease; ties share one."""
    visits = _reference_visits(configuration)
    scales = {}
    for name, disease in configuration.diseases.items():
        values, count = np.unique(damage(visits, disease), return_counts=True)
        scales[name] = (values, ndtri((np.cumsum(count) - count / 2) / count.sum()))
    return scales


def _reference_visits(configuration: Configuration) -> pd.DataFrame:
    people, chance = draw_people(REFERENCE_PATIENTS, REFERENCE_SEED, configuration)
    return draw_visits(people, chance, REFERENCE_SEED, records_per_patient=1.0)


@lru_cache(maxsize=16)
def exposure_correlation(configuration: Configuration) -> Array:
    """Return the correlation of the three exposures among the configuration's patients, (3, 3).

    Example:
        >>> from openclef.simulator.configuration import CONFIGURATIONS
        >>> bool((exposure_correlation(CONFIGURATIONS["A"]) > 0.5).all())
        True
    """
    visits = _reference_visits(configuration)
    return np.corrcoef([exposure(visits, configuration, name) for name in configuration.diseases])


def liabilities(
    visits: pd.DataFrame, chance: Array, configuration: Configuration, rho: float
) -> pd.DataFrame:
    """Return each record's liability to each disease: standard normal among first visits.

    A patient's frailty is constant; damage grows from visit to visit.

    Args:
        visits: Records from `draw_visits`.
        chance: (patient, 4) uniform numbers of the patients.
        configuration: Diseases.
        rho: Share of the liability's variance that risk factors explain, 0..0.75.

    Returns:
        One column a disease, one row a record.

    Example:
        >>> from openclef.simulator.configuration import CONFIGURATIONS
        >>> people, chance = draw_people(10, 3, CONFIGURATIONS["A"])
        >>> visits = draw_visits(people, chance, 3, 1.0)
        >>> list(liabilities(visits, chance[:, :4], CONFIGURATIONS["A"], rho=0.5))
        ['hypertrophy', 'dysfunction', 'atrial']
    """
    import pandas as pd

    normal = ndtri(chance)[visits["patient"].to_numpy()]
    shared = configuration.shared_frailty
    frailty = np.sqrt(shared) * normal[:, :1] + np.sqrt(1 - shared) * normal[:, 1:]
    return pd.DataFrame(
        {
            name: np.sqrt(rho) * exposure(visits, configuration, name) + np.sqrt(1 - rho) * frailty[:, column]
            for column, name in enumerate(configuration.diseases)
        }
    )


def threshold(prevalence: float) -> float:
    """Return the liability above which a disease of this prevalence begins.

    Example:
        >>> round(threshold(0.1), 3)
        1.282
    """
    return float(-ndtri(prevalence))


def grade(liability: Array, prevalence: float) -> Array:
    """Return how far a disease has gone: 0 none, .5 where it begins, 1 marked; without a jump.

    Example:
        >>> grade(np.array([0.0, threshold(0.1), 3.0]), 0.1).round(2).tolist()
        [0.04, 0.5, 0.99]
    """
    return expit(GRADE_SLOPE * (liability - threshold(prevalence)))


def ejection_fraction(liability: Array, prevalence: float) -> Array:
    """Return LVEF in %: 40 where dysfunction begins, about 57 at a liability of 0, 10 at least; one decimal.

    Example:
        >>> ejection_fraction(np.array([0.0, threshold(0.1), 2.0]), 0.1).tolist()
        [56.6, 40.0, 21.7]
    """
    beyond = liability - threshold(prevalence)
    percent = (68 - 28 * np.exp(0.7 * beyond)).clip(10).round(1)
    return np.where(beyond > 0, np.minimum(percent, 39.9), np.maximum(percent, 40.0))


def expected_auroc(rho: float, prevalence: float) -> float:
    """Return the AUROC of the exposure, the best that risk factors can do, for a disease of this prevalence.

    With p(e) = Phi((sqrt(rho) e - t) / sqrt(1 - rho)) the chance of disease at exposure e, it is the integral of
    phi(e) p(e) Q(e) over e, divided by P (1 - P), where Q(e) is the share of people below e and without disease.

    Args:
        rho: Share of the liability's variance that risk factors explain, 0..1 (1 left out).
        prevalence: Share with the disease, 0..1 (both left out).

    Returns:
        AUROC, .5 at rho = 0.

    Raises:
        ValueError: rho or prevalence out of range.

    Example:
        >>> [round(expected_auroc(rho, 0.1), 3) for rho in (0.0, 0.25, 0.5, 0.75)]
        [0.5, 0.771, 0.876, 0.948]
    """
    if not 0 <= rho < 1:
        raise ValueError(f"rho is {rho}; accepted are 0 to 1, without 1; pass another rho.")
    if not 0 < prevalence < 1:
        raise ValueError(f"prevalence is {prevalence}; accepted are values between 0 and 1; pass another.")
    e = np.linspace(-9, 9, 18_001)
    density = np.exp(-0.5 * e**2) / np.sqrt(2 * np.pi)
    sick = ndtr((np.sqrt(rho) * e - threshold(prevalence)) / np.sqrt(1 - rho))
    step = e[1] - e[0]
    healthy = density * (1 - sick)
    below = np.cumsum(healthy) - healthy / 2
    return float(np.sum(density * sick * below) * step**2 / (prevalence * (1 - prevalence)))
