"""Partners of windows: of the same subject and store, never the window itself where there is another."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import torch

from openclef.augment import Views
from openclef.data import Batches, make_batch, seeded
from openclef.pairing import SubjectWindows
from openclef.pool import Pool
from openclef.preprocessing import Preprocessing
from openclef.record import Record
from openclef.store import Store, StoreWriter

PLAIN = Views(noise="none", mask_probability=0.0, same_lead_probability=1.0)
COUNTS = {"a": 1, "b": 2, "c": 4}


def _store(folder: Path, name: str = "own") -> Store:
    """Constant slopes: the height of a window's wave says which it is; subject c's first record has lead II only."""
    writer = StoreWriter(folder, name=name, scale=0.001, fs=100, leads=("I", "II"), seconds=10)
    records, rows = [], []
    for subject, count in COUNTS.items():
        for number in range(count):
            height = len(records) + 1.0
            signal = height * np.sin(np.arange(1000) / 20.0)[None].repeat(2, 0)
            if subject == "c" and number == 0:
                signal[0] = np.nan
            records.append(Record(signal, 100, ("I", "II"), f"{subject}{number}"))
            rows.append({"subject_id": subject, "split": "train"})
    writer.write_part(0, records, rows)
    return writer.finish()


def test_partners_are_others_of_the_subject(tmp_path: Path) -> None:
    pool = Pool([_store(tmp_path / "one", "one"), _store(tmp_path / "two", "two")])
    pairs = SubjectWindows(pool)
    index = np.arange(len(pool))
    met: dict[int, set[int]] = {int(window): set() for window in index}
    for seed in range(40):
        partners = pairs.draw(index, torch.Generator().manual_seed(seed))
        assert (pool.subject[partners] == pool.subject).all()
        assert (pool.owner[partners] == pool.owner).all()
        for window, partner in zip(index, partners, strict=True):
            met[int(window)].add(int(partner))
    for window, partners_met in met.items():
        count = list(COUNTS.values())[int(pool.subject[window]) % 3]
        assert partners_met == {window} if count == 1 else window not in partners_met
        assert len(partners_met) == max(1, count - 1)
    assert pairs.alone == 2 / 14


def test_the_draw_is_uniform_and_repeatable(tmp_path: Path) -> None:
    pool = Pool([_store(tmp_path / "one")])
    pairs = SubjectWindows(pool)
    window = int(np.flatnonzero(pool.subject == 2)[0])
    partners = pairs.draw(np.full(3000, window), seeded("cpu", 1))
    counts = pd.Series(partners).value_counts()
    assert len(counts) == 3
    assert counts.min() > 900
    assert (partners == pairs.draw(np.full(3000, window), seeded("cpu", 1))).all()


def test_second_views_are_of_the_partner(tmp_path: Path) -> None:
    pool = Pool([_store(tmp_path / "one")], lead="II")
    preprocessing = Preprocessing(fs=100, band=None, normalise="none")
    index = np.array([4, 0, 2, 1])
    batch = make_batch(
        pool,
        index,
        preprocessing=preprocessing,
        views=PLAIN,
        generator=seeded("cpu", 3),
        by_subject=SubjectWindows(pool),
    )
    height = [each.amax(-1).flatten().round().int().tolist() for each in (batch.first, batch.second)]
    assert height[0] == [5, 1, 3, 2]
    assert height[1][1:] == [1, 2, 3]
    assert height[1][0] in (4, 6, 7)


def test_leads_are_those_that_both_have(tmp_path: Path) -> None:
    """Subject c's first record lacks lead I: with it, both views are of lead II."""
    pool = Pool([_store(tmp_path / "one")])
    pairs = SubjectWindows(pool)
    only_second = int(np.flatnonzero(~pool.available[0][pool.row][:, 0])[0])
    for seed in range(20):
        batch = make_batch(
            pool,
            np.array([only_second, only_second + 1]),
            preprocessing=Preprocessing(fs=100),
            views=PLAIN,
            generator=seeded("cpu", seed),
            by_subject=pairs,
        )
        assert bool(batch.first.std(-1).min() > 0.5)
        assert bool(batch.second.std(-1).min() > 0.5)
    pool = Pool([_store(tmp_path / "two", "two")], lead="I")  # the record without lead I is not there at all
    assert (SubjectWindows(pool).draw(np.arange(len(pool)), seeded("cpu", 0)) < len(pool)).all()


def test_batches_with_partners_are_the_same_when_resumed(tmp_path: Path) -> None:
    pool = Pool([_store(tmp_path / "one")])
    settings = {"preprocessing": Preprocessing(fs=100), "views": Views(partner="subject")}
    batches = Batches(pool, batch_size=2, seed=4, **settings)
    whole, rest = list(batches.epoch(1)), list(batches.epoch(1, start=1))
    assert torch.equal(whole[1].second, rest[0].second)
    plain = list(
        Batches(pool, batch_size=2, seed=4, preprocessing=Preprocessing(fs=100), views=Views()).epoch(1)
    )
    assert not torch.equal(whole[0].second, plain[0].second)
