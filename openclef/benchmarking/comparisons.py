"""Paired comparisons: which models are compared, on one task, lead and label budget, and what comes of it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import lru_cache
from itertools import combinations, groupby
from pathlib import Path
from typing import Any, NamedTuple

import joblib
import numpy as np
import pandas as pd

from openclef.benchmarking.cell import Grid, JudgedCell, read_predictions
from openclef.benchmarking.kept import Kept
from openclef.protocol import PROTOCOLS
from openclef.protocol.judging import WITH_AGE_SEX
from openclef.protocol.result import Result, compare
from openclef.statistics import holm

__all__ = ["comparison_rows", "find_pairs", "metric_of"]

LONG = 2e9
"""Numbers to go through, about 30 s of one core, from which several processes are worth their start."""


class Side(NamedTuple):
    """One of the two models of a comparison.

    Args:
        judged: The cell.
        model: Which model of it.

    Example:
        >>> Side._fields
        ('judged', 'model')
    """

    judged: JudgedCell
    model: str


def metric_of(kind: str) -> str:
    """The metric in which models are compared, averaged and ranked.

    Example:
        >>> metric_of("multilabel"), metric_of("regression")
        ('auroc', 'mae')
    """
    return "mae" if kind == "regression" else "auroc"


def find_pairs(judged: Sequence[JudgedCell], among: str | None = None) -> list[tuple[Side, Side]]:
    """The pairs to compare among the cells of one task, lead and label budget.

    With frozen features, under each protocol: each model that was given, alone, against random_encoder and features of
    that protocol and against scratch; with age and sex appended against age_sex and random_encoder with these
    appended; and all pairs of models that were given. Fine-tuned: against scratch and against the same model's probe;
    and all pairs. Models stand alone against those alone, with age and sex against those with age and sex.

    Args:
        judged: The cells.
        among: Of the pairs of models that were given only those with this one; None = all of them.

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
                if among is None or among in (a, b)
            ]
    return [(a, b) for a, b in pairs if a is not None and b is not None]


def comparison_rows(
    judged: Sequence[JudgedCell],
    grid: Grid,
    kept: Kept,
    track: Callable[[Sequence[Any]], Iterable[Any]] = iter,
) -> list[dict[str, Any]]:
    """Compare models on each task, lead and label budget, by several processes where it takes long.

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
    among = grid.reference if grid.pairs == "reference" else None
    groups = [_measured(find_pairs(group, among)) for group in _groups(judged)]
    missing = [pair for group in groups for pair in group if not kept.holds(_about(pair, grid))]
    several = sum(_size(pair, grid) for pair in missing) > LONG
    jobs = (joblib.delayed(_compare)(_plain(pair), _settings(pair, grid)) for pair in missing)
    results = joblib.Parallel(n_jobs=grid.workers if several else 1, return_as="generator")(jobs)
    try:
        for pair, found in zip(track(missing), results):
            kept.get(_about(pair, grid), lambda: found)  # noqa: B023 - called at once
    finally:
        results.close()
    rows = []
    for group in groups:
        compared = [_row(pair, _find(pair, grid, kept)) for pair in group]
        for row, adjusted in zip(compared, holm([row["p"] for row in compared])):
            rows.append(row | {"p_holm": adjusted})
    _read.cache_clear()
    return rows


def _find(pair: tuple[Side, Side], grid: Grid, kept: Kept) -> dict[str, Any]:
    return kept.get(_about(pair, grid), lambda: _compare(_plain(pair), _settings(pair, grid)))


def _groups(judged: Sequence[JudgedCell]) -> Iterator[list[JudgedCell]]:
    def place(each: JudgedCell) -> tuple[str, str, float]:
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
    of = [[side.judged.sha256, side.model] for side in pair]
    return {"what": "comparison", "of": of, **_settings(pair, grid)}


def _size(pair: tuple[Side, Side], grid: Grid) -> float:
    """How many numbers a comparison goes through, about: records x labels x seeds x draws."""
    rows = [side.judged.metrics.iloc[0] for side in pair]
    labels = len(pair[0].judged.cell.task.labels)
    times = max(row["seeds"] for row in rows) * (2 * grid.draws + 4 * grid.permutations)
    return float(rows[0]["n"]) * labels * times


def _plain(pair: tuple[Side, Side]) -> tuple[tuple[str, str, str], ...]:
    """What another process needs to read the predictions of both."""
    return tuple((str(side.judged.folder), side.judged.sha256, side.model) for side in pair)


def _settings(pair: tuple[Side, Side], grid: Grid) -> dict[str, Any]:
    return {
        "metric": metric_of(pair[0].judged.cell.task.kind),
        "split": grid.split,
        "draws": grid.draws,
        "permutations": grid.permutations,
        "min_positives": grid.min_positives,
        "seed": grid.seed,
    }


def _compare(pair: Sequence[tuple[str, str, str]], settings: dict[str, Any]) -> dict[str, Any]:
    options = dict(settings)
    split = options.pop("split")
    results = [Result(pd.DataFrame(), _read(folder, sha, split), model, split) for folder, sha, model in pair]
    table = compare(results[0], results[1], **options)
    wanted = ("metric", "value", "low", "high", "p", "n", "seeds", "against_seeds")
    return {name: table[name].item() for name in wanted}


@lru_cache(maxsize=8)
def _read(folder: str, sha256: str, split: str) -> pd.DataFrame:
    """Predictions of a cell; the hash is there so that those of a cell that was judged anew are read anew."""
    return read_predictions(Path(folder), split)


def _row(pair: tuple[Side, Side], found: dict[str, Any]) -> dict[str, Any]:
    first, second = pair
    return {
        "model": first.model,
        "against": second.model,
        **first.judged.cell.about,
        "against_protocol": second.judged.cell.protocol,
        **found,
    }
