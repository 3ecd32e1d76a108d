"""A copy of a network that follows it slowly: the momentum encoder of MoCo, the target network of BYOL."""

from __future__ import annotations

import copy

import torch
from torch import nn

__all__ = ["MomentumCopy"]


class MomentumCopy(nn.Module):
    """An exponential moving average of a network: p <- momentum p + (1 - momentum) q, and no gradient.

    By default the copy stays in evaluation mode whatever the module around it does, and the running statistics of its
    BatchNorm follow like its weights, so that its output for a record depends neither on the records beside it nor on
    how a batch is divided over processes. With `batch_statistics` its BatchNorm normalises by the batch in training:
    for heads, whose input is gathered over all processes.

    Args:
        online: the network to copy; it is not changed.
        batch_statistics: BatchNorm by the batch in training, its running statistics then being the copy's own.

    Source:
        He et al. 2020, arXiv 1911.05722, equation 2; running statistics that follow: Cai et al. 2021, Exponential
        moving average normalization for self-supervised and semi-supervised learning.

    Example:
        >>> online = nn.Linear(1, 1, bias=False)
        >>> _ = nn.init.zeros_(online.weight)
        >>> slow = MomentumCopy(online)
        >>> _ = nn.init.ones_(online.weight)
        >>> slow.follow(online, 0.75)
        >>> slow(torch.ones(1, 1)).item()
        0.25
    """

    def __init__(self, online: nn.Module, *, batch_statistics: bool = False) -> None:
        super().__init__()
        self.network = copy.deepcopy(online).requires_grad_(False)
        self.batch_statistics = batch_statistics
        self.train(self.training)

    def train(self, mode: bool = True) -> MomentumCopy:
        """Go into evaluation mode, or with `batch_statistics` into the mode asked for."""
        return super().train(mode and self.batch_statistics)

    @torch.no_grad()
    def follow(self, online: nn.Module, momentum: float | torch.Tensor) -> None:
        """Move one step towards the network.

        Args:
            online: the network that was copied.
            momentum: share of the copy that stays, 0 to 1; a number or a 0-dimensional tensor.
        """
        share = 1 - momentum
        for weight, online_weight in zip(self.network.parameters(), online.parameters(), strict=True):
            weight.lerp_(online_weight, share)
        if self.batch_statistics:
            return
        for statistic, online_statistic in zip(self.network.buffers(), online.buffers(), strict=True):
            if statistic.is_floating_point():
                statistic.lerp_(online_statistic, share)
            else:
                statistic.copy_(online_statistic)  # a count of batches

    @torch.no_grad()
    def forward(self, given: torch.Tensor) -> torch.Tensor:
        """Return the copy's output, without gradient."""
        return self.network(given)
