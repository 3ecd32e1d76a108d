"""What is measured after each epoch of a pretraining run."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from openclef.data import Batches
from openclef.method.collapse import spread
from openclef.pool import Pool

__all__ = ["epoch_means", "make_validator", "pool_facts"]


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
    spread = 0.0
    for risk in pool.risk.reshape(len(pool), -1).T:  # of several, the one that tells people apart most
        known = risk[np.isfinite(risk)]
        low, middle, high = np.percentile(known, [5, 50, 95]) if len(known) else (0.0, 1.0, 0.0)
        spread = max(spread, float((high - low) / max(abs(middle), 1e-12)))
    share = np.bincount(pool.subject) / len(pool)
    return {
        "negatives": 2.0 * (batch_size - 1) * float(1 - (share**2).sum()) * len(pool) / max(len(pool) - 1, 1),
        "completeness_mean": float(pool.completeness.mean()),
        "risk_spread": spread,
    }
