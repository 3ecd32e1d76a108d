"""Timing of several pieces of work in turn, so that a busy machine slows all of them."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from statistics import median
from typing import Any

import torch

__all__ = ["Timing", "Work", "interleave", "synchronise"]

SHORTEST_S = 0.1  # on a GPU, a piece of work is called so often that one timing lasts at least this long


@dataclass(frozen=True)
class Work:
    """A piece of work to be timed.

    Args:
        call: does the work once.
        items: how many records, views or leads that is.

    Example:
        >>> Work(lambda: None, items=8).items
        8
    """

    call: Callable[[], object]
    items: int


@dataclass(frozen=True)
class Timing:
    """How long a piece of work took.

    Args:
        seconds: of each repeat.
        items: records, views or leads of one repeat.

    Example:
        >>> timing = Timing((0.4, 0.1, 0.2), items=10)
        >>> timing.per_s, timing.ms
        (50.0, 20.0)
    """

    seconds: tuple[float, ...]
    items: int

    @property
    def per_s(self) -> float:
        """Items per second, by the median of the repeats."""
        return self.items / median(self.seconds)

    @property
    def ms(self) -> float:
        """Milliseconds for one item, by the median of the repeats."""
        return 1000 / self.per_s

    def facts(self, reference: Timing | None = None) -> dict[str, Any]:
        """Return the numbers for the JSON: rate, time an item, their spread and, of a reference, the ratio.

        Args:
            reference: timed in turn with this one.

        Example:
            >>> facts = Timing((0.1, 0.2), items=10).facts(Timing((0.2, 0.8), items=10))
            >>> round(facts["ratio"], 2), facts["ratio_low"], facts["ratio_high"]
            (3.33, 2.0, 4.0)
        """
        facts: dict[str, Any] = {
            "per_s": self.per_s,
            "per_s_low": self.items / max(self.seconds),
            "per_s_high": self.items / min(self.seconds),
            "ms": self.ms,
            "items": self.items,
            "seconds": list(self.seconds),
        }
        if reference is not None:
            of_repeats = [
                (theirs / reference.items) / (ours / self.items)
                for ours, theirs in zip(self.seconds, reference.seconds, strict=True)
            ]
            facts |= {
                "ratio": self.per_s / reference.per_s,
                "ratio_low": min(of_repeats),
                "ratio_high": max(of_repeats),
            }
        return facts


def synchronise(device: torch.device) -> None:
    """Wait until the device has done all that it was given.

    Example:
        >>> synchronise(torch.device("cpu"))
    """
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def interleave(
    works: Mapping[str, Work], repeats: int, device: torch.device, advance: Callable[[str], None]
) -> dict[str, Timing]:
    """Time each piece of work `repeats` times, one after the other, repeat by repeat.

    Each is called once before, untimed: the first call plans, compiles and allocates.

    Args:
        works: by name.
        repeats: timings of each.
        device: what they run on.
        advance: called with the name before each call.

    Returns:
        A Timing for each name.

    Example:
        >>> calls = []
        >>> works = {"a": Work(lambda: calls.append("a"), 1), "b": Work(lambda: calls.append("b"), 1)}
        >>> timings = interleave(works, 2, torch.device("cpu"), lambda name: None)
        >>> calls, len(timings["b"].seconds)
        (['a', 'b', 'a', 'b', 'a', 'b'], 2)
    """
    times = {}
    for name, work in works.items():
        advance(name)
        work.call()
        once_s = _seconds(work, 1, device) if device.type == "cuda" else SHORTEST_S
        times[name] = max(1, math.ceil(SHORTEST_S / once_s))
    seconds: dict[str, list[float]] = {name: [] for name in works}
    for _ in range(repeats):
        for name, work in works.items():
            advance(name)
            seconds[name].append(_seconds(work, times[name], device))
    return {name: Timing(tuple(seconds[name]), work.items) for name, work in works.items()}


def _seconds(work: Work, times: int, device: torch.device) -> float:
    """Seconds of one call, by so many of them."""
    synchronise(device)
    if device.type == "cuda":
        start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        start.record()
        for _ in range(times):
            work.call()
        end.record()
        synchronise(device)
        return start.elapsed_time(end) / 1000 / times
    started = time.perf_counter()
    for _ in range(times):
        work.call()
    return (time.perf_counter() - started) / times
