"""MOMENT, a family of general time series models: patches of 8 samples and the encoder of a T5.

Names of modules are those of the published tensors.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from openclef.backbone.shape import check_shape

PATCH = 8  # samples
HEAD_DIM = 64
POSITIONS = 5000  # patches in the table of positions
EPS = 1e-6
NEAR = 8  # distances below it have a bucket each; from it on, buckets widen by a factor of sqrt(2)
BUCKETS = 16  # for each direction; the last begins at a distance of 91 patches


class Size(NamedTuple):
    """The numbers that make one size of MOMENT.

    Args:
        dim: Features of a patch.
        hidden: Width inside a feed-forward layer.
        heads: Attention heads, of 64 features each.
        layers: Pairs of an attention and a feed-forward layer.

    Source:
        `t5_config` in the published configurations: those of Flan-T5 small, base and large.

    Example:
        >>> SIZES["moment_small"].dim
        512
    """

    dim: int
    hidden: int
    heads: int
    layers: int


SIZES = {
    "moment_small": Size(512, 1024, 6, 8),
    "moment_base": Size(768, 2048, 12, 12),
    "moment_large": Size(1024, 2816, 16, 24),
}


def position_buckets(patches: int, device: torch.device | None = None) -> Tensor:
    """Return the bucket of the distance from each patch to each other one.

    There are 16 buckets for patches before (the patch itself among them) and 16 for those behind: one each for
    distances below 8, then one for each factor of sqrt(2), the last for all that are further.

    Args:
        patches: How many there are.
        device: Where the result is made.

    Returns:
        (patches, patches) of 0 to 31: row = from, column = to.

    Source:
        Raffel et al., Exploring the limits of transfer learning (T5), 2020, section 2.1, with 32 buckets up to a
        distance of 128.

    Example:
        >>> position_buckets(3).tolist()
        [[0, 17, 18], [1, 0, 17], [2, 1, 0]]
    """
    starts = [*range(1, NEAR), *(math.ceil(NEAR * 2 ** (k / 2)) for k in range(BUCKETS - NEAR))]
    position = torch.arange(patches, device=device)
    offset = position[None, :] - position[:, None]
    bucket = torch.bucketize(offset.abs(), torch.tensor(starts, device=device), right=True)
    return bucket + BUCKETS * (offset > 0)


class Positions(nn.Module):
    """The table of sines and cosines that is added to patches; a buffer, as published.

    Args:
        dim: Features of a patch.

    Source:
        Vaswani et al., Attention is all you need, 2017, section 3.5.

    Example:
        >>> Positions(4).pe[0, 0]
        tensor([0., 1., 0., 1.])
    """

    pe: Tensor

    def __init__(self, dim: int) -> None:
        super().__init__()
        angle = torch.arange(POSITIONS)[:, None] * torch.exp(
            torch.arange(0, dim, 2) * (-math.log(10000.0) / dim)
        )
        self.register_buffer("pe", torch.stack([angle.sin(), angle.cos()], dim=-1).reshape(1, POSITIONS, dim))


class PatchEmbedding(nn.Module):
    """Patches to features: a linear map without bias, plus positions.

    Args:
        dim: Features of a patch.

    Example:
        >>> PatchEmbedding(512)(torch.zeros(2, 64, 8)).shape
        torch.Size([2, 64, 512])
    """

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.value_embedding = nn.Linear(PATCH, dim, bias=False)
        self.position_embedding = Positions(dim)

    def forward(self, patches: Tensor) -> Tensor:
        """Map (batch, patches, samples) to (batch, patches, dim)."""
        return self.value_embedding(patches) + self.position_embedding.pe[:, : patches.shape[1]]


class Attention(nn.Module):
    """Attention whose scores are not scaled, but shifted by the distance between patches.

    Args:
        dim: Features of a patch.
        heads: Attention heads.
        dropout: Share of attention weights that training drops.
        distances: True for the layer that holds the shifts, which all layers use.

    Example:
        >>> Attention(32, 2, 0.0)(torch.zeros(1, 5, 32), torch.zeros(1, 2, 5, 5)).shape
        torch.Size([1, 5, 32])
    """

    def __init__(self, dim: int, heads: int, dropout: float, distances: bool = False) -> None:
        super().__init__()
        self.heads = heads
        self.dropout = dropout
        self.q = nn.Linear(dim, heads * HEAD_DIM, bias=False)
        self.k = nn.Linear(dim, heads * HEAD_DIM, bias=False)
        self.v = nn.Linear(dim, heads * HEAD_DIM, bias=False)
        self.o = nn.Linear(heads * HEAD_DIM, dim, bias=False)
        if distances:
            self.relative_attention_bias = nn.Embedding(2 * BUCKETS, heads)

    def forward(self, hidden: Tensor, shift: Tensor) -> Tensor:
        """Attend from each of (batch, patches, dim) to all; shift is (1, heads, patches, patches)."""
        query, key, value = (
            of(hidden).unflatten(-1, (self.heads, HEAD_DIM)).transpose(1, 2)
            for of in (self.q, self.k, self.v)
        )
        dropout = self.dropout if self.training else 0.0
        attended = F.scaled_dot_product_attention(
            query, key, value, shift.to(query.dtype), dropout_p=dropout, scale=1.0
        )
        return self.o(attended.transpose(1, 2).flatten(2))


class GatedFeedForward(nn.Module):
    """Feed-forward network gated by GELU, in its approximation by tanh.

    Args:
        dim: Features of a patch.
        hidden: Width inside.
        dropout: Share of inner features that training drops.

    Example:
        >>> GatedFeedForward(32, 64, 0.0)(torch.zeros(1, 5, 32)).shape
        torch.Size([1, 5, 32])
    """

    def __init__(self, dim: int, hidden: int, dropout: float) -> None:
        super().__init__()
        self.wi_0 = nn.Linear(dim, hidden, bias=False)
        self.wi_1 = nn.Linear(dim, hidden, bias=False)
        self.wo = nn.Linear(hidden, dim, bias=False)
        self.dropout = nn.Dropout(dropout)

    def forward(self, hidden: Tensor) -> Tensor:
        """Map (batch, patches, dim) to the same shape."""
        return self.wo(self.dropout(F.gelu(self.wi_0(hidden), approximate="tanh") * self.wi_1(hidden)))


class AttentionLayer(nn.Module):
    """Attention before a norm of the root mean square, with a shortcut around both.

    Args:
        size: The network's numbers.
        dropout: Share of features that training drops.
        distances: See `Attention`.

    Example:
        >>> AttentionLayer(Size(32, 64, 2, 1), 0.0)(torch.zeros(1, 5, 32), torch.zeros(1, 2, 5, 5)).shape
        torch.Size([1, 5, 32])
    """

    def __init__(self, size: Size, dropout: float, distances: bool = False) -> None:
        super().__init__()
        self.SelfAttention = Attention(size.dim, size.heads, dropout, distances)
        self.layer_norm = nn.RMSNorm(size.dim, eps=EPS)
        self.dropout = nn.Dropout(dropout)

    def forward(self, hidden: Tensor, shift: Tensor) -> Tensor:
        """Map (batch, patches, dim) to the same shape."""
        return hidden + self.dropout(self.SelfAttention(self.layer_norm(hidden), shift))


class FeedForwardLayer(nn.Module):
    """Feed-forward network behind a norm of the root mean square, with a shortcut around both.

    Args:
        size: The network's numbers.
        dropout: Share of features that training drops.

    Example:
        >>> FeedForwardLayer(Size(32, 64, 2, 1), 0.0)(torch.zeros(1, 5, 32)).shape
        torch.Size([1, 5, 32])
    """

    def __init__(self, size: Size, dropout: float) -> None:
        super().__init__()
        self.DenseReluDense = GatedFeedForward(size.dim, size.hidden, dropout)
        self.layer_norm = nn.RMSNorm(size.dim, eps=EPS)
        self.dropout = nn.Dropout(dropout)

    def forward(self, hidden: Tensor) -> Tensor:
        """Map (batch, patches, dim) to the same shape."""
        return hidden + self.dropout(self.DenseReluDense(self.layer_norm(hidden)))


class Block(nn.Module):
    """An attention layer, then a feed-forward layer.

    Args:
        size: The network's numbers.
        dropout: Share of features that training drops.
        distances: See `Attention`.

    Example:
        >>> len(Block(Size(32, 64, 2, 1), 0.0).layer)
        2
    """

    def __init__(self, size: Size, dropout: float, distances: bool = False) -> None:
        super().__init__()
        self.layer = nn.ModuleList(
            [AttentionLayer(size, dropout, distances), FeedForwardLayer(size, dropout)]
        )

    def forward(self, hidden: Tensor, shift: Tensor) -> Tensor:
        """Map (batch, patches, dim) to the same shape."""
        return self.layer[1](self.layer[0](hidden, shift))


class T5Encoder(nn.Module):
    """Blocks that share one table of shifts by distance, and a last norm.

    Args:
        size: The network's numbers.
        dropout: Share of features that training drops.

    Source:
        Raffel et al., Exploring the limits of transfer learning (T5), 2020; version 1.1, with gated GELU.

    Example:
        >>> T5Encoder(Size(32, 64, 2, 2))(torch.zeros(1, 5, 32)).shape
        torch.Size([1, 5, 32])
    """

    def __init__(self, size: Size, dropout: float = 0.0) -> None:
        super().__init__()
        self.block = nn.ModuleList(Block(size, dropout, index == 0) for index in range(size.layers))
        self.final_layer_norm = nn.RMSNorm(size.dim, eps=EPS)
        self.dropout = nn.Dropout(dropout)
        for name, parameter in self.named_parameters():
            if parameter.ndim == 2:
                fan_in = parameter.shape[1]
                if name.endswith("relative_attention_bias.weight"):
                    fan_in = size.dim
                elif name.endswith("SelfAttention.q.weight"):
                    fan_in = size.dim * HEAD_DIM  # in place of scaling the scores
                nn.init.normal_(parameter, std=fan_in**-0.5)

    def forward(self, hidden: Tensor) -> Tensor:
        """Map (batch, patches, dim) to the same shape."""
        table = self.get_submodule("block.0.layer.0.SelfAttention.relative_attention_bias")
        shift = table(position_buckets(hidden.shape[1], hidden.device)).permute(2, 0, 1).unsqueeze(0)
        hidden = self.dropout(hidden)
        for block in self.block:
            hidden = block(hidden, shift)
        return self.dropout(self.final_layer_norm(hidden))


class Moment(nn.Module):
    """MOMENT: z-scored leads, cut into patches of 8 samples, through the encoder of a T5; the mean over patches.

    Leads pass one by one and their means are averaged. Samples beyond the last whole patch are left out. Weights
    start as those of a T5 (normal, scaled by the fan-in), those of the patches orthogonal.

    Args:
        size: The network's numbers; `SIZES` holds the published ones.
        leads: Leads in the input.
        dropout: Share of features and attention weights that training drops.

    Raises:
        ValueError: Leads below 1, or dropout outside 0 to 1.

    Source:
        Goswami et al., MOMENT: a family of open time-series foundation models, ICML 2024, arXiv 2402.03885, and its
        published code (task "embedding").

    Example:
        >>> net = Moment(Size(64, 128, 2, 2))
        >>> net(torch.randn(2, 1, 512)).shape
        torch.Size([2, 64])
    """

    def __init__(self, size: Size, leads: int = 1, dropout: float = 0.1) -> None:
        super().__init__()
        if leads < 1:
            raise ValueError(f"leads={leads} is too few; pass the number of leads of a signal, 1 or more.")
        if not 0 <= dropout < 1:
            raise ValueError(f"dropout={dropout} is no share to drop; pass 0 or more, below 1.")
        self.dim = size.dim
        self.leads = leads
        self.patch_embedding = PatchEmbedding(size.dim)
        self.dropout = nn.Dropout(dropout)
        self.encoder = T5Encoder(size, dropout)
        nn.init.orthogonal_(self.patch_embedding.value_embedding.weight, gain=1.41)

    def forward(self, signal: Tensor) -> Tensor:
        """Embed preprocessed signals.

        Args:
            signal: (batch, leads, time), 8 to 40,000 samples.

        Returns:
            (batch, dim).

        Raises:
            ValueError: Another number of axes or leads, fewer than 8 samples or more than 40,000.
        """
        check_shape(signal, self.leads, PATCH, PATCH * POSITIONS)
        signal = signal.float()
        deviation = signal.std(-1, correction=0, keepdim=True) + 1e-5
        signal = (signal - signal.mean(-1, keepdim=True)) / deviation
        patches = signal.unfold(-1, PATCH, PATCH).flatten(0, 1)  # (batch * leads, patches, samples)
        hidden = self.encoder(self.dropout(self.patch_embedding(patches)))
        return hidden.mean(1).unflatten(0, (-1, self.leads)).mean(1)
