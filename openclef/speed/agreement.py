"""How near embeddings in bf16 are to those in float32."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch

from openclef.checkpoint import load
from openclef.embedding import embed_store
from openclef.simulator.cohort import simulate

__all__ = ["bf16_agreement"]

MODEL = "openclef-small-sim"


def bf16_agreement(folder: Path, patients: int, device: torch.device) -> dict[str, Any]:
    """Embed simulated leads with the encoder that comes with openclef, in bf16 and in float32.

    Args:
        folder: where the simulated store is made.
        patients: simulated, one record and one lead each.
        device: where to embed.

    Returns:
        The median and lowest cosine of a lead's two embeddings, the number of leads, and the encoder's name.

    Raises:
        FileNotFoundError: the encoder is missing from this install.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     found = bf16_agreement(Path(folder), patients=4, device=torch.device("cpu"))
        >>> found["median_cosine"] > 0.99, found["leads"]
        (True, 4)
    """
    store = simulate(folder / "simulated", patients=patients, workers=1)
    encoder = load(MODEL)
    plain = embed_store(encoder, store, lead="I", device=device)
    short = embed_store(encoder, store, lead="I", device=device, precision="bf16")
    length = np.linalg.norm(plain, axis=1) * np.linalg.norm(short, axis=1)
    cosine = (plain * short).sum(1) / length
    return {
        "model": MODEL,
        "leads": len(store),
        "median_cosine": float(np.median(cosine)),
        "lowest_cosine": float(cosine.min()),
    }
