"""Head: one linear layer from features to the labels of a task, and what makes predictions of its outputs."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from openclef.task import KINDS

__all__ = ["Head", "Predictor"]


class Head(nn.Module):
    """One linear layer on standardised features, with the labels of its outputs.

    The features' centre and spread are fixed, so that a learning rate means the same whatever the scale of a
    backbone's features.

    Args:
        dim: Number of features.
        labels: What each output stands for.
        kind: "multilabel", "multiclass", "binary" or "regression".
        task: Name of the task.
        unit: Unit of a regression's target.
        target_mean: Mean of the training targets, where an output of 0 lies; regression only.
        target_spread: Their standard deviation, the unit of the outputs; regression only.
        temperature: What logits are divided by, fitted on validation; 1 = not calibrated.

    Raises:
        ValueError: No label, a label twice, an unknown kind, or a spread or temperature that is not above 0.

    Example:
        >>> head = Head(3, ["sbp"], "regression", unit="mmHg", target_mean=120.0, target_spread=15.0)
        >>> nn.init.zeros_(head.linear.weight), nn.init.ones_(head.linear.bias)
        (...)
        >>> head.predict(torch.zeros(1, 3)).tolist()
        [[135.0]]
    """

    centre: Tensor
    spread: Tensor

    def __init__(
        self,
        dim: int,
        labels: tuple[str, ...] | list[str],
        kind: str,
        *,
        task: str = "",
        unit: str = "",
        target_mean: float = 0.0,
        target_spread: float = 1.0,
        temperature: float = 1.0,
    ) -> None:
        super().__init__()
        if kind not in KINDS:
            raise ValueError(f"kind is {kind!r}; pass one of {', '.join(KINDS)}.")
        if not labels or len(set(labels)) != len(labels):
            raise ValueError(f"labels are {list(labels)}; pass at least one, each once.")
        if not (target_spread > 0 and temperature > 0):
            raise ValueError(
                f"target_spread is {target_spread} and temperature {temperature}; both must be above 0."
            )
        self.linear = nn.Linear(dim, len(labels))
        self.register_buffer("centre", torch.zeros(dim))
        self.register_buffer("spread", torch.ones(dim))
        self.labels = tuple(labels)
        self.kind, self.task, self.unit = kind, task, unit
        self.target_mean, self.target_spread = float(target_mean), float(target_spread)
        self.temperature = float(temperature)

    def forward(self, features: Tensor) -> Tensor:
        """Map (batch, dim) features to (batch, labels) logits, or to values in the standardised unit."""
        return self.linear((features - self.centre) / self.spread)

    def predict(self, features: Tensor) -> Tensor:
        """Map features to calibrated probabilities, or to values in the target's unit.

        Args:
            features: (batch, dim).

        Returns:
            (batch, labels) float32; for "multiclass" each row sums to 1.

        Example:
            >>> head = Head(2, ["N", "AF", "other"], "multiclass")
            >>> round(float(head.predict(torch.randn(1, 2)).sum().detach()), 4)
            1.0
        """
        with torch.autocast(features.device.type, enabled=False):
            output = self(features.float())
        if self.kind == "regression":
            return output * self.target_spread + self.target_mean
        output = output / self.temperature
        return output.softmax(1) if self.kind == "multiclass" else output.sigmoid()

    @torch.no_grad()
    def start_at(
        self,
        features: NDArray[np.floating],
        target: NDArray[np.floating],
    ) -> None:
        """Take centre and spread from training features, and predict the training prevalence or mean.

        Args:
            features: (records, dim).
            target: (records, labels) as `openclef.loss.supervised.supervised_loss` takes them, in the target's unit.

        Example:
            >>> head = Head(1, ["af"], "binary")
            >>> head.start_at(np.array([[1.0], [3.0]]), np.array([[1.0], [0.0]]))
            >>> head.predict(torch.tensor([[7.0]])).tolist(), head.centre.tolist(), head.spread.tolist()
            ([[0.5]], [2.0], [1.0])
        """
        middle, spread = features.mean(0), features.std(0)
        self.centre.copy_(torch.from_numpy(middle))
        self.spread.copy_(torch.from_numpy(np.where(spread > 1e-6 * (1 + np.abs(middle)), spread, 1.0)))
        self.linear.weight.zero_()
        self.linear.bias.zero_()
        self.set_target_unit(target)
        if self.kind == "regression":
            return
        known = (~np.isnan(target)).sum(0)
        prevalence = (np.nansum(target, axis=0) + 0.5) / (known + 1.0)
        odds = np.log(prevalence) if self.kind == "multiclass" else np.log(prevalence / (1 - prevalence))
        self.linear.bias.copy_(torch.from_numpy(odds))

    def set_target_unit(self, target: NDArray[np.floating]) -> None:
        """Take mean and spread of a regression's training targets, (records, 1) with NaN where unknown."""
        if self.kind == "regression":
            self.target_mean = float(np.nanmean(target.astype(float)))
            self.target_spread = float(np.nanstd(target.astype(float))) or 1.0

    def to_config(self) -> dict[str, Any]:
        """Return the arguments that build this head again, but for its weights, as plain values for JSON.

        Example:
            >>> Head(**Head(4, ["af"], "binary").to_config()).labels
            ('af',)
        """
        return {
            "dim": self.linear.in_features,
            "labels": list(self.labels),
            "kind": self.kind,
            "task": self.task,
            "unit": self.unit,
            "target_mean": self.target_mean,
            "target_spread": self.target_spread,
            "temperature": self.temperature,
        }


class Predictor(nn.Module):
    """An encoder with a head, seen as a module whose outputs are predictions instead of features.

    Whatever embeds recordings with an encoder predicts with this.

    Args:
        encoder: An `Encoder` with a head.

    Raises:
        ValueError: It has none.

    Example:
        >>> from openclef.backbone import BACKBONES
        >>> from openclef.model import Encoder
        >>> encoder = Encoder(BACKBONES["resnext1d_small"](), head=Head(256, ["af"], "binary"))
        >>> predictor = Predictor(encoder)
        >>> predictor.dim, predictor.eval()(torch.zeros(2, 1, 5000)).shape
        (1, torch.Size([2, 1]))
    """

    def __init__(self, encoder: Any) -> None:
        super().__init__()
        self.dim = len(encoder.required_head().labels)
        self.preprocessing = encoder.preprocessing
        self.leads, self.lead_names = encoder.leads, encoder.lead_names
        self.encoder = encoder

    def forward(self, signal: Tensor) -> Tensor:
        """Map (batch, leads, time) preprocessed signals to (batch, labels) predictions."""
        return self.encoder.required_head().predict(self.encoder(signal))
