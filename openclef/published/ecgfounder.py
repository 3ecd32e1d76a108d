"""ECGFounder: supervised on 150 labels of 10.8 million ECGs; one model for one lead and one for twelve."""

from __future__ import annotations

from openclef.preprocessing import Preprocessing
from openclef.published.description import Published
from openclef.signal import LEADS

PREPROCESSING = Preprocessing(fs=500.0, seconds=10.0, band=(0.67, 40.0), order=4, normalise="zscore")


def _of_leads(count: int) -> Published:
    return Published(
        title="ECGFounder, one lead" if count == 1 else "ECGFounder, twelve leads",
        backbone="resnext1d_medium",
        settings={"leads": count, "normalisation": "none"},
        preprocessing=PREPROCESSING,
        leads=() if count == 1 else tuple(LEADS),
        layer="mean over time of the last stage, before the classifier",
        trained_on="10.8 million ECGs of 1.8 million patients (Harvard-Emory), supervised on 150 labels",
        licence="MIT",
        paper="Li et al., NEJM AI 2025, https://arxiv.org/abs/2410.04133",
        code="https://github.com/PKUDigitalHealth/ECGFounder (finetune_model.py, net1d.py)",
        weights="https://huggingface.co/PKUDigitalHealth/ECGFounder",
        file=f"{count}_lead_ECGFounder.pth",
        unused=("dense\\.", "first_bn\\.", r".*\.bn[123]\."),
        note=(
            "Copies of its code also notch 50 Hz before the band-pass and subtract a running median of 0.4 s after it; "
            "its own code for MIMIC-IV-ECG only scales. Both scale all leads of a record together (the same for one "
            "lead). The file has BatchNorm tensors, which its code does not use (use_bn=False). Users report a NumPy "
            "number in the file beside the tensors; if it is refused for that: openclef convert_weights FILE "
            "OUT.safetensors."
        ),
    )


MODELS = {"ecgfounder": _of_leads(1), "ecgfounder_12lead": _of_leads(12)}
"""The model for one lead and that for twelve."""
