"""Variables of MATLAB files of versions 4 to 7.2: arrays of numbers, texts, and cells of texts.

Every size is compared with what is there before it is used; at some damaged files scipy's reader ends the process.
"""

from __future__ import annotations

import math
import struct
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, NamedTuple

import numpy as np

_COMPRESSED, _MATRIX = 15, 14
_INT32, _UINT32 = 5, 6
_HEADER_BYTES = 4096  # of a variable, within which its name and shape stand
_MOST_VARIABLES = 10_000
_STORED = {1: "i1", 2: "u1", 3: "i2", 4: "u2", 5: "i4", 6: "u4", 7: "f4", 9: "f8", 12: "i8", 13: "u8"}
_ENCODINGS = {16: "utf-8", 17: "utf-16", 18: "utf-32"}
_CLASSES = {
    1: "cell",
    2: "struct",
    3: "object",
    4: "char",
    5: "sparse",
    6: "double",
    7: "single",
    8: "int8",
    9: "uint8",
    10: "int16",
    11: "uint16",
    12: "int32",
    13: "uint32",
    14: "int64",
    15: "uint64",
}
_NUMBERS = {
    name: np.dtype({"double": "f8", "single": "f4"}.get(name, name)) for name in list(_CLASSES.values())[5:]
}
_STORED_4 = ("f8", "f4", "i4", "i2", "u2", "u1")
_CLASSES_4 = ("double", "single", "int32", "int16", "uint16", "uint8")


class Variable(NamedTuple):
    """A variable of a file, and where it lies.

    Args:
        name: its name as written.
        shape: its shape.
        kind: its class, for example ``double``, ``char`` or ``cell``.
        place: the byte at which its content begins.
        length: how many bytes its content has.
        packed: whether these are compressed.

    Example:
        >>> Variable("val", (12, 5000), "int16").kind
        'int16'
    """

    name: str
    shape: tuple[int, ...]
    kind: str
    place: int = 0
    length: int = 0
    packed: bool = False


def list_variables(path: Path, version: str) -> list[Variable]:
    """List a file's variables without reading their values.

    Args:
        path: the file.
        version: ``"4"`` or ``"5"`` (5 to 7.2), and its byte order, ``<`` or ``>``.

    Returns:
        The variables, in the file's order.

    Raises:
        ValueError: if the file is damaged; the message does not name it.

    Source:
        MathWorks, MAT-File Format (versions 4 and 5).

    Example:
        >>> import tempfile
        >>> from scipy.io import savemat
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     savemat(Path(folder, "a.mat"), {"val": np.zeros((2, 3)), "fs": 500})
        ...     [(found.name, found.shape) for found in list_variables(Path(folder, "a.mat"), "5<")]
        [('val', (2, 3)), ('fs', (1, 1))]
    """
    with path.open("rb") as file:
        read = _list_4 if version[0] == "4" else _list_5
        variables = []
        for variable in read(file, version[1], path.stat().st_size):
            variables.append(variable)
            if len(variables) > _MOST_VARIABLES:
                raise ValueError(f"it holds more than {_MOST_VARIABLES:,} variables")
    return variables


def read_variable(path: Path, version: str, variable: Variable, limit: int) -> np.ndarray | list[str]:
    """Read one variable's values.

    Args:
        path: the file.
        version: as in ``list_variables``.
        variable: one of its answers.
        limit: most bytes that its content may have, unpacked.

    Returns:
        An array of numbers in the variable's shape, or the texts of a char array or of cells of such.

    Raises:
        ValueError: if the content is damaged, larger than the limit, or of another class.

    Source:
        MathWorks, MAT-File Format (versions 4 and 5).

    Example:
        >>> import tempfile
        >>> from scipy.io import savemat
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     path = Path(folder, "a.mat")
        ...     savemat(path, {"leads": np.array(["I", "II"], dtype=object)}, do_compression=True)
        ...     read_variable(path, "5<", list_variables(path, "5<")[0], 1000)
        ['I', 'II']
    """
    if not variable.packed and variable.length > limit:
        raise ValueError(
            f"variable {variable.name!r} has {variable.length:,} bytes, more than its shape needs"
        )
    with path.open("rb") as file:
        file.seek(variable.place)
        content = file.read(variable.length)
    if version[0] == "4":
        return _value_4(content, version[1], variable)
    if variable.packed:
        content, whole = _unpacked(content, limit + 1)
        if len(content) > limit or not whole:
            raise ValueError(f"variable {variable.name!r} is larger than its shape needs, or cut short")
        kind, content, _ = _element(content, 0, version[1])
        if kind != _MATRIX:
            raise ValueError("a compressed element is no variable")
    return _value_5(content, version[1])


def _list_4(file: BinaryIO, order: str, size: int) -> Iterator[Variable]:
    place = 0
    while place + 20 <= size:
        file.seek(place)
        kind, rows, columns, imaginary, length = struct.unpack(f"{order}5i", file.read(20))
        stored, content = divmod(kind % 1000, 10)
        if not (0 <= kind < 2000 and stored < 6 and content < 3 and min(rows, columns) >= 0):
            raise ValueError(f"no variable begins at byte {place:,}")
        if imaginary not in (0, 1) or not 1 <= length <= 256:
            raise ValueError(f"no variable begins at byte {place:,}")
        count = rows * columns * np.dtype(_STORED_4[stored]).itemsize * (1 + imaginary)
        name = file.read(length).partition(b"\0")[0].decode("latin-1")
        begin = place + 20 + length
        if begin + count > size:
            raise ValueError("its last variable goes beyond the end")
        named = "complex" if imaginary else (_CLASSES_4[stored], "char", "sparse")[content]
        yield Variable(name, (rows, columns), named, begin, count)
        place = begin + count


