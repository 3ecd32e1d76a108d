"""Backbones: (batch, leads, time) to (batch, dim). To add one: a file here and a line in `BACKBONES`.

A backbone is a torch module built from keyword settings, with `.dim` (features) and `.leads`.

Example:
    >>> net = BACKBONES["resnext1d_small"](leads=1)
    >>> net.dim
    256
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from torch import nn

from openclef.backbone.projector import projector
from openclef.backbone.resnext1d import SIZES, ResNeXt1D

BACKBONES: dict[str, Callable[..., nn.Module]] = {
    "resnext1d_small": partial(ResNeXt1D, SIZES["resnext1d_small"]),
    "resnext1d_medium": partial(ResNeXt1D, SIZES["resnext1d_medium"]),
    "resnext1d_large": partial(ResNeXt1D, SIZES["resnext1d_large"]),
}

__all__ = ["BACKBONES", "ResNeXt1D", "projector"]
