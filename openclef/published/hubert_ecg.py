"""HuBERT-ECG: masked prediction of clusters on 9.1 million ECGs, twelve leads one after another; three sizes."""

from __future__ import annotations

from openclef.preprocessing import Preprocessing
from openclef.published.description import Published
from openclef.published.ecg_fm import older_name
from openclef.signal import LEADS

_NAMES = (
    ("post_extract_proj.", "feature_projection.projection."),
    ("conv_pos.pos_conv.0.", "encoder.pos_conv_embed.conv."),
    ("feature_extractor.conv_layers.0.2.", "feature_extractor.conv_layers.0.layer_norm."),
    (".self_attn_layer_norm.", ".layer_norm."),
    (".self_attn.", ".attention."),
    (".fc1.", ".feed_forward.intermediate_dense."),
    (".fc2.", ".feed_forward.output_dense."),
)


def _published_name(name: str) -> str:
    """Name that transformers' HubertModel gives a tensor of `Wav2Vec2`.

    Example:
        >>> _published_name("encoder.layers.3.fc1.bias"), _published_name("layer_norm.weight")
        ('encoder.layers.3.feed_forward.intermediate_dense.bias', 'feature_projection.layer_norm.weight')
    """
    if name.startswith("layer_norm."):
        return f"feature_projection.{name}"
    for own, published in _NAMES:
        name = name.replace(own, published)
    if name.startswith("feature_extractor.") and ".layer_norm." not in name:
        return name.replace(".0.weight", ".conv.weight")
    return name


def _of_size(size: str) -> Published:
    return Published(
        title=f"HuBERT-ECG, {size}",
        backbone=f"hubert_{size}",
        settings={"leads": 12},
        preprocessing=Preprocessing(fs=100.0, seconds=5.0, band=(0.05, 47.0), order=5, normalise="minmax"),
        leads=tuple(LEADS),
        layer="mean over time of the last transformer layer",
        trained_on="9.1 million 12-lead ECGs of four countries; masked prediction of clusters",
        licence="CC BY-NC 4.0",
        paper="Coppola et al. 2024, https://doi.org/10.1101/2024.11.14.24317328",
        code="https://github.com/Edoar-do/HuBERT-ECG (code/pretrain.py, code/utils.py), HubertModel of transformers",
        weights=f"https://huggingface.co/Edoardo-BS/hubert-ecg-{size}",
        file="model.safetensors",
        published_name=_published_name,
        respelled=older_name,
        unused=("masked_spec_embed", "final_proj\\.", "label_embedding\\."),
        note=(
            "Each lead is scaled from -1 to 1 over its window of 5 s (originally over the record); the band-pass is a "
            "Butterworth filter without delay (originally a causal FIR of 150 taps at 500 Hz); leads that are not "
            "there are 0."
        ),
    )


MODELS = {f"hubert_ecg_{size}": _of_size(size) for size in ("small", "base", "large")}
"""The published sizes by name."""
