"""MIMIC-IV-ECG: one record a subject, held-out subjects, joined metadata, damaged records, kills, a cluster."""

from __future__ import annotations

import dataclasses
import functools
import warnings

import joblib
import numpy as np
import pandas as pd
import pytest

import openclef
from openclef.database import DATABASES
from openclef.database.mimic_iv_ecg import choose_records
from openclef.database.mimic_iv_ecg import plan as plan_ecg
from openclef.database.mimic_iv_lvef import plan as plan_lvef
from openclef.database.plan import split_by_subject
from openclef.signal import LEADS
from tests.layouts import mimic_iv_ecg as layout
from tests.layouts.mimic_iv_ecg import DAMAGED, record

SUBJECTS, ECGS = 60, 80


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    folder = tmp_path_factory.mktemp("mimic")
    return folder, *layout.write(folder, subjects=SUBJECTS)


@pytest.fixture(scope="module")
def metadata(source, tmp_path_factory):
    """An extraction's folder: every value with its date and source, and the list's order turned round."""
    listed = source[2]
    age = 40.0 + np.arange(ECGS) % 40
    table = pd.DataFrame(
        {
            "record_id": listed.study_id, "subject_id": listed.subject_id, "ecg_time": listed.ecg_time,
            "age_years": age, "age_over_89": 0.0, "sex": np.where(np.arange(ECGS) % 2, "female", ""),
            "sbp_mmhg": np.where(np.arange(ECGS) % 3, 120.0 + np.arange(ECGS), np.nan),
            "sbp_mmhg_date": "2150-01-01", "sbp_mmhg_source": "omr Blood Pressure",
            "diabetes": (np.arange(ECGS) % 2).astype("int8"), "statin": np.arange(ECGS) % 2 == 0,
            "creatinine_mg_dl": 1.5, "creatinine_mg_dl_source": "labevents 50912",
        }
    )  # fmt: skip
    folder = tmp_path_factory.mktemp("metadata")
    table[::-1].to_parquet(folder / "metadata.parquet", index=False)
    return folder


def convert(source, dst, **settings):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return openclef.convert(
            "mimic_iv_ecg", source[0], dst, **({"workers": 1, "progress": False} | settings)
        )


pytestmark = pytest.mark.filterwarnings("ignore:neither metadata nor patients")


def plan(source, **settings):
    return plan_ecg(source[0], **settings).records.set_index("record_id")


@pytest.fixture(scope="module")
def store(source, metadata, tmp_path_factory):
    return convert(source, tmp_path_factory.mktemp("stores") / "s", metadata=metadata, lvef_table="LVEF.csv")


def test_signals_are_what_was_written_and_damage_is_listed(source, store):
    _, truth, _ = source
    assert not openclef.check(store).problems
    assert (store.name, store.fs, store.leads, store.samples) == ("mimic_iv_ecg", 500, LEADS, 5000)
    assert store.subject_namespace == "mimic_iv"
    assert not store.tasks
    damaged = {record(number) for number in DAMAGED}
    assert len(damaged) == 0.05 * len(truth)
    assert store.records.record_id.tolist() == [name for name in truth if name not in damaged]
    order = [layout.LEADS.index(lead) for lead in LEADS]
    assert order != list(range(12))
    for row, name in enumerate(store.records.record_id):
        np.testing.assert_allclose(store.read(row)[0], truth[name][order], atol=1e-6)
    assert np.isnan(store.read(store.records.record_id.tolist().index(record(2)))[0]).any()
    skipped = dict(pd.read_csv(store.path / "skipped.csv", dtype=str).values)
    assert set(skipped) == damaged
    assert all(reason in skipped[record(number)] for number, reason in DAMAGED.items())


def test_more_damage_than_allowed_stops(source, tmp_path):
    with pytest.raises(
        ValueError, match=r"of 80 records cannot be converted, more than max_skipped_share=0.04"
    ):
        convert(source, tmp_path / "s", max_skipped_share=0.04)


def test_one_record_a_subject(source):
    listed = source[2]
    firsts, lasts = plan(source, records="first"), plan(source, records="last")
    for subject, rows in listed.groupby("subject_id"):
        rows = rows.sort_values(["ecg_time", "study_id"])
        assert firsts.index[firsts.subject_id == subject].tolist() == [rows.study_id.iloc[0]]
        assert lasts.index[lasts.subject_id == subject].tolist() == [rows.study_id.iloc[-1]]
    both = listed[listed.subject_id.duplicated(keep=False)]
    assert (both.groupby("subject_id").ecg_time.nunique() == 1).any()  # ties
    assert (both.groupby("subject_id").ecg_time.nunique() == 2).any()
    assert firsts.index.tolist() == [name for name in listed.study_id if name in set(firsts.index)]


