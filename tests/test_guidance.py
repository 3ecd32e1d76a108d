from __future__ import annotations

import math
import subprocess
import sys

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from openclef.guidance import Guidance, training_scale

NAN = math.nan


def rank(values: list[float]) -> list[float]:
    return [
        (sum(other < value for other in values) + (sum(other == value for other in values) - 1) / 2)
        / (len(values) - 1)
        for value in values
    ]


DIFFERENCES = {
    "squared": lambda r, i, k: (r[i] - r[k]) ** 2,
    "absolute": lambda r, i, k: abs(r[i] - r[k]),
    "log": lambda r, i, k: abs(math.log(max(r[i], 1e-4)) - math.log(max(r[k], 1e-4))),
    "rank": lambda r, i, k: abs(rank(r)[i] - rank(r)[k]),
}
DISCOUNTS = {
    "paper": lambda d, a, b: d * math.exp(-a * b),
    "shrink": lambda d, a, b: 1 + a * b * (d - 1),
    "sum": lambda d, a, b: d * math.exp(-((1 - a) + (1 - b))),
    "none": lambda d, a, b: d,
}


@pytest.mark.parametrize("discount", DISCOUNTS)
@pytest.mark.parametrize("scale", ["batch", 0.05])
@pytest.mark.parametrize("difference", DIFFERENCES)
def test_weights_equal_their_definition(difference, scale, discount) -> None:
    risk = [0.0, 0.02, 0.02, 0.31, 0.1]
    completeness = [1.0, 0.0, 0.5, 6 / 7, 1.0]
    weight = (
        Guidance(difference=difference, scale=scale, discount=discount, alpha=0.3)
        .pairs(torch.tensor(risk, dtype=torch.float64), torch.tensor(completeness, dtype=torch.float64))
        .weight
    )
    value = [[DIFFERENCES[difference](risk, i, k) for k in range(5)] for i in range(5)]
    largest = max(map(max, value))
    for i in range(5):
        for k in range(5):
            norm = value[i][k] / (largest + 1e-6) if scale == "batch" else min(value[i][k] / scale, 1)
            expected = (
                DISCOUNTS[discount](0.7 * norm + 0.3, completeness[i], completeness[k]) if i != k else 0
            )
            assert float(weight[i, k]) == pytest.approx(expected, rel=1e-9)


def test_paper_discount_ends() -> None:
    pairs = Guidance(alpha=1.0).pairs(torch.zeros(3), torch.tensor([1.0, 1.0, 0.0]))
    assert float(pairs.weight[0, 1]) == pytest.approx(math.exp(-1))
    assert float(pairs.weight[0, 2]) == 1


def test_shrink_ends_at_the_neutral_weight() -> None:
    risk = torch.tensor([0.0, 0.0, 0.3])
    weight = Guidance(discount="shrink").pairs(risk, torch.tensor([1.0, 1.0, 0.0])).weight
    assert float(weight[0, 1]) == pytest.approx(0.2)
    assert float(weight[0, 2]) == 1


def test_mean_one_over_the_negatives_of_every_row() -> None:
    risk = torch.tensor([0.0, 0.05, 0.1, NAN, 0.3, 0.02], dtype=torch.float64)
    subject = torch.tensor([0, 1, 2, 3, 0, 4])
    pairs = Guidance(weighting="mean_one").pairs(risk, torch.full((6,), 0.5), subject)
    negative = pairs.negative
    mean = (pairs.weight * negative).sum(1) / negative.sum(1)
    torch.testing.assert_close(mean, torch.ones_like(mean))
    torch.testing.assert_close(pairs.weight[3, [0, 1, 2, 4, 5]], torch.ones(5, dtype=torch.float64))
    raw = Guidance().pairs(risk, torch.full((6,), 0.5), subject)
    assert torch.equal(pairs.target, raw.target)
    torch.testing.assert_close(pairs.weight[0, 1] / pairs.weight[0, 2], raw.weight[0, 1] / raw.weight[0, 2])


