"""Plans, and the split by subject."""

from __future__ import annotations

import importlib
import inspect
import json
import re
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import openclef
from openclef.cli import main
from openclef.database import DATABASES
from openclef.database.plan import label_matrix, split_by_subject, where_to_get
from tests.eighteen_tasks import BEYOND, EIGHTEEN, SMALL

DOCS = Path(__file__).resolve().parents[2] / "docs/databases"
PUBLISHED = [name for name, database in DATABASES.items() if database.url]


@pytest.mark.parametrize("name", DATABASES)
def test_every_database_states_its_facts(name):
    database = DATABASES[name]
    assert database.name == name
    assert database.title
    assert database.access
    if database.url:
        assert database.licence
        assert database.size
        assert database.citation
        assert database.url in where_to_get(database)
    assert next(iter(inspect.signature(database.plan).parameters)) == "src"


@given(st.lists(st.text(max_size=5), max_size=30))
def test_a_subject_is_always_on_one_side(subjects):
    sides = dict(zip(subjects, split_by_subject(subjects).tolist()))
    other = [*reversed(subjects), *subjects]
    assert [sides[subject] for subject in other] == split_by_subject(other).tolist()


def test_shares_of_the_split():
    splits = split_by_subject(range(20000))
    for side, share in (("train", 0.6), ("val", 0.2), ("test", 0.2)):
        assert abs(np.mean(splits == side) - share) < 0.015
    assert set(split_by_subject(range(100), shares=(1.0, 0.0, 0.0))) == {"train"}
    for shares in ((0.6, 0.2, 0.3), (1.2, -0.2, 0.0)):
        with pytest.raises(ValueError, match="add up to 1"):
            split_by_subject(["a"], shares=shares)


def test_no_label_takes_no_part():
    np.testing.assert_array_equal(
        label_matrix([set(), {"x"}, {"b", "a"}], "ab"), [[np.nan] * 2, [np.nan] * 2, [1, 1]]
    )
    assert label_matrix([], ["a"]).shape == (0, 1)


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize("name", PUBLISHED)
def test_a_plan_declares_what_its_database_and_its_page_name(name, tmp_path):
    importlib.import_module(f"tests.layouts.{name}").write(tmp_path)
    declared = DATABASES[name].plan(tmp_path).tasks
    assert DATABASES[name].tasks == tuple(task.name for task in declared)
    page = (DOCS / f"{name}.md").read_text()
    for task in declared:
        if task.kind == "regression":
            assert task.unit in page
        elif len(task.labels) > 38 or task.name in ("ptb_xl/subdiagnostic", "ptb_xl/form", "ptb_xl/rhythm"):
            assert f"| `{task.name}` | {len(task.labels)} |" in page
        else:
            for label in task.labels:
                assert re.search(rf"(?<!\w){re.escape(label)}(?!\w)", page), label


def test_the_published_databases_declare_the_eighteen_tasks_and_two():
    assert {name for name in PUBLISHED if DATABASES[name].tasks} == set(SMALL)
    declared = [task for database in DATABASES.values() for task in database.tasks]
    assert len(EIGHTEEN) == 18
    assert sorted(declared) == sorted((*EIGHTEEN, *BEYOND))


def test_the_command_line_lists_the_eighteen_tasks_and_two(capsys):
    assert main(["list", "tasks", "--json", "true"]) == 0
    listed = {row["name"]: row["database"] for row in json.loads(capsys.readouterr().out)}
    for task in (*EIGHTEEN, *BEYOND):
        assert listed[task] == task.split("/")[0]
    others = set(listed) - {*EIGHTEEN, *BEYOND}
    assert all(task.startswith("sim/") for task in others)


@pytest.mark.parametrize("name", PUBLISHED)
def test_a_missing_folder_says_where_to_get_the_data(name, tmp_path):
    """Whether the folder is not there, or holds nothing: address, access, size and licence."""
    database = DATABASES[name]
    (tmp_path / "empty").mkdir()
    for folder in (tmp_path / "nowhere", tmp_path / "empty"):
        with pytest.raises(FileNotFoundError) as raised:
            openclef.convert(name, folder, tmp_path / "store", progress=False)
        told = str(raised.value)
        assert str(folder) in told
        for fact in (database.title, database.access, database.url, database.size, database.licence):
            assert fact
            assert fact in told
        assert not (tmp_path / "store").exists()
