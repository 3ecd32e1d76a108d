from __future__ import annotations

import subprocess
import sys

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from openclef.augment import Views, draw_leads, make_view, mask_blocks, random_crop, time_shift


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_same_lead_share_is_that_of_the_released_code() -> None:
    count = 100_000
    first, second = draw_leads(count, 12, same_lead_probability=0.8, generator=seeded())
    expected = 0.8 + 0.2 / 12  # 82 %
    bound = 4 * (expected * (1 - expected) / count) ** 0.5
    assert float((first == second).double().mean()) == pytest.approx(expected, abs=bound)
    for drawn in (first, second):
        share = drawn.bincount(minlength=12) / count
        assert (share - 1 / 12).abs().max() < 4 * (1 / 12 * 11 / 12 / count) ** 0.5


def test_leads_are_drawn_among_those_available() -> None:
    available = torch.tensor([[True, False, True], [False, False, True]]).repeat(3000, 1)
    first, second = draw_leads(6000, 3, same_lead_probability=0.0, available=available, generator=seeded())
    assert first[1::2].unique().tolist() == [2]
    for drawn in (first, second):
        assert drawn[::2].unique().tolist() == [0, 2]
        assert float((drawn[::2] == 0).double().mean()) == pytest.approx(0.5, abs=0.04)
    with pytest.raises(ValueError, match="no available lead"):
        draw_leads(1, 2, available=torch.tensor([[False, False]]), generator=seeded())
    with pytest.raises(ValueError, match="shape"):
        draw_leads(1, 2, available=torch.ones(2, 2, dtype=torch.bool), generator=seeded())


def test_one_lead_for_all() -> None:
    first, second = draw_leads(5, 12, lead_index=3, generator=seeded())
    assert first.tolist() == second.tolist() == [3] * 5
    with pytest.raises(ValueError, match="lead_index"):
        draw_leads(5, 12, lead_index=12, generator=seeded())


def test_same_lead_probability_one_and_zero() -> None:
    first, second = draw_leads(500, 12, same_lead_probability=1.0, generator=seeded())
    assert torch.equal(first, second)
    first, second = draw_leads(500, 2, same_lead_probability=0.0, generator=seeded())
    assert 0.3 < float((first == second).double().mean()) < 0.7


def test_mask_takes_one_block_of_the_stated_share() -> None:
    signal = torch.ones(4000, 1, 500)
    masked = mask_blocks(signal, 0.2, (0.1, 0.3), seeded())
    zero = masked[:, 0] == 0
    rows = zero.any(1)
    assert float(rows.double().mean()) == pytest.approx(0.2, abs=0.03)
    share = zero[rows].double().mean(1)
    assert share.min() >= 0.1
    assert share.max() <= 0.3
    assert float(share.mean()) == pytest.approx(0.2, abs=0.01)
    edges = (
        zero[rows].int().diff(dim=1, prepend=torch.zeros(int(rows.sum()), 1, dtype=torch.int)).clamp(min=0)
    )
    assert (edges.sum(1) == 1).all()
    # Every place of the signal can be lost.
    assert zero.any(0).all()
    assert signal.all()


def test_mask_ends() -> None:
    signal = torch.ones(3, 2, 40)
    assert torch.equal(mask_blocks(signal, 0.0, (0.1, 0.3), seeded()), signal)
    assert not mask_blocks(signal, 1.0, (1.0, 1.0), seeded()).any()


@given(samples=st.integers(2, 40), seed=st.integers(0, 2**31), data=st.data())
def test_shift_keeps_order_and_mirrors_the_ends(samples: int, seed: int, data) -> None:
    largest = data.draw(st.integers(0, samples - 1))
    signal = torch.arange(float(samples)).expand(6, 1, samples)
    shifted = time_shift(signal, largest, seeded(seed))[:, 0]
    for row in shifted:
        # Slopes are 1 inside and -1 in the mirrored part at one of the ends only: one turn at most.
        slope = row.diff()
        assert set(slope.tolist()) <= {1.0, -1.0}
        assert int((slope.diff() != 0).sum()) <= 1
        inside = slope.tolist().count(-1.0)
        assert inside <= largest


def test_shift_moves_to_both_sides_equally() -> None:
    signal = torch.zeros(6000, 1, 21)
    signal[:, :, 10] = 1
    where = time_shift(signal, 3, seeded())[:, 0].argmax(1)
    share = where.bincount(minlength=21)[7:14] / 6000
    assert float(share.sum()) == 1
    assert (share - 1 / 7).abs().max() < 0.02
    with pytest.raises(ValueError, match="largest shift"):
        time_shift(signal, 21, seeded())


