"""Challenge 2017: layout, windows, labels and the split by record."""

from __future__ import annotations

import hashlib

import numpy as np
import pandas as pd
import pytest
import wfdb

import openclef
from tests.layouts import cinc2017


def convert(folder, dst, **settings):
    return openclef.convert("cinc2017", folder, dst, workers=1, progress=False, **settings)


@pytest.fixture
def challenge(tmp_path, data_folder):
    """A few published recordings in the published layout."""
    source = data_folder / "cinc2017/training2017"
    folder = tmp_path / "challenge/training2017"
    folder.mkdir(parents=True)
    rows = pd.read_csv(source / "REFERENCE-v3.csv", header=None).groupby(1).head(3)
    for name in rows[0]:
        for suffix in (".hea", ".mat"):
            (folder / f"{name}{suffix}").write_bytes((source / f"{name}{suffix}").read_bytes())
    rows.to_csv(folder / "REFERENCE-v3.csv", header=False, index=False)
    return folder


def test_windows_labels_and_split(tmp_path, challenge):
    store = convert(challenge.parent, tmp_path / "store")
    assert (store.fs, store.leads, store.samples, store.name) == (300, ("I",), 3000, "cinc2017")
    assert store.tasks["cinc2017/rhythm"].labels == ("N", "A", "O", "~")
    reference = dict(pd.read_csv(challenge / "REFERENCE-v3.csv", header=None).values)
    records = store.records
    assert set(records.record_id) == set(reference)
    assert all(records["cinc2017/rhythm"] == records.record_id.map(reference))
    assert all(records.subject_id == records.record_id)
    for name, rows in records.groupby("record_id"):
        place = int(hashlib.sha256(name.encode()).hexdigest()[:8], 16) / 2**32
        expected = "train" if place < 0.6 else "val" if place < 0.8 else "test"
        assert set(rows.split) == {expected}
        signal = wfdb.rdrecord(str(challenge / name)).p_signal[:, 0].astype(np.float32)
        stored = store.read(rows.index)[:, 0].ravel()
        count = min(len(signal), len(stored))
        np.testing.assert_array_equal(stored[:count], signal[:count])
        assert np.isnan(stored[count:]).all()


def test_the_first_reference_is_a_fallback(tmp_path, challenge):
    (challenge / "REFERENCE-v3.csv").rename(challenge / "REFERENCE.csv")
    assert len(convert(challenge, tmp_path / "store")) > 0


def test_errors_say_what_to_do(tmp_path, challenge):
    with pytest.raises(FileNotFoundError, match="challenge-2017"):
        convert(tmp_path / "nowhere", tmp_path / "store")
    text = (challenge / "REFERENCE-v3.csv").read_text()
    (challenge / "REFERENCE-v3.csv").write_text(text + "A99999,X\n")
    with pytest.raises(ValueError, match=r"holds the classes \['X'\]; accepted are N, A, O, ~"):
        convert(challenge, tmp_path / "store")
    (challenge / "REFERENCE-v3.csv").write_text("".join(text.splitlines(keepends=True)[1:]))
    with pytest.warns(UserWarning, match="1 records of .* are not in REFERENCE-v3.csv"):
        convert(challenge, tmp_path / "store")
    (challenge / "REFERENCE-v3.csv").unlink()
    with pytest.raises(FileNotFoundError, match=r"holds no REFERENCE-v3.csv or REFERENCE.csv"):
        convert(challenge, tmp_path / "other")


def test_the_layout_is_read_as_it_was_written(tmp_path):
    written = cinc2017.write(tmp_path / "challenge")
    with pytest.warns(UserWarning, match=r"1 records of .* are not in REFERENCE-v3.csv; left out"):
        store = convert(tmp_path / "challenge", tmp_path / "store")
    assert not openclef.check(store).problems
    records = store.records
    assert set(records.record_id) == set(written) - {"A00010", "A00012", "A00014"}
    skipped = dict(pd.read_csv(store.path / "skipped.csv").values)
    assert skipped == {
        "A00010": "file A00010.mat is missing; fetch it again",
        "A00012": "the signal file is shorter than its header says; fetch it again",
    }
    counts = records.groupby("record_id").size()
    assert counts[["A00002", "A00004", "A00006", "A00008", "A00016"]].tolist() == [6, 1, 1, 2, 1]
    assert counts.drop(["A00002", "A00008"]).max() == 1
    for row, record in enumerate(records.itertuples()):
        truth = written[record.record_id]
        assert records["cinc2017/rhythm"][row] == truth.label
        start = round(record.start_s * 300)
        expected = truth.signal[start : start + 3000]
        found = store.read(row)[0, 0]
        np.testing.assert_allclose(found[: len(expected)], expected, atol=1e-6)
        assert np.isnan(found[len(expected) :]).all()
    assert records[records.record_id == "A00004"]["flags"].str.contains("padded").all()


def test_the_layout_has_the_real_headers_and_files(tmp_path, data_folder):
    real, folder = data_folder / "cinc2017/training2017", tmp_path / "training2017"
    cinc2017.write(tmp_path, records=8)
    assert {path.suffix for path in folder.iterdir()} == {path.suffix for path in real.iterdir()}
    own, published = ((each / "A00002.hea").read_text().split() for each in (folder, real))
    assert [own[place] for place in (0, 1, 2, 4, 5, 6, 7, 8, 11, 12)] == [
        published[place] for place in (0, 1, 2, 4, 5, 6, 7, 8, 11, 12)
    ]
    own, published = ((each / "A00002.mat").read_bytes()[:24] for each in (folder, real))
    assert own[:8] + own[12:] == published[:8] + published[12:]  # the length is the record's


@pytest.mark.slow
def test_all_recordings(tmp_path, data_folder):
    store = openclef.convert("cinc2017", data_folder / "cinc2017", tmp_path / "store", progress=False)
    records = store.records.drop_duplicates("record_id")
    assert len(records) == 3198
    assert records["cinc2017/rhythm"].value_counts().to_dict() == {"N": 1875, "O": 945, "A": 277, "~": 101}
    shares = records.split.value_counts(normalize=True)
    assert abs(shares["train"] - 0.6) < 0.03
    assert abs(shares["test"] - 0.2) < 0.03
    assert (store.path / "skipped.csv").read_text() == "record_id,reason\n"
