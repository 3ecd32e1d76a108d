"""Moirai 1.1 (Woo et al. 2024): a general forecasting model in three sizes, its encoder used on ECG as it comes."""

from __future__ import annotations

from openclef.preprocessing import Preprocessing
from openclef.published.description import Published

PREPROCESSING = Preprocessing(fs=500.0, seconds=10.0, band=(0.67, 40.0), order=5, normalise="zscore")
"""5000 samples: 79 patches of 64 samples, 0.128 s each, the first of them not full."""


def _size(size: str) -> Published:
    return Published(
        title=f"Moirai-1.1-R, {size}",
        backbone=f"moirai_{size}",
        settings={"leads": 1, "patch": 64},
        preprocessing=PREPROCESSING,
        layer="mean over tokens of the encoder's last layer",
        trained_on="LOTSA: 27 billion observations of nine fields; masked patches forecast",
        licence="CC BY-NC 4.0",
        paper="Woo et al. 2024, arXiv 2402.02592",
        code="https://github.com/SalesforceAIResearch/uni2ts",
        weights=f"https://huggingface.co/Salesforce/moirai-1.1-R-{size}",
        file="model.safetensors",
        unused=("mask_encoding.", "param_proj."),
        note=(
            "Moirai knows no sampling rate, only patches of 8 to 128 samples; for series of a second or finer its "
            "authors take 64 or 128, here 64 at 500 Hz. All patches are read, none is masked for a forecast, and what "
            "is missing is 0, not masked. With patches of 100 samples, the default of CLEF's published comparison, no "
            "weights apply: the features do not depend on the signal."
        ),
    )


MODELS = {
    "moirai_small": _size("small"),
    "moirai_base": _size("base"),
    "moirai": _size("large"),
}
"""The published sizes by name."""
