"""The records that a task is judged on: several stores pooled, targets, splits by subject."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from openclef import __version__
from openclef.condition import Condition
from openclef.embedding import embed_store
from openclef.protocol.cache import FeatureCache, encoder_sha256, may_keep, store_sha256
from openclef.signal import lead_indices
from openclef.store import Store, hash_subjects, open_store
from openclef.task import Task

if TYPE_CHECKING:
    import torch


_FORMAT = 2  # of kept features: raise it when the way from a recording to its features changes


@dataclass(frozen=True)
class Cohort:
    """The records of a task, pooled over stores.

    Args:
        task: The task.
        lead: The lead by name.
        stores: The stores.
        records: One row a record: store, record_id, subject_id ("namespace:subject_id"), subject_hash, split,
            age_years, sex.
        target: (records, labels) 0/1, one column a class for "multiclass", or values; NaN = takes no part.
        windows: For each store, its rows that take part and the record that each belongs to.

    Example:
        >>> from openclef.task import Task
        >>> task = Task("a/sbp", "regression", ("sbp",), ("sbp_mmhg",))
        >>> Cohort(task, "I", (), pd.DataFrame({"split": ["test"]}), np.ones((1, 1)), ()).mask("test").sum()
        np.int64(1)
    """

    task: Task
    lead: str
    stores: tuple[Store, ...]
    records: pd.DataFrame
    target: NDArray[np.floating]
    windows: tuple[tuple[NDArray[np.integer], NDArray[np.integer]], ...]

    def mask(self, split: str) -> NDArray[np.bool_]:
        """Records of a split, (records,) bool.

        Example:
            >>> from openclef.task import Task
            >>> task = Task("a/sbp", "regression", ("sbp",), ("sbp_mmhg",))
            >>> cohort = Cohort(task, "I", (), pd.DataFrame({"split": ["val"]}), np.ones((1, 1)), ())
            >>> cohort.mask("test").tolist()
            [False]
        """
        return (self.records["split"] == split).to_numpy()

    def features(
        self,
        encoder: torch.nn.Module,
        needed: NDArray[np.bool_],
        *,
        batch_size: int = 256,
        device: str | None = None,
        condition: Condition | None = None,
        cache: FeatureCache | None = None,
    ) -> NDArray[np.floating]:
        """Embeddings of records, the mean over a record's windows; each store at its own rate.

        Args:
            encoder: An `Encoder` or a bare backbone.
            needed: (records,) bool; the others stay NaN and are not computed.
            batch_size: Windows at a time.
            device: Where to compute; None = where the encoder is.
            condition: How the recordings are changed before.
            cache: Where embeddings are kept; only those of encoders whose hash says all about them.

        Returns:
            (records, dim).

        Example:
            >>> from openclef.task import Task
            >>> import torch
            >>> task = Task("a/sbp", "regression", ("sbp",), ("sbp_mmhg",))
            >>> cohort = Cohort(task, "I", (), pd.DataFrame({"split": ["val"]}), np.ones((1, 1)), ())
            >>> encoder = torch.nn.Identity()
            >>> encoder.dim = 3
            >>> cohort.features(encoder, np.array([False])).shape
            (1, 3)
        """
        total = np.zeros((len(self.records), int(encoder.dim)))  # type: ignore[arg-type]
        count = np.zeros(len(self.records))
        for store, (rows, record) in zip(self.stores, self.windows):
            chosen = needed[record]

            def embed(numbers: NDArray[np.integer], store: Store = store) -> NDArray[np.floating]:
                return embed_store(
                    encoder,
                    store,
                    lead=self.lead,
                    rows=numbers,
                    batch_size=batch_size,
                    device=device,
                    condition=condition,
                )

            if cache is None or not may_keep(encoder):
                vectors = embed(rows[chosen])
            else:
                about = {"encoder": encoder_sha256(encoder)} | self.about(store, condition)
                vectors = cache.rows(about, rows[chosen], len(store), embed)
            np.add.at(total, record[chosen], vectors)
            np.add.at(count, record[chosen], 1)
        with np.errstate(invalid="ignore"):
            return total / count[:, None]

    def about(self, store: Store, condition: Condition | None) -> dict[str, object]:
        """What decides the features of a store's rows beside what computes them.

        Example:
            >>> import inspect
            >>> list(inspect.signature(Cohort.about).parameters)
            ['self', 'store', 'condition']
        """
        changed = {} if condition is None else asdict(condition)
        about = {"store": store_sha256(store), "lead": self.lead, "condition": changed}
        return about | {"openclef": __version__, "format": _FORMAT}


def gather_records(
    stores: Sequence[Store | str | Path] | Store | str | Path, task: str, *, lead: str = "I"
) -> Cohort:
    """Pool the records of a task over stores, one row a record, splits checked by subject.

    Args:
        stores: One or several stores, or their folders; all declare the task.
        task: The task's name.
        lead: Lead by name; every store has it.

    Returns:
        The `Cohort`; records that have no target or no split are left out.

    Raises:
        ValueError: If a store does not declare the task or lacks the lead, the stores declare it differently,
            a subject has records in two splits, or the windows of a record differ in target or split.

    Warns:
        UserWarning: If a record stands in two stores of the same people; the first store's is kept.

    Example:
        >>> gather_records([], "ptb_xl/rhythm")
        Traceback (most recent call last):
        ...
        ValueError: No store is given; pass a store or a list of stores.
    """
    given = [stores] if isinstance(stores, (Store, str, Path)) else list(stores)
    if not given:
        raise ValueError("No store is given; pass a store or a list of stores.")
    opened = tuple(each if isinstance(each, Store) else open_store(each) for each in given)
    declared = _declared(opened, task)
    for store in opened:
        lead_indices(store.leads, [lead])
    names = store_names(opened)
    tables, targets, windows = [], [], []
    start = 0
    for store, name in zip(opened, names):
        table, target, rows, record = _one_store(store, store.tasks[task], name)
        tables.append(table)
        targets.append(target)
        windows.append((rows, record + start))
        start += len(table)
    records, target = pd.concat(tables, ignore_index=True), np.concatenate(targets)
    kept = _without_copies(records)
    _check_splits(records[kept])
    kept &= (records["split"] != "").to_numpy() & ~np.isnan(target).all(1)
    position = np.cumsum(kept) - 1
    pooled = tuple((rows[kept[record]], position[record[kept[record]]]) for rows, record in windows)
    return Cohort(declared, lead, opened, records[kept].reset_index(drop=True), target[kept], pooled)


def _declared(stores: tuple[Store, ...], task: str) -> Task:
    for store in stores:
        if task not in store.tasks:
            raise ValueError(
                f"store {store.path} does not declare the task {task!r}; it declares "
                f"{', '.join(store.tasks) or 'none'}."
            )
    first = stores[0].tasks[task]
    for store in stores[1:]:
        other = store.tasks[task]
        if (other.kind, other.labels, other.unit) != (first.kind, first.labels, first.unit):
            raise ValueError(
                f"{stores[0].path} and {store.path} declare {task!r} with other kinds, labels or units; "
                "evaluate them one by one."
            )
    return first


def store_names(stores: tuple[Store, ...]) -> list[str]:
    """The names of stores in the column `store`: with their folders' where two have the same name.

    Example:
        >>> store_names(())
        []
    """
    names = [store.name for store in stores]
    return [
        name if names.count(name) == 1 else f"{name} ({store.path.name})"
        for name, store in zip(names, stores)
    ]


def _one_store(
    store: Store, task: Task, name: str
) -> tuple[pd.DataFrame, NDArray[np.floating], NDArray[np.integer], NDArray[np.integer]]:
    """Records, targets, rows and the record of each row."""
    frame = store.records
    absent = [column for column in task.columns if column not in frame]
    if absent:
        raise ValueError(
            f"store {store.path} lacks the columns {', '.join(absent)} of {task.name}; convert it again."
        )
    record, ids = pd.factorize(frame["record_id"])
    first = np.zeros(len(ids), dtype=np.int64)
    first[record[::-1]] = np.arange(len(frame))[::-1]
    by_window = target_of(frame, task)
    target = by_window[first]
    split = frame["split"].to_numpy(dtype=str)
    same = np.all((by_window == target[record]) | (np.isnan(by_window) & np.isnan(target[record])), axis=1)
    wrong = np.flatnonzero(~same | (split != split[first][record]))
    if wrong.size:
        raise ValueError(
            f"the windows of record {ids[record[wrong[0]]]} in {store.path} differ in {task.name} or in "
            "split; give windows with labels of their own a record_id of their own."
        )
    subject = frame["subject_id"].to_numpy(dtype=str)[first]
    table = pd.DataFrame(
        {
            "store": name,
            "namespace": store.subject_namespace,
            "record_id": np.asarray(ids, dtype=str),
            "subject_id": [f"{store.subject_namespace}:{one}" for one in subject],
            "subject_hash": hash_subjects(store.subject_namespace, subject),
            "split": split[first],
            "age_years": frame["age_years"].to_numpy(float)[first] if "age_years" in frame else np.nan,
            "sex": frame["sex"].fillna("").to_numpy(dtype=str)[first] if "sex" in frame else "",
        }
    )
    return table, target, np.arange(len(frame)), record


def target_of(records: pd.DataFrame, task: Task) -> NDArray[np.floating]:
    """Targets of rows of `records.parquet`.

    Args:
        records: Rows with the task's columns.
        task: The task.

    Returns:
        (rows, labels): 0/1, one column a class for "multiclass", or values; NaN where a row takes no part.

    Raises:
        ValueError: If a class is not among the task's labels, or a value is none that the task's kind can have.

    Example:
        >>> task = Task("a/rhythm", "multiclass", ("N", "AF"), ("rhythm",))
        >>> target_of(pd.DataFrame({"rhythm": ["AF", ""]}), task).tolist()
        [[0.0, 1.0], [nan, nan]]
    """
    if task.kind != "multiclass":
        values = records[list(task.columns)].to_numpy(dtype=float)
        known = ~np.isnan(values)
        wrong = np.isinf(values) if task.kind == "regression" else known & (values != 0) & (values != 1)
        if wrong.any():
            accepted = "finite numbers" if task.kind == "regression" else "0 and 1"
            raise ValueError(
                f"{task.name} is {task.kind} and has the value {values[wrong][0]:g} in {int(wrong.any(1).sum())} rows "
                f"or more; accepted are {accepted}, and NaN for rows that take no part: convert again."
            )
        return values
    classes = records[task.columns[0]].fillna("").to_numpy(dtype=str)
    unknown = sorted(set(classes) - set(task.labels) - {""})
    if unknown:
        raise ValueError(
            f"{task.name} has classes {', '.join(unknown)}; it declares {', '.join(task.labels)}."
        )
    target = (classes[:, None] == np.asarray(task.labels)[None, :]).astype(float)
    target[classes == ""] = np.nan
    return target


def _without_copies(records: pd.DataFrame) -> NDArray[np.bool_]:
    copies = records.duplicated(["namespace", "record_id"]).to_numpy()
    if copies.any():
        named = ", ".join(records.loc[copies, "record_id"].head(5))
        warnings.warn(
            f"{int(copies.sum())} records stand in more than one store ({named} ...); "
            "the first store's are kept.",
            stacklevel=4,
        )
    return ~copies


def _check_splits(records: pd.DataFrame) -> None:
    split = records[records["split"] != ""]
    several = split.groupby("subject_id")["split"].nunique()
    both = several.index[several > 1]
    if len(both):
        raise ValueError(
            f"{len(both)} subjects have records in two splits ({', '.join(both[:5])}); "
            "split by subject and convert again."
        )


def check_unseen(encoder: torch.nn.Module, records: pd.DataFrame, split: str) -> None:
    """Refuse to judge an encoder on subjects that it was pretrained on.

    Args:
        encoder: Its `.pretraining_subjects`, hashes or None, is compared.
        records: Rows of `Cohort.records` of the split that is judged.
        split: Name of the split, for the message.

    Raises:
        ValueError: If a subject is among the pretraining subjects.

    Example:
        >>> import torch
        >>> check_unseen(torch.nn.Identity(), pd.DataFrame({"subject_hash": ["34eed0e724656bd3"]}), "test")
    """
    seen = getattr(encoder, "pretraining_subjects", None)
    if not seen:
        return
    both = set(records["subject_hash"]) & set(seen)
    if both:
        raise ValueError(
            f"{len(both)} of {records['subject_hash'].nunique()} {split} subjects were in the encoder's "
            "pretraining; pretrain on the train split only (split='train'), or judge on other people."
        )
