from __future__ import annotations

import csv
import errno
import hashlib
import json
import pickle
import subprocess
import sys
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from openclef.record import Record
from openclef.shards import MISSING, sha256_of
from openclef.store import Store, StoreWriter, Task, hash_subjects, open_store

LEADS = ("I", "II", "V1")
FS = 100.0


def writer(path: Path, **changes) -> StoreWriter:
    settings = {"name": "toy", "scale": 0.001, "fs": FS, "leads": LEADS, "seconds": 2, "resume_key": "k"}
    return StoreWriter(path, **(settings | changes))


def record(number: int, samples: int = 200, step: float = 0.001, **changes) -> Record:
    rng = np.random.default_rng(number)
    signal = rng.integers(-2000, 2000, (len(LEADS), samples)) * step
    given = {
        "signal": signal,
        "fs": FS,
        "leads": LEADS,
        "record_id": f"r{number}",
        "subject_id": f"s{number // 2}",
    }
    return Record(**(given | changes))


def part(index: int, size: int = 4) -> tuple[list[Record], list[dict]]:
    numbers = range(index * size, (index + 1) * size)
    columns = [{"split": "train", "age_years": 40 + n, "sex": "male" if n % 2 else "female"} for n in numbers]
    return [record(n) for n in numbers], columns


def build(path: Path, parts: int = 3, **changes) -> Store:
    toy = writer(path, **changes)
    for index in range(parts):
        assert toy.write_part(index, *part(index)) == []
    return toy.finish()


def checksums(path: Path) -> dict[str, str]:
    files = [file for file in path.rglob("*") if file.is_file()]
    return {str(file.relative_to(path)): hashlib.sha256(file.read_bytes()).hexdigest() for file in files}


@pytest.mark.parametrize("step_uv", [1, 5])
def test_steps_of_the_source_come_back_exactly(tmp_path, step_uv):
    scale = step_uv / 1000
    given = record(0, step=scale).signal.copy()
    given[1, 50:60] = np.nan
    toy = writer(tmp_path, scale=scale)
    toy.write_part(0, [Record(given, FS, LEADS, "a")], [{}])
    store = toy.finish()
    np.testing.assert_array_equal(store.read([0])[0], given)
    raw = store.read_raw([0])[0]
    assert (raw[1, 50:60] == MISSING).all()
    np.testing.assert_array_equal(raw[0], np.rint(given[0].astype(np.float64) / scale))


def test_rows_and_leads_come_in_the_order_asked(tmp_path):
    store = build(tmp_path)
    everything = np.stack([record(n).signal for n in range(12)])
    np.testing.assert_array_equal(store.read(slice(None)), everything)
    rows = [11, 0, 7, 7, 3]
    np.testing.assert_array_equal(store.read(rows, ["v1", "I"]), everything[rows][:, [2, 0]])
    np.testing.assert_array_equal(store.read(5, "II"), everything[5:6, 1:2])
    np.testing.assert_array_equal(store.read(slice(9, None, 2)), everything[9::2])
    mask = store.records["record_id"].isin(["r2", "r9"]).to_numpy()
    np.testing.assert_array_equal(store.read(mask), everything[[2, 9]])
    assert store.read([]).shape == (0, 3, 200)
    assert store.read([0]).dtype == np.float32


@pytest.mark.parametrize("rows", [[12], [-1], [0.5], [[0]], np.ones(3, bool)])
def test_rows_that_are_not_there_are_refused(tmp_path, rows):
    with pytest.raises(IndexError):
        build(tmp_path).read_raw(rows)


def test_a_lead_that_is_not_there_is_named(tmp_path):
    with pytest.raises(ValueError, match=r"lead V6 is not there; available leads: I, II, V1"):
        build(tmp_path).read([0], "V6")


def test_records_say_where_each_row_lies(tmp_path):
    store = build(tmp_path)
    records = store.records
    assert records["record_id"].tolist() == [f"r{n}" for n in range(12)]
    assert records["shard"].tolist() == [0] * 4 + [1] * 4 + [2] * 4
    assert records["row"].tolist() == [0, 1, 2, 3] * 3
    for row in (0, 6, 11):
        place = records.iloc[row]
        np.testing.assert_array_equal(store.signals(place["shard"])[place["row"]], store.read_raw(row)[0])
    assert not store.signals(0).flags.writeable
    assert (store.samples, len(store), store.leads, store.fs) == (200, 12, LEADS, FS)


