"""Text files from outside: decoded, or refused where they are no text."""

from __future__ import annotations

import math
import re
from pathlib import Path

import pandas as pd

_UTF_16 = (b"\xff\xfe", b"\xfe\xff")
_HEAD = 4096  # bytes that recognising looks at; a shorter file is there as a whole
_NUMBER = re.compile(r"[+-]?(?:\d+[.,]?\d*|[.,]\d+)(?:[eE][+-]?\d{1,4})?")
_BINARY = re.compile(r"[\x00-\x08\x0e-\x1a\x1c-\x1f]")


def read_text(path: Path, what: str) -> str:
    r"""Read a text file in UTF-8, or in UTF-16 with its mark at the beginning.

    Args:
        path: the file.
        what: what it should be, for messages.

    Returns:
        Its text, with ``\n`` at the end of lines.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if it is no such text.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     _ = Path(folder, "a.csv").write_bytes("µV\r\n1\r\n".encode("utf-16"))
        ...     read_text(Path(folder, "a.csv"), "text table")
        'µV\n1\n'
    """
    if not path.is_file():
        raise FileNotFoundError(f"{what} {path.name} is missing in {path.parent}; check the path")
    content = path.read_bytes()
    try:
        text = content.decode("utf-16" if content.startswith(_UTF_16) else "utf-8-sig")
    except UnicodeDecodeError as error:
        raise ValueError(f"{path.name} is no UTF-8 text ({error}); save it as UTF-8") from None
    if "\0" in text:
        raise ValueError(f"{path.name} is no UTF-8 text (it holds zero bytes); save it as UTF-8")
    return text.replace("\r\n", "\n").replace("\r", "\n")


def head_lines(head: bytes) -> list[str]:
    r"""Split a file's first bytes into lines, for recognising it.

    Args:
        head: the file's first bytes; the last line may be cut short.

    Returns:
        The lines, without the last where the file goes on; none where these bytes are no text.

    Example:
        >>> head_lines("a,µV\n1,2\n".encode("utf-16")), head_lines(b"\x00\x01")
        (['a,µV', '1,2'], [])
    """
    if head.startswith(_UTF_16):
        text = head.decode("utf-16", errors="ignore")
    else:
        try:
            text = head.removeprefix(b"\xef\xbb\xbf").decode("utf-8")
        except UnicodeDecodeError as error:
            if (
                error.start < len(head.removeprefix(b"\xef\xbb\xbf")) - 4
            ):  # a character cut at the end is none
                return []
            text = head.removeprefix(b"\xef\xbb\xbf").decode("utf-8", errors="ignore")
    if _BINARY.search(text):
        return []
    lines = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    return lines[:-1] if len(head) >= _HEAD or not lines[-1] else lines


def number(text: str) -> float | None:
    """Read one number, written with a decimal point or a decimal comma.

    Args:
        text: the number, without thousands marks.

    Returns:
        The number; None where it is none, or is not finite.

    Example:
        >>> number("-1.5"), number(" 511,422 "), number("1.234,5"), number("nan")
        (-1.5, 511.422, None, None)
    """
    if not _NUMBER.fullmatch(text.strip()):
        return None
    value = float(text.strip().replace(",", "."))
    return value if math.isfinite(value) else None


def parse_error(name: str, error: Exception) -> ValueError:
    """Word what pandas says of a table that cannot be read.

    Args:
        name: the file's name.
        error: what pandas raised.

    Returns:
        An error of one line that names the file.

    Example:
        >>> parse_error("a.csv", ValueError("could not convert string to float: 'x'"))
        ValueError("a.csv: could not convert string to float: 'x'; accepted are numbers, one column a lead")
    """
    told = " ".join(str(error).split())[:200].rstrip(". ")
    return ValueError(f"{name}: {told}; accepted are numbers, one column a lead")


PARSE_ERRORS = (ValueError, OverflowError, pd.errors.ParserError, pd.errors.EmptyDataError)
"""What pandas raises for text that is no table of numbers."""
