from __future__ import annotations

import json
import math
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from openclef.guidance import Guidance
from openclef.loss import clef_loss, nt_xent_loss

NAN = math.nan


def slow_clef(z1, z2, risk, completeness=None, subject=None, *, temperature, alpha=0.2):
    """Recipe paper by definition, one pair at a time; returns L_w and L_d."""
    views = [row / row.norm() for row in torch.cat([z1, z2]).double()]
    count = len(z1)

    def counts(i, k):
        if i == k:
            return not math.isnan(risk[i])
        apart = subject is None or subject[i] != subject[k]
        return apart and not math.isnan(risk[i]) and not math.isnan(risk[k])

    differences = [(risk[i] - risk[k]) ** 2 for i in range(count) for k in range(count) if counts(i, k)]

    def weight(i, k):
        if i == k:
            return 0.0
        if math.isnan(risk[i]) or math.isnan(risk[k]):
            return 1.0
        norm = ((risk[i] - risk[k]) ** 2 - min(differences)) / (max(differences) - min(differences) + 1e-6)
        multiplier = 1.0 if completeness is None else math.exp(-completeness[i] * completeness[k])
        return ((1 - alpha) * norm + alpha) * multiplier

    contrastive = 0.0
    similarities, targets = [], []
    for i in range(2 * count):
        positive = math.exp(float(views[i] @ views[(i + count) % (2 * count)]) / temperature)
        negatives = 0.0
        for k in range(2 * count):
            a, b = i % count, k % count
            similarity = float(views[i] @ views[k])
            if a != b and (subject is None or subject[a] != subject[b]):
                negatives += weight(a, b) * math.exp(similarity / temperature)
            if counts(a, b):
                similarities.append(similarity)
                targets.append(1 - weight(a, b))
        contrastive -= math.log(positive / (positive + negatives))
    low, high = min(similarities), max(similarities)
    alignment = sum(
        ((s - low) / (high - low + 1e-6) - target) ** 2
        for s, target in zip(similarities, targets, strict=True)
    ) / len(targets)
    return contrastive / (2 * count), alignment


@pytest.fixture
def batch():
    generator = torch.Generator().manual_seed(5)
    z1, z2 = torch.randn(2, 8, 5, generator=generator, dtype=torch.float64)
    risk = torch.rand(8, generator=generator, dtype=torch.float64) * 0.3
    completeness = torch.randint(0, 8, (8,), generator=generator) / 7
    return z1, z2, risk, completeness


@pytest.fixture(params=[torch.float32, torch.float64])
def golden(request, golden_folder: Path):
    numbers = json.loads((golden_folder / "reference.json").read_text())["loss"]
    z1, z2 = torch.tensor(numbers["features"], dtype=request.param).chunk(2)
    risk = torch.tensor(numbers["risk"], dtype=request.param)
    completeness = torch.tensor(numbers["completeness"], dtype=request.param)
    return z1, z2, risk, completeness, numbers["temperature"], numbers["expected"]


@pytest.mark.parametrize(("recipe", "name"), [("paper", "paper"), ("official", "official_code")])
def test_equals_published_numbers(golden, recipe, name) -> None:
    z1, z2, risk, completeness, temperature, expected = golden
    complete = clef_loss(z1, z2, risk, temperature=temperature, recipe=recipe)
    assert float(complete.contrastive) == pytest.approx(expected[f"{name}_lw"], rel=1e-5)
    assert float(complete.alignment) == pytest.approx(expected[f"{name}_ld"], rel=1e-5)
    assert float(complete.total) == pytest.approx(expected[f"{name}_total"], rel=1e-5)
    missing = clef_loss(z1, z2, risk, completeness, temperature=temperature, recipe=recipe)
    assert float(missing.contrastive) == pytest.approx(expected[f"{name}_lw_missing"], rel=1e-5)
    assert float(missing.alignment) == pytest.approx(expected[f"{name}_ld_missing"], rel=1e-5)
    if recipe == "paper":
        assert float(missing.total) == pytest.approx(expected["paper_total_missing"], rel=1e-5)


