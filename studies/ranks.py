"""Rank correlations, over all people and within strata of age and sex."""

from __future__ import annotations

import numpy as np
import pandas as pd
from scipy.stats import rankdata

AGE_STEP = 5  # years of a stratum


def strata(people: pd.DataFrame) -> np.ndarray:
    """Number of each person's stratum of age and sex."""
    return people.groupby([people["age_years"] // AGE_STEP, "sex"]).ngroup().to_numpy()


def spearman(values: np.ndarray) -> np.ndarray:
    """Rank correlation matrix of the columns."""
    return np.corrcoef(rankdata(values, axis=0), rowvar=False)


def spearman_within(values: np.ndarray, stratum: np.ndarray) -> np.ndarray:
    """Correlation matrix of the columns' ranks within strata, each stratum's mean rank taken off."""
    order = np.argsort(stratum, kind="stable")
    ends = np.flatnonzero(np.diff(stratum[order])) + 1
    ranks = [
        (rankdata(values[rows], axis=0) - (len(rows) + 1) / 2) / len(rows) for rows in np.split(order, ends)
    ]
    with np.errstate(invalid="ignore", divide="ignore"):  # a score without spread within strata
        return np.corrcoef(np.concatenate(ranks), rowvar=False)
