"""Embeddings of whole folders and long files: what is found, cut, pooled, guessed and skipped."""

from __future__ import annotations

import tracemalloc
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
import wfdb

from openclef.backbone import BACKBONES
from openclef.cli import main
from openclef.embedding import embed, embed_to_parquet
from openclef.formats import read_record
from openclef.formats.finding import find_recordings
from openclef.formats.pickled import is_pickled
from openclef.model import Encoder, save_encoder
from openclef.preprocessing import Preprocessing
from openclef.record import Record
from tests.test_embedding import TinyEncoder, wave


def vectors(frame):
    return np.stack(frame["embedding"].map(np.array))


def write_wfdb(folder: Path, name: str, signal: np.ndarray, fs: float, leads=("I", "II")) -> Path:
    wfdb.wrsamp(
        name,
        fs=fs,
        units=["mV"] * len(signal),
        sig_name=list(leads),
        p_signal=signal.T.astype(float),
        fmt=["16"] * len(signal),
        adc_gain=[1000.0] * len(signal),
        baseline=[0] * len(signal),
        write_dir=str(folder),
    )
    return folder / f"{name}.hea"


@pytest.fixture
def folder(tmp_path):
    """Five recordings in three folders, one of them damaged, and what else lies about."""
    top = tmp_path / "ecgs"
    for part in ("a", "b", ".hidden"):
        (top / part).mkdir(parents=True)
    write_wfdb(top / "a", "first", np.stack([wave(10, 100, 1), wave(10, 100, 2)]), 100)
    write_wfdb(top / ".hidden", "unseen", np.stack([wave(10, 100, 1), wave(10, 100, 2)]), 100)
    np.save(top / "b" / "second.npy", wave(8, 250, 3))
    pd.DataFrame({"time_s": np.arange(800) / 100, "ECG (uV)": wave(8, 100, 4) * 1000}).to_csv(
        top / "b" / "third.csv", index=False
    )
    (top / "broken.edf").write_bytes(b"0       damaged")
    (top / "model.pt").write_bytes(b"PK\x03\x04" + bytes(26) + b"archive/data.pkl" + bytes(100))
    (top / "README.md").write_text("# not one")
    return top


def test_a_folder_is_searched_and_damaged_files_are_listed(folder):
    found = find_recordings(folder)
    assert [file.name for file in found.files] == ["first.hea", "second.npy", "third.csv", "broken.edf"]
    assert found.aside == {".md": 1, ".pt": 1}
    with pytest.warns(UserWarning, match="guessed") as said:
        frame = embed(TinyEncoder(), folder, fs=250, errors="skip")
    skipped = {Path(source).name: reason for source, reason in frame.attrs["skipped"].items()}
    assert set(skipped) == {"first.hea", "third.csv", "broken.edf"}  # the first two are not of 250 Hz
    assert "states 100 Hz and fs=250 was passed" in skipped["first.hea"]
    assert "is cut short" in skipped["broken.edf"]
    assert [str(each.message) for each in said if "guessed" in str(each.message)] == [
        "guessed lead I for 1 file that do not state it: second.npy",
        "guessed unit mV for 1 file that do not state it: second.npy",
    ]
    with pytest.raises(ValueError, match="states 100 Hz"):
        embed(TinyEncoder(), folder, fs=250)


def test_the_lead_of_a_single_lead_file_is_taken_and_said(folder):
    with pytest.warns(UserWarning, match="guessed lead I, which the file calls ECG for 1 file"):
        frame = embed(TinyEncoder(), folder / "b" / "third.csv")
    assert set(frame["lead"]) == {"I"}
    expected = embed(TinyEncoder(), wave(8, 100, 4).astype(float), fs=100)
    np.testing.assert_allclose(vectors(frame), vectors(expected), atol=1e-4)


def test_the_command_embeds_a_folder_and_lists_what_it_skipped(folder, tmp_path, capsys):
    model = Encoder(
        BACKBONES["resnext1d_small"](),
        Preprocessing(fs=100, seconds=4, band=(0.5, 30.0)),
        backbone_name="resnext1d_small",
    )
    save_encoder(model, tmp_path / "model")
    out = tmp_path / "out" / "e.parquet"
    code = main(
        ["embed", str(tmp_path / "model"), str(folder), "--out", str(out), "--pool", "mean", "--lead", "all"]
    )
    said = capsys.readouterr().out
    assert code == 0
    rows = pd.read_parquet(out)
    assert [(Path(source).name, lead) for source, lead in zip(rows["source"], rows["lead"])] == [
        ("first.hea", "I"),
        ("first.hea", "II"),
        ("third.csv", "I"),
    ]
    assert "3 rows of 2 recordings, 256 dimensions" in said
    assert "note: guessed lead I, which the file calls ECG" in said
    assert "2 other files in the folder: 1 .md, 1 .pt" in said
    assert "skipped: 2 recordings" in said
    listed = pd.read_csv(tmp_path / "out" / "e.skipped.csv")
    assert [Path(source).name for source in listed["source"]] == ["second.npy", "broken.edf"]
    assert "fs is missing" in listed["reason"][0]


