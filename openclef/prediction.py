"""Predictions of recordings: stores, files and arrays in, one row a window and one column a label out."""

# torch takes seconds to import and the command line's help looks in here: it is imported where used.
from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from openclef.embedding import embed

if TYPE_CHECKING:
    import pandas as pd
    import torch

    from openclef.model import Encoder

__all__ = ["predict"]


def predict(
    model: Encoder,
    sources: Any,
    *,
    fs: float | None = None,
    lead: str = "I",
    leads: str | Sequence[str] | None = None,
    unit: str | None = None,
    overlap_s: float = 0.0,
    short: Literal["pad", "refuse"] = "pad",
    pool: Literal["mean", "median", "max"] | None = None,
    errors: Literal["raise", "skip"] = "raise",
    batch_size: int | None = None,
    device: str | torch.device | None = None,
    precision: str = "float32",
    progress: bool = False,
) -> pd.DataFrame:
    """Predict the labels of a fine-tuned encoder's task for recordings, one row a window of the model's length.

    Args:
        model: An `Encoder` with a head, from `openclef.finetune` and `openclef.load`.
        sources: As `openclef.embed` takes them: a `Store`, a `Record`, a path, a folder, an array, or a list of these.
        fs: Sampling rate in Hz of arrays, and of files that do not state it.
        lead: Lead to predict from, by name.
        leads: Lead names of arrays with several rows, and of files that do not state them.
        unit: Unit of arrays, and of files that do not state it: "mV", "uV", "V" or "zscore"; None = mV.
        overlap_s: Seconds that a window shares with the one before it.
        short: "pad" predicts for windows that are not full, with missing samples; "refuse" refuses recordings shorter
            than a window and leaves out the rest of longer ones.
        pool: "mean", "median" or "max" over the windows of a recording, one row a recording; None = one a window.
        errors: "skip" goes on where a file cannot be read, and lists it in the table's `.attrs["skipped"]`.
        batch_size: Windows at a time; None = 64 for each thread of a CPU, 512 on a GPU.
        device: Where to compute; None = where the model is.
        precision: "float32", or "bf16" for bfloat16 autocast.
        progress: Show a progress bar.

    Returns:
        A table with one row a window: source, lead, start_s, seconds, flags as `openclef.embed` gives them, then one
        column a label with its calibrated probability, or the value in the task's unit; NaN where a window is
        "too_short".

    Raises:
        ValueError: The model has no head, or what `openclef.embed` refuses.
        FileNotFoundError: If a file is not there.

    Example:
        >>> from openclef.backbone import BACKBONES
        >>> from openclef.head import Head
        >>> from openclef.model import Encoder
        >>> encoder = Encoder(BACKBONES["resnext1d_small"](), head=Head(256, ["N", "AF"], "multiclass"))
        >>> table = predict(encoder, np.random.default_rng(0).normal(size=3000), fs=130)
        >>> list(table), len(table), round(float(table[["N", "AF"]].iloc[0].sum()), 4)
        (['source', 'lead', 'start_s', 'seconds', 'flags', 'N', 'AF'], 2, 1.0)
    """
    if not callable(getattr(model, "required_head", None)):
        raise ValueError(
            f"model is {type(model).__name__}; pass an Encoder with a head (openclef.load of a fine-tuned run)."
        )
    from openclef.head import Predictor

    table = embed(
        Predictor(model),
        sources,
        fs=fs,
        lead=lead,
        leads=leads,
        unit=unit,
        overlap_s=overlap_s,
        short=short,
        pool=pool,
        errors=errors,
        batch_size=batch_size,
        device=device,
        precision=precision,
        progress=progress,
    )
    labels = model.required_head().labels
    values = np.array(table.pop("embedding").tolist(), dtype=float).reshape(len(table), len(labels))
    for position, label in enumerate(labels):
        table[label] = values[:, position]
    return table