@pytest.mark.parametrize("unknown", [(), (2,), (0, 5, 6)])
@pytest.mark.parametrize("subject", [None, [0, 1, 1, 2, 3, 1, 0, 4]])
@pytest.mark.parametrize("discounted", [False, True])
def test_equals_slow_reference(batch, unknown, subject, discounted) -> None:
    z1, z2, risk, completeness = batch
    risk[list(unknown)] = NAN
    completeness = completeness if discounted else None
    given_subject = None if subject is None else torch.tensor(subject)
    loss = clef_loss(z1, z2, risk, completeness, given_subject, temperature=0.2)
    contrastive, alignment = slow_clef(
        z1, z2, risk.tolist(), completeness.tolist() if discounted else None, subject, temperature=0.2
    )
    # Completeness is float32 when it comes from integers; its products are exact to 1e-7.
    assert float(loss.contrastive) == pytest.approx(contrastive, rel=1e-6)
    assert float(loss.alignment) == pytest.approx(alignment, rel=1e-6)
    assert float(loss.total) == pytest.approx(contrastive + alignment, rel=1e-6)


def test_without_its_parts_it_is_nt_xent(batch) -> None:
    z1, z2, risk, completeness = batch
    subject = torch.tensor([0, 1, 1, 2, 3, 4, 5, 6])
    for given_subject in (None, subject):
        loss = clef_loss(
            z1, z2, risk, completeness, given_subject, temperature=0.1, weighted=False, aligned=False
        )
        assert torch.equal(loss.total, nt_xent_loss(z1, z2, temperature=0.1, subject=given_subject))
        assert loss.alignment == 0


def test_equal_weights_raise_the_positive(batch) -> None:
    z1, z2, risk, _ = batch
    temperature, alpha = 0.2, 0.35
    loss = clef_loss(z1, z2, torch.zeros_like(risk), temperature=temperature, alpha=alpha, aligned=False)
    views = torch.nn.functional.normalize(torch.cat([z1, z2]), dim=1)
    logits = views @ views.T / temperature
    partner = torch.arange(16).roll(8)
    logits[torch.arange(16), partner] -= math.log(alpha)
    logits.fill_diagonal_(-math.inf)
    torch.testing.assert_close(loss.total, torch.nn.functional.cross_entropy(logits, partner))


def test_equal_embeddings_have_a_closed_form() -> None:
    z, risk = torch.ones(6, 3, dtype=torch.float64), torch.full((6,), 0.1, dtype=torch.float64)
    loss = clef_loss(z, z, risk, alpha=0.2)
    assert float(loss.contrastive) == pytest.approx(math.log(1 + 10 * 0.2))


def test_official_at_equal_similarities_is_small() -> None:
    # Stated of the released code: 0.69 where NT-Xent is 4.84 (batch 64).
    z, risk = torch.ones(64, 3), torch.linspace(0, 0.3, 64)
    assert float(clef_loss(z, z, risk, recipe="official").contrastive) == pytest.approx(math.log(2), abs=0.01)
    assert float(nt_xent_loss(z, z, temperature=0.07)) == pytest.approx(4.84, abs=0.005)


@given(
    seed=st.integers(0, 2**31), order=st.permutations(range(8)), recipe=st.sampled_from(["paper", "official"])
)
def test_order_of_the_batch_does_not_matter(seed: int, order: list[int], recipe: str) -> None:
    generator = torch.Generator().manual_seed(seed)
    z1, z2 = torch.randn(2, 8, 4, generator=generator, dtype=torch.float64)
    risk, completeness = torch.rand(2, 8, generator=generator, dtype=torch.float64)
    risk[seed % 8] = NAN
    subject = torch.randint(0, 5, (8,), generator=generator)
    loss = clef_loss(z1, z2, risk, completeness, subject, recipe=recipe)
    mixed = clef_loss(z1[order], z2[order], risk[order], completeness[order], subject[order], recipe=recipe)
    torch.testing.assert_close(loss.total, mixed.total)
    swapped = clef_loss(z2, z1, risk, completeness, subject, recipe=recipe)
    torch.testing.assert_close(loss.total, swapped.total)


