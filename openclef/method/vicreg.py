"""VICReg: views agree, components keep variance and stay uncorrelated (Bardes et al. 2022, arXiv 2105.04906)."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import nn

from openclef.data import Batch
from openclef.loss import vicreg_loss
from openclef.method.normalised_head import normalised_head
from openclef.method.step import Step

__all__ = ["VicReg"]


class VicReg(nn.Module):
    """Two views of each record through one backbone and an expander; no negatives, no second network.

    The expander's BatchNorm, the variances and the covariances are over the records of all processes.

    Args:
        backbone: (B, leads, time) -> (B, dim), with `.dim`.
        projector_dim: output size of the expander (three linear layers of this width, BatchNorm and ReLU between them),
            8192 for features of 2048 in the paper; 0 computes the loss on the pooled features. Embeddings are always
            taken before it.
        invariance_weight: factor of the invariance term.
        variance_weight: factor of the variance term.
        covariance_weight: factor of the covariance term.

    Raises:
        ValueError: a setting is out of range.

    Source:
        Bardes, Ponce, LeCun, VICReg: variance-invariance-covariance regularization for self-supervised learning, 2022.

    Example:
        >>> from openclef.backbone import BACKBONES
        >>> method = VicReg(BACKBONES["resnext1d_small"](leads=1), projector_dim=64)
        >>> views = torch.randn(2, 4, 1, 500)
        >>> step = method(Batch(views[0], views[1], torch.rand(4), torch.ones(4), torch.arange(4)))
        >>> step.first.shape, sorted(step.terms)
        (torch.Size([4, 256]), ['loss_covariance', 'loss_invariance', 'loss_variance'])
    """

    def __init__(
        self,
        backbone: nn.Module,
        *,
        projector_dim: int = 2048,
        invariance_weight: float = 25.0,
        variance_weight: float = 25.0,
        covariance_weight: float = 1.0,
    ) -> None:
        super().__init__()
        if projector_dim < 0:
            raise ValueError(
                f"projector_dim is {projector_dim}; pass 0 for no expander, or a size such as 2048."
            )
        self.factors = {
            "invariance_weight": invariance_weight,
            "variance_weight": variance_weight,
            "covariance_weight": covariance_weight,
        }
        vicreg_loss(torch.zeros(2, 1), torch.zeros(2, 1), **self.factors)  # refuses weights out of range
        if not any(self.factors.values()):
            raise ValueError(
                "all three weights are 0, so there is no loss; pass a number above 0 for at least one."
            )
        self.backbone = backbone
        dim = int(backbone.dim)  # type: ignore[arg-type]
        # A bias at the end would change no term.
        self.expander = (
            normalised_head(dim, projector_dim, projector_dim, projector_dim, bias=False)
            if projector_dim
            else nn.Identity()
        )
        self.gather: Callable[[torch.Tensor], torch.Tensor] = lambda tensor: tensor

    def forward(self, batch: Batch) -> Step:
        """Return the loss of a batch, over the records of all processes.

        Args:
            batch: this process's share.

        Returns:
            Step with the terms "loss_invariance", "loss_variance" and "loss_covariance", times their factors.
        """
        size = len(batch.first)
        features = self.backbone(torch.cat([batch.first, batch.second]))
        # Gathered before the expander: its BatchNorm is over the records of all processes, each view by itself.
        z1, z2 = (self.expander(self.gather(h)) for h in features.split(size))
        loss = vicreg_loss(z1, z2, **self.factors)
        first, second = features.detach().split(size)
        return Step(
            loss=loss.total,
            terms={
                f"loss_{name}": self.factors[f"{name}_weight"] * getattr(loss, name).detach()
                for name in ("invariance", "variance", "covariance")
            },
            first=first if self.training else self.gather(first),
            second=second if self.training else self.gather(second),
            weights={},
        )
