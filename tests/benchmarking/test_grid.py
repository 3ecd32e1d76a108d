from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import openclef
from openclef.benchmarking import grid
from openclef.benchmarking.tables import TABLES, Benchmark
from openclef.protocol.baselines import random_encoder
from openclef.protocol.network import Finetuning
from openclef.task import Task


def test_tables_have_exactly_their_columns(bench):
    for name, columns in TABLES.items():
        table = pd.read_csv(bench.folder / f"{name}.csv", keep_default_na=False)
        assert list(table.columns) == list(columns), name
    assert TABLES["benchmark"].keys() == {
        *("model", "task", "protocol", "lead", "metric", "value", "low", "high", "n", "seeds"),
        *("label_share", "condition", "part", "note", "split", "unit"),
    }
    assert list(TABLES["skipped"]) == ["task", "lead", "protocol", "label_share", "model", "reason"]
    assert bench.skipped.empty
    assert {"good", "good + age_sex", "twin", "poor", "random_encoder", "age_sex"} <= set(
        bench.metrics["model"]
    )
    units = bench.metrics.groupby("metric")["unit"].unique().map(list)
    assert units["mae"] == units["rmse"] == ["years"]
    assert units["r"] == units["auroc"] == [""]


def test_parts_and_conditions_stand_only_with_all_labels(store, planted, few, tmp_path):
    found = openclef.benchmark(
        [planted()],
        store,
        tmp_path / "out",
        tasks="tiny/age",
        label_shares=(0.5, 1),
        conditions=[openclef.Condition(lead="II")],
        by="sex",
        baselines=(),
        **few,
    )
    whole, half = (found.metrics[found.metrics["label_share"] == share] for share in (1, 0.5))
    assert set(whole["part"]) == {"", "sex=female", "sex=male", "sex=unknown"}
    assert set(whole["condition"]) == {"", "lead II"}
    assert set(half["part"]) == set(half["condition"]) == {""}
    assert set(half["seeds"]) == {2}  # a budget is drawn once a seed
    assert (
        set(found.averages["label_share"]) == set() == set(found.labels["label_share"])
    )  # regression, no reference
    assert set(found.looks.loc[found.looks["model"] == "planted", "condition"]) == {"", "lead II"}


def test_cells_are_what_evaluate_gives(bench, store, models, few):
    alone = openclef.evaluate(
        models["poor"], store, "tiny/age", name="poor", seeds=(0, 1), draws=few["draws"], min_positives=5
    )
    rows = bench.metrics.query("model == 'poor' and task == 'tiny/age'")
    mine = rows[(rows["part"] == "") & (rows["condition"] == "")].set_index("metric")
    expected = alone.metrics[alone.metrics["model"] == "poor"].set_index("metric")
    for column in ("value", "low", "high", "n", "seeds"):
        np.testing.assert_allclose(mine[column].astype(float), expected[column].astype(float))


def test_benchmark_json_says_what_was_done(bench, store):
    about = bench.about
    assert about["settings"]["label_shares"] == [1.0]
    assert about["settings"]["tasks"] == list(store.tasks)
    assert about["settings"]["conditions"][0]["name"] == "lead II"
    assert [each["name"] for each in about["models"]] == ["good", "twin", "poor", "random_encoder", "age_sex"]
    assert about["models"][0]["weights"] == about["models"][1]["weights"] != about["models"][2]["weights"]
    assert len(about["models"][0]["weights"]) == 2
    assert about["stores"][0]["records_sha256"] == store.info["records_sha256"]
    assert about["cells"] == {"judged": 15, "judged_before": 0, "skipped": 0}
    assert about["seconds"] > 0
    assert about["versions"]["openclef"] == openclef.__version__
    assert about["finished"]


