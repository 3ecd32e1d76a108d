"""What is known of a published foundation model, and how its weights become an encoder."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from openclef.backbone import BACKBONES
from openclef.model import Encoder, check_tensors
from openclef.preprocessing import Preprocessing
from openclef.published.weights import read_weights, state_dict_of

__all__ = ["Published", "load_published"]


def _same(name: str) -> str:
    """Return the name unchanged: a backbone whose tensors bear their published names."""
    return name


@dataclass(frozen=True)
class Published:
    """A foundation model whose weights others publish.

    Args:
        title: What it is, in a few words.
        backbone: A key of `openclef.backbone.BACKBONES`.
        settings: Keyword settings of the backbone.
        preprocessing: What it expects of a signal, as its authors trained or used it.
        leads: Names of its input channels in order; empty where it takes one lead, any.
        layer: What of the network the embedding is.
        trained_on: Data and objective of its pretraining.
        licence: Of the weights.
        paper: Where it was published.
        code: Where names and shapes of its tensors were read.
        weights: Where the weights are.
        file: Name of the published file.
        published_name: From the name of a tensor of the backbone to its name in the published file.
        respelled: From the name of a tensor in another file of the same weights to its name in the published file.
        unused: Patterns of the beginnings of names of published tensors that embedding does not need: heads,
            decoders, mask tokens.
        holder: Key of the published checkpoint that holds the encoder's tensors, where it is none of the usual.
        note: What differs from its original use.
        load: How its weights are loaded, where that takes more than matching names.

    Example:
        >>> import openclef.published
        >>> openclef.published.PUBLISHED["clef_small"].backbone
        'resnext1d_small'
    """

    title: str
    backbone: str
    preprocessing: Preprocessing
    layer: str
    trained_on: str
    licence: str
    paper: str
    code: str
    weights: str
    file: str
    settings: Mapping[str, Any] = field(default_factory=dict)
    leads: tuple[str, ...] = ()
    published_name: Callable[[str], str] = _same
    respelled: Callable[[str], str] = _same
    unused: tuple[str, ...] = ()
    holder: str = ""
    note: str = ""
    load: Callable[[Any], Encoder] | None = None

    def build(self) -> torch.nn.Module:
        """Build the backbone, with random weights.

        Example:
            >>> from openclef.published import PUBLISHED
            >>> PUBLISHED["clef_small"].build().dim
            256
        """
        return BACKBONES[self.backbone](**self.settings)

    def expected(self) -> dict[str, Tensor]:
        """Return the tensors that the encoder takes from the published file, by their published names, without values.

        Example:
            >>> from openclef.published import PUBLISHED
            >>> PUBLISHED["clef_small"].expected()["backbone.first_conv.conv.weight"].shape
            torch.Size([32, 1, 16])
        """
        with torch.device("meta"):
            tensors = self.build().state_dict()
        return {self.published_name(name): tensor for name, tensor in tensors.items()}

    def uses(self, name: str) -> bool:
        """Tell whether a published tensor is part of the encoder.

        Args:
            name: Its published name.

        Example:
            >>> from openclef.published import PUBLISHED
            >>> PUBLISHED["ecgfounder"].uses("dense.weight")
            False
        """
        return not any(re.match(pattern, name) for pattern in self.unused)


def load_published(name: str, published: Published, weights: str | Path | Mapping[str, Any]) -> Encoder:
    """Make an encoder of published weights, which must fit tensor for tensor.

    Args:
        name: What the encoder is called.
        published: What it is.
        weights: A file, a state dict, or a dict that holds one.

    Returns:
        Encoder in evaluation mode, on the CPU; `.ignored` names the published tensors that it has no use for.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: The file cannot be read, or tensors are missing, unexpected, of another shape or not finite.

    Example:
        >>> from openclef.published import PUBLISHED
        >>> load_published("clef_small", PUBLISHED["clef_small"], "no.ckpt")
        Traceback (most recent call last):
        ...
        FileNotFoundError: no.ckpt does not exist; pass a file of published weights.
    """
    from_file = isinstance(weights, (str, Path))
    source = str(weights) if from_file else "the state dict"
    if published.load is not None:
        encoder = published.load(weights)
        if encoder.name != name:
            raise ValueError(
                f"{source} holds {encoder.name}, not {name}; pass its own name, or its own weights."
            )
        return encoder
    content = read_weights(weights, published.holder) if from_file else weights  # type: ignore[arg-type]
    given = state_dict_of(content, source, published.holder)
    given = _respelled(given, published.respelled, source)
    used = {key: tensor for key, tensor in given.items() if published.uses(key)}
    check_tensors(published.expected(), used, f"{source} (as {name})")
    with torch.random.fork_rng(devices=[]):  # the caller's random numbers are left alone
        backbone = published.build()
    backbone.load_state_dict({own: used[published.published_name(own)] for own in backbone.state_dict()})
    encoder = Encoder(
        backbone,
        published.preprocessing,
        name=name,
        backbone_name=published.backbone,
        backbone_settings=published.settings,
        lead_names=published.leads,
    )
    encoder.ignored = tuple(key for key in given if key not in used)
    return encoder.eval()


def _respelled(given: dict[str, Tensor], respell: Callable[[str], str], source: str) -> dict[str, Tensor]:
    """Tensors by their names in the published file; two of one name must be the same."""
    respelled: dict[str, Tensor] = {}
    spelled: dict[str, str] = {}
    for key, tensor in given.items():
        name = respell(key)
        if name in respelled and not torch.equal(respelled[name], tensor):
            raise ValueError(
                f"{source} holds two different tensors for one, {spelled[name]} and {key}; pass those of one encoder."
            )
        respelled[name], spelled[name] = tensor, key
    return respelled
