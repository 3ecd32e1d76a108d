"""Judging the cells of the grid: what is kept is found, what fails is listed, and the rest goes on."""

from __future__ import annotations

import errno
import json
import math
import shutil
import time
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from rich.console import Console

import openclef
from openclef.benchmarking.cell import Cell, Grid, JudgedCell
from openclef.benchmarking.kept import hash_of
from openclef.benchmarking.tables import write_table
from openclef.protocol.evaluation import evaluate
from openclef.protocol.result import load_result
from openclef.shards import sha256_of, write_json

__all__ = ["find_judged", "judge", "judge_all", "warned_once"]

EXPLAINED = (ValueError, FileNotFoundError, FloatingPointError, ImportError)  # their messages say all
OF_THE_MACHINE = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO)  # the disk's trouble, not a model's
RESULT_FILES = ("evaluation.json", "metrics.json", "predictions.parquet")


def judge_all(
    cells: Sequence[Cell], grid: Grid, out: Path, console: Console
) -> tuple[list[JudgedCell], list[dict[str, Any]], dict[str, int]]:
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
        # Broad here alone, at the border to models of others: whatever one raises is listed as the reason, and the
        # others go on. KeyboardInterrupt and SystemExit are no Exception and pass; so does a disk that is full.
        except Exception as error:
            if isinstance(error, OSError) and error.errno in OF_THE_MACHINE:
                raise
            reason = _reason(error)
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


def _reason(error: Exception) -> str:
    """Why a cell was skipped, in one line: with the type, where the message alone need not say what is wrong."""
    message = " ".join(str(error).split())
    if isinstance(error, EXPLAINED) and message:
        return message
    return f"{type(error).__name__}: {message}".removesuffix(": ")


def _first_metric(judged: JudgedCell) -> str:
    row = judged.metrics.iloc[0]
    if np.isnan(row["value"]):
        return f"{row['metric']} not measurable"
    unit = judged.cell.task.unit if row["metric"] == "mae" else ""
    name = {"auroc": "AUROC", "mae": "MAE"}.get(row["metric"], row["metric"])
    return f"{name} {row['value']:.3f} [{row['low']:.3f}, {row['high']:.3f}] {unit}".strip()


def find_judged(cell: Cell, grid: Grid, out: Path) -> tuple[JudgedCell | None, str]:
    """Find a cell's result of an earlier run.

    Args:
        cell: The cell.
        grid: What is the same for all cells.
        out: Folder of the benchmark.

    Returns:
        The result, or None where there is none that may be used, and then why: "" where there is none at all.

    Example:
        >>> from openclef.benchmarking.competitor import Competitor
        >>> from openclef.task import Task
        >>> cell = Cell(Task("a/af", "binary", ("af",), ("af",)), "I", "probe", 1.0, Competitor("clef"), ())
        >>> find_judged(cell, Grid(), Path("nowhere"))
        (None, '')
    """
    folder = out / "cells" / cell.place
    file = folder / "cell.json"
    if not file.exists():
        return None, ""
    try:
        noted = json.loads(file.read_text(encoding="utf-8"))
        before, sha256, seconds = noted["key"], noted["predictions_sha256"], float(noted["seconds"])
        hashes = {"predictions.parquet": sha256} | dict(
            noted.get("sha256", {})
        )  # an older one has the first alone
    except (ValueError, KeyError, TypeError, AttributeError, OSError, OverflowError, RecursionError):
        return None, "its cell.json is damaged"
    if not math.isfinite(seconds) or set(hashes) - set(RESULT_FILES):
        return None, "its cell.json is damaged"
    differences = _differences(before, cell.key(grid))
    if differences:
        return None, f"{', '.join(differences)} changed"
    if not all((folder / name).is_file() for name in RESULT_FILES):
        return None, "files of it are missing"
    damaged = [name for name, given in hashes.items() if sha256_of(folder / name) != given]
    if damaged:
        return None, f"its {' and '.join(damaged)} {'are' if len(damaged) > 1 else 'is'} damaged"
    try:
        result = load_result(folder)
        _check_metrics(result.metrics)
    except (ValueError, KeyError, TypeError, OSError, OverflowError, RecursionError):
        return None, "its files are damaged"
    return JudgedCell(cell, folder, sha256, result.metrics, seconds, result.note), ""


