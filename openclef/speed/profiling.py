"""What a piece of work spends its time on: shares by kind of operation, from PyTorch's profiler."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch.autograd import DeviceType
from torch.profiler import ProfilerActivity

from openclef.speed.timing import synchronise

__all__ = ["Profile", "kind_of", "profiled"]

# The first that an operation's name matches; names as PyTorch's profiler gives them, without "aten::".
KINDS = {
    "optimiser": r"optimizer|adam|_foreach|_fused",
    "FFT": r"fft",
    "convolutions": r"conv(?!ert)",
    "matrix products": r"mm$|mm_|^linear|matmul|gemm|^dot$|einsum|mv$",
    "random numbers": r"uniform|normal_|rand|bernoulli|exponential",
    "allocation": r"^empty|^zeros|^ones|^fill_|^zero_|^resize|^new_|^full|memset|^set_",
    "copies": r"copy|^cat$|clone|contiguous|pad|^index|gather|^take|stack|memcpy|^roll$|^flip$|reflect|scatter",
    "sums and pooling": r"sum|mean|var|pool|^max$|^amax|^min$|^amin|^cum|norm|sort|^any$|^all$|argmax",
    "elementwise": (
        r"silu|sigmoid|mul|add|sub|div|where|maximum|minimum|clamp|lerp|^pow|sqrt|exp|log|square|^abs|^neg|"
        r"^relu|cos|sin|floor|round|^lt|^gt|^le|^ge|^eq|^ne|isnan|isfinite|bitwise|logical|masked_fill|"
        r"softmax|^arange|angle|polar|complex|^sgn|^sign|reciprocal"
    ),
}
OTHER = "other operations"
OUTSIDE = "Python and waiting"
SHOWN = 3
LEAST = 0.05


@dataclass(frozen=True)
class Profile:
    """Where the time of one call went.

    Args:
        shares: of the call's time by kind of operation; they add up to 1.
        operations: seconds of the longest single operations, by PyTorch's name.
        seconds: of the call, with the profiler watching.
        page_faults: pages that the system had to hand out (or to read) during the call; None where unknown.
        system_share: share of the processor's time in the system's kernel: handing out memory, mostly; None
            where unknown.

    Example:
        >>> Profile({"convolutions": 0.61, "copies": 0.03, "elementwise": 0.36}, {}, 1.0, 0, 0.0).sentence
        'convolutions 61 %, elementwise 36 %'
    """

    shares: dict[str, float]
    operations: dict[str, float]
    seconds: float
    page_faults: int | None
    system_share: float | None

    @property
    def sentence(self) -> str:
        """The largest shares in words, and the kernel's where it counts."""
        largest = sorted(self.shares.items(), key=lambda pair: -pair[1])[:SHOWN]
        parts = [f"{kind} {share:.0%}".replace("%", " %") for kind, share in largest if share >= LEAST]
        text = ", ".join(parts)
        if self.system_share is not None and self.system_share >= LEAST:
            text += f"; {self.system_share:.0%} of it in page faults and the kernel".replace("%", " %")
        return text

    def facts(self) -> dict[str, Any]:
        """Return the numbers for the JSON.

        Example:
            >>> sorted(Profile({"copies": 1.0}, {}, 1.0, 0, 0.0).facts())
            ['operations_s', 'page_faults', 'seconds', 'sentence', 'shares', 'system_share']
        """
        return {
            "sentence": self.sentence,
            "shares": self.shares,
            "operations_s": self.operations,
            "seconds": self.seconds,
            "page_faults": self.page_faults,
            "system_share": self.system_share,
        }


def kind_of(operation: str) -> str:
    """Return the kind of an operation, by the name that PyTorch's profiler gives it.

    Args:
        operation: for example "aten::convolution_backward".

    Example:
        >>> [kind_of(name) for name in ("aten::mkldnn_convolution", "aten::baddbmm", "aten::silu_", "aten::tan")]
        ['convolutions', 'matrix products', 'elementwise', 'other operations']
    """
    name = operation.removeprefix("aten::").lower()
    return next((kind for kind, pattern in KINDS.items() if re.search(pattern, name)), OTHER)


def profiled(call: Callable[[], object], device: torch.device) -> Profile:
    """Call once under PyTorch's profiler.

    Operations of other threads count too; where several are busy, the shares are of their time together. On a GPU the
    shares are those of the device's time; what is left, the device waited.

    Args:
        call: the work; call it once before, so that it has planned and allocated.
        device: what it runs on.

    Example:
        >>> matrix = torch.ones(300, 300)
        >>> profile = profiled(lambda: matrix @ matrix, torch.device("cpu"))
        >>> round(sum(profile.shares.values()), 6), "matrix products" in profile.shares
        (1.0, True)
    """
    on_gpu = device.type == "cuda"
    activities = [ProfilerActivity.CPU] + [ProfilerActivity.CUDA] * on_gpu
    synchronise(device)
    before = _usage()
    profiler = torch.profiler.profile(
        activities=activities, acc_events=True, experimental_config=_every_thread()
    )
    with _hushed(), profiler:
        started = time.perf_counter()
        call()
        synchronise(device)
        seconds = time.perf_counter() - started
    events = profiler.key_averages()
    after = _usage()
    spent: dict[str, float] = {}
    operations: dict[str, float] = {}
    for event in events:
        if event.device_type != DeviceType.CPU:  # a kernel; its time is the operation's that started it
            continue
        own_s = (event.self_device_time_total if on_gpu else event.self_cpu_time_total) / 1e6
        spent[kind_of(event.key)] = spent.get(kind_of(event.key), 0.0) + own_s
        operations[event.key] = own_s
    total = max(seconds, sum(spent.values()))
    shares = {kind: own_s / total for kind, own_s in spent.items() if own_s > 0}
    shares[OUTSIDE] = max(0.0, 1 - sum(shares.values()))
    longest = sorted(operations.items(), key=lambda pair: -pair[1])[:15]
    return Profile(
        shares=dict(sorted(shares.items(), key=lambda pair: -pair[1])),
        operations=dict(longest),
        seconds=seconds,
        page_faults=None if before is None or after is None else int(after[0] - before[0]),
        system_share=None
        if before is None or after is None
        else (after[1] - before[1]) / max(after[2] - before[2], 1e-9),
    )


def _every_thread() -> Any:
    """Setting by which the profiler watches every thread; None where this PyTorch can only watch one."""
    try:
        return torch.profiler._ExperimentalConfig(profile_all_threads=True)
    except (AttributeError, TypeError):
        return None


@contextmanager
def _hushed() -> Iterator[None]:
    """Keep what the profiler's library writes past Python from the terminal: a line at each start and end."""
    kept, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    try:
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)


def _usage() -> tuple[int, float, float] | None:
    """Page faults, seconds in the kernel, and all processor seconds of this process; None where not counted."""
    try:
        import resource
    except ImportError:  # not a Unix
        return None
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_minflt + used.ru_majflt, used.ru_stime, used.ru_utime + used.ru_stime
