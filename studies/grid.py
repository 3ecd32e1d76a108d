"""Many short pretraining runs and one benchmark of them: what the studies have in common."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import yaml

from openclef.checkpoint import is_finished
from openclef.reporting.values import model_order
from openclef.store import Store

KEPT = ("comparisons", "averages", "costs", "skipped")
WHOLE = ("auroc", "mae")
"""Metrics of the Markdown table: one for classes, one for numbers."""


@dataclass(frozen=True)
class Job:
    """One pretraining run: its folder, the stores that it is trained on, and all settings of `openclef pretrain`."""

    folder: Path
    stores: list[Store]
    settings: Mapping[str, Any]


def epochs_of(steps: int, stores: Iterable[Store], batch_size: int) -> int:
    """Whole epochs of a pool's training part that come nearest to a number of steps; at least one."""
    records = sum(int((each.records["split"] == "train").sum()) for each in stores)
    return max(1, round(steps / (records // batch_size)))


def merged(base: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """Settings with changes, group by group; what a group does not name stays."""
    both = dict(base)
    for name, value in changes.items():
        inside = isinstance(value, Mapping) and isinstance(both.get(name), Mapping)
        both[name] = merged(both[name], value) if inside else value
    return both


def pretrain(jobs: Iterable[Job], workers: int) -> None:
    """Pretrain what is not finished, `workers` runs at a time with one thread each, through the command line.

    Beside each run stand its settings (.yaml) and what it printed (.log). A finished run with other settings stops
    everything: what it would be compared with is no longer what it was.
    """
    todo = []
    for job in jobs:
        job.folder.parent.mkdir(parents=True, exist_ok=True)
        file = job.folder.with_name(f"{job.folder.name}.yaml")
        text = yaml.safe_dump(dict(job.settings), sort_keys=True)
        if is_finished(job.folder):
            if file.is_file() and file.read_text(encoding="utf-8") != text:
                raise SystemExit(
                    f"{job.folder} was made with other settings than now; move it, or pass another --out"
                )
            continue
        file.write_text(text, encoding="utf-8")
        todo.append((job, file))

    def run(given: tuple[Job, Path]) -> str:
        job, file = given
        pool = yaml.safe_dump([str(each.path) for each in job.stores], default_flow_style=True).strip()
        command = [
            sys.executable,
            "-m",
            "openclef.cli",
            "pretrain",
            pool,
            str(job.folder),
            "--config",
            str(file),
        ]
        log = file.with_suffix(".log")
        with log.open("w") as out:
            done = subprocess.run(
                command, stdout=out, stderr=out, env={**os.environ, "OMP_NUM_THREADS": "1"}, check=False
            )
        print(f"{job.folder.name}: {'done' if done.returncode == 0 else f'FAILED, see {log}'}", flush=True)
        return "" if done.returncode == 0 else job.folder.name

    with ThreadPoolExecutor(workers) as pool:
        failed = [name for name in pool.map(run, todo) if name]
    if failed:
        raise SystemExit(f"these runs failed: {', '.join(failed)}; the same command tries them again")


def write_results(benchmark: Path, out: Path) -> Path:
    """Copy a benchmark's tables, without single labels, and write a Markdown table: models by tasks, with intervals."""
    out.mkdir(parents=True, exist_ok=True)
    for name in KEPT:
        if (benchmark / f"{name}.csv").is_file():
            shutil.copyfile(benchmark / f"{name}.csv", out / f"{name}.csv")
    rows = pd.read_csv(benchmark / "benchmark.csv", keep_default_na=False, na_values=["", "nan"])
    rows = rows[~rows["metric"].str.contains(":")]
    rows.drop(columns=["split", "unit"]).to_csv(out / "metrics.csv", index=False, float_format="%.4g")
    plain = rows["metric"].isin(WHOLE) & rows["condition"].isna() & rows["part"].isna()
    rows = rows[plain & (rows["label_share"] == 1)]
    keys = ["task", "lead", "metric"]
    parts = [(key, part.set_index("model")) for key, part in rows.groupby(keys, sort=False)]
    lines = [["model", *(f"{task}, {lead}, {metric}" for (task, lead, metric), _ in parts)]]
    lines.append(["---"] * len(lines[0]))
    for model in model_order(rows["model"]):
        cells = [
            _cell(part.loc[model], metric) if model in part.index else "" for (_, _, metric), part in parts
        ]
        lines.append([model, *cells])
    page = out / "results.md"
    page.write_text("\n".join(f"| {' | '.join(line)} |" for line in lines) + "\n", encoding="utf-8")
    return page


def _cell(row: pd.Series, metric: str) -> str:
    if pd.isna(row["value"]):
        return "not measurable"
    digits = 3 if metric == "auroc" else 2
    return f"{row['value']:.{digits}f} [{row['low']:.{digits}f}, {row['high']:.{digits}f}]"
