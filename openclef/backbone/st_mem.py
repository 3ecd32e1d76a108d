"""The encoder of ST-MEM: a vision transformer over patches of each lead, which takes any set of its leads."""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from openclef.backbone.shape import check_shape


class Normed(nn.Module):
    """A layer behind a LayerNorm.

    Args:
        width: Features of a token.
        layer: From (batch, tokens, width) to (batch, tokens, width).

    Example:
        >>> Normed(8, nn.Identity())(torch.zeros(1, 3, 8)).shape
        torch.Size([1, 3, 8])
    """

    def __init__(self, width: int, layer: nn.Module) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.fn = layer

    def forward(self, tokens: Tensor) -> Tensor:
        """Map (batch, tokens, width) to the same shape."""
        return self.fn(self.norm(tokens))


class Attention(nn.Module):
    """Multi-head self-attention with one projection for queries, keys and values.

    Args:
        width: Features of a token.
        heads: Attention heads.

    Example:
        >>> Attention(8, heads=2)(torch.zeros(1, 3, 8)).shape
        torch.Size([1, 3, 8])
    """

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.to_qkv = nn.Linear(width, 3 * width)
        self.to_out = nn.Sequential(nn.Linear(width, width))

    def forward(self, tokens: Tensor) -> Tensor:
        """Map (batch, tokens, width) to the same shape."""
        queries, keys, values = (
            part.unflatten(2, (self.heads, -1)).transpose(1, 2)
            for part in self.to_qkv(tokens).chunk(3, dim=2)
        )
        mixed = F.scaled_dot_product_attention(queries, keys, values)
        return self.to_out(mixed.transpose(1, 2).flatten(2))


class FeedForward(nn.Module):
    """Two linear layers with a GELU between them.

    Args:
        width: Features of a token.
        inner: Features between the two.

    Example:
        >>> FeedForward(8, 32)(torch.zeros(1, 3, 8)).shape
        torch.Size([1, 3, 8])
    """

    def __init__(self, width: int, inner: int) -> None:
        super().__init__()
        self.net = nn.Sequential(nn.Linear(width, inner), nn.GELU(), nn.Identity(), nn.Linear(inner, width))

    def forward(self, tokens: Tensor) -> Tensor:
        """Map (batch, tokens, width) to the same shape."""
        return self.net(tokens)


class Block(nn.Module):
    """A transformer block: attention, then feed-forward, each behind its norm and beside its input.

    Args:
        width: Features of a token.
        heads: Attention heads.
        inner: Features within the feed-forward part.

    Example:
        >>> Block(8, heads=2, inner=32)(torch.zeros(1, 3, 8)).shape
        torch.Size([1, 3, 8])
    """

    def __init__(self, width: int, heads: int, inner: int) -> None:
        super().__init__()
        self.attn = Normed(width, Attention(width, heads))
        self.ff = Normed(width, FeedForward(width, inner))

    def forward(self, tokens: Tensor) -> Tensor:
        """Map (batch, tokens, width) to the same shape."""
        tokens = tokens + self.attn(tokens)
        return tokens + self.ff(tokens)


