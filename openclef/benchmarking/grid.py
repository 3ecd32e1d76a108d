"""The grid: judge all cells that are not judged yet, then write the tables."""

from __future__ import annotations

import platform
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pandas as pd
from rich.console import Console
from rich.progress import track

import openclef
from openclef.benchmarking.averages import average_rows
from openclef.benchmarking.call import (
    accepted_names,
    leads_by_name,
    listed,
    place_for,
    seed_list,
    share_list,
)
from openclef.benchmarking.cell import OWN, Cell, Grid, JudgedCell
from openclef.benchmarking.comparisons import comparison_rows
from openclef.benchmarking.competitor import Architecture, Competitor, name_models
from openclef.benchmarking.contents import label_rows, metric_rows, reliability_rows
from openclef.benchmarking.costs import cost_rows
from openclef.benchmarking.judging import judge_all
from openclef.benchmarking.kept import Kept
from openclef.benchmarking.ranks import rank_rows
from openclef.benchmarking.sources import describe_store, find_tasks, leads_of, open_sources
from openclef.benchmarking.tables import Benchmark, write_table
from openclef.condition import Condition, check_conditions
from openclef.device import checked_device
from openclef.protocol import NETWORK_PROTOCOLS, PROTOCOLS
from openclef.protocol.baselines import has_age_sex, is_age_or_sex
from openclef.protocol.evaluation import PARTS, SPLITS
from openclef.protocol.ledger import FILE, read_looks
from openclef.protocol.methods import BASELINES
from openclef.protocol.network import Finetuning
from openclef.shards import hold_folder, write_json
from openclef.statistics import check_counts
from openclef.store import Store

__all__ = ["Benchmark", "benchmark"]

ONLY_PROBE = ("age_sex", "features")  # baselines without an embedding: no neighbours, nothing to fine-tune


