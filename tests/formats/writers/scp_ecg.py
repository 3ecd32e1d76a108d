"""SCP-ECG records, written by EN 1064: sections 0, 1, 2 (default Huffman table), 3 and 6."""

from __future__ import annotations

import binascii
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


def write_scp_ecg(
    path: Path,
    signal_mv: np.ndarray,
    fs: float,
    leads: Sequence[str],
    *,
    step_nv: int = 5000,
    difference: int = 0,
    huffman: bool = False,
    subject_id: str = "PID-7",
    checksums: bool = True,
) -> Path:
    """Write leads that were recorded together; differences of order 0, 1 or 2, Huffman coded or not."""
    steps = np.round(np.asarray(signal_mv) * 1e6 / step_nv).astype(int)
    coded = [_coded(_differences(row, difference), huffman) for row in steps]
    sections = {
        1: _patient(subject_id),
        3: struct.pack("<BB", len(leads), 4 | len(leads) << 3)
        + b"".join(struct.pack("<IIB", 1, steps.shape[1], CODES[lead]) for lead in leads),
        6: struct.pack("<HHBB", step_nv, round(1e6 / fs), difference, 0)
        + b"".join(struct.pack("<H", len(row)) for row in coded)
        + b"".join(coded),
    }
    if huffman:
        sections[2] = struct.pack("<H", 19999)
    length_of_0 = 16 + 10 * 12
    place, pointers, bodies = 7 + length_of_0, [struct.pack("<HII", 0, length_of_0, 7)], []
    for number in range(1, 12):
        content = sections.get(number)
        if content is None:
            pointers.append(struct.pack("<HII", number, 0, 0))
            continue
        content += b"\0" * (len(content) % 2)
        bodies.append(_section(number, content, checksums))
        pointers.append(struct.pack("<HII", number, len(bodies[-1]), place))
        place += len(bodies[-1])
    record = _section(0, b"".join(pointers), checksums, b"SCPECG") + b"".join(bodies)
    record = struct.pack("<I", len(record) + 6) + record
    path.write_bytes(struct.pack("<H", _checksum(record) if checksums else 0) + record)
    return path


def _section(number: int, content: bytes, checksums: bool, reserved: bytes = bytes(6)) -> bytes:
    section = struct.pack("<HIBB6s", number, 16 + len(content), 20, 20, reserved) + content
    return struct.pack("<H", _checksum(section) if checksums else 0) + section


def _checksum(content: bytes) -> int:
    return binascii.crc_hqx(content, 0xFFFF)


def _patient(subject_id: str) -> bytes:
    device = bytearray(41)
    device[14], device[16] = 20, 0
    tags = [
        (2, subject_id.encode() + b"\0"),
        (4, struct.pack("<HB", 64, 1)),
        (8, b"\x02"),
        (14, bytes(device)),
        (25, struct.pack("<HBB", 2017, 11, 22)),
        (26, bytes([9, 10, 11])),
        (255, b""),
    ]
    return b"".join(struct.pack("<BH", tag, len(value)) + value for tag, value in tags)


def _differences(row: np.ndarray, order: int) -> np.ndarray:
    changed = row.copy()
    if order == 1:
        changed[1:] = np.diff(row)
    elif order == 2:
        changed[2:] = row[2:] - 2 * row[1:-1] + row[:-2]
    return changed


def _coded(values: np.ndarray, huffman: bool) -> bytes:
    """int16, or the default table: a prefix of ones, a zero and the sign; 10 ones and fewer announce whole numbers."""
    if not huffman:
        return values.astype("<i2").tobytes()
    bits = []
    for value in map(int, values):
        if value == 0:
            bits.append("0")
        elif abs(value) <= 8:
            bits.append("1" * abs(value) + "0" + ("1" if value < 0 else "0"))
        elif -128 <= value <= 127:
            bits.append("1111111110" + format(value & 0xFF, "08b"))
        else:
            bits.append("1111111111" + format(value & 0xFFFF, "016b"))
    text = "".join(bits)
    text += "0" * (-len(text) % 8)
    return int(text, 2).to_bytes(len(text) // 8, "big")
