"""The main job on real ECGs: convert, check, pool, pretrain with age-and-sex guidance, judge on lead I.

    python studies/real_ecgs/run.py --data FOLDER --out runs/real_ecgs

FOLDER holds ptb-xl (official layout), ptb-xl-z (one array and a CSV) and cinc2017. Everything that is finished is kept:
the same command goes on after an interruption. The tables are written to OUT as CSV and as `results.md`.

Two pretraining sets: the training part of PTB-XL (guided by age and sex: PTB-XL has no blood pressure, cholesterol,
smoking or diabetes), and the same with the training part of CinC 2017 (no metadata: neutral pairs). Epochs are set
so that the number of optimiser steps is about the same: 962 without, 1,054 with CinC 2017. Choices are the validation
fold's (9); the test fold (10) is looked at once, at the end.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import warnings
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pandas as pd

import openclef
from openclef.checkpoint import is_finished
from openclef.embedding import embed_store
from openclef.preprocessing import Preprocessing
from openclef.protocol.baselines import random_encoder
from openclef.protocol.result import Result, load_result
from openclef.statistics import holm
from openclef.store import Store

HERE = Path(__file__).parent
SUPERCLASSES = ["CD", "HYP", "MI", "NORM", "STTC"]
PTB_TASK, WEARABLE_TASK = "ptb_xl/superdiagnostic", "cinc2017/rhythm"
STEPS = 1040  # optimiser steps aimed at; the pool leaves out twins and unusable windows, and epochs are whole
BATCH = 128
PREPROCESSING = Preprocessing(fs=125.0, seconds=10.0)


def convert(data: Path, out: Path) -> dict[str, Store]:
    """Convert the three sets, or open what is there."""
    stores = {
        "ptb_xl": openclef.convert("ptb_xl", data / "ptb-xl", out / "ptb_xl", fs=500)
        if not (out / "ptb_xl" / "dataset.json").exists()
        else openclef.open_store(out / "ptb_xl"),
        "ptb_xl_z": openclef.convert(
            "table",
            data / "ptb-xl-z",
            out / "ptb_xl_z",
            signals="signals.npz",
            metadata="records.csv",
            record_id="ecg_id",
            subject_id="patient_id",
            unit="zscore",
            sex_codes={"0": "male", "1": "female"},
            rename={"age": "age_years", "height": "height_cm", "weight": "weight_kg"},
            age_over_89_code=300,
            split="split",
            subject_namespace="ptb_xl",
            tasks={PTB_TASK: {"kind": "multilabel", "column": "superclass", "labels": SUPERCLASSES}},
        )
        if not (out / "ptb_xl_z" / "dataset.json").exists()
        else openclef.open_store(out / "ptb_xl_z"),
        "cinc2017": openclef.convert("cinc2017", data / "cinc2017", out / "cinc2017")
        if not (out / "cinc2017" / "dataset.json").exists()
        else openclef.open_store(out / "cinc2017"),
    }
    for name in ("ptb_xl", "ptb_xl_z"):
        if "age_sex" not in stores[name].risks:
            stores[name].add_risk("age_sex", region="low")
    return stores


def check(stores: dict[str, Store]) -> list[str]:
    """Check every store, and that its metadata belong to its ECGs; refuse to go on otherwise."""
    lines = []
    for name, store in stores.items():
        report = openclef.check(store, linkage=True)
        lines.append(f"### {name}\n\n```\n{report}\n```\n")
        print(f"{name}: {report}", flush=True)
        if not report.ok:
            raise SystemExit(f"{name} does not pass its check")
    return lines


def twins(stores: dict[str, Store]) -> dict[str, float]:
    """Compare the records that stand in both PTB-XL stores under one random encoder, lead I."""
    encoder = random_encoder(preprocessing=PREPROCESSING, seed=0)
    first, second = stores["ptb_xl"], stores["ptb_xl_z"]
    ids = first.records["record_id"], second.records["record_id"]
    both = sorted(set(ids[0]) & set(ids[1]))
    a, b = embed_store(encoder, first), embed_store(encoder, second)
    at_a = [int(np.flatnonzero(ids[0] == name)[0]) for name in both]
    at_b = [int(np.flatnonzero(ids[1] == name)[0]) for name in both]
    a, b = (x / np.linalg.norm(x, axis=1, keepdims=True) for x in (a, b))
    similarity = a @ b.T
    cosine = similarity[at_a, at_b]
    each_other = [similarity[i].argmax() == j and similarity[:, j].argmax() == i for i, j in zip(at_a, at_b)]
    return {
        "twins": len(both),
        "median_cosine": float(np.median(cosine)),
        "each_others_nearest": float(np.mean(each_other)),
    }


def pretrain_all(stores: Path, out: Path, windows: dict[str, int], seeds: list[int], workers: int) -> dict:
    """Pretrain every method, data set and seed through the command line, `workers` at a time, one thread each."""
    out.mkdir(parents=True, exist_ok=True)
    jobs, names = [], {}
    pools = {"ptb": ["ptb_xl", "ptb_xl_z"], "ptb+cinc": ["ptb_xl", "ptb_xl_z", "cinc2017"]}
    for seed in seeds:
        for pool, members in pools.items():
            for method in ("simclr", "clef"):
                folder = out / f"{method}-{pool}-{seed}"
                names.setdefault((method, pool), []).append(folder)
                steps = sum(windows[name] for name in members) // BATCH
                jobs.append((method, members, folder, seed, max(1, round(STEPS / steps))))

    def run(job: tuple) -> None:
        method, members, folder, seed, epochs = job
        if is_finished(folder):
            return
        command = [
            sys.executable, "-m", "openclef.cli", "pretrain", json.dumps([str(stores / name) for name in members]),
            str(folder), "--config", str(HERE / "config.yaml"), "--method", method, "--seed", str(seed),
            "--epochs", str(epochs),
        ]  # fmt: skip
        log = folder.parent / f"{folder.name}.log"
        with log.open("w") as file:
            done = subprocess.run(
                command, stdout=file, stderr=file, env={**os.environ, "OMP_NUM_THREADS": "1"}, check=False
            )
        print(f"{folder.name}: {'done' if done.returncode == 0 else 'FAILED, see ' + str(log)}", flush=True)
        if done.returncode:
            raise SystemExit(1)

    with ThreadPoolExecutor(workers) as pool_of_workers:
        list(pool_of_workers.map(run, jobs))
    return names


def judge(stores: dict[str, Store], runs: dict, out: Path) -> dict[str, dict[str, Result]]:
    """Evaluate random encoders, age and sex, and every run, on both tasks."""
    groups = {
        PTB_TASK: [stores["ptb_xl"], stores["ptb_xl_z"]],
        WEARABLE_TASK: [stores["cinc2017"]],
    }
    found: dict[str, dict[str, Result]] = {}
    for task, members in groups.items():
        models: dict[str, object] = {"random_encoder": "random_encoder"}
        if task == PTB_TASK:
            models["age_sex"] = "age_sex"
        models |= {f"{method} ({pool})": folders for (method, pool), folders in runs.items()}
        for name, model in models.items():
            folder = out / task.replace("/", "-") / name.replace(" ", "-")
            if not (folder / "evaluation.json").exists():
                openclef.evaluate(
                    model, members, task, name=name, lead="I", preprocessing=PREPROCESSING,
                    by="store" if task == PTB_TASK else None,
                ).save(folder)  # fmt: skip
                print(f"judged {name} on {task}", flush=True)
            found.setdefault(task, {})[name] = load_result(folder)
    return found


def differences(found: dict[str, dict[str, Result]]) -> pd.DataFrame:
    """Compare each run with random encoders, CLEF with SimCLR, also with age and sex appended; Holm over each task."""
    tables = []
    for task, results in found.items():
        rows = []
        trained = [name for name in results if name not in ("random_encoder", "age_sex")]
        pairs = [(name, "random_encoder") for name in trained]
        pairs += [(name, name.replace("clef", "simclr")) for name in trained if name.startswith("clef")]
        for suffix in ("", " + age_sex") if task == PTB_TASK else ("",):
            for name, against in pairs:
                rows.append(
                    openclef.compare(
                        results[name], results[against], model=name + suffix, against_model=against + suffix
                    )
                )
        table = pd.concat(rows, ignore_index=True)
        table["p_holm"] = holm(table["p"].tolist())
        tables.append(table)
    return pd.concat(tables, ignore_index=True)


def main() -> None:
    """Run everything that is not there yet, then write the tables."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--data", type=Path, required=True, help="folder with ptb-xl, ptb-xl-z and cinc2017")
    parser.add_argument("--out", type=Path, default=Path("runs/real_ecgs"))
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1, help="runs at a time")
    given = parser.parse_args()
    given.out.mkdir(parents=True, exist_ok=True)
    warnings.simplefilter("ignore", UserWarning)  # twins in both stores; degenerate notes stand in the report

    stores = convert(given.data, given.out / "stores")
    lines = ["# Measured", "", "## Checks", "", *check(stores)]
    pair = twins(stores)
    print(pair, flush=True)
    lines.append(f"Twins in both PTB-XL parts: {pair}\n")
    windows = {name: int((store.records["split"] == "train").sum()) for name, store in stores.items()}
    runs = pretrain_all(given.out / "stores", given.out / "pretrained", windows, given.seeds, given.workers)
    found = judge(stores, runs, given.out / "results")

    metrics = pd.concat(
        [r.metrics for results in found.values() for r in results.values()], ignore_index=True
    )
    metrics.to_csv(given.out / "metrics.csv", index=False)
    compared = differences(found)
    compared.to_csv(given.out / "differences.csv", index=False)
    for task, results in found.items():
        rows = metrics[(metrics["task"] == task) & metrics["metric"].isin(["auroc", "auprc"])]
        lines += [f"## {task}, lead I, linear probe, test", "", _markdown(rows, list(results)), ""]
        rows = compared[compared["task"] == task]
        lines += ["Differences in macro AUROC (paired), p by permutation, Holm over this table:", ""]
        lines += [_differences(rows), ""]
    (given.out / "results.md").write_text("\n".join(lines))
    print(f"{given.out / 'results.md'}, metrics.csv and differences.csv are written")


def _markdown(rows: pd.DataFrame, order: list[str]) -> str:
    out = [
        "| model | part | macro AUROC | macro AUPRC | n | seeds |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    for name in [n for base in order for n in (base, f"{base} + age_sex")]:
        for part, group in rows[rows["model"] == name].groupby("part", sort=False):
            cells = []
            for metric in ("auroc", "auprc"):
                row = group[group["metric"] == metric].iloc[0]
                cells.append(f"{row['value']:.3f} [{row['low']:.3f}, {row['high']:.3f}]")
            out.append(
                f"| {name} | {part or 'all'} | {cells[0]} | {cells[1]} | {row['n']} | {row['seeds']} |"
            )
    return "\n".join(out)


def _differences(rows: pd.DataFrame) -> str:
    out = ["| model | against | difference | p | p (Holm) |", "| --- | --- | --- | --- | --- |"]
    for row in rows.to_dict("records"):
        interval = f"{row['value']:+.3f} [{row['low']:+.3f}, {row['high']:+.3f}]"
        out.append(
            f"| {row['model']} | {row['against']} | {interval} | {row['p']:.3f} | {row['p_holm']:.3f} |"
        )
    return "\n".join(out)


if __name__ == "__main__":
    main()
