"""Errors that name the row of a user's table, as a spreadsheet counts."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any, TypeVar

import pandas as pd

FIRST_ROW = 2
"""The number of a table's first row: the names of the columns are row 1."""

T = TypeVar("T")


class TableRows:
    """The rows of a table, and the errors that name them.

    Args:
        name: the file's name.
        frame: its table, one row a row of the file.

    Example:
        >>> rows = TableRows("a.csv", pd.DataFrame({"id": ["x", ""]}))
        >>> rows.refuse(rows.frame["id"] == "", "column id is empty", "fill the cell")
        Traceback (most recent call last):
        ValueError: a.csv, row 3: column id is empty; fill the cell
    """

    def __init__(self, name: str, frame: pd.DataFrame) -> None:
        self.name, self.frame = name, frame

    def refuse(self, wrong: pd.Series, what: str, advice: str) -> None:
        """Raise an error where a row is wrong, with the numbers of the first few.

        Args:
            wrong: True for each row that is wrong.
            what: what is wrong.
            advice: what to do.

        Raises:
            ValueError: if a row is wrong.
        """
        rows = [index + FIRST_ROW for index, each in enumerate(wrong) if each]
        if rows:
            told = ", ".join(map(str, rows[:5])) + (f" and {len(rows) - 5} more" if len(rows) > 5 else "")
            raise ValueError(f"{self.name}, row {told}: {what}; {advice}")

    def call(self, function: Callable[[pd.DataFrame], T]) -> T:
        """Call a function on the table; where it fails because of one row, its error names that row.

        Args:
            function: function of the table.

        Returns:
            What it returns.

        Raises:
            ValueError: its own; with the number of the first row on which it fails alone, where there is one.
        """
        try:
            return function(self.frame)
        except ValueError as error:
            row = self._failing(function)
            if row is None:
                raise
            raise ValueError(f"{self.name}, row {row + FIRST_ROW}: {error}") from None

    def _failing(self, function: Callable[[pd.DataFrame], Any]) -> int | None:
        """The first row on which a function fails alone, found by halving; None where there is none."""

        def fails(rows: pd.DataFrame) -> bool:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                try:
                    function(rows.reset_index(drop=True))
                except ValueError:
                    return True
            return False

        rows = self.frame.reset_index(drop=True)
        if fails(rows.iloc[:0]):
            return None  # it is not a row's fault
        while len(rows) > 1:
            half = rows.iloc[: len(rows) // 2]
            rows = half if fails(half) else rows.iloc[len(rows) // 2 :]
        return int(rows.index[0]) if fails(rows) else None
