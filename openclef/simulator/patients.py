"""Simulated patients with everything about them in one table: what a hospital knows, what it lost, and the truth.

Example:
    >>> draw_patients(3, seed=0)["subject_id"].tolist()
    ['S000000', 'S000001', 'S000002']
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from openclef.simulator.configuration import Configuration, chosen_configuration
from openclef.simulator.disease import (
    MOST_RHO,
    ejection_fraction,
    exposure,
    exposure_correlation,
    grade,
    liabilities,
    threshold,
)
from openclef.simulator.missingness import GROUPS, KINDS, hide, shares_of
from openclef.simulator.population import draw_people, draw_visits
from openclef.statistics import check_counts

if TYPE_CHECKING:  # pandas takes long to import; a command's help does without it
    import pandas as pd

Array = NDArray[Any]

__all__ = ["HIDDEN", "KNOWN", "draw_patients"]

KNOWN = ("subject_id", "split", "hospital", "years_since_first", "age_years", "sex")
HIDDEN = tuple(name for names in GROUPS.values() for name in names)  # may be; the truth is in "truth_<name>"


def draw_patients(
    patients: int,
    seed: int = 0,
    *,
    configuration: str | Configuration = "A",
    rho: float = 0.4,
    records_per_patient: float = 1.0,
    missing_share: float | Mapping[str, float] = 0.3,
    missing_kind: str = "at_random",
) -> pd.DataFrame:
    """Draw a cohort: risk factors, disease that knows no score, missing values, and the truth.

    A patient depends on the seed and the own number only: a larger cohort begins with the smaller one, and other
    missing values or another rho are about the same people.

    Args:
        patients: Number of patients.
        seed: Seed.
        configuration: "A", "B" or a `Configuration`.
        rho: Share of the liability to disease that risk factors explain, 0..0.75.
        records_per_patient: Mean number of records of a patient, 1 or more.
        missing_share: Share of unknown values, one for all or by group (`missingness.GROUPS`).
        missing_kind: "at_random", or "healthy": more often unknown in those who were healthy at the first visit. Which
            values are known then says something about disease, at rho 0 too.

    Returns:
        One row a record, patient by patient: the columns of `KNOWN` and `HIDDEN` (NaN where unknown), the
        hidden ones' truth as "truth_<name>", the truth of disease: sim/af, sim/lvh, sim/low_ef, sim/preexcitation
        (0 or 1), sim/lvef (%), and of each disease (hypertrophy, dysfunction, atrial) truth_<disease>_exposure,
        truth_<disease>_liability (normal scores) and truth_<disease>_grade (0..1), which shapes the ECG.

    Raises:
        ValueError: An argument out of range.

    Example:
        >>> cohort = draw_patients(1000, seed=1, rho=0.5)
        >>> bool(cohort.groupby("sim/af")["age_years"].mean().diff().iloc[1] > 5)
        True
    """
    import pandas as pd

    check_counts(patients=patients, seed=seed)
    check_ranges(
        patients=(patients, 1, 10_000_000),
        rho=(rho, 0.0, MOST_RHO),
        records_per_patient=(records_per_patient, 1, 50),
    )
    if missing_kind not in KINDS:
        raise ValueError(
            f"missing_kind is {missing_kind!r}; accepted are {', '.join(KINDS)}; pass one of these."
        )
    chosen = chosen_configuration(configuration)
    people, chance = draw_people(patients, seed, chosen)
    visits = draw_visits(people, chance[:, :7], seed, records_per_patient)
    patient = visits["patient"].to_numpy()
    liability = liabilities(visits, chance[:, 7:11], chosen, rho)

    truth = {f"truth_{name}": visits[name].to_numpy() for name in HIDDEN}
    truth["sim/preexcitation"] = (chance[patient, 11] < chosen.preexcitation_share).astype(float)
    for label, name in (("af", "atrial"), ("lvh", "hypertrophy"), ("low_ef", "dysfunction")):
        prevalence = chosen.diseases[name].prevalence
        truth[f"sim/{label}"] = (liability[name] > threshold(prevalence)).to_numpy(float)
        truth[f"truth_{name}_exposure"] = exposure(visits, chosen, name)
        truth[f"truth_{name}_liability"] = liability[name].to_numpy()
        truth[f"truth_{name}_grade"] = grade(liability[name].to_numpy(), prevalence)
    truth["sim/lvef"] = ejection_fraction(liability["dysfunction"].to_numpy(), chosen.dysfunction.prevalence)

    hidden = hide(
        visits[list(HIDDEN)],
        shares=shares_of(missing_share),
        kind=missing_kind,
        illness=_illness(liability, visits["visit"].to_numpy(), chosen, rho)
        if missing_kind == "healthy"
        else np.zeros(len(visits)),
        of_patients=chance[patient, 12:19],
        of_visits=visits[[f"chance {column}" for column in range(len(GROUPS))]].to_numpy(),
    )
    return pd.concat([visits[list(KNOWN)], hidden, pd.DataFrame(truth)], axis=1)


def check_ranges(**given: tuple[Any, float, float]) -> None:
    """Refuse numbers out of their ranges.

    Args:
        **given: Value, smallest and largest accepted, by the argument's name.

    Raises:
        ValueError: One is outside, or no number.

    Example:
        >>> check_ranges(rho=(2, 0.0, 0.75))
        Traceback (most recent call last):
        ...
        ValueError: rho is 2; accepted are 0 to 0.75; pass another rho.
    """
    for name, (value, low, high) in given.items():
        number = isinstance(value, (int, float, np.integer, np.floating)) and not isinstance(value, bool)
        if not number or not low <= value <= high:
            raise ValueError(f"{name} is {value!r}; accepted are {low:g} to {high:g}; pass another {name}.")


def _illness(liability: pd.DataFrame, visit: Array, configuration: Configuration, rho: float) -> Array:
    """The three liabilities' sum at the patient's first visit, standardised with their correlation there."""
    shared = (1 - rho) * configuration.shared_frailty
    correlation = rho * exposure_correlation(configuration) + shared
    np.fill_diagonal(correlation, 1.0)
    total = liability.sum(axis=1).to_numpy() / np.sqrt(correlation.sum())
    return total[visit == 0][np.cumsum(visit == 0) - 1]
