"""The pieces of preprocessing: gaps, lengths of the FFT, and filtering against scipy."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.signal import butter, filtfilt, resample, sosfiltfilt, sosfreqz

from openclef.filtering import (
    DRIFT,
    _cost,
    _lengths,
    butterworth_power,
    fill_gaps,
    filter_by_fft,
    filter_by_scipy,
)


@given(st.lists(st.one_of(st.none(), st.floats(-5, 5, width=32)), min_size=1, max_size=30), st.integers(0, 5))
def test_gaps_are_filled_as_numpy_interpolates(values: list[float | None], seed: int) -> None:
    row = np.array([np.nan if v is None else v for v in values], dtype=np.float32)
    other = np.random.default_rng(seed).normal(size=len(row)).astype(np.float32)
    filled, first, last = fill_gaps(torch.from_numpy(np.stack([row, other]))[None])
    known = np.flatnonzero(np.isfinite(row))
    if len(known) == 0:
        assert not filled[0, 0].any()
    else:
        expected = np.interp(np.arange(len(row)), known, row[known])
        assert np.allclose(filled[0, 0].numpy(), expected, atol=1e-5)
    assert np.array_equal(filled[0, 1].numpy(), other)
    if first is not None:
        assert first[0, :, 0].tolist() == [known[0] if len(known) else 0, 0]
        assert last[0, :, 0].tolist() == [known[-1] if len(known) else len(row) - 1, len(row) - 1]


@pytest.mark.parametrize("fs", [100, 128, 250, 257, 300, 360, 1000, 488.28, 498.67, 977.5])
def test_lengths_of_the_two_transforms_correspond(fs: float) -> None:
    shortest = int(20 * fs)
    source, target = _lengths(shortest, 500 / fs, 5000)
    assert source >= shortest
    drift = abs(target - source * 500 / fs) / target * 5000  # samples at the window's end
    assert drift < (DRIFT if fs == int(fs) else 2e-3)  # at most 4 us
    assert _cost(source) < 700 * source  # no large prime where a cheap length is near


def test_resampling_alone_is_that_of_the_spectrum() -> None:
    """On a signal that is periodic over the continued window, up to the ends, as scipy.signal.resample."""
    time_s = np.arange(1000) / 100
    wave = np.sin(2 * np.pi * 3 * time_s) + 0.3 * np.cos(2 * np.pi * 11.5 * time_s)
    tensor = torch.from_numpy(wave).reshape(1, 1, -1)
    faster = filter_by_fft(tensor, fs=100, target_fs=250, span=1000, samples=2500)[0, 0].numpy()
    assert np.abs(faster - resample(wave, 2500))[100:-100].max() < 2e-3
    back = filter_by_fft(
        torch.from_numpy(faster).reshape(1, 1, -1), fs=250, target_fs=100, span=2500, samples=1000
    )
    assert np.abs(back[0, 0].numpy() - wave)[50:-50].max() < 2e-3


def test_same_rate_without_band_changes_nothing() -> None:
    signal = torch.randn(2, 3, 777, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    assert torch.allclose(
        filter_by_fft(signal, fs=100, target_fs=100, span=777, samples=777), signal, atol=1e-12
    )


@pytest.mark.parametrize("band", [(0.67, 40.0), (0.5, None), (None, 30.0)])
@pytest.mark.parametrize("order", [1, 2, 5])
def test_band_pass_is_forward_backward_filtering(band: tuple[float | None, float | None], order: int) -> None:
    rng = np.random.default_rng(1)
    signal = np.cumsum(rng.normal(size=(4, 2, 2500)), axis=-1) * 0.05 + 2.0
    kind = {(True, True): "bandpass", (True, False): "highpass", (False, True): "lowpass"}[
        (band[0] is not None, band[1] is not None)
    ]
    edges = [edge for edge in band if edge is not None]
    sections = butter(order, edges if len(edges) == 2 else edges[0], kind, output="sos", fs=250)
    expected = sosfiltfilt(sections, signal, axis=-1, padtype="odd", padlen=1000)
    filtered = filter_by_fft(
        torch.from_numpy(signal), fs=250, target_fs=250, span=2500, samples=2500, band=band, order=order
    ).numpy()
    difference = np.abs(filtered - expected)[..., 125:-125].max(-1) / expected.std(-1)
    assert difference.max() < 0.03


def test_scipy_path_is_filtfilt_in_its_default_form() -> None:
    signal = np.random.default_rng(0).normal(size=(2, 3, 1000))
    expected = filtfilt(*butter(5, (0.67, 40), "bandpass", fs=500), signal, axis=-1)
    assert np.array_equal(filter_by_scipy(signal, 500, (0.67, 40), 5), expected)
    assert np.array_equal(filter_by_scipy(signal, 500, None, 5), signal)


@pytest.mark.parametrize(("fs", "target_fs"), [(500.0, 500.0), (250.0, 500.0), (360.0, 100.0)])
def test_whole_signals_are_filtered_as_those_with_known_ends(fs: float, target_fs: float) -> None:
    signal = torch.randn(3, 2, round(10 * fs), dtype=torch.float64).cumsum(-1).requires_grad_()
    first = torch.zeros(3, 2, 1, dtype=torch.long)
    last = torch.full_like(first, signal.shape[-1] - 1)
    settings = {
        "fs": fs,
        "target_fs": target_fs,
        "span": signal.shape[-1],
        "samples": round(10 * target_fs),
        "band": (0.67, 40.0),
    }
    by_slices, by_places = filter_by_fft(signal, **settings), filter_by_fft(signal, first, last, **settings)
    torch.testing.assert_close(by_slices, by_places, rtol=1e-12, atol=1e-10)
    ours, theirs = (torch.autograd.grad(each.square().sum(), signal)[0] for each in (by_slices, by_places))
    torch.testing.assert_close(ours, theirs, rtol=1e-10, atol=1e-8)


@pytest.mark.parametrize("band", [(0.67, 40.0), (0.05, 45.0), (None, 40.0), (0.5, None)])
@pytest.mark.parametrize(("fs", "order"), [(500.0, 5), (100.0, 2), (250.0, 10)])
def test_the_closed_form_is_the_power_of_scipys_filter(band: tuple, fs: float, order: int) -> None:
    frequency_hz = np.linspace(0, fs / 2, 2001)
    low, high = band
    edges, kind = (
        (band, "bandpass") if None not in band else ((high, "lowpass") if low is None else (low, "highpass"))
    )
    sections = butter(order, edges, kind, output="sos", fs=fs)
    expected = np.abs(sosfreqz(sections, worN=frequency_hz, fs=fs)[1]) ** 2
    np.testing.assert_allclose(butterworth_power(frequency_hz, fs, band, order), expected, atol=1e-9)
