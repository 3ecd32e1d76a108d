"""The instrument is true: planted signals give their closed forms, chance gives chance, intervals cover, p is uniform.

What is measured here is not the code's agreement with itself but with what is known beforehand.
"""

from __future__ import annotations

from itertools import product
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy import integrate
from scipy.stats import binom, norm, qmc

import openclef
from openclef.metrics import apply_temperature, auroc, ece, fit_temperature
from openclef.preprocessing import Preprocessing
from openclef.protocol.result import load_result
from openclef.protocol.scoring import metrics_of
from openclef.record import Record
from openclef.store import StoreWriter
from openclef.task import Task

DIM, FS = 10, 10
SPLITS = {"train": 512, "val": 128, "test": 1024}  # records of a block


class Planted(torch.nn.Module):
    """Returns the features that were written into the signal, one a sample."""

    dim, name = DIM, "planted"
    preprocessing = Preprocessing(fs=FS, seconds=DIM / FS, band=None, normalise="none")

    def __init__(self, subjects: frozenset[str] | None = None) -> None:
        super().__init__()
        self.pretraining_subjects = subjects

    def forward(self, signal: torch.Tensor) -> torch.Tensor:
        return signal[:, 0]


def write(folder: Path, features, rows: list[dict], tasks, name: str = "planted"):
    """A store whose windows of 1 s are the features, (records, DIM) or (records, windows * DIM)."""
    writer = StoreWriter(folder, name=name, scale=0.001, fs=FS, leads=("I",), seconds=DIM / FS, tasks=tasks)
    records = [Record(one[None], FS, ("I",), f"{folder.name}-{i}") for i, one in enumerate(features)]
    rows = [{"subject_id": f"s{i}"} | row for i, row in enumerate(rows)]
    assert writer.write_part(0, records, rows) == []
    return writer.finish()


def gaussian(number: int, dim: int = DIM, seed: int = 0) -> np.ndarray:
    """Standard normal (number, dim), spread so evenly (Sobol) that its sample error is far below a random one's."""
    return norm.ppf(qmc.Sobol(dim, seed=seed).random(number).clip(1e-6, 1 - 1e-6))


def value(result, metric: str) -> float:
    table = result.metrics
    found = table[(table["metric"] == metric) & (table["model"] == result.model)]
    assert len(found) == 1
    return float(found["value"].iloc[0])


DISTANCES = (0.5, 1.0, 2.0)
ILL = Task("planted/ill", "binary", ("ill",), ("l/ill",))


