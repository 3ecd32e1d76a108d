"""Plans, and the split by subject."""

from __future__ import annotations

import importlib
import inspect

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from openclef.database import DATABASES
from openclef.database.plan import label_matrix, split_by_subject, where_to_get


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
def test_databases_name_the_tasks_that_their_plans_declare(tmp_path, ptb_xl_folder):
    challenge = tmp_path / "training2017"
    challenge.mkdir()
    (challenge / "REFERENCE-v3.csv").write_text("A00001,N\n")
    (challenge / "A00001.hea").write_text("A00001 1 300 9000\n")
    sources = {"ptb_xl": ptb_xl_folder(), "cinc2017": challenge}
    for name, database in DATABASES.items():
        declared = ()
        if name not in ("files", "wfdb_folder", "table"):  # whose options say
            if name not in sources:
                sources[name] = tmp_path / name
                importlib.import_module(f"tests.layouts.{name}").write(sources[name])
            declared = database.plan(sources[name]).tasks
        assert database.tasks == tuple(task.name for task in declared), name
    assert len(DATABASES["ptb_xl"].tasks) == 5
