"""The integrity of a cohort's metadata as tables for the terminal."""

from __future__ import annotations

import math
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from openclef.integrity import CONTROLS, Integrity

__all__ = ["print_integrity"]

_WRONG = {"low": "10th percentile", "high": "90th percentile", "yes": "yes"}


def print_integrity(found: Integrity, console: Console | None = None) -> None:
    """Print what a cohort's risk scores rest on, a row a score and a row an input, how they agree, and the verdict.

    The whole tables (by completeness, each wrong default) are in `found`.

    Args:
        found: of `openclef.integrity.judge_integrity`.
        console: where to; the terminal by default.

    Example:
        >>> import pandas as pd
        >>> from openclef.integrity import judge_integrity
        >>> people = pd.DataFrame({"age_years": [50.0, 61.0] * 15, "sex": ["male", "female"] * 15})
        >>> print_integrity(judge_integrity(people), Console(width=120))
        Scores of 30 subjects
        ...
        age_sex: age and sex
    """
    console = console or Console()
    names = [each.score for each in found.judgements]
    _print_scores(found, names, console)
    _print_inputs(found, console)
    others = [name for name in names if name not in CONTROLS]
    if len(others) > 1:
        _print_agreement(found, others, console)
    console.print(f"Verdict: {found.verdict}.", soft_wrap=True, highlight=False)
    for judgement in found.judgements:
        console.print(str(judgement), soft_wrap=True, highlight=False, markup=False)


def _print_scores(found: Integrity, names: list[str], console: Console) -> None:
    table = _table(f"Scores of {found.subjects:,} subjects")
    table.add_column("score", no_wrap=True)
    for heading in ("value", "compl.", "25 %", "median", "75 %", "~age", "~age_sex", "~compl."):
        table.add_column(heading, justify="right", no_wrap=True)
    for name in names:
        levels = found.distribution[found.distribution["score"] == name]
        row = levels[levels["completeness"].isna()].iloc[0]
        of_all = levels[levels["completeness"].notna()].sort_values("completeness")
        half = of_all[of_all["n"].cumsum() >= found.subjects / 2].iloc[0]["completeness"]
        table.add_row(
            name,
            f"{1 - row['unknown'] / row['n']:.0%}",
            f"{half:.0%}",
            *(_number(row[quantile]) for quantile in ("q25", "median", "q75")),
            *(_correlation(_between(found, name, other)) for other in ("age", "age_sex", "completeness")),
        )
    console.print(table)
    console.print("compl.: median completeness; ~: Spearman's correlation with it", highlight=False)
    if len(found.wrong_defaults):
        _print_defaults(found, names, console)


def _print_defaults(found: Integrity, names: list[str], console: Console) -> None:
    """The input whose default matters most for the ranks, score by score."""
    table = _table("Wrong defaults of the input that matters most: Spearman with the score")
    for heading in ("score", "input", "unknown", "instead of the default", "Spearman"):
        table.add_column(
            heading, justify="right" if heading in ("unknown", "Spearman") else "left", no_wrap=True
        )
    for name in names:
        rows = found.wrong_defaults[found.wrong_defaults["score"] == name].dropna(subset="spearman")
        for row in rows.sort_values("spearman").head(1).to_dict("records"):
            wrong = _WRONG[row["wrong"]]
            table.add_row(name, row["input"], f"{row['unknown']:.0%}", wrong, _correlation(row["spearman"]))
    console.print(table)


def _between(found: Integrity, name: str, other: str) -> float:
    """Spearman of a score with another, whichever stands first."""
    if name == other:
        return 1.0
    for row in found.correlations.to_dict("records"):
        if {row["score"], row["other"]} == {name, other}:
            return float(row["spearman"])
    return math.nan


def _print_inputs(found: Integrity, console: Console) -> None:
    table = _table("Inputs")
    table.add_column("input", no_wrap=True)
    for heading in ("known", "at the default", "most frequent", "its share"):
        table.add_column(heading, justify="right", no_wrap=True)
    for row in found.inputs.to_dict("records"):
        table.add_row(
            row["input"],
            f"{row['known']:.0%}",
            _share(row["default"]),
            _value(row["modal_value"]),
            _share(row["modal_share"]),
        )
    console.print(table)


def _print_agreement(found: Integrity, names: list[str], console: Console) -> None:
    table = _table("Agreement of the scores' ranks (Spearman)")
    table.add_column("", no_wrap=True)
    for number, _ in enumerate(names, 1):
        table.add_column(str(number), justify="right", no_wrap=True)
    for number, name in enumerate(names, 1):
        cells = (_between(found, name, other) for other in names[:number])
        table.add_row(f"{number} {name}", *map(_correlation, cells))
    console.print(table)


def _value(text: str) -> str:
    """A value as it stands in the table, a number in short."""
    try:
        return f"{float(text):.4g}"
    except ValueError:
        return text


def _share(value: float) -> str:
    return "" if math.isnan(value) else f"{value:.0%}"


def _number(value: Any) -> str:
    return "-" if math.isnan(value) else f"{value:.3g}"


def _correlation(value: float) -> str:
    """Two decimals without the zero before the point."""
    return "-" if math.isnan(value) else f"{value:.2f}".replace("0.", ".", 1)


def _table(title: str) -> Table:
    return Table(
        title=title,
        title_justify="left",
        box=SIMPLE_HEAD,
        show_edge=False,
        pad_edge=False,
        collapse_padding=True,
    )
