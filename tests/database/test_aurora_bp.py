"""Aurora-BP: lead I at the rate of its own times, baselines, and participants apart."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import openclef
from openclef.checking import check
from openclef.database.plan import split_by_subject
from tests.layouts import aurora_bp


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    folder = tmp_path_factory.mktemp("aurora")
    return folder, aurora_bp.write(folder)


def convert(folder, dst, **settings):
    settings = {"max_skipped_share": 0.1} | settings
    with pytest.warns(UserWarning, match="1 of 28 participants have no waveform of Calibration start 1"):
        return openclef.convert("aurora_bp", folder, dst, workers=1, progress=False, **settings)


@pytest.fixture(scope="module")
def store(source, tmp_path_factory):
    return convert(source[0], tmp_path_factory.mktemp("stores") / "store")


def test_windows_are_what_was_written(source, store):
    assert (store.name, store.fs, store.leads, store.samples) == ("aurora_bp", 500, ("I",), 5000)
    records = store.records
    assert records.record_id.tolist() == sorted(source[1])
    for row, pid in enumerate(records.record_id):
        found, expected = store.read(row)[0, 0], source[1][pid]
        if pid == "a006":
            times = np.arange(5000) / 500
            expected = np.interp(times, np.arange(len(expected)) / 488.28125, expected)
            assert np.corrcoef(found, expected)[0, 1] > 0.999
            continue
        np.testing.assert_allclose(found[: len(expected)], expected, atol=1e-3)
    rows = records.set_index("record_id")
    assert rows.seconds[["a000", "a010"]].tolist() == [10, 7]
    assert "padded" in rows["flags"]["a010"]
    assert rows.start_s["a007"] == 10
    skipped = dict(pd.read_csv(store.path / "skipped.csv").values)
    assert skipped == {"a004": "file a004.initial.Calibration_start_1.tsv is missing; fetch it again"}


def test_a_device_in_its_own_time_keeps_its_heart_rate(source, store):
    """Taken for 500 Hz, beats at 488 Hz would come 2.4 % too fast."""
    row = store.records.index[store.records.record_id == "a006"][0]
    found = store.read(row)[0, 0]
    peaks = np.flatnonzero((found[1:-1] > 0.6) & (found[1:-1] >= found[:-2]) & (found[1:-1] > found[2:]))
    peaks = peaks[np.diff(peaks, prepend=-1000) > 100]
    assert np.diff(peaks).mean() / 500 == pytest.approx(60 / 64, rel=0.005)


def test_labels_splits_and_metadata(tmp_path, source, store):
    records = store.records.set_index("record_id")
    table = pd.read_csv(source[0] / "measurements_auscultatory.tsv", sep="\t")
    table = table[table.measurement == "Calibration start 1"].set_index("pid")
    others = records.index.difference(["a003"])
    np.testing.assert_array_equal(records.loc[others, "aurora_bp/sbp"], table.sbp[others] + 2)
    assert np.isnan(records.loc["a003", "aurora_bp/sbp"])
    assert np.isnan(records.dbp_mmhg["a009"])
    np.testing.assert_array_equal(records.sbp_mmhg, table.sbp[records.index])
    assert records.split.tolist() == split_by_subject(records.index, shares=(0.7, 0.15, 0.15)).tolist()
    assert set(records.split) == {"train", "val", "test"}
    assert records.height_cm["a000"] == 172.7
    assert records.weight_kg["a000"] == 68.0
    assert records.sex[["a000", "a001"]].tolist() == ["female", "male"]
    assert records.hypertension[["a000", "a001"]].tolist() == [0, 1]
    assert check(store).ok, str(check(store))
    own = convert(source[0], tmp_path / "own", target="measurement").records.set_index("record_id")
    np.testing.assert_array_equal(own["aurora_bp/sbp"], table.sbp[own.index])
    assert np.isnan(own["aurora_bp/dbp"]["a009"])


def test_only_the_needed_files_and_columns_are_read(tmp_path, source, monkeypatch):
    opened, read_csv = {}, pd.read_csv

    def noted(path, **more):
        frame = read_csv(path, **more)
        opened[path.name] = set(frame)
        return frame

    monkeypatch.setattr(pd, "read_csv", noted)
    convert(source[0], tmp_path / "store")
    assert opened["a000.initial.Calibration_start_1.tsv"] == {"t", "ekg"}
    assert not [name for name in opened if "Calibration_start_2" in name]


@pytest.mark.parametrize(
    ("lines", "reason"),
    [
        (["0\tx", "0.002\t1"], "is damaged"),
        (["0\t1", "0\t1"], "the column t does not rise"),
        (["0\t1", "0.002\t1", "0.1\t2"], "not evenly spaced"),
        ([f"{index / 500:.5g}\t1.25" for index in range(6000)], "no window of 10 s holds a signal"),
    ],
)
def test_damaged_files_say_why(tmp_path, lines, reason):
    folder = tmp_path / "aurora"
    aurora_bp.write(folder, participants=2)
    path = folder / "measurements_auscultatory/a000/a000.initial.Calibration_start_1.tsv"
    path.write_text("\n".join(["t\tekg", *lines]) + "\n")
    made = openclef.convert(
        "aurora_bp", folder, tmp_path / "store", workers=1, progress=False, max_skipped_share=0.5
    )
    assert reason in dict(pd.read_csv(made.path / "skipped.csv").values)["a000"]


def test_errors_say_what_to_do(tmp_path):
    def run(**options):
        return openclef.convert(
            "aurora_bp", tmp_path, tmp_path / "store", workers=1, progress=False, **options
        )

    with pytest.raises(
        FileNotFoundError, match=r"participants.tsv is missing. Aurora-BP.*on request: .*21 GB"
    ):
        run()
    with pytest.raises(ValueError, match="target='sbp'; accepted are baseline, measurement"):
        run(target="sbp")
    aurora_bp.write(tmp_path, participants=2)
    (tmp_path / "features.tsv").unlink()
    with pytest.raises(FileNotFoundError, match=r"features.tsv is missing; pass target='measurement'"):
        run()
    text = (tmp_path / "measurements_auscultatory.tsv").read_text()
    (tmp_path / "measurements_auscultatory.tsv").write_text(text.replace("\tsbp\t", "\tsys\t"))
    with pytest.raises(ValueError, match="lacks sbp"):
        run()
    (tmp_path / "measurements_auscultatory.tsv").write_text(text)
    for path in tmp_path.glob("measurements_auscultatory/*/*.tsv"):
        path.unlink()
    with pytest.raises(FileNotFoundError, match="holds no waveform of Calibration start 1"):
        run()
