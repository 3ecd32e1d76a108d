"""A table of one's own converted once: when its store is used again, when made anew, and what is refused."""

from __future__ import annotations

import json
import threading

import pytest

from openclef.checking import check
from openclef.database import own_table
from openclef.database.own_table import find_task, is_table, store_of_table
from tests.layouts import files

OPTIONS = {"leads": ["I"], "lead_names": {"ECG": "I"}, "workers": 1}


@pytest.fixture
def table(tmp_path):
    files.write(tmp_path / "own", files=5)
    return tmp_path / "own" / "ecgs.csv"


@pytest.fixture
def conversions(monkeypatch):
    """The settings of each conversion that is done."""
    done = []
    original = own_table.convert

    def convert(*given, **settings):
        done.append(settings)
        return original(*given, **settings)

    monkeypatch.setattr(own_table, "convert", convert)
    return done


def made(table, dst, options=None):
    return store_of_table(table, dst, OPTIONS | (options or {}), quiet=True)


def test_it_is_converted_once_while_table_and_options_stay(table, tmp_path, conversions, capsys):
    dst = tmp_path / "runs" / "mine-store"
    store = store_of_table(table, dst, OPTIONS)
    assert f"ecgs.csv: its store is {dst}" in capsys.readouterr().err
    assert (len(store), list(store.tasks)) == (
        5,
        ["ecgs/af", "ecgs/rhythm", "ecgs/findings", "ecgs/ef"],
    )
    assert check(store).ok, str(check(store))
    again = store_of_table(table, dst, OPTIONS | {"workers": 2})
    assert again.info == store.info
    assert f"ecgs.csv: unchanged, and its store {dst} is used again" in capsys.readouterr().err
    assert len(conversions) == 1
    made(table, dst)
    assert capsys.readouterr().err == ""


def test_another_table_or_other_options_replace_it(table, tmp_path, conversions):
    dst = tmp_path / "store"
    assert made(table, dst).fs == 500
    assert made(table, dst, {"fs": 250}).fs == 250
    table.write_text(table.read_text().replace("paced", "SR"))
    assert made(table, dst, {"fs": 250}).tasks["ecgs/rhythm"].labels == ("AF", "SR")
    assert len(conversions) == 3
    assert check(dst).ok, str(check(dst))
    made(table, dst, {"fs": 250})
    assert len(conversions) == 3
    made(table, dst, {"fs": 250, "overwrite": True})
    assert len(conversions) == 4
    made(table, dst, {"fs": 250})
    assert len(conversions) == 4


def test_a_copy_of_the_table_elsewhere_names_other_files(table, tmp_path, conversions):
    made(table, tmp_path / "store")
    files.write(tmp_path / "other", files=5)
    made(tmp_path / "other" / "ecgs.csv", tmp_path / "store")
    assert len(conversions) == 2


def test_what_was_stopped_goes_on_and_with_other_options_begins_anew(table, tmp_path, conversions):
    dst = tmp_path / "store"
    with pytest.raises(ValueError, match=r"it has ECG: pass lead_names"):
        store_of_table(table, dst, {"workers": 1}, quiet=True)
    assert (dst / "_parts").is_dir()
    with pytest.raises(ValueError, match=r"it has ECG: pass lead_names"):
        store_of_table(table, dst, {"workers": 1}, quiet=True)
    assert [settings["overwrite"] for settings in conversions] == [False, False]
    kept = {"workers": 1, "max_skipped_share": 0.5}
    assert len(store_of_table(table, dst, kept, quiet=True)) == 4
    assert len(made(table, dst)) == 5
    assert [settings["overwrite"] for settings in conversions] == [False, False, True, True]
    assert check(dst).ok, str(check(dst))


def test_killed_between_the_store_and_its_note_it_is_made_again(table, tmp_path, conversions):
    dst = tmp_path / "store"
    made(table, dst)
    note = json.loads((dst / own_table.MADE_FROM).read_text())
    (dst / own_table.MADE_FROM).write_text(json.dumps(note | {"records_sha256": ""}))
    assert len(made(table, dst)) == 5
    assert len(conversions) == 2
    assert json.loads((dst / own_table.MADE_FROM).read_text()) == note


def test_a_store_of_another_origin_is_left_alone(table, tmp_path, make_store):
    store = make_store(tmp_path / "small", subjects=4)
    with pytest.raises(FileExistsError, match="holds a finished store"):
        made(table, store.path)
    assert not (store.path / own_table.MADE_FROM).exists()
    dst = tmp_path / "store"
    made(table, dst)
    for file in ("dataset.json", "records.parquet", "signals-00000.npy"):
        (dst / file).write_bytes((store.path / file).read_bytes())
    with pytest.raises(FileExistsError, match="holds a finished store"):
        made(table, dst)
    assert len(made(table, dst, {"overwrite": True})) == 5
    (tmp_path / "file").write_text("")
    with pytest.raises(FileExistsError, match="is a file"):
        made(table, tmp_path / "file")


def test_of_several_processes_one_converts(table, tmp_path, conversions, monkeypatch):
    monkeypatch.setattr(own_table, "_PAUSE_S", 0.01)
    found = []
    threads = [
        threading.Thread(target=lambda: found.append(len(made(table, tmp_path / "store")))) for _ in range(3)
    ]
    for each in threads:
        each.start()
    for each in threads:
        each.join(60)
    assert found == [5, 5, 5]
    assert len(conversions) == 1


def test_what_is_no_table_of_labelled_files_is_refused(table, tmp_path):
    dst = tmp_path / "store"
    for wrong, error, message in (
        (tmp_path / "none.csv", FileNotFoundError, r"none\.csv is missing; pass the CSV file that lists"),
        (table.parent, FileNotFoundError, "own is a folder; pass the CSV file that lists your files"),
    ):
        with pytest.raises(error, match=message):
            made(wrong, dst)
    for options, message in (
        ({"colour": 1}, "option colour is unknown to files"),
        ({"dst": "x"}, "options hold dst"),
        ({"fs": "fast"}, "accepted is a number"),
        ({"labels": {"af": "ordinal"}}, "af is 'ordinal'"),
    ):
        with pytest.raises(ValueError, match=message):
            made(table, dst, options)
        assert not dst.exists()
    with pytest.raises(ValueError, match=r"options is \['af'\]; accepted is a mapping"):
        store_of_table(table, dst, ["af"])
    rows = table.read_text().splitlines()
    table.write_text("\n".join(",".join(row.split(",")[:7]) for row in rows) + "\n")
    with pytest.raises(ValueError, match=r"ecgs\.csv has no column of labels; add one, for example af"):
        made(table, dst)
    table.write_text("\n".join(rows) + "\n")
    assert len(made(table, dst)) == 5, "what failed before does not stand in the way"


def test_a_task_by_the_columns_name(table, tmp_path):
    table.write_text(table.read_text().replace(",rhythm,", ",x/af,"))
    store = made(table, tmp_path / "store")
    assert find_task(store, "ef") == "ecgs/ef"
    assert find_task(store, "ecgs/af") == "ecgs/af"
    with pytest.raises(ValueError, match="task is 'af', which several tasks end in"):
        find_task(store, "af")
    with pytest.raises(ValueError, match=r"task is 'f', which is none; .* declares ecgs/af, ecgs/x/af, ecgs"):
        find_task(store, "f")


def test_tables_are_known_by_their_ending():
    assert [is_table(each) for each in ("a.csv", "a.CSV", "a.tsv", "a", "a.parquet", ["a.csv"], None)] == [
        *(True, True, True),
        *(False,) * 4,
    ]
