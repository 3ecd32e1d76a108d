from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest
import torch
from scipy.stats import norm

from openclef.backbone import BACKBONES
from openclef.condition import Condition
from openclef.model import Encoder
from openclef.preprocessing import Preprocessing
from openclef.protocol.evaluation import Result, compare, evaluate, load_result
from openclef.protocol.scoring import COLUMNS, metrics_of
from openclef.record import Record
from openclef.simulator.cohort import simulate
from openclef.store import StoreWriter
from openclef.task import Task

LABELS = Task("tiny/labels", "multilabel", ("A", "B", "rare"), ("l/A", "l/B", "l/rare"))
RHYTHM = Task("tiny/rhythm", "multiclass", ("N", "AF", "O"), ("l/rhythm",))
AF = Task("tiny/af", "binary", ("af",), ("l/af",))
AGE = Task("tiny/age", "regression", ("age",), ("l/years",), unit="years")
RANDOM = Task("tiny/random", "binary", ("random",), ("l/random",))
TASKS = (LABELS, RHYTHM, AF, AGE, RANDOM)
DIM = 8


class Planted(torch.nn.Module):
    """Reads the features that were written into the signal, one every 12 samples."""

    dim = DIM

    def __init__(self, noise=0.0, seed=0, subjects=None, name="planted"):
        super().__init__()
        self.preprocessing = Preprocessing(fs=50, seconds=2, band=None, normalise="none")
        self.noise, self.seed, self.name, self.pretraining_subjects = noise, seed, name, subjects

    def forward(self, signal):
        features = signal[:, 0, 6::12][:, :DIM]
        if self.noise:
            # noise that belongs to the signal, whatever the batch
            seeds = (features.abs().sum(1) * 1e4).long() + self.seed
            drawn = [torch.randn(DIM, generator=torch.Generator().manual_seed(int(s))) for s in seeds]
            features = features + self.noise * torch.stack(drawn)
        return features


def people(records, seed=0, metadata=True):
    generator = np.random.default_rng(seed)
    split = np.where(
        np.arange(records) % 10 < 5, "train", np.where(np.arange(records) % 10 < 6, "val", "test")
    )
    features = generator.normal(size=(records, DIM))
    flags = generator.random((records, 2)) < 0.4
    features[:, :2] += flags  # distance 1 for A and B
    rhythm = generator.integers(0, 3, records)
    features[:, 2:5] += 3 * np.eye(3)[rhythm]
    age = 60 + 10 * features[:, 5] + generator.normal(size=records)
    rows = []
    for i in range(records):
        row = {
            "record_id": f"r{seed}-{i}",
            "subject_id": f"s{seed}-{i}",
            "split": str(split[i]),
            "l/A": float(flags[i, 0]),
            "l/B": float(flags[i, 1]),
            "l/rare": float(i % 100 == 7),  # a hundredth, in test
            "l/rhythm": RHYTHM.labels[rhythm[i]],
            "l/af": float(rhythm[i] == 1),
            "l/years": age[i],
            "l/random": float(generator.random() < 0.4),
        }
        if metadata:
            row |= {"age_years": age[i] if i % 7 else None, "sex": ("female", "male", "")[i % 3]}
        rows.append(row)
    return features, rows


def write(folder, features, rows, fs=50, name="tiny", tasks=TASKS):
    writer = StoreWriter(folder, name=name, scale=0.001, fs=fs, leads=("I", "II"), seconds=2, tasks=tasks)
    repeat = 12 * fs // 50
    signals = np.repeat(features, repeat, axis=1)
    signals = np.pad(signals, ((0, 0), (0, round(fs * 2) - signals.shape[1])), mode="edge")
    records = [Record(np.stack([s, 0 * s]), fs, ("I", "II"), r["record_id"]) for s, r in zip(signals, rows)]
    writer.write_part(0, records, rows)
    return writer.finish()


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    return write(tmp_path_factory.mktemp("stores") / "tiny", *people(600))


