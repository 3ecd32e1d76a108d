"""A store's risk score by completeness: a table for the terminal and a figure for the browser."""

from __future__ import annotations

from pathlib import Path
from textwrap import wrap

import numpy as np
import pandas as pd
from rich.console import Console
from rich.table import Table

from openclef import risk
from openclef.reporting.contents import Contents, read_risk
from openclef.reporting.markup import Html, Section, element, figure, join, key, label, missing, number, table
from openclef.store import Store

__all__ = ["print_risk", "risk_section", "risk_table", "write_risk_figure"]

_BINS = 32

_SHOWN = (
    "completeness",
    "n",
    "share",
    "unknown",
    "min",
    "q25",
    "median",
    "q75",
    "max",
    "modal_value",
    "modal_share",
)


def risk_table(store: Store, label: str) -> pd.DataFrame:
    """Return a risk's distribution by completeness, one row a level and one for all windows.

    Args:
        store: a store that holds the risk.
        label: its name in the store.

    Returns:
        Columns completeness (NaN: all), n (windows), share, unknown, quantiles, and the most frequent value with
        its share.

    Raises:
        KeyError: the store holds no such risk.

    Example:
        >>> import tempfile
        >>> from openclef.simulator.cohort import simulate
        >>> store = simulate(tempfile.mkdtemp() + "/sim", patients=8, workers=1)
        >>> risk_table(store.add_risk("age_sex"), "age_sex")["n"].tolist()
        [8, 8]
    """
    values = store.risk(label)
    rows = risk.describe(values["value"], values["n_missing"], values["completeness"]).rows
    return pd.DataFrame(rows)[list(_SHOWN)]


def print_risk(store: Store, label: str, console: Console | None = None) -> None:
    """Print a risk's distribution by completeness, and whether it is degenerate.

    Args:
        store: a store that holds the risk.
        label: its name in the store.
        console: where to; the terminal by default.

    Raises:
        KeyError: the store holds no such risk.

    Example:
        >>> import tempfile
        >>> from openclef.simulator.cohort import simulate
        >>> store = simulate(tempfile.mkdtemp() + "/sim", patients=8, workers=1)
        >>> print_risk(store.add_risk("age_sex"), "age_sex", Console(width=100))
        age_sex of sim: 8 windows
        ...
        The score tells patients apart.
    """
    console = console or Console()
    table = Table(title=f"{label} of {store.name}: {len(store):,} windows")
    for name in ("complete", "windows", "share", "unknown", "25 %", "median", "75 %", "one value"):
        table.add_column(name, justify="right")
    for row in risk_table(store, label).to_dict("records"):
        level = row["completeness"]
        table.add_row(
            "all" if level is None or np.isnan(level) else f"{level:.2f}",
            f"{row['n']:,}",
            f"{row['share']:.0%}",
            f"{row['unknown']:,}",
            *("-" if np.isnan(row[name]) else f"{row[name]:.3g}" for name in ("q25", "median", "q75")),
            "-" if np.isnan(row["modal_share"]) else f"{row['modal_share']:.0%}",
        )
    console.print(table)
    values = store.risk(label)
    verdict = risk.describe(values["value"], values["n_missing"], values["completeness"]).degenerate
    console.print(f"degenerate: {verdict}" if verdict else "The score tells patients apart.")


def write_risk_figure(store: Store, label: str, path: str | Path) -> None:
    """Write the distribution of a risk as one self-contained HTML page: a histogram for each completeness.

    Args:
        store: a store that holds the risk.
        label: its name in the store.
        path: HTML file to write, with a name that ends in .html or .htm.

    Raises:
        KeyError: the store holds no such risk.
        ValueError: a file of the risk is damaged, or the path is no name of a page.
        ImportError: plotly is not installed.

    Example:
        >>> import tempfile
        >>> from openclef.simulator.cohort import simulate
        >>> store = simulate(tempfile.mkdtemp() + "/sim", patients=8, workers=1)
        >>> page = Path(tempfile.mkdtemp()) / "risk.html"
        >>> write_risk_figure(store.add_risk("age_sex"), "age_sex", page)
        >>> page.stat().st_size > 10_000
        True
    """
    from openclef.reporting.page import write_sections

    body = _distribution(store, label)
    write_sections(Path(path), f"{label} of {store.name}", [Section("risk", "Risk by completeness", body)])


def risk_section(contents: Contents) -> Section:
    """Return the distribution of each risk that a run used, or of all that a store has, by completeness.

    Args:
        contents: What was found.

    Example:
        >>> risk_section(Contents([], [], pd.DataFrame(), [], [])).anchor
        'risk'
    """
    parts: list[Html] = []
    for store in contents.stores:
        of_store = [run for run in contents.runs if any(each is store for each in run.stores)]
        used = list(dict.fromkeys(name for run in of_store for name in run.risks))
        names = [name for name in used if name in store.risks] or ([] if of_store else store.risks)
        for name in names:
            try:
                parts.append(_distribution(store, name))
            except ValueError as error:
                parts.append(missing(f"{name} of {store.name}: {error}"))
        parts += [
            missing(
                f"The store {store.name} holds no risk {name!r}; add it with openclef risk {store.path} {name}."
            )
            for name in used
            if name not in store.risks
        ]
        if not used and not names:
            parts.append(missing(f"The store {store.name} holds no risk; add one with openclef risk."))
    absent = dict.fromkeys(sentence for run in contents.runs for sentence in run.missing)
    parts += [missing(sentence) for sentence in absent]
    if not parts:
        parts = [missing("No store is known, so there is no risk to show; pass stores=[...] (--stores).")]
    return Section("risk", "Risk by completeness", join(parts))