def judge(cell: Cell, grid: Grid, out: Path) -> JudgedCell:
    """Judge a cell and keep its result, whole or not at all.

    Args:
        cell: The cell.
        grid: What is the same for all cells.
        out: Folder of the benchmark.

    Returns:
        The result.

    Raises:
        FileNotFoundError: A model's folder is not there.
        ValueError: As `openclef.evaluate` says.

    Example:
        >>> from openclef.benchmarking.competitor import Competitor
        >>> from openclef.task import Task
        >>> cell = Cell(Task("a/af", "binary", ("af",), ("af",)), "I", "probe", 1.0, Competitor("features"), ())
        >>> judge(cell, Grid(), Path("nowhere"))
        Traceback (most recent call last):
        ...
        ValueError: No store is given; pass a store or a list of stores.
    """
    folder = out / "cells" / cell.place
    _make_way(folder, out)
    key = cell.key(grid)
    trainings = out / "runs" / cell.place.parent / f"{cell.place.name}-{_hash_of_training(key, grid.device)}"
    start = time.perf_counter()
    result = _evaluate(cell, grid, out, trainings)
    seconds = time.perf_counter() - start
    result.save(folder)
    sha256 = sha256_of(folder / "predictions.parquet")
    write_json(
        folder / "cell.json",
        {
            "key": key,
            "predictions_sha256": sha256,
            "sha256": {name: sha256_of(folder / name) for name in ("evaluation.json", "metrics.json")},
            "note": result.note,
            "seconds": round(seconds, 3),
            "openclef_version": openclef.__version__,
        },
    )
    return JudgedCell(cell, folder, sha256, result.metrics, seconds, result.note)


def _check_metrics(metrics: pd.DataFrame) -> None:
    """Refuse metrics that the tables could not be made of."""
    numbers = metrics[["value", "low", "high", "n", "seeds", "label_share"]].astype(float)
    texts = metrics[["model", "task", "protocol", "lead", "metric", "condition", "part", "note"]]
    if metrics.empty or numbers[["n", "seeds", "label_share"]].isna().any(axis=None):
        raise ValueError("metrics.json holds no metrics; delete the cell's folder, and it is judged anew.")
    if not texts.map(lambda value: isinstance(value, str)).all(axis=None):
        raise ValueError(
            "metrics.json holds names that are no text; delete the cell's folder, and it is judged anew."
        )


def _make_way(folder: Path, out: Path) -> None:
    """Remove what stands where a cell's files or folders go, cell.json too: without it the cell is not judged yet."""
    inside = [place for place in (folder, *folder.parents) if place.is_relative_to(out / "cells")]
    for place in reversed(inside):
        if place.exists() and not place.is_dir():
            place.unlink()
    for name in ("cell.json", *RESULT_FILES):
        if (folder / name).is_dir():
            shutil.rmtree(folder / name)
    (folder / "cell.json").unlink(missing_ok=True)


def _evaluate(cell: Cell, grid: Grid, out: Path, trainings: Path) -> Any:
    whole = cell.label_share == 1
    return evaluate(
        cell.competitor.model(cell.protocol, grid.seeds_of(cell.protocol)),
        cell.stores,
        cell.task.name,
        protocol=cell.protocol,
        lead=cell.lead,
        name=cell.competitor.name,
        seeds=grid.seeds_of(cell.protocol),
        label_share=cell.label_share,
        split=grid.split,
        by=grid.by if whole else (),
        draws=grid.draws,
        finetuning=grid.finetuning,
        runs=trainings,
        batch_size=grid.batch_size,
        device=grid.device,
        min_positives=grid.min_positives,
        seed=grid.seed,
        conditions=grid.conditions if whole else (),
        cache=out / "cache",
        workers=grid.workers,
    )


def _hash_of_training(key: dict[str, Any], device: str | None) -> str:
    """Of what decides a training: what only judging uses may change without training again.

    Another version of openclef, or another kind of device, trains anew in a folder beside.
    """
    import torch

    where = device or ("cuda" if torch.cuda.is_available() else "cpu")
    here = {"openclef": openclef.__version__, "device": where.split(":")[0]}
    names = (
        "task",
        "label_share",
        "weights",
        "architecture",
        "stores",
        "seeds",
        "seed",
        "finetuning",
    )
    # Only where there is recorded noise: the names of other folders stay.
    noise = {} if key["noise"] is None else {"noise": key["noise"]}
    return hash_of({name: key[name] for name in names} | noise | here)[:12]


_IN_WORDS = {
    "stores": "the stores or their order",
    "weights": "the weights",
    "subjects": "whom it was pretrained on",
}


def _differences(before: Any, now: dict[str, Any]) -> list[str]:
    if not isinstance(before, dict):
        return ["everything"]
    names = [name for name in sorted({*before, *now}) if before.get(name) != now.get(name)]
    return [_IN_WORDS.get(name, name) for name in names]