def test_softmax_runs_over_the_row_of_both_views() -> None:
    risk = torch.rand(6, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    raw = Guidance().pairs(risk).weight
    expected = torch.softmax(raw.repeat(2, 2), dim=1)[:6, :6] * ~torch.eye(6, dtype=torch.bool)
    torch.testing.assert_close(Guidance(weighting="softmax").pairs(risk).weight, expected)


def test_softmax_leaves_masked_pairs_out() -> None:
    risk = torch.tensor([0.1, 0.2, 0.4, 0.1], dtype=torch.float64)
    pairs = Guidance(weighting="softmax").pairs(risk, subject=torch.tensor([0, 1, 2, 0]))
    alone = Guidance(weighting="softmax").pairs(risk[:3])
    torch.testing.assert_close(pairs.weight[0, :3], alone.weight[0])


@pytest.mark.parametrize("weighting", ["raw", "mean_one"])
@pytest.mark.parametrize("unknown", [NAN, math.inf])
def test_unknown_risk_is_neutral(weighting, unknown) -> None:
    risk = torch.tensor([0.1, unknown, 0.2, 0.5])
    pairs = Guidance(weighting=weighting).pairs(risk, torch.tensor([1.0, NAN, 1.0, 0.5]))
    assert torch.equal(pairs.weight[1], torch.tensor([1.0, 0, 1, 1]))
    assert torch.equal(pairs.weight[:, 1], torch.tensor([1.0, 0, 1, 1]))
    assert not pairs.known[1].any()
    rest = Guidance(weighting=weighting).pairs(risk[[0, 2, 3]], torch.tensor([1, 1, 0.5]))
    torch.testing.assert_close(pairs.weight[[0, 2, 3]][:, [0, 2, 3]], rest.weight)


def test_fixed_scale_does_not_depend_on_the_batch() -> None:
    guidance = Guidance(difference="absolute", scale=0.2)
    few = guidance.pairs(torch.tensor([0.1, 0.15])).weight
    many = guidance.pairs(torch.tensor([0.1, 0.15, 0.9])).weight
    assert torch.equal(few, many[:2, :2])
    assert float(many.max()) == 1


@given(
    st.lists(st.one_of(st.floats(0, 1), st.just(NAN)), min_size=2, max_size=9),
    st.sampled_from(["squared", "absolute", "log", "rank"]),
    st.floats(0, 1),
    st.integers(1, 4),
)
def test_weights_stay_in_range_and_symmetric(risk, difference, alpha, subjects) -> None:
    subject = torch.arange(len(risk)) % subjects
    pairs = Guidance(difference=difference, alpha=alpha).pairs(torch.tensor(risk), subject=subject)
    weight = pairs.weight[pairs.negative]
    assert torch.isfinite(pairs.weight).all()
    assert ((weight >= alpha - 1e-6) & (weight <= 1 + 1e-6)).all()
    torch.testing.assert_close(pairs.weight, pairs.weight.T)
    assert not pairs.weight[~pairs.negative].any()


def test_unit_of_rank_and_shift_of_log() -> None:
    risk = torch.tensor([0.01, 0.04, 0.3, 0.02])
    ranked = Guidance(difference="rank")
    torch.testing.assert_close(ranked.pairs(risk).weight, ranked.pairs(torch.exp(5 * risk)).weight)
    logarithmic = Guidance(difference="log")
    torch.testing.assert_close(logarithmic.pairs(risk).weight, logarithmic.pairs(100 * risk).weight)


def test_masks() -> None:
    subject = torch.tensor([0, 1, 0])
    pairs = Guidance().pairs(torch.tensor([0.1, 0.2, 0.3]), subject=subject)
    assert pairs.allowed.tolist() == [[True, True, False], [True, True, True], [False, True, True]]
    assert torch.equal(pairs.positive, torch.eye(3, dtype=torch.bool))
    pairs = Guidance(same_subject="positive").pairs(torch.tensor([0.1, 0.2, 0.3]), subject=subject)
    assert pairs.allowed.all()
    assert pairs.positive.tolist() == [[True, False, True], [False, True, False], [True, False, True]]


def test_diagnostics() -> None:
    risk = torch.tensor([0.1, 0.1, 0.3, NAN])
    numbers = {
        k: float(v)
        for k, v in Guidance().pairs(risk, subject=torch.tensor([0, 1, 2, 2])).diagnostics().items()
    }
    # Negatives: (0,1) .2, (0,2) 1, (1,2) 1, (0,3) and (1,3) neutral, each twice; (2,3) is masked.
    assert numbers["weight_min"] == pytest.approx(0.2)
    assert numbers["weight_mean"] == pytest.approx(4.2 / 5, rel=1e-4)
    assert numbers["weight_max"] == pytest.approx(1.0)
    assert numbers["neutral_share"] == pytest.approx(0.4)
    assert numbers["target_mean"] == pytest.approx(0.8 / 3, rel=1e-3)
    nothing = Guidance().pairs(risk, subject=torch.zeros(4, dtype=torch.long)).diagnostics()
    assert all(math.isnan(value) for value in nothing.values())


def test_training_scale_is_a_quantile_of_all_pairs() -> None:
    risk = np.random.default_rng(0).gamma(1.0, 0.05, 400)
    pairs = np.abs(risk[:, None] - risk[None, :])[~np.eye(400, dtype=bool)]
    scale = training_scale([*risk, NAN], difference="absolute")
    assert scale == pytest.approx(np.quantile(pairs, 0.95), rel=0.02)
    assert training_scale(risk) == pytest.approx(training_scale(risk, difference="absolute") ** 2, rel=1e-6)
    assert training_scale(risk, difference="rank", quantile=1.0) == pytest.approx(1.0, abs=0.02)
    assert training_scale(risk, difference="log") > 0


@pytest.mark.parametrize("risk", [[0.1], [NAN, 0.1], [0.1, 0.1, 0.1]])
def test_training_scale_needs_risks_that_differ(risk) -> None:
    with pytest.raises(ValueError, match=r"at least two|differ"):
        training_scale(risk)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"difference": "cubed"}, "squared, absolute, log, rank"),
        ({"discount": "all"}, "paper, shrink, sum, none"),
        ({"weighting": "max"}, "raw, mean_one, softmax"),
        ({"same_subject": "negative"}, "mask, positive"),
        ({"alignment_scale": "z"}, "minmax, half"),
        ({"missing_risk": "mean"}, "neutral, zero"),
        ({"alpha": -0.1}, "alpha"),
        ({"scale": 0.0}, "scale"),
        ({"scale": NAN}, "scale"),
        ({"scale": "train"}, "scale"),
        ({"epsilon": 0.0}, "epsilon"),
    ],
)
def test_wrong_settings_are_named(settings, message) -> None:
    with pytest.raises(ValueError, match=message):
        Guidance(**settings)


