"""ST-MEM: one lead, and the file that holds the decoder too."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

import openclef
from openclef.model import Encoder
from tests.published.filling import fill, manifest, wave


@pytest.fixture(scope="module")
def tensors() -> dict[str, Tensor]:
    return fill(manifest("st_mem")["tensors"])


@pytest.fixture(scope="module")
def encoder(tensors: dict[str, Tensor]) -> Encoder:
    return openclef.load("st_mem", weights=tensors)


def test_one_lead_in_its_channel_is_that_lead_alone(encoder: Encoder) -> None:
    """The numbers are those of the original code for one lead, given this lead's embedding."""
    signal = torch.zeros(2, 12, 2250)
    signal[:, 1] = wave(12, 2250, 250.0)[:, 1]
    with torch.no_grad():
        features = encoder(signal)
    golden = torch.tensor(manifest("st_mem")["one_lead"]["II"]["embedding"])
    assert float((features[:, :32] - golden).abs().max() / features.abs().max()) < 2e-4


def test_the_full_file_serves_as_well(encoder: Encoder, tensors: dict[str, Tensor]) -> None:
    full = {f"encoder.{name}": tensor for name, tensor in tensors.items()}
    full |= {name: tensor for name, tensor in tensors.items() if name.startswith("to_patch_embedding.")}
    decoder = ("to_decoder_embedding.bias", "mask_embedding", "decoder_pos_embed", "decoder_blocks.0.attn.norm.bias",
               "decoder_norm.bias", "decoder_head.bias")  # fmt: skip
    full |= {name: torch.zeros(1) for name in decoder}
    loaded = openclef.load("st_mem", weights={"epoch": 799, "model": full, "optimizer": None})
    assert set(loaded.ignored) == set(decoder)
    for name, tensor in loaded.state_dict().items():
        assert torch.equal(tensor, encoder.state_dict()[name])
    with pytest.raises(ValueError, match=r"two different tensors for one, .*to_patch_embedding\.1\.bias"):
        openclef.load("st_mem", weights=full | {"to_patch_embedding.1.bias": torch.zeros(75)})
