"""MOMENT (Goswami et al. 2024): a general time series model in three sizes, used on ECG as it comes."""

from __future__ import annotations

from openclef.preprocessing import Preprocessing
from openclef.published.description import Published

PREPROCESSING = Preprocessing(fs=102.4, seconds=5.0, band=(0.67, 40.0), order=5, normalise="zscore")
"""512 samples, as in pretraining: two windows of a recording of 10 s."""


def _size(size: str) -> Published:
    return Published(
        title=f"MOMENT-1, {size}",
        backbone=f"moment_{size}",
        settings={"leads": 1},
        preprocessing=PREPROCESSING,
        layer="mean over patches of the encoder's last layer",
        trained_on=(
            "Time Series Pile: public series of many fields, ECG among them (UCR/UEA; TSB-UAD, with MIT-BIH); masked "
            "patches reconstructed"
        ),
        licence="MIT",
        paper="Goswami et al. 2024, arXiv 2402.03885",
        code="https://github.com/moment-timeseries-foundation-model/moment",
        weights=f"https://huggingface.co/AutonLab/MOMENT-1-{size}",
        file="model.safetensors",
        unused=("patch_embedding.mask_embedding", "encoder.embed_tokens.", "head."),
        note=(
            "MOMENT knows no sampling rate and takes 512 samples: here 5 s at 102.4 Hz, so that 40 Hz are kept and "
            "10 s are two windows, averaged where records are judged. Its authors' example squeezes 10 s into 512 "
            "samples (51 Hz); CLEF's published comparison passes 5000 samples at once. "
            "What is missing is 0, not masked."
        ),
    )


MODELS = {
    "moment_small": _size("small"),
    "moment_base": _size("base"),
    "moment": _size("large"),
}
"""The published sizes by name."""
