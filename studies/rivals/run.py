"""All pretraining methods with one budget, beside random encoders of every architecture.

    python studies/rivals/run.py --data FOLDER --out runs/rivals

FOLDER holds ptb-xl (official layout) and ptb-xl-z (one array and a CSV); without `--data` only the simulated
cohort is used. Every method of `openclef.method.METHODS` is pretrained on the training part of PTB-XL (guided
by age and sex, which is all that it knows) and on that of a simulated cohort (guided by SCORE2), with the
same encoder, augmentations, steps and seeds. Then one call of `openclef.benchmark` for each judges them on
lead I beside random encoders of each architecture that openclef has, classical features, and age and sex.
What is finished is kept: the same command goes on after an interruption.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import yaml

import openclef
from openclef.backbone import BACKBONES
from openclef.cost import embedding_cost
from openclef.method import METHODS
from openclef.protocol.baselines import random_encoder
from openclef.published import PUBLISHED, Published
from openclef.store import Store

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent))
from grid import Job, epochs_of, merged, pretrain, write_results  # noqa: E402 - beside this folder
from real_stores import convert  # noqa: E402

BATCH = 128
RISK = {"ptb_xl": "age_sex", "sim": "score2"}
TASKS = {
    "ptb_xl": ["ptb_xl/superdiagnostic", "ptb_xl/subdiagnostic", "ptb_xl/rhythm"],
    "sim": ["sim/af", "sim/lvh", "sim/low_ef", "sim/lvef", "sim/age", "sim/sbp"],
}
# Momentum networks and queues have to fit the budget: at 0.999 a target of 200 steps is still four fifths random.
OWN_SETTINGS: dict[str, dict[str, Any]] = {
    "moco": {"queue_size": 2048, "momentum": 0.99},
    "byol": {"momentum": 0.99},
}


def stores_of(data: Path | None, out: Path, patients: int) -> dict[str, list[Store]]:
    """Make the stores, or open what is there: lists by the name of their kind."""
    found: dict[str, list[Store]] = {}
    if data is not None:
        found["ptb_xl"] = list(convert(data, out, ("ptb_xl", "ptb_xl_z")).values())
    place = out / "sim"
    if not (place / "dataset.json").exists():
        openclef.simulate(place, patients=patients, seed=0, records_per_patient=1.5).add_risk(
            "score2", region="low"
        )
    found["sim"] = [openclef.open_store(place)]
    return found


def jobs(stores: dict[str, list[Store]], out: Path, steps: int, seeds: list[int]) -> Iterator[Job]:
    """Each method on each kind of store with every seed."""
    base = yaml.safe_load((HERE / "pretraining.yaml").read_text(encoding="utf-8"))
    for seed in seeds:
        for kind, of in stores.items():
            for method in METHODS:
                changes = {
                    "method": method,
                    "seed": seed,
                    "risk": RISK[kind],
                    "epochs": epochs_of(steps, of, BATCH),
                }
                if method in OWN_SETTINGS:
                    changes["method_settings"] = OWN_SETTINGS[method]
                yield Job(run_folder(out, kind, method, seed), of, merged(base, changes))


def run_folder(out: Path, kind: str, method: str, seed: int) -> Path:
    """The folder of one run."""
    return out / f"{kind}-{method}-{seed}"


def random_encoders(seeds: list[int], most_gflop: float) -> dict[str, list[openclef.Encoder]]:
    """Random encoders of each architecture but CLEF's small one, each behind the preprocessing of its published model.

    Of an architecture that comes in several sizes the smallest stands for all; one that takes more than `most_gflop`
    for 10 s of a lead is left out, and said so. Leads are z-scored where the published model takes mV, since a part
    of PTB-XL has lost its amplitudes.
    """
    behind: dict[str, Published] = {}
    for published in PUBLISHED.values():
        behind.setdefault(published.backbone, published)
    smallest: dict[str, str] = {}
    for name in BACKBONES:
        smallest.setdefault(name.removesuffix("_small").removesuffix("_base").removesuffix("_large"), name)
    found = {}
    for name in smallest.values():
        published = behind.get(name)
        if published is None or name == "resnext1d_small":
            continue
        before = published.preprocessing
        if before.normalise == "none":
            before = replace(before, normalise="zscore")
        made = [random_encoder(name, preprocessing=before, seed=each, **published.settings) for each in seeds]
        cost = embedding_cost(made[0], repeats=1)
        if cost.gflop > most_gflop:
            print(f"random {name} is left out: {cost.gflop:.0f} GFLOP a lead (--most_gflop)", flush=True)
            continue
        found[f"random {name}"] = made
    return found


def judge(kind: str, stores: list[Store], runs: Path, out: Path, given: argparse.Namespace) -> Path:
    """Judge all methods and random encoders of one kind of store; return the benchmark's folder."""
    models: dict[str, Any] = {
        method: [run_folder(runs, kind, method, seed) for seed in given.seeds] for method in METHODS
    }
    openclef.benchmark(
        models | random_encoders(given.random_seeds, given.most_gflop),
        stores,
        out / f"benchmark_{kind}_{given.split}",
        tasks=TASKS[kind],
        leads="I",
        by=(),
        split=given.split,
        permutations=given.permutations,
    )
    return out / f"benchmark_{kind}_{given.split}"


def main() -> None:
    """Run everything that is not there yet, then write the tables."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument(
        "--data", type=Path, help="folder with ptb-xl and ptb-xl-z; without it PTB-XL is left out"
    )
    parser.add_argument("--out", type=Path, default=Path("runs/rivals"))
    parser.add_argument("--steps", type=int, default=200, help="optimiser steps aimed at; epochs are whole")
    parser.add_argument("--patients", type=int, default=2000, help="of the simulated cohort")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1])
    parser.add_argument("--random_seeds", type=int, nargs="+", default=[0])
    parser.add_argument(
        "--most_gflop", type=float, default=15.0, help="of a random encoder, for 10 s of a lead"
    )
    parser.add_argument(
        "--permutations", type=int, default=10_000, help="of each comparison; a task has hundreds"
    )
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1, help="pretraining runs at a time")
    parser.add_argument(
        "--split", choices=("val", "test"), default="test", help="val while anything is tried"
    )
    given = parser.parse_args()
    stores = stores_of(given.data, given.out / "stores", given.patients)
    pretrain(jobs(stores, given.out / "pretrained", given.steps, given.seeds), given.workers)
    for kind, of in stores.items():
        folder = judge(kind, of, given.out / "pretrained", given.out, given)
        print(f"page: {openclef.report(folder)}")
        print(f"tables: {write_results(folder, given.out / 'results' / f'{kind}_{given.split}')}", flush=True)


if __name__ == "__main__":
    main()
