"""Does torch.compile pay on this machine? Milliseconds a view, eager beside compiled, interleaved in one run.

python benchmarks/compile.py [--size small] [--batch 64] [--device cpu]

The first call of a compiled network takes a minute or more on a CPU and needs a C++ compiler; it is printed too.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable

import torch

from openclef.backbone import BACKBONES

REPEATS = 7


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--size", default="small", choices=["small", "medium", "large"])
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    given = parser.parse_args()
    net = BACKBONES[f"resnext1d_{given.size}"]().to(given.device)
    compiled = torch.compile(net)
    signal = torch.randn(given.batch, 1, 5000, device=given.device)
    for half in (False, True):
        for work in (embed, train):
            calls = {
                name: make_call(each, work, signal, half)
                for name, each in (("eager", net), ("compiled", compiled))
            }
            begin = time.perf_counter()
            calls["compiled"]()
            first = time.perf_counter() - begin
            times: dict[str, list[float]] = {name: [] for name in calls}
            for _ in range(REPEATS):
                for name, call in calls.items():
                    begin = time.perf_counter()
                    call()
                    times[name].append((time.perf_counter() - begin) / given.batch * 1e3)
            eager, fast = (statistics.median(times[name]) for name in ("eager", "compiled"))
            print(
                f"{given.size} {'bf16' if half else 'float32'} {work.__name__}: eager {eager:.2f} ms a view, compiled "
                f"{fast:.2f} ({eager / fast:.2f} times as fast), first call {first:.0f} s",
                flush=True,
            )


def make_call(net: torch.nn.Module, work: Callable, signal: torch.Tensor, half: bool) -> Callable[[], None]:
    """Return a call that does the work and waits for its end."""

    def call() -> None:
        work(net, signal, half)
        if signal.device.type == "cuda":
            torch.cuda.synchronize()

    return call


def embed(net: torch.nn.Module, signal: torch.Tensor, half: bool) -> None:
    """Embed a batch."""
    with torch.no_grad(), torch.autocast(signal.device.type, torch.bfloat16, enabled=half):
        net(signal)


def train(net: torch.nn.Module, signal: torch.Tensor, half: bool) -> None:
    """Forward and backward of a batch."""
    with torch.autocast(signal.device.type, torch.bfloat16, enabled=half):
        loss = net(signal).float().square().mean()
    loss.backward()


if __name__ == "__main__":
    main()
