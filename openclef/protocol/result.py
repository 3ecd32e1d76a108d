"""What an evaluation found: tables that are saved and read again, and the comparison of two of them."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from openclef.metrics import METRICS, OF_CLASSES
from openclef.protocol.scoring import MIN_POSITIVES, Stack, stack
from openclef.statistics import paired_difference
from openclef.store import write_atomically


@dataclass(frozen=True)
class Result:
    """What an evaluation found.

    Args:
        metrics: One row a model and metric; columns as `metrics_of` gives them.
        predictions: One row a model, seed, record and label.
        model: Name of the model that was judged, first among the models of the tables.
        split: The split that was judged.
        settings: What validation chose, one entry a model and seed.
        note: What could not be checked, for example whether an encoder has seen the judged subjects; "" = nothing.

    Example:
        >>> Result(pd.DataFrame(), pd.DataFrame(), "clef").split
        'test'
    """

    metrics: pd.DataFrame
    predictions: pd.DataFrame
    model: str
    split: str = "test"
    settings: list[dict[str, Any]] = field(default_factory=list)
    note: str = ""

    def __str__(self) -> str:
        """A line a model: its first two metrics over all labels, with intervals, and the notes once below."""
        if self.metrics.empty:
            return f"{self.model}: nothing was judged"
        recorded = (self.metrics["part"] == "") & (self.metrics["condition"] == "")
        whole = self.metrics[recorded & ~self.metrics["metric"].str.contains(":")]
        shown = [name for name in whole["metric"].unique() if name != "prevalence"][:2]
        first = whole.iloc[0]
        lines = [
            f"{first['task']}, {first['protocol']}, lead {first['lead']}, {self.split}: value [95 % interval]"
        ]
        width = max(map(len, whole["model"].unique()))
        lines.append(
            f"{'model':<{width}}  " + "  ".join(f"{name:<22}" for name in shown) + "  records  seeds"
        )
        for model, rows in whole.groupby("model", sort=False):
            by_metric = rows.set_index("metric")
            cells = "  ".join(f"{_interval(by_metric.loc[name]):<22}" for name in shown)
            about = by_metric.iloc[0]
            lines.append(f"{model:<{width}}  {cells}  {about['n']:>7,}  {about['seeds']:>5}")
        notes = [note for note in dict.fromkeys([*whole["note"], self.note]) if note]
        return "\n".join([*lines, *(f"note: {note}" for note in notes)])

    def save(self, folder: str | Path) -> Path:
        """Write metrics.json (rows), predictions.parquet and evaluation.json (model, split, settings, note).

        Args:
            folder: Made where it is missing; each file is written whole or not at all.

        Returns:
            The folder.

        Raises:
            FileExistsError: If the folder, or one above it, is a file.

        Example:
            >>> import tempfile
            >>> with tempfile.TemporaryDirectory() as folder:
            ...     empty = Result(pd.DataFrame({"model": ["m"]}), pd.DataFrame({"model": ["m"]}), "m")
            ...     load_result(empty.save(folder)).model
            'm'
        """
        folder = check_folder(folder)
        folder.mkdir(parents=True, exist_ok=True)
        rows = [
            {
                key: None if isinstance(value, float) and np.isnan(value) else value
                for key, value in row.items()
            }
            for row in self.metrics.to_dict("records")
        ]
        about = {"model": self.model, "split": self.split, "settings": self.settings, "note": self.note}
        write_atomically(
            folder / "predictions.parquet", lambda path: self.predictions.to_parquet(path, index=False)
        )
        write_atomically(folder / "evaluation.json", lambda path: _write_json(path, about))
        write_atomically(folder / "metrics.json", lambda path: _write_json(path, rows))
        return folder


def _interval(row: pd.Series) -> str:
    if pd.isna(row["value"]):
        return "not measurable"
    return f"{row['value']:.3f} [{row['low']:.3f}, {row['high']:.3f}]"


def _write_json(path: Path, value: Any) -> None:
    path.write_text(json.dumps(value, indent=1, allow_nan=False), encoding="utf-8")


def check_folder(folder: str | Path) -> Path:
    """Refuse a folder that cannot be made because a file stands there.

    Args:
        folder: Where something shall be written.

    Returns:
        The folder as a `Path`; it is not made.

    Raises:
        FileExistsError: If the folder, or one above it, is a file.

    Example:
        >>> check_folder("results/clef").name
        'clef'
    """
    folder = Path(folder)
    for place in (folder, *folder.parents):
        if place.exists() and not place.is_dir():
            raise FileExistsError(f"{place} is a file; pass another place for the results.")
    return folder


def load_result(folder: str | Path) -> Result:
    """Read what `Result.save` wrote.

    Args:
        folder: The folder.

    Returns:
        The `Result`.

    Raises:
        FileNotFoundError: If a file of it is missing.
        ValueError: If a file of it is damaged; the message names it.

    Example:
        >>> load_result("nowhere")
        Traceback (most recent call last):
        ...
        FileNotFoundError: nowhere holds no evaluation.json; pass a folder that Result.save wrote.
    """
    folder = Path(folder)
    for name in ("evaluation.json", "metrics.json", "predictions.parquet"):
        if not (folder / name).is_file():
            raise FileNotFoundError(f"{folder} holds no {name}; pass a folder that Result.save wrote.")
    about = _readable(folder / "evaluation.json", _read_about)
    metrics = _readable(folder / "metrics.json", _read_metrics)
    predictions = _readable(folder / "predictions.parquet", _read_predictions)
    return Result(metrics, predictions, **about)


def _readable(file: Path, read: Callable[[Path], Any]) -> Any:
    try:
        return read(file)
    except (ValueError, TypeError, OSError) as error:  # pyarrow raises these for files that break off
        reason = str(error).strip().splitlines()[0][:200] if str(error).strip() else type(error).__name__
        raise ValueError(
            f"{file} is damaged ({reason}); copy the folder again, or evaluate and save anew."
        ) from error


def _read_about(file: Path) -> dict[str, Any]:
    about = json.loads(file.read_text(encoding="utf-8"))
    kinds = {"model": str, "split": str, "settings": list, "note": str}
    if not isinstance(about, dict) or not {"model", "split", "settings"} <= set(about) <= set(kinds):
        raise ValueError("it must hold model, split, settings and note")
    wrong = [name for name, value in about.items() if not isinstance(value, kinds[name])]
    if wrong:
        raise ValueError(f"{', '.join(wrong)} of a wrong type")
    return about


def _read_metrics(file: Path) -> pd.DataFrame:
    rows = json.loads(file.read_text(encoding="utf-8"))
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise ValueError("it must hold a list of rows")
    metrics = pd.DataFrame(rows)
    if len(metrics) and "condition" not in metrics:  # of a release before there were conditions
        metrics["condition"] = ""
    for name in ("value", "low", "high"):
        if name in metrics:
            metrics[name] = metrics[name].astype(float)
    return metrics


def _read_predictions(file: Path) -> pd.DataFrame:
    predictions = pd.read_parquet(file)
    return predictions if "condition" in predictions else predictions.assign(condition="")


def compare(
    result: Result,
    against: Result,
    *,
    metric: str = "auroc",
    model: str | None = None,
    against_model: str | None = None,
    draws: int = 1000,
    permutations: int = 1000,
    min_positives: int = MIN_POSITIVES,
    seed: int = 0,
) -> pd.DataFrame:
    """Difference of two models on the same records, with a paired interval and a paired permutation p.

    Args:
        result: Result of the first model.
        against: Result of the second; the same one, to compare two models of it.
        metric: A key of `openclef.metrics.METRICS`, macro over the measurable labels.
        model: Which model of the first result; None = the one that was judged.
        against_model: Which of the second.
        draws: Bootstrap draws over subjects and seeds, the same for both.
        permutations: Swaps of the two models' predictions by subject.
        min_positives: Fewest positives and negatives of a label that counts.
        seed: Seed of both.

    Returns:
        A table of one row: model, against, task, protocol, lead, metric, value (first minus second), low,
        high, p, n, seeds, against_seeds. Adjust the p values of a table with `openclef.statistics.holm`. With few
        labels only runs on the same draws of subjects are compared.

    Raises:
        ValueError: If the results differ in task, split or records, or hold no such model, one is no `Result`, or
            there are too few positives and negatives or records.

    Example:
        >>> about = {"model": "m", "seed": 0, "task": "t", "protocol": "probe", "lead": "I", "store": "a",
        ...          "label_share": 1.0, "condition": "", "split": "test", "label": "sbp", "kind": "regression"}
        >>> rows = [about | {"record_id": str(r), "subject_id": str(r), "target": float(r), "score": r + 2.0}
        ...         for r in range(12)]
        >>> result = Result(pd.DataFrame(), pd.DataFrame(rows), "m")
        >>> table = compare(result, result, metric="mae", draws=9, permutations=9)
        >>> table[["value", "low", "high", "p"]].values.tolist()
        [[0.0, 0.0, 0.0, 1.0]]
    """
    for given in (result, against):
        if not isinstance(given, Result):
            raise ValueError(
                f"{given!r} is no Result; pass what openclef.evaluate returned or load_result has read."
            )
    first, first_about = _chosen(result, model)
    second, second_about = _chosen(against, against_model)
    _check_alike(first, second, first_about, second_about, (result.split, against.split))
    if first_about["label_share"] == second_about["label_share"] < 1:
        first, second = _of_common_draws(first, second)
    if (first.kind == "regression") == (metric in OF_CLASSES):
        fitting = [name for name in METRICS if (name in OF_CLASSES) != (first.kind == "regression")]
        raise ValueError(
            f"metric is {metric!r} and {first_about['task']} is {first.kind}; pass metric= one of {', '.join(fitting)}."
        )
    if first.kind == "regression" and len(first.keys) < min_positives:
        raise ValueError(
            f"{first_about['task']} has {len(first.keys)} judged records, fewer than {min_positives}; nothing to "
            "compare."
        )
    matching = [second.labels.index(label) for label in first.labels]
    found = paired_difference(
        first.target,
        first.score,
        second.score[:, :, matching],
        first.subject,
        metric=metric,
        draws=draws,
        permutations=permutations,
        seed=seed,
        least=min_positives,
    )
    row = {
        "model": first_about["model"],
        "against": second_about["model"],
        **{key: first_about[key] for key in ("task", "protocol", "lead")},
        "metric": metric,
        "value": found.difference,
        "low": found.low,
        "high": found.high,
        "p": found.p,
        "n": len(first.keys),
        "seeds": first.seeds,
        "against_seeds": second.seeds,
    }
    return pd.DataFrame([row])


def _chosen(result: Result, model: str | None) -> tuple[Stack, dict[str, Any]]:
    name = result.model if model is None else model
    table = result.predictions
    rows = table[(table["model"] == name) & (table["split"] == result.split) & (table["condition"] == "")]
    if not len(rows):
        raise ValueError(f"model is {name!r}; the result holds {', '.join(dict.fromkeys(table['model']))}.")
    return stack(rows), {
        key: rows[key].iloc[0] for key in ("model", "task", "protocol", "lead", "label_share")
    }


def _of_common_draws(first: Stack, second: Stack) -> tuple[Stack, Stack]:
    """The runs that were fitted on the same draws of subjects: run i of every model has the labels of draw i."""
    runs = min(first.seeds, second.seeds)
    return replace(first, score=first.score[:runs]), replace(second, score=second.score[:runs])


def _check_alike(
    first: Stack, second: Stack, about: dict[str, Any], other: dict[str, Any], splits: tuple[str, str]
) -> None:
    for what, a, b in (("task", about["task"], other["task"]), ("split", *splits)):
        if a != b:
            raise ValueError(
                f"the results differ in {what}: {a} and {b}; compare models judged on the same {what}."
            )
    if set(first.labels) != set(second.labels):
        raise ValueError(
            f"the results differ in labels: {', '.join(sorted({*first.labels} ^ {*second.labels}))}."
        )
    only = first.keys.symmetric_difference(second.keys)
    if len(only):
        named = ", ".join("/".join(key) for key in only[:5])
        raise ValueError(
            f"{len(only)} records stand in one result only ({named}); judge both on the same stores."
        )
    matching = [second.labels.index(label) for label in first.labels]
    if not np.array_equal(first.target, second.target[:, matching], equal_nan=True):
        raise ValueError(
            "the results hold different targets for the same records; judge both on the same stores."
        )
