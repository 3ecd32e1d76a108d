"""Ways of judging frozen embeddings: one file per protocol, one line here to add one.

A protocol is a function `(train, train_target, val, val_target, *, kind)` of features (records, dim) and
targets (records, labels). What it returns has `.settings` and `.predict(features)`, giving (records, labels).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from openclef.protocol.knn import fit_knn
from openclef.protocol.probe import fit_linear_probe

PROTOCOLS: dict[str, Callable[..., Any]] = {"probe": fit_linear_probe, "knn": fit_knn}

__all__ = ["PROTOCOLS", "fit_knn", "fit_linear_probe"]
