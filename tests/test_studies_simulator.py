"""The measurements of studies/simulator on beats whose intervals and amplitudes are known."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

FOLDER = Path(__file__).parents[1] / "studies" / "simulator"
FS = 500.0
RR_S = 0.8
# wave: centre and standard deviation in s after the R peak, size in mV
WAVES = {
    "P": (-0.16, 0.022, 0.12),
    "Q": (-0.024, 0.007, -0.1),
    "R": (0.0, 0.010, 1.0),
    "T": (0.26, 0.04, 0.3),
}
GAIN = {"I": 0.6, "II": 1.0, "V1": -0.5, "V2": -0.2, "V3": 0.5, "V4": 1.2, "V5": 1.3, "V6": 1.0}


@pytest.fixture(scope="module")
def study():
    if not FOLDER.is_dir():
        pytest.skip("studies/ is not there")
    sys.path.insert(0, str(FOLDER))
    try:
        yield importlib.import_module("compare_with_ptb_xl")
    finally:
        sys.path.remove(str(FOLDER))


def _ecg(noise_mv=0.001):
    time = np.arange(5000) / FS
    one = np.zeros(5000)
    for beat in np.arange(0.3, 11, RR_S):
        for centre, width, size in WAVES.values():
            one += size * np.exp(-0.5 * ((time - beat - centre) / width) ** 2)
    leads = {name: gain * one for name, gain in GAIN.items()}
    leads["III"] = leads["II"] - leads["I"]
    leads["aVR"] = -(leads["I"] + leads["II"]) / 2
    leads["aVL"] = leads["I"] - leads["II"] / 2
    leads["aVF"] = leads["II"] - leads["I"] / 2
    order = ("I", "II", "III", "aVR", "aVL", "aVF", "V1", "V2", "V3", "V4", "V5", "V6")
    noise = noise_mv * np.random.default_rng(0).standard_normal((12, 5000))
    return np.stack([leads[name] for name in order]) + noise


def test_known_beats_are_measured(study):
    found = study.measure(_ecg(), FS)
    assert found["heart rate"] == pytest.approx(75, abs=0.2)
    assert found["SDNN"] < 2
    assert found["P found"] == 100
    assert found["QRS duration"] == pytest.approx(60, abs=14)  # from Q - 2.5 sd to R + 2.5 sd
    assert found["PR"] == pytest.approx(167, abs=20)  # from P - 2 sd to Q - 2.5 sd
    assert found["QT"] == pytest.approx(380, abs=20)  # to T + 2 sd
    assert found["R II"] == pytest.approx(1.0, abs=0.08)
    assert found["T V5"] == pytest.approx(0.39, abs=0.04)
    assert found["P II"] == pytest.approx(0.12, abs=0.03)
    assert found["QRS axis"] == pytest.approx(np.degrees(np.arctan2((1 - 0.3) * 2 / 3**0.5, 0.6)), abs=3)
    assert found["QRS outside 3 components"] < 0.01
    assert found["components for 95 %"] == 1


def test_noise_is_measured_in_its_unit(study):
    found = study.measure(_ecg(noise_mv=0.01), FS)
    in_band = 10 * np.sqrt(80 / 250)  # uV: white noise between 20 and 100 Hz
    assert found["noise 20-100 Hz"] == pytest.approx(in_band, rel=0.15)
    assert found["noise burstiness"] == pytest.approx(1, abs=0.1)


def test_flat_record_is_not_measured(study):
    found = study.measure(np.zeros((12, 5000)), FS)
    assert np.isnan(found["heart rate"])
    assert list(found) == list(study.UNITS)


def test_equal_sets_are_alike_and_shifted_ones_are_not(study):
    generator = np.random.default_rng(0)
    real = pd.DataFrame({name: generator.standard_normal(200) for name in study.UNITS})
    assert not study.compare(real, real)["unlike"].any()
    moved = real.assign(PR=real["PR"] + 5, QT=real["QT"] * 0.2)
    found = study.compare(real, moved).set_index("quantity")["unlike"]
    assert found[found != ""].to_dict() == {"PR": "median too high", "QT": "spread too small"}


def test_pairs_have_one_sex_and_about_one_age(study):
    real = pd.DataFrame({"age_years": [30.0, 60.0, np.nan, 90.0], "female": [1.0, 0.0, 1.0, 0.0]})
    simulated = pd.DataFrame({"age_years": [61.0, 31.0, 30.0], "female": [0.0, 1.0, 0.0]})
    rows, partners = study.match(real, simulated)
    assert sorted(zip(rows.tolist(), partners.tolist())) == [(0, 1), (1, 0)]
