"""Which window the second view of a window comes from: another one of the same subject."""

from __future__ import annotations

import numpy as np
import torch

from openclef.pool import Pool

__all__ = ["SubjectWindows"]


class SubjectWindows:
    """The windows of a pool by subject and store, to draw a partner for each from.

    Args:
        pool: The windows.

    Example:
        >>> import tempfile
        >>> from openclef.simulator.cohort import simulate
        >>> pool = Pool([simulate(tempfile.mkdtemp() + "/sim", patients=8, workers=1)], split="all")
        >>> partners = SubjectWindows(pool).draw(np.arange(len(pool)), torch.Generator().manual_seed(0))
        >>> bool((pool.subject[partners] == pool.subject).all())
        True
    """

    def __init__(self, pool: Pool) -> None:
        self.pool = pool
        self._order = np.lexsort((pool.owner, pool.subject))
        owner, subject = pool.owner[self._order], pool.subject[self._order]
        new = np.ones(len(pool), bool)
        new[1:] = (owner[1:] != owner[:-1]) | (subject[1:] != subject[:-1])
        first = np.flatnonzero(new)
        size = np.diff(np.append(first, len(pool)))
        group = np.cumsum(new) - 1
        self._place, self._first, self._size = (np.empty(len(pool), np.int64) for _ in range(3))
        self._place[self._order] = np.arange(len(pool)) - first[group]
        self._first[self._order], self._size[self._order] = first[group], size[group]

    @property
    def alone(self) -> float:
        """Share of the windows whose subject has no other window in their store."""
        return float((self._size == 1).mean())

    def draw(self, index: np.ndarray, generator: torch.Generator) -> np.ndarray:
        """Draw another window of the same subject and store for each window; one that has none is its own partner.

        So is one whose partner has no lead in common with it.

        Args:
            index: (B,) integers into the pool.
            generator: Source of the random numbers, on the CPU.

        Returns:
            (B,) integers into the pool.
        """
        others = self._size[index] - 1
        drawn = torch.rand(len(index), generator=generator, dtype=torch.float64).numpy()
        step = np.minimum((drawn * others).astype(np.int64), np.maximum(others - 1, 0)) + (others > 0)
        place = (self._place[index] + step) % self._size[index]
        partners = self._order[self._first[index] + place]
        shared = np.array(
            [
                bool((self._leads(one) & self._leads(other)).any())
                for one, other in zip(index, partners, strict=True)
            ],
            bool,
        )
        return np.where(shared, partners, index)

    def _leads(self, window: int) -> np.ndarray:
        return self.pool.available[self.pool.owner[window]][self.pool.row[window]]
