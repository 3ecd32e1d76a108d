"""`openclef.extract_metadata`: from a hospital's tables to clinical metadata and risk for every ECG."""

# DuckDB, pandas and pyarrow are imported inside: a command's help reads this file.
from __future__ import annotations

import json
import shutil
import uuid
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from openclef.database.mimic_iv.concepts import read_concepts
from openclef.database.mimic_iv.diagnoses import add_diagnoses
from openclef.database.mimic_iv.drugs import add_drugs
from openclef.database.mimic_iv.labs import add_labs
from openclef.database.mimic_iv.measurements import add_measurements
from openclef.database.mimic_iv.nearest import FOUND
from openclef.database.mimic_iv.patients import add_ecgs, add_people, read_list
from openclef.database.mimic_iv.summary import Extraction, calendar_years
from openclef.database.mimic_iv.workspace import TABLES, Workspace, find_hosp, open_workspace
from openclef.database.mimic_iv.writing import (
    DROPPED,
    FORMAT,
    METADATA,
    RISKS,
    SETTINGS,
    write_dropped,
    write_metadata,
    write_risks,
    write_settings,
)
from openclef.shards import hold_folder, make_folder

_WRITTEN = {METADATA, RISKS, DROPPED, SETTINGS, "profile.html"}  # a folder with more is somebody's own

__all__ = ["extract_metadata"]


def extract_metadata(
    database: str,
    hosp: str | Path,
    out: str | Path,
    *,
    ecgs: str | Path,
    risks: str | Sequence[str] = "all",
    region: str = "low",
    concepts: str | Path | None = None,
    memory_limit: str = "2GB",
    threads: int | None = None,
    overwrite: bool = False,
    progress: bool = True,
) -> Extraction:
    """Extract clinical metadata and risk scores of every ECG from a hospital's tables, as they lie, compressed.

    Each value is that nearest the ECG in a window, with its date and source, by the rules of ``concepts.toml`` in
    this module's folder. Only the table patients is needed: what an absent table would give is unknown. The
    folder is there whole or not at all; it holds metadata.parquet (one row an ECG), risks.parquet, dropped.csv
    and settings.json.

    Args:
        database: "mimic_iv".
        hosp: MIMIC-IV's folder hosp, with patients.csv.gz, labevents.csv.gz ... (2.x or 3.x).
        out: folder to write.
        ecgs: record_list.csv of MIMIC-IV-ECG, or the folder that holds it.
        risks: "all", or names of `openclef.risk.SCORES`.
        region: of scores that have one: "low", "moderate", "high" or "very_high".
        concepts: a changed copy of concepts.toml; None: that file itself.
        memory_limit: what DuckDB may use, as "2GB"; what is more it keeps beside `out` meanwhile.
        threads: of DuckDB; the number of cores by default.
        overwrite: replace an extraction that stands there.
        progress: show it on the error stream.

    Returns:
        The extraction: its folder, and counts of what is known.

    Raises:
        FileNotFoundError: if a file is missing; the message says which, and where it is to be had.
        FileExistsError: if `out` holds an extraction and `overwrite` is not given, or anything else.
        ValueError: if a file is damaged or lacks a column, or a score, rule or setting cannot be.

    Source:
        Johnson et al., MIMIC-IV, a freely accessible electronic health record dataset, Sci Data 2023;10:1; Gow et
        al., MIMIC-IV-ECG, PhysioNet 2023. The rules and their sources are in concepts.toml.

    Example:
        >>> extract_metadata("mimic_iv", "nowhere", "out", ecgs="record_list.csv")
        Traceback (most recent call last):
        FileNotFoundError: nowhere holds no patients.csv.gz. MIMIC-IV needs credentialed access: ...
    """
    if database != "mimic_iv":
        raise ValueError(f"database={database!r}; accepted is 'mimic_iv'")
    scores = _chosen_scores(risks)
    settings = _score_settings(scores, region)
    rules = read_concepts(concepts)
    folder = find_hosp(hosp)
    out = Path(out).resolve()  # a link to a larger disk stays a link
    _refuse_others(out, overwrite)
    listed = read_list(ecgs)
    list_file = Path(ecgs) / "record_list.csv" if Path(ecgs).is_dir() else Path(ecgs)
    make_folder(out.parent)
    beside = out.with_name(f".{out.name}.unfinished")
    with hold_folder(beside):
        _empty(beside)
        try:
            with open_workspace(
                folder,
                rules,
                memory_limit=memory_limit,
                threads=threads,
                scratch=beside / "scratch",
                progress=progress,
            ) as work:
                _warn_of_missing_tables(work)
                work.query(FOUND)
                add_ecgs(work, listed)
                add_people(work)
                add_measurements(work)
                add_diagnoses(work)
                add_drugs(work)
                add_labs(work)
                write_metadata(work, listed, beside)
                years = calendar_years(work)
                write_dropped(work, beside)
                write_settings(work, beside, list_file, listed, scores, settings)
            shutil.rmtree(beside / "scratch", ignore_errors=True)
            write_risks(beside, scores, settings)
            _put_in_place(beside, out)
        finally:
            shutil.rmtree(beside, ignore_errors=True)
    return Extraction(out, years, rules.text)


