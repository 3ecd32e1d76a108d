"""The operations of ResNeXt1D against PyTorch's own, in values and in gradients."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from openclef.backbone.convolution import convolve_same, halve
from openclef.backbone.resnext1d import LONG, Block


def _reference(signal, weight, bias, stride, groups):
    """PyTorch's convolution of an explicitly padded signal, channels first."""
    samples, kernel = signal.shape[1], weight.shape[2]
    total = max(0, (-(-samples // stride) - 1) * stride + kernel - samples)
    padded = F.pad(signal.transpose(1, 2), (total // 2, total - total // 2))
    return F.conv1d(padded, weight, bias, stride, groups=groups).transpose(1, 2)


@settings(max_examples=40, deadline=None)
@given(
    samples=st.integers(1, 70),
    stride=st.integers(1, 3),
    kernel=st.sampled_from([1, 3, 16]),
    groups=st.sampled_from([1, 2, 4]),
    width=st.sampled_from([1, 4, 9, 40]),
    inputs=st.integers(1, 5),
    rows=st.integers(1, 3),
)
def test_convolution_and_its_gradients_are_those_of_pytorch(
    samples, stride, kernel, groups, width, inputs, rows
):
    torch.manual_seed(0)
    signal = torch.randn(rows, samples, groups * inputs, dtype=torch.float64, requires_grad=True)
    weight = torch.randn(groups * width, inputs, kernel, dtype=torch.float64, requires_grad=True)
    bias = torch.randn(groups * width, dtype=torch.float64, requires_grad=True)
    found = convolve_same(signal, weight, bias, stride, groups)
    expected = _reference(signal, weight, bias, stride, groups)
    assert torch.allclose(found, expected, atol=1e-12)
    gradient = torch.randn_like(expected)
    ours = torch.autograd.grad(found, (signal, weight, bias), gradient)
    theirs = torch.autograd.grad(expected, (signal, weight, bias), gradient)
    assert all(torch.allclose(a, b, atol=1e-10) for a, b in zip(ours, theirs, strict=True))


def test_second_derivatives_are_right_too():
    torch.manual_seed(0)
    signal = torch.randn(2, 7, 4, dtype=torch.float64, requires_grad=True)
    weight = torch.randn(4, 2, 3, dtype=torch.float64, requires_grad=True)
    bias = torch.randn(4, dtype=torch.float64, requires_grad=True)
    torch.autograd.gradgradcheck(lambda *given: convolve_same(*given, 2, 2), (signal, weight, bias))
    torch.autograd.gradgradcheck(halve, (signal,))


@pytest.mark.parametrize(("stride", "groups", "inputs", "width"), [(2, 4, 4, 4), (1, 8, 4, 4), (2, 1, 1, 32)])
def test_bfloat16_gradients_are_near_those_of_float32(stride, groups, inputs, width):
    torch.manual_seed(0)
    signal = torch.randn(4, 300, groups * inputs, requires_grad=True)
    weight = torch.randn(groups * width, inputs, 16, requires_grad=True)
    bias = torch.randn(groups * width, requires_grad=True)
    found = []
    for half in (False, True):
        with torch.autocast("cpu", torch.bfloat16, enabled=half):
            result = convolve_same(signal, weight, bias, stride, groups)
        assert result.dtype == (torch.bfloat16 if half else torch.float32)
        found.append(torch.autograd.grad(result.float().square().mean(), (signal, weight, bias)))
    for full, half in zip(*found, strict=True):
        assert full.dtype == half.dtype == torch.float32
        assert float((full - half).norm() / full.norm()) < 0.01


@pytest.mark.parametrize("samples", [1, 2, 9, 10])
def test_halving_is_max_pooling_with_a_zero_at_the_end(samples):
    signal = torch.randn(3, samples, 2, dtype=torch.float64, requires_grad=True)
    expected = F.max_pool1d(F.pad(signal.transpose(1, 2), (0, samples % 2)), 2).transpose(1, 2)
    assert torch.equal(halve(signal), expected)
    with torch.no_grad():
        assert torch.equal(halve(signal), expected)
    gradient = torch.randn_like(expected)
    ours = torch.autograd.grad(halve(signal), signal, gradient)[0]
    assert torch.equal(ours, torch.autograd.grad(expected, signal, gradient)[0])


def test_of_two_equal_samples_the_first_has_the_gradient():
    signal = torch.ones(1, 2, 1, requires_grad=True)
    assert torch.autograd.grad(halve(signal).sum(), signal)[0].flatten().tolist() == [1.0, 0.0]


@pytest.mark.parametrize("stride", [1, 2])
def test_a_block_of_long_signals_is_a_block_of_short_ones(stride, monkeypatch):
    """The mean taken before the last convolution and the gates in its kernel change nothing but rounding."""
    torch.manual_seed(0)
    block = Block(6, 8, inner=4, groups=2, stride=stride).double()
    signal = torch.randn(3, 2 * LONG * 4, 6, dtype=torch.float64, requires_grad=True)
    found = []
    for limit in (LONG, 10**9):
        monkeypatch.setattr("openclef.backbone.resnext1d.LONG", limit)
        result = block(signal)
        found.append([result, *torch.autograd.grad(result.square().sum(), (signal, *block.parameters()))])
    assert all(torch.allclose(a, b, atol=1e-10) for a, b in zip(*found, strict=True))


def test_strides_that_a_block_does_not_take_are_refused():
    with pytest.raises(ValueError, match="pass 1, or 2"):
        Block(2, 2, inner=2, groups=1, stride=3)
