"""y-aware InfoNCE as a method: its loss from its own features, its scales of risk, its state."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.stats import rankdata

from openclef.data import Batch
from openclef.loss import nt_xent_loss, y_aware_loss
from openclef.method import METHODS, YAware
from openclef.method.y_aware import RiskLevel
from tests.method.toy import Tiny, ranks_of_other_view, toy_batch, train
from tests.two_processes import assert_two_processes_equal_one

TRAINING_RISK = np.random.default_rng(0).lognormal(-2, 0.8, 500)
NAN = math.nan


def odd_batch() -> Batch:
    """Unknown risks, incomplete inputs, a subject with two records."""
    batch = toy_batch(8, seed=3)
    batch.risk[[1, 4]] = NAN
    batch.completeness = torch.linspace(0, 1, 8)
    batch.subject = torch.tensor([0, 1, 2, 3, 0, 5, 6, 7])
    return batch


@pytest.mark.parametrize("use_completeness", [True, False])
@pytest.mark.parametrize("projector_dim", [0, 8])
def test_loss_equals_that_of_its_own_features(use_completeness: bool, projector_dim: int) -> None:
    torch.manual_seed(0)
    method = METHODS["y_aware"](
        Tiny(),
        projector_dim=projector_dim,
        temperature=0.2,
        width=0.4,
        training_risk=TRAINING_RISK,
        use_completeness=use_completeness,
    )
    batch = odd_batch()
    step = method(batch)
    torch.testing.assert_close(step.first, method.backbone(batch.first).detach())
    torch.testing.assert_close(step.second, method.backbone(batch.second).detach())
    logs = np.log(np.maximum(TRAINING_RISK, 1e-4))
    level = (batch.risk.log() - logs.mean()) / logs.std()
    expected = y_aware_loss(
        method.projector(step.first),
        method.projector(step.second),
        level,
        batch.completeness if use_completeness else None,
        batch.subject,
        width=0.4,
        temperature=0.2,
    )
    torch.testing.assert_close(step.loss, expected.total, rtol=1e-5, atol=0)
    assert step.terms.keys() == {"loss_y_aware"}
    assert not step.terms["loss_y_aware"].requires_grad
    assert step.terms["loss_y_aware"] == step.loss
    # Of 28 pairs, those of subject 0 are no pairs, and 7 + 6 - 1 have record 1 or 4.
    assert float(step.weights["neutral_share"]) == pytest.approx(12 / 27)


def test_without_known_risk_it_is_nt_xent() -> None:
    method = YAware(Tiny(), temperature=0.2, training_risk=[])
    batch = odd_batch()
    batch.risk.fill_(NAN)
    step = method.eval()(batch)
    expected = nt_xent_loss(step.first, step.second, temperature=0.2, subject=batch.subject)
    torch.testing.assert_close(step.loss, expected)


@pytest.mark.parametrize("training_risk", [None, [], [NAN], [0.1], [0.1] * 1000])
def test_levels_where_nothing_can_be_standardised(training_risk) -> None:
    level = RiskLevel(training_risk)(torch.tensor([0.1, 0.2, NAN]))
    assert float(level[1] - level[0]) == pytest.approx(math.log(2), rel=1e-6)
    assert math.isnan(level[2])


def test_levels_on_each_scale() -> None:
    risk = np.array([0.0, 0.01, 0.01, 0.05, 0.2, 0.9, NAN])
    known = risk[:-1]
    by_scale = {"log": np.log(np.maximum(known, 1e-4)), "linear": known}
    for scale, wanted in by_scale.items():
        found = RiskLevel(risk, scale)(torch.tensor(risk))
        assert found.dtype == torch.float32
        assert found[:-1].numpy() == pytest.approx(
            (wanted - wanted.mean()) / wanted.std(), rel=1e-5, abs=1e-6
        )
        assert math.isnan(found[-1])


@pytest.mark.parametrize("ties", [False, True])
def test_ranks_are_those_in_the_training_set(ties: bool) -> None:
    rng = np.random.default_rng(1)
    training = rng.integers(0, 10, 5000).astype(float) if ties else rng.lognormal(0, 2, 5000)
    level = RiskLevel(training, "rank")
    some = training[:50]
    wanted = (rankdata(training) - 0.5) / len(training)
    wanted = (wanted[:50] - wanted.mean()) / wanted.std()
    found = level(torch.tensor(some)).numpy()
    assert found == pytest.approx(wanted, abs=0.006)  # a thousandth of the ranks is .0035 of their deviation
    outside = level(torch.tensor([-1e9, 1e9, NAN]))
    assert outside[:2].tolist() == pytest.approx([-math.sqrt(3), math.sqrt(3)], abs=0.05 if ties else 0.01)
    assert math.isnan(outside[2])


def test_scales_come_back_with_the_weights() -> None:
    method = YAware(Tiny(), training_risk=TRAINING_RISK, scale="rank")
    other = YAware(Tiny(), training_risk=[0.5, 0.6], scale="rank")
    other.load_state_dict(method.state_dict())
    batch = odd_batch()
    assert torch.equal(method(batch).loss, other(batch).loss)


def test_a_resumed_step_is_the_same_step() -> None:
    def run(state: dict | None, batches: list[Batch]) -> tuple[dict, torch.Tensor]:
        torch.manual_seed(1 if state is None else 2)
        method = YAware(Tiny(), projector_dim=8, training_risk=TRAINING_RISK).train()
        optimizer = torch.optim.AdamW(method.parameters(), lr=1e-2)
        if state is not None:
            method.load_state_dict(state["method"])
            optimizer.load_state_dict(state["optimizer"])
        for batch in batches:
            loss = method(batch).loss
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        return {"method": method.state_dict(), "optimizer": optimizer.state_dict()}, loss.detach()

    batches = [toy_batch(8, seed=number) for number in range(3)]
    whole, last = run(None, batches)
    resumed, last_resumed = run(run(None, batches[:2])[0], batches[2:])
    assert torch.equal(last, last_resumed)
    assert all(torch.equal(value, resumed["method"][name]) for name, value in whole["method"].items())


def test_buffers_never_change() -> None:
    method = YAware(Tiny(), training_risk=TRAINING_RISK)
    before = {name: value.clone() for name, value in method.named_buffers()}
    train(method, 2)
    method.eval()(odd_batch())
    assert all(torch.equal(value, before[name]) for name, value in method.named_buffers())


def test_training_brings_views_together_and_records_of_like_risk() -> None:
    training_risk = torch.cat([toy_batch(seed=seed).risk for seed in range(20)]).numpy()
    batch = toy_batch(64, seed=9)

    def follows_risk(method: YAware) -> float:
        """Correlation of two records' similarity with their closeness in risk."""
        features = method.backbone(batch.first).detach()
        features = torch.nn.functional.normalize(features - features.mean(0), dim=1)
        pairs = torch.triu_indices(64, 64, 1)
        closeness = -(batch.risk.log()[pairs[0]] - batch.risk.log()[pairs[1]]).abs()
        similarity = (features @ features.T)[pairs[0], pairs[1]]
        return float(torch.corrcoef(torch.stack([closeness, similarity]))[0, 1])

    found = {}
    for width in (0.5, 1e-3):
        torch.manual_seed(1)
        method = YAware(Tiny(), temperature=0.2, width=width, training_risk=training_risk).eval()
        before = ranks_of_other_view(method)
        losses = train(method, 80)
        assert np.mean(losses[-5:]) < np.mean(losses[:5])
        assert ranks_of_other_view(method) < 0.75 * before
        found[width] = follows_risk(method)
    assert found[0.5] > found[1e-3] + 0.05


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"projector_dim": -1}, "projector_dim is -1"),
        ({"width": 0.0}, "width is 0.0; pass a number above 0"),
        ({"temperature": -1.0}, "temperature is -1.0"),
        ({"scale": "sqrt"}, "scale is 'sqrt'; accepted are log, linear, rank"),
        ({"scale": "rank"}, "pass its risks as training_risk"),
        ({"training_risk": [[0.1]]}, r"training_risk has shape \(1, 1\)"),
    ],
)
def test_wrong_settings_are_named(settings, message) -> None:
    with pytest.raises(ValueError, match=message):
        YAware(Tiny(), **settings)


@pytest.mark.slow
@pytest.mark.parametrize(
    "settings",
    [
        {"training_risk": [0.05, 0.2, 0.5, 0.9]},
        {"scale": "linear", "use_completeness": False},
        {"scale": "rank", "training_risk": [0.1, 0.5, 0.9]},
    ],
    ids=["log", "linear", "rank"],
)
def test_two_processes_equal_one(settings, tmp_path: Path) -> None:
    assert_two_processes_equal_one([("y_aware", settings)], tmp_path)
