from __future__ import annotations

import numpy as np
import pytest
import torch

from openclef.augment import Views
from openclef.preprocessing import Preprocessing
from openclef.protocol.cohort import gather_records
from openclef.protocol.windows import LabelledBatches, LabelledWindows, hold_where_it_fits
from openclef.record import Record
from openclef.store import StoreWriter
from openclef.task import Task

TASK = Task("long/af", "binary", ("af",), ("af",))


def write(folder, fs=50, seconds=6.0, gap=True):
    """Records of one to three rows, with an unrecorded stretch in one of them and nothing at all in another."""
    rng = np.random.default_rng(0)
    writer = StoreWriter(
        folder, name=folder.name, scale=0.001, fs=fs, leads=("I", "II"), seconds=seconds, tasks=[TASK]
    )
    records, rows = [], []
    for number in range(12):
        signal = rng.normal(size=(2, round(fs * seconds * (1 + number % 3)))).astype(np.float32)
        if gap and number == 4:
            signal[:, : round(2 * fs)] = np.nan
        if gap and number == 6:
            signal[:] = np.nan
        records.append(Record(signal, fs, ("I", "II"), f"{folder.name}{number}"))
        split = ("train", "train", "val", "test")[number % 4]
        rows.append({"split": split, "af": float(number % 2), "subject_id": f"{folder.name}{number}"})
    writer.write_part(0, records, rows)
    return writer.finish()


class Moments(torch.nn.Module):
    """Two numbers of a window, so that a mean over windows can be told from another."""

    dim = 2

    def __init__(self, preprocessing):
        super().__init__()
        self.preprocessing = preprocessing

    def forward(self, signal):
        return torch.stack([signal[:, 0, ::7].abs().sum(1), signal[:, 0, :50].square().sum(1)], 1)


@pytest.mark.parametrize("seconds", [2.0, 6.0, 8.0])
def test_the_weighted_sum_over_windows_is_the_mean_that_judges_records(tmp_path, seconds) -> None:
    stores = [write(tmp_path / "a"), write(tmp_path / "b", fs=100)]
    cohort = gather_records(stores, "long/af")
    model = Moments(Preprocessing(fs=50, seconds=seconds, band=None))
    chosen = cohort.mask("train") | cohort.mask("val")
    windows = LabelledWindows(cohort, chosen, model)
    batches = LabelledBatches(windows, batch_size=5, shuffle=False)
    vectors = torch.cat([model(batch.signal) for batch in batches.epoch(0)]).numpy()
    total = np.zeros((len(chosen), 2))
    np.add.at(total, windows.record, vectors * windows.share[:, None])
    np.testing.assert_allclose(total[chosen], cohort.features(model, chosen)[chosen], rtol=1e-5)
    assert set(windows.record) == set(np.flatnonzero(chosen))
    targets = torch.cat([batch.target for batch in batches.epoch(0)]).numpy()
    np.testing.assert_array_equal(targets, cohort.target[windows.record])


def test_held_windows_are_those_that_are_read(tmp_path) -> None:
    cohort = gather_records([write(tmp_path / "a"), write(tmp_path / "b", fs=100)], "long/af")
    settings = Moments(Preprocessing(fs=40, seconds=2.0, band=(0.5, 15.0)))
    read = LabelledWindows(cohort, cohort.mask("train"), settings)
    held = LabelledWindows(cohort, cohort.mask("train"), settings)
    hold_where_it_fits([held], "cpu")
    assert read.held is None
    assert held.held is not None
    assert held.nbytes == sum(part.element_size() * part.numel() for part in held.held)
    for views in (None, Views(crop_s=1.0, noise_level_mv=0.1)):
        for epoch in (0, 3):
            pairs = zip(
                LabelledBatches(read, batch_size=4, views=views).epoch(epoch),
                LabelledBatches(held, batch_size=4, views=views).epoch(epoch),
            )
            for first, second in pairs:
                torch.testing.assert_close(first.signal, second.signal)
                torch.testing.assert_close(first.target, second.target)


def test_an_epoch_is_a_permutation_that_can_be_entered_anywhere(tmp_path) -> None:
    cohort = gather_records(write(tmp_path / "a", gap=False), "long/af")
    windows = LabelledWindows(
        cohort, cohort.mask("train"), Moments(Preprocessing(fs=50, seconds=2.0, band=None))
    ).hold("cpu")
    batches = LabelledBatches(windows, batch_size=7, seed=3, views=Views(crop_s=1.0, noise="none"))
    whole = list(batches.epoch(1))
    assert len(whole) == len(batches) == len(windows) // 7
    torch.testing.assert_close(next(batches.epoch(1, start=2)).signal, whole[2].signal, rtol=0, atol=0)
    assert whole[0].signal.shape == (7, 1, 50)
    assert not torch.equal(whole[0].signal, next(batches.epoch(2)).signal)
    plain = LabelledBatches(windows, batch_size=len(windows), seed=3)
    one, two = next(plain.epoch(0)), next(plain.epoch(1))
    key = [sorted(each.signal.sum((1, 2)).tolist()) for each in (one, two)]
    np.testing.assert_allclose(key[0], key[1], atol=1e-4)
    assert not torch.equal(one.signal, two.signal)


def test_validation_is_never_cropped_or_augmented(tmp_path) -> None:
    cohort = gather_records(write(tmp_path / "a"), "long/af")
    windows = LabelledWindows(
        cohort, cohort.mask("val"), Moments(Preprocessing(fs=50, seconds=2.0, band=None))
    )
    batches = LabelledBatches(windows, batch_size=4, views=Views(crop_s=1.0), shuffle=False)
    first, second = (torch.cat([b.signal for b in batches.epoch(epoch)]) for epoch in (0, 5))
    torch.testing.assert_close(first, second, rtol=0, atol=0)
    assert first.shape == (len(windows), 1, 100)


def test_few_windows_are_one_batch_and_processes_share_it(tmp_path) -> None:
    cohort = gather_records(write(tmp_path / "a"), "long/af")
    windows = LabelledWindows(
        cohort, cohort.mask("train"), Moments(Preprocessing(fs=50, seconds=6.0, band=None))
    )
    n = len(windows)
    assert len(LabelledBatches(windows, batch_size=1000)) == 1
    parts = [
        next(LabelledBatches(windows, batch_size=1000, rank=rank, world_size=2).epoch(0)) for rank in (0, 1)
    ]
    whole = next(LabelledBatches(windows, batch_size=n // 2 * 2).epoch(0))
    torch.testing.assert_close(torch.cat([part.signal for part in parts]), whole.signal)
    with pytest.raises(ValueError, match=f"{n} training windows cannot be shared by 99 processes"):
        LabelledBatches(windows, batch_size=1000, world_size=99)
