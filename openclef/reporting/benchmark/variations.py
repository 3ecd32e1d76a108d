"""A section of values under conditions or of parts of the records, beside those of all records as recorded."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, NamedTuple

import pandas as pd

from openclef.reporting.benchmark.tables import Tables
from openclef.reporting.benchmark.views import (
    View,
    main_metrics,
    of_measured_tasks,
    open_first,
    rows_of,
    side_by_side,
    styles_of,
    tasks_of,
    views_of,
)
from openclef.reporting.drawing import Style, among, with_key
from openclef.reporting.markup import Html, Section, element, join


class Variation(NamedTuple):
    """What varies, and how it is said and shown.

    Args:
        column: Of benchmark.csv: "condition" or "part"; the other one is "" in all rows.
        anchor: The section's id.
        title: Its heading.
        absent: What stands there where nothing was varied.
        about: What the figures show.
        panel: Makes a task's figure of its rows, its name, the view and the styles of the models to draw.
        values: Makes the folded table of the rows and the names of their tasks.

    Example:
        >>> Variation._fields[:2]
        ('column', 'anchor')
    """

    column: Literal["condition", "part"]
    anchor: str
    title: str
    absent: str
    about: str
    panel: Callable[[pd.DataFrame, str, View, dict[str, Style]], Html]
    values: Callable[[pd.DataFrame, list[str]], Html]


def variation_section(tables: Tables, what: Variation) -> Section:
    """Return a figure a task of its main metric under every variation, with the largest share of training labels.

    Args:
        tables: Of the benchmark.
        what: Varies.

    Example:
        >>> import tempfile
        >>> from pathlib import Path
        >>> from openclef.reporting.benchmark.tables import read_tables
        >>> folder = Path(tempfile.mkdtemp())
        >>> what = Variation("part", "parts", "Parts", "none", "", lambda *_: Html(), lambda *_: Html())
        >>> (folder / "benchmark.json").write_text("{}") and variation_section(read_tables(folder), what).body
        '<p class="missing">none</p>'
    """
    other = {"condition": "part", "part": "condition"}[what.column]
    rows = of_measured_tasks(main_metrics(tables.metrics[tables.metrics[other] == ""]))
    varied = rows[rows[what.column] != ""]
    if varied.empty:
        return Section(what.anchor, what.title, element("p", what.absent, class_="missing"))
    rows = rows[rows["label_share"] == varied["label_share"].max()]
    styles = styles_of(tables)
    views = views_of(rows[rows[what.column] != ""], tables)

    def show(view: View) -> Html:
        here = rows_of(rows, view)
        tasks = tasks_of(here[here[what.column] != ""], tables)
        here = here[here["task"].isin(tasks)]
        alone = among(styles, here.loc[here[what.column] != "", "model"], hollow=False)
        panels = [what.panel(here[here["task"] == task], task, view, alone) for task in tasks]
        drawn = with_key(alone, side_by_side(tasks, panels))
        return join([drawn, what.values(here, tasks)]) if view == views[0] else drawn

    return Section(what.anchor, what.title, join([element("p", what.about), open_first(views, show)]))
