"""The model itself is frozen too: what it draws for fixed seeds, tied to `MODEL_VERSION`.

A change that alters these numbers raises MODEL_VERSION; `python tests/simulator/test_golden.py` writes them anew.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from openclef.simulator import CONFIGURATIONS, Condition, draw_heart, draw_patients, simulate_ecg
from openclef.simulator.configuration import MODEL_VERSION

GOLDEN = Path(__file__).with_name("golden.json")
CONDITIONS = (
    Condition(60, female=False, sbp_mmhg=130),
    Condition(45, female=True, sbp_mmhg=115, preexcitation=True),
    Condition(75, female=True, sbp_mmhg=165, hypertrophy=0.8, atrial=0.7, af=True),
    Condition(68, female=False, sbp_mmhg=120, dysfunction=0.9),
)


def drawn(configuration: str) -> dict[str, list]:
    chosen = CONFIGURATIONS[configuration]
    cohort = draw_patients(12, 5, configuration=configuration, rho=0.4, records_per_patient=2.0)
    table = cohort.select_dtypes("number").fillna(-1).to_numpy(float)
    ecgs = []
    for number, condition in enumerate(CONDITIONS):
        heart = draw_heart(np.random.default_rng(number), condition, chosen.physiology)
        equipment = chosen.hospitals[number % 2].equipment
        ecg = simulate_ecg(heart, np.random.default_rng([number, 1]), seconds=4, fs=250, equipment=equipment)
        ecgs.append(ecg[[0, 1, 6, 10], ::25].astype(int).tolist())
    return {"cohort": table.round(6).tolist(), "ecg_uv": ecgs}


@pytest.mark.parametrize("configuration", ["A", "B"])
def test_what_is_drawn_is_what_it_was(configuration: str) -> None:
    golden = json.loads(GOLDEN.read_text())
    assert golden["model_version"] == MODEL_VERSION
    now, before = drawn(configuration), golden[configuration]
    np.testing.assert_allclose(now["cohort"], before["cohort"], rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(now["ecg_uv"], before["ecg_uv"], atol=6)  # a step of the converter


if __name__ == "__main__":
    content = {"model_version": MODEL_VERSION} | {name: drawn(name) for name in ("A", "B")}
    GOLDEN.write_text(json.dumps(content))
