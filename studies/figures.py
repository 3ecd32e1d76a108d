"""Figures of the studies, drawn from their tables."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

INK, LINE = "#1b3a4b", "#9aa5ab"
COLOURS = ("#1b3a4b", "#c8553d", "#2a9d8f", "#8a6fb0", "#d99a2b", "#5b8db8", "#7a7a7a")


def draw_differences(results: Path, reference: str) -> Path:
    """Draw how far each arm is from a reference on the same records: one panel a task, with 95 % intervals.

    Args:
        results: Folder with comparisons.csv; differences.svg is written beside it.
        reference: The model that all others are compared with.
    """
    import matplotlib as mpl
    from matplotlib.figure import Figure

    rows = differences(pd.read_csv(results / "comparisons.csv"), reference)
    panels = list(rows.groupby(["task", "lead", "metric"], sort=False))
    names = list(dict.fromkeys(rows["model"]))[::-1]
    with mpl.rc_context({"font.size": 8, "svg.hashsalt": "openclef", "svg.fonttype": "none"}):
        figure = Figure(figsize=(2.0 + 2.3 * len(panels), 0.7 + 0.22 * len(names)), layout="constrained")
        axes = figure.subplots(1, len(panels), sharey=True, squeeze=False)[0]
        for axis, ((task, lead, metric), part) in zip(axes, panels):
            at = [names.index(name) for name in part["model"]]
            axis.axvline(0, color=LINE, linewidth=1)
            axis.hlines(at, part["low"], part["high"], color=INK, linewidth=1.2)
            axis.plot(part["value"], at, "o", color=INK, markersize=3.5)
            axis.set_title(f"{task}, lead {lead}", fontsize=8)
            axis.set_xlabel(f"{metric} minus that of {reference}")
            axis.set_yticks(range(len(names)), names)
            axis.spines[["top", "right"]].set_visible(False)
        path = results / "differences.svg"
        figure.savefig(path, metadata={"Date": None})
    return path


def differences(comparisons: pd.DataFrame, reference: str) -> pd.DataFrame:
    """Each model minus the reference, whichever way round a table has them; all training labels."""
    rows = comparisons[comparisons["label_share"] == 1]
    straight = rows[rows["against"] == reference]
    turned = rows[rows["model"] == reference].copy()
    turned[["model", "against"]] = turned[["against", "model"]].to_numpy()
    turned[["value", "low", "high"]] = -turned[["value", "high", "low"]].to_numpy()
    both = pd.concat([straight, turned])
    return both.sort_index()


def draw_curves(parts: dict[float, pd.DataFrame], over: str, reference: str, results: Path) -> Path:
    """Draw how far each arm is from a reference as something grows: one panel a task; curves.csv and curves.svg.

    Args:
        parts: comparisons of each value.
        over: What grows.
        reference: The model that all others are compared with.
        results: Folder to write into.
    """
    import matplotlib as mpl
    from matplotlib.figure import Figure

    rows = pd.concat([differences(part, reference).assign(**{over: value}) for value, part in parts.items()])
    rows = rows[~rows["model"].str.contains(" + ", regex=False)]
    rows[[over, "model", "task", "lead", "metric", "value", "low", "high", "n"]].to_csv(
        results / "curves.csv", index=False, float_format="%.4g"
    )
    panels, names = list(rows.groupby(["task", "metric"], sort=False)), list(dict.fromkeys(rows["model"]))
    columns = min(3, len(panels))
    with mpl.rc_context({"font.size": 8, "svg.hashsalt": "openclef", "svg.fonttype": "none"}):
        figure = Figure(figsize=(2.8 * columns, 2.2 * -(-len(panels) // columns) + 0.4), layout="constrained")
        axes = figure.subplots(-(-len(panels) // columns), columns, squeeze=False).ravel()
        for axis in axes[len(panels) :]:
            axis.remove()
        for axis, ((task, metric), part) in zip(axes, panels):
            axis.axhline(0, color=LINE, linewidth=1)
            for number, name in enumerate(names):
                own = part[part["model"] == name].sort_values(over)
                colour = COLOURS[number % len(COLOURS)]
                axis.fill_between(own[over], own["low"], own["high"], color=colour, alpha=0.1, linewidth=0)
                axis.plot(
                    own[over], own["value"], "o-", color=colour, markersize=3, linewidth=1.2, label=name
                )
            axis.set(title=task, xlabel=over, ylabel=f"{metric} minus that of {reference}")
            axis.spines[["top", "right"]].set_visible(False)
        figure.legend(
            *axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=3, frameon=False
        )
        path = results / "curves.svg"
        figure.savefig(path, metadata={"Date": None})
    return path
