"""Choosing windows in long annotated recordings: which beats fit, and which of them are taken."""

from __future__ import annotations

import hashlib

import numpy as np


def fitting(centres: np.ndarray, *, length: int, samples: int) -> np.ndarray:
    """Keep the beats whose window lies wholly inside the recording.

    The window of a beat holds ``length`` samples, the beat at position ``length // 2``.

    Args:
        centres: the beats' sample numbers.
        length: samples a window.
        samples: samples of the recording.

    Returns:
        First samples of the windows of the beats that fit, in their order.

    Example:
        >>> fitting(np.array([4, 5, 10, 95, 96]), length=10, samples=100).tolist()
        [0, 5, 90]
    """
    starts = np.asarray(centres, np.int64) - length // 2
    return starts[(starts >= 0) & (starts + length <= samples)]


def choose(starts: np.ndarray, count: int, *, key: str, apart: int = 0) -> np.ndarray:
    """Take some windows as if at random, always the same ones for the same key.

    The order is that of the SplitMix64 hash of the window's start and the key's SHA-256: what is taken depends
    on neither the number of processes nor the library's random generators.

    Args:
        starts: first samples of the windows.
        count: how many to take at most.
        key: names the draw, for example ``"0:p00012_s03:beat:V"``.
        apart: smallest distance of the starts of two that are taken, in samples.

    Returns:
        The starts taken, in rising order.

    Example:
        >>> choose(np.arange(0, 1000, 100), 3, key="0:a").tolist() == choose(
        ...     np.arange(900, -100, -100), 3, key="0:a").tolist()
        True
        >>> len(choose(np.arange(100), 5, key="a", apart=30)) <= 4
        True
    """
    unique = np.unique(np.asarray(starts, np.int64))
    taken: list[int] = []
    for start in unique[np.argsort(_mixed(unique, key), kind="stable")].tolist():
        if len(taken) == count:
            break
        if all(abs(start - other) >= apart for other in taken):
            taken.append(start)
    return np.asarray(sorted(taken), np.int64)


def order(names: list[str], *, key: str) -> list[str]:
    """Put names into an order as if shuffled, always the same for the same key.

    Args:
        names: for example a patient's segments.
        key: names the draw.

    Returns:
        The names in the order of the SHA-256 of key and name.

    Example:
        >>> order(["a", "b", "c"], key="0")
        ['a', 'c', 'b']
    """
    return sorted(names, key=lambda name: hashlib.sha256(f"{key}:{name}".encode()).hexdigest())


def _mixed(values: np.ndarray, key: str) -> np.ndarray:
    """SplitMix64 of each value, begun at the key's hash (Steele, Lea and Flood, OOPSLA 2014)."""
    seed = np.uint64(int.from_bytes(hashlib.sha256(key.encode()).digest()[:8], "little"))
    with np.errstate(over="ignore"):
        mixed = (values.astype(np.uint64) + np.uint64(1)) * np.uint64(0x9E3779B97F4A7C15) + seed
        mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return mixed ^ (mixed >> np.uint64(31))