def test_a_long_record_gives_windows_and_a_short_one_is_padded(tmp_path):
    long, short = record(0, samples=480), record(1, samples=30)
    silent = record(2, samples=600).signal.copy()
    silent[:, 200:400] = np.nan
    toy = writer(tmp_path)
    refused = toy.write_part(0, [long, short, record(2, signal=silent)], [{"age_years": n} for n in range(3)])
    store = toy.finish()
    assert refused == []
    records = store.records
    assert records["record_id"].tolist() == ["r0", "r0", "r1", "r2", "r2"]
    assert records["window"].tolist() == [0, 1, 0, 0, 2]
    assert records["start_s"].tolist() == [0, 2, 0, 0, 4]
    assert records["seconds"].tolist() == [2, 2, 0.3, 2, 2]
    assert records["flags"].tolist() == ["", "", "padded", "windows_left_out", "windows_left_out"]
    assert records["age_years"].tolist() == [0, 0, 1, 2, 2]
    np.testing.assert_array_equal(store.read(1)[0], long.signal[:, 200:400])
    assert np.isnan(store.read(2)[0, :, 30:]).all()


def test_what_does_not_fit_the_store_is_listed_with_its_reason(tmp_path):
    bad = [
        record(0, fs=250),
        record(1, unit="zscore"),
        record(2, leads=("I", "II", "V2")),
        record(3, signal=np.full((3, 200), np.nan)),
        record(4, signal=np.full((3, 200), 40.0)),
        record(5),
        record(6),
    ]
    columns = [{}, {}, {}, {}, {}, {"record_id": "r7"}, {"subject_id": "s9"}]
    good = record(10, leads=("V1", "I", "II"))
    toy = writer(tmp_path)
    refused = toy.write_part(0, [*bad, good], [*columns, {}], skipped=[("r99", "unreadable")])
    reasons = [
        "unreadable",
        "rate is 250 Hz and the store's 100 Hz",
        "unit is zscore and the store's mV",
        "lead V1 is missing",
        "no valid sample",
        "value 40 is outside",
        "record_id r5 and the metadata r7",
        "subject_id s3 and the metadata s9",
    ]
    assert [record_id for record_id, _ in refused] == ["r99", *(f"r{n}" for n in range(7))]
    for (_, reason), expected in zip(refused, reasons, strict=True):
        assert expected in reason
    store = toy.finish([("r98", "given at the end"), refused[0]])
    assert store.records["record_id"].tolist() == ["r10"]
    np.testing.assert_array_equal(store.read(0)[0], good.signal[[1, 2, 0]])
    with (tmp_path / "skipped.csv").open() as file:
        rows = list(csv.reader(file))
    assert rows == [["record_id", "reason"], *map(list, refused), ["r98", "given at the end"]]


def test_a_stopped_conversion_goes_on_and_ends_with_the_same_bytes(tmp_path):
    build(tmp_path / "whole")
    stopped = tmp_path / "stopped"
    toy = writer(stopped)
    toy.write_part(2, *part(2))
    toy.write_part(0, *part(0))
    with pytest.raises(FileNotFoundError, match="has not finished; run the same conversion again"):
        open_store(stopped)
    # the process died while it wrote part 1 and after it wrote the shard of part 0 halfway anew
    (stopped / ".signals-00001.npy.abc.tmp").write_bytes(b"half")
    (stopped / "_parts" / ".part-00001.parquet.abc.tmp").write_bytes(b"half")
    shard = stopped / "signals-00000.npy"
    shard.write_bytes(shard.read_bytes()[:-100])
    toy = writer(stopped)
    assert toy.finished_parts() == {2}
    with pytest.raises(ValueError, match=r"parts \[0, 1\] of .* are missing"):
        toy.finish()
    for index in (1, 0):
        toy.write_part(index, *part(index))
    toy.finish()
    assert checksums(stopped) == checksums(tmp_path / "whole")


def test_a_killed_process_leaves_nothing_that_looks_whole(tmp_path):
    code = f"""
import os, sys
sys.path.insert(0, {str(Path(__file__).parent)!r})
from test_store import part, writer
from openclef import shards
toy = writer({str(tmp_path / "killed")!r})
toy.write_part(0, *part(0))
shards.os.fsync = lambda file: os._exit(9)
toy.write_part(1, *part(1))
"""
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 9
    toy = writer(tmp_path / "killed")
    assert toy.finished_parts() == {0}
    for index in (1, 2):
        toy.write_part(index, *part(index))
    toy.finish()
    build(tmp_path / "whole")
    assert checksums(tmp_path / "killed") == checksums(tmp_path / "whole")