def pick(metrics, model, metric, part=""):
    rows = metrics[(metrics["model"] == model) & (metrics["metric"] == metric) & (metrics["part"] == part)]
    assert len(rows) == 1
    return rows.iloc[0]


def test_planted_features_reach_the_closed_form_and_rare_labels_stand_apart(tmp_path):
    store = write(tmp_path / "big", *people(3000))
    result = evaluate(Planted(), store, "tiny/labels", append_age_sex=False, draws=100)
    assert list(result.metrics.columns) == [*COLUMNS, "label_share", "condition", "part", "note"]
    truth = norm.cdf(1 / np.sqrt(2))
    for label in ("A", "B"):
        found = pick(result.metrics, "planted", f"auroc:{label}")
        assert found["value"] == pytest.approx(truth, abs=0.03)
        assert found["low"] < truth < found["high"]
    small = evaluate(
        Planted(), write(tmp_path / "small", *people(600)), "tiny/labels", append_age_sex=False, draws=100
    )
    macro = pick(small.metrics, "planted", "auroc")
    parts = [pick(small.metrics, "planted", f"auroc:{label}")["value"] for label in ("A", "B")]
    assert macro["value"] == pytest.approx(np.mean(parts))
    assert "rare (6)" in macro["note"]
    assert macro["n"] == 240
    rare = pick(small.metrics, "planted", "auroc:rare")
    assert rare["n"] == 6
    assert rare["note"] == "not measurable: 6 positives, 234 negatives"
    assert pick(small.metrics, "planted", "auroc:A")["note"] == ""
    prevalence = pick(small.metrics, "planted", "prevalence:A")
    assert prevalence["value"] * 240 == pytest.approx(pick(small.metrics, "planted", "auroc:A")["n"])
    assert 0 < pick(small.metrics, "planted", "ece")["value"] < 0.2


def test_labels_without_information_give_an_interval_that_covers_one_half(store):
    result = evaluate(Planted(), store, "tiny/random", append_age_sex=False, draws=200)
    found = pick(result.metrics, "planted", "auroc")
    assert found["low"] < 0.5 < found["high"]


def test_multiclass_and_regression(store):
    rhythm = evaluate(Planted(), store, "tiny/rhythm", append_age_sex=False, draws=30)
    assert pick(rhythm.metrics, "planted", "auroc")["value"] > 0.95
    sums = rhythm.predictions.groupby("record_id")["score"].sum()
    np.testing.assert_allclose(sums, 1)
    age = evaluate(Planted(), store, "tiny/age", append_age_sex=False, draws=30)
    assert set(age.metrics["metric"]) == {"mae", "rmse", "r2", "r"}
    assert pick(age.metrics, "planted", "mae")["value"] == pytest.approx(np.sqrt(2 / np.pi), abs=0.15)
    assert pick(age.metrics, "planted", "r2")["value"] > 0.95
    neighbours = evaluate(Planted(), store, "tiny/rhythm", protocol="knn", append_age_sex=False, draws=30)
    assert pick(neighbours.metrics, "planted", "auroc")["value"] > 0.9
    assert set(neighbours.metrics["protocol"]) == {"knn"}


def test_age_and_sex_stand_alone_and_beside_the_model(store):
    blind = Planted(noise=30.0)
    result = evaluate(blind, store, "tiny/age", baselines=("age_sex",), draws=30)
    assert list(dict.fromkeys(result.metrics["model"])) == ["planted", "planted + age_sex", "age_sex"]
    mae = {
        name: pick(result.metrics, name, "mae")["value"] for name in dict.fromkeys(result.metrics["model"])
    }
    assert mae["planted + age_sex"] < 0.6 * mae["planted"]  # the target is age
    assert mae["age_sex"] < 0.6 * mae["planted"]
    alone = evaluate("age_sex", store, "tiny/age", draws=30)
    assert alone.model == "age_sex"
    assert pick(alone.metrics, "age_sex", "mae")["value"] == mae["age_sex"]


