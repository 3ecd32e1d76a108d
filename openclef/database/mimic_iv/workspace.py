"""What an extraction works with: DuckDB, the hospital's files, progress, and the count of what was dropped."""

from __future__ import annotations

import csv
import gzip
import re
import zlib
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event
from typing import TYPE_CHECKING, Any

from openclef.database.mimic_iv.concepts import Concepts

if TYPE_CHECKING:
    import duckdb
    import pyarrow as pa

TABLES = ("patients", "admissions", "omr", "labevents", "diagnoses_icd", "prescriptions")
"""The tables that are read; only the first is needed."""

ACCESS = (
    "MIMIC-IV needs credentialed access: https://physionet.org/content/mimiciv/; pass hosp=<its folder hosp>"
)

_LONGEST_HEADER = 1 << 16
MOST_THREADS = 1024
_PIECE = 1 << 22  # bytes that are checked at a time
_LOOK_EVERY_S = 0.1
_FETCH_AGAIN = "fetch it again and compare it with SHA256SUMS.txt"


@dataclass
class Workspace:
    """One extraction under way.

    Args:
        connection: DuckDB's; it holds the tables that the modules make for each other.
        hosp: folder of the hospital's tables.
        concepts: the rules.
        bar: rich's progress, or None.
        dropped: counts by table, name and reason.
        files: of each table that was read, its file.

    Example:
        >>> from openclef.database.mimic_iv.concepts import read_concepts
        >>> with open_workspace(Path("nowhere"), read_concepts()) as work:
        ...     work.drop("omr", "bmi", "implausible", 2)
        ...     work.dropped
        {('omr', 'bmi', 'implausible'): 2}
    """

    connection: duckdb.DuckDBPyConnection
    hosp: Path
    concepts: Concepts
    bar: Any = None
    dropped: dict[tuple[str, str, str], int] = field(default_factory=dict)
    files: dict[str, Path] = field(default_factory=dict)

    def drop(self, table: str, name: str, reason: str, n: int) -> None:
        """Count what was dropped; none is not kept.

        Args:
            table: of the hospital.
            name: what it would have become.
            reason: in words.
            n: how many rows.
        """
        if n:
            key = (table, name, reason)
            self.dropped[key] = self.dropped.get(key, 0) + n

    def has(self, table: str) -> bool:
        """Tell whether the hospital's folder has a table."""
        return find_table(self.hosp, table) is not None

    def columns(self, table: str) -> list[str]:
        """Read the names of a table's columns; a table that is missing is an error."""
        return _header(self._find(table))

    def query(self, sql: str, values: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """Run a short query and return its rows."""
        with _told():
            return self.connection.execute(sql, list(values)).fetchall()

    def fetch(self, sql: str) -> pa.Table:
        """Run a query and return its rows as columns."""
        with _told():
            return self.connection.sql(sql).to_arrow_table()

    def step(self, sql: str, title: str, values: Sequence[Any] = ()) -> None:
        """Run a long query and show how far it is."""
        with ThreadPoolExecutor(1) as pool:
            self._watch(pool.submit(self.connection.execute, sql, list(values)), title)

    def read(self, table: str, columns: Sequence[str], sql: str, values: Sequence[Any] = ()) -> None:
        """Run a query that reads one of the hospital's tables, once, and check the file's checksum meanwhile.

        Args:
            table: its name; the file must be there.
            columns: that the query uses; all of them are text, NULL where empty.
            sql: with `{rows}` where the table stands; what it makes is kept only if the file is whole.
            values: of the query's question marks.

        Raises:
            FileNotFoundError: if the file is missing.
            ValueError: if it is damaged or lacks a column.
        """
        path = self._find(table)
        self.files[table] = path
        rows = _rows(path, columns)
        _header(path, with_rows=True)
        stop = Event()
        with ThreadPoolExecutor(2) as pool:
            whole = pool.submit(_check_whole, path, stop)
            try:
                reading = pool.submit(self.connection.execute, sql.replace("{rows}", rows), list(values))
                self._watch(reading, table, path)
                whole.result()
            finally:
                stop.set()

    def _find(self, table: str) -> Path:
        path = find_table(self.hosp, table)
        if path is None:
            raise FileNotFoundError(f"{self.hosp / table}.csv.gz is missing. {ACCESS}")
        return path

    def _watch(self, reading: Future[Any], title: str, path: Path | None = None) -> None:
        """Wait for a query; an interruption stops it."""
        task = None
        if self.bar is not None:
            size = f" {path.stat().st_size / 1e6:,.0f} MB" if path else ""
            task = self.bar.add_task(f"{title}{size}", total=100)
        try:
            while not wait([reading], timeout=_LOOK_EVERY_S).done:
                if task is not None:
                    self.bar.update(task, completed=max(0.0, self.connection.query_progress()))
        except BaseException:
            self.connection.interrupt()
            raise
        with _told(path):
            reading.result()
        if task is not None:
            self.bar.update(task, completed=100)


@contextmanager
def open_workspace(
    hosp: Path,
    concepts: Concepts,
    *,
    memory_limit: str = "2GB",
    threads: int | None = None,
    scratch: Path | None = None,
    progress: bool = False,
) -> Iterator[Workspace]:
    """Open DuckDB for an extraction, and close it at the end.

    Args:
        hosp: folder of the hospital's tables.
        concepts: the rules.
        memory_limit: what DuckDB may use, as "2GB"; what is more goes to `scratch`.
        threads: of DuckDB; the number of cores by default.
        scratch: folder for intermediate results that do not fit; None: none.
        progress: show it on the error stream.

    Yields:
        The workspace.

    Raises:
        ImportError: if DuckDB is not installed.
        ValueError: if `memory_limit` or `threads` cannot be.

    Example:
        >>> from openclef.database.mimic_iv.concepts import read_concepts
        >>> with open_workspace(Path("nowhere"), read_concepts(), memory_limit="some") as work:
        ...     pass
        Traceback (most recent call last):
        ValueError: memory_limit='some' and threads=None; accepted are a size above 0 and ...threads=2
    """
    try:
        import duckdb
    except ImportError as error:
        raise ImportError("the extraction needs DuckDB; pip install duckdb.") from error

    if not re.fullmatch(r"\s*0*[1-9]\d*(\.\d+)?\s*([KMGT]i?)?B\s*", str(memory_limit), re.IGNORECASE) or not (
        threads is None or (isinstance(threads, int) and 1 <= threads <= MOST_THREADS)
    ):
        raise ValueError(
            f"memory_limit={memory_limit!r} and threads={threads!r}; accepted are a size above 0 and 1 to "
            f'{MOST_THREADS} threads; pass for example memory_limit="2GB", threads=2'
        )
    connection = duckdb.connect(":memory:")
    try:
        try:
            connection.execute("SET memory_limit = ?", [memory_limit])
            if threads is not None:
                connection.execute("SET threads = ?", [threads])
        except duckdb.Error as error:
            raise ValueError(
                f"memory_limit={memory_limit!r} and threads={threads!r}: {_first_line(error)}; pass for example "
                'memory_limit="2GB", threads=2'
            ) from None
        connection.execute("SET preserve_insertion_order = false")
        connection.execute("SET autoinstall_known_extensions = false")
        connection.execute("SET temp_directory = ?", [str(scratch) if scratch else ""])
        if not progress:
            yield Workspace(connection, hosp, concepts)
            return
        from rich.console import Console
        from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn

        connection.execute("SET enable_progress_bar = true")
        connection.execute("SET enable_progress_bar_print = false")
        columns = (
            TextColumn("{task.description}"),
            BarColumn(),
            TaskProgressColumn(),
            TimeElapsedColumn(),
        )
        with Progress(*columns, console=Console(stderr=True)) as bar:
            yield Workspace(connection, hosp, concepts, bar)
    finally:
        connection.close()


def find_hosp(folder: str | Path) -> Path:
    """Find the hospital's tables in a folder, or in its folder hosp.

    Args:
        folder: MIMIC-IV's hosp, or the folder above.

    Returns:
        The folder that holds patients.csv.gz.

    Raises:
        FileNotFoundError: if there is none.

    Example:
        >>> find_hosp("nowhere")
        Traceback (most recent call last):
        FileNotFoundError: nowhere holds no patients.csv.gz. MIMIC-IV needs credentialed access: ...
    """
    for place in (Path(folder), Path(folder) / "hosp"):
        if find_table(place, "patients") is not None:
            return place
    raise FileNotFoundError(f"{folder} holds no patients.csv.gz. {ACCESS}")


def find_table(hosp: Path, table: str) -> Path | None:
    """Find a table's file, compressed or not.

    Example:
        >>> find_table(Path("nowhere"), "omr") is None
        True
    """
    names = (f"{table}.csv.gz", f"{table}.csv")
    return next((hosp / name for name in names if (hosp / name).is_file()), None)


def text(value: str) -> str:
    """Write a text as SQL takes it.

    Example:
        >>> text("a'b")
        "'a''b'"
    """
    return "'" + value.replace("'", "''") + "'"


def texts(values: Sequence[str]) -> str:
    """Write texts as SQL's list in brackets; an empty one holds NULL, which nothing equals.

    Example:
        >>> texts(["a", "b"]), texts([])
        ("('a', 'b')", '(NULL)')
    """
    return f"({', '.join(map(text, values)) or 'NULL'})"


def plain_number(column: str) -> str:
    """Write SQL for the number that a text is, NULL where it is none: digits, a sign and a point at most.

    Example:
        >>> import duckdb
        >>> sql = f"SELECT {plain_number('v')} FROM (VALUES (' 5.2'), ('<5'), ('1e3'), ('.5'), ('inf')) t(v)"
        >>> duckdb.sql(sql).fetchall()
        [(5.2,), (None,), (None,), (0.5,), (None,)]
    """
    pattern = r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)"
    return f"CASE WHEN regexp_full_match(trim({column}), '{pattern}') THEN TRY_CAST(trim({column}) AS DOUBLE) END"