def test_no_gradient_reaches_the_risk() -> None:
    pairs = Guidance().pairs(torch.tensor([0.1, 0.2], requires_grad=True))
    assert not pairs.weight.requires_grad
    assert not pairs.target.requires_grad


def test_wrong_risk_shape_is_named() -> None:
    with pytest.raises(ValueError, match=r"shape \(B,\)"):
        Guidance().pairs(torch.ones(2, 2, 2))
    with pytest.raises(ValueError, match=r"\(B, k\) for k risks"):
        Guidance().pairs(torch.ones(2, 0))
    with pytest.raises(ValueError, match=r"completeness has shape \(3, 2\)"):
        Guidance().pairs(torch.ones(3, 2), torch.ones(3, 2))


@pytest.mark.parametrize("difference", DIFFERENCES)
def test_several_risks_are_the_mean_over_those_that_both_know(difference) -> None:
    first, second = [0.0, 0.02, 0.05, 0.31, NAN], [3.0, NAN, 1.0, 0.5, NAN]
    completeness = torch.tensor([1.0, 0.5, 0.7, 1.0, 0.0], dtype=torch.float64)
    guidance = Guidance(difference=difference, discount="shrink", alpha=0.3)
    alone = [Guidance(difference=difference, discount="none", alpha=0.0) for _ in range(2)]
    norms = [
        each.pairs(torch.tensor(values, dtype=torch.float64)) for each, values in zip(alone, (first, second))
    ]
    found = guidance.pairs(torch.tensor([first, second], dtype=torch.float64).T, completeness)
    for i in range(5):
        for k in range(5):
            known = [pairs.weight[i, k].item() for pairs in norms if pairs.known[i, k]]
            assert bool(found.known[i, k]) == bool(known)
            mean = 0.7 * sum(known) / len(known) + 0.3 if known else 1.0
            expected = 1 + completeness[i] * completeness[k] * (mean - 1)
            assert float(found.weight[i, k]) == pytest.approx(float(expected if i != k else 0), rel=1e-9)
    same = torch.tensor(first)
    assert torch.equal(guidance.pairs(same[:, None]).weight, guidance.pairs(same).weight)
    assert torch.allclose(guidance.pairs(torch.stack([same, same], 1)).weight, guidance.pairs(same).weight)


def test_settings_do_not_import_torch() -> None:
    code = "import sys, openclef.guidance as g; g.Guidance(); sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
