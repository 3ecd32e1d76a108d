from __future__ import annotations

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
import torch

from openclef.embedding import embed, embed_store, embed_to_parquet
from openclef.preprocessing import Preprocessing
from openclef.record import Record
from openclef.store import StoreWriter


class TinyEncoder(torch.nn.Module):
    """A convolution with dropout: evaluation mode matters."""

    dim = 4

    def __init__(self, seconds=4.0, fs=100.0):
        super().__init__()
        self.preprocessing = Preprocessing(fs=fs, seconds=seconds, band=(0.5, 30.0))
        with torch.random.fork_rng():
            torch.manual_seed(0)
            self.convolution = torch.nn.Conv1d(1, 4, 9, stride=4)
        self.dropout = torch.nn.Dropout(0.5)

    def forward(self, signal):
        return self.dropout(torch.relu(self.convolution(signal)).mean(-1))


def wave(seconds, fs, seed=0):
    time_s = np.arange(round(seconds * fs)) / fs
    phase = np.random.default_rng(seed).random() * 6
    return (np.sin(2 * np.pi * 1.2 * time_s + phase) + 0.3 * np.sin(2 * np.pi * 9 * time_s)).astype(
        np.float32
    )


def write(folder, records, fs=100, seconds=4.0, leads=("I", "II"), columns=None):
    writer = StoreWriter(folder, name="tiny", scale=0.001, fs=fs, leads=leads, seconds=seconds)
    writer.write_part(0, records, columns or [{"split": "test"} for _ in records])
    return writer.finish()


@pytest.fixture
def store(tmp_path):
    records = [
        Record(np.stack([wave(4, 100, i), wave(4, 100, 50 + i)]), 100, ("I", "II"), f"r{i}") for i in range(7)
    ]
    return write(tmp_path / "store", records)


def test_a_store_its_arrays_and_its_records_embed_alike(store):
    model = TinyEncoder()
    whole = embed_store(model, store, lead="II", batch_size=3)
    assert whole.shape == (7, 4)
    assert whole.dtype == np.float32
    frame = embed(model, store, lead="ii", batch_size=2)
    assert list(frame.columns) == ["source", "lead", "start_s", "seconds", "flags", "embedding"]
    assert frame["source"].tolist() == [f"r{i}" for i in range(7)]
    assert set(frame["lead"]) == {"II"}
    np.testing.assert_allclose(np.stack(frame["embedding"]), whole, atol=1e-5)
    arrays = [store.read(i)[0] for i in range(7)]
    again = embed(model, arrays, fs=100, lead="II", leads=["I", "II"])
    np.testing.assert_allclose(np.stack(again["embedding"]), whole, atol=1e-5)
    microvolts = embed(
        model, [1000 * array for array in arrays], fs=100, lead="II", leads=["I", "II"], unit="uV"
    )
    np.testing.assert_allclose(np.stack(microvolts["embedding"]), whole, atol=1e-5)
    by_path = embed(model, str(store.path), lead="II")
    np.testing.assert_array_equal(
        np.stack(by_path["embedding"]), np.stack(embed(model, [store], lead="II")["embedding"])
    )
    assert not np.allclose(embed_store(model, store, lead="I"), whole)


def test_rows_come_in_the_order_asked_whatever_the_batch(store):
    model = TinyEncoder()
    whole = embed_store(model, store)
    np.testing.assert_allclose(
        embed_store(model, store, rows=[5, 0, 5], batch_size=2), whole[[5, 0, 5]], atol=1e-6
    )
    mask = np.arange(7) % 2 == 0
    np.testing.assert_allclose(embed_store(model, store, rows=mask), whole[mask], atol=1e-6)
    assert embed_store(model, store, rows=[]).shape == (0, 4)


def test_dropout_is_off_and_the_mode_comes_back(store):
    model = TinyEncoder().train()
    model.convolution.eval()
    np.testing.assert_array_equal(embed_store(model, store), embed_store(model, store))
    assert model.training
    assert model.dropout.training
    assert not model.convolution.training
    assert not any(parameter.grad is not None for parameter in model.parameters())


def test_the_mode_comes_back_after_an_error():
    class Broken(TinyEncoder):
        def forward(self, signal):
            raise RuntimeError("broken")

    model = Broken().train()
    with pytest.raises(RuntimeError, match="broken"):
        embed(model, wave(4, 100), fs=100)
    assert model.training


