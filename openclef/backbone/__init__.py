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

from openclef.backbone import moirai, moment
from openclef.backbone.projector import projector
from openclef.backbone.resnext1d import SIZES, ResNeXt1D
from openclef.backbone.st_mem import STMEM
from openclef.backbone.wav2vec2 import HUBERT_SIZES, Wav2Vec2
from openclef.backbone.xresnet1d import XResNet1d

BACKBONES: dict[str, Callable[..., nn.Module]] = {
    "resnext1d_small": partial(ResNeXt1D, SIZES["resnext1d_small"]),
    "resnext1d_medium": partial(ResNeXt1D, SIZES["resnext1d_medium"]),
    "resnext1d_large": partial(ResNeXt1D, SIZES["resnext1d_large"]),
    "moirai_small": partial(moirai.Moirai, moirai.SIZES["moirai_small"]),
    "moirai_base": partial(moirai.Moirai, moirai.SIZES["moirai_base"]),
    "moirai_large": partial(moirai.Moirai, moirai.SIZES["moirai_large"]),
    "moment_small": partial(moment.Moment, moment.SIZES["moment_small"]),
    "moment_base": partial(moment.Moment, moment.SIZES["moment_base"]),
    "moment_large": partial(moment.Moment, moment.SIZES["moment_large"]),
    "st_mem_base": STMEM,
    "wav2vec2_base": Wav2Vec2,
    "hubert_small": partial(Wav2Vec2, **HUBERT_SIZES["hubert_small"]),
    "hubert_base": partial(Wav2Vec2, **HUBERT_SIZES["hubert_base"]),
    "hubert_large": partial(Wav2Vec2, **HUBERT_SIZES["hubert_large"]),
    "xresnet1d101": XResNet1d,
}

__all__ = ["BACKBONES", "ResNeXt1D", "projector"]
