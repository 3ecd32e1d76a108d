from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from openclef.protocol.cohort import gather_records, target_of
from openclef.record import Record
from openclef.store import StoreWriter
from openclef.task import Task

FORM = Task("tiny/form", "multilabel", ("A", "B"), ("tiny/form/A", "tiny/form/B"))
RHYTHM = Task("tiny/rhythm", "multiclass", ("N", "AF"), ("tiny/rhythm",))


def write(
    folder, rows, *, name="tiny", namespace="", tasks=(FORM, RHYTHM), leads=("I",), seconds=2.0, length=2.0
):
    writer = StoreWriter(
        folder,
        name=name,
        scale=0.001,
        fs=50,
        leads=leads,
        seconds=seconds,
        subject_namespace=namespace,
        tasks=tasks,
    )
    signal = np.sin(np.arange(round(50 * length)))[None].repeat(len(leads), 0)
    records = [Record(signal, 50, leads, row["record_id"]) for row in rows]
    writer.write_part(0, records, rows)
    return writer.finish()


def row(record_id, split, a=0.0, b=0.0, rhythm="N", **more):
    labels = {"tiny/form/A": a, "tiny/form/B": b, "tiny/rhythm": rhythm}
    return (
        {"record_id": record_id, "subject_id": f"s{record_id}", "split": split, "age_years": 50.0}
        | labels
        | more
    )


def test_records_without_target_or_split_are_left_out(tmp_path):
    rows = [
        row("1", "train", 1, 0),
        row("2", "", 1, 1),
        row("3", "test", np.nan, np.nan),
        row("4", "test", np.nan, 1),
    ]
    cohort = gather_records(write(tmp_path / "a", rows), "tiny/form")
    assert cohort.records["record_id"].tolist() == ["1", "4"]
    np.testing.assert_array_equal(cohort.target, [[1, 0], [np.nan, 1]])
    assert cohort.mask("test").tolist() == [False, True]
    rows_of_store, record = cohort.windows[0]
    assert rows_of_store.tolist() == [0, 3]
    assert record.tolist() == [0, 1]


def test_classes_become_one_column_each(tmp_path):
    rows = [row("1", "train", rhythm="AF"), row("2", "test", rhythm=""), row("3", "test", rhythm="N")]
    cohort = gather_records(str(write(tmp_path / "a", rows).path), "tiny/rhythm")
    np.testing.assert_array_equal(cohort.target, [[0, 1], [1, 0]])
    unknown = write(tmp_path / "b", [row("1", "train", rhythm="X")])
    with pytest.raises(ValueError, match="has classes X; it declares N, AF"):
        gather_records(unknown, "tiny/rhythm")


def test_windows_of_a_record_are_one_record(tmp_path):
    rows = [row("1", "train", 1), row("2", "test")]
    cohort = gather_records(write(tmp_path / "a", rows, length=6.0), "tiny/form")
    assert len(cohort.records) == 2
    assert cohort.windows[0][1].tolist() == [0, 0, 0, 1, 1, 1]


def test_stores_of_the_same_people_are_pooled_without_copies(tmp_path):
    first = write(tmp_path / "a", [row("1", "train"), row("2", "test", 1)], namespace="people")
    second = write(
        tmp_path / "b", [row("2", "test", 0), row("3", "test", 0)], name="other", namespace="people"
    )
    with pytest.warns(UserWarning, match=r"1 records stand in more than one store \(2"):
        cohort = gather_records([first, second], "tiny/form")
    assert cohort.records["record_id"].tolist() == ["1", "2", "3"]
    assert cohort.records["store"].tolist() == ["tiny", "tiny", "other"]
    assert cohort.target[1].tolist() == [1, 0]
    assert [windows[0].tolist() for windows in cohort.windows] == [[0, 1], [1]]
    assert [windows[1].tolist() for windows in cohort.windows] == [[0, 1], [2]]


def test_equal_ids_of_other_people_are_other_records(tmp_path):
    stores = [write(tmp_path / name, [row("1", split)]) for name, split in (("a", "train"), ("b", "train"))]
    assert (
        len(
            gather_records(
                [stores[0], write(tmp_path / "c", [row("1", "test")], name="c")], "tiny/form"
            ).records
        )
        == 2
    )
    with pytest.warns(UserWarning, match="more than one store"):
        pooled = gather_records(stores, "tiny/form")
    assert set(pooled.records["store"]) == {"tiny (a)"}


def test_a_subject_on_both_sides_is_refused(tmp_path):
    rows = [row("1", "train", subject_id="x"), row("2", "test", subject_id="x"), row("3", "test")]
    with pytest.raises(ValueError, match=r"1 subjects have records in two splits \(tiny:x\)"):
        gather_records(write(tmp_path / "a", rows), "tiny/form")
    first = write(tmp_path / "b", [row("1", "train", subject_id="x")], namespace="people")
    second = write(tmp_path / "c", [row("9", "val", subject_id="x")], namespace="people")
    with pytest.raises(ValueError, match="people:x"):
        gather_records([first, second], "tiny/form")
    outside = [row("1", "train", subject_id="x"), row("2", "", subject_id="x")]
    assert len(gather_records(write(tmp_path / "d", outside), "tiny/form").records) == 1


def test_stores_that_do_not_fit_are_refused(tmp_path):
    store = write(tmp_path / "a", [row("1", "train")])
    with pytest.raises(ValueError, match="declares tiny/form, tiny/rhythm"):
        gather_records(store, "tiny/other")
    with pytest.raises(ValueError, match="available leads: I"):
        gather_records(store, "tiny/form", lead="V2")
    other = write(
        tmp_path / "b",
        [row("5", "train")],
        tasks=(Task("tiny/rhythm", "multiclass", ("N",), ("tiny/rhythm",)),),
    )
    with pytest.raises(ValueError, match="other kinds, labels or units"):
        gather_records([store, other], "tiny/rhythm")


def test_targets_that_the_kind_cannot_have_are_refused():
    binary = Task("a/af", "binary", ("af",), ("af",))
    sbp = Task("a/sbp", "regression", ("sbp",), ("sbp",))
    assert np.isnan(target_of(pd.DataFrame({"af": [0.0, 1.0, np.nan]}), binary)[2, 0])
    for value in (2.0, 0.5, -1.0, np.inf):
        with pytest.raises(ValueError, match=r"a/af is binary and has the value .*; accepted are 0 and 1"):
            target_of(pd.DataFrame({"af": [0.0, 1.0, value]}), binary)
    with pytest.raises(ValueError, match="a/sbp is regression and has the value inf"):
        target_of(pd.DataFrame({"sbp": [120.0, np.inf]}), sbp)
