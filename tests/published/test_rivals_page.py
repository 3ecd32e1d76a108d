"""docs/rivals.md: its table is what the descriptions and manifests say, and it has every method."""

from __future__ import annotations

import inspect
from pathlib import Path

import torch

import openclef
from openclef.method import METHODS
from openclef.published import PUBLISHED
from tests.published.filling import MANIFESTS, manifest

PAGE = Path(__file__).parents[2] / "docs" / "rivals.md"
HEADINGS = (
    "name", "tensors in the file", "parameters in the file", "used", "features", "leads", "Hz", "window", "band, Hz",
    "scaled", "layer read", "trained on", "licence", "weights",
)  # fmt: skip


def table() -> str:
    """The table of foundation models, as Markdown."""
    lines = [HEADINGS, ("---",) * len(HEADINGS), *(_row(name) for name in PUBLISHED)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines) + "\n"


def _row(name: str) -> tuple[str, ...]:
    each = PUBLISHED[name]
    with torch.device("meta"):
        net = each.build()
    known = manifest(name) if (MANIFESTS / f"{name}.json").is_file() else None
    before = each.preprocessing
    band = "none" if before.band is None else f"{before.band[0]:g} to {before.band[1]:g}"
    return (
        f"`{name}`",
        f"{known['count']:,}" if known else "",
        f"{known['parameters']:,}" if known else "",
        f"{sum(p.numel() for p in net.parameters()):,}",
        str(net.dim),
        "one" if not each.leads else str(len(each.leads)),
        f"{before.fs:g}",
        f"{before.seconds:g} s",
        band,
        {"zscore": "z-score", "minmax": "-1 to 1", "none": "mV"}[before.normalise],
        each.layer,
        each.trained_on,
        each.licence,
        f"[{each.file}]({each.weights})",
    )


def test_the_table_is_what_the_descriptions_say() -> None:
    assert table() in PAGE.read_text(encoding="utf-8")


def test_every_method_s_own_settings_stand_beside_it() -> None:
    common = set(inspect.signature(openclef.pretrain).parameters) | {"backbone", "training_risk"}
    lines = PAGE.read_text(encoding="utf-8").splitlines()
    for name, method in METHODS.items():
        own = {
            key: each.default
            for key, each in inspect.signature(method).parameters.items()
            if key not in common
        }
        told = ", ".join(f"`{key}` {default}" for key, default in own.items())
        assert next(line for line in lines if line.startswith(f"| `{name}` |")).endswith(f"| {told} |")


def test_every_method_has_its_equation() -> None:
    text = PAGE.read_text(encoding="utf-8")
    for name in METHODS:
        assert f"| `{name}` |" in text
        if name != "clef":  # has a page of its own
            section = text.split(f"\n### {name}\n")[1].split("\n###")[0]
            assert "\n    " in section, f"{name} has no equation"
            assert "arXiv" in section or name in ("risk_regression", "mixture")