def test_skipped_records_of_an_earlier_run_are_not_forgotten(tmp_path):
    writer(tmp_path).write_part(0, *part(0), skipped=[("lost", "unreadable")])
    assert writer(tmp_path).skipped() == [("lost", "unreadable")]
    writer(tmp_path).finish()
    assert "lost,unreadable" in (tmp_path / "skipped.csv").read_text()


def test_another_plan_is_not_mixed_in(tmp_path):
    writer(tmp_path).write_part(0, *part(0))
    for changes in ({"resume_key": "other"}, {"scale": 0.005}, {"leads": ("I", "II")}):
        with pytest.raises(ValueError, match=r"unfinished conversion with other settings.*overwrite=True"):
            writer(tmp_path, **changes)
    assert writer(tmp_path, resume_key="other", overwrite=True).finished_parts() == set()


def test_a_finished_store_is_replaced_only_on_demand(tmp_path):
    build(tmp_path)
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(FileExistsError, match="overwrite=True"):
        writer(tmp_path)
    store = build(tmp_path, parts=1, overwrite=True)
    assert len(store) == 4
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "dataset.json",
        "notes.txt",
        "records.parquet",
        "signals-00000.npy",
        "skipped.csv",
    ]


def test_a_part_without_a_record_leaves_no_gap(tmp_path):
    toy = writer(tmp_path)
    toy.write_part(0, *part(0))
    toy.write_part(1, [record(50, fs=1)], [{}])
    toy.write_part(2, *part(2))
    store = toy.finish()
    assert [shard["file"] for shard in store.info["shards"]] == ["signals-00000.npy", "signals-00002.npy"]
    assert store.records["shard"].tolist() == [0] * 4 + [1] * 4
    np.testing.assert_array_equal(store.read(7)[0], record(11).signal)


def test_nothing_written_is_no_store(tmp_path):
    toy = writer(tmp_path)
    toy.write_part(0, [record(0, fs=1)], [{}])
    with pytest.raises(ValueError, match=r"no window was written.*r0: rate is 1 Hz"):
        toy.finish()


def test_a_record_twice_is_refused(tmp_path):
    toy = writer(tmp_path)
    toy.write_part(0, *part(0))
    toy.write_part(1, *part(0))
    with pytest.raises(ValueError, match=r"4 record_id stand in the plan more than once: r0, r1"):
        toy.finish()


def test_columns_of_all_parts_are_joined_with_one_type_each(tmp_path):
    tasks = [
        Task("t/multi", "multilabel", ("A", "B"), ("t/multi/A", "t/multi/B")),
        Task("t/class", "multiclass", ("x", "y"), ("t/class",)),
        Task("t/none", "binary", ("n",), ("t/none",)),
    ]
    toy = writer(tmp_path, tasks=tasks)
    first = {"t/multi/A": True, "t/class": None, "smoker": pd.NA, "_path": "private", "site": None}
    toy.write_part(0, [record(0, metadata={"age_years": 50, "smoker": 1})], [first])
    second = {"t/multi/B": np.int64(0), "t/class": "x", "sex": "male", "site": "north", "bmi": float("nan")}
    toy.write_part(1, [record(1)], [second])
    store = toy.finish()
    records = store.records
    assert list(records.columns[:9]) == [
        *("record_id", "subject_id", "window", "start_s", "seconds", "shard", "row", "split", "flags")
    ]
    assert list(records.columns[-4:]) == ["t/multi/A", "t/multi/B", "t/class", "t/none"]
    assert records["t/class"].tolist() == ["", "x"]
    assert records["sex"].tolist() == ["", "male"]
    assert records["site"].tolist() == ["", "north"]
    for name, expected in {
        "age_years": [50, np.nan],
        "smoker": [np.nan, np.nan],
        "t/multi/A": [1, np.nan],
        "t/multi/B": [np.nan, 0],
        "t/none": [np.nan, np.nan],
        "bmi": [np.nan, np.nan],
    }.items():
        assert records[name].dtype == np.float64
        np.testing.assert_array_equal(records[name], expected)
    assert "_path" not in records
    assert store.tasks["t/multi"] == tasks[0]


