"""Runs one study: its arms are pretrained, judged by one benchmark, and its tables and figure written.

    python studies/study.py studies/baseline --data FOLDER --out runs/studies

A study is a folder with a study.yaml: its question, the pool of stores, the tasks, and its arms, each of which changes
one thing of studies/base.yaml. Arms with equal settings, of one study or of several, are pretrained once. What is
finished is kept: the same command goes on after an interruption. `--split test` is for the arms that validation chose.
A study with `over` is run for each of its values, and its figure shows curves.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
from pathlib import Path
from typing import Any

import pandas as pd
import yaml
from figures import draw_curves, draw_differences
from grid import Job, epochs_of, merged, pretrain, write_results
from pools import open_pool

import openclef
from openclef.store import Store

HERE = Path(__file__).parent


def arms_of(study: dict[str, Any], only: list[str]) -> dict[str, dict[str, Any]]:
    """The arms of a study that are wanted, each with all its settings, `pool` and `steps`."""
    base = merged(yaml.safe_load((HERE / "base.yaml").read_text(encoding="utf-8")), study.get("base") or {})
    arms = {name: merged(base, changes or {}) for name, changes in study["arms"].items()}
    unknown = [name for name in only if name not in arms]
    if unknown:
        raise SystemExit(f"no arm {', '.join(unknown)}; there are {', '.join(arms)}")
    return {name: arm for name, arm in arms.items() if not only or name in only}


def job_of(arm: dict[str, Any], seed: int, stores: list[Store], runs: Path) -> Job:
    """One run of an arm; its folder is named by its settings, so that equal ones meet."""
    settings = {name: value for name, value in arm.items() if name not in ("pool", "steps")}
    settings |= {"seed": seed, "epochs": epochs_of(arm["steps"], stores, arm["batch_size"])}
    about = json.dumps([settings, arm["pool"]], sort_keys=True)
    return Job(runs / hashlib.sha256(about.encode()).hexdigest()[:16], stores, settings)


def main() -> None:
    """Run everything of a study that is not there yet, then write its tables and its figure."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("study", type=Path, help="folder with a study.yaml")
    parser.add_argument("--data", type=Path, required=True, help="folder with the real recordings")
    parser.add_argument("--out", type=Path, default=Path("runs/studies"))
    parser.add_argument("--arms", nargs="+", default=[], help="only these")
    parser.add_argument("--seeds", type=int, nargs="+", help="instead of the study's")
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1, help="pretraining runs at a time")
    parser.add_argument("--split", choices=("val", "test"), default="val")
    given = parser.parse_args()
    study = yaml.safe_load((given.study / "study.yaml").read_text(encoding="utf-8"))
    over, results = study.pop("over", None), given.study / "results" / given.split
    if over is None:
        run(study, given, given.out / f"{given.study.name}_{given.split}", results)
        print(f"figure: {draw_differences(results, study['reference'])}")
        return
    parts = {}
    for value in over["values"]:
        place = f"{over['name']}_{value}"
        run(
            filled(study, over["name"], value),
            given,
            given.out / f"{given.study.name}_{given.split}" / place,
            results / place,
        )
        parts[value] = pd.read_csv(results / place / "comparisons.csv")
    print(f"figure: {draw_curves(parts, over['name'], study['reference'], results)}")


def run(study: dict[str, Any], given: argparse.Namespace, benchmark: Path, results: Path) -> None:
    """Pretrain the arms of a study, judge them, and write the tables."""
    arms, seeds = arms_of(study, given.arms), given.seeds or study["seeds"]
    pools = {json.dumps(arm["pool"]): open_pool(arm["pool"], given.data, given.out) for arm in arms.values()}
    jobs = {
        (name, seed): job_of(arm, seed, pools[json.dumps(arm["pool"])], given.out / "pretrained")
        for seed in seeds
        for name, arm in arms.items()
    }
    pretrain({job.folder: job for job in jobs.values()}.values(), given.workers)
    openclef.benchmark(
        {name: [jobs[name, seed].folder for seed in seeds] for name in arms},
        open_pool(study["judged_on"], given.data, given.out),
        benchmark,
        tasks=study["tasks"],
        leads=study["leads"],
        label_shares=study.get("label_shares", 1.0),
        protocols=study.get("protocols", "probe"),
        conditions=[openclef.Condition(**each) for each in study.get("conditions", [])],
        by=(),
        reference=study["reference"],
        pairs="reference",
        split=given.split,
    )
    print(f"page: {openclef.report(benchmark)}")
    print(f"tables: {write_results(benchmark, results)}")


def filled(part: Any, name: str, value: Any) -> Any:
    """A part of a study with "{name}" replaced by a value wherever it stands."""
    if isinstance(part, dict):
        return {key: filled(each, name, value) for key, each in part.items()}
    if isinstance(part, list):
        return [filled(each, name, value) for each in part]
    return part.replace(f"{{{name}}}", str(value)) if isinstance(part, str) else part


if __name__ == "__main__":
    main()