def benchmark(
    models: Any,
    stores: Any,
    out: str | Path,
    *,
    tasks: Sequence[str] | str | None = None,
    protocols: Sequence[str] | str = ("probe",),
    leads: Sequence[str] | str | None = None,
    label_shares: Sequence[float] | float = (1.0,),
    baselines: Sequence[str] = ("random_encoder", "age_sex", "features"),
    seeds: Sequence[int] = (0, 1, 2, 3, 4),
    training_seeds: Sequence[int] | None = None,
    conditions: Sequence[Condition] = (),
    by: Sequence[str] | str = ("sex", "age_band"),
    split: str = "test",
    reference: str = "random_encoder",
    pairs: str = "all",
    draws: int = 1000,
    permutations: int = 1000,
    finetuning: Finetuning = Finetuning(),  # noqa: B008 - a frozen dataclass of settings
    batch_size: int = 256,
    device: str | None = None,
    min_positives: int = 10,
    seed: int = 0,
    quiet: bool = False,
) -> Benchmark:
    """Judge models and baselines on tasks, leads, protocols and label budgets, compare them, and write tables.

    Each cell of the grid is one `openclef.evaluate`, kept in the folder: the same call goes on where it was
    interrupted, and a call with one model more judges that model only. A cell that cannot be judged (a store lacks
    the lead, a model has seen the judged subjects) is listed in `skipped.csv`, and the rest goes on.

    Args:
        models: A mapping from name to an encoder, the folder of a run, or a list of these (seeds of one method); or a
            list of encoders, folders and baselines, which are named after themselves. Empty = baselines alone.
        stores: Stores, their folders, or `.csv` files that list files of your own (docs/own-files.md).
        out: Folder for cells, tables and what may be used again.
        tasks: Names; None = all that the stores declare. A task is judged on all stores that declare it.
        protocols: Of "probe", "knn", "finetune" and "scratch".
        leads: Leads by name, each task on those of them that its stores have. None = one lead a task: I, or where its
            stores lack that their first, so that averages and ranks are over all tasks.
        label_shares: Shares of the training subjects whose labels are used.
        baselines: Of "random_encoder" (under "probe" and "knn"), "age_sex" (under "probe", where the stores know age or
            sex and the task does not ask for these) and "features" (under "probe"), and "scratch", which is the same as
            the protocol of that name.
        seeds: Of random encoders, of training, and of label budgets.
        training_seeds: Of "finetune" and "scratch", where they shall be fewer; None = seeds.
        conditions: Changed recordings that the fitted models judge too, with all training labels.
        by: Parts of the judged records that stand apart too, with all training labels: "sex", "age_band", "store".
        split: "test", or "val" while you choose anything.
        reference: Name of the model that changes in % are relative to.
        pairs: Which models are compared with each other, besides with the baselines: "all" pairs, or each with the
            "reference" only, which is faster where there are many and adjusts for fewer comparisons.
        draws: Bootstrap draws over subjects and seeds.
        permutations: Of each comparison.
        finetuning: Settings of "finetune" and "scratch".
        batch_size: Windows embedded at a time.
        device: Where to compute, for example "cuda"; None = as `openclef.evaluate` has it.
        min_positives: Fewest positives and negatives of a label that enters a mean, and fewest records of a regression.
        seed: Of label budgets, draws and permutations.
        quiet: Print nothing.

    Returns:
        A `Benchmark`: `.metrics`, `.comparisons`, `.averages` and the other tables of docs/benchmark.md.

    Raises:
        FileNotFoundError: A model or a store is not there.
        FileExistsError: `out` is a file, or holds something else than a benchmark.
        BlockingIOError: Another benchmark is running in `out`.
        ValueError: A name or a number cannot be right, no store declares a task, or no cell can be judged.

    Example:
        >>> benchmark([], [], "runs/benchmark", protocols=("prob",))
        Traceback (most recent call last):
        ...
        ValueError: protocols are 'prob'; accepted are probe, knn, finetune, scratch.
    """
    start = time.perf_counter()
    check_counts(
        draws=draws, permutations=permutations, batch_size=batch_size, min_positives=min_positives, seed=seed
    )
    folder = place_for(out)
    changes = listed("conditions", conditions)
    check_conditions(changes)
    if not isinstance(finetuning, Finetuning):
        raise ValueError(f"finetuning is {finetuning!r}; pass openclef.Finetuning(...).")
    wanted = accepted_names("protocols", protocols, (*PROTOCOLS, *NETWORK_PROTOCOLS))
    if not wanted:
        raise ValueError("protocols are empty; pass at least one.")
    accepted_names("baselines", baselines, BASELINES)
    accepted_names("split", [split], SPLITS)
    parts = accepted_names("by", by, PARTS)
    shares, places = share_list(label_shares), leads_by_name(leads)
    drawn = seed_list("seeds", seeds)
    trained = drawn if training_seeds is None else seed_list("training_seeds", training_seeds)
    asked = None if tasks is None else listed("tasks", tasks)
    if device is not None:
        checked_device(device)
    given, named, architecture = name_models(models)
    among = accepted_names("baselines", [*named, *listed("baselines", baselines)], BASELINES)
    if "scratch" in among and "scratch" not in wanted:
        wanted.append("scratch")
    accepted_names("reference", [reference], (*(each.name for each in given), *BASELINES))
    accepted_names("pairs", [pairs], ("all", "reference"))
    grid = Grid(
        split=split,
        seeds=drawn,
        training_seeds=trained,
        by=tuple(parts),
        conditions=tuple(changes),
        draws=draws,
        permutations=permutations,
        min_positives=min_positives,
        seed=seed,
        reference=reference,
        pairs=pairs,
        finetuning=finetuning,
        batch_size=batch_size,
        device=device,
    )
    console = Console(stderr=True, quiet=quiet, highlight=False, markup=False, soft_wrap=True)
    with _held(folder):
        about: dict[str, Any] = {
            "format": "openclef-benchmark",
            "format_version": 1,
            "openclef_version": openclef.__version__,
            "versions": _versions(),
            "started": datetime.now(UTC).isoformat(timespec="seconds"),
            "finished": None,
            "settings": {
                "tasks": asked or [],
                "protocols": wanted,
                "leads": [OWN] if places is None else places,
                "label_shares": shares,
                "baselines": among,
                **asdict(grid),
                "conditions": [asdict(one) | {"name": one.name} for one in grid.conditions],
            },
        }
        _claim(folder, about)
        opened = open_sources(stores, folder, quiet=quiet)
        of_tasks = find_tasks(opened, asked)
        cells = list(_cells(given, among, architecture, of_tasks, wanted, places, shares))
        judged, skipped, counts = judge_all(cells, grid, folder, console)
        collated = time.perf_counter()
        unread = _write_tables(folder, judged, skipped, grid, opened, console)
        write_table(
            folder, "costs", cost_rows([each.cell for each in judged], Kept(folder / "cache" / "costs"))
        )
        now = time.perf_counter()
        about["settings"]["tasks"] = list(of_tasks)
        about |= {
            "models": _describe(cells),
            "stores": [describe_store(store) for store in opened],
            "tasks": [
                stores[0].tasks[task].as_json() | {"stores": [store.name for store in stores]}
                for task, stores in of_tasks.items()
            ],
            "cells": counts,
            "seconds": round(sum(each.seconds for each in judged) + now - collated, 1),
            "seconds_of_this_call": round(now - start, 1),
            "notes": [
                *_notes(judged),
                *_notes_of_models(cells),
                *_note_of_permutations(folder, grid),
                *unread,
            ],
            "finished": datetime.now(UTC).isoformat(timespec="seconds"),
        }
        write_json(folder / "benchmark.json", about)
    return Benchmark(folder)