GUIDANCES = [
    Guidance(),
    Guidance(difference="absolute", scale=0.2, discount="shrink", weighting="mean_one"),
    Guidance(difference="log", discount="sum", alignment_scale="half"),
    Guidance(difference="rank", discount="none", weighting="softmax"),
    Guidance(weighting="softmax", missing_risk="zero"),
]


@pytest.mark.parametrize("recipe", ["paper", "official"])
@pytest.mark.parametrize("guidance", GUIDANCES)
def test_pairs_of_one_subject_have_no_influence(guidance, recipe) -> None:
    generator = torch.Generator().manual_seed(1)
    z1, z2 = torch.randn(2, 6, 7, generator=generator, dtype=torch.float64)
    # The last two coordinates belong to records 1 and 4, of one subject: turning record 4's changes
    # the similarity of these two records, up to far beyond every other one, and nothing else.
    z1[:, -2:] = z2[:, -2:] = 0
    z1[[1, 4], -2] = 9.0
    risk = torch.tensor([0.1, 0.001, 0.2, NAN, 0.9, 0.15], dtype=torch.float64)
    completeness = torch.tensor([1, 0.5, 1, 1, 0.2, 1], dtype=torch.float64)
    subject = torch.tensor([0, 7, 2, 3, 7, 5])

    def total(angle: torch.Tensor) -> torch.Tensor:
        turn = torch.stack(
            [torch.stack([angle.cos(), -angle.sin()]), torch.stack([angle.sin(), angle.cos()])]
        )
        turned = [
            z.clone().index_put((torch.tensor([4]),), torch.cat([z[4, :-2], turn @ z[4, -2:]]))
            for z in (z1, z2)
        ]
        # So cold that the released code's 1e-8 would show a masked pair that is the row's largest.
        return clef_loss(
            *turned, risk, completeness, subject, temperature=0.03, recipe=recipe, guidance=guidance
        ).total

    angle = torch.tensor(0.3, dtype=torch.float64, requires_grad=True)
    gradient = torch.autograd.grad(total(angle), angle)[0]
    assert float(gradient) == pytest.approx(0, abs=1e-10)
    torch.testing.assert_close(total(torch.zeros_like(angle)), total(angle.detach() + 2.5))


def test_risk_difference_within_a_subject_has_no_influence() -> None:
    subject = torch.tensor([0, 0, 1, 1, 2, 2, 3, 3])
    risk = torch.tensor([0.0, 0.3, 0.1, 0.15, 0.1, 0.12, 0.2, 0.2], dtype=torch.float64)
    weight = Guidance().pairs(risk, subject=subject).weight
    # The largest difference between subjects is 0 against 0.2; 0 against 0.3 lies within one.
    assert float(weight[0, 6]) == pytest.approx(1.0, abs=1e-4)
    assert float(weight[0, 1]) == 0


def test_records_of_unknown_risk_take_no_part_in_alignment(batch) -> None:
    z1, z2, risk, completeness = batch
    risk[[1, 4]] = NAN
    known = torch.isfinite(risk)
    loss = clef_loss(z1, z2, risk, completeness)
    part = clef_loss(z1[known], z2[known], risk[known], completeness[known])
    torch.testing.assert_close(loss.alignment, part.alignment)
    torch.testing.assert_close(loss.pairs.weight[known][:, known], part.pairs.weight)
    z1.requires_grad_()
    gradient = torch.autograd.grad(clef_loss(z1, z2, risk, completeness).alignment, z1)[0]
    assert not gradient[[1, 4]].any()
    assert gradient[known].any()


