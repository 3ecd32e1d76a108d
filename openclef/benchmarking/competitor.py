"""Who takes part: the models given, by name, and the baselines beside them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from openclef.benchmarking.identity import source_sha256, subjects_sha256
from openclef.embedding import preprocessing_of
from openclef.protocol.baselines import random_encoder
from openclef.protocol.judging import WITH_AGE_SEX
from openclef.protocol.methods import BASELINES, check_model, check_seeds_of_one, made_with

__all__ = ["Architecture", "Competitor", "name_models"]


@dataclass(frozen=True)
class Architecture:
    """What random encoders and training from scratch follow.

    Args:
        backbone: A key of `openclef.backbone.BACKBONES`.
        settings: Keyword settings of the backbone.
        preprocessing: A `Preprocessing`; None = the default.

    Example:
        >>> Architecture().encoder(0).dim
        256
    """

    backbone: str = "resnext1d_small"
    settings: Mapping[str, Any] = field(default_factory=dict)
    preprocessing: Any = None

    def encoder(self, seed: int) -> Any:
        """Make an encoder with random weights."""
        return random_encoder(
            self.backbone, preprocessing=self.preprocessing, seed=seed, **dict(self.settings)
        )

    def as_json(self) -> dict[str, Any]:
        """Say in plain values what the architecture is.

        Example:
            >>> Architecture().as_json()["backbone"]
            'resnext1d_small'
        """
        before = self.preprocessing.to_dict() if self.preprocessing is not None else None
        return {"backbone": self.backbone, "settings": dict(self.settings), "preprocessing": before}


@dataclass(frozen=True)
class Competitor:
    """One row of a benchmark.

    Args:
        name: Its name in the tables.
        sources: Encoders or folders, seeds of one method; empty for a baseline.
        weights: The hash of each.
        about: What `benchmark.json` says of it.
        architecture: What random encoders and training from scratch follow; None for the others.
        subjects: For each source a hash of whom it was pretrained on.

    Example:
        >>> Competitor("age_sex").is_baseline
        True
    """

    name: str
    sources: tuple[Any, ...] = ()
    weights: tuple[str, ...] = ()
    about: Mapping[str, Any] = field(default_factory=dict)
    architecture: Architecture | None = None
    subjects: tuple[str, ...] = ()

    @property
    def is_baseline(self) -> bool:
        """Whether it is a baseline, not a model that was given.

        Example:
            >>> Competitor("clef", ("runs/clef",)).is_baseline
            False
        """
        return not self.sources

    def model(self, protocol: str, seeds: Sequence[int]) -> Any:
        """What `openclef.evaluate` judges.

        Args:
            protocol: Of the cell.
            seeds: Of random encoders.

        Returns:
            A list of encoders or folders, or the name of a baseline.

        Example:
            >>> Competitor("features").model("probe", (0,))
            'features'
        """
        if self.architecture is not None:
            several = (
                seeds[:1] if protocol == "scratch" else seeds
            )  # from scratch a seed draws its own weights
            return [self.architecture.encoder(seed) for seed in several]
        return list(self.sources) or self.name

    def as_key(self) -> dict[str, Any]:
        """What decides its results, in plain values.

        Example:
            >>> Competitor("age_sex").as_key()
            {'model': 'age_sex', 'weights': [], 'subjects': [], 'architecture': None}
        """
        architecture = None if self.architecture is None else self.architecture.as_json()
        return {
            "model": self.name,
            "weights": list(self.weights),
            "subjects": list(self.subjects),
            "architecture": architecture,
        }


def name_models(models: Any) -> tuple[list[Competitor], list[str], Architecture]:
    """Name the models that are given.

    Args:
        models: A mapping from name to an encoder, a folder or a list of these (seeds of one method); or one of these,
            or a list of them and of names of baselines, which are then named after themselves.

    Returns:
        The models, the baselines among them, and the first encoder's architecture.

    Raises:
        FileNotFoundError: A folder is not there.
        ValueError: Something is no encoder, or a name is a baseline's, stands there twice or cannot be one.

    Example:
        >>> name_models(["age_sex"])[:2]
        ([], ['age_sex'])
    """
    baselines: list[str] = []
    named: list[tuple[str | None, Any]] = []
    if isinstance(models, Mapping):
        named = [(str(name), model) for name, model in models.items()]
        _check_names([str(name) for name in models])
        among = [name for name, model in named if isinstance(model, str) and model in BASELINES]
        if among:
            raise ValueError(
                f"the model {among[0]!r} is a baseline; pass baselines by name in baselines, not in models."
            )
    else:
        for each in models if isinstance(models, (list, tuple)) else [models]:
            if isinstance(each, str) and each in BASELINES:
                baselines.append(each)
            else:
                named.append((None, each))
    found: list[Competitor] = []
    architecture = Architecture()
    for position, (name, model) in enumerate(named):
        check_model(model)
        sources = tuple(model) if isinstance(model, (list, tuple)) else (model,)
        encoders = (load_source(source) for source in sources)  # one in memory at a time
        first = next(encoders)
        if position == 0:
            architecture = _architecture_of(first)
        called = name or _unique(_own_name(first, sources[0]), {each.name for each in found})
        hashes = [(source_sha256(first), subjects_sha256(first))]
        facts = [made_with(sources[0], first)]
        about = _about(called, sources, first)
        if _architecture_of(first).as_json() != architecture.as_json():
            about["note"] = (
                f"random encoders and training from scratch follow {found[0].name if found else called}, which has "
                "another architecture or preprocessing; benchmark it alone to see it beside its own"
            )
        del first
        for source, encoder in zip(sources[1:], encoders):
            hashes.append((source_sha256(encoder), subjects_sha256(encoder)))
            facts.append(made_with(source, encoder))
        check_seeds_of_one(sources, facts)
        weights, subjects = zip(*hashes)
        found.append(Competitor(called, sources, weights, about | {"weights": list(weights)}, None, subjects))
    return found, baselines, architecture


def load_source(source: Any) -> Any:
    """Give an encoder, or load it from its folder.

    Raises:
        FileNotFoundError: The folder is not there.
        ValueError: It is no encoder.

    Example:
        >>> load_source("runs/none")
        Traceback (most recent call last):
        ...
        FileNotFoundError: runs/none does not exist; ...
    """
    if isinstance(source, (str, Path)):
        from openclef.checkpoint import load

        return load(source)
    preprocessing_of(source)  # says what is missing where it is no encoder
    return source


def _check_names(names: Sequence[str]) -> None:
    reserved = [
        name for name in names if not name.strip() or name in BASELINES or name.endswith(WITH_AGE_SEX)
    ]
    if reserved:
        raise ValueError(
            f"a model is called {reserved[0]!r}; give it another name: {', '.join(BASELINES)} are baselines, and "
            f"names that end in {WITH_AGE_SEX!r} are those with age and sex appended."
        )
    folded = [name.casefold() for name in names]
    twice = [name for name, one in zip(names, folded) if folded.count(one) > 1]
    if twice:
        raise ValueError(f"the names {', '.join(map(repr, twice))} are the same; give each model its own.")


def _own_name(encoder: Any, source: Any) -> str:
    fallback = Path(source).name if isinstance(source, (str, Path)) else type(encoder).__name__.lower()
    return str(getattr(encoder, "name", "") or fallback)


def _unique(name: str, taken: set[str]) -> str:
    folded = {one.casefold() for one in taken} | set(BASELINES)
    candidates = (name if number == 1 else f"{name} ({number})" for number in range(1, len(folded) + 2))
    return next(each for each in candidates if each.casefold() not in folded)


def _architecture_of(encoder: Any) -> Architecture:
    from openclef.backbone import BACKBONES

    preprocessing = preprocessing_of(encoder)
    if getattr(encoder, "backbone_name", "") not in BACKBONES:
        return Architecture(preprocessing=preprocessing)
    return Architecture(encoder.backbone_name, encoder.backbone_settings, preprocessing)


def _about(name: str, sources: Sequence[Any], encoder: Any) -> dict[str, Any]:
    subjects = getattr(encoder, "pretraining_subjects", None)
    return {
        "name": name,
        "kind": "model",
        "sources": [str(each) if isinstance(each, (str, Path)) else type(each).__name__ for each in sources],
        **describe_encoder(encoder),
        "pretraining_subjects": None if subjects is None else len(subjects),
    }


def describe_encoder(encoder: Any) -> dict[str, Any]:
    """Say in plain values what an encoder is, whatever its weights.

    Args:
        encoder: An `Encoder` or a bare backbone.

    Example:
        >>> describe_encoder(random_encoder())["parameters"]
        443184
    """
    return {
        "backbone": getattr(encoder, "backbone_name", "") or type(encoder).__name__,
        "parameters": sum(each.numel() for each in encoder.parameters()),
        "dim": int(encoder.dim),
        "preprocessing": preprocessing_of(encoder).to_dict(),
    }
