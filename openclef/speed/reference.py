"""The encoder and its training as PyTorch's plain operations do them: nothing optimised, nothing handicapped.

`openclef speed` states its ratios against these, and tests compare the backbone with them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from openclef.data import Batch
from openclef.loss import clef_loss

__all__ = ["BATCH", "encode", "state_of", "training_step"]

BATCH = 128  # views or leads at a time


def state_of(backbone: nn.Module) -> dict[str, Tensor]:
    """Return the parameters and buffers of a backbone by name, with their gradients' graph.

    Args:
        backbone: a `ResNeXt1D`.

    Example:
        >>> from openclef.backbone import BACKBONES
        >>> state_of(BACKBONES["resnext1d_small"](leads=1))["first_conv.conv.weight"].shape
        torch.Size([32, 1, 16])
    """
    return {**dict(backbone.named_parameters()), **dict(backbone.named_buffers())}


def encode(state: Mapping[str, Tensor], signal: Tensor, training: bool = False) -> Tensor:
    """Embed signals with the tensors of a `ResNeXt1D`, in (batch, channels, time) throughout.

    Args:
        state: tensors by name, as of `state_of` or `state_dict()`; groups and widths follow from their shapes.
        signal: (batch, leads, time), preprocessed.
        training: normalise by the batch's statistics; counts only where the state has BatchNorm.

    Returns:
        (batch, dim).

    Source:
        The architecture of the published encoder, see `openclef.backbone.resnext1d`.

    Example:
        >>> from openclef.backbone import BACKBONES
        >>> net = BACKBONES["resnext1d_small"](leads=1)
        >>> signal = torch.randn(2, 1, 999)
        >>> with torch.no_grad():
        ...     bool(torch.allclose(encode(net.state_dict(), signal), net(signal), rtol=1e-4, atol=1e-6))
        True
    """
    hidden = F.silu(_normalise(state, "first_bn", _convolve(state, "first_conv", signal, 2), training))
    stage = 0
    while f"stage_list.{stage}.block_list.0.conv1.conv.weight" in state:
        block = 0
        while f"stage_list.{stage}.block_list.{block}.conv1.conv.weight" in state:
            hidden = _block(state, f"stage_list.{stage}.block_list.{block}", hidden, stage, block, training)
            block += 1
        stage += 1
    return hidden.mean(-1)


def training_step(backbone: nn.Module, batch: Batch) -> Callable[[], None]:
    """Return a function that does one step of CLEF's training: two views, the loss, its gradient, AdamW.

    The optimiser is torch.optim.AdamW with its default settings.

    Args:
        backbone: a `ResNeXt1D`; trained in place.
        batch: what each step trains on.

    Example:
        >>> from openclef.backbone import BACKBONES
        >>> net = BACKBONES["resnext1d_small"](leads=1)
        >>> before = net.first_conv.conv.weight.detach().clone()
        >>> views = torch.randn(2, 4, 1, 500)
        >>> batch = Batch(views[0], views[1], torch.rand(4), torch.ones(4), torch.arange(4))
        >>> training_step(net, batch)()
        >>> bool((net.first_conv.conv.weight != before).any())
        True
    """
    state = state_of(backbone)
    optimizer = torch.optim.AdamW(backbone.parameters())

    def step() -> None:
        z1, z2 = encode(state, batch.first, training=True), encode(state, batch.second, training=True)
        clef_loss(z1, z2, batch.risk, batch.completeness, batch.subject).total.backward()
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)

    return step


def _block(
    state: Mapping[str, Tensor], name: str, signal: Tensor, stage: int, block: int, training: bool
) -> Tensor:
    stride = 2 if block == 0 else 1
    hidden = signal
    if stage or block:
        hidden = F.silu(_normalise(state, f"{name}.bn1", hidden, training))
    hidden = _convolve(state, f"{name}.conv1", hidden)
    hidden = F.silu(_normalise(state, f"{name}.bn2", hidden, training))
    hidden = _convolve(state, f"{name}.conv2", hidden, stride)
    hidden = F.silu(_normalise(state, f"{name}.bn3", hidden, training))
    hidden = _convolve(state, f"{name}.conv3", hidden)
    gate = F.silu(F.linear(hidden.mean(-1), state[f"{name}.se_fc1.weight"], state[f"{name}.se_fc1.bias"]))
    gate = torch.sigmoid(F.linear(gate, state[f"{name}.se_fc2.weight"], state[f"{name}.se_fc2.bias"]))
    if stride == 2:
        if signal.shape[-1] % 2:
            signal = F.pad(signal, (0, 1))
        signal = F.max_pool1d(signal, 2)
    wider = hidden.shape[1] - signal.shape[1]
    if wider:
        signal = F.pad(signal, (0, 0, wider // 2, wider - wider // 2))
    return signal + hidden * gate.unsqueeze(-1)


def _convolve(state: Mapping[str, Tensor], name: str, signal: Tensor, stride: int = 1) -> Tensor:
    """Convolve so that ceil(time / stride) samples remain; the smaller half of the padding comes first."""
    weight, bias = state[f"{name}.conv.weight"], state[f"{name}.conv.bias"]
    samples, kernel = signal.shape[-1], weight.shape[-1]
    total = max(0, (-(-samples // stride) - 1) * stride + kernel - samples)
    if total % 2:
        signal = F.pad(signal, (0, 1))
    return F.conv1d(signal, weight, bias, stride, total // 2, 1, signal.shape[1] // weight.shape[1])


def _normalise(state: Mapping[str, Tensor], name: str, hidden: Tensor, training: bool) -> Tensor:
    if f"{name}.weight" not in state:
        return hidden
    mean, variance = state[f"{name}.running_mean"], state[f"{name}.running_var"]
    weight, bias = state[f"{name}.weight"], state[f"{name}.bias"]
    return F.batch_norm(
        hidden, None if training else mean, None if training else variance, weight, bias, training
    )
