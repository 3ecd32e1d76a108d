"""How fast encoders train and embed, beside the plain operations of `reference` in the same run."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from copy import deepcopy
from typing import Any

import torch
from torch import nn

from openclef.backbone import BACKBONES
from openclef.data import Batch
from openclef.embedding import embed_store
from openclef.inference import default_batch_size, embed_prepared
from openclef.method import METHODS
from openclef.model import Encoder
from openclef.optimisation import Optimisation
from openclef.preprocessing import Preprocessing
from openclef.speed import reference
from openclef.speed.flops import forward_flops, training_flops
from openclef.speed.profiling import profiled
from openclef.speed.timing import Timing, Work, interleave
from openclef.store import Store
from openclef.training import make_fabric, make_optimizer

__all__ = ["embedding_rates", "training_rates"]

FABRIC_PRECISION = {"float32": "32-true", "bf16": "bf16-mixed"}
REFERENCE = "reference"


def training_rates(
    size: str,
    precisions: Sequence[str],
    batch: Batch,
    repeats: int,
    limits: dict[str, float],
    advance: Callable[[str], None],
) -> list[dict[str, Any]]:
    """Measure views/s of training: what one step of `openclef.pretrain` does with a batch that is there.

    The reference does the same work with `reference.training_step`: forward of two views, loss, gradients and AdamW.

    Args:
        size: "small", "medium" or "large".
        precisions: "float32", "bf16" or both.
        batch: of views; both train on it.
        repeats: timings of each.
        limits: GFLOP/s of matrix products by precision.
        advance: called with the name before each timing.

    Returns:
        One row a precision, then the reference's.

    Example:
        >>> views = torch.randn(2, 4, 1, 500)
        >>> batch = Batch(views[0], views[1], torch.rand(4), torch.ones(4), torch.arange(4))
        >>> rows = training_rates("small", ["float32"], batch, 1, {"float32": 100.0}, lambda name: None)
        >>> [row["precision"] for row in rows], rows[0]["share_of_limit"] > 0
        (['float32', 'float32, reference'], True)
    """
    device, views = batch.first.device, 2 * len(batch.first)
    backbone = _backbone(size)
    works = {REFERENCE: Work(reference.training_step(deepcopy(backbone).to(device).train(), batch), views)}
    for precision in precisions:
        works[precision] = Work(_pretraining_step(deepcopy(backbone), batch, precision), views)
    samples = batch.first.shape[-1]
    flops = training_flops(f"resnext1d_{size}", samples)
    return _rows("training", size, works, repeats, flops, limits, device, advance)


def embedding_rates(
    size: str,
    precisions: Sequence[str],
    ready: torch.Tensor,
    repeats: int,
    limits: dict[str, float],
    advance: Callable[[str], None],
    store: Store | None = None,
) -> list[dict[str, Any]]:
    """Measure leads/s of embedding: the forward pass of leads that are preprocessed and on the device.

    Args:
        size: "small", "medium" or "large".
        precisions: "float32", "bf16" or both.
        ready: (leads, 1, time), embedded as many at a time as `openclef.embed` takes by default; the reference
            takes the first `reference.BATCH` of them at once.
        repeats: timings of each.
        limits: GFLOP/s of matrix products by precision.
        advance: called with the name before each timing.
        store: also measure `openclef.embedding.embed_store` on so many of its rows: read, preprocess, embed.

    Returns:
        One row a precision, with a store one more each, then the reference's.

    Example:
        >>> ready = torch.randn(4, 1, 500)
        >>> rows = embedding_rates("small", ["float32"], ready, 1, {"float32": 100.0}, lambda name: None)
        >>> [row["precision"] for row in rows]
        ['float32', 'float32, reference']
    """
    device = ready.device
    backbone = _backbone(size).to(device).eval()
    few = ready[: reference.BATCH]
    works = {REFERENCE: Work(_reference_embedding(backbone, few), len(few))}
    for precision in precisions:
        works[precision] = Work(_embedding(backbone, ready, precision), len(ready))
        if store is not None:
            works[f"{precision}, from a store"] = Work(
                _embedding_of_store(backbone, store, len(ready), precision), len(ready)
            )
    flops = forward_flops(f"resnext1d_{size}", ready.shape[-1])
    return _rows("embedding", size, works, repeats, flops, limits, device, advance)


def _backbone(size: str) -> nn.Module:
    torch.manual_seed(0)
    return BACKBONES[f"resnext1d_{size}"](leads=1)


def _pretraining_step(backbone: nn.Module, batch: Batch, precision: str) -> Callable[[], object]:
    """One step as `openclef.training.fit` does it."""
    fabric = make_fabric(FABRIC_PRECISION[precision], devices=1, accelerator=batch.first.device.type)
    module = METHODS["clef"](backbone).to(fabric.device).train()
    optimizer = make_optimizer(module.parameters(), Optimisation(), fabric.device)
    wrapped, optimizer = fabric.setup(module, optimizer)

    def step() -> None:
        outcome = wrapped(batch)
        fabric.backward(outcome.loss)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)

    return step


def _reference_embedding(backbone: nn.Module, ready: torch.Tensor) -> Callable[[], object]:
    state = reference.state_of(backbone)

    def call() -> None:
        with torch.no_grad():
            reference.encode(state, ready)

    return call


def _embedding(backbone: nn.Module, ready: torch.Tensor, precision: str) -> Callable[[], object]:
    """The forward pass as `openclef.embedding` does it."""
    size = default_batch_size(ready.device)

    def call() -> None:
        for part in ready.split(size):
            embed_prepared(backbone, part, precision)

    return call


def _embedding_of_store(
    backbone: nn.Module, store: Store, leads: int, precision: str
) -> Callable[[], object]:
    encoder = Encoder(backbone, Preprocessing(seconds=store.seconds))
    return lambda: embed_store(encoder, store, lead="I", rows=range(leads), precision=precision)


def _rows(
    work: str,
    size: str,
    works: dict[str, Work],
    repeats: int,
    flops: int,
    limits: dict[str, float],
    device: torch.device,
    advance: Callable[[str], None],
) -> list[dict[str, Any]]:
    timings = interleave(works, repeats, device, lambda name: advance(f"{work} {size}, {name}"))
    rows = []
    for name in works:
        if name != REFERENCE:
            advance(f"{work} {size}, {name}, profile")
            row = _row(work, size, name, timings, flops, limits)
            rows.append(row | _watched(works[name].call, device))
    return [*rows, _row(work, size, REFERENCE, timings, flops, limits)]


def _row(
    work: str, size: str, name: str, timings: dict[str, Timing], flops: int, limits: dict[str, float]
) -> dict[str, Any]:
    timing = timings[name]
    precision = "float32" if name == REFERENCE else name.split(",")[0]
    gflops = flops * timing.per_s / 1e9
    return {
        "work": work,
        "size": size,
        "precision": f"{precision}, {REFERENCE}" if name == REFERENCE else name,
        **timing.facts(None if name == REFERENCE else timings[REFERENCE]),
        "gflop_each": flops / 1e9,
        "gflops": gflops,
        "share_of_limit": gflops / limits[precision],
    }


def _watched(call: Callable[[], object], device: torch.device) -> dict[str, Any]:
    """Profile of one more call and, on a GPU, the memory that it takes beyond what lies there before."""
    if device.type != "cuda":
        return {"profile": profiled(call, device).facts()}
    torch.cuda.synchronize(device)
    torch.cuda.reset_peak_memory_stats(device)
    before = torch.cuda.memory_allocated(device)
    call()
    torch.cuda.synchronize(device)
    grown_gb = (torch.cuda.max_memory_allocated(device) - before) / 1e9
    return {"profile": profiled(call, device).facts(), "peak_memory_gb": grown_gb}
