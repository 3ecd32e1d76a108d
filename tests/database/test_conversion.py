"""Conversion: any number of workers and any interruption give the same bytes."""

from __future__ import annotations

import dataclasses
import functools
import re
import subprocess
import sys
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import openclef
from openclef.database import DATABASES

RECORDS = 40
CALL = {
    "signals": "ecg.npy",
    "metadata": "records.csv",
    "subject_id": "who",
    "fs": 100,
    "leads": ["I"],
    "unit": "mV",
    "name": "mine",
}


def in_parts(database, size: int):
    """The same database, in smaller parts."""

    @functools.wraps(database.plan)
    def plan(*args, **settings):
        return dataclasses.replace(database.plan(*args, **settings), part_records=size)

    return dataclasses.replace(database, plan=plan)


@pytest.fixture
def own(tmp_path, monkeypatch):
    """Forty recordings of a table in parts of four; two of them hold nothing."""
    folder = tmp_path / "own"
    folder.mkdir()
    ecg = np.random.default_rng(0).normal(0, 0.3, (RECORDS, 1, 1000)).astype(np.float32)
    ecg[[5, 17]] = np.nan
    np.save(folder / "ecg.npy", ecg)
    table = pd.DataFrame(
        {"who": [f"p{i // 2}" for i in range(RECORDS)], "age_years": range(40, 40 + RECORDS)}
    )
    table.to_csv(folder / "records.csv", index=False)
    monkeypatch.setitem(DATABASES, "table", in_parts(DATABASES["table"], 4))
    return folder


def test_workers_do_not_change_the_bytes(tmp_path, own, checksums):
    one = openclef.convert("table", own, tmp_path / "one", workers=1, progress=False, **CALL)
    two = openclef.convert("table", own, tmp_path / "two", workers=2, progress=False, **CALL)
    assert checksums(one.path) == checksums(two.path)
    assert len(one.info["shards"]) == 10
    skipped = pd.read_csv(one.path / "skipped.csv")
    assert skipped.record_id.tolist() == ["row-5", "row-17"]
    assert not list(one.path.glob("_parts"))


def test_an_interrupted_conversion_goes_on(tmp_path, own, monkeypatch, checksums):
    whole = openclef.convert("table", own, tmp_path / "whole", workers=1, progress=False, **CALL)
    database = DATABASES["table"]
    seen: list[str] = []

    def stopping(at: int):
        @functools.wraps(database.plan)
        def plan(*args, **settings):
            made = database.plan(*args, **settings)

            def read(row):
                seen.append(row["record_id"])
                if len(seen) == at:
                    raise KeyboardInterrupt
                return made.read(row)

            return dataclasses.replace(made, read=read)

        return dataclasses.replace(database, plan=plan)

    dst = tmp_path / "store"
    for at in (1, 10, 11, 3):
        seen.clear()
        monkeypatch.setitem(DATABASES, "table", stopping(at))
        with pytest.raises(KeyboardInterrupt):
            openclef.convert("table", own, dst, workers=1, progress=False, **CALL)
        with pytest.raises(FileNotFoundError, match="conversion has not finished"):
            openclef.open_store(dst)
    (dst / ".signals-00009.npy.0123.tmp").write_bytes(b"half")
    seen.clear()
    monkeypatch.setitem(DATABASES, "table", stopping(0))
    again = openclef.convert("table", own, dst, workers=1, progress=False, **CALL)
    assert 0 < len(seen) < RECORDS
    assert checksums(again.path) == checksums(whole.path)


def test_another_plan_does_not_go_on_from_it(tmp_path, own):
    with pytest.raises(ValueError, match="max_skipped_share=0"):
        openclef.convert("table", own, tmp_path / "s", workers=1, progress=False, max_skipped_share=0, **CALL)
    other = CALL | {"fs": 125}
    with pytest.raises(ValueError, match="unfinished conversion with other settings"):
        openclef.convert("table", own, tmp_path / "s", workers=1, progress=False, **other)
    assert (
        openclef.convert("table", own, tmp_path / "s", workers=1, progress=False, overwrite=True, **other).fs
        == 125
    )


