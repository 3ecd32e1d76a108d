from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from openclef.loss import cpc_loss


def slow_cpc(predicted, segments, subject, temperature, same_view=True):
    """The loss by definition, one prediction and one candidate at a time; returns losses a step, and the accuracy."""
    views, length, steps = predicted.shape[:3]
    owner = [k % (views // 2) for k in range(views)] if subject is None else subject * 2
    losses, hits, count = [], 0, 0
    for ahead in range(1, steps + 1):
        terms = []
        for i in range(views):
            for t in range(length - ahead):
                made = predicted[i, t, ahead - 1].double()
                own, others = 0.0, []
                for j in range(views):
                    for s in range(length):
                        real = segments[j, s].double()
                        value = float(made @ real / made.norm() / real.norm()) / temperature
                        if j == i and s == t + ahead:
                            own = value
                        elif (j == i and same_view) or owner[j] != owner[i]:
                            others.append(value)
                terms.append(math.log(sum(math.exp(v) for v in [own, *others])) - own)
                hits += all(own > v for v in others)
                count += 1
        losses.append(sum(terms) / len(terms))
    return losses, hits / count


@pytest.fixture
def batch():
    generator = torch.Generator().manual_seed(2)
    segments = torch.randn(8, 5, 6, generator=generator, dtype=torch.float64)
    predicted = torch.randn(8, 5, 2, 6, generator=generator, dtype=torch.float64)
    for ahead in (1, 2):  # partly right, so that some predictions are hits
        predicted[:, : 5 - ahead, ahead - 1] += 0.8 * segments[:, ahead:]
    return predicted, segments


@pytest.mark.parametrize("subject", [None, [0, 1, 1, 3], [4, 4, 4, 4]])
@pytest.mark.parametrize("same_view", [True, False])
def test_equals_slow_reference(batch, subject, same_view) -> None:
    given_subject = None if subject is None else torch.tensor(subject)
    loss = cpc_loss(*batch, given_subject, temperature=0.3, same_view_negatives=same_view)
    losses, accuracy = slow_cpc(*batch, subject, 0.3, same_view)
    assert loss.steps.tolist() == pytest.approx(losses, rel=1e-9, abs=1e-12)
    assert float(loss.total) == pytest.approx(sum(losses) / 2, rel=1e-9, abs=1e-12)
    assert float(loss.accuracy) == pytest.approx(accuracy)
    if subject is None and same_view:
        assert 0.1 < accuracy < 0.95


@pytest.mark.parametrize(("same_view", "candidates"), [(True, 6 * 5 + 5), (False, 6 * 5 + 1)])
def test_equal_vectors_give_log_of_candidates(same_view: bool, candidates: int) -> None:
    same = torch.ones(8, 5, 3)
    loss = cpc_loss(
        same[:, :, None].expand(-1, -1, 3, -1), same, temperature=0.07, same_view_negatives=same_view
    )
    assert loss.steps.tolist() == pytest.approx([math.log(candidates)] * 3, rel=1e-6)
    assert loss.accuracy == 0  # a tie is no hit


def test_right_predictions_of_orthogonal_segments_have_a_closed_form() -> None:
    count, length, temperature = 3, 4, 0.5
    segments = torch.eye(2 * count * length, dtype=torch.float64).view(2 * count, length, -1)
    predicted = torch.zeros(2 * count, length, 2, 2 * count * length, dtype=torch.float64)
    for ahead in (1, 2):
        predicted[:, : length - ahead, ahead - 1] = segments[:, ahead:]
    loss = cpc_loss(predicted, segments, temperature=temperature)
    others = 2 * (count - 1) * length + length - 1
    expected = math.log(1 + others * math.exp(-1 / temperature))
    assert float(loss.total) == pytest.approx(expected)
    assert loss.accuracy == 1


@given(seed=st.integers(0, 2**31), order=st.permutations(range(4)))
def test_order_of_the_batch_and_length_of_vectors_do_not_matter(seed: int, order: list[int]) -> None:
    generator = torch.Generator().manual_seed(seed)
    segments = torch.randn(8, 4, 5, generator=generator, dtype=torch.float64)
    predicted = torch.randn(8, 4, 2, 5, generator=generator, dtype=torch.float64)
    subject = torch.randint(0, 3, (4,), generator=generator)
    loss = cpc_loss(predicted, segments, subject, temperature=0.2)
    rows = order + [k + 4 for k in order]
    mixed = cpc_loss(5 * predicted[rows], 0.1 * segments[rows], subject[order], temperature=0.2)
    torch.testing.assert_close(loss.steps, mixed.steps)
    swapped = torch.arange(8).roll(4)  # first and second views
    other = cpc_loss(predicted[swapped], segments[swapped], subject, temperature=0.2)
    torch.testing.assert_close(loss.steps, other.steps)


def test_unused_predictions_and_left_out_segments_have_no_influence(batch) -> None:
    predicted, segments = (each.requires_grad_() for each in batch)
    subject = torch.tensor([0, 1, 1, 3])
    loss = cpc_loss(predicted, segments, subject, temperature=0.3).total
    gradient = torch.autograd.grad(loss, predicted, retain_graph=True)[0]
    assert not gradient[:, 4:, 0].any()  # would be segments 5 and 6 of 0..4
    assert not gradient[:, 3:, 1].any()
    assert gradient[:, :4, 0].abs().sum(-1).all()
    assert gradient[:, :3, 1].abs().sum(-1).all()
    # A loss of the predictions of view 1 alone: the difference of two losses that differ in them only.
    changed = predicted.detach().clone()
    changed[1] = changed[1].flip(-1)
    difference = cpc_loss(changed, segments, subject, temperature=0.3).total - loss
    moved = torch.autograd.grad(difference, segments)[0].abs().sum((1, 2))
    # Rows of record 1: its other view (5) and record 2 of its subject (2, 6) are out.
    assert (moved > 1e-12).tolist() == [True, True, False, True, True, False, False, True]


def test_gradient(batch) -> None:
    predicted, segments = (each.requires_grad_() for each in batch)
    assert torch.autograd.gradcheck(
        lambda a, b: cpc_loss(a, b, torch.tensor([0, 1, 1, 3]), temperature=0.3).total, (predicted, segments)
    )


def test_without_negatives_loss_and_gradient_are_zero(batch) -> None:
    predicted, segments = (each.requires_grad_() for each in batch)
    subject = torch.zeros(4, dtype=torch.long)
    loss = cpc_loss(predicted, segments, subject, temperature=0.3, same_view_negatives=False).total
    assert float(loss.detach()) == 0
    assert not torch.autograd.grad(loss, segments)[0].any()


def test_low_temperature_does_not_overflow(batch) -> None:
    predicted, segments = (each.float().requires_grad_() for each in batch)
    loss = cpc_loss(predicted, segments, temperature=1e-4).total
    assert torch.isfinite(loss)
    assert torch.isfinite(torch.autograd.grad(loss, segments)[0]).all()


def test_is_computed_in_float32_under_autocast(batch) -> None:
    predicted, segments = (each.float() for each in batch)
    expected = cpc_loss(predicted, segments, temperature=0.1).total
    with torch.autocast("cpu", dtype=torch.bfloat16):
        loss = cpc_loss(predicted, segments, temperature=0.1).total
    assert loss.dtype == torch.float32
    assert torch.equal(loss, expected)
    halved = cpc_loss(predicted.bfloat16(), segments.bfloat16(), temperature=0.1).total
    assert halved.dtype == torch.float32


def test_broken_vectors_show(batch) -> None:
    predicted, segments = batch
    segments[0, 0, 0] = math.nan
    assert torch.isnan(cpc_loss(predicted, segments, temperature=0.1).total)


@pytest.mark.parametrize(
    ("predicted", "segments", "settings", "message"),
    [
        ((4, 5, 2, 3), (4, 5), {}, r"segments has shape \(4, 5\)"),
        ((3, 5, 2, 3), (3, 5, 3), {}, r"pass \(2B, S, dim\)"),
        ((4, 5, 3), (4, 5, 3), {}, r"predicted has shape \(4, 5, 3\)"),
        ((4, 5, 0, 3), (4, 5, 3), {}, "K predictions at each segment"),
        ((4, 5, 2, 7), (4, 5, 3), {}, r"segments of shape \(4, 5, 3\)"),
        ((4, 5, 5, 3), (4, 5, 3), {}, "look 5 segments ahead and a view has 5"),
        ((4, 5, 2, 3), (4, 5, 3), {"temperature": 0.0}, "above 0"),
        ((4, 5, 2, 3), (4, 5, 3), {"subject": torch.tensor([1, 2, 3])}, "one integer"),
    ],
)
def test_wrong_input_is_named(predicted, segments, settings, message) -> None:
    with pytest.raises(ValueError, match=message):
        cpc_loss(torch.ones(predicted), torch.ones(segments), **({"temperature": 0.1} | settings))
