"""What a machine's arithmetic and memory allow: the rates of matrix products and of copies."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

import torch

from openclef.speed.timing import synchronise

__all__ = ["TYPES", "copy_gb_per_s", "matrix_product_gflops"]

TYPES = {"float32": torch.float32, "bf16": torch.bfloat16}
TIMES = 5


def matrix_product_gflops(precision: str, sizes: Sequence[int], device: torch.device) -> dict[int, float]:
    """Measure the rate of products of two square matrices, the best of a few each.

    Args:
        precision: "float32" or "bf16".
        sizes: rows of the matrices.
        device: where.

    Returns:
        GFLOP/s for each size; a product of n rows counts 2 n^3 operations.

    Example:
        >>> 0 < matrix_product_gflops("float32", [32], torch.device("cpu"))[32]
        True
    """
    rates = {}
    for size in sizes:
        left, right = torch.randn(2, size, size, device=device).to(TYPES[precision])
        out = torch.empty_like(left)
        seconds = _best(lambda: torch.mm(left, right, out=out), device)  # noqa: B023 - called at once
        rates[size] = 2 * size**3 / seconds / 1e9
    return rates


def copy_gb_per_s(megabytes: int, device: torch.device) -> float:
    """Measure how fast one tensor is copied into another, the best of a few.

    Args:
        megabytes: size of the tensor; well above the caches.
        device: where.

    Returns:
        GB/s, reading and writing counted each.

    Example:
        >>> copy_gb_per_s(1, torch.device("cpu")) > 0
        True
    """
    source = torch.ones(megabytes * 10**6 // 4, device=device)
    target = torch.zeros_like(source)
    return 2 * source.nbytes / _best(lambda: target.copy_(source), device) / 1e9


def _best(call: Callable[[], object], device: torch.device) -> float:
    call()
    seconds = []
    for _ in range(TIMES):
        synchronise(device)
        started = time.perf_counter()
        call()
        synchronise(device)
        seconds.append(time.perf_counter() - started)
    return min(seconds)