def test_long_signals_are_cut_and_padding_is_flagged():
    model = TinyEncoder()
    signal = wave(11, 250)
    frame = embed(model, signal, fs=250)
    assert frame["start_s"].tolist() == [0.0, 4.0, 8.0]
    assert frame["seconds"].tolist() == [4.0, 4.0, 3.0]
    assert frame["flags"].tolist() == ["", "", "padded"]
    second = embed(model, signal[1000:2000], fs=250)
    np.testing.assert_allclose(frame["embedding"][1], second["embedding"][0], atol=1e-6)
    assert len(embed(model, wave(1, 250), fs=250)) == 1


def test_longer_store_windows_give_the_mean_of_the_models_windows(tmp_path):
    model = TinyEncoder()
    long = np.concatenate([wave(4, 100, 1), wave(4, 100, 2)])[None]
    half = long.copy()
    half[:, 400:] = np.nan  # nothing recorded in the second half
    store = write(
        tmp_path / "long",
        [Record(long, 100, ("I",), "a"), Record(half, 100, ("I",), "b")],
        seconds=8.0,
        leads=("I",),
    )
    parts = np.stack(embed(model, store.read(0)[0], fs=100)["embedding"])
    vectors = embed_store(model, store)
    np.testing.assert_allclose(vectors[0], parts.mean(0), atol=1e-6)
    np.testing.assert_allclose(vectors[1], parts[0], atol=1e-6)
    frame = embed(model, store)
    assert frame["source"].tolist() == ["a", "a", "b", "b"]
    assert frame["start_s"].tolist() == [0.0, 4.0, 0.0, 4.0]
    assert "mostly_missing:I" in frame["flags"][3]


def test_sources_of_different_rates_keep_their_order(tmp_path):
    model = TinyEncoder()
    np.save(tmp_path / "a.npy", wave(4, 250)[None])
    sources = [
        wave(4, 250),
        Record(wave(4, 100)[None], 100, ("I",), "record"),
        wave(4, 250),
        tmp_path / "a.npy",
    ]
    frame = embed(model, sources, fs=250, leads=["I"])
    assert frame["source"].tolist() == ["array 0", "record", "array 2", str(tmp_path / "a.npy")]
    vectors = np.stack(frame["embedding"])
    np.testing.assert_allclose(vectors[0], vectors[2], atol=1e-6)
    np.testing.assert_allclose(vectors[0], vectors[3], atol=1e-6)
    np.testing.assert_allclose(vectors[0], vectors[1], atol=0.02)  # the same wave at another rate


def test_bf16_is_close_and_the_result_float32(store):
    model = TinyEncoder()
    exact, rough = embed_store(model, store), embed_store(model, store, precision="bf16", device="cpu")
    assert rough.dtype == np.float32
    np.testing.assert_allclose(rough, exact, atol=0.03)
    with pytest.raises(ValueError, match="float32, bf16"):
        embed_store(model, store, precision="fp8")


def test_errors_say_what_to_do(store):
    model = TinyEncoder()
    with pytest.raises(ValueError, match="leads are missing for array 0 with 2 rows"):
        embed(model, np.zeros((2, 400)), fs=100)
    with pytest.raises(ValueError) as error:
        embed(model, np.zeros(400))
    assert str(error.value) == "fs is missing for an array; pass fs=<Hz>, for example fs=130 for Polar H10."
    with pytest.raises(ValueError, match="available leads: I, II"):
        embed(model, store, lead="V5")
    with pytest.raises(ValueError, match="too low"):
        embed(model, np.zeros(400), fs=50)
    with pytest.raises(ValueError, match="several in a list"):
        embed(model, np.zeros((2, 2, 400)), fs=100)
    with pytest.raises(ValueError, match=r"no \.dim"):
        embed(torch.nn.Linear(2, 2), np.zeros(400), fs=100)
    with pytest.raises(FileNotFoundError):
        embed(model, "missing.npy", fs=100, leads=["I"])


