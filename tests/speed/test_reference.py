from __future__ import annotations

from functools import partial

import pytest
import torch

from openclef.backbone import BACKBONES
from openclef.backbone.resnext1d import SIZES, ResNeXt1D, Size
from openclef.data import Batch
from openclef.method import METHODS
from openclef.speed.flops import forward_flops, training_flops
from openclef.speed.reference import encode, state_of, training_step

NARROW = Size(8, 1.5, (8, 12, 12, 16), (1, 2, 1, 2), 4)  # every kind of block, few channels


def _difference(net: torch.nn.Module, signal: torch.Tensor, training: bool = False) -> float:
    """Largest difference in the vectors, as a share of the largest value."""
    with torch.no_grad():
        expected = net(signal)
        found = encode(net.state_dict(), signal, training)
    return float((found - expected).abs().max() / expected.abs().max())


@pytest.mark.parametrize(
    ("name", "samples"),
    [
        ("resnext1d_small", 5000),
        ("resnext1d_small", 1999),
        ("resnext1d_small", 17),
        ("resnext1d_medium", 613),
    ],
)
def test_the_reference_is_the_encoder(name: str, samples: int) -> None:
    torch.manual_seed(1)
    net = BACKBONES[name](leads=1).eval()
    assert _difference(net, torch.randn(2, 1, samples)) < 2e-6


@pytest.mark.parametrize("samples", [16, 31, 250, 501])
@pytest.mark.parametrize("leads", [1, 3])
def test_the_reference_is_the_encoder_in_double_precision(samples: int, leads: int) -> None:
    torch.manual_seed(2)
    net = ResNeXt1D(NARROW, leads=leads).double().eval()
    assert _difference(net, torch.randn(3, leads, samples, dtype=torch.float64)) < 1e-12


@pytest.mark.parametrize("training", [False, True])
def test_the_reference_normalises_by_batch(training: bool) -> None:
    torch.manual_seed(3)
    net = ResNeXt1D(NARROW, normalisation="batch").double().train(training)
    for name, values in net.named_buffers():
        if values.is_floating_point():
            values.copy_(torch.rand_like(values) + (0.5 if name.endswith("var") else 0.0))
    assert _difference(net, torch.randn(4, 1, 333, dtype=torch.float64), training) < 1e-12


@pytest.mark.slow
@pytest.mark.parametrize("name", ["resnext1d_medium", "resnext1d_large"])
@pytest.mark.parametrize("samples", [1999, 5000])
def test_the_reference_is_the_large_encoder(name: str, samples: int) -> None:
    torch.manual_seed(4)
    assert _difference(BACKBONES[name](leads=1).eval(), torch.randn(1, 1, samples)) < 2e-6


def test_the_large_sizes_numbers_too() -> None:
    """The shapes of the largest network, on tensors without values: 300 million weights take long to draw."""
    with torch.device("meta"):
        state = BACKBONES["resnext1d_large"](leads=1).state_dict()
        assert encode(state, torch.zeros(2, 1, 4999)).shape == (2, SIZES["resnext1d_large"].widths[-1])


def test_a_reference_step_follows_the_gradient_of_the_method() -> None:
    """The reference and the method give each weight the same gradient, so they do the same work."""
    torch.manual_seed(5)
    views = torch.randn(2, 6, 1, 500)
    batch = Batch(views[0], views[1], torch.rand(6), torch.ones(6), torch.arange(6))
    net = BACKBONES["resnext1d_small"](leads=1)
    METHODS["clef"](net)(batch).loss.backward()
    expected = {name: weight.grad.clone() for name, weight in net.named_parameters()}
    net.zero_grad(set_to_none=True)
    seen: dict[str, torch.Tensor] = {}
    for name, weight in net.named_parameters():
        weight.register_hook(lambda gradient, name=name: seen.update({name: gradient.clone()}))
    training_step(net, batch)()
    for name, gradient in expected.items():
        assert torch.allclose(seen[name], gradient, rtol=1e-3, atol=1e-3 * float(gradient.abs().max())), name


def test_the_state_keeps_its_graph() -> None:
    net = ResNeXt1D(NARROW)
    encode(state_of(net), torch.randn(2, 1, 100)).sum().backward()
    assert all(weight.grad is not None for weight in net.parameters())


def test_operations_of_the_small_encoder() -> None:
    assert forward_flops("resnext1d_small", 5000) / 1e9 == pytest.approx(0.0584, abs=5e-5)
    # The stem: 32 channels of 16 samples each at 2,500 places, a multiplication and an addition each.
    stem = 2 * 32 * 16 * 2500
    assert training_flops("resnext1d_small", 5000) == 3 * forward_flops("resnext1d_small", 5000) - stem


def test_operations_are_those_of_the_forward_and_its_gradient(monkeypatch: pytest.MonkeyPatch) -> None:
    """The rule (three times the forward, less the input's gradient) is what PyTorch counts in a real step.

    Without groups: of the gradient of a grouped convolution's weights PyTorch counts what is never computed.
    """
    from torch.utils.flop_counter import FlopCounterMode

    plain = partial(ResNeXt1D, Size(8, 1.0, (8, 8), (1, 2), 8))
    monkeypatch.setitem(BACKBONES, "plain", plain)
    net = plain()
    with FlopCounterMode(display=False) as counter:
        encode(state_of(net), torch.randn(1, 1, 999)).sum().backward()
    assert counter.get_total_flops() == training_flops("plain", 999)
