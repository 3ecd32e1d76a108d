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
import os
import sys
from collections.abc import Iterator
from pathlib import Path

import yaml
from tables import write_results

import openclef
from openclef.store import Store

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent))
from grid import Job, merged, pretrain  # noqa: E402 - beside this folder
from real_stores import convert  # noqa: E402

METHODS = ("simclr", "clef")
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


def jobs(stores: dict[str, Store], out: Path, seeds: list[int]) -> Iterator[Job]:
    """Both methods with every seed."""
    base = yaml.safe_load((HERE / "pretraining.yaml").read_text(encoding="utf-8"))
    pool = [stores[name] for name in PRETRAINED_ON]
    for seed in seeds:
        for method in METHODS:
            yield Job(
                out / f"{method}-{seed}",
                pool,
                merged(base, {"method": method, "seed": seed, "epochs": EPOCHS}),
            )


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
    pretrained = given.out / "pretrained"
    pretrain(jobs(stores, pretrained, given.seeds), given.workers)
    runs = {method: [pretrained / f"{method}-{seed}" for seed in given.seeds] for method in METHODS}
    out = given.out / ("benchmark" if given.split == "test" else f"benchmark_{given.split}")
    judge(stores, runs, out, given.split)
    print(f"page: {openclef.report(out)}")
    print(f"tables: {write_results(out, given.out / f'results_{given.split}')}")


if __name__ == "__main__":
    main()
