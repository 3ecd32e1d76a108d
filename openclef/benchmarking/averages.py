"""Averages over tasks, with intervals from draws of subjects that the tasks share."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from openclef.benchmarking.cell import Grid, JudgedCell
from openclef.benchmarking.comparisons import metric_of
from openclef.benchmarking.joint_draws import JointDraws
from openclef.benchmarking.kept import Kept
from openclef.protocol.judging import WITH_AGE_SEX

__all__ = ["average_rows", "common_tasks", "group_cells"]

Cells = dict[str, dict[str, JudgedCell]]  # by model, then by task


def group_cells(judged: Sequence[JudgedCell]) -> Iterator[tuple[dict[str, Any], Cells]]:
    """Cells by protocol, lead and label budget.

    Args:
        judged: All cells.

    Returns:
        For each combination what it is, and its cells by model and task.

    Example:
        >>> list(group_cells([]))
        []
    """
    groups: dict[tuple[str, str, float], Cells] = {}
    for each in judged:
        cell = each.cell
        group = groups.setdefault((cell.protocol, cell.lead_of_group, cell.label_share), {})
        for model in each.models:
            group.setdefault(model, {})[cell.task.name] = each
    for (protocol, lead, share), cells in groups.items():
        yield {"protocol": protocol, "lead": lead, "label_share": share}, cells


def common_tasks(cells: Mapping[str, Mapping[str, JudgedCell]]) -> list[str]:
    """Tasks that every model has and on which each is measured.

    Args:
        cells: By model and task.

    Returns:
        Names of tasks, in the order of the first model.

    Example:
        >>> common_tasks({})
        []
    """

    def measured(task: str, model: str) -> bool:
        found = cells[model].get(task)
        return found is not None and not np.isnan(found.value(model, metric_of(found.cell.task.kind)))

    return [task for task in next(iter(cells.values()), {}) if all(measured(task, model) for model in cells)]


def average_rows(judged: Sequence[JudgedCell], grid: Grid, kept: Kept) -> list[dict[str, Any]]:
    """Mean macro AUROC, and mean changes in % of AUROC and MAE against the reference, with 95 % intervals.

    Models that stand alone are averaged over the tasks that all of these have, and those with age and sex, age_sex
    among them, over the tasks that all of these have. Models with age and sex are held against the reference with age
    and sex; fine-tuned ones against scratch where the reference itself was not fine-tuned. The subjects that several
    tasks share are drawn once for all these tasks, and so are seeds.

    Args:
        judged: All cells.
        grid: What is the same for all.
        kept: Where draws are kept.

    Returns:
        Rows of `averages.csv`.

    Example:
        >>> average_rows([], Grid(), Kept("nowhere"))
        []
    """
    rows: list[dict[str, Any]] = []
    groups = list(group_cells(judged))
    for about, cells in groups:
        of_scratch = next((more for other, more in groups if other == about | {"protocol": "scratch"}), {})
        for appended in ("", WITH_AGE_SEX):
            family = {
                model: by_task
                for model, by_task in cells.items()
                if (model.endswith(WITH_AGE_SEX) or model == "age_sex") == bool(appended)
            }
            reference = grid.reference + ("" if grid.reference == "age_sex" else appended)
            against = cells.get(reference, {})
            if not against and about["protocol"] == "finetune":
                reference, against = "scratch" + appended, of_scratch.get("scratch" + appended, {})
            rows += [about | row for row in _family_rows(family, reference, against, grid, kept)]
    return rows


def _family_rows(
    family: Cells, reference: str, against: Mapping[str, JudgedCell], grid: Grid, kept: Kept
) -> list[dict[str, Any]]:
    tasks = common_tasks(family)
    both = [task for task in tasks if task in common_tasks({reference: against})]
    first = next(iter(family.values()), {})
    draws = JointDraws([first[task] for task in tasks], grid, kept)
    plans = (
        ("auroc", "auroc", tasks, ""),
        ("auroc", "auroc_change_percent", both, reference),
        ("mae", "mae_change_percent", both, reference),
    )
    rows = []
    for model, by_task in family.items():
        for metric, name, among, named in plans:
            chosen = [task for task in among if metric_of(first[task].cell.task.kind) == metric]
            if not chosen or model == named:
                continue
            parts = [draws.of(by_task[task], model, metric) for task in chosen]
            if named:
                others = [draws.of(against[task], named, metric) for task in chosen]
                parts = [_change_percent(part, other) for part, other in zip(parts, others)]
            mean = np.mean(parts, axis=0)  # the value, then its draws
            low, high = _interval(mean[1:])
            rows.append(
                {
                    "model": model,
                    "metric": name,
                    "value": float(mean[0]),
                    "low": low,
                    "high": high,
                    "tasks": len(chosen),
                    "reference": named,
                }
            )
    return rows


def _change_percent(values: NDArray[np.floating], reference: NDArray[np.floating]) -> NDArray[np.floating]:
    """Change in %; NaN where the reference is 0, as an error is that predicts a target from itself."""
    whole = np.where(reference == 0, np.nan, reference)
    return 100 * (values / whole - 1)


def _interval(samples: NDArray[np.floating]) -> tuple[float, float]:
    known = samples[~np.isnan(samples)]
    if not known.size:
        return float("nan"), float("nan")
    low, high = np.quantile(known, [0.025, 0.975])
    return float(low), float(high)
