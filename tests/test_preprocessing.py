"""Preprocessing against forward-backward filtering on real records, closed forms and its own invariants."""

from __future__ import annotations

import json
import subprocess
import sys
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
import torch
import wfdb
from hypothesis import given
from hypothesis import strategies as st
from scipy.signal import butter, filtfilt, resample_poly, sosfiltfilt

from openclef.preprocessing import Preprocessing

RATES = (100, 250, 360, 500, 1000)


@pytest.fixture(scope="module")
def real(data_folder: Path) -> np.ndarray:
    """Every twentieth record of PTB-XL at 500 Hz: (25, 12, 5000) in mV."""
    headers = sorted((data_folder / "ptb-xl" / "records500").glob("*/*.hea"))[::20]
    if not headers:
        pytest.skip("no PTB-XL record at 500 Hz in the data folder")
    return np.stack([wfdb.rdrecord(str(h.with_suffix(""))).p_signal.T for h in headers])


def _at_rate(signal: np.ndarray, fs: int) -> np.ndarray:
    ratio = Fraction(fs, 500)
    if ratio == 1:
        return signal.astype(np.float32)
    return resample_poly(signal, ratio.numerator, ratio.denominator, axis=-1, padtype="line").astype(
        np.float32
    )


def _forward_backward(signal: np.ndarray, fs: int) -> np.ndarray:
    sections = butter(5, (0.67, 40), "bandpass", output="sos", fs=fs)
    return sosfiltfilt(sections, signal.astype(np.float64), axis=-1, padtype="odd", padlen=4 * fs)


def _largest_difference(given: np.ndarray, expected: np.ndarray, margin: int) -> np.ndarray:
    """Largest difference of each lead, 0.5 s from the ends, as a share of its spread."""
    inside = slice(margin, -margin)
    return np.abs(given - expected)[..., inside].max(-1) / expected[..., inside].std(-1).clip(1e-9)


