from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import scipy.fft
import scipy.io
import torch

from openclef.noise import add_noise, draw_kinds, load_noise_bank
from openclef.noise_synthesis import NOISE_KINDS, _fast_length, synthesise_noise, synthetic_bank


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def power_between(noise: torch.Tensor, fs: float, low: float, high: float) -> float:
    """Share of the noise's power in a band, tapered so that cut drifts do not spill over."""
    taper = torch.hann_window(noise.shape[-1])
    power = torch.fft.rfft((noise - noise.mean(-1, keepdim=True)) * taper).abs().square().sum(0)
    frequency = torch.fft.rfftfreq(noise.shape[-1], 1 / fs)
    return float(power[(frequency >= low) & (frequency <= high)].sum() / power.sum())


@pytest.fixture(params=[None, "bank"])
def bank(request):
    if request.param is None:
        return None
    return {kind: torch.randn(15, 9000, generator=seeded(place)) for place, kind in enumerate(NOISE_KINDS)}


def test_level_is_the_stated_one(bank) -> None:
    signal = torch.randn(200, 1, 2000, generator=seeded(5))
    noise = add_noise(signal, 250, probability=1.0, level_mv=0.25, generator=seeded(), bank=bank) - signal
    deviation = noise.std(-1, correction=0)
    torch.testing.assert_close(deviation, torch.full_like(deviation, 0.25), rtol=1e-3, atol=0)
    assert noise.mean(-1).abs().max() < 1e-5


@pytest.mark.parametrize("snr_db", [-6.0, 0.0, 20.0])
def test_signal_to_noise_ratio_is_the_stated_one(bank, snr_db) -> None:
    signal = 3 + torch.randn(100, 1, 2000, generator=seeded(5)) * torch.linspace(0.1, 4, 100)[:, None, None]
    noisy = add_noise(
        signal, 250, probability=1.0, level_mv=None, snr_db=snr_db, generator=seeded(), bank=bank
    )
    ratio = 10 * torch.log10(signal.var(-1) / (noisy - signal).var(-1))
    torch.testing.assert_close(ratio, torch.full_like(ratio, snr_db), rtol=0, atol=0.05)


def test_nothing_and_each_kind_have_equal_odds() -> None:
    kind = draw_kinds(50_000, NOISE_KINDS, 0.8, seeded())
    share = (kind + 1).bincount(minlength=5) / 50_000
    assert (share - 0.2).abs().max() < 4 * (0.2 * 0.8 / 50_000) ** 0.5


def test_share_of_noisy_signals() -> None:
    signal = torch.zeros(3000, 1, 200)
    noisy = add_noise(signal, 100, probability=0.3, generator=seeded())
    assert float(noisy[:, 0].any(1).double().mean()) == pytest.approx(0.3, abs=0.04)
    assert torch.equal(add_noise(signal, 100, probability=0.0, generator=seeded()), signal)


@pytest.mark.parametrize(
    ("kind", "low", "high", "share"),
    [("baseline_wander", 0.0, 0.9, 0.99), ("motion_artefacts", 0.3, 11.0, 0.97)],
)
def test_band_of_each_noise(kind, low, high, share) -> None:
    noise = synthesise_noise(kind, 100, 5000, 500, seeded())
    assert power_between(noise, 500, low, high) > share


def test_band_of_muscle_in_the_mixture() -> None:
    noise = synthesise_noise("mixture_of_noises", 200, 5000, 500, seeded())
    # A quarter of the mixture is muscle-like; sharp edges of electrode movement add a little.
    assert 0.15 < power_between(noise, 500, 19.0, 61.0) < 0.3
    assert power_between(noise, 500, 65.0, 250.0) < 0.02
    assert power_between(noise, 500, 0.0, 11.0) > 0.6


def test_electrode_movement_has_sharp_edges_and_decays() -> None:
    noise = synthesise_noise("electrode_movement", 100, 5000, 500, seeded())
    jump = noise.diff().abs()
    # In each signal a jump of one sample stands far above the typical change.
    assert (jump.amax(1) > 50 * jump.median(1).values).all()
    assert ((jump > 0.2 * jump.amax(1, keepdim=True)).sum(1) <= 4).all()
    smooth = synthesise_noise("motion_artefacts", 100, 5000, 500, seeded()).diff().abs()
    assert float(jump.amax(1).median()) > 3 * float(smooth.amax(1).median())


