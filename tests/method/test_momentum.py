from __future__ import annotations

import torch
from torch import nn

from openclef.method.momentum import MomentumCopy


def _net() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Linear(4, 2))


def test_stays_in_evaluation_mode_inside_a_module_that_trains() -> None:
    slow, head = MomentumCopy(_net()), MomentumCopy(_net(), batch_statistics=True)
    outer = nn.ModuleList([slow, head]).train()
    assert not any(module.training for module in slow.modules())
    assert all(module.training for module in head.modules())
    outer.eval()
    assert not any(module.training for module in head.modules())


def test_with_batch_statistics_they_are_its_own() -> None:
    online = _net()
    slow = MomentumCopy(online, batch_statistics=True)
    given = torch.randn(16, 3) + 4
    with torch.no_grad():
        expected = online[2](nn.functional.batch_norm(online[0](given), None, None, training=True))
    torch.testing.assert_close(slow(given), expected)
    own = slow.network[1].running_mean.clone()
    assert own.any()
    slow.follow(online, 0.5)
    assert torch.equal(slow.network[1].running_mean, own)
    assert not online[1].running_mean.any()


def test_extremes_of_momentum_and_no_gradient() -> None:
    online, slow = _net(), MomentumCopy(_net())
    before = {name: value.clone() for name, value in slow.network.state_dict().items()}
    with torch.no_grad():
        for value in online.parameters():
            value.add_(1.0)
    slow.follow(online, 1.0)
    assert all(torch.equal(value, before[name]) for name, value in slow.network.state_dict().items())
    slow.follow(online, torch.tensor(0.0))
    for name, value in slow.network.state_dict().items():
        torch.testing.assert_close(value, online.state_dict()[name])
    assert not any(p.requires_grad for p in slow.parameters())
    assert all(p.requires_grad for p in online.parameters())
    assert not slow(torch.randn(2, 3, requires_grad=True)).requires_grad