def test_columns_that_mix_numbers_and_strings_are_refused(tmp_path):
    toy = writer(tmp_path)
    with pytest.raises(ValueError, match="'age_years' holds '60' beside 50"):
        toy.write_part(0, [record(0), record(1)], [{"age_years": 50}, {"age_years": "60"}])
    toy.write_part(0, [record(0)], [{"age_years": 50}])
    toy.write_part(1, [record(1)], [{"age_years": "60"}])
    with pytest.raises(ValueError, match="'age_years' holds numbers where it should hold strings, or both"):
        toy.finish()
    with pytest.raises(ValueError, match="columns window are set by the writer"):
        toy.write_part(2, [record(2)], [{"window": 1}])
    with pytest.raises(ValueError, match=r"split='valid' of record r3; accepted are 'train', 'val', 'test'"):
        toy.write_part(2, [record(3)], [{"split": "valid"}])


def test_a_record_without_subject_stands_for_itself(tmp_path):
    toy = writer(tmp_path)
    toy.write_part(0, [record(n, subject_id=None) for n in range(3)], [{}, {"subject_id": 7}, {}])
    assert toy.finish().records["subject_id"].tolist() == ["record:r0", "7", "record:r2"]


def test_subject_hashes_agree_within_a_namespace_only(tmp_path):
    store = build(tmp_path, subject_namespace="people")
    hashed = store.subjects()
    assert hashed[0] == hashlib.sha256(b"people:s0").hexdigest()[:16]
    assert len(set(hashed)) == 6
    assert (hashed[::2] == hashed[1::2]).all()
    assert not set(hash_subjects("others", ["s0"])) & set(hashed)


def test_opening_reads_no_records_and_imports_no_torch(tmp_path):
    build(tmp_path)
    code = (
        "import sys; from openclef.store import open_store; store = open_store(sys.argv[1]); len(store);"
        "store.read([0], 'I'); assert not {'torch', 'pandas', 'pyarrow', 'scipy'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code, str(tmp_path)], check=True)


def test_a_store_survives_pickling_after_reading(tmp_path):
    store = build(tmp_path)
    store.read([0])
    again = pickle.loads(pickle.dumps(store))
    np.testing.assert_array_equal(again.read([3]), store.read([3]))
    assert len(pickle.dumps(store)) < 20_000


@pytest.mark.parametrize("fault", ["truncated", "longer", "missing", "float", "shape", "pickle"])
def test_a_damaged_shard_is_named(tmp_path, fault):
    build(tmp_path)
    shard = tmp_path / "signals-00001.npy"
    good = np.load(shard)
    if fault == "truncated":
        shard.write_bytes(shard.read_bytes()[:-2])
    elif fault == "longer":
        shard.write_bytes(shard.read_bytes() + b"xx")
    elif fault == "missing":
        shard.unlink()
    elif fault == "float":
        np.save(shard, good.astype(np.float32))
    elif fault == "shape":
        np.save(shard, good[:, :2])
    else:
        np.save(shard, good.astype(object), allow_pickle=True)
    store = open_store(tmp_path)
    store.read([0, 11])
    with pytest.raises(ValueError, match=r"shard .*signals-00001\.npy .*the store is damaged"):
        store.read([0, 5])


def test_records_that_are_too_few_are_refused(tmp_path):
    from pyarrow import parquet

    build(tmp_path)
    table = parquet.read_table(tmp_path / "records.parquet")
    parquet.write_table(table.slice(0, 11), tmp_path / "records.parquet")
    about = json.loads((tmp_path / "dataset.json").read_text())
    about["records_sha256"] = sha256_of(tmp_path / "records.parquet")
    (tmp_path / "dataset.json").write_text(json.dumps(about))
    with pytest.raises(ValueError, match="has 11 rows and the shards have 12"):
        _ = open_store(tmp_path).records


def test_records_that_were_changed_cut_short_or_lost_are_refused(tmp_path):
    build(tmp_path)
    file = tmp_path / "records.parquet"
    whole = file.read_bytes()
    pd.read_parquet(file).assign(age_years=99.0).to_parquet(file, index=False)
    with pytest.raises(ValueError, match=r"records.parquet was changed .*overwrite=True"):
        open_store(tmp_path).add_risk("age")
    file.write_bytes(whole[:-50])
    with pytest.raises(ValueError, match=r"records.parquet was changed or cut short"):
        open_store(tmp_path).subjects()
    file.unlink()
    with pytest.raises(ValueError, match=r"records.parquet is missing; copy it again"):
        _ = open_store(tmp_path).records
    file.write_bytes(whole)
    assert len(open_store(tmp_path).records) == 12


def test_a_setting_that_the_score_does_not_have_is_refused(tmp_path):
    store = build(tmp_path)
    with pytest.raises(ValueError, match="risk 'age' has no setting region; accepted are age_years"):
        store.add_risk("age", region="low")
    assert store.risks == []


def test_what_is_not_a_store_is_refused(tmp_path):
    with pytest.raises(FileNotFoundError, match="there is no such folder"):
        open_store(tmp_path / "nowhere")
    with pytest.raises(FileNotFoundError, match="this is not a store"):
        open_store(tmp_path)
    file = tmp_path / "dataset.json"
    for content, message in [
        ("{", "is damaged"),
        ('{"format": "other"}', "does not describe an openclef-store"),
        ('{"format": "openclef-store", "format_version": 99}', "format version 99.*update openclef"),
        ('{"format": "openclef-store", "format_version": 1}', "lacks .*leads"),
    ]:
        file.write_text(content)
        with pytest.raises(ValueError, match=message):
            open_store(tmp_path)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"unit": "uV"}, "accepted are mV, zscore"),
        ({"scale": 0}, "scale=0; accepted is a number above 0"),
        ({"fs": float("nan")}, "accepted is a number above 0"),
        ({"leads": ()}, "at least one and none empty"),
        ({"leads": ("I", "")}, "at least one and none empty"),
        ({"leads": ("I", "i")}, "same lead twice"),
        ({"seconds": 0.001}, "less than one sample"),
    ],
)
def test_settings_that_cannot_be_right_are_refused(tmp_path, changes, message):
    with pytest.raises(ValueError, match=message):
        writer(tmp_path, **changes)


