"""Recordings in folders: every file that is one, each recording once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from openclef.formats import format_of

__all__ = ["Found", "find_recordings"]

_SIGNAL_ENDINGS = (".dat", ".mat")  # of WFDB records, which their headers stand for


class Found(NamedTuple):
    """What a search for recordings finds.

    Args:
        files: the recordings, sorted.
        aside: how many other files there are, by their endings.

    Example:
        >>> Found([Path("a.hea")], {".md": 1}).aside
        {'.md': 1}
    """

    files: list[Path]
    aside: dict[str, int]


def find_recordings(sources: str | Path | Sequence[str | Path]) -> Found:
    """Find the recordings in folders and all folders beneath them.

    Hidden files and folders are passed over, and links to folders are not followed. A WFDB record counts once, by its
    header. Files of no known format are counted, and so are pickles, which are never opened.

    Args:
        sources: a folder or file, or several. A file that is named itself is taken as it is.

    Returns:
        The files and the count of others.

    Raises:
        FileNotFoundError: if a folder or file is not there.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     for name in ("b/1.edf", "a/2.hea", "a/2.dat", "a/LICENSE"):
        ...         Path(folder, name).parent.mkdir(exist_ok=True)
        ...         _ = Path(folder, name).write_bytes(b"-")
        ...     found = find_recordings(folder)
        ...     [file.name for file in found.files], found.aside
        (['2.hea', '1.edf'], {'without ending': 1})
    """
    files: list[Path] = []
    aside: Counter[str] = Counter()
    for source in [sources] if isinstance(sources, (str, Path)) else sources:
        path = Path(source)
        if not path.is_dir():
            if not path.is_file() and not Path(f"{path}.hea").is_file():
                raise FileNotFoundError(f"{path} is missing; pass a recording or a folder of recordings")
            files.append(path)
            continue
        for file in _files(path):
            if _is_recording(file):
                files.append(file)
            elif not (file.suffix.lower() in _SIGNAL_ENDINGS and file.with_suffix(".hea").is_file()):
                aside[file.suffix.lower() or "without ending"] += 1
    return Found(list(dict.fromkeys(files)), dict(sorted(aside.items())))


def _files(folder: Path) -> Iterator[Path]:
    """Files beneath a folder in order of their paths, without hidden ones."""
    for entry in sorted(folder.iterdir(), key=lambda path: path.name):
        if entry.name.startswith("."):
            continue
        if entry.is_dir():
            if not entry.is_symlink():
                yield from _files(entry)
        elif entry.is_file():
            yield entry


def _is_recording(file: Path) -> bool:
    if file.suffix.lower() in _SIGNAL_ENDINGS and file.with_suffix(".hea").is_file():
        return False  # its header stands for it
    try:
        return format_of(file) is not None
    except ValueError:  # a pickle
        return False
