"""What a database file provides: its facts, and a plan of what to convert and how to read each record."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from openclef.record import Record
from openclef.store import Task

if TYPE_CHECKING:
    import pandas as pd

SPLITS = ("train", "val", "test")
"""The splits, in the order of ``split_by_subject``'s shares."""


@dataclass(frozen=True)
class Plan:
    """Everything that a conversion needs to know before it reads the first signal.

    Args:
        name: the store's name.
        title: its full name.
        records: one row a record: ``record_id``, ``subject_id`` ("" = unknown), ``split``, metadata under the
            names of the store's columns, label columns, and columns for ``read`` alone that begin with ``_``.
        read: picklable function from a row (as a dict) to the record; raises OSError or ValueError with the
            reason where a record cannot be converted.
        fs: sampling rate in Hz of every record.
        leads: the store's leads.
        scale: the store's unit per int16 step.
        tasks: what can be predicted.
        unit: ``"mV"`` or ``"zscore"``.
        seconds: a window's length.
        subject_namespace: shared by stores of the same people; the name by default.
        licence: licence of the data.
        source: where it comes from.
        citation: what to cite.
        settings: the options that shaped the plan; a conversion is resumed only under the same ones.
        part_records: records a part; a part is what is lost when a conversion stops.

    Example:
        >>> import pandas as pd
        >>> plan = Plan(
        ...     name="one", title="One record",
        ...     records=pd.DataFrame({"record_id": ["a"], "subject_id": ["p"]}),
        ...     read=lambda row: Record(np.zeros((1, 500)), 500, ("I",), row["record_id"]),
        ...     fs=500, leads=("I",), scale=0.001,
        ... )
        >>> plan.read({"record_id": "a"}).seconds
        1.0
    """

    name: str
    title: str
    records: pd.DataFrame
    read: Callable[[dict[str, Any]], Record]
    fs: float
    leads: tuple[str, ...]
    scale: float
    tasks: tuple[Task, ...] = ()
    unit: str = "mV"
    seconds: float = 10.0
    subject_namespace: str = ""
    licence: str = ""
    source: str = ""
    citation: str = ""
    settings: dict[str, Any] = field(default_factory=dict)
    part_records: int = 256


@dataclass(frozen=True)
class Database:
    """A database that can be converted, or a kind of folder that users bring.

    Args:
        name: the name that ``openclef.convert`` takes.
        title: full name.
        plan: function from the source folder and options to a ``Plan``; quick, reads no signal.
        licence: licence of the data.
        access: who can get it, and how.
        size: what it needs on disk.
        url: where it is; "" for folders of one's own.
        citation: what to cite.
        tasks: names of the tasks that its stores declare; none for folders of one's own, whose options say.

    Example:
        >>> from openclef.database import DATABASES
        >>> DATABASES["ptb_xl"].licence
        'CC BY 4.0'
    """

    name: str
    title: str
    plan: Callable[..., Plan]
    licence: str = ""
    access: str = ""
    size: str = ""
    url: str = ""
    citation: str = ""
    tasks: tuple[str, ...] = ()


def find_folder(src: str | Path, database: Database) -> Path:
    """Check that the source folder is there.

    Args:
        src: the folder.
        database: whose folder it should be.

    Returns:
        The folder.

    Raises:
        FileNotFoundError: if it is not there; says where to get the data, its size and licence.

    Example:
        >>> from openclef.database import DATABASES
        >>> find_folder("nowhere", DATABASES["ptb_xl"])
        Traceback (most recent call last):
        FileNotFoundError: nowhere is no folder. PTB-XL, ...: open access: https://physionet.org/...
    """
    src = Path(src)
    if src.is_dir():
        return src
    raise FileNotFoundError(f"{src} is no folder. {where_to_get(database)}")


def where_to_get(database: Database) -> str:
    """Say where a database can be had, its size and licence.

    Args:
        database: the database.

    Returns:
        One or two sentences.

    Example:
        >>> where_to_get(Database("mine", "Recordings of one's own", plan=lambda src: None))
        "Recordings of one's own: pass src=<its folder>."
    """
    facts = "; ".join(fact for fact in (database.size, database.licence) if fact)
    place = " ".join(fact for fact in (f"{database.access}:" if database.url else "", database.url) if fact)
    told = f" {place}" + (f" ({facts})" if facts else "") + "; then" if place else ""
    return f"{database.title}:{told} pass src=<its folder>."


def split_by_subject(
    subjects: Iterable[object], *, shares: tuple[float, float, float] = (0.6, 0.2, 0.2)
) -> np.ndarray:
    """Split by a hash of the subject's id, so that a subject is always on one side, in any order of rows.

    A subject's place is the number that the first 8 hexadecimal digits of SHA-256(id) make, divided by 2^32;
    below the first share it is in training, below the first two in validation, else in the test set.

    Args:
        subjects: subject ids, one a row.
        shares: share of the subjects in training, validation and test; together 1.

    Returns:
        Array of ``"train"``, ``"val"``, ``"test"``, one a row.

    Raises:
        ValueError: if the shares do not add up to 1.

    Example:
        >>> split_by_subject(["a", "b", "c", "a"]).tolist()
        ['val', 'train', 'train', 'val']
    """
    if min(shares) < 0 or abs(sum(shares) - 1) > 1e-9:
        raise ValueError(
            f"shares={shares}; accepted are three shares that add up to 1, for example (0.6, 0.2, 0.2)"
        )
    unique, places = np.unique(np.asarray([str(subject) for subject in subjects]), return_inverse=True)
    position = [int(hashlib.sha256(subject.encode()).hexdigest()[:8], 16) / 2**32 for subject in unique]
    chosen = np.searchsorted(np.cumsum(shares)[:2], position, side="right")
    return np.asarray(SPLITS)[chosen][places]


def label_columns(task: str, labels: Iterable[str]) -> tuple[str, ...]:
    """Name the columns of a multilabel task.

    Args:
        task: the task's name.
        labels: its labels.

    Returns:
        ``task/label`` for each.

    Example:
        >>> label_columns("ptb_xl/rhythm", ["AFIB", "SR"])
        ('ptb_xl/rhythm/AFIB', 'ptb_xl/rhythm/SR')
    """
    return tuple(f"{task}/{label}" for label in labels)


def label_matrix(codes: Iterable[Iterable[str]], labels: Iterable[str]) -> np.ndarray:
    """Turn sets of codes into columns of 0 and 1; a record with none of the labels takes no part (NaN).

    Args:
        codes: each record's codes; others than the labels are ignored.
        labels: the labels.

    Returns:
        float array (record, label).

    Example:
        >>> label_matrix([{"SR"}, {"NORM"}, {"SR", "AFIB"}], ["AFIB", "SR"])
        array([[ 0.,  1.],
               [nan, nan],
               [ 1.,  1.]])
    """
    labels = list(labels)
    matrix = np.array([[label in has for label in labels] for has in map(set, codes)], dtype=float)
    matrix = matrix.reshape(-1, len(labels))
    matrix[matrix.sum(axis=1) == 0] = np.nan
    return matrix
