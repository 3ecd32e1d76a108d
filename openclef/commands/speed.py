"""What measures this machine on the command line."""

# The signature is the options and the docstring their help, so nothing heavy is imported up here.
from __future__ import annotations

from typing import Literal

__all__ = ["measure_speed"]


def measure_speed(
    *,
    sizes: list[Literal["small", "medium", "large"]] = ["small", "medium"],  # noqa: B006 - only read
    precisions: list[Literal["float32", "bf16"]] = ["float32", "bf16"],  # noqa: B006
    repeats: int = 5,
    batch_size: int = 64,
    device: Literal["auto", "cpu", "cuda"] = "auto",
    out: str | None = None,
    markdown: bool = False,
    quick: bool = False,
) -> int:
    """Measure how fast this machine reads, trains and embeds, beside its limits and a plain reference.

    Args:
        sizes: of the encoder, for example '["small"]'; large only on request.
        precisions: float32, bf16 or both.
        repeats: timings of each; their median counts.
        batch_size: records a step of training, two views each.
        device: cpu, cuda, or auto: a GPU where there is one.
        out: JSON file to write, with all figures and profiles.
        markdown: print Markdown in place of a table.
        quick: small pieces once, to see that it runs; the figures say nothing.
    """
    from pathlib import Path

    from openclef.protocol.result import check_folder

    if out is not None:
        if Path(out).is_dir():
            raise ValueError(
                f"out is {out}, a folder; pass the file to write, as {Path(out) / 'speed.json'}."
            )
        check_folder(Path(out).parent)
    from openclef.speed import measure

    found = measure(
        sizes=sizes,
        precisions=precisions,
        repeats=repeats,
        batch_size=batch_size,
        device=device,
        quick=quick,
        progress=True,
    )
    if out is not None:
        found.to_json(out)
    print(found.markdown() if markdown else found.table())
    return 0
