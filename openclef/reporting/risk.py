"""A store's risk score by completeness: a table for the terminal and a figure for the browser."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
from rich.console import Console
from rich.table import Table

from openclef import risk
from openclef.store import Store, write_atomically

__all__ = ["print_risk", "risk_table", "write_risk_figure"]

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
        path: HTML file to write.

    Raises:
        KeyError: the store holds no such risk.
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
    try:
        import plotly.graph_objects as go
    except ImportError as error:
        raise ImportError('the figure needs plotly; pip install "openclef[report]".') from error
    values = store.risk(label)
    known = values[values["value"].notna()]
    figure = go.Figure()
    edges = np.linspace(known["value"].min(), known["value"].max() + 1e-12, 41) if len(known) else np.zeros(2)
    for level, rows in known.groupby(known["completeness"].round(2)):
        count, _ = np.histogram(rows["value"], edges)
        figure.add_bar(
            x=(edges[:-1] + edges[1:]) / 2,
            y=count,
            name=f"completeness {level:.2f} (n = {len(rows):,})",
        )
    unknown = int(values["value"].isna().sum())
    figure.update_layout(
        barmode="stack",
        bargap=0.02,
        template="plotly_white",
        title=f"{label} of {store.name}: {len(known):,} windows known, {unknown:,} unknown",
        xaxis_title=label,
        yaxis_title="windows",
    )
    page = figure.to_html(include_plotlyjs=True, full_html=True)
    write_atomically(Path(path), lambda temporary: temporary.write_text(page, encoding="utf-8"))
