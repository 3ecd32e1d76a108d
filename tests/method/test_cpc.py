"""Contrastive predictive coding as a method: its segments, its loss from its own parts, its state."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from openclef.backbone import BACKBONES
from openclef.data import Batch
from openclef.loss import cpc_loss
from openclef.method import METHODS, Cpc
from tests.method.toy import SAMPLES, Tiny, ranks_of_other_view, toy_batch, train
from tests.two_processes import assert_two_processes_equal_one


@pytest.mark.parametrize("projector_dim", [0, 8])
@pytest.mark.parametrize("same_view_negatives", [True, False])
def test_loss_equals_that_of_its_own_parts(projector_dim: int, same_view_negatives: bool) -> None:
    torch.manual_seed(0)
    method = METHODS["cpc"](
        Tiny(),
        projector_dim=projector_dim,
        temperature=0.2,
        segments=6,
        steps=2,
        context_dim=16,
        same_view_negatives=same_view_negatives,
    )
    batch = toy_batch(4)
    batch.subject[2] = 1
    step = method(batch)
    width = SAMPLES // 6
    vectors, predicted, means = [], [], []
    for view in torch.cat([batch.first, batch.second]):  # one segment at a time
        features = [method.backbone(view[None, :, k * width : (k + 1) * width])[0] for k in range(6)]
        means.append(torch.stack(features).mean(0))
        vectors.append(torch.stack([method.projector(each) for each in features]))
        contexts = [method.context(vectors[-1][None, : k + 1])[0][0, -1] for k in range(6)]
        predicted.append(
            torch.stack([torch.stack([linear(c) for linear in method.predictors]) for c in contexts])
        )
    expected = cpc_loss(
        torch.stack(predicted),
        torch.stack(vectors),
        batch.subject,
        temperature=0.2,
        same_view_negatives=same_view_negatives,
    )
    torch.testing.assert_close(step.loss, expected.total, rtol=1e-5, atol=0)
    torch.testing.assert_close(torch.cat([step.first, step.second]), torch.stack(means).detach())
    assert list(step.terms) == ["loss_step_1", "loss_step_2"]
    torch.testing.assert_close(sum(step.terms.values()), step.loss.detach())
    assert step.weights["prediction_accuracy"] == expected.accuracy


def test_the_future_is_unknown_to_predictions() -> None:
    torch.manual_seed(0)
    method = Cpc(Tiny(), segments=5, steps=2)
    contexts = []
    method.context.register_forward_hook(lambda module, given, made: contexts.append(made[0].detach()))
    batch = toy_batch(4)
    method(batch)
    from_there = 3 * (SAMPLES // 5)
    batch.first[..., from_there:] = 0
    batch.second[..., from_there:] = 0
    method(batch)
    same = (contexts[0] == contexts[1]).all(2).all(0)
    assert same.tolist() == [True, True, True, False, False]


def test_samples_left_over_are_not_used() -> None:
    method = Cpc(Tiny(), segments=7).eval()
    batch = toy_batch(4)
    loss = method(batch).loss
    batch.first[..., 7 * (SAMPLES // 7) :] = 9
    assert SAMPLES % 7
    assert torch.equal(method(batch).loss, loss)


def test_every_parameter_takes_part_and_evaluation_changes_nothing() -> None:
    method = Cpc(BACKBONES["resnext1d_small"](leads=1), projector_dim=8)
    before = {name: value.clone() for name, value in method.state_dict().items()}
    method.train()(toy_batch(4)).loss.backward()
    assert all(parameter.grad is not None for parameter in method.parameters())
    assert all(parameter.grad.any() for linear in method.predictors for parameter in linear.parameters())
    method.eval()
    with torch.no_grad():
        step = method(toy_batch(2))
    assert torch.isfinite(step.loss)
    assert all(torch.equal(value, before[name]) for name, value in method.state_dict().items())


def test_two_windows_of_one_subject_do_not_break_it() -> None:
    batch = toy_batch(2)
    batch.subject[:] = 3
    assert torch.isfinite(Cpc(Tiny())(batch).loss)
    assert Cpc(Tiny(), same_view_negatives=False)(batch).loss == 0


def test_runs_under_autocast() -> None:
    torch.manual_seed(0)
    method = Cpc(Tiny(), temperature=0.2)
    full = method(toy_batch(8)).loss
    with torch.autocast("cpu", dtype=torch.bfloat16):
        step = method(toy_batch(8))
    step.loss.backward()
    assert step.loss.dtype == torch.float32
    assert float(step.loss.detach()) == pytest.approx(float(full.detach()), rel=0.02)


def test_a_resumed_step_is_the_same_step() -> None:
    def run(state: dict | None, batches: list[Batch]) -> tuple[dict, torch.Tensor]:
        torch.manual_seed(1 if state is None else 2)
        method = Cpc(Tiny(), projector_dim=8, context_dim=16).train()
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


def test_training_brings_views_together() -> None:
    torch.manual_seed(0)
    method = Cpc(Tiny(), temperature=0.1, segments=5, steps=2, context_dim=32).eval()
    before = ranks_of_other_view(method)
    losses = train(method, 120, learning_rate=1e-2)
    assert np.mean(losses[-5:]) < np.mean(losses[:5]) - 0.5
    assert ranks_of_other_view(method) < 0.5 * before  # of whole views, though trained on segments
    assert method(toy_batch(seed=5)).weights["prediction_accuracy"] > 3 / 155  # candidates are 155


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"projector_dim": -1}, "projector_dim is -1"),
        ({"temperature": 0.0}, "temperature is 0.0"),
        ({"steps": 0}, "steps is 0 and segments 10"),
        ({"steps": 4, "segments": 4}, "more segments than steps"),
        ({"context_dim": 0}, "context_dim is 0"),
    ],
)
def test_wrong_settings_are_named(settings, message) -> None:
    with pytest.raises(ValueError, match=message):
        Cpc(Tiny(), **settings)


def test_segments_that_are_too_short_are_named() -> None:
    with pytest.raises(ValueError, match="views have 320 samples, 12 for each of 25 segments"):
        Cpc(Tiny(), segments=25)(toy_batch(2))


@pytest.mark.slow
def test_two_processes_equal_one(tmp_path: Path) -> None:
    settings = {"segments": 5, "steps": 2, "same_view_negatives": False}
    assert_two_processes_equal_one([("cpc", settings)], tmp_path)