@pytest.mark.parametrize("fs", RATES)
def test_real_records_are_filtered_as_forward_and_backward(real: np.ndarray, fs: int) -> None:
    signal = _at_rate(real, fs)
    filtered = Preprocessing(fs=fs).filter(torch.from_numpy(signal), fs).numpy()
    difference = _largest_difference(filtered, _forward_backward(signal, fs), fs // 2)
    assert np.quantile(difference, 0.95) < 0.01
    assert np.median(difference) < 0.002


@pytest.mark.parametrize("fs", RATES)
def test_source_rate_makes_no_difference(real: np.ndarray, fs: int) -> None:
    """A model at 500 Hz sees the same record from any rate; at 100 Hz the source's limit of 50 Hz shows."""
    model = Preprocessing(fs=500)
    filtered = model.filter(torch.from_numpy(_at_rate(real, fs)), fs).numpy()
    original = model.filter(torch.from_numpy(real.astype(np.float32)), 500).numpy()
    assert np.quantile(_largest_difference(filtered, original, 250), 0.95) < (0.05 if fs == 100 else 0.01)


def test_scipy_filtering_is_that_of_the_published_weights(real: np.ndarray) -> None:
    signal = real[:5].astype(np.float32)
    expected = filtfilt(*butter(5, (0.67, 40), "bandpass", fs=500), signal.astype(np.float64), axis=-1)
    expected = (expected - expected.mean(-1, keepdims=True)) / (expected.std(-1, keepdims=True) + 1e-8)
    ready = Preprocessing(filtering="scipy")(torch.from_numpy(signal), 500).numpy()
    assert np.abs(ready - expected).max() < 1e-5


def test_float32_is_accurate_enough() -> None:
    """Against the same filter in float64, with an offset a thousand times the signal."""
    from openclef.filtering import filter_by_fft

    rng = np.random.default_rng(0)
    signal = torch.from_numpy(np.cumsum(rng.normal(size=(3, 1, 5000)), axis=-1) * 0.02 + 100.0).float()
    model = Preprocessing()
    double = filter_by_fft(
        signal.double(), fs=500, target_fs=500, span=5000, samples=5000, band=(0.67, 40.0), order=5
    )
    single = model.filter(signal, 500)
    assert single.dtype == torch.float32
    assert float((single - double).abs().max() / double.std()) < 1e-4


@pytest.mark.parametrize("source_fs", [100, 250, 333.3, 500, 1000])
def test_a_sine_in_the_band_keeps_amplitude_and_phase(source_fs: float) -> None:
    time_s = np.arange(round(10 * source_fs)) / source_fs
    signal = torch.from_numpy(np.sin(2 * np.pi * 10 * time_s) + 3.0).float().reshape(1, 1, -1)
    filtered = Preprocessing(fs=500).filter(signal, source_fs)[0, 0].numpy()
    expected = np.sin(2 * np.pi * 10 * np.arange(5000) / 500)
    assert np.abs(filtered - expected)[1000:-1000].max() < 0.02


def test_mains_and_drift_are_removed() -> None:
    time_s = torch.arange(5000) / 500
    for hz in (0.1, 60.0, 100.0):
        signal = torch.sin(2 * torch.pi * hz * time_s).reshape(1, 1, -1)
        filtered = Preprocessing().filter(signal, 500)
        assert float(filtered[..., 1000:-1000].abs().max()) < 0.05, hz


@pytest.mark.parametrize("filtering", ["fft", "scipy"])
def test_a_batch_equals_one_at_a_time(filtering: str) -> None:
    generator = torch.Generator().manual_seed(0)
    signal = torch.randn(4, 2, 2500, generator=generator)
    signal[0, 0, 100:180] = torch.nan
    signal[1, 1, 1800:] = torch.nan
    signal[2, :, :50] = torch.nan
    signal[3, 0] = torch.nan
    model = Preprocessing(filtering=filtering)
    together = model(signal, 250)
    for row in range(4):
        for lead in range(2):
            alone = model(signal[row : row + 1, lead : lead + 1], 250)
            assert torch.allclose(together[row, lead], alone[0, 0], atol=1e-5)
    assert torch.equal(together, model(signal, 250))
    assert bool(torch.isfinite(together).all())
    assert not together[3, 0].any()


@given(st.floats(0.01, 1000), st.floats(-50, 50), st.integers(0, 1000))
def test_scaled_and_shifted_signals_come_out_the_same(scale: float, offset: float, seed: int) -> None:
    signal = torch.from_numpy(np.random.default_rng(seed).normal(size=(1, 1, 500))).float()
    model = Preprocessing(fs=100, seconds=5)
    filtered = model.filter(signal, 100)
    assert torch.allclose(model.filter(scale * signal, 100), scale * filtered, rtol=1e-3, atol=1e-4 * scale)
    assert torch.allclose(model.filter(signal + offset, 100), filtered, atol=2e-5 * max(1, abs(offset)))
    assert torch.allclose(
        model(scale * signal + offset, 100), model(signal, 100), atol=5e-2 if scale < 1 else 1e-3
    )


@given(st.floats(90, 1200), st.floats(1, 10), st.floats(0.1, 1))
def test_any_rate_and_length_gives_the_window(source_fs: float, seconds: float, share: float) -> None:
    model = Preprocessing(fs=250, seconds=seconds)
    samples = max(1, round(share * seconds * source_fs))
    signal = torch.randn(1, 2, samples, generator=torch.Generator().manual_seed(0))
    ready, valid = model(signal, source_fs), model.valid(signal, source_fs)
    assert ready.shape == valid.shape == (1, 2, model.samples)
    assert bool(torch.isfinite(ready).all())
    assert int(valid[0, 0].sum()) == pytest.approx(min(samples / source_fs, seconds) * 250, abs=3)
    assert not ready[~valid].any()


def test_a_short_signal_is_filtered_as_it_would_be_alone() -> None:
    signal = torch.randn(1, 1, 1500, generator=torch.Generator().manual_seed(0)).cumsum(-1)
    expected = Preprocessing(seconds=6).filter(signal, 250)
    missing = torch.nn.functional.pad(signal, (0, 1000), value=torch.nan)
    for window in (signal, missing):
        filtered = Preprocessing(seconds=10).filter(window, 250)
        assert float((filtered[..., :3000] - expected).abs().max()) < 0.01 * float(expected.std())
        ready = Preprocessing(seconds=10)(window, 250)
        assert not ready[..., 3000:].any()
        assert float(ready[..., :3000].std(correction=0)) == pytest.approx(1, abs=1e-4)


def test_missing_ends_are_mirrored_in_time() -> None:
    signal = torch.randn(1, 1, 1000, generator=torch.Generator().manual_seed(0))
    signal[..., :300] = torch.nan
    model = Preprocessing(fs=100, seconds=10)
    backwards = model.filter(signal.flip(-1), 100).flip(-1)
    assert torch.allclose(model.filter(signal, 100), backwards, atol=2e-2)
    assert model.valid(signal, 100)[0, 0].tolist() == [False] * 300 + [True] * 700


@pytest.mark.parametrize("short", [0, 1])
def test_a_window_short_of_one_sample_is_whole(short: int) -> None:
    signal = torch.randn(1, 1, 1000 - short, generator=torch.Generator().manual_seed(0))
    assert bool(Preprocessing().valid(signal, 100).all())
    assert not bool(Preprocessing().valid(signal[..., :-2], 100).all())


def test_constant_and_empty_leads_become_zeros() -> None:
    signal = torch.full((1, 3, 2500), 700.123)
    signal[0, 1] = torch.nan
    signal[0, 2, :100] = torch.nan
    for filtering in ("fft", "scipy"):
        assert not Preprocessing(filtering=filtering)(signal, 250).any()


def test_normalise_over_valid_samples() -> None:
    generator = torch.Generator().manual_seed(0)
    signal = torch.randn(2, 1, 100, generator=generator) * 5 + 3
    valid = torch.rand(2, 1, 100, generator=generator) > 0.3
    ready = Preprocessing().standardise(signal, valid)
    for row in range(2):
        kept = signal[row][valid[row]]
        expected = (kept - kept.mean()) / (kept.std(correction=0) + 1e-8)
        assert torch.allclose(ready[row][valid[row]], expected, atol=1e-5)
    assert not ready[~valid].any()
    plain = Preprocessing(normalise="none")
    assert torch.equal(plain.standardise(signal), signal)
    assert torch.equal(plain.standardise(signal, valid), torch.where(valid, signal, 0.0))


def test_minmax_goes_from_minus_one_to_one_over_valid_samples() -> None:
    model = Preprocessing(fs=100, seconds=2, band=None, normalise="minmax")
    signal = torch.tensor([[3.0, 9.0, 5.0, 3.0] * 50, [4.0] * 200])[None]
    signal[0, 0, 150:] = torch.nan
    ready = model(signal, 100)
    expected = 2 * (signal[0, 0, :150] - 3) / 6 - 1
    assert torch.allclose(ready[0, 0, :150], expected, atol=1e-6)
    assert not ready[0, 0, 151:].any()  # not recorded
    assert not ready[0, 1].any()  # constant
    whole = torch.randn(4, 2, 200)
    assert torch.allclose(model.standardise(whole).amax(-1), torch.ones(4, 2), atol=1e-5)
    assert torch.allclose(model.standardise(3 * whole - 7), model.standardise(whole), atol=1e-5)
    assert torch.equal(
        model.standardise(whole), model.standardise(whole, torch.ones(1, 1, 200, dtype=torch.bool))
    )
    model.check(100, "zscore")  # amplitudes do not count


def test_output_is_float32_under_autocast_and_gradients_pass() -> None:
    model = Preprocessing(seconds=2)
    signal = torch.randn(1, 1, 500)
    with torch.inference_mode():
        model(signal, 250)  # the plan made here must not stop gradients later
    signal.requires_grad_()
    with torch.autocast("cpu", torch.bfloat16):
        ready = model(signal, 250)
    assert ready.dtype == torch.float32
    ready[0, 0, 400].backward()
    assert signal.grad is not None
    assert bool(torch.isfinite(signal.grad).all())
    constant = torch.zeros(1, 1, 500, requires_grad=True)
    model(constant, 250).sum().backward()
    assert bool(torch.isfinite(constant.grad).all())


@pytest.mark.parametrize("unit", ["mV", "uV", "zscore"])
def test_units_that_a_z_score_takes(unit: str) -> None:
    Preprocessing().check(250, unit)


@pytest.mark.parametrize(
    ("settings", "fs", "unit", "message"),
    [
        ({}, 80, "mV", "too low"),
        ({}, 80, "zscore", "more than 80 Hz"),
        ({}, 0, "mV", "positive number of Hz"),
        ({}, float("nan"), "mV", "positive number of Hz"),
        ({}, 500, "V", "unit='V' is unknown"),
        ({}, 500, "", "is unknown"),
        ({"normalise": "none"}, 500, "zscore", "amplitudes in mV count"),
        ({"normalise": "none"}, 500, "uV", "amplitudes in mV count"),
    ],
)
def test_signals_that_cannot_be_made_valid(settings: dict, fs: float, unit: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Preprocessing(**settings).check(fs, unit)


@pytest.mark.parametrize(
    ("signal", "fs", "message"),
    [
        (torch.zeros(5000), 500, "takes \\(batch, lead, time\\)"),
        (torch.zeros(1, 1, 0), 500, "takes \\(batch, lead, time\\)"),
        (torch.zeros(1, 1, 5000, dtype=torch.int16), 500, "floating-point"),
        (torch.zeros(1, 1, 5002), 500, "Cut it into windows"),
        (torch.zeros(1, 1, 500), 60, "too low"),
    ],
)
def test_wrong_signals_are_refused(signal: torch.Tensor, fs: float, message: str) -> None:
    for method in (Preprocessing().filter, Preprocessing().valid, Preprocessing()):
        with pytest.raises(ValueError, match=message):
            method(signal, fs)


@pytest.mark.parametrize(
    "settings",
    [
        {"fs": 0},
        {"fs": float("inf")},
        {"seconds": 0},
        {"seconds": float("nan")},
        {"band": (40, 0.67)},
        {"band": (0.67, 250)},
        {"band": (0, 40)},
        {"band": (0.67,)},
        {"fs": 80},
        {"order": 0},
        {"order": 11},
        {"order": 2.5},
        {"normalise": "robust"},
        {"filtering": "iir"},
        {"filtering": "scipy", "seconds": 0.05},
    ],
)
def test_wrong_settings_are_refused(settings: dict) -> None:
    with pytest.raises(ValueError, match=next(iter(settings)) if "fs" not in settings else "fs"):
        Preprocessing(**settings)


@pytest.mark.parametrize(
    "model",
    [
        Preprocessing(),
        Preprocessing(fs=100, seconds=8, band=None, order=2, normalise="none"),
        Preprocessing(band=(None, 40), filtering="scipy"),
        Preprocessing(band=(0.5, None)),
    ],
)
def test_settings_survive_json(model: Preprocessing) -> None:
    assert Preprocessing.from_dict(json.loads(json.dumps(model.to_dict()))) == model
    assert hash(model) == hash(Preprocessing.from_dict(model.to_dict()))


def test_incomplete_or_unknown_settings_are_refused() -> None:
    settings = Preprocessing().to_dict()
    with pytest.raises(ValueError, match="unknown \\['notch'\\]"):
        Preprocessing.from_dict({**settings, "notch": 50})
    del settings["order"]
    with pytest.raises(ValueError, match="missing \\['order'\\]"):
        Preprocessing.from_dict(settings)


def test_settings_do_without_torch() -> None:
    code = "import sys, openclef.preprocessing as p; p.Preprocessing(); print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


def test_a_whole_window_has_the_same_gradient_whether_its_samples_are_looked_at_or_not() -> None:
    preprocessing = Preprocessing(fs=100, seconds=10)
    signal = torch.randn(2, 1, 1000, requires_grad=True)
    looked = preprocessing(signal, 100)
    known = preprocessing.standardise(preprocessing.filter(signal, 100, complete=True))
    torch.testing.assert_close(known, looked, atol=1e-5, rtol=1e-5)
    weight = torch.randn(1000)
    gradients = [torch.autograd.grad((each * weight).sum(), signal)[0] for each in (known, looked)]
    torch.testing.assert_close(*gradients, atol=1e-4, rtol=1e-3)
    assert preprocessing.standardise(torch.full((1, 1, 9), 3.0)).abs().max() == 0


@pytest.mark.parametrize("level", [-3.3, 1.1, 0.7, 5.0, 1e-3, 1e4])
@pytest.mark.parametrize("seconds", [5.0, 4.0])
def test_a_constant_lead_becomes_zeros_whatever_rounding_leaves_of_it(level: float, seconds: float) -> None:
    preprocessing = Preprocessing(fs=500, seconds=5, band=None)
    signal = torch.full((2, 1, round(seconds * 500)), level)
    assert not preprocessing(signal, 500).any()
    assert not preprocessing.standardise(signal).any()
    signal[0, 0, ::2] += 1e-3 * level  # a real wave is kept
    ready = preprocessing.standardise(signal)
    assert ready[0].abs().min() > 0.9
    assert not ready[1].any()


def test_a_model_without_a_band_refuses_rates_at_which_no_ecg_is_left() -> None:
    without = Preprocessing(fs=100, band=None)
    without.check(fs=50, unit="mV")
    with pytest.raises(ValueError, match="fs=40 Hz is too low for an ECG: at least 50 Hz"):
        without.check(fs=40, unit="mV")


@pytest.mark.parametrize("fs", ["500", True, None, 0, -1, float("nan"), float("inf"), 5 + 0j])
def test_what_is_no_rate_is_refused(fs: object) -> None:
    with pytest.raises(ValueError, match=r"fs=.* is no sampling rate; pass a positive number of Hz"):
        Preprocessing().check(fs, "mV")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"fs=.* is no sampling rate"):
        Preprocessing(fs=fs)  # type: ignore[arg-type]
