"""Checking a store: files, records, tasks, risks, and whether metadata and signals belong together."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from openclef.columns import FIXED_COLUMNS, PLAUSIBLE, SEXES, SPLITS, UNNAMED_UNITS
from openclef.linkage import judge_linkage
from openclef.plausibility import doubt_signals
from openclef.shards import MISSING, sha256_of
from openclef.store import Store, open_store
from openclef.task import Task

if TYPE_CHECKING:  # pandas takes long to import; a command's help does without it
    import pandas as pd

_TEXTS = ("record_id", "subject_id", "split", "flags")
_WHOLE = ("window", "shard", "row")
_SHOWN = 3  # examples named in one problem


@dataclass(frozen=True)
class CheckReport:
    """What a check found.

    Args:
        path: the store's folder.
        problems: every broken invariant, in words; none where the store is sound.
        linkage: verdict, reason and numbers of the linkage check; None where it was not asked for.

    Example:
        >>> print(CheckReport("a", ["records.parquet is missing"]))
        a: 1 problem
        - records.parquet is missing
    """

    path: str
    problems: list[str]
    linkage: dict[str, Any] | None = None

    @property
    def ok(self) -> bool:
        """True where there is no problem."""
        return not self.problems

    def __str__(self) -> str:
        count = len(self.problems)
        lines = [f"{self.path}: " + ("sound" if self.ok else f"{count} problem{'s' * (count > 1)}")]
        lines += [f"- {problem}" for problem in self.problems]
        if self.linkage is not None:
            lines.append(f"linkage: {self.linkage['verdict']}: {self.linkage['reason']}")
        return "\n".join(lines)


def check(store: Store | str | Path, *, linkage: bool = False, seed: int = 0) -> CheckReport:
    """Check a store: every file's hash, every invariant of the format, and on demand the linkage.

    Args:
        store: the store, or its folder.
        linkage: judge, too, whether the metadata belongs to the signals: what an ECG tells of age and sex
            must fit the row's own metadata clearly better than that of permuted or neighbouring rows.
        seed: of the linkage's sample and permutations.

    Returns:
        The report; ``report.ok`` is True where nothing is broken, ``print(report)`` says what is.

    Example:
        >>> check("nowhere").problems
        ['nowhere holds no dataset.json: there is no such folder; ...']
    """
    path = store.path if isinstance(store, Store) else Path(store)
    try:
        opened = open_store(path)  # afresh, so that nothing comes from memory
    except (FileNotFoundError, ValueError, KeyError, TypeError) as error:
        return CheckReport(str(path), [str(error)])
    problems = [*_shards(opened), *_records_file(opened)]
    verdict = None
    if not any(problem.startswith("records.parquet") for problem in problems):
        problems += _rows(opened)
        problems += _metadata(opened.records)
        problems += [problem for task in opened.tasks.values() for problem in _task(task, opened.records)]
        problems += _unknown_columns(opened)
        if not any(problem.startswith(f"shard {opened.path}") for problem in problems):
            problems += doubt_signals(opened)
    problems += _risks(opened)
    if linkage and problems:
        reason = "the store is not sound; mend it first"
        verdict = {"verdict": "cannot be judged", "reason": reason, "targets": {}}
    elif linkage:
        verdict = asdict(judge_linkage(opened, seed=seed))
        if verdict["verdict"] == "broken":
            problems.append(f"linkage of metadata and signals: {verdict['reason']}")
    return CheckReport(str(path), problems, verdict)


def _shards(store: Store) -> Iterator[str]:
    for number, shard in enumerate(store.info["shards"]):
        file = store.path / shard["file"]
        try:
            signals = store.signals(number)
        except ValueError as error:
            yield str(error)
            continue
        if sha256_of(file) != shard["sha256"]:
            yield f"{file.name}: sha256 differs from that in dataset.json; its content was changed"
        # a window without a value begins and ends without one: only such windows are read whole
        suspects = np.flatnonzero((signals[:, :, 0] == MISSING).all(axis=1))
        empty = [row for row in suspects if (signals[row] == MISSING).all()]
        if empty:
            yield f"{file.name}: {len(empty)} windows hold no value, rows {_some(empty)}"
    named = {shard["file"] for shard in store.info["shards"]}
    extra = sorted({path.name for path in store.path.glob("signals-*.npy")} - named)
    if extra:
        yield f"{_some(extra)}: not named in dataset.json; {len(extra)} shards too many"


def _records_file(store: Store) -> Iterator[str]:
    file = store.path / "records.parquet"
    if not file.is_file():
        yield "records.parquet is missing; convert again with overwrite=True"
        return
    try:
        records = store.records
    except (ValueError, OSError) as error:
        yield f"records.parquet cannot be used: {error}"
        return
    absent = [name for name in FIXED_COLUMNS if name not in records]
    if absent:
        yield f"records.parquet lacks the columns {', '.join(absent)}"
    wrong = [
        n for n in _TEXTS if n in records and not records[n].map(lambda cell: isinstance(cell, str)).all()
    ]
    wrong += [n for n in _WHOLE if n in records and records[n].dtype.kind != "i"]
    wrong += [n for n in ("start_s", "seconds") if n in records and records[n].dtype.kind != "f"]
    if wrong:
        yield f"records.parquet: columns {', '.join(wrong)} have another type than the format's"


def _rows(store: Store) -> Iterator[str]:
    records = store.records
    rows = [shard["rows"] for shard in store.info["shards"]]
    shard, row = np.repeat(np.arange(len(rows)), rows), np.concatenate([np.arange(n) for n in rows])
    if not (np.array_equal(records["shard"], shard) and np.array_equal(records["row"], row)):
        yield "columns shard and row: not in the order of the shards"
    if (records["record_id"] == "").any():
        yield "column record_id: empty in some rows"
    if (records["subject_id"] == "").any():
        yield "column subject_id: empty in some rows"
    twice = records.loc[records.duplicated(["record_id", "window"]), "record_id"]
    if len(twice):
        yield f"column record_id: {len(twice)} windows stand there twice, of records {_some(twice)}"
    odd = sorted(set(records["split"]) - set(SPLITS))
    if odd:
        yield f"column split: {_some(odd)}; accepted are {', '.join(map(repr, SPLITS))}"
    used = records[records["split"] != ""]
    splits = used.groupby("subject_id")["split"].nunique()
    if (splits > 1).any():
        several = splits.index[splits > 1]
        yield f"column split: {len(several)} subjects stand on more than one split: {_some(several)}"
    owners = records.groupby("record_id")["subject_id"].nunique()
    if (owners > 1).any():
        several = owners.index[owners > 1]
        yield f"column subject_id: {len(several)} records belong to more than one subject: {_some(several)}"
    seconds, length = records["seconds"], store.samples / store.fs
    if not ((seconds > 0) & (seconds <= length + 1e-6)).all():
        yield f"column seconds: outside 0 to {length:g} in some rows"
    if not (np.isfinite(records["start_s"]) & (records["start_s"] >= 0)).all():
        yield "column start_s: below 0 or unknown in some rows"
    padded = records["flags"].str.split(";").map(lambda flags: "padded" in flags).to_numpy()
    short = (seconds < length - 0.5 / store.fs).to_numpy()
    if (padded != short).any():
        yield f"column flags: {(padded != short).sum()} rows are padded and not flagged so, or the reverse"


def _metadata(records: pd.DataFrame) -> Iterator[str]:
    for name, (low, high) in PLAUSIBLE.items():
        if name not in records:
            continue
        values = records[name]
        if values.dtype.kind != "f":
            yield f"column {name}: holds {values.dtype}; it must hold numbers"
            continue
        odd = values[(values < low) | (values > high)]
        if len(odd):
            yield f"column {name}: {len(odd)} values outside {low:g} to {high:g}, such as {odd.iloc[0]:g}"
        elif (low, high) == (0, 1) and not values.dropna().isin([0, 1]).all():
            yield f"column {name}: values other than 0, 1 and NaN"
    if "sex" in records:
        unknown = sorted(set(records["sex"].map(str)) - set(SEXES))
        if unknown:
            yield f"column sex: {_some(unknown)}; accepted are {', '.join(map(repr, SEXES))}"
        known = records[records["sex"] != ""]
        sexes = known.groupby("subject_id")["sex"].nunique()
        if (sexes > 1).any():
            several = sexes.index[sexes > 1]
            yield f"column sex: {len(several)} subjects are both female and male: {_some(several)}"


def _task(task: Task, records: pd.DataFrame) -> Iterator[str]:
    absent = [column for column in task.columns if column not in records]
    if absent:
        yield f"task {task.name}: columns {_some(absent)} are missing"
        return
    truth = records[list(task.columns)]
    kinds = {truth[column].dtype.kind for column in task.columns}
    if (task.kind == "multiclass") == (kinds == {"f"}):
        yield f"task {task.name}: its columns hold the wrong type for {task.kind}"
        return
    if task.kind == "multiclass":
        odd = sorted(set(truth.iloc[:, 0]) - {*task.labels, ""})
        if odd:
            yield f"task {task.name}: {_some(odd)} are none of its labels {', '.join(task.labels)}"
        labelled = bool((truth.iloc[:, 0] != "").any())
    else:
        values = truth.to_numpy(np.float64)
        if task.kind != "regression" and not np.isin(values[~np.isnan(values)], [0, 1]).all():
            yield f"task {task.name}: values other than 0, 1 and NaN"
        if np.isinf(values).any():
            yield f"task {task.name}: infinite values"
        labelled = not bool(np.isnan(values).all())
    if not labelled:
        yield f"task {task.name}: no row is labelled"


def _unknown_columns(store: Store) -> Iterator[str]:
    known = {*FIXED_COLUMNS, *(column for task in store.tasks.values() for column in task.columns)}
    for name in store.records.columns:
        if name in known:
            continue
        if name in UNNAMED_UNITS:
            yield f"column {name}: its name leaves the unit open; name it {UNNAMED_UNITS[name]}"
        elif name.startswith("_") or "/" in name:
            yield f"column {name}: unknown; columns of this form belong to a task, and none names it"


def _risks(store: Store) -> Iterator[str]:
    for file in sorted(store.path.glob("risk/*.parquet")):
        name = f"risk/{file.name}"
        if file.stem not in store.risks:
            yield f"{name}: {file.stem}.json is missing; compute it again with store.add_risk"
            continue
        try:
            about = json.loads(file.with_suffix(".json").read_text(encoding="utf-8"))
            if sha256_of(file) != about["sha256"]:
                yield f"{name}: sha256 differs from that in {file.stem}.json; its content was changed"
            frame = store.risk(file.stem)
        except (OSError, ValueError, KeyError) as error:
            yield f"{name}: {error}"
            continue
        if list(frame.columns) != ["value", "n_missing", "completeness"]:
            yield f"{name}: columns {', '.join(frame.columns)}; they must be value, n_missing, completeness"
        elif not frame["completeness"].between(0, 1).all() or (frame["n_missing"] < 0).any():
            yield f"{name}: completeness outside 0 to 1, or a negative number of missing inputs"
        elif np.isinf(frame["value"]).any():
            yield f"{name}: infinite values"


def _some(names: Any) -> str:
    """The first few, and how many more there are."""
    names = list(dict.fromkeys(map(str, names)))
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return ", ".join(names[:_SHOWN]) + more
