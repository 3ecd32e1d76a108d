"""The tables of a benchmark: their columns, writing them, and reading them again."""

from __future__ import annotations

import json
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from openclef.store import write_atomically

__all__ = ["TABLES", "Benchmark", "read_table", "write_table"]

_CELL = {"task": str, "protocol": str, "lead": str, "label_share": float}
_VALUE = {"value": float, "low": float, "high": float}

# Table -> column -> type; the file is <table>.csv.
TABLES: dict[str, dict[str, type]] = {
    "benchmark": {
        "model": str, "task": str, "protocol": str, "lead": str, "metric": str, **_VALUE, "n": int, "seeds": int,
        "label_share": float, "condition": str, "part": str, "note": str, "split": str, "unit": str,
    },
    "labels": {
        "model": str, **_CELL, "label": str, "n": int, "positives": int, "prevalence": float, "auroc": float,
        "auroc_low": float, "auroc_high": float, "auprc": float, "auprc_low": float, "auprc_high": float,
        "measurable": bool,
    },
    "comparisons": {
        "model": str, "against": str, "task": str, "protocol": str, "against_protocol": str, "lead": str,
        "label_share": float, "metric": str, **_VALUE, "p": float, "p_holm": float, "n": int, "seeds": int,
        "against_seeds": int,
    },
    "averages": {
        "model": str, "protocol": str, "lead": str, "label_share": float, "metric": str, **_VALUE, "tasks": int,
        "reference": str,
    },
    "ranks": {
        "model": str, "protocol": str, "lead": str, "label_share": float, "mean_rank": float, "tasks": int,
        "critical_difference": float, "friedman_p": float, "cliques": str,
    },
    "reliability": {
        "model": str, **_CELL, "bin_low": float, "bin_high": float, "mean_predicted": float, "observed": float,
        "n": int,
    },
    "looks": {
        "time": str, "store": str, "task": str, "model": str, "weights": str, "settings": str, "protocol": str,
        "lead": str, "label_share": float, "condition": str, "records": int, "subjects": int,
    },
    "skipped": {
        "task": str, "lead": str, "protocol": str, "label_share": float, "model": str, "reason": str,
    },
    "costs": {
        "model": str, "backbone": str, "parameters": int, "dim": int, "leads": str, "fs_hz": float, "window_s": float,
        "gflop": float, "embeddings_per_second": float, "threads": int, "cpu": str,
    },
}  # fmt: skip


def write_table(folder: Path, name: str, rows: pd.DataFrame | list[dict[str, Any]]) -> pd.DataFrame:
    """Write a table with exactly its columns, with a header where there is no row.

    Args:
        folder: Of the benchmark.
        name: A key of `TABLES`.
        rows: Its rows.

    Returns:
        The table as written.

    Example:
        >>> import tempfile
        >>> list(write_table(Path(tempfile.mkdtemp()), "skipped", []).columns)[-1]
        'reason'
    """
    columns = list(TABLES[name])
    table = pd.DataFrame(rows, columns=None if len(rows) else columns)[columns]
    write_atomically(folder / f"{name}.csv", lambda path: table.to_csv(path, index=False))
    return table


def read_table(folder: Path, name: str) -> pd.DataFrame:
    """Read a table; text stays text, also where it is empty or "NA".

    Args:
        folder: Of the benchmark.
        name: A key of `TABLES`.

    Returns:
        The table.

    Raises:
        FileNotFoundError: It is not there.
        ValueError: A column is missing or of another type.

    Example:
        >>> read_table(Path("nowhere"), "skipped")
        Traceback (most recent call last):
        ...
        FileNotFoundError: nowhere holds no skipped.csv; pass the folder of a finished benchmark.
    """
    file = folder / f"{name}.csv"
    if not file.is_file():
        raise FileNotFoundError(f"{folder} holds no {name}.csv; pass the folder of a finished benchmark.")
    text = pd.read_csv(file, dtype=str, keep_default_na=False)
    absent = [column for column in TABLES[name] if column not in text]
    if absent:
        raise ValueError(f"{file} lacks the columns {', '.join(absent)}; run the benchmark again.")
    try:
        return pd.DataFrame({name: _typed(text[name], kind) for name, kind in TABLES[name].items()})
    except ValueError as error:
        raise ValueError(f"{file} is damaged ({error}); run the benchmark again.") from error