def test_random_records_are_a_function_of_seed_and_study(source):
    listed = source[2].rename(columns={"study_id": "record_id"})
    draws = [plan(source, records="random", seed=seed) for seed in range(20)]
    assert all(draw.subject_id.is_unique and len(draw) == SUBJECTS for draw in draws)
    pd.testing.assert_frame_equal(draws[3], plan(source, records="random", seed=3))
    assert len({tuple(draw.index) for draw in draws}) == 20
    pairs = listed[listed.subject_id.duplicated()].record_id
    share = np.mean([pair in draw.index for pair in pairs for draw in draws])
    assert 0.4 < share < 0.6  # 400 draws: 4 standard errors
    part = listed[listed.subject_id.isin(listed.subject_id.unique()[::3])].iloc[::-1]
    chosen = set(part.record_id.iloc[choose_records(part, "random", 3)])
    assert chosen == set(draws[3].index) & set(part.record_id)


def test_unknown_times_are_taken_only_where_there_is_no_other():
    listed = pd.DataFrame(
        {
            "record_id": ["3", "20", "1", "9"],
            "subject_id": ["a", "a", "a", "b"],
            "ecg_time": ["", "2180-05-06 22:23:00", "2180-05-06 22:23:00", "unknown"],
        }
    )
    assert choose_records(listed, "first").tolist() == [2, 3]
    assert choose_records(listed, "last").tolist() == [1, 3]  # 20 is after 1, as a number
    with pytest.raises(ValueError, match="study_id holds 'x'; accepted are numbers"):
        choose_records(listed.assign(record_id=["3", "x", "1", "9"]), "first")


def test_the_split_is_the_same_for_everyone(source):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        lvef = plan_lvef(source[0]).records
    expected = dict(zip(lvef.subject_id, lvef.split))
    for settings in ({}, {"records": "first"}, {"records": "random", "seed": 5}):
        made = plan(source, **settings)
        assert made.split.tolist() == split_by_subject(made.subject_id, shares=(0.8, 0.1, 0.1)).tolist()
        assert {
            name: split for name, split in zip(made.subject_id, made.split) if name in expected
        } == expected
    assert set(expected.values()) == {"train", "val", "test"}


def test_subjects_of_the_lvef_task_are_held_out(source, tmp_path, capsys):
    table = pd.read_csv(source[0] / "LVEF.csv").iloc[:20]
    table.to_csv(tmp_path / "LVEF.csv", index=False)
    held = {str(subject) for subject in table.subject_id}
    made, free = plan(source, lvef_table=str(tmp_path / "LVEF.csv")), plan(source)
    out = made.subject_id.isin(held)
    assert set(made.split[out]) == {""}
    pd.testing.assert_series_equal(made.split[~out], free.split[~out])
    told = f"{len(held)} subjects ({out.sum()} ECGs) of LVEF.csv are held out: they belong to no split"
    assert told in capsys.readouterr().err
    (tmp_path / "other.csv").write_text("path,LVEF\nfiles/p1000/p10000001/s1/1,55\n")
    with pytest.warns(UserWarning, match=r"no subject of other.csv is in record_list.csv"):
        pd.testing.assert_frame_equal(plan(source, lvef_table=str(tmp_path / "other.csv")), free)


def test_metadata_is_joined_without_dates_and_sources(source, metadata, store):
    table = pd.read_parquet(metadata / "metadata.parquet").set_index("record_id")
    rows = store.records.set_index("record_id")
    assert not [name for name in rows if name.endswith(("_date", "_source"))]
    for name in ("age_years", "age_over_89", "sbp_mmhg", "diabetes", "statin", "creatinine_mg_dl"):
        np.testing.assert_array_equal(rows[name], table.loc[rows.index, name].astype(float))
    assert rows.sex.tolist() == table.loc[rows.index, "sex"].tolist()
    assert rows.ecg_time.tolist() == table.loc[rows.index, "ecg_time"].tolist()
    assert set(store.records.split) == {""}  # LVEF.csv names them all
    store.add_risk("score2", region="low")
    assert "score2" in store.risks


