"""Ways of judging an encoder: one file per protocol, one line here to add one.

A protocol of `PROTOCOLS` judges frozen embeddings: a function `(train, train_target, val, val_target, *, kind)` of
features (records, dim) and targets (records, labels). What it returns has `.settings` and `.predict(features)`, giving
(records, labels).

A protocol of `NETWORK_PROTOCOLS` trains the network itself: a function `(encoder, cohort, train, out, settings, *,
seed, ...)` of a `Cohort` and a mask of its training records, which leaves a run folder whose model predicts the task.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from openclef.protocol.knn import fit_knn
from openclef.protocol.network import finetune_encoder, train_from_scratch
from openclef.protocol.probe import fit_linear_probe

PROTOCOLS: dict[str, Callable[..., Any]] = {"probe": fit_linear_probe, "knn": fit_knn}
NETWORK_PROTOCOLS: dict[str, Callable[..., Any]] = {
    "finetune": finetune_encoder,
    "scratch": train_from_scratch,
}

__all__ = [
    "NETWORK_PROTOCOLS",
    "PROTOCOLS",
    "finetune_encoder",
    "fit_knn",
    "fit_linear_probe",
    "train_from_scratch",
]
