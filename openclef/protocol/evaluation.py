"""Judging models on a task: fit on train, choose on val, score test, with intervals and baselines."""

from __future__ import annotations

import hashlib
import json
import tempfile
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from openclef.condition import Condition, check_conditions
from openclef.embedding import preprocessing_of
from openclef.protocol import NETWORK_PROTOCOLS, PROTOCOLS
from openclef.protocol.baselines import RANDOM_SEEDS, age_sex_features, has_age_sex, is_age_or_sex
from openclef.protocol.cache import FeatureCache, encoder_sha256
from openclef.protocol.cohort import Cohort, check_unseen, gather_records, store_names
from openclef.protocol.judging import CONSTANT, WITH_AGE_SEX, Judgement, judge_frozen, judge_network
from openclef.protocol.ledger import record_looks
from openclef.protocol.methods import BASELINES, Method, check_model, name_method
from openclef.protocol.network import Finetuning
from openclef.protocol.probe import check_share, draw_subjects
from openclef.protocol.result import Result, compare, load_result
from openclef.protocol.scoring import MIN_POSITIVES, metrics_of
from openclef.statistics import check_counts

if TYPE_CHECKING:
    from openclef.preprocessing import Preprocessing

__all__ = ["Result", "compare", "evaluate", "load_result"]

