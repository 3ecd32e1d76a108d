"""The simulated store: the same bytes from the same seed, subjects apart by split, resumable."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import pytest

import openclef
from openclef.signal import LEADS
from openclef.simulator import cohort as cohort_module
from openclef.simulator import simulate


def digests(folder: Path) -> dict[str, str]:
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory):
    return simulate(
        tmp_path_factory.mktemp("sim") / "store", patients=150, seed=2, records_per_patient=2, workers=1
    )


def test_the_store_is_what_was_asked_for(store) -> None:
    assert (len(store), store.leads, store.fs, store.seconds, store.unit) == (300, LEADS, 250.0, 10.0, "mV")
    assert set(store.tasks) == {"sim/disease", "sim/af", "sim/preexcitation", "sim/age", "sim/log_hazard"}
    records = store.records
    assert records["record_id"].is_unique
    assert records.groupby("subject_id").size().eq(2).all()
    assert not (store.path / "_parts").exists()
    for task in store.tasks.values():
        assert records[list(task.columns)].notna().all(axis=None)
    reopened = openclef.open_store(store.path)
    assert len(reopened) == 300


def test_subjects_stand_in_one_split(store) -> None:
    records = store.records
    assert records.groupby("subject_id")["split"].nunique().eq(1).all()
    assert records["split"].value_counts().to_dict() == {"train": 180, "val": 60, "test": 60}


def test_two_records_of_a_patient_are_alike_in_truth_not_in_signal(store) -> None:
    records = store.records
    for column in ("age_years", "sim/log_hazard"):
        assert records.groupby("subject_id")[column].nunique().eq(1).all()
    signals = store.read(np.arange(2), leads=["II"])[:, 0]
    assert np.corrcoef(signals)[0, 1] < 0.9


def test_leads_hold_einthoven_in_the_store(store) -> None:
    signals = store.read_raw(np.arange(40), leads=["I", "II", "III", "aVR", "aVL", "aVF"]).astype(int)
    one, two, three, avr, avl, avf = signals.swapaxes(0, 1)
    assert (one + three == two).all()
    assert np.abs(avr + avl + avf).max() <= 2


def test_most_records_are_without_fault(store) -> None:
    assert (store.records["flags"] == "").mean() > 0.98


def test_same_seed_same_bytes_whatever_the_workers(tmp_path: Path, store) -> None:
    again = simulate(tmp_path / "again", patients=150, seed=2, records_per_patient=2, workers=2)
    assert digests(again.path) == digests(store.path)
    other = simulate(tmp_path / "other", patients=20, seed=3, workers=1)
    fewer = simulate(tmp_path / "fewer", patients=10, seed=2, records_per_patient=2, workers=1)
    assert not np.array_equal(other.read_raw([0]), store.read_raw([0]))
    np.testing.assert_array_equal(fewer.read_raw(np.arange(20)), store.read_raw(np.arange(20)))


def test_a_stopped_simulation_goes_on_and_ends_with_the_same_bytes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cohort_module, "PART_RECORDS", 10)
    whole = simulate(tmp_path / "whole", patients=40, seconds=2, workers=1)
    write = cohort_module._write_part

    def stop_at_the_third(writer, number, *rest):
        if number == 2:
            raise KeyboardInterrupt
        write(writer, number, *rest)

    monkeypatch.setattr(cohort_module, "_write_part", stop_at_the_third)
    with pytest.raises(KeyboardInterrupt):
        simulate(tmp_path / "stopped", patients=40, seconds=2, workers=1)
    written: list[int] = []
    monkeypatch.setattr(
        cohort_module, "_write_part", lambda w, number, *r: (written.append(number), write(w, number, *r))
    )
    resumed = simulate(tmp_path / "stopped", patients=40, seconds=2, workers=1)
    assert written == [2, 3]
    assert digests(resumed.path) == digests(whole.path)


def test_a_store_is_not_replaced_unasked(tmp_path: Path) -> None:
    simulate(tmp_path, patients=5, seconds=2)
    with pytest.raises(FileExistsError, match="overwrite=True"):
        simulate(tmp_path, patients=5, seconds=2)
    assert len(simulate(tmp_path, patients=6, seconds=2, overwrite=True)) == 6


def test_risk_goes_into_the_store(store) -> None:
    store.add_risk("score2", region="low").add_risk("age_sex")
    risk = store.risk("score2")
    assert len(risk) == len(store)
    assert risk["value"].between(0, 1).all()
    assert risk["completeness"].nunique() > 3
    assert (store.risk("age_sex")["completeness"] == 1).all()


@pytest.mark.parametrize(
    "wrong",
    [
        {"patients": 0},
        {"seed": -1},
        {"records_per_patient": 0},
        {"seconds": 0.5},
        {"fs": 50},
        {"missing_share": 1.5},
        {"missing_share": float("nan")},
        {"workers": 0},
    ],
)
def test_wrong_arguments_are_named_and_leave_nothing_behind(tmp_path: Path, wrong: dict) -> None:
    name = next(iter(wrong))
    with pytest.raises(ValueError, match=f"^{name} is"):
        simulate(tmp_path / "store", **({"patients": 5} | wrong))
    assert not (tmp_path / "store").exists()
