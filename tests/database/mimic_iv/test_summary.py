from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest

import openclef
from openclef.database.mimic_iv.summary import (
    age_groups,
    completeness_levels,
    is_known,
    known_by_group,
    known_values,
)


@pytest.fixture
def extraction(hospital: Path):
    return openclef.extract_metadata(
        "mimic_iv",
        hospital,
        hospital / "out",
        ecgs=hospital,
        risks=["score2", "age"],
        progress=False,
        threads=1,
    )


def test_known_values(extraction) -> None:
    rows = known_values(extraction).set_index("name")
    sbp = rows.loc["sbp_mmhg"]  # Anna's first ECG a day after, Carl's 30 days before
    assert (sbp["ecgs"], sbp["subjects"], sbp["share"], sbp["days"], sbp["after"]) == (2, 2, 2 / 7, 15.5, 0.5)
    assert sbp["median"] == (129.5 + 110) / 2
    assert rows.loc["smoker", ["ecgs", "subjects"]].tolist() == [3, 2]
    assert rows.loc["smoker", "yes"] == pytest.approx(2 / 3)
    assert (rows.loc["sex", "yes"], rows.loc["sex", "ecgs"]) == (0.5, 6)
    assert rows.loc["creatinine_mg_dl", "days"] == pytest.approx((1 / 24 + 5 + (22 + 23 / 60) / 24) / 2)
    assert math.isnan(rows.loc["age_years", "days"])


def test_groups(extraction) -> None:
    known = is_known(extraction.values)
    by_age = known_by_group(known, age_groups(extraction.values["age_years"]))
    assert by_age["n"].to_dict() == {"60 to 69": 2, "over 89": 2, "under 40": 1, "unknown": 2}
    assert by_age.loc["over 89", "sbp_mmhg"] == 0.5
    # the middle of anchor_year_group and the years from anchor_year to the ECG; Nobody has no year
    np.testing.assert_array_equal(extraction.years, [2009, 2017, 2015, 2011, 2018, np.nan, 2019])


def test_completeness(extraction) -> None:
    levels = completeness_levels(extraction.risks)
    assert levels.groupby("score", sort=False)["n"].sum().to_dict() == {"score2": 7, "age": 7}
    own = levels[levels["score"] == "score2"]
    assert own["completeness"].is_monotonic_decreasing
    assert own["no_value"].sum() == 2  # Dora has no age, Nobody no row
    np.testing.assert_allclose(own["share"].sum(), 1)
