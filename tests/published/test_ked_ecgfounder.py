"""What is peculiar to KED's and ECGFounder's files."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

import openclef
from openclef.published import PUBLISHED
from tests.published.filling import fill, manifest, wave


def test_keds_checkpoint_holds_three_models_of_which_the_ecg_model_is_taken(tmp_path: Path) -> None:
    tensors = fill(manifest("ked")["tensors"], PUBLISHED["ked"].respelled)
    content = {
        "model": {"other.weight": torch.zeros(3)},
        "ecg_model": tensors,
        "text_encoder": {},
        "epoch": 3,
    }
    torch.save(content, tmp_path / "best.pt")
    encoder = openclef.load("ked", weights=tmp_path / "best.pt")
    with torch.no_grad():
        assert torch.equal(
            encoder(wave(12, 1000, 100)), openclef.load("ked", weights=tensors)(wave(12, 1000, 100))
        )


def test_keds_convolutions_stand_twice_and_must_agree() -> None:
    tensors = fill(manifest("ked")["tensors"], PUBLISHED["ked"].respelled)
    name = "4.0.convpath.0.1.0.weight"
    with pytest.raises(
        ValueError, match=r"for one, 4\.0\.convs\.1\.0\.weight and 4\.0\.convpath\.0\.1\.0\.weight"
    ):
        openclef.load("ked", weights=tensors | {name: tensors[name] + 1})


def test_keds_leads_are_in_the_order_of_its_training_data() -> None:
    encoder = openclef.load("ked", weights=fill(manifest("ked")["tensors"], PUBLISHED["ked"].respelled))
    assert encoder.lead_names.index("aVF") < encoder.lead_names.index("aVL")
    with pytest.raises(ValueError, match="amplitudes in mV count"):
        openclef.embed(encoder, wave(1, 1000, 100)[0].numpy(), fs=100, unit="zscore")


def test_ecgfounder_does_not_use_its_batch_norm() -> None:
    tensors = fill(manifest("ecgfounder")["tensors"])
    changed = {
        name: each + 1 if ".bn" in name or name.startswith("first_bn") else each
        for name, each in tensors.items()
    }
    one, other = (openclef.load("ecgfounder", weights=each) for each in (tensors, changed))
    with torch.no_grad():
        assert torch.equal(one(wave(1, 1000, 500)), other(wave(1, 1000, 500)))
    assert "dense.weight" in one.ignored
    assert "stage_list.0.block_list.0.bn1.weight" in one.ignored


def test_ecgfounders_file_with_a_numpy_number_is_refused_and_converts(tmp_path: Path) -> None:
    tensors = fill(manifest("ecgfounder")["tensors"])
    file, converted = tmp_path / "1_lead_ECGFounder.pth", tmp_path / "weights.safetensors"
    torch.save({"step": 1, "state_dict": tensors, "optimizer": {}, "val_auroc": np.float64(0.9)}, file)
    with pytest.raises(ValueError, match=r"numpy.*openclef convert_weights"):
        openclef.load("ecgfounder", weights=file)
    openclef.convert_weights(file, converted, trust=True)
    one, other = (openclef.load("ecgfounder", weights=each) for each in (converted, tensors))
    with torch.no_grad():
        assert torch.equal(one(wave(1, 5000, 500)), other(wave(1, 5000, 500)))


def test_of_keds_three_models_the_note_names_the_one_to_convert(tmp_path: Path) -> None:
    tensors = fill(manifest("ked")["tensors"], PUBLISHED["ked"].respelled)
    file, converted = tmp_path / "best.pt", tmp_path / "weights.safetensors"
    torch.save({"model": {"other": torch.zeros(3)}, "ecg_model": tensors, "auc": np.float64(0.9)}, file)
    with pytest.raises(ValueError, match=r"numpy.*openclef convert_weights .* --key ecg_model"):
        openclef.load("ked", weights=file)
    assert "--key ecg_model" in PUBLISHED["ked"].note
    openclef.convert_weights(file, converted, trust=True, key="ecg_model")
    one, other = (openclef.load("ked", weights=each) for each in (converted, tensors))
    with torch.no_grad():
        assert torch.equal(one(wave(12, 1000, 100)), other(wave(12, 1000, 100)))
