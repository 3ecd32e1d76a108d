"""``dataset.json``: what a store says of itself, read and checked."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from openclef.store_writing import FORMAT, FORMAT_VERSION
from openclef.task import Task

_KEYS: dict[str, Any] = {
    **dict.fromkeys(("name", "title", "unit", "subject_namespace", "records_sha256"), str),
    **dict.fromkeys(("scale", "fs", "seconds"), (int, float)),
    "leads": list,
    "shards": list,
    "tasks": dict,
}


def read_dataset_json(path: Path) -> dict[str, Any]:
    """Read a store's ``dataset.json``.

    Args:
        path: the store's folder.

    Returns:
        Its content; every key that openclef needs is there and of the right type.

    Raises:
        FileNotFoundError: if the folder is no store, or its conversion has not finished.
        ValueError: if the store was written in a newer format, or the file is damaged.

    Example:
        >>> read_dataset_json(Path("nowhere"))
        Traceback (most recent call last):
        FileNotFoundError: nowhere holds no dataset.json: there is no such folder; ...
    """
    file = path / "dataset.json"
    if not file.is_file():
        if (path / "_parts").is_dir():
            state = "its conversion has not finished; run the same conversion again and it goes on from there"
        else:
            there = "this is not a store" if path.is_dir() else "there is no such folder"
            state = f"{there}; pass the folder of a store, made by openclef.convert or openclef.simulate"
        raise FileNotFoundError(f"{path} holds no dataset.json: {state}")
    try:
        info = json.loads(file.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ValueError(
            f"{file} is damaged ({error}); copy it again, or convert with overwrite=True"
        ) from error
    if not isinstance(info, dict) or info.get("format") != FORMAT:
        raise ValueError(f"{file} does not describe an {FORMAT}; pass the folder of a store")
    if info.get("format_version") != FORMAT_VERSION:
        raise ValueError(
            f"{path} is written in format version {info.get('format_version')}; this openclef reads version "
            f"{FORMAT_VERSION}: update openclef, or convert again"
        )
    absent = sorted(_KEYS.keys() - info.keys())
    if absent:
        raise ValueError(f"{file} lacks {', '.join(absent)}; copy it again, or convert again")
    wrong = [key for key, kind in _KEYS.items() if not isinstance(info[key], kind) or info[key] is True]
    wrong += [key for key in ("scale", "fs", "seconds") if key not in wrong and not info[key] > 0]
    inside = (("leads", _are_names), ("shards", _are_shards), ("tasks", _are_tasks))
    wrong += [key for key, fits in inside if key not in wrong and not fits(info[key])]
    if wrong:
        raise ValueError(
            f"{file} holds {wrong[0]}={str(info[wrong[0]])[:60]!r}, which docs/format.md does not accept; "
            "copy it again, or convert again"
        )
    return info


def _are_names(leads: list[Any]) -> bool:
    return bool(leads) and all(isinstance(lead, str) for lead in leads)


def _are_shards(shards: list[Any]) -> bool:
    kinds = {"file": str, "rows": int, "sha256": str}
    return all(
        isinstance(entry, dict) and all(isinstance(entry.get(key), kind) for key, kind in kinds.items())
        for entry in shards
    )


def _are_tasks(tasks: dict[str, Any]) -> bool:
    try:
        return all(isinstance(Task(**task).name, str) for task in tasks.values())
    except (TypeError, ValueError):
        return False