def _typed(column: pd.Series, kind: type) -> pd.Series:
    if kind is bool:
        return column == "True"
    if kind is float:
        return column.replace("", np.nan).astype(float)
    return column.astype(kind)


class Benchmark:
    """What a benchmark found, read from the tables in its folder.

    Args:
        folder: The folder.

    Example:
        >>> Benchmark("runs/none").folder.name
        'none'
    """

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder)

    @cached_property
    def about(self) -> dict[str, Any]:
        """`benchmark.json`: settings, models, stores, tasks, versions and seconds."""
        return json.loads((self.folder / "benchmark.json").read_text(encoding="utf-8"))

    @cached_property
    def metrics(self) -> pd.DataFrame:
        """One row a model, cell, metric, condition and part."""
        return read_table(self.folder, "benchmark")

    @cached_property
    def labels(self) -> pd.DataFrame:
        """One row a model, cell and label."""
        return read_table(self.folder, "labels")

    @cached_property
    def comparisons(self) -> pd.DataFrame:
        """One row a pair of models on a task."""
        return read_table(self.folder, "comparisons")

    @cached_property
    def averages(self) -> pd.DataFrame:
        """One row a model and average over tasks."""
        return read_table(self.folder, "averages")

    @cached_property
    def ranks(self) -> pd.DataFrame:
        """One row a model: its mean rank over tasks."""
        return read_table(self.folder, "ranks")

    @cached_property
    def reliability(self) -> pd.DataFrame:
        """One row a model, task and bin of predicted probability."""
        return read_table(self.folder, "reliability")

    @cached_property
    def looks(self) -> pd.DataFrame:
        """One row a look at a test split, of this benchmark and of all others."""
        return read_table(self.folder, "looks")

    @cached_property
    def skipped(self) -> pd.DataFrame:
        """One row a cell that could not be judged, with the reason."""
        return read_table(self.folder, "skipped")

    @cached_property
    def costs(self) -> pd.DataFrame:
        """One row a model: its size, operations and speed."""
        return read_table(self.folder, "costs")

    def __repr__(self) -> str:
        return f"Benchmark({str(self.folder)!r})"

    def __str__(self) -> str:
        """Macro AUROC, or MAE, with intervals: a row a model, a column a task; a block a protocol, lead and budget."""
        whole = self.metrics[(self.metrics["condition"] == "") & (self.metrics["part"] == "")]
        shown = whole[whole["metric"].isin(("auroc", "mae"))]
        blocks = []
        for names, rows in shown.groupby(["protocol", "lead", "label_share"], sort=False):
            protocol, lead, share = map(str, names)
            cells = rows.assign(
                cell=[_interval(row) for row in rows.itertuples()],
                column=[f"{row.task} {_heading(row)}" for row in rows.itertuples()],
            )
            table = cells.pivot_table(
                index="model", columns="column", values="cell", aggfunc="first", sort=False
            )
            table = table.reindex(cells["model"].unique()).fillna("").rename_axis(index=None, columns=None)
            of = "" if share == "1.0" else f", {share} of the training labels"
            split = rows["split"].iloc[0]
            blocks.append(
                f"{protocol}, lead {lead}{of}, {split}: value [95 % interval]\n{table.to_string(line_width=120)}"
            )
        return "\n\n".join(blocks)


def _heading(row: Any) -> str:
    return "AUROC" if row.metric == "auroc" else f"MAE {row.unit}".strip()


def _interval(row: Any) -> str:
    if pd.isna(row.value):
        return "not measurable"
    digits = 3 if row.metric == "auroc" else 2
    return f"{row.value:.{digits}f} [{row.low:.{digits}f}, {row.high:.{digits}f}]"
