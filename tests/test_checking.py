from __future__ import annotations

import json
from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest

from openclef.checking import check
from openclef.record import Record
from openclef.shards import MISSING, sha256_of
from openclef.store import Store, StoreWriter, Task

TASKS = [
    Task("t/multi", "multilabel", ("A", "B"), ("t/multi/A", "t/multi/B")),
    Task("t/class", "multiclass", ("x", "y"), ("t/class",)),
    Task("t/sbp", "regression", ("sbp",), ("sbp_mmhg",), unit="mmHg"),
]


@pytest.fixture
def store(tmp_path) -> Store:
    toy = StoreWriter(tmp_path, name="toy", scale=0.001, fs=100, leads=("I", "II"), seconds=2, tasks=TASKS)
    rng = np.random.default_rng(0)
    for part in range(2):
        numbers = range(part * 5, part * 5 + 5)
        records = [
            Record(
                rng.normal(size=(2, 150 if n == 3 else 200)),
                100,
                ("I", "II"),
                f"r{n}",
                subject_id=f"s{n // 2}",
            )
            for n in numbers
        ]
        columns = [
            {
                "split": "train" if n < 6 else "test",
                "age_years": 50 + n,
                "sex": "male" if n < 4 else "female",
                "smoker": n % 2,
                "sbp_mmhg": 120.0,
                "t/multi/A": n % 2,
                "t/multi/B": None,
                "t/class": "x",
            }
            for n in numbers
        ]
        assert toy.write_part(part, records, columns) == []
    finished = toy.finish()
    finished.add_risk("age")
    return finished


def rewrite(store: Store, change: Callable[[pd.DataFrame], object]) -> None:
    """Change the records and keep the hashes right, so that only the invariant is broken."""
    frame = store.records.copy()
    changed = change(frame)
    frame = changed if isinstance(changed, pd.DataFrame) else frame
    frame.to_parquet(store.path / "records.parquet", index=False)
    fingerprint = {"records_sha256": sha256_of(store.path / "records.parquet")}
    for file in (store.path / "dataset.json", store.path / "risk" / "age.json"):
        file.write_text(json.dumps(json.loads(file.read_text()) | fingerprint))


def test_a_sound_store_has_no_problem(store):
    report = check(store)
    assert report.ok
    assert report.problems == []
    assert report.linkage is None
    assert str(report) == f"{store.path}: sound"
    assert check(str(store.path)).ok


def put(column: str, row: int, value: object) -> Callable[[pd.DataFrame], None]:
    def change(frame: pd.DataFrame) -> None:
        frame.loc[row, column] = value

    return change


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (put("split", 1, "valid"), "column split: valid; accepted are 'train', 'val', 'test', ''"),
        (put("split", 1, "test"), "column split: 1 subjects stand on more than one split: s0"),
        (put("record_id", 1, "r0"), "column record_id: 1 windows stand there twice, of records r0"),
        (put("record_id", 1, ""), "column record_id: empty in some rows"),
        (put("subject_id", 1, ""), "column subject_id: empty in some rows"),
        (put("sex", 1, "M"), "column sex: M; accepted are 'female', 'male', ''"),
        (put("sex", 1, "female"), "column sex: 1 subjects are both female and male: s0"),
        (put("age_years", 1, 300.0), "column age_years: 1 values outside 0 to 125, such as 300"),
        (put("sbp_mmhg", 1, 16.0), "column sbp_mmhg: 1 values outside 30 to 350, such as 16"),
        (put("smoker", 1, 0.5), "column smoker: values other than 0, 1 and NaN"),
        (put("seconds", 1, 0.0), "column seconds: outside 0 to 2 in some rows"),
        (put("seconds", 1, 1.0), "column flags: 1 rows are padded and not flagged so"),
        (put("flags", 3, ""), "column flags: 1 rows are padded and not flagged so"),
        (put("start_s", 1, -1.0), "column start_s: below 0"),
        (put("row", 1, 7), "columns shard and row: not in the order of the shards"),
        (put("t/multi/A", 1, 2.0), "task t/multi: values other than 0, 1 and NaN"),
        (put("t/class", 1, "z"), "task t/class: z are none of its labels x, y"),
        (put("sbp_mmhg", 1, np.inf), "task t/sbp: infinite values"),
        (lambda frame: frame.drop(columns="t/multi/A"), "task t/multi: columns t/multi/A are missing"),
        (lambda frame: frame.assign(**{"t/class": ""}), "task t/class: no row is labelled"),
        (lambda frame: frame.assign(**{"t/class": 1.0}), "task t/class: its columns hold the wrong type"),
        (lambda frame: frame.assign(age=1.0), "column age: its name leaves the unit open; name it age_years"),
        (lambda frame: frame.assign(**{"t/multi/C": 1.0}), "column t/multi/C: unknown"),
        (lambda frame: frame.assign(_path="a"), "column _path: unknown"),
        (lambda frame: frame.drop(columns="flags"), "records.parquet lacks the columns flags"),
        (lambda frame: frame.assign(flags=None), "records.parquet: columns flags have another type"),
        (lambda frame: frame.assign(window=0.0), "records.parquet: columns window have another type"),
        (lambda frame: frame.iloc[:9], "records.parquet cannot be used: .*has 9 rows and the shards have 10"),
        (lambda frame: frame.assign(age_years="old"), "column age_years: holds .*; it must hold numbers"),
    ],
)
def test_each_broken_invariant_of_the_records_is_named(store, change, problem):
    rewrite(store, change)
    report = check(store)
    assert not report.ok
    matches = [found for found in report.problems if pd.Series([found]).str.contains(problem).item()]
    assert len(matches) == 1, report.problems


