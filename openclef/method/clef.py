"""CLEF: contrastive pretraining guided by clinical risk (arXiv 2512.02180)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import torch
from torch import nn

from openclef.augment import Partner
from openclef.backbone.projector import projector as make_projector
from openclef.data import Batch
from openclef.guidance import Guidance
from openclef.loss import clef_loss
from openclef.loss.clef import Recipe
from openclef.method.step import Step

__all__ = ["Clef"]


def _alone(tensor: torch.Tensor) -> torch.Tensor:
    return tensor


class Clef(nn.Module):
    """Two views of each record through one backbone; negatives weighted by difference of risk.

    Args:
        backbone: (B, leads, time) -> (B, dim), with `.dim`.
        projector_dim: output size of the projector that the loss is computed on; 0 computes it on the pooled
            features, as the released code does. Embeddings are always taken before the projector.
        temperature: of the cosine similarities; 0.07 in the released code.
        guidance: how risk, completeness and subject become pair weights; None takes the recipe's. Recipe "official"
            fixes all of it but alpha.
        recipe: "paper" or "official", see `openclef.loss.clef_loss`.
        weighted: weight the negatives (L_w); False leaves plain NT-Xent.
        aligned: add the alignment term (L_d).
        alignment_weight: factor of L_d; 1 in the paper.
        use_completeness: pass completeness to the loss; False leaves out the missing-metadata multiplier.

    Raises:
        ValueError: projector_dim below 0, or recipe "official" with other guidance than its own.

    Source:
        arXiv 2512.02180, section on clinically guided contrastive loss.

    Example:
        >>> from openclef.backbone import BACKBONES
        >>> method = Clef(BACKBONES["resnext1d_small"](leads=1), projector_dim=64)
        >>> views = torch.randn(2, 4, 1, 500)
        >>> step = method(Batch(views[0], views[1], torch.rand(4), torch.ones(4), torch.arange(4)))
        >>> step.first.shape, sorted(step.terms)
        (torch.Size([4, 256]), ['loss_alignment', 'loss_contrastive'])
    """

    def __init__(
        self,
        backbone: nn.Module,
        *,
        projector_dim: int = 0,
        temperature: float = 0.07,
        guidance: Guidance | None = None,
        recipe: Recipe = "paper",
        weighted: bool = True,
        aligned: bool = True,
        alignment_weight: float = 1.0,
        use_completeness: bool = True,
    ) -> None:
        super().__init__()
        if projector_dim < 0:
            raise ValueError(
                f"projector_dim is {projector_dim}; pass 0 for no projector, or a size such as 128."
            )
        alpha = Guidance().alpha if guidance is None else guidance.alpha
        if recipe == "official" and guidance is not None:
            if replace(guidance, alpha=Guidance().alpha) != Guidance():
                raise ValueError(
                    f"recipe 'official' was given {guidance}; it fixes all of the guidance but alpha: leave the other "
                    "settings at their defaults, or use recipe 'paper'."
                )
            guidance = None
        self.backbone = backbone
        dim = int(backbone.dim)  # type: ignore[arg-type]
        self.projector = make_projector(dim, out=projector_dim) if projector_dim else nn.Identity()
        self.settings: dict[str, Any] = {
            "temperature": temperature,
            "alpha": alpha,
            "guidance": guidance,
            "recipe": recipe,
            "weighted": weighted,
            "aligned": aligned,
            "alignment_weight": alignment_weight,
        }
        self.use_completeness = use_completeness
        self.gather: Callable[[torch.Tensor], torch.Tensor] = _alone
        self.partner: Partner | None = None  # of second views; None = as the views say

    def forward(self, batch: Batch) -> Step:
        """Return the loss of a batch, over the pairs of all processes, and what to watch.

        Args:
            batch: this process's share.

        Returns:
            Step with the terms "loss_contrastive" and "loss_alignment".
        """
        size = len(batch.first)
        features = self.backbone(torch.cat([batch.first, batch.second]))
        projected = self.projector(features)
        z1, z2 = self.gather(projected[:size]), self.gather(projected[size:])
        detached = features.detach()
        completeness = self.gather(batch.completeness) if self.use_completeness else None
        loss = clef_loss(
            z1,
            z2,
            self.gather(batch.risk),
            completeness,
            self.gather(batch.subject),
            **self.settings,
        )
        return Step(
            loss=loss.total,
            terms={"loss_contrastive": loss.contrastive.detach(), "loss_alignment": loss.alignment.detach()},
            # In training nobody looks at these: leave them where they are.
            first=detached[:size] if self.training else self.gather(detached[:size]),
            second=detached[size:] if self.training else self.gather(detached[size:]),
            weights={k: v.detach() for k, v in loss.pairs.diagnostics().items()},
        )
