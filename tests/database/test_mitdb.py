"""MIT-BIH: a window's label is that of the beat at its centre, patients stay together, only windows are read."""

from __future__ import annotations

import warnings

import numpy as np
import pandas as pd
import pytest
import wfdb

import openclef
from openclef.database.mitdb import LABELS, TASK, split_balanced
from openclef.database.mitdb import plan as plan_mitdb
from tests.layouts import mitdb

GROUPS = {"N": "NLRej", "S": "AaJS", "V": "VE"}
USED = {"100", "101", "103", "106", "108", "114", "118", "201", "202", "209", "213"}


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    folder = tmp_path_factory.mktemp("mitdb")
    return folder, mitdb.write(folder)


def convert(source, dst, **settings):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        settings = {"max_skipped_share": 0.2, "windows": 6} | settings
        return openclef.convert("mitdb", source, dst, workers=1, progress=False, **settings)


def test_windows_are_what_was_written(tmp_path, source):
    folder, truth = source
    store = convert(folder, tmp_path / "store")
    assert not openclef.check(store).problems
    assert (store.name, store.fs, store.leads, store.samples) == ("mitdb", 360, ("MLII",), 3600)
    assert set(store.records.source_record) == USED
    for row, record in enumerate(store.records.itertuples()):
        written = truth[record.source_record]
        start = round(record.start_s * 360)
        assert record.record_id == f"{record.source_record}_{start:07d}"
        np.testing.assert_allclose(
            store.read(row)[0, 0], written.signal["MLII"][start : start + 3600], atol=1e-6
        )
        beat = written.symbols[written.centres.tolist().index(start + 1800)]
        assert beat in GROUPS[store.records[TASK][row]]
    counts = store.records.groupby(["source_record", TASK]).size()
    assert counts.max() == 6
    skipped = pd.read_csv(store.path / "skipped.csv")
    assert set(skipped.record_id.str[:3]) == {"232"}
    assert set(skipped.reason) == {"file 232.dat is missing; fetch it again"}


def test_patients_and_metadata(tmp_path, source):
    store = convert(source[0], tmp_path / "store")
    records = store.records
    assert records.groupby("subject_id").split.nunique().max() == 1
    by_record = records.groupby("source_record").first()
    assert by_record.subject_id["202"] == by_record.subject_id["201"] == "201"
    assert np.isnan(by_record.age_years["103"])
    assert by_record.sex["103"] == "male"
    assert (by_record.age_years["100"], by_record.sex["100"]) == (30, "female")
    assert (records.groupby([TASK, "split"]).size().unstack().loc[list(LABELS)] > 0).all(axis=None)


def test_every_beat_that_fits_and_no_other(source):
    folder, truth = source
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        records = plan_mitdb(folder, windows=1000).records
    rows = records[records["_path"] == "108"]
    written = truth["108"]
    assert written.centres[0] < 1800  # beats within 5 s of the ends
    expected = [
        (centre - 1800, next(label for label, group in GROUPS.items() if symbol in group))
        for centre, symbol in zip(written.centres.tolist(), written.symbols)
        if 1800 <= centre <= 60 * 360 - 1800 and symbol not in "FQ"
    ]
    assert list(zip(rows["_start"], rows[TASK])) == expected


def test_choice_is_by_seed(source):
    folder, _ = source
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        first, again, other = (
            plan_mitdb(folder, windows=3, seed=seed).records.record_id.tolist() for seed in (0, 0, 1)
        )
    assert first == again != other


def test_paced_and_other_leads(tmp_path, source):
    folder, truth = source
    store = convert(folder, tmp_path / "paced", paced="keep")
    assert set(store.records.source_record) == USED | {"217"}
    store = convert(folder, tmp_path / "v1", lead="V1")
    assert store.leads == ("V1",)
    assert set(store.records.source_record) == USED - {"114"}
    start = round(store.records.start_s[0] * 360)
    expected = truth[store.records.source_record[0]].signal["V1"][start : start + 3600]
    np.testing.assert_allclose(store.read(0)[0, 0], expected, atol=1e-6)
    with pytest.raises(FileNotFoundError, match="no record with lead aVR"):
        convert(folder, tmp_path / "none", lead="aVR")


