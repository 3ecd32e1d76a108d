"""Views of a benchmark: one protocol, lead and label share at a time, the first open and the others folded."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import NamedTuple

import numpy as np
import pandas as pd

from openclef.reporting.benchmark.tables import OWN, Tables
from openclef.reporting.contents import origin
from openclef.reporting.drawing import Style, among, model_styles, several, with_key
from openclef.reporting.markup import Html, breakable, element, folded, join
from openclef.reporting.values import base_of, is_baseline

PROTOCOLS = ("probe", "knn", "finetune", "scratch")  # the order in which protocols are shown
MANY_TASKS, OPEN_TASKS = 9, 6  # of more than the first so many figures stand open


class View(NamedTuple):
    """What is held fixed in a figure.

    Args:
        protocol: How models were judged.
        lead: On which lead.
        label_share: With which share of the training labels.

    Example:
        >>> View("probe", "I", 0.1).words()
        'probe, lead I, 10 % of the training labels'
    """

    protocol: str
    lead: str
    label_share: float

    def words(self) -> str:
        """Say it in words.

        Example:
            >>> View("knn", "II", 1.0).words()
            'knn, lead II, all training labels'
        """
        lead = lead_words(self.lead)
        return ", ".join(filter(None, [self.protocol, lead, share_words(self.label_share)]))


def lead_words(lead: str) -> str:
    """Say a lead; "own" stands for that of each task.

    Example:
        >>> lead_words("II"), lead_words("own")
        ('lead II', 'each task’s own lead')
    """
    if not lead:
        return ""
    return "each task’s own lead" if lead == OWN else f"lead {lead}"


def share_words(share: float) -> str:
    """Say a share of the training labels.

    Example:
        >>> share_words(0.01), share_words(1.0)
        ('1 % of the training labels', 'all training labels')
    """
    return "all training labels" if share == 1 else f"{100 * share:.3g} % of the training labels"


def in_order(found: Iterable[str], wanted: object) -> list[str]:
    """Order names as a setting lists them; others follow as they were found.

    Example:
        >>> in_order(["b", "a", "c"], ["c", "a"])
        ['c', 'a', 'b']
    """
    names = list(dict.fromkeys(found))
    listed = [str(each) for each in wanted] if isinstance(wanted, list | tuple) else []
    return [each for each in dict.fromkeys(listed) if each in names] + [e for e in names if e not in listed]


def views_of(rows: pd.DataFrame, tables: Tables) -> list[View]:
    """Return the views that rows have, the one to show first in front: all labels, first lead, probe.

    Protocols in which baselines alone were judged are no view of their own where others are: their rows stand beside
    those (`rows_of`).

    Args:
        rows: With protocol, lead, label_share, and model.
        tables: Of the benchmark, for the order of its leads.

    Example:
        >>> from pathlib import Path
        >>> rows = pd.DataFrame({"model": ["clef", "clef"], "protocol": "probe", "lead": "I", "label_share": [0.1, 1]})
        >>> [view.label_share for view in views_of(rows, Tables(Path(), {}, *[rows] * 8))]
        [1.0, 0.1]
    """
    own = rows[~rows["model"].map(is_baseline).astype(bool)]
    if own.empty:
        own = rows
    leads = in_order(rows["lead"], tables.setting("leads"))
    protocols = in_order(own["protocol"], PROTOCOLS)
    views = own[["protocol", "lead", "label_share"]].drop_duplicates()
    return sorted(
        (View(str(p), str(lead), float(share)) for p, lead, share in views.itertuples(index=False)),
        key=lambda view: (-view.label_share, leads.index(view.lead), protocols.index(view.protocol)),
    )


def rows_of(rows: pd.DataFrame, view: View, *, any_share: bool = False) -> pd.DataFrame:
    """Return the rows of a view, and of baselines that were judged by another protocol only.

    Args:
        rows: With protocol, lead, label_share and model.
        view: The view.
        any_share: Whether rows of other label shares are kept.

    Example:
        >>> rows = pd.DataFrame({"model": ["clef", "age_sex"], "protocol": ["finetune", "probe"], "lead": "I",
        ...                      "label_share": 1.0})
        >>> rows_of(rows, View("finetune", "I", 1.0))["model"].tolist()
        ['clef', 'age_sex']
    """
    here = rows[rows["lead"] == view.lead]
    if not any_share:
        here = here[np.isclose(here["label_share"].astype(float), view.label_share)]
    own = here["protocol"] == view.protocol
    beside = ~own & here["model"].map(is_baseline).astype(bool) & ~here["model"].isin(here["model"][own])
    order = {name: i for i, name in enumerate(in_order(here["protocol"], PROTOCOLS))}
    first = here[beside].groupby("model")["protocol"].agg(lambda names: min(names, key=order.__getitem__))
    beside &= here["protocol"] == here["model"].map(first)
    return here[own | beside]


def judged_otherwise(rows: pd.DataFrame, view: View) -> str:
    """Say which baselines of a view were judged by another protocol; "" where none was.

    Example:
        >>> rows = pd.DataFrame({"model": ["clef", "age_sex"], "protocol": ["finetune", "probe"]})
        >>> judged_otherwise(rows, View("finetune", "I", 1.0))
        ' Judged by another protocol: age_sex (probe).'
    """
    others = rows[(rows["protocol"] != view.protocol) & (rows["protocol"] != rows["model"].map(base_of))]
    pairs = others[["model", "protocol"]].drop_duplicates()
    said = [f"{model} ({protocol})" for model, protocol in pairs.itertuples(index=False)]
    return f" Judged by another protocol: {', '.join(said)}." if said else ""


def open_first(
    views: list[View], show: Callable[[View], Html], *, words: Callable[[View], str] = View.words
) -> Html:
    """Show the first view, and the others folded beneath their words.

    Args:
        views: From `views_of`.
        show: What a view looks like.
        words: What it is called.

    Example:
        >>> open_first([View("probe", "I", 1.0), View("knn", "I", 1.0)], lambda view: Html("")).count("<details>")
        1
    """
    parts: list[Html] = []
    for place, view in enumerate(views):
        if place:
            parts.append(folded(words(view), show(view)))
        else:
            parts += [element("p", words(view), class_="view"), show(view)]
    return join(parts)


def side_by_side(tasks: list[str], panels: list[Html]) -> Html:
    """Put the figures of tasks beside each other; of many tasks those after the first ones are folded.

    Args:
        tasks: Their names.
        panels: A figure for each.

    Example:
        >>> side_by_side(["a"] * 12, [Html("<figure></figure>")] * 12).count("<summary>6 more tasks: a, a")
        1
    """
    if len(panels) <= MANY_TASKS:
        return several(panels)
    rest = f"{len(panels) - OPEN_TASKS} more tasks: {', '.join(tasks[OPEN_TASKS:])}"
    return join([several(panels[:OPEN_TASKS]), folded(rest, several(panels[OPEN_TASKS:]))])


def lines_of_tasks(
    rows: pd.DataFrame,
    tables: Tables,
    styles: dict[str, Style],
    draw: Callable[[pd.DataFrame, str, dict[str, Style]], Html],
) -> Html:
    """Return a figure a task of models as lines; those with age and sex appended are folded beneath the others.

    Args:
        rows: With model and task.
        tables: Of the benchmark, for the order of its tasks.
        styles: Of the models.
        draw: Makes the figure of a task from its rows, its name and the styles of the models to draw.

    Example:
        >>> from pathlib import Path
        >>> rows = pd.DataFrame({"model": ["clef", "clef + age_sex"], "task": "a"})
        >>> shown = lines_of_tasks(rows, Tables(Path(), {}, *[rows] * 8), model_styles(rows["model"]),
        ...                        lambda rows, task, styles: Html("<figure></figure>"))
        >>> shown.count("<figure>"), shown.count("<details>")
        (2, 1)
    """
    parts: list[Html] = []
    for hollow in (False, True):
        models = among(styles, rows["model"], hollow=hollow)
        if not models:
            continue
        of = rows[rows["model"].isin(models)]
        tasks = tasks_of(of, tables)
        panels = [draw(of[of["task"] == task], task, models) for task in tasks]
        body = with_key(models, side_by_side(tasks, panels), line=True)
        parts.append(folded("With age and sex appended", body) if parts else body)
    return join(parts)


def task_name(task: str) -> Html:
    """Return a task's name, with a badge where its recordings or its patients are made up.

    Example:
        >>> task_name("sim/af")
        'sim/<wbr>af <span class="badge">simulated</span>'
    """
    kind = origin(task.split("/")[0])
    badge = join([" ", element("span", kind, class_="badge")]) if kind else ""
    return join([breakable(task), badge])


def tasks_of(rows: pd.DataFrame, tables: Tables) -> list[str]:
    """Return the tasks of rows in the benchmark's order.

    Example:
        >>> from pathlib import Path
        >>> rows = pd.DataFrame({"task": ["b/x", "a/y", "b/x"]})
        >>> tasks_of(rows, Tables(Path(), {"settings": {"tasks": ["a/y", "b/x"]}}, *[rows] * 8))
        ['a/y', 'b/x']
    """
    return in_order(rows["task"], tables.setting("tasks"))


def main_metrics(rows: pd.DataFrame) -> pd.DataFrame:
    """Return the rows of each task's main metric: AUROC of classes, mean absolute error of numbers.

    Example:
        >>> main_metrics(pd.DataFrame({"metric": ["auroc", "auprc", "mae"]}))["metric"].tolist()
        ['auroc', 'mae']
    """
    return rows[rows["metric"].isin(("auroc", "mae"))]


def of_measured_tasks(rows: pd.DataFrame) -> pd.DataFrame:
    """Return the rows of tasks whose main metric was measured at all; the others have nothing to draw.

    Example:
        >>> rows = pd.DataFrame({"task": ["a", "a", "b"], "value": [np.nan, 0.8, np.nan]})
        >>> of_measured_tasks(rows)["task"].tolist()
        ['a', 'a']
    """
    measured = set(rows.loc[np.isfinite(rows["value"].astype(float)), "task"])
    return rows[rows["task"].isin(measured)]


def styles_of(tables: Tables) -> dict[str, Style]:
    """Give every model of a benchmark one look, the same in all sections.

    Example:
        >>> from pathlib import Path
        >>> rows = pd.DataFrame({"model": ["clef", "age_sex"]})
        >>> list(styles_of(Tables(Path(), {}, *[rows] * 8)))
        ['age_sex', 'clef']
    """
    every = [
        getattr(tables, name)
        for name in ("metrics", "labels", "comparisons", "averages", "ranks", "reliability")
    ]
    return model_styles(str(model) for table in every for model in table["model"])


def metric_words(metric: str, unit: str) -> str:
    """Return a metric's short name for an axis, with its unit.

    Example:
        >>> metric_words("auroc", ""), metric_words("mae", "mmHg")
        ('AUROC', 'MAE in mmHg')
    """
    return f"{metric.upper()} in {unit}" if unit else metric.upper()


def no_rows(file: str, what: str) -> Html:
    """Return the line that stands where a CSV file is missing or empty.

    Example:
        >>> no_rows("ranks.csv", "no ranks")
        '<p class="missing">ranks.csv has no rows: no ranks.</p>'
    """
    return element("p", f"{file} has no rows: {what}.", class_="missing")
