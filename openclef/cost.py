"""What embedding a lead costs with a model: parameters, operations, time on this machine; on equal terms for any."""

from __future__ import annotations

import statistics
import time
from typing import Any, NamedTuple

import numpy as np
import torch
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from openclef.embedding import preprocessing_of
from openclef.inference import embed_prepared
from openclef.lead_placement import check_lead, place_lead
from openclef.record import cut_windows
from openclef.statistics import check_counts

__all__ = ["Cost", "embedding_cost"]

SECONDS, FS = 10.0, 500.0
LEADS = 16  # embedded at a time, fewer where a model takes long
LONG_S = 1.0


class Cost(NamedTuple):
    """What embedding one lead of 10 s at 500 Hz costs; at the model's own rate where its band reaches beyond 250 Hz.

    Attributes:
        parameters: Numbers that the model has learnt, or could.
        gflop: Operations of its network, 2 a multiplication-addition, over all windows that 10 s are cut into.
        windows: How many these are.
        embeddings_per_second: Leads a second on this machine, preprocessing included, with all of torch's threads.

    Example:
        >>> Cost(443_184, 0.06, 1, 900.0).windows
        1
    """

    parameters: int
    gflop: float
    windows: int
    embeddings_per_second: float


def embedding_cost(model: Any, *, lead: str = "I", repeats: int = 3) -> Cost:
    """Measure what embedding one lead of 10 s at 500 Hz costs with a model behind its own preprocessing.

    Args:
        model: An `Encoder`, or a bare backbone with `.dim`, on the CPU.
        lead: Lead by name, for models of several.
        repeats: Measurements of the time; their median counts.

    Returns:
        The `Cost`.

    Raises:
        ValueError: The model does not take the lead, or is none, or `repeats` is no whole number from 1.

    Example:
        >>> from openclef.protocol.baselines import random_encoder
        >>> cost = embedding_cost(random_encoder(), repeats=1)
        >>> cost.parameters, cost.windows
        (443184, 1)
    """
    check_counts(repeats=repeats)
    preprocessing = preprocessing_of(model)
    check_lead(model, lead)
    high = preprocessing.band[1] if preprocessing.band is not None else None
    fs = FS if high is None or high < FS / 2 else preprocessing.fs
    signal = np.random.default_rng(0).normal(size=(LEADS, round(SECONDS * fs))).astype(np.float32)
    windows = [torch.from_numpy(each)[:, None] for each in cut_windows(signal, fs, preprocessing.seconds)]

    def prepare(piece: torch.Tensor) -> torch.Tensor:
        return place_lead(preprocessing(piece, fs), model, lead)

    def embed(count: int) -> float:
        started = time.perf_counter()
        for window in windows:
            embed_prepared(model, window[:count], prepare=prepare)
        return time.perf_counter() - started

    training = model.training
    model.eval()
    try:
        with torch.no_grad(), sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as counter:
            for window in windows:  # the plain way of attention, whose operations are counted
                model(prepare(window[:1]))
        count = LEADS if embed(1) * LEADS < LONG_S else 2
        embed(count)
        seconds = statistics.median(embed(count) for _ in range(repeats))
    finally:
        model.train(training)
    return Cost(
        parameters=sum(each.numel() for each in model.parameters()),
        gflop=counter.get_total_flops() / 1e9,
        windows=len(windows),
        embeddings_per_second=count / seconds,
    )
