"""Moirai, a family of general forecasting models, as an encoder: patches through a masked transformer's layers.

Names of modules are those of the published tensors.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from openclef.backbone.shape import check_shape

PATCHES = (8, 16, 32, 64, 128)
"""Lengths of a patch, in samples, for which Moirai has weights."""
HEAD_DIM = 64
ROTATED = 32  # features of a head that are rotated by time: its first half
EPS = 1e-5


class Size(NamedTuple):
    """The numbers that make one size of Moirai.

    Args:
        dim: Features of a token; a head has 64 of them.
        layers: Layers of the transformer.

    Source:
        The published configurations of moirai-1.1-R.

    Example:
        >>> SIZES["moirai_small"]
        Size(dim=384, layers=6)
    """

    dim: int
    layers: int


SIZES = {
    "moirai_small": Size(384, 6),
    "moirai_base": Size(768, 12),
    "moirai_large": Size(1024, 24),
}


class PatchProjection(nn.Module):
    """A linear map from patches to tokens, one for each length of a patch.

    Each holds weights for the longest patch, of which it uses the first; the others are published as zeros.

    Args:
        dim: Features of a token.

    Example:
        >>> PatchProjection(384)(torch.zeros(2, 20, 64)).shape
        torch.Size([2, 20, 384])
    """

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(len(PATCHES), dim, max(PATCHES)))
        self.bias = nn.Parameter(torch.zeros(len(PATCHES), dim))
        with torch.no_grad():
            for number, samples in enumerate(PATCHES):
                bound = samples**-0.5
                self.weight[number, :, :samples].uniform_(-bound, bound)
                self.bias[number].uniform_(-bound, bound)

    def forward(self, patches: Tensor) -> Tensor:
        """Map (batch, patches, samples) to (batch, patches, dim)."""
        samples = patches.shape[-1]
        number = PATCHES.index(samples)
        return F.linear(patches, self.weight[number, :, :samples], self.bias[number])


class LeadShift(nn.Module):
    """A shift of each head's scores: one between tokens of the same lead, one between those of two leads.

    With one lead it shifts all scores alike, which attention does not see.

    Args:
        heads: Attention heads.

    Source:
        Woo et al., arXiv 2402.02592, equation 2: any-variate attention.

    Example:
        >>> LeadShift(6)(torch.tensor([0, 0, 1])).shape
        torch.Size([6, 3, 3])
    """

    def __init__(self, heads: int) -> None:
        super().__init__()
        self.emb = nn.Embedding(2, heads)

    def forward(self, lead: Tensor) -> Tensor:
        """Return (heads, tokens, tokens) for the number of each token's lead, (tokens,)."""
        return self.emb((lead[:, None] == lead[None, :]).long()).permute(2, 0, 1)


def rotate(features: Tensor, time: Tensor) -> Tensor:
    """Rotate pairs of features by angles that grow with time, so that a product of two tells their distance.

    Args:
        features: (..., tokens, width): pairs stand side by side.
        time: (tokens,) number of each token's patch.

    Returns:
        The same shape.

    Source:
        Su et al., RoFormer, 2021, section 3.2, with base 10,000.

    Example:
        >>> rotate(torch.tensor([[1.0, 0.0], [1.0, 0.0]]), torch.tensor([0, 1]))
        tensor([[1.0000, 0.0000],
                [0.5403, 0.8415]])
    """
    width = features.shape[-1]
    frequency = 10000.0 ** (-torch.arange(0, width, 2, device=features.device) / width)
    angle = time[:, None] * frequency
    first, second = features.unflatten(-1, (-1, 2)).unbind(-1)
    turned = first * angle.cos() - second * angle.sin(), second * angle.cos() + first * angle.sin()
    return torch.stack(turned, dim=-1).flatten(-2)


