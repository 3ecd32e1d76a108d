"""Missing metadata of a chosen kind and rate.

`at_random` hides values whatever they are. `healthy` hides more in the healthy, as where blood is only taken from
those who look ill; the share is kept. Shares may differ by variable.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr, ndtri

if TYPE_CHECKING:  # pandas takes long to import; a command's help does without it
    import pandas as pd

Array = NDArray[Any]

# What is unknown together.
GROUPS: dict[str, tuple[str, ...]] = {
    "smoker": ("smoker",),
    "diabetes": ("diabetes", "age_at_diabetes_years", "hba1c_mmol_mol"),
    "blood_pressure": ("sbp_mmhg",),
    "lipids": ("total_chol_mmol_l", "hdl_mmol_l"),
    "treatment": ("bp_treated", "statin"),
    "bmi": ("bmi",),
    "egfr": ("egfr_ml_min",),
}
KINDS = ("at_random", "healthy")
STRENGTH = 1.0  # of "healthy": standard deviations that a standard deviation of health shifts the chance by


def shares_of(missing_share: float | Mapping[str, float]) -> dict[str, float]:
    """Return the share of unknown values of each group, and refuse what cannot be one.

    Args:
        missing_share: One share for all, or one a group (`GROUPS`); groups left out are known.

    Raises:
        ValueError: A share outside 0..1, or an unknown group.

    Example:
        >>> shares_of({"lipids": 0.6})["lipids"], shares_of({"lipids": 0.6})["smoker"], shares_of(0.3)["bmi"]
        (0.6, 0.0, 0.3)
    """
    if isinstance(missing_share, Mapping):
        unknown = [str(name) for name in missing_share if name not in GROUPS]
        if unknown:
            raise ValueError(
                f"missing_share names {', '.join(unknown)}; accepted are {', '.join(GROUPS)}; pass one of these."
            )
        given: dict[str, Any] = dict.fromkeys(GROUPS, 0.0) | dict(missing_share)
    else:
        given = dict.fromkeys(GROUPS, missing_share)
    for name, share in given.items():
        if isinstance(share, bool) or not isinstance(share, (int, float)) or not 0 <= share <= 1:
            where = f" of {name}" if isinstance(missing_share, Mapping) else ""
            raise ValueError(f"missing_share is {share!r}{where}; accepted are 0 to 1; pass another share.")
    return {name: float(share) for name, share in given.items()}


def hide(
    visits: pd.DataFrame,
    *,
    shares: Mapping[str, float],
    kind: str,
    illness: Array,
    of_patients: Array,
    of_visits: Array,
) -> pd.DataFrame:
    """Return the visits with values hidden.

    Whether smoking, diabetes and treatment are known is one for a patient; measurements are hidden by visit.

    Args:
        visits: One row a record.
        shares: Share of unknown values by group (`shares_of`).
        kind: "at_random" or "healthy".
        illness: (record,), standard normal; high is ill. Used by "healthy" only.
        of_patients: (record, group) uniform numbers, the same for all records of a patient.
        of_visits: (record, group) uniform numbers.

    Example:
        >>> import pandas as pd
        >>> visits = pd.DataFrame({name: [1.0, 1.0] for names in GROUPS.values() for name in names})
        >>> even = np.full((2, len(GROUPS)), 0.5)
        >>> hidden = hide(visits, shares=shares_of({"bmi": 0.6}), kind="at_random", illness=np.zeros(2),
        ...               of_patients=even, of_visits=even)
        >>> hidden.isna().sum().loc[["bmi", "smoker"]].tolist()
        [2, 0]
    """
    visits = visits.copy()
    for column, (group, names) in enumerate(GROUPS.items()):
        share = shares[group]
        uniform = (of_patients if group in ("smoker", "diabetes", "treatment") else of_visits)[:, column]
        chance = np.full(len(visits), share)
        if kind == "healthy" and 0 < share < 1:  # E[Phi(...)] over a standard normal illness is the share
            chance = ndtr(np.sqrt(1 + STRENGTH**2) * ndtri(share) - STRENGTH * illness)
        visits.loc[uniform < chance, list(names)] = np.nan
    return visits