@pytest.mark.parametrize("column", ["age_years", "mine/age_years", "sex"])
def test_a_task_that_asks_for_age_or_sex_is_not_given_them(tmp_path, column):
    asked = Task(
        "tiny/asked", "multiclass" if column == "sex" else "regression", ("female", "male"), (column,)
    )
    features, rows = people(200)
    rows = [row | {"mine/age_years": row["age_years"]} for row in rows]
    store = write(tmp_path / "own", features, rows, tasks=(*TASKS, asked))
    result = evaluate(
        Planted(), store, "tiny/asked", baselines=("age_sex", "random_encoder"), seeds=(0,), draws=5
    )
    assert set(result.metrics["model"]) == {"planted", "random_encoder"}
    with pytest.raises(ValueError, match="tiny/asked asks for age or sex"):
        evaluate("age_sex", store, "tiny/asked")
    beside = evaluate(Planted(), store, "tiny/af", baselines=("age_sex",), draws=5)
    assert set(beside.metrics["model"]) == {"planted", "planted + age_sex", "age_sex"}


def test_without_metadata_there_is_no_age_and_sex(tmp_path):
    store = write(tmp_path / "plain", *people(200, metadata=False))
    result = evaluate(Planted(), store, "tiny/age", baselines=("age_sex",), draws=10)
    assert set(result.metrics["model"]) == {"planted"}
    with pytest.raises(ValueError, match="age_years or sex"):
        evaluate("age_sex", store, "tiny/age")


def test_a_regression_of_few_records_has_no_values_and_says_so(tmp_path):
    features, rows = people(23)  # nine in test: 6 to 9, 16 to 19, and 22
    rows = [row | {"split": "test" if i == 22 else row["split"]} for i, row in enumerate(rows)]
    store = write(tmp_path / "few", features, rows)
    few = evaluate(Planted(), store, "tiny/age", append_age_sex=False, draws=10)
    assert few.metrics["metric"].tolist() == ["mae", "rmse", "r2", "r"]
    assert few.metrics[["value", "low", "high"]].isna().all(axis=None)
    assert set(few.metrics["note"]) == {"not measurable: 9 records"}
    assert set(few.metrics["n"]) == {9}
    with pytest.raises(ValueError, match="tiny/age has 9 judged records, fewer than 10; nothing to compare"):
        compare(few, few, metric="mae")
    asked = evaluate(Planted(), store, "tiny/age", append_age_sex=False, draws=10, min_positives=9)
    assert asked.metrics["value"].notna().all()
    assert set(asked.metrics["note"]) == {""}
    assert compare(asked, asked, metric="mae", min_positives=9, draws=5, permutations=5)["p"].item() == 1


def test_seeds_are_kept_and_their_mean_reported(store):
    models = [Planted(noise=1.0, seed=s) for s in range(3)]
    result = evaluate(models, store, "tiny/af", append_age_sex=False, draws=50)
    found = pick(result.metrics, "planted", "auroc")
    assert found["seeds"] == 3
    single = [
        pick(evaluate(model, store, "tiny/af", append_age_sex=False, draws=10).metrics, "planted", "auroc")[
            "value"
        ]
        for model in models
    ]
    assert found["value"] == pytest.approx(np.mean(single), abs=1e-9)
    assert sorted(set(result.predictions["seed"])) == [0, 1, 2]


def test_pretrained_and_tested_is_refused(store):
    hashes = store.subjects()
    split = store.records["split"].to_numpy()
    fine = Planted(subjects=frozenset(hashes[split == "train"]))
    evaluate(fine, store, "tiny/af", append_age_sex=False, draws=5)
    leaked = frozenset([*hashes[split == "train"], *hashes[split == "test"][:2]])
    with pytest.raises(ValueError, match="2 of 240 test subjects were in the encoder's pretraining"):
        evaluate([fine, Planted(subjects=leaked)], store, "tiny/af")
    evaluate(Planted(subjects=leaked), store, "tiny/af", split="val", append_age_sex=False, draws=5)
    with pytest.raises(ValueError, match="60 of 60 val subjects"):
        evaluate(Planted(subjects=frozenset(hashes[split == "val"])), store, "tiny/af", split="val")


