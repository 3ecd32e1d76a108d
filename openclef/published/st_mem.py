"""ST-MEM: a spatio-temporal masked autoencoder that takes any set of the 12 leads."""

from __future__ import annotations

from openclef.preprocessing import Preprocessing
from openclef.published.description import Published
from openclef.signal import LEADS


def _encoder_name(name: str) -> str:
    """Name in the encoder's file of a tensor of the full file, where the encoder is a part.

    Example:
        >>> _encoder_name("encoder.norm.weight"), _encoder_name("norm.weight")
        ('norm.weight', 'norm.weight')
    """
    return name.removeprefix("encoder.")


MODELS = {
    "st_mem": Published(
        title="ST-MEM, ViT-B/75 encoder of a spatio-temporal masked autoencoder",
        backbone="st_mem_base",
        settings={"leads": 12},
        preprocessing=Preprocessing(fs=250.0, seconds=9.0, band=(0.67, 40.0), order=5, normalise="zscore"),
        leads=tuple(LEADS),
        layer="mean of the patches' tokens after the last block, without separators, then the final LayerNorm",
        trained_on=(
            "Chapman, Ningbo and CODE-15, about 189,000 records without labels: reconstruction of masked patches"
        ),
        licence="VUNO Inc., all rights reserved; use within its repository's licence (reported as CC BY-NC 4.0)",
        paper="Na et al., ICLR 2024, https://openreview.net/forum?id=WcOohbsF4H",
        code="https://github.com/vuno/ST-MEM (models/encoder/st_mem_vit.py), before that bakqui/ST-MEM",
        weights="https://github.com/vuno/ST-MEM (README: encoder, or encoder and decoder)",
        file="st_mem_vit_base_encoder.pth",
        respelled=_encoder_name,
        unused=("head.", "to_decoder_embedding.", "mask_embedding", "decoder_"),
        note=(
            "Of 10 s it reads the first 9 (its authors average the predictions of three crops). Each lead is scaled by "
            "itself (originally all leads of a record together; the same for one lead), and a band-pass replaces a "
            "high-pass, then a low-pass. A lead alone has its own lead embedding and no empty leads beside it, as in a "
            "model of one lead; the released code would pair it with all twelve embeddings."
        ),
    ),
}
