"""One array and one CSV file."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest

import openclef


def convert(folder, dst, **settings):
    settings = {
        "signals": "ecg.npy",
        "metadata": "records.csv",
        "subject_id": "who",
        "name": "mine",
    } | settings
    return openclef.convert("table", folder, dst, workers=1, progress=False, **settings)


@pytest.fixture
def own(tmp_path):
    folder = tmp_path / "own"
    folder.mkdir()
    signal = np.random.default_rng(0).normal(0, 0.3, (5, 2, 500)).astype(np.float32)
    np.save(folder / "ecg.npy", signal)
    pd.DataFrame({"who": list("abcde"), "age_years": range(50, 55)}).to_csv(
        folder / "records.csv", index=False
    )
    return folder


def test_real_numbers_are_rounded_to_a_microvolt(tmp_path, own):
    store = convert(own, tmp_path / "store", fs=100, leads=["I", "AVR"], unit="mV", seconds=5)
    assert (store.scale, store.leads, store.seconds) == (0.001, ("I", "aVR"), 5)
    signal = np.load(own / "ecg.npy")
    np.testing.assert_allclose(store.read(slice(None)), signal, atol=0.000501)
    assert store.records.record_id.tolist() == [f"row-{i}" for i in range(5)]
    np.testing.assert_array_equal(store.records.age_years, range(50, 55))


@pytest.mark.parametrize("suffix", ["npy", "npz", "h5"])
def test_integers_are_exact_in_every_kind_of_file(tmp_path, own, suffix):
    raw = np.random.default_rng(1).integers(-30000, 30000, (5, 1, 500)).astype(np.int16)
    raw[2, 0, 30:40] = -32768
    if suffix == "npy":
        np.save(own / "raw.npy", raw)
    elif suffix == "npz":
        np.savez(own / "raw.npz", signal=raw)
    else:
        h5py = pytest.importorskip("h5py")
        with h5py.File(own / "raw.h5", "w") as file:
            file["signal"] = raw
    settings = {"signals": f"raw.{suffix}", "fs": 50, "leads": ["I"], "unit": "uV", "scale": 5}
    store = convert(own, tmp_path / "store", **settings)
    assert (store.unit, store.scale) == ("mV", 0.005)
    np.testing.assert_array_equal(store.read_raw(slice(None)), raw)
    assert np.isnan(store.read([2])[0, 0, 30:40]).all()


def test_one_lead_and_leads_last(tmp_path, own):
    signal = np.load(own / "ecg.npy")
    np.save(own / "one.npy", signal[:, 0])
    np.save(own / "last.npy", signal.transpose(0, 2, 1))
    settings = {"fs": 100, "unit": "mV", "seconds": 5}
    one = convert(own, tmp_path / "one", signals="one.npy", leads=["I"], **settings)
    np.testing.assert_allclose(one.read(slice(None))[:, 0], signal[:, 0], atol=0.000501)
    settings |= {"signals": "last.npy", "leads": ["I", "II"]}
    with pytest.raises(ValueError, match=r"shape \(5, 500, 2\) and 2 lead names .*; pass layout='time_lead'"):
        convert(own, tmp_path / "last", **settings)
    last = convert(own, tmp_path / "last", layout="time_lead", **settings)
    np.testing.assert_allclose(last.read(slice(None)), signal, atol=0.000501)


def test_values_beyond_the_range_are_refused_not_clipped(tmp_path, own):
    signal = np.load(own / "ecg.npy")
    signal[3, 0, 7] = 40.0
    np.save(own / "ecg.npy", signal)
    settings = {"fs": 100, "leads": ["I", "II"], "unit": "mV"}
    with pytest.raises(ValueError, match=r"1 of 5 records cannot be converted.* row-3: .*40 .*scale"):
        convert(own, tmp_path / "store", **settings)
    store = convert(own, tmp_path / "wide", scale=0.01, **settings)
    assert store.read([3])[0, 0, 7] == 40.0


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"leads": ["I", "II"], "unit": "mV"}, "fs is missing for ecg.npy; pass fs="),
        ({"fs": 100, "unit": "mV"}, "leads is missing"),
        ({"fs": 100, "leads": ["I", "II"]}, "unit is missing"),
        ({"fs": 100, "leads": ["I", "II"], "unit": "mmHg"}, "accepted are mV, uV and V"),
        ({"fs": 100, "leads": ["I"], "unit": "mV"}, "1 lead names"),
        ({"fs": 100, "leads": ["I", "I"], "unit": "mV"}, "same lead twice"),
        ({"fs": 100, "leads": ["I", "II"], "unit": "mV", "metadata": "none.csv"}, "none.csv is missing"),
        ({"fs": 100, "leads": ["I", "II"], "unit": "mV", "signals": "none.npy"}, "none.npy is missing"),
        (
            {"fs": 100, "leads": ["I", "II"], "unit": "mV", "metadata": "short.csv"},
            "has 4 rows and ecg.npy 5",
        ),
        ({"fs": 100, "leads": ["I", "II"], "unit": "mV", "record_id": "age_years"}, "more than once"),
        (
            {"fs": 100, "leads": ["I", "II"], "unit": "mV", "layout": "rows"},
            "accepted are lead_time, time_lead",
        ),
    ],
)
def test_what_does_not_fit_is_refused(tmp_path, own, settings, message):
    pd.DataFrame({"who": list("abcd")}).to_csv(own / "short.csv", index=False)
    if "record_id" in settings:
        pd.DataFrame({"who": list("abcde"), "age_years": [50] * 5}).to_csv(own / "records.csv", index=False)
    with pytest.raises((ValueError, FileNotFoundError), match=message):
        convert(own, tmp_path / "store", **settings)


def test_needed_options_are_asked_for(tmp_path, own):
    with pytest.raises(ValueError, match=r"table needs signals, metadata; pass signals=\.\.\."):
        openclef.convert("table", own, tmp_path / "store")


def test_what_the_file_states_must_not_be_contradicted(tmp_path, own):
    np.savez(own / "ecg.npz", signal=np.load(own / "ecg.npy"), fs=100, leads=["I", "II"], unit="mV")
    assert convert(own, tmp_path / "store", signals="ecg.npz").fs == 100
    with pytest.raises(ValueError, match=r"fs=500 is passed and ecg.npz states 100.0"):
        convert(own, tmp_path / "other", signals="ecg.npz", fs=500)


def test_a_changed_file_is_read_again(tmp_path, own):
    settings = {"fs": 100, "leads": ["I", "II"], "unit": "mV", "seconds": 5}
    convert(own, tmp_path / "store", **settings)
    np.save(own / "ecg.npy", np.full((5, 2, 500), 0.5, np.float32))
    assert convert(own, tmp_path / "store", overwrite=True, **settings).read([0]).max() == 0.5


def test_real_z_scored_records(tmp_path, data_folder):
    store = openclef.convert(
        "table",
        data_folder / "ptb-xl-z",
        tmp_path / "store",
        workers=2,
        progress=False,
        signals="signals.npz",
        metadata="records.csv",
        record_id="ecg_id",
        subject_id="patient_id",
        unit="zscore",
        sex_codes={"0": "male", "1": "female"},
        rename={"age": "age_years", "height": "height_cm", "weight": "weight_kg"},
        split="split",
        subject_namespace="ptb_xl",
        age_over_89_code=300,
        tasks={
            "ptb_xl/superdiagnostic": {
                "kind": "multilabel",
                "column": "superclass",
                "labels": ["CD", "HYP", "MI", "NORM", "STTC"],
                "separator": ";",
            }
        },
    )
    table = pd.read_csv(data_folder / "ptb-xl-z/records.csv")
    records = store.records
    assert (len(store), store.fs, store.unit, store.scale) == (1819, 100, "zscore", 0.001)
    assert store.subject_namespace == "ptb_xl"
    assert records.subject_id.nunique() == 1796
    assert records.split.tolist() == table.split.tolist()
    assert records.age_years.max() <= 90
    assert records.age_over_89.sum() == (table.age == 300).sum() == 21
    assert ((records.sex == "male") == (table.sex == 0)).all()
    for label in ("CD", "HYP", "MI", "NORM", "STTC"):
        expected = table.superclass.str.split(";").map(lambda codes, label=label: label in codes)
        assert (records[f"ptb_xl/superdiagnostic/{label}"] == expected).all()
    with np.load(data_folder / "ptb-xl-z/signals.npz") as arrays:
        rows = [0, 300, 1818]
        np.testing.assert_array_equal(store.read_raw(rows), arrays["signal"][rows])
    assert json.loads((store.path / "dataset.json").read_text())["unit"] == "zscore"