def test_validation_can_be_seen_without_test(store):
    result = evaluate(Planted(), store, "tiny/af", split="val", append_age_sex=False, draws=20)
    assert set(result.predictions["split"]) == {"val"}
    assert pick(result.metrics, "planted", "auroc")["n"] == 60
    assert "brier" not in set(result.metrics["metric"])  # there is nothing left to fit the temperature on


def test_stores_of_two_rates_are_pooled_and_parts_reported(store, tmp_path):
    other = write(tmp_path / "other", *people(300, seed=1), fs=100, name="other")
    result = evaluate(Planted(), [store, other], "tiny/rhythm", append_age_sex=False, by="store", draws=20)
    assert pick(result.metrics, "planted", "auroc")["n"] == 360
    for part, n in (("store=tiny", 240), ("store=other", 120)):
        found = pick(result.metrics, "planted", "auroc", part)
        assert found["n"] == n
        assert found["value"] > 0.9
    bands = metrics_of(result.predictions, by="age_band", draws=5, min_positives=5)
    assert {"age_band=40-59", "age_band=60-74", "age_band=unknown"} <= set(bands["part"])
    both = metrics_of(result.predictions, by=("sex", "store"), draws=5)
    parts = {"sex=female", "sex=male", "sex=unknown", "store=tiny", "store=other"}
    assert set(both["part"]) == {"", *parts}


def test_metrics_come_from_the_saved_predictions_alone(store, tmp_path):
    result = evaluate([Planted(), Planted(noise=1.0)], store, "tiny/labels", draws=30)
    folder = result.save(tmp_path / "result")
    assert sorted(path.name for path in folder.iterdir()) == [
        "evaluation.json",
        "metrics.json",
        "predictions.parquet",
    ]
    again = metrics_of(pd.read_parquet(folder / "predictions.parquet"), draws=30)
    pd.testing.assert_frame_equal(again, result.metrics)
    rows = json.loads((folder / "metrics.json").read_text())
    assert len(rows) == len(result.metrics)
    loaded = load_result(folder)
    assert loaded.model == "planted"
    pd.testing.assert_frame_equal(loaded.metrics, result.metrics)
    assert {"strength", "val_loss"} <= set(loaded.settings[0])


def test_label_budgets_use_fewer_subjects(store):
    few = evaluate(Planted(), store, "tiny/af", label_share=0.1, append_age_sex=False, draws=10)
    assert few.settings[0]["train_records"] == 30
    assert set(few.metrics["label_share"]) == {0.1}
    assert few.predictions.equals(
        evaluate(Planted(), store, "tiny/af", label_share=0.1, append_age_sex=False, draws=10).predictions
    )


def test_comparison_is_paired_and_signed(store):
    good = evaluate(Planted(), store, "tiny/af", draws=10)
    poor = evaluate([Planted(noise=3.0, seed=s) for s in range(2)], store, "tiny/af", name="poor", draws=10)
    row = compare(good, poor, draws=100, permutations=100).iloc[0]
    expected = pick(good.metrics, "planted", "auroc")["value"] - pick(poor.metrics, "poor", "auroc")["value"]
    assert row["value"] == pytest.approx(expected)
    assert 0 < row["low"] < row["high"]
    assert row["p"] < 0.05
    assert (row["model"], row["against"], row["seeds"], row["against_seeds"]) == ("planted", "poor", 1, 2)
    same = compare(good, good, against_model="planted", draws=20, permutations=20).iloc[0]
    assert (same["value"], same["low"], same["high"], same["p"]) == (0, 0, 0, 1)
    within = compare(good, good, against_model="planted + age_sex", draws=20, permutations=20).iloc[0]
    assert within["against"] == "planted + age_sex"


