"""y-aware InfoNCE: records of similar risk as soft positives of each other (Dufumier et al. 2021, arXiv 2106.08808)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Literal, get_args

import numpy as np
import torch
from torch import nn

from openclef.backbone.projector import projector as make_projector
from openclef.data import Batch
from openclef.loss.y_aware import y_aware_loss
from openclef.method.step import Step

__all__ = ["RiskLevel", "RiskScale", "YAware"]

RiskScale = Literal["log", "linear", "rank"]

# Lowest risk that "log" tells apart, as in `openclef.guidance.Guidance`.
_LOG_FLOOR = 1e-4
_QUANTILES = 1001


class RiskLevel(nn.Module):
    """Risk on a scale on which it is compared, standardised over a training set; its numbers are kept with the weights.

    Args:
        training_risk: (n,) risks of the training set in the score's own unit; not finite = unknown, left out. None =
            levels are not standardised; "rank" needs it. Where all risks are the same the divisor is 1.
        scale: "log" the natural logarithm, of risks of at least 0.0001: for probabilities, which are skewed; "linear"
            the risk itself: for points and years; "rank" the share of the training set that is below, ties counted
            half, to one thousandth: whatever the risk's distribution.

    Raises:
        ValueError: Unknown scale, risks that are no vector, or "rank" without a training risk.

    Example:
        >>> level = RiskLevel([0.01, 0.1, 0.1, float("nan"), 1.0])
        >>> level(torch.tensor([0.01, 1.0, float("nan")])).round(decimals=2)
        tensor([-1.4100,  1.4100,     nan])
    """

    def __init__(
        self, training_risk: np.ndarray | Sequence[float] | None = None, scale: RiskScale = "log"
    ) -> None:
        super().__init__()
        if scale not in get_args(RiskScale):
            raise ValueError(f"scale is {scale!r}; accepted are {', '.join(get_args(RiskScale))}.")
        if training_risk is None and scale == "rank":
            raise ValueError('scale "rank" ranks within a training set; pass its risks as training_risk.')
        known = np.asarray([] if training_risk is None else training_risk, dtype=np.float32)
        if known.ndim != 1:
            raise ValueError(f"training_risk has shape {known.shape}; pass one value a record, shape (n,).")
        known = known[np.isfinite(known)]
        self.scale = scale
        self.known = len(known)
        if scale == "rank":
            table = np.quantile(known, np.linspace(0, 1, _QUANTILES)) if len(known) else np.zeros(_QUANTILES)
            self.register_buffer("quantiles", torch.from_numpy(table.astype(np.float32)))
        level = self._level(torch.from_numpy(known)).double()
        spread = float(level.std(correction=0)) if len(known) else 0.0
        # Rounding alone must not make a spread.
        centre = float(level.mean()) if len(known) else 0.0
        spread = spread if spread > 1e-6 * max(1.0, abs(centre)) else 1.0
        self.register_buffer("centre", torch.tensor(centre, dtype=torch.float32))
        self.register_buffer("spread", torch.tensor(spread, dtype=torch.float32))

    def forward(self, risk: torch.Tensor) -> torch.Tensor:
        """Return the standardised level of risks.

        Args:
            risk: (B,) in the score's own unit; not finite = unknown.

        Returns:
            (B,) float32, NaN where the risk is unknown.
        """
        risk = risk.float()
        level = (self._level(risk) - self.centre) / self.spread  # type: ignore[operator]
        return torch.where(torch.isfinite(risk), level, torch.nan)

    def _level(self, risk: torch.Tensor) -> torch.Tensor:
        if self.scale == "log":
            return risk.clamp(min=_LOG_FLOOR).log()
        if self.scale == "rank":
            table = self.get_buffer("quantiles")
            below = torch.searchsorted(table, risk.contiguous())
            not_above = torch.searchsorted(table, risk.contiguous(), right=True)
            return (below + not_above) / (2 * _QUANTILES)
        return risk


class YAware(nn.Module):
    """Two views of each record through one backbone; all records are positives, weighted by closeness of risk.

    Args:
        backbone: (B, leads, time) -> (B, dim), with `.dim`.
        projector_dim: output size of the projector that the loss is computed on; 0 computes it on the pooled features.
            Embeddings are always taken before the projector.
        temperature: of the cosine similarities.
        width: standard deviation of the Gaussian kernel on risk, in standard deviations of the training set's level.
            At 0.5 a patient half a standard deviation away weighs 0.61 of a record's own other view, one a whole
            standard deviation away 0.14. Where levels are normally distributed, others weigh a third of a batch in
            all, so most of the pull is towards risk; at 0.1 they weigh 0.07 of it. Towards 0 it is NT-Xent.
        scale: on which risk is compared, see `RiskLevel`.
        training_risk: (n,) known risks of the training set, which set the kernel's unit; None = the width is in the
            scale's own unit (of log risk: 0.5 is a factor of 1.65).
        use_completeness: multiply a pair's soft weight by both records' completeness; False lets a risk count fully
            however many of its inputs were missing.

    Raises:
        ValueError: projector_dim below 0, a width or temperature that is not positive, or a scale that cannot be.

    Source:
        Dufumier et al. 2021, arXiv 2106.08808.

    Example:
        >>> from openclef.backbone import BACKBONES
        >>> method = YAware(BACKBONES["resnext1d_small"](leads=1), projector_dim=64, training_risk=[0.02, 0.1, 0.3])
        >>> views = torch.randn(2, 4, 1, 500)
        >>> step = method(Batch(views[0], views[1], torch.rand(4), torch.ones(4), torch.arange(4)))
        >>> step.first.shape, sorted(step.terms)
        (torch.Size([4, 256]), ['loss_y_aware'])
    """

    def __init__(
        self,
        backbone: nn.Module,
        *,
        projector_dim: int = 0,
        temperature: float = 0.07,
        width: float = 0.5,
        scale: RiskScale = "log",
        training_risk: np.ndarray | Sequence[float] | None = None,
        use_completeness: bool = True,
    ) -> None:
        super().__init__()
        if projector_dim < 0:
            raise ValueError(
                f"projector_dim is {projector_dim}; pass 0 for no projector, or a size such as 128."
            )
        for name, value in (("width", width), ("temperature", temperature)):
            if not 0 < value < float("inf"):
                raise ValueError(f"{name} is {value}; pass a number above 0.")
        self.backbone = backbone
        dim = int(backbone.dim)  # type: ignore[arg-type]
        self.projector = make_projector(dim, out=projector_dim) if projector_dim else nn.Identity()
        self.level = RiskLevel(training_risk, scale)
        self.width, self.temperature = width, temperature
        self.use_completeness = use_completeness
        self.gather: Callable[[torch.Tensor], torch.Tensor] = lambda tensor: tensor

    def forward(self, batch: Batch) -> Step:
        """Return the loss of a batch, over the pairs of all processes, and what to watch.

        Args:
            batch: this process's share.

        Returns:
            Step with the term "loss_y_aware" and, in `weights`, how much of the positives lies on other records.
        """
        size = len(batch.first)
        features = self.backbone(torch.cat([batch.first, batch.second]))
        projected = self.projector(features)
        loss = y_aware_loss(
            self.gather(projected[:size]),
            self.gather(projected[size:]),
            self.level(self.gather(batch.risk)),
            self.gather(batch.completeness) if self.use_completeness else None,
            self.gather(batch.subject),
            width=self.width,
            temperature=self.temperature,
        )
        detached = features.detach()
        return Step(
            loss=loss.total,
            terms={"loss_y_aware": loss.total.detach()},
            # In training nobody looks at these: leave them where they are.
            first=detached[:size] if self.training else self.gather(detached[:size]),
            second=detached[size:] if self.training else self.gather(detached[size:]),
            weights=loss.positives.diagnostics(),
        )
