"""The study of metadata integrity: what hiding does, and what is caught."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

STUDY = Path(__file__).parents[1] / "studies" / "metadata_integrity" / "run.py"


@pytest.mark.slow
def test_the_study_runs_on_real_adults(data_folder: Path, tmp_path: Path) -> None:
    adults = pd.read_csv(data_folder / "nhanes" / "nhanes_2009_2012_adults.csv").iloc[::6]
    adults.to_csv(tmp_path / "adults.csv", index=False)
    call = [
        sys.executable,
        str(STUDY),
        "--nhanes",
        str(tmp_path / "adults.csv"),
        "--out",
        str(tmp_path / "results"),
    ]
    subprocess.run([*call, "--patients", "60"], check=True, capture_output=True)
    hidden = pd.read_csv(tmp_path / "results" / "hidden.csv")
    for column in ("spearman", "within_age_and_sex"):
        assert hidden[column].iloc[0] == 1
        assert hidden[column].is_monotonic_decreasing
    assert hidden["spearman"].iloc[-1] > 0.9 > 0.4 > hidden["within_age_and_sex"].iloc[-1]
    verdicts = pd.read_csv(tmp_path / "results" / "verdicts.csv").set_index(["cohort", "score"])["verdict"]
    assert verdicts["NHANES", "score2"] == "informative"
    assert verdicts["half hidden, filled in with means", "score2"] == "doubtful"
    assert verdicts["age and sex alone", "score2"] == "age and sex"
    assert verdicts["everybody 60 years old, nothing measured", "score2"] == "degenerate"
    assert verdicts["age of everybody unknown", "score2"] == "cannot be judged"
    for name in ("distribution", "hidden"):
        assert (tmp_path / "results" / f"{name}.svg").read_text().endswith("</svg>\n")
