"""Checks of PyTorch's files before PyTorch reads them: no program in them, and every byte as it was written."""

from __future__ import annotations

import mmap
import zipfile
import zlib
from pathlib import Path

__all__ = ["check_archive"]

_PROGRAM = b"constants.pkl"
"""A member by which PyTorch knows a TorchScript program, which it would run whatever was asked of it."""


def check_archive(path: Path) -> None:
    """Refuse a PyTorch file that holds a program, or whose members are not as they were written.

    Args:
        path: A zip archive, as torch.save writes it since PyTorch 1.6; a file of another kind is not looked into.

    Raises:
        ValueError: A TorchScript program, or a damaged member.

    Example:
        >>> import tempfile
        >>> file = Path(tempfile.mkdtemp(), "a.pt")
        >>> with zipfile.ZipFile(file, "w") as archive:
        ...     archive.writestr("a/constants.pkl", b"")
        >>> check_archive(file)
        Traceback (most recent call last):
        ...
        ValueError: ...a.pt is a TorchScript program, which loading it would run. ...
    """
    if not zipfile.is_zipfile(path):
        return
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        # wherever the name stands: two readers of zip archives may differ on what an archive holds
        if content.find(_PROGRAM) >= 0:
            raise ValueError(
                f"{path} is a TorchScript program, which loading it would run. Where it is trusted, save its tensors "
                "alone: torch.save(torch.jit.load(old).state_dict(), new)."
            )
    try:
        with zipfile.ZipFile(path) as archive:
            damaged = archive.testzip()
    except (zipfile.BadZipFile, zlib.error, RuntimeError, NotImplementedError, EOFError, OSError) as error:
        raise ValueError(f"{path} is damaged ({error}); download it again.") from error
    if damaged is not None:
        raise ValueError(f"{path} is damaged (the checksum of {damaged} does not fit); download it again.")