@contextmanager
def _held(folder: Path) -> Iterator[None]:
    with ExitStack() as held:
        try:
            held.enter_context(hold_folder(folder))
        except BlockingIOError:
            raise BlockingIOError(
                f"another benchmark is running in {folder}; wait for its end, or name another folder."
            ) from None
        yield


def _claim(folder: Path, about: dict[str, Any]) -> None:
    if any(folder.iterdir()) and not (folder / "benchmark.json").is_file():
        raise FileExistsError(f"{folder} is not empty and holds no benchmark; pass another folder with out.")
    if not (
        folder / "benchmark.json"
    ).is_file():  # that of an earlier call describes the tables that are there
        write_json(folder / "benchmark.json", about)


def _versions() -> dict[str, str]:
    packages = ("torch", "numpy", "scipy", "pandas", "scikit-learn")
    return {"openclef": openclef.__version__, "python": platform.python_version()} | {
        package: version(package) for package in packages
    }


def _cells(
    given: Sequence[Competitor],
    baselines: Sequence[str],
    architecture: Architecture,
    tasks: Mapping[str, list[Store]],
    protocols: Sequence[str],
    leads: Sequence[str] | None,
    label_shares: Sequence[float],
) -> Iterator[Cell]:
    def competitors(protocol: str, task: str, stores: Sequence[Store]) -> list[Competitor]:
        if protocol == "scratch":
            return [_baseline("scratch", architecture)]
        if protocol in NETWORK_PROTOCOLS:
            return list(given)
        beside = [
            name
            for name in baselines
            if name == "random_encoder"
            or (
                name in ONLY_PROBE
                and protocol == "probe"
                and (name != "age_sex" or _takes_age_sex(task, stores))
            )
        ]
        return [*given, *(_baseline(name, architecture) for name in beside)]

    for task, stores in tasks.items():
        for lead in leads_of(stores, leads):
            for share in label_shares:
                for protocol in protocols:
                    for each in competitors(protocol, task, stores):
                        yield Cell(
                            stores[0].tasks[task], lead, protocol, share, each, tuple(stores), leads is None
                        )


