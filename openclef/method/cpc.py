"""Contrastive predictive coding: tell what comes next in a recording (van den Oord et al. 2018, arXiv 1807.03748)."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import nn

from openclef.backbone.projector import projector as make_projector
from openclef.backbone.resnext1d import MIN_SAMPLES
from openclef.data import Batch
from openclef.loss.cpc import cpc_loss
from openclef.method.step import Step

__all__ = ["Cpc"]


class Cpc(nn.Module):
    """Views cut into segments, encoded one by one; a recurrent network over them predicts the next ones.

    The backbone sees each segment on its own. Its squeeze-excitation takes means over time, so the frames of one pass
    over the whole view would know the future, and the task would be solved without learning anything. A segment
    of a filtered and z-scored view still knows a little of its neighbours: the band-pass looks both ways.

    Each view is predicted from itself only: views are cropped and shifted independently, so the other view's segments
    are not the same moments. In `Step`, a view's features are the mean over its segments' features, which costs no
    further pass; an encoder in use sees whole windows, so its features differ somewhat from them.

    Args:
        backbone: (B, leads, time) -> (B, dim), with `.dim`.
        projector_dim: output size of a projector between segment features and all that follows; 0 predicts the features
            themselves, as the papers do.
        temperature: of the cosine similarities between predicted and real segments.
        segments: number of equal segments of a view; samples that are left at its end are not used. Ten make
            seconds of a 10 s window: about a beat each.
        steps: segments predicted ahead, each by a linear map of its own: 1, 2, ... steps.
        context_dim: width of the recurrent network (GRU).
        same_view_negatives: other segments of the same view are negatives too, besides those of other subjects.

    Raises:
        ValueError: a setting out of range; when called, segments shorter than 16 samples.

    Source:
        van den Oord et al. 2018, arXiv 1807.03748; on ECG Mehari and Strodthoff 2021, arXiv 2103.12676.

    Example:
        >>> from openclef.backbone import BACKBONES
        >>> method = Cpc(BACKBONES["resnext1d_small"](leads=1), temperature=0.2)
        >>> views = torch.randn(2, 4, 1, 500)
        >>> step = method(Batch(views[0], views[1], torch.rand(4), torch.ones(4), torch.arange(4)))
        >>> step.first.shape, sorted(step.terms)
        (torch.Size([4, 256]), ['loss_step_1', 'loss_step_2', 'loss_step_3'])
    """

    def __init__(
        self,
        backbone: nn.Module,
        *,
        projector_dim: int = 0,
        temperature: float = 0.07,
        segments: int = 10,
        steps: int = 3,
        context_dim: int = 256,
        same_view_negatives: bool = True,
    ) -> None:
        super().__init__()
        if projector_dim < 0:
            raise ValueError(
                f"projector_dim is {projector_dim}; pass 0 for no projector, or a size such as 128."
            )
        if steps < 1 or segments <= steps:
            raise ValueError(
                f"steps is {steps} and segments {segments}; pass at least 1 step and more segments than steps, "
                "for example 3 and 10."
            )
        if context_dim < 1:
            raise ValueError(f"context_dim is {context_dim}; pass the width of the GRU, for example 256.")
        if not 0 < temperature < float("inf"):
            raise ValueError(f"temperature is {temperature}; pass a number above 0.")
        self.backbone = backbone
        dim = int(backbone.dim)  # type: ignore[arg-type]
        self.projector = make_projector(dim, out=projector_dim) if projector_dim else nn.Identity()
        predicted = projector_dim or dim
        self.context = nn.GRU(predicted, context_dim, batch_first=True)
        self.predictors = nn.ModuleList(nn.Linear(context_dim, predicted, bias=False) for _ in range(steps))
        self.segments, self.temperature = segments, temperature
        self.same_view_negatives = same_view_negatives
        self.gather: Callable[[torch.Tensor], torch.Tensor] = lambda tensor: tensor

    def forward(self, batch: Batch) -> Step:
        """Return the loss of a batch, over the segments of all processes, and what to watch.

        Args:
            batch: this process's share.

        Returns:
            Step with the terms "loss_step_1", ... (each its share of the loss) and, in `weights`, the share of
            predictions that find their segment.

        Raises:
            ValueError: a segment has fewer than 16 samples.
        """
        size = len(batch.first)
        features = self.backbone(self._cut(torch.cat([batch.first, batch.second])))
        features = features.unflatten(0, (2 * size, self.segments))
        with torch.autocast(features.device.type, enabled=False):
            vectors = self.projector(features.float())
            contexts, _ = self.context(vectors)
            predicted = torch.stack([each(contexts) for each in self.predictors], dim=2)
        loss = cpc_loss(
            self._gather_views(predicted),
            self._gather_views(vectors),
            self.gather(batch.subject),
            temperature=self.temperature,
            same_view_negatives=self.same_view_negatives,
        )
        whole = features.detach().mean(1)
        steps = loss.steps.detach() / len(self.predictors)
        return Step(
            loss=loss.total,
            terms={f"loss_step_{ahead}": value for ahead, value in enumerate(steps, start=1)},
            # In training nobody looks at these: leave them where they are.
            first=whole[:size] if self.training else self.gather(whole[:size]),
            second=whole[size:] if self.training else self.gather(whole[size:]),
            weights={"prediction_accuracy": loss.accuracy},
        )

    def _gather_views(self, both: torch.Tensor) -> torch.Tensor:
        """Join (2b, ...) first and second views over all processes to (2B, ...), first views first."""
        return torch.cat([self.gather(each) for each in both.chunk(2)])

    def _cut(self, views: torch.Tensor) -> torch.Tensor:
        """Cut (views, leads, time) into (views * segments, leads, samples), a view's segments in a row."""
        time = views.shape[-1]
        samples = time // self.segments
        if samples < MIN_SAMPLES:
            raise ValueError(
                f"views have {time} samples, {samples} for each of {self.segments} segments; a segment needs "
                f"{MIN_SAMPLES} or more: pass fewer segments, or longer windows."
            )
        kept = views[..., : samples * self.segments].unflatten(-1, (self.segments, samples))
        return kept.transpose(1, 2).flatten(0, 1)