def completeness_counts(
    store: Store, name: str, bins: int = _BINS
) -> tuple[np.ndarray, dict[float, np.ndarray]]:
    """Count windows by bin of a risk, for each level of completeness.

    Args:
        store: A store that holds the risk.
        name: The risk.
        bins: Number of bins, of equal width over the known values.

    Returns:
        Edges (bins + 1,), and the counts (bins,) of each level, highest first; windows of unknown risk are left out.

    Example:
        >>> import tempfile
        >>> from openclef.simulator.cohort import simulate
        >>> store = simulate(tempfile.mkdtemp() + "/sim", patients=8, workers=1).add_risk("age_sex")
        >>> edges, counts = completeness_counts(store, "age_sex", bins=4)
        >>> len(edges), sum(int(each.sum()) for each in counts.values())
        (5, 8)
    """
    return _counts(store.risk(name), bins)


def _counts(values: pd.DataFrame, bins: int) -> tuple[np.ndarray, dict[float, np.ndarray]]:
    known = values[np.isfinite(values["value"])]
    if not len(known):
        return np.linspace(0, 1, bins + 1), {}
    low, high = float(known["value"].min()), float(known["value"].max())
    edges = np.linspace(low, high if high > low else low + 1, bins + 1)
    levels = known["completeness"].round(2)
    return edges, {
        float(level): np.histogram(known["value"][levels == level], edges)[0]
        for level in sorted(levels.unique(), reverse=True)
    }


def risk_words(name: str, score: str) -> str:
    """Say what a risk is and in which unit.

    Args:
        name: Its name in the store.
        score: The score's, in `openclef.risk.SCORES`; any other has no title.

    Example:
        >>> risk_words("score2_low", "score2")
        'SCORE2 and SCORE2-OP: ten-year risk of fatal and non-fatal cardiovascular disease, as a fraction'
        >>> risk_words("mine", "")
        'mine'
    """
    known = risk.SCORES.get(score)
    if known is None:
        return name
    return f"{known.title}, {'as a fraction' if known.unit == 'fraction' else f'in {known.unit}'}"


def _distribution(store: Store, name: str) -> Html:
    if name not in store.risks:
        store.risk(name)  # raises, saying how to add it
    values, score = read_risk(store, name)
    edges, counts = _counts(values, _BINS)
    what = risk_words(name, score)
    described = risk.describe(values["value"], values["n_missing"], values["completeness"])
    whole = described.rows[-1]
    heading = element("h3", name, element("span", f"{store.name}, {len(store):,} windows", class_="sub"))
    said = (
        f"{what}. Median {number(whole['median'])}, middle half {number(whole['q25'])} to {number(whole['q75'])}; "
        f"unknown for {whole['unknown']:,} of {whole['n']:,} windows. "
        + (f"Degenerate as guidance: {described.degenerate}." if described.degenerate else "")
    )
    levels = described.rows[:-1]
    body = table(
        ["completeness", "windows", "share", "25 %", "median", "75 %"],
        [
            [
                f"{row['completeness']:.0%}",
                f"{row['n']:,}",
                f"{row['share']:.0%}",
                *(number(row[each]) for each in ("q25", "median", "q75")),
            ]
            for row in levels
        ],
        caption="Completeness: share of the score's inputs that are known. Share: of all windows. 25 %, median and "
        "75 %: quantiles of the score over the windows where it is known",
    )
    if not counts:
        return join([heading, element("p", f"No value is known. {said}"), body])
    colours = {level: f"level-{min(place, 5)}" for place, level in enumerate(counts)}
    centres = (edges[:-1] + edges[1:]) / 2
    picture = figure(
        [
            {
                "type": "bar",
                "x": centres,
                "y": count,
                "width": float(edges[1] - edges[0]) * 0.94,
                "name": f"{level:.0%}",
                "marker": {"color": f"@{colours[level]}", "line": {"width": 0}},
                "hovertemplate": f"{level:.0%} known: %{{y:,}} windows<extra></extra>",
            }
            for level, count in counts.items()
        ],
        {
            "barmode": "stack",
            "xaxis": {"title": {"text": "<br>".join(map(label, wrap(what, 44)))}, "zeroline": False},
            "yaxis": {"title": {"text": "windows"}},
            "hovermode": "closest",
        },
        alt=f"Histogram of {name} of {store.name}, stacked by completeness. {said}",
        caption=said,
        height=300,
    )
    legend = key([(f"{level:.0%} known", colours[level], "box") for level in counts])
    return join([heading, element("div", element("div", legend, picture), body, class_="pair")])
