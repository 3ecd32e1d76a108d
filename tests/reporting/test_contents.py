"""What is found, what is kept once, and what is refused."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from openclef.reporting.contents import find_contents, origin

SHORT = {
    "model": "m",
    "task": "t",
    "metric": "auroc",
    "value": 0.7,
}  # a row of the columns that must be there


def test_finds_runs_results_and_stores(reported) -> None:
    found = find_contents([reported])
    assert [(run.label, run.finished) for run in found.runs] == [
        ("clef", True),
        ("simclr", True),
        ("unfinished", False),
    ]
    assert len(found.stores) == 1
    assert all(run.stores[0] is found.stores[0] and not run.missing for run in found.runs)
    assert len(found.runs[0].history) == 2
    once = found.metrics.query("task == 'small/old' and metric == 'auroc'")
    assert sorted(once["model"]) == ["age_sex", "clef", "random_encoder", "simclr", "simclr + age_sex"]
    assert set(once["split"]) == {"test"}, "the row that says its split is kept"


def test_the_same_folder_twice_is_found_once(reported) -> None:
    assert len(find_contents([reported, reported / "clef", reported]).runs) == 3


def test_runs_of_one_name_are_told_apart(reported, tmp_path) -> None:
    for place in ("a", "b"):
        shutil.copytree(reported / "clef", tmp_path / place / "clef")
    assert [run.label for run in find_contents([tmp_path]).runs] == ["a/clef", "b/clef"]


def test_values_that_differ_are_both_kept(tmp_path, row, save_rows) -> None:
    save_rows(tmp_path / "a", [row("m", 0.7)], split="test")
    save_rows(tmp_path / "b", [row("m", 0.71)], split="test")
    save_rows(tmp_path / "c", [row("m", 0.7)], split="val")
    assert len(find_contents([tmp_path]).metrics) == 3


def test_a_moved_store_is_found_beside_its_runs(reported, tmp_path) -> None:
    shutil.copytree(reported, tmp_path / "moved")
    config = tmp_path / "moved" / "clef" / "config.json"
    text = json.loads(config.read_text())
    text["stores"][0]["path"] = "/no/such/place"
    config.write_text(json.dumps(text))
    run = find_contents([tmp_path / "moved"]).runs[0]
    assert run.stores[0].path == tmp_path / "moved" / "store"


def test_a_store_that_is_away_is_named_and_can_be_given(reported, small, tmp_path) -> None:
    shutil.copytree(reported / "clef", tmp_path / "clef")
    config = tmp_path / "clef" / "config.json"
    text = json.loads(config.read_text())
    text["stores"][0]["path"] = "/no/such/place"
    config.write_text(json.dumps(text))
    run = find_contents([tmp_path]).runs[0]
    assert not run.stores
    assert "/no/such/place" in run.missing[0]
    assert "--stores" in run.missing[0]
    run = find_contents([tmp_path], [small]).runs[0]
    assert run.stores == [small]
    assert not run.missing


def test_what_is_no_evaluation_is_passed_over_and_said(tmp_path) -> None:
    (tmp_path / "metrics.json").write_text('{"loss": 3}')
    assert "passed over" in find_contents([tmp_path]).notes[0]


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("metrics.json", "[{", "metrics.json is damaged"),
        ("metrics.json", json.dumps([SHORT | {"value": "high"}]), "column value"),
        ("metrics.json", json.dumps([SHORT | {"model": None}]), "column model"),
        ("metrics.json", json.dumps([SHORT, SHORT | {"task": 3}]), "column task"),
        ("config.json", "{", "config.json is damaged"),
        ("evaluation.json", "{", "evaluation.json is damaged"),
    ],
)
def test_damaged_files_are_named(tmp_path, name, text, message) -> None:
    (tmp_path / "metrics.json").write_text(json.dumps([SHORT]))
    (tmp_path / name).write_text(text)
    with pytest.raises(ValueError, match=message):
        find_contents([tmp_path])


@pytest.mark.parametrize("text", ["", "epoch,loss\n1,two\n", "loss\n1\n", "epoch,loss\n,2\n"])
def test_damaged_curves_are_named(reported, tmp_path, text) -> None:
    shutil.copytree(reported / "clef", tmp_path / "clef")
    (tmp_path / "clef" / "metrics.csv").write_text(text)
    with pytest.raises(ValueError, match=r"metrics\.csv is damaged"):
        find_contents([tmp_path])


@pytest.mark.parametrize(
    ("group", "setting", "value"),
    [
        ("", "batch_size", 0),
        ("", "epochs", "two"),
        ("", "lead", None),
        ("views", "mask_share", None),
        ("views", "noise_level_mv", None),
        ("views", "same_lead_probability", None),
        ("views", "crop_s", "8"),
        ("preprocessing", "fs", None),
        ("preprocessing", "band", [1]),
        ("optimisation", "learning_rate", "fast"),
        ("stores", "windows", "many"),
    ],
)
def test_settings_of_a_wrong_kind_are_named_with_their_file(
    reported, tmp_path, group, setting, value
) -> None:
    config = json.loads((reported / "clef" / "config.json").read_text())
    of_group = config["stores"][0] if group == "stores" else config[group] if group else config
    of_group[setting] = value
    (tmp_path / "config.json").write_text(json.dumps(config))
    with pytest.raises(ValueError, match=rf"config\.json is damaged \(.*{setting}"):
        find_contents([tmp_path])


@pytest.mark.parametrize("file", ["dataset.json", "records.parquet"])
def test_a_damaged_store_is_passed_over_and_said(reported, tmp_path, file) -> None:
    shutil.copytree(reported, tmp_path / "all")
    _cut(tmp_path / "all" / "store" / file)
    config = tmp_path / "all" / "clef" / "config.json"
    settings = json.loads(config.read_text())
    settings["stores"][0]["path"] = "store"
    config.write_text(json.dumps(settings))
    found = find_contents([tmp_path / "all"])
    assert "damaged and was passed over" in found.notes[0]
    assert file in found.notes[0]
    assert "damaged" in found.runs[0].missing[0], "the run says why it has no store"
    assert not found.runs[0].stores
    assert len(found.metrics)


def _cut(file: Path) -> None:
    content = file.read_bytes()
    file.write_bytes(content[: len(content) // 2])


def test_nothing_to_report(tmp_path) -> None:
    with pytest.raises(ValueError, match="nothing to report"):
        find_contents([tmp_path])
    (tmp_path / "file").write_text("")
    with pytest.raises(NotADirectoryError, match="is a file"):
        find_contents([tmp_path / "file"])


def test_where_ecgs_come_from() -> None:
    assert origin("mine", {"title": "Simulated cohort"}) == "simulated"
    assert origin("mine", {"source": "simulated by openclef"}) == "simulated"
    assert origin("semi_synthetic", {"title": "PTB-XL"}) == "semi-synthetic"
    assert origin("ptb_xl", {"title": "PTB-XL", "source": "PhysioNet"}) == ""
