"""Embeddings for a report: the same windows by every run of one kind, and by a random encoder beside them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from openclef.checkpoint import load
from openclef.embedding import embed_store
from openclef.pool import Pool, without_inputs
from openclef.protocol.baselines import random_encoder
from openclef.reporting.contents import FoundRun, read_risk
from openclef.store import Store
from openclef.task import Task

RANDOM = "random encoder"


@dataclass
class Embedded:
    """Windows of one or several stores as the runs of one kind see them.

    Args:
        stores: The stores.
        risk: The score that the runs use, or None.
        lead: The embedded lead.
        split: The split of the windows.
        owner: (n,) which store each window is of.
        row: (n,) its row there.
        subject: (n,) integers.
        value: (n,) risk, NaN where unknown.
        vectors: (n, dim) of each run, by label.
        random: (n, dim) of each random encoder: its name, and the labels of the runs whose backbone it has.
        random_of: The random encoder of each run, by label.
        missing: One sentence for each run without vectors.

    Example:
        >>> none = np.empty(0, int)
        >>> Embedded([], "score2", "I", "val", none, none, none, np.empty(0)).vectors
        {}
    """

    stores: list[Store]
    risk: str | None
    lead: str
    split: str
    owner: NDArray[np.integer]
    row: NDArray[np.integer]
    subject: NDArray[np.integer]
    value: NDArray[np.floating]
    vectors: dict[str, NDArray[np.float32]] = field(default_factory=dict)
    random: dict[str, NDArray[np.float32]] = field(default_factory=dict)
    random_of: dict[str, str] = field(default_factory=dict)
    missing: list[str] = field(default_factory=list)

    def column(self, name: str) -> NDArray[Any]:
        """Return a column of the stores' records for the windows; None where a store lacks it.

        Args:
            name: The column.

        Example:
            >>> none = np.empty(0, int)
            >>> Embedded([], None, "I", "val", none, none, none, np.empty(0)).column("age_years").size
            0
        """
        out = np.full(len(self.row), None, dtype=object)
        for number, store in enumerate(self.stores):
            if name in store.records:
                at = self.owner == number
                out[at] = store.records[name].to_numpy(object)[self.row[at]]
        return out


def embed_runs(
    runs: Sequence[FoundRun], *, split: str, windows: int, seed: int
) -> tuple[list[Embedded], list[str]]:
    """Embed windows of the runs' stores, once for all runs of the same stores, risk and lead.

    Args:
        runs: The runs.
        split: Windows of this split.
        windows: At most so many, drawn at random.
        seed: Of the draw and of the random encoders.

    Returns:
        One `Embedded` a group of runs, and a sentence for each run that has none.

    Example:
        >>> embed_runs([], split="val", windows=10, seed=0)
        ([], [])
    """
    groups: dict[tuple[Any, ...], list[FoundRun]] = {}
    absent: list[str] = []
    for run in runs:
        lead = lead_of(run)
        if run.missing or not run.stores:
            absent += [f"{run.label}: {each}" for each in run.missing or [_NO_STORE]]
        elif lead is None:
            absent.append(f"{run.label}: its stores have no lead in common, so nothing is embedded.")
        elif not run.finished:
            absent.append(
                f"{run.label} is unfinished and has no encoder yet; the same openclef pretrain command finishes it."
            )
        else:
            places = tuple(str(store.path.resolve()) for store in run.stores)
            groups.setdefault((places, run.risk, lead), []).append(run)
    found = []
    for (_, risk, lead), together in groups.items():
        group, sentence = _choose(together[0].stores, risk, lead, split, windows, seed)
        if sentence:
            absent.append(f"{', '.join(run.label for run in together)}: {sentence}")
        if group is not None:
            _embed(group, together, seed)
            absent += group.missing
            if group.vectors:
                found.append(group)
    return found, absent


_NO_STORE = "its config.json names no store; pass stores=[...] (--stores on the command line)."


def lead_of(run: FoundRun) -> str | None:
    """Return the lead that a report shows of a run: its own, else I, else the first that all its stores have.

    Example:
        >>> from pathlib import Path
        >>> import pandas as pd
        >>> lead_of(FoundRun(Path("x"), "x", {"lead": "V5"}, True, pd.DataFrame())) is None
        True
    """
    common = [
        lead
        for lead in (run.stores[0].leads if run.stores else ())
        if all(lead in store.leads for store in run.stores)
    ]
    for wanted in (run.config.get("lead"), "I"):
        if wanted in common:
            return str(wanted)
    return common[0] if common else None


def _choose(
    stores: list[Store], risk: str | None, lead: str, split: str, windows: int, seed: int
) -> tuple[Embedded | None, str]:
    sentence = ""
    unguided = without_inputs(stores, risk) if risk else []
    if risk is not None:
        lacking = [store for store in stores if risk not in store.risks and store.path.name not in unguided]
        if lacking:
            sentence = (
                f"the store {lacking[0].name} holds no risk {risk!r}; add it with "
                f"openclef risk {lacking[0].path} {risk}."
            )
        try:
            for store in stores if not sentence else ():
                if risk in store.risks:
                    read_risk(store, risk)
        except ValueError as error:
            sentence = str(error)
    try:
        pool = Pool(
            stores,
            split=split,
            risk=None if sentence else risk,
            lead=lead,
            unguided=unguided,
        )
    except (ValueError, OSError) as error:  # no such windows, or a damaged shard
        return None, str(error)
    index = np.arange(len(pool))
    if len(index) > windows:
        index = np.sort(np.random.default_rng(seed).permutation(len(pool))[:windows])
    value = np.where(np.isfinite(pool.risk[index]), pool.risk[index], np.nan).astype(float)
    chosen = Embedded(
        stores, risk, lead, split, pool.owner[index], pool.row[index], pool.subject[index], value
    )
    return chosen, sentence


def _embed(group: Embedded, runs: list[FoundRun], seed: int) -> None:
    like: dict[tuple[str, ...], tuple[Any, list[str]]] = {}
    for run in runs:
        try:
            encoder = load(run.path)
            group.vectors[run.label] = _vectors(encoder, group)
        except (ValueError, OSError) as error:  # damaged or missing weights, or signals that they do not take
            group.missing.append(f"{run.label} cannot be embedded: {error}")
            continue
        same = (
            encoder.backbone_name,
            repr(sorted(encoder.backbone_settings.items())),
            repr(encoder.preprocessing),
        )
        like.setdefault(same, (encoder, []))[1].append(run.label)
    for encoder, labels in like.values():
        untrained = random_encoder(
            encoder.backbone_name,
            preprocessing=encoder.preprocessing,
            seed=seed,
            **encoder.backbone_settings,
        )
        name = RANDOM if len(like) == 1 else f"{RANDOM} as {', '.join(labels)}"
        group.random[name] = _vectors(untrained, group)
        group.random_of |= dict.fromkeys(labels, name)


def _vectors(encoder: Any, group: Embedded) -> NDArray[np.float32]:
    out = np.empty((len(group.row), encoder.dim), np.float32)
    for number, store in enumerate(group.stores):
        at = np.flatnonzero(group.owner == number)
        if len(at):
            out[at] = embed_store(encoder, store, lead=group.lead, rows=group.row[at], batch_size=64)
    return out


def label_columns(task: Task) -> list[tuple[str, str]]:
    """Return the labels of a multilabel or binary task, each with the column that says who has it.

    Args:
        task: The task.

    Example:
        >>> label_columns(Task("a/af", "binary", ("AF",), ("a/af",)))
        [('AF', 'a/af')]
    """
    names = task.labels if task.kind == "multilabel" else (task.labels[0] if task.labels else task.name,)
    return list(zip(names, task.columns))


def unit(vectors: NDArray[np.floating]) -> NDArray[np.float32]:
    """Scale vectors to length 1; a zero vector stays.

    Args:
        vectors: (n, dim).

    Example:
        >>> unit(np.array([[3.0, 4.0]])).round(1).tolist()
        [[0.6..., 0.8...]]
    """
    length = np.linalg.norm(vectors, axis=1, keepdims=True)
    return (vectors / np.maximum(length, 1e-12)).astype(np.float32)
