from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from openclef.loss import info_nce_loss, nt_xent_loss


def slow_info_nce(
    queries, keys, queue=(), *, temperature, subject=None, queue_subject=None, filled=None, within=True
):
    """The definition, one pair at a time."""

    def exponential(a, b):
        a, b = a.double(), b.double()
        return math.exp(float(a @ b / (a.norm() * b.norm())) / temperature)

    def other(i, number):
        return subject is None or subject[i] != number

    total = 0.0
    for i in range(len(queries)):
        negatives = 0.0
        for k in range(len(queries)):
            if within and k != i and other(i, None if subject is None else subject[k]):
                negatives += exponential(queries[i], keys[k])
        for k in range(len(queue)):
            if (filled is None or filled[k]) and other(i, None if subject is None else queue_subject[k]):
                negatives += exponential(queries[i], queue[k])
        positive = exponential(queries[i], keys[i])
        total -= math.log(positive / (positive + negatives))
    return total / len(queries)


@pytest.fixture
def views():
    return torch.randn(2, 6, 5, generator=torch.Generator().manual_seed(3), dtype=torch.float64)


@given(
    seed=st.integers(0, 1000),
    batch=st.integers(1, 6),
    length=st.integers(0, 9),
    subjects=st.sampled_from([None, 2, 20]),
    masked=st.booleans(),
    within=st.booleans(),
    temperature=st.sampled_from([0.07, 1.0]),
)
def test_equals_slow_reference(seed, batch, length, subjects, masked, within, temperature) -> None:
    generator = torch.Generator().manual_seed(seed)
    queries, keys = torch.randn(2, batch, 4, generator=generator, dtype=torch.float64)
    queue = torch.randn(length, 4, generator=generator, dtype=torch.float64) if length else None
    if queue is None and (batch < 2 or not within):
        return
    subject = None if subjects is None else torch.randint(subjects, (batch,), generator=generator)
    queue_subject = None
    if queue is not None and subjects is not None:
        queue_subject = torch.randint(subjects, (length,), generator=generator)
    filled = torch.rand(length, generator=generator) < 0.6 if masked and queue is not None else None
    found = info_nce_loss(
        queries,
        keys,
        queue,
        temperature=temperature,
        subject=subject,
        queue_subject=queue_subject,
        queue_filled=filled,
        batch_negatives=within,
    )
    expected = slow_info_nce(
        queries,
        keys,
        () if queue is None else queue,
        temperature=temperature,
        subject=None if subject is None else subject.tolist(),
        queue_subject=None if queue_subject is None else queue_subject.tolist(),
        filled=filled,
        within=within,
    )
    assert float(found) == pytest.approx(expected, rel=1e-9, abs=1e-12)


@pytest.mark.parametrize(("batch", "length"), [(2, 0), (1, 9), (4, 60)])
def test_equal_embeddings_give_log_of_candidates(batch: int, length: int) -> None:
    same = torch.ones(batch, 4)
    queue = torch.ones(length, 4) if length else None
    expected = math.log(batch + length)
    assert float(info_nce_loss(same, same, queue, temperature=0.07)) == pytest.approx(expected, rel=1e-6)


def test_orthogonal_embeddings() -> None:
    """Positive e^(1/t), each of three others e^0."""
    z, t = torch.eye(4), 0.5
    expected = math.log(1 + 3 * math.exp(-1 / t))
    assert float(info_nce_loss(z, z, temperature=t)) == pytest.approx(expected, rel=1e-6)
    assert float(info_nce_loss(z[:1], z[:1], z[1:], temperature=t)) == pytest.approx(expected, rel=1e-6)


def test_with_both_orders_and_views_as_negatives_it_is_nt_xent(views) -> None:
    """NT-Xent is InfoNCE whose queue holds the query's own view of the other records."""
    z1, z2 = views
    numbers = torch.arange(6)
    settings = {"temperature": 0.3, "subject": numbers, "queue_subject": numbers}
    both = info_nce_loss(z1, z2, z1, **settings) + info_nce_loss(z2, z1, z2, **settings)
    assert float(both / 2) == pytest.approx(float(nt_xent_loss(z1, z2, temperature=0.3)), rel=1e-9)


