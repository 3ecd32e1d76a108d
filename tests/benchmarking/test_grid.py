from __future__ import annotations

import errno
import json

import numpy as np
import pandas as pd
import pytest
import torch

import openclef
from openclef.benchmarking import grid, judging
from openclef.benchmarking.tables import TABLES, Benchmark
from openclef.database.conversion import convert as run_convert
from openclef.protocol.baselines import random_encoder
from openclef.protocol.network import Finetuning
from openclef.shards import hold_folder
from openclef.task import Task


@pytest.fixture
def calls(monkeypatch):
    """Names of what is evaluated."""
    made = []
    judge = judging.evaluate

    def counted(model, *given, **settings):
        made.append(settings["name"])
        return judge(model, *given, **settings)

    monkeypatch.setattr(judging, "evaluate", counted)
    return made


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


def test_a_second_call_judges_nothing_and_a_new_model_only_itself(
    store, planted, few, tmp_path, calls, capsys
):
    ask = {"tasks": ["tiny/age"], "baselines": ("age_sex",), **few}
    first = openclef.benchmark({"a": planted(0.2)}, store, tmp_path / "out", **ask)
    assert calls == ["a", "age_sex"]
    before = {name: (tmp_path / "out" / f"{name}.csv").read_bytes() for name in TABLES}
    calls.clear()
    openclef.benchmark({"a": planted(0.2)}, store, tmp_path / "out", **ask)
    assert calls == []
    assert {name: (tmp_path / "out" / f"{name}.csv").read_bytes() for name in TABLES} == before
    more = openclef.benchmark({"a": planted(0.2), "b": planted(0.4)}, store, tmp_path / "out", **ask)
    assert calls == ["b"]
    assert set(more.metrics["model"]) == {*first.metrics["model"], "b", "b + age_sex"}
    calls.clear()
    capsys.readouterr()
    openclef.benchmark(
        {"a": planted(0.2), "b": planted(0.5)}, store, tmp_path / "out", **ask | {"quiet": False}
    )
    assert calls == ["b"]
    assert "b: judged anew, the weights changed" in capsys.readouterr().err
    calls.clear()
    fewer = openclef.benchmark({"a": planted(0.2)}, store, tmp_path / "out", **ask)
    assert calls == []
    assert set(fewer.metrics["model"]) == {"a", "a + age_sex", "age_sex"}  # the cells of this call alone
    openclef.benchmark({"a": planted(0.2)}, store, tmp_path / "out", **ask | {"draws": 41, "quiet": False})
    assert calls == ["a", "age_sex"]
    assert "draws changed" in capsys.readouterr().err


def test_interrupted_and_damaged_cells_are_judged_again(store, planted, few, tmp_path, monkeypatch, calls):
    ask = {"tasks": ["tiny/age", "tiny/labels"], "baselines": ("age_sex",), **few}
    counted = judging.evaluate

    def stops(*given, **settings):
        if len(calls) == 2:
            raise KeyboardInterrupt
        return counted(*given, **settings)

    monkeypatch.setattr(judging, "evaluate", stops)
    with pytest.raises(KeyboardInterrupt):
        openclef.benchmark({"a": planted(0.2)}, store, tmp_path / "out", **ask)
    monkeypatch.setattr(judging, "evaluate", counted)
    calls.clear()
    whole = openclef.benchmark({"a": planted(0.2)}, store, tmp_path / "out", **ask)
    assert calls == ["a", "age_sex"]  # those of the second task
    damaged = next((tmp_path / "out/cells/tiny/age").rglob("predictions.parquet"))
    damaged.write_bytes(damaged.read_bytes()[:-100])
    calls.clear()
    again = openclef.benchmark({"a": planted(0.2)}, store, tmp_path / "out", **ask)
    assert len(calls) == 1
    pd.testing.assert_frame_equal(again.metrics, whole.metrics)


def test_what_cannot_be_judged_is_listed_and_the_rest_goes_on(store, planted, few, tmp_path):
    leaked = planted(0.2, subjects=frozenset(store.subjects()))
    found = openclef.benchmark(
        {"clean": planted(0.2), "leaked": leaked},
        store,
        tmp_path / "out",
        tasks="tiny/age",
        leads=("I", "V6"),
        baselines=(),
        **few,
    )
    assert set(found.metrics["model"]) == {"clean", "clean + age_sex"}
    assert found.skipped[["lead", "model"]].to_numpy().tolist() == [
        ["I", "leaked"]
    ]  # no store has V6: not asked
    assert "were in the encoder's pretraining" in found.skipped["reason"][0]
    for table in (found.labels, found.comparisons, found.ranks):
        assert table.empty
    with pytest.raises(ValueError, match=r"none of 1 cells can be judged: .*pretraining"):
        openclef.benchmark({"leaked": leaked}, store, tmp_path / "out", tasks="tiny/age", baselines=(), **few)


