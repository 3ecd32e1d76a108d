"""BYOL: predict what a slow copy makes of the other view; no negatives (Grill et al. 2020, arXiv 2006.07733)."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import nn

from openclef.data import Batch
from openclef.loss import byol_loss
from openclef.method.momentum import MomentumCopy
from openclef.method.normalised_head import normalised_head
from openclef.method.step import Step

__all__ = ["Byol"]


class Byol(nn.Module):
    """Each view's prediction is drawn to the target network's projection of the other view.

    The online network is backbone, projector and predictor; the target is a slow copy of the first two. Their heads'
    BatchNorm normalises over the records of all processes.

    The target moves at the start of each training step. That is the same as after the optimiser's step before it; only
    the move after a run's last step is left out. In evaluation mode nothing of the state changes.

    Args:
        backbone: (B, leads, time) -> (B, dim), with `.dim`.
        projector_dim: output size of the projector (linear, BatchNorm, ReLU, linear), 256 in the paper; 0 predicts the
            pooled features, as CLEF's released code does.
        projector_hidden: width of the projector's hidden layer; as wide as the features unless given.
        momentum: share of the target that stays at a step, 0 to 1; 0.996 in the paper, as a start, and in CLEF's
            released code.
        momentum_steps: None keeps the momentum; a number of steps raises it to 1 over them along a cosine, as the paper
            does over the whole run.

    Raises:
        ValueError: a setting is out of range.

    Source:
        Grill et al., Bootstrap your own latent, 2020, equation 2, and section 3.2 on architecture and momentum; the
        predictor (dim -> dim / 2 -> dim) is that of CLEF's released code.

    Example:
        >>> from openclef.backbone import BACKBONES
        >>> method = Byol(BACKBONES["resnext1d_small"](leads=1), projector_dim=64)
        >>> views = torch.randn(2, 4, 1, 500)
        >>> step = method(Batch(views[0], views[1], torch.rand(4), torch.ones(4), torch.arange(4)))
        >>> step.first.shape, sorted(step.terms)
        (torch.Size([4, 256]), ['loss_prediction'])
    """

    steps: torch.Tensor

    def __init__(
        self,
        backbone: nn.Module,
        *,
        projector_dim: int = 0,
        projector_hidden: int | None = None,
        momentum: float = 0.996,
        momentum_steps: int | None = None,
    ) -> None:
        super().__init__()
        if projector_dim < 0 or projector_dim == 1:
            raise ValueError(
                f"projector_dim is {projector_dim}; pass 0 for no projector, or a size of at least 2 such as 256."
            )
        if projector_hidden is not None and projector_hidden < 1:
            raise ValueError(
                f"projector_hidden is {projector_hidden}; pass a width of 1 or more, or leave it out."
            )
        if not 0 <= momentum <= 1:
            raise ValueError(f"momentum is {momentum}; pass a share of 0 to 1, for example 0.996.")
        if momentum_steps is not None and momentum_steps < 1:
            raise ValueError(
                f"momentum_steps is {momentum_steps}; pass the run's number of steps, or leave it out to keep the "
                "momentum."
            )
        self.backbone = backbone
        dim = int(backbone.dim)  # type: ignore[arg-type]
        self.projector = (
            normalised_head(dim, projector_hidden or dim, projector_dim) if projector_dim else nn.Identity()
        )
        width = projector_dim or dim
        self.predictor = normalised_head(width, width // 2, width)
        self.target_backbone = MomentumCopy(self.backbone)
        self.target_projector = MomentumCopy(self.projector, batch_statistics=True)
        self.base_momentum, self.momentum_steps = momentum, momentum_steps
        self.register_buffer("steps", torch.zeros((), dtype=torch.int64))  # of training, since the run began
        self.gather: Callable[[torch.Tensor], torch.Tensor] = lambda tensor: tensor

    @property
    def momentum(self) -> float | torch.Tensor:
        """Share of the target that stays at the next training step."""
        if self.momentum_steps is None:
            return self.base_momentum
        done = (self.steps / self.momentum_steps).clamp(max=1)
        return 1 - (1 - self.base_momentum) * (torch.cos(math.pi * done) + 1) / 2

    def forward(self, batch: Batch) -> Step:
        """Return the loss of a batch, over the records of all processes, and in training move the target on.

        Args:
            batch: this process's share.

        Returns:
            Step with the term "loss_prediction", 0 to 8: the sum over both view orders.
        """
        if self.training:
            momentum = self.momentum
            self.target_backbone.follow(self.backbone, momentum)
            self.target_projector.follow(self.projector, momentum)
            self.steps += 1
        size = len(batch.first)
        both = torch.cat([batch.first, batch.second])
        features, slow = self.backbone(both), self.target_backbone(both)
        # Gathered before the heads: their BatchNorm is over the records of all processes, each view by itself.
        predictions = [self.predictor(self.projector(self.gather(h))) for h in features.split(size)]
        targets = [self.target_projector(self.gather(h)) for h in slow.split(size)]
        loss = byol_loss(predictions[0], targets[1]) + byol_loss(predictions[1], targets[0])
        first, second = features.detach().split(size)
        return Step(
            loss=loss,
            terms={"loss_prediction": loss.detach()},
            first=first if self.training else self.gather(first),
            second=second if self.training else self.gather(second),
            weights={},
        )
