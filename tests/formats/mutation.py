"""What the tests of the vendors' formats share: a known signal, and files that have been damaged."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
from hypothesis import settings
from hypothesis import strategies as st

from openclef.record import Record
from openclef.signal import LEADS, derive_limb_leads

FUZZ = settings(
    max_examples=int(os.environ.get("OPENCLEF_FUZZ_EXAMPLES", "200")),
    deadline=5000,
)
"""Settings of the tests with damaged files; the environment's OPENCLEF_FUZZ_EXAMPLES asks for more of them."""

MUTATIONS = st.lists(
    st.tuples(
        st.sampled_from(("flip", "cut", "drop", "insert", "overwrite", "number")),
        st.floats(0, 1),
        st.binary(min_size=1, max_size=6),
    ),
    min_size=1,
    max_size=4,
)
"""Ways of damaging a file: what is done, where in it, and with which bytes."""


def twelve_leads(fs: float, seconds: float = 10.0, step_mv: float = 0.005, seed: int = 0) -> np.ndarray:
    """Twelve leads in mV that obey Einthoven and differ from each other, in whole steps for the leads that devices
    record, and of many sizes, so that a swapped byte or lead shows."""
    rng = np.random.default_rng(seed)
    time = np.arange(round(fs * seconds)) / fs
    recorded = {}
    for index, lead in enumerate(lead for lead in LEADS if lead not in ("III", "aVR", "aVL", "aVF")):
        wave = np.sin(2 * np.pi * (1 + index / 3) * time) * (0.4 + index / 5) + 0.05 * rng.normal(
            size=len(time)
        )
        recorded[lead] = np.round(wave / step_mv) * step_mv
    recorded |= derive_limb_leads(recorded["I"], recorded["II"])
    return np.stack([recorded[lead] for lead in LEADS])


def damage(content: bytes, mutations: list[tuple[str, float, bytes]]) -> bytes:
    """Apply ways of damaging to a file's content."""
    for kind, place, value in mutations:
        at = int(place * max(len(content) - 1, 0))
        if kind == "flip" and content:
            content = content[:at] + bytes([content[at] ^ (value[0] or 1)]) + content[at + 1 :]
        elif kind == "cut":
            content = content[:at]
        elif kind == "drop":
            content = content[:at] + content[at + 7 * len(value) :]
        elif kind == "insert":
            content = content[:at] + value + content[at:]
        elif kind == "overwrite":
            content = content[:at] + value + content[at + len(value) :]
        elif kind == "number":  # the next number in a text becomes another
            start = next((i for i in range(at, len(content)) if content[i : i + 1].isdigit()), len(content))
            stop = start
            while content[stop : stop + 1].isdigit():
                stop += 1
            new = str(int.from_bytes(value, "little", signed=True)).encode()
            content = content[:start] + new + content[stop:]
    return content


def assert_record_or_refusal(read: Callable[[Path], Record], path: Path, content: bytes) -> None:
    """A damaged file gives a record, or an error of one line that names the file; nothing else."""
    path.write_bytes(content)
    before = sorted(path.parent.iterdir())
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        outcome = _outcome(read, path)
    if isinstance(outcome, Exception):
        assert path.stem in str(outcome), outcome
        assert "\n" not in str(outcome), outcome
    else:
        assert outcome.signal.dtype == np.float32
        assert outcome.signal.size <= 64 * max(len(content), 1)
        assert len(outcome.leads) == len(outcome.signal)
    assert sorted(path.parent.iterdir()) == before


def _outcome(read: Callable[[Path], Record], path: Path) -> Record | Exception:
    try:
        return read(path)
    except (ValueError, FileNotFoundError) as error:
        return error
