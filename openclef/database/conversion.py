"""Conversion of a database into a store: parallel, resumable, with a reason for every record left out."""

from __future__ import annotations

import hashlib
import inspect
import json
import os
import platform
import re
import time
import warnings
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from numbers import Integral, Real
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, Union, get_args, get_origin, get_type_hints

import joblib
import numpy as np
import pandas as pd

from openclef.database import DATABASES
from openclef.database.plan import Database, Plan
from openclef.formats.rate import check_rate
from openclef.plausibility import doubt_lengths, doubt_signals
from openclef.shards import hold_folder
from openclef.store import Store
from openclef.store_writing import StoreWriter

_KEY_VERSION = 1


def convert(
    database: str,
    src: str | Path,
    dst: str | Path,
    *,
    workers: int | None = None,
    overwrite: bool = False,
    max_skipped_share: float = 0.05,
    limit: int | None = None,
    progress: bool = True,
    **options: Any,
) -> Store:
    r"""Convert a database, or files of one's own, into a store.

    Records are read in parts of fixed size by several processes (on a cluster, by the backend that
    ``joblib.parallel_config`` names); the store's bytes do not depend on their number. A conversion that was
    stopped, at whatever moment, goes on when it is called again. A record that is damaged or does not fit is
    left out and listed in ``skipped.csv`` with its reason.

    Args:
        database: a name of ``openclef.database.DATABASES``.
        src: the source folder; for ``files`` the CSV file that lists them.
        dst: the store's folder.
        workers: processes; None: one a core.
        overwrite: replace the store, or the unfinished conversion, that stands in ``dst``.
        max_skipped_share: largest share of the records that may be left out, from 0 to 1.
        limit: convert only the first records; None: all.
        progress: show a progress bar with records per second and the time left.
        **options: of the database, for example ``fs=100`` for ``ptb_xl`` (docs/databases.md).

    Returns:
        The store.

    Raises:
        FileNotFoundError: if the source is not there; the message says where to get it.
        FileExistsError: if ``dst`` holds a finished store, or is a file.
        BlockingIOError: if another conversion is writing into ``dst``.
        ValueError: if the database or an option is unknown or of the wrong type, the source does not fit, the
            rate is outside 10 to 50,000 Hz, a subject is on two sides of the split, or more records than
            ``max_skipped_share`` were left out.

    Warns:
        UserWarning: if the store cannot well be what it says: most amplitudes are none of an ECG, most windows
            are flat or missing, or nearly all are shorter than half a window.

    Example:
        >>> import numpy as np, tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     np.save(Path(folder, "ecg.npy"), np.full((3, 1, 1000), 0.25, np.float32))
        ...     _ = Path(folder, "records.csv").write_text("person,Age\np1,50\np2,60\np1,51\n")
        ...     store = convert(
        ...         "table", folder, Path(folder, "store"), workers=1, progress=False, signals="ecg.npy",
        ...         metadata="records.csv", fs=100, leads=["I"], unit="mV", subject_id="person",
        ...         rename={"Age": "age_years"},
        ...     )
        ...     len(store), float(store.read(0)[0, 0, 0]), store.records["age_years"].tolist()
        (3, 0.25, [50.0, 60.0, 51.0])
    """
    if not 0 <= max_skipped_share <= 1:
        raise ValueError(f"max_skipped_share={max_skipped_share!r}; accepted is a share from 0 to 1")
    if workers is not None and workers < 1:
        raise ValueError(
            f"workers={workers!r}; accepted is a number of processes from 1, or None for one a core"
        )
    plan = _plan(_find(database), src, options)
    check_rate(plan.fs, plan.name)
    records = plan.records if limit is None else plan.records.head(limit)
    _check_records(records, plan)
    with hold_folder(Path(dst).absolute()):
        store = _write(plan, records, dst, overwrite, workers, max_skipped_share, progress)
    for doubt in (*doubt_signals(store), *doubt_lengths(store)):
        warnings.warn(f"{store.name}: {doubt}", stacklevel=2)
    return store


