"""XResNet1d: sizes of its stages, start, errors; its features are compared in tests/published."""

from __future__ import annotations

import pytest
import torch

from openclef.backbone import BACKBONES
from openclef.backbone.xresnet1d import Bottleneck, XResNet1d


def test_the_sizes_are_those_of_ked() -> None:
    net = BACKBONES["xresnet1d101"](leads=12)
    assert (net.dim, net.leads) == (768, 12)
    assert sum(parameter.numel() for parameter in net.parameters()) == 7_865_984
    assert [len(stage) for stage in list(net)[4:]] == [3, 4, 23, 3]
    steps = torch.nn.Sequential(*list(net)).eval()(torch.zeros(1, 12, 1000))
    assert steps.shape == (1, 768, 32)


@pytest.mark.parametrize("samples", [32, 999, 1000, 1001])
def test_any_length(samples: int) -> None:
    net = XResNet1d(blocks=(1, 2), widths=(4, 8), leads=2).eval()
    signal = torch.randn(3, 2, samples)
    with torch.no_grad():
        together = net(signal)
        assert torch.allclose(together[1], net(signal[1:2])[0], atol=1e-6)
    assert together.shape == (3, 32)
    assert bool(torch.isfinite(together).all())


def test_blocks_start_as_shortcuts_and_all_learn() -> None:
    torch.manual_seed(0)
    block = XResNet1d(blocks=(2,), widths=(16,))[4][1].eval()
    signal = torch.randn(2, 64, 50)
    assert torch.allclose(block(signal), torch.relu(signal))
    net = XResNet1d(blocks=(1, 1), widths=(4, 8))
    net(torch.randn(4, 1, 200)).square().sum().backward()
    zeroed = [name for name, each in net.named_parameters() if each.grad is None]
    assert zeroed == []
    last = [block.convs[-1][1].weight.grad for block in net.modules() if isinstance(block, Bottleneck)]
    assert all(bool(gradient.abs().max() > 0) for gradient in last)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"leads": 0}, "leads=0"),
        ({"blocks": (1,)}, "as many of both"),
        ({"widths": (1, 2, 0, 4)}, "1 or more"),
    ],
)
def test_settings_that_cannot_be(settings: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        XResNet1d(**settings)


def test_other_shapes_are_refused() -> None:
    net = XResNet1d(blocks=(1,), widths=(4,), leads=12)
    with pytest.raises(ValueError, match=r"takes \(batch, 12, time\)"):
        net(torch.zeros(1, 1, 1000))
    with pytest.raises(ValueError, match="takes 32 or more"):
        net(torch.zeros(1, 12, 31))
