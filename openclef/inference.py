"""The forward pass of an encoder over many windows: in pieces, by threads, in bfloat16 if asked."""

from __future__ import annotations

from collections.abc import Callable

import torch

from openclef.threads import in_threads

__all__ = ["PRECISIONS", "default_batch_size", "embed_prepared"]

PRECISIONS = ("float32", "bf16")
GPU_BATCH = 512
WINDOWS_A_THREAD = 64  # on a CPU, more windows at a time leave the caches and are no faster


def default_batch_size(device: torch.device) -> int:
    """Windows that are embedded at a time unless said otherwise: 64 for each thread of a CPU, 512 on a GPU.

    Args:
        device: Where the model computes.

    Example:
        >>> default_batch_size(torch.device("cuda"))
        512
    """
    return WINDOWS_A_THREAD * torch.get_num_threads() if device.type == "cpu" else GPU_BATCH


def embed_prepared(
    model: torch.nn.Module,
    signal: torch.Tensor,
    precision: str = "float32",
    *,
    prepare: Callable[[torch.Tensor], torch.Tensor] | None = None,
) -> torch.Tensor:
    """Embed windows without gradient, on a CPU in pieces of 64 by several threads.

    Only models whose modules are all torch's or openclef's are called by several threads at once; others may keep
    state.

    Args:
        model: In evaluation mode, on the signal's device, with `.dim`.
        signal: (windows, lead, time), preprocessed, or as `prepare` takes them.
        precision: "float32", or "bf16" for bfloat16 autocast.
        prepare: What is done to a piece before the model, for example its preprocessing; None = nothing.

    Returns:
        (windows, dim), on the signal's device.

    Raises:
        ValueError: Another precision, or the model gives another shape.

    Example:
        >>> from openclef.backbone import BACKBONES
        >>> embed_prepared(BACKBONES["resnext1d_small"]().eval(), torch.zeros(2, 1, 1000)).shape
        torch.Size([2, 256])
    """
    if precision not in PRECISIONS:
        raise ValueError(f"precision is {precision!r}; pass one of {', '.join(PRECISIONS)}.")

    def make(piece: torch.Tensor) -> torch.Tensor:  # grad mode and autocast are each thread's own
        with torch.no_grad():
            ready = piece if prepare is None else prepare(piece)
            with torch.autocast(piece.device.type, dtype=torch.bfloat16, enabled=precision == "bf16"):
                vectors = model(ready)
        shape = (len(piece), int(model.dim))  # type: ignore[arg-type]
        if not isinstance(vectors, torch.Tensor) or tuple(vectors.shape) != shape:
            given = tuple(vectors.shape) if isinstance(vectors, torch.Tensor) else type(vectors).__name__
            raise ValueError(
                f"{type(model).__name__} gives {given} for {len(piece)} windows; it must give a tensor of "
                f"(windows, dim), here {shape}."
            )
        return vectors

    if signal.device.type != "cpu" or len(signal) <= WINDOWS_A_THREAD:
        return make(signal)
    parts = signal.split(WINDOWS_A_THREAD)
    return torch.cat(in_threads(make, parts) if _is_known(model) else [make(part) for part in parts])


def _is_known(model: torch.nn.Module) -> bool:
    """Whether all modules are torch's or openclef's, which several threads may call at once; others may keep state."""
    return all(type(module).__module__.startswith(("torch.nn.", "openclef.")) for module in model.modules())
