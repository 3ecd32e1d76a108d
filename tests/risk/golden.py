"""The table of 240 people whose scores were computed from the published tables by another program."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
import pandas as pd

from openclef.risk import SCORES

HALF_A_DECIMAL = 6e-9  # the table has eight decimals


def compare(folder: Path, name: str, *, column: str | None = None, **settings: object) -> int:
    """Assert that a score is the table's column wherever it has a value, and withheld elsewhere; count both."""
    people = pd.read_csv(folder / "risk-scores.csv")
    assert len(people) == 240
    expected = people[column or name]
    score = SCORES[name]
    for region, group in people.groupby("region"):
        own = {"region": region} if "region" in score.settings else {}
        inputs = {one: group[one] for one in score.inputs} | settings
        guiding = score.function(**inputs, **own)
        assert np.isfinite(guiding.value).all()
        assert (guiding.completeness == 1).all()
        known = expected[group.index].notna()
        np.testing.assert_allclose(
            guiding.value[known], expected[group.index][known], rtol=0, atol=HALF_A_DECIMAL
        )
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the rules are tested with each score
            strict = score.function(**inputs, **own, strict=True)
        np.testing.assert_array_equal(np.isnan(strict.value), ~known)
    return int(expected.notna().sum())
