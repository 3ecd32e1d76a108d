from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from openclef.loss import nt_xent_loss, soft_positives, y_aware_loss

NAN = math.nan


def slow_y_aware(z1, z2, level, completeness=None, subject=None, *, width, temperature):
    """The loss by definition, one pair at a time."""
    views = [row / row.norm() for row in torch.cat([z1, z2]).double()]
    count, total = len(z1), 0.0
    for i in range(2 * count):
        a = i % count
        weights, similarities = [], []
        for k in range(2 * count):
            b = k % count
            if k == i or (b != a and subject is not None and subject[a] == subject[b]):
                continue
            if b == a:
                weight = 1.0
            elif math.isnan(level[a]) or math.isnan(level[b]):
                weight = 0.0
            else:
                weight = math.exp(-((level[a] - level[b]) ** 2) / (2 * width**2))
                if completeness is not None:
                    weight *= completeness[a] * completeness[b]
            weights.append(weight)
            similarities.append(float(views[i] @ views[k]) / temperature)
        everything = math.log(sum(math.exp(s) for s in similarities))
        for weight, similarity in zip(weights, similarities, strict=True):
            total -= weight / sum(weights) * (similarity - everything)
    return total / (2 * count)


@pytest.fixture
def batch():
    generator = torch.Generator().manual_seed(5)
    z1, z2 = torch.randn(2, 8, 5, generator=generator, dtype=torch.float64)
    level = torch.randn(8, generator=generator, dtype=torch.float64)
    completeness = torch.rand(8, generator=generator, dtype=torch.float64)
    return z1, z2, level, completeness


@pytest.mark.parametrize("unknown", [(), (2,), (0, 5, 6), tuple(range(8))])
@pytest.mark.parametrize("subject", [None, [0, 1, 1, 2, 3, 1, 0, 4]])
@pytest.mark.parametrize("shrunk", [False, True])
def test_equals_slow_reference(batch, unknown, subject, shrunk) -> None:
    z1, z2, level, completeness = batch
    level[list(unknown)] = NAN
    loss = y_aware_loss(
        z1,
        z2,
        level,
        completeness if shrunk else None,
        None if subject is None else torch.tensor(subject),
        width=0.6,
        temperature=0.2,
    )
    expected = slow_y_aware(
        z1,
        z2,
        level.tolist(),
        completeness.tolist() if shrunk else None,
        subject,
        width=0.6,
        temperature=0.2,
    )
    assert float(loss.total) == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("subject", [None, torch.tensor([0, 1, 1, 2, 3, 4, 5, 5])])
def test_with_a_narrow_kernel_it_is_nt_xent(batch, subject) -> None:
    z1, z2, level, completeness = batch
    plain = nt_xent_loss(z1, z2, temperature=0.1, subject=subject)
    for width in (1e-3, 1e-30):
        narrow = y_aware_loss(z1, z2, level, completeness, subject, width=width, temperature=0.1)
        torch.testing.assert_close(narrow.total, plain, rtol=1e-12, atol=0)


@pytest.mark.parametrize("reason", ["unknown", "incomplete"])
def test_without_any_risk_it_is_nt_xent(batch, reason) -> None:
    z1, z2, level, completeness = batch
    if reason == "unknown":
        level = torch.full_like(level, NAN)
    else:
        completeness = torch.zeros_like(completeness)
    loss = y_aware_loss(z1, z2, level, completeness, width=0.5, temperature=0.1)
    torch.testing.assert_close(loss.total, nt_xent_loss(z1, z2, temperature=0.1), rtol=1e-12, atol=0)
    assert loss.positives.diagnostics()["soft_share"] == 0


