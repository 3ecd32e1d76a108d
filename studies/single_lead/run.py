"""The benchmark on real recordings: hospital ECGs by one lead, hand-held ECGs and Holter beats.

    python studies/single_lead/run.py --data FOLDER --out runs/single_lead

FOLDER holds ptb-xl (official layout), ptb-xl-z (one array and a CSV), cinc2017 and mitdb. SimCLR and CLEF are
pretrained on the training parts of PTB-XL and CinC 2017, three seeds each; CLEF is guided by age and sex (no set has
blood pressure, cholesterol, smoking and diabetes), and CinC 2017 has no metadata at all. Then one call of
`openclef.benchmark` judges both beside random encoders, classical features, age and sex, and training from scratch.
What is finished is kept: the same command goes on after an interruption.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pandas as pd
from tables import write_results

import openclef
from openclef.checkpoint import is_finished
from openclef.store import Store

HERE = Path(__file__).parent
PRETRAINED_ON = ("ptb_xl", "ptb_xl_z", "cinc2017")
EPOCHS = 17  # about 1,050 steps of 128 windows
CONDITIONS = (
    openclef.Condition(noise_snr_db=20),
    openclef.Condition(noise_snr_db=10),
    openclef.Condition(noise_snr_db=0),
    openclef.Condition(lead="I"),
    openclef.Condition(lead="II"),
    openclef.Condition(fs=100),
    openclef.Condition(seconds=5),
    openclef.Condition(seconds=2.5),
)
KINDS = {"superclass": "superdiagnostic", "subclass": "subdiagnostic", "rhythm": "rhythm", "form": "form"}


def convert(data: Path, out: Path) -> dict[str, Store]:
    """Convert the four sets, or open what is there."""
    places = {name: out / name for name in ("ptb_xl", "ptb_xl_z", "cinc2017", "mitdb")}
    missing = [name for name, place in places.items() if not (place / "dataset.json").exists()]
    if "ptb_xl" in missing:
        openclef.convert("ptb_xl", data / "ptb-xl", places["ptb_xl"], fs=500)
    if "ptb_xl_z" in missing:
        _convert_array(data / "ptb-xl-z", places["ptb_xl_z"], openclef.open_store(places["ptb_xl"]))
    for name in ("cinc2017", "mitdb"):
        if name in missing:
            openclef.convert(name, data / name, places[name])
    stores = {name: openclef.open_store(place) for name, place in places.items()}
    for name in ("ptb_xl", "ptb_xl_z"):
        if "age_sex" not in stores[name].risks:
            stores[name].add_risk("age_sex", region="low")
    return stores


def _convert_array(src: Path, dst: Path, official: Store) -> None:
    """Convert the array of PTB-XL; its codes have lost the underscores that the official ones have."""
    table = pd.read_csv(src / "records.csv", dtype=str, keep_default_na=False)
    tasks = {}
    for column, kind in KINDS.items():
        labels = official.tasks[f"ptb_xl/{kind}"].labels
        known = {label.strip("_"): label for label in labels}
        found = table[column].str.replace(",", ";").str.split(";")
        table[column] = [";".join(known[code] for code in codes if code) for codes in found]
        tasks[f"ptb_xl/{kind}"] = {"kind": "multilabel", "column": column, "labels": list(labels)}
    raw = dst.parent / "ptb_xl_z_raw"
    raw.mkdir(parents=True, exist_ok=True)
    table.to_csv(raw / "records.csv", index=False)
    if not (raw / "signals.npz").exists():
        (raw / "signals.npz").symlink_to((src / "signals.npz").resolve())
    openclef.convert(
        "table",
        raw,
        dst,
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
        tasks=tasks,
    )


def pretrain(stores: dict[str, Store], out: Path, seeds: list[int], workers: int) -> dict[str, list[Path]]:
    """Pretrain both methods with every seed through the command line, `workers` at a time, one thread each."""
    out.mkdir(parents=True, exist_ok=True)
    pool = json.dumps([str(stores[name].path) for name in PRETRAINED_ON])
    runs = {method: [out / f"{method}-{seed}" for seed in seeds] for method in ("simclr", "clef")}
    jobs = [(method, runs[method][i], seed) for i, seed in enumerate(seeds) for method in runs]

    def run(job: tuple[str, Path, int]) -> None:
        method, folder, seed = job
        if is_finished(folder):
            return
        command = [
            sys.executable, "-m", "openclef.cli", "pretrain", pool, str(folder),
            "--config", str(HERE / "pretraining.yaml"), "--method", method, "--seed", str(seed),
            "--epochs", str(EPOCHS),
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
    return runs


def judge(stores: dict[str, Store], runs: dict[str, list[Path]], out: Path, split: str) -> openclef.Benchmark:
    """Judge both methods beside all baselines, at three label budgets and under changed recordings."""
    return openclef.benchmark(
        runs,
        list(stores.values()),
        out,
        protocols=("probe", "scratch"),
        leads=("I", "II", "MLII"),
        label_shares=(0.01, 0.1, 1.0),
        training_seeds=(0, 1, 2),
        conditions=CONDITIONS,
        split=split,
    )


def main() -> None:
    """Run everything that is not there yet, then write the page and copy the tables."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--data", type=Path, required=True, help="folder with the four data sets")
    parser.add_argument("--out", type=Path, default=Path("runs/single_lead"))
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1, help="pretraining runs at a time")
    parser.add_argument(
        "--split", choices=("val", "test"), default="test", help="val while anything is tried"
    )
    given = parser.parse_args()
    stores = convert(given.data, given.out / "stores")
    runs = pretrain(stores, given.out / "pretrained", given.seeds, given.workers)
    out = given.out / ("benchmark" if given.split == "test" else f"benchmark_{given.split}")
    judge(stores, runs, out, given.split)
    print(f"page: {openclef.report(out)}")
    print(f"tables: {write_results(out, given.out / f'results_{given.split}')}")


if __name__ == "__main__":
    main()