SPLITS = ("test", "val")
PARTS = ("store", "sex", "age_band")


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
    by: str | Sequence[str] | None = None,
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
    conditions: Sequence[Condition] = (),
    cache: str | Path | None = None,
    workers: int = 1,
) -> Result:
    """Judge an encoder on a task, on subjects that neither it nor the protocol has trained on.

    The protocol is fitted on the train split, its settings are chosen on the val split, and the judged split is
    scored once. "probe" and "knn" judge frozen embeddings, a record's being the mean over its windows; "finetune"
    trains all weights of the encoder and "scratch" those of its architecture from random ones, and a record's
    prediction is the mean over its windows. Every encoder stands alone and, where any training subject has an age or
    a sex and the task does not ask for these, with age and sex appended (name "<model> + age_sex").

    Args:
        model: An `Encoder` or a bare backbone, the folder of a run, a list of these (seeds of one method), or
            the name of a baseline, "random_encoder", "age_sex", "features" or "scratch".
        stores: A `Store`, its folder, or a list of them; records of several stores are pooled, each
            preprocessed at its own rate.
        task: Name of a task that every store declares, for example "ptb_xl/superdiagnostic".
        protocol: A key of `openclef.protocol.PROTOCOLS` or of `NETWORK_PROTOCOLS`.
        lead: Lead by name.
        name: Name of the model in the tables; None = the encoder's own.
        seeds: Seeds of random encoders, and of "finetune" and "scratch", which train once a seed (several encoders
            are fine-tuned once each). With a label_share below 1 there are as many draws of subjects, the same for
            every model: a model of fewer runs is fitted on each draw, its runs taking turns.
        append_age_sex: Judge each encoder with age and sex appended as well.
        label_share: Share of the training subjects whose labels are used; seed i of a model draws its own.
        split: "test", or "val" to look at validation without touching test.
        by: Give metrics by part as well: "store", "sex", "age_band", or several of them.
        draws: Bootstrap draws over subjects and seeds.
        backbone: Architecture of random encoders; None = the model's, or "resnext1d_small".
        preprocessing: Preprocessing of random encoders; None = the model's, or the default.
        baselines: Baselines to judge beside the model, of "random_encoder", "age_sex", "features" (classical features
            of the ECG, which need neurokit2) and "scratch". Beside a network protocol the first three are judged by the
            probe.
        finetuning: Settings of "finetune" and "scratch".
        runs: Folder for the run folders of "finetune" and "scratch": finished ones are used again and unfinished ones
            resumed. None = a temporary folder.
        batch_size: Windows embedded at a time.
        device: Where to embed, for example "cuda"; None = where each encoder is. Networks train there, or, for None,
            on a GPU where there is one.
        min_positives: Fewest positives and negatives of a label that enters the macro mean, and fewest records of a
            regression.
        seed: Seed of label budgets and draws.
        conditions: Under which the fitted model predicts the judged split as well, for example noise
            (`openclef.Condition`); one that these stores or this model cannot have is left out, and `.note` says so.
        cache: Folder in which embeddings and classical features are kept and found again; None = nowhere.
        workers: Processes that measure classical features; -1 = one a core.

    Returns:
        A `Result`: `.metrics` and `.predictions`; `.note` says so where an encoder does not know whom it was
        pretrained on, so that overlap with the judged subjects could not be checked. A look at "test" is noted in the
        ledgers of the stores (`openclef.protocol.ledger`).

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
    _check_options(protocol, split, baselines, by)
    check_share(label_share)
    check_counts(draws=draws, min_positives=min_positives, batch_size=batch_size, seed=seed)
    check_model(model)
    check_conditions(conditions)
    cohort = gather_records(stores, task, lead=lead)
    _check_parts(cohort, split)
    judged = name_method(model, protocol, name, seeds, backbone, preprocessing)
    methods = [judged]
    example = judged.encoders[0] if judged.encoders else None
    of_baselines = protocol if protocol in PROTOCOLS else "probe"
    for baseline in baselines:
        if baseline != judged.name:
            methods.append(name_method(baseline, of_baselines, None, seeds, backbone, preprocessing, example))
    circular = is_age_or_sex(cohort.task)
    with_age_sex = not circular and has_age_sex(cohort.records, cohort.mask("train"))
    if judged.sources == ["age_sex"] and not with_age_sex:
        raise ValueError(
            f"{task} asks for age or sex, which 'age_sex' is given; judge it on another task."
            if circular
            else "No training record has an age or a sex; 'age_sex' needs stores with age_years or sex."
        )
    for encoder in judged.starts:
        check_unseen(encoder, cohort.records[cohort.mask(split)], split)
    train = cohort.mask("train")
    possible, impossible = _possible(conditions, cohort, [e for method in methods for e in method.encoders])
    how = Judgement(
        cohort,
        protocol,
        train,
        cohort.mask("val") | cohort.mask(split),
        cohort.mask(split),
        age_sex_features(cohort.records, train),
        append_age_sex and with_age_sex,
        batch_size,
        device,
        possible,
        None if cache is None else FeatureCache(cache),
        workers,
    )
    tables, settings = [], []
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary if runs is None else runs)
        for method in methods:
            if method.sources == ["age_sex"] and not with_age_sex:
                continue  # A baseline that this task or these stores cannot have, asked for beside a model.
            if label_share < 1 and method.protocol in PROTOCOLS:
                method = _one_a_budget(method, len(seeds))
            for each, chosen in _judge(method, how, label_share, seed, finetuning, folder):
                tables.append(each)
                settings.append(chosen)
    predictions = pd.concat(tables, ignore_index=True)
    metrics = metrics_of(predictions, split=split, by=by, draws=draws, seed=seed, min_positives=min_positives)
    notes = [_note(judged, split), *impossible]
    if any(CONSTANT in chosen for chosen in settings):
        notes.append(
            "the features of an encoder are the same for every recording, so it says nothing: its weights or its "
            "preprocessing are not what it was made for"
        )
    if split == "test":
        how_fitted = {"label_share": label_share, "seed": seed, "min_positives": min_positives}
        for method in methods:
            trained = asdict(finetuning) if method.protocol in NETWORK_PROTOCOLS else None
            decisive = how_fitted | {"seeds": method.seeds, "finetuning": trained}
            notes.append(_record(cohort, method, predictions, label_share, decisive))
    note = "; ".join(dict.fromkeys(filter(None, notes)))
    return Result(metrics, predictions, judged.name, split, settings, note)


def _check_options(
    protocol: str, split: str, baselines: Sequence[str], by: str | Sequence[str] | None
) -> None:
    parts = [] if by is None else [by] if isinstance(by, str) else list(by)
    if any(part not in PARTS for part in parts):
        raise ValueError(f"by is {by!r}; pass one or more of {', '.join(PARTS)}.")
    known = (*PROTOCOLS, *NETWORK_PROTOCOLS)
    if protocol not in known:
        raise ValueError(f"protocol is {protocol!r}; pass one of {', '.join(known)}.")
    if split not in SPLITS:
        raise ValueError(f"split is {split!r}; pass one of {', '.join(SPLITS)}.")
    unknown = [baseline for baseline in baselines if baseline not in BASELINES]
    if unknown or isinstance(baselines, str):
        raise ValueError(f"baselines are {baselines!r}; pass a list of {', '.join(BASELINES)}.")


def _note(judged: Method, split: str) -> str:
    starts = judged.starts
    unknown = sum(
        getattr(each, "pretraining_subjects", None) is None or not getattr(each, "subjects_complete", True)
        for each in starts
    )
    if not unknown:
        return ""
    of = f"{unknown} of {len(starts)} encoders do" if len(starts) > 1 else "the encoder does"
    return f"{of} not say whom it was pretrained on: whether {split} subjects were among them could not be checked"


def _one_a_budget(method: Method, budgets: int) -> Method:
    """A run for each draw of subjects, the same draws for every model: with fewer runs than draws they take turns."""
    runs = max(len(method.sources), budgets)
    sources = [method.sources[i % len(method.sources)] for i in range(runs)]
    return method._replace(sources=sources, seeds=list(range(runs)))


def _possible(
    conditions: Sequence[Condition], cohort: Cohort, encoders: Sequence[Any]
) -> tuple[tuple[Condition, ...], list[str]]:
    """The conditions that change something here, and why the others are left out."""
    possible, reasons = [], []
    for condition in conditions:
        reason = ""
        if condition == Condition(lead=cohort.lead):
            continue  # it is the lead that is judged: nothing changes
        for store in cohort.stores:
            if condition.lead is not None and condition.lead not in store.leads:
                reason = f"{store.name} has no such lead"
        fs = condition.fs
        if fs is not None:
            if not any(fs < store.fs for store in cohort.stores):
                reason = "no recording has a higher rate"
            for encoder in encoders:
                band = preprocessing_of(encoder).band
                if band is not None and band[1] is not None and fs <= 2 * band[1]:
                    reason = f"an encoder's band reaches to {band[1]:g} Hz"
        if condition.seconds is not None and all(condition.seconds >= s.seconds for s in cohort.stores):
            reason = "no window is longer"
        if reason:
            reasons.append(f"{condition.name} is left out: {reason}")
        else:
            possible.append(condition)
    return tuple(possible), reasons


def _record(
    cohort: Cohort, method: Method, predictions: pd.DataFrame, label_share: float, decisive: dict[str, Any]
) -> str:
    """Note in the stores' ledgers that a method was judged on the test split; a sentence where that fails."""
    settings = json.dumps(decisive, sort_keys=True, default=str)
    digest = hashlib.sha256("".join(encoder_sha256(each) for each in method.starts).encode()).hexdigest()
    models = predictions["model"].isin([method.name, method.name + WITH_AGE_SEX])
    mine = predictions[models & (predictions["split"] == "test")]
    troubles = []
    for store, name in zip(cohort.stores, store_names(cohort.stores)):
        looks = [
            {
                "task": cohort.task.name,
                "model": model,
                "weights": digest[:16] if method.starts else "",
                "settings": hashlib.sha256(settings.encode()).hexdigest()[:8],
                "protocol": method.protocol,
                "lead": cohort.lead,
                "label_share": label_share,
                "condition": condition,
                "records": int(rows["record_id"].nunique()),
                "subjects": int(rows["subject_id"].nunique()),
            }
            for (model, condition), rows in mine[mine["store"] == name].groupby(
                ["model", "condition"], sort=False
            )
        ]
        troubles.append(record_looks(store, looks) if looks else "")
    return "; ".join(filter(None, troubles))


