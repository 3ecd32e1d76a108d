"""Each of the eighteen tasks from raw files to a finite number with an interval on a page."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import openclef
from openclef.database import DATABASES
from tests.eighteen_tasks import (
    BEYOND,
    EIGHTEEN,
    MODEL,
    SMALL,
    WITHOUT_PEOPLE,
    convert_layouts,
    run_benchmark,
    write_layouts,
)

pytestmark = pytest.mark.slow
TASKS = (*EIGHTEEN, *BEYOND)


@pytest.fixture(scope="module")
def stores(tmp_path_factory):
    folder = tmp_path_factory.mktemp("eighteen")
    write_layouts(folder / "raw")
    return convert_layouts(folder / "raw", folder / "stores")


@pytest.fixture(scope="module")
def benchmark(stores, tmp_path_factory):
    return run_benchmark(stores, tmp_path_factory.mktemp("benchmark") / "all")


def test_the_stores_are_whole_and_declare_the_tasks(stores):
    for name, store in stores.items():
        found = openclef.check(store)
        assert found.ok, f"{name}: {found}"
    assert len(EIGHTEEN) == 18
    assert sorted(task for store in stores.values() for task in store.tasks) == sorted(TASKS)


def test_every_task_can_be_measured(stores):
    """In the test part two labels with ten positives and ten negatives, or twenty values."""
    for store in stores.values():
        records = store.records.drop_duplicates("record_id")
        judged = records[records["split"] == "test"]
        for name, task in store.tasks.items():
            cells = judged[list(task.columns)]
            if task.kind == "regression":
                assert cells.notna().sum().iloc[0] >= 20, name
                continue
            if task.kind == "multiclass":
                known = cells[task.columns[0]][cells[task.columns[0]] != ""]
                cells = pd.DataFrame({label: known == label for label in task.labels})
            else:
                cells = cells.dropna()
            measurable = (cells.sum() >= 10) & ((1 - cells).sum() >= 10)
            assert measurable.sum() >= min(2, len(task.labels)), name


def test_every_task_has_a_number_with_an_interval(benchmark):
    table = benchmark.metrics
    whole = table[(table["part"] == "") & (table["condition"] == "") & (table["model"] == MODEL)]
    for task, rows in whole.groupby("task"):
        kind = "mae" if task.endswith(("/sbp", "/dbp", "/lvef")) else "auroc"
        row = rows.set_index("metric").loc[kind]
        assert np.isfinite([row["value"], row["low"], row["high"]]).all(), task
        assert row["low"] <= row["value"] <= row["high"], task
        assert row["n"] >= 20, task
    assert set(whole["task"]) == set(TASKS)


def test_every_number_has_an_interval(benchmark):
    for table in (benchmark.metrics, benchmark.comparisons, benchmark.averages):
        measured = table[np.isfinite(table["value"])]
        assert len(measured)
        assert np.isfinite(measured[["low", "high"]]).all(axis=None)
        assert (measured["low"] <= measured["high"]).all()


def test_each_task_stands_on_its_own_lead_and_in_one_average(benchmark):
    leads = benchmark.metrics.groupby("task")["lead"].unique().map(list).to_dict()
    assert leads == {task: [small.lead] for name, small in SMALL.items() for task in DATABASES[name].tasks}
    averages = benchmark.averages
    assert set(averages["lead"]) == set(benchmark.ranks["lead"]) == {"own"}
    alone = averages[averages["model"] == MODEL].set_index("metric")
    assert alone.loc["auroc", "tasks"] == 15
    assert alone.loc["mae_change_percent", "tasks"] == 5


def test_the_baselines_stand_beside_the_model_and_nothing_is_skipped(benchmark):
    assert benchmark.skipped.empty
    judged = benchmark.metrics.groupby("task")["model"].agg(set)
    for task in TASKS:
        expected = {MODEL, "random_encoder", "features"}
        if task not in WITHOUT_PEOPLE:
            expected |= {"age_sex", *(f"{name} + age_sex" for name in expected)}
        assert judged[task] == expected, task


def test_the_page_names_every_task(benchmark):
    page = (benchmark.folder / "report.html").read_text(encoding="utf-8")
    for task in TASKS:
        assert task in page
