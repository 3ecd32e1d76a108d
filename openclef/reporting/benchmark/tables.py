"""Reading the CSV files and benchmark.json of a benchmark, and refusing damaged ones by file and column."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from openclef.reporting.result_files import read_json

# Columns of each file: names of things, which no row may lack; other texts; numbers; yes or no.
_CELL = ("model", "task", "protocol", "lead")
_ENDS = ("value", "low", "high")
_FILES: dict[str, dict[str, tuple[str, ...]]] = {
    "benchmark": {
        "name": ("model", "task", "metric"),
        "text": ("protocol", "lead", "condition", "part", "note", "split", "unit"),
        "number": (*_ENDS, "n", "seeds", "label_share"),
    },
    "labels": {
        "name": ("model", "task", "label"),
        "text": ("protocol", "lead"),
        "number": (
            *("label_share", "n", "positives", "prevalence"),
            *("auroc", "auroc_low", "auroc_high", "auprc", "auprc_low", "auprc_high"),
        ),
        "flag": ("measurable",),
    },
    "comparisons": {
        "name": ("model", "against", "task", "metric"),
        "text": ("protocol", "against_protocol", "lead"),
        "number": ("label_share", *_ENDS, "p", "p_holm", "n", "seeds", "against_seeds"),
    },
    "averages": {
        "name": ("model", "metric"),
        "text": ("protocol", "lead", "reference"),
        "number": ("label_share", *_ENDS, "tasks"),
    },
    "ranks": {
        "name": ("model",),
        "text": ("protocol", "lead"),
        "number": ("label_share", "mean_rank", "tasks", "critical_difference", "friedman_p"),
    },
    "reliability": {
        "name": ("model", "task"),
        "text": ("protocol", "lead"),
        "number": ("label_share", "bin_low", "bin_high", "mean_predicted", "observed", "n"),
    },
    "looks": {
        "name": ("store", "task", "model"),
        "text": ("time", "weights", "protocol", "lead", "condition"),
        "number": ("label_share", "records", "subjects"),
    },
    "skipped": {
        "name": ("task", "reason"),
        "text": ("lead", "protocol", "label_share", "model"),
    },
    "costs": {
        "name": ("model",),
        "text": ("backbone", "leads", "cpu"),
        "number": ("parameters", "dim", "fs_hz", "window_s", "gflop", "embeddings_per_second", "threads"),
    },
}
OWN = "own"  # stands for the lead in averages and ranks where each task has its own
_FLAGS = {"true": True, "1": True, "1.0": True, "false": False, "0": False, "0.0": False}


@dataclass(frozen=True)
class Tables:
    """What a benchmark left.

    Args:
        folder: Where.
        about: Its benchmark.json.
        metrics: benchmark.csv.
        labels: labels.csv.
        comparisons: comparisons.csv.
        averages: averages.csv.
        ranks: ranks.csv.
        reliability: reliability.csv.
        looks: looks.csv.
        skipped: skipped.csv.
        costs: costs.csv.

    Example:
        >>> Tables(Path("bench"), {"settings": {"seed": 3}}, *[pd.DataFrame()] * 8).setting("seed")
        3
    """

    folder: Path
    about: dict[str, Any]
    metrics: pd.DataFrame
    labels: pd.DataFrame
    comparisons: pd.DataFrame
    averages: pd.DataFrame
    ranks: pd.DataFrame
    reliability: pd.DataFrame
    looks: pd.DataFrame
    skipped: pd.DataFrame
    costs: pd.DataFrame = field(default_factory=pd.DataFrame)

    def setting(self, name: str, default: Any = None) -> Any:
        """One of the settings that the benchmark was called with.

        Args:
            name: Of the setting.
            default: Where benchmark.json does not have it.

        Example:
            >>> Tables(Path("bench"), {}, *[pd.DataFrame()] * 8).setting("draws", 1000)
            1000
        """
        settings = self.about.get("settings")
        return settings.get(name, default) if isinstance(settings, dict) else default

    def leads(self) -> list[str]:
        """The leads by name, with their tasks where each task has its own.

        Example:
            >>> rows = pd.DataFrame({"task": ["a/af", "b/af"], "lead": "own", "own_lead": ["I", "MLII"]})
            >>> Tables(Path("bench"), {}, rows, *[pd.DataFrame()] * 7).leads()
            ['I (a/af)', 'MLII (b/af)']
        """
        if "own_lead" not in self.metrics:
            return list(dict.fromkeys(self.metrics["lead"]))
        of_tasks = self.metrics.drop_duplicates("task").groupby("own_lead", sort=False)["task"]
        return [f"{lead} ({', '.join(tasks)})" for lead, tasks in of_tasks]

    def recorded(self) -> pd.DataFrame:
        """Rows of benchmark.csv over all records, as recorded.

        Example:
            >>> rows = pd.DataFrame({"part": ["", "sex=male"], "condition": ""})
            >>> len(Tables(Path("bench"), {}, rows, *[pd.DataFrame()] * 7).recorded())
            1
        """
        return self.metrics[(self.metrics["part"] == "") & (self.metrics["condition"] == "")]


def read_tables(folder: Path) -> Tables:
    """Read a benchmark's files.

    Args:
        folder: With benchmark.json; a CSV file that is not there is empty.

    Raises:
        FileNotFoundError: There is no benchmark.json.
        ValueError: A file is damaged; the message names it and the column.

    Example:
        >>> import tempfile
        >>> folder = Path(tempfile.mkdtemp())
        >>> (folder / "benchmark.json").write_text("{}"), (folder / "ranks.csv").write_text("model,protocol")
        (2, 14)
        >>> read_tables(folder)
        Traceback (most recent call last):
        ...
        ValueError: ...ranks.csv is damaged (it has no column lead); run the benchmark again, ...
    """
    if not (folder / "benchmark.json").is_file():
        raise FileNotFoundError(
            f"{folder} holds no benchmark.json; pass the folder that openclef.benchmark wrote."
        )
    about = read_json(folder / "benchmark.json")
    if not isinstance(about, dict):
        raise ValueError(
            f"{folder / 'benchmark.json'} is damaged (it holds no settings); run the benchmark again, which "
            "keeps the cells that are finished."
        )
    found = [_read(folder / f"{name}.csv", columns) for name, columns in _FILES.items()]
    tables = Tables(folder, about, *found)
    if tables.setting("leads") == [OWN]:  # the tasks stand side by side, whatever their leads
        tables.metrics["own_lead"] = tables.metrics["lead"]
        for rows in found[:-3]:
            rows["lead"] = OWN
    return tables


def _read(file: Path, columns: dict[str, tuple[str, ...]]) -> pd.DataFrame:
    """Read a file as text, so that no name becomes a number or a gap, and turn numbers into numbers."""
    every = [name for names in columns.values() for name in names]
    if not file.is_file():
        return pd.DataFrame(columns=every)
    try:
        rows = pd.read_csv(file, dtype=str, keep_default_na=False)
    except pd.errors.EmptyDataError:
        return pd.DataFrame(columns=every)
    except ValueError as error:  # pandas' own errors are of this kind, and those of an encoding
        raise _damaged(file, str(error).strip()) from error
    rows = rows.astype(object)  # of which rows are taken faster than of pandas' own texts
    for kind, names in columns.items():
        for name in names:
            if name not in rows:
                raise _damaged(file, f"it has no column {name}")
            if rows[name].isna().any():  # a line that ends too early
                raise _damaged(file, f"column {name}: line {_line(rows[name].isna())} ends before it")
            if kind == "name" and (rows[name] == "").any():
                raise _damaged(file, f"column {name}: line {_line(rows[name] == '')} has none")
            if kind == "number":
                rows[name] = _numbers(rows[name], file)
            if kind == "flag":
                flags = rows[name].str.strip().str.lower().map(_FLAGS)
                if flags.isna().any():
                    raise _damaged(
                        file, f"column {name}: line {_line(flags.isna())} is neither True nor False"
                    )
                rows[name] = flags.astype(bool)
    return rows


def _numbers(column: pd.Series, file: Path) -> pd.Series:
    numbers = pd.to_numeric(column, errors="coerce").astype(float)
    wrong = numbers.isna() & ~column.str.strip().str.lower().isin(("", "nan"))
    wrong |= np.isinf(numbers)
    if column.name == "label_share":
        wrong |= ~((numbers > 0) & (numbers <= 1))
    if wrong.any():
        given = column[wrong].iloc[0]
        raise _damaged(file, f"column {column.name}: line {_line(wrong)} has {given[:40]!r}")
    return numbers


def _line(wrong: pd.Series) -> int:
    """Line of the file of the first row that is wrong; the header is line 1."""
    return int(np.flatnonzero(wrong.to_numpy())[0]) + 2


def _damaged(file: Path, why: str) -> ValueError:
    return ValueError(
        f"{file} is damaged ({why}); run the benchmark again, which keeps the cells that are finished and writes its "
        "tables anew."
    )
