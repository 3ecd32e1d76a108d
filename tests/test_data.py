"""Pools and batches: what is drawn, from where, and that it is the same each time."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from openclef.augment import Views
from openclef.data import Batches, epoch_order, make_batch, part_bounds, seeded
from openclef.pool import Pool
from openclef.preprocessing import Preprocessing
from openclef.record import Record
from openclef.store import Store, StoreWriter

PLAIN = Views(noise="none", mask_probability=0.0, same_lead_probability=1.0)
PREPROCESSING = Preprocessing(fs=100, seconds=10)


def _store(folder: Path, records: list[Record], *, split: str = "train", scale: float = 0.001) -> Store:
    first = records[0]
    writer = StoreWriter(
        folder,
        name=folder.name,
        subject_namespace="people",
        scale=scale,
        fs=first.fs,
        leads=first.leads,
        seconds=10,
    )
    left_out = writer.write_part(0, records, [{"split": split} for _ in records])
    assert not left_out
    return writer.finish()


def _tone(hz: float, fs: float = 100, seconds: float = 10) -> np.ndarray:
    return np.sin(2 * np.pi * hz * np.arange(int(fs * seconds)) / fs)


def _frequency(view: torch.Tensor) -> float:
    spectrum = torch.fft.rfft(view.flatten()).abs()
    return float(spectrum.argmax()) / 10


@pytest.fixture
def tones(tmp_path: Path) -> list[Store]:
    """Two stores of different rates and leads; each lead of each record is a tone of its own."""
    first = [
        Record(
            np.stack([_tone(2 + i), _tone(12 + i), _tone(22 + i)]),
            100,
            ("I", "II", "V5"),
            f"a{i}",
            subject_id=f"s{i}",
        )
        for i in range(4)
    ]
    second = [
        Record(np.stack([_tone(7 + i, 250)]), 250, ("I",), f"b{i}", subject_id=f"s{i + 3}") for i in range(3)
    ]
    return [_store(tmp_path / "first", first), _store(tmp_path / "second", second)]


def test_each_window_gives_its_own_lead_at_the_models_rate(tones: list[Store]) -> None:
    for lead, expected in (("I", [2, 3, 4, 5]), ("II", [12, 13, 14, 15])):
        pool = Pool(tones[:1], lead=lead)
        batch = make_batch(
            pool, np.arange(4), preprocessing=PREPROCESSING, views=PLAIN, generator=seeded("cpu", 0)
        )
        assert [_frequency(view) for view in batch.first] == pytest.approx(expected)
        assert torch.equal(batch.first, batch.second)


def test_pooled_stores_keep_order_rate_and_subjects(tones: list[Store]) -> None:
    pool = Pool(tones, lead="I")
    index = np.array([5, 0, 6, 3])
    batch = make_batch(pool, index, preprocessing=PREPROCESSING, views=PLAIN, generator=seeded("cpu", 0))
    assert [_frequency(view) for view in batch.first] == pytest.approx([8, 2, 9, 5])
    assert pool.subject[3] == pool.subject[4], "a3 and b0 are of one subject"
    assert len(np.unique(pool.subject)) == 6
    assert torch.isnan(batch.risk).all()
    assert (batch.completeness == 0).all()
    assert batch.first.mean(-1).abs().max() < 1e-5
    assert batch.first.std(-1, correction=0) == pytest.approx(torch.ones(4, 1), abs=1e-4)


def test_resident_and_mapped_reading_agree(tones: list[Store]) -> None:
    settings = {"preprocessing": PREPROCESSING, "views": Views(crop_s=4.0), "batch_size": 4, "seed": 7}
    mapped = list(Batches(Pool(tones), **settings).epoch(2))
    pool = Pool(tones).to("cpu")
    assert pool.resident
    resident = list(Batches(pool, **settings).epoch(2))
    assert len(mapped) == len(resident) == 1
    for a, b in zip(mapped, resident):
        assert torch.equal(a.first, b.first)
        assert torch.equal(a.second, b.second)
        assert torch.equal(a.subject, b.subject)


def test_an_epoch_is_a_permutation_and_can_start_anywhere(small_store: Store) -> None:
    assert sorted(epoch_order(50, 1, 2)) == list(range(50))
    assert not np.array_equal(epoch_order(50, 1, 2), epoch_order(50, 1, 3))
    batches = Batches(Pool([small_store]), batch_size=8, preprocessing=PREPROCESSING, views=Views(crop_s=5.0))
    whole = list(batches.epoch(1))
    rest = list(batches.epoch(1, start=4))
    assert len(whole) == len(batches) == 6
    assert len(rest) == 2
    assert torch.equal(whole[4].first, rest[0].first)
    subjects = torch.cat([batch.subject for batch in whole])
    assert len(subjects.unique()) == 48, "every window once"
    other = next(iter(batches.epoch(2)))
    assert not torch.equal(other.first, whole[0].first)


def test_ranks_share_a_batch_and_draw_their_own_noise(small_store: Store) -> None:
    pool = Pool([small_store], risk="age_sex")
    common = {"batch_size": 8, "preprocessing": PREPROCESSING, "views": PLAIN, "seed": 1}
    (whole,) = list(Batches(pool, **common, parts=2).epoch(0))[:1]
    parts = [next(iter(Batches(pool, **common, rank=rank, world_size=2).epoch(0))) for rank in (0, 1)]
    assert torch.equal(torch.cat([part.subject for part in parts]), whole.subject)
    assert torch.equal(torch.cat([part.risk for part in parts]), whole.risk)


def test_a_record_in_two_stores_is_used_once(tmp_path: Path) -> None:
    record = Record(_tone(3)[None], 100, ("I",), "same", subject_id="s")
    other = Record(_tone(4)[None], 100, ("I",), "other", subject_id="t")
    pool = Pool([_store(tmp_path / "a", [record]), _store(tmp_path / "b", [record, other])])
    assert pool.owner.tolist() == [0, 1]
    assert pool.row.tolist() == [0, 1]


def test_missing_leads_are_not_drawn_and_padding_is_zero(tmp_path: Path) -> None:
    short = np.stack([_tone(5, seconds=6), np.full(600, np.nan)])
    store = _store(tmp_path / "short", [Record(short, 100, ("I", "II"), "r", subject_id="s")])
    pool = Pool([store])
    for seed in range(8):
        batch = make_batch(
            pool, np.array([0]), preprocessing=PREPROCESSING, views=PLAIN, generator=seeded("cpu", seed)
        )
        view = batch.first[0, 0]
        assert view[:590].abs().max() > 1, "lead I was drawn, not the missing lead II"
        assert (view[601:] == 0).all()
    with pytest.raises(ValueError, match="flat or mostly missing in lead 'II'"):
        Pool([store], lead="II")


def test_batch_sizes_are_checked(small_store: Store) -> None:
    pool = Pool([small_store])
    with pytest.raises(ValueError, match="multiple of their number"):
        Batches(pool, batch_size=7, world_size=2, preprocessing=PREPROCESSING, views=PLAIN)
    with pytest.raises(ValueError, match="fewer than one batch"):
        Batches(pool, batch_size=4096, preprocessing=PREPROCESSING, views=PLAIN)
    with pytest.raises(ValueError, match="'holiday'"):
        Pool([small_store], split="holiday")


def test_validation_views_do_not_depend_on_the_epoch(small_store: Store) -> None:
    batches = Batches(
        Pool([small_store], split="val"),
        batch_size=8,
        preprocessing=PREPROCESSING,
        views=Views(),
        shuffle=False,
    )
    for first, later in zip(batches.epoch(0), batches.epoch(5)):
        assert torch.equal(first.first, later.first)


def test_views_do_not_depend_on_the_number_of_threads(small_store: Store) -> None:
    pool = Pool([small_store], split="all")
    before, made = torch.get_num_threads(), []
    try:
        for threads in (1, 3):
            torch.set_num_threads(threads)
            settings = {"preprocessing": Preprocessing(fs=100), "views": Views(), "batch_size": len(pool)}
            made.append(next(Batches(pool, **settings).epoch(0)))
    finally:
        torch.set_num_threads(before)
    assert torch.equal(made[0].first, made[1].first)
    assert torch.equal(made[0].second, made[1].second)


def test_both_views_of_one_lead_share_one_filtered_signal(tones: list[Store]) -> None:
    """Without noise and masks views of one lead are equal, and those of another lead are that lead's."""
    plain = Views(noise="none", mask_probability=0.0, same_lead_probability=0.5)
    pool = Pool(tones[:1], split="all")
    index = np.arange(len(pool)).repeat(30)
    batch = make_batch(
        pool, index, preprocessing=Preprocessing(fs=100), views=plain, generator=seeded("cpu", 1)
    )
    alone = Preprocessing(fs=100)(torch.from_numpy(tones[0].read(pool.row)), tones[0].fs)
    same = 0
    for row, window in enumerate(index):
        views = (batch.first[row, 0], batch.second[row, 0])
        found = [int((alone[window] - view).abs().amax(-1).argmin()) for view in views]
        for lead, view in zip(found, views, strict=True):
            torch.testing.assert_close(view, alone[window, lead], atol=1e-4, rtol=0)
        same += found[0] == found[1]
    assert 0.5 * len(index) < same < len(index)


