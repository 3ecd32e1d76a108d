"""Tensors out of files that hold more: published checkpoints as safetensors, without running anything in them."""

# torch is imported inside: a command's help reads this file.
from __future__ import annotations

import pickle
import zipfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

from openclef.store import write_atomically

__all__ = ["Conversion", "convert_weights", "unknown_globals"]

_KNOWN = {  # what tensors and plain containers are rebuilt by
    "collections": ("OrderedDict", "defaultdict"),
    "torch._utils": ("_rebuild_tensor_v2", "_rebuild_tensor_v3", "_rebuild_parameter", "_rebuild_parameter_with_state"),
    "torch.serialization": ("_get_layout",),
    "torch": (
        "Size", "device", "float16", "float32", "float64", "bfloat16", "int8", "int16", "int32", "int64", "uint8",
        "bool", "uint16", "uint32", "uint64", "float8_e4m3fn", "float8_e5m2",
        "FloatStorage", "DoubleStorage", "HalfStorage", "BFloat16Storage", "LongStorage", "IntStorage", "ShortStorage",
        "CharStorage", "ByteStorage", "BoolStorage",
    ),
    "torch.storage": ("UntypedStorage",),
}  # fmt: skip

LARGEST_REPETITION = 64
"""How many times the bytes of a file its tensors may claim by sharing and expansion."""


class Conversion(NamedTuple):
    """What became of a checkpoint.

    Attributes:
        tensors: Names of the tensors that were written.
        left_out: Names of the entries that stood beside them, at the top of the file and where the tensors were.
        not_imported: Names that the file asked for and did not get.

    Example:
        >>> Conversion(("conv.weight",), ("optimizer",), ()).left_out
        ('optimizer',)
    """

    tensors: tuple[str, ...]
    left_out: tuple[str, ...]
    not_imported: tuple[str, ...]