def _write(
    plan: Plan,
    records: pd.DataFrame,
    dst: str | Path,
    overwrite: bool,
    workers: int | None,
    max_skipped_share: float,
    progress: bool,
) -> Store:
    writer = StoreWriter(
        dst,
        name=plan.name,
        title=plan.title,
        unit=plan.unit,
        scale=plan.scale,
        fs=plan.fs,
        leads=plan.leads,
        seconds=plan.seconds,
        subject_namespace=plan.subject_namespace,
        tasks=plan.tasks,
        licence=plan.licence,
        source=plan.source,
        citation=plan.citation,
        resume_key=_resume_key(plan, records),
        overwrite=overwrite,
    )
    finished = writer.finished_parts()
    parts = _parts(len(records), plan.part_records)
    skipped = writer.skipped()
    done = sum(len(parts[index]) for index in finished if index < len(parts))
    owner = (platform.node(), os.getpid())
    jobs = (
        joblib.delayed(_convert_part)(writer, index, records.iloc[part.start : part.stop], plan.read, owner)
        for index, part in enumerate(parts)
        if index not in finished
    )
    _check_share(skipped, len(records), max_skipped_share, writer)
    processes = min(workers or joblib.cpu_count(), len(parts) - len(finished)) or 1
    results = joblib.Parallel(n_jobs=processes, return_as="generator_unordered")(jobs)
    try:
        with _bar(progress, f"converting {plan.name}", len(records), done) as advance:
            for index, left_out in results:
                skipped += left_out
                advance(len(parts[index]))
                _check_share(skipped, len(records), max_skipped_share, writer)
    finally:
        with warnings.catch_warnings():  # joblib warns of the parts that are given up
            warnings.filterwarnings("ignore", message=".*have been cancelled")
            results.close()
    return writer.finish()


def _find(database: str) -> Database:
    if database not in DATABASES:
        raise ValueError(f"database={database!r} is unknown; accepted are {', '.join(DATABASES)}")
    return DATABASES[database]


def _plan(database: Database, src: str | Path, options: dict[str, Any]) -> Plan:
    accepted = [name for name in inspect.signature(database.plan).parameters if name != "src"]
    unknown = [name for name in options if name not in accepted]
    if unknown:
        raise ValueError(
            f"option {', '.join(unknown)} is unknown to {database.name}; accepted: {', '.join(accepted)}"
        )
    parameters = inspect.signature(database.plan).parameters.values()
    needed = [
        each.name for each in parameters if each.kind == each.KEYWORD_ONLY and each.default is each.empty
    ]
    missing = [name for name in needed if name not in options]
    if missing:
        raise ValueError(f"{database.name} needs {', '.join(missing)}; pass {missing[0]}=...")
    given = {
        name: os.fspath(value) if isinstance(value, os.PathLike) else value for name, value in options.items()
    }
    hints = get_type_hints(database.plan)
    for name, value in given.items():
        if not _fits(value, hints.get(name, Any)):
            raise ValueError(
                f"option {name}={value!r} of {database.name} is of type {type(value).__name__}; accepted is "
                f"{_in_words(hints[name])}"
            )
    return database.plan(Path(src).absolute(), **given)


def _fits(value: Any, hint: Any) -> bool:
    """Tell whether an option is of the type that the database's ``plan`` states."""
    origin, inside = get_origin(hint), get_args(hint)
    if hint is Any:
        return True
    if origin in (Union, UnionType):
        return any(_fits(value, each) for each in inside)
    if origin is Sequence:  # a string is one name
        return isinstance(value, str) or (
            isinstance(value, (Sequence, np.ndarray)) and all(_fits(each, inside[0]) for each in value)
        )
    if origin is Mapping:  # keys stand for cells of a table and may be numbers
        return isinstance(value, Mapping) and all(_fits(each, inside[1]) for each in value.values())
    if hint in (int, float):
        kind = Integral if hint is int else Real
        return isinstance(value, kind) and not isinstance(value, (bool, np.bool_))
    return isinstance(value, hint)


def _in_words(hint: Any) -> str:
    words = {float: "a number", int: "a whole number", str: "text", bool: "True or False", NoneType: "None"}
    if get_origin(hint) in (Union, UnionType):
        return " or ".join(_in_words(each) for each in get_args(hint))
    if get_origin(hint) is Sequence:
        return "a list of texts"
    if get_origin(hint) is Mapping:
        return "a mapping, for example {...: ...}"
    return words.get(hint, str(hint))


