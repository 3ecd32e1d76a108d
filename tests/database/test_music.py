"""MUSIC: windows of Holters, outcomes, splits within them, and the quirks of its table."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import openclef
from openclef.checking import check
from openclef.database.music import LABELS, TASK
from tests.layouts import music


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    folder = tmp_path_factory.mktemp("music")
    return folder, music.write(folder)


def convert(source, dst, **settings):
    settings = {"max_skipped_share": 0.1} | settings
    with pytest.warns(UserWarning, match="1 of 40 patients have no Holter"):
        return openclef.convert("music", source, dst, workers=1, progress=False, **settings)


@pytest.mark.filterwarnings("ignore:1 patients have the causes")
def test_windows_are_what_was_written(tmp_path, source):
    folder, truth = source
    store = convert(folder, tmp_path / "store")
    assert (store.name, store.fs, store.leads, store.samples) == ("music", 200, ("X",), 2000)
    records = store.records.set_index("record_id")
    assert set(records.index) == {f"{name}_000600" for name in truth}
    assert (records.subject_id + "_000600" == records.index).all()
    expected_start = dict.fromkeys(truth, 600.0) | {"P0009": 620.0}
    for row, record in enumerate(store.records.itertuples()):
        assert record.start_s == expected_start[record.subject_id]
        first = int((record.start_s - 600) * 200)
        expected = truth[record.subject_id][0, first : first + 2000]
        np.testing.assert_allclose(store.read(row)[0, 0], expected, atol=5e-4)
    skipped = dict(pd.read_csv(store.path / "skipped.csv").values)
    assert skipped == {
        "P0006_000600": "file P0006_H.dat is missing; fetch it again",
        "P0007_000600": "lead X states no gain, so its amplitude is unknown; add it to the header",
    }


@pytest.mark.filterwarnings("ignore:1 patients have no Holter")
def test_outcomes_and_metadata(tmp_path, source):
    with pytest.warns(UserWarning, match="1 patients have the causes of death 9"):
        store = convert(source[0], tmp_path / "store")
    records = store.records.set_index("subject_id")
    assert store.tasks[TASK].labels == LABELS
    assert records[TASK]["P0014"] == ""
    for patient, row in records.drop(index="P0014").iterrows():
        cause = music.CAUSES[(int(patient[1:]) - 1) % 8]
        assert row[TASK] == LABELS[{"0": 0, "1": 1, "3": 2, "6": 3, "7": 3}[cause]]
    assert (records.age_years["P0011"], records.age_over_89["P0011"]) == (90, 1)
    assert records.weight_kg["P0012"] == 81.5
    assert np.isnan(records.dbp_mmhg["P0003"])
    assert set(records.sex) == {"male", "female"}
    assert records.total_chol_mmol_l.between(3, 7).all()
    assert records.exit_of_study[["P0001", "P0013", "P0017", "P0002"]].tolist() == [
        "survivor", "lost_to_follow_up", "transplanted", "death",
    ]  # fmt: skip
    counts = records.groupby([TASK, "split"]).size().unstack(fill_value=0)
    assert (counts.loc[list(LABELS)] > 0).all(axis=None)
    assert check(store).ok, str(check(store))


@pytest.mark.filterwarnings("ignore:1 patients have the causes")
def test_options(tmp_path, source):
    folder, truth = source
    store = convert(
        folder, tmp_path / "row", split="row_order", censored="leave_out", lead="Z", max_skipped_share=0.2
    )
    records = store.records.set_index("subject_id")
    assert store.leads == ("Z",)
    assert not {"P0013", "P0017"} & set(records.index)
    assert records.split["P0001"] == "train"
    assert records.split["P0040"] == "test"
    # 39 patients have a Holter, all but P0005: 27, 3 and 9
    assert records.split[["P0028", "P0029", "P0031", "P0032"]].tolist() == ["train", "val", "val", "test"]
    reasons = pd.read_csv(store.path / "skipped.csv").set_index("record_id").reason
    assert reasons["P0008_000600"] == "leads missing: Z; it has X, Y"
    store = convert(folder, tmp_path / "several", windows=2, every_s=20, start_s=605)
    rows = store.records[store.records.subject_id == "P0001"]
    assert rows.record_id.tolist() == ["P0001_000605", "P0001_000625"]
    assert rows.start_s.tolist() == [605, 625]
    assert store.records.groupby("subject_id").split.nunique().max() == 1
    expected = truth["P0001"][0, 25 * 200 : 35 * 200]
    np.testing.assert_allclose(store.read(rows.index[1])[0, 0], expected, atol=5e-4)


@pytest.mark.filterwarnings("ignore:1 patients have the causes")
def test_only_the_windows_are_read(tmp_path, source, monkeypatch):
    read, bytes_read = np.fromfile, []

    def counted(*args, **more):
        found = read(*args, **more)
        bytes_read.append(found.nbytes)
        return found

    monkeypatch.setattr(np, "fromfile", counted)
    store = convert(source[0], tmp_path / "store")
    window = 10 * 200 * 3 * 2
    usual = [size for size in bytes_read if size <= window]
    assert len(usual) == len(store)
    assert sum(bytes_read) <= sum(usual) + 6 * window  # P0009's first window stands still: the next are read


def test_windows_at_the_end(tmp_path, source):
    folder, _ = source
    with (
        pytest.warns(UserWarning, match="have no Holter"),
        pytest.raises(ValueError, match=r"no window of 10 s holds a signal within 600 s of 695 s"),
    ):
        openclef.convert("music", folder, tmp_path / "a", workers=1, progress=False, start_s=695)
    with (
        pytest.warns(UserWarning, match="have no Holter"),
        pytest.raises(ValueError, match=r"it lasts 700 s, and 700 s is beyond its end"),
    ):
        openclef.convert("music", folder, tmp_path / "b", workers=1, progress=False, start_s=700)


def test_errors_say_what_to_do(tmp_path):
    def plan(**options):
        return openclef.convert("music", tmp_path, tmp_path / "store", workers=1, progress=False, **options)

    with pytest.raises(FileNotFoundError, match=r"subject-info.csv is missing. MUSIC .*90 GB.*ODbL 1.0"):
        plan()
    with pytest.raises(ValueError, match="split='random'; accepted are stratified, row_order"):
        plan(split="random")
    with pytest.raises(ValueError, match="every_s=5; accepted are at least one window"):
        plan(every_s=5)
    music.write(tmp_path, patients=4)
    text = (tmp_path / "subject-info.csv").read_text(encoding="latin-1")
    (tmp_path / "subject-info.csv").write_text(text + text.splitlines()[1] + "\n")
    with pytest.raises(ValueError, match="names patient P0001 twice"):
        plan()
    (tmp_path / "subject-info.csv").write_text(text.replace("Cause of death", "cause"))
    with pytest.raises(ValueError, match="lacks Cause of death"):
        plan()
    (tmp_path / "subject-info.csv").write_text(text)
    for path in (tmp_path / "Holter_ECG").glob("*.hea"):
        path.unlink()
    with pytest.raises(FileNotFoundError, match="holds no record under Holter_ECG"):
        plan()
