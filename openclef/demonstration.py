"""The main job in minutes, offline: simulated patients in, two encoders and an honest table out."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
from rich.console import Console
from rich.table import Table

from openclef.augment import Views
from openclef.optimisation import Optimisation
from openclef.preprocessing import Preprocessing
from openclef.pretraining import pretrain
from openclef.protocol.evaluation import compare, evaluate
from openclef.reporting.risk import print_risk
from openclef.simulator.cohort import simulate
from openclef.statistics import check_counts
from openclef.store import Store, open_store, write_atomically

__all__ = ["run_demo"]

# Small enough for two cores: 8 s crops at 125 Hz; the recipe of configs/laptop.yaml with fewer epochs.
PREPROCESSING = Preprocessing(fs=125.0, seconds=10.0)
VIEWS = Views(noise_level_mv=None, noise_snr_db=15.0, crop_s=8.0)
OPTIMISATION = Optimisation(learning_rate=1e-3, schedule="cosine", warmup_epochs=1.0, weight_decay=1e-4)
TASKS = ("sim/low_ef", "sim/lvh", "sim/af")
BATCH_SIZE = 64
LEAST_PATIENTS = 150  # three fifths of them train, and must fill a batch


def run_demo(out: Path, *, patients: int = 1500, epochs: int = 12, seed: int = 0) -> pd.DataFrame:
    """Simulate patients, add SCORE2, pretrain SimCLR and CLEF, and judge both beside random encoders and age and sex.

    What is finished is not done again, so an interrupted demo goes on where it was.

    Args:
        out: folder for the store (`store/`), the runs (`simclr/`, `clef/`) and `metrics.json`.
        patients: simulated patients.
        epochs: of each run.
        seed: of everything.

    Returns:
        The metrics of all models and tasks (columns as in `openclef.evaluate`).

    Raises:
        ValueError: too few patients to train and judge on, or epochs or seed that cannot be right.

    Example:
        >>> run_demo(Path("runs/demo"), patients=20)
        Traceback (most recent call last):
        ...
        ValueError: patients is 20; the demo needs at least 150: pass patients=150 or more.
    """
    from openclef.checkpoint import is_finished

    check_counts(patients=patients, epochs=epochs, seed=seed)
    if patients < LEAST_PATIENTS:
        raise ValueError(
            f"patients is {patients}; the demo needs at least {LEAST_PATIENTS}: "
            f"pass patients={LEAST_PATIENTS} or more."
        )

    console = Console()
    store = _store(out / "store", patients, seed, console)
    print_risk(store, "score2", console)
    for method in ("simclr", "clef"):
        if is_finished(out / method):
            console.print(f"{out / method} is finished already")
            continue
        pretrain(
            [store],
            out / method,
            method=method,
            risk="score2",
            epochs=epochs,
            batch_size=BATCH_SIZE,
            seed=seed,
            temperature=0.2,
            projector_dim=128,
            preprocessing=PREPROCESSING,
            views=VIEWS,
            optimisation=OPTIMISATION,
        )
    tables, reading = [], []
    for task in (task for task in TASKS if task in store.tasks):
        results = {
            name: evaluate(
                out / name, [store], task, name=name, baselines=() if name == "clef" else _BASELINES
            )
            for name in ("simclr", "clef")
        }
        tables += [results["simclr"].metrics, results["clef"].metrics]
        if results["clef"].metrics.query("metric == 'auroc'")["value"].isna().all():
            reading.append(
                f"{task}: too few test patients with and without it to compare; pass more patients"
            )
            continue
        row = compare(results["clef"], results["simclr"], metric="auroc").iloc[0]
        reading.append(
            f"{task}: clef minus simclr AUROC {row['value']:+.3f} [{row['low']:+.3f}, {row['high']:+.3f}]"
        )
    metrics = pd.concat(tables, ignore_index=True)
    write_atomically(out / "metrics.json", lambda path: metrics.to_json(path, orient="records", indent=1))
    _print(metrics, console)
    for line in reading:
        console.print(line)
    console.print(
        "Simulated patients, one seed, minutes of training: this shows that the parts work together, "
        "not that guidance helps."
    )
    console.print(f"Store, runs and metrics.json are in {out}")
    return metrics


_BASELINES = ("random_encoder", "age_sex")


def _store(folder: Path, patients: int, seed: int, console: Console) -> Store:
    if (folder / "dataset.json").exists():
        store = open_store(folder)
    else:
        console.print(f"Simulating {patients:,} patients")
        store = simulate(folder, patients=patients, seed=seed)
    if "score2" not in store.risks:
        store.add_risk("score2", region="low")
    return store


_SHOWN = ("age_sex", "random_encoder", "simclr", "clef")


def _print(metrics: pd.DataFrame, console: Console) -> None:
    """Print one table a task: baselines first, each encoder alone and with age and sex appended."""
    shown = metrics[metrics["metric"] == "auroc"].set_index("model")
    for task, rows in shown.groupby("task", sort=False):
        table = Table(title=f"{task} (simulated): AUROC of a linear probe, lead I, test patients")
        for name in ("model", "AUROC [95 % interval]", "patients", "seeds"):
            table.add_column(name, no_wrap=True)
        for model in (name for base in _SHOWN for name in (base, f"{base} + age_sex") if name in rows.index):
            row = rows.loc[model]
            measured = not pd.isna(row["value"])
            interval = f"{row['value']:.3f} [{row['low']:.3f}, {row['high']:.3f}]" if measured else "too few"
            table.add_row(model, interval, str(row["n"]), str(row["seeds"]))
        console.print(table)
