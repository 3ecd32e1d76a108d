from __future__ import annotations

import json

import pytest

from openclef.protocol.evaluation import evaluate
from openclef.protocol.ledger import COLUMNS, FILE, count_looks, read_looks
from tests.protocol.planted import Planted, people, write


@pytest.fixture
def store(tmp_path):
    return write(tmp_path / "tiny", *people(200))


def test_a_look_at_test_is_noted_and_one_at_validation_is_not(store):
    evaluate(Planted(), store, "tiny/af", split="val", draws=5)
    assert len(read_looks([store])) == 0
    evaluate(Planted(), store, "tiny/af", baselines=("age_sex",), draws=5)
    looks = read_looks([store])
    assert tuple(looks.columns) == COLUMNS
    assert looks["model"].tolist() == ["planted", "planted + age_sex", "age_sex"]
    assert looks["records"].tolist() == looks["subjects"].tolist() == [80, 80, 80]
    assert set(looks["task"]) == {"tiny/af"}
    assert (looks["weights"] == "").tolist() == [False, False, True]


def test_the_same_again_is_no_new_look_but_another_budget_is(store):
    for _ in range(2):
        evaluate(Planted(), store, "tiny/af", append_age_sex=False, draws=5)
    assert len(read_looks([store])) == 2
    assert count_looks(read_looks([store]))["looks"].tolist() == [1]
    evaluate(Planted(), store, "tiny/af", append_age_sex=False, draws=5, label_share=0.5, seeds=(0, 1))
    evaluate(Planted(), store, "tiny/age", append_age_sex=False, draws=5)
    counted = count_looks(read_looks([store]))
    assert counted[["store", "task", "looks"]].to_numpy().tolist() == [
        ["tiny", "tiny/af", 2],
        ["tiny", "tiny/age", 1],
    ]


def test_other_draws_and_other_trainings_are_other_looks(store):
    for seed in (0, 1, 2):
        evaluate(
            Planted(), store, "tiny/af", append_age_sex=False, draws=5, label_share=0.5, seeds=(0,), seed=seed
        )
    assert count_looks(read_looks([store]))["looks"].tolist() == [3]


def test_pooled_stores_each_keep_their_own(store, tmp_path):
    other = write(tmp_path / "other", *people(100, seed=1), fs=100, name="other")
    evaluate(Planted(), [store, other], "tiny/af", append_age_sex=False, draws=5)
    assert read_looks([store])["records"].tolist() == [80]
    assert read_looks([other])["records"].tolist() == [40]


def test_a_damaged_line_is_named(store):
    (store.path / FILE).write_text(json.dumps({"store": "s", "task": "a", "model": "m"}) + "\n{broken\n")
    with pytest.raises(ValueError, match=r"looks.jsonl, line 2, is damaged"):
        read_looks([store])


def test_a_ledger_that_cannot_be_written_is_said_in_the_note(store):
    (store.path / FILE).mkdir()
    result = evaluate(Planted(), store, "tiny/af", append_age_sex=False, draws=5)
    assert "could not be noted" in result.note


def test_a_line_that_was_cut_off_does_not_take_the_next_look_with_it(store):
    (store.path / FILE).write_text('{"time": "x')
    evaluate(Planted(), store, "tiny/af", append_age_sex=False, draws=5)
    lines = (store.path / FILE).read_text().splitlines()
    assert len(lines) == 2
    with pytest.raises(ValueError, match="line 1, is damaged"):
        read_looks([store])
    (store.path / FILE).write_text("\n" + lines[1] + "\n")
    assert len(read_looks([store])) == 1
    (store.path / FILE).write_bytes(b"\xff\xfe{}")
    with pytest.raises(ValueError, match=r"looks.jsonl, line 1"):
        read_looks([store])
    (store.path / FILE).write_text("{}\n")
    with pytest.raises(ValueError, match="line 1, is no look"):
        read_looks([store])