def test_files_of_ones_own_in_a_csv_are_converted_once(planted, few, tmp_path, monkeypatch):
    generator = np.random.default_rng(0)
    rows = ["path,subject_id,fs,unit,lead,ef"]
    for i in range(60):
        np.save(tmp_path / f"{i}.npy", generator.normal(0, 0.5, 1000).astype(np.float32))
        rows.append(f"{i}.npy,p{i},100,mV,I,{40 + i % 23}.5")
    table = tmp_path / "mine.csv"
    table.write_text("\n".join(rows))
    converted = []

    def convert(*given, **settings):
        converted.append(settings["overwrite"])
        return run_convert(*given, **settings)

    monkeypatch.setattr("openclef.database.own_table.convert", convert)
    ask = {"baselines": (), **few}
    found = openclef.benchmark([planted(0.2)], table, tmp_path / "out", **ask)
    openclef.benchmark([planted(0.2)], [str(table)], tmp_path / "out", **ask)
    assert converted == [False]
    assert set(found.metrics["task"]) == {"mine/ef"}
    table.write_text("\n".join(rows[:-1]))
    openclef.benchmark([planted(0.2)], table, tmp_path / "out", **ask)
    assert converted == [False, True]
    with pytest.raises(FileNotFoundError, match=r"other\.csv is missing"):
        openclef.benchmark([planted()], tmp_path / "other.csv", tmp_path / "out2", **ask)


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


def test_a_folder_is_not_taken_from_others(store, planted, few, tmp_path):
    ask = {"tasks": "tiny/age", "baselines": (), **few}
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "thesis.txt").write_text("mine")
    with pytest.raises(FileExistsError, match="holds no benchmark"):
        openclef.benchmark([planted()], store, tmp_path / "full", **ask)
    with (
        hold_folder(tmp_path / "held"),
        pytest.raises(BlockingIOError, match="another benchmark is running"),
    ):
        openclef.benchmark([planted()], store, tmp_path / "held", **ask)
    with pytest.raises(FileExistsError, match="is a file"):
        openclef.benchmark([planted()], store, tmp_path / "full" / "thesis.txt", **ask)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"tasks": ["tiny/old"]}, "no store declares the task 'tiny/old'; they declare tiny/labels"),
        ({"tasks": []}, "there is no task"),
        ({"protocols": ("probes",)}, "protocols are 'probes'; accepted are probe, knn"),
        ({"baselines": ("random",)}, "baselines are 'random'"),
        ({"split": "train"}, "split is 'train'"),
        ({"reference": "simclr"}, "reference is 'simclr'"),
        ({"label_shares": (2,)}, "label_share"),
        ({"leads": ()}, "leads are empty"),
        ({"draws": 0}, "draws is 0"),
        ({"conditions": (openclef.Condition(),)}, "change something"),
    ],
)
def test_settings_that_cannot_be_right(store, planted, few, tmp_path, settings, message):
    with pytest.raises(ValueError, match=message):
        openclef.benchmark([planted()], store, tmp_path / "out", **{**few, **settings})


def test_nothing_to_judge(store, few, tmp_path):
    with pytest.raises(ValueError, match="there is nothing to judge"):
        openclef.benchmark([], store, tmp_path / "out", protocols="finetune", **few)


def test_stores_that_cannot_be_right(store, planted, few, tmp_path):
    with pytest.raises(ValueError, match="No store is given"):
        openclef.benchmark([planted()], [], tmp_path / "a", **few)
    with pytest.raises(ValueError, match="given twice"):
        openclef.benchmark([planted()], [store, store.path], tmp_path / "b", **few)
    with pytest.raises(FileNotFoundError):
        openclef.benchmark([planted()], tmp_path / "none", tmp_path / "c", **few)


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


