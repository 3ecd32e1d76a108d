"""The critical-difference plot: mean ranks over tasks, and which models they do not tell apart."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from openclef.ranking import find_cliques
from openclef.reporting.benchmark.tables import Tables
from openclef.reporting.benchmark.views import View, no_rows, open_first, styles_of, views_of
from openclef.reporting.drawing import Style
from openclef.reporting.markup import Html, Section, element, figure, folded, join, label, number, table
from openclef.reporting.values import fixed

_ROW = 0.62  # height of a model's row, in the figure's own units
_FEW = 10  # tasks; with fewer the chi-square distribution and the critical difference are rough


def ranks_section(tables: Tables) -> Section:
    """Return a plot a protocol, lead and label share, or a sentence where there is nothing to rank.

    Args:
        tables: Of the benchmark.

    Example:
        >>> import tempfile
        >>> from pathlib import Path
        >>> from openclef.reporting.benchmark.tables import read_tables
        >>> folder = Path(tempfile.mkdtemp())
        >>> (folder / "benchmark.json").write_text("{}") and "2 tasks" in ranks_section(read_tables(folder)).body
        True
    """
    title = "Ranks over tasks"
    if tables.ranks.empty:
        return Section("ranks", title, no_rows("ranks.csv", "ranks need at least 2 tasks and 2 models"))
    styles = styles_of(tables)
    views = views_of(tables.ranks, tables)
    return Section("ranks", title, open_first(views, lambda view: _view(tables.ranks, view, styles)))


def _view(rows: pd.DataFrame, view: View, styles: dict[str, Style]) -> Html:
    own = rows[(rows["protocol"] == view.protocol) & (rows["lead"] == view.lead)]
    own = own[np.isclose(own["label_share"], view.label_share)].drop_duplicates("model")
    own = own[own["mean_rank"].notna()].sort_values("mean_rank", kind="stable")
    tasks = own["tasks"].min() if len(own) else 0
    if len(own) < 2 or not tasks >= 2:
        return element(
            "p",
            f"There are {len(own)} models and {number(tasks)} tasks: ranks need at least 2 of each.",
            class_="missing",
        )
    distance, p = float(own["critical_difference"].iloc[0]), float(own["friedman_p"].iloc[0])
    cliques = find_cliques(own["mean_rank"].to_numpy(float), distance) if np.isfinite(distance) else ()
    data, layout, height = rank_figure(own, distance, cliques, styles)
    said = "; ".join(f"{model} {rank:.2f}" for model, rank in zip(own["model"], own["mean_rank"]))
    drawn = figure(
        data,
        layout,
        alt=f"Critical-difference plot of {len(own)} models over {number(tasks)} tasks; mean ranks: {said}",
        caption=ranks_reading(own, distance, p),
        height=height,
    )
    cells = [
        [model, fixed(rank, 2), number(n)]
        for model, rank, n in own[["model", "mean_rank", "tasks"]].itertuples(index=False)
    ]
    body = table(["model", "mean rank", "tasks"], cells, caption="Mean ranks, 1 is best")
    return join([drawn, folded("Mean ranks as a table", body)])


def ranks_reading(rows: pd.DataFrame, distance: float, p: float) -> str:
    """Say what the ranks were made of, what they show and what they cannot.

    Args:
        rows: model, mean_rank and tasks, best first.
        distance: The critical difference.
        p: Of Friedman's test.

    Example:
        >>> rows = pd.DataFrame({"model": ["clef", "age_sex"], "mean_rank": [1.0, 2.0], "tasks": 3})
        >>> ranks_reading(rows, 1.13, 0.25)
        'Mean ranks over 3 tasks, few for ranks: ... does not show that the 2 models rank differently ...'
    """
    tasks, models = int(rows["tasks"].min()), len(rows)
    few = ", few for ranks: the test and the critical difference are rough" if tasks < _FEW else ""
    said = [f"Mean ranks over {tasks} tasks{few}; left is better. "]
    apart = rows["mean_rank"].max() - rows["mean_rank"].min() >= distance
    if not np.isfinite(p):
        said.append("Friedman’s test could not be made. ")
    elif p < 0.05:
        said.append(f"Friedman’s test: the {models} models do not all rank alike ({p_words(p)}). ")
    else:
        said.append(
            f"Friedman’s test does not show that the {models} models rank differently ({p_words(p)}), so read "
            "no pair as different. "
        )
    said.append(
        f"A bar joins models whose mean ranks lie closer than the critical difference of {fixed(distance, 2)} "
    )
    said.append("(Nemenyi, level 0.05): these the ranks do not tell apart. ")
    if not apart:
        said.append("No two models lie further apart than that. ")
    said.append(
        "Ranks say how often a model is ahead, not by how much, and count every task alike, also tasks of the same "
        "recordings, which are not independent."
    )
    return "".join(said)


def p_words(p: float) -> str:
    """Say a p value.

    Example:
        >>> p_words(0.00001), p_words(0.0421)
        ('p < 0.001', 'p = 0.042')
    """
    return "p < 0.001" if p < 0.001 else f"p = {p:.2g}"


def rank_figure(
    rows: pd.DataFrame, distance: float, cliques: tuple[tuple[int, ...], ...], styles: dict[str, Style]
) -> tuple[list[dict[str, Any]], dict[str, Any], int]:
    """Return the traces, the layout and the height of the classical drawing.

    An axis of ranks, best on the left; from each model's mean rank a stem goes down to its name, the outermost models
    lowest, so that no name is crossed; bars between axis and names join cliques; above it stands the critical
    difference.

    Args:
        rows: model and mean_rank, best first.
        distance: The critical difference.
        cliques: Positions in the rows, from `openclef.ranking.find_cliques`.
        styles: Of the models.

    Source:
        Demsar, Statistical comparisons of classifiers over multiple data sets, JMLR 2006, figure 1.

    Example:
        >>> from openclef.reporting.drawing import model_styles
        >>> rows = pd.DataFrame({"model": ["clef", "age_sex"], "mean_rank": [1.0, 2.0]})
        >>> data, layout, height = rank_figure(rows, 1.5, ((0, 1),), model_styles(rows["model"]))
        >>> len(layout["annotations"])
        6
    """
    ranks, names = rows["mean_rank"].to_numpy(float), [str(each) for each in rows["model"]]
    last = len(names)
    end = max(last, 1 + distance) if np.isfinite(distance) else last
    below = 0.35 + 0.3 * len(cliques)  # where names begin, beneath the cliques' bars
    left = ranks <= (1 + last) / 2
    depth = np.empty(last)
    outward = np.argsort(np.where(left, ranks - 1, last - ranks), kind="stable")[::-1]  # innermost first
    depth[outward] = below + _ROW * (1 + np.arange(last))
    shapes = [_line(1, last, 0, 0, "@ink", 1.5)]
    notes: list[dict[str, Any]] = []
    step = max(1, round(last / 9))
    for tick in range(1, last + 1, step):
        shapes.append(_line(tick, tick, 0, 0.16, "@ink", 1.2))
        notes.append(_note(tick, 0.42, str(tick), "center", "@soft"))
    for place, (name, rank) in enumerate(zip(names, ranks)):
        colour = f"@{styles[name].colour}"
        shapes.append(_line(rank, rank, 0, -depth[place], colour, 1.5))
        side = "left" if left[place] else "right"
        words = f"{label(name)} <b>{rank:.2f}</b>" if left[place] else f"<b>{rank:.2f}</b> {label(name)}"
        notes.append(
            _note(rank, -depth[place], words, side, "@ink", bgcolor="@panel", xshift=3 if left[place] else -3)
        )
    for place, clique in enumerate(cliques):
        height = -0.3 * (place + 1)
        shapes.append(
            _line(
                ranks[list(clique)].min() - 0.06, ranks[list(clique)].max() + 0.06, height, height, "@ink", 5
            )
        )
    if np.isfinite(distance):
        top = 1.15
        shapes.append(_line(1, 1 + distance, top, top, "@ink", 2))
        shapes += [_line(at, at, top - 0.12, top + 0.12, "@ink", 2) for at in (1, 1 + distance)]
        notes.append(_note(1, top + 0.4, f"critical difference {distance:.2f}", "left", "@ink"))
    notes.append(_note(1, 0.78, "mean rank", "left", "@soft"))
    hidden = {"visible": False, "zeroline": False, "showgrid": False}
    low = -depth.max() - 0.5
    layout = {
        "xaxis": {**hidden, "range": [1 - 0.05 * last, end + 0.05 * last]},
        "yaxis": {**hidden, "range": [low, 1.9]},
        "shapes": shapes,
        "annotations": notes,
        "margin": {"l": 2, "r": 2, "t": 2, "b": 2},
        "hovermode": "closest",
    }
    dots = {
        "type": "scatter",
        "mode": "markers",
        "x": ranks,
        "y": np.zeros(last),
        "marker": {"size": 7, "color": [f"@{styles[name].colour}" for name in names]},
        "text": [f"{label(name)}: {rank:.2f}" for name, rank in zip(names, ranks)],
        "hovertemplate": "%{text}<extra></extra>",
    }
    return [dots], layout, round(34 * (1.9 - low))


def _line(x0: float, x1: float, y0: float, y1: float, colour: str, width: float) -> dict[str, Any]:
    return {
        "type": "line",
        "layer": "below",
        "x0": x0,
        "x1": x1,
        "y0": y0,
        "y1": y1,
        "line": {"color": colour, "width": width},
    }


def _note(x: float, y: float, text: str, side: str, colour: str, **more: Any) -> dict[str, Any]:
    return {
        "x": x,
        "y": y,
        "text": text,
        "xanchor": side,
        "yanchor": "middle",
        "showarrow": False,
        "borderpad": 1,
        "font": {"size": 12, "color": colour},
        **more,
    }
