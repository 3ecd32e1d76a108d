"""Risk regression: the features predict the risk itself; supervised, not self-supervised: a ceiling of guidance."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import nn

from openclef.backbone.projector import projector as make_projector
from openclef.data import Batch
from openclef.loss.supervised import supervised_loss
from openclef.method.step import Step
from openclef.method.y_aware import RiskLevel, RiskScale

__all__ = ["RiskRegression"]


class RiskRegression(nn.Module):
    """Each of two views predicts its record's standardised risk, by smooth L1: what guidance can give at most.

    Risk is a label here, so this is supervised training and no rival of self-supervised methods: it shows how much
    of a task the risk alone can teach. Records of unknown risk take no part; a batch without any known risk has loss
    0 and, for every parameter, gradient 0.

    Args:
        backbone: (B, leads, time) -> (B, dim), with `.dim`.
        projector_dim: 0 = a linear head on the features; else a projector of this output size between the features and
            the linear head, so that features are as far from the loss as those of a contrastive method with one.
        scale: on which risk is predicted, see `RiskLevel`; "log" is the default.
        training_risk: (n,) known risks of the training set, over which levels are standardised; None = levels are
            predicted as they are.

    Raises:
        ValueError: projector_dim below 0, a scale that cannot be, or a training set without any known risk.

    Source:
        Smooth L1: Girshick, Fast R-CNN, 2015, equation 3.

    Example:
        >>> from openclef.backbone import BACKBONES
        >>> method = RiskRegression(BACKBONES["resnext1d_small"](leads=1), training_risk=[0.02, 0.1, 0.3])
        >>> views = torch.randn(2, 4, 1, 500)
        >>> step = method(Batch(views[0], views[1], torch.full((4,), torch.nan), torch.ones(4), torch.arange(4)))
        >>> step.first.shape, float(step.loss.detach())
        (torch.Size([4, 256]), 0.0)
    """

    def __init__(
        self,
        backbone: nn.Module,
        *,
        projector_dim: int = 0,
        scale: RiskScale = "log",
        training_risk: np.ndarray | Sequence[float] | None = None,
    ) -> None:
        super().__init__()
        if projector_dim < 0:
            raise ValueError(
                f"projector_dim is {projector_dim}; pass 0 for a linear head, or a size such as 128."
            )
        self.backbone = backbone
        dim = int(backbone.dim)  # type: ignore[arg-type]
        self.projector = make_projector(dim, out=projector_dim) if projector_dim else nn.Identity()
        self.head = nn.Linear(projector_dim or dim, 1)
        self.level = RiskLevel(training_risk, scale)
        if training_risk is not None and not self.level.known:
            raise ValueError(
                "training_risk holds no known risk, so there is nothing to predict; add the score to the stores, or "
                "use a method without risk such as simclr."
            )
        self.gather: Callable[[torch.Tensor], torch.Tensor] = lambda tensor: tensor

    def forward(self, batch: Batch) -> Step:
        """Return the loss of a batch, over the records of all processes, and what to watch.

        Args:
            batch: this process's share.

        Returns:
            Step with the term "loss_regression" and, in `weights`, the share of records whose risk is known.
        """
        size = len(batch.first)
        features = self.backbone(torch.cat([batch.first, batch.second]))
        predicted = self.head(self.projector(features))
        predicted = torch.cat([self.gather(predicted[:size]), self.gather(predicted[size:])])
        level = self.level(self.gather(batch.risk))
        with torch.autocast(predicted.device.type, enabled=False):
            loss = supervised_loss(
                predicted.float(), level.repeat(2)[:, None], "regression", regression="smooth_l1"
            )
        detached = features.detach()
        return Step(
            loss=loss,
            terms={"loss_regression": loss.detach()},
            # In training nobody looks at these: leave them where they are.
            first=detached[:size] if self.training else self.gather(detached[:size]),
            second=detached[size:] if self.training else self.gather(detached[size:]),
            weights={"risk_known_share": torch.isfinite(level).float().mean()},
        )
