from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import rankdata

import openclef
from openclef.ranking import critical_difference, friedman_p
from openclef.task import Task


def test_ranks_are_those_of_the_metrics(bench):
    rows = bench.metrics.query("condition == '' and part == ''")
    rows = rows[rows["metric"].isin(("auroc", "mae"))]
    models = ["good", "twin", "poor", "random_encoder", "age_sex"]
    goodness = []
    for _, of in rows.groupby("task", sort=False):
        by_model = of.set_index("model")
        sign = -1 if by_model["metric"].iloc[0] == "mae" else 1
        goodness.append([sign * by_model.loc[model, "value"] for model in models])
    expected = rankdata(-np.array(goodness), axis=1).mean(0)
    found = bench.ranks.set_index("model")
    assert set(found.index) == set(models)
    np.testing.assert_allclose(found.loc[models, "mean_rank"], expected)
    assert found["mean_rank"].is_monotonic_increasing
    assert set(found["tasks"]) == {3}
    assert found["critical_difference"].unique() == pytest.approx(critical_difference(5, 3))
    assert found["friedman_p"].unique() == pytest.approx(friedman_p(goodness))
    assert found.loc["good", "mean_rank"] == found.loc["twin", "mean_rank"]
    shared = set(found.loc["good", "cliques"].split(";")) & set(found.loc["twin", "cliques"].split(";"))
    assert shared - {""}


def test_age_and_sex_are_left_out_where_a_store_knows_neither(write_store, planted, few, tmp_path):
    known = write_store(tmp_path / "known")
    bare = write_store(
        tmp_path / "bare",
        seed=1,
        name="bare",
        metadata=False,
        tasks=[Task("bare/af", "binary", ("af",), ("l/A",))],
    )
    found = openclef.benchmark(
        {"a": planted(0.2), "b": planted(2.0)},
        [known, bare],
        tmp_path / "out",
        tasks=["tiny/labels", "bare/af"],
        baselines=("age_sex",),
        by=(),
        **few,
    )
    assert found.skipped.empty
    assert found.ranks[["model", "mean_rank", "tasks"]].to_numpy().tolist() == [["a", 1, 2], ["b", 2, 2]]
    tasks = found.averages.set_index("model")["tasks"]
    assert tasks["a"] == 2
    assert tasks["a + age_sex"] == tasks["age_sex"] == 1


def test_one_task_or_one_model_has_no_ranks(store, planted, few, tmp_path):
    one = openclef.benchmark(
        [planted()], store, tmp_path / "out", tasks="tiny/age", by=(), baselines=("age_sex",), **few
    )
    assert one.ranks.empty
