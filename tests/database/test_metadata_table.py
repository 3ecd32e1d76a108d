"""Columns of one's own tables: ids, numbers, sexes, splits and tasks."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from openclef.database.metadata_table import (
    describe_records,
    drop_implausible,
    numbers,
    plain_ids,
    read_table,
)


def describe(columns, **settings):
    return describe_records(pd.DataFrame(columns), **settings)


def test_ids_keep_their_zeros(tmp_path):
    (tmp_path / "a.csv").write_text("\ufeffid,who\n007,15709.0\n1e5,\n 8 ,NaN\n", encoding="utf-8")
    frame = read_table(tmp_path / "a.csv")
    assert frame.columns.tolist() == ["id", "who"]
    assert plain_ids(frame["id"]).tolist() == ["007", "1e5", "8"]
    assert plain_ids(frame["who"]).tolist() == ["15709", "", ""]


@given(st.lists(st.integers(0, 10**9), min_size=1, max_size=20))
def test_ids_as_numbers_or_text_are_the_same(ids):
    expected = [str(each) for each in ids]
    for column in (pd.Series(ids), pd.Series(ids, dtype=float), pd.Series(expected)):
        assert plain_ids(column).tolist() == expected


@given(st.lists(st.floats(allow_infinity=False, width=64), min_size=1, max_size=20))
def test_numbers_survive_the_text(values):
    np.testing.assert_array_equal(numbers(pd.Series([repr(value) for value in values])), values)


def test_numbers_refuse_words_and_infinity():
    for text in ("old", "inf", "12 years", "1,5"):
        with pytest.raises(ValueError, match="accepted are numbers and empty cells"):
            numbers(pd.Series(["1", text], name="age"))


def test_a_wrong_unit_is_an_error_and_a_slip_a_warning():
    records = pd.DataFrame({"height_cm": [170.0] * 99 + [6.0]})
    with pytest.warns(UserWarning, match="1 of 100 values of height_cm are outside 30 to 250, for example 6"):
        kept = drop_implausible(records)
    assert kept.height_cm.notna().sum() == 99
    with pytest.raises(ValueError, match=r"2 of 2 values of total_chol_mmol_l .* check the unit"):
        drop_implausible(pd.DataFrame({"total_chol_mmol_l": [213.0, 180.0]}))


def test_sex_codes():
    made, _ = describe({"sex": ["0", "1", "", "1.0"]}, sex_codes={"0": "male", "1": "female"})
    assert made.sex.tolist() == ["male", "female", "", "female"]
    with pytest.raises(ValueError, match="sex holds '0', '1'; accepted are male and female: pass sex_codes"):
        describe({"sex": ["0", "1", "", "1.0"]})


def test_splits_are_taken_or_made():
    made, _ = describe({"s": ["train", "Valid", "10", ""]}, split="s", split_codes={"10": "test"})
    assert made.split.tolist() == ["train", "val", "test", ""]
    with pytest.raises(
        ValueError, match="split column s holds '10'; accepted are train, val, test and empty"
    ):
        describe({"s": ["train", "10"]}, split="s")
    made, _ = describe({"who": [str(i % 50) for i in range(200)]}, subject_id="who")
    assert made.groupby("subject_id").split.nunique().max() == 1
    assert set(made.split) == {"train", "val", "test"}


@pytest.mark.parametrize(
    ("task", "message"),
    [
        ({"kind": "ranking", "column": "c"}, "accepted is {'kind': one of multilabel, multiclass"),
        ({"kind": "binary"}, "'column': a column of the table"),
        ({"kind": "binary", "column": "d"}, "no column for task t: d; it has c"),
        ({"kind": "binary", "column": "c"}, "holds 'a;b'; accepted are 1, 0, yes, no"),
        ({"kind": "regression", "column": "c"}, "accepted are numbers"),
        (
            {"kind": "regression", "column": "c", "separator": ";"},
            "separator is not accepted for the kind regression",
        ),
        ({"kind": "multiclass", "column": "c", "labels": ["b"]}, "holds 'a;b' beside the labels b"),
        ({"kind": "multilabel", "column": "c", "labels": ["b"]}, "holds 'a' beside the labels b"),
        (
            {"kind": "multilabel", "column": "c", "labels": ["a", "b"], "separator": ","},
            "check the separator",
        ),
    ],
)
def test_wrong_tasks_are_refused(task, message):
    with pytest.raises(ValueError, match=message):
        describe({"c": ["a;b", "b", ""]}, tasks={"t": task})


def test_multilabel_settings():
    columns = {"c": ["a; b", "c", ""]}
    task = {"kind": "multilabel", "column": "c", "labels": ["a", "b"], "others": "ignore"}
    made, tasks = describe(columns, tasks={"t": task})
    np.testing.assert_array_equal(made[list(tasks[0].columns)], [[1, 1], [np.nan] * 2, [np.nan] * 2])
    made, tasks = describe(columns, tasks={"t": task | {"empty_is_negative": True}})
    np.testing.assert_array_equal(made[list(tasks[0].columns)], [[1, 1], [0, 0], [0, 0]])


def test_binary_by_value():
    task = {"kind": "binary", "column": "c", "positive": ["AF", "AFL"]}
    made, _ = describe({"c": ["AF", "SR", "", "AFL"]}, tasks={"t": task})
    np.testing.assert_array_equal(made["t"], [1, 0, np.nan, 1])


def test_renamed_columns_are_kept_and_others_are_not():
    columns = {"hr": ["60", "61"], "note": ["x", "y"], "ward": ["A", "B"]}
    made, _ = describe(columns, rename={"hr": "heart_rate_bpm", "ward": "ward"})
    assert made.columns.tolist() == ["record_id", "subject_id", "split", "heart_rate_bpm", "ward"]
    assert made.heart_rate_bpm.tolist() == [60.0, 61.0]
    assert made.ward.tolist() == ["A", "B"]
    with pytest.raises(ValueError, match="rename gives ward to two columns"):
        describe(columns, rename={"hr": "ward"})


def test_tables_that_are_none(tmp_path):
    (tmp_path / "a.csv").write_text("")
    with pytest.raises(ValueError, match="is no table"):
        read_table(tmp_path / "a.csv")
    (tmp_path / "a.csv").write_text("a,b\n1,2\n1,2,3,4\n")
    with pytest.raises(ValueError, match="is no table"):
        read_table(tmp_path / "a.csv")


def test_tables_that_are_not_utf_8_or_name_a_column_twice_are_refused(tmp_path):
    path = tmp_path / "a.csv"
    for encoding in ("latin-1", "utf-16", "utf-16-le"):
        path.write_bytes("id,Größe\n1,170\n".encode(encoding))
        with pytest.raises(ValueError, match=r"a.csv is no UTF-8 text .*; save it as UTF-8"):
            read_table(path)
    path.write_text("id,age,age\n1,50,60\n")
    with pytest.raises(ValueError, match=r"a.csv has several columns 'age'; give each"):
        read_table(path)
    path.write_text("id,age,,\n1,50,,\n")
    assert read_table(path)["age"].tolist() == ["50"]
