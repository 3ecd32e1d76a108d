from __future__ import annotations

import pytest
import torch

from openclef.backbone import projector


def test_it_is_linear_relu_linear() -> None:
    torch.manual_seed(0)
    head = projector(8, hidden=16, out=4)
    features = torch.randn(5, 8)
    first, _, second = head
    by_hand = (features @ first.weight.T + first.bias).clamp(min=0) @ second.weight.T + second.bias
    assert torch.allclose(head(features), by_hand, atol=1e-6)
    assert head.projector_dim == 4


def test_it_is_as_wide_as_its_features_unless_told() -> None:
    assert projector(32)[0].out_features == 32
    assert projector(32).projector_dim == 128


def test_a_record_is_projected_without_regard_to_the_others() -> None:
    torch.manual_seed(0)
    head, features = projector(8).train(), torch.randn(6, 8)
    assert torch.allclose(head(features)[:2], head(features[:2]), atol=1e-6)


@pytest.mark.parametrize("widths", [{"dim": 0}, {"dim": 8, "hidden": 0}, {"dim": 8, "out": -1}])
def test_widths_below_one_are_refused(widths: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="too small"):
        projector(**widths)