def _value_4(content: bytes, order: str, variable: Variable) -> np.ndarray | list[str]:
    cells = math.prod(variable.shape)
    each = len(content) // max(cells, 1)
    if variable.kind == "char":
        kinds = {8: "f8", 4: "i4", 2: "u2", 1: "u1"}
        letters = np.frombuffer(content, np.dtype(order + kinds[each])) if cells else np.empty(0)
        if not ((letters >= 0) & (letters < 0xD800)).all():
            raise ValueError(f"variable {variable.name!r} holds what is no letter")
        return _rows("".join(map(chr, letters.astype(int).tolist())), variable.shape)
    if variable.kind not in _CLASSES_4:
        raise ValueError(f"variable {variable.name!r} is of class {variable.kind}")
    stored = np.dtype(order + _STORED_4[_CLASSES_4.index(variable.kind)])
    values = np.frombuffer(content, stored).reshape(variable.shape, order="F")
    return values.astype(stored.newbyteorder("="))


def _list_5(file: BinaryIO, order: str, size: int) -> Iterator[Variable]:
    place = 128
    while place + 8 <= size:
        file.seek(place)
        kind, count = struct.unpack(f"{order}2I", file.read(8))
        if kind not in (_MATRIX, _COMPRESSED) or place + 8 + count > size:
            raise ValueError(f"no variable begins at byte {place:,}, or it goes beyond the end")
        head = file.read(min(count, _HEADER_BYTES))
        if kind == _COMPRESSED:
            head = _unpacked(head, _HEADER_BYTES)[0][8:]
        named, name, shape, _ = _header_5(head, order)
        yield Variable(name, shape, named, place + 8, count, kind == _COMPRESSED)
        place += 8 + count


def _unpacked(content: bytes, limit: int) -> tuple[bytes, bool]:
    """Unpack up to a limit; True where that was all, and its checksum agreed."""
    unpacking = zlib.decompressobj()
    try:
        return unpacking.decompress(content, limit), unpacking.eof
    except zlib.error as error:
        raise ValueError(str(error)) from None


def _element(content: bytes, place: int, order: str) -> tuple[int, bytes, int]:
    """The kind and content of the element that begins at a place, and where the next begins."""
    if place + 8 > len(content):
        raise ValueError("a variable is cut short")
    kind, count = struct.unpack_from(f"{order}2I", content, place)
    begin, end = place + 8, place + 8 + (count + 7) // 8 * 8
    if kind >> 16:  # a short element: its count and content stand in the tag
        kind, count = kind & 0xFFFF, kind >> 16
        begin, end = place + 4, place + 8
        if count > 4:
            raise ValueError("a short element is too long")
    if begin + count > len(content):
        raise ValueError("a variable is cut short")
    return kind, content[begin : begin + count], end


def _header_5(content: bytes, order: str) -> tuple[str, str, tuple[int, ...], int]:
    """A variable's class, name and shape, and where its values begin."""
    kind, flags, place = _element(content, 0, order)
    if kind != _UINT32 or len(flags) != 8:
        raise ValueError("a variable does not state its class")
    bits = struct.unpack(f"{order}2I", flags)[0]
    kind, sizes, place = _element(content, place, order)
    if kind not in (_INT32, _UINT32) or not 8 <= len(sizes) <= 128 or len(sizes) % 4:
        raise ValueError("a variable does not state its shape")
    shape = struct.unpack(f"{order}{len(sizes) // 4}i", sizes)
    if min(shape) < 0:
        raise ValueError("a variable has a negative size")
    _, name, place = _element(content, place, order)
    named = _CLASSES.get(bits & 0xFF, "unknown")
    if bits & 0x0800:
        named = "complex"
    elif bits & 0x0200:
        named = "logical"
    return named, name.decode("latin-1"), shape, place


def _value_5(content: bytes, order: str, within: bool = False) -> np.ndarray | list[str]:
    named, name, shape, place = _header_5(content, order)
    if named == "cell" and not within:
        texts: list[str] = []
        for _ in range(math.prod(shape)):
            kind, cell, place = _element(content, place, order)
            if kind != _MATRIX:
                raise ValueError(f"variable {name!r} holds what is no cell")
            found = _value_5(cell, order, within=True) if cell else []
            texts.extend(found if isinstance(found, list) else [])
        return texts
    if named not in _NUMBERS and named != "char":
        if within:
            return []
        raise ValueError(f"variable {name!r} is of class {named}")
    kind, values, _ = _element(content, place, order)
    if named == "char" and kind in _ENCODINGS:
        coding = _ENCODINGS[kind] + ("" if kind == 16 else {"<": "-le", ">": "-be"}[order])
        return _rows(values.decode(coding), shape)
    if kind not in _STORED:
        raise ValueError(f"variable {name!r} holds values of no known kind ({kind})")
    stored = np.dtype(order + _STORED[kind])
    if len(values) != math.prod(shape) * stored.itemsize:
        raise ValueError(f"variable {name!r} has {len(values):,} bytes of values and the shape {shape}")
    numbers = np.frombuffer(values, stored)
    if named == "char":
        if stored.kind == "f" or stored.itemsize > 2:
            raise ValueError(f"variable {name!r} holds what is no letter")
        return _rows("".join(map(chr, (numbers & 0xFFFF).astype(int).tolist())), shape)
    return numbers.reshape(shape, order="F").astype(_NUMBERS[named])


def _rows(letters: str, shape: tuple[int, ...]) -> list[str]:
    """The texts of a char array, which lies column by column: a row is a text."""
    if len(shape) != 2 or math.prod(shape) != len(letters):
        raise ValueError(f"a text has {len(letters):,} letters and the shape {shape}")
    return [letters[row :: shape[0]] for row in range(shape[0])]
