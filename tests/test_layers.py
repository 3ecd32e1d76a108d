"""The design's import layers: a module imports only from lower ones, or from its own folder."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parents[1] / "openclef"

LAYERS = {
    0: ["signal", "record", "statistics", "metrics", "ranking", "risk", "optimisation", "settings", "device"],
    1: [
        "formats", "shards", "task", "columns", "store_writing", "dataset_json", "store", "plausibility", "guidance",
        "noise_synthesis", "noise", "augment", "condition", "filtering", "preprocessing", "backbone", "threads",
    ],
    2: [
        "loss", "head", "model", "lead_placement", "published", "shipped", "weight_conversion", "database", "checking",
        "integrity", "linkage", "simulator",
    ],
    3: [
        "pool", "pairing", "data", "method", "validation", "checkpoint", "source_files", "sources", "row_pooling",
        "over_time", "inference", "embedding", "prediction", "cost",
    ],
    4: ["training", "pretraining"],
    5: ["protocol"],
    6: ["reporting", "benchmarking", "demonstration", "speed"],
    7: ["commands", "cli"],
}  # fmt: skip
# Files of one thing that grew into several; those to the right may use those to the left.
ORDERED = [
    ["signal", "record"],
    ["metrics", "statistics"],
    ["shards", "task", "columns", "store_writing", "dataset_json", "store", "plausibility"],
    ["store_writing", "store"],
    ["noise_synthesis", "noise", "augment"],
    ["formats", "noise_synthesis", "condition"],
    ["filtering", "preprocessing"],
    ["head", "model", "published", "weight_conversion"],
    ["source_files", "sources", "row_pooling", "over_time", "inference", "embedding", "prediction", "cost"],
    ["linkage", "checking"],
    ["pool", "pairing", "data", "method", "validation"],
    ["training", "pretraining"],
    ["reporting", "benchmarking", "demonstration"],
    ["commands", "cli"],
]
ALLOWED_UP = {("store_writing", "store")}  # finish() opens what it wrote
LAYER_OF = {name: layer for layer, names in LAYERS.items() for name in names}
NO_TORCH = [
    "signal",
    "record",
    "statistics",
    "risk",
    "formats",
    "store",
    "store_writing",
    "shards",
    "database",
]


def _modules() -> list[tuple[str, Path]]:
    return [
        (".".join(path.relative_to(PACKAGE).with_suffix("").parts), path)
        for path in sorted(PACKAGE.rglob("*.py"))
        if path.relative_to(PACKAGE).as_posix() not in ("__init__.py", "__main__.py")
    ]


def _imports(path: Path) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module:
            if node.module == "openclef":
                found |= {f"openclef.{alias.name}" for alias in node.names}
            else:
                found.add(node.module)
        elif isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
    return found


@pytest.mark.parametrize(
    ("name", "path"), _modules(), ids=lambda value: str(value) if isinstance(value, str) else ""
)
def test_imports_go_down(name: str, path: Path) -> None:
    room = name.split(".")[0]
    assert room in LAYER_OF, f"{name} has no layer; give it one here and in docs/architecture.md"
    for module in _imports(path):
        parts = module.split(".")
        if parts[0] != "openclef" or len(parts) == 1 or parts[1] not in LAYER_OF:
            continue
        target = parts[1]
        ordered = any(
            target in files and room in files and files.index(target) < files.index(room) for files in ORDERED
        )
        lower = LAYER_OF[target] < LAYER_OF[room]
        assert target == room or lower or ordered or (room, target) in ALLOWED_UP, f"{name} imports {module}"


@pytest.mark.parametrize("room", NO_TORCH)
def test_rooms_without_torch(room: str) -> None:
    for name, path in _modules():
        if name.split(".")[0] == room:
            assert not any(module.split(".")[0] == "torch" for module in _imports(path)), name
