"""What a pool holds on a device, and that batches of held windows are made there without waiting."""

from __future__ import annotations

from contextlib import nullcontext
from pathlib import Path

import numpy as np
import pytest
import torch
from torch._subclasses.fake_tensor import (
    DataDependentOutputException,
    FakeTensorMode,
    unset_fake_temporarily,
)

from openclef import data
from openclef import pool as pools
from openclef.augment import Views
from openclef.data import make_batch
from openclef.pool import Pool
from openclef.preprocessing import Preprocessing
from openclef.record import Record
from openclef.store import Store, StoreWriter

PREPROCESSING = Preprocessing(fs=100)
# The name of a device that is no CPU and whose tensors this build of torch can pretend to have; it has no numbers.
ELSEWHERE = torch.device("lazy:0")
PRETENDING = FakeTensorMode(allow_non_fake_inputs=True)


def _batch(pool: Pool, index: list[int], device: torch.device | str = "cpu", views: Views | None = None):
    generator = torch.Generator().manual_seed(0)
    settings = {"preprocessing": PREPROCESSING, "views": views or Views(), "device": device}
    return make_batch(pool, np.array(index), generator=generator, **settings)


def _store(folder: Path, missing: list[range]) -> Store:
    """A store of one lead with a window each, in which these samples are missing."""
    signal = np.sin(np.arange(1000) / 8)
    writer = StoreWriter(folder / "gaps", name="gaps", scale=0.001, fs=100, leads=("I",), seconds=10)
    records = [
        Record(np.where(np.isin(np.arange(1000), gap), np.nan, signal)[None], 100, ("I",), f"r{number}")
        for number, gap in enumerate(missing)
    ]
    writer.write_part(0, records, [{"split": "train"}] * len(records))
    return writer.finish()


@pytest.fixture
def elsewhere(monkeypatch: pytest.MonkeyPatch) -> FakeTensorMode:
    """Tensors without numbers: whatever would have to wait for a device to know one raises."""
    to = torch.Tensor.to

    def pretend_to(self: torch.Tensor, *args, **kwargs) -> torch.Tensor:
        given = [*args, *kwargs.values()]
        where = next((each for each in given if isinstance(each, (str, torch.device))), "cpu")
        if torch.device(where) != ELSEWHERE:
            return to(self, *args, **kwargs)
        kind = next((each for each in given if isinstance(each, torch.dtype)), None)
        return torch.ops.aten._to_copy(self, device=ELSEWHERE, dtype=kind)

    monkeypatch.setattr(torch.Tensor, "to", pretend_to)

    def drawn_leads(*args) -> tuple[np.ndarray, np.ndarray]:
        with unset_fake_temporarily():  # leads have numbers: they are drawn on the CPU
            return draw(*args)

    draw = data._drawn_leads
    monkeypatch.setattr(data, "_drawn_leads", drawn_leads)
    monkeypatch.setattr(torch, "autocast", lambda *args, **kwargs: nullcontext())  # knows no such device
    return PRETENDING


@pytest.mark.parametrize("held", [True, False], ids=["held", "mapped"])
@pytest.mark.parametrize("complete", [True, False], ids=["complete", "gaps"])
@pytest.mark.parametrize(
    "views",
    [Views(), Views(crop_s=4.0, shift_s=0.5, noise_level_mv=None, noise_snr_db=10.0)],
    ids=["default", "all"],
)
def test_a_batch_is_made_on_a_device_without_waiting_for_it(
    tmp_path: Path, elsewhere: FakeTensorMode, held: bool, complete: bool, views: Views
) -> None:
    pool = Pool([_store(tmp_path, [range(0) if complete else range(9)] * 4)])
    if held:
        pool.to("cpu")
    with elsewhere:
        if held:
            pool._resident[0] = torch.empty((4, 1, 1000), dtype=torch.int16, device=ELSEWHERE)
        batch = _batch(pool, [3, 1, 2], ELSEWHERE, views)
        samples = 1000 if views.crop_s is None else 400
        assert batch.first.shape == batch.second.shape == (3, 1, samples)
        assert {each.device for each in vars(batch).values()} == {ELSEWHERE}
        with pytest.raises(DataDependentOutputException):  # as it would have in the batch
            bool(batch.first.isfinite().all())


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_a_batch_on_a_gpu_is_that_of_the_cpu_and_waits_for_nothing(small_store: Store) -> None:
    plain = Views(noise="none", mask_probability=0.0)
    pool = Pool([small_store], risk="age_sex")
    expected = _batch(pool, [3, 1, 2], "cpu", plain)
    pool.to("cuda")
    _batch(pool, [0, 1], "cuda")  # what is made once
    torch.cuda.set_sync_debug_mode("error")
    try:
        found = _batch(pool, [3, 1, 2], "cuda", plain)
        noisy = _batch(pool, [3, 1, 2], "cuda")
    finally:
        torch.cuda.set_sync_debug_mode("default")
    for name, values in vars(expected).items():
        torch.testing.assert_close(getattr(found, name).cpu(), values, atol=1e-3, rtol=1e-3)
    assert noisy.first.isfinite().all()


def test_a_part_is_held_and_the_rest_is_read_from_the_shards(
    small_store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pools, "_ROWS_AT_A_TIME", 5)
    whole, part = Pool([small_store]), Pool([small_store])
    own = np.arange(20, 41)
    part.to("cpu", own)
    assert part._resident[0].shape == (len(own), 3, 1000)
    np.testing.assert_array_equal(part._resident[0].numpy(), small_store.read_raw(part.row[own]))
    for index in ([20, 40, 33], [19, 41, 30], [0, 47]):
        first, second = _batch(whole, index), _batch(part, index)
        assert torch.equal(first.first, second.first)
        assert torch.equal(first.second, second.second)


def test_whether_samples_are_missing_is_known_of_each_window(tmp_path: Path) -> None:
    store = _store(tmp_path, [range(0), range(0), range(100), range(0)])
    lead = np.zeros(2, np.int64)
    for windows in (None, np.array([0, 1, 2]), np.array([3])):
        for pool in (Pool([store]), Pool([store]).to("cpu", windows)):
            signal, complete = pool.read(0, np.array([0, 1]), lead)
            assert complete
            assert torch.isfinite(signal).all()
            signal, complete = pool.read(0, np.array([1, 2]), lead)
            assert not complete
            assert torch.isnan(signal[1, 0, :100]).all()
            torch.testing.assert_close(signal[1, 0, 100:], signal[0, 0, 100:])


def test_filters_of_incomplete_signals_do_not_depend_on_looking() -> None:
    signal = torch.randn(3, 1, 1000, generator=torch.Generator().manual_seed(0))
    looked, general = PREPROCESSING.filter(signal, 100), PREPROCESSING.filter(signal, 100, complete=False)
    torch.testing.assert_close(general, looked, atol=1e-5, rtol=1e-5)
    assert torch.equal(PREPROCESSING.filter(signal, 100, complete=True), looked)
    signal[1, 0, :30] = torch.nan
    looked, general = PREPROCESSING.filter(signal, 100), PREPROCESSING.filter(signal, 100, complete=False)
    assert torch.equal(looked, general)
