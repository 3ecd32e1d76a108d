from __future__ import annotations

import json
import shutil

import pandas as pd
import pytest

import openclef
from openclef.benchmarking import judging
from openclef.benchmarking.tables import TABLES

FILES = ("cell.json", "metrics.json", "evaluation.json", "predictions.parquet")


@pytest.fixture(scope="module")
def ask(store, few):
    """A benchmark of one cell."""
    return {"stores": store, "tasks": "tiny/labels", "baselines": (), "by": (), **few, "quiet": False}


@pytest.fixture(scope="module")
def done(ask, planted, tmp_path_factory):
    """Its folder; copy it, do not change it."""
    out = tmp_path_factory.mktemp("judging") / "out"
    openclef.benchmark({"a": planted(0.2), "b": planted(1.0)}, out=out, **ask)
    return out


@pytest.fixture
def again(ask, done, planted, tmp_path, monkeypatch, capsys):
    """Calls it again in a copy: which cells were judged, and what was printed."""
    shutil.copytree(done, tmp_path / "out")
    judged = []
    evaluate = judging.evaluate
    monkeypatch.setattr(
        judging,
        "evaluate",
        lambda *given, **settings: judged.append(settings["name"]) or evaluate(*given, **settings),
    )

    def call():
        judged.clear()
        openclef.benchmark({"a": planted(0.2), "b": planted(1.0)}, out=tmp_path / "out", **ask)
        for name in set(TABLES) - {"looks"}:
            expected = pd.read_csv(done / f"{name}.csv", keep_default_na=False)
            pd.testing.assert_frame_equal(
                pd.read_csv(tmp_path / "out" / f"{name}.csv", keep_default_na=False), expected
            )
        return list(judged), capsys.readouterr().err

    return call


@pytest.fixture
def cell(tmp_path):
    """Folder of a's cell in the copy."""
    return tmp_path / "out/cells/tiny/labels/I/probe/1/a"


def flip(file):
    content = bytearray(file.read_bytes())
    digit = max(place for place, byte in enumerate(content) if byte in b"0123456789")
    content[digit] = ord("1") if content[digit] != ord("1") else ord("2")
    file.write_bytes(content)


def replace_by_folder(file):
    file.unlink()
    (file / "inside").mkdir(parents=True)


DAMAGES = {
    "flipped": flip,
    "list": lambda file: file.write_text("[]"),
    "mapping": lambda file: file.write_text("{}"),
    "null": lambda file: file.write_text("null"),
    "empty": lambda file: file.write_bytes(b""),
    "binary": lambda file: file.write_bytes(b"\x80\xff\x00"),
    "deep": lambda file: file.write_text("[" * 100_000),
    "folder": replace_by_folder,
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_each_damage_of_each_file_is_noticed(again, cell, damage):
    for name in FILES:
        if (name, damage) == ("cell.json", "flipped"):
            continue  # its last digit is that of the version, which does not count
        DAMAGES[damage](cell / name)
        judged, printed = again()
        assert judged == ["a"], name
        assert "clef" not in printed
        assert ": a: judged anew, " in printed
    assert again()[0] == []


@pytest.mark.parametrize(
    "wrong",
    [
        {"seconds": "long"},
        {"seconds": None},
        {"seconds": float("nan")},
        {"predictions_sha256": 3},
        {"predictions_sha256": "0" * 64},
        {"sha256": [1]},
        {"sha256": None},
        {"sha256": {"metrics.json": 3}},
        {"sha256": {"../a": "0"}},
        {"key": []},
        {"key": None},
    ],
)
def test_wrong_values_in_cell_json(again, cell, wrong):
    noted = json.loads((cell / "cell.json").read_text())
    (cell / "cell.json").write_text(json.dumps(noted | wrong))
    judged, printed = again()
    assert judged == ["a"]
    assert "a: judged anew" in printed


def test_a_file_where_the_folder_was(again, cell):
    shutil.rmtree(cell)
    cell.write_text("no folder")
    assert again()[0] == ["a"]


def test_a_cell_of_an_older_version_stays(again, cell):
    noted = json.loads((cell / "cell.json").read_text())
    del noted["sha256"]
    (cell / "cell.json").write_text(json.dumps(noted))
    assert again()[0] == []
    for wrong in ("[]", "{}", "null", '[{"model": 1}]', "[1]"):
        content = (cell / "metrics.json").read_text()
        (cell / "metrics.json").write_text(wrong)
        assert again()[0] == ["a"]
        (cell / "cell.json").write_text(json.dumps(noted))
        assert (cell / "metrics.json").read_text() == content
    (cell / "evaluation.json").write_text('{"note": 1}')
    assert again()[0] == ["a"]


@pytest.mark.parametrize("damage", DAMAGES)
def test_damaged_values_of_the_tables_are_computed_anew(again, tmp_path, damage):
    kept = sorted((tmp_path / "out/cache/tables").glob("*.json"))
    assert len(kept) > 3
    before = {file: file.read_text() for file in kept}
    for file in kept:
        DAMAGES[damage](file)
    assert again()[0] == []  # the fixture compares the tables
    assert {file: file.read_text() for file in kept} == before
