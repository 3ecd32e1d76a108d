from __future__ import annotations

import ast
import subprocess
import sys
import warnings

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.signal import find_peaks

from openclef.formats import read_record
from openclef.protocol.beats import load_neurokit
from openclef.protocol.cohort import gather_records
from openclef.protocol.features import FEATURES, ecg_features, feature_table, features_of_cohort, impute
from openclef.protocol.measurement import IN_MV
from openclef.record import Record
from openclef.simulator import Condition, draw_heart
from openclef.simulator.recording import simulate_ecg
from openclef.simulator.waves import NAMES
from openclef.store import StoreWriter
from openclef.task import Task

WAVES = {
    "p": (-0.16, 0.020, 0.12),
    "q": (-0.03, 0.008, -0.1),
    "r": (0.0, 0.010, 1.0),
    "s": (0.035, 0.010, -0.25),
}


def beats_at(times_s, fs, seconds, *, waves=WAVES, t=0.3):
    """A sum of Gaussian waves at known times, in mV."""
    time_s = np.arange(round(seconds * fs)) / fs
    shape = dict(waves) | {"t": (0.28, 0.045, t)}
    return sum(
        size * np.exp(-((time_s - at - centre) ** 2) / (2 * width**2))
        for at in times_s
        for centre, width, size in shape.values()
    )


def regular(fs, seconds=10.0, rr_s=0.8):
    return beats_at(np.arange(0.4, seconds + 1, rr_s), fs, seconds)


def test_a_regular_rhythm_measures_as_drawn():
    found = ecg_features(regular(500), 500)
    assert found["heart_rate_bpm"] == pytest.approx(75, abs=0.2)
    assert found["rr_rmssd_ms"] < 4
    assert found["rr_pnn50"] == found["premature_share"] == found["unlike_share"] == 0
    assert found["beats"] in (12, 13)
    assert found["p_share"] == 1
    assert found["r_amplitude_mv"] == pytest.approx(1.0, abs=0.1)
    assert found["q_amplitude_mv"] == pytest.approx(-0.1, abs=0.05)
    assert found["s_amplitude_mv"] == pytest.approx(-0.25, abs=0.08)
    assert found["t_amplitude_mv"] == pytest.approx(0.3, abs=0.05)
    assert found["p_amplitude_mv"] == pytest.approx(0.12, abs=0.03)
    # The waves are Gaussians: they end about 2.5 standard deviations from their centres.
    assert found["qrs_duration_ms"] == pytest.approx(50 + 60, abs=15)
    assert found["pr_ms"] == pytest.approx(210 - 50, abs=15)
    assert found["qt_ms"] == pytest.approx(50 + 280 + 2 * 45, abs=20)
    assert found["qtc_ms"] == pytest.approx(found["qt_ms"] / 0.8 ** (1 / 3))
    assert found["t_r_ratio"] == pytest.approx(0.3, abs=0.06)
    assert found["beat_correlation"] > 0.99


def test_rr_statistics_are_those_of_the_drawn_intervals():
    rr_s = np.tile([0.7, 0.9, 0.8], 9)
    times_s = 0.4 + np.concatenate([[0], np.cumsum(rr_s)])
    found = ecg_features(beats_at(times_s, 500, times_s[-1] + 0.8), 500)
    change = np.diff(rr_s)
    assert found["rr_mean_ms"] == pytest.approx(800, abs=4)
    assert found["rr_sd_ms"] == pytest.approx(1000 * rr_s.std(ddof=1), abs=4)
    assert found["rr_rmssd_ms"] == pytest.approx(1000 * np.sqrt((change**2).mean()), abs=5)
    assert found["rr_pnn50"] == 1
    assert found["rr_irregularity"] == pytest.approx(np.median(np.abs(change)) / 0.8, abs=0.01)
    assert found["heart_rate_bpm"] == pytest.approx(75, abs=0.5)


def test_early_and_unlike_beats_are_counted():
    times_s = np.arange(0.4, 20, 0.9)
    signal = beats_at(np.delete(times_s, [5, 13]), 250, 20)
    wide = {"r": (0.05, 0.045, -1.5)}
    signal = signal + beats_at(times_s[[5, 13]] - 0.35, 250, 20, waves=wide, t=-0.4)
    found = ecg_features(signal, 250)
    assert found["premature_share"] == pytest.approx(2 / 21, abs=0.02)
    assert found["unlike_share"] == pytest.approx(2 / 20, abs=0.03)