def test_nothing_that_could_be_read_is_an_error_and_no_file(tmp_path):
    (tmp_path / "a.edf").write_bytes(b"0       ")
    with pytest.raises(
        ValueError, match=r"none of 1 recordings could be embedded; a\.edf: a\.edf is cut short"
    ):
        embed_to_parquet(TinyEncoder(), [tmp_path / "a.edf"], tmp_path / "e.parquet", errors="skip")
    assert not (tmp_path / "e.parquet").exists()


def test_a_file_read_in_parts_gives_what_it_gives_whole(tmp_path, monkeypatch):
    """60 s at a rate that parts do not divide, windows that overlap, gaps at the borders of parts."""
    fs = 128.5
    signal = np.stack([wave(61.3, fs, 1), wave(61.3, fs, 2)])
    signal[:, 1000:1700] = np.nan
    file = write_wfdb(tmp_path, "long", signal, fs)
    record = read_record(file)
    for overlap_s in (0.0, 1.5):
        whole = embed(TinyEncoder(), record, overlap_s=overlap_s, lead="II")
        monkeypatch.setattr("openclef.source_files.PART_S", 7.3)
        parts = embed(TinyEncoder(), file, overlap_s=overlap_s, lead="II")
        monkeypatch.undo()
        assert len(whole) > 10
        pd.testing.assert_frame_equal(
            whole.drop(columns=["source", "embedding"]),
            parts.drop(columns=["source", "embedding"]),
            atol=1e-9,
        )
        np.testing.assert_array_equal(vectors(whole), vectors(parts))


def test_overlapping_windows_begin_where_they_should():
    frame = embed(TinyEncoder(), wave(13, 100), fs=100, overlap_s=2)
    assert frame["start_s"].tolist() == [0.0, 2.0, 4.0, 6.0, 8.0]
    assert (
        frame["seconds"].tolist() == [4.0] * 5
    )  # a last one, from 10 s on, would hold 1 s that no other has
    lone = embed(TinyEncoder(), wave(13, 100)[400:800], fs=100)
    np.testing.assert_allclose(vectors(frame)[2], vectors(lone)[0], atol=1e-5)
    with pytest.raises(ValueError, match=r"overlap_s=4 with windows of 4\.0 s"):
        embed(TinyEncoder(), wave(13, 100), fs=100, overlap_s=4)


def test_short_recordings_are_padded_or_refused():
    model, long, short = TinyEncoder(), wave(10, 100), wave(3, 100)
    padded = embed(model, [long, short], fs=100)
    assert padded["flags"].tolist() == ["", "", "padded", "padded"]
    with pytest.raises(ValueError, match=r"array 1 lasts 3.00 s, less than the model's window of 4 s"):
        embed(model, [long, short], fs=100, short="refuse")
    assert embed(model, [long], fs=100, short="refuse")["start_s"].tolist() == [0.0, 4.0]


@pytest.mark.parametrize("how", ["mean", "median", "max"])
def test_windows_of_a_recording_are_pooled_without_those_that_hold_nothing(how):
    long = wave(20, 100)
    long[400:800] = np.nan
    rows = embed(TinyEncoder(), [long, wave(8, 100, 1)], fs=100)
    pooled = embed(TinyEncoder(), [long, wave(8, 100, 1)], fs=100, pool=how, batch_size=2)
    assert pooled["source"].tolist() == ["array 0", "array 1"]
    assert pooled["seconds"].tolist() == [20.0, 8.0]
    assert "too_short" in pooled["flags"][0]
    known = vectors(rows[(rows["source"] == "array 0") & ~rows["flags"].str.contains("too_short")])
    np.testing.assert_allclose(
        vectors(pooled)[0], getattr(np, how)(known.astype(np.float32), axis=0), rtol=1e-6
    )


