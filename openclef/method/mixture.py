"""Mixture: several methods on the features of one backbone, their losses added with weights."""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import nn

from openclef.guidance import Guidance
from openclef.method.step import Step

if TYPE_CHECKING:
    from openclef.data import Batch

__all__ = ["PARTS", "Mixture"]

PARTS = ("clef", "simclr", "y_aware", "vicreg", "risk_regression")
"""Methods that can be mixed: their loss is of the backbone's features of both whole views, and of nothing else."""

_DEFAULT = {"y_aware": 1.0, "risk_regression": 1.0}


class Mixture(nn.Module):
    """Several methods on the features of one backbone; each has its own projector, and their losses are added.

    The backbone is run once a step, whatever the number of parts. `y_aware` with `risk_regression` is contrastive
    learning with a small supervised head of risk.

    Args:
        backbone: (B, leads, time) -> (B, dim), with `.dim`.
        methods: factor of each's loss, above 0, by the method's name; at least two of `PARTS`. None = both "y_aware"
            and "risk_regression" with 1. The losses are not of one size: VICReg's is about 25 times NT-Xent's.
        settings_of: settings of one method alone, by its name: {"y_aware": {"width": 0.25}}. They go before those that
            all share.
        projector_dim: of the parts' projectors; None = each method's own.
        temperature: for the parts that have one, as the others below.
        guidance: how risk becomes pair weights.
        recipe: "paper" or "official".
        weighted: weight negatives by risk difference (L_w).
        aligned: align similarity with risk (L_d).
        alignment_weight: factor of L_d.
        use_completeness: discount pairs by missing metadata.
        training_risk: (n,) known risks of the training set.

    Raises:
        ValueError: fewer than two parts, one that cannot be mixed, a factor that is not positive, both "clef" and
            "simclr" (their terms have one name), or settings that a part has not.

    Source:
        The parts' papers; the sum is this project's.

    Example:
        >>> from openclef.backbone import BACKBONES
        >>> from openclef.data import Batch
        >>> methods = {"simclr": 1.0, "risk_regression": 0.5}
        >>> method = Mixture(BACKBONES["resnext1d_small"](leads=1), methods=methods, training_risk=[0.02, 0.1, 0.3])
        >>> views = torch.randn(2, 4, 1, 500)
        >>> step = method(Batch(views[0], views[1], torch.rand(4), torch.ones(4), torch.arange(4)))
        >>> step.first.shape, sorted(step.terms)
        (torch.Size([4, 256]), ['loss_alignment', 'loss_contrastive', 'loss_regression'])
    """

    def __init__(
        self,
        backbone: nn.Module,
        *,
        methods: Mapping[str, float] | None = None,
        settings_of: Mapping[str, dict[str, Any]] | None = None,
        projector_dim: int | None = None,
        temperature: float | None = None,
        guidance: Guidance | None = None,
        recipe: str | None = None,
        weighted: bool | None = None,
        aligned: bool | None = None,
        alignment_weight: float | None = None,
        use_completeness: bool | None = None,
        training_risk: np.ndarray | Sequence[float] | None = None,
    ) -> None:
        super().__init__()
        parts, own = dict(_DEFAULT if methods is None else methods), dict(settings_of or {})
        _check(parts, own)
        from openclef.method import METHODS  # here, because the table of methods imports this file

        common = {
            "projector_dim": projector_dim,
            "temperature": temperature,
            "guidance": guidance,
            "recipe": recipe,
            "weighted": weighted,
            "aligned": aligned,
            "alignment_weight": alignment_weight,
            "use_completeness": use_completeness,
            "training_risk": training_risk,
        }
        self.backbone = backbone
        self.factors = parts
        self.shared = _Features(int(backbone.dim))  # type: ignore[arg-type]
        built = {}
        for name in parts:
            accepted = inspect.signature(METHODS[name]).parameters
            settings = {key: value for key, value in common.items() if key in accepted and value is not None}
            given = own.get(name, {})
            unknown = [key for key in given if key not in accepted or key in ("backbone", "training_risk")]
            if unknown:
                raise ValueError(
                    f"settings_of of {name} has {', '.join(unknown)}; it has "
                    f"{', '.join(key for key in accepted if key not in ('backbone', 'training_risk'))}."
                )
            built[name] = METHODS[name](self.shared, **(settings | given))
        self.parts = nn.ModuleDict(built)
        self.gather: Callable[[torch.Tensor], torch.Tensor] = lambda tensor: tensor

    @staticmethod
    def is_guided(settings: Mapping[str, Any]) -> bool:
        """Return whether any of the parts uses a risk.

        Args:
            settings: `method_settings` of `openclef.pretrain`.

        Example:
            >>> Mixture.is_guided({"methods": {"simclr": 1.0, "vicreg": 0.04}})
            False
        """
        return any(name not in ("simclr", "vicreg") for name in settings.get("methods") or _DEFAULT)

    @property
    def contrasts_batch(self) -> bool:
        """Whether other records of the batch are negatives.

        Example:
            >>> from openclef.backbone import BACKBONES
            >>> Mixture(BACKBONES["resnext1d_small"](leads=1)).contrasts_batch
            True
        """
        return any(name in ("clef", "simclr", "y_aware") for name in self.factors)

    def forward(self, batch: Batch) -> Step:
        """Return the weighted sum of the parts' losses of a batch, over the records of all processes.

        Args:
            batch: this process's share.

        Returns:
            Step with the terms of all parts, times their factors, and their diagnostics.
        """
        self.shared.features = self.backbone(torch.cat([batch.first, batch.second]))
        total = torch.zeros(())
        terms: dict[str, torch.Tensor] = {}
        weights: dict[str, torch.Tensor] = {}
        try:
            for name, part in self.parts.items():
                part.gather = self.gather  # type: ignore[assignment]
                step: Step = part(batch)
                factor = self.factors[name]
                total = total.to(step.loss.device) + factor * step.loss
                terms |= {key: factor * value for key, value in step.terms.items()}
                weights |= step.weights
        finally:
            self.shared.features = None  # the graph is the loss's alone
        return Step(loss=total, terms=terms, first=step.first, second=step.second, weights=weights)


class _Features(nn.Module):
    """Stands where a part expects a backbone, and hands it the features that were computed once for all."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.dim = dim
        self.features: torch.Tensor | None = None

    def forward(self, views: torch.Tensor) -> torch.Tensor:
        if self.features is None or len(self.features) != len(views):
            raise RuntimeError(
                "a part of the mixture asked for features of other views than the batch's two."
            )
        return self.features


def _check(parts: Mapping[str, float], own: Mapping[str, Any]) -> None:
    unknown = [name for name in parts if name not in PARTS]
    if unknown or len(parts) < 2 or {"clef", "simclr"} <= set(parts):
        raise ValueError(
            f"methods is {dict(parts)}; pass factors of at least two of {', '.join(PARTS)}, "
            "but not of both clef and simclr."
        )
    for name, factor in parts.items():
        if not 0 < factor < math.inf:
            raise ValueError(f"the factor of {name} is {factor}; pass a number above 0.")
    absent = [name for name in own if name not in parts]
    if absent:
        raise ValueError(
            f"settings_of names {', '.join(absent)}, which is not mixed; there are {', '.join(parts)}."
        )