def test_with_one_risk_for_all_every_view_is_a_positive(batch) -> None:
    z1, z2, level, _ = batch
    views = torch.nn.functional.normalize(torch.cat([z1, z2]), dim=1)
    logits = (views @ views.T / 0.2).fill_diagonal_(-math.inf)
    expected = -logits.log_softmax(1)[~torch.eye(16, dtype=torch.bool)].mean()
    loss = y_aware_loss(z1, z2, torch.zeros_like(level), width=0.5, temperature=0.2)
    torch.testing.assert_close(loss.total, expected)


@pytest.mark.parametrize("count", [2, 9, 64])
def test_equal_embeddings_give_log_of_candidates(count: int) -> None:
    same = torch.ones(count, 4)
    level = torch.linspace(-1, 1, count)
    loss = y_aware_loss(same, same, level, width=0.5, temperature=0.07)
    assert float(loss.total) == pytest.approx(math.log(2 * count - 1), rel=1e-6)


def test_two_orthogonal_records_have_a_closed_form() -> None:
    z, temperature, width, gap = torch.eye(2, dtype=torch.float64), 0.5, 2.0, 1.5
    loss = y_aware_loss(z, z, torch.tensor([0.0, gap]), width=width, temperature=temperature)
    other = math.exp(-(gap**2) / (2 * width**2))
    everything = math.log(math.exp(1 / temperature) + 2)
    expected = (everything - 1 / temperature + 2 * other * everything) / (1 + 2 * other)
    assert float(loss.total) == pytest.approx(expected, rel=1e-7)
    assert float(loss.positives.diagnostics()["soft_share"]) == pytest.approx(2 * other / (1 + 2 * other))


@given(seed=st.integers(0, 2**31), order=st.permutations(range(8)))
def test_order_of_the_batch_does_not_matter(seed: int, order: list[int]) -> None:
    generator = torch.Generator().manual_seed(seed)
    z1, z2 = torch.randn(2, 8, 4, generator=generator, dtype=torch.float64)
    level, completeness = torch.rand(2, 8, generator=generator, dtype=torch.float64)
    level[seed % 8] = NAN
    subject = torch.randint(0, 5, (8,), generator=generator)
    settings = {"width": 0.3, "temperature": 0.1}
    loss = y_aware_loss(z1, z2, level, completeness, subject, **settings).total
    mixed = y_aware_loss(
        z1[order], z2[order], level[order], completeness[order], subject[order], **settings
    ).total
    torch.testing.assert_close(loss, mixed)
    swapped = y_aware_loss(z2, z1, level, completeness, subject, **settings).total
    torch.testing.assert_close(loss, swapped)
    other_unit = y_aware_loss(z1, z2, 10 * level + 3, completeness, subject, width=3.0, temperature=0.1).total
    torch.testing.assert_close(loss, other_unit)


def test_an_incomplete_pair_weighs_less() -> None:
    level, completeness = torch.tensor([0.0, 0.0, 0.5]), torch.tensor([1.0, 0.25, 0.5])
    full, shrunk = (soft_positives(level, c, width=1.0).weight for c in (None, completeness))
    itself = torch.eye(3, dtype=torch.bool)
    torch.testing.assert_close(
        shrunk[~itself], (full * completeness[:, None] * completeness[None, :])[~itself]
    )
    assert shrunk[itself].tolist() == [1, 1, 1]


def test_pairs_of_one_subject_have_no_influence() -> None:
    generator = torch.Generator().manual_seed(1)
    z1, z2 = torch.randn(2, 6, 7, generator=generator, dtype=torch.float64)
    # The last two coordinates belong to records 1 and 4, of one subject: turning record 4's changes
    # the similarity of these two records, up to far beyond every other one, and nothing else.
    z1[:, -2:] = z2[:, -2:] = 0
    z1[[1, 4], -2] = 9.0
    level = torch.tensor([0.1, 0.4, 0.2, NAN, 0.4, 0.15], dtype=torch.float64)
    subject = torch.tensor([0, 7, 2, 3, 7, 5])

    def total(angle: torch.Tensor) -> torch.Tensor:
        turn = torch.stack(
            [torch.stack([angle.cos(), -angle.sin()]), torch.stack([angle.sin(), angle.cos()])]
        )
        turned = [
            z.clone().index_put((torch.tensor([4]),), torch.cat([z[4, :-2], turn @ z[4, -2:]]))
            for z in (z1, z2)
        ]
        return y_aware_loss(*turned, level, None, subject, width=0.3, temperature=0.03).total

    angle = torch.tensor(0.3, dtype=torch.float64, requires_grad=True)
    gradient = torch.autograd.grad(total(angle), angle)[0]
    assert float(gradient) == pytest.approx(0, abs=1e-10)
    torch.testing.assert_close(total(torch.zeros_like(angle)), total(angle.detach() + 2.5))