def _rows(path: Path, columns: Sequence[str]) -> str:
    """SQL for a file's rows: all columns text, those that no query uses are not parsed."""
    header = _header(path)
    absent = [name for name in columns if name not in header]
    if absent or len(set(header)) < len(header):
        what = f"has no column {', '.join(absent)}" if absent else "has two columns of one name"
        raise ValueError(
            f"{path} {what}; it has {', '.join(header)}: pass MIMIC-IV's table as it was fetched"
        )
    types = ", ".join(f"{text(name)}: 'VARCHAR'" for name in header)
    return (
        f"read_csv({text(str(path))}, columns = {{{types}}}, auto_detect = false, header = true, delim = ',', "
        "quote = '\"', escape = '\"')"
    )


def _header(path: Path, with_rows: bool = False) -> list[str]:
    """Names of the columns; a table without a row is refused where rows are wanted: it would make absence of all."""
    try:
        with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as file:
            line = file.readline(_LONGEST_HEADER).decode("utf-8-sig")
            has_row = not with_rows or bool(file.readline(_LONGEST_HEADER).strip())
    except (EOFError, zlib.error, gzip.BadGzipFile, UnicodeDecodeError) as error:
        raise ValueError(f"{path} is damaged ({error}); {_FETCH_AGAIN}") from None
    names = [name.strip() for name in next(csv.reader([line]), [])]
    if not any(names):
        raise ValueError(f"{path} is empty; {_FETCH_AGAIN}")
    if not has_row:
        raise ValueError(
            f"{path} has no row; {_FETCH_AGAIN}, or take it out of the folder: then its values are unknown"
        )
    return names


def _check_whole(path: Path, stop: Event) -> None:
    """Read a gzip file to its end and compare its checksums: DuckDB compares none."""
    if path.suffix != ".gz":
        return
    try:
        with gzip.open(path) as file:
            while not stop.is_set() and file.read(_PIECE):
                pass
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise ValueError(f"{path} is damaged ({error}); {_FETCH_AGAIN}") from None


@contextmanager
def _told(path: Path | None = None) -> Iterator[None]:
    """Turn DuckDB's errors into built-in ones that say what to do."""
    import duckdb

    try:
        yield
    except duckdb.OutOfMemoryException as error:
        raise ValueError(
            f"the memory limit is too small ({_first_line(error)}); pass a larger memory_limit, for example 4GB"
        ) from None
    except duckdb.Error as error:
        told = _first_line(error)
        if path is not None and any(word in told for word in ("CSV", "GZIP", "gzip", "unicode", "UTF-8")):
            raise ValueError(f"{path} is damaged ({told}); {_FETCH_AGAIN}") from None
        raise OSError(f"DuckDB: {told}") from error


def _first_line(error: Exception) -> str:
    return str(error).strip().split("\n")[0]