def test_too_many_skipped_shows_the_reasons_and_keeps_the_parts(tmp_path, own):
    dst = tmp_path / "store"
    with pytest.raises(
        ValueError, match=r"2 of 40 records .* 2 times, for example row-5: .*no valid sample"
    ) as caught:
        openclef.convert("table", own, dst, workers=1, progress=False, max_skipped_share=0.04, **CALL)
    assert "is kept" in str(caught.value)
    kept = {path.name: path.stat().st_mtime_ns for path in dst.glob("signals-*.npy")}
    assert kept
    store = openclef.convert("table", own, dst, workers=1, progress=False, **CALL)
    assert len(store) == 38
    assert all((dst / name).stat().st_mtime_ns == changed for name, changed in kept.items())


def test_a_finished_store_is_not_overwritten_unasked(tmp_path, own):
    openclef.convert("table", own, tmp_path / "s", workers=1, progress=False, **CALL)
    with pytest.raises(FileExistsError, match="overwrite=True"):
        openclef.convert("table", own, tmp_path / "s", workers=1, progress=False, **CALL)


def test_limit_and_progress(tmp_path, own, capsys):
    store = openclef.convert("table", own, tmp_path / "s", workers=1, limit=5, **CALL)
    assert len(store) == 5
    shown = capsys.readouterr()
    assert shown.out == ""
    assert "converting mine" in shown.err
    assert "5/5" in shown.err


def test_wrong_calls(tmp_path, own):
    with pytest.raises(ValueError, match="database='ptbxl' is unknown; accepted are ptb_xl, cinc2017"):
        openclef.convert("ptbxl", own, tmp_path / "s")
    with pytest.raises(ValueError, match="accepted is a share from 0 to 1"):
        openclef.convert("table", own, tmp_path / "s", max_skipped_share=5)
    with pytest.raises(ValueError, match="workers=0"):
        openclef.convert("table", own, tmp_path / "s", workers=0, **CALL)


def write_own(folder: Path, ecg: np.ndarray) -> Path:
    folder.mkdir(exist_ok=True)
    np.save(folder / "ecg.npy", ecg)
    pd.DataFrame({"who": [f"p{i}" for i in range(len(ecg))]}).to_csv(folder / "records.csv", index=False)
    return folder


def beats(count: int = 4, seconds: float = 10, fs: float = 100) -> np.ndarray:
    """Recordings in mV, (record, lead, time)."""
    time_s = np.arange(round(seconds * fs)) / fs
    return np.tile(np.exp(-((time_s % 1 - 0.5) ** 2) / 0.002) + 0.1 * np.sin(time_s), (count, 1, 1))


@pytest.mark.parametrize(
    ("factor", "settings", "told"),
    [
        (1e-3, {}, r"4 of 4 windows .* look like V taken as mV, .*unit='V'"),
        (1e3, {"scale": 0.1}, r"4 of 4 windows .* look like uV taken as mV, .*unit='uV'"),
        (1, {"unit": "uV", "scale": 0.001}, "or mV taken as uV; .*unit='mV'"),
        (1, {"unit": "V", "scale": 0.0001}, "or mV taken as V; .*unit='mV'"),
        (0, {}, "4 of 4 windows are flat or mostly missing in every lead"),
    ],
)
def test_amplitudes_that_no_ecg_has_are_told(tmp_path, factor, settings, told):
    own = write_own(tmp_path / "own", beats() * factor)
    with pytest.warns(UserWarning, match=told):
        store = openclef.convert("table", own, tmp_path / "s", workers=1, progress=False, **CALL | settings)
    report = openclef.check(store)
    assert not report.ok
    assert re.search(told, str(report))