def test_a_bare_backbone_takes_the_default_preprocessing():
    class Bare(torch.nn.Module):
        dim = 2

        def forward(self, signal):
            assert signal.shape[-2:] == (1, 5000)
            return torch.stack([signal.mean((1, 2)), signal.std((1, 2), correction=0)], 1)

    vector = embed(Bare(), wave(10, 130), fs=130)["embedding"][0]
    np.testing.assert_allclose(vector, [0, 1], atol=1e-3)


def test_too_little_signal_is_refused_alone_and_a_row_of_nan_in_a_list(store, tmp_path):
    model = TinyEncoder()
    empty, short = np.full(400, np.nan, np.float32), wave(0.9, 100)
    for alone in (empty, short, Record(short[None], 100, ("I",), "short")):
        with pytest.raises(ValueError, match=r"0\.[09]0 s of recorded samples in lead I; at least 1 s"):
            embed(model, alone, fs=100)
    frame = embed(model, [wave(4, 100), empty, short], fs=100, batch_size=2)
    assert frame["flags"].tolist() == ["", "mostly_missing:I;too_short", "padded;too_short"]
    missing = np.isnan(np.stack(frame["embedding"]))
    assert missing.all(1).tolist() == missing.any(1).tolist() == [False, True, True]
    gap = np.concatenate([wave(4, 100), empty, wave(4, 100)])
    assert [np.isnan(row[0]) for row in embed(model, gap, fs=100)["embedding"]] == [False, True, False]
    records = [
        Record(np.stack([empty, wave(4, 100)])[turn], 100, ("I", "II"), f"r{turn[0]}")
        for turn in ([0, 1], [1, 0])
    ]
    stored = embed(model, write(tmp_path / "gaps", records))
    assert [np.isnan(row[0]) for row in stored["embedding"]] == [True, False]
    assert embed(TinyEncoder(seconds=0.6), wave(0.6, 100), fs=100)["flags"].tolist() == [""]


def test_what_a_file_states_is_not_contradicted(tmp_path):
    import wfdb

    model, signal = TinyEncoder(), wave(4, 500)
    wfdb.wrsamp(
        "a",
        fs=500,
        units=["mV"],
        sig_name=["I"],
        p_signal=signal[:, None],
        fmt=["16"],
        write_dir=str(tmp_path),
    )
    rows = "\n".join(f"{i / 500:.3f},{value:.5f}" for i, value in enumerate(signal))
    (tmp_path / "a.csv").write_text(f"time_s,I (mV)\n{rows}\n")
    np.savez(tmp_path / "a.npz", signal=signal[None], fs=500, leads=["I"], unit="mV")
    expected = embed(model, signal, fs=500)["embedding"][0]
    for name in ("a.hea", "a", "a.csv", "a.npz"):
        for settings in ({}, {"fs": 500}, {"unit": "mV"}):
            vector = embed(model, tmp_path / name, **settings)["embedding"][0]
            np.testing.assert_allclose(vector, expected, atol=5e-3)
        with pytest.raises(ValueError, match="states 500 Hz and fs=250 was passed; leave fs out"):
            embed(model, [tmp_path / name], fs=250)
        with pytest.raises(ValueError, match=r"is read in mV; unit='zscore' was passed"):
            embed(model, tmp_path / name, unit="zscore")
    with pytest.raises(ValueError, match=r"is read in mV; unit='uV' was passed"):
        embed(model, tmp_path / "a.hea", unit="uV")


def test_one_row_takes_the_lead_asked_for(tmp_path):
    model = TinyEncoder()
    np.save(tmp_path / "one.npy", wave(4, 100))
    np.save(tmp_path / "two.npy", np.stack([wave(4, 100)] * 2))
    assert embed(model, tmp_path / "one.npy", fs=100, lead="V5")["lead"].tolist() == ["V5"]
    assert embed(model, wave(4, 100), fs=100, lead="V5", leads="V5")["lead"].tolist() == ["V5"]
    with pytest.raises(ValueError, match=r"leads are missing for two\.npy"):
        embed(model, tmp_path / "two.npy", fs=100)
    (tmp_path / "empty").mkdir()
    with pytest.raises(
        ValueError, match=r"folder without dataset\.json, so no store, and holds no recording"
    ):
        embed(model, tmp_path / "empty", fs=100)


