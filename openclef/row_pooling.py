"""Rows of embeddings: leads of one window put together, windows of one recording pooled."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import groupby
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

__all__ = ["LEAD_POOLINGS", "POOLINGS", "Row", "pool_leads", "pool_windows"]

POOLINGS = ("mean", "median", "max")
"""How the windows of a recording can be pooled."""

LEAD_POOLINGS = ("mean", "concatenate")
"""How the leads of a window can be put together."""


class Row(NamedTuple):
    """One row of embeddings.

    Attributes:
        recording: Number of the recording.
        source: Path, record_id, or "array 0" by position.
        lead: The lead, or several joined by "+".
        start_s: Where it starts in its recording, in seconds.
        seconds: Seconds of it that were recorded.
        flags: What is visibly wrong.
        vector: (dim,), NaN where there is nothing to embed.

    Example:
        >>> Row(0, "a", "I", 0.0, 10.0, (), np.zeros(2, np.float32)).lead
        'I'
    """

    recording: int
    source: str
    lead: str
    start_s: float
    seconds: float
    flags: tuple[str, ...]
    vector: NDArray[np.float32]


def pool_leads(rows: Iterable[Row], how: str) -> Iterator[Row]:
    """Put the leads of each window together.

    Args:
        rows: Those of one window follow each other.
        how: "mean" over the leads that have something to embed, or "concatenate" in the recording's order of leads.

    Yields:
        One row a window; its lead is the names joined by "+".

    Raises:
        ValueError: Another word, or windows to be concatenated have different leads.

    Example:
        >>> rows = [Row(0, "a", lead, 0.0, 10.0, (), np.full(1, value)) for lead, value in (("I", 1.0), ("II", 3.0))]
        >>> [(row.lead, row.vector.tolist()) for row in pool_leads(rows, "mean")]
        [('I+II', [2.0])]
        >>> [row.vector.tolist() for row in pool_leads(rows, "concatenate")]
        [[1.0, 3.0]]
    """
    _check(how, LEAD_POOLINGS, "pool_leads")
    expected = ""
    for _, group in groupby(rows, key=lambda row: (row.recording, row.start_s)):
        window = list(group)
        leads = "+".join(row.lead for row in window)
        vectors = np.stack([row.vector for row in window])
        if how == "concatenate":
            expected = expected or leads
            if leads != expected:
                raise ValueError(
                    f"{window[0].source} has the leads {leads} and the recordings before it {expected}; concatenated "
                    "embeddings need the same leads everywhere: pass pool_leads='mean', or one lead."
                )
            vector = vectors.ravel()
        else:
            vector = _pooled(vectors, "mean")
        yield window[0]._replace(lead=leads, flags=_united(window), vector=vector)


def pool_windows(rows: Iterable[Row], how: str) -> Iterator[Row]:
    """Pool the windows of each recording, lead by lead.

    Args:
        rows: Those of one recording follow each other.
        how: "mean", "median" or "max", over the windows that have something to embed.

    Yields:
        One row a recording and lead: from its first window on, with the seconds of all its windows (those that two
        windows share count twice) and every flag that one of them has.

    Raises:
        ValueError: Another word.

    Example:
        >>> rows = [Row(0, "a", "I", start, 10.0, (), np.full(1, value)) for start, value in ((0.0, 1.0), (10.0, 5.0))]
        >>> [(row.seconds, row.vector.tolist()) for row in pool_windows(rows, "mean")]
        [(20.0, [3.0])]
    """
    _check(how, POOLINGS, "pool")
    for _, group in groupby(rows, key=lambda row: row.recording):
        leads: dict[str, list[Row]] = {}
        for row in group:
            leads.setdefault(row.lead, []).append(row)
        for windows in leads.values():
            yield windows[0]._replace(
                seconds=sum(row.seconds for row in windows),
                flags=_united(windows),
                vector=_pooled(np.stack([row.vector for row in windows]), how),
            )


def _check(how: str, accepted: tuple[str, ...], name: str) -> None:
    if how not in accepted:
        raise ValueError(f"{name} is {how!r}; pass one of {', '.join(accepted)}, or None.")


def _united(rows: list[Row]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(flag for row in rows for flag in row.flags))


def _pooled(vectors: NDArray[np.float32], how: str) -> NDArray[np.float32]:
    known = vectors[~np.isnan(vectors).all(axis=1)]
    if not len(known):
        return vectors[0]
    if how == "median":
        return np.median(known, axis=0).astype(vectors.dtype)
    return known.max(axis=0) if how == "max" else known.mean(axis=0)
