"""Averages over tasks, and what they say."""

from __future__ import annotations

import pandas as pd

from openclef.reporting.benchmark.tables import Tables
from openclef.reporting.benchmark.value_table import by_protocol, value_table
from openclef.reporting.benchmark.views import in_order, lead_words, no_rows, share_words
from openclef.reporting.markup import Html, element, folded
from openclef.reporting.values import WITH_AGE_SEX, clear_of_zero, reading, sorted_rows


def averages(tables: Tables) -> list[Html]:
    """Return the tables of averages over tasks, those with all labels and on the first lead open.

    Args:
        tables: Of the benchmark.

    Example:
        >>> empty = pd.DataFrame()
        >>> from pathlib import Path
        >>> averages(Tables(Path(), {}, *[empty] * 8))[-1]
        '<p class="missing">averages.csv has no rows: no averages over tasks.</p>'
    """
    heading = element("h3", "Averages over tasks")
    rows = tables.averages
    if rows.empty:
        return [heading, no_rows("averages.csv", "no averages over tasks")]
    titles = {
        "auroc": "average AUROC",
        "auroc_change_percent": "AUROC, change in %",
        "mae_change_percent": "MAE, change in %",
    }
    headings = {name: title for name, title in titles.items() if (rows["metric"] == name).any()}
    places = [
        (lead, share)
        for share in sorted(rows["label_share"].unique(), reverse=True)
        for lead in in_order(rows["lead"], tables.setting("leads"))
        if ((rows["lead"] == lead) & (rows["label_share"] == share)).any()
    ]
    parts = [heading]
    for place, (lead, share) in enumerate(places):
        groups = average_groups(rows[(rows["lead"] == lead) & (rows["label_share"] == share)])
        words = f"{lead_words(lead)}, {share_words(share)}"
        body = value_table(
            groups,
            "metric",
            headings,
            caption=f"Averages, {words}. Bold: the best of each group; AUROC: higher is better, MAE: lower. Groups are "
            "averaged over the tasks that all their models have.",
            best={"auroc": "auroc", "auroc_change_percent": "auroc", "mae_change_percent": "mae"},
            best_of_group=True,
            percent=("auroc_change_percent", "mae_change_percent"),
            count="tasks",
        )
        if place:
            parts.append(folded(words, body))
        else:
            said = [element("p", averages_reading(title, of), class_="caption") for title, of in groups[:2]]
            parts += [body, *said]
    return parts


def average_groups(rows: pd.DataFrame) -> list[tuple[str, pd.DataFrame]]:
    """Return averages by protocol, models alone apart from those with age and sex: these have another reference.

    Args:
        rows: Of averages.csv, of one lead and label share.

    Example:
        >>> rows = pd.DataFrame({"model": ["clef", "age_sex"], "protocol": "probe", "reference": ["scratch", ""]})
        >>> [title for title, _ in average_groups(rows)]
        ['probe, changes against scratch', 'probe, with age and sex']
    """
    groups = []
    for protocol, of in by_protocol(rows):
        appended = of["model"].map(lambda name: name == "age_sex" or name.endswith(WITH_AGE_SEX)).astype(bool)
        for family, words in ((of[~appended], ""), (of[appended], ", with age and sex")):
            if len(family):
                against = ", ".join(dict.fromkeys(str(each) for each in family["reference"] if each))
                groups.append(
                    (f"{protocol}{words}" + (f", changes against {against}" if against else ""), family)
                )
    return groups


def averages_reading(title: str, rows: pd.DataFrame) -> str:
    """Say which average of a group is highest, and which models changed by more than their intervals.

    Args:
        title: Of the group.
        rows: Its rows of averages.csv.

    Example:
        >>> rows = pd.DataFrame({"model": ["clef", "simclr"], "metric": "auroc_change_percent", "value": [3.0, 1.0],
        ...                      "low": [1.0, -1.0], "high": [5.0, 3.0], "reference": "age_sex"})
        >>> averages_reading("probe", rows)
        'probe: AUROC above age_sex: clef; the interval contains 0: simclr.'
    """
    said = []
    average = rows[rows["metric"] == "auroc"]
    if len(average):
        said.append(reading(average, "auroc"))
    for metric, name, up, down in (
        ("auroc_change_percent", "AUROC", "above", "below"),
        ("mae_change_percent", "MAE", "higher than", "lower than"),
    ):
        of = rows[(rows["metric"] == metric) & (rows["model"] != rows["reference"]) & rows["value"].notna()]
        for reference, some in of.groupby("reference", sort=False):
            sides: dict[str, list[str]] = {f"{up} {reference}": [], f"{down} {reference}": []}
            unclear = []
            for row in sorted_rows(some).to_dict("records"):
                if clear_of_zero(row["low"], row["high"], digits=1):
                    sides[f"{up if row['value'] > 0 else down} {reference}"].append(row["model"])
                else:
                    unclear.append(row["model"])
            lists = [f"{side}: {', '.join(models)}" for side, models in sides.items() if models]
            if unclear:
                lists.append(f"the interval contains 0: {', '.join(unclear)}")
            said.append(f"{name} {'; '.join(lists)}.")
    return f"{title.split(', changes')[0]}: {' '.join(said)}"