def test_a_record_of_two_subjects_is_named(store):
    rewrite(store, lambda frame: frame.assign(record_id=["a", "b", "c", "d"] + ["e"] * 6, window=range(10)))
    assert check(store).problems == ["column subject_id: 1 records belong to more than one subject: e"]


def test_changed_files_are_found_by_their_hash(store):
    shard = store.path / "signals-00001.npy"
    content = bytearray(shard.read_bytes())
    content[-1] ^= 1
    shard.write_bytes(content)
    records = store.records.copy()
    records.loc[0, "age_years"] = 51.5
    records.to_parquet(store.path / "records.parquet", index=False)
    risk = store.risk("age").copy()
    risk.loc[0, "value"] = 51.5
    risk.to_parquet(store.path / "risk" / "age.parquet", index=False)
    problems = check(store).problems
    assert [problem.split(";")[0] for problem in problems] == [
        "signals-00001.npy: sha256 differs from that in dataset.json",
        f"records.parquet cannot be used: {store.path / 'records.parquet'} was changed or cut short: its sha256 "
        "differs from that in dataset.json",
        "risk/age.parquet: sha256 differs from that in age.json",
    ]


@pytest.mark.parametrize(
    ("flags", "flagged", "problem"),
    [
        ("suspicious_unit", 5, None),
        ("suspicious_unit", 6, "6 of 10 windows have amplitudes that no ECG has"),
        ("flat:I;mostly_missing:II", 5, None),
        ("flat:I;mostly_missing:II", 6, "6 of 10 windows are flat or mostly missing in every lead"),
        ("flat:I", 10, None),
    ],
)
def test_doubts_about_most_windows_are_problems(store, flags, flagged, problem):
    def change(frame: pd.DataFrame) -> pd.DataFrame:
        own = [flags if row < flagged else "" for row in range(10)]
        padded = frame["flags"].str.contains("padded")
        own = [";".join(filter(None, [each, "padded" * is_padded])) for each, is_padded in zip(own, padded)]
        return frame.assign(flags=own)

    rewrite(store, change)
    problems = check(store).problems
    assert len(problems) == (problem is not None)
    assert all(found.startswith(problem) for found in problems)


def test_an_empty_window_is_found(store):
    shard = store.path / "signals-00001.npy"
    signals = np.load(shard)
    signals[2] = MISSING
    signals[3, :, :50] = MISSING  # a gap is none
    np.save(shard, signals)
    assert "signals-00001.npy: 1 windows hold no value, rows 2" in check(store).problems


def test_missing_and_superfluous_files_are_named(store):
    (store.path / "signals-00001.npy").rename(store.path / "signals-00009.npy")
    (store.path / "records.parquet").unlink()
    (store.path / "risk" / "age.json").unlink()
    problems = check(store).problems
    for problem, expected in zip(
        problems,
        [
            "signals-00001.npy cannot be read",
            "signals-00009.npy: not named",
            "records.parquet is missing",
            "age.json",
        ],
        strict=True,
    ):
        assert expected in problem
    assert "4 problems" in str(check(store))


def test_risks_of_other_records_and_impossible_ones_are_named(store):
    path = store.path / "risk" / "age.json"
    about = json.loads(path.read_text())
    path.write_text(json.dumps(about | {"records_sha256": "0"}))
    assert "computed for other records" in check(store).problems[0]
    frame = pd.read_parquet(path.with_suffix(".parquet"))
    frame["completeness"] = 1.5
    frame.to_parquet(path.with_suffix(".parquet"), index=False)
    path.write_text(json.dumps(about | {"sha256": sha256_of(path.with_suffix(".parquet"))}))
    assert check(store).problems == [
        "risk/age.parquet: completeness outside 0 to 1, or a negative number of missing inputs"
    ]


def test_a_folder_that_is_no_store_is_one_problem(tmp_path, store):
    assert len(check(tmp_path / "nowhere").problems) == 1
    (store.path / "dataset.json").write_text("{}")
    assert "does not describe" in check(store).problems[0]


def test_linkage_of_a_small_store_or_one_without_age_and_sex_is_no_failure(store):
    report = check(store, linkage=True)
    assert report.ok
    assert report.linkage["verdict"] == "cannot be judged"
    assert "linkage: cannot be judged: fewer than 200 subjects" in str(report)


def test_linkage_is_not_judged_in_a_broken_store(store):
    (store.path / "signals-00001.npy").unlink()
    assert check(store, linkage=True).linkage["reason"] == "the store is not sound; mend it first"