def test_motion_comes_in_bursts() -> None:
    def peakedness(kind: str) -> float:
        windows = synthesise_noise(kind, 200, 5000, 500, seeded()).unfold(1, 250, 250).square().mean(-1)
        return float((windows.amax(1) / windows.mean(1)).median())

    assert peakedness("motion_artefacts") > 3


def _stretches_of(kind: str, count: int = 200) -> torch.Tensor:
    """Noise as views get it: stretches of the bank."""
    return add_noise(
        torch.zeros(count, 1, 5000), 500, probability=1.0, level_mv=1.0, generator=seeded(), kinds=[kind]
    )[:, 0]


@pytest.mark.parametrize("kind", NOISE_KINDS)
def test_stretches_of_the_bank_are_like_noise_made_one_by_one(kind) -> None:
    """Their spectra agree, band by band, and so does how bursts and edges stand out."""
    stretches, single = _stretches_of(kind), synthesise_noise(kind, 200, 5000, 500, seeded())
    for low, high in ((0.0, 0.75), (0.75, 3.0), (3.0, 10.5), (10.5, 19.0), (19.0, 61.0), (61.0, 250.0)):
        shares = power_between(stretches, 500, low, high), power_between(single, 500, low, high)
        assert shares[0] == pytest.approx(shares[1], abs=0.06)

    def peakedness(noise: torch.Tensor) -> float:
        windows = noise.unfold(1, 250, 250).square().mean(-1)
        return float((windows.amax(1) / windows.mean(1)).median())

    assert peakedness(stretches) == pytest.approx(peakedness(single), rel=0.35)


def test_no_stretch_is_without_an_event() -> None:
    jump = _stretches_of("electrode_movement", 300).diff().abs()
    assert (jump.amax(1) > 20 * jump.median(1).values).all()


def test_stretches_differ_and_the_bank_is_always_the_same() -> None:
    stretches = _stretches_of("baseline_wander", 60)
    alike = (stretches @ stretches.T / 5000 - torch.eye(60)).abs().amax()
    assert alike < 0.99
    bank = synthetic_bank(100.0, 500)
    synthetic_bank.cache_clear()
    again = synthetic_bank(100.0, 500)
    assert all(torch.equal(bank[kind], again[kind]) for kind in NOISE_KINDS)


def test_drift_does_not_join_its_ends() -> None:
    noise = synthesise_noise("baseline_wander", 200, 5000, 500, seeded())
    assert float((noise[:, 0] - noise[:, -1]).abs().median()) > 0.5


@pytest.mark.parametrize(("samples", "fs"), [(100, 500.0), (77, 25.0), (1300, 130.0)])
@pytest.mark.parametrize("kind", NOISE_KINDS)
def test_short_and_slow_signals_get_noise_too(kind, samples, fs) -> None:
    noise = synthesise_noise(kind, 20, samples, fs, seeded())
    torch.testing.assert_close(noise.std(-1, correction=0), torch.ones(20), rtol=1e-3, atol=0)


def test_noise_is_a_function_of_the_seed(bank) -> None:
    signal = torch.zeros(10, 1, 500)
    first = add_noise(signal, 100, generator=seeded(3), bank=bank)
    assert torch.equal(first, add_noise(signal, 100, generator=seeded(3), bank=bank))
    assert not torch.equal(first, add_noise(signal, 100, generator=seeded(4), bank=bank))


def test_input_and_bank_stay_as_they_are() -> None:
    bank = {kind: torch.randn(2, 600, generator=seeded()) for kind in NOISE_KINDS}
    before = {kind: noise.clone() for kind, noise in bank.items()}
    signal = torch.zeros(20, 1, 500)
    add_noise(signal, 100, generator=seeded(), bank=bank, level_mv=0.7)
    assert not signal.any()
    assert all(torch.equal(bank[kind], before[kind]) for kind in bank)


