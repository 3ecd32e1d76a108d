from __future__ import annotations

import numpy as np
import pytest

import openclef
from openclef.benchmarking import cell, joint_draws
from openclef.benchmarking.averages import _change_percent, common_tasks
from openclef.benchmarking.kept import Kept
from openclef.protocol.scoring import stack
from openclef.statistics import bootstrap
from openclef.task import Task

LABELS = Task("tiny/labels", "multilabel", ("A", "B"), ("l/A", "l/B"))
AF = Task("second/af", "binary", ("af",), ("l/A",))


def pick(bench, model, metric):
    rows = bench.averages[(bench.averages["model"] == model) & (bench.averages["metric"] == metric)]
    assert len(rows) == 1
    return rows.iloc[0]


def value(bench, model, task, metric):
    rows = bench.metrics.query("condition == '' and part == ''")
    rows = rows[(rows["model"] == model) & (rows["task"] == task) & (rows["metric"] == metric)]
    return rows["value"].item()


@pytest.mark.parametrize("model", ["good", "poor", "random_encoder", "good + age_sex"])
def test_averages_by_hand(bench, model):
    tasks = ("tiny/labels", "tiny/copy")
    found = pick(bench, model, "auroc")
    assert found["value"] == pytest.approx(np.mean([value(bench, model, task, "auroc") for task in tasks]))
    assert found["tasks"] == 2
    assert found["reference"] == ""
    if model == "random_encoder":
        assert not len(bench.averages.query("model == 'random_encoder' and metric != 'auroc'"))
        return
    reference = "random_encoder + age_sex" if model.endswith("age_sex") else "random_encoder"
    for metric, among in (("auroc", tasks), ("mae", ("tiny/age",))):
        change = pick(bench, model, f"{metric}_change_percent")
        ratios = [value(bench, model, task, metric) / value(bench, reference, task, metric) for task in among]
        assert change["value"] == pytest.approx(100 * (np.mean(ratios) - 1))
        assert change["low"] <= change["value"] <= change["high"] or model == "good + age_sex"
        assert (change["tasks"], change["reference"]) == (len(among), reference)


def test_age_and_sex_stand_among_those_with_age_and_sex(bench):
    assert pick(bench, "age_sex", "auroc")["tasks"] == 2
    assert pick(bench, "age_sex", "mae_change_percent")["reference"] == "random_encoder + age_sex"


def test_the_same_task_twice_tells_no_more_than_once(store, models, few, tmp_path):
    """Subjects are drawn once for both, so the interval is as wide as that of one; independent draws narrow it."""
    ask = {**few, "baselines": (), "draws": 400, "permutations": 1}
    both = openclef.benchmark(
        [models["poor"]], store, tmp_path / "out", tasks=["tiny/labels", "tiny/copy"], by=(), **ask
    )
    once = openclef.benchmark([models["poor"]], store, tmp_path / "out", tasks=["tiny/labels"], by=(), **ask)
    joint, alone = pick(both, "planted", "auroc"), pick(once, "planted", "auroc")
    assert joint["value"] == pytest.approx(alone["value"])
    wide, single = joint["high"] - joint["low"], alone["high"] - alone["low"]
    assert wide == pytest.approx(single, rel=0.15)
    grid = cell.Grid(draws=400, min_positives=few["min_positives"])
    judged = [
        cell.JudgedCell(None, tmp_path / f"out/cells/tiny/{task}/I/probe/1/planted", task, None, 0.0)
        for task in ("labels", "copy")
    ]
    apart = []
    for seed, each in enumerate(judged):
        rows = each.predictions("test")
        one = stack(rows[rows["model"] == "planted"])
        found = bootstrap(
            "auroc", one.target, one.score, one.subject, draws=400, seed=seed, least=grid.min_positives
        )
        apart.append(found.samples[:, found.required].mean(1))
    narrow = np.subtract(*np.quantile(np.mean(apart, axis=0), [0.975, 0.025]))
    assert wide > 1.2 * narrow  # sqrt(2) in the limit


def test_draws_are_shared_by_person_and_keep_what_is_rare():
    first = np.array([f"a:{i}" for i in range(30)])
    second = first[10:20].repeat(2)
    groups = {"one": np.zeros((30, 2), bool), "two": np.ones((20, 1), bool)}
    groups["one"][:2, 0] = groups["one"][3:, 1] = True
    counts = joint_draws.draw_jointly({"one": first, "two": second}, groups, draws=200, seed=0)
    assert (counts["one"].sum(0) == 30).all()
    np.testing.assert_array_equal(counts["two"], counts["one"][10:20].repeat(2, axis=0))
    assert (counts["one"][:2].sum(0) > 0).all()  # of plain draws one in eight loses both
    with pytest.raises(ValueError, match="no record"):
        joint_draws.draw_jointly({"one": first}, {"one": np.zeros((30, 1), bool)}, draws=2, seed=0)


def test_tasks_of_the_same_people_are_linked():
    people = {"a": ["x"], "b": ["y"], "c": ["y", "z"], "d": ["z"]}
    assert joint_draws.link_tasks(people) == [["a"], ["b", "c", "d"]]
    assert joint_draws.link_tasks({}) == []


def test_a_task_that_a_model_lacks_is_left_out_for_all(write_store, planted, few, tmp_path):
    first = write_store(tmp_path / "first", records=120, tasks=[LABELS])
    second = write_store(tmp_path / "second", records=120, seed=2, name="second", tasks=[AF])
    leaked = planted(0.2, subjects=frozenset(second.subjects()))
    ask = {"baselines": (), "by": (), **few}
    found = openclef.benchmark(
        {"a": planted(0.4), "leaked": leaked}, [first, second], tmp_path / "out", **ask
    )
    assert found.skipped[["task", "model"]].to_numpy().tolist() == [["second/af", "leaked"]]
    assert set(found.averages["tasks"]) == {1}
    assert pick(found, "a", "auroc")["value"] == value(found, "a", "tiny/labels", "auroc")
    without = openclef.benchmark({"a": planted(0.4)}, [first, second], tmp_path / "out", **ask)
    assert pick(without, "a", "auroc")["tasks"] == 2
    expected = [value(without, "a", task, "auroc") for task in ("tiny/labels", "second/af")]
    assert pick(without, "a", "auroc")["value"] == pytest.approx(np.mean(expected))


def test_a_reference_without_error_has_no_change():
    changes = _change_percent(np.array([1.0, 3.0]), np.array([0.0, 2.0]))
    assert np.isnan(changes[0])
    assert changes[1] == 50


def test_no_cells_have_no_tasks():
    assert common_tasks({}) == []
    assert joint_draws.JointDraws([], cell.Grid(), Kept("nowhere")).linked == {}
