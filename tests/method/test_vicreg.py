from __future__ import annotations

import copy
from pathlib import Path

import pytest
import torch
from torch import nn

from openclef.loss import vicreg_loss
from openclef.method import METHODS
from tests.method import hidden_records as hidden


def make(**settings):
    return METHODS["vicreg"](hidden.SmallBackbone(), **({"projector_dim": 24} | settings))


def _expanded(expander: nn.Module, values: torch.Tensor) -> torch.Tensor:
    """Linear, then twice BatchNorm over the batch, ReLU, linear."""
    if isinstance(expander, nn.Identity):
        return values
    for place in (0, 3):
        linear, norm = expander[place], expander[place + 1]
        values = values @ linear.weight.T
        centred = values - values.mean(dim=0)
        values = centred / (centred.square().mean(dim=0) + 1e-5).sqrt() * norm.weight + norm.bias
        values = values.relu()
    return values @ expander[6].weight.T


@pytest.mark.parametrize("projector_dim", [0, 24])
def test_step_is_what_is_computed_by_hand(projector_dim: int) -> None:
    method = make(projector_dim=projector_dim, variance_weight=10.0)
    hidden.train(method, 3)
    batch, twin = hidden.noisy_batch(8, 99), copy.deepcopy(method)
    z1, z2 = (_expanded(twin.expander, twin.backbone(views)) for views in (batch.first, batch.second))
    expected = vicreg_loss(z1, z2, variance_weight=10.0)
    step = method(batch)
    torch.testing.assert_close(step.loss, expected.total, rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(step.terms["loss_invariance"], 25 * expected.invariance.detach())
    torch.testing.assert_close(step.terms["loss_variance"], 10 * expected.variance.detach())
    torch.testing.assert_close(step.terms["loss_covariance"], expected.covariance.detach())
    step.loss.backward()
    expected.total.backward()
    for value, by_hand in zip(method.parameters(), twin.parameters(), strict=True):
        torch.testing.assert_close(value.grad, by_hand.grad, rtol=1e-3, atol=1e-5)


def test_every_parameter_takes_part() -> None:
    method = make()
    method(hidden.noisy_batch(8, 0)).loss.backward()
    for name, value in method.named_parameters():
        assert value.grad is not None, name
        assert value.grad.any(), name


def test_evaluation_changes_nothing() -> None:
    hidden.assert_evaluation_changes_nothing(make())


def test_resumed_run_is_the_same_run() -> None:
    hidden.assert_resumes(make)


def test_reported_features_are_the_backbone_s() -> None:
    method = make()
    batch = hidden.noisy_batch(8, 3)
    method.eval()
    step = method(batch)
    torch.testing.assert_close(step.first, method.backbone(batch.first).detach())
    torch.testing.assert_close(step.second, method.backbone(batch.second).detach())
    assert not step.first.requires_grad
    torch.testing.assert_close(sum(step.terms.values()), step.loss.detach())


@pytest.mark.parametrize("projector_dim", [0, 24])
def test_learns_what_views_share(projector_dim: int) -> None:
    method = make(projector_dim=projector_dim)
    before = hidden.margin(method.backbone)
    losses = hidden.train(method, 100)
    assert losses[-1] < losses[0]
    assert hidden.margin(method.backbone) > before + 0.3


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"projector_dim": -1}, "projector_dim is -1"),
        ({"invariance_weight": -1.0}, "invariance_weight is -1"),
        ({"covariance_weight": float("inf")}, "covariance_weight is inf"),
    ],
)
def test_settings_out_of_range_are_refused(settings, message) -> None:
    with pytest.raises(ValueError, match=message):
        make(**settings)


@pytest.mark.slow
@pytest.mark.parametrize("projector_dim", [0, 24])
def test_two_processes_keep_one_state(projector_dim: int, tmp_path: Path, monkeypatch) -> None:
    settings = {"projector_dim": projector_dim}
    hidden.assert_several_steps_equal_one_process("vicreg", settings, tmp_path, monkeypatch)
