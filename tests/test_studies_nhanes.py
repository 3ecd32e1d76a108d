"""The study of NHANES adults: its statistics against plain ones, and its page."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
from scipy.stats import spearmanr

STUDY = Path(__file__).parents[1] / "studies" / "nhanes_scores" / "run.py"
SPEC = importlib.util.spec_from_file_location("nhanes_scores", STUDY)
study = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(study)


def test_correlations_are_spearmans_and_within_strata_those_of_one_stratum() -> None:
    draw = np.random.default_rng(0)
    values = draw.normal(size=(200, 3)).round(1)
    values[:, 1] += values[:, 0]
    assert np.allclose(study.spearman(values), spearmanr(values).statistic)
    assert np.allclose(study.spearman_within(values, np.zeros(200)), spearmanr(values).statistic)
    # what only strata have in common is gone within them
    stratum = draw.integers(0, 4, 2000)
    noise = draw.normal(size=(2000, 2))
    shifted = noise + 10 * stratum[:, None]
    assert study.spearman(shifted)[0, 1] > 0.9
    assert abs(study.spearman_within(shifted, stratum)[0, 1]) < 0.06


def test_the_study_runs_on_real_adults(data_folder: Path, tmp_path: Path) -> None:
    adults = pd.read_csv(data_folder / "nhanes" / "nhanes_2009_2012_adults.csv").iloc[::6]
    adults.to_csv(tmp_path / "adults.csv", index=False)
    call = [
        sys.executable,
        str(STUDY),
        "--nhanes",
        str(tmp_path / "adults.csv"),
        "--out",
        str(tmp_path / "out"),
    ]
    subprocess.run([*call, "--draws", "5"], check=True, capture_output=True)
    agreement = pd.read_csv(tmp_path / "out" / "agreement.csv").set_index(["group", "first", "second"])
    row = agreement.loc[("all adults", "score2", "framingham")]
    assert row["spearman"] - 0.02 < row["low"] < row["high"] < row["spearman"] + 0.02
    for other in ("framingham", "prevent_cvd"):
        assert agreement.loc[("all adults", "score2", other), "spearman"] > 0.9
        assert agreement.loc[("all adults", "score2", other), "within_spearman"] > 0.75
    levels = pd.read_csv(tmp_path / "out" / "completeness.csv")
    assert np.allclose(levels.groupby("score")["share"].sum(), 1, atol=2e-3)
    assert "# Risk scores of NHANES adults" in (tmp_path / "out" / "results.md").read_text()
