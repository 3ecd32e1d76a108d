"""The integrity of a cohort's metadata as tables for the terminal."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pandas as pd
from rich.console import Console
from rich.table import Table

from openclef.integrity import Integrity

__all__ = ["print_integrity"]


def print_integrity(found: Integrity, console: Console | None = None) -> None:
    """Print what a cohort's risk scores rest on: distributions, inputs, correlations, wrong defaults, the verdict.

    Args:
        found: of `openclef.integrity.judge_integrity`.
        console: where to; the terminal by default.

    Example:
        >>> from openclef.integrity import judge_integrity
        >>> people = pd.DataFrame({"age_years": [50.0, 61.0] * 15, "sex": ["male", "female"] * 15})
        >>> print_integrity(judge_integrity(people), Console(width=120))
        Scores by completeness, 30 subjects
        ...
        age_sex: age and sex
    """
    console = console or Console()
    distribution = found.distribution.assign(
        completeness=found.distribution["completeness"].map(lambda level: _share(level) or "all")
    )
    _print(
        console,
        f"Scores by completeness, {found.subjects:,} subjects",
        distribution,
        {
            "score": ("score", str),
            "completeness": ("complete", str),
            "n": ("subjects", _count),
            "unknown": ("no value", _count),
            "q25": ("25 %", _number),
            "median": ("median", _number),
            "q75": ("75 %", _number),
            "modal_share": ("one value", _share),
        },
    )
    _print(
        console,
        "Inputs",
        found.inputs,
        {
            "input": ("input", str),
            "known": ("known", _share),
            "default": ("at the default", _share),
            "modal_value": ("most frequent value", str),
            "modal_share": ("its share of the known", _share),
        },
    )
    _print(
        console,
        "Agreement of ranks",
        found.correlations,
        {
            "score": ("score", str),
            "other": ("with", str),
            "spearman": ("Spearman", _correlation),
            "n": ("subjects", _count),
        },
    )
    _print(
        console,
        "What wrong defaults would do",
        found.wrong_defaults,
        {
            "score": ("score", str),
            "input": ("input", str),
            "wrong": ("default", str),
            "unknown": ("for", _share),
            "spearman": ("Spearman with the score", _correlation),
            "shift": ("mean change of rank", _share),
        },
    )
    console.print(f"{found.verdict[:1].upper()}{found.verdict[1:]}.", soft_wrap=True)
    for judgement in found.judgements:
        console.print(str(judgement), soft_wrap=True, highlight=False, markup=False)


def _print(
    console: Console, title: str, rows: pd.DataFrame, columns: dict[str, tuple[str, Callable[[Any], str]]]
) -> None:
    if rows.empty:
        return
    table = Table(title=title, title_justify="left")
    for heading, shown in columns.values():
        table.add_column(heading, justify="left" if shown is str else "right")
    for row in rows.to_dict("records"):
        table.add_row(*(shown(row[name]) for name, (_, shown) in columns.items()))
    console.print(table)


def _share(value: float) -> str:
    return "" if math.isnan(value) else f"{value:.0%}"


def _count(value: int) -> str:
    return f"{value:,}"


def _number(value: float) -> str:
    return "-" if math.isnan(value) else f"{value:.3g}"


def _correlation(value: float) -> str:
    return "-" if math.isnan(value) else f"{value:.3f}"
