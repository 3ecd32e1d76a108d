"""Work on a CPU in parallel pieces: as many threads as torch would use, each of them with one of its own."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from threading import Barrier
from typing import TypeVar

import torch

__all__ = ["in_threads"]

Piece = TypeVar("Piece")
Made = TypeVar("Made")


def in_threads(make: Callable[[Piece], Made], pieces: Sequence[Piece]) -> list[Made]:
    """Make something of each piece, several at a time.

    For pieces that are too small for torch to share a single operation among threads. Each thread computes alone, so
    results do not depend on the number of threads.

    Args:
        make: From a piece to what is made of it; safe to call in several threads.
        pieces: The pieces.

    Returns:
        What was made, in the order of the pieces.

    Example:
        >>> in_threads(lambda number: number**2, range(4))
        [0, 1, 4, 9]
    """
    count = min(torch.get_num_threads(), len(pieces))
    if count < 2:
        return [make(piece) for piece in pieces]
    return list(_threads(torch.get_num_threads()).map(make, pieces))


@lru_cache(maxsize=1)
def _threads(count: int) -> ThreadPoolExecutor:
    threads = ThreadPoolExecutor(count, thread_name_prefix="openclef")
    started = Barrier(count)

    def begin(_: int) -> None:
        torch.set_num_threads(1)  # of this thread
        started.wait()

    list(threads.map(begin, range(count)))
    torch.set_num_threads(count)  # torch gives later threads the number that was set last
    return threads


if hasattr(os, "register_at_fork"):  # threads do not live on in a forked process
    os.register_at_fork(after_in_child=_threads.cache_clear)
