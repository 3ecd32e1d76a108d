"""What was computed once from cells and need not be computed again: small JSON files, known by a hash."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from openclef.shards import make_folder
from openclef.store import write_atomically

__all__ = ["Kept", "hash_of"]

FORMAT_VERSION = 2  # a change of what is computed takes another number


def hash_of(about: Mapping[str, Any]) -> str:
    """Hash of plain values, whatever their order.

    Example:
        >>> hash_of({"a": 1, "b": 2}) == hash_of({"b": 2, "a": 1})
        True
    """
    return hashlib.sha256(json.dumps(about, sort_keys=True).encode()).hexdigest()


class Kept:
    """Values in a folder, each known by what decides it; the folder may be deleted at any time.

    Args:
        folder: Made when the first value is kept.

    Example:
        >>> import tempfile
        >>> kept = Kept(tempfile.mkdtemp())
        >>> kept.get({"of": "a"}, lambda: [1.5]), kept.get({"of": "a"}, lambda: [2.5])
        ([1.5], [1.5])
    """

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder)

    def file(self, about: Mapping[str, Any]) -> Path:
        """Where a value is kept.

        Example:
            >>> Kept("cache").file({"of": "a"}).suffix
            '.json'
        """
        return self.folder / f"{hash_of({'format_version': FORMAT_VERSION, **about})[:32]}.json"

    def holds(self, about: Mapping[str, Any]) -> bool:
        """Whether a value is there, and is not damaged.

        Example:
            >>> Kept("nowhere").holds({"of": "a"})
            False
        """
        return self._read(about)[0]

    def get(self, about: Mapping[str, Any], compute: Callable[[], Any]) -> Any:
        """Read a value, or compute and keep it; one that is damaged is computed anew.

        Args:
            about: Everything that decides the value; plain values.
            compute: Gives the value, of what JSON can hold.

        Returns:
            The value.

        Example:
            >>> import tempfile
            >>> Kept(tempfile.mkdtemp()).get({}, lambda: {"p": 0.25})
            {'p': 0.25}
        """
        there, value = self._read(about)
        if there:
            return value
        value, file = compute(), self.file(about)
        make_folder(self.folder)
        if file.is_dir():
            shutil.rmtree(file)
        text = json.dumps({"value": value, "sha256": hash_of({"value": value})})
        write_atomically(file, lambda path: path.write_text(text, encoding="utf-8"))
        return value

    def _read(self, about: Mapping[str, Any]) -> tuple[bool, Any]:
        """Whether a value is there as it was written, and the value."""
        try:
            kept = json.loads(self.file(about).read_text(encoding="utf-8"))
            return kept["sha256"] == hash_of({"value": kept["value"]}), kept["value"]
        except (ValueError, KeyError, TypeError, OSError, RecursionError):
            return False, None
