"""The collapse watch names each cause: provoked through real losses on planted risks, not only through numbers."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
import torch

from openclef.backbone import BACKBONES
from openclef.data import Batch
from openclef.guidance import Guidance
from openclef.method import METHODS
from openclef.method.collapse import likely_causes, spread


def _watch(risk: torch.Tensor, completeness: torch.Tensor, guidance: Guidance, batch: int = 32) -> list[str]:
    """Run one step on planted risks and ask the watch."""
    torch.manual_seed(0)
    method = METHODS["clef"](BACKBONES["resnext1d_small"](leads=1), guidance=guidance)
    views = torch.randn(2, batch, 1, 64)
    step = method(Batch(views[0], views[1], risk[:batch], completeness[:batch], torch.arange(batch)))
    known = risk[torch.isfinite(risk)]
    values = {name: float(value) for name, value in step.weights.items()}
    values |= spread(step.first, step.second)
    values["effective_rank_share"] = 0.5  # an untrained encoder is no case of collapse
    values["negatives"] = 2.0 * (batch - 1)
    values["completeness_mean"] = float(completeness[:batch].mean())
    values["risk_spread"] = float(known.std() / known.median()) if len(known) else 0.0
    return likely_causes(values)


RISK = torch.rand(32, generator=torch.Generator().manual_seed(1)) * 0.2 + 0.01
ONE_EXTREME = torch.cat([RISK[:31] * 0.1, torch.tensor([0.9])])  # min-max scaling presses all others together
MOSTLY_UNKNOWN = torch.where(torch.arange(32) < 6, RISK, torch.nan)  # 97 % of the pairs are neutral
ALL, NONE = torch.ones(32), torch.zeros(32)


def test_nothing_is_said_of_a_sound_batch() -> None:
    assert _watch(RISK, ALL, Guidance(discount="none", difference="rank")) == []


@pytest.mark.parametrize(
    ("risk", "completeness", "guidance", "batch", "cause"),
    [
        (RISK, ALL, Guidance(alpha=1.0, discount="none"), 32, "alpha too high"),
        (ONE_EXTREME, ALL, Guidance(alpha=0.0), 32, "alpha too low"),
        (torch.full((32,), 0.07), ALL, Guidance(), 32, "homogeneous risk"),
        (torch.full((32,), torch.nan), NONE, Guidance(), 32, "all metadata missing"),
        (MOSTLY_UNKNOWN, ALL, Guidance(), 32, "most metadata missing: 9"),
        (RISK, ALL, Guidance(discount="none", difference="rank"), 4, "batch too small"),
    ],
    ids=["alpha-high", "alpha-low", "homogeneous", "missing", "mostly-missing", "small-batch"],
)
def test_each_cause_is_named(risk, completeness, guidance, batch, cause) -> None:
    assert any(sentence.startswith(cause) for sentence in _watch(risk, completeness, guidance, batch))


def test_collapse_is_seen_and_its_cause_named_after_it() -> None:
    point = torch.ones(16, 8) + 1e-7 * torch.randn(16, 8)
    values = spread(point, point) | {"negatives": 6.0}
    sentences = likely_causes(values)
    assert sentences[0].startswith("embeddings are collapsing")
    assert sentences[1].startswith("batch too small")


def test_spread_of_known_shapes() -> None:
    generator = torch.Generator().manual_seed(0)
    isotropic = torch.randn(512, 16, generator=generator)
    values = spread(isotropic, isotropic)
    assert values["effective_rank"] == pytest.approx(16, rel=0.02)
    assert abs(values["mean_cosine"]) < 0.01
    assert values["alignment"] == pytest.approx(0.0, abs=1e-6)
    line = torch.randn(64, 1, generator=generator) * torch.ones(1, 16)
    assert spread(line, line)["effective_rank"] == pytest.approx(1.0, abs=1e-3)
    basis = torch.eye(4)  # different records: orthogonal, squared distance 2
    assert spread(basis, basis)["uniformity"] == pytest.approx(-4.0, abs=1e-5)


def test_collapse_through_training(small_store, tmp_path) -> None:
    """A run whose alignment term drowns the contrast is warned about."""
    import openclef

    sys.path.insert(0, str(Path(__file__).parents[1]))
    from test_training import SMALL

    settings = SMALL | {"epochs": 2, "guidance": Guidance(alpha=1.0, discount="none")}
    with pytest.warns(UserWarning, match="alpha too high"):
        openclef.pretrain([small_store], tmp_path / "run", **settings)
