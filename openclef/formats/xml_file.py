"""XML files from outside: read without entities, without references to other files, and within bounds."""

from __future__ import annotations

import codecs
import re
from array import array
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple
from xml.etree.ElementTree import Element, TreeBuilder

import numpy as np

MAX_ELEMENTS = 500_000
"""Most elements that a file may have beside those that are passed over; an ECG has thousands."""

_MAX_DEPTH = 200
_MAX_BYTES = 1 << 30
_TEXT_AT_ONCE = 1 << 20  # characters of numbers that are parsed together
_NOT_EXPATS = (
    "gb2312",
    "gbk",
    "gb18030",
    "big5",
    "shift_jis",
    "euc-jp",
    "euc-kr",
)  # it knows one byte a character
_DECLARATION = re.compile(rb"^(?:\xef\xbb\xbf)?\s*<\?xml[^>]*?encoding\s*=\s*[\"']([\w.-]+)[\"']")
_TAG = re.compile(r"<([A-Za-z_][^\s/>]*)")


def root_name(head: bytes) -> str:
    """Name the first element of an XML file, without its namespace.

    Args:
        head: the file's first bytes.

    Returns:
        The name; "" where these bytes are no XML or no element begins in them.

    Example:
        >>> root_name(b'<?xml version="1.0"?><!-- a --><v3:AnnotatedECG xmlns:v3="urn:hl7-org:v3">')
        'AnnotatedECG'
    """
    if head.startswith((b"\xff\xfe", b"\xfe\xff")):
        text = head.decode("utf-16", errors="ignore")
    else:
        text = head.removeprefix(b"\xef\xbb\xbf").decode("latin-1")
    while True:
        text = text.lstrip()
        for begin, end in (("<?", "?>"), ("<!--", "-->"), ("<!DOCTYPE", ">")):
            if text.startswith(begin):
                inside = begin == "<!DOCTYPE" and "[" in text.partition(">")[0]  # own declarations
                text = text.partition("]>" if inside else end)[2]
                break
        else:
            found = _TAG.match(text)
            return found[1].split(":")[-1] if found else ""


class Numbers:
    r"""Numbers of a text, taken piece by piece as they are read, so that a long recording's text is never held.

    Example:
        >>> numbers = Numbers()
        >>> numbers.feed("1 -2\n3")
        >>> numbers.feed("5, 4")
        >>> numbers.samples("a.xml, lead I").tolist()
        [1.0, -2.0, 35.0, 4.0]
    """

    def __init__(self) -> None:
        self._text: list[str] = []
        self._held = 0
        self._done = array("f")  # grows in place
        self._wrong = ""

    def feed(self, text: str) -> None:
        """Take the next piece of the text; it may end within a number."""
        self._text.append(text)
        self._held += len(text)
        if self._held > _TEXT_AT_ONCE:
            words = re.split(r"[\s,]+", "".join(self._text))
            self._parse(words[:-1])
            self._text = [words[-1][:100]]  # the last may go on; no number is longer
            self._held = len(self._text[0])

    def samples(self, what: str) -> np.ndarray:
        """Give the numbers as float32.

        Args:
            what: where the text stands, for messages.

        Returns:
            Array (time,).

        Raises:
            ValueError: if something there is no number.
        """
        self._parse("".join(self._text).replace(",", " ").split())
        self._text = []
        if self._wrong:
            raise ValueError(f"{what} holds {self._wrong[:40]!r}; accepted are numbers: copy the file again")
        return np.frombuffer(self._done, dtype=np.float32) if self._done else np.empty(0, np.float32)

    def _parse(self, words: list[str]) -> None:
        words = [word for word in words if word]
        try:
            with np.errstate(over="ignore"):
                self._done.frombytes(np.array(words, dtype=np.float64).astype(np.float32).tobytes())
        except ValueError:
            self._wrong = self._wrong or next(word for word in words if not _is_number(word))


class XmlFile(NamedTuple):
    """An XML file as a tree.

    Args:
        root: its first element.
        numbers: the numbers in those elements whose text was taken as numbers.

    Example:
        >>> XmlFile(Element("a"), {}).root.tag
        'a'
    """

    root: Element
    numbers: dict[Element, Numbers]