@pytest.mark.parametrize(("parts", "world_size"), [(2, 2), (4, 2), (3, 3), (4, 4)])
def test_processes_read_their_own_parts_and_make_the_batches_of_one(
    small_store: Store, parts: int, world_size: int
) -> None:
    settings = {
        "preprocessing": Preprocessing(fs=100),
        "views": Views(),
        "batch_size": 12,
        "parts": parts,
        "seed": 3,
    }
    alone = Batches(Pool([small_store], split="all"), **settings)
    ranks = []
    for rank in range(world_size):
        pool = Pool([small_store], split="all")
        batches = Batches(pool, rank=rank, world_size=world_size, **settings)
        pool.to("cpu", batches.windows)
        ranks.append(batches)
    assert sorted(np.concatenate([each.windows for each in ranks]).tolist()) == list(range(len(alone.pool)))
    assert {len(each) for each in ranks} == {len(alone)}
    for epoch in (0, 1):
        for whole, *shares in zip(alone.epoch(epoch), *(each.epoch(epoch) for each in ranks), strict=True):
            assert torch.equal(whole.first, torch.cat([share.first for share in shares]))
            assert torch.equal(whole.second, torch.cat([share.second for share in shares]))
            assert torch.equal(whole.subject, torch.cat([share.subject for share in shares]))


