from __future__ import annotations

import copy
import math
from pathlib import Path

import pytest
import torch
from torch import nn
from torch.nn import functional

from openclef.method import METHODS
from tests.method import hidden_records as hidden


def make(**settings):
    return METHODS["byol"](hidden.SmallBackbone(), **settings)


def _batch_norm(values: torch.Tensor, layer: nn.BatchNorm1d) -> torch.Tensor:
    centred = values - values.mean(dim=0)
    return centred / (centred.square().mean(dim=0) + 1e-5).sqrt() * layer.weight + layer.bias


def _head(head: nn.Module, values: torch.Tensor) -> torch.Tensor:
    """Linear, BatchNorm over the batch, ReLU, linear."""
    if isinstance(head, nn.Identity):
        return values
    first, norm, _, last = head
    return functional.linear(_batch_norm(values @ first.weight.T, norm).relu(), last.weight, last.bias)


def loss_by_hand(method, batch) -> torch.Tensor:
    """The loss of a training step whose target network has moved already."""

    def prediction(views):
        return _head(method.predictor, _head(method.projector, method.backbone(views)))

    def target(views):
        return _head(method.target_projector.network, method.target_backbone.network(views)).detach()

    total = torch.zeros(())
    for one, other in ((batch.first, batch.second), (batch.second, batch.first)):
        total = total + (2 - 2 * functional.cosine_similarity(prediction(one), target(other))).mean()
    return total


@pytest.mark.parametrize("projector_dim", [0, 6])
def test_step_is_what_is_computed_by_hand(projector_dim: int) -> None:
    method = make(projector_dim=projector_dim, projector_hidden=12, momentum=0.7)
    hidden.train(method, 3)
    batch, twin = hidden.noisy_batch(8, 99), copy.deepcopy(method)
    for slow, online in (
        (twin.target_backbone, twin.backbone),
        (twin.target_projector, twin.projector),
    ):
        for weight, new in zip(slow.network.parameters(), online.parameters(), strict=True):
            weight.data = 0.7 * weight.data + 0.3 * new.data
    expected = loss_by_hand(twin, batch)
    step = method(batch)
    torch.testing.assert_close(step.loss, expected, rtol=1e-5, atol=1e-6)
    step.loss.backward()
    expected.backward()
    own = dict(twin.named_parameters())
    for name, value in method.named_parameters():
        if name.startswith("target"):
            torch.testing.assert_close(value, own[name])
            assert value.grad is None
        else:
            torch.testing.assert_close(value.grad, own[name].grad, rtol=1e-3, atol=1e-6)
            assert value.grad is not None


def test_momentum_rises_along_a_cosine() -> None:
    method = make(momentum=0.9, momentum_steps=8)
    seen = []
    for number in range(10):
        seen.append(float(method.momentum))
        method(hidden.noisy_batch(4, number))
    expected = [1 - 0.1 * (math.cos(math.pi * min(k, 8) / 8) + 1) / 2 for k in range(10)]
    assert seen == pytest.approx(expected, abs=1e-6)
    assert make().momentum == 0.996


def test_scheduled_momentum_moves_the_target() -> None:
    method = make(momentum=0.5, momentum_steps=2)
    hidden.train(method, 1)
    weight, online = method.target_backbone.network.net[1].weight, method.backbone.net[1].weight
    expected = 0.75 * weight + 0.25 * online  # half way along the cosine: 1 - 0.5 / 2
    method(hidden.noisy_batch(4, 1))
    torch.testing.assert_close(weight, expected)
    before = weight.clone()
    hidden.train(method, 2)  # momentum 1: the target stands still
    assert torch.equal(weight, before)


def test_target_starts_as_the_online_network() -> None:
    method = make(projector_dim=6)
    method(hidden.noisy_batch(4, 0))
    for slow, online in (
        (method.target_backbone, method.backbone),
        (method.target_projector, method.projector),
    ):
        for weight, new in zip(slow.network.parameters(), online.parameters(), strict=True):
            assert torch.equal(weight, new)


def test_backbone_s_batch_norm_does_not_mix_records_in_the_target() -> None:
    method = METHODS["byol"](hidden.SmallBackbone(normalised=True), momentum=0.5)
    hidden.train(method, 3)
    method.train()
    views = hidden.noisy_batch(8, 9).second
    torch.testing.assert_close(method.target_backbone(views[:1])[0], method.target_backbone(views)[0])
    running = method.target_backbone.network.net[2].running_mean
    assert running.abs().max() > 0
    assert method.target_projector.training


def test_evaluation_changes_nothing() -> None:
    hidden.assert_evaluation_changes_nothing(make(projector_dim=6))
    with torch.no_grad():
        assert 0 <= float(make().eval()(hidden.noisy_batch(2, 0)).loss) <= 8


def test_resumed_run_is_the_same_run() -> None:
    hidden.assert_resumes(lambda: make(projector_dim=6, momentum=0.5, momentum_steps=5))


def test_reported_features_are_the_backbone_s() -> None:
    hidden.assert_second_features_are_of_the_backbone(make(projector_dim=6))


def test_no_record_pushes_another_away() -> None:
    """With normalisation fixed, the loss of a batch is the mean of its records' losses."""
    method = make().eval()
    batch = hidden.noisy_batch(6, 1)
    losses = []
    for i in range(6):
        one = copy.copy(batch)
        one.first, one.second = batch.first[i : i + 1], batch.second[i : i + 1]
        losses.append(float(method(one).loss.detach()))
    assert float(method(batch).loss.detach()) == pytest.approx(sum(losses) / 6, rel=1e-5)


@pytest.mark.parametrize("projector_dim", [0, 16])
def test_learns_what_views_share(projector_dim: int) -> None:
    method = make(projector_dim=projector_dim, momentum=0.9)
    before = hidden.margin(method.backbone)
    hidden.train(method, 150)
    assert hidden.margin(method.backbone) > before + 0.3


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"projector_dim": -1}, "projector_dim is -1"),
        ({"projector_dim": 1}, "at least 2"),
        ({"projector_dim": 8, "projector_hidden": 0}, "projector_hidden is 0"),
        ({"momentum": 1.01}, "momentum is 1.01"),
        ({"momentum": float("nan")}, "momentum is nan"),
        ({"momentum_steps": 0}, "momentum_steps is 0"),
    ],
)
def test_settings_out_of_range_are_refused(settings, message) -> None:
    with pytest.raises(ValueError, match=message):
        make(**settings)


@pytest.mark.slow
@pytest.mark.parametrize("projector_dim", [0, 6])
def test_two_processes_keep_one_target(projector_dim: int, tmp_path: Path, monkeypatch) -> None:
    settings = {"projector_dim": projector_dim, "momentum": 0.5, "momentum_steps": 6}
    hidden.assert_several_steps_equal_one_process("byol", settings, tmp_path, monkeypatch)