def _check_parts(cohort: Cohort, split: str) -> None:
    empty = [part for part in dict.fromkeys(("train", "val", split)) if not cohort.mask(part).any()]
    if empty:
        raise ValueError(
            f"{cohort.task.name} has no records in {' or '.join(empty)} of "
            f"{', '.join(store.name for store in cohort.stores)}; the protocol fits on train, chooses on val "
            "and judges test: give the store all of these splits."
        )


def _judge(
    method: Method, how: Judgement, label_share: float, seed: int, finetuning: Finetuning, runs: Path
) -> list[tuple[pd.DataFrame, dict[str, Any]]]:
    """Predictions and chosen settings of every run of a method, alone and with age and sex."""
    cohort = how.cohort
    train = how.train.copy()
    subject = cohort.records["subject_id"].to_numpy()[how.train]
    found: dict[str, list[tuple[pd.DataFrame, dict[str, Any]]]] = {}
    for i, source in enumerate(method.sources):
        train[how.train] = draw_subjects(subject, label_share, seed=seed + i)
        this = how._replace(protocol=method.protocol, train=train)
        if method.protocol in NETWORK_PROTOCOLS:
            out = runs / f"{_folder_name(method.name)}-{method.protocol}-{i}"
            where = (how.device or "auto").split(":")[0]
            several = judge_network(source, this, out, finetuning, seed=method.seeds[i], accelerator=where)
        else:
            several = judge_frozen(source, this)
        for judged in several:
            about = {
                "model": method.name + judged.suffix,
                "seed": i,
                "task": cohort.task.name,
                "protocol": method.protocol,
                "lead": cohort.lead,
            }
            table = pd.concat(
                [
                    _table(cohort, how.scored, judged.score, about | {"condition": ""}, label_share),
                    *(
                        _table(cohort, how.judged, score, about | {"condition": name}, label_share)
                        for name, score in judged.changed.items()
                    ),
                ],
                ignore_index=True,
            )
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
    table["condition"] = table.pop("condition")
    return table
