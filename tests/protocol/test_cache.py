from __future__ import annotations

import tracemalloc

import numpy as np
import torch

from openclef.protocol.baselines import random_encoder
from openclef.protocol.cache import FeatureCache, encoder_sha256, may_keep


def counting():
    calls = []

    def compute(rows):
        calls.append(rows.tolist())
        return np.stack([rows * 1.0, rows * np.nan], axis=1)

    return calls, compute


def test_every_row_is_computed_once_in_whatever_order_it_is_asked(tmp_path):
    calls, compute = counting()
    cache = FeatureCache(tmp_path / "cache")
    first = cache.rows({"model": "a"}, np.array([3, 1, 3]), 5, compute)
    np.testing.assert_array_equal(first[:, 0], [3, 1, 3])
    assert np.isnan(first[:, 1]).all()  # a feature that is NaN is kept as such, and not computed again
    again = FeatureCache(tmp_path / "cache").rows({"model": "a"}, np.array([1, 4]), 5, compute)
    np.testing.assert_array_equal(again[:, 0], [1, 4])
    assert calls == [[1, 3], [4]]
    cache.rows({"model": "b"}, np.array([1]), 5, compute)
    assert calls[-1] == [1]


def test_a_damaged_file_and_one_of_another_store_are_computed_anew(tmp_path):
    calls, compute = counting()
    cache = FeatureCache(tmp_path)
    cache.rows({}, np.array([0]), 5, compute)
    file = next(tmp_path.glob("*.npz"))
    file.write_bytes(file.read_bytes()[:40])
    assert cache.rows({}, np.array([0]), 5, compute)[0, 0] == 0
    cache.rows({}, np.array([0]), 6, compute)
    assert len(calls) == 3


def test_few_rows_of_a_large_store_take_little_memory_and_a_small_file(tmp_path):
    """Whole arrays of 10 million rows of 256 float32 would be 10 GB, and of one number a row 10 MB."""
    total, asked = 10_000_000, np.array([9_999_999, 0, 5_000_000])
    cache = FeatureCache(tmp_path)

    def compute(rows):
        return np.repeat(rows[:, None], 256, axis=1).astype(np.float32)

    tracemalloc.start()
    try:
        first = cache.rows({}, asked, total, compute)
        again = cache.rows({}, np.append(asked, 7), total, compute)
        largest = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    np.testing.assert_array_equal(first[:, -1], asked)
    np.testing.assert_array_equal(again[:, 0], [9_999_999, 0, 5_000_000, 7])
    assert first.dtype == np.float32
    assert largest < 1e6
    assert next(tmp_path.glob("*.npz")).stat().st_size < 4 * (256 * 4 + 8) + 2000


def test_another_width_replaces_what_was_kept(tmp_path):
    cache = FeatureCache(tmp_path)
    cache.rows({}, np.array([0, 2]), 4, lambda rows: np.zeros((len(rows), 3)))
    wider = cache.rows({}, np.array([2, 1]), 4, lambda rows: np.ones((len(rows), 5)) * rows[:, None])
    np.testing.assert_array_equal(wider, [[2] * 5, [1] * 5])


def test_files_that_no_cache_wrote_are_computed_anew(tmp_path):
    calls, compute = counting()
    cache = FeatureCache(tmp_path)
    cache.rows({}, np.array([0, 1]), 5, compute)
    file = next(tmp_path.glob("*.npz"))
    values = np.full((2, 2), 7.0)
    for wrong in (
        {"known": np.zeros(5, bool), "values": np.zeros((5, 2))},  # of an earlier version
        {"known": np.array([1, 0]), "values": values, "total": np.array(5)},
        {"known": np.array([0, 5]), "values": values, "total": np.array(5)},
        {"known": np.array([-1, 1]), "values": values, "total": np.array(5)},
        {"known": np.array([0]), "values": values, "total": np.array(5)},
        {"known": np.array([0, 1]), "values": values, "total": np.array([5])},
        {"known": np.array([0.0, 1.0]), "values": values, "total": np.array(5)},
    ):
        np.savez(file, **wrong)
        np.testing.assert_array_equal(cache.rows({}, np.array([1, 0]), 5, compute)[:, 0], [1, 0])
    assert calls == [[0, 1]] * 8


def test_the_hash_says_what_decides_an_embedding():
    encoder = random_encoder(seed=0)
    before = encoder_sha256(encoder)
    with torch.no_grad():
        next(encoder.parameters()).flatten()[0] += 1e-6
    assert encoder_sha256(encoder) != before
    other = random_encoder(seed=0)
    other.preprocessing = type(other.preprocessing)(fs=250)
    assert encoder_sha256(other) != before
    assert may_keep(encoder)
    assert not may_keep(torch.nn.Linear(2, 2))  # may hold what its weights do not say


def test_no_flipped_byte_gives_wrong_values_or_an_error(tmp_path):
    _, compute = counting()
    cache = FeatureCache(tmp_path)
    cache.rows({}, np.arange(5), 5, compute)
    file = next(tmp_path.glob("*.npz"))
    whole = file.read_bytes()
    for place in range(0, len(whole), 3):
        file.write_bytes(whole[:place] + bytes([whole[place] ^ 0xFF]) + whole[place + 1 :])
        found = cache.rows({}, np.arange(5), 5, compute)
        np.testing.assert_array_equal(found[:, 0], np.arange(5))


def test_the_hash_takes_weights_of_every_type_and_is_that_of_their_bytes():
    import hashlib

    from openclef.protocol.cache import update_with_weights

    layer = torch.nn.BatchNorm1d(3)  # with a whole number of no dimension
    digest, slow = hashlib.sha256(), hashlib.sha256()
    update_with_weights(digest, layer)
    for name, tensor in layer.state_dict().items():
        slow.update(name.encode() + tensor.numpy().tobytes())
    assert digest.hexdigest() == slow.hexdigest()
    half = random_encoder(seed=0).to(torch.bfloat16)
    assert encoder_sha256(half) != encoder_sha256(random_encoder(seed=0))