def test_comparisons_of_other_records_are_refused(store, tmp_path):
    features, rows = people(600)
    fewer = write(tmp_path / "fewer", features[:590], rows[:590])
    one = evaluate(Planted(), store, "tiny/af", append_age_sex=False, draws=5)
    two = evaluate(Planted(), fewer, "tiny/af", append_age_sex=False, draws=5)
    with pytest.raises(ValueError, match=r"4 records stand in one result only \(tiny/r0-596"):
        compare(one, two)
    with pytest.raises(ValueError, match="differ in task: tiny/af and tiny/age"):
        compare(one, evaluate(Planted(), store, "tiny/age", append_age_sex=False, draws=5))
    with pytest.raises(ValueError, match="the result holds planted"):
        compare(one, one, model="clef")


def test_options_are_checked(store, tmp_path):
    for settings, message in (
        ({"protocol": "svm"}, "probe, knn"),
        ({"split": "train"}, "test, val"),
        ({"baselines": ("svm",)}, "random_encoder, age_sex, features"),
        ({"conditions": (Condition(),)}, "pass different ones that change something"),
        ({"by": "colour", "draws": 2}, "by is .colour.; pass one or more of store, sex, age_band"),
        ({"label_share": 0}, "label_share is 0"),
        ({"label_share": 1.01}, "label_share is 1.01"),
        ({"label_share": float("nan")}, "label_share is nan"),
        ({"label_share": "all"}, "label_share is 'all'"),
        ({"draws": 0}, "draws is 0; accepted are whole numbers from 1"),
        ({"draws": -1}, "draws is -1"),
        ({"seed": -1}, "seed is -1; accepted are whole numbers from 0"),
        ({"min_positives": 0}, "min_positives is 0"),
        ({"batch_size": 0}, "batch_size is 0"),
    ):
        with pytest.raises(ValueError, match=message):
            evaluate(Planted(), store, "tiny/af", **settings)
    with pytest.raises(FileNotFoundError, match="no folder and no baseline"):
        evaluate("runs/none", store, "tiny/af")
    features, rows = people(100)
    without = [row | {"split": "train" if row["split"] == "val" else row["split"]} for row in rows]
    with pytest.raises(ValueError, match="no records in val of tiny"):
        evaluate(Planted(), write(tmp_path / "none", features, without), "tiny/af")


def test_random_encoders_follow_the_model_and_its_preprocessing(tmp_path):
    from openclef.protocol.baselines import random_encoder

    store = write(tmp_path / "few", *people(60))
    state = torch.random.get_rng_state()
    encoder = random_encoder(
        "resnext1d_small", preprocessing=Preprocessing(fs=50, seconds=2, band=(0.5, 20.0)), seed=3
    )
    assert torch.equal(torch.random.get_rng_state(), state)
    again = random_encoder("resnext1d_small", preprocessing=encoder.preprocessing, seed=3)
    assert all(torch.equal(a, b) for a, b in zip(encoder.state_dict().values(), again.state_dict().values()))
    encoder.name = "trained"
    result = evaluate(
        encoder,
        store,
        "tiny/af",
        baselines=("random_encoder",),
        seeds=(3, 4),
        append_age_sex=False,
        draws=5,
        min_positives=2,
    )
    assert set(result.metrics["model"]) == {"trained", "random_encoder"}
    first = result.predictions[
        (result.predictions["model"] == "random_encoder") & (result.predictions["seed"] == 0)
    ]
    own = result.predictions[result.predictions["model"] == "trained"]
    np.testing.assert_allclose(
        first["score"], own["score"]
    )  # seed 3 of the same architecture and preprocessing
    with pytest.raises(ValueError, match="resnext1d_small"):
        random_encoder("vgg")


@pytest.mark.parametrize("model", [None, 3, {"a": 1}, [None], ["age_sex"], [], torch.nn.Linear(2, 2)])
def test_what_is_no_model_is_refused(store, model):
    with pytest.raises(ValueError, match=r"pass (an|it|an encoder)|no \.dim"):
        evaluate(model, store, "tiny/af", draws=5)
    with pytest.raises(ValueError, match="seeds are empty"):
        evaluate("random_encoder", store, "tiny/af", seeds=())


