from __future__ import annotations

import copy
from pathlib import Path

import pytest
import torch
from torch.nn import functional

from openclef.method import METHODS
from tests.method import hidden_records as hidden
from tests.two_processes import assert_two_processes_equal_one


def make(**settings):
    return METHODS["moco"](hidden.SmallBackbone(), **({"queue_size": 24, "projector_dim": 8} | settings))


def step_by_hand(method, batch) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """The loss of a training step as a cross-entropy over a list of candidates, record by record.

    Returns the loss and the keys and subjects that have to enter the queue.
    """
    for slow, online in (
        (method.slow_backbone.network, method.backbone),
        (method.slow_projector.network, method.projector),
    ):
        for weight, new in zip(slow.parameters(), online.parameters(), strict=True):
            weight.data = method.momentum * weight.data + (1 - method.momentum) * new.data
    orders = [(batch.first, batch.second)]
    if method.symmetric:
        orders.append((batch.second, batch.first))
    losses, keys = [], []
    for of_queries, of_keys in orders:
        query = functional.normalize(method.projector(method.backbone(of_queries)), dim=1)
        key = functional.normalize(
            method.slow_projector.network(method.slow_backbone.network(of_keys)), dim=1
        )
        keys.append(key.detach())
        for i, subject in enumerate(batch.subject.tolist()):
            negatives = [
                method.queue[k]
                for k in range(min(int(method.enqueued), len(method.queue)))
                if int(method.queue_subject[k]) != subject
            ]
            if method.batch_negatives:
                negatives += [key[k] for k, other in enumerate(batch.subject.tolist()) if other != subject]
            logits = torch.stack([query[i] @ other for other in [key[i], *negatives]]) / method.temperature
            losses.append(functional.cross_entropy(logits[None], torch.tensor([0])))
    return torch.stack(losses).mean(), torch.cat(keys), batch.subject.repeat(len(orders))


