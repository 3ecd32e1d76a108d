"""Results: for each task and metric a table, baselines first, and a figure of values with their intervals."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
import pandas as pd

from openclef.metrics import LOWER_IS_BETTER
from openclef.reporting.contents import Contents
from openclef.reporting.markup import (
    Html,
    Section,
    element,
    figure,
    join,
    label,
    missing,
    number,
    series,
    table,
)

BASELINES = ("age_sex", "random_encoder", "features", "scratch")
WITH_AGE_SEX = " + age_sex"
SHOWN_METRICS = 2  # the others of a task stand in a table that opens
_TITLES = {
    "auroc": "AUROC",
    "auprc": "AUPRC",
    "mae": "Mean absolute error",
    "rmse": "Root mean squared error",
    "r2": "R²",
    "r": "Pearson r",
    "brier": "Brier score",
    "ece": "Expected calibration error",
    "prevalence": "Prevalence",
}


def results_section(contents: Contents) -> Section:
    """Return tables and figures of all results.

    Args:
        contents: What was found.

    Example:
        >>> "openclef.evaluate" in results_section(Contents([], [], pd.DataFrame(), [], [])).body
        True
    """
    if contents.metrics.empty:
        sentence = (
            "No result is among the folders: judge a run with openclef.evaluate(...).save(folder), or with "
            "openclef evaluate ... --out folder, and pass that folder as well."
        )
        return Section("results", "Results", element("p", sentence, class_="missing"))
    colours = {run.label: series(number) for number, run in enumerate(contents.runs)}
    groups = contents.metrics.groupby(["task", "protocol", "lead", "label_share", "split"], sort=False)
    parts = [
        element(
            "p",
            "Value and 95 % interval by two-level bootstrap over subjects and seeds, as the evaluation saved them. "
            "“+ age_sex”: the same features with age and sex appended. Baselines stand first.",
        )
    ]
    for (task, protocol, lead, part, split), rows in groups:
        share = float(str(part))
        about = [
            f"protocol {protocol}" if protocol else "",
            f"lead {lead}" if lead else "",
            f"{split} split" if split else "",
            f"{share:.3g} of the training labels" if np.isfinite(share) and share != 1 else "",
        ]
        parts.append(element("h3", task, element("span", ", ".join(filter(None, about)), class_="sub")))
        parts.append(_task(rows.reset_index(drop=True), colours))
    return Section("results", "Results", join(parts))


def model_order(names: Iterable[str]) -> list[str]:
    """Order the models of a table: baselines first, and each alone before with age and sex appended.

    Example:
        >>> model_order(["clef + age_sex", "clef", "random_encoder", "age_sex", "random_encoder + age_sex"])
        ['age_sex', 'random_encoder', 'random_encoder + age_sex', 'clef', 'clef + age_sex']
    """
    unique = list(dict.fromkeys(names))
    alone = list(dict.fromkeys(name.removesuffix(WITH_AGE_SEX) for name in unique))
    ordered = [name for name in BASELINES if name in alone]
    ordered += [name for name in alone if name not in BASELINES]
    return [each for base in ordered for each in (base, base + WITH_AGE_SEX) if each in unique]


def shown_metrics(rows: pd.DataFrame) -> list[str]:
    """Return the metrics that stand open: the first two over all records and labels, prevalence apart.

    Example:
        >>> shown_metrics(pd.DataFrame({"metric": ["auroc", "auprc", "prevalence", "auroc:AF"], "part": ""}))
        ['auroc', 'auprc']
    """
    whole = rows[(rows["part"] == "") & ~rows["metric"].str.contains(":", regex=False)]
    return [name for name in dict.fromkeys(whole["metric"]) if name != "prevalence"][:SHOWN_METRICS]


def _task(rows: pd.DataFrame, colours: dict[str, str]) -> Html:
    shown = shown_metrics(rows)
    whole = rows[rows["part"] == ""]
    prevalence = whole.loc[whole["metric"] == "prevalence", "value"].dropna()
    parts = []
    for metric in shown:
        of_metric = sorted_rows(whole[whole["metric"] == metric])
        chance = {"auroc": 0.5, "auprc": float(prevalence.iloc[0]) if len(prevalence) else None}.get(metric)
        parts.append(_metric(of_metric, metric, chance, colours))
    rest = rows[~(rows["metric"].isin(shown) & (rows["part"] == ""))]
    if len(rest):
        parts.append(_all_metrics(rest))
    notes = [note for note in dict.fromkeys([*rows["note"], *rows["judged_note"]]) if note]
    parts += [element("p", f"Note: {note}", class_="note") for note in notes]
    return join(parts)


def sorted_rows(rows: pd.DataFrame) -> pd.DataFrame:
    """Sort the rows of one metric by `model_order`; rows of one model stay in the order in which they were found.

    Example:
        >>> sorted_rows(pd.DataFrame({"model": ["clef", "age_sex"], "value": [0.8, 0.7]}))["model"].tolist()
        ['age_sex', 'clef']
    """
    place = {name: i for i, name in enumerate(model_order(rows["model"]))}
    return rows.iloc[np.argsort(rows["model"].map(place).to_numpy(), kind="stable")].reset_index(drop=True)


def _metric(rows: pd.DataFrame, metric: str, chance: float | None, colours: dict[str, str]) -> Html:
    title = _TITLES.get(metric, metric)
    names = _names(rows)
    measured = [(name, row) for name, row in names if np.isfinite(row["value"])]
    if not measured:
        judged = number(rows["n"].max())
        return missing(f"{title}: not measurable, too few of the {judged} judged records are of one class.")
    headings = ["model", f"{title} [95 % interval]", "n", "seeds"]
    cells = [[name, _interval(row), number(row["n"]), number(row["seeds"])] for name, row in names]
    body = table(headings, cells, caption=_about(title, rows.iloc[0]))
    picture = figure(
        _dots(measured, colours),
        {
            "xaxis": {"title": {"text": label(title)}, "zeroline": False},
            "yaxis": {
                "autorange": "reversed",
                "tickvals": list(range(len(measured))),
                "ticktext": [label(name) for name, _ in measured],
                "showgrid": False,
                "ticklabelstandoff": 8,
                "zeroline": False,
            },
            "shapes": [] if chance is None else [_chance_line(chance)],
            "hovermode": "closest",
        },
        alt=f"{title} of each model with its interval: "
        + "; ".join(f"{name} {_interval(row)}" for name, row in measured),
        caption=reading(rows, metric)
        + (f" Dotted: {number(chance)}, what chance gives." if chance is not None else ""),
        height=70 + 27 * len(measured),
    )
    return element("div", picture, body, class_="pair")


def _about(title: str, row: pd.Series) -> str:
    """Say of which metric, task and protocol a table is."""
    return ", ".join(filter(None, [title, row["task"], row["protocol"] and f"protocol {row['protocol']}"]))


def _names(rows: pd.DataFrame) -> list[tuple[str, pd.Series]]:
    """Name each row by its model, and by its folder where one model has several rows."""
    several = rows["model"].duplicated(keep=False)
    return [
        (f"{row['model']} ({row['source']})" if twice else row["model"], row)
        for (_, row), twice in zip(rows.iterrows(), several)
    ]


def _dots(measured: Sequence[tuple[str, pd.Series]], colours: dict[str, str]) -> list[dict[str, object]]:
    traces: list[dict[str, object]] = []
    for place, (name, row) in enumerate(measured):
        base = str(row["model"]).removesuffix(WITH_AGE_SEX)
        colour = "@muted" if base in BASELINES else f"@{colours.get(base, 'series-0')}"
        appended = base != row["model"]
        ends = np.isfinite(row["low"]) and np.isfinite(row["high"])
        traces.append(
            {
                "type": "scatter",
                "mode": "markers",
                "x": [row["value"]],
                "y": [place],
                "name": label(name),
                "marker": {
                    "color": "@panel" if appended else colour,
                    "size": 10,
                    "line": {"color": colour, "width": 2},
                },
                "error_x": {
                    "type": "data",
                    "symmetric": False,
                    "array": [row["high"] - row["value"] if ends else 0],
                    "arrayminus": [row["value"] - row["low"] if ends else 0],
                    "color": colour,
                    "thickness": 2,
                    "width": 0,
                },
                "hovertemplate": f"{label(name)}: {_interval(row)}<extra></extra>",
            }
        )
    return traces


def _chance_line(value: float) -> dict[str, object]:
    return {
        "type": "line",
        "x0": value,
        "x1": value,
        "y0": 0,
        "y1": 1,
        "yref": "paper",
        "line": {"color": "@muted", "width": 1, "dash": "dot"},
    }


def _interval(row: pd.Series) -> str:
    value, low, high = row["value"], row["low"], row["high"]
    if not np.isfinite(value):
        return "not measurable"
    digits = 3 if max(abs(value), abs(low) if np.isfinite(low) else 0) < 10 else 1
    if not (np.isfinite(low) and np.isfinite(high)):
        return f"{value:.{digits}f}"
    return f"{value:.{digits}f} [{low:.{digits}f}, {high:.{digits}f}]"


def reading(rows: pd.DataFrame, metric: str) -> str:
    """Say in a sentence which model is best, and whether its interval is clear of the best baseline's.

    Args:
        rows: Rows of one metric: model, value, low, high.
        metric: Its name.

    Example:
        >>> rows = pd.DataFrame({"model": ["age_sex", "clef"], "value": [0.7, 0.8], "low": [0.65, 0.75],
        ...                      "high": [0.75, 0.85]})
        >>> reading(rows, "auroc")
        'Highest: clef, 0.800 [0.750, 0.850]; the best baseline is age_sex, ...: the intervals overlap.'
    """
    lower = metric in LOWER_IS_BETTER
    known = rows[np.isfinite(rows["value"].astype(float))]
    if known.empty:
        return ""
    ordered = known.sort_values("value", ascending=lower, kind="stable")
    best = ordered.iloc[0]
    start = f"{'Lowest' if lower else 'Highest'}: {best['model']}, {_interval(best)}"
    base = ordered["model"].str.removesuffix(WITH_AGE_SEX).isin(BASELINES)
    if base.iloc[0]:
        rival = ordered[~base]
        if rival.empty:
            return start + "."
        return (
            f"{start}, a baseline; the best encoder is {rival.iloc[0]['model']}, {_interval(rival.iloc[0])}."
        )
    if not base.any():
        return start + "; no baseline was judged beside it."
    rival_row = ordered[base].iloc[0]
    ends = [float(row[end]) for row in (best, rival_row) for end in ("low", "high")]
    if not np.isfinite(ends).all():
        return f"{start}; the best baseline is {rival_row['model']}, {_interval(rival_row)}."
    overlap = best["low"] <= rival_row["high"] and rival_row["low"] <= best["high"]
    return f"{start}; the best baseline is {rival_row['model']}, {_interval(rival_row)}: the intervals " + (
        "overlap." if overlap else "do not overlap."
    )


def _all_metrics(rows: pd.DataFrame) -> Html:
    parts = bool((rows["part"] != "").any())
    place = {name: i for i, name in enumerate(model_order(rows["model"]))}
    metrics = {name: i for i, name in enumerate(dict.fromkeys(rows["metric"]))}
    keys = [rows["model"].map(place), rows["metric"].map(metrics)]
    rows = rows.iloc[np.lexsort(keys)]
    headings = ["metric", "model", *(["part"] if parts else []), "value [95 % interval]", "n", "seeds"]
    cells = [
        [row["metric"], row["model"], *([row["part"]] if parts else []), _interval(row), number(row["n"])]
        + [number(row["seeds"])]
        for _, row in rows.iterrows()
    ]
    body = table(headings, cells, caption="The other metrics", numeric=3 if parts else 2)
    return element("details", element("summary", f"The other metrics ({len(rows):,} rows)"), body)
