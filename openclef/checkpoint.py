"""Run folders: what a run leaves behind, how it is resumed and loaded.

A run folder holds

    config.json                  what was run, on which stores, with which version of openclef
    checkpoint.pt                the newest training state, replaced atomically
    metrics.csv                  one row an epoch
    pretraining_subjects.json    hashes of the subjects that the encoder was trained on; {"known": [...]} where
                                 there may be others, because it began at weights of unknown subjects
    model/                       config.json and model.safetensors of the encoder
    run.json                     written last: hashes of what `load` reads; a run without it is unfinished
"""

from __future__ import annotations

import hashlib
import io
import json
import pickle
import shutil
import struct
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, is_dataclass
from pathlib import Path
from typing import Any

import torch

import openclef
from openclef.model import Encoder, load_encoder, save_encoder
from openclef.published import PUBLISHED, load_published
from openclef.shipped import SHIPPED, shipped_folder
from openclef.store import Store, write_atomically

__all__ = [
    "finish_run",
    "is_finished",
    "load",
    "read_checkpoint",
    "run_config",
    "start_run",
    "write_checkpoint",
]

FORMAT_VERSION = 1


def run_config(settings: Mapping[str, Any], stores: Sequence[Store]) -> dict[str, Any]:
    """Return settings, stores and the version of openclef as plain JSON types, for a run's config.json.

    Args:
        settings: everything else that decides the result; dataclasses become dicts.
        stores: what the run is trained on.

    Example:
        >>> config = run_config({"epochs": 2, "out": Path("runs/x")}, [])
        >>> config["epochs"], config["out"], config["stores"]
        (2, 'runs/x', [])
    """
    values = {name: asdict(each) if is_dataclass(each) else each for name, each in settings.items()}  # type: ignore[arg-type]
    values["stores"] = [
        {
            "name": store.name,
            "path": str(store.path),
            "records_sha256": store.info["records_sha256"],
            "windows": len(store),
        }
        for store in stores
    ]
    values["openclef_version"] = openclef.__version__
    return json.loads(json.dumps(values, default=str))


def start_run(folder: Path, config: Mapping[str, Any], *, overwrite: bool = False) -> None:
    """Create a run folder, or accept the one of an interrupted run with the same configuration.

    Args:
        folder: the run folder.
        config: everything that decides the result; compared as JSON.
        overwrite: start anew where a run with another configuration, or a finished one, stands.

    Raises:
        FileExistsError: the folder holds something else, another configuration, or a finished run.

    Example:
        >>> import tempfile
        >>> folder = Path(tempfile.mkdtemp()) / "run"
        >>> start_run(folder, {"epochs": 1})
        >>> json.loads((folder / "config.json").read_text())["epochs"]
        1
    """
    if folder.is_file():
        raise FileExistsError(f"{folder} is a file; pass a folder for the run.")
    config_file = folder / "config.json"
    text = json.dumps(config, indent=1, sort_keys=True)
    if folder.exists() and any(folder.iterdir()):
        if not config_file.exists():
            raise FileExistsError(
                f"{folder} is not empty and holds no run; pass another folder, or empty it yourself."
            )
        before = _read_json(config_file)
        if overwrite:
            for name in ("run.json", "checkpoint.pt", "metrics.csv", "pretraining_subjects.json"):
                (folder / name).unlink(missing_ok=True)
            for name in ("model", "tensorboard"):
                shutil.rmtree(folder / name, ignore_errors=True)
        elif is_finished(folder):
            raise FileExistsError(
                f"{folder} holds a finished run; load it with openclef.load, or pass another folder or overwrite=True "
                "(--overwrite true)."
            )
        elif decisive(before) != decisive(json.loads(text)):
            raise FileExistsError(
                f"{folder} holds an unfinished run with other settings ({_difference(before, json.loads(text))}); "
                "resume it with the same settings, or pass another folder or overwrite=True (--overwrite true)."
            )
    folder.mkdir(parents=True, exist_ok=True)
    write_atomically(config_file, lambda path: path.write_text(text))


