"""What each model of a benchmark costs: size, operations and speed, measured once for each architecture."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from openclef.benchmarking.cell import Cell
from openclef.benchmarking.competitor import Competitor, describe_encoder, load_source
from openclef.benchmarking.kept import Kept
from openclef.device import processor_name

__all__ = ["cost_rows"]


def cost_rows(cells: Sequence[Cell], kept: Kept) -> list[dict[str, Any]]:
    """Return what embedding 10 s of a lead costs with each model that embeds, on this machine.

    Args:
        cells: That were judged.
        kept: Where measurements are kept: another call on the same machine measures nothing anew.

    Returns:
        Rows of `costs.csv`, smallest model first.

    Example:
        >>> cost_rows([], Kept("nowhere"))
        []
    """
    import torch

    models = {each.competitor.name: each.competitor for each in cells if _embeds(each)}
    machine = {
        "threads": torch.get_num_threads(),
        "cpu": processor_name(),
        "torch": torch.__version__,
    }
    rows = []
    for name, competitor in models.items():
        about = {"what": "cost", "of": _decisive(competitor), **machine}
        found = kept.get(about, lambda competitor=competitor: _measured(competitor))  # type: ignore[misc]
        rows.append({"model": name, **found, "threads": machine["threads"], "cpu": machine["cpu"]})
    return sorted(rows, key=lambda row: (row["parameters"], row["model"]))


def _embeds(cell: Cell) -> bool:
    return cell.protocol != "scratch" and (
        bool(cell.competitor.sources) or cell.competitor.name == "random_encoder"
    )


def _decisive(competitor: Competitor) -> dict[str, Any]:
    """What decides the cost: the architecture and its preprocessing; the weights only where it is not openclef's."""
    from openclef.backbone import BACKBONES

    about = competitor.about
    if competitor.architecture is not None:
        about = describe_encoder(competitor.architecture.encoder(0))
    known = {name: about.get(name) for name in ("backbone", "parameters", "dim", "preprocessing")}
    return known if about.get("backbone") in BACKBONES else known | {"weights": competitor.weights[:1]}


def _measured(competitor: Competitor) -> dict[str, Any]:
    from openclef.cost import embedding_cost
    from openclef.embedding import preprocessing_of

    if competitor.architecture is not None:
        encoder = competitor.architecture.encoder(0)
    else:
        encoder = load_source(competitor.sources[0])
    names = getattr(encoder, "lead_names", ())
    cost = embedding_cost(encoder, lead="I" if not names or "I" in names else names[0])
    before = preprocessing_of(encoder)
    return {
        "backbone": getattr(encoder, "backbone_name", "") or type(encoder).__name__,
        "parameters": cost.parameters,
        "dim": int(encoder.dim),
        "leads": " ".join(names) or "one",
        "fs_hz": before.fs,
        "window_s": before.seconds,
        "gflop": round(cost.gflop, 4),
        "embeddings_per_second": round(cost.embeddings_per_second, 1),
    }
