"""The pools of a pretraining run: what it trains on, what it holds out, and what is measured there after each epoch."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from openclef.data import Batches, NoWindows, Pool
from openclef.method.collapse import spread
from openclef.risk import SCORES
from openclef.store import Store

__all__ = [
    "epoch_means",
    "make_validator",
    "pool_facts",
    "training_pool",
    "validation_pool",
    "without_inputs",
]


def without_inputs(stores: list[Store], risk: str) -> list[str]:
    """Return the folder names of stores that lack the risk and every input to compute it from.

    Example:
        >>> without_inputs([], "score2")
        []
    """
    return [
        store.path.name
        for store in stores
        if risk not in store.risks
        and risk in SCORES
        and not any(
            name in store.records.columns
            and (store.records[name].notna() & (store.records[name] != "")).any()
            for name in SCORES[risk].inputs
        )
    ]


def training_pool(stores: list[Store], split: str, risk: str | None, lead: str, unguided: list[str]) -> Pool:
    """Return the pool to train on.

    Args:
        stores: opened stores.
        split: rows to take.
        risk: the score that guides, or None.
        lead: "random" or a lead's name.
        unguided: folder names of stores whose risk is unknown.

    Raises:
        ValueError: nothing to train on, or no known risk.

    Example:
        >>> training_pool([], "train", None, "random", [])
        Traceback (most recent call last):
        ...
        ValueError: no store was given; ...
    """
    pool = Pool(stores, split=split, risk=risk, lead=lead, unguided=unguided)
    if len(np.unique(pool.subject)) < 2:
        raise ValueError(
            f"split {split!r} holds one subject only, so no record has a negative; pass records of more subjects."
        )
    if risk is not None and not np.isfinite(pool.risk).any():
        raise ValueError(
            f"no window of split {split!r} has a known {risk!r}; check its inputs with `openclef risk`, "
            "or pass method=simclr to pretrain without guidance."
        )
    return pool


def validation_pool(
    stores: list[Store], risk: str | None, lead: str, unguided: list[str], batch_size: int
) -> Pool | None:
    """Return the pool of the "val" rows, or None where it has fewer windows than one batch.

    Args:
        stores: opened stores.
        risk: the score that guides, or None.
        lead: "random" or a lead's name.
        unguided: folder names of stores whose risk is unknown.
        batch_size: over all processes.

    Example:
        >>> validation_pool([], None, "random", [], 64) is None
        True
    """
    if sum(int((store.records["split"] == "val").sum()) for store in stores) < batch_size:
        return None
    try:
        pool = Pool(stores, split="val", risk=risk, lead=lead, unguided=unguided)
    except NoWindows:
        return None
    return pool if len(pool) >= batch_size else None


def epoch_means(seen: list[dict[str, Any]]) -> dict[str, float]:
    """Return the mean of each named scalar over an epoch; NaN (no pair to speak of) does not count.

    Args:
        seen: one dict of 0-dimensional tensors a step.

    Example:
        >>> epoch_means([{"loss": torch.tensor(1.0)}, {"loss": torch.tensor(float("nan"))}])
        {'loss': 1.0}
    """
    return {name: float(torch.stack([each[name] for each in seen]).float().nanmean()) for name in seen[0]}


def make_validator(held_out: Pool | None, pool: Pool, batch_size: int, common: dict[str, Any]) -> Any:
    """Return a function that measures a module after an epoch.

    Losses are those on held-out subjects; the spread of embeddings is theirs too or, where nothing is held out, that
    of the first windows of the pool.

    Args:
        held_out: pool of the "val" rows, or None.
        pool: what is trained on.
        batch_size: over all processes.
        common: arguments that the training batches have too, see `Batches`.

    Returns:
        From module to named numbers.

    Example:
        >>> import inspect
        >>> list(inspect.signature(make_validator).parameters)
        ['held_out', 'pool', 'batch_size', 'common']
    """
    batches = Batches(held_out or pool, batch_size=batch_size, seed=0, shuffle=False, **common)
    watched = max(1, 512 // batch_size)  # batches whose embeddings are looked at: enough to see a collapse

    def validate(module: Any) -> dict[str, float]:
        losses, first, second = [], [], []
        with torch.no_grad():
            for number, batch in enumerate(batches.epoch(0)):
                if held_out is None and number == watched:
                    break
                step = module(batch)
                losses.append({"loss": step.loss, **step.terms})
                if number < watched:
                    first.append(step.first)
                    second.append(step.second)
        values = spread(torch.cat(first), torch.cat(second))
        if held_out is not None:
            values |= {f"val_{name}": value for name, value in epoch_means(losses).items()}
        return values

    return validate


def pool_facts(pool: Pool, batch_size: int) -> dict[str, float]:
    """Return what the collapse watch wants to know of a pool: negatives a row, mean completeness, spread of risk.

    Args:
        pool: the windows.
        batch_size: over all processes.

    Example:
        >>> import tempfile
        >>> from openclef.simulator.cohort import simulate
        >>> store = simulate(tempfile.mkdtemp() + "/sim", patients=8, workers=1)
        >>> pool_facts(Pool([store], split="all"), batch_size=4)["negatives"]
        6.0
    """
    known = pool.risk[np.isfinite(pool.risk)]
    low, middle, high = np.percentile(known, [5, 50, 95]) if len(known) else (0.0, 1.0, 0.0)
    share = np.bincount(pool.subject) / len(pool)
    return {
        "negatives": 2.0 * (batch_size - 1) * float(1 - (share**2).sum()) * len(pool) / max(len(pool) - 1, 1),
        "completeness_mean": float(pool.completeness.mean()),
        "risk_spread": float((high - low) / max(abs(middle), 1e-12)),
    }
