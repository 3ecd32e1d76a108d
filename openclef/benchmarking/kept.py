"""What was computed once from cells and need not be computed again: small JSON files, known by a hash."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

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
        """Whether a value is there.

        Example:
            >>> Kept("nowhere").holds({"of": "a"})
            False
        """
        return self.file(about).is_file()

    def get(self, about: Mapping[str, Any], compute: Callable[[], Any]) -> Any:
        """Read a value, or compute and keep it.

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
        file = self.file(about)
        try:
            kept = json.loads(file.read_text(encoding="utf-8"))
            if kept["sha256"] == hash_of({"value": kept["value"]}):
                return kept["value"]
        except (ValueError, KeyError, TypeError, OSError):
            pass  # not there, or damaged: computed anew
        value = compute()
        self.folder.mkdir(parents=True, exist_ok=True)
        text = json.dumps({"value": value, "sha256": hash_of({"value": value})})
        write_atomically(file, lambda path: path.write_text(text, encoding="utf-8"))
        return value