def test_an_epoch_takes_each_window_of_each_part_once_at_most(small_store: Store) -> None:
    pool = Pool([small_store], split="all")
    pool.subject = np.arange(len(pool))  # to tell windows apart
    batches = Batches(
        pool, batch_size=8, parts=4, preprocessing=Preprocessing(fs=100), views=Views(noise="none")
    )
    bounds, seen = part_bounds(len(pool), 4), []
    for batch in batches.epoch(0):
        part = np.searchsorted(bounds, batch.subject.numpy(), side="right") - 1
        assert part.tolist() == [0, 0, 1, 1, 2, 2, 3, 3]
        seen += batch.subject.tolist()
    assert len(set(seen)) == len(seen) == len(batches) * 8


def test_windows_that_are_not_held_are_read_from_the_shards(small_store: Store) -> None:
    pool, other = Pool([small_store], split="all"), Pool([small_store], split="all")
    other.to("cpu", np.array([3, 4]))
    lead = np.zeros(4, np.int64)
    rows = pool.row[[1, 3, 4, 0]]
    assert torch.equal(pool.read(0, rows, lead)[0], other.read(0, rows, lead)[0])


@pytest.mark.parametrize(("parts", "world_size", "batch_size"), [(3, 2, 12), (0, 1, 8), (5, 1, 8)])
def test_parts_that_do_not_divide_are_refused(small_store, parts, world_size, batch_size) -> None:
    settings = {"preprocessing": Preprocessing(fs=100), "views": Views(), "batch_size": batch_size}
    with pytest.raises(ValueError, match="multiple of the number of processes"):
        Batches(Pool([small_store], split="all"), world_size=world_size, parts=parts, **settings)
