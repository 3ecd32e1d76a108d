"""A device is tried before any work begins."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

import openclef
from openclef.device import checked_device
from openclef.protocol.baselines import random_encoder


def test_a_device_or_its_name() -> None:
    assert checked_device("cpu") == checked_device(torch.device("cpu")) == torch.device("cpu")


@pytest.mark.parametrize("device", ["gpu", "", "meta", "cuda:99", 3, None])
def test_what_cannot_be_computed_on_is_refused(device: Any) -> None:
    with pytest.raises(ValueError, match=r"device is .*which cannot be used .*pass for example 'cpu'"):
        checked_device(device)
    if device is not None:
        with pytest.raises(ValueError, match=r"which cannot be used"):
            openclef.embed(random_encoder(), np.zeros((1, 5000)), fs=500, device=device)
