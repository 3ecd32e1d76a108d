"""The simulated store: the same bytes from the same seed, subjects apart by split, resumable."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import pytest

import openclef
from openclef.columns import FIXED_COLUMNS
from openclef.signal import LEADS
from openclef.simulator import CONFIGURATIONS, simulate
from openclef.simulator import cohort as cohort_module
from openclef.store import StoreWriter


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
    assert (len(store), store.leads, store.fs, store.seconds, store.unit) == (314, LEADS, 250.0, 10.0, "mV")
    assert set(store.tasks) == {
        "sim/af",
        "sim/lvh",
        "sim/low_ef",
        "sim/lvef",
        "sim/age",
        "sim/sbp",
        "sim/preexcitation",
    }
    records = store.records
    assert records["record_id"].is_unique
    assert records["subject_id"].nunique() == 150
    assert not (store.path / "_parts").exists()
    for task in store.tasks.values():
        assert records[list(task.columns)].notna().all(axis=None)
    reopened = openclef.open_store(store.path)
    assert len(reopened) == 314


def test_subjects_stand_in_one_split(store) -> None:
    records = store.records
    assert records.groupby("subject_id")["split"].nunique().eq(1).all()
    assert records.groupby("split")["subject_id"].nunique().to_dict() == {"train": 90, "val": 30, "test": 30}


def test_two_records_of_a_patient_are_years_apart_and_unlike_in_signal(store) -> None:
    records = store.records
    several = records[records["subject_id"].duplicated(keep=False)]
    later = several.groupby("subject_id")["years_since_first"].max()
    assert (later > 0).all()
    assert several.groupby("subject_id")["sex"].nunique().eq(1).all()
    rows = several.index[:2]
    signals = store.read(np.asarray(rows), leads=["II"])[:, 0]
    assert records["subject_id"][rows[0]] == records["subject_id"][rows[1]]
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
    assert len(fewer) > 20
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
        {"patients": 2.5},
        {"seed": 1.5},
        {"rho": "0.4"},
        {"seed": -1},
        {"records_per_patient": 0},
        {"seconds": 0.5},
        {"fs": 50},
        {"rho": 0.8},
        {"rho": float("nan")},
        {"configuration": "C"},
        {"missing_kind": "often"},
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


def test_hidden_values_stand_in_the_truth_and_tasks_do_not_lose_them(store) -> None:
    records = store.records
    assert records["sbp_mmhg"].isna().mean() > 0.2
    both = records["sbp_mmhg"].notna()
    assert (records["sbp_mmhg"] == records["truth_sbp_mmhg"])[both].all()


def test_hospitals_have_their_own_recorders(tmp_path: Path) -> None:
    settings = {"patients": 60, "seconds": 4, "fs": 500, "workers": 1}
    for configuration in ("A", "B"):
        made = simulate(tmp_path / configuration, configuration=configuration, **settings)
        equipment = {h.name: h.equipment for h in CONFIGURATIONS[configuration].hospitals}
        assert len(set(equipment.values())) == 2
        for name, recorder in equipment.items():
            raw = made.read_raw((made.records["hospital"] == name).to_numpy(), leads=["I", "V3"])
            steps = raw[raw != -32768].astype(float) / recorder.step_uv
            assert np.abs(steps * recorder.step_uv - np.rint(np.rint(steps) * recorder.step_uv)).max() <= 0.51


def test_the_title_says_simulated_and_the_source_says_how(store) -> None:
    assert store.name == "sim"
    assert store.title.startswith("Simulated cohort")
    for words in ('"configuration": "A"', CONFIGURATIONS["A"].sha256, '"rho": 0.4'):
        assert words in store.info["source"]


@pytest.fixture(scope="module")
def linked(tmp_path_factory: pytest.TempPathFactory):
    return simulate(tmp_path_factory.mktemp("linked") / "store", patients=400, seed=3)


@pytest.mark.parametrize("shift", [0, 1, 7])
def test_linkage_passes_and_fails_when_rows_are_shifted(linked, tmp_path: Path, shift: int) -> None:
    store = linked
    if shift:
        about = [name for name in store.records if name not in FIXED_COLUMNS]
        records = store.records.copy()
        records[about] = records[about].iloc[np.roll(np.arange(len(store)), shift)].to_numpy()
        records = records.astype(store.records.dtypes)
        writer = StoreWriter(
            tmp_path / "shifted",
            name="sim",
            scale=store.scale,
            fs=store.fs,
            leads=store.leads,
            seconds=store.seconds,
            tasks=list(store.tasks.values()),
        )
        store = writer.adopt(store, records)
    report = openclef.check(store.path, linkage=True)
    assert report.problems == [] or shift
    assert report.ok == (shift == 0), report


def test_what_is_refused_loses_nothing(tmp_path: Path) -> None:
    simulate(tmp_path, patients=5, seconds=2, workers=1)
    for wrong in (
        {"patients": 5.0},
        {"rho": 2},
        {"fs": 10},
        {"configuration": "C"},
        {"missing_share": {"x": 1}},
    ):
        with pytest.raises(ValueError, match="accepted are"):
            simulate(tmp_path, **({"patients": 5} | wrong), overwrite=True)
    assert openclef.check(tmp_path).ok
