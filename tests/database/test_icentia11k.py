"""Icentia11k: labels are those of the beat at the centre and of the rhythm around; nothing else is read."""

from __future__ import annotations

import warnings

import numpy as np
import pandas as pd
import pytest
import wfdb

import openclef
from openclef.database import icentia11k as reader
from tests.layouts import icentia11k

BEAT, RHYTHM = "icentia11k/beat", "icentia11k/rhythm"


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    folder = tmp_path_factory.mktemp("icentia11k")
    return folder, icentia11k.write(folder)


@pytest.fixture(scope="module")
def store(source, tmp_path_factory):
    return convert(source[0], tmp_path_factory.mktemp("stores") / "store")


def convert(source, dst, **settings):
    settings = {"max_skipped_share": 0.2} | settings
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return openclef.convert("icentia11k", source, dst, workers=1, progress=False, **settings)


def plan(source, **settings):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return reader.plan(source, **settings).records


def test_windows_are_what_was_written(source, store):
    _, truth = source
    assert not openclef.check(store).problems
    assert (store.name, store.fs, store.leads, store.samples) == ("icentia11k", 250, ("I",), 2500)
    for row, record in enumerate(store.records.itertuples()):
        segment, _, task = record.record_id.rsplit("_", 2)
        start = round(record.start_s * 250)
        written = truth[segment]
        assert record.record_id == f"{segment}_{start:07d}_{task}"
        assert (record.subject_id, record.seconds) == (segment[:6], 10)
        np.testing.assert_allclose(store.read(row)[0, 0], written.signal[start : start + 2500], atol=1e-5)
        if task == "beat":
            symbol = written.symbols[written.centres.tolist().index(start + 1250)]
            assert (store.records[BEAT][row], store.records[RHYTHM][row]) == (symbol, "")
        else:
            around = [name for name, first, last in written.rhythms if first <= start <= last - 2500]
            assert [store.records[RHYTHM][row]] == around
            assert store.records[BEAT][row] == ""


def test_one_window_a_patient_and_class(source, store):
    records = store.records
    assert records.groupby(["subject_id", BEAT, RHYTHM]).size().max() == 1
    assert records.groupby("subject_id").split.nunique().max() == 1
    for task, labels in reader.TASKS.items():
        counts = records.groupby([f"icentia11k/{task}", "split"]).size().unstack(fill_value=0)
        assert (counts.loc[list(labels)] > 0).all(axis=None)
    # every patient's classes are found, in whichever segment they are; 1, 3, 4 and 6 are traps
    number = {
        int(person[1:]) % 1000: set(rows[BEAT]) - {""} for person, rows in records.groupby("subject_id")
    }
    assert set(number) == set(range(48)) - {1, 3, 4, 6}
    for person, found in number.items():
        assert found == {"N"} | ({"S"} if person % 2 == 0 else set()) | ({"V"} if person % 3 != 1 else set())
    reasons = pd.read_csv(store.path / "skipped.csv")
    assert set(reasons.record_id.str[:6]) == {"p00003", "p00004"}
    assert reasons.reason.str.contains("step of 0.005 mV|dat is missing").all()


def test_more_windows_do_not_overlap(source):
    records = plan(source[0], windows=3, patients=12)
    counts = records.groupby(["subject_id", BEAT, RHYTHM]).size()
    assert counts.max() == 3
    for _, rows in records.groupby(["_path", BEAT, RHYTHM]):
        assert (np.diff(rows["_start"]) >= 2500).all()


def test_choice_is_by_seed(source):
    first, again, other = (plan(source[0], seed=seed).record_id.tolist() for seed in (0, 0, 1))
    assert first == again != other
    few = plan(source[0], segments=1)
    assert few["_path"].groupby(few.subject_id).nunique().max() == 1


