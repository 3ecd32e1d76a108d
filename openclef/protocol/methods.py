"""What stands in a row of a table: a named model with its encoders, or a baseline."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from openclef.embedding import preprocessing_of
from openclef.protocol import NETWORK_PROTOCOLS
from openclef.protocol.baselines import random_encoder
from openclef.shipped import SHIPPED, shipped_folder

if TYPE_CHECKING:
    from openclef.preprocessing import Preprocessing

__all__ = ["BASELINES", "Method", "check_model", "check_seeds_of_one", "made_with", "name_method"]

BASELINES = ("random_encoder", "age_sex", "features", "scratch")
_NAMES = " or ".join(repr(name) for name in BASELINES)
WITHOUT_ENCODER = ("age_sex", "features")


class Method(NamedTuple):
    """A named model and how it is judged.

    Args:
        name: Its name in the tables.
        sources: What is judged, one a run: an encoder, "features" or "age_sex".
        protocol: A key of `PROTOCOLS` or of `NETWORK_PROTOCOLS`.
        seeds: Of training, one a run.

    Example:
        >>> Method("age_sex", ["age_sex"], "probe", [0]).encoders
        []
    """

    name: str
    sources: list[Any]
    protocol: str
    seeds: list[int]

    @property
    def encoders(self) -> list[Any]:
        """The encoders among the sources.

        Example:
            >>> Method("features", ["features"], "probe", [0]).encoders
            []
        """
        return [each for each in self.sources if not isinstance(each, str)]

    @property
    def starts(self) -> list[Any]:
        """The encoders whose weights enter the judgement; from scratch only their architecture does.

        Example:
            >>> Method("scratch", [object()], "scratch", [0]).starts
            []
        """
        return [] if self.protocol == "scratch" else self.encoders


def check_model(model: Any) -> None:
    """Refuse what is no encoder, before anything is read.

    Raises:
        ValueError: It is neither an encoder, a path, a list of these, nor the name of a baseline.

    Example:
        >>> check_model(3)
        Traceback (most recent call last):
        ...
        ValueError: model is 3, of type int; pass an encoder (a torch module), the folder of a run, ...
    """
    from torch.nn import Module

    accepted = f"pass an encoder (a torch module), the folder of a run, a list of these, or {_NAMES}."
    given = list(model) if isinstance(model, (list, tuple)) else [model]
    if not given:
        raise ValueError(f"No model is given; {accepted}")
    for each in given:
        if not isinstance(each, (Module, str, Path)):
            raise ValueError(f"model is {each!r}, of type {type(each).__name__}; {accepted}")
        if isinstance(model, (list, tuple)) and isinstance(each, str) and each in BASELINES:
            raise ValueError(f"{each!r} stands in a list of models; pass it alone, or in baselines.")


def name_method(
    model: Any,
    protocol: str,
    name: str | None,
    seeds: Sequence[int],
    backbone: str | None,
    preprocessing: Preprocessing | None,
    example: Any = None,
) -> Method:
    """Turn what the user gave into named encoders.

    Args:
        model: As `evaluate` takes it.
        protocol: As `evaluate` takes it.
        name: Name in the tables; None = the model's own.
        seeds: Of random encoders, and of training.
        backbone: Architecture of random encoders; None = that of `example`, or "resnext1d_small".
        preprocessing: Of random encoders; None = that of `example`, or the default.
        example: An encoder whose architecture a random one follows.

    Returns:
        The `Method`.

    Raises:
        FileNotFoundError: A model's folder is not there.
        ValueError: There are no seeds, or a model is no encoder.

    Example:
        >>> name_method("random_encoder", "probe", None, (0, 1), None, None).name
        'random_encoder'
    """
    network = protocol in NETWORK_PROTOCOLS
    if not len(seeds) and (network or model in ("random_encoder", "scratch")):
        raise ValueError("seeds are empty; pass one or more, for example seeds=(0, 1).")
    if isinstance(model, str) and model in WITHOUT_ENCODER:
        return Method(name or model, [model], "probe" if network else protocol, [0])
    if isinstance(model, str) and model in ("random_encoder", "scratch"):
        own = getattr(example, "backbone_name", "") or "resnext1d_small"
        settings = getattr(example, "backbone_settings", {}) if backbone in (None, own) else {}
        like = preprocessing if preprocessing is not None else getattr(example, "preprocessing", None)
        encoders = [random_encoder(backbone or own, preprocessing=like, seed=s, **settings) for s in seeds]
        if model == "scratch" or network:
            return Method(name or "scratch", encoders, "scratch", list(seeds))
        return Method(name or model, encoders, protocol, list(seeds))
    given = list(model) if isinstance(model, (list, tuple)) else [model]
    loaded = [_load(each) for each in given]
    check_seeds_of_one(given, [made_with(*pair) for pair in zip(given, loaded)])
    fallback = Path(given[0]).name if isinstance(given[0], (str, Path)) else type(given[0]).__name__.lower()
    called = name or getattr(loaded[0], "name", "") or fallback
    if not network:
        return Method(called, loaded, protocol, [0] * len(loaded))
    if protocol == "scratch" or len(loaded) == 1:
        called = (name or "scratch") if protocol == "scratch" else called
        return Method(called, loaded[:1] * len(seeds), protocol, list(seeds))
    return Method(called, loaded, protocol, list(range(len(loaded))))


_MAY_DIFFER = (
    "seed",
    "openclef_version",
    "processes",
    "parts",
    "device",
    "precision",
    "model",
)  # between seeds


def check_seeds_of_one(given: Sequence[Any], facts: Sequence[dict[str, Any]]) -> None:
    """Refuse a list of models that are not seeds of one method: their results would be averaged.

    Args:
        given: Encoders or folders of runs.
        facts: Of each, from `made_with`.

    Raises:
        ValueError: They differ in architecture, in preprocessing, or in a setting of their runs but the seed.

    Example:
        >>> check_seeds_of_one(["runs/a", "runs/b"], [{"method": "clef"}, {"method": "simclr"}])
        Traceback (most recent call last):
        ...
        ValueError: a list of models stands for seeds of one method, ... differ in method ('clef' and 'simclr'): ...
    """
    from openclef.checkpoint import differing

    for source, each in zip(given[1:], facts[1:]):
        found = {
            name: values
            for name, values in differing(facts[0], each).items()
            if name.split(".")[0] not in _MAY_DIFFER and not name.endswith("sha256")
        }
        if found:
            name, (first, other) = next(iter(found.items()))
            more = f" and {len(found) - 1} more settings" if len(found) > 1 else ""
            called = [
                str(one) if isinstance(one, (str, Path)) else "an encoder" for one in (given[0], source)
            ]
            raise ValueError(
                f"a list of models stands for seeds of one method, which are averaged; {called[0]} and {called[1]} "
                f"differ in {name} ({first!r} and {other!r}){more}: compare models with openclef.benchmark "
                f"(openclef benchmark {called[0]} {called[1]} --stores ...), or evaluate each alone."
            )


def made_with(source: Any, encoder: Any) -> dict[str, Any]:
    """Return what is known of how an encoder was made: its architecture, preprocessing and, of a run, the settings.

    Args:
        source: The encoder, or the folder that it was loaded from.
        encoder: The same, loaded.

    Example:
        >>> made_with(None, random_encoder())["backbone"]
        'resnext1d_small'
    """
    facts: dict[str, Any] = {
        "backbone": getattr(encoder, "backbone_name", "") or type(encoder).__name__,
        "preprocessing": preprocessing_of(encoder).to_dict(),
    }
    file = Path(source) / "config.json" if isinstance(source, (str, Path)) else None
    if file is None or not (file.parent / "run.json").is_file():
        return facts
    return json.loads(file.read_text(encoding="utf-8")) | facts


def _load(model: Any) -> Any:
    if not isinstance(model, (str, Path)):
        preprocessing_of(model)  # says what is missing where it is no encoder
        return model
    from openclef.published import PUBLISHED

    if not Path(model).exists() and shipped_folder(model) is None and str(model) not in PUBLISHED:
        raise FileNotFoundError(
            f"model {str(model)!r} is no folder and no baseline; pass an encoder, the folder of a run, or "
            f"one of {', '.join((*BASELINES, *SHIPPED))}."
        )
    from openclef.checkpoint import load

    return load(model)