def test_metadata_of_some_or_other_records(source, metadata, tmp_path):
    table = pd.read_parquet(metadata / "metadata.parquet")
    other = table.assign(record_id=[str(number) for number in range(ECGS)])
    pd.concat([table[20:], other[:3]]).to_parquet(tmp_path / "some.parquet")
    with (
        pytest.warns(
            UserWarning, match="20 of 80 records have no row in some.parquet; nothing is known of them"
        ),
        pytest.warns(UserWarning, match="3 of 63 rows of some.parquet name no record of record_list.csv"),
    ):
        made = plan(source, metadata=str(tmp_path / "some.parquet"))
    unlisted = ~made.index.isin(table.record_id[20:])
    assert unlisted.sum() == 20
    assert made.loc[unlisted, ["age_years", "diabetes", "statin"]].isna().all(axis=None)
    assert set(made.sex[unlisted]) == {""}
    assert made.age_years[~unlisted].notna().all()
    for wrong, told in (
        (other, r"is of other records: it has '0' and others, record_list.csv '48000000' and others"),
        (table.assign(subject_id="1"), "names another subject than record_list.csv for 80 records"),
        (pd.concat([table, table[:1]]), "has several rows for"),
        (table.drop(columns="record_id"), "has no column record_id"),
        (table.drop(columns="subject_id"), "has no column subject_id"),
        (table[:0], "has no row; extract it again"),
        (table.assign(sex="F"), "column sex of .* holds 'F'; accepted are female, male"),
        (table.assign(diabetes=7.0), "column diabetes of .* holds 7; accepted are 0, 1 and NaN"),
        (table.assign(sbp_mmhg="120"), "column sbp_mmhg of .* holds text; accepted are numbers"),
        (table.assign(hdl_mmol_l=52.0), "values of hdl_mmol_l are outside"),
    ):
        wrong.to_parquet(tmp_path / "wrong.parquet")
        with pytest.raises(ValueError, match=told):
            plan(source, metadata=str(tmp_path / "wrong.parquet"))
    few = table[["record_id", "subject_id", "age_years"]]
    few.to_parquet(tmp_path / "few.parquet")
    assert plan(source, metadata=str(tmp_path / "few.parquet")).age_years.notna().all()


def test_a_resume_with_other_metadata_is_refused(source, metadata, tmp_path):
    table = pd.read_parquet(metadata / "metadata.parquet")
    table.to_parquet(tmp_path / "metadata.parquet")
    with pytest.raises(ValueError, match="max_skipped_share"):
        convert(source, tmp_path / "s", metadata=tmp_path, max_skipped_share=0)
    table.assign(sbp_mmhg_source="another rule").to_parquet(tmp_path / "metadata.parquet")
    with pytest.raises(ValueError, match="unfinished conversion with other settings or other source files"):
        convert(source, tmp_path / "s", metadata=tmp_path)


def test_age_and_sex_without_metadata(source):
    made = plan(source, patients="patients.csv.gz").groupby("subject_id").first()
    person = [str(subject) for subject in layout.subject_ids(SUBJECTS)]
    assert (made.age_years[person[1]], made.sex[person[1]]) == (43, "male")
    assert (made.age_years[person[12]], made.age_over_89[person[12]]) == (90, 1)
    assert np.isnan(made.age_years[person[13]])
    with pytest.warns(UserWarning, match="neither metadata nor patients is given"):
        assert "age_years" not in plan(source)


def test_files_are_not_looked_for_before_they_are_read(source, tmp_path):
    """One ECG under files is enough for a plan, so that planning 800,000 takes no look at each."""
    first = source[2].path.iloc[0]
    (tmp_path / first).parent.mkdir(parents=True)
    (tmp_path / f"{first}.hea").touch()
    source[2].to_csv(tmp_path / "record_list.csv", index=False)
    assert len(plan([tmp_path])) == ECGS