def test_published_halves(tmp_path, source):
    records = convert(source[0], tmp_path / "halves", split="de_chazal").records
    sides = records.groupby("source_record").split.first()
    assert set(sides[["100", "103", "213"]]) == {"test"}
    assert set(sides.drop(["100", "103", "213"])) == {"train", "val"}
    assert sides["202"] == sides["201"]  # de Chazal has 202 in the second half, its patient in the first


def test_split_balanced_against_the_shares():
    generator = np.random.default_rng(0)
    subjects = pd.Series(np.repeat([f"s{number}" for number in range(40)], 20))
    labels = pd.Series(generator.choice(list("NSV"), 800, p=[0.8, 0.05, 0.15]))
    side = split_balanced(subjects, labels)
    assert pd.Series(side).groupby(subjects).nunique().max() == 1
    shares = pd.crosstab(side, labels, normalize="columns")
    expected = pd.Series({"train": 0.6, "val": 0.2, "test": 0.2})
    assert (shares.sub(expected, axis=0).abs() < 0.06).all(axis=None)


def test_only_the_windows_are_read(tmp_path, source, monkeypatch):
    read, bytes_read = wfdb.io.util.fromfile, []

    def counted(*args, **more):
        found = read(*args, **more)
        bytes_read.append(found.nbytes)
        return found

    monkeypatch.setattr(wfdb.io.util, "fromfile", counted)
    store = convert(source[0], tmp_path / "store")
    window = 3600 * 3  # two leads of 12 bits
    assert sum(size > window / 2 for size in bytes_read) == len(store)  # the smaller ones are annotations
    assert max(bytes_read) <= window + 12


def test_errors_say_what_to_do(tmp_path, source):
    with pytest.raises(FileNotFoundError, match=r"holds no record. MIT-BIH .*ODC-By 1.0"):
        convert(tmp_path, tmp_path / "store")
    with pytest.raises(ValueError, match="split='row'; accepted are balanced, de_chazal"):
        convert(source[0], tmp_path / "store", split="row")
    with pytest.raises(ValueError, match="windows=0; accepted"):
        convert(source[0], tmp_path / "store", windows=0)
    with (
        pytest.warns(UserWarning, match=r"115.atr is missing; fetch it again; the record is left out"),
        pytest.warns(UserWarning, match=r"119.atr is damaged .*; the record is left out"),
        pytest.warns(UserWarning, match="without lead MLII are left out: 102"),
    ):
        plan_mitdb(source[0])


def test_real_recordings(tmp_path, data_folder):
    folder = data_folder / "mitdb"
    if not (folder / "101.hea").is_file():
        pytest.skip("mitdb is not among the real ECGs")
    store = convert(folder, tmp_path / "store", windows=20)
    records = store.records
    assert not store.path.joinpath("skipped.csv").read_text().splitlines()[1:]
    assert not set(records.source_record) & {"102", "104", "107", "217"}
    assert records.groupby("subject_id").split.nunique().max() == 1
    assert (records.groupby([TASK, "split"]).size().unstack() >= 10).all(axis=None)
    by_record = records.groupby("source_record").first()
    assert (by_record.age_years["101"], by_record.sex["101"]) == (75, "female")
    whole = wfdb.rdrecord(str(folder / "114"))
    annotations = wfdb.rdann(str(folder / "114"), "atr")
    symbols = dict(zip(annotations.sample.tolist(), annotations.symbol))
    for row in np.flatnonzero(records.source_record == "114"):
        start = round(records.start_s[row] * 360)
        expected = whole.p_signal[start : start + 3600, whole.sig_name.index("MLII")]
        np.testing.assert_allclose(store.read(row)[0, 0], expected, atol=1e-6)
        assert symbols[start + 1800] in GROUPS[records[TASK][row]]
    centre = np.abs(np.stack([store.read(row)[0, 0] for row in range(len(store))]))
    normal = centre[(records[TASK] == "N").to_numpy()]
    near, far = normal[:, 1780:1820].max(axis=1), np.median(normal, axis=1)
    assert np.median(near / far) > 2.5  # a QRS complex stands in the middle
