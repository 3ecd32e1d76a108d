"""Paired comparisons: which models are compared, on one task, lead and label budget, and what comes of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import combinations, groupby
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from openclef.benchmarking.cell import Grid, Judged
from openclef.benchmarking.kept import Kept
from openclef.protocol import PROTOCOLS
from openclef.protocol.judging import WITH_AGE_SEX
from openclef.protocol.result import Result, compare
from openclef.statistics import holm

__all__ = ["comparison_rows", "find_pairs", "metric_of"]


class Side(NamedTuple):
    """One of the two models of a comparison.

    Args:
        judged: The cell.
        model: Which model of it.

    Example:
        >>> Side._fields
        ('judged', 'model')
    """

    judged: Judged
    model: str


def metric_of(kind: str) -> str:
    """The metric in which models are compared, averaged and ranked.

    Example:
        >>> metric_of("multilabel"), metric_of("regression")
        ('auroc', 'mae')
    """
    return "mae" if kind == "regression" else "auroc"


def find_pairs(judged: Sequence[Judged]) -> list[tuple[Side, Side]]:
    """The pairs to compare among the cells of one task, lead and label budget.

    With frozen features, under each protocol: each model that was given, alone, against random_encoder and features of
    that protocol and against scratch; with age and sex appended against age_sex and random_encoder with these
    appended; and all pairs of models that were given. Fine-tuned: against scratch and against the same model's probe;
    and all pairs. Models stand alone against those alone, with age and sex against those with age and sex.

    Args:
        judged: The cells.

    Returns:
        Pairs of which both are there.

    Example:
        >>> find_pairs([])
        []
    """
    there = {(each.cell.protocol, model): Side(each, model) for each in judged for model in each.models}
    pairs: list[tuple[Side | None, Side | None]] = []
    for protocol in dict.fromkeys(each.cell.protocol for each in judged):
        given = [
            each.cell.competitor.name
            for each in judged
            if each.cell.protocol == protocol and not each.cell.competitor.is_baseline
        ]
        for appended in ("", WITH_AGE_SEX):
            if protocol not in PROTOCOLS:
                against = [("scratch", "scratch" + appended)]
            elif appended:
                against = [(protocol, "age_sex"), (protocol, "random_encoder" + appended)]
            else:
                against = [(protocol, "random_encoder"), (protocol, "features"), ("scratch", "scratch")]
            for name in given:
                own = [("probe", name + appended)] if protocol not in PROTOCOLS else []
                first = there.get((protocol, name + appended))
                pairs += [(first, there.get(other)) for other in against + own]
            pairs += [
                (there.get((protocol, a + appended)), there.get((protocol, b + appended)))
                for a, b in combinations(given, 2)
            ]
    return [(a, b) for a, b in pairs if a is not None and b is not None]


def comparison_rows(
    judged: Sequence[Judged], grid: Grid, kept: Kept, track: Callable[[list[Any]], Any] = iter
) -> list[dict[str, Any]]:
    """Compare models on each task, lead and label budget.

    Args:
        judged: All cells.
        grid: What is the same for all.
        kept: Where finished comparisons are kept.
        track: Goes over the comparisons that are not kept yet, showing how far it is.

    Returns:
        Rows of `comparisons.csv`; a task on which nothing is measurable has none.

    Example:
        >>> comparison_rows([], Grid(), Kept("nowhere"))
        []
    """
    groups = [_measured(find_pairs(group)) for group in _groups(judged)]
    missing = [pair for group in groups for pair in group if not kept.holds(_about(pair, grid))]
    results = _Results(grid.split)
    for pair in track(missing):
        _found(pair, grid, kept, results)
    rows = []
    for group in groups:
        found = [_row(pair, _found(pair, grid, kept, results)) for pair in group]
        for row, adjusted in zip(found, holm([row["p"] for row in found])):
            rows.append(row | {"p_holm": adjusted})
    return rows


def _found(pair: tuple[Side, Side], grid: Grid, kept: Kept, results: _Results) -> dict[str, Any]:
    return kept.get(_about(pair, grid), lambda: _compare(pair, grid, results))


def _groups(judged: Sequence[Judged]) -> Iterator[list[Judged]]:
    def place(each: Judged) -> tuple[str, str, float]:
        return each.cell.task.name, each.cell.lead, each.cell.label_share

    order = {one: number for number, one in enumerate(dict.fromkeys(map(place, judged)))}
    for _, group in groupby(sorted(judged, key=lambda each: order[place(each)]), place):
        yield list(group)


def _measured(pairs: list[tuple[Side, Side]]) -> list[tuple[Side, Side]]:
    return [
        pair
        for pair in pairs
        if not any(
            np.isnan(side.judged.value(side.model, metric_of(side.judged.cell.task.kind))) for side in pair
        )
    ]


def _about(pair: tuple[Side, Side], grid: Grid) -> dict[str, Any]:
    return {
        "what": "comparison",
        "of": [[side.judged.sha256, side.model] for side in pair],
        "split": grid.split,
        "draws": grid.draws,
        "permutations": grid.permutations,
        "least": grid.min_positives,
        "seed": grid.seed,
    }


class _Results:
    """Predictions of the cells of one task, lead and label budget; those of another are let go."""

    def __init__(self, split: str) -> None:
        self.split = split
        self.group: tuple[str, str, float] | None = None
        self.tables: dict[str, pd.DataFrame] = {}

    def of(self, side: Side) -> Result:
        cell = side.judged.cell
        group = cell.task.name, cell.lead, cell.label_share
        if group != self.group:
            self.group, self.tables = group, {}
        place = str(side.judged.folder)
        if place not in self.tables:
            self.tables[place] = side.judged.predictions(self.split)
        return Result(pd.DataFrame(), self.tables[place], side.model, self.split)


def _compare(pair: tuple[Side, Side], grid: Grid, results: _Results) -> dict[str, Any]:
    first, second = pair
    table = compare(
        results.of(first),
        results.of(second),
        metric=metric_of(first.judged.cell.task.kind),
        draws=grid.draws,
        permutations=grid.permutations,
        min_positives=grid.min_positives,
        seed=grid.seed,
    )
    wanted = ("metric", "value", "low", "high", "p", "n", "seeds", "against_seeds")
    return {name: table[name].item() for name in wanted}


def _row(pair: tuple[Side, Side], found: dict[str, Any]) -> dict[str, Any]:
    first, second = pair
    return {
        "model": first.model,
        "against": second.model,
        **first.judged.cell.about,
        "against_protocol": second.judged.cell.protocol,
        **found,
    }