@pytest.mark.parametrize("guidance", GUIDANCES[:4])
def test_without_any_risk_it_is_nt_xent(batch, guidance) -> None:
    z1, z2, risk, completeness = batch
    loss = clef_loss(z1, z2, torch.full_like(risk, NAN), completeness, temperature=0.1, guidance=guidance)
    assert loss.alignment == 0
    if guidance.weighting == "softmax":
        weight = loss.pairs.weight[~torch.eye(8, dtype=torch.bool)]
        torch.testing.assert_close(weight, torch.full_like(weight, 1 / 16))
    else:
        torch.testing.assert_close(loss.total, nt_xent_loss(z1, z2, temperature=0.1))


def test_official_counts_unknown_risk_as_zero(batch) -> None:
    z1, z2, risk, _ = batch
    risk[3] = NAN
    unknown = clef_loss(z1, z2, risk, recipe="official")
    risk[3] = 0
    assert torch.equal(unknown.total, clef_loss(z1, z2, risk, recipe="official").total)


@pytest.mark.parametrize("recipe", ["paper", "official"])
@pytest.mark.parametrize("guidance", [*GUIDANCES, Guidance(same_subject="positive")])
def test_gradient(batch, guidance, recipe) -> None:
    z1, z2, risk, completeness = batch
    risk[2] = NAN
    subject = torch.tensor([0, 1, 1, 2, 3, 4, 5, 5])
    assert torch.autograd.gradcheck(
        lambda a, b: (
            clef_loss(
                a, b, risk, completeness, subject, temperature=0.3, guidance=guidance, recipe=recipe
            ).total
        ),
        (z1.requires_grad_(), z2.requires_grad_()),
    )


def test_records_of_one_subject_as_positives(batch) -> None:
    z1, z2, risk, _ = batch
    subject = torch.tensor([0, 1, 1, 2, 3, 4, 5, 5])
    guidance = Guidance(same_subject="positive")
    loss = clef_loss(z1, z2, risk, subject=subject, guidance=guidance, temperature=0.2)
    weight = loss.pairs.weight.repeat(2, 2)
    views = torch.nn.functional.normalize(torch.cat([z1, z2]), dim=1)
    logits = views @ views.T / 0.2
    rows = []
    for i in range(16):
        same = [k for k in range(16) if k != i and subject[k % 8] == subject[i % 8]]
        negatives = sum(
            weight[i, k] * logits[i, k].exp() for k in range(16) if subject[k % 8] != subject[i % 8]
        )
        rows.append(
            torch.stack([-(logits[i, p].exp() / (logits[i, p].exp() + negatives)).log() for p in same]).mean()
        )
    torch.testing.assert_close(loss.contrastive, torch.stack(rows).mean())
    assert loss.pairs.target[1, 2] == 1
    alone = clef_loss(z1, z2, risk, subject=torch.arange(8), guidance=guidance)
    torch.testing.assert_close(alone.total, clef_loss(z1, z2, risk).total)


def test_weights_of_zero_leave_gradients_finite(batch) -> None:
    z1, z2, risk, _ = batch
    alone = clef_loss(z1, z2, torch.zeros_like(risk), alpha=0.0)
    assert float(alone.contrastive) == 0
    z1.requires_grad_()
    for recipe in ("paper", "official"):
        loss = clef_loss(z1, z2, torch.zeros_like(risk), alpha=0.0, recipe=recipe)
        assert torch.isfinite(torch.autograd.grad(loss.total, z1)[0]).all()