def _read_json(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ValueError(
            f"{path} is damaged ({error}); restore it, or start the run anew elsewhere."
        ) from error
    if not isinstance(content, dict):
        raise ValueError(f"{path} does not describe a run; restore it, or start the run anew elsewhere.")
    return content


def decisive(config: dict[str, Any]) -> dict[str, Any]:
    """A configuration without where its stores lie: a store is known by the hash of its records.

    Example:
        >>> decisive({"stores": [{"name": "a", "path": "stores/a"}]})
        {'stores': [{'name': 'a'}]}
    """
    stores = config.get("stores")
    if not isinstance(stores, list):
        return config
    known = [
        {k: v for k, v in each.items() if k != "path"} if isinstance(each, dict) else each for each in stores
    ]
    return config | {"stores": known}


def differing(before: Mapping[str, Any], now: Mapping[str, Any]) -> dict[str, tuple[Any, Any]]:
    """Return the settings in which two configurations differ, by their dotted names, with both values.

    Args:
        before: One configuration, as `run_config` makes them; where its stores lie does not count.
        now: The other.

    Example:
        >>> differing({"seed": 0, "views": {"crop_s": 8.0}}, {"seed": 0, "views": {"crop_s": None}})
        {'views.crop_s': (8.0, None)}
    """
    one, other = _leaves(decisive(dict(before))), _leaves(decisive(dict(now)))
    names = sorted({*one, *other})
    return {name: (one.get(name), other.get(name)) for name in names if one.get(name) != other.get(name)}


def _leaves(value: Any, name: str = "") -> dict[str, Any]:
    if not isinstance(value, Mapping):
        return {name: value}
    inside = [_leaves(each, f"{name}.{key}" if name else str(key)) for key, each in value.items()]
    return {key: each for part in inside for key, each in part.items()}


def _difference(before: dict[str, Any], now: dict[str, Any], shown: int = 4) -> str:
    found = differing(before, now)
    told = [
        f"{name}: {_briefly(there)} there, {_briefly(given)} given" for name, (there, given) in found.items()
    ]
    return "; ".join(told[:shown]) + (f"; and {len(told) - shown} more" if len(told) > shown else "")


def _briefly(value: Any, longest: int = 60) -> str:
    text = json.dumps(value, default=str)
    return text if len(text) <= longest else text[: longest - 3] + "..."


def is_finished(folder: Path) -> bool:
    """Return whether a run folder holds a finished run.

    Example:
        >>> is_finished(Path("no/such/run"))
        False
    """
    return (folder / "run.json").exists()


def write_checkpoint(folder: Path, state: Mapping[str, Any]) -> None:
    """Replace the training state of a run atomically: a crash leaves the one before or this one.

    Example:
        >>> import tempfile
        >>> folder = Path(tempfile.mkdtemp())
        >>> write_checkpoint(folder, {"epoch": 3})
        >>> read_checkpoint(folder)
        {'epoch': 3}
    """
    # Through memory: torch.save to a file hides a full disk behind an internal error.
    content = io.BytesIO()
    torch.save(dict(state), content)
    write_atomically(folder / "checkpoint.pt", lambda path: path.write_bytes(content.getbuffer()))


def read_checkpoint(folder: Path) -> dict[str, Any] | None:
    """Return the training state of a run, on the CPU, or None where there is none yet.

    Raises:
        ValueError: the file is damaged.

    Example:
        >>> read_checkpoint(Path("no/such/run")) is None
        True
    """
    path = folder / "checkpoint.pt"
    if not path.exists():
        return None
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except (
        RuntimeError,
        EOFError,
        OSError,
        ValueError,
        KeyError,
        struct.error,
        pickle.UnpicklingError,
    ) as error:
        raise ValueError(
            f"{path} cannot be read ({error}); delete it to start the run anew from its configuration."
        ) from error
    if not isinstance(state, dict):
        raise ValueError(
            f"{path} holds no training state; delete it to start the run anew from its configuration."
        )
    return state


def finish_run(folder: Path, encoder: Encoder, subjects: Iterable[str], *, complete: bool = True) -> None:
    """Save the encoder and its pretraining subjects, then mark the run as finished.

    Args:
        folder: a run folder.
        encoder: what the run made.
        subjects: hashes of the subjects that it was trained on (`Store.subjects`).
        complete: False where it may have been trained on others too.

    Example:
        >>> import tempfile
        >>> from openclef.backbone import BACKBONES
        >>> from openclef.preprocessing import Preprocessing
        >>> net = BACKBONES["resnext1d_small"](leads=1)
        >>> encoder = Encoder(net, Preprocessing(), backbone_name="resnext1d_small")
        >>> folder = Path(tempfile.mkdtemp()) / "run"
        >>> start_run(folder, {})
        >>> finish_run(folder, encoder, ["00ff"])
        >>> load(folder).pretraining_subjects
        frozenset({'00ff'})
    """
    save_encoder(encoder, folder / "model")
    known = sorted(set(subjects))
    text = json.dumps(known if complete else {"known": known})
    write_atomically(folder / "pretraining_subjects.json", lambda path: path.write_text(text))
    hashes = {name: _sha256(folder / name) for name in _HASHED}
    closing = json.dumps(
        {"format": "openclef-run", "format_version": FORMAT_VERSION, "sha256": hashes}, indent=1
    )
    write_atomically(folder / "run.json", lambda path: path.write_text(closing))


_HASHED = ("config.json", "pretraining_subjects.json", "model/config.json", "model/model.safetensors")


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def load(path: str | Path, *, weights: Any = None) -> Encoder:
    """Load the encoder of a run or model folder, one that comes with the package, or one that others published.

    Args:
        path: a run folder (`openclef.pretrain`), a folder with config.json and model.safetensors, or the name of an
            encoder that comes with the package ("openclef-small-sim": trained on simulated ECGs), or, with `weights`,
            the name of a published model, a key of `openclef.published.PUBLISHED`.
        weights: file of a published model's weights, as its authors publish it, or their state dict.

    Returns:
        Encoder in evaluation mode, with `.dim`, `.preprocessing`, `.head` (None where it was not fine-tuned),
        `.pretraining_subjects` (None where unknown) and `.subjects_complete` (False where there may be others).

    Raises:
        FileNotFoundError: nothing there, or the run is unfinished.
        ValueError: a file does not match its hash, or weights do not match the architecture.

    Example:
        >>> load("runs/none")
        Traceback (most recent call last):
        ...
        FileNotFoundError: runs/none does not exist; pass a run folder (openclef.pretrain), a model folder, ...
    """
    if not isinstance(path, (str, Path)) or not str(path).strip():
        raise ValueError(f"path is {path!r}; pass a run folder, a model folder or the name of an encoder.")
    if weights is not None or str(path) in PUBLISHED:
        return _load_published(str(path), weights)
    folder = Path(path)
    if not folder.exists():
        shipped = shipped_folder(path)
        if shipped is None:
            raise FileNotFoundError(
                f"{folder} does not exist; pass a run folder (openclef.pretrain), a model folder, "
                f"or {' or '.join(map(repr, SHIPPED))}, which comes with openclef."
            )
        if not is_finished(shipped):
            raise FileNotFoundError(
                f"{shipped} is missing from this install of openclef; install openclef again, or from its wheel."
            )
        folder = shipped
    if folder.is_file():
        raise ValueError(
            f"{folder} is a file; pass the folder of a run, or use openclef.load_official for published weights."
        )
    if folder.name == "model" and is_finished(folder.absolute().parent):
        folder = folder.absolute().parent  # the run knows what its model was trained on
    if (folder / "model.safetensors").exists():
        return load_encoder(folder)
    if not is_finished(folder):
        raise FileNotFoundError(
            f"{folder} holds no finished run (no run.json); run openclef pretrain with the same settings to resume it."
        )
    closing = _read_json(folder / "run.json")
    if closing.get("format_version") != FORMAT_VERSION:
        raise ValueError(
            f"{folder} has run format {closing.get('format_version')!r}; this openclef reads {FORMAT_VERSION}; "
            "load it with the version that wrote it."
        )
    for name, expected in closing["sha256"].items():
        file = folder / name
        if not file.exists():
            raise FileNotFoundError(f"{file} is missing from the run; restore the folder as it was written.")
        if _sha256(file) != expected:
            raise ValueError(f"{file} has changed since the run ended (its hash differs); restore it.")
    encoder = load_encoder(folder / "model")
    subjects = json.loads((folder / "pretraining_subjects.json").read_text())
    encoder.subjects_complete = isinstance(subjects, list)
    encoder.pretraining_subjects = frozenset(subjects if isinstance(subjects, list) else subjects["known"])
    return encoder


def _load_published(name: str, weights: Any) -> Encoder:
    if name not in PUBLISHED:
        raise ValueError(
            f"weights were given for {name!r}, which is no published model; pass one of {', '.join(PUBLISHED)}, "
            "or leave weights out for a folder."
        )
    if weights is None:
        published = PUBLISHED[name]
        raise ValueError(
            f"weights are missing for {name}, which openclef does not bring along; get {published.file} from "
            f"{published.weights} ({published.licence}) and pass weights=<its path>; on the command line make a "
            f"model folder of it first: openclef import_model {name} {published.file} FOLDER"
        )
    return load_published(name, PUBLISHED[name], weights)
