"""KED: an xresnet1d101 trained to agree with reports and with what a language model knows of the diagnoses."""

from __future__ import annotations

from openclef.preprocessing import Preprocessing
from openclef.published.description import Published


def _first_name(name: str) -> str:
    """Name under which a block's convolutions stand first: the file holds them twice, under `convs` and `convpath.0`.

    Example:
        >>> _first_name("4.0.convpath.0.1.0.weight")
        '4.0.convs.1.0.weight'
    """
    return name.replace(".convpath.0.", ".convs.")


MODELS = {
    "ked": Published(
        title="KED, xresnet1d101",
        backbone="xresnet1d101",
        settings={"leads": 12},
        preprocessing=Preprocessing(fs=100.0, seconds=10.0, band=None, normalise="none"),
        # MIMIC-IV-ECG's order, in which it was trained: aVF stands before aVL.
        leads=("I", "II", "III", "aVR", "aVF", "aVL", "V1", "V2", "V3", "V4", "V5", "V6"),
        layer="mean over time of the last block",
        trained_on="MIMIC-IV-ECG with its machine reports, labels, and texts on the labels; contrastive and supervised",
        licence="as published; none is stated with the code",
        paper="Tian et al., Cell Reports Medicine 2024, https://doi.org/10.1016/j.xcrm.2024.101875",
        code="https://github.com/control-spiderman/ECGFM-KED (models/xresnet1d_101.py)",
        weights="https://zenodo.org/records/14881564",
        file="best_valid_all_increase_with_augment_epoch_3.pt",
        respelled=_first_name,
        holder="ecg_model",
        note=(
            "Signals in mV, neither filtered nor scaled, resampled to 100 Hz by FFT, as in its training; for PTB-XL "
            "its authors scale by one mean and deviation of the data set. Its own use reads all 32 steps of the last "
            "block by attention to a text; here they are averaged, as in its contrastive loss. The file holds three "
            "models; if it is refused: openclef convert_weights FILE OUT.safetensors --key ecg_model."
        ),
    ),
}
"""The published model by name."""