class Attention(nn.Module):
    """Attention over the tokens of all leads; queries and keys are normed and half of each is rotated by time.

    Args:
        dim: Features of a token.

    Example:
        >>> Attention(128)(torch.zeros(1, 5, 128), torch.arange(5), torch.zeros(5)).shape
        torch.Size([1, 5, 128])
    """

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.var_attn_bias = LeadShift(dim // HEAD_DIM)
        self.q_proj = nn.Linear(dim, dim, bias=False)
        self.k_proj = nn.Linear(dim, dim, bias=False)
        self.v_proj = nn.Linear(dim, dim, bias=False)
        self.q_norm = nn.RMSNorm(HEAD_DIM, eps=EPS)
        self.k_norm = nn.RMSNorm(HEAD_DIM, eps=EPS)
        self.out_proj = nn.Linear(dim, dim, bias=False)

    def forward(self, hidden: Tensor, time: Tensor, lead: Tensor) -> Tensor:
        """Attend from each of (batch, tokens, dim) to all; time and lead are (tokens,)."""
        query, key, value = (
            of(hidden).unflatten(-1, (-1, HEAD_DIM)).transpose(1, 2)
            for of in (self.q_proj, self.k_proj, self.v_proj)
        )
        query, key = (
            _partly_rotated(norm(of.float()), time) for norm, of in ((self.q_norm, query), (self.k_norm, key))
        )
        shift = self.var_attn_bias(lead)
        attended = F.scaled_dot_product_attention(
            query.to(value.dtype), key.to(value.dtype), value, shift.to(value.dtype)
        )
        return self.out_proj(attended.transpose(1, 2).flatten(2))


def _partly_rotated(features: Tensor, time: Tensor) -> Tensor:
    return torch.cat([rotate(features[..., :ROTATED], time), features[..., ROTATED:]], dim=-1)


class GatedFeedForward(nn.Module):
    """Feed-forward network gated by swish, two thirds of four times as wide inside, in steps of 8.

    Args:
        dim: Features of a token.

    Example:
        >>> GatedFeedForward(384).fc1.out_features
        1024
    """

    def __init__(self, dim: int) -> None:
        super().__init__()
        hidden = math.ceil(int(4 * dim * 2 / 3) / 8) * 8
        self.fc1 = nn.Linear(dim, hidden, bias=False)
        self.fc2 = nn.Linear(hidden, dim, bias=False)
        self.fc_gate = nn.Linear(dim, hidden, bias=False)

    def forward(self, hidden: Tensor) -> Tensor:
        """Map (batch, tokens, dim) to the same shape."""
        return self.fc2(F.silu(self.fc_gate(hidden)) * self.fc1(hidden))


class Layer(nn.Module):
    """Attention, then a feed-forward network, each behind a norm of the root mean square and beside a shortcut.

    Args:
        dim: Features of a token.

    Example:
        >>> Layer(128)(torch.zeros(1, 5, 128), torch.arange(5), torch.zeros(5)).shape
        torch.Size([1, 5, 128])
    """

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.self_attn = Attention(dim)
        self.ffn = GatedFeedForward(dim)
        self.norm1 = nn.RMSNorm(dim, eps=EPS)
        self.norm2 = nn.RMSNorm(dim, eps=EPS)

    def forward(self, hidden: Tensor, time: Tensor, lead: Tensor) -> Tensor:
        """Map (batch, tokens, dim) to the same shape."""
        hidden = hidden + self.self_attn(self.norm1(hidden), time, lead)
        return hidden + self.ffn(self.norm2(hidden))


class Transformer(nn.Module):
    """Layers and a last norm.

    Args:
        size: The network's numbers.

    Example:
        >>> Transformer(Size(128, 2))(torch.zeros(1, 5, 128), torch.arange(5), torch.zeros(5)).shape
        torch.Size([1, 5, 128])
    """

    def __init__(self, size: Size) -> None:
        super().__init__()
        self.layers = nn.ModuleList(Layer(size.dim) for _ in range(size.layers))
        self.norm = nn.RMSNorm(size.dim, eps=EPS)

    def forward(self, hidden: Tensor, time: Tensor, lead: Tensor) -> Tensor:
        """Map (batch, tokens, dim) to the same shape."""
        for layer in self.layers:
            hidden = layer(hidden, time, lead)
        return self.norm(hidden)


class Moirai(nn.Module):
    """Moirai's encoder: standardised leads, cut into patches, through a transformer; the mean over its tokens.

    Tokens of all leads attend to each other. A signal that is no whole number of patches is extended by zeros before
    its first sample. Nothing is masked: what the published model reads for a forecast is here the whole signal. Weights
    start from PyTorch's default initialisation, as in the published code.

    Args:
        size: The network's numbers; `SIZES` holds the published ones.
        leads: Leads in the input.
        patch: Samples of a patch, one of 8, 16, 32, 64, 128.

    Raises:
        ValueError: Leads below 1, or a patch for which there are no weights.

    Source:
        Woo et al., Unified training of universal time series forecasting transformers, ICML 2024, arXiv 2402.02592, and
        its published code.

    Example:
        >>> net = Moirai(Size(128, 2), patch=32)
        >>> net(torch.randn(2, 1, 500)).shape
        torch.Size([2, 128])
    """

    def __init__(self, size: Size, leads: int = 1, patch: int = 64) -> None:
        super().__init__()
        if leads < 1:
            raise ValueError(f"leads={leads} is too few; pass the number of leads of a signal, 1 or more.")
        if patch not in PATCHES:
            raise ValueError(
                f"patch={patch} has no weights in Moirai; pass one of {', '.join(map(str, PATCHES))}."
            )
        self.dim = size.dim
        self.leads = leads
        self.patch = patch
        self.in_proj = PatchProjection(size.dim)
        self.encoder = Transformer(size)

    def forward(self, signal: Tensor) -> Tensor:
        """Embed preprocessed signals.

        Args:
            signal: (batch, leads, time), time at least one patch.

        Returns:
            (batch, dim).

        Raises:
            ValueError: Another number of axes or leads, or fewer samples than one patch.
        """
        check_shape(signal, self.leads, self.patch)
        signal = signal.float()
        mean = signal.mean(-1, keepdim=True)
        deviation = (signal.var(-1, keepdim=True) + 1e-5).sqrt()
        signal = (F.pad(signal, (-signal.shape[-1] % self.patch, 0)) - mean) / deviation
        patches = signal.unflatten(-1, (-1, self.patch))  # (batch, leads, patches, samples)
        number = torch.arange(patches.shape[2], device=signal.device)
        lead = torch.arange(self.leads, device=signal.device).repeat_interleave(len(number))
        tokens = self.in_proj(patches.flatten(1, 2)).float()  # under autocast, sums stay in float32
        return self.encoder(tokens, number.repeat(self.leads), lead).mean(1)
