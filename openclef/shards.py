"""One file of a store: int16 steps of a unit, shards mapped into memory, writing whole or not at all."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import shutil
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

try:
    import fcntl
except ImportError:  # pragma: no cover - Windows has no such locks; there two conversions are not told apart
    fcntl = None  # type: ignore[assignment]

MISSING = -32768
"""The int16 value of a missing sample."""


def write_atomically(path: str | Path, write: Callable[[Path], object]) -> None:
    """Write a file so that it is there whole or not at all, also when the machine stops in the middle.

    Args:
        path: the file.
        write: writes its content to the path that it is given, a temporary one in the same folder.

    Raises:
        OSError: if the content cannot be written; nothing is left behind. A full disk is said to be one.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     path = Path(folder, "a.txt")
        ...     write_atomically(path, lambda temporary: temporary.write_text("whole") and None)
        ...     path.read_text(), len(list(Path(folder).iterdir()))
        ('whole', 1)
    """
    path = Path(path)
    temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex[:12]}.tmp")
    try:
        write(temporary)
        with temporary.open("rb+") as written:
            os.fsync(written.fileno())
        temporary.replace(path)
        if os.name == "posix":  # elsewhere a folder cannot be opened
            folder = os.open(path.parent, os.O_RDONLY)
            try:
                os.fsync(folder)
            finally:
                os.close(folder)
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise OSError(
                error.errno,
                f"no space left to write {path}; what is finished is kept: free some space, "
                "then run the same command again and it goes on from there",
            ) from error
        raise
    finally:
        temporary.unlink(missing_ok=True)


def make_folder(path: Path) -> None:
    """Make a folder and those above it.

    Args:
        path: the folder; it may be there.

    Raises:
        FileExistsError: if a file stands in its place, or in that of a folder above it.

    Example:
        >>> make_folder(Path(__file__))
        Traceback (most recent call last):
        FileExistsError: ...shards.py is a file; pass another place for the folder
    """
    file = next((place for place in (path, *path.parents) if place.is_file()), None)
    if file is not None:
        raise FileExistsError(f"{file} is a file; pass another place for the folder")
    path.mkdir(parents=True, exist_ok=True)


@contextmanager
def hold_folder(path: Path) -> Iterator[None]:
    """Keep other conversions out of a folder while the block runs, or until the process ends, however it ends.

    Args:
        path: the folder; made where it is missing.

    Raises:
        BlockingIOError: if another conversion holds it.
        FileExistsError: if a file stands in its place.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder, hold_folder(Path(folder)):
        ...     with hold_folder(Path(folder)):
        ...         pass
        Traceback (most recent call last):
        BlockingIOError: another conversion is running in ...; wait for its end, or name another folder
    """
    make_folder(path)
    if fcntl is None:  # pragma: no cover
        yield
        return
    folder = os.open(path, os.O_RDONLY)  # the lock is the folder's own, so that no file is left behind
    try:
        _lock(folder, path)
        yield
    finally:
        os.close(folder)


def _lock(folder: int, path: Path) -> None:
    try:
        fcntl.flock(folder, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise BlockingIOError(
            f"another conversion is running in {path}; wait for its end, or name another folder"
        ) from None
    except OSError:
        return  # some network file systems cannot lock a folder: go on without


def sha256_of(path: str | Path) -> str:
    """Compute a file's SHA-256.

    Args:
        path: the file.

    Returns:
        64 hexadecimal digits.

    Example:
        >>> sha256_of(os.devnull)[:16]
        'e3b0c44298fc1c14'
    """
    with Path(path).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def to_steps(signal: np.ndarray, scale: float) -> np.ndarray:
    """Turn values into int16 steps.

    Args:
        signal: array (..., time) in a unit; NaN where a sample is missing.
        scale: that unit per step.

    Returns:
        int16 array of the same shape, ``round(value / scale)``; -32768 where a sample is missing.

    Raises:
        ValueError: if a value is outside ±32767 steps: nothing is clipped.

    Example:
        >>> to_steps(np.array([0.0014, -0.25, np.nan]), 0.001)
        array([     1,   -250, -32768], dtype=int16)
    """
    steps = np.rint(np.asarray(signal, dtype=np.float64) / scale)
    missing = np.isnan(steps)
    steps[missing] = 0
    if steps.size and np.abs(steps).max() > -MISSING - 1:
        worst = np.unravel_index(np.abs(steps).argmax(), steps.shape)
        raise ValueError(
            f"value {signal[worst]:g} is outside the store's range of ±{(-MISSING - 1) * scale:g}; "
            "nothing is clipped: check the source's unit, or convert with a larger scale"
        )
    quantised = steps.astype(np.int16)
    quantised[missing] = MISSING
    return quantised


def from_steps(raw: np.ndarray, scale: float) -> np.ndarray:
    """Turn int16 steps into values.

    Args:
        raw: int16 array; -32768 is missing.
        scale: unit per step.

    Returns:
        float32 array of the same shape, the float32 nearest to ``raw * scale`` where ``1 / scale`` is a whole
        number; NaN where a sample is missing.

    Example:
        >>> from_steps(np.array([1, -250, -32768], np.int16), 0.001)
        array([ 0.001, -0.25 ,    nan], dtype=float32)
    """
    per_unit = round(1 / scale) if scale < 1 else 0
    exact = per_unit and abs(per_unit * scale - 1) < 1e-12  # division rounds once, by a rounded scale twice
    signal = raw.astype(np.float32)
    if exact:
        signal /= np.float32(per_unit)
    else:
        signal *= np.float32(scale)
    missing = raw == MISSING
    if missing.any():
        signal[missing] = np.nan
    return signal


def write_shard(path: Path, steps: np.ndarray) -> None:
    """Write one shard atomically.

    Args:
        path: the ``.npy`` file.
        steps: int16 array (window, lead, time).

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     write_shard(Path(folder, "a.npy"), np.ones((1, 2, 3), np.int16))
        ...     np.load(Path(folder, "a.npy")).shape
        (1, 2, 3)
    """
    steps = np.ascontiguousarray(steps, dtype="<i2")

    def write(temporary: Path) -> None:
        with temporary.open("wb") as file:  # np.save hides the reason when the disk is full
            np.lib.format.write_array_header_1_0(file, np.lib.format.header_data_from_array_1_0(steps))
            file.write(steps.data.cast("B"))

    write_atomically(path, write)


def open_shard(path: Path, shape: tuple[int, int, int]) -> np.ndarray:
    """Map a shard into memory and check it against what the store says of it.

    Args:
        path: the ``.npy`` file.
        shape: expected (window, lead, time).

    Returns:
        int16 array of that shape, read-only.

    Raises:
        ValueError: if the file is missing, cut short, too long, or of another type or shape.

    Example:
        >>> open_shard(Path("no-such.npy"), (1, 1, 1))
        Traceback (most recent call last):
        ...
        ValueError: ...
    """
    what_to_do = "the store is damaged: copy this file again from a good copy, or convert with overwrite=True"
    try:
        signals = np.load(path, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise ValueError(f"shard {path} cannot be read ({error}); {what_to_do}") from error
    if signals.dtype != np.dtype("<i2") or signals.shape != shape:
        raise ValueError(
            f"shard {path} holds {signals.dtype} of shape {signals.shape} and should hold int16 of shape "
            f"{shape}; {what_to_do}"
        )
    excess = path.stat().st_size - signals.offset - signals.nbytes
    if excess:
        raise ValueError(f"shard {path} is {excess} bytes longer than its content; {what_to_do}")
    return np.asarray(signals)


def link_or_copy(source: Path, target: Path) -> None:
    """Put a file that is never changed in a second place: as a hard link, or as a copy on another disk.

    Args:
        source: the file.
        target: where it shall stand too; replaced whole if it does.

    Example:
        >>> import tempfile
        >>> folder = Path(tempfile.mkdtemp())
        >>> _ = (folder / "a").write_text("signal")
        >>> link_or_copy(folder / "a", folder / "b")
        >>> (folder / "b").read_text()
        'signal'
    """
    temporary = target.with_name(f".{target.name}.{uuid.uuid4().hex[:12]}.tmp")
    try:
        temporary.hardlink_to(source.resolve())
        temporary.replace(target)
    except OSError:  # another disk, or one without links
        write_atomically(target, lambda path: shutil.copyfile(source, path))
    finally:
        temporary.unlink(missing_ok=True)


def write_json(path: Path, content: dict[str, Any]) -> None:
    """Write a JSON file atomically.

    Args:
        path: the file.
        content: what JSON can hold.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     write_json(Path(folder, "a.json"), {"one": 1})
        ...     json.loads(Path(folder, "a.json").read_text())
        {'one': 1}
    """
    text = json.dumps(content, indent=1, ensure_ascii=False) + "\n"

    def write(temporary: Path) -> None:
        temporary.write_text(text, encoding="utf-8")

    write_atomically(path, write)
