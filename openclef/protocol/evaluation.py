"""Judging models on a task: fit on train, choose on val, score test, with intervals and baselines."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pandas as pd

from openclef.embedding import preprocessing_of
from openclef.protocol import NETWORK_PROTOCOLS, PROTOCOLS
from openclef.protocol.baselines import RANDOM_SEEDS, age_sex_features, has_age_sex, random_encoder
from openclef.protocol.cohort import Cohort, check_unseen, gather_records
from openclef.protocol.judging import Judgement, judge_frozen, judge_network
from openclef.protocol.network import Finetuning
from openclef.protocol.probe import check_share, draw_subjects
from openclef.protocol.result import Result, compare, load_result
from openclef.protocol.scoring import MIN_POSITIVES, metrics_of
from openclef.shipped import SHIPPED, shipped_folder
from openclef.statistics import check_counts

if TYPE_CHECKING:
    from openclef.preprocessing import Preprocessing

__all__ = ["Result", "compare", "evaluate", "load_result"]

BASELINES = ("random_encoder", "age_sex", "scratch")
_NAMES = " or ".join(repr(name) for name in BASELINES)
SPLITS = ("test", "val")


class _Method(NamedTuple):
    """A named model and how it is judged: an encoder a run; without encoders, age and sex alone."""

    name: str
    encoders: list[Any]
    protocol: str
    seeds: list[int]  # of training, one a run


def evaluate(
    model: Any,
    stores: Any,
    task: str,
    *,
    protocol: str = "probe",
    lead: str = "I",
    name: str | None = None,
    seeds: Sequence[int] = RANDOM_SEEDS,
    append_age_sex: bool = True,
    label_share: float = 1.0,
    split: str = "test",
    by: str | None = None,
    draws: int = 1000,
    backbone: str | None = None,
    preprocessing: Preprocessing | None = None,
    baselines: Sequence[str] = (),
    finetuning: Finetuning = Finetuning(),  # noqa: B008 - a frozen dataclass of settings
    runs: str | Path | None = None,
    batch_size: int = 256,
    device: str | None = None,
    min_positives: int = MIN_POSITIVES,
    seed: int = 0,
) -> Result:
    """Judge an encoder on a task, on subjects that neither it nor the protocol has trained on.

    The protocol is fitted on the train split, its settings are chosen on the val split, and the judged split is
    scored once. "probe" and "knn" judge frozen embeddings, a record's being the mean over its windows; "finetune"
    trains all weights of the encoder and "scratch" those of its architecture from random ones, and a record's
    prediction is the mean over its windows. Every encoder stands alone and, where any training subject has an age or
    a sex, with age and sex appended (name "<model> + age_sex").

    Args:
        model: An `Encoder` or a bare backbone, the folder of a run, a list of these (seeds of one method), or
            the name of a baseline, "random_encoder", "age_sex" or "scratch".
        stores: A `Store`, its folder, or a list of them; records of several stores are pooled, each
            preprocessed at its own rate.
        task: Name of a task that every store declares, for example "ptb_xl/superdiagnostic".
        protocol: A key of `openclef.protocol.PROTOCOLS` or of `NETWORK_PROTOCOLS`.
        lead: Lead by name.
        name: Name of the model in the tables; None = the encoder's own.
        seeds: Seeds of random encoders, and of "finetune" and "scratch", which train once a seed (several encoders
            are fine-tuned once each).
        append_age_sex: Judge each encoder with age and sex appended as well.
        label_share: Share of the training subjects whose labels are used; seed i of a model draws its own.
        split: "test", or "val" to look at validation without touching test.
        by: Give metrics by part as well: "store", "sex" or "age_band".
        draws: Bootstrap draws over subjects and seeds.
        backbone: Architecture of random encoders; None = the model's, or "resnext1d_small".
        preprocessing: Preprocessing of random encoders; None = the model's, or the default.
        baselines: Baselines to judge beside the model, of "random_encoder", "age_sex" and "scratch". Beside a network
            protocol the first two are judged by the probe, which is what their name says.
        finetuning: Settings of "finetune" and "scratch".
        runs: Folder for the run folders of "finetune" and "scratch": finished ones are used again and unfinished ones
            resumed. None = a temporary folder.
        batch_size: Windows embedded at a time.
        device: Where to embed, for example "cuda"; None = where each encoder is. Networks train there, or, for None,
            on a GPU where there is one.
        min_positives: Fewest positives and negatives of a label that enters the macro mean.
        seed: Seed of label budgets and draws.

    Returns:
        A `Result`: `.metrics` and `.predictions`; `.note` says so where an encoder does not know whom it was
        pretrained on, so that overlap with the judged subjects could not be checked.

    Raises:
        FileNotFoundError: If a model's folder is not there.
        ValueError: If the model is none, an option is unknown or cannot be right, a subject has records in
            two splits, a judged subject was in the encoder's pretraining, or a split has no records.

    Source:
        Two-level bootstrap, tuned linear probes and random encoders: arXiv 2602.17531 and 2509.25095.

    Example:
        >>> evaluate("random_encoder", [], "ptb_xl/rhythm")
        Traceback (most recent call last):
        ...
        ValueError: No store is given; pass a store or a list of stores.
    """
    _check_options(protocol, split, baselines)
    check_share(label_share)
    check_counts(draws=draws, min_positives=min_positives, batch_size=batch_size, seed=seed)
    _check_model(model)
    cohort = gather_records(stores, task, lead=lead)
    _check_parts(cohort, split)
    judged = _method(model, protocol, name, seeds, backbone, preprocessing)
    methods = [judged]
    example = judged.encoders[0] if judged.encoders else None
    of_baselines = protocol if protocol in PROTOCOLS else "probe"
    for baseline in baselines:
        if baseline != judged.name:
            methods.append(_method(baseline, of_baselines, None, seeds, backbone, preprocessing, example))
    with_age_sex = has_age_sex(cohort.records, cohort.mask("train"))
    if not judged.encoders and not with_age_sex:
        raise ValueError(
            "No training record has an age or a sex; 'age_sex' needs stores with age_years or sex."
        )
    for encoder in _starts(judged):
        check_unseen(encoder, cohort.records[cohort.mask(split)], split)
    train = cohort.mask("train")
    how = Judgement(
        cohort,
        protocol,
        train,
        cohort.mask("val") | cohort.mask(split),
        age_sex_features(cohort.records, train),
        append_age_sex and with_age_sex,
        batch_size,
        device,
    )
    tables, settings = [], []
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary if runs is None else runs)
        for method in methods:
            if not method.encoders and not with_age_sex:
                continue  # A baseline that these stores cannot have, asked for beside a model.
            for each, chosen in _judge(method, how, label_share, seed, finetuning, folder):
                tables.append(each)
                settings.append(chosen)
    predictions = pd.concat(tables, ignore_index=True)
    metrics = metrics_of(predictions, split=split, by=by, draws=draws, seed=seed, min_positives=min_positives)
    return Result(metrics, predictions, judged.name, split, settings, _note(judged, split))


def _check_options(protocol: str, split: str, baselines: Sequence[str]) -> None:
    known = (*PROTOCOLS, *NETWORK_PROTOCOLS)
    if protocol not in known:
        raise ValueError(f"protocol is {protocol!r}; pass one of {', '.join(known)}.")
    if split not in SPLITS:
        raise ValueError(f"split is {split!r}; pass one of {', '.join(SPLITS)}.")
    unknown = [baseline for baseline in baselines if baseline not in BASELINES]
    if unknown or isinstance(baselines, str):
        raise ValueError(f"baselines are {baselines!r}; pass a list of {', '.join(BASELINES)}.")


def _check_model(model: Any) -> None:
    """Refuse what is no encoder, before anything is read."""
    from torch.nn import Module

    accepted = f"pass an encoder (a torch module), the folder of a run, a list of these, or {_NAMES}."
    given = list(model) if isinstance(model, (list, tuple)) else [model]
    if not given:
        raise ValueError(f"No model is given; {accepted}")
    for each in given:
        if not isinstance(each, (Module, str, Path)):
            raise ValueError(f"model is {each!r}, of type {type(each).__name__}; {accepted}")
        if isinstance(model, (list, tuple)) and isinstance(each, str) and each in BASELINES:
            raise ValueError(f"{each!r} stands in a list of models; pass it alone, or in baselines.")


def _note(judged: _Method, split: str) -> str:
    starts = _starts(judged)
    unknown = sum(
        getattr(each, "pretraining_subjects", None) is None or not getattr(each, "subjects_complete", True)
        for each in starts
    )
    if not unknown:
        return ""
    of = f"{unknown} of {len(starts)} encoders do" if len(starts) > 1 else "the encoder does"
    return f"{of} not say whom it was pretrained on: whether {split} subjects were among them could not be checked"


def _starts(method: _Method) -> list[Any]:
    """The encoders whose weights enter the judgement; from scratch only their architecture does."""
    return [] if method.protocol == "scratch" else method.encoders


def _check_parts(cohort: Cohort, split: str) -> None:
    empty = [part for part in dict.fromkeys(("train", "val", split)) if not cohort.mask(part).any()]
    if empty:
        raise ValueError(
            f"{cohort.task.name} has no records in {' or '.join(empty)} of "
            f"{', '.join(store.name for store in cohort.stores)}; the protocol fits on train, chooses on val "
            "and judges test: give the store all of these splits."
        )


def _method(
    model: Any,
    protocol: str,
    name: str | None,
    seeds: Sequence[int],
    backbone: str | None,
    preprocessing: Preprocessing | None,
    example: Any = None,
) -> _Method:
    """Turn what the user gave into named encoders; a random encoder follows the architecture of `example`."""
    network = protocol in NETWORK_PROTOCOLS
    if not len(seeds) and (network or model in ("random_encoder", "scratch")):
        raise ValueError("seeds are empty; pass one or more, for example seeds=(0, 1).")
    if isinstance(model, str) and model == "age_sex":
        return _Method(name or model, [], "probe" if network else protocol, [0])
    if isinstance(model, str) and model in ("random_encoder", "scratch"):
        own = getattr(example, "backbone_name", "") or "resnext1d_small"
        settings = getattr(example, "backbone_settings", {}) if backbone in (None, own) else {}
        like = preprocessing if preprocessing is not None else getattr(example, "preprocessing", None)
        encoders = [random_encoder(backbone or own, preprocessing=like, seed=s, **settings) for s in seeds]
        if model == "scratch" or network:
            return _Method(name or "scratch", encoders, "scratch", list(seeds))
        return _Method(name or model, encoders, protocol, list(seeds))
    given = list(model) if isinstance(model, (list, tuple)) else [model]
    loaded = [_load(each) for each in given]
    fallback = Path(given[0]).name if isinstance(given[0], (str, Path)) else type(given[0]).__name__.lower()
    called = name or getattr(loaded[0], "name", "") or fallback
    if not network:
        return _Method(called, loaded, protocol, [0] * len(loaded))
    if protocol == "scratch" or len(loaded) == 1:
        called = (name or "scratch") if protocol == "scratch" else called
        return _Method(called, loaded[:1] * len(seeds), protocol, list(seeds))
    return _Method(called, loaded, protocol, list(range(len(loaded))))


def _load(model: Any) -> Any:
    if not isinstance(model, (str, Path)):
        preprocessing_of(model)  # says what is missing where it is no encoder
        return model
    if not Path(model).exists() and shipped_folder(model) is None:
        raise FileNotFoundError(
            f"model {str(model)!r} is no folder and no baseline; pass an encoder, the folder of a run, or "
            f"one of {', '.join((*BASELINES, *SHIPPED))}."
        )
    from openclef.checkpoint import load

    return load(model)


def _judge(
    method: _Method, how: Judgement, label_share: float, seed: int, finetuning: Finetuning, runs: Path
) -> list[tuple[pd.DataFrame, dict[str, Any]]]:
    """Predictions and chosen settings of every run of a method, alone and with age and sex."""
    cohort = how.cohort
    train = how.train.copy()
    subject = cohort.records["subject_id"].to_numpy()[how.train]
    found: dict[str, list[tuple[pd.DataFrame, dict[str, Any]]]] = {}
    for i, encoder in enumerate(method.encoders or [None]):
        train[how.train] = draw_subjects(subject, label_share, seed=seed + i)
        this = how._replace(protocol=method.protocol, train=train)
        if method.protocol in NETWORK_PROTOCOLS:
            out = runs / f"{_folder_name(method.name)}-{method.protocol}-{i}"
            where = (how.device or "auto").split(":")[0]
            several = judge_network(encoder, this, out, finetuning, seed=method.seeds[i], accelerator=where)
        else:
            several = judge_frozen(encoder, this)
        for judged in several:
            about = {
                "model": method.name + judged.suffix,
                "seed": i,
                "task": cohort.task.name,
                "protocol": method.protocol,
                "lead": cohort.lead,
            }
            table = _table(cohort, how.scored, judged.score, about, label_share)
            settings = {"model": about["model"], "seed": i} | judged.settings
            found.setdefault(judged.suffix, []).append((table, settings))
    return [one for several in found.values() for one in several]


def _folder_name(name: str) -> str:
    return "".join(letter if letter.isalnum() or letter in "-_." else "_" for letter in name)


def _table(
    cohort: Cohort, scored: np.ndarray, score: np.ndarray, about: dict[str, Any], label_share: float
) -> pd.DataFrame:
    """Long table of predictions of one model and seed."""
    target = cohort.target[scored]
    records = cohort.records[scored]
    row, label = np.nonzero(~np.isnan(target))
    table = pd.DataFrame(about, index=range(len(row)))
    for column in ("store", "record_id", "subject_id", "split"):
        table[column] = records[column].to_numpy()[row]
    table["label"] = np.asarray(cohort.task.labels)[label]
    table["target"], table["score"] = target[row, label], score[row, label]
    table["kind"], table["label_share"] = cohort.task.kind, label_share
    for column in ("age_years", "sex"):
        table[column] = records[column].to_numpy()[row]
    return table
