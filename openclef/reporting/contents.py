"""What there is to report: the runs, results and stores beneath some folders."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd

from openclef.reporting.result_files import join_results, read_json, read_results
from openclef.reporting.settings import check_config
from openclef.store import Store, open_store

OF_BENCHMARK = ("cells", "cache", "runs", "stores")
"""Folders beneath a benchmark that its own tables sum up."""


@dataclass(frozen=True)
class FoundRun:
    """A run folder as it stands.

    Args:
        path: The folder.
        label: Its name in the report, of no other run there.
        config: Its config.json.
        finished: Whether it has a run.json.
        history: Its metrics.csv; empty where no epoch is finished.
        stores: Those it was pretrained on, as far as they are there.
        missing: One sentence for each store that is not.

    Example:
        >>> FoundRun(Path("runs/x"), "x", {"risk": "score2"}, True, pd.DataFrame(), [], []).risk
        'score2'
    """

    path: Path
    label: str
    config: dict[str, Any]
    finished: bool
    history: pd.DataFrame
    stores: list[Store] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)

    @property
    def risk(self) -> str | None:
        """The risk score that guided the run, or would have; of several the first, which figures show.

        Example:
            >>> FoundRun(Path("x"), "x", {}, False, pd.DataFrame(), [], []).risk is None
            True
        """
        return self.risks[0] if self.risks else None

    @property
    def risks(self) -> tuple[str, ...]:
        """All risk scores that guided the run, or would have.

        Example:
            >>> FoundRun(Path("x"), "x", {"risk": ["age", "sbp"]}, False, pd.DataFrame()).risks
            ('age', 'sbp')
        """
        named = self.config.get("risk")
        return tuple(
            name for name in (named if isinstance(named, list) else [named]) if isinstance(name, str) and name
        )

    def settings(self, name: str) -> dict[str, Any]:
        """A group of settings of config.json, such as "views"; empty where it is not there.

        Example:
            >>> FoundRun(Path("x"), "x", {"views": {"crop_s": 8}}, False, pd.DataFrame()).settings("views")
            {'crop_s': 8}
        """
        group = self.config.get(name)
        return group if isinstance(group, dict) else {}


@dataclass(frozen=True)
class Contents:
    """What was found.

    Args:
        folders: Where it was looked for.
        runs: Run folders, in the order of their paths.
        metrics: Rows of all results, with the columns source (folder) and split added; duplicates once.
        stores: Stores of the runs, and those beneath the folders.
        notes: What was passed over, and why.
        benchmarks: Folders of benchmarks; their own cells are not among the results.

    Example:
        >>> Contents([], [], pd.DataFrame(), [], []).runs
        []
    """

    folders: list[Path]
    runs: list[FoundRun]
    metrics: pd.DataFrame
    stores: list[Store]
    notes: list[str]
    benchmarks: list[Path] = field(default_factory=list)


def find_contents(folders: Sequence[Path], stores: Sequence[Store] | None = None) -> Contents:
    """Find the runs, results and stores in folders and beneath them.

    Args:
        folders: Run folders, folders of results, or folders above them.
        stores: To be used instead of those that the runs' config.json name.

    Raises:
        FileNotFoundError: A folder is not there.
        NotADirectoryError: It is a file.
        ValueError: Nothing to report is in it, or a file of it is damaged.

    Example:
        >>> find_contents([Path("no/such/folder")])
        Traceback (most recent call last):
        ...
        FileNotFoundError: there is no folder no/such/folder; pass run folders, results, or a folder above them.
    """
    run_paths: dict[Path, dict[str, Any]] = {}
    store_paths: dict[Path, None] = {}
    tables: list[pd.DataFrame] = []
    notes: list[str] = []
    benchmarks: list[Path] = []
    seen: set[Path] = set()
    for folder in folders:
        _check_folder(folder)
        anything = False
        for where, below, files in os.walk(folder):
            place = Path(where)
            below[:] = sorted(name for name in below if not name.startswith(".") and name != "tensorboard")
            if place.resolve() in seen:
                anything = True
                continue
            known = False
            if "benchmark.json" in files:
                below[:] = [name for name in below if name not in OF_BENCHMARK]
                benchmarks.append(place)
                known = True
            if "dataset.json" in files:
                below.clear()
                store_paths[place] = None
                known = True
            if "config.json" in files:
                config = read_json(place / "config.json")
                if isinstance(config, dict) and {"method", "backbone", "epochs"} <= config.keys():
                    check_config(config, place / "config.json")
                    run_paths[place] = config
                    below[:] = [name for name in below if name != "model"]
                    known = True
            if "metrics.json" in files:
                table, note = read_results(place)
                tables += [table] if table is not None else []
                notes += [note] if note else []
                known = True
            if known:
                seen.add(place.resolve())
            anything = anything or known
        if not anything:
            raise ValueError(
                f"{folder} holds nothing to report; pass a run folder (with config.json), a folder of results "
                "(with metrics.json), the folder of a benchmark (with benchmark.json), or a folder above them."
            )
    beneath = []
    for path in store_paths:
        store, damage = _opened(path)
        beneath += [store] if store is not None else []
        notes += [damage] if damage else []
    labels = _labels(list(run_paths))
    runs = []
    for path, config in sorted(run_paths.items()):
        of_run, absent = _stores_of(config, path, beneath, stores)
        history = _read_history(path / "metrics.csv")
        finished = (path / "run.json").is_file()
        runs.append(FoundRun(path, labels[path], config, finished, history, of_run, absent))
    named = [store for run in runs for store in run.stores] + list(beneath if stores is None else stores)
    unique = {store.path.resolve(): store for store in reversed(named)}
    return Contents(
        list(folders), runs, join_results(tables), list(reversed(unique.values())), notes, benchmarks
    )


def _opened(path: Path) -> tuple[Store | None, str]:
    """Open a store and its records, or say why neither can be used."""
    try:
        store = open_store(path)
        store.subjects()
    except (ValueError, TypeError, KeyError, OSError) as error:
        return None, f"The store {path} is damaged and was passed over: {error}."
    return store, ""


def read_risk(store: Store, name: str) -> tuple[pd.DataFrame, str]:
    """Read a risk of a store, and which score it is.

    Args:
        store: The store.
        name: One of its risks.

    Returns:
        `Store.risk`, and the name in `openclef.risk.SCORES`; "" where the store does not say.

    Raises:
        ValueError: A file of it is damaged; the message names it.

    Example:
        >>> import tempfile
        >>> from openclef.simulator.cohort import simulate
        >>> store = simulate(tempfile.mkdtemp() + "/sim", patients=5, workers=1).add_risk("age", label="old")
        >>> read_risk(store, "old")[1]
        'age'
    """
    file = store.path / "risk" / f"{name}.json"
    again = f"compute it again with openclef risk {store.path} {name}."
    about = read_json(file)
    if not isinstance(about, dict) or not {"score", "records_sha256"} <= about.keys():
        raise ValueError(f"{file} is damaged (it does not say score and records); {again}")
    try:
        values = store.risk(name)
        values = values.astype({"value": float, "n_missing": float, "completeness": float})
    except (ValueError, KeyError, TypeError, OSError) as error:  # pyarrow's own errors are of these kinds
        raise ValueError(
            f"{file.with_suffix('.parquet')} cannot be used ({str(error).rstrip('.')}); {again}"
        ) from error
    return values, str(about["score"])


def _check_folder(folder: Path) -> None:
    if not folder.exists():
        raise FileNotFoundError(
            f"there is no folder {folder}; pass run folders, results, or a folder above them."
        )
    if not folder.is_dir():
        raise NotADirectoryError(f"{folder} is a file; pass the folder of a run or of results.")


def _read_history(path: Path) -> pd.DataFrame:
    if not path.is_file():
        return pd.DataFrame()
    try:
        table = pd.read_csv(path)
    except ValueError as error:  # pandas' own errors are of this kind, an empty file's too
        raise ValueError(
            f"{path} is damaged ({error}); restore it, or remove it to report the run without curves."
        ) from error
    if "epoch" not in table or not all(pd.api.types.is_numeric_dtype(kind) for kind in table.dtypes):
        raise ValueError(
            f"{path} is damaged (no column epoch, or words among its numbers); restore it, or remove it."
        )
    if not table["epoch"].between(0, 1e9).all():
        raise ValueError(f"{path} is damaged (an epoch is not a number); restore it, or remove it.")
    return table


def _labels(paths: list[Path]) -> dict[Path, str]:
    """Name each run by as little of its path as no other run shares."""
    parts = {path: path.resolve().parts for path in paths}
    names: dict[Path, str] = {}
    for path in paths:
        for depth in range(1, len(parts[path]) + 1):
            end = parts[path][-depth:]
            if sum(other[-depth:] == end for other in parts.values()) == 1:
                break
        names[path] = "/".join(end)
    return names


def _stores_of(
    config: dict[str, Any], run: Path, beneath: list[Store], given: Sequence[Store] | None
) -> tuple[list[Store], list[str]]:
    """Find the stores that a run names: among those given, else beneath the folders or where config.json says.

    A store is known by the hash of its records; only one that was given may stand in by its name, with a note.
    """
    entries = config.get("stores")
    entries = [entry for entry in entries if isinstance(entry, dict)] if isinstance(entries, list) else []
    found: list[Store] = []
    absent = []
    for entry in entries:
        candidates = list(beneath if given is None else given)
        damage = ""
        if given is None:
            at_path, damage = _at_path(str(entry.get("path", "")), run)
            candidates += [at_path] if at_path is not None else []
        store = next((s for s in candidates if s.info["records_sha256"] == entry.get("records_sha256")), None)
        if store is None and given is not None:
            store = next((s for s in candidates if s.name == entry.get("name")), None)
            if store is not None:
                absent.append(
                    f"{store.path} stands in for the store {store.name} of this run by its name: its records differ "
                    "from those that the run was trained on."
                )
        if store is not None:
            found.append(store)
        elif damage:
            absent.append(f"{damage} Pass a good copy as stores=[...] (--stores on the command line).")
        elif candidates and given is None and any(s.name == entry.get("name") for s in candidates):
            absent.append(
                f"The store {entry.get('name', '?')} of this run is not there as it was: another one of that name has "
                "other records. Pass the right folder as stores=[...] (--stores on the command line)."
            )
        else:
            absent.append(
                f"The store {entry.get('name', '?')} of this run is not at {entry.get('path', '?')}: "
                "pass its folder as stores=[...] (--stores on the command line)."
            )
    if given and not found:
        return list(given), []
    return found, absent


def _at_path(path: str, run: Path) -> tuple[Store | None, str]:
    """Open the store at a path, as it is or from one of the folders above the run, or say how it is damaged."""
    if not path:
        return None, ""
    for base in (Path(), *run.resolve().parents):
        place = base / path
        if (place / "dataset.json").is_file():
            return _opened(place)
    return None, ""


def origin(name: str, info: dict[str, Any] | None = None) -> str:
    """Say of a store whether its ECGs or its patients were made up.

    Args:
        name: Its name.
        info: Its dataset.json, where it is there.

    Returns:
        "simulated", "semi-synthetic", or "" for recorded data.

    Example:
        >>> origin("sim"), origin("semi_synthetic_ptb_xl"), origin("ptb_xl")
        ('simulated', 'semi-synthetic', '')
    """
    info = info or {}
    said = [str(info.get(each, "")).lower() for each in ("title", "source")]
    if name.startswith("semi_synthetic") or any(text.startswith("semi-synthetic") for text in said):
        return "semi-synthetic"
    if name == "sim" or any(text.startswith("simulated") for text in said):
        return "simulated"
    return ""
