"""The files that the rows of a user's table mean."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from openclef.database.table_rows import TableRows
from openclef.formats import FORMATS
from openclef.formats.wfdb import record_stem


def find_paths(rows: TableRows, base: Path, src: Path, *, path: str, record_id: str) -> list[str]:
    """Find each row's file, by the column of paths, or by the record's name where there is no such column.

    Args:
        rows: the table.
        base: the folder that paths begin from, and below which names are looked for.
        src: the CSV file, which is none of the files.
        path: name of the column of paths.
        record_id: name of the column of records' names.

    Returns:
        Paths relative to the folder, or absolute; a file need not be there.

    Raises:
        FileNotFoundError: if none of the files is there.
        ValueError: if there is neither column, or a cell is empty, or names several files or one twice.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     _ = Path(folder, "a.npy").touch()
        ...     rows = TableRows("t.csv", pd.DataFrame({"record_id": ["a", "b"]}))
        ...     find_paths(rows, Path(folder), Path(folder, "t.csv"), path="path", record_id="record_id")
        ['a.npy', 'b']
    """
    frame = rows.frame
    if path not in frame and record_id not in frame:
        raise ValueError(
            f"{src.name} has no column {path} and no column {record_id}; it has {', '.join(frame.columns)}: pass "
            "path=<the column of the files' paths>"
        )
    column = path if path in frame else record_id
    cells = frame[column].str.replace("\\", "/")
    rows.refuse(cells == "", f"column {column} is empty", "name the row's file")
    if column == path:
        places = cells.tolist()
    else:
        by_name: dict[str, list[str]] = {}
        endings = {ending for kind in FORMATS.values() for ending in kind.suffixes}
        for file in sorted(base.rglob("*")):
            ending = file.suffix.lower()  # a WFDB record is found by its header
            if ending in endings - {".dat", ".mat"} and file != src and file.is_file():
                for each in {file.stem, file.name}:
                    by_name.setdefault(each, []).append(file.relative_to(base).as_posix())
        several = cells.map(lambda cell: len(by_name.get(cell, ())) > 1)
        rows.refuse(several, f"several files below {base} bear that record's name", "give a column path")
        places = [by_name.get(cell, [cell])[0] for cell in cells]
    if not any(is_there(base / place) for place in places):
        raise FileNotFoundError(
            f"none of the {len(places)} files of {src.name} is there, for example {base / places[0]}; pass "
            "root=<the folder that the paths begin from>"
        )
    files = pd.Series([record_stem(place).as_posix() for place in places])
    rows.refuse(files.duplicated(), "the file is that of an earlier row", "list each file once")
    return places


def is_there(path: Path) -> bool:
    """Tell whether a file is there, or the header of a WFDB record that is named without ending.

    Args:
        path: the file.

    Returns:
        True if it is.

    Example:
        >>> is_there(Path("nowhere"))
        False
    """
    return path.is_file() or Path(f"{path}.hea").is_file()


def name_records(paths: list[str]) -> list[str]:
    """Name records after their files without ending, or after the paths where that is not enough.

    Args:
        paths: one path a record.

    Returns:
        One name a record, each once where each path stands there once.

    Example:
        >>> name_records(["one/a.hea", "one/b.npy"]), name_records(["one/a.hea", "two/a.hea"])
        (['a', 'b'], ['one/a', 'two/a'])
    """
    endings = {ending for kind in FORMATS.values() for ending in kind.suffixes}
    plain = [
        path[: -len(Path(path).suffix)] if Path(path).suffix.lower() in endings else path for path in paths
    ]
    for names in ([path.rsplit("/", 1)[-1] for path in plain], plain):
        if len(set(names)) == len(names):
            return names
    return paths
