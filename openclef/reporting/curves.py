"""Curves of training: losses and the watch against collapse, all runs over one another."""

from __future__ import annotations

from typing import Any

import numpy as np

from openclef.reporting.contents import Contents, FoundRun
from openclef.reporting.markup import (
    Html,
    Section,
    element,
    figure,
    join,
    key,
    label,
    missing,
    number,
    series,
)

# Columns of metrics.csv in the order in which they are drawn, with the title of their figure and what it says.
CURVES = {
    "loss": ("Loss", "Losses of different methods are not comparable: their terms and weights differ."),
    "loss_contrastive": ("Contrastive term", "Pulls two views of a record together and records apart."),
    "loss_alignment": ("Alignment term", "Zero for a method without guidance."),
    "effective_rank": ("Effective rank", "Directions that the embeddings use; 1 is a collapse to a line."),
    "mean_cosine": ("Mean cosine of different records", "1: all embeddings point the same way."),
    "uniformity": ("Uniformity", "0: collapsed; lower is more spread."),
    "alignment": (
        "Distance of two views",
        "0: the two views of a record agree. It is of embeddings of unit length and grows as they spread (uniformity "
        "falls): judge it beside that.",
    ),
    "weight_mean": ("Mean weight of negatives", "Close to 0, guidance leaves nothing to push apart."),
    "neutral_share": ("Share of neutral pairs", "Pairs that guidance says nothing about."),
    "learning_rate": ("Learning rate", "At the end of each epoch."),
}


def curves_section(contents: Contents) -> Section:
    """Return one figure for each curve that a run has.

    Args:
        contents: What was found.

    Example:
        >>> import pandas as pd
        >>> curves_section(Contents([], [], pd.DataFrame(), [], [])).anchor
        'curves'
    """
    runs = [run for run in contents.runs if len(run.history)]
    bare = [run for run in contents.runs if not len(run.history)]
    lines = [missing(f"{run.label}: no epoch is finished yet, so there is no curve.") for run in bare]
    lines += [
        missing(
            f"{run.label}: its loss is a finite number in no epoch, so the training failed from the start."
        )
        for run in runs
        if "loss" in run.history and not np.isfinite(run.history["loss"]).any()
    ]
    if not runs:
        text = lines or [missing("No run is among the folders, so there is no curve; pass a run folder.")]
        return Section("curves", "Training", join(text))
    colours = {run.label: series(place) for place, run in enumerate(contents.runs)}
    legend = [(run.label, colours[run.label], "line") for run in runs]
    if any(f"val_{name}" in run.history for run in runs for name in CURVES):
        legend += [("training", "ink", "line"), ("validation", "ink", "dash")]
    figures = [curve for name in CURVES if (curve := _figure(name, runs, colours)) is not None]
    return Section("curves", "Training", join([key(legend), element("div", *figures, class_="grid"), *lines]))


def curve_values(run: FoundRun, name: str) -> list[tuple[str, np.ndarray, np.ndarray]]:
    """Return a run's curves of one name: "training" and, where there is one, "validation".

    Args:
        run: The run.
        name: A column of its metrics.csv.

    Returns:
        What, epochs and values, without curves that hold no finite number.

    Example:
        >>> from pathlib import Path
        >>> import pandas as pd
        >>> history = pd.DataFrame({"epoch": [1.0, 2.0], "loss": [3.0, 2.0], "val_loss": [3.5, 2.5]})
        >>> [what for what, *_ in curve_values(FoundRun(Path("x"), "x", {}, True, history), "loss")]
        ['training', 'validation']
    """
    found = []
    for what, column in (("training", name), ("validation", f"val_{name}")):
        if column in run.history and np.isfinite(run.history[column].to_numpy(float)).any():
            epoch, value = (run.history[each].to_numpy(float) for each in ("epoch", column))
            found.append((what, epoch, value))
    return found


def _figure(name: str, runs: list[FoundRun], colours: dict[str, str]) -> Html | None:
    title, meaning = CURVES[name]
    traces: list[dict[str, Any]] = []
    last: list[str] = []
    epochs = max(float(run.history["epoch"].max()) for run in runs)
    for run in runs:
        ends = []
        for what, epoch, value in curve_values(run, name):
            traces.append(
                {
                    "type": "scatter",
                    "mode": "lines+markers" if len(epoch) < 25 else "lines",
                    "x": epoch,
                    "y": value,
                    "name": label(f"{run.label}, {what}"),
                    "line": {
                        "color": f"@{colours[run.label]}",
                        "width": 2,
                        "dash": "solid" if what == "training" else "dash",
                    },
                    "marker": {"size": 5, "symbol": "circle" if what == "training" else "circle-open"},
                    "hovertemplate": "%{y:.4g}",
                }
            )
            ends.append(_last(epoch, value))
        if len(ends) == 2:
            last.append(f"{run.label} {ends[0]}, validation {ends[1]}")
        elif ends:
            last.append(f"{run.label} {ends[0]}")
    if not traces:
        return None
    return figure(
        traces,
        {
            "xaxis": {"title": {"text": "epoch"}, "tick0": 0, "dtick": _step(epochs)},
            "yaxis": {"nticks": 6},
            "hovermode": "x unified",
        },
        title=title,
        alt=f"{title} by epoch; last: {'; '.join(last)}",
        caption=f"Last: {'; '.join(last)}. {meaning}",
        height=230,
    )


def _last(epoch: np.ndarray, value: np.ndarray) -> str:
    """Say the last finite value, and its epoch where none follows."""
    known = np.flatnonzero(np.isfinite(value))
    end = number(value[known[-1]])
    return end if known[-1] == len(value) - 1 else f"{end} at epoch {epoch[known[-1]]:g}, not finite after it"


def _step(epochs: float) -> int:
    """Whole epochs between ticks, so that there are at most six or so."""
    return next(
        step * 10**power for power in range(9) for step in (1, 2, 5) if epochs <= 6 * step * 10**power
    )
