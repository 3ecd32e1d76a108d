from __future__ import annotations

import json
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from openclef.checking import check
from openclef.linkage import Linkage, TargetLinkage, _permutation, judge_linkage
from openclef.record import Record
from openclef.store import Store, StoreWriter, open_store


def build_real(path: Path, table: pd.DataFrame, records: list[Record]) -> Store:
    first = records[0]
    toy = StoreWriter(
        path, name="real", scale=0.001, fs=first.fs, leads=first.leads, seconds=10, unit=first.unit
    )
    columns = [
        {"age_years": min(row.age, 90), "sex": ("male", "female")[int(row.sex)]} for row in table.itertuples()
    ]
    assert toy.write_part(0, records, columns) == []
    return toy.finish()


@pytest.fixture(scope="session")
def ptb_xl(data_folder, tmp_path_factory) -> Store:
    wfdb = pytest.importorskip("wfdb")
    table = pd.read_csv(data_folder / "ptb-xl" / "ptbxl_database.csv")
    read = [wfdb.rdrecord(str(data_folder / "ptb-xl" / name)) for name in table["filename_lr"]]
    records = [
        Record(
            one.p_signal.T, one.fs, tuple(one.sig_name), str(row.ecg_id), subject_id=str(int(row.patient_id))
        )
        for row, one in zip(table.itertuples(), read, strict=True)
    ]
    return build_real(tmp_path_factory.mktemp("ptb_xl"), table, records)


@pytest.fixture(scope="session")
def ptb_xl_z(data_folder, tmp_path_factory) -> Store:
    held = np.load(data_folder / "ptb-xl-z" / "signals.npz")
    table = pd.read_csv(data_folder / "ptb-xl-z" / "records.csv")
    leads = tuple(str(lead) for lead in held["leads"])
    signals = held["signal"].astype(np.float32) * float(held["scale"])
    records = [
        Record(one, float(held["fs"]), leads, str(row.ecg_id), unit="zscore", subject_id=str(row.patient_id))
        for row, one in zip(table.itertuples(), signals, strict=True)
    ]
    return build_real(tmp_path_factory.mktemp("ptb_xl_z"), table, records)


def moved(store: Store, order: Callable[[int], np.ndarray]) -> Store:
    """The same signals with the metadata of other rows."""
    wrong = open_store(store.path)
    names = ["age_years", "sex", "subject_id"]
    wrong.records[names] = wrong.records[names].iloc[order(len(wrong))].to_numpy()
    return wrong


@pytest.mark.parametrize("name", ["ptb_xl", pytest.param("ptb_xl_z", marks=pytest.mark.slow)])
def test_linkage_holds_on_real_data(request, name):
    report = check(request.getfixturevalue(name), linkage=True)
    assert report.ok, str(report)
    assert report.linkage["verdict"] == "linked"
    age, sex = report.linkage["targets"]["age_years"], report.linkage["targets"]["sex"]
    assert age["score"] > 0.6
    assert sex["score"] > 0.8
    assert age["p"] < 0.01
    assert sex["p"] < 0.01


@pytest.mark.parametrize(
    ("name", "shift", "where"),
    [
        ("ptb_xl", 1, "next"),
        pytest.param("ptb_xl", -1, "previous", marks=pytest.mark.slow),
        pytest.param("ptb_xl_z", 1, "next", marks=pytest.mark.slow),
    ],
)
def test_rows_shifted_by_one_are_found_and_named(request, name, shift, where):
    wrong = moved(request.getfixturevalue(name), lambda n: np.roll(np.arange(n), shift))
    verdict = judge_linkage(wrong, permutations=50)
    assert verdict.verdict == "broken"
    assert f"fit the metadata of the {where} record" in verdict.reason


@pytest.mark.parametrize(
    "order",
    [
        lambda n: np.random.default_rng(0).permutation(n),
        pytest.param(lambda n: np.arange(n)[::-1], marks=pytest.mark.slow),
        lambda n: np.roll(np.arange(n), 7),  # neighbours in time share era and device
    ],
    ids=["shuffled", "reversed", "shifted by 7"],
)
def test_foreign_metadata_is_found(ptb_xl, order):
    verdict = judge_linkage(moved(ptb_xl, order), permutations=50)
    assert verdict.verdict == "broken"
    assert "no better than chance" in verdict.reason


def test_one_lead_is_enough_for_linkage(ptb_xl, tmp_path):
    toy = StoreWriter(tmp_path, name="one", scale=0.001, fs=ptb_xl.fs, leads=("I",), seconds=10)
    rows = ptb_xl.records
    signals = ptb_xl.read(slice(None), "I")
    records = [
        Record(signal, ptb_xl.fs, ("I",), row.record_id, subject_id=row.subject_id)
        for signal, row in zip(signals, rows.itertuples(), strict=True)
    ]
    toy.write_part(0, records, rows[["age_years", "sex"]].to_dict("records"))
    assert judge_linkage(toy.finish()).verdict == "linked"


@pytest.mark.slow
def test_linkage_is_the_same_every_time(ptb_xl):
    first = judge_linkage(ptb_xl, permutations=20, most_subjects=250)
    assert judge_linkage(ptb_xl, permutations=20, most_subjects=250) == first
    assert judge_linkage(ptb_xl, permutations=20, most_subjects=250, seed=1) != first
    assert first.targets["sex"].subjects <= 260


def test_signals_that_tell_nothing_are_called_broken(tmp_path):
    toy = StoreWriter(tmp_path, name="noise", scale=0.001, fs=100, leads=("I",), seconds=4)
    rng = np.random.default_rng(0)
    records = [Record(rng.normal(size=(1, 400)), 100, ("I",), str(n)) for n in range(300)]
    toy.write_part(0, records, [{"age_years": rng.uniform(20, 90), "sex": "male"} for _ in records])
    report = check(toy.finish(), linkage=True)
    assert not report.ok
    assert "linkage of metadata and signals: the signals tell age and sex no better" in report.problems[0]
    assert list(report.linkage["targets"]) == ["age_years"]  # one sex only tells nothing
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        json.dumps(report.linkage)


def test_one_sorted_store_is_permuted_as_a_whole(ptb_xl):
    age = np.sort(ptb_xl.records["age_years"].dropna().to_numpy())
    permuted = age[_permutation(age, np.random.default_rng(0))]
    assert abs(np.corrcoef(age, permuted)[0, 1]) < 0.2


def test_verdicts_carry_their_meaning():
    target = TargetLinkage(0.7, 0.1, 0.05, 0.005, {1: 0.1, -1: 0.2}, 300)
    assert target.z == pytest.approx(12)
    assert target.z_shifted(-1) == pytest.approx(2)
    assert Linkage("linked", "", {"age_years": target}).ok
    assert not Linkage("broken", "", {}).ok