@pytest.mark.parametrize("symmetric", [False, True])
@pytest.mark.parametrize("batch_negatives", [False, True])
@pytest.mark.parametrize("steps", [0, 2, 7])
def test_step_is_what_is_computed_by_hand(symmetric: bool, batch_negatives: bool, steps: int) -> None:
    method = make(symmetric=symmetric, batch_negatives=batch_negatives, momentum=0.7)
    hidden.train(method, steps, count=6)
    batch = hidden.noisy_batch(6, 99, [0, 1, 13, 1, 40, 41])  # some of them are in the queue
    expected, keys, subject = step_by_hand(copy.deepcopy(method), batch)
    before, count = method.queue.clone(), int(method.enqueued)
    step = method(batch)
    torch.testing.assert_close(step.loss, expected, rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(float(step.weights["queue_filled"]), min(count, 24) / 24)
    # Each key once, in order, from where the last step ended; all other slots as they were.
    assert int(method.enqueued) == count + len(keys)
    slots = (count + torch.arange(len(keys))) % 24
    torch.testing.assert_close(method.queue[slots], keys)
    assert torch.equal(method.queue_subject[slots], subject)
    others = torch.ones(24, dtype=torch.bool).index_fill(0, slots, False)
    assert torch.equal(method.queue[others], before[others])


def test_gradients_are_those_of_the_step_by_hand() -> None:
    """The queue is written to between loss and backward pass; the gradient has to be of the queue before."""
    method = make(batch_negatives=True, symmetric=True)
    hidden.train(method, 4, count=6)
    batch = hidden.noisy_batch(6, 99)
    twin = copy.deepcopy(method)
    step_by_hand(twin, batch)[0].backward()
    method(batch).loss.backward()
    trained = {name: value for name, value in twin.named_parameters() if value.requires_grad}
    assert {name.split(".")[0] for name in trained} == {"backbone", "projector"}
    for name, value in method.named_parameters():
        if name in trained:
            torch.testing.assert_close(value.grad, trained[name].grad, rtol=1e-4, atol=1e-6)
        else:
            assert value.grad is None


def test_queue_wraps_where_its_size_is_no_multiple_of_the_batch() -> None:
    method = make(queue_size=7)
    for number in range(5):
        method(hidden.noisy_batch(3, number, [10 * number, 10 * number + 1, 10 * number + 2]))
    # 15 keys: slot 14 % 7 = 0 has the newest, 1 to 6 what came before it
    assert method.queue_subject.tolist() == [42, 22, 30, 31, 32, 40, 41]


def test_first_step_has_no_negatives_and_no_gradient_but_all_parameters_take_part() -> None:
    method = make(queue_size=65_536)
    loss = method(hidden.noisy_batch(8, 0)).loss
    loss.backward()
    assert float(loss.detach()) == 0
    assert all(not p.grad.any() for p in method.parameters() if p.requires_grad)
    assert float(method(hidden.noisy_batch(8, 1, list(range(8, 16)))).loss.detach()) > 0
    assert float(method(hidden.noisy_batch(8, 2, [3] * 8)).loss.detach()) > 0


def test_only_records_of_its_own_subject_in_the_queue_are_no_negatives() -> None:
    method = make(momentum=1.0)
    method(hidden.noisy_batch(8, 0, [5] * 8))
    assert float(method(hidden.noisy_batch(8, 1, [5] * 8)).loss.detach()) == 0


def test_slow_copy_ignores_optimiser_and_batch() -> None:
    """Weight decay and BatchNorm do not reach it; its running statistics follow like its weights."""
    backbone = hidden.SmallBackbone(normalised=True)
    method = METHODS["moco"](backbone, queue_size=32, momentum=0.9)
    assert not method.slow_backbone.network.training
    expected = copy.deepcopy(method.slow_backbone.state_dict())
    optimizer = torch.optim.AdamW(method.parameters(), lr=0.1, weight_decay=0.5)
    for number in range(3):
        online = copy.deepcopy(method.backbone.state_dict())
        for name, value in online.items():
            if value.is_floating_point():
                expected[f"network.{name}"] = 0.9 * expected[f"network.{name}"] + 0.1 * value
        method(hidden.noisy_batch(8, number)).loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        for name, value in method.slow_backbone.state_dict().items():
            if value.is_floating_point():
                torch.testing.assert_close(value, expected[name])
    alone, beside = (hidden.noisy_batch(8, 9).second[:count] for count in (1, 8))
    torch.testing.assert_close(method.slow_backbone(alone)[0], method.slow_backbone(beside)[0])


def test_evaluation_changes_nothing() -> None:
    hidden.assert_evaluation_changes_nothing(make(queue_size=100))
    fresh = METHODS["moco"](hidden.SmallBackbone()).eval()
    assert float(fresh(hidden.noisy_batch(2, 0)).loss.detach()) == 0  # an empty queue of the default size


@pytest.mark.parametrize("symmetric", [False, True])
def test_resumed_run_is_the_same_run(symmetric: bool) -> None:
    hidden.assert_resumes(lambda: make(queue_size=80, symmetric=symmetric))


@pytest.mark.parametrize("symmetric", [False, True])
def test_reported_features_are_the_backbone_s(symmetric: bool) -> None:
    hidden.assert_second_features_are_of_the_backbone(make(symmetric=symmetric))


@pytest.mark.parametrize("symmetric", [False, True])
def test_learns_what_views_share(symmetric: bool) -> None:
    method = make(queue_size=1024, momentum=0.9, temperature=0.2, projector_dim=0, symmetric=symmetric)
    before = hidden.margin(method.backbone)
    hidden.train(method, 80)
    assert hidden.margin(method.backbone) > before + 0.3


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"projector_dim": -1}, "projector_dim is -1"),
        ({"temperature": 0.0}, "temperature is 0"),
        ({"momentum": 1.5}, "momentum is 1.5"),
        ({"momentum": float("nan")}, "momentum is nan"),
        ({"queue_size": 0}, "queue_size is 0"),
    ],
)
def test_settings_out_of_range_are_refused(settings, message) -> None:
    with pytest.raises(ValueError, match=message):
        make(**settings)


def test_queue_smaller_than_a_step_is_refused() -> None:
    make(queue_size=8)(hidden.noisy_batch(8, 0))
    with pytest.raises(ValueError, match="queue_size is 8 and a step brings 9 keys"):
        make(queue_size=8)(hidden.noisy_batch(9, 0))
    with pytest.raises(ValueError, match=r"16 keys .*of both views"):
        make(queue_size=8, symmetric=True)(hidden.noisy_batch(8, 0))


@pytest.mark.slow
def test_two_processes_equal_one(tmp_path: Path) -> None:
    # Without them the one step that is compared has no negatives; the test below has several steps.
    settings = {"batch_negatives": True, "symmetric": True, "queue_size": 64}
    assert_two_processes_equal_one([("moco", settings)], tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("symmetric", [False, True])
def test_two_processes_keep_one_queue(symmetric: bool, tmp_path: Path, monkeypatch) -> None:
    settings = {"queue_size": 21, "symmetric": symmetric, "projector_dim": 8, "momentum": 0.5}
    hidden.assert_several_steps_equal_one_process("moco", settings, tmp_path, monkeypatch)
