from __future__ import annotations

import numpy as np
import pytest

import openclef
from openclef.benchmarking import comparisons
from openclef.protocol.result import load_result
from openclef.statistics import holm


def test_a_model_against_its_copy_differs_by_nothing(bench):
    rows = bench.comparisons.query("model == 'good' and against == 'twin'")
    assert len(rows) == 3
    assert (rows[["value", "low", "high"]] == 0).all(axis=None)
    assert (rows[["p", "p_holm"]] == 1).all(axis=None)
    assert rows["metric"].tolist() == ["auroc", "auroc", "mae"]


def test_pairs_are_those_of_the_plan(bench):
    rows = bench.comparisons[bench.comparisons["task"] == "tiny/age"]
    assert (rows["protocol"] == rows["against_protocol"]).all()
    assert rows[["model", "against"]].to_numpy().tolist() == [
        *([name, "random_encoder"] for name in ("good", "twin", "poor")),
        ["good", "twin"],
        ["good", "poor"],
        ["twin", "poor"],
        *(
            [f"{name} + age_sex", against]
            for name in ("good", "twin", "poor")
            for against in ("age_sex", "random_encoder + age_sex")
        ),
        ["good + age_sex", "twin + age_sex"],
        ["good + age_sex", "poor + age_sex"],
        ["twin + age_sex", "poor + age_sex"],
    ]


def test_pairs_with_the_reference_only(bench, store, models, few, tmp_path):
    ask = {"tasks": "tiny/age", "baselines": "age_sex", "reference": "twin", **few}
    rows = openclef.benchmark(models, store, tmp_path / "out", pairs="reference", **ask).comparisons
    assert rows[["model", "against"]].to_numpy().tolist() == [
        ["good", "twin"],
        ["twin", "poor"],
        *([f"{name} + age_sex", "age_sex"] for name in ("good", "twin", "poor")),
        ["good + age_sex", "twin + age_sex"],
        ["twin + age_sex", "poor + age_sex"],
    ]
    columns = ["model", "against", "value", "low", "high", "p"]
    all_pairs = bench.comparisons.query("task == 'tiny/age'")[columns]
    assert len(rows[columns].merge(all_pairs)) == len(rows)
    with pytest.raises(ValueError, match="pairs are 'some'; accepted are all, reference"):
        openclef.benchmark(models, store, tmp_path / "other", pairs="some", **ask)


def test_values_are_those_of_compare_and_p_is_adjusted_by_task(bench, few):
    settings = {
        "draws": few["draws"],
        "permutations": few["permutations"],
        "min_positives": few["min_positives"],
    }
    cells = bench.folder / "cells" / "tiny" / "labels" / "I" / "probe" / "1"
    good, poor = load_result(cells / "good"), load_result(cells / "poor")
    expected = openclef.compare(good, poor, **settings).iloc[0]
    row = bench.comparisons.query("task == 'tiny/labels' and model == 'good' and against == 'poor'").iloc[0]
    for column in ("value", "low", "high", "p", "n", "seeds", "against_seeds"):
        assert row[column] == pytest.approx(expected[column])
    assert row["value"] > 0
    by_task = bench.comparisons.groupby("task", sort=False)
    for _, rows in by_task:
        np.testing.assert_allclose(rows["p_holm"], holm(rows["p"].tolist()))


@pytest.mark.slow
def test_several_processes_find_the_same(bench, store, models, few, tmp_path, monkeypatch):
    rows = bench.comparisons.query("task == 'tiny/age' and model == 'good' and against == 'poor'")
    monkeypatch.setattr(comparisons, "LONG", 1)
    two = {name: models[name] for name in ("good", "poor")}
    again = openclef.benchmark(two, store, tmp_path / "out", tasks="tiny/age", baselines=(), **few)
    mine = again.comparisons.query("model == 'good'").iloc[0]
    for column in ("value", "low", "high", "p"):
        assert mine[column] == rows.iloc[0][column]
    assert mine["p_holm"] != rows.iloc[0]["p_holm"] or mine["p"] == mine["p_holm"]


def test_finished_comparisons_are_not_made_again(store, models, few, tmp_path, monkeypatch):
    made = []
    compare = comparisons.compare

    def counted(*given, **settings):
        made.append((given[0].model, given[1].model))
        return compare(*given, **settings)

    monkeypatch.setattr(comparisons, "compare", counted)
    ask = {"tasks": "tiny/age", "baselines": (), **few}
    openclef.benchmark({"a": models["poor"], "b": models["twin"]}, store, tmp_path / "out", **ask)
    assert made == [("a", "b"), ("a + age_sex", "b + age_sex")]
    openclef.benchmark({"a": models["poor"], "b": models["twin"]}, store, tmp_path / "out", **ask)
    assert len(made) == 2
    three = {"a": models["poor"], "b": models["twin"], "c": models["twin"][0]}
    openclef.benchmark(three, store, tmp_path / "out", **ask)
    assert set(made[2:]) == {
        (f"{one}{appended}", f"c{appended}") for one in "ab" for appended in ("", " + age_sex")
    }


def test_what_is_not_measurable_is_not_compared(models, write_store, few, tmp_path):
    store = write_store(tmp_path / "store", records=60)  # of 24 judged records none has a rare label
    ask = {"tasks": ["tiny/labels"], "baselines": (), **few, "min_positives": 20}
    found = openclef.benchmark({"a": models["poor"], "b": models["twin"]}, store, tmp_path / "out", **ask)
    assert found.comparisons.empty
    assert found.averages.empty
    assert not found.labels["measurable"].any()
    assert found.metrics.query("metric == 'auroc'")["value"].isna().all()
    assert "not measurable" in str(found)