def test_leads_are_embedded_one_by_one_averaged_or_concatenated():
    signal = np.stack([wave(8, 100, seed) for seed in range(3)])
    given = {"fs": 100, "leads": ["I", "II", "V1"], "lead": "all"}
    rows = embed(TinyEncoder(), signal, **given)
    assert list(zip(rows["start_s"], rows["lead"]))[:4] == [(0.0, "I"), (0.0, "II"), (0.0, "V1"), (4.0, "I")]
    alone = embed(TinyEncoder(), signal[1], fs=100)
    np.testing.assert_allclose(vectors(rows[rows["lead"] == "II"]), vectors(alone), atol=1e-6)
    mean = embed(TinyEncoder(), signal, pool_leads="mean", **given)
    assert mean["lead"].tolist() == ["I+II+V1"] * 2
    np.testing.assert_allclose(vectors(mean)[1], vectors(rows)[3:].mean(axis=0), rtol=1e-5)
    joined = embed(TinyEncoder(), signal, pool_leads="concatenate", **given)
    np.testing.assert_array_equal(vectors(joined)[1], vectors(rows)[3:].ravel())
    records = [Record(signal, 100, ("I", "II", "V1"), "a"), Record(signal[:1], 100, ("I",), "b")]
    with pytest.raises(ValueError, match="has the leads I and the recordings before it I"):
        embed(TinyEncoder(), records, lead="all", pool_leads="concatenate")


def test_features_over_time_have_the_embedding_as_mean():
    model = Encoder(BACKBONES["resnext1d_small"](), Preprocessing(fs=100, seconds=4, band=(0.5, 30.0)))
    frames = embed(model, wave(8, 100), fs=100, over_time=True)
    whole = embed(model, wave(8, 100), fs=100)
    count = len(frames) // 2
    assert frames["start_s"].tolist()[:2] == [0.0, 4 / count]
    np.testing.assert_allclose(vectors(frames)[:count].mean(axis=0), vectors(whole)[0], atol=1e-5)
    linear = torch.nn.Linear(4, 4)
    linear.dim = 4
    with pytest.raises(ValueError, match="Linear gives no features over time"):
        embed(linear, wave(8, 100), fs=100, over_time=True)
    with pytest.raises(ValueError, match="over_time gives one row a frame"):
        embed(model, wave(8, 100), fs=100, over_time=True, pool="mean")


def test_a_header_cannot_reach_out_of_its_folder(tmp_path):
    (tmp_path / "in").mkdir()
    write_wfdb(tmp_path, "a", np.stack([wave(10, 100, 1), wave(10, 100, 2)]), 100)
    text = (tmp_path / "a.hea").read_text()
    for name in ("../a.dat", str(tmp_path / "a.dat"), "..\\a.dat"):
        (tmp_path / "in" / "a.hea").write_text(text.replace("a.dat", name))
        with pytest.raises(ValueError, match="accepted are files beside the header"):
            read_record(tmp_path / "in" / "a.hea")


def test_pickles_are_refused_whatever_they_are_called(tmp_path):
    import pickle

    for name, protocol in (("a.csv", 4), ("a.npy", 2), ("a.parquet", 5), ("a.pkl", 0), ("a.mat", 3)):
        (tmp_path / name).write_bytes(pickle.dumps({"signal": [1.0, 2.0]}, protocol=protocol))
        with pytest.raises(ValueError, match=rf"{name} is a pickle, and reading those runs code"):
            read_record(tmp_path / name)
    torch.save({"signal": torch.zeros(3)}, tmp_path / "a.txt")
    assert is_pickled((tmp_path / "a.txt").read_bytes()[:4096])
    np.save(tmp_path / "b.npy", np.array([{}], dtype=object))
    with pytest.raises(ValueError, match=r"b.npy holds Python objects, and loading those would run code"):
        read_record(tmp_path / "b.npy", fs=100, leads=["I"], unit="mV")


def test_a_long_file_is_embedded_in_little_memory(tmp_path):
    """Eight hours of two leads at 250 Hz are 29 MB in int16 and 58 in float32; a part of 10 minutes is 1."""
    fs = 250
    beat = np.tile(wave(2, fs), 14_400)
    file = write_wfdb(tmp_path, "night", np.stack([beat, beat]), fs)
    model = TinyEncoder(seconds=60.0)
    embed(model, wave(70, 100), fs=100)  # what is loaded once
    tracemalloc.start()
    done = embed_to_parquet(model, file, tmp_path / "e.parquet", batch_size=4)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert done.rows == 480
    assert peak < 20e6
