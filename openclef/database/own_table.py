"""A store of one's own table: the CSV file converted once, and its store used again while nothing has changed."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from openclef.database.conversion import convert
from openclef.shards import hold_folder, make_folder, sha256_of, write_json
from openclef.store import Store, open_store

__all__ = ["find_task", "is_table", "store_of_table"]

MADE_FROM = "made_from.json"
"""Beside a store's own files: the table and the options that it was made from."""

_OF_THE_CALL = ("workers", "progress", "overwrite")  # these leave the store's bytes as they are
_PAUSE_S = 0.5


def is_table(place: object) -> bool:
    """Tell whether a path is meant as a table of files, by its ending; a store is a folder.

    Args:
        place: what was given for a store.

    Returns:
        True for a path that ends in .csv or .tsv.

    Example:
        >>> is_table("my/ecgs.csv"), is_table("stores/mine")
        (True, False)
    """
    return isinstance(place, (str, Path)) and Path(place).suffix.lower() in (".csv", ".tsv")


def store_of_table(
    csv: str | Path, dst: str | Path, options: Mapping[str, Any] | None = None, *, quiet: bool = False
) -> Store:
    r"""Convert the files that a CSV file lists, once; later calls open the store while table and options stay.

    A changed table, or other options, replace the store; the listed files themselves are not compared. A
    conversion that was stopped goes on. Of several processes that ask for the store, one converts and the
    others wait.

    Args:
        csv: the CSV file (``openclef.database.files``, docs/own-files.md).
        dst: the store's folder.
        options: those of ``convert("files", ...)``, for example ``{"labels": {"af": "binary"}}``;
            ``"overwrite": True`` converts again whatever stands in the folder.
        quiet: show no progress bar, and do not say that the store is used again.

    Returns:
        The store; it declares a task at least.

    Raises:
        FileNotFoundError: if the CSV file is missing, or a folder, or none of its files is there.
        FileExistsError: if the folder holds a store that was not made from a table by this function.
        ValueError: if the table or an option does not fit, or the table has no column of labels.

    Example:
        >>> import tempfile, numpy as np
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     np.save(Path(folder, "a.npy"), np.sin(np.arange(1300) / 9).astype(np.float32))
        ...     table = Path(folder, "mine.csv")
        ...     _ = table.write_text("path,subject_id,leads,fs,unit,ef\na.npy,p1,I,130,mV,55.5\n")
        ...     store = store_of_table(table, Path(folder, "store"), {"workers": 1}, quiet=True)
        ...     list(store.tasks), len(store_of_table(table, store.path, quiet=True))
        (['mine/ef'], 1)
    """
    csv, dst = Path(csv), Path(dst)
    if not csv.is_file():
        what = "is a folder" if csv.is_dir() else "is missing"
        raise FileNotFoundError(
            f"{csv} {what}; pass the CSV file that lists your files, one a row: columns path, subject_id and labels "
            "(docs/own-files.md)."
        )
    settings = _checked(options)
    kept = {name: value for name, value in settings.items() if name not in _OF_THE_CALL}
    about = {
        "table": str(csv.resolve()),
        "table_sha256": sha256_of(csv),
        "options": json.loads(json.dumps(kept, default=str)),
    }
    with _alone_in(dst.absolute().parent):
        before = _made_from(dst)
        forced = bool(settings.get("overwrite"))
        if before.get("about") == about and before["records_sha256"] and not forced:
            store = open_store(dst)
            told = "unchanged, and its store {} is used again"
        else:
            store = _convert(
                csv, dst, about, before, {"progress": not quiet} | settings | {"overwrite": forced}
            )
            told = "its store is {}, which is used again while table and options stay"
    if not quiet:
        print(f"{csv.name}: {told.format(dst)}", file=sys.stderr)
    if not store.tasks:
        raise ValueError(
            f"{csv.name} has no column of labels; add one, for example af with the cells 0 and 1, or say what a column "
            "is with options={'labels': {'grade': 'multiclass'}} (docs/own-files.md)."
        )
    return store


