from __future__ import annotations

import math

import pytest
import torch

from openclef.loss import byol_loss


@pytest.fixture
def rows():
    return torch.randn(2, 6, 5, generator=torch.Generator().manual_seed(3), dtype=torch.float64)


def test_equals_slow_reference(rows) -> None:
    expected = 0.0
    for prediction, target in zip(*rows.tolist(), strict=True):
        norms = math.sqrt(sum(a * a for a in prediction)) * math.sqrt(sum(b * b for b in target))
        expected += 2 - 2 * sum(a * b for a, b in zip(prediction, target, strict=True)) / norms
    assert float(byol_loss(*rows)) == pytest.approx(expected / 6, rel=1e-9)
    assert float(byol_loss(*rows.float())) == pytest.approx(expected / 6, rel=1e-6)


@pytest.mark.parametrize(("factor", "expected"), [(2.5, 0.0), (-0.1, 4.0)])
def test_same_and_opposite_directions(rows, factor: float, expected: float) -> None:
    assert float(byol_loss(rows[0], factor * rows[0])) == pytest.approx(expected, abs=1e-12)


def test_orthogonal_directions_and_two_records() -> None:
    basis = torch.eye(4)
    assert float(byol_loss(basis, basis.roll(1, 0))) == 2.0
    assert float(byol_loss(basis[:2], basis[[0, 2]])) == 1.0  # one alike, one orthogonal


def test_length_and_order_do_not_matter(rows) -> None:
    first, second = rows
    expected = byol_loss(first, second)
    torch.testing.assert_close(byol_loss(first * 30, second * 1e-3), expected)
    torch.testing.assert_close(byol_loss(first.flip(0), second.flip(0)), expected)


def test_gradient_reaches_predictions_only(rows) -> None:
    predictions, targets = rows.requires_grad_()
    assert torch.autograd.gradcheck(lambda given: byol_loss(given, targets.detach()), (predictions,))
    to_predictions, to_targets = torch.autograd.grad(
        byol_loss(predictions, targets), (predictions, targets), allow_unused=True
    )
    assert to_predictions.abs().max() > 0
    assert to_targets is None


def test_is_computed_in_float32_under_autocast(rows) -> None:
    first, second = rows.float()
    expected = byol_loss(first, second)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert torch.equal(byol_loss(first, second), expected)
    assert byol_loss(first.bfloat16(), second).dtype == torch.float32


def test_zero_rows_and_broken_rows() -> None:
    zero = torch.zeros(2, 3, requires_grad=True)
    loss = byol_loss(zero, torch.ones(2, 3))
    loss.backward()
    assert torch.isfinite(loss)
    assert torch.isfinite(zero.grad).all()
    assert torch.isnan(byol_loss(torch.full((2, 3), math.nan), torch.ones(2, 3)))


@pytest.mark.parametrize(("first", "second"), [((3, 2), (4, 2)), ((3,), (3,)), ((0, 2), (0, 2))])
def test_wrong_shapes_are_named(first, second) -> None:
    with pytest.raises(ValueError, match=r"pass two of one shape \(B, dim\)"):
        byol_loss(torch.ones(first), torch.ones(second))
