"""Floating-point operations of an encoder, counted by PyTorch on tensors without values."""

from __future__ import annotations

import torch
from torch.utils.flop_counter import FlopCounterMode

from openclef.backbone import BACKBONES
from openclef.speed.reference import encode

__all__ = ["forward_flops", "training_flops"]


def forward_flops(backbone: str, samples: int) -> int:
    """Count the operations of embedding one lead: convolutions and matrix products, 2 a multiplication-addition.

    They are counted on the plain operations of `openclef.speed.reference`, so another way to the same result
    counts the same.

    Args:
        backbone: its name in `openclef.backbone.BACKBONES`.
        samples: length of the lead.

    Example:
        >>> round(forward_flops("resnext1d_small", 5000) / 1e9, 4)
        0.0584
    """
    with torch.device("meta"):
        state = BACKBONES[backbone](leads=1).state_dict()
        with FlopCounterMode(display=False) as counter:
            encode(state, torch.zeros(1, 1, samples))
    return int(counter.get_total_flops())


def training_flops(backbone: str, samples: int) -> int:
    """Count the operations of training on one view: three times the forward's, less the gradient of the input.

    A layer's gradients with respect to its weights and to its input take as many operations each as the layer;
    nobody needs the one with respect to the network's input. Loss and optimiser do not count.

    Args:
        backbone: its name in `openclef.backbone.BACKBONES`.
        samples: length of the view.

    Example:
        >>> training_flops("resnext1d_small", 5000) < 3 * forward_flops("resnext1d_small", 5000)
        True
    """
    with torch.device("meta"):
        stem = BACKBONES[backbone](leads=1).state_dict()["first_conv.conv.weight"]
    of_stem = 2 * stem.numel() * -(-samples // 2)
    return 3 * forward_flops(backbone, samples) - of_stem