class _Inert:
    """What stands for an object of an unknown class: it can be made and filled, and does nothing."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self.state: Any = None

    def __call__(self, *args: Any, **kwargs: Any) -> _Inert:
        return self

    def __setstate__(self, state: Any) -> None:
        self.state = state

    def __setitem__(self, key: Any, value: Any) -> None:
        pass

    def append(self, value: Any) -> None:
        """Take an item of a list and forget it."""

    def extend(self, values: Any) -> None:
        """Take items of a list and forget them."""

    def add(self, value: Any) -> None:
        """Take an item of a set and forget it."""


def _is_known(module: str, name: str) -> bool:
    return name in _KNOWN.get(module, ())


def _reader(seen: set[str]) -> ModuleType:
    """Return a module like pickle whose readers import only what tensors need, and note what else is asked for."""

    class Unpickler(pickle.Unpickler):
        def find_class(self, module: str, name: str) -> Any:
            if _is_known(module, name):
                return super().find_class(module, name)
            seen.add(f"{module}.{name}")
            return type(name.rsplit(".", 1)[-1], (_Inert,), {})

    reader = ModuleType("inert_pickle")
    reader.Unpickler = Unpickler  # type: ignore[attr-defined]
    reader.load = lambda file, **options: Unpickler(file, **options).load()  # type: ignore[attr-defined]
    return reader


def unknown_globals(path: str | Path) -> list[str]:
    """Name what a PyTorch file asks to import beside what tensors need; nothing of it is imported.

    Args:
        path: A file that torch.save wrote, in the format of PyTorch 1.6 or later.

    Returns:
        Names such as "argparse.Namespace", sorted; empty where `torch.load(..., weights_only=True)` may do.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: It is no such file, or damaged.

    Example:
        >>> import tempfile, torch
        >>> from argparse import Namespace
        >>> file = Path(tempfile.mkdtemp(), "a.pt")
        >>> torch.save({"model": {"a": torch.zeros(1)}, "args": Namespace(lr=1e-3)}, file)
        >>> unknown_globals(file)
        ['argparse.Namespace']
    """
    seen: set[str] = set()
    _read_inert(Path(path), seen)
    return sorted(seen)


def convert_weights(
    src: str | Path,
    dst: str | Path,
    *,
    trust: bool = False,
    key: str = "",
    overwrite: bool = False,
    ask: Callable[[str], bool] | None = None,
) -> Conversion:
    """Write the tensors of a checkpoint that holds more than tensors as safetensors.

    Such a file is a program that Python would run in order to load it. Here nothing that it names is imported or run
    but what tensors and plain containers are made of: objects of all other classes are replaced by empty ones. What
    it asks for is listed, and the conversion happens only when that is accepted.

    Args:
        src: A .pt, .pth, .ckpt or .bin file, in the format of PyTorch 1.6 or later.
        dst: The .safetensors file to write.
        trust: Go on although the file asks for more than tensors.
        key: Where in the checkpoint the tensors are; "" = state_dict, model_state_dict, model, or the top.
        overwrite: Replace `dst`.
        ask: Called with a question where `trust` is False and the file asks for more; its answer decides.

    Returns:
        What was written, what was left out, and what the file asked for.

    Raises:
        FileNotFoundError: `src` is not there.
        FileExistsError: `dst` is there.
        ValueError: The file cannot be read, is a program, holds no tensors there, or asks for more and is not trusted.

    Example:
        >>> import tempfile, torch
        >>> from safetensors.torch import load_file
        >>> folder = Path(tempfile.mkdtemp())
        >>> torch.save({"model": {"a": torch.ones(2)}, "epoch": 3}, folder / "a.pt")
        >>> convert_weights(folder / "a.pt", folder / "a.safetensors")
        Conversion(tensors=('a',), left_out=('epoch',), not_imported=())
        >>> load_file(folder / "a.safetensors")["a"].tolist()
        [1.0, 1.0]
    """
    from safetensors.torch import save_file

    src, dst = Path(src), Path(dst)
    if dst.suffix != ".safetensors":
        raise ValueError(f"{dst} does not end in .safetensors; name the file to write so.")
    if dst.exists() and not overwrite:
        raise FileExistsError(f"{dst} is there; pass another file, or overwrite=True (--overwrite true).")
    seen: set[str] = set()
    content = _read_inert(src, seen)
    tensors, left_out = _tensors_of(content, key, src)
    asked = sorted(seen)
    if asked and not trust:
        question = (
            f"{src} asks for {shortened(asked)}, which loading it in the usual way would import and may run. "
            f"None of it is imported or run here; its {len(tensors)} tensors are taken"
        )
        if ask is None or not ask(f"{question}. Go on?"):
            raise ValueError(f"{question} only if you trust the file: pass trust=True (--trust true).")
    dst.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(dst, lambda path: save_file(tensors, path, metadata={"format": "pt"}))
    return Conversion(tuple(tensors), left_out, tuple(asked))


def _read_inert(path: Path, seen: set[str]) -> Any:
    import torch

    if not path.is_file():
        raise FileNotFoundError(f"{path} does not exist; pass a file of published weights.")
    if not zipfile.is_zipfile(path):
        raise ValueError(
            f"{path} is no file of PyTorch 1.6 or later (those are zip archives): it is damaged, or older. An older "
            "one can be saved again where it is trusted: torch.save(torch.load(old, weights_only=False), new)."
        )
    from openclef.published.archive import check_archive

    check_archive(path)
    try:
        return torch.load(path, map_location="cpu", pickle_module=_reader(seen), weights_only=False)
    except (
        pickle.UnpicklingError,
        RuntimeError,
        AttributeError,
        TypeError,
        ValueError,
        KeyError,
        IndexError,
        EOFError,
        ImportError,
        AssertionError,
    ) as error:  # whatever a file of any content makes of the reading
        raise ValueError(
            f"{path} cannot be read as weights ({type(error).__name__}: {str(error)[:200]}); download it again."
        ) from error


def _tensors_of(content: Any, key: str, source: Path) -> tuple[dict[str, Any], tuple[str, ...]]:
    import torch

    from openclef.published.weights import HOLDERS

    left_out: list[str] = []
    holder = key
    if key:
        if not isinstance(content, Mapping) or key not in content:
            raise ValueError(
                f"{source} has no {key!r} at its top; it has {_keys(content)}. Pass one of them as key."
            )
    elif isinstance(content, Mapping):
        holder = next((name for name in HOLDERS if isinstance(content.get(name), Mapping)), "")
    top = content
    if holder:
        left_out = [str(name) for name in content if name != holder]
        content = content[holder]
    if isinstance(content, _Inert):
        content = content.state
    entries = content if isinstance(content, Mapping) else {}
    tensors: dict[str, Any] = {}
    for name, each in entries.items():
        if not isinstance(each, torch.Tensor):
            left_out.append(str(name))
            continue
        if str(name) in tensors:
            raise ValueError(
                f"{source} has two tensors of the name {str(name)!r}; save them under different names."
            )
        tensors[str(name)] = each
    if not tensors:
        raise ValueError(
            f"{source} holds no tensors by name {f'under {holder!r}' if holder else 'at its top'}; its top has "
            f"{_keys(top)}. Pass key=<where they are> (--key)."
        )
    _check_writable(tensors, source)
    return {name: each.detach().clone().contiguous() for name, each in tensors.items()}, tuple(left_out)


def _keys(content: Any) -> str:
    return (
        shortened([repr(name) for name in content]) if isinstance(content, Mapping) and content else "no keys"
    )


def shortened(names: Sequence[str], shown: int = 20) -> str:
    """Join names for a message; of very many, the first ones and how many more there are.

    Args:
        names: What to list.
        shown: How many at most.

    Example:
        >>> shortened(["a", "b", "c"], shown=2)
        'a, b and 1 more'
    """
    return ", ".join(names[:shown]) + (f" and {len(names) - shown} more" if len(names) > shown else "")


def _check_writable(tensors: Mapping[str, Any], source: Path) -> None:
    if "__metadata__" in tensors:
        raise ValueError(
            f"{source} has a tensor of the name '__metadata__', which safetensors keeps for itself; rename it."
        )
    held = {each.untyped_storage().data_ptr(): each.untyped_storage().nbytes() for each in tensors.values()}
    claimed = sum(each.numel() * each.element_size() for each in tensors.values())
    if claimed > LARGEST_REPETITION * sum(held.values()):
        raise ValueError(
            f"{source} holds {sum(held.values()):,} bytes and claims tensors of {claimed:,} bytes; it is damaged or "
            "malicious."
        )
