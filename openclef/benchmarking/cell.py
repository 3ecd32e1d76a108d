"""One cell of the grid: a competitor on a task, a lead, a protocol and a label budget, and what was found."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd

from openclef.benchmarking.competitor import Competitor
from openclef.benchmarking.kept import hash_of
from openclef.condition import Condition
from openclef.protocol import NETWORK_PROTOCOLS
from openclef.protocol.cache import store_sha256
from openclef.protocol.network import Finetuning
from openclef.protocol.scoring import MIN_POSITIVES
from openclef.shards import sha256_of
from openclef.store import Store
from openclef.task import Task

__all__ = ["Cell", "Grid", "JudgedCell", "read_predictions"]

OWN = "own"  # stands for the lead in averages and ranks where each task has its own
_LONGEST_NAME = 100  # bytes of a folder's name


@dataclass(frozen=True)
class Grid:
    """What is the same for all cells of a benchmark; see `openclef.benchmark`.

    Args:
        split: Judged split.
        seeds: Of random encoders and of label budgets.
        training_seeds: Of network protocols.
        by: Parts that are judged too, with all training labels.
        conditions: That are judged too, with all training labels.
        draws: Bootstrap draws.
        permutations: Of a comparison.
        min_positives: Of a measurable label.
        seed: Of budgets, draws and permutations.
        reference: The model that changes are relative to.
        pairs: Which models are compared with each other: "all", or "reference": with that one only.
        finetuning: Settings of network protocols.
        batch_size: Windows embedded at a time.
        device: Where to compute.
        workers: Processes that measure classical features.

    Example:
        >>> Grid().split
        'test'
    """

    split: str = "test"
    seeds: tuple[int, ...] = (0, 1, 2, 3, 4)
    training_seeds: tuple[int, ...] = (0, 1, 2, 3, 4)
    by: tuple[str, ...] = ()
    conditions: tuple[Condition, ...] = ()
    draws: int = 1000
    permutations: int = 1000
    min_positives: int = MIN_POSITIVES
    seed: int = 0
    reference: str = "random_encoder"
    pairs: str = "all"
    finetuning: Finetuning = field(default_factory=Finetuning)
    batch_size: int = 256
    device: str | None = None
    workers: int = -1

    def seeds_of(self, protocol: str) -> tuple[int, ...]:
        """The seeds of a protocol.

        Example:
            >>> Grid(training_seeds=(0,)).seeds_of("finetune")
            (0,)
        """
        return self.training_seeds if protocol in NETWORK_PROTOCOLS else self.seeds


@dataclass(frozen=True)
class Cell:
    """A cell of the grid.

    Args:
        task: The task.
        lead: Lead by name.
        protocol: Protocol by name.
        label_share: Share of the training subjects whose labels are used.
        competitor: Who is judged.
        stores: The stores that declare the task.
        own_lead: Whether each task of the grid is judged on one lead of its own.

    Example:
        >>> task = Task("a/af", "binary", ("af",), ("af",))
        >>> str(Cell(task, "I", "probe", 0.1, Competitor("clef"), ()))
        'a/af, lead I, probe, 0.1 of the labels: clef'
    """

    task: Task
    lead: str
    protocol: str
    label_share: float
    competitor: Competitor
    stores: tuple[Store, ...]
    own_lead: bool = False

    def __str__(self) -> str:
        share = f", {share_name(self.label_share)} of the labels" if self.label_share < 1 else ""
        return f"{self.task.name}, lead {self.lead}, {self.protocol}{share}: {self.competitor.name}"

    @property
    def lead_of_group(self) -> str:
        """The lead under which averages and ranks are taken: its name, or "own" where each task has its own."""
        return OWN if self.own_lead else self.lead

    @property
    def place(self) -> Path:
        """Its folder below `cells`, and below `runs` that of its trainings."""
        parts = [
            *self.task.name.split("/"),
            self.lead,
            self.protocol,
            share_name(self.label_share),
            self.competitor.name,
        ]
        return Path(*map(_folder_name, parts))

    @property
    def about(self) -> dict[str, Any]:
        """What stands in the tables of all that is computed from it."""
        return {
            "task": self.task.name,
            "lead": self.lead,
            "protocol": self.protocol,
            "label_share": self.label_share,
        }

    def key(self, grid: Grid) -> dict[str, Any]:
        """Everything that decides its result, in plain values; the version of openclef is left out."""
        whole = self.label_share == 1
        network = self.protocol in NETWORK_PROTOCOLS
        seeded = network or not whole or self.competitor.architecture is not None
        key = {
            "format_version": 1,
            "task": self.task.as_json(),
            "lead": self.lead,
            "protocol": self.protocol,
            "label_share": self.label_share,
            **self.competitor.as_key(),
            "stores": [store_sha256(store) for store in self.stores],
            "split": grid.split,
            "seeds": list(grid.seeds_of(self.protocol)) if seeded else None,
            "by": list(grid.by) if whole else [],
            "conditions": [asdict(one) for one in grid.conditions] if whole else [],
            "draws": grid.draws,
            "min_positives": grid.min_positives,
            "seed": grid.seed,
            "finetuning": asdict(grid.finetuning) if network else None,
            "noise": noise_sha256(grid.finetuning) if network else None,
        }
        return json.loads(json.dumps(key, default=str))


@dataclass(frozen=True)
class JudgedCell:
    """A cell whose result lies in its folder.

    Args:
        cell: The cell.
        folder: Its folder.
        sha256: Hash of its predictions.
        metrics: Its metrics.
        seconds: How long judging it took.
        note: What its evaluation could not check; "" = nothing.

    Example:
        >>> JudgedCell.__dataclass_fields__["sha256"].type
        'str'
    """

    cell: Cell
    folder: Path
    sha256: str
    metrics: pd.DataFrame
    seconds: float
    note: str = ""

    @property
    def models(self) -> list[str]:
        """Names of the models in it: the competitor alone and, where there is age or sex, with these appended."""
        return list(dict.fromkeys(self.metrics["model"]))

    def predictions(self, split: str) -> pd.DataFrame:
        """Read its predictions of a split, of recordings as they are."""
        return read_predictions(self.folder, split)

    def value(self, model: str, metric: str) -> float:
        """A metric of all its records as they are; NaN where it was not measured."""
        table = self.metrics
        rows = table[
            (table["model"] == model)
            & (table["metric"] == metric)
            & (table["condition"] == "")
            & (table["part"] == "")
        ]
        return float(rows["value"].iloc[0]) if len(rows) else float("nan")


def read_predictions(folder: Path, split: str) -> pd.DataFrame:
    """Read the predictions of a cell of a split, of recordings as they are.

    Args:
        folder: Of the cell.
        split: The split.

    Returns:
        Rows as `openclef.evaluate` gives them.

    Example:
        >>> read_predictions(Path("nowhere"), "test")
        Traceback (most recent call last):
        ...
        FileNotFoundError: ...
    """
    recorded = [("split", "==", split), ("condition", "==", "")]
    return pd.read_parquet(folder / "predictions.parquet", filters=recorded)


def share_name(share: float) -> str:
    """A label share as a folder's name.

    Example:
        >>> share_name(0.1), share_name(1.0), share_name(0.3000001)
        ('0.1', '1', '0.3000001')
    """
    short = f"{share:g}"
    return short if float(short) == share else repr(float(share))


def noise_sha256(finetuning: Finetuning) -> str | None:
    """Hash of the recorded noise that training adds.

    Example:
        >>> noise_sha256(Finetuning()) is None
        True
    """
    file = None if finetuning.views is None else finetuning.views.noise_file
    return None if file is None or not Path(file).is_file() else sha256_of(file)


def _folder_name(name: str) -> str:
    """A name as a folder; where letters had to give way or were too many, a hash keeps it apart from others."""
    plain = "".join(letter if letter.isalnum() or letter in "-_." else "_" for letter in name)
    short = plain.encode(errors="replace")[:_LONGEST_NAME].decode(errors="ignore")
    return short if short == name and plain.strip(".") else f"{short}-{hash_of({'name': name})[:6]}"
