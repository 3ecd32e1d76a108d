"""Features over time: an encoder seen before its mean over a window."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

__all__ = ["OverTime"]


class OverTime(nn.Module):
    """An encoder whose output for a window is its features frame by frame, one after the other.

    Args:
        encoder: An `Encoder` or a bare backbone that gives its `frames`.
        samples: Samples of a preprocessed window.

    Raises:
        ValueError: It does not give features over time.

    Example:
        >>> from openclef.backbone import BACKBONES
        >>> model = OverTime(BACKBONES["resnext1d_small"](), samples=1000)
        >>> model.count, model.dim, model(torch.zeros(2, 1, 1000)).shape
        (8, 2048, torch.Size([2, 2048]))
    """

    def __init__(self, encoder: Any, samples: int) -> None:
        super().__init__()
        backbone = getattr(encoder, "backbone", encoder)
        if not callable(getattr(backbone, "frames", None)):
            raise ValueError(
                f"{type(backbone).__name__} gives no features over time; accepted are ResNeXt1D backbones: "
                "leave over_time out for one vector a window."
            )
        self.encoder = encoder
        self.backbone = backbone
        self.leads, self.lead_names = getattr(encoder, "leads", 1), getattr(encoder, "lead_names", ())
        if getattr(encoder, "preprocessing", None) is not None:
            self.preprocessing = encoder.preprocessing
        training = backbone.training
        device = next((parameter.device for parameter in backbone.parameters()), None)
        with torch.no_grad():
            self.count = backbone.eval().frames(torch.zeros(1, self.leads, samples, device=device)).shape[1]
        backbone.train(training)
        self.dim = self.count * int(backbone.dim)

    def forward(self, signal: Tensor) -> Tensor:
        """Map (batch, leads, time) preprocessed signals to (batch, frames * features)."""
        return self.backbone.frames(signal).flatten(1)