def test_one_subject_only_has_loss_and_gradient_zero(batch) -> None:
    z1, z2, level, _ = batch
    subject = torch.zeros(8, dtype=torch.long)
    loss = y_aware_loss(z1.requires_grad_(), z2, level, None, subject, width=0.5, temperature=0.3).total
    assert float(loss.detach()) == 0
    assert not torch.autograd.grad(loss, z1)[0].any()


def test_gradient(batch) -> None:
    z1, z2, level, completeness = batch
    level[2] = NAN
    subject = torch.tensor([0, 1, 1, 2, 3, 4, 5, 5])
    assert torch.autograd.gradcheck(
        lambda a, b: y_aware_loss(a, b, level, completeness, subject, width=0.5, temperature=0.3).total,
        (z1.requires_grad_(), z2.requires_grad_()),
    )


def test_low_temperature_does_not_overflow(batch) -> None:
    z1, z2, level, _ = batch
    z1 = z1.float().requires_grad_()
    loss = y_aware_loss(z1, z2.float(), level, width=0.5, temperature=1e-4).total
    assert torch.isfinite(loss)
    assert torch.isfinite(torch.autograd.grad(loss, z1)[0]).all()


def test_is_computed_in_float32_under_autocast(batch) -> None:
    z1, z2, level, completeness = (each.float() for each in batch)
    settings = {"width": 0.5, "temperature": 0.1}
    expected = y_aware_loss(z1, z2, level, completeness, **settings).total
    with torch.autocast("cpu", dtype=torch.bfloat16):
        loss = y_aware_loss(z1, z2, level, completeness, **settings).total
    assert loss.dtype == torch.float32
    assert torch.equal(loss, expected)


def test_diagnostics_count_pairs_of_unknown_risk() -> None:
    level, subject = torch.tensor([0.1, 0.2, NAN, 0.3]), torch.tensor([0, 0, 1, 2])
    found = soft_positives(level, subject=subject, width=0.5).diagnostics()
    # Of the pairs (0,2) (0,3) (1,2) (1,3) (2,3), three have record 2.
    assert float(found["neutral_share"]) == pytest.approx(3 / 5)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"z1": torch.ones(4, 2)}, r"\(4, 2\)"),
        ({"z1": torch.ones(1, 2), "z2": torch.ones(1, 2)}, "1 record;"),
        ({"temperature": 0.0}, "temperature is 0.0"),
        ({"width": 0.0}, "width is 0.0; it is the kernel's"),
        ({"width": NAN}, "width is nan"),
        ({"level": torch.ones(2)}, r"level has shape \(2,\) for 3 records"),
        ({"completeness": torch.ones(2)}, r"completeness has shape \(2,\) and level \(3,\)"),
        ({"completeness": torch.tensor([1, 0, 1.5])}, "completeness is 1.5 for a record"),
        ({"subject": torch.ones(3)}, "one integer"),
    ],
)
def test_wrong_input_is_named(change, message) -> None:
    right = {
        "z1": torch.ones(3, 2),
        "z2": torch.ones(3, 2),
        "level": torch.ones(3),
        "width": 0.5,
        "temperature": 0.1,
    }
    with pytest.raises(ValueError, match=message):
        y_aware_loss(**(right | change))
