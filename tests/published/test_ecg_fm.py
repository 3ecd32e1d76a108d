"""ECG-FM: a file saved by newer PyTorch, where the parts of a weight-normed kernel are called otherwise."""

from __future__ import annotations

import torch

from openclef.published import PUBLISHED, load_published


def test_newer_names_of_the_weight_normed_kernel_are_taken() -> None:
    published = PUBLISHED["ecg_fm"]
    older = {name: torch.rand(like.shape) for name, like in published.expected().items()}
    newer = {
        name.replace("weight_g", "parametrizations.weight.original0").replace(
            "weight_v", "parametrizations.weight.original1"
        ): tensor
        for name, tensor in older.items()
    }
    assert set(newer) != set(older)
    encoder = load_published(
        "ecg_fm", published, {"cfg": {"model": {"in_d": 12}}, "args": None, "model": newer}
    )
    for name, tensor in encoder.backbone.state_dict().items():
        assert torch.equal(tensor, older[name])