def test_a_store_that_says_otherwise_and_a_corrected_provenance_judge_anew(
    write_store, planted, few, tmp_path, calls
):
    store = write_store(tmp_path / "a")
    ask = {"tasks": "tiny/age", "baselines": (), **few}
    model = planted(0.2)
    openclef.benchmark({"a": model}, store, tmp_path / "out", **ask)
    calls.clear()
    openclef.benchmark({"a": model}, store, tmp_path / "out", **ask)
    assert calls == []
    model.pretraining_subjects = frozenset(store.subjects())
    with pytest.raises(ValueError, match="were in the encoder's pretraining"):
        openclef.benchmark({"a": model}, store, tmp_path / "out", **ask)
    model.pretraining_subjects = frozenset()
    file = store.path / "dataset.json"
    file.write_text(file.read_text().replace('"subject_namespace": "tiny"', '"subject_namespace": "other"'))
    calls.clear()
    openclef.benchmark({"a": model}, openclef.open_store(store.path), tmp_path / "out", **ask)
    assert calls == ["a"]


def test_too_few_permutations_for_so_many_comparisons_are_noted(store, planted, few, tmp_path):
    models = {f"m{i}": planted(0.2 + i) for i in range(3)}
    found = openclef.benchmark(models, store, tmp_path / "out", tasks="tiny/age", by=(), **few)
    notes = [each["note"] for each in found.about["notes"] if each["model"] == "comparisons"]
    assert len(notes) == 1
    assert "cannot fall below .05" in notes[0]
    needed = int(notes[0].rsplit("permutations=", 1)[1].split()[0])
    size = found.comparisons.groupby(["task", "lead", "label_share"]).size().max()
    assert size / (needed + 1) == pytest.approx(0.05)


class Broken(torch.nn.Module):
    """Fails in some way when it is used."""

    dim = 8

    def __init__(self, error, preprocessing):
        super().__init__()
        self.error, self.preprocessing, self.pretraining_subjects = error, preprocessing, frozenset()

    def forward(self, signal):
        raise self.error


@pytest.mark.parametrize(
    "error", [RuntimeError("CUDA out of memory"), TypeError("no"), ZeroDivisionError("0")]
)
def test_a_model_that_fails_is_listed_and_the_others_go_on(store, planted, few, tmp_path, error):
    models = {"bad": Broken(error, planted().preprocessing), "good": planted(0.2)}
    found = openclef.benchmark(models, store, tmp_path / "out", tasks="tiny/age", baselines=(), **few)
    assert set(found.metrics["model"]) == {"good", "good + age_sex"}
    assert found.skipped["reason"].tolist() == [f"{type(error).__name__}: {error}"]


@pytest.mark.parametrize("name", ["metrics.json", "evaluation.json", "predictions.parquet", "cell.json"])
@pytest.mark.parametrize("content", [b"", b"[]", b"{}", b"null", b"\xff\xfe\x00"])
def test_a_damaged_file_of_a_cell_is_judged_anew(store, planted, few, tmp_path, calls, name, content):
    ask = {"tasks": "tiny/age", "baselines": (), **few}
    whole = openclef.benchmark({"a": planted(0.2)}, store, tmp_path / "out", **ask)
    file = next((tmp_path / "out/cells").rglob(name))
    file.write_bytes(content)
    for kept in (tmp_path / "out/cache/tables").glob("*.json"):
        kept.write_bytes(content)
    calls.clear()
    again = openclef.benchmark({"a": planted(0.2)}, store, tmp_path / "out", **ask)
    assert calls == ["a"]
    pd.testing.assert_frame_equal(again.metrics, whole.metrics)
    pd.testing.assert_frame_equal(again.averages, whole.averages)


def test_a_flipped_byte_in_predictions_is_noticed(store, planted, few, tmp_path, calls):
    ask = {"tasks": "tiny/age", "baselines": (), **few}
    openclef.benchmark({"a": planted(0.2)}, store, tmp_path / "out", **ask)
    file = next((tmp_path / "out/cells").rglob("predictions.parquet"))
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 0xFF
    file.write_bytes(bytes(content))
    calls.clear()
    openclef.benchmark({"a": planted(0.2)}, store, tmp_path / "out", **ask)
    assert calls == ["a"]


def test_what_an_evaluation_could_not_check_is_noted_again_by_a_later_call(
    store, planted, few, tmp_path, calls
):
    ask = {"tasks": ("tiny/age", "tiny/labels"), "baselines": (), **few}
    models = {"a": planted(0.2, subjects=None), "b": planted(0.4)}
    first = openclef.benchmark(models, store, tmp_path / "out", **ask).about["notes"]
    assert [each["model"] for each in first] == ["a"]
    assert "does not say whom it was pretrained on" in first[0]["note"]
    calls.clear()
    assert openclef.benchmark(models, store, tmp_path / "out", **ask).about["notes"] == first
    assert calls == []


