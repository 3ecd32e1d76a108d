"""Same-subject contrast against a slow reference, and in a run."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F

import openclef
from openclef.augment import Views
from openclef.backbone import BACKBONES
from openclef.data import Batch
from openclef.method import METHODS


def _slow(z: list[torch.Tensor], subject: list[int], temperature: float) -> float:
    """Mean over views; within a view over all other views of its subject; negatives are other subjects' views."""
    views = [F.normalize(each.double(), dim=0) for each in z]
    whose = subject * 2
    rows = []
    for i, view in enumerate(views):
        negatives = sum(
            math.exp(float(view @ other) / temperature)
            for k, other in enumerate(views)
            if whose[k] != whose[i]
        )
        terms = []
        for k, other in enumerate(views):
            if k != i and whose[k] == whose[i]:
                positive = math.exp(float(view @ other) / temperature)
                terms.append(-math.log(positive / (positive + negatives)))
        rows.append(sum(terms) / len(terms))
    return sum(rows) / len(rows)


@pytest.mark.parametrize("subject", [[0, 1, 2, 3, 4], [0, 1, 0, 2, 1], [0, 0, 0, 1, 1]])
def test_loss_equals_the_slow_reference(subject: list[int]) -> None:
    torch.manual_seed(0)
    method = METHODS["same_subject"](
        BACKBONES["resnext1d_small"](leads=1), projector_dim=8, temperature=0.3
    ).double()
    first, second = torch.randn(2, 5, 1, 200, dtype=torch.float64)
    nan = torch.full((5,), torch.nan)
    step = method(Batch(first, second, nan, torch.zeros(5), torch.tensor(subject)))
    z = method.projector(method.backbone(torch.cat([first, second]))).detach()
    assert float(step.loss) == pytest.approx(_slow(list(z), subject, 0.3), abs=1e-6)


def test_with_one_window_a_subject_it_is_simclr() -> None:
    torch.manual_seed(0)
    backbone = BACKBONES["resnext1d_small"](leads=1)
    views = torch.randn(2, 6, 1, 200)
    batch = Batch(views[0], views[1], torch.full((6,), torch.nan), torch.zeros(6), torch.arange(6))
    assert torch.allclose(
        METHODS["same_subject"](backbone)(batch).loss, METHODS["simclr"](backbone)(batch).loss
    )


def test_a_run_takes_partners_without_being_told(
    small_store: openclef.Store, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = {"epochs": 1, "batch_size": 8, "preprocessing": openclef.Preprocessing(fs=100)}
    store = openclef.simulate(tmp_path / "sim", patients=30, records_per_patient=2.0, workers=1)
    run = openclef.pretrain(store, tmp_path / "same", method="same_subject", **settings)
    assert run.model.dim == 256
    assert "% of the windows are their subject's only one, and are paired with themselves" in " ".join(
        capsys.readouterr().out.split()
    )
    with pytest.raises(ValueError, match="queue_size, which are no settings of same_subject"):
        openclef.pretrain(
            [store],
            tmp_path / "other",
            method="same_subject",
            method_settings={"queue_size": 3},
            **settings,
        )
    for changes in ({"method": "same_subject"}, {"method": "vicreg", "views": Views(partner="subject")}):
        with pytest.raises(ValueError, match="no subject has two windows in one store"):
            openclef.pretrain([small_store], tmp_path / "alone", **settings, **changes)
    assert not (tmp_path / "alone").exists()