class STMEM(nn.Module):
    """The encoder of ST-MEM, with the names and shapes of its published tensors.

    A lead that is zero throughout a row is absent: it gives no tokens, and the row's features are exactly those
    of its other leads alone, each with its own lead embedding. So one lead in its channel, zeros elsewhere, is
    that lead by itself, at a twelfth of the tokens. A row of zeros only has all its leads.

    Weights start as in its pretraining: sine and cosine positions (zero at the separators), separator and lead
    embeddings of spread 0.02, linear layers of Xavier's uniform. There is no dropout.

    Args:
        leads: Leads in the input, in the order I, II, III, aVR, aVL, aVF, V1 to V6 for the published weights.
        samples: Samples of the longest window.
        patch: Samples of a patch.
        width: Features of a token.
        depth: Blocks.
        heads: Attention heads.
        inner: Features within the feed-forward part of a block; 4 times the width unless given.

    Raises:
        ValueError: Settings that do not go together.

    Source:
        Na et al., Guiding Masked Representation Learning to Capture Spatio-Temporal Relationship of
        Electrocardiogram, ICLR 2024, and its released code.

    Example:
        >>> net = STMEM(leads=3, samples=300, width=32, depth=2, heads=4)
        >>> net.dim, net(torch.randn(2, 3, 300)).shape
        (32, torch.Size([2, 32]))
    """

    def __init__(
        self,
        leads: int = 1,
        samples: int = 2250,
        patch: int = 75,
        width: int = 768,
        depth: int = 12,
        heads: int = 12,
        inner: int | None = None,
    ) -> None:
        super().__init__()
        if leads < 1:
            raise ValueError(f"leads={leads} is too few; pass the number of leads of a signal, 1 or more.")
        if patch < 1 or samples < patch or samples % patch:
            raise ValueError(
                f"samples={samples} holds no whole number of patches of {patch}; pass a multiple of patch, "
                "for example samples=2250, patch=75."
            )
        if width % 2 or width % heads:
            raise ValueError(
                f"width={width} is not divisible by 2 and by heads={heads}; pass for example width=768, heads=12."
            )
        self.dim = width
        self.leads = leads
        self.samples = samples
        self.patch = patch
        self.pos_embedding = nn.Parameter(_positions(samples // patch, width))
        self.sep_embedding = nn.Parameter(torch.empty(width).normal_(std=0.02))
        self.to_patch_embedding = nn.Sequential(
            nn.Identity(), nn.LayerNorm(patch), nn.Linear(patch, width), nn.LayerNorm(width)
        )
        self.lead_embeddings = nn.ParameterList(torch.empty(width).normal_(std=0.02) for _ in range(leads))
        self.depth = depth
        for index in range(depth):
            self.add_module(f"block{index}", Block(width, heads, inner or 4 * width))
        self.norm = nn.LayerNorm(width)
        for module in self.modules():
            if isinstance(module, nn.Linear):
                nn.init.xavier_uniform_(module.weight)
                nn.init.zeros_(module.bias)

    def forward(self, signal: Tensor) -> Tensor:
        """Embed preprocessed signals.

        Args:
            signal: (batch, leads, time), time from one patch to `samples`; what is left of a last patch is not
                seen. Leads of zeros are absent.

        Returns:
            (batch, dim): the normalised mean of the tokens of all patches of the leads that are there.

        Raises:
            ValueError: Another number of axes or leads, or a time outside these.
        """
        check_shape(signal, self.leads, self.patch, self.samples)
        signal = signal[..., : signal.shape[2] // self.patch * self.patch]
        return by_leads(self._embed, signal)

    def _embed(self, signal: Tensor, leads: Tensor) -> Tensor:
        """Embed signals of which only the leads of these numbers are given."""
        patches = signal.unflatten(2, (-1, self.patch))
        count = patches.shape[2]
        tokens = self.to_patch_embedding(patches) + self.pos_embedding[:, None, 1 : count + 1]
        separators = (self.sep_embedding + self.pos_embedding).expand(*tokens.shape[:2], -1, -1).to(tokens)
        tokens = torch.cat([separators[:, :, :1], tokens, separators[:, :, -1:]], dim=2)
        tokens = (tokens + torch.stack(list(self.lead_embeddings))[leads, None]).flatten(1, 2)
        for index in range(self.depth):
            tokens = self.get_submodule(f"block{index}")(tokens)
        tokens = tokens.unflatten(1, (len(leads), -1))[:, :, 1:-1]
        return self.norm(tokens.mean((1, 2)))


def by_leads(embed: Callable[[Tensor, Tensor], Tensor], signal: Tensor) -> Tensor:
    """Embed each row of a batch with those of its leads that are not zero throughout.

    Rows of the same leads go together; a row of zeros only has all leads.

    Args:
        embed: From (batch, some leads, time) and the numbers of these leads, to (batch, dim).
        signal: (batch, leads, time).

    Returns:
        (batch, dim).

    Example:
        >>> rows = torch.tensor([[[1.0, 1.0], [0.0, 0.0]], [[1.0, 1.0], [2.0, 2.0]]])  # lead 0 only; both leads
        >>> by_leads(lambda signal, leads: signal.sum((1, 2), keepdim=False)[:, None], rows).flatten().tolist()
        [2.0, 6.0]
    """
    present = signal.ne(0).any(2)
    present = present | ~present.any(1, keepdim=True)
    if bool(present.all()):
        return embed(signal, torch.arange(signal.shape[1], device=signal.device))
    sets, of_row = torch.unique(present.to(torch.uint8), dim=0, return_inverse=True)
    if len(sets) == 1:
        leads = sets[0].nonzero()[:, 0]
        return embed(signal[:, leads], leads)
    rows = [(of_row == index).nonzero()[:, 0] for index in range(len(sets))]
    parts = []
    for chosen, members in zip(sets, rows, strict=True):
        leads = chosen.nonzero()[:, 0]
        parts.append(embed(signal[members[:, None], leads], leads))
    return torch.cat(parts)[torch.cat(rows).argsort()]


def _positions(patches: int, width: int) -> Tensor:
    """(1, patches + 2, width): sines, then cosines of the patch's number; zero for the separators at both ends."""
    frequency = 10000.0 ** -(torch.arange(width // 2) / (width / 2))
    angle = torch.arange(patches)[:, None] * frequency
    return F.pad(torch.cat([angle.sin(), angle.cos()], dim=1), (0, 0, 1, 1))[None]