@pytest.mark.parametrize("fs", [100, 128, 257.3, 360, 1000])
def test_the_rate_of_sampling_changes_little(fs):
    one, other = ecg_features(regular(250), 250), ecg_features(regular(fs), fs)
    for name in ("heart_rate_bpm", "pr_ms", "qt_ms", "qrs_duration_ms", "r_amplitude_mv", "t_amplitude_mv"):
        assert other[name] == pytest.approx(one[name], rel=0.08), name


def test_scale_and_offset_change_only_what_is_in_mv():
    signal = regular(250) + np.random.default_rng(0).normal(0, 0.01, 2500)
    one, other = ecg_features(signal, 250), ecg_features(7.0 + 3.0 * signal, 250)
    for name in FEATURES:
        factor = 3.0 if name in IN_MV else 1.0
        assert other[name] == pytest.approx(factor * one[name], rel=1e-6, abs=1e-9, nan_ok=True), name


def test_a_negative_qrs_is_measured_as_one():
    found = ecg_features(-regular(250), 250)
    assert found["heart_rate_bpm"] == pytest.approx(75, abs=0.3)
    upright = ecg_features(regular(250), 250)
    assert found["qrs_balance"] == pytest.approx(-upright["qrs_balance"])
    assert found["p_amplitude_mv"] == pytest.approx(-upright["p_amplitude_mv"], abs=0.02)
    for name in ("pr_ms", "qrs_duration_ms", "qt_ms"):
        assert found[name] == pytest.approx(upright[name], abs=8), name


def test_no_interval_crosses_a_gap():
    signal = regular(250, 20.0)
    signal[1000:3000] = np.nan
    found = ecg_features(signal, 250)
    assert found["missing_share"] == pytest.approx(0.4)
    assert found["rr_sd_ms"] < 4
    assert found["heart_rate_bpm"] == pytest.approx(75, abs=0.5)
    assert found["beats"] == pytest.approx(15, abs=1)


@pytest.mark.parametrize(
    "signal", [np.zeros(2500), np.full(2500, 1e5), np.full(2500, np.nan), np.zeros(0), np.ones(200)]
)
def test_what_has_no_beats_is_nan(signal):
    found = ecg_features(signal, 250)
    assert tuple(found) == FEATURES
    assert all(np.isnan(value) for name, value in found.items() if name not in ("missing_share", "beats"))


