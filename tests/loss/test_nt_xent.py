from __future__ import annotations

import json
import math
from pathlib import Path

import pytest
import torch

from openclef.loss import nt_xent_loss


def slow_nt_xent(z1, z2, temperature, subject=None):
    """NT-Xent by definition, one pair at a time."""
    views = [row / row.norm() for row in torch.cat([z1, z2]).double()]
    count, total = len(z1), 0.0
    for i in range(2 * count):
        positive = math.exp(float(views[i] @ views[(i + count) % (2 * count)]) / temperature)
        negatives = 0.0
        for k in range(2 * count):
            same = k % count == i % count or (
                subject is not None and subject[k % count] == subject[i % count]
            )
            if not same:
                negatives += math.exp(float(views[i] @ views[k]) / temperature)
        total -= math.log(positive / (positive + negatives))
    return total / (2 * count)


@pytest.fixture
def views():
    return torch.randn(2, 7, 5, generator=torch.Generator().manual_seed(3), dtype=torch.float64)


def test_equals_published_number(golden_folder: Path) -> None:
    golden = json.loads((golden_folder / "reference.json").read_text())["loss"]
    features = torch.tensor(golden["features"])
    loss = nt_xent_loss(*features.chunk(2), temperature=golden["temperature"])
    assert float(loss) == pytest.approx(golden["expected"]["nt_xent"], rel=1e-5)


@pytest.mark.parametrize("subject", [None, [0, 1, 1, 2, 3, 1, 0]])
def test_equals_slow_reference(views, subject) -> None:
    given = None if subject is None else torch.tensor(subject)
    loss = nt_xent_loss(*views, temperature=0.3, subject=given)
    assert float(loss) == pytest.approx(slow_nt_xent(*views, 0.3, subject), rel=1e-10)


@pytest.mark.parametrize("count", [2, 9, 64])
def test_equal_embeddings_give_log_of_candidates(count: int) -> None:
    same = torch.ones(count, 4)
    assert float(nt_xent_loss(same, same, temperature=0.07)) == pytest.approx(
        math.log(2 * count - 1), rel=1e-6
    )


def test_embedding_length_does_not_matter(views) -> None:
    z1, z2 = views
    scaled = nt_xent_loss(z1 * 7, z2 * 1e-3, temperature=0.1)
    torch.testing.assert_close(scaled, nt_xent_loss(z1, z2, temperature=0.1))


def test_low_temperature_does_not_overflow(views) -> None:
    z1, z2 = views.float().requires_grad_()
    loss = nt_xent_loss(z1, z2, temperature=1e-4)
    gradient = torch.autograd.grad(loss, z1)[0]
    assert torch.isfinite(loss)
    assert torch.isfinite(gradient).all()


def test_gradient(views) -> None:
    z1, z2 = views.requires_grad_()
    subject = torch.tensor([0, 1, 1, 2, 3, 4, 5])
    assert torch.autograd.gradcheck(
        lambda a, b: nt_xent_loss(a, b, temperature=0.3, subject=subject), (z1, z2)
    )


def test_one_subject_only_has_loss_and_gradient_zero(views) -> None:
    z1, z2 = views.requires_grad_()
    loss = nt_xent_loss(z1, z2, temperature=0.3, subject=torch.zeros(7, dtype=torch.long))
    assert float(loss.detach()) == 0
    assert not torch.autograd.grad(loss, z1)[0].any()


def test_is_computed_in_float32_under_autocast(views) -> None:
    z1, z2 = views.float()
    expected = nt_xent_loss(z1, z2, temperature=0.1)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        loss = nt_xent_loss(z1, z2, temperature=0.1)
    assert loss.dtype == torch.float32
    assert torch.equal(loss, expected)
    assert nt_xent_loss(z1.bfloat16(), z2.bfloat16(), temperature=0.1).dtype == torch.float32


def test_broken_embeddings_show() -> None:
    z = torch.ones(3, 2)
    z[0, 0] = math.nan
    assert torch.isnan(nt_xent_loss(z, z, temperature=0.1))


@pytest.mark.parametrize(
    ("z1", "z2", "settings", "message"),
    [
        (torch.ones(1, 3), torch.ones(1, 3), {"temperature": 0.1}, "1 record;"),
        (torch.ones(3), torch.ones(3), {"temperature": 0.1}, r"\(B, dim\)"),
        (torch.ones(3, 2), torch.ones(4, 2), {"temperature": 0.1}, r"\(4, 2\)"),
        (torch.ones(3, 2), torch.ones(3, 2), {"temperature": 0.0}, "above 0"),
        (torch.ones(3, 2), torch.ones(3, 2), {"temperature": math.nan}, "above 0"),
        (
            torch.ones(3, 2),
            torch.ones(3, 2),
            {"temperature": 1, "subject": torch.tensor([1, 2])},
            "one integer",
        ),
        (torch.ones(3, 2), torch.ones(3, 2), {"temperature": 1, "subject": torch.ones(3)}, "one integer"),
    ],
)
def test_wrong_input_is_named(z1, z2, settings, message) -> None:
    with pytest.raises(ValueError, match=message):
        nt_xent_loss(z1, z2, **settings)
