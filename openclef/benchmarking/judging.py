"""Judging all cells of the grid: what is kept is found, what fails is listed, and the rest goes on."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console

from openclef.benchmarking.cell import Cell, Grid, Judged, find_judged, judge
from openclef.benchmarking.tables import write_table

__all__ = ["judge_all", "warned_once"]

EXPLAINED = (ValueError, FileNotFoundError, FloatingPointError, ImportError)  # their messages say all


def judge_all(
    cells: Sequence[Cell], grid: Grid, out: Path, console: Console
) -> tuple[list[Judged], list[dict[str, Any]], dict[str, int]]:
    """Judge what is not judged yet.

    Args:
        cells: The cells.
        grid: What is the same for all.
        out: Folder of the benchmark.
        console: Where a line a cell is printed.

    Returns:
        The results; rows of `skipped.csv` for what cannot be judged; how many were judged, before and now, and skipped.

    Raises:
        ValueError: There is no cell, or none can be judged.

    Example:
        >>> judge_all([], Grid(), Path("nowhere"), Console(quiet=True))
        Traceback (most recent call last):
        ...
        ValueError: there is nothing to judge; pass models, or baselines that the protocols take.
    """
    found = {cell.place: find_judged(cell, grid, out) for cell in cells}
    if not cells:
        raise ValueError("there is nothing to judge; pass models, or baselines that the protocols take.")
    waiting = sum(one is None for one, _ in found.values())
    console.print(f"{len(cells)} cells in {out}: {len(cells) - waiting} judged before, {waiting} to judge")
    judged, skipped, done = [], [], 0
    said: set[str] = set()
    for cell in cells:
        before, reason = found[cell.place]
        if before is not None:
            judged.append(before)
            continue
        if reason:
            console.print(f"{cell}: judged anew, {reason}")
        done += 1
        try:
            with warned_once(said, console):
                now = judge(cell, grid, out)
        except Exception as error:  # noqa: BLE001 - whatever one model does is listed, and the others go on
            reason = str(error) if isinstance(error, EXPLAINED) else f"{type(error).__name__}: {error}"
            skipped.append(cell.about | {"model": cell.competitor.name, "reason": reason})
            console.print(f"{cell}: skipped, {reason} ({waiting - done} left)")
            continue
        judged.append(now)
        console.print(
            f"{cell}: {_first_metric(now)}, {now.seconds:.1f} s ({waiting - done} left)", markup=False
        )
    if not judged:
        write_table(out, "skipped", skipped)
        reasons = "; ".join(dict.fromkeys(row["reason"] for row in skipped[:3]))
        raise ValueError(f"none of {len(cells)} cells can be judged: {reasons}")
    counts = {"judged": done - len(skipped), "judged_before": len(cells) - waiting, "skipped": len(skipped)}
    return judged, skipped, counts


@contextmanager
def warned_once(said: set[str], console: Console) -> Iterator[None]:
    """Print each warning for users once, and not again for each cell.

    Example:
        >>> said: set[str] = set()
        >>> with warned_once(said, Console(quiet=True)):
        ...     warnings.warn("two copies", stacklevel=1)
        >>> said
        {'two copies'}
    """
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", UserWarning)
        try:
            yield
        finally:
            for each in caught:
                text = str(each.message)
                if each.category is UserWarning and text not in said:
                    said.add(text)
                    console.print(f"warning: {text}")


def _first_metric(judged: Judged) -> str:
    row = judged.metrics.iloc[0]
    if np.isnan(row["value"]):
        return f"{row['metric']} not measurable"
    unit = judged.cell.task.unit if row["metric"] == "mae" else ""
    name = {"auroc": "AUROC", "mae": "MAE"}.get(row["metric"], row["metric"])
    return f"{name} {row['value']:.3f} [{row['low']:.3f}, {row['high']:.3f}] {unit}".strip()
