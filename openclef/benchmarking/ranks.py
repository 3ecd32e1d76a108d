"""Mean ranks of models over tasks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from openclef.benchmarking.averages import common_tasks, group_cells
from openclef.benchmarking.cell import JudgedCell
from openclef.benchmarking.comparisons import metric_of
from openclef.protocol.judging import WITH_AGE_SEX
from openclef.ranking import rank_models

__all__ = ["rank_rows"]


def rank_rows(judged: Sequence[JudgedCell]) -> list[dict[str, Any]]:
    """Rank the models that stand alone, and the baselines, on each task: a high AUROC or a low MAE is best.

    Args:
        judged: All cells.

    Returns:
        Rows of `ranks.csv`, best first, for each protocol, lead and label budget with at least two models and two
        tasks that all have. age_sex is left out where it lacks a task that all others have; scratch stands among the
        fine-tuned models. `cliques` are numbers, joined by ";", of the groups within which no two models differ.

    Example:
        >>> rank_rows([])
        []
    """
    rows: list[dict[str, Any]] = []
    groups = list(group_cells(judged))
    for about, cells in groups:
        alone = {model: by_task for model, by_task in cells.items() if not model.endswith(WITH_AGE_SEX)}
        if about["protocol"] == "finetune":
            of_scratch = (more for other, more in groups if other == about | {"protocol": "scratch"})
            alone |= {
                model: each for more in of_scratch for model, each in more.items() if model == "scratch"
            }
        without = {model: by_task for model, by_task in alone.items() if model != "age_sex"}
        tasks = common_tasks(alone)
        if len(without) > 1 and len(common_tasks(without)) > len(tasks):
            alone, tasks = without, common_tasks(without)
        if len(alone) < 2 or len(tasks) < 2:
            continue
        ranking = rank_models([[_goodness(alone[model][task], model) for model in alone] for task in tasks])
        found = [
            {
                "model": model,
                **about,
                "mean_rank": float(ranking.mean_ranks[place]),
                "tasks": len(tasks),
                "critical_difference": ranking.critical_difference,
                "friedman_p": ranking.friedman_p,
                "cliques": ";".join(
                    str(number) for number, group in enumerate(ranking.cliques, start=1) if place in group
                ),
            }
            for place, model in enumerate(alone)
        ]
        rows += [found[place] for place in np.argsort(ranking.mean_ranks, kind="stable")]
    return rows


def _goodness(judged: JudgedCell, model: str) -> float:
    metric = metric_of(judged.cell.task.kind)
    value = judged.value(model, metric)
    return -value if metric == "mae" else value
