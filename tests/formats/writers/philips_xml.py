"""Philips Sierra XML exports, after the schema's elements and the published description of XLI compression."""

from __future__ import annotations

import base64
import struct
from collections.abc import Sequence
from pathlib import Path

import numpy as np

BITS = 10


def write_philips_xml(
    path: Path,
    signal_mv: np.ndarray,
    fs: float,
    leads: Sequence[str],
    *,
    step_uv: int = 5,
    compressed: bool = True,
    version: str = "1.04",
    encoding: str = "UTF-8",
) -> Path:
    """Write twelve leads in the standard order, XLI-compressed (with limb leads as residuals) or plain base64."""
    steps = np.round(np.asarray(signal_mv) * 1000 / step_uv).astype(int)
    if compressed:
        content = b"".join(_chunk(row) for row in _with_residuals(steps))
    else:
        content = steps.astype("<i2").tobytes()
    compression = 'compression="XLI"' if compressed else ""
    text = f"""<?xml version="1.0" encoding="{encoding}"?>
<restingecgdata xmlns="http://www3.medical.philips.com">
 <documentinfo><documenttype>PhilipsECG</documenttype><documentversion>{version}</documentversion></documentinfo>
 <patient><generalpatientdata><patientid>PID-7</patientid><age><years>64</years></age><sex>Female</sex>
 </generalpatientdata></patient>
 <dataacquisition date="2017-11-22" time="09:10:11"><signalcharacteristics>
  <samplingrate>{fs:g}</samplingrate><resolution>{step_uv}</resolution><signaloffset>0</signaloffset>
  <signalsigned>True</signalsigned><numberchannelsvalid>{len(leads)}</numberchannelsvalid>
  <numberchannelsallocated>{len(leads)}</numberchannelsallocated><acquisitiontype>STD-12</acquisitiontype>
 </signalcharacteristics></dataacquisition>
 <waveforms><parsedwaveforms dataencoding="Base64" {compression} durationperchannel="{1000 * steps.shape[1] / fs:g}"
  samplespersecond="{fs:g}" resolution="{step_uv}" numberofleads="{len(leads)}" leadlabels="{" ".join(leads)}">
{base64.encodebytes(content).decode()}</parsedwaveforms></waveforms>
</restingecgdata>
"""
    path.write_bytes(text.encode(encoding))
    return path


def _with_residuals(steps: np.ndarray) -> np.ndarray:
    """III, aVR, aVL and aVF as what they differ by from what I and II predict."""
    stored = steps.copy()
    first, second, third = steps[:3]
    stored[2] = second - first - third
    stored[3] = -steps[3] - (first + second) // 2
    stored[4] = (first - third) // 2 - steps[4]
    stored[5] = (second + third) // 2 - steps[5]
    return stored


def _chunk(row: np.ndarray) -> bytes:
    """One lead: second differences with an offset of 64, high bytes before low bytes, LZW of ten bits."""
    deltas = row.copy()
    # the decoder forms z = 2 y - x - last, where `last` is the stored value of the sample before, less 64
    deltas[2:] = 2 * row[1:-1] - row[:-2] - row[2:]
    stored = row.copy()
    stored[2:-1] = deltas[3:] + 64
    start = int(deltas[2]) if len(row) > 2 else 0
    stored[-1] = 64
    values = stored.astype(">i2").tobytes()
    packed = _lzw(values[0::2] + values[1::2])
    return struct.pack("<iHh", len(packed), 0, start) + packed


def _lzw(content: bytes) -> bytes:
    table = {bytes([value]): value for value in range(256)}
    codes, held, most = [], b"", (1 << BITS) - 2
    for value in content:
        longer = held + bytes([value])
        if longer in table:
            held = longer
            continue
        codes.append(table[held])
        if len(table) <= most:
            table[longer] = len(table)
        held = bytes([value])
    codes.append(table[held])
    text = "".join(format(code, f"0{BITS}b") for code in [*codes, (1 << BITS) - 1])
    text += "1" * (-len(text) % 8)
    return int(text, 2).to_bytes(len(text) // 8, "big")