def test_networks_are_trained_once_and_compared_with_scratch_and_their_probe(
    write_store, few, tmp_path, calls, monkeypatch
):
    store = write_store(tmp_path / "store", records=120)
    preprocessing = openclef.Preprocessing(fs=50, seconds=2, band=None, normalise="none")
    encoder = random_encoder(preprocessing=preprocessing, seed=7)
    encoder.name = "mine"
    ask = {"tasks": ["tiny/labels"], "protocols": ("probe", "finetune"), "finetuning": Finetuning(epochs=1)}
    ask |= {**few, "baselines": ("scratch",), "seeds": (0,), "by": ()}
    found = openclef.benchmark([encoder], store, tmp_path / "out", **ask)
    assert calls == ["mine", "mine", "scratch"]
    pairs = found.comparisons[["model", "protocol", "against", "against_protocol"]].to_numpy().tolist()
    assert pairs == [
        ["mine", "probe", "scratch", "scratch"],
        ["mine", "finetune", "scratch", "scratch"],
        ["mine", "finetune", "mine", "probe"],
        ["mine + age_sex", "finetune", "scratch + age_sex", "scratch"],
        ["mine + age_sex", "finetune", "mine + age_sex", "probe"],
    ]
    changes = found.averages[found.averages["metric"] == "auroc_change_percent"]
    assert changes[["model", "protocol", "reference"]].to_numpy().tolist() == [
        ["mine", "finetune", "scratch"],
        ["mine + age_sex", "finetune", "scratch + age_sex"],
    ]
    # Another version of openclef trains anew where a cell is not finished, and leaves what was trained.
    before = sorted((tmp_path / "out/runs/tiny/labels/I/finetune").rglob("run.json"))
    (tmp_path / "out/cells/tiny/labels/I/finetune/1/mine/cell.json").unlink()
    monkeypatch.setattr(openclef, "__version__", "99.0")
    calls.clear()
    openclef.benchmark([encoder], store, tmp_path / "out", **ask)
    assert calls == ["mine"]
    after = sorted((tmp_path / "out/runs/tiny/labels/I/finetune").rglob("run.json"))
    assert len(before) == 1
    assert len(after) == 2
    assert set(before) < set(after)


def test_the_table_stands_side_by_side(bench):
    shown = str(Benchmark(bench.folder))
    assert shown.count("value [95 % interval]") == 1
    assert "tiny/labels AUROC" in shown
    assert "tiny/age MAE years" in shown
    row = bench.metrics.query("model == 'poor' and metric == 'mae' and part == '' and condition == ''").iloc[
        0
    ]
    assert f"{row['value']:.2f} [{row['low']:.2f}, {row['high']:.2f}]" in shown


def test_grid_is_named_in_the_package():
    assert openclef.benchmark is grid.benchmark
    assert openclef.Benchmark is Benchmark


def test_each_task_has_its_own_lead_unless_leads_are_named(store, write_store, planted, few, tmp_path):
    task = Task("holter/age", "regression", ("age",), ("l/years",), unit="years")
    other = write_store(tmp_path / "holter", tasks=(task,), name="holter", leads=("MLII", "V1"))
    ask = {"tasks": ("tiny/age", "holter/age"), "baselines": (), **few}
    found = openclef.benchmark({"a": planted(0.2)}, [store, other], tmp_path / "out", **ask)
    leads = found.metrics.groupby("task")["lead"].unique().map(list).to_dict()
    assert leads == {"tiny/age": ["I"], "holter/age": ["MLII"]}
    named = openclef.benchmark(
        {"a": planted(0.2)}, [store, other], tmp_path / "out", leads=("II", "V1"), **ask
    )
    leads = named.metrics.groupby("task")["lead"].unique().map(list).to_dict()
    assert leads == {"tiny/age": ["II"], "holter/age": ["V1"]}
    assert named.skipped.empty