def test_errors_say_what_to_do(source, tmp_path):
    with pytest.raises(FileNotFoundError, match=r"record_list.csv is missing. MIMIC-IV-ECG.*90.4 GB"):
        plan_ecg(tmp_path)
    listed = source[2]
    listed.to_csv(tmp_path / "record_list.csv", index=False)
    with pytest.raises(FileNotFoundError, match="holds no record under files"):
        plan_ecg(tmp_path)
    listed.drop(columns="ecg_time").to_csv(tmp_path / "record_list.csv", index=False)
    with pytest.raises(ValueError, match="lacks one of subject_id, study_id, ecg_time, path"):
        plan_ecg(tmp_path)
    listed.assign(path="").to_csv(tmp_path / "record_list.csv", index=False)
    with pytest.raises(ValueError, match=r"column path of .* is empty in 80 rows"):
        plan_ecg(tmp_path)
    (tmp_path / "no.parquet").write_text("no")
    (tmp_path / "no.csv").write_text("a,b\n1,2\n")
    for settings, kind, told in (
        ({"records": "second"}, ValueError, "records='second'; accepted are all, first, last, random"),
        ({"records": "random", "seed": -1}, ValueError, "seed=-1; accepted are whole numbers from 0"),
        ({"metadata": "out"}, FileNotFoundError, "out is missing; pass metadata=<the folder"),
        ({"metadata": str(tmp_path)}, FileNotFoundError, "metadata.parquet is missing"),
        ({"metadata": str(tmp_path / "no.parquet")}, ValueError, "is no table"),
        ({"metadata": "out", "patients": "p"}, ValueError, "leave patients out"),
        ({"patients": "hosp/patients.csv.gz"}, FileNotFoundError, "pass patients="),
        ({"lvef_table": "elsewhere.csv"}, FileNotFoundError, "pass lvef_table=<LVEF.csv of"),
        (
            {"lvef_table": str(tmp_path / "no.csv")},
            ValueError,
            "names no ECG; accepted is a table with paths",
        ),
    ):
        with pytest.raises(kind, match=told):
            plan_ecg(source[0], **settings)


@pytest.fixture
def small_parts(monkeypatch):
    database = DATABASES["mimic_iv_ecg"]

    @functools.wraps(database.plan)
    def plan(*args, **settings):
        return dataclasses.replace(database.plan(*args, **settings), part_records=5)

    monkeypatch.setitem(DATABASES, "mimic_iv_ecg", dataclasses.replace(database, plan=plan))


def test_a_dask_cluster_gives_the_same_bytes(source, metadata, tmp_path, small_parts, checksums):
    distributed = pytest.importorskip("distributed", reason="needs pip install 'openclef[dask]'")
    one = convert(source, tmp_path / "one", metadata=metadata)
    with (
        warnings.catch_warnings(),
        distributed.LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None) as cluster,
        distributed.Client(cluster) as client,
    ):
        warnings.simplefilter("ignore")
        with joblib.parallel_config("dask"):
            two = convert(source, tmp_path / "two", metadata=metadata, workers=None)
        tasks = client.run(lambda dask_worker: dask_worker.state.executed_count)
    assert len(tasks) == 2
    assert min(tasks.values()) > 1  # parts were written by both
    assert checksums(two.path) == checksums(one.path)


def test_killed_twice_and_started_again(source, metadata, kill_and_go_on):
    kill_and_go_on(
        "mimic_iv_ecg", source[0], kills=2, part_records=2, step=8, group=True, pause_s=0.01, workers=1,
        metadata=str(metadata), records="all",
    )  # fmt: skip


@pytest.mark.slow
def test_killed_ten_times_and_started_again(source, metadata, kill_and_go_on):
    store = kill_and_go_on(
        "mimic_iv_ecg", source[0], kills=10, part_records=1, step=8, group=True, pause_s=0.03, workers=2,
        metadata=str(metadata), records="all",
    )  # fmt: skip
    assert len(openclef.open_store(store)) == ECGS - len(DAMAGED)


def test_rows_of_the_lvef_table_that_name_no_ecg_are_told(source, tmp_path):
    table = pd.read_csv(source[0] / "LVEF.csv", dtype=str)
    column = next(name for name in table if table[name].str.contains("files/").any())
    mixed = table.assign(
        **{column: [*(path.replace("/", "\\") for path in table[column][:3]), *table[column][3:]]}
    )
    mixed.to_csv(tmp_path / "mixed.csv", index=False)
    with pytest.warns(UserWarning, match=r"rows of mixed.csv name no ECG .* is not held out"):
        made = plan(source, lvef_table=str(tmp_path / "mixed.csv"))
    expected = plan(source, lvef_table=str(source[0] / "LVEF.csv"))
    assert made["split"].tolist() == expected["split"].tolist()
    assert (made["split"] == "").any()
