"""Tiny source folders in the real layouts, written by the tests."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import wfdb

PTB_XL_LEADS = ["I", "II", "III", "AVR", "AVL", "AVF", "V1", "V2", "V3", "V4", "V5", "V6"]


def _write_record(
    folder: Path, name: str, *, leads, fs, samples, gain=1000.0, unit="mV", seed=0
) -> np.ndarray:
    """Write a WFDB record of random values; returns them in digital units, (lead, time)."""
    folder.mkdir(parents=True, exist_ok=True)
    digital = np.random.default_rng(seed).integers(-2000, 2000, (samples, len(leads)))
    wfdb.wrsamp(
        name,
        fs=fs,
        units=[unit] * len(leads),
        sig_name=list(leads),
        d_signal=digital,
        fmt=["16"] * len(leads),
        adc_gain=[gain] * len(leads),
        baseline=[0] * len(leads),
        write_dir=str(folder),
    )
    return digital.T


def statements() -> pd.DataFrame:
    """A table of 71 statements with PTB-XL's numbers: 44 diagnostic, 19 form (4 of them both), 12 rhythm."""
    rows = {}
    classes = ["NORM", "MI", "STTC", "CD", "HYP"]
    for i in range(44):
        code = "NORM" if i == 0 else f"D{i:02d}"
        rows[code] = {
            "diagnostic": 1.0,
            "diagnostic_class": classes[i % 5],
            "diagnostic_subclass": f"S{i % 23:02d}",
        }
    for i in range(19):
        rows.setdefault(f"D{i + 1:02d}" if i < 4 else f"F{i:02d}", {})["form"] = 1.0
    for i in range(12):
        rows["SR" if i == 0 else f"R{i:02d}"] = {"rhythm": 1.0}
    return pd.DataFrame.from_dict(rows, orient="index").reindex(
        columns=["diagnostic", "form", "rhythm", "diagnostic_class", "diagnostic_subclass"]
    )


PTB_XL_ROWS = [
    # ecg_id, patient_id, age, sex, height, weight, scp_codes, strat_fold
    (1, 15709.0, 56.0, 1, None, 63.0, "{'NORM': 100.0, 'SR': 0.0}", 3),
    (2, 13243.0, 300.0, 0, 6.0, 70.0, "{'D01': 0.0, 'D06': 15.0, 'F10': 0.0}", 10),
    (3, None, 91.0, 0, 170.0, None, "{'SR': 0.0}", 9),
    (4, 15709.0, None, 1, 160.0, 64.0, "{}", 3),
    (5, None, 89.0, 0, None, None, "{'F11': 0.0, 'R03': 0.0}", 1),
]


@pytest.fixture
def ptb_xl_folder(tmp_path) -> Callable[..., Path]:
    """Function that writes a PTB-XL of five records, with the traps of the real one."""

    def make(*, missing: tuple[int, ...] = (), rows=PTB_XL_ROWS) -> Path:
        folder = tmp_path / "ptb-xl"
        table = pd.DataFrame(
            rows,
            columns=["ecg_id", "patient_id", "age", "sex", "height", "weight", "scp_codes", "strat_fold"],
        )
        table["recording_date"] = "1984-11-09 09:17:34"
        for rate, short, suffix in ((100, "filename_lr", "lr"), (500, "filename_hr", "hr")):
            table[short] = [f"records{rate}/00000/{ecg:05d}_{suffix}" for ecg in table["ecg_id"]]
            for ecg in table["ecg_id"]:
                if ecg not in missing:
                    path = folder / f"records{rate}/00000"
                    name = f"{ecg:05d}_{suffix}"
                    _write_record(path, name, leads=PTB_XL_LEADS, fs=rate, samples=10 * rate, seed=ecg)
        folder.mkdir(exist_ok=True)
        table.to_csv(folder / "ptbxl_database.csv", index=False)
        statements().to_csv(folder / "scp_statements.csv")
        return folder

    return make


@pytest.fixture
def wfdb_tree(tmp_path) -> Path:
    """Six WFDB records of 12 s in two sub-folders."""
    folder = tmp_path / "tree"
    for i in range(6):
        name = f"r{i}"
        _write_record(
            folder / f"part{i % 2}", name, leads=["MLII", "V5"], fs=100, samples=1200, gain=200.0, seed=i
        )
    return folder


@pytest.fixture
def write_record() -> Callable[..., np.ndarray]:
    """Function that writes a WFDB record of random values."""
    return _write_record


def checksums(store: Path) -> dict[str, str]:
    """SHA-256 of every file of a store."""
    return {
        path.relative_to(store).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(store.rglob("*"))
        if path.is_file()
    }


SLOWLY = """
import dataclasses, functools, json, sys, time
import openclef
from openclef.database import DATABASES

name, src, dst, size, pause_s, options = sys.argv[1:]
database = DATABASES[name]

def slowly(row, read):
    time.sleep(float(pause_s))
    return read(row)

@functools.wraps(database.plan)
def plan(*args, **settings):
    made = database.plan(*args, **settings)
    return dataclasses.replace(made, part_records=int(size), read=functools.partial(slowly, read=made.read))

if __name__ == "__main__":
    DATABASES[name] = dataclasses.replace(database, plan=plan)
    openclef.convert(name, src, dst, progress=False, **json.loads(options))
"""


@pytest.fixture
def kill_and_go_on(tmp_path) -> Callable[..., Path]:
    """Function that kills a conversion at random moments and starts it again until it is through.

    The bytes must be those of a conversion that was never killed. Gives the store's folder.
    """

    def run(
        database: str,
        src: Path,
        *,
        kills: int,
        part_records: int,
        step: int,
        group: bool,
        pause_s=0.0,
        **options,
    ) -> Path:
        (tmp_path / "slowly.py").write_text(SLOWLY)
        store, whole = tmp_path / "killed", tmp_path / "whole"

        def call(dst: Path, pause_s: float) -> list[str]:
            told = [database, str(src), str(dst), str(part_records), str(pause_s), json.dumps(options)]
            return [sys.executable, "-W", "ignore", str(tmp_path / "slowly.py"), *told]

        subprocess.run(call(whole, 0), check=True, stderr=subprocess.DEVNULL)
        choice, done, killed, groups = random.Random(kills), 0, 0, []
        while killed < kills:
            process = subprocess.Popen(
                call(store, pause_s), start_new_session=True, stderr=subprocess.DEVNULL
            )
            groups.append(process.pid)
            goal = done + choice.randint(0 if killed else 1, step)
            while process.poll() is None and (done < goal or not store.exists()):
                time.sleep(0.005)
                done = len(list(store.glob("_parts/part-*")))
            time.sleep(choice.uniform(0, 0.1))
            killed += process.poll() is None
            (os.killpg if group else os.kill)(process.pid, signal.SIGKILL)
            process.wait()
            assert not (store / "dataset.json").exists()
        subprocess.run(call(store, 0), check=True, stderr=subprocess.DEVNULL)
        for each in groups:  # idle workers outlive the process that was killed
            with contextlib.suppress(ProcessLookupError):
                os.killpg(each, signal.SIGKILL)
        assert done > 0
        assert checksums(store) == checksums(whole)
        return store

    return run


@pytest.fixture(name="checksums")
def _checksums() -> Callable[[Path], dict[str, str]]:
    """Function that gives the SHA-256 of every file of a store."""
    return checksums