def test_switches(batch) -> None:
    z1, z2, risk, completeness = batch
    both = clef_loss(z1, z2, risk, completeness)
    heavier = clef_loss(z1, z2, risk, completeness, alignment_weight=3.0)
    torch.testing.assert_close(heavier.total, both.contrastive + 3 * both.alignment)
    unaligned = clef_loss(z1, z2, risk, completeness, aligned=False)
    assert torch.equal(unaligned.total, both.contrastive)
    unweighted = clef_loss(z1, z2, risk, completeness, weighted=False)
    torch.testing.assert_close(unweighted.contrastive, nt_xent_loss(z1, z2, temperature=0.07))
    assert torch.equal(unweighted.alignment, both.alignment)
    official = clef_loss(z1, z2, risk, recipe="official", alignment_weight=2.0)
    torch.testing.assert_close(official.total, (official.contrastive + 2 * official.alignment) / 2)
    assert float(clef_loss(z1, z2, risk, alpha=0.9).contrastive) > float(clef_loss(z1, z2, risk).contrastive)


def test_half_alignment_by_hand() -> None:
    z1 = torch.tensor([[1.0, 0.0], [0.0, 1.0]])
    z2 = torch.tensor([[0.0, 1.0], [0.0, -1.0]])
    loss = clef_loss(z1, z2, torch.tensor([0.1, 0.2]), guidance=Guidance(alignment_scale="half", scale=0.01))
    # Cosines of (1,0) (0,1) (0,1) (0,-1), halved; targets: own record 1, other record 1 - 1 = 0.
    cosine = torch.tensor([[1, 0, 0, 0], [0, 1, 1, -1], [0, 1, 1, -1], [0, -1, -1, 1.0]])
    target = torch.tensor([[1, 0.0], [0, 1]]).repeat(2, 2)
    torch.testing.assert_close(loss.alignment, ((1 + cosine) / 2 - target).square().mean())


def test_is_computed_in_float32_under_autocast(batch) -> None:
    z1, z2, risk, completeness = (tensor.float() for tensor in batch)
    expected = clef_loss(z1, z2, risk, completeness)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        loss = clef_loss(z1, z2, risk, completeness)
    assert torch.equal(loss.total, expected.total)
    assert clef_loss(z1.bfloat16(), z2.bfloat16(), risk).total.dtype == torch.float32


def test_inputs_stay_as_they_are(batch) -> None:
    before = [tensor.clone() for tensor in batch]
    clef_loss(*batch, recipe="official")
    assert all(torch.equal(a, b) for a, b in zip(batch, before, strict=True))


def test_points_and_years_are_risks_too(batch) -> None:
    z1, z2, risk, _ = batch
    assert torch.isfinite(clef_loss(z1, z2, torch.arange(8)).total)
    years = clef_loss(z1, z2, 50 + 100 * risk).total
    # The unit drops out of a min-max scale, but for the 1e-6.
    torch.testing.assert_close(years, clef_loss(z1, z2, risk).total, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"risk": torch.ones(3)}, "risk has shape"),
        ({"risk": torch.ones(4, 1, 1)}, "risk has shape"),
        ({"completeness": torch.ones(2)}, "completeness has shape"),
        ({"completeness": torch.tensor([1, 1, 1, 1.2])}, "0..1"),
        ({"completeness": torch.tensor([1, 1, 1, NAN])}, "0..1"),
        ({"subject": torch.ones(4)}, "one integer"),
        ({"temperature": -0.1}, "above 0"),
        ({"alpha": 1.5}, "0..1"),
        ({"recipe": "papers"}, "paper, official"),
        ({"alignment_weight": -1.0}, "alignment_weight"),
        ({"guidance": Guidance(), "alpha": 0.5}, "alpha"),
        ({"z1": torch.ones(4, 3, 1)}, r"\(B, dim\)"),
        ({"z1": torch.ones(1, 3), "z2": torch.ones(1, 3), "risk": torch.ones(1)}, "1 record;"),
    ],
)
def test_wrong_input_is_named(changes, message) -> None:
    arguments = {"z1": torch.eye(4), "z2": torch.eye(4), "risk": torch.tensor([0.1, 0.2, 0.3, 0.4])} | changes
    with pytest.raises(ValueError, match=message):
        clef_loss(**arguments)
