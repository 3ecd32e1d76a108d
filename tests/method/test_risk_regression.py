"""Risk regression: its loss by hand, unknown risks, and what it learns."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from openclef.data import Batch
from openclef.method import METHODS, RiskRegression
from tests.method.toy import Tiny, ranks_of_other_view, toy_batch, train

TRAINING_RISK = np.random.default_rng(0).lognormal(-2, 0.8, 500)
NAN = math.nan


@pytest.mark.parametrize("projector_dim", [0, 8])
def test_loss_by_hand(projector_dim: int) -> None:
    torch.manual_seed(0)
    method = METHODS["risk_regression"](Tiny(), projector_dim=projector_dim, training_risk=TRAINING_RISK)
    batch = toy_batch(8)
    batch.risk[[2, 3]] = NAN
    step = method(batch)
    logs = np.log(TRAINING_RISK)
    terms = []
    for features in (step.first, step.second):
        predicted = method.head(method.projector(features))[:, 0].detach()
        for made, risk in zip(predicted.tolist(), batch.risk.tolist(), strict=True):
            if not math.isnan(risk):
                gap = abs(made - (math.log(risk) - logs.mean()) / logs.std())
                terms.append(0.5 * gap**2 if gap < 1 else gap - 0.5)
    assert len(terms) == 12
    assert float(step.loss.detach()) == pytest.approx(np.mean(terms), rel=1e-5)
    assert step.terms == {"loss_regression": step.loss}
    assert float(step.weights["risk_known_share"]) == pytest.approx(0.75)
    torch.testing.assert_close(step.first, method.backbone(batch.first).detach())


def test_records_of_unknown_risk_take_no_part() -> None:
    method = RiskRegression(Tiny(), training_risk=TRAINING_RISK)
    batch = toy_batch(8)
    batch.risk[5:] = NAN
    method(batch).loss.backward()
    gradients = [parameter.grad.clone() for parameter in method.parameters()]
    method.zero_grad()
    known = Batch(
        batch.first[:5], batch.second[:5], batch.risk[:5], batch.completeness[:5], batch.subject[:5]
    )
    method(known).loss.backward()
    for gradient, parameter in zip(gradients, method.parameters(), strict=True):
        torch.testing.assert_close(gradient, parameter.grad)


@pytest.mark.parametrize("projector_dim", [0, 8])
def test_a_batch_without_any_risk_has_loss_and_gradients_zero(projector_dim: int) -> None:
    method = RiskRegression(Tiny(), projector_dim=projector_dim, training_risk=TRAINING_RISK)
    batch = toy_batch(4)
    batch.risk.fill_(NAN)
    loss = method(batch).loss
    assert float(loss.detach()) == 0
    loss.backward()
    for name, parameter in method.named_parameters():
        assert parameter.grad is not None, name
        assert not parameter.grad.any(), name


def test_scale_is_that_of_y_aware() -> None:
    for scale in ("log", "linear", "rank"):
        torch.manual_seed(0)
        method = RiskRegression(Tiny(), scale=scale, training_risk=TRAINING_RISK)
        level = method.level(torch.tensor(TRAINING_RISK))
        assert float(level.mean()) == pytest.approx(0, abs=1e-4)
        assert float(level.std(correction=0)) == pytest.approx(1, abs=1e-3)


def test_runs_under_autocast_and_returns_float32() -> None:
    method = RiskRegression(Tiny(), training_risk=TRAINING_RISK)
    full = float(method(toy_batch(8)).loss.detach())
    with torch.autocast("cpu", dtype=torch.bfloat16):
        loss = method(toy_batch(8)).loss
    assert loss.dtype == torch.float32
    assert float(loss.detach()) == pytest.approx(full, rel=0.02)


def test_a_resumed_step_is_the_same_step() -> None:
    method = RiskRegression(Tiny(), training_risk=TRAINING_RISK)
    train(method, 2)
    other = RiskRegression(Tiny(), training_risk=[0.5, 0.6])
    other.load_state_dict(method.state_dict())
    losses = [train(each, 1) for each in (method, other)]
    assert losses[0] == losses[1]
    for one, two in zip(method.parameters(), other.parameters(), strict=True):
        assert torch.equal(one, two)


def test_it_learns_a_risk_that_shows() -> None:
    torch.manual_seed(0)
    training_risk = torch.cat([toy_batch(seed=seed).risk for seed in range(20)]).numpy()
    method = RiskRegression(Tiny(), training_risk=training_risk).eval()
    before = ranks_of_other_view(method)
    train(method, 100)
    batch = toy_batch(64, seed=9)
    predicted = method.head(method.backbone(batch.first))[:, 0].detach()
    assert float(torch.corrcoef(torch.stack([predicted, batch.risk.log()]))[0, 1]) > 0.9
    assert ranks_of_other_view(method) < before  # through the risk, which both views have


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"projector_dim": -1}, "projector_dim is -1; pass 0 for a linear head"),
        ({"scale": "sqrt"}, "accepted are log, linear, rank"),
        ({"training_risk": [NAN]}, "holds no known risk, so there is nothing to predict"),
    ],
)
def test_wrong_settings_are_named(settings, message) -> None:
    with pytest.raises(ValueError, match=message):
        RiskRegression(Tiny(), **settings)


def test_says_that_it_is_supervised() -> None:
    import openclef.method.risk_regression as module

    assert "not self-supervised" in (module.__doc__ or "").split("\n")[0]