class _Tree:
    """Builds the tree of elements, with names but no namespaces, and stops where a file is not what it should be."""

    def __init__(
        self, name: str, root: str, title: str, passed_over: Sequence[str], numeric: Sequence[str]
    ) -> None:
        self._name, self._root, self._title = name, root, title
        self._passed_over, self._numeric = frozenset(passed_over), frozenset(numeric)
        self._taking: Numbers | None = None
        self.numbers: dict[Element, Numbers] = {}
        self._builder = TreeBuilder()
        self._depth = 0
        self._skipping = 0  # the depth at which a passed-over element began
        self._count = 0

    def start(self, tag: str, attributes: dict[str, str]) -> None:
        tag = tag.rpartition("}")[2]
        self._depth += 1
        if self._depth == 1 and tag != self._root:
            raise ValueError(
                f"{self._name} is XML of <{tag[:60]}>; accepted is {self._title}, which begins with <{self._root}>"
            )
        if self._depth > _MAX_DEPTH:
            raise ValueError(
                f"{self._name} is nested over {_MAX_DEPTH} deep; no {self._title} is: copy it again"
            )
        if self._skipping:
            return
        if tag in self._passed_over:
            self._skipping = self._depth
            return
        self._count += 1
        if self._count > MAX_ELEMENTS:
            raise ValueError(
                f"{self._name} has over {MAX_ELEMENTS:,} elements; no {self._title} has: copy it again"
            )
        self._taking = Numbers() if tag in self._numeric else None
        self._builder.start(tag, {key.rpartition("}")[2]: value for key, value in attributes.items()})

    def end(self, tag: str) -> None:
        if not self._skipping:
            element = self._builder.end(tag.rpartition("}")[2])
            if self._taking is not None:
                self.numbers[element] = self._taking
                self._taking = None
        elif self._skipping == self._depth:
            self._skipping = 0
        self._depth -= 1

    def data(self, text: str) -> None:
        if self._skipping:
            return
        if self._taking is not None:
            self._taking.feed(text)
        else:
            self._builder.data(text)

    def close(self) -> XmlFile:
        return XmlFile(self._builder.close(), self.numbers)


def read_xml(
    path: str | Path, root: str, title: str, passed_over: Sequence[str] = (), numeric: Sequence[str] = ()
) -> XmlFile:
    """Read an XML file into a tree whose names bear no namespaces.

    Entities are refused, and nothing outside the file is ever opened; a DOCTYPE that only names a DTD is not looked
    at.

    Args:
        path: the file.
        root: the name that its first element must have.
        title: what the format is called, for messages.
        passed_over: names of elements that are left out with all that is in them.
        numeric: names of elements whose text is numbers, and long.

    Returns:
        The root element, and the numbers.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if it is no well-formed XML, has another root, entities, or more of anything than an ECG has.
        ImportError: without the package defusedxml.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     _ = Path(folder, "a.xml").write_text('<a xmlns="urn:b"><c d="1">2</c></a>')
        ...     found = read_xml(Path(folder, "a.xml"), "a", "an example")
        >>> found.root.find("c").get("d"), found.root.findtext("c")
        ('1', '2')
    """
    path = Path(path)
    parser_class = _parser_class()
    size = _checked_size(path, title)
    tree = _Tree(path.name, root, title, passed_over, numeric)
    try:
        with path.open("rb") as file:
            head = file.read(4096)
            declared = _DECLARATION.match(head)
            encoding = declared[1].decode("ascii").lower() if declared else ""
            foreign = encoding in _NOT_EXPATS
            parser = parser_class(target=tree, encoding="utf-8" if foreign else None)
            file.seek(0)
            # pieces in proportion to the file: expat begins a long token anew with each piece
            pieces = iter(lambda: file.read(max(1 << 16, size // 32)), b"")
            for piece in _recoded(pieces, encoding) if foreign else pieces:
                parser.feed(piece)
            return parser.close()
    except (SyntaxError, UnicodeDecodeError, LookupError) as error:
        raise ValueError(f"{path.name} is damaged or no XML ({error}); copy it again") from None
    except ValueError as error:
        text = " ".join(str(error).split())
        if text.startswith(path.name):
            raise
        if type(error).__module__.startswith("defusedxml"):
            raise ValueError(
                f"{path.name} has an entity or refers to another file ({type(error).__name__}); accepted is XML "
                "without: remove its DOCTYPE"
            ) from None
        raise ValueError(f"{path.name} is damaged or no XML ({text[:200]}); copy it again") from None


def _parser_class() -> type:
    try:
        from defusedxml.ElementTree import XMLParser
    except ImportError:
        raise ImportError(
            "XML files need the package defusedxml; install it with: pip install 'openclef[formats]'"
        ) from None
    return XMLParser


def _checked_size(path: Path, title: str) -> int:
    if not path.exists():
        raise FileNotFoundError(f"{path.name} is missing in {path.parent}; check the path")
    if not path.is_file():
        raise ValueError(f"{path.name} is no file; accepted is {title}: pass one file")
    size = path.stat().st_size
    if size == 0:
        raise ValueError(f"{path.name} is empty; accepted is {title}: copy it again")
    if size > _MAX_BYTES:
        raise ValueError(
            f"{path.name} has {size:,} bytes; accepted are XML files up to {_MAX_BYTES:,}: convert it to WFDB or EDF"
        )
    return size


def _recoded(pieces: Iterator[bytes], encoding: str) -> Iterator[bytes]:
    decoder = codecs.getincrementaldecoder("gb18030" if encoding.startswith("gb") else encoding)(
        errors="replace"
    )
    for piece in pieces:
        yield decoder.decode(piece).encode()


def _is_number(word: str) -> bool:
    try:
        float(word)
    except ValueError:
        return False
    return True