def _takes_age_sex(task: str, stores: Sequence[Store]) -> bool:
    """Whether a store knows the age or the sex of anyone to train on, and the task does not ask for these."""
    if is_age_or_sex(stores[0].tasks[task]):
        return False
    tables = [store.records.reindex(columns=["split", "age_years", "sex"]) for store in stores]
    return any(has_age_sex(table, (table["split"] == "train").to_numpy()) for table in tables)


def _baseline(name: str, architecture: Architecture) -> Competitor:
    about: dict[str, Any] = {"name": name, "kind": "baseline"}
    if name in ONLY_PROBE:
        return Competitor(name, about=about)
    return Competitor(name, about=about | {"backbone": architecture.backbone}, architecture=architecture)


def _write_tables(
    out: Path,
    judged: list[JudgedCell],
    skipped: list[dict[str, Any]],
    grid: Grid,
    stores: Sequence[Store],
    console: Console,
) -> list[dict[str, str]]:
    """Compute and write all tables, finding again what an earlier run computed; notes on what cannot be read."""
    kept = Kept(out / "cache" / "tables")

    def shown(pairs: Sequence[Any]) -> Any:
        return track(pairs, description="comparing", console=console, disable=console.quiet or not pairs)

    console.print("labels, comparisons and averages")
    tables: dict[str, Any] = {
        "benchmark": metric_rows(judged, grid),
        "labels": label_rows(judged, grid, kept),
        "reliability": reliability_rows(judged, grid, kept),
        "comparisons": comparison_rows(judged, grid, kept, shown),
        "averages": average_rows(judged, grid, kept),
        "ranks": rank_rows(judged),
        "skipped": skipped,
    }
    for name, rows in tables.items():
        write_table(out, name, rows)
    looks, notes = _looks(stores)
    for each in notes:
        console.print(each["note"])
    write_table(out, "looks", looks)
    return notes


def _looks(stores: Sequence[Store]) -> tuple[pd.DataFrame, list[dict[str, str]]]:
    """The looks at the test splits of these stores; a damaged ledger is a note, and does not cost the other tables."""
    try:
        looks = read_looks(stores)
        for column in ("label_share", "records", "subjects"):
            wrong = looks[pd.to_numeric(looks[column], errors="coerce").isna()]
            if len(wrong):
                raise ValueError(
                    f"the ledger {FILE} of {wrong['store'].iloc[0]} holds a look at {wrong['time'].iloc[0]} whose "
                    f"{column} is {wrong[column].iloc[0]!r}; correct that line or remove it."
                )
        return looks, []
    except (ValueError, OSError) as error:
        return read_looks([]), [{"model": "looks", "note": str(error)}]


def _describe(cells: Sequence[Cell]) -> list[dict[str, Any]]:
    return list({cell.competitor.name: dict(cell.competitor.about) for cell in cells}.values())


def _notes_of_models(cells: Sequence[Cell]) -> list[dict[str, str]]:
    about = [each for each in _describe(cells) if each.get("note")]
    return [{"model": each["name"], "note": each["note"]} for each in about]


def _note_of_permutations(folder: Path, grid: Grid) -> list[dict[str, str]]:
    """Say so where a table has so many comparisons that none could be significant after Holm's adjustment."""
    rows = Benchmark(folder).comparisons
    largest = int(rows.groupby(["task", "lead", "label_share"]).size().max()) if len(rows) else 0
    if largest / (grid.permutations + 1) <= 0.05:
        return []
    needed = 20 * largest - 1
    note = (
        f"{largest} comparisons of one task cannot fall below .05 after Holm's adjustment with {grid.permutations} "
        f"permutations; pass permutations={needed} or more"
    )
    return [{"model": "comparisons", "note": note}]


def _notes(judged: Sequence[JudgedCell]) -> list[dict[str, str]]:
    """What evaluations could not check, by model."""
    pairs = dict.fromkeys((each.cell.competitor.name, each.note) for each in judged if each.note)
    return [{"model": model, "note": note} for model, note in pairs]
