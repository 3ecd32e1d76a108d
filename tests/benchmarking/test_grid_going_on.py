from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import openclef
from openclef.benchmarking import judging
from openclef.benchmarking.tables import TABLES
from openclef.database.conversion import convert as run_convert


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


def test_long_names_and_close_shares_have_folders_of_their_own(store, planted, few, tmp_path):
    ask = {"tasks": "tiny/age", "baselines": (), **few}
    models = {"x" * 300: planted(0.2), "x" * 299 + "y": planted(0.5), "é" * 200: planted(0.2)}
    found = openclef.benchmark(models, store, tmp_path / "out", label_shares=(0.3000001, 0.3000002), **ask)
    assert len(list((tmp_path / "out/cells").rglob("cell.json"))) == 6
    assert found.metrics["label_share"].nunique() == 2
