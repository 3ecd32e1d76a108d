"""The studies' common parts: arms, pools, and a study from one command to its curves."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml

import openclef

STUDIES = Path(__file__).parents[1] / "studies"
SMALL = """
question: Does it run?
over: {name: rho, values: [0.0, 0.4]}
judged_on: ["sim_A_rho{rho}_n120"]
tasks: [sim/lvef, sim/age]
leads: I
reference: simclr
seeds: [0, 1]
base: {pool: ["sim_A_rho{rho}_n120"], risk: score2, steps: 2, batch_size: 32, accelerator: cpu}
arms:
  simclr: {method: simclr}
  "clef, shuffled": {method: clef, risk: score2_shuffled}
"""


@pytest.mark.parametrize("file", sorted(STUDIES.glob("*/study.yaml")), ids=lambda file: file.parent.name)
def test_a_study_changes_one_thing_of_what_its_arms_share(file: Path) -> None:
    study = yaml.safe_load(file.read_text(encoding="utf-8"))
    assert study["question"].endswith("?")
    if "of" in study:
        assert set(study["arms"]) <= set(
            yaml.safe_load((STUDIES / study["of"] / "study.yaml").read_text(encoding="utf-8"))["arms"]
        )
        return
    assert {"judged_on", "tasks", "leads", "reference", "seeds", "arms"} <= set(study)
    assert study["reference"] in study["arms"] or study["reference"] == "random_encoder"
    arms = [yaml.safe_dump(arm, sort_keys=True) for arm in study["arms"].values()]
    assert len(set(arms)) == len(arms)
    base = yaml.safe_load((STUDIES / "base.yaml").read_text(encoding="utf-8"))
    known = set(base) | {
        "method_settings",
        "normalisation",
        "aligned",
        "weighted",
        "alignment_weight",
        "use_completeness",
    }
    for arm in (study.get("base") or {}, *study["arms"].values()):
        assert set(arm) <= known, f"{file}: {set(arm) - known}"


@pytest.mark.slow
def test_a_study_from_its_command_to_its_curves(tmp_path: Path) -> None:
    folder = tmp_path / "small"
    folder.mkdir()
    (folder / "study.yaml").write_text(SMALL)
    call = [
        sys.executable,
        str(STUDIES / "study.py"),
        str(folder),
        "--data",
        str(tmp_path),
        "--out",
        str(tmp_path / "out"),
    ]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    subprocess.run([*call, "--seeds", "0"], check=True, capture_output=True, env=environment)
    runs = set((tmp_path / "out" / "pretrained").glob("*/run.json"))
    assert len(runs) == 4
    before = {run: run.stat().st_mtime_ns for run in runs}
    done = subprocess.run(call, check=True, capture_output=True, text=True, env=environment)
    assert {run: run.stat().st_mtime_ns for run in runs} == before  # what is there is kept
    assert len(list((tmp_path / "out" / "pretrained").glob("*/run.json"))) == 8
    results = folder / "results" / "val"
    assert f"figure: {results / 'curves.svg'}" in done.stdout
    curves = pd.read_csv(results / "curves.csv")
    assert set(curves["rho"]) == {0.0, 0.4}
    assert "clef, shuffled" in set(curves["model"])
    assert (curves["low"] <= curves["value"]).all()
    assert (curves["value"] <= curves["high"]).all()
    metrics = pd.read_csv(results / "rho_0.4" / "metrics.csv")
    assert set(metrics.loc[metrics["model"] == "simclr", "seeds"]) == {2}
    store = openclef.open_store(tmp_path / "out" / "stores" / "sim_A_rho0.4_n120")
    score, shuffled = store.risk("score2")["value"], store.risk("score2_shuffled")["value"]
    assert sorted(score.dropna()) == sorted(shuffled.dropna())
    both = score.notna() & shuffled.notna()
    assert abs(np.corrcoef(score[both], shuffled[both])[0, 1]) < 0.3
