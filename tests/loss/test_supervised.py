from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from openclef.loss.supervised import supervised_loss


def slow_loss(output: np.ndarray, target: np.ndarray, kind: str, regression: str = "l1") -> float:
    """One term at a time, straight from the definitions."""
    terms = []
    for row, truth in zip(output, target):
        if kind == "multiclass":
            if not np.isnan(truth).any():
                highest = row.max()
                total = math.log(sum(math.exp(value - highest) for value in row)) + highest
                terms.append(total - row[int(np.argmax(truth))])
            continue
        for value, wanted in zip(row, truth):
            if math.isnan(wanted):
                continue
            if kind == "regression":
                gap = abs(value - wanted)
                smooth = 0.5 * gap**2 if gap < 1 else gap - 0.5
                terms.append(gap if regression == "l1" else smooth)
            else:
                probability = 1 / (1 + math.exp(-value))
                terms.append(-math.log(probability if wanted else 1 - probability))
    return float(np.mean(terms)) if terms else 0.0


@given(
    seed=st.integers(0, 10_000),
    kind=st.sampled_from(["multilabel", "binary", "multiclass", "regression", "smooth_l1"]),
    unknown=st.sampled_from([0.0, 0.3, 1.0]),
)
def test_equals_the_slow_reference(seed: int, kind: str, unknown: float) -> None:
    rng = np.random.default_rng(seed)
    regression = "smooth_l1" if kind == "smooth_l1" else "l1"
    kind = "regression" if kind == "smooth_l1" else kind
    labels = {"multilabel": 4, "multiclass": 3}.get(kind, 1)
    output = rng.normal(0, 2, (6, labels))
    if kind == "multiclass":
        target = np.eye(labels)[rng.integers(0, labels, 6)]
        target[rng.random(6) < unknown] = np.nan
    else:
        target = rng.normal(0, 2, output.shape) if kind == "regression" else rng.integers(0, 2, output.shape)
        target = np.where(rng.random(output.shape) < unknown, np.nan, target)
    found = supervised_loss(torch.from_numpy(output), torch.from_numpy(target), kind, regression=regression)
    assert float(found) == pytest.approx(slow_loss(output, target, kind, regression), rel=1e-6, abs=1e-9)


def test_unknown_targets_give_no_gradient_and_change_nothing() -> None:
    nan = float("nan")
    output = torch.tensor([[0.3, -2.0], [1.0, 50.0]], requires_grad=True)
    target = torch.tensor([[1.0, nan], [0.0, nan]])
    loss = supervised_loss(output, target, "multilabel")
    loss.backward()
    alone = supervised_loss(output[:, :1].detach(), target[:, :1], "multilabel")
    assert float(loss.detach()) == pytest.approx(float(alone))
    assert output.grad[:, 1].tolist() == [0.0, 0.0]
    # closed form: (sigmoid - target) / known
    expected = (torch.sigmoid(output[:, 0].detach()) - target[:, 0]) / 2
    torch.testing.assert_close(output.grad[:, 0], expected)


@pytest.mark.parametrize("kind", ["binary", "multiclass", "regression"])
def test_a_batch_without_any_target_trains_nothing(kind: str) -> None:
    output = torch.randn(3, 2, requires_grad=True)
    loss = supervised_loss(output, torch.full((3, 2), float("nan")), kind)
    loss.backward()
    assert float(loss.detach()) == 0.0
    assert not output.grad.any()


def test_closed_forms() -> None:
    even = torch.zeros(4, 5)
    classes = torch.eye(5)[:4]
    assert float(supervised_loss(even, classes, "multiclass")) == pytest.approx(math.log(5))
    assert float(supervised_loss(even, classes, "multilabel")) == pytest.approx(math.log(2))
    values = torch.tensor([[0.0], [3.0]])
    assert float(supervised_loss(values, values + 0.5, "regression")) == pytest.approx(0.5)
    assert float(supervised_loss(values, values + 0.5, "regression", regression="smooth_l1")) == 0.125


def test_what_does_not_fit_is_refused() -> None:
    one = torch.zeros(2, 1)
    with pytest.raises(ValueError, match=r"output has shape \(2, 1\) and target \(2, 3\)"):
        supervised_loss(one, torch.zeros(2, 3), "binary")
    with pytest.raises(ValueError, match="kind is 'ordinal'; pass one of multilabel"):
        supervised_loss(one, one, "ordinal")
    with pytest.raises(ValueError, match="regression is 'l2'; pass one of l1, smooth_l1"):
        supervised_loss(one, one, "regression", regression="l2")
