from __future__ import annotations

import hashlib
import json

import numpy as np
import pytest
import torch

from openclef.benchmarking.identity import source_sha256, subjects_sha256
from openclef.protocol.baselines import random_encoder
from openclef.protocol.cache import encoder_sha256


def test_an_encoder_is_known_by_its_weights_and_architecture_alone():
    encoder = random_encoder(seed=0)
    before = source_sha256(encoder)
    assert before == encoder_sha256(encoder)
    encoder.seen = [1]
    encoder.pretraining_subjects = frozenset({"ptb_xl:1"})
    assert source_sha256(encoder) == before


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ([0], [1]),
        ((0, 1), (0, 2)),
        ([0, [1, 2]], [0, [1, 3]]),
        ([1], (1,)),
        ({"a": 1}, {"a": 2}),
        ({1: "a"}, {"1": "a"}),
        ({"a"}, {"b"}),
        ({"a": [np.zeros(2)]}, {"a": [np.ones(2)]}),
        (np.zeros(2), np.array([0, 1.0])),
        (np.zeros(2), np.zeros(2, np.float32)),
        (np.zeros((1, 2)), np.zeros(2)),
        (np.float32(1), np.float32(2)),
        (np.array([1, "a"], object), np.array([2, "a"], object)),
        (torch.zeros(2), torch.ones(2)),
        (torch.zeros(2, dtype=torch.bfloat16), torch.ones(2, dtype=torch.bfloat16)),
        (torch.zeros(()), torch.ones(())),
        ([torch.nn.Conv1d(1, 1, 3, dilation=1)], [torch.nn.Conv1d(1, 1, 3, dilation=2)]),
        ([None], ["None"]),
        (b"a", b"b"),
        (1j, 2j),
    ],
)
def test_a_module_of_ones_own_is_known_by_its_settings_too(planted, before, after):
    first, second, third = planted(), planted(), planted()
    first.setting, second.setting, third.setting = before, after, before
    assert source_sha256(first) == source_sha256(third)
    assert source_sha256(first) != source_sha256(second)


def test_parts_and_buffers_outside_of_the_state_count_too(planted):
    hashes = set()
    for taps in (1.0, 2.0):
        model = planted()
        model.part = torch.nn.Identity()
        model.part.register_buffer("taps", torch.tensor([taps]), persistent=False)
        hashes.add(source_sha256(model))
    assert len(hashes) == 2


def test_a_module_without_such_settings_is_known_as_before(planted):
    """Cells of a module of plain settings, judged by an earlier version, are found again."""
    model = planted(0.3, name="own")
    model.child = torch.nn.Linear(2, 2)
    plain = {".noise": 0.3, ".seed": 0, ".name": "own", "child.in_features": 2, "child.out_features": 2}
    told = encoder_sha256(model) + json.dumps(plain, sort_keys=True)
    assert source_sha256(model) == hashlib.sha256(told.encode()).hexdigest()


def test_what_holds_itself_ends(planted):
    model = planted()
    model.ring = [model]
    model.ring.append(model.ring)
    assert source_sha256(model) == source_sha256(model)


def test_subjects_and_hooks_are_no_settings(planted):
    model = planted()
    before, of_subjects = source_sha256(model), subjects_sha256(model)
    model.pretraining_subjects = ["tiny:s1"]
    model.register_forward_hook(lambda *given: None)
    assert source_sha256(model) == before
    assert subjects_sha256(model) != of_subjects
