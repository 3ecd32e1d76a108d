"""Train the small encoder that ships with openclef on simulated patients, and say what it is worth.

    python studies/small_sim/run.py --out runs/small_sim                        # train (about an hour on 2 cores)
    python studies/small_sim/run.py --out runs/small_sim --real runs/real_ecgs  # and judge on real ECGs too
    python studies/small_sim/run.py --out runs/small_sim --ship                 # copy into the package

Training: configuration A, SCORE2 guidance. Judged on other simulated patients (configuration A, another seed) and, with
--real, on PTB-XL and CinC 2017 (stores that studies/real_ecgs/run.py has made), beside random encoders and age and sex.
Nothing was chosen by these results.
"""

from __future__ import annotations

import argparse
import json
import shutil
from pathlib import Path

import pandas as pd

import openclef
from openclef.checkpoint import is_finished

NAME = "openclef-small-sim"
PATIENTS, RECORDS_PER_PATIENT, SEED = 8000, 1.5, 1_000
JUDGING_PATIENTS, JUDGING_SEED = 3000, 1_001
SIMULATED = ("sim/af", "sim/lvh", "sim/low_ef", "sim/lvef", "sim/age", "sim/sbp", "sim/preexcitation")
REAL = {"ptb_xl/superdiagnostic": ("ptb_xl", "ptb_xl_z"), "cinc2017/rhythm": ("cinc2017",)}
SHIPPED = ("config.json", "metrics.csv", "pretraining_subjects.json", "run.json", "model")
SETTINGS = {
    "method": "clef",
    "backbone": "resnext1d_small",
    "risk": "score2",
    "recipe": "paper",
    "lead": "random",
    "batch_size": 128,
    "temperature": 0.2,
    "projector_dim": 128,
    "seed": 0,
    "precision": "bf16-mixed",
    "guidance": openclef.Guidance(alpha=0.2),
    "preprocessing": openclef.Preprocessing(fs=125.0, seconds=10.0, band=(0.67, 40.0), order=5),
    "views": openclef.Views(
        same_lead_probability=0.8,
        noise_level_mv=None,
        noise_snr_db=10.0,
        noise_probability=0.8,
        mask_probability=0.2,
        crop_s=8.0,
    ),
    "optimisation": openclef.Optimisation(
        learning_rate=1e-3,
        weight_decay=1e-4,
        schedule="cosine",
        warmup_epochs=2,
        minimum_learning_rate=1e-6,
    ),
}


def main() -> None:
    """Simulate, train, judge, and ship if asked to."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--real", type=Path, help="folder with the stores of studies/real_ecgs")
    parser.add_argument("--epochs", type=int, default=40)
    parser.add_argument("--patients", type=int, default=PATIENTS)
    parser.add_argument("--ship", action="store_true", help="copy the finished run into the package")
    given = parser.parse_args()

    if not is_finished(given.out / NAME):
        store = simulated(given.out / "train", given.patients, SEED)
        openclef.pretrain([store], given.out / NAME, epochs=given.epochs, **SETTINGS)
    if given.ship:
        ship(given.out / NAME)
        return
    tables = []
    judging = simulated(given.out / "judge", JUDGING_PATIENTS, JUDGING_SEED)
    for task in SIMULATED:
        tables.append(judge(given.out, [judging], task))
    if given.real is not None:
        for task, names in REAL.items():
            tables.append(judge(given.out, [openclef.open_store(given.real / name) for name in names], task))
    metrics = pd.concat(tables, ignore_index=True)
    metrics.to_csv(given.out / "metrics.csv", index=False)
    macro = metrics[metrics["metric"].isin(["auroc", "mae"])]
    shown = macro[["task", "model", "metric", "value", "low", "high", "n", "seeds"]]
    print(shown.to_string(index=False, float_format=lambda value: f"{value:.3f}"))


def simulated(folder: Path, patients: int, seed: int) -> openclef.Store:
    """A simulated store with SCORE2."""
    if not (folder / "dataset.json").exists():
        openclef.simulate(folder, patients, seed, records_per_patient=RECORDS_PER_PATIENT)
    store = openclef.open_store(folder)
    return store if "score2" in store.risks else store.add_risk("score2", region="low")


def judge(out: Path, stores: list[openclef.Store], task: str) -> pd.DataFrame:
    """Metrics of one task on its test subjects."""
    folder = out / "results" / task.replace("/", "_")
    if not (folder / "metrics.json").exists():
        result = openclef.evaluate(
            out / NAME, stores, task, lead="I", name=NAME, baselines=("random_encoder", "age_sex")
        )
        result.save(folder)
        print(result)
    return pd.DataFrame(json.loads((folder / "metrics.json").read_text()))


def ship(run: Path) -> None:
    """Copy what `openclef.load` reads, and the curves, into the package."""
    target = Path(openclef.__file__).parent / "shipped_models" / NAME
    shutil.rmtree(target, ignore_errors=True)
    target.mkdir(parents=True)
    for name in SHIPPED:
        source = run / name
        (shutil.copytree if source.is_dir() else shutil.copy)(source, target / name)
    size = sum(path.stat().st_size for path in target.rglob("*") if path.is_file())
    print(f"{target}: {size / 1e6:.2f} MB")


if __name__ == "__main__":
    main()
