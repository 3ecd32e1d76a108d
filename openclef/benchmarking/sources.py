"""What is judged on: stores, one's own files listed in a CSV file, and the tasks that they declare."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from openclef.database.conversion import convert
from openclef.shards import sha256_of, write_json
from openclef.store import Store, open_store

__all__ = ["describe_store", "find_tasks", "open_sources"]


def open_sources(stores: Any, out: Path, *, quiet: bool = False) -> list[Store]:
    """Open stores; a CSV file of one's own files is converted first.

    Args:
        stores: A store, its folder, a `.csv` file as `openclef convert files` takes it, or a list of these.
        out: Folder of the benchmark; the store of a CSV file is `stores/<name of the file>` in it, and is used again
            while the CSV file is the same.
        quiet: Print nothing.

    Returns:
        The stores.

    Raises:
        FileNotFoundError: A store or a CSV file is not there.
        ValueError: Nothing is given, a store is given twice, or a CSV file does not fit.

    Example:
        >>> open_sources([], Path("out"))
        Traceback (most recent call last):
        ...
        ValueError: No store is given; pass a store, a CSV file that lists your own files, or a list of these.
    """
    given: list[Any] = [stores] if isinstance(stores, (Store, str, Path)) else list(stores)
    if not given:
        raise ValueError(
            "No store is given; pass a store, a CSV file that lists your own files, or a list of these."
        )
    tables = [Path(each) for each in given if _is_table(each)]
    stems = [table.stem.casefold() for table in tables]
    twice = [str(table) for table, stem in zip(tables, stems) if stems.count(stem) > 1]
    if twice:
        raise ValueError(f"{', '.join(twice)} have the same name, and so would their tasks; rename one.")
    opened = [
        _convert(Path(each), out, quiet)
        if _is_table(each)
        else each
        if isinstance(each, Store)
        else open_store(each)
        for each in given
    ]
    places = [store.path.resolve() for store in opened]
    if len(set(places)) < len(places):
        raise ValueError(f"a store is given twice among {', '.join(map(str, places))}; give each once.")
    return opened


def find_tasks(stores: Sequence[Store], tasks: Sequence[str] | str | None = None) -> dict[str, list[Store]]:
    """The tasks to judge, and the stores that declare each.

    Args:
        stores: The stores.
        tasks: Names; None = all that the stores declare.

    Returns:
        Stores by task, in the order of the tasks.

    Raises:
        ValueError: No store declares a task.

    Example:
        >>> find_tasks([], ["ptb_xl/form"])
        Traceback (most recent call last):
        ...
        ValueError: no store declares the task 'ptb_xl/form'; they declare none.
    """
    declared = list(dict.fromkeys(task for store in stores for task in store.tasks))
    wanted = declared if tasks is None else [tasks] if isinstance(tasks, str) else list(dict.fromkeys(tasks))
    listed = ", ".join(declared) or "none"
    for task in wanted:
        if task not in declared:
            raise ValueError(f"no store declares the task {task!r}; they declare {listed}.")
    if not wanted:
        raise ValueError(f"there is no task to judge; the stores declare {listed}.")
    return {task: [store for store in stores if task in store.tasks] for task in wanted}


def describe_store(store: Store) -> dict[str, Any]:
    """What `benchmark.json` says of a store.

    Example:
        >>> describe_store(Store("nowhere"))
        Traceback (most recent call last):
        ...
        FileNotFoundError: ...
    """
    return {
        "name": store.name,
        "title": store.title,
        "path": str(store.path),
        "records_sha256": store.info["records_sha256"],
        "windows": len(store),
        "leads": list(store.leads),
        "fs": store.fs,
        "unit": store.unit,
        "licence": store.info.get("licence", ""),
        "citation": store.info.get("citation", ""),
        "tasks": list(store.tasks),
    }


def _is_table(given: Any) -> bool:
    return isinstance(given, (str, Path)) and Path(given).suffix.lower() == ".csv"


def _convert(table: Path, out: Path, quiet: bool) -> Store:
    folder, note = out / "stores" / table.stem, out / "stores" / f"{table.stem}.json"
    if not table.is_file():
        raise FileNotFoundError(f"{table} is missing; pass the CSV file that lists your files, or a store.")
    now = {"csv": str(table.absolute()), "sha256": sha256_of(table)}
    changed = note.is_file() and json.loads(note.read_text(encoding="utf-8")).get("sha256") != now["sha256"]
    if (folder / "dataset.json").is_file() and note.is_file() and not changed:
        return open_store(folder)
    folder.parent.mkdir(parents=True, exist_ok=True)
    write_json(note, now)  # before the conversion: what was begun with another table is begun anew
    return convert("files", table, folder, overwrite=changed, progress=not quiet)