def test_only_the_windows_are_read(tmp_path, source, store, monkeypatch):
    read, annotate, bytes_read, opened = wfdb.io.util.fromfile, reader.read_annotations, [], []

    def counted(*args, **more):
        found = read(*args, **more)
        bytes_read.append(found.nbytes)
        return found

    def noted(path, **more):
        opened.append(path.name)
        return annotate(path, **more)

    monkeypatch.setattr(reader, "read_annotations", noted)
    records = plan(source[0], patients=40)
    assert len(set(opened)) == len(opened)
    assert sum(name.startswith("p00030") for name in opened) == 3  # who has no AFL
    monkeypatch.setattr(wfdb.io.util, "fromfile", counted)
    for row in records.to_dict("records"):
        if row["subject_id"] not in ("p00003", "p00004"):
            reader.read(
                row, folder=str(source[0]), lead_names={"ecg": "I"}, scale=1 / reader.GAIN, seconds=10
            )
    assert set(bytes_read) == {2500 * 2}


def test_segments_are_left_once_the_classes_are_found(source, monkeypatch):
    opened = []
    annotate = reader.read_annotations

    def noted(path, **more):
        opened.append(path.name)
        return annotate(path, **more)

    monkeypatch.setattr(reader, "read_annotations", noted)
    monkeypatch.setattr(reader, "TASKS", {"beat": ("N",), "rhythm": ("N",)})
    plan(source[0])
    assert pd.Series(opened).str[:6].value_counts().drop(["p00002", "p00006"]).max() == 1


def test_a_scan_is_kept_and_goes_on(tmp_path, source, monkeypatch):
    folder, index = source[0], tmp_path / "index.jsonl"
    whole = plan(folder)
    plan(folder, index=str(index), patients=20)
    lines = index.read_text()
    index.write_text(lines[:-10])  # the last person's line was cut off
    looked = []
    find = reader.find_windows

    def noted(patient, **more):
        looked.append(patient)
        return find(patient, **more)

    monkeypatch.setattr(reader, "find_windows", noted)
    pd.testing.assert_frame_equal(plan(folder, index=str(index)), whole)
    assert len(looked) == 48 - 19
    pd.testing.assert_frame_equal(plan(folder, index=str(index)), whole)
    assert len(looked) == 48 - 19
    with pytest.raises(ValueError, match=r"was made with .*; pass another file"):
        plan(folder, index=str(index), seed=1)


def test_windows_at_the_ends_of_a_segment(tmp_path):
    folder = tmp_path / "p00" / "p00000"
    folder.mkdir(parents=True)
    samples = 2**20 + 1
    with (folder / "p00000_s00.dat").open("wb") as file:  # a hole that takes no room on the disk
        file.truncate(samples * 2)
        file.seek((samples - 2500) * 2)
        file.write(np.arange(2500, dtype="<i2").tobytes())
    (folder / "p00000_s00.hea").write_text(
        f"p00000_s00 1 250 {samples}\np00000_s00.dat 16 {icentia11k.GAIN}(0)/mV 16 0 0 0 0 ecg\n"
    )
    last = samples - 1250  # the last centre whose window fits
    wfdb.wrann(
        "p00000_s00", "atr", np.array([1249, last, last + 1]), symbol=["V", "S", "V"], aux_note=["", "", ""], fs=250,
        write_dir=str(folder),
    )  # fmt: skip
    with pytest.warns(UserWarning, match="amplitudes that no ECG has"):
        store = openclef.convert("icentia11k", tmp_path, tmp_path / "store", workers=1, progress=False)
    assert store.records[BEAT].tolist() == ["S"]
    assert list(store.tasks) == [BEAT]
    np.testing.assert_allclose(store.read(0)[0, 0], np.arange(2500) / icentia11k.GAIN, rtol=1e-5)


def test_errors_say_what_to_do(tmp_path, source):
    with pytest.raises(FileNotFoundError, match=r"no segment with annotations .*1.1 TB.*CC BY-NC-SA"):
        convert(tmp_path, tmp_path / "store")
    with pytest.raises(ValueError, match="windows=0; accepted is a number from 1"):
        plan(source[0], windows=0)
    with pytest.warns(UserWarning, match="1 annotation files or headers are damaged"):
        reader.plan(source[0])
    with pytest.raises(FileNotFoundError, match="is no folder; make it"):
        plan(source[0], index=str(tmp_path / "nowhere" / "index"))
    (tmp_path / "other").write_text("a table\n")
    with pytest.raises(ValueError, match="is no index of a scan"):
        plan(source[0], index=str(tmp_path / "other"))
