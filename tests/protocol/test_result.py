from __future__ import annotations

import json

import pandas as pd
import pytest

from openclef.protocol.evaluation import Result, compare, evaluate, load_result
from openclef.protocol.scoring import metrics_of
from tests.protocol.planted import Planted, people, pick, write


def test_metrics_come_from_the_saved_predictions_alone(store, tmp_path):
    result = evaluate([Planted(), Planted(noise=1.0)], store, "tiny/labels", draws=30)
    folder = result.save(tmp_path / "result")
    assert sorted(path.name for path in folder.iterdir()) == [
        "evaluation.json",
        "metrics.json",
        "predictions.parquet",
    ]
    again = metrics_of(pd.read_parquet(folder / "predictions.parquet"), draws=30)
    pd.testing.assert_frame_equal(again, result.metrics)
    rows = json.loads((folder / "metrics.json").read_text())
    assert len(rows) == len(result.metrics)
    loaded = load_result(folder)
    assert loaded.model == "planted"
    pd.testing.assert_frame_equal(loaded.metrics, result.metrics)
    assert {"strength", "val_loss"} <= set(loaded.settings[0])


def test_comparison_is_paired_and_signed(store):
    good = evaluate(Planted(), store, "tiny/af", draws=10)
    poor = evaluate([Planted(noise=3.0, seed=s) for s in range(2)], store, "tiny/af", name="poor", draws=10)
    row = compare(good, poor, draws=100, permutations=100).iloc[0]
    expected = pick(good.metrics, "planted", "auroc")["value"] - pick(poor.metrics, "poor", "auroc")["value"]
    assert row["value"] == pytest.approx(expected)
    assert 0 < row["low"] < row["high"]
    assert row["p"] < 0.05
    assert (row["model"], row["against"], row["seeds"], row["against_seeds"]) == ("planted", "poor", 1, 2)
    same = compare(good, good, against_model="planted", draws=20, permutations=20).iloc[0]
    assert (same["value"], same["low"], same["high"], same["p"]) == (0, 0, 0, 1)
    within = compare(good, good, against_model="planted + age_sex", draws=20, permutations=20).iloc[0]
    assert within["against"] == "planted + age_sex"


def test_comparisons_of_other_records_are_refused(store, tmp_path):
    features, rows = people(600)
    fewer = write(tmp_path / "fewer", features[:590], rows[:590])
    one = evaluate(Planted(), store, "tiny/af", append_age_sex=False, draws=5)
    two = evaluate(Planted(), fewer, "tiny/af", append_age_sex=False, draws=5)
    with pytest.raises(ValueError, match=r"4 records stand in one result only \(tiny/r0-596"):
        compare(one, two)
    with pytest.raises(ValueError, match="differ in task: tiny/af and tiny/age"):
        compare(one, evaluate(Planted(), store, "tiny/age", append_age_sex=False, draws=5))
    with pytest.raises(ValueError, match="the result holds planted"):
        compare(one, one, model="clef")


def test_a_result_says_where_overlap_could_not_be_checked(store, tmp_path):
    settings = {"append_age_sex": False, "draws": 5}
    unknown = evaluate([Planted(), Planted(subjects=frozenset())], store, "tiny/af", **settings)
    assert unknown.note.startswith("1 of 2 encoders do not say whom")
    assert load_result(unknown.save(tmp_path / "unknown")).note == unknown.note
    assert evaluate(Planted(subjects=frozenset({"00"})), store, "tiny/af", **settings).note == ""
    assert evaluate("age_sex", store, "tiny/af", draws=5).note == ""
    from openclef.protocol.baselines import random_encoder

    assert random_encoder().pretraining_subjects == frozenset()
    about = json.loads((tmp_path / "unknown" / "evaluation.json").read_text())
    del about["note"]  # as earlier versions wrote it
    (tmp_path / "unknown" / "evaluation.json").write_text(json.dumps(about))
    assert load_result(tmp_path / "unknown").note == ""


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("evaluation.json", b"{"),
        ("evaluation.json", b"[]"),
        ("evaluation.json", b'{"model": 1, "split": "test", "settings": []}'),
        ("evaluation.json", b'{"model": "m", "split": "test", "settings": [], "colour": 1}'),
        ("metrics.json", b"\xff\xfe"),
        ("metrics.json", b'{"a": 1}'),
        ("metrics.json", b'[{"value": "high"}]'),
        ("metrics.json", b'[{"value": [1]}]'),
        ("predictions.parquet", b""),
        ("predictions.parquet", b"PAR1 cut off"),
    ],
)
def test_a_damaged_result_is_named(tmp_path, name, content):
    frame = pd.DataFrame({"model": ["m"], "value": [1.0]})
    folder = Result(frame, frame, "m").save(tmp_path / "result")
    (folder / name).write_bytes(content)
    with pytest.raises(ValueError, match=rf"{name} is damaged \(.+\); copy the folder again") as error:
        load_result(folder)
    assert "\n" not in str(error.value)


def test_a_result_is_not_saved_over_a_file(tmp_path):
    (tmp_path / "file").write_text("mine")
    empty = Result(pd.DataFrame({"model": ["m"]}), pd.DataFrame({"model": ["m"]}), "m")
    for folder in (tmp_path / "file", tmp_path / "file" / "below"):
        with pytest.raises(FileExistsError, match="file is a file; pass another place"):
            empty.save(folder)
    assert (tmp_path / "file").read_text() == "mine"
    with pytest.raises(ValueError, match="None is no Result"):
        compare(empty, None)


def test_a_result_prints_a_line_a_model_and_each_note_once(small_store) -> None:
    result = evaluate("age_sex", [small_store], "small/old", draws=20, min_positives=3)
    lines = str(result).splitlines()
    assert lines[0] == "small/old, probe, lead I, test: value [95 % interval]"
    assert lines[1].split() == ["model", "auroc", "auprc", "records", "seeds"]
    assert lines[2].split()[0] == "age_sex"
    assert "[" in lines[2]
    assert len(set(lines)) == len(lines)
