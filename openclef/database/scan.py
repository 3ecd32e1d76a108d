"""Looking through many people's files for a plan: in several processes, kept in a file as it goes."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TextIO

import joblib


def scan(
    people: Sequence[str],
    look: Callable[[str], dict[str, Any]],
    *,
    settings: dict[str, Any],
    index: str | Path | None = None,
    workers: int = 1,
) -> dict[str, dict[str, Any]]:
    """Look at each person's files, and keep what was found, so that a scan that was stopped goes on.

    Args:
        people: their names.
        look: picklable function from a name to what JSON can hold.
        settings: what shaped the look; a kept scan is used only under the same ones.
        index: the file to keep it in, JSON lines, one a person; None keeps nothing.
        workers: processes.

    Returns:
        What was found, by person.

    Raises:
        ValueError: if ``index`` is of other settings, or is no such file.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     file = Path(folder, "index.jsonl")
        ...     first = scan(["a"], lambda name: {"n": 1}, settings={"seed": 0}, index=file)
        ...     scan(["a", "b"], lambda name: {"n": 2}, settings={"seed": 0}, index=file)
        {'a': {'n': 1}, 'b': {'n': 2}}
    """
    if index is None:
        return dict(zip(people, _results(people, look, workers)))
    path = Path(index)
    if not path.parent.is_dir():
        raise FileNotFoundError(f"index={index}: {path.parent} is no folder; make it, or pass another file")
    found = _kept(path, settings)
    left = [person for person in people if person not in found]
    with path.open("a", encoding="utf-8") as file:
        if file.tell() == 0:
            _write(file, {"settings": settings})
        for person, result in zip(left, _results(left, look, workers)):
            _write(file, {"person": person, "found": result})
            found[person] = result
    return {person: found[person] for person in people}


def _results(people: Sequence[str], look: Callable[[str], dict[str, Any]], workers: int) -> Any:
    jobs = (joblib.delayed(look)(person) for person in people)
    return joblib.Parallel(n_jobs=workers, return_as="generator")(jobs)


def _kept(path: Path, settings: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """What the file holds; a last line that was cut off is taken off the file."""
    if not path.exists():
        return {}
    text = path.read_text(encoding="utf-8")
    whole = text[: text.rfind("\n") + 1]
    try:
        lines = [json.loads(line) for line in whole.splitlines()]
        kept = lines[0]["settings"] if lines else settings
        found = {line["person"]: line["found"] for line in lines[1:]}
    except (ValueError, KeyError, TypeError, AttributeError):
        raise ValueError(f"index={path} is no index of a scan; pass another file") from None
    if kept != settings:
        raise ValueError(f"index={path} was made with {kept}, not with {settings}; pass another file")
    if whole != text:
        path.write_text(whole, encoding="utf-8")
    return found


def _write(file: TextIO, line: dict[str, Any]) -> None:
    file.write(json.dumps(line) + "\n")
    file.flush()
