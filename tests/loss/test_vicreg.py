from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from openclef.loss import vicreg_loss


def slow_vicreg(z1, z2):
    """The three terms by definition, one number at a time."""
    n, d = len(z1), len(z1[0])
    invariance = sum((z1[i][j] - z2[i][j]) ** 2 for i in range(n) for j in range(d)) / (n * d)
    variance = covariance = 0.0
    for z in (z1, z2):
        mean = [sum(z[i][j] for i in range(n)) / n for j in range(d)]
        for j in range(d):
            for k in range(d):
                value = sum((z[i][j] - mean[j]) * (z[i][k] - mean[k]) for i in range(n)) / (n - 1)
                if j == k:
                    variance += max(0.0, 1 - math.sqrt(value + 1e-4)) / d / 2
                else:
                    covariance += value**2 / d
    return invariance, variance, covariance


@given(
    seed=st.integers(0, 1000),
    batch=st.integers(2, 7),
    dim=st.integers(1, 5),
    scale=st.sampled_from([0.1, 1.0, 4.0]),
    factors=st.tuples(*[st.sampled_from([0.0, 1.0, 25.0])] * 3),
)
def test_equals_slow_reference(seed, batch, dim, scale, factors) -> None:
    generator = torch.Generator().manual_seed(seed)
    z1, z2 = scale * torch.randn(2, batch, dim, generator=generator, dtype=torch.float64)
    names = ("invariance_weight", "variance_weight", "covariance_weight")
    loss = vicreg_loss(z1, z2, **dict(zip(names, factors, strict=True)))
    terms = slow_vicreg(z1.tolist(), z2.tolist())
    found = [float(loss.invariance), float(loss.variance), float(loss.covariance)]
    assert found == pytest.approx(terms, rel=1e-9, abs=1e-12)
    total = sum(factor * term for factor, term in zip(factors, terms, strict=True))
    assert float(loss.total) == pytest.approx(total, rel=1e-9, abs=1e-12)
    in_float32 = vicreg_loss(z1.float(), z2.float())
    assert float(in_float32.invariance) == pytest.approx(terms[0], rel=1e-5, abs=1e-6)


def test_default_factors() -> None:
    generator = torch.Generator().manual_seed(0)
    loss = vicreg_loss(*torch.randn(2, 8, 3, generator=generator, dtype=torch.float64))
    expected = 25 * loss.invariance + 25 * loss.variance + loss.covariance
    torch.testing.assert_close(loss.total, expected)


def test_collapsed_and_perfect_embeddings() -> None:
    point = torch.full((6, 4), 3.0)
    loss = vicreg_loss(point, point)
    assert (float(loss.invariance), float(loss.covariance)) == (0.0, 0.0)
    assert float(loss.variance) == pytest.approx(1 - math.sqrt(1e-4), rel=1e-6)
    corners = torch.tensor([[a, b] for a in (-2.0, 2.0) for b in (-2.0, 2.0)])  # uncorrelated, spread
    assert float(vicreg_loss(corners, corners).total) == 0.0


def test_two_records_and_repeated_components() -> None:
    """Two records at -1 and 1 in two equal components: variance 2 each, covariance 2, twice squared over d = 2."""
    z = torch.tensor([[-1.0, -1.0], [1.0, 1.0]])
    loss = vicreg_loss(z, z)
    assert float(loss.variance) == 0.0
    assert float(loss.covariance) == pytest.approx(2 * (2 * 4) / 2)


def test_shift_order_and_exchange_of_views_do_not_matter() -> None:
    generator = torch.Generator().manual_seed(0)
    z1, z2 = torch.randn(2, 8, 3, generator=generator, dtype=torch.float64)
    expected = vicreg_loss(z1, z2).total
    torch.testing.assert_close(vicreg_loss(z1 + 5, z2 + 5).total, expected)
    torch.testing.assert_close(vicreg_loss(z2, z1).total, expected)
    order = torch.randperm(8, generator=generator)
    torch.testing.assert_close(vicreg_loss(z1[order], z2[order]).total, expected)
    torch.testing.assert_close(vicreg_loss(z1[:, [2, 0, 1]], z2[:, [2, 0, 1]]).total, expected)


def test_gradient() -> None:
    generator = torch.Generator().manual_seed(0)
    z1, z2 = (0.7 * torch.randn(2, 5, 3, generator=generator, dtype=torch.float64)).requires_grad_()
    assert torch.autograd.gradcheck(lambda a, b: vicreg_loss(a, b).total, (z1, z2))
    point = torch.zeros(4, 3, requires_grad=True)  # the root's argument never is 0
    vicreg_loss(point, point).total.backward()
    assert torch.isfinite(point.grad).all()


def test_is_computed_in_float32_under_autocast() -> None:
    z1, z2 = torch.randn(2, 8, 3, generator=torch.Generator().manual_seed(0))
    expected = vicreg_loss(z1, z2).total
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert torch.equal(vicreg_loss(z1, z2).total, expected)
    assert vicreg_loss(z1.bfloat16(), z2.bfloat16()).total.dtype == torch.float32


def test_broken_embeddings_show() -> None:
    z = torch.ones(3, 2)
    z[0, 0] = math.nan
    assert torch.isnan(vicreg_loss(z, z).total)


@pytest.mark.parametrize(
    ("z1", "z2", "settings", "message"),
    [
        (torch.ones(1, 3), torch.ones(1, 3), {}, "1 record;"),
        (torch.ones(3), torch.ones(3), {}, r"\(B, dim\)"),
        (torch.ones(3, 2), torch.ones(4, 2), {}, r"\(4, 2\)"),
        (torch.ones(3, 2), torch.ones(3, 2), {"variance_weight": -1.0}, "variance_weight is -1"),
        (torch.ones(3, 2), torch.ones(3, 2), {"covariance_weight": math.nan}, "covariance_weight is nan"),
    ],
)
def test_wrong_input_is_named(z1, z2, settings, message) -> None:
    with pytest.raises(ValueError, match=message):
        vicreg_loss(z1, z2, **settings)
