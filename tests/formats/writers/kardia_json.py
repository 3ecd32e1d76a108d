"""Recordings as the Kardia API gives them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np

NAMES = {"I": "leadI", "II": "leadII", "III": "leadIII", "aVR": "AVR", "aVL": "AVL", "aVF": "AVF"}


def write_kardia_json(
    path: Path, signal_mv: np.ndarray, fs: float, leads: Sequence[str], *, step_nv: int = 500
) -> Path:
    """Write one lead or six, and a filtered copy that must not be read."""
    counts = np.round(np.asarray(signal_mv) * 1e6 / step_nv).astype(int)
    block = {"frequency": fs, "mainsFrequency": 60, "amplitudeResolution": step_nv, "numLeads": len(leads)}
    raw = block | {"samples": {NAMES[lead]: row.tolist() for lead, row in zip(leads, counts)}}
    enhanced = block | {"samples": {NAMES[lead]: (row * 0).tolist() for lead, row in zip(leads, counts)}}
    text = {
        "id": "abc",
        "patientID": "PID-7",
        "recordedAt": "2017-11-22T09:10:11+00:00",
        "duration": 1000 * counts.shape[1] / fs,
        "algorithmDetermination": "normal",
        "data": {"raw": raw, "enhanced": enhanced},
    }
    path.write_text(json.dumps(text), encoding="utf-8")
    return path