def test_what_does_not_count_is_as_if_absent(views) -> None:
    z1, z2 = views
    queue = torch.randn(9, 5, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    filled = torch.arange(9) < 4
    found = info_nce_loss(z1, z2, queue, temperature=0.2, queue_filled=filled)
    assert float(found) == pytest.approx(float(info_nce_loss(z1, z2, queue[:4], temperature=0.2)), rel=1e-12)
    # A key of the query's subject: no matter how alike, it changes nothing.
    subject, of_queue = torch.arange(6), torch.full((9,), 2)
    found = info_nce_loss(
        z1[2:3], z2[2:3], z1[2:3].repeat(9, 1), temperature=0.1, subject=subject[2:3], queue_subject=of_queue
    )
    assert float(found) == 0.0


def test_order_and_length_do_not_matter(views) -> None:
    z1, z2 = views
    queue = torch.randn(9, 5, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    expected = info_nce_loss(z1, z2, queue, temperature=0.1)
    order = torch.tensor([3, 0, 5, 1, 4, 2])
    torch.testing.assert_close(info_nce_loss(z1[order], z2[order], queue.flip(0), temperature=0.1), expected)
    torch.testing.assert_close(info_nce_loss(z1 * 7, z2 * 1e-3, queue * 20, temperature=0.1), expected)


def test_low_temperature_does_not_overflow(views) -> None:
    z1, z2 = views.float().requires_grad_()
    loss = info_nce_loss(z1, z2, z2.detach().flip(1), temperature=1e-4)
    assert torch.isfinite(loss)
    assert torch.isfinite(torch.autograd.grad(loss, z1)[0]).all()


def test_gradient(views) -> None:
    z1, z2 = views.requires_grad_()
    queue = torch.randn(4, 5, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    subject, of_queue = torch.tensor([0, 1, 1, 2, 3, 4]), torch.tensor([0, 7, 8, 1])
    filled = torch.tensor([True, True, False, True])

    def loss(a, b, c):
        return info_nce_loss(
            a, b, c, temperature=0.3, subject=subject, queue_subject=of_queue, queue_filled=filled
        )

    assert torch.autograd.gradcheck(loss, (z1, z2, queue.requires_grad_()))


def test_without_negatives_loss_and_gradient_are_zero(views) -> None:
    z1, z2 = views.float().requires_grad_()
    nothing = torch.zeros(8, dtype=torch.bool)
    loss = info_nce_loss(
        z1, z2, torch.zeros(8, 5), temperature=0.07, queue_filled=nothing, batch_negatives=False
    )
    assert float(loss.detach()) == 0
    gradient = torch.autograd.grad(loss, z1)[0]
    assert torch.isfinite(gradient).all()
    assert not gradient.any()


def test_is_computed_in_float32_under_autocast(views) -> None:
    z1, z2 = views.float()
    expected = info_nce_loss(z1, z2, z1.flip(0), temperature=0.1)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        loss = info_nce_loss(z1, z2, z1.flip(0), temperature=0.1)
    assert loss.dtype == torch.float32
    assert torch.equal(loss, expected)
    assert info_nce_loss(z1.bfloat16(), z2.bfloat16(), z1, temperature=0.1).dtype == torch.float32


def test_broken_embeddings_show() -> None:
    z = torch.ones(3, 2)
    z[0, 0] = math.nan
    assert torch.isnan(info_nce_loss(z, z, temperature=0.1))


ROWS = torch.ones(3, 2)


@pytest.mark.parametrize(
    ("given", "settings", "message"),
    [
        ((ROWS, torch.ones(4, 2)), {}, r"keys \(4, 2\); pass two of one shape"),
        ((torch.ones(3), torch.ones(3)), {}, r"\(B, dim\)"),
        ((torch.ones(0, 2), torch.ones(0, 2)), {}, "B at least 1"),
        ((ROWS, ROWS, torch.ones(5, 3)), {}, r"queue has shape \(5, 3\) for keys of 2"),
        ((ROWS, ROWS), {"batch_negatives": False}, "no queue"),
        ((ROWS[:1], ROWS[:1]), {}, "1 record;"),
        ((ROWS, ROWS), {"temperature": 0.0}, "above 0"),
        ((ROWS, ROWS), {"temperature": math.nan}, "above 0"),
        ((ROWS, ROWS), {"subject": torch.ones(3)}, "one integer"),
        ((ROWS, ROWS, ROWS), {"subject": torch.arange(3)}, "queue_subject is missing"),
        ((ROWS, ROWS, ROWS), {"queue_subject": torch.arange(3)}, "queue_subject is given"),
        (
            (ROWS, ROWS, ROWS),
            {"subject": torch.arange(3), "queue_subject": torch.arange(2)},
            "one integer",
        ),
        ((ROWS, ROWS, ROWS), {"queue_filled": torch.ones(2, dtype=torch.bool)}, "one bool an entry"),
        ((ROWS, ROWS, ROWS), {"queue_filled": torch.ones(3)}, "one bool an entry"),
    ],
)
def test_wrong_input_is_named(given, settings, message) -> None:
    with pytest.raises(ValueError, match=message):
        info_nce_loss(*given, **({"temperature": 0.1} | settings))
