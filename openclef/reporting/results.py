"""Results: for each task and metric a table, baselines first, and a figure of values with their intervals."""

from __future__ import annotations

import numpy as np
import pandas as pd

from openclef.reporting.contents import Contents
from openclef.reporting.drawing import dots, line_at, model_styles, row_axis
from openclef.reporting.markup import (
    Html,
    Section,
    element,
    figure,
    folded,
    join,
    label,
    missing,
    number,
    series,
    table,
)
from openclef.reporting.values import interval, metric_title, model_order, reading, sorted_rows

SHOWN_METRICS = 2  # the others of a task stand in a table that opens


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


def shown_metrics(rows: pd.DataFrame) -> list[str]:
    """Return the metrics that stand open: the first two over all records and labels, prevalence apart.

    Example:
        >>> shown_metrics(pd.DataFrame({"metric": ["auroc", "auprc", "auroc:AF"], "part": "", "condition": ""}))
        ['auroc', 'auprc']
    """
    whole = rows[_over_all(rows) & ~rows["metric"].str.contains(":", regex=False)]
    return [name for name in dict.fromkeys(whole["metric"]) if name != "prevalence"][:SHOWN_METRICS]


def _over_all(rows: pd.DataFrame) -> pd.Series:
    """Tell which rows are over all records, as recorded."""
    return (rows["part"] == "") & (rows["condition"] == "")


def _task(rows: pd.DataFrame, colours: dict[str, str]) -> Html:
    shown = shown_metrics(rows)
    whole = rows[_over_all(rows)]
    prevalence = whole.loc[whole["metric"] == "prevalence", "value"].dropna()
    parts = []
    for metric in shown:
        of_metric = sorted_rows(whole[whole["metric"] == metric])
        chance = {"auroc": 0.5, "auprc": float(prevalence.iloc[0]) if len(prevalence) else None}.get(metric)
        parts.append(_metric(of_metric, metric, chance, colours))
    rest = rows[~(rows["metric"].isin(shown) & _over_all(rows))]
    if len(rest):
        parts.append(_all_metrics(rest))
    notes = [note for note in dict.fromkeys([*rows["note"], *rows["judged_note"]]) if note]
    parts += [element("p", f"Note: {note}", class_="note") for note in notes]
    return join(parts)


def _metric(rows: pd.DataFrame, metric: str, chance: float | None, colours: dict[str, str]) -> Html:
    title = metric_title(metric)
    names = _names(rows)
    measured = [(name, row) for name, row in names if np.isfinite(row["value"])]
    if not measured:
        judged = number(rows["n"].max())
        return missing(f"{title}: not measurable, too few of the {judged} judged records are of one class.")
    headings = ["model", f"{title} [95 % interval]", "n", "seeds"]
    cells = [[name, interval(row), number(row["n"]), number(row["seeds"])] for name, row in names]
    body = table(headings, cells, caption=_about(title, rows.iloc[0]))
    styles = model_styles([str(row["model"]) for _, row in measured], colours)
    picture = figure(
        [
            dots(styles[row["model"]], name, [place], [row["value"]], [row["low"]], [row["high"]])
            for place, (name, row) in enumerate(measured)
        ],
        {
            "xaxis": {"title": {"text": label(title)}, "zeroline": False},
            "yaxis": row_axis([label(name) for name, _ in measured]),
            "shapes": [] if chance is None else [line_at(chance)],
            "hovermode": "closest",
        },
        alt=f"{title} of each model with its interval: "
        + "; ".join(f"{name} {interval(row)}" for name, row in measured),
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


def _all_metrics(rows: pd.DataFrame) -> Html:
    place = {name: i for i, name in enumerate(model_order(rows["model"]))}
    metrics = {name: i for i, name in enumerate(dict.fromkeys(rows["metric"]))}
    keys = [rows["model"].map(place), rows["metric"].map(metrics)]
    rows = rows.iloc[np.lexsort(keys)]
    extra = [name for name in ("condition", "part") if bool((rows[name] != "").any())]
    headings = ["metric", "model", *extra, "value [95 % interval]", "n", "seeds"]
    cells = [
        [row["metric"], row["model"], *(row[name] for name in extra), interval(row), number(row["n"])]
        + [number(row["seeds"])]
        for _, row in rows.iterrows()
    ]
    body = table(headings, cells, caption="The other metrics", numeric=2 + len(extra))
    return folded(f"The other metrics ({len(rows):,} rows)", body)