def test_recorded_noise_is_a_stretch_of_its_kind() -> None:
    # Each array is a slope of its own, so that a stretch tells where it comes from.
    time = torch.arange(400.0)
    bank = {kind: (time ** (place + 1)).repeat(3, 1) for place, kind in enumerate(NOISE_KINDS)}
    noise = add_noise(
        torch.zeros(40, 1, 100), 100, probability=1.0, level_mv=1.0, generator=seeded(), bank=bank
    )
    kind = draw_kinds(40, NOISE_KINDS, 1.0, seeded())
    bent = noise[:, 0].diff().diff().abs().amax(1) > 1e-4
    assert torch.equal(bent, kind > 0)
    wander = add_noise(
        torch.zeros(40, 1, 100),
        100,
        probability=1.0,
        generator=seeded(),
        bank=bank,
        kinds=["motion_artefacts"],
    )
    assert wander.diff().diff().abs().max() < 1e-4


def test_every_lead_of_the_bank_is_used() -> None:
    leads = torch.tensor([[1.0], [-1.0], [2.0]]) * torch.arange(50.0)
    bank = {"baseline_wander": torch.cat([leads[:2], torch.zeros(1, 50)])}
    noise = add_noise(
        torch.zeros(300, 1, 20),
        100,
        probability=1.0,
        generator=seeded(),
        bank=bank,
        kinds=["baseline_wander"],
    )
    slope = noise[:, 0, -1].sign().long()
    assert (slope.add(1).bincount(minlength=3) > 70).all()


def test_bank_is_read_and_resampled(tmp_path: Path) -> None:
    time = np.arange(8000) / 1000
    arrays = {
        kind: np.sin(2 * np.pi * (place + 1) * time)[None].repeat(15, 0)
        for place, kind in enumerate(NOISE_KINDS)
    }
    scipy.io.savemat(tmp_path / "noise.mat", arrays)
    bank = load_noise_bank(tmp_path / "noise.mat", fs=500)
    assert list(bank) == list(NOISE_KINDS)
    for place, noise in enumerate(bank.values()):
        assert noise.shape == (15, 4000)
        assert noise.dtype == torch.float32
        expected = torch.sin(2 * math.pi * (place + 1) * torch.arange(4000) / 500)
        torch.testing.assert_close(noise[3, 200:-200], expected[200:-200], rtol=0, atol=2e-3)
    same = load_noise_bank(tmp_path / "noise.mat", fs=1000)
    np.testing.assert_allclose(same["baseline_wander"].numpy(), arrays["baseline_wander"], atol=1e-6)


def test_bank_that_lacks_an_array_is_named(tmp_path: Path) -> None:
    scipy.io.savemat(tmp_path / "noise.mat", {"baseline_wander": np.zeros((15, 10))})
    with pytest.raises(ValueError, match="motion_artefacts"):
        load_noise_bank(tmp_path / "noise.mat", fs=500)


@pytest.mark.parametrize(
    ("signal", "settings", "message"),
    [
        (torch.zeros(2, 12, 50), {}, "single leads"),
        (torch.zeros(2, 1, 50), {"probability": 1.5}, "0..1"),
        (torch.zeros(2, 1, 50), {"snr_db": 3.0}, "exactly one"),
        (torch.zeros(2, 1, 50), {"level_mv": None}, "exactly one"),
        (torch.zeros(2, 1, 50), {"level_mv": -1.0}, "at least 0"),
        (torch.zeros(2, 1, 50), {"kinds": ["hum"]}, "hum"),
        (torch.zeros(2, 1, 50), {"kinds": []}, "one or more"),
        (torch.zeros(2, 1, 50), {"bank": {}}, "lacks"),
        (torch.zeros(2, 1, 50), {"bank": dict.fromkeys(NOISE_KINDS, torch.zeros(3, 20))}, "longer"),
    ],
)
def test_wrong_input_is_named(signal, settings, message) -> None:
    with pytest.raises(ValueError, match=message):
        add_noise(signal, 100, generator=seeded(), **settings)


@pytest.mark.parametrize("shortest", [1, 7, 10_000, 10_007, 80_001])
def test_lengths_of_the_fft_are_those_that_scipy_likes(shortest: int) -> None:
    assert _fast_length(shortest) == scipy.fft.next_fast_len(shortest, real=True)