def find_task(store: Store, task: str) -> str:
    r"""Find the task that a name or a column's name alone means.

    Args:
        store: a store of a table.
        task: ``"ecgs/af"``, or ``"af"`` where one task alone ends so.

    Returns:
        The task's whole name.

    Raises:
        ValueError: if no task, or more than one, is meant; the message lists those declared.

    Example:
        >>> import tempfile, numpy as np
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     np.save(Path(folder, "a.npy"), np.sin(np.arange(1300) / 9).astype(np.float32))
        ...     table = Path(folder, "mine.csv")
        ...     _ = table.write_text("path,subject_id,leads,fs,unit,ef\na.npy,p1,I,130,mV,55.5\n")
        ...     store = store_of_table(table, Path(folder, "store"), {"workers": 1}, quiet=True)
        ...     find_task(store, "ef")
        'mine/ef'
    """
    if task in store.tasks:
        return task
    meant = [name for name in store.tasks if name.endswith(f"/{task}")]
    if len(meant) == 1:
        return meant[0]
    raise ValueError(
        f"task is {task!r}, which {'several tasks end in' if meant else 'is none'}; {store.path} declares "
        f"{', '.join(store.tasks) or 'none'}: pass one of these."
    )


def _checked(options: Mapping[str, Any] | None) -> dict[str, Any]:
    if options is not None and not isinstance(options, Mapping):
        raise ValueError(
            f"options is {options!r}; accepted is a mapping of the options of openclef convert files, for example "
            "{'labels': {'af': 'binary'}}."
        )
    settings = dict(sorted((options or {}).items()))
    given = [name for name in ("database", "src", "dst") if name in settings]
    if given:
        raise ValueError(
            f"options hold {', '.join(given)}, which the table and its store state; leave them out."
        )
    return settings


def _made_from(dst: Path) -> dict[str, Any]:
    """What the store in a folder was made from, {} where it is none of a table; unfinished: records_sha256 is ""."""
    try:
        made = json.loads((dst / MADE_FROM).read_text(encoding="utf-8"))
        finished = (dst / "dataset.json").exists()
        found = open_store(dst).info["records_sha256"] if finished else ""
    except (FileNotFoundError, NotADirectoryError, ValueError):
        return {}
    if not isinstance(made, dict) or set(made) != {"about", "anew", "records_sha256"}:
        return {}
    if made["records_sha256"] not in ("", found):
        return {}  # another store was put into the folder
    return made | {"records_sha256": made["records_sha256"] and found}


def _convert(
    csv: Path, dst: Path, about: dict[str, Any], before: dict[str, Any], settings: dict[str, Any]
) -> Store:
    """Convert, and note from what: before, so that what was stopped is known, and after, with the store's hash."""
    stopped = before.get("about") == about and not before["anew"] and not (dst / "dataset.json").exists()
    anew = settings["overwrite"] or (bool(before) and not stopped)
    new, of_another = not dst.exists(), not before and dst.is_dir() and any(dst.iterdir())
    if not of_another:  # else convert refuses it
        make_folder(dst)
        write_json(dst / MADE_FROM, {"about": about, "anew": anew, "records_sha256": ""})
    try:
        store = convert("files", csv, dst, **(settings | {"overwrite": anew}))
    except (OSError, ValueError):
        if new and [each.name for each in dst.iterdir()] == [
            MADE_FROM
        ]:  # refused before anything was written
            (dst / MADE_FROM).unlink()
            dst.rmdir()
        raise
    write_json(
        dst / MADE_FROM, {"about": about, "anew": False, "records_sha256": store.info["records_sha256"]}
    )
    return store


@contextmanager
def _alone_in(folder: Path) -> Iterator[None]:
    """Wait until no other process converts a table into a store of this folder."""
    with ExitStack() as held:
        while True:
            try:
                held.enter_context(hold_folder(folder))
            except BlockingIOError:
                time.sleep(_PAUSE_S)
            else:
                break
        yield