@pytest.fixture(scope="module")
def classes(tmp_path_factory):
    """Three labels, independent of each other, each with a feature of its own at a distance from 0.5 to 2."""
    features, rows = [], []
    for seed, (bits, split) in enumerate(product(product((0, 1), repeat=3), SPLITS)):
        block = gaussian(SPLITS[split] // 4, seed=seed)
        block[:, :3] += np.array(DISTANCES) * bits
        features.append(block)
        rows += [{"split": split} | {f"l/{i}": float(bit) for i, bit in enumerate(bits)}] * len(block)
    tasks = [
        Task("planted/all", "multilabel", ("0", "1", "2"), ("l/0", "l/1", "l/2")),
        *(Task(f"planted/{i}", "binary", (str(i),), (f"l/{i}",)) for i in range(3)),
    ]
    return write(tmp_path_factory.mktemp("stores") / "classes", np.concatenate(features), rows, tasks)


def evaluate(store, task: str, model: Planted | None = None, **settings):
    return openclef.evaluate(model or Planted(), store, f"planted/{task}", **({"draws": 5} | settings))


def _auprc(distance: float) -> float:
    """Area under precision and recall of two equal classes at a distance, by integration."""

    def gain(t: float) -> float:
        found, wrong = norm.sf(t - distance), norm.sf(t)
        return found / (found + wrong) * norm.pdf(t - distance)

    return integrate.quad(gain, -9, 12)[0]


def _brier(distance: float) -> float:
    """Brier score of the true probabilities of two equal classes at a distance, by integration."""

    def loss(t: float) -> float:
        one, none = norm.pdf(t - distance) / 2, norm.pdf(t) / 2
        return one * none / (one + none)

    return integrate.quad(loss, -9, 12)[0]


@pytest.mark.parametrize("number", range(3))
def test_a_binary_task_gives_the_closed_form_of_its_distance(classes, number):
    distance = DISTANCES[number]
    result = evaluate(classes, str(number))
    assert value(result, "auroc") == pytest.approx(norm.cdf(distance / np.sqrt(2)), abs=0.01)
    assert value(result, "auprc") == pytest.approx(_auprc(distance), abs=0.01)
    assert value(result, "brier") == pytest.approx(_brier(distance), abs=0.01)
    assert value(result, "ece") < 0.04
    assert value(result, "prevalence") == 0.5
    assert set(result.metrics["n"]) == {2048}


def test_a_multilabel_task_gives_the_closed_form_of_each_label(classes):
    result = evaluate(classes, "all")
    truth = norm.cdf(np.array(DISTANCES) / np.sqrt(2))
    for label in range(3):
        assert value(result, f"auroc:{label}") == pytest.approx(truth[label], abs=0.01)
    assert value(result, "auroc") == pytest.approx(truth.mean(), abs=0.01)


def test_a_multiclass_task_gives_each_class_against_the_rest(tmp_path):
    """Three classes, each at a distance along an axis of its own.

    Class c against the rest is a linear discriminant on 2 x_c - x_j - x_k with its own closed form, Phi(d sqrt(3) / 2).
    Its scores are divided by their sum, which orders the records a little better: that truth is integrated.
    """
    distance, centres = 1.2, 1.2 * np.eye(3)
    features, rows = [], []
    for seed, (label, split) in enumerate(product(range(3), SPLITS)):
        block = gaussian(SPLITS[split], seed=seed)
        block[:, :3] += centres[label]
        features.append(block)
        rows += [{"split": split, "l/class": "abc"[label]}] * len(block)
    task = Task("planted/class", "multiclass", ("a", "b", "c"), ("l/class",))
    result = evaluate(write(tmp_path / "store", np.concatenate(features), rows, [task]), "class")

    many = np.concatenate([gaussian(2**15, 3, seed=99 + c) + centres[c] for c in range(3)])
    of = np.repeat(np.arange(3), 2**15)
    # log odds of c: means at d e_c against d (e_j + e_k) / 2, unit spread, one class against two
    weight = distance * (1.5 * np.eye(3) - 0.5)
    logit = many @ weight - (distance**2 - distance**2 / 2) / 2 - np.log(2)
    alone = 1 / (1 + np.exp(-logit))
    divided = alone / alone.sum(1, keepdims=True)
    truth = []
    for label in range(3):
        assert auroc(of == label, logit[:, label]) == pytest.approx(
            norm.cdf(distance * np.sqrt(0.75)), abs=1e-3
        )
        truth.append(auroc(of == label, divided[:, label]))
        assert value(result, f"auroc:{'abc'[label]}") == pytest.approx(truth[-1], abs=0.01)
    assert value(result, "auroc") == pytest.approx(np.mean(truth), abs=0.01)


def test_regression_gives_the_closed_form_of_its_residual(tmp_path):
    sigma, weight = 8.0, np.array([6.0, -3.0, 2.0])
    features, rows = [], []
    for seed, split in enumerate(SPLITS):
        block = gaussian(2 * SPLITS[split], DIM + 1, seed=seed)
        pressure = 130 + block[:, :3] @ weight + sigma * block[:, DIM]
        features.append(block[:, :DIM])
        rows += [{"split": split, "l/sbp": one} for one in pressure]
    task = Task("planted/sbp", "regression", ("sbp",), ("l/sbp",), unit="mmHg")
    result = evaluate(write(tmp_path / "store", np.concatenate(features), rows, [task]), "sbp")
    signal = weight @ weight
    assert value(result, "mae") == pytest.approx(sigma * np.sqrt(2 / np.pi), rel=0.01)
    assert value(result, "rmse") == pytest.approx(sigma, rel=0.01)
    assert value(result, "r2") == pytest.approx(signal / (signal + sigma**2), abs=0.01)
    assert value(result, "r") == pytest.approx(np.sqrt(signal / (signal + sigma**2)), abs=0.01)


def test_a_record_is_judged_by_the_mean_over_its_windows(tmp_path):
    """Half of the records have two windows with noise of their own: the variance of their mean is a half."""
    distance, features, rows = 0.8, [], []
    for seed, (label, split) in enumerate(product((0, 1), SPLITS)):
        block = gaussian(SPLITS[split], 2 * DIM, seed=seed)
        block[:, [0, DIM]] += 2 + distance * label
        half = len(block) // 2
        features += [*block[:half], *block[half:, :DIM]]
        rows += [{"split": split, "l/ill": float(label)}] * len(block)
    store = write(tmp_path / "store", features, rows, [ILL])
    assert len(store) == 1.5 * len(rows)
    result = evaluate(store, "ill")
    truth = np.mean([norm.cdf(distance / np.sqrt(one + other)) for one, other in product((0.5, 1), repeat=2)])
    assert value(result, "auroc") == pytest.approx(truth, abs=0.01)
    assert set(result.metrics["n"]) == {2 * SPLITS["test"]}


def _within(count: int, tries: int, share: float) -> bool:
    """Whether a count lies within the two-sided 99 % bounds of the binomial."""
    low, high = binom.ppf([0.005, 0.995], tries, share)
    return bool(low <= count <= high)


def test_shuffled_labels_are_chance(tmp_path):
    """200 labels that are one planted label shuffled, through the whole of `evaluate`; the planted one beside them."""
    rng, shuffles, records = np.random.default_rng(0), 200, 900
    ill = np.repeat([0.0, 1.0], [540, 360])[rng.permutation(records)]
    features = rng.normal(size=(records, DIM))
    features[:, 0] += 2 * ill
    split = np.array(["train", "val", "test"])[np.arange(records) % 3]
    names = ["ill", *(f"s{i}" for i in range(shuffles))]
    columns = dict(zip(names, [ill, *(rng.permutation(ill) for _ in range(shuffles))]))
    rows = [
        {
            "split": str(split[i]),
        }
        | {f"l/{name}": column[i] for name, column in columns.items()}
        for i in range(records)
    ]
    tasks = [
        ILL,
        Task("planted/shuffled", "multilabel", tuple(names[1:]), tuple(f"l/{name}" for name in names[1:])),
    ]
    store = write(tmp_path / "store", features, rows, tasks)
    table = evaluate(store, "shuffled", draws=200).metrics
    each = table[table["metric"].str.startswith("auroc:")]
    assert len(each) == shuffles
    covered = int(((each["low"] <= 0.5) & (each["high"] >= 0.5)).sum())
    assert _within(covered, shuffles, 0.95), covered
    assert abs(each["value"].mean() - 0.5) < 3 * each["value"].std() / np.sqrt(shuffles)
    planted = evaluate(store, "ill", draws=200).metrics
    assert planted.loc[planted["metric"] == "auroc", "low"].item() > 0.85


def test_a_model_against_itself_saved_and_loaded_differs_by_nothing(classes, tmp_path):
    result = evaluate(classes, "0", label_share=0.1)
    loaded = load_result(result.save(tmp_path / "result"))
    for metric in ("auroc", "auprc", "brier", "ece"):
        for first, second in ((loaded, loaded), (result, loaded)):
            row = openclef.compare(first, second, metric=metric, draws=20, permutations=20).iloc[0]
            assert row[["value", "low", "high", "p"]].tolist() == [0.0, 0.0, 0.0, 1.0]


def people(folder: Path, first: int = 0, name: str = "planted", **changed: str):
    """120 subjects, a record each, numbered from `first`; `changed` gives a subject's second record its split."""
    split = {f"p{first + i}": ("train", "val", "test")[i % 3] for i in range(120)}
    rows = [{"split": each, "subject_id": subject} for subject, each in [*split.items(), *changed.items()]]
    rows = [row | {"l/ill": float(i % 2)} for i, row in enumerate(rows)]
    features = np.random.default_rng(first).normal(size=(len(rows), DIM))
    return write(folder, features, rows, [ILL], name)


def test_a_subject_on_both_sides_of_a_split_is_refused(tmp_path):
    evaluate(people(tmp_path / "same side", p2="test"), "ill")
    both = people(tmp_path / "both sides", p2="train", p5="val")
    with pytest.raises(ValueError, match=r"2 subjects have records in two splits \(planted:p2, planted:p5\)"):
        evaluate(both, "ill")
    one, apart = people(tmp_path / "one"), people(tmp_path / "apart", 120)
    evaluate([one, apart], "ill")
    with pytest.raises(ValueError, match="119 subjects have records in two splits"):
        evaluate([one, people(tmp_path / "shifted", 1)], "ill")  # of the same people
    evaluate([one, people(tmp_path / "others", 1, name="others")], "ill")  # others under the same ids


def test_a_subject_pretrained_on_and_tested_is_refused(tmp_path):
    store = people(tmp_path / "store")
    split, hashes = store.records["split"].to_numpy(), store.subjects()
    evaluate(store, "ill", model=Planted(frozenset(hashes[split != "test"])))
    one = hashes[split == "test"][:1]
    with pytest.raises(ValueError, match="1 of 40 test subjects were in the encoder's pretraining"):
        evaluate(store, "ill", model=Planted(frozenset([*hashes[split == "train"], *one])))
    others = people(tmp_path / "others", name="others")
    evaluate(others, "ill", model=Planted(frozenset(hashes)))


@pytest.mark.slow
def test_a_run_folder_knows_whom_it_was_pretrained_on(make_store, tmp_path):
    """A real, tiny pretraining: its folder is judged on the people it has not seen and on no others."""
    store = make_store(tmp_path / "store", subjects=32)
    settings = {
        "epochs": 1,
        "batch_size": 16,
        "risk": None,
        "method": "simclr",
        "quiet": True,
        "accelerator": "cpu",
    }
    settings["preprocessing"] = Preprocessing(fs=100, seconds=10)
    judged = {"append_age_sex": False, "draws": 5, "min_positives": 1}
    fine = openclef.pretrain(store, tmp_path / "fine", split="train", **settings)
    assert openclef.evaluate(fine.path, store, "small/old", **judged).note == ""
    leaky = openclef.pretrain(store, tmp_path / "leaky", split="all", **settings)
    with pytest.raises(ValueError, match="8 of 8 test subjects were in the encoder's pretraining"):
        openclef.evaluate(leaky.path, store, "small/old", **judged)
    again = make_store(tmp_path / "again", subjects=32, seed=1)  # other recordings of the same people
    with pytest.raises(ValueError, match="8 of 8 val subjects were in the encoder's pretraining"):
        openclef.evaluate(leaky.path, again, "small/old", split="val", **judged)


@pytest.mark.parametrize("temperature", [0.4, 1.0, 2.5])
@pytest.mark.parametrize("multiclass", [False, True])
def test_a_known_miscalibration_is_recovered(temperature, multiclass):
    rng = np.random.default_rng(0)
    logit = 2 * rng.normal(size=(8000, 3))
    true, told = (  # told: too sure for temperatures above 1
        np.exp(each) / (np.exp(each).sum(1, keepdims=True) if multiclass else 1 + np.exp(each))
        for each in (logit, temperature * logit)
    )
    if multiclass:
        target = (rng.random((8000, 1)) > true.cumsum(1)).sum(1)[:, None] == np.arange(3)
    else:
        target = rng.random(true.shape) < true
    val, test = np.arange(8000) < 4000, np.arange(8000) >= 4000
    found = fit_temperature(target[val].astype(float), told[val], multiclass=multiclass)
    assert found == pytest.approx(temperature, rel=0.06)
    scaled = apply_temperature(told[test], found, multiclass=multiclass)
    before, after = (
        np.mean([ece(target[test, label], score[:, label]) for label in range(3)])
        for score in (told[test], scaled)
    )
    assert after < 0.02
    if temperature != 1:
        assert before > 3 * after


def test_calibration_is_judged_after_the_temperature_of_validation(classes):
    """Probabilities made too sure or unsure before scoring end with the calibration that they had."""
    result = evaluate(classes, "all")
    for temperature in (0.3, 3.0):
        told = result.predictions.copy()
        score = told["score"]
        told["score"] = 1 / (1 + ((1 - score) / score) ** temperature)  # the logit times the temperature
        again = metrics_of(told, draws=5)
        for metric, tolerance in (("brier", 1e-4), ("ece", 2e-3), ("auroc", 1e-9)):
            found = again.loc[again["metric"] == metric, "value"].item()
            assert found == pytest.approx(value(result, metric), abs=tolerance)
        test = told[told["split"] == "test"]
        raw = np.mean([ece(rows["target"], rows["score"]) for _, rows in test.groupby("label")])
        assert raw > 3 * value(result, "ece")


class Deaf(Planted):
    """Returns the same features whatever the signal."""

    name = "deaf"

    def forward(self, signal: torch.Tensor) -> torch.Tensor:
        return torch.ones_like(signal[:, 0])


def test_features_that_do_not_depend_on_the_recording_are_named(classes) -> None:
    said = "the features of an encoder are the same for every recording"
    assert said in evaluate(classes, "0", Deaf(), split="val", baselines=()).note
    assert said not in evaluate(classes, "0", split="val", baselines=()).note
