"""MoCo: contrast against a queue of keys from a momentum encoder (He et al. 2020, arXiv 1911.05722; v2: 2003.04297)."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import nn
from torch.nn import functional

from openclef.backbone.projector import projector as make_projector
from openclef.data import Batch
from openclef.loss import info_nce_loss
from openclef.method.momentum import MomentumCopy
from openclef.method.step import Step

__all__ = ["Moco"]

LARGEST_QUEUE = 4_194_304  # keys; of 128 dimensions 2 GiB


class Moco(nn.Module):
    """Queries of one view have to find the other view's key among the keys of earlier steps.

    Keys come from a slow copy of backbone and projector. A step's keys, of all processes, enter the queue once, after
    its loss, with their subjects, in place of the oldest ones. The queue starts empty: slots not yet filled, and keys
    of the query's own subject, are no negatives. So the first step of a run teaches nothing, unless `batch_negatives`.

    The slow copy moves at the start of each training step. That is the same as after the optimiser's step before it;
    only the move after a run's last step is left out. In evaluation mode nothing of the state changes.

    Args:
        backbone: (B, leads, time) -> (B, dim), with `.dim`.
        projector_dim: output size of the projector (linear, ReLU, linear: MoCo v2's) that the loss is computed on, 128
            in the paper; 0 computes it on the pooled features. The queue's width is this.
        temperature: of the cosine similarities; 0.07 in MoCo v1, 0.2 in v2.
        momentum: share of the slow copy that stays at a step, 0 to 1.
        queue_size: keys in the queue, at least as many as one step brings.
        symmetric: mean of the loss over both view orders, at the cost of a pass more through both encoders; a step then
            brings the keys of both views. False = queries from the first view, keys from the second, as in MoCo v2.
        batch_negatives: keys of the batch's other records are negatives too, beside the queue's.

    Raises:
        ValueError: a setting is out of range; in training, a step brings more keys than the queue holds.

    Source:
        He et al., Momentum contrast for unsupervised visual representation learning, 2020, equations 1 and 2 and
        algorithm 1; Chen et al., Improved baselines with momentum contrastive learning (MoCo v2), 2020. Both orders:
        Chen, Xie, He, An empirical study of training self-supervised vision transformers (MoCo v3), 2021.

    Example:
        >>> from openclef.backbone import BACKBONES
        >>> method = Moco(BACKBONES["resnext1d_small"](leads=1), projector_dim=16, queue_size=8)
        >>> views = torch.randn(2, 4, 1, 500)
        >>> batch = Batch(views[0], views[1], torch.rand(4), torch.ones(4), torch.arange(4))
        >>> [round(float(method(batch).weights["queue_filled"]), 1) for _ in range(3)]
        [0.0, 0.5, 1.0]
    """

    queue: torch.Tensor
    queue_subject: torch.Tensor
    enqueued: torch.Tensor

    def __init__(
        self,
        backbone: nn.Module,
        *,
        projector_dim: int = 0,
        temperature: float = 0.07,
        momentum: float = 0.999,
        queue_size: int = 65_536,
        symmetric: bool = False,
        batch_negatives: bool = False,
    ) -> None:
        super().__init__()
        if projector_dim < 0:
            raise ValueError(
                f"projector_dim is {projector_dim}; pass 0 for no projector, or a size such as 128."
            )
        if not temperature > 0:
            raise ValueError(
                f"temperature is {temperature}; it divides the similarities, pass a number above 0."
            )
        if not 0 <= momentum <= 1:
            raise ValueError(f"momentum is {momentum}; pass a share of 0 to 1, for example 0.999.")
        if not 1 <= queue_size <= LARGEST_QUEUE:
            raise ValueError(
                f"queue_size is {queue_size}; pass at least the keys of one step, for example 65536, and at most "
                f"{LARGEST_QUEUE:,}, since all of it is held in memory."
            )
        self.backbone = backbone
        dim = int(backbone.dim)  # type: ignore[arg-type]
        self.projector = make_projector(dim, out=projector_dim) if projector_dim else nn.Identity()
        self.slow_backbone = MomentumCopy(self.backbone)
        self.slow_projector = MomentumCopy(self.projector)
        self.temperature, self.momentum = temperature, momentum
        self.symmetric, self.batch_negatives = symmetric, batch_negatives
        self.contrasts_batch = batch_negatives
        self.register_buffer("queue", torch.zeros(queue_size, projector_dim or dim))
        self.register_buffer("queue_subject", torch.zeros(queue_size, dtype=torch.int64))
        self.register_buffer("enqueued", torch.zeros((), dtype=torch.int64))  # keys, since the run began
        self.gather: Callable[[torch.Tensor], torch.Tensor] = lambda tensor: tensor

    def forward(self, batch: Batch) -> Step:
        """Return the loss of a batch, over the records of all processes, and in training move copy and queue on.

        Args:
            batch: this process's share.

        Returns:
            Step with the term "loss_contrastive", and the share of the queue that is filled, "queue_filled". In
            training, unless `symmetric`, `second` is from the slow copy, to spare a pass.
        """
        if self.training:
            self.slow_backbone.follow(self.backbone, self.momentum)
            self.slow_projector.follow(self.projector, self.momentum)
        size = len(batch.first)
        both = torch.cat([batch.first, batch.second])
        whole = self.symmetric or not self.training
        features = self.backbone(both if whole else batch.first)
        slow_features = self.slow_backbone(both if self.symmetric else batch.second)
        queries, keys = self.projector(features), self.slow_projector(slow_features)
        subject = self.gather(batch.subject)
        filled = torch.arange(len(self.queue), device=self.queue.device) < self.enqueued
        new_keys = self.gather(keys[-size:])
        loss = self._contrast(self.gather(queries[:size]), new_keys, subject, filled)
        if self.symmetric:
            of_first = self.gather(keys[:size])
            loss = (loss + self._contrast(self.gather(queries[size:]), of_first, subject, filled)) / 2
            new_keys, subject = torch.cat([new_keys, of_first]), subject.repeat(2)
        if self.training:
            self._enqueue(new_keys, subject)
        first = features[:size].detach()
        second = features[size:].detach() if whole else slow_features
        return Step(
            loss=loss,
            terms={"loss_contrastive": loss.detach()},
            first=first if self.training else self.gather(first),
            second=second if self.training else self.gather(second),
            weights={"queue_filled": filled.float().mean()},
        )

    def _contrast(
        self, queries: torch.Tensor, keys: torch.Tensor, subject: torch.Tensor, filled: torch.Tensor
    ) -> torch.Tensor:
        return info_nce_loss(
            queries,
            keys,
            self.queue,  # the loss works on a copy of unit length, so that the queue may be written to before backward
            temperature=self.temperature,
            # A validation pool numbers subjects anew: a few of its queries' negatives are then left out by chance.
            subject=subject,
            queue_subject=self.queue_subject,
            queue_filled=filled,
            batch_negatives=self.batch_negatives,
        )

    def check_batch_size(self, batch_size: int) -> None:
        """Refuse a batch whose keys the queue cannot hold.

        Args:
            batch_size: records a step, over all processes.

        Raises:
            ValueError: the queue is smaller.
        """
        keys = batch_size * (2 if self.symmetric else 1)
        if keys > len(self.queue):
            raise ValueError(
                f"queue_size is {len(self.queue)} and a step brings {keys} keys (over all processes"
                f"{', of both views' if self.symmetric else ''}); pass a queue_size of at least {keys}, or a "
                "smaller batch_size."
            )

    @torch.no_grad()
    def _enqueue(self, keys: torch.Tensor, subject: torch.Tensor) -> None:
        """Put keys in the place of the oldest ones."""
        self.check_batch_size(len(keys) // (2 if self.symmetric else 1))
        slots = (self.enqueued + torch.arange(len(keys), device=keys.device)) % len(self.queue)
        self.queue.index_copy_(0, slots, functional.normalize(keys.to(self.queue.dtype), dim=1))
        self.queue_subject.index_copy_(0, slots, subject)
        self.enqueued += len(keys)
