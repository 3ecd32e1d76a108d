"""Semi-synthetic stores: real signals and labels, risk factors of a chosen strength, and a name that says so."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score

import openclef
from openclef.record import Record
from openclef.simulator import expected_auroc, simulate_metadata
from openclef.store import Store, StoreWriter, Task

DRAWN = ["smoker", "sbp_mmhg", "total_chol_mmol_l", "hdl_mmol_l", "diabetes", "bmi"]


def write_store(folder: Path, subjects: int, seed: int = 0, **changes: object) -> Store:
    """A stand-in for a real store: illness more frequent with age, two records for every fifth subject."""
    generator = np.random.default_rng(seed)
    tasks = [
        Task("real/class", "multilabel", ("NORM", "MI"), ("real/NORM", "real/MI")),
        Task("real/age", "regression", ("age",), ("age_years",), unit="years"),
    ]
    writer = StoreWriter(folder, name="real", scale=0.001, fs=10, leads=("I",), seconds=1, tasks=tasks)
    records, columns = [], []
    for number in range(subjects):
        age = float(generator.integers(30, 90))
        ill = float(generator.random() < 1 / (1 + np.exp(-(age - 60) / 12)))
        for visit in range(1 + (number % 5 == 0)):
            signal = generator.integers(-500, 500, (1, 10)) * np.float32(0.001)
            records.append(Record(signal, 10, ("I",), f"{number}-{visit}", subject_id=str(number)))
            columns.append(
                {
                    "split": "train",
                    "age_years": age + 3 * visit,
                    "sex": ("female", "male")[number % 2],
                    "real/NORM": 1 - ill,
                    "real/MI": ill,
                }
                | changes
            )
    writer.write_part(0, records, columns)
    return writer.finish()


@pytest.fixture(scope="module")
def real(tmp_path_factory: pytest.TempPathFactory) -> Store:
    return write_store(tmp_path_factory.mktemp("real") / "store", 6000)


def made(real: Store, folder: Path, **settings) -> Store:
    return simulate_metadata(real, folder, task="real/class", healthy="NORM", **settings)


def test_signals_ages_and_labels_are_the_real_ones(real: Store, tmp_path: Path) -> None:
    store = made(real, tmp_path / "made")
    np.testing.assert_array_equal(store.read_raw(slice(None)), real.read_raw(slice(None)))
    pd.testing.assert_frame_equal(store.records[list(real.records)], real.records)
    assert store.info["shards"] == real.info["shards"]
    assert store.subjects().tolist() == real.subjects().tolist()
    assert openclef.check(store.path).ok
    store.add_risk("score2", region="low")
    assert store.risk("score2")["completeness"].nunique() > 3


def test_semi_synthetic_is_said_everywhere(real: Store, tmp_path: Path) -> None:
    store = made(real, tmp_path / "made", rho=0.2)
    assert store.name == "semi_synthetic_real"
    assert store.title.startswith("Semi-synthetic: ")
    assert set(store.tasks) == {"semi_synthetic/class", "semi_synthetic/age"}
    assert "simulate_metadata" in store.info["source"]
    assert {f"semi_synthetic_{name}" for name in DRAWN} <= set(store.records)


@pytest.mark.parametrize("rho", [0.0, 0.3, 0.75])
def test_rho_is_what_factors_tell_beyond_age_and_sex(real: Store, tmp_path: Path, rho: float) -> None:
    store = made(real, tmp_path / f"rho{rho}", rho=rho, missing_share=0.0)
    first = store.records.drop_duplicates("subject_id")
    exposure, ill = first["semi_synthetic_exposure"], first["real/MI"]
    assert abs(exposure.mean()) < 0.05
    assert exposure.std() == pytest.approx(1, abs=0.04)
    assert abs(np.corrcoef(exposure, first["age_years"])[0, 1]) < 0.05  # a score within age and sex
    # within a narrow band of age the labels' frequency is nearly constant, and the closed form holds
    band = first["age_years"].between(55, 65)
    expected = expected_auroc(rho, float(ill[band].mean()))
    assert roc_auc_score(ill[band], exposure[band]) == pytest.approx(expected, abs=0.045)
    inputs = first.loc[band, DRAWN].to_numpy(float)
    inputs = (inputs - inputs.mean(axis=0)) / inputs.std(axis=0)
    half = len(inputs) // 2
    fit = LogisticRegression().fit(inputs[:half], ill[band][:half])
    found = roc_auc_score(ill[band][half:], fit.predict_proba(inputs[half:])[:, 1])
    assert abs(found - 0.5) < 0.06 if rho == 0 else 0.55 < found < expected + 0.04


def test_given_age_and_sex_factors_do_not_depend_on_rho(real: Store, tmp_path: Path) -> None:
    tables = [made(real, tmp_path / str(rho), rho=rho, missing_share=0.0).records for rho in (0.0, 0.75)]
    for low in (40, 60, 75):
        for name in DRAWN:
            means = [table.loc[table["age_years"].between(low, low + 10), name] for table in tables]
            error = np.hypot(*(each.std() / np.sqrt(len(each)) for each in means))
            assert abs(means[0].mean() - means[1].mean()) < 4 * error, (low, name)


def test_what_is_real_stays_and_only_the_unknown_is_filled(tmp_path: Path) -> None:
    real = write_store(tmp_path / "real", 50, sbp_mmhg=133.0, smoker=None)
    store = made(real, tmp_path / "made", missing_share=0.0)
    assert store.records["sbp_mmhg"].eq(133).all()
    assert store.records["smoker"].notna().all()


def test_the_store_itself_is_never_overwritten(tmp_path: Path) -> None:
    real = write_store(tmp_path / "real", 30)
    before = real.read_raw(slice(None))
    with pytest.raises(ValueError, match="the store itself"):
        simulate_metadata(real, real.path, task="real/class", healthy="NORM", overwrite=True)
    made(real, tmp_path / "made")
    write_store(tmp_path / "real2", 30, seed=9)
    np.testing.assert_array_equal(openclef.open_store(real.path).read_raw(slice(None)), before)


def test_drawn_values_agree_with_real_ones(tmp_path: Path) -> None:
    real = write_store(tmp_path / "real", 300, diabetes=0.0, sbp_mmhg=170.0)
    records = made(real, tmp_path / "made", missing_share=0.0).records
    assert records["age_at_diabetes_years"].isna().all()
    assert records["semi_synthetic_sbp_mmhg"].eq(170).all()
    assert records["semi_synthetic_diabetes"].eq(0).all()


def test_the_exposure_is_the_rank_of_the_ventricle_s_damage(real: Store, tmp_path: Path) -> None:
    from openclef.simulator import CONFIGURATIONS
    from openclef.simulator.disease import damage

    first = made(real, tmp_path / "made", rho=0.3, missing_share=0.0).records.drop_duplicates("subject_id")
    band = first[first["age_years"].between(58, 62) & (first["sex"] == "male")]
    usual = {f"usual_{name}": band[name] for name in ("sbp_mmhg", "total_chol_mmol_l", "hdl_mmol_l", "bmi")}
    correlations = {
        name: np.corrcoef(damage(band.assign(**usual), disease), band["semi_synthetic_exposure"])[0, 1]
        for name, disease in CONFIGURATIONS["A"].diseases.items()
    }
    assert max(correlations, key=correlations.get) == "dysfunction"
    assert correlations["dysfunction"] > 0.8


def test_healthy_hides_more_in_the_healthy_and_so_tells_the_labels(real: Store, tmp_path: Path) -> None:
    records = made(real, tmp_path / "made", rho=0.0, missing_kind="healthy", missing_share=0.4).records
    ill = records["real/MI"] == 1
    assert records.loc[~ill, "bmi"].isna().mean() > records.loc[ill, "bmi"].isna().mean() + 0.2


def test_children_get_no_factors(tmp_path: Path) -> None:
    real = write_store(tmp_path / "real", 40)
    records = real.records.copy()
    records.loc[:4, "age_years"] = 9.0
    writer = StoreWriter(
        tmp_path / "some",
        name="some",
        scale=0.001,
        fs=10,
        leads=("I",),
        seconds=1,
        tasks=list(real.tasks.values()),
    )
    store = made(writer.adopt(real, records), tmp_path / "made", missing_share=0.0)
    assert store.records[DRAWN].isna().all(axis=1).tolist() == (records["age_years"] < 18).tolist()


def test_a_subject_is_one_person(real: Store, tmp_path: Path) -> None:
    store = made(real, tmp_path / "made", missing_share=0.0)
    several = store.records[store.records["subject_id"].duplicated(keep=False)].groupby("subject_id")
    for name in ("smoker", "diabetes", "semi_synthetic_exposure"):
        assert several[name].nunique().eq(1).all()
    assert several["sbp_mmhg"].nunique().gt(1).mean() > 0.8


def test_records_without_age_or_sex_get_no_factors(tmp_path: Path) -> None:
    real = write_store(tmp_path / "real", 20)
    records = real.records.copy()
    records.loc[:3, "age_years"] = np.nan
    writer = StoreWriter(
        tmp_path / "holes",
        name="holes",
        scale=0.001,
        fs=10,
        leads=("I",),
        seconds=1,
        tasks=list(real.tasks.values()),
    )
    holes = writer.adopt(real, records)
    store = made(holes, tmp_path / "made", missing_share=0.0)
    assert store.records[DRAWN].isna().all(axis=1).tolist() == records["age_years"].isna().tolist()


def test_same_seed_same_bytes_and_another_seed_other_people(real: Store, tmp_path: Path) -> None:
    stores = [made(real, tmp_path / name, seed=seed) for name, seed in (("a", 1), ("b", 1), ("c", 2))]
    digests = [store.info["records_sha256"] for store in stores]
    assert digests[0] == digests[1] != digests[2]


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"rho": 0.9}, "rho is 0.9"),
        ({"task": "real/age"}, "task is 'real/age'; accepted are real/class"),
        ({"healthy": "OK"}, "healthy names OK; accepted are NORM, MI"),
        ({"missing_kind": "x"}, "missing_kind is 'x'"),
        ({"missing_share": -1}, "missing_share is -1"),
        ({"configuration": "Z"}, "configuration is 'Z'"),
        ({"seed": -1}, "seed is -1"),
        ({"healthy": ()}, "everyone is ill"),
        ({"healthy": ("NORM", "MI")}, "nobody is ill"),
    ],
)
def test_wrong_arguments_are_named_and_leave_nothing_behind(
    real: Store, tmp_path: Path, wrong: dict, message: str
) -> None:
    settings = {"task": "real/class", "healthy": "NORM"} | wrong
    with pytest.raises(ValueError, match=message):
        simulate_metadata(real, tmp_path / "made", **settings)
    assert not (tmp_path / "made").exists()


def test_a_store_without_age_is_refused(tmp_path: Path) -> None:
    writer = StoreWriter(tmp_path / "bare", name="bare", scale=0.001, fs=10, leads=("I",), seconds=1)
    writer.write_part(0, [Record(np.ones((1, 10), np.float32), 10, ("I",), "a")], [{"split": "train"}])
    with pytest.raises(ValueError, match="has no age_years and no sex"):
        simulate_metadata(writer.finish(), tmp_path / "made", task="real/class")


def test_windows_of_one_record_are_one_visit(tmp_path: Path) -> None:
    writer = StoreWriter(
        tmp_path / "long",
        name="long",
        scale=0.001,
        fs=10,
        leads=("I",),
        seconds=1,
        tasks=[Task("t/x", "binary", ("x",), ("t/x",))],
    )
    records = [Record(np.ones((1, 50), np.float32), 10, ("I",), str(n), subject_id=str(n)) for n in range(20)]
    columns = [
        {"split": "train", "age_years": 40.0 + n, "sex": "male", "t/x": float(n % 2)} for n in range(20)
    ]
    writer.write_part(0, records, columns)
    table = simulate_metadata(writer.finish(), tmp_path / "made", task="t/x", missing_share=0.5).records
    assert len(table) == 100
    for name in DRAWN:
        assert table.groupby("record_id")[name].nunique(dropna=False).eq(1).all(), name


def test_what_is_refused_loses_nothing(real: Store, tmp_path: Path) -> None:
    kept = made(real, tmp_path / "made")
    for wrong in ({"seed": 1.5}, {"healthy": ()}, {"rho": "much"}):
        with pytest.raises(ValueError, match=r"accepted are|everyone is ill"):
            simulate_metadata(
                real, kept.path, **({"task": "real/class", "healthy": "NORM"} | wrong), overwrite=True
            )
    assert openclef.check(kept.path).ok
