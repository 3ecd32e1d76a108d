"""The footer of a parquet table, read before pyarrow is handed the file.

pyarrow ends the whole process where a damaged footer lacks a column's description; here such a file is refused.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

_MOST_BYTES = 1 << 22
_MOST_DEPTH = 24
_TRUE, _FALSE, _BYTE, _DOUBLE, _BINARY, _LIST, _SET, _MAP, _STRUCT = 1, 2, 3, 7, 8, 9, 10, 11, 12


class Footer(NamedTuple):
    """What a table's footer states.

    Args:
        rows: how many rows there are.
        columns: how many columns there are, those within others counted one by one.
        values: how many values there are in all columns.
        unpacked: how many bytes they are when they are unpacked.

    Example:
        >>> Footer(3, 1, 3, 24).rows
        3
    """

    rows: int
    columns: int
    values: int
    unpacked: int


def read_footer(path: Path) -> Footer:
    """Read a parquet table's footer, and check that what it describes is complete.

    Args:
        path: the file.

    Returns:
        Its counts.

    Raises:
        ValueError: if it is damaged; the message does not name the file.

    Source:
        Apache Parquet format 2 (parquet.thrift); Thrift's compact protocol.

    Example:
        >>> import tempfile, pyarrow, pyarrow.parquet
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     pyarrow.parquet.write_table(pyarrow.table({"I": [1.0, 2.0, 3.0]}), Path(folder, "a.parquet"))
        ...     read_footer(Path(folder, "a.parquet"))[:3]
        (3, 1, 3)
    """
    size = path.stat().st_size
    with path.open("rb") as file:
        file.seek(max(size - 8, 0))
        end = file.read(8)
        length = int.from_bytes(end[:4], "little")
        if end[4:] != b"PAR1" or not 0 < length <= min(size - 12, _MOST_BYTES):
            raise ValueError("its end is not that of a parquet table, or its footer is over 4 MB")
        file.seek(size - 8 - length)
        content = file.read(length)
    try:
        fields = _Compact(content).struct()
        leaves = sum(
            1 for element in fields[2] if not element.get(5)
        )  # the root counts, where it has no column
        rows, values, unpacked = int(fields[3]), 0, 0
        for group in fields[4]:
            if len(group[1]) != leaves or int(group[3]) < 0:
                raise ValueError("its groups of rows do not have the columns of its schema")
            for column in group[1]:
                about = column[3]
                if {1, 8, 9} & column.keys() or min(int(about[5]), int(about[6]), int(about[7])) < 0:
                    raise ValueError("a column lies in another file, is encrypted, or has a size below 0")
                if (int(about[9]) < 4 and int(about[5])) or int(about[7]) > size:
                    raise ValueError("a column lies outside the file")
                values += int(about[5])
                unpacked += int(about[6])
        if sum(int(group[3]) for group in fields[4]) != rows or rows < 0:
            raise ValueError("its counts of rows do not agree")
    except (KeyError, IndexError, TypeError, AttributeError, RecursionError) as error:
        raise ValueError(f"its footer is incomplete ({type(error).__name__})") from None
    return Footer(rows, leaves, values, unpacked)


class _Compact:
    """Values in Thrift's compact protocol; a struct becomes a dict by field number."""

    def __init__(self, content: bytes) -> None:
        self._content = content
        self._at = 0

    def struct(self, depth: int = 0) -> dict[int, Any]:
        if depth > _MOST_DEPTH:
            raise ValueError("its footer is nested too deeply")
        fields: dict[int, Any] = {}
        number = 0
        while head := self._byte():
            number = number + (head >> 4) if head >> 4 else self._zigzag()
            fields[number] = self._value(head & 15, depth, within=False)
        return fields

    def _value(self, kind: int, depth: int, within: bool) -> Any:
        if kind in (_TRUE, _FALSE):
            return self._byte() == _TRUE if within else kind == _TRUE
        if kind == _BYTE:
            return self._byte()
        if kind < _DOUBLE:
            return self._zigzag()
        if kind == _DOUBLE:
            return self._bytes(8)
        if kind == _BINARY:
            return self._bytes(self._varint())
        if kind in (_LIST, _SET):
            head = self._byte()
            count = head >> 4 if head >> 4 < 15 else self._varint()
            return [self._value(head & 15, depth + 1, within=True) for _ in range(self._fits(count))]
        if kind == _MAP:
            count = self._fits(self._varint())
            kinds = self._byte() if count else 0
            return [
                (self._value(kinds >> 4, depth + 1, True), self._value(kinds & 15, depth + 1, True))
                for _ in range(count)
            ]
        if kind == _STRUCT:
            return self.struct(depth + 1)
        raise ValueError(f"its footer holds a value of unknown kind {kind}")

    def _fits(self, count: int) -> int:
        if count > len(self._content) - self._at:  # a value takes a byte at least
            raise ValueError("its footer is cut short")
        return count

    def _byte(self) -> int:
        self._at += 1
        return self._content[self._at - 1]

    def _bytes(self, count: int) -> bytes:
        self._at += self._fits(count)
        return self._content[self._at - count : self._at]

    def _varint(self) -> int:
        value = 0
        for shift in range(0, 70, 7):
            byte = self._byte()
            value |= (byte & 127) << shift
            if byte < 128:
                return value
        raise ValueError("its footer holds a number that is too long")

    def _zigzag(self) -> int:
        value = self._varint()
        return (value >> 1) ^ -(value & 1)
