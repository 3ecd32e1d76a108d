"""What can be named elsewhere on the command line."""

# The signatures are the options and the docstrings their help, so nothing heavy is imported up here.
from __future__ import annotations

import json
from importlib import import_module
from typing import Any

__all__ = ["KINDS", "list_things"]


_MODEL_IN_BRIEF = ("name", "title", "what", "parameters", "dim", "signal", "licence", "load")  # JSON has all

KINDS = ("databases", "risks", "backbones", "methods", "protocols", "tasks", "models", "formats")


def list_things(arguments: list[str]) -> int:
    """List what can be named elsewhere on the command line.

    Args:
        arguments: one of KINDS, and "--json true" for JSON instead of lines.

    Example:
        >>> list_things(["methods"])
        clef: CLEF: ...
    """
    import argparse

    parser = argparse.ArgumentParser(prog="openclef list", description="List what can be named elsewhere.")
    parser.add_argument("kind", nargs="?", choices=KINDS, default="databases")
    parser.add_argument("--json", choices=("true", "false"), default="false", help="print JSON")
    given = parser.parse_args(arguments)
    rows = _rows(given.kind)
    if given.json == "true":
        print_json(rows)
        return 0
    for row in rows:
        rest = {key: value for key, value in row.items() if given.kind != "models" or key in _MODEL_IN_BRIEF}
        name = rest.pop("name")
        words = [
            f"{value:,} {key}" if isinstance(value, int) else str(value)
            for key, value in rest.items()
            if value
        ]
        print(f"{name}: {'; '.join(words)}")
    return 0


def _rows(kind: str) -> list[dict[str, Any]]:
    if kind == "databases":
        from openclef.database import DATABASES

        return [
            {
                "name": n,
                "title": d.title,
                "access": d.access,
                "size": d.size,
                "licence": d.licence,
                "url": d.url,
            }
            for n, d in DATABASES.items()
        ]
    if kind == "risks":
        from openclef.risk import SCORES

        return [
            {
                "name": n,
                "title": s.title,
                "inputs": ", ".join(s.inputs),
                "unit": s.unit,
                "validity": s.validity,
                "source": s.source,
            }
            for n, s in SCORES.items()
        ]
    if kind == "tasks":
        from openclef.database import DATABASES
        from openclef.simulator.cohort import TASKS

        found = [{"name": task, "database": n} for n, d in DATABASES.items() for task in d.tasks]
        return found + [{"name": task.name, "database": "openclef simulate"} for task in TASKS]
    if kind == "formats":
        from openclef.formats import FORMATS

        return [{"name": name, "what": each.title} for name, each in FORMATS.items()]
    import torch

    from openclef.backbone import BACKBONES
    from openclef.method import METHODS
    from openclef.protocol import NETWORK_PROTOCOLS, PROTOCOLS

    if kind == "models":
        return _shipped() + _published()
    if kind == "backbones":
        with torch.device("meta"):  # counts parameters without making them
            nets = {name: build() for name, build in BACKBONES.items()}
        return [
            {"name": name, "dim": net.dim, "parameters": sum(p.numel() for p in net.parameters())}
            for name, net in nets.items()
        ]
    if kind == "protocols":
        protocols = PROTOCOLS | NETWORK_PROTOCOLS
        return [
            {"name": name, "what": (each.__doc__ or "").split("\n")[0]} for name, each in protocols.items()
        ]
    return [
        {"name": name, "what": (import_module(each.__module__).__doc__ or "").split("\n")[0]}
        for name, each in METHODS.items()
    ]


def _published() -> list[dict[str, Any]]:
    import torch

    from openclef.published import PUBLISHED

    rows = []
    for name, each in PUBLISHED.items():
        with torch.device("meta"):
            net = each.build()
        before = each.preprocessing
        rows.append(
            {
                "name": name,
                "title": each.title,
                "backbone": each.backbone,
                "dim": net.dim,
                "parameters": sum(p.numel() for p in net.parameters()),
                "signal": f"{len(each.leads) or 'one'} lead{'s' * bool(each.leads)} at {before.fs:g} Hz, windows of "
                f"{before.seconds:g} s",
                "leads": list(each.leads),
                "fs_hz": before.fs,
                "window_s": before.seconds,
                "band_hz": None if before.band is None else list(before.band),
                "normalise": before.normalise,
                "layer": each.layer,
                "trained_on": each.trained_on,
                "licence": each.licence,
                "paper": each.paper,
                "code": each.code,
                "weights": each.weights,
                "file": each.file,
                "note": each.note,
                "load": f"openclef.load({name!r}, weights={each.file!r})",
            }
        )
    return rows


def _shipped() -> list[dict[str, Any]]:
    from openclef.checkpoint import load
    from openclef.shipped import SHIPPED

    rows = []
    for name, what in SHIPPED.items():
        encoder = load(name)
        rows.append(
            {
                "name": name,
                "what": what,
                "backbone": encoder.backbone_name,
                "dim": encoder.dim,
                "parameters": sum(p.numel() for p in encoder.parameters()),
                "signal": f"one lead at {encoder.preprocessing.fs:g} Hz",
                "load": f"openclef.load({name!r})",
            }
        )
    return rows


def print_json(value: Any) -> None:
    """Print a value as indented JSON."""
    print(json.dumps(value, indent=1, default=str))
