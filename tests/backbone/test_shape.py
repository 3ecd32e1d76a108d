from __future__ import annotations

import pytest
import torch

from openclef.backbone.shape import check_shape


@pytest.mark.parametrize("shape", [(12, 500), (2, 12, 500), (1, 2, 1, 500)])
def test_other_axes_and_leads_are_named(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match=r"takes \(batch, 1, time\)\. Select 1 lead"):
        check_shape(torch.zeros(shape), leads=1, shortest=8)


def test_lengths_have_their_bounds() -> None:
    for samples in (8, 20):
        check_shape(torch.zeros(1, 3, samples), leads=3, shortest=8, longest=20)
    with pytest.raises(ValueError, match="7 samples; this backbone takes 8 or more"):
        check_shape(torch.zeros(1, 3, 7), leads=3, shortest=8, longest=20)
    with pytest.raises(ValueError, match="21 samples; this backbone takes 20 or fewer"):
        check_shape(torch.zeros(1, 3, 21), leads=3, shortest=8, longest=20)
    check_shape(torch.zeros(1, 3, 10**6), leads=3, shortest=8)