def _check_records(records: pd.DataFrame, plan: Plan) -> None:
    """Refuse what would spoil the store: no record, one id twice, a subject on two sides of the split."""
    if records.empty:
        raise ValueError(f"{plan.name}: the plan holds no record; check the source")
    twice = records["record_id"][records["record_id"].duplicated()]
    if len(twice):
        raise ValueError(
            f"{plan.name}: record_id {twice.iloc[0]!r} stands there more than once; name each once"
        )
    if "split" in records:
        known = records[(records["subject_id"] != "") & (records["split"] != "")]
        sides = known.groupby("subject_id")["split"].nunique()
        if (sides > 1).any():
            raise ValueError(
                f"{plan.name}: {int((sides > 1).sum())} subjects are on two sides of the split, for example "
                f"{sides.index[sides > 1][0]!r}; pass a split by subject"
            )


def _resume_key(plan: Plan, records: pd.DataFrame) -> str:
    settings = json.dumps([_KEY_VERSION, plan.part_records, plan.settings], sort_keys=True, default=str)
    digest = hashlib.sha256(settings.encode())
    digest.update("\n".join(map(str, records.columns)).encode())
    digest.update(pd.util.hash_pandas_object(records, index=False).to_numpy().tobytes())
    return digest.hexdigest()


def _parts(count: int, size: int) -> list[range]:
    return [range(start, min(start + size, count)) for start in range(0, count, size)]


def _convert_part(
    writer: StoreWriter, index: int, rows: pd.DataFrame, read: Any, owner: tuple[str, int]
) -> tuple[int, list[tuple[str, str]]]:
    """Read the records of a part and write it; runs in a worker process."""
    taken, columns, skipped = [], [], []
    public = [name for name in rows if str(name)[0] != "_" and name != "record_id"]
    for row in rows.to_dict("records"):
        _stop_if_orphaned(owner)
        try:
            record = read(row)
        except (OSError, ValueError) as error:
            skipped.append((str(row["record_id"]), _reason(error)))
            continue
        taken.append(record)
        columns.append({str(name): row[name] for name in public})
    _stop_if_orphaned(owner)
    return index, writer.write_part(index, taken, columns, skipped)


def _stop_if_orphaned(owner: tuple[str, int]) -> None:
    """End a worker whose conversion was killed, so that it does not write into the one that follows."""
    node, process = owner
    if os.name != "posix" or node != platform.node():
        return
    try:
        os.kill(process, 0)  # asks only whether the process is there
    except ProcessLookupError:
        os._exit(1)
    except PermissionError:
        return


def _reason(error: Exception) -> str:
    """The error's text without the record's name, so that equal reasons can be counted."""
    return re.sub(r"^record '[^']*':? ", "", str(error))


def _check_share(skipped: list[tuple[str, str]], total: int, share: float, writer: StoreWriter) -> None:
    if len(skipped) <= share * total:
        return
    counts = Counter(re.sub(r"\w*\d\w*", "#", reason) for _, reason in skipped)
    examples = {re.sub(r"\w*\d\w*", "#", reason): (name, reason) for name, reason in reversed(skipped)}
    told = "; ".join(
        f"{count} times, for example {examples[kind][0]}: {examples[kind][1]}"
        for kind, count in counts.most_common(3)
    )
    raise ValueError(
        f"{len(skipped)} of {total} records cannot be converted, more than max_skipped_share={share:g}: "
        f"{told}. Mend the source and convert with overwrite=True, or pass a larger max_skipped_share: "
        f"what is finished in {writer.path} is kept"
    )


@contextmanager
def _bar(show: bool, title: str, total: int, done: int) -> Iterator[Any]:
    """A progress bar on the error stream; yields the function that advances it."""
    if not show:
        yield lambda count: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = [
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[rate]} records/s"),
        TimeRemainingColumn(),
    ]
    with Progress(*columns, console=Console(stderr=True)) as bar:
        start = time.monotonic()
        task = bar.add_task(title, total=total, completed=done, rate="-")

        def advance(count: int) -> None:
            bar.update(task, advance=count)
            speed = (bar.tasks[0].completed - done) / max(time.monotonic() - start, 1e-9)
            bar.update(task, rate=f"{speed:,.0f}")

        yield advance
