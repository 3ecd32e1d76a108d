"""Pickles: files that would run code when they are read, in whatever guise they come; they are never opened."""

from __future__ import annotations

import re

ENDINGS = (".pkl", ".pickle", ".pt", ".pth", ".ckpt", ".joblib", ".dill", ".cloudpickle")
"""File name endings under which pickles are usual."""

_BINARY = re.compile(rb"^\x80[\x01-\x05](?:\x95|[\x8a-\x8eGIJKLMNUVXcq(})\]l\x28])", re.DOTALL)
_TEXT = re.compile(rb"^(?:\((?:lp|dp|tp?)\d*\n|c[A-Za-z_][\w.]*\n[A-Za-z_][\w.]*\n)|^[\]})]q\x00")
_TORCH_ZIP = re.compile(rb"^PK\x03\x04.{26}[^\x00-\x1f]{1,200}?data\.pkl", re.DOTALL)


def is_pickled(head: bytes) -> bool:
    r"""Tell whether a file is a pickle, or an archive of PyTorch around one.

    Args:
        head: its first bytes.

    Returns:
        True where a pickle's opcodes begin it, or an archive whose first entry is one.

    Example:
        >>> import pickle
        >>> [is_pickled(pickle.dumps([1.0], protocol=protocol)) for protocol in (0, 2, 4, 5)]
        [True, True, True, True]
        >>> is_pickled(b"I,II\n1,2\n"), is_pickled(bytes([0x80, 0x02, 0x10, 0x00]))
        (False, False)
    """
    return bool(_BINARY.match(head) or _TEXT.match(head) or _TORCH_ZIP.match(head))


def refuse_pickled(name: str, head: bytes) -> None:
    """Refuse a pickle, by its content or its name's ending.

    Args:
        name: the file's name.
        head: its first bytes.

    Raises:
        ValueError: if it is one.

    Example:
        >>> refuse_pickled("a.pkl", b"")
        Traceback (most recent call last):
        ValueError: a.pkl is a pickle, and reading those runs code from the file; accepted are arrays of numbers: ...
    """
    if name.lower().endswith(ENDINGS) or is_pickled(head):
        raise ValueError(
            f"{name} is a pickle, and reading those runs code from the file; accepted are arrays of numbers: save it "
            "as .npy, .csv or .parquet"
        )