@settings(max_examples=60)
@given(
    seed=st.integers(0, 10**6),
    fs=st.sampled_from([100, 130, 256, 300, 333.3, 500, 1000]),
    seconds=st.sampled_from([0.5, 1, 1.3, 2, 4, 10, 30]),
    kind=st.sampled_from(
        ["noise", "walk", "spike", "step", "beats", "irregular", "square", "coarse", "infinite"]
    ),
    gaps=st.integers(0, 4),
)
def test_nothing_raises_or_warns(seed, fs, seconds, kind, gaps):
    generator = np.random.default_rng(seed)
    time_s = np.arange(round(seconds * fs)) / fs
    rr_s = (
        generator.uniform(0.25, 2.0, 200) if kind == "irregular" else np.full(200, generator.uniform(0.25, 2))
    )
    beats = beats_at(np.cumsum(rr_s)[np.cumsum(rr_s) < seconds + 1], fs, seconds) * np.ones(len(time_s))
    signal = {
        "noise": generator.normal(size=len(time_s)),
        "walk": np.cumsum(generator.normal(size=len(time_s))),
        "spike": (np.arange(len(time_s)) == len(time_s) // 2) * 1.0,
        "step": (time_s > seconds / 2) * 1.0,
        "square": np.sign(np.sin(7 * time_s)),
        "coarse": beats.round(),
        "infinite": np.where(generator.random(len(time_s)) < 0.01, np.inf, beats),
    }.get(kind, beats)
    for _ in range(gaps):
        start = generator.integers(0, len(signal))
        signal[start : start + generator.integers(1, len(signal))] = np.nan
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = ecg_features(signal, fs)
    assert tuple(found) == FEATURES
    assert not np.isinf(list(found.values())).any()


def test_intervals_follow_those_of_simulated_hearts():
    true, signals = [], []
    for seed in range(60):
        condition = Condition(30 + seed % 50, female=bool(seed % 2), sbp_mmhg=130)
        heart = draw_heart(np.random.default_rng(seed), condition)
        ecg = simulate_ecg(heart, np.random.default_rng(1000 + seed), seconds=10, fs=250)
        right, left, t = (heart.centre_s[0][NAMES.index(wave)] for wave in ("P right", "P left", "T late"))
        p_s = (left - right) / (0.62 - 0.34)
        true.append((heart.qrs_s, 0.34 * p_s - right, t + 0.082, heart.qt_rate_exponent))
        signals.append(ecg[0] / 1000)
    qrs_s, pr_s, qt_s, exponent = np.transpose(true)
    names, values = feature_table(signals, 250)
    found = pd.DataFrame(values, columns=names)
    qt_s = qt_s * (found["rr_median_ms"] / 1000) ** exponent
    for name, truth_s, bias_ms, least in (
        ("qrs_duration_ms", qrs_s, 12, 0.4),
        ("pr_ms", pr_s, 25, 0.6),
        ("qt_ms", qt_s, 20, 0.6),
    ):
        assert abs((found[name] - 1000 * truth_s).median()) < bias_ms, name
        assert found[name].corr(pd.Series(truth_s), method="spearman") > least, name


def test_simulated_fibrillation_is_irregular_without_p():
    found = {}
    for af in (False, True):
        hearts = [
            draw_heart(np.random.default_rng(i), Condition(70, female=False, sbp_mmhg=140, af=af))
            for i in range(12)
        ]
        ecgs = [
            simulate_ecg(heart, np.random.default_rng(5), seconds=10, fs=250)[0] / 1000 for heart in hearts
        ]
        names, values = feature_table(ecgs, 250)
        found[af] = pd.DataFrame(values, columns=names).median()
    assert found[True]["rr_irregularity"] > 3 * found[False]["rr_irregularity"]
    assert found[True]["rr_sample_entropy"] > found[False]["rr_sample_entropy"]
    assert found[True]["p_share"] < 0.6 < found[False]["p_share"]


@pytest.fixture(scope="module")
def ptb_xl(data_folder):
    """Features of lead I of up to 40 PTB-XL records for each of three statements, and the signals."""
    folder = data_folder / "ptb-xl"
    table = pd.read_csv(folder / "ptbxl_database.csv")
    codes = table["scp_codes"].map(ast.literal_eval)
    signals, kinds = [], []
    for kind in ("NORM", "CLBBB", "AFIB"):
        chosen = table[[kind in of and (kind != "NORM" or of[kind] == 100) for of in codes]].head(40)
        for name in chosen["filename_lr"]:
            signals.append(read_record(folder / name).select(["I"]).signal[0])
            kinds.append(kind)
    names, values = feature_table(signals, 100)
    return pd.DataFrame(values, columns=names).assign(kind=kinds), signals


def test_blocks_are_wide_and_fibrillation_irregular_in_ptb_xl(ptb_xl):
    features, _ = ptb_xl
    middle = features.drop(columns="kind").groupby(features["kind"]).median()
    assert middle.loc["CLBBB", "qrs_duration_ms"] > 120 > 100 > middle.loc["NORM", "qrs_duration_ms"]
    assert middle.loc["CLBBB", "t_relative"] < 0 < middle.loc["NORM", "t_relative"]
    assert middle.loc["AFIB", "rr_irregularity"] > 3 * middle.loc["NORM", "rr_irregularity"]
    assert middle.loc["AFIB", "p_share"] < 0.7 < 0.95 < middle.loc["NORM", "p_share"]
    assert 100 < middle.loc["NORM", "pr_ms"] < 180
    assert 350 < middle.loc["NORM", "qtc_ms"] < 440


def test_the_rate_agrees_with_a_plain_count_of_peaks_in_ptb_xl(ptb_xl):
    features, signals = ptb_xl
    differences = []
    for rate, kind, signal in zip(features["heart_rate_bpm"], features["kind"], signals):
        if kind != "NORM":
            continue
        slope = np.abs(np.diff(signal, append=signal[-1]))
        slope = np.convolve(slope, np.ones(8) / 8, mode="same")
        peaks, _ = find_peaks(slope, height=0.5 * np.quantile(slope, 0.98), distance=35)
        differences.append(abs(rate - 60 * 100 / np.diff(peaks).mean()))
    assert np.median(differences) < 0.5
    assert np.quantile(differences, 0.9) < 2


def test_a_table_has_a_row_a_window_in_order():
    signals = [regular(250, rr_s=rr_s) for rr_s in (1.0, 0.6)] + [np.zeros(2500)]
    names, values = feature_table(np.stack(signals), 250)
    assert values[:2, names.index("heart_rate_bpm")] == pytest.approx([60, 100], abs=0.5)
    np.testing.assert_array_equal(values, feature_table(signals, 250)[1])
    assert feature_table([], 250)[1].shape == (0, len(FEATURES))


@pytest.mark.slow
def test_processes_change_nothing():
    generator = np.random.default_rng(0)
    signals = np.stack([regular(100, rr_s=rr_s) for rr_s in generator.uniform(0.5, 1.2, 150)])
    np.testing.assert_array_equal(feature_table(signals, 100)[1], feature_table(signals, 100, workers=2)[1])


def test_records_take_the_mean_over_windows_that_have_a_value(tmp_path):
    task = Task("tiny/sbp", "regression", ("sbp",), ("sbp_mmhg",), "mmHg")
    fast, slow, flat = regular(100, rr_s=0.6), regular(100, rr_s=1.0), np.zeros(1000)
    rows = {"a": np.concatenate([fast, slow, flat]), "b": fast, "c": flat}
    for unit, folder in (("mV", "mv"), ("zscore", "z")):
        writer = StoreWriter(
            tmp_path / folder,
            name=folder,
            scale=0.001,
            fs=100,
            leads=("I",),
            seconds=10,
            tasks=[task],
            unit=unit,
        )
        records = [
            Record(signal[None].astype(np.float32), 100, ("I",), name, unit=unit)
            for name, signal in rows.items()
        ]
        columns = [{"subject_id": name, "split": "train", "sbp_mmhg": 120.0} for name in rows]
        writer.write_part(0, records, columns)
        cohort = gather_records(writer.finish(), "tiny/sbp")
        needed = np.array([True, False, True])
        values = pd.DataFrame(features_of_cohort(cohort, needed), columns=FEATURES, index=["a", "b", "c"])
        assert values.loc["a", "heart_rate_bpm"] == pytest.approx(
            80, abs=0.5
        )  # of 100 and 60; the flat line has none
        assert values.loc["b"].isna().all()
        assert np.isnan(values.loc["c", "heart_rate_bpm"])
        assert np.isnan(values.loc["a", "r_amplitude_mv"]) == (unit == "zscore")
        assert values.loc["a", "r_relative"] > 0.6


def test_impute_marks_fills_and_holds():
    train = np.column_stack(
        [np.arange(101.0), np.full(101, np.nan), np.r_[np.nan, np.zeros(60), np.ones(40)]]
    )
    found = impute(train, [[-500.0, np.nan, np.nan], [50.0, 3.0, 1.0], [1e9, np.nan, 0.0]])
    np.testing.assert_allclose(found, [[1, 0, 0, 1], [50, 0, 1, 0], [99, 0, 0, 0]])
    assert np.isfinite(impute(np.full((3, 2), np.nan), np.ones((1, 2)))).all()
    with pytest.raises(ValueError, match="same features"):
        impute(np.ones((3, 2)), np.ones((3, 1)))


def test_bad_arguments_are_refused():
    with pytest.raises(ValueError, match="one lead"):
        ecg_features(np.zeros((2, 500)), 250)
    with pytest.raises(ValueError, match="sampling rate"):
        ecg_features(np.zeros(500), 0)
    with pytest.raises(ValueError, match="workers"):
        feature_table(np.zeros((1, 500)), 250, workers=0)


def test_without_neurokit_the_error_says_what_to_install(monkeypatch):
    load_neurokit.cache_clear()
    monkeypatch.setitem(sys.modules, "neurokit2", None)
    with pytest.raises(ImportError, match=r'pip install "openclef\[features\]"'):
        ecg_features(regular(250), 250)
    monkeypatch.undo()
    load_neurokit.cache_clear()


def test_importing_the_protocols_does_not_import_neurokit():
    code = "import sys, openclef.protocol.features; print('neurokit2' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