def test_averages_over_own_leads_are_over_all_tasks(store, write_store, planted, few, tmp_path):
    task = Task("holter/age", "regression", ("age",), ("l/years",), unit="years")
    other = write_store(tmp_path / "holter", tasks=(task,), name="holter", leads=("MLII", "V1"))
    ask = {"tasks": ("tiny/age", "holter/age"), "reference": "b", "baselines": (), **few}
    found = openclef.benchmark(
        {"a": planted(0.2), "b": planted(2.0)}, [store, other], tmp_path / "out", **ask
    )
    row = found.averages[(found.averages["model"] == "a")].iloc[0]
    assert (row["lead"], row["metric"], row["tasks"]) == ("own", "mae_change_percent", 2)
    mae = found.metrics[(found.metrics["metric"] == "mae") & (found.metrics["part"] == "")]
    mae = mae.set_index(["model", "task"])["value"]
    changes = [100 * (mae["a", name] / mae["b", name] - 1) for name in ask["tasks"]]
    assert row["value"] == pytest.approx(np.mean(changes))
    assert set(found.ranks["lead"]) == {"own"}
    page = openclef.report(found.folder).read_text()
    assert "each task’s own lead" in page
    assert "I (tiny/age), MLII (holter/age)" in page


def test_a_task_that_asks_for_age_stands_in_no_average_with_age_and_sex(write_store, planted, few, tmp_path):
    age = Task("tiny/real_age", "regression", ("age",), ("age_years",), unit="years")
    other = Task("tiny/age", "regression", ("age",), ("l/years",), unit="years")
    store = write_store(tmp_path / "store", tasks=(age, other))
    models = {"a": planted(0.2), "b": planted(2.0)}
    found = openclef.benchmark(
        models, store, tmp_path / "out", **few | {"baselines": ("random_encoder", "age_sex")}
    )
    of_age = set(found.metrics.loc[found.metrics["task"] == "tiny/real_age", "model"])
    assert of_age == {"a", "b", "random_encoder"}
    assert found.skipped.empty
    tasks = found.averages.set_index("model")["tasks"].to_dict()
    assert tasks == {"a": 2, "b": 2, "a + age_sex": 1, "b + age_sex": 1, "age_sex": 1}
    assert set(found.ranks["model"]) == {"a", "b", "random_encoder"}


def test_a_regression_of_few_records_enters_no_average_and_no_comparison(write_store, planted, few, tmp_path):
    store = write_store(tmp_path / "store", records=20)  # eight in test
    models = {"a": planted(0.2), "b": planted(2.0)}
    ask = {"tasks": "tiny/age", **few, "min_positives": 10}
    found = openclef.benchmark(models, store, tmp_path / "out", **ask)
    assert found.metrics["value"].isna().all()
    assert set(found.metrics.loc[found.metrics["part"] == "", "note"]) == {"not measurable: 8 records"}
    for table in (found.comparisons, found.averages, found.ranks):
        assert table.empty
    assert "not measurable" in openclef.report(found.folder).read_text()


def test_trainings_may_have_fewer_seeds(store, planted, few, tmp_path):
    ask = {**few, "seeds": (0, 1), "training_seeds": (0,), "finetuning": Finetuning(epochs=1)}
    architecture = random_encoder("resnext1d_small", preprocessing=planted().preprocessing)
    found = openclef.benchmark(
        {"a": architecture},
        store,
        tmp_path / "out",
        tasks="tiny/age",
        baselines=("random_encoder", "scratch"),
        **ask,
    )
    seeds = found.metrics.drop_duplicates("model").set_index("model")["seeds"]
    assert seeds["random_encoder"] == 2
    assert seeds["scratch"] == 1


def test_too_few_permutations_for_so_many_comparisons_are_noted(store, planted, few, tmp_path):
    models = {f"m{i}": planted(0.2 + i) for i in range(3)}
    found = openclef.benchmark(models, store, tmp_path / "out", tasks="tiny/age", by=(), **few)
    notes = [each["note"] for each in found.about["notes"] if each["model"] == "comparisons"]
    assert len(notes) == 1
    assert "cannot fall below .05" in notes[0]
    needed = int(notes[0].rsplit("permutations=", 1)[1].split()[0])
    size = found.comparisons.groupby(["task", "lead", "label_share"]).size().max()
    assert size / (needed + 1) == pytest.approx(0.05)
