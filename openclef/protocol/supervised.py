"""What is trained and measured in fine-tuning: a backbone with its head, its start, and its validation."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from openclef.head import Head
from openclef.loss.supervised import supervised_loss
from openclef.method.step import Step
from openclef.metrics import auroc, fit_temperature
from openclef.protocol.probe import fit_linear_probe, validation_loss
from openclef.protocol.windows import LabelledBatch, LabelledBatches
from openclef.statistics import measurable_labels

__all__ = ["Supervised", "calibrate", "features_of", "make_validator", "parameter_groups", "start_head"]


class Supervised(nn.Module):
    """A backbone with a head, from a labelled batch to its loss.

    Args:
        backbone: From (batch, 1, time) to (batch, dim).
        head: On its features.
        regression: "l1" or "smooth_l1", see `openclef.loss.supervised.supervised_loss`.

    Example:
        >>> from openclef.backbone import BACKBONES
        >>> module = Supervised(BACKBONES["resnext1d_small"](), Head(256, ["af"], "binary"))
        >>> step = module(LabelledBatch(torch.zeros(2, 1, 500), torch.tensor([[1.0], [0.0]])))
        >>> step.first.shape, step.loss.requires_grad
        (torch.Size([2, 256]), True)
    """

    def __init__(self, backbone: nn.Module, head: Head, regression: str = "l1") -> None:
        super().__init__()
        self.backbone, self.head, self.regression = backbone, head, regression

    def forward(self, batch: LabelledBatch) -> Step:
        """Return the loss and, as `first`, the features."""
        features = self.backbone(batch.signal)
        target = batch.target
        if self.head.kind == "regression":
            target = (target - self.head.target_mean) / self.head.target_spread
        loss = supervised_loss(
            self.head(features).float(), target, self.head.kind, regression=self.regression
        )
        return Step(loss, {}, features.detach(), features.detach()[:0], {})


def parameter_groups(module: Supervised, backbone_rate: float) -> list[dict[str, Any]]:
    """Return the optimiser's groups: the head at the schedule's learning rate, the backbone at a share of it.

    Args:
        module: What is trained.
        backbone_rate: The backbone's learning rate as a share of the head's; 0 leaves the backbone out.

    Source:
        Discriminative learning rates: Howard and Ruder, ACL 2018, section 3.2.

    Example:
        >>> from openclef.backbone import BACKBONES
        >>> module = Supervised(BACKBONES["resnext1d_small"](), Head(256, ["af"], "binary"))
        >>> [group["rate_factor"] for group in parameter_groups(module, 0.1)]
        [1.0, 0.1]
    """
    groups: list[dict[str, Any]] = [{"params": list(module.head.parameters()), "rate_factor": 1.0}]
    if backbone_rate > 0:
        groups.append({"params": list(module.backbone.parameters()), "rate_factor": backbone_rate})
    return groups


@torch.no_grad()
def features_of(module: Callable[[LabelledBatch], Step], batches: LabelledBatches) -> NDArray[np.float32]:
    """Features of all windows in order.

    Args:
        module: Returns a step with the features as `first`; in evaluation mode.
        batches: Not shuffled.

    Returns:
        (windows, dim).

    Example:
        >>> class None_:
        ...     def epoch(self, epoch, start=0): return iter([LabelledBatch(torch.ones(2, 1, 3), torch.ones(2, 1))])
        >>> features_of(lambda batch: Step(None, {}, batch.signal[:, 0], None, {}), None_()).shape
        (2, 3)
    """
    return np.concatenate([module(batch).first.float().cpu().numpy() for batch in batches.epoch(0)])


def start_head(head: Head, train: LabelledBatches, val: LabelledBatches, module: Any, *, warm: bool) -> None:
    """Standardise the head by the training features and begin it at the prevalence, or at a linear probe.

    Args:
        head: Changed in place.
        train: Training windows, not shuffled.
        val: Validation windows, which choose the probe's strength.
        module: See `features_of`.
        warm: Begin at the linear probe's weights, so that fine-tuning starts from what the frozen features give.

    Source:
        Linear probing, then fine-tuning: Kumar et al., ICLR 2022.

    Example:
        >>> import inspect
        >>> list(inspect.signature(start_head).parameters)
        ['head', 'train', 'val', 'module', 'warm']
    """
    features = features_of(module, train).astype(float)
    target = train.windows.target.astype(float)
    head.start_at(features, target)
    if not warm:
        return
    probe = fit_linear_probe(features, target, features_of(module, val), val.windows.target, kind=head.kind)
    # The probe standardises by its own training features, which are these, so only the target's unit is left.
    weight, bias = probe.weight, probe.bias
    weight = weight / probe.spread[:, None] * head.spread.double().cpu().numpy()[:, None]
    bias = bias + ((head.centre.double().cpu().numpy() - probe.mean) / probe.spread) @ probe.weight
    if head.kind == "regression":
        weight, bias = weight / head.target_spread, (bias - head.target_mean) / head.target_spread
    with torch.no_grad():
        head.linear.weight.copy_(torch.from_numpy(np.ascontiguousarray(weight.T)))
        head.linear.bias.copy_(torch.from_numpy(bias))


def make_validator(head: Head, val: LabelledBatches) -> Callable[[Any], dict[str, float]]:
    """Return a function that measures a module on validation records, each by the mean over its windows.

    Args:
        head: Makes predictions of the module's features.
        val: Validation windows, not shuffled.

    Returns:
        From module to val_loss (log-loss, or mean absolute error in the target's unit) and, for classification,
        val_auroc, the mean over the labels that have both outcomes.

    Example:
        >>> import inspect
        >>> list(inspect.signature(make_validator).parameters)
        ['head', 'val']
    """
    windows = val.windows
    records, position = np.unique(windows.record, return_inverse=True)
    target = windows.cohort.target[records]

    def validate(module: Any) -> dict[str, float]:
        of_windows = _predictions(head, features_of(module, val))
        score = np.zeros(target.shape)
        np.add.at(score, position, of_windows * windows.share[:, None])
        values = {"val_loss": validation_loss(target, score, head.kind)}
        if head.kind != "regression":
            measured = np.flatnonzero(measurable_labels(target))
            areas = [float(auroc(target[:, label], score[:, label])) for label in measured]
            values["val_auroc"] = float(np.mean(areas)) if areas else float("nan")
        return values

    return validate


def calibrate(head: Head, val: LabelledBatches, module: Any) -> None:
    """Fit the head's temperature on validation windows; a regression's stays 1.

    Args:
        head: Changed in place.
        val: Validation windows, not shuffled.
        module: See `features_of`.

    Source:
        Guo et al., On calibration of modern neural networks, ICML 2017.

    Example:
        >>> import inspect
        >>> list(inspect.signature(calibrate).parameters)
        ['head', 'val', 'module']
    """
    if head.kind == "regression":
        return
    head.temperature = 1.0
    score = _predictions(head, features_of(module, val))
    head.temperature = fit_temperature(val.windows.target, score, multiclass=head.kind == "multiclass")


@torch.no_grad()
def _predictions(head: Head, features: NDArray[np.float32]) -> NDArray[np.floating]:
    device = head.linear.weight.device
    return head.predict(torch.from_numpy(features).to(device)).double().cpu().numpy()
