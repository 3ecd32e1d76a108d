"""What is found, what is kept once, and what is refused."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from openclef.reporting.contents import find_contents, origin


def _rows(folder: Path, *rows: dict, split: str | None = None) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "metrics.json").write_text(json.dumps(list(rows)))
    if split is not None:
        about = {"model": "m", "split": split, "settings": [], "note": ""}
        (folder / "evaluation.json").write_text(json.dumps(about))


def _row(model: str = "m", value: float = 0.7, **more) -> dict:
    return {"model": model, "task": "t", "metric": "auroc", "value": value} | more


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


def test_values_that_differ_are_both_kept(tmp_path) -> None:
    _rows(tmp_path / "a", _row(), split="test")
    _rows(tmp_path / "b", _row(value=0.71), split="test")
    _rows(tmp_path / "c", _row(), split="val")
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
        ("metrics.json", json.dumps([_row(value="high")]), "column value"),
        ("config.json", "{", "config.json is damaged"),
        ("evaluation.json", "{", "evaluation.json is damaged"),
    ],
)
def test_damaged_files_are_named(tmp_path, name, text, message) -> None:
    _rows(tmp_path, _row())
    (tmp_path / name).write_text(text)
    with pytest.raises(ValueError, match=message):
        find_contents([tmp_path])


@pytest.mark.parametrize("text", ["", "epoch,loss\n1,two\n", "loss\n1\n"])
def test_damaged_curves_are_named(reported, tmp_path, text) -> None:
    shutil.copytree(reported / "clef", tmp_path / "clef")
    (tmp_path / "clef" / "metrics.csv").write_text(text)
    with pytest.raises(ValueError, match=r"metrics\.csv is damaged"):
        find_contents([tmp_path])


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