def test_a_damaged_ledger_does_not_cost_the_tables(write_store, planted, few, tmp_path):
    store = write_store(tmp_path / "tiny")
    (store.path / "looks.jsonl").write_text("{broken\n")
    found = openclef.benchmark(
        {"a": planted(0.2)}, store, tmp_path / "out", tasks="tiny/age", baselines=(), **few
    )
    assert len(found.metrics)
    assert found.looks.empty
    assert any("looks.jsonl, line 1, is damaged" in each["note"] for each in found.about["notes"])


def test_what_is_wrong_with_a_call_is_refused_before_anything_is_judged(store, planted, few, tmp_path, calls):
    for given, message in (
        ({"by": "colour"}, "by are 'colour'; accepted are store, sex, age_band"),
        ({"by": None}, "by are None; pass a list"),
        ({"seeds": 5}, "seeds are 5; pass a list of whole numbers"),
        ({"seeds": (0, 0)}, "pass each once"),
        ({"seeds": (-1,)}, "seeds are .-1,.; pass a list"),
        ({"seeds": (0.5,)}, "seeds are"),
        ({"seeds": "01"}, "seeds are"),
        ({"training_seeds": ()}, "training_seeds are empty"),
        ({"label_shares": None}, "label_shares are None"),
        ({"label_shares": ["a"]}, "label_share is 'a'"),
        ({"leads": [""]}, "leads are .*; pass names"),
        ({"device": "gpu"}, "device is 'gpu', which cannot be used"),
        ({"finetuning": {"epochs": 1}}, "finetuning is .*; pass openclef.Finetuning"),
        ({"baselines": None}, "baselines are None"),
        ({"protocols": None}, "protocols are None"),
        ({"tasks": 5}, "no store declares the task 5"),
    ):
        with pytest.raises(ValueError, match=message):
            openclef.benchmark({"a": planted()}, store, tmp_path / "out", **(few | given))
    assert calls == []
    with pytest.raises(ValueError, match="has no name before its ending"):
        openclef.benchmark({"a": planted()}, tmp_path / "...csv", tmp_path / "out", **few)


def test_long_names_and_close_shares_have_folders_of_their_own(store, planted, few, tmp_path):
    ask = {"tasks": "tiny/age", "baselines": (), **few}
    models = {"x" * 300: planted(0.2), "x" * 299 + "y": planted(0.5), "é" * 200: planted(0.2)}
    found = openclef.benchmark(models, store, tmp_path / "out", label_shares=(0.3000001, 0.3000002), **ask)
    assert len(list((tmp_path / "out/cells").rglob("cell.json"))) == 6
    assert found.metrics["label_share"].nunique() == 2


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (AttributeError("no fc"), "AttributeError: no fc"),
        (AssertionError(), "AssertionError"),
        (OverflowError("too\n large"), "OverflowError: too large"),
        (ValueError("eight features are needed"), "eight features are needed"),
    ],
)
def test_reasons_are_one_line(store, planted, few, tmp_path, error, reason):
    with pytest.raises(ValueError, match="none of 1 cells can be judged"):
        openclef.benchmark(
            {"bad": Broken(error, planted().preprocessing)},
            store,
            tmp_path / "out",
            tasks="tiny/age",
            baselines=(),
            **few,
        )
    assert pd.read_csv(tmp_path / "out" / "skipped.csv")["reason"].tolist() == [reason]


@pytest.mark.parametrize("error", [KeyboardInterrupt(), OSError(errno.ENOSPC, "no space left")])
def test_an_interruption_and_a_full_disk_end_the_call(store, planted, few, tmp_path, error):
    models = {"good": planted(), "bad": Broken(error, planted().preprocessing)}
    with pytest.raises(type(error)):
        openclef.benchmark(models, store, tmp_path / "out", tasks="tiny/age", baselines=(), **few)


@pytest.mark.parametrize("records", ["many", "", None, [3]])
def test_a_look_of_no_number_is_a_note(write_store, planted, few, tmp_path, capsys, records):
    store = write_store(tmp_path / "tiny")
    look = {
        "time": "2026-01-01",
        "store": "tiny",
        "task": "tiny/age",
        "model": "a",
        "label_share": 1,
        "subjects": 3,
    }
    (store.path / "looks.jsonl").write_text(json.dumps(look | {"records": records}) + "\n")
    ask = {"tasks": "tiny/age", "baselines": (), **few, "quiet": False}
    found = openclef.benchmark({"a": planted(0.2)}, store, tmp_path / "out", **ask)
    assert found.looks.empty
    notes = [each["note"] for each in found.about["notes"] if each["model"] == "looks"]
    assert len(notes) == 1
    assert "whose records is" in notes[0]
    assert notes[0] in capsys.readouterr().err
