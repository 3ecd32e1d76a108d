from __future__ import annotations

import itertools

import pytest
import torch

from openclef.optimisation import Optimisation, learning_rate_at


def test_warm_restarts_equal_torch() -> None:
    parameter = torch.nn.Parameter(torch.zeros(1))
    optimizer = torch.optim.AdamW([parameter], lr=1e-4)
    schedule = torch.optim.lr_scheduler.CosineAnnealingWarmRestarts(optimizer, T_0=10, T_mult=2, eta_min=1e-6)
    for epoch in range(75):
        assert learning_rate_at(Optimisation(), epoch, 3, 20, 100) == pytest.approx(
            schedule.get_last_lr()[0], rel=1e-9
        )
        optimizer.step()
        schedule.step()


def test_cosine_rises_then_falls_to_the_minimum() -> None:
    settings = Optimisation(learning_rate=1.0, schedule="cosine", warmup_epochs=2, minimum_learning_rate=0.1)
    rates = [learning_rate_at(settings, e, s, 5, 10) for e in range(10) for s in range(5)]
    assert rates[0] == pytest.approx(0.1)
    assert max(rates) == pytest.approx(1.0)
    assert rates.index(max(rates)) in (9, 10)
    assert rates[-1] == pytest.approx(0.1, abs=0.01)
    assert all(a >= b for a, b in itertools.pairwise(rates[10:]))


@pytest.mark.parametrize("wrong", [{"learning_rate": 0.0}, {"weight_decay": -1.0}, {"restart_epochs": 0}])
def test_refuses(wrong: dict) -> None:
    with pytest.raises(ValueError, match="were given"):
        Optimisation(**wrong)