def test_crop_is_a_stretch_of_the_signal() -> None:
    signal = torch.arange(100.0).expand(3000, 2, 100) + torch.tensor([[0.0], [1000.0]])
    crop = random_crop(signal, 90, seeded())
    assert crop.shape == (3000, 2, 90)
    assert torch.equal(crop.diff(), torch.ones(3000, 2, 89))
    assert torch.equal(crop[:, 1] - 1000, crop[:, 0])
    share = crop[:, 0, 0].long().bincount(minlength=11) / 3000
    assert (share - 1 / 11).abs().max() < 0.025
    assert torch.equal(random_crop(signal, 100, seeded()), signal)
    for samples in (0, 101):
        with pytest.raises(ValueError, match="crop"):
            random_crop(signal, samples, seeded())


ALL = Views(crop_s=8.0, shift_s=0.5, mask_probability=0.5)


def test_view_is_a_function_of_the_seed() -> None:
    signal = torch.randn(8, 1, 1000, generator=seeded(9))
    first = make_view(signal, 100, ALL, seeded(1))[0]
    torch.rand(100)  # the global generator plays no part
    assert torch.equal(first, make_view(signal, 100, ALL, seeded(1))[0])
    assert not torch.equal(first, make_view(signal, 100, ALL, seeded(2))[0])
    generator = seeded(1)
    assert torch.equal(first, make_view(signal, 100, ALL, generator)[0])
    assert not torch.equal(first, make_view(signal, 100, ALL, generator)[0])


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.float16])
def test_view_keeps_type_and_leaves_its_input(dtype) -> None:
    signal = torch.randn(5, 1, 1000, generator=seeded()).to(dtype)
    before = signal.clone()
    view = make_view(signal, 100, ALL, seeded())[0]
    assert view.dtype == dtype
    assert view.shape == (5, 1, 800)
    assert torch.isfinite(view).all()
    assert torch.equal(signal, before)


def test_mask_comes_after_noise() -> None:
    views = Views(noise_probability=1.0, mask_probability=1.0, mask_share=(0.2, 0.2))
    view = make_view(torch.ones(16, 1, 1000), 100, views, seeded())[0]
    assert ((view == 0).sum(-1) == 200).all()


def test_nothing_asked_for_is_nothing_done() -> None:
    signal = torch.randn(4, 1, 300)
    views = Views(noise="none", mask_probability=0.0)
    assert torch.equal(make_view(signal, 100, views, seeded())[0], signal)


def test_recorded_noise_needs_its_bank() -> None:
    views = Views(noise="recorded", noise_file="DATA_noises_real.mat")
    with pytest.raises(ValueError, match="load_noise_bank"):
        make_view(torch.zeros(1, 1, 10), 100, views, seeded())[0]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"noise": "white"}, "synthetic, recorded, none"),
        ({"noise": "recorded"}, "noise_file"),
        ({"noise_snr_db": 10.0}, "exactly one"),
        ({"noise_level_mv": None}, "exactly one"),
        ({"noise_level_mv": -0.1}, "noise_level_mv"),
        ({"same_lead_probability": 1.2}, "same_lead_probability"),
        ({"mask_probability": -0.1}, "mask_probability"),
        ({"mask_share": (0.4, 0.3)}, "mask share"),
        ({"shift_s": -1.0}, "shift_s"),
        ({"crop_s": 0.0}, "crop_s"),
    ],
)
def test_wrong_settings_are_named(settings, message) -> None:
    with pytest.raises(ValueError, match=message):
        Views(**settings)


def test_settings_do_not_import_torch() -> None:
    code = "import sys, openclef.augment as a; a.Views(); sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.parametrize("probability", [0.0, 0.4, 1.0])
def test_blocks_and_crops_are_those_of_the_indexed_form(probability: float) -> None:
    """On a CPU rows are taken by slices; elsewhere by a place for each sample, which is the reference here."""
    signal = torch.randn(50, 2, 300)
    masked = mask_blocks(signal, probability, (0.1, 0.3), torch.Generator().manual_seed(3))
    chance = torch.rand(3, 50, generator=torch.Generator().manual_seed(3))
    length = ((0.1 + 0.2 * chance[1]) * 300).round()
    start = (chance[2] * (300 - length + 1)).floor().minimum(300 - length)
    place = torch.arange(300)
    inside = (
        (place >= start[:, None]) & (place < (start + length)[:, None]) & (chance[0] < probability)[:, None]
    )
    assert torch.equal(masked, signal.masked_fill(inside[:, None], 0))
    crop = random_crop(signal, 70, torch.Generator().manual_seed(4))
    first = torch.randint(231, (50,), generator=torch.Generator().manual_seed(4))
    for row in range(50):
        assert torch.equal(crop[row], signal[row, :, first[row] : first[row] + 70])
