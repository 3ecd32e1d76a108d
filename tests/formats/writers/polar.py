"""ECGs as the app Polar Sensor Logger writes them."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path

import numpy as np

PACKET = 73
"""Samples that a Polar H10 sends together."""


def write_polar(
    path: Path,
    signal_uv: np.ndarray,
    fs: float = 130.0,
    *,
    lost: tuple[int, ...] = (),
    jitter_ms: float = 0.0,
    seed: int = 0,
) -> Path:
    """Write whole microvolts, without the packets that were lost; a packet's times may be off together."""
    rng = np.random.default_rng(seed)
    begin, ns = datetime(2026, 4, 24, 14, 10, 15, 270_000), 599_616_050_941_733_632
    lines = ["Phone timestamp;sensor timestamp [ns];timestamp [ms];ecg [uV] "]
    off = 0.0
    for number, value in enumerate(signal_uv):
        if number % PACKET == 0:
            off = rng.uniform(-jitter_ms, jitter_ms) if number else 0.0
        if number // PACKET not in lost:
            ms = 1000 * number / fs
            phone = (begin + timedelta(milliseconds=ms)).isoformat(timespec="milliseconds")
            lines.append(f"{phone};{ns + round((ms + off) * 1e6)};{ms:.6f};{round(value)}")
    path.write_text("\n".join(lines) + "\n")
    return path
