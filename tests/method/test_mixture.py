"""Mixtures: the sum of the parts' losses and gradients from one pass of the backbone."""

from __future__ import annotations

import copy
import math

import numpy as np
import pytest
import torch

from openclef.method import METHODS
from openclef.method.mixture import PARTS, Mixture
from tests.method.toy import Tiny, toy_batch, train

TRAINING_RISK = np.random.default_rng(0).lognormal(-2, 0.8, 500)
GUIDED = {"y_aware": 1.0, "risk_regression": 0.5, "vicreg": 0.04}


class Counting(Tiny):
    calls = 0

    def forward(self, signal: torch.Tensor) -> torch.Tensor:
        type(self).calls += 1
        return super().forward(signal)


@pytest.mark.parametrize(
    "parts", [GUIDED, {"clef": 2.0, "vicreg": 0.1}, {"simclr": 1.0, "risk_regression": 3.0}]
)
def test_loss_and_gradients_are_the_weighted_sum_of_the_parts(parts) -> None:
    torch.manual_seed(0)
    method = Mixture(Counting(), methods=parts, projector_dim=8, training_risk=TRAINING_RISK)
    batch = toy_batch(8)
    batch.risk[2] = math.nan
    Counting.calls = 0
    step = method(batch)
    assert Counting.calls == 1
    step.loss.backward()

    backbone = copy.deepcopy(method.backbone)
    backbone.zero_grad()
    total, terms = 0.0, {}
    for name, factor in parts.items():
        part = copy.deepcopy(method.parts[name])
        part.zero_grad()
        part.backbone = backbone  # instead of the features that were computed for all
        alone = part(batch)
        (factor * alone.loss).backward()
        total += factor * float(alone.loss.detach())
        terms |= {key: factor * float(value) for key, value in alone.terms.items()}
        mine = dict(part.named_parameters())
        for key, other in method.parts[name].named_parameters():
            torch.testing.assert_close(mine[key].grad, other.grad)
    assert float(step.loss.detach()) == pytest.approx(total, rel=1e-6)
    assert {key: float(value) for key, value in step.terms.items()} == pytest.approx(terms)
    for mine, other in zip(method.backbone.parameters(), backbone.parameters(), strict=True):
        torch.testing.assert_close(mine.grad, other.grad)


def test_features_are_registered_once_and_nothing_is_kept() -> None:
    method = Mixture(Tiny(), methods=GUIDED, training_risk=TRAINING_RISK)
    names = [name for name, _ in method.named_parameters()]
    assert sum(name.startswith("backbone.") for name in names) == len(list(Tiny().parameters()))
    assert not any(".backbone." in name for name in names)
    method(toy_batch(8))
    assert method.shared.features is None


def test_settings_reach_their_parts() -> None:
    method = Mixture(
        Tiny(),
        methods={"y_aware": 1.0, "vicreg": 1.0},
        settings_of={"y_aware": {"width": 0.1}, "vicreg": {"projector_dim": 32}},
        projector_dim=8,
        temperature=0.3,
        training_risk=TRAINING_RISK,
    )
    assert method.parts["y_aware"].width == 0.1
    assert method.parts["y_aware"].temperature == 0.3
    assert method.parts["vicreg"].expander[0].out_features == 32
    assert method.contrasts_batch
    assert not Mixture(Tiny(), methods={"vicreg": 1.0, "risk_regression": 1.0}).contrasts_batch


def test_gather_reaches_every_part() -> None:
    method = Mixture(Tiny(), methods=GUIDED, training_risk=TRAINING_RISK)
    seen = []
    method.gather = lambda tensor: seen.append(tensor.shape) or tensor
    method(toy_batch(8))
    assert len(seen) >= 2 * len(GUIDED)


def test_it_trains_and_resumes() -> None:
    torch.manual_seed(0)
    method = Mixture(Tiny(), methods=GUIDED, projector_dim=8, training_risk=TRAINING_RISK)
    losses = train(method, 40)
    assert np.mean(losses[-5:]) < np.mean(losses[:5])
    other = Mixture(Tiny(), methods=GUIDED, projector_dim=8, training_risk=[0.5, 0.6])
    other.load_state_dict(method.state_dict())
    assert train(method, 1) == train(other, 1)


def test_all_that_can_be_mixed_are_methods() -> None:
    assert set(PARTS) <= set(METHODS)
    for name in PARTS:
        other = "vicreg" if name != "vicreg" else "simclr"
        loss = Mixture(Tiny(), methods={name: 1.0, other: 1.0}, training_risk=TRAINING_RISK)(
            toy_batch(8)
        ).loss
        assert torch.isfinite(loss), name


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"methods": {"clef": 1.0}}, "at least two of clef, simclr"),
        ({"methods": {"clef": 1.0, "simclr": 1.0}}, "not of both"),
        ({"methods": {"clef": 1.0, "moco": 1.0}}, "at least two of clef"),
        ({"methods": {"clef": 1.0, "vicreg": 0.0}}, "the factor of vicreg is 0"),
        ({"methods": {"clef": 1.0, "vicreg": math.nan}}, "the factor of vicreg is nan"),
        ({"settings_of": {"moco": {}}}, "settings_of names moco, which is not mixed"),
        (
            {"settings_of": {"y_aware": {"breadth": 1}}},
            "settings_of of y_aware has breadth; it has projector_dim",
        ),
        ({"settings_of": {"y_aware": {"width": -1.0}}}, "width is -1"),
    ],
)
def test_wrong_settings_are_named(settings, message) -> None:
    with pytest.raises(ValueError, match=message):
        Mixture(Tiny(), training_risk=TRAINING_RISK, **settings)