def test_a_result_says_where_overlap_could_not_be_checked(store, tmp_path):
    settings = {"append_age_sex": False, "draws": 5}
    unknown = evaluate([Planted(), Planted(subjects=frozenset())], store, "tiny/af", **settings)
    assert unknown.note.startswith("1 of 2 encoders do not say whom")
    assert load_result(unknown.save(tmp_path / "unknown")).note == unknown.note
    assert evaluate(Planted(subjects=frozenset({"00"})), store, "tiny/af", **settings).note == ""
    assert evaluate("age_sex", store, "tiny/af", draws=5).note == ""
    from openclef.protocol.baselines import random_encoder

    assert random_encoder().pretraining_subjects == frozenset()
    about = json.loads((tmp_path / "unknown" / "evaluation.json").read_text())
    del about["note"]  # as earlier versions wrote it
    (tmp_path / "unknown" / "evaluation.json").write_text(json.dumps(about))
    assert load_result(tmp_path / "unknown").note == ""


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("evaluation.json", b"{"),
        ("evaluation.json", b"[]"),
        ("evaluation.json", b'{"model": 1, "split": "test", "settings": []}'),
        ("evaluation.json", b'{"model": "m", "split": "test", "settings": [], "colour": 1}'),
        ("metrics.json", b"\xff\xfe"),
        ("metrics.json", b'{"a": 1}'),
        ("metrics.json", b'[{"value": "high"}]'),
        ("metrics.json", b'[{"value": [1]}]'),
        ("predictions.parquet", b""),
        ("predictions.parquet", b"PAR1 cut off"),
    ],
)
def test_a_damaged_result_is_named(tmp_path, name, content):
    frame = pd.DataFrame({"model": ["m"], "value": [1.0]})
    folder = Result(frame, frame, "m").save(tmp_path / "result")
    (folder / name).write_bytes(content)
    with pytest.raises(ValueError, match=rf"{name} is damaged \(.+\); copy the folder again") as error:
        load_result(folder)
    assert "\n" not in str(error.value)


def test_a_result_is_not_saved_over_a_file(tmp_path):
    (tmp_path / "file").write_text("mine")
    empty = Result(pd.DataFrame({"model": ["m"]}), pd.DataFrame({"model": ["m"]}), "m")
    for folder in (tmp_path / "file", tmp_path / "file" / "below"):
        with pytest.raises(FileExistsError, match="file is a file; pass another place"):
            empty.save(folder)
    assert (tmp_path / "file").read_text() == "mine"
    with pytest.raises(ValueError, match="None is no Result"):
        compare(empty, None)


def test_a_result_prints_a_line_a_model_and_each_note_once(small_store) -> None:
    result = evaluate("age_sex", [small_store], "small/old", draws=20, min_positives=3)
    lines = str(result).splitlines()
    assert lines[0] == "small/old, probe, lead I, test: value [95 % interval]"
    assert lines[1].split() == ["model", "auroc", "auprc", "records", "seeds"]
    assert lines[2].split()[0] == "age_sex"
    assert "[" in lines[2]
    assert len(set(lines)) == len(lines)


def test_conditions_are_judged_by_the_fit_on_recordings_as_they_are(store):
    conditions = (
        Condition(noise_snr_db=-20),
        Condition(seconds=1),
        Condition(lead="II"),
        Condition(fs=500),
    )
    result = evaluate(Planted(), store, "tiny/af", append_age_sex=False, draws=20, conditions=conditions)
    plain = evaluate(Planted(), store, "tiny/af", append_age_sex=False, draws=20)
    recorded = result.predictions[result.predictions["condition"] == ""].reset_index(drop=True)
    pd.testing.assert_frame_equal(recorded, plain.predictions)
    changed = result.metrics[(result.metrics["condition"] != "") & (result.metrics["metric"] == "auroc")]
    assert changed["condition"].tolist() == ["noise -20 dB", "1 s a window", "lead II"]
    assert (changed["n"] == 240).all()
    value = changed.set_index("condition")["value"]
    assert value["lead II"] == 0.5  # that lead is flat: every record looks the same
    assert 0.3 < value["noise -20 dB"] < pick(plain.metrics, "planted", "auroc")["value"] - 0.1
    assert "500 Hz is left out: no recording has a higher rate" in result.note
    splits = result.predictions.loc[result.predictions["condition"] != "", "split"]
    assert set(splits) == {"test"}
    assert str(result).count("planted") == 1  # the table shows recordings as they are


