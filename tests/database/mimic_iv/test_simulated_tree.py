"""On the simulated hospital, whose truth was written by the same rules from the tables in memory."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import openclef
from openclef.database.mimic_iv.writing import VALUES
from openclef.simulator import simulate_mimic_iv
from tests.database.mimic_iv.reference import differences


@pytest.mark.parametrize("seed", [0, 7])
def test_the_extraction_finds_the_truth_and_nothing_else(tmp_path: Path, seed: int) -> None:
    tree = simulate_mimic_iv(tmp_path / "tree", patients=30, seed=seed, signals=0, workers=1)
    hosp = tree / "mimiciv" / "hosp"
    done = openclef.extract_metadata(
        "mimic_iv", hosp, tmp_path / "out", ecgs=tree / "mimic-iv-ecg", progress=False, threads=2
    )
    truth = pd.read_parquet(tree / "truth.parquet")
    found = done.values
    assert found["record_id"].tolist() == truth["record_id"].tolist()
    assert set(VALUES) <= set(truth)
    for name in VALUES:
        if name == "sex":
            assert found[name].tolist() == truth[name].tolist()
        else:
            np.testing.assert_allclose(found[name], truth[name], rtol=1e-9, err_msg=name)
    tables = {
        path.name.split(".")[0]: pd.read_csv(path, dtype=str, keep_default_na=False, na_values=[""])
        for path in hosp.glob("[alop]*.csv.gz")
    } | {"diagnoses_icd": pd.read_csv(hosp / "diagnoses_icd.csv.gz", dtype=str, keep_default_na=False)}
    assert differences(pd.read_parquet(done.folder / "metadata.parquet"), tables) == []
    assert np.isfinite(done.years[found["sex"] != ""]).all()
