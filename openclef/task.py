"""Task: what can be predicted from a store's records."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

KINDS = ("multilabel", "multiclass", "binary", "regression")
"""Kinds of tasks."""


@dataclass(frozen=True)
class Task:
    """What can be predicted from a store's records, and the columns that hold the truth.

    Args:
        name: for example ``"ptb_xl/superdiagnostic"``.
        kind: ``"multilabel"``, ``"multiclass"``, ``"binary"`` or ``"regression"``.
        labels: the names of the labels or classes; for binary and regression the quantity's name.
        columns: columns of ``records.parquet``. Multilabel: one a label, 0 or 1, NaN where the record takes
            no part. Multiclass: one of strings, empty where it takes no part. Binary and regression: one
            number, NaN where it takes no part.
        unit: the unit of a regression's target.

    Raises:
        ValueError: if the kind is unknown, or labels and columns do not fit it.

    Example:
        >>> Task("sim/sbp", "regression", ("sbp",), ("sbp_mmhg",), unit="mmHg").columns
        ('sbp_mmhg',)
    """

    name: str
    kind: str
    labels: tuple[str, ...]
    columns: tuple[str, ...]
    unit: str = ""

    def __post_init__(self) -> None:
        object.__setattr__(self, "labels", tuple(self.labels))
        object.__setattr__(self, "columns", tuple(self.columns))
        if self.kind not in KINDS:
            raise ValueError(f"task {self.name}: kind={self.kind!r}; accepted are {', '.join(KINDS)}")
        expected = len(self.labels) if self.kind == "multilabel" else 1
        if len(self.columns) != expected:
            raise ValueError(
                f"task {self.name}: {len(self.columns)} columns; a {self.kind} task with {len(self.labels)} "
                f"labels has {expected}: name that many columns of records.parquet"
            )

    def as_json(self) -> dict[str, Any]:
        """Give the task as it stands in ``dataset.json``.

        Returns:
            Its fields; ``Task(**fields)`` is the task again.

        Example:
            >>> Task("a/b", "binary", ("b",), ("a/b",)).as_json()["columns"]
            ['a/b']
        """
        return {
            "name": self.name,
            "kind": self.kind,
            "labels": list(self.labels),
            "columns": list(self.columns),
            "unit": self.unit,
        }