def test_sound_signals_raise_no_doubt(tmp_path):
    own = write_own(tmp_path / "own", beats())
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        store = openclef.convert("table", own, tmp_path / "s", workers=1, progress=False, **CALL)
    assert openclef.check(store).ok


def test_impossible_and_unusual_rates(tmp_path):
    own = write_own(tmp_path / "own", beats())
    for fs in (5, 1e6):
        with pytest.raises(ValueError, match=r"fs=.* Hz for mine; accepted are 10 to 50,000 Hz: pass the"):
            openclef.convert("table", own, tmp_path / "s", workers=1, progress=False, **CALL | {"fs": fs})
    assert not (tmp_path / "s").exists()
    with pytest.warns(UserWarning, match="fs=25 Hz for mine is unusual"):
        openclef.convert("table", own, tmp_path / "s", workers=1, progress=False, **CALL | {"fs": 25})
    with pytest.warns(UserWarning, match=r"windows are padded: the recordings last 1 s .*rate, fs=1000"):
        openclef.convert("table", own, tmp_path / "t", workers=1, progress=False, **CALL | {"fs": 1000})


@pytest.mark.parametrize(
    ("option", "told"),
    [
        ({"unit": 5}, "option unit=5 of table is of type int; accepted is text or None"),
        ({"signals": 3}, "option signals=3 .*; accepted is text"),
        ({"leads": 5}, "option leads=5 .*; accepted is a list of texts or None"),
        ({"leads": [1]}, "option leads=.* accepted is a list of texts"),
        ({"leads": [""]}, "at least one and none empty"),
        ({"fs": "100"}, "option fs='100' .*; accepted is a number or None"),
        ({"fs": True}, "option fs=True .*; accepted is a number or None"),
        ({"rename": ["Age"]}, "option rename=.*; accepted is a mapping"),
        ({"tasks": {"a": "binary"}}, "option tasks=.*; accepted is a mapping"),
    ],
)
def test_options_of_a_wrong_type_are_refused(tmp_path, own, option, told):
    with pytest.raises(ValueError, match=told):
        openclef.convert("table", own, tmp_path / "s", workers=1, progress=False, **CALL | option)


def test_a_path_and_a_numpy_number_are_accepted_as_options(tmp_path, own):
    options = CALL | {"signals": Path("ecg.npy"), "metadata": own / "records.csv", "fs": np.float32(100)}
    options |= {"leads": np.array(["I"])}
    assert openclef.convert("table", own, tmp_path / "s", workers=1, progress=False, **options).fs == 100


def test_a_file_in_the_place_of_the_store_is_refused(tmp_path, own):
    (tmp_path / "s").write_text("mine")
    for dst in (tmp_path / "s", tmp_path / "s/below"):
        with pytest.raises(FileExistsError, match="s is a file; pass another place"):
            openclef.convert("table", own, dst, workers=1, progress=False, **CALL)
    assert (tmp_path / "s").read_text() == "mine"


def test_one_conversion_at_a_time(tmp_path, own):
    holder = "import sys, time, pathlib, openclef.shards as s\n"
    holder += "with s.hold_folder(pathlib.Path(sys.argv[1])): print('held', flush=True); time.sleep(60)"
    process = subprocess.Popen(
        [sys.executable, "-c", holder, str(tmp_path / "s")], stdout=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout.readline() == "held\n"
        with pytest.raises(BlockingIOError, match=r"another conversion is running in .*; wait for its end"):
            openclef.convert("table", own, tmp_path / "s", workers=1, progress=False, **CALL)
    finally:
        process.kill()
        process.communicate()
    assert len(openclef.convert("table", own, tmp_path / "s", workers=1, progress=False, **CALL)) == 38


@pytest.mark.slow
def test_killed_at_random_moments(kill_and_go_on, data_folder):
    kill_and_go_on(
        "ptb_xl", data_folder / "ptb-xl", kills=5, part_records=8, step=10, group=False, workers=2, fs=100
    )