def test_tasks_must_fit_their_kind():
    with pytest.raises(ValueError, match="accepted are multilabel"):
        Task("a", "ranking", ("x",), ("a",))
    with pytest.raises(ValueError, match="1 columns; a multilabel task with 2 labels has 2"):
        Task("a", "multilabel", ("x", "y"), ("a/x",))
    with pytest.raises(ValueError, match="2 columns; a multiclass task"):
        Task("a", "multiclass", ("x", "y"), ("a/x", "a/y"))


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
def test_a_full_disk_leaves_nothing_and_says_what_to_do(tmp_path, monkeypatch, number):
    toy = writer(tmp_path)
    toy.write_part(0, *part(0))

    def full(file: int) -> None:
        raise OSError(number, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr("openclef.shards.os.fsync", full)
        with pytest.raises(
            OSError, match=r"no space left to write .*signals-00001\.npy.*run the same"
        ) as error:
            toy.write_part(1, *part(1))
    assert error.value.errno == number
    assert not list(tmp_path.rglob("*.tmp"))
    assert not (tmp_path / "signals-00001.npy").exists()
    assert toy.finished_parts() == {0}


def test_risks_stand_beside_the_records(tmp_path):
    store = build(tmp_path)
    assert store.risks == []
    with pytest.raises(KeyError, match=r"holds no risk 'score2'; it has: none; add it with store.add_risk"):
        store.risk("score2")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # age and sex only
        assert store.add_risk("score2", region="low") is store
        store.add_risk("score2", region="high", label="score2_high")
    store.add_risk("age")
    assert open_store(tmp_path).risks == ["age", "score2", "score2_high"]
    np.testing.assert_array_equal(store.risk("age")["value"], store.records["age_years"])
    low, high = store.risk("score2"), store.risk("score2_high")
    assert list(low.columns) == ["value", "n_missing", "completeness"]
    assert (low["value"] != high["value"]).all()
    from openclef import risk

    alone = risk.score2(age_years=45, sex="male", region="high")
    assert high["value"][5] == pytest.approx(float(alone.value))
    assert high["completeness"][5] == pytest.approx(float(alone.completeness))
    about = json.loads((tmp_path / "risk" / "score2_high.json").read_text())
    assert about["score"] == "score2"
    assert about["settings"] == {"region": "high"}
    assert "sbp_mmhg" in about["absent"]


def test_a_setting_goes_before_its_column(tmp_path):
    store = build(tmp_path)
    with pytest.warns(UserWarning, match="share one value"):
        store.add_risk("age", age_years=50.0)
    assert (store.risk("age")["value"] == 50).all()


def test_a_risk_of_other_records_is_refused(tmp_path):
    store = build(tmp_path)
    store.add_risk("age")
    file = tmp_path / "dataset.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | {"records_sha256": "0" * 64}))
    with pytest.raises(ValueError, match=r"computed for other records.*store.add_risk\('age', label='age'"):
        open_store(tmp_path).risk("age")
    (tmp_path / "risk" / "age.parquet").unlink()
    assert open_store(tmp_path).risks == []


def test_risks_that_are_not_there_are_refused(tmp_path):
    store = build(tmp_path)
    with pytest.raises(ValueError, match=r"risk 'score9' is unknown; accepted are .*score2"):
        store.add_risk("score9")
    for label in ("", "../age", ".age"):
        with pytest.raises(ValueError, match=r"be a file.s name; pass a plain word"):
            store.add_risk("age", label=label)
    with pytest.raises(ValueError, match="label='score2' is the name of another score"):
        store.add_risk("age", label="score2")


def test_a_real_record_comes_back_step_by_step(tmp_path, data_folder):
    import wfdb

    name = str(data_folder / "ptb-xl" / "records500" / "00000" / "00005_hr")
    physical, digital = wfdb.rdrecord(name), wfdb.rdrecord(name, physical=False)
    assert set(digital.adc_gain) == {1000.0}
    toy = writer(tmp_path, fs=500, seconds=10, leads=physical.sig_name)
    toy.write_part(0, [Record(physical.p_signal.T, physical.fs, tuple(physical.sig_name), "5")], [{}])
    store = toy.finish()
    np.testing.assert_array_equal(store.read_raw(0)[0], digital.d_signal.T)
    np.testing.assert_array_equal(store.read(0)[0], physical.p_signal.T.astype(np.float32))


def test_the_documented_snippet_reads_what_the_store_reads(tmp_path, monkeypatch):
    page = (Path(__file__).parents[1] / "docs" / "format.md").read_text()
    snippet = page.split("```python\n")[1].split("```")[0]
    toy = writer(tmp_path / "store")
    toy.write_part(0, [record(n, samples=90 if n == 3 else 200) for n in range(4)], [{}] * 4)
    expected = toy.finish().read([3], "I")[0, 0]
    monkeypatch.chdir(tmp_path)
    found: dict = {}
    exec(snippet, found)  # the page's own code
    np.testing.assert_allclose(found["signal"], expected, rtol=1e-6)
    assert np.isnan(found["signal"]).sum() == 110


def test_the_documented_columns_are_those_of_the_code():
    from openclef.columns import FIXED_COLUMNS, PLAUSIBLE

    page = (Path(__file__).parents[1] / "docs" / "format.md").read_text()
    assert all(f"`{name}`" in page for name in [*FIXED_COLUMNS, *PLAUSIBLE, "sex"])


def test_a_risk_of_one_s_own_stands_beside_the_others(tmp_path):
    store = build(tmp_path)
    value = np.arange(len(store), dtype=float)
    value[1], value[2] = np.nan, np.inf
    assert store.add_own_risk("mine", value, completeness=np.isfinite(value), unit="points") is store
    found = open_store(tmp_path).risk("mine")
    np.testing.assert_array_equal(found["value"][1:4], [np.nan, np.nan, 3.0])
    np.testing.assert_array_equal(found["completeness"][:4], [1, 0, 0, 1])
    np.testing.assert_array_equal(found["n_missing"][:4], [0, 1, 1, 0])
    assert value[2] == np.inf  # what was given stays as it was
    assert store.add_own_risk("half", value, completeness=0.5).risk("half")["completeness"].eq(0.5).all()
    file = tmp_path / "dataset.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | {"records_sha256": "0" * 64}))
    with pytest.raises(
        ValueError, match=r"computed for other records.*give it again with store.add_own_risk"
    ):
        open_store(tmp_path).risk("mine")


@pytest.mark.parametrize(
    ("label", "value", "completeness", "message"),
    [
        ("age", 0, 1, "label='age' is the name of a score"),
        ("a/b", 0, 1, "cannot be a file's name"),
        ("mine", [1.0], 1, r"value of risk 'mine' has shape \(1,\); pass one number a row"),
        ("mine", 3.0, 1, r"value of risk 'mine' has shape \(\)"),
        ("mine", "words", 1, "value of risk 'mine' holds what is no number"),
        ("mine", 0, [[1.0]], r"completeness of risk 'mine' has shape \(1, 1\)"),
        ("mine", 0, 1.5, "completeness of risk 'mine' has values that are not within 0 to 1"),
        ("mine", 0, np.nan, "completeness of risk 'mine' has values that are not within 0 to 1"),
    ],
)
def test_a_risk_that_does_not_fit_is_refused(tmp_path, label, value, completeness, message):
    store = build(tmp_path)
    with pytest.raises(ValueError, match=message):
        store.add_own_risk(label, np.zeros(len(store)) if value == 0 else value, completeness=completeness)
    assert store.risks == []
