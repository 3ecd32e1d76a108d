"""MFER files, written by Part 1 of the specification: one frame of int16 channels."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from pathlib import Path

import numpy as np

CODES = dict(zip(("I", "II", "V1", "V2", "V3", "V4", "V5", "V6"), range(1, 9))) | {
    "III": 61,
    "aVR": 62,
    "aVL": 63,
    "aVF": 64,
}


def write_mfer(
    path: Path,
    signal_mv: np.ndarray,
    fs: float,
    leads: Sequence[str],
    *,
    step_uv: int = 5,
    little: bool = True,
    subject_id: str = "PID-7",
) -> Path:
    """Write leads that were recorded together; a missing sample becomes the declared null value."""
    order = "<" if little else ">"
    steps = np.round(np.asarray(signal_mv) * 1000 / step_uv)
    steps = np.where(np.isnan(steps), -32768, steps).astype(f"{order}i2")

    def number(value: int, size: int) -> bytes:
        return value.to_bytes(size, "little" if little else "big")

    rate = b"\x01" + struct.pack("b", -6) + number(round(1e6 / fs), 4)
    parts = [
        _tag(0x40, b"MFR Standard 12 leads ECG".ljust(32)),
        _tag(0x01, bytes([little])),
        _tag(0x08, number(1, 2)),
        _tag(0x82, subject_id.encode()),
        _tag(0x83, bytes([64]) + number(0, 2) + number(1953, 2) + bytes([5, 8])),
        _tag(0x84, b"\x02"),
        _tag(0x85, number(2017, 2) + bytes([11, 22, 9, 10, 11])),
        _tag(0x0B, rate),
        _tag(0x0C, b"\x00" + struct.pack("b", -6) + number(step_uv, 2)),
        _tag(0x0A, b"\x00"),
        _tag(0x12, number(0x8000, 2)),
        _tag(0x04, number(steps.shape[1], 4)),
        _tag(0x05, number(len(leads), 1)),
        _tag(0x06, number(1, 2)),
    ]
    for channel, lead in enumerate(leads):
        definition = _tag(0x09, number(CODES[lead], 1))
        parts.append(bytes([0x3F, channel, len(definition)]) + definition)
    parts += [_tag(0x1E, steps.tobytes()), b"\x80\x00"]
    path.write_bytes(b"".join(parts))
    return path


def _tag(code: int, value: bytes) -> bytes:
    length = bytes([len(value)]) if len(value) < 128 else b"\x84" + len(value).to_bytes(4, "big")
    return bytes([code]) + length + value