def test_kept_embeddings_give_the_same_result(tmp_path, monkeypatch):
    import openclef.protocol.cohort as cohort_module

    store = write(tmp_path / "tiny", *people(60))
    encoder = Encoder(
        BACKBONES["resnext1d_small"](), Preprocessing(fs=50, seconds=2, band=None), name="mine",
        backbone_name="resnext1d_small",
    )  # fmt: skip
    settings = {
        "append_age_sex": False,
        "draws": 5,
        "conditions": (Condition(seconds=1),),
        "min_positives": 1,
    }
    plain = evaluate(encoder, store, "tiny/af", **settings)
    kept = evaluate(encoder, store, "tiny/af", cache=tmp_path / "cache", **settings)
    pd.testing.assert_frame_equal(kept.predictions, plain.predictions)
    monkeypatch.setattr(cohort_module, "embed_store", None)  # nothing is left to embed
    again = evaluate(encoder, store, "tiny/age", cache=tmp_path / "cache", **settings)
    assert len(again.predictions) == 6 + 24 + 24  # val, test, and test under the condition


def test_a_small_budget_is_drawn_once_a_seed(store):
    few = evaluate(
        Planted(), store, "tiny/af", label_share=0.1, append_age_sex=False, draws=10, seeds=(3, 4, 5)
    )
    assert few.metrics["seeds"].unique().tolist() == [3]
    scores = few.predictions.pivot_table(index="record_id", columns="seed", values="score")
    assert scores.nunique(axis=1).min() == 3  # other subjects, other fits
    whole = evaluate(Planted(), store, "tiny/af", append_age_sex=False, draws=10, seeds=(3, 4, 5))
    assert whole.metrics["seeds"].unique().tolist() == [1]


def test_every_model_has_the_same_draws_of_subjects(store):
    ask = {"label_share": 0.05, "append_age_sex": False, "draws": 20, "seeds": range(5)}
    one = evaluate(Planted(), store, "tiny/af", name="one", **ask)
    three = evaluate([Planted() for _ in range(3)], store, "tiny/af", name="three", **ask)
    seven = evaluate([Planted() for _ in range(7)], store, "tiny/af", name="seven", **ask)
    assert [result.metrics["seeds"].iloc[0] for result in (one, three, seven)] == [5, 5, 7]
    assert one.predictions["score"].equals(three.predictions["score"])  # the same encoder on the same draws
    for other in (three, seven):
        row = compare(one, other, draws=20, permutations=20).iloc[0]
        assert (row["value"], row["low"], row["high"], row["p"]) == (0, 0, 0, 1)
    assert row["seeds"] == row["against_seeds"] == 5


def test_classical_features_are_a_baseline(tmp_path):
    store = simulate(tmp_path / "sim", patients=80, seconds=10, workers=1, seed=3)
    result = evaluate(
        "features", store, "sim/age", draws=10, conditions=(Condition(noise_snr_db=10),), cache=tmp_path / "c"
    )
    assert list(dict.fromkeys(result.metrics["model"])) == ["features"]  # the task is age
    assert set(result.metrics["condition"]) == {"", "noise 10 dB"}
    assert pick(result.metrics[result.metrics["condition"] == ""], "features", "mae")["value"] > 0
    assert len(list((tmp_path / "c").glob("*.npz"))) == 2
