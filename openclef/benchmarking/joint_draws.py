"""Bootstrap draws of several tasks at once: subjects that the tasks share are drawn once for all of them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from openclef.benchmarking.cell import Grid, JudgedCell
from openclef.benchmarking.kept import Kept
from openclef.protocol.scoring import Stack, stack
from openclef.statistics import bootstrap, measurable_labels, subject_counts

__all__ = ["JointDraws", "draw_jointly", "link_tasks"]

Array = NDArray[np.floating]


def link_tasks(people: Mapping[str, Sequence[str]]) -> list[list[str]]:
    """Tasks that share people, directly or through other tasks.

    Args:
        people: For each task the namespaces of its subjects.

    Returns:
        Groups of tasks.

    Example:
        >>> link_tasks({"a": ["ptb_xl"], "b": ["music"], "c": ["music", "ptb_xl"], "d": ["sim"]})
        [['a', 'b', 'c'], ['d']]
    """
    groups: list[tuple[list[str], set[str]]] = []
    for task, names in people.items():
        tasks, spaces = [task], set(names)
        apart = []
        for group in groups:
            if group[1] & spaces:
                tasks, spaces = group[0] + tasks, spaces | group[1]
            else:
                apart.append(group)
        groups = [*apart, (tasks, spaces)]
    order = list(people)
    return sorted(
        (sorted(tasks, key=order.index) for tasks, _ in groups), key=lambda tasks: order.index(tasks[0])
    )


def draw_jointly(
    subjects: Mapping[str, NDArray[Any]], groups: Mapping[str, NDArray[np.bool_]], *, draws: int, seed: int
) -> dict[str, NDArray[np.float32]]:
    """How often each record of each task stands in each draw; every draw keeps a record of every group.

    Args:
        subjects: For each task (records,) subject ids, the same for the same person in all tasks.
        groups: For each task (records, groups) bool.
        draws: Number of draws.
        seed: Of the draws.

    Returns:
        For each task (records, draws).

    Raises:
        ValueError: Groups cannot be kept.

    Example:
        >>> people, whole = np.array(["s1", "s2"]), np.ones((2, 1), bool)
        >>> counts = draw_jointly({"a": people, "b": people[::-1]}, {"a": whole, "b": whole}, draws=5, seed=0)
        >>> bool((counts["a"] == counts["b"][::-1]).all())
        True
    """
    sizes = [len(each) for each in subjects.values()]
    required = np.zeros((sum(sizes), sum(each.shape[1] for each in groups.values())), bool)
    row = column = 0
    for task, size in zip(subjects, sizes):
        width = groups[task].shape[1]
        required[row : row + size, column : column + width] = groups[task]
        row, column = row + size, column + width
    counts = subject_counts(
        np.concatenate(list(subjects.values())), draws=draws, seed=seed, required=required
    )
    return dict(zip(subjects, np.split(counts, np.cumsum(sizes)[:-1])))


class JointDraws:
    """A macro metric of models on several tasks: the value and its draws, the same draws for all models.

    Args:
        examples: A cell of each task, for its subjects and targets.
        grid: What is the same for all cells.
        kept: Where values and draws are kept.

    Example:
        >>> JointDraws([], Grid(), Kept("nowhere")).linked
        {}
    """

    def __init__(self, examples: Sequence[JudgedCell], grid: Grid, kept: Kept) -> None:
        self.grid, self.kept = grid, kept
        self.examples = {each.cell.task.name: each for each in examples}
        outlines = {task: self._outline(each) for task, each in self.examples.items()}
        self.linked: dict[
            str, tuple[int, dict[str, str]]
        ] = {}  # task -> number of its group, and hashes of all in it
        people = {task: outline["namespaces"] for task, outline in outlines.items()}
        for number, tasks in enumerate(link_tasks(people)):
            hashes = {task: outlines[task]["sha256"] for task in tasks}
            self.linked |= dict.fromkeys(tasks, (number, hashes))
        self._counts: dict[int, dict[str, NDArray[np.float32]] | None] = {}

    def of(self, judged: JudgedCell, model: str, metric: str) -> Array:
        """The value of a model on a task, and then its draws.

        Args:
            judged: The cell.
            model: Which model of it.
            metric: A key of `openclef.metrics.METRICS`.

        Returns:
            (1 + draws,); the draws are NaN where rare labels allow none that all tasks share.
        """
        number, hashes = self.linked[judged.cell.task.name]
        about = {
            "what": "draws",
            "of": [judged.sha256, model],
            "metric": metric,
            "tasks": hashes,
            "number": number,
            "split": self.grid.split,
            "draws": self.grid.draws,
            "least": self.grid.min_positives,
            "seed": self.grid.seed,
        }
        found = self.kept.get(about, lambda: self._compute(judged, model, metric, number).tolist())
        return np.array(found, dtype=float)

    def _compute(self, judged: JudgedCell, model: str, metric: str, number: int) -> Array:
        task, grid = judged.cell.task.name, self.grid
        if number not in self._counts:
            self._counts[number] = self._draw(number)
        counts = self._counts[number]
        stacked = _stack_of(judged, grid, model)
        weight = np.ones((len(stacked.subject), 1), np.float32) if counts is None else counts[task]
        found = bootstrap(
            metric, stacked.target, stacked.score, stacked.subject, seed=grid.seed, least=grid.min_positives,
            weight=weight,
        )  # fmt: skip
        value, samples = found.value[found.required].mean(), found.samples[:, found.required].mean(1)
        return np.concatenate([[value], np.full(grid.draws, np.nan) if counts is None else samples])

    def _draw(self, number: int) -> dict[str, NDArray[np.float32]] | None:
        tasks = [task for task, (one, _) in self.linked.items() if one == number]
        stacks = {task: _stack_of(self.examples[task], self.grid) for task in tasks}
        subjects = {task: each.subject for task, each in stacks.items()}
        groups = {task: _groups(each, self.grid.min_positives) for task, each in stacks.items()}
        try:  # another seed for people of another kind, or their draws would go together by position
            return draw_jointly(subjects, groups, draws=self.grid.draws, seed=self.grid.seed + number)
        except ValueError:
            return None

    def _outline(self, judged: JudgedCell) -> dict[str, Any]:
        """Namespaces of a task's subjects, and a hash of subjects and targets."""
        about = {
            "what": "outline",
            "of": judged.sha256,
            "split": self.grid.split,
            "least": self.grid.min_positives,
        }

        def compute() -> dict[str, Any]:
            stacked = _stack_of(judged, self.grid)
            digest = hashlib.sha256(json.dumps(stacked.subject.tolist()).encode())
            digest.update(np.packbits(_groups(stacked, self.grid.min_positives), axis=None).tobytes())
            spaces = sorted({str(one).split(":")[0] for one in stacked.subject})
            return {"namespaces": spaces, "sha256": digest.hexdigest()}

        return self.kept.get(about, compute)


def _stack_of(judged: JudgedCell, grid: Grid, model: str | None = None) -> Stack:
    table = judged.predictions(grid.split)
    return stack(table[table["model"] == (judged.models[0] if model is None else model)])


def _groups(stacked: Stack, least: int) -> NDArray[np.bool_]:
    """Positives and negatives of measurable labels; for regression all records that take part."""
    if stacked.kind == "regression":
        return ~np.isnan(stacked.target)
    target = stacked.target[:, measurable_labels(stacked.target, least)]
    return np.concatenate([target == 1, target == 0], axis=1)