@pytest.mark.parametrize("batch_size", [0, -1, 2.5])
def test_batches_hold_at_least_a_window(store, batch_size):
    for call in (embed, embed_store):
        with pytest.raises(ValueError, match=r"batch_size is .*; accepted are whole numbers from 1"):
            call(TinyEncoder(), store, batch_size=batch_size)


def test_a_model_that_gives_another_shape_is_refused():
    class Wrong(torch.nn.Module):
        dim = 3

        def __init__(self, change):
            super().__init__()
            self.change = change

        def forward(self, signal):
            return self.change(torch.ones(len(signal), 3))

    for change in (
        lambda h: h[:1],
        lambda h: h[:, :2],
        lambda h: h[:, None],
        lambda h: (h, h),
        lambda h: h.numpy(),
    ):
        with pytest.raises(ValueError, match=r"Wrong gives .* it must give a tensor of \(windows, dim\)"):
            embed(Wrong(change), np.random.default_rng(0).normal(size=12000), fs=500)


def test_a_parquet_file_holds_what_embed_gives(store, tmp_path, monkeypatch):
    monkeypatch.setattr("openclef.embedding._ROW_GROUP", 3)
    model, file = TinyEncoder(), tmp_path / "a.parquet"
    whole = embed(model, [store, store.read(0, ["II"])[0, 0]], fs=store.fs, lead="II")
    windows = embed_to_parquet(
        model, [store, store.read(0, ["II"])[0, 0]], file, fs=store.fs, lead="II", batch_size=2
    )
    written = pq.read_table(file)
    assert windows.rows == len(whole) == written.num_rows
    assert pq.ParquetFile(file).num_row_groups > 1
    found = written.to_pandas()
    pd.testing.assert_frame_equal(found.drop(columns="embedding"), whole.drop(columns="embedding"))
    np.testing.assert_allclose(
        np.stack(found["embedding"]), np.stack(whole["embedding"].map(np.array)), atol=1e-6
    )


def test_a_parquet_file_is_there_whole_or_not_at_all(store, tmp_path):
    file = tmp_path / "a.parquet"
    with pytest.raises(FileNotFoundError):
        embed_to_parquet(TinyEncoder(), [store, tmp_path / "absent.csv"], file, lead="II", fs=100)
    assert list(tmp_path.glob("*parquet*")) == []
    with pytest.raises(ValueError, match="precision is 'fp8'"):
        embed_to_parquet(TinyEncoder(), store, file, precision="fp8")
    assert list(tmp_path.glob("*parquet*")) == []


def test_an_interrupted_reader_ends_with_its_error(store):
    """Batches are read in a thread ahead; what goes wrong there reaches the caller."""
    with pytest.raises(ValueError, match="lead V9 is not there"):
        embed(TinyEncoder(), store, lead="V9")


def test_threads_and_pieces_change_nothing(store, monkeypatch):
    """Known modules are called by several threads, others piece by piece by one; both see all windows once."""
    from openclef.backbone import BACKBONES
    from openclef.model import Encoder

    encoder = Encoder(BACKBONES["resnext1d_small"](), Preprocessing(fs=100, seconds=4, band=(0.5, 30.0)))
    whole = embed_store(encoder, store)
    tiny = embed_store(TinyEncoder(), store)
    before = torch.get_num_threads()
    monkeypatch.setattr("openclef.inference.WINDOWS_A_THREAD", 2)
    torch.set_num_threads(3)
    try:
        np.testing.assert_allclose(embed_store(encoder, store, batch_size=7), whole, rtol=1e-4, atol=1e-5)
        np.testing.assert_array_equal(
            embed_store(encoder, store, batch_size=7), embed_store(encoder, store, batch_size=4)
        )
        np.testing.assert_allclose(embed_store(TinyEncoder(), store, batch_size=7), tiny, atol=1e-6)
    finally:
        torch.set_num_threads(before)


def test_modules_that_may_keep_state_are_called_by_one_thread_only(store, monkeypatch):
    import threading

    class Counting(TinyEncoder):
        seen = set()

        def forward(self, signal):
            self.seen.add(threading.get_ident())
            return super().forward(signal)

    monkeypatch.setattr("openclef.inference.WINDOWS_A_THREAD", 2)
    embed_store(Counting(), store, batch_size=7)
    assert Counting.seen == {threading.get_ident()}
