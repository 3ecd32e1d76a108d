"""ISHNE Holter ECGs, written field by field after Badilini 1998."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from pathlib import Path

import numpy as np

CODES = {
    "unknown": 0,
    "generic": 1,
    "X": 2,
    "Y": 3,
    "Z": 4,
    "I": 5,
    "II": 6,
    "III": 7,
    "aVR": 8,
    "aVL": 9,
    "aVF": 10,
    "V1": 11,
    "V2": 12,
    "V3": 13,
    "V4": 14,
    "V5": 15,
    "V6": 16,
    "ES": 17,
    "AS": 18,
    "AI": 19,
}


def crc_ccitt(content: bytes) -> int:
    """Bit by bit, as the standard describes it: polynomial x16 + x12 + x5 + 1, beginning with ones."""
    crc = 0xFFFF
    for byte in content:
        crc ^= byte << 8
        for _ in range(8):
            crc = ((crc << 1) ^ 0x1021 if crc & 0x8000 else crc << 1) & 0xFFFF
    return crc


def write_ishne(
    path: Path,
    signal_mv: np.ndarray,
    fs: float,
    leads: Sequence[str],
    *,
    nanovolts: int | Sequence[int] = 5000,
    variable: bytes = b"",
    checksum: int | None = None,
    count_all: bool = False,
    subject: str = "PID-7",
    sex: int = 2,
    born: tuple[int, int, int] = (8, 5, 1953),
    recorded: tuple[int, int, int] = (22, 11, 2017),
    clock: tuple[int, int, int] = (9, 10, 11),
) -> Path:
    """Write a recording; missing samples (NaN) become -32768."""
    signal = np.asarray(signal_mv, dtype=np.float64)
    steps = np.broadcast_to(np.asarray(nanovolts), len(signal))
    scaled = np.round(signal * 1e6 / steps[:, None])
    samples = np.where(np.isnan(scaled), -32768, scaled).astype("<i2")

    def twelve(values: Sequence[int]) -> bytes:
        return struct.pack("<12h", *[*values, *[-9] * (12 - len(values))])

    header = b"".join(
        [
            struct.pack("<i", len(variable)),
            struct.pack("<i", samples.shape[1] * (len(samples) if count_all else 1)),
            struct.pack("<i", 522),
            struct.pack("<i", 522 + len(variable)),
            struct.pack("<h", 1),
            b"Ada".ljust(40, b"\0"),
            "Größe".encode("latin-1").ljust(40, b"\0"),
            subject.encode("latin-1").ljust(20, b"\0"),
            struct.pack("<hh", sex, 0),
            struct.pack("<3h", *born),
            struct.pack("<3h", *recorded),
            struct.pack("<3h", 1, 1, 2020),
            struct.pack("<3h", *clock),
            struct.pack("<h", len(samples)),
            twelve([CODES[lead] for lead in leads]),
            twelve([1] * len(samples)),
            twelve([int(step) for step in steps]),
            struct.pack("<h", 0),
            b"digital".ljust(40, b"\0"),
            struct.pack("<h", round(fs)),
            b"".ljust(80, b"\0"),
            b"".ljust(80, b"\0"),
            b"".ljust(88, b"\0"),
        ]
    )
    assert len(header) == 512
    crc = crc_ccitt(header + variable) if checksum is None else checksum
    path.write_bytes(b"ISHNE1.0" + struct.pack("<H", crc) + header + variable + samples.T.tobytes())
    return path
