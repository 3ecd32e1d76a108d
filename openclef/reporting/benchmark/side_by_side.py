"""Models beside each other: one table a lead and metric, columns are tasks."""

from __future__ import annotations

import pandas as pd

from openclef.reporting.benchmark.tables import Tables
from openclef.reporting.benchmark.value_table import by_protocol, value_table
from openclef.reporting.benchmark.views import (
    in_order,
    lead_words,
    main_metrics,
    no_rows,
    share_words,
    task_name,
    tasks_of,
)
from openclef.reporting.markup import Html, Section, breakable, element, folded, join
from openclef.reporting.values import better, is_baseline


def side_by_side_section(tables: Tables) -> Section:
    """Return the tables of AUROC and of mean absolute error, with the largest share of labels.

    Args:
        tables: Of the benchmark.

    Example:
        >>> import tempfile
        >>> from pathlib import Path
        >>> from openclef.reporting.benchmark.tables import read_tables
        >>> folder = Path(tempfile.mkdtemp())
        >>> (folder / "benchmark.json").write_text("{}") and side_by_side_section(read_tables(folder)).title
        'Models side by side'
    """
    rows = main_metrics(tables.recorded())
    if rows.empty:
        return Section("side-by-side", "Models side by side", no_rows("benchmark.csv", "no result"))
    share = rows["label_share"].max()
    rows = rows[rows["label_share"] == share]
    parts: list[Html] = []
    for place, lead in enumerate(in_order(rows["lead"], tables.setting("leads"))):
        of_lead = rows[rows["lead"] == lead]
        shown = []
        for metric, title in (("auroc", "AUROC"), ("mae", "Mean absolute error")):
            of = of_lead[of_lead["metric"] == metric]
            if of.empty:
                continue
            tasks = tasks_of(of, tables)
            units = of.drop_duplicates("task").set_index("task")["unit"]
            leads = of.drop_duplicates("task").set_index("task").get("own_lead", {})
            headings = {
                task: join(
                    [
                        task_name(task),
                        f" in {units[task]}" if units[task] else "",
                        element("span", f"lead {leads[task]}", class_="ends") if task in leads else "",
                    ]
                )
                for task in tasks
            }
            about = f"{title}, {lead_words(lead)}, {share_words(share)}"
            better_is = "higher" if metric == "auroc" else "lower"
            caption = f"{about}; {better_is} is better. Beneath: 95 % interval. Bold: best of the column, not a test."
            shown += [
                value_table(
                    by_protocol(of), "task", headings, caption=caption, best=dict.fromkeys(headings, metric)
                ),
                element("p", breakable(wins(of, metric)), class_="caption"),
            ]
        parts.append(join(shown) if not place else folded(lead_words(lead), *shown))
    return Section("side-by-side", "Models side by side", join(parts))


def wins(rows: pd.DataFrame, metric: str) -> str:
    """Say which models are best on how many tasks, and on how many a baseline is.

    Args:
        rows: Rows of one metric and lead: model, protocol, task, value.
        metric: Its name.

    Example:
        >>> rows = pd.DataFrame({"model": ["clef", "age_sex"], "protocol": "probe", "task": "a", "value": [0.8, 0.7]})
        >>> wins(rows, "auroc")
        'Best on most tasks: clef (1 of 1); a baseline on 0. Which differences are more than chance: next sections.'
    """
    known = rows[rows["value"].notna()]
    lowest = better(metric, 0.0, 1.0)
    best = []
    for _, of in known.groupby("task", sort=False):
        row = of.sort_values("value", ascending=lowest, kind="stable").iloc[0]
        best.append(
            (
                f"{row['model']} ({row['protocol']})" if known["protocol"].nunique() > 1 else row["model"],
                row["model"],
            )
        )
    if not best:
        return ""
    names = [name for name, _ in best]
    top = max(names.count(name) for name in names)
    leaders = [name for name in dict.fromkeys(names) if names.count(name) == top]
    base = sum(is_baseline(model) for _, model in best)
    return (
        f"Best on most tasks: {', '.join(leaders)} ({top} of {len(best)}"
        f"{' each' if len(leaders) > 1 else ''}); a baseline on {base}. Which differences are more than chance: next "
        "sections."
    )
