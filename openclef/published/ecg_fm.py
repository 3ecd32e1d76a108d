"""ECG-FM: wav2vec 2.0 with contrastive segments and random lead masking, on 12 leads."""

from __future__ import annotations

from openclef.preprocessing import Preprocessing
from openclef.published.description import Published
from openclef.signal import LEADS

RESPELLED = {"parametrizations.weight.original0": "weight_g", "parametrizations.weight.original1": "weight_v"}
"""What newer PyTorch calls the two parts of a weight-normed kernel, and what older PyTorch did."""


def older_name(name: str) -> str:
    """Name of a tensor as older PyTorch saves it.

    Example:
        >>> older_name("conv_pos.pos_conv.0.parametrizations.weight.original0")
        'conv_pos.pos_conv.0.weight_g'
    """
    for newer, older in RESPELLED.items():
        name = name.replace(newer, older)
    return name


MODELS = {
    "ecg_fm": Published(
        title="ECG-FM, wav2vec 2.0 base encoder (90.9 million parameters with its heads)",
        backbone="wav2vec2_base",
        settings={"leads": 12},
        preprocessing=Preprocessing(fs=500.0, seconds=5.0, band=None, normalise="zscore"),
        leads=tuple(LEADS),
        layer="mean over time of the last transformer layer",
        trained_on=(
            "MIMIC-IV-ECG 1.0 and PhysioNet/CinC 2021 (with PTB-XL, Chapman, Ningbo, CPSC 2018, Georgia), without "
            "labels: wav2vec 2.0, contrast of adjacent segments, random lead masking"
        ),
        licence="MIT",
        paper="McKeen et al., JAMIA Open 2025, https://arxiv.org/abs/2408.05178",
        code="https://github.com/Jwoo5/fairseq-signals (models/wav2vec2, modules)",
        weights="https://huggingface.co/wanglab/ecg-fm",
        file="mimic_iv_ecg_physionet_pretrained.pt",
        respelled=older_name,
        unused=("mask_emb", "quantizer.", "project_q.", "final_proj."),
        note=(
            "Leads are scaled over the window of 5 s (originally over the record before it is cut); other rates are "
            "resampled by FFT (originally by linear interpolation). Empty leads are zeros, as in its random lead "
            "masking."
        ),
    ),
}
