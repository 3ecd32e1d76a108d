"""openclef: clinically guided contrastive learning for single-lead ECG encoders.

Importing the package imports nothing heavy: each public name below is loaded on first use.

Example:
    >>> import openclef
    >>> patient = openclef.risk.score2(
    ...     age_years=50, sex="male", smoker=True, sbp_mmhg=140, total_chol_mmol_l=6.3, hdl_mmol_l=1.4
    ... )
    >>> round(float(patient.value), 3)
    0.063
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

__version__ = "0.1.0"

# Public name -> module that defines it.
_PUBLIC = {
    "convert": "openclef.database.conversion",
    "extract_metadata": "openclef.database.mimic_iv.extraction",
    "simulate": "openclef.simulator.cohort",
    "simulate_metadata": "openclef.simulator.semi_synthetic",
    "open_store": "openclef.store",
    "check": "openclef.checking",
    "pretrain": "openclef.pretraining",
    "load": "openclef.checkpoint",
    "load_official": "openclef.published.clef",
    "convert_weights": "openclef.weight_conversion",
    "embed": "openclef.embedding",
    "predict": "openclef.prediction",
    "finetune": "openclef.protocol.finetuning",
    "evaluate": "openclef.protocol.evaluation",
    "compare": "openclef.protocol.result",
    "benchmark": "openclef.benchmarking.grid",
    "report": "openclef.reporting.page",
    "Record": "openclef.record",
    "Store": "openclef.store",
    "Task": "openclef.store",
    "Encoder": "openclef.model",
    "Result": "openclef.protocol.result",
    "Benchmark": "openclef.benchmarking.tables",
    "Run": "openclef.pretraining",
    "Speed": "openclef.speed.result",
    "Optimisation": "openclef.optimisation",
    "Finetuning": "openclef.protocol.network",
    "Preprocessing": "openclef.preprocessing",
    "Guidance": "openclef.guidance",
    "Condition": "openclef.condition",
    "Views": "openclef.augment",
}
_PACKAGES = (
    "backbone",
    "benchmarking",
    "database",
    "formats",
    "loss",
    "method",
    "protocol",
    "published",
    "reporting",
    "risk",
    "simulator",
    "speed",
)

__all__ = ["__version__", *_PUBLIC]


def __getattr__(name: str) -> Any:
    if name in _PUBLIC:
        value = getattr(import_module(_PUBLIC[name]), name)
        globals()[name] = value
        return value
    if name in _PACKAGES:
        return import_module(f"openclef.{name}")
    raise AttributeError(f"module 'openclef' has no attribute {name!r}; it has {', '.join(sorted(_PUBLIC))}")


def __dir__() -> list[str]:
    return sorted([*globals(), *_PUBLIC, *_PACKAGES])
