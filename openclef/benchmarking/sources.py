"""What is judged on: stores, one's own files listed in a CSV file, and the tasks that they declare."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from openclef.benchmarking.call import listed
from openclef.database.own_table import is_table, store_of_table
from openclef.store import Store, open_store

__all__ = ["describe_store", "find_tasks", "leads_of", "open_sources"]


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
    given: list[Any] = [stores] if isinstance(stores, (Store, Path)) else listed("stores", stores)
    for each in given:
        if not isinstance(each, (Store, str, Path)):
            raise ValueError(f"stores hold {each!r}; pass stores, their folders, or .csv files.")
    if not given:
        raise ValueError(
            "No store is given; pass a store, a CSV file that lists your own files, or a list of these."
        )
    tables = [Path(each) for each in given if is_table(each)]
    nameless = [str(table) for table in tables if not table.stem.strip(". ")]
    nameless += [str(each) for each in given if str(each).rsplit("/", 1)[-1].lower() in (".csv", ".tsv")]
    if nameless:
        raise ValueError(f"{nameless[0]} has no name before its ending; rename it: its tasks bear that name.")
    stems = [table.stem.casefold() for table in tables]
    twice = [str(table) for table, stem in zip(tables, stems) if stems.count(stem) > 1]
    if twice:
        raise ValueError(f"{', '.join(twice)} have the same name, and so would their tasks; rename one.")
    opened = [
        store_of_table(each, out / "stores" / Path(each).stem, quiet=quiet)
        if is_table(each)
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
    if any(not str(task).strip() for task in wanted):
        raise ValueError("a store declares a task without a name; name it, and convert again.")
    if not wanted:
        raise ValueError(f"there is no task to judge; the stores declare {listed}.")
    return {task: [store for store in stores if task in store.tasks] for task in wanted}


def leads_of(stores: Sequence[Store], leads: Sequence[str] | None = None) -> list[str]:
    """The leads that a task is judged on.

    Args:
        stores: Those that declare it.
        leads: Leads asked for; None = one: I, or the first of the first store that all have.

    Returns:
        Those asked for that all stores have, or all asked for where they have none of them: the cells then say what
        is missing.

    Example:
        >>> leads_of([], ["II"])
        ['II']
    """
    common = (
        [lead for lead in stores[0].leads if all(lead in store.leads for store in stores)] if stores else []
    )
    if leads is None:
        return ["I"] if "I" in common else common[:1] or ["I"]
    return [lead for lead in leads if lead in common] or list(leads)


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