def _warn_of_missing_tables(work: Workspace) -> None:
    missing = [table for table in TABLES if not work.has(table)]
    if missing:
        files = ", ".join(f"{table}.csv.gz" for table in missing)
        warnings.warn(
            f"{work.hosp} holds no {files}; what is in there will be unknown for everybody", stacklevel=3
        )


def _chosen_scores(risks: str | Sequence[str]) -> list[str]:
    from openclef.risk import SCORES

    given: Any = [risks] if isinstance(risks, str) else risks
    chosen: list[Any] = list(given) if isinstance(given, (list, tuple)) else [given]
    if risks == "all":
        chosen = list(SCORES)
    if any(not isinstance(name, str) or name not in SCORES or chosen.count(name) > 1 for name in chosen):
        raise ValueError(f"risks={risks!r}; accepted are 'all', or names, each once, of {', '.join(SCORES)}")
    return chosen


def _score_settings(scores: Sequence[str], region: str) -> dict[str, str]:
    """Return the settings of the scores; a region that is none is refused before the work, not after it."""
    import pandas as pd

    from openclef.risk import SCORES, score_table

    settings = {"region": region} if any("region" in SCORES[name].settings for name in scores) else {}
    score_table(pd.DataFrame({"age_years": [50.0]}), scores, **settings)
    return settings


def _refuse_others(out: Path, overwrite: bool) -> None:
    """Refuse a finished extraction unless it is to be replaced, and always what is no extraction."""
    if out.is_file():
        raise FileExistsError(f"{out} is a file; pass a folder")
    if not out.is_dir() or not any(out.iterdir()):
        return
    try:
        about = json.loads((out / SETTINGS).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        about = None
    others = sorted({place.name for place in out.iterdir()} - _WRITTEN)
    if not isinstance(about, dict) or about.get("format") != FORMAT or others:
        named = f", such as {others[0]}" if others else ""
        raise FileExistsError(f"{out} holds other files{named}; pass a new folder")
    if not overwrite:
        raise FileExistsError(
            f"{out} holds an extraction already; pass overwrite=True (--overwrite true) to replace it"
        )


def _empty(folder: Path) -> None:
    """Remove what a run that was killed left behind."""
    for place in folder.iterdir():
        if place.is_dir():
            shutil.rmtree(place)
        else:
            place.unlink()


def _put_in_place(beside: Path, out: Path) -> None:
    """Give the finished folder its name; what stood there goes only when the new one is in place."""
    before = out.with_name(f".{out.name}.before-{uuid.uuid4().hex[:12]}")
    if out.exists():
        out.rename(before)
    try:
        beside.rename(out)
    except OSError:
        if before.exists():
            before.rename(out)
        raise
    shutil.rmtree(before, ignore_errors=True)
