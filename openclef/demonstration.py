"""The main job in minutes, offline: simulated patients in, two encoders, an honest table and a report out."""

from __future__ import annotations

import json
from importlib.util import find_spec
from pathlib import Path

import pandas as pd
from rich.console import Console
from rich.table import Table

import openclef
from openclef.augment import Views
from openclef.checking import check
from openclef.optimisation import Optimisation
from openclef.preprocessing import Preprocessing
from openclef.pretraining import pretrain
from openclef.protocol.evaluation import compare, evaluate
from openclef.protocol.result import Result, load_result
from openclef.reporting.risk import print_risk
from openclef.simulator.cohort import simulate
from openclef.statistics import check_counts, holm
from openclef.store import Store, open_store, write_atomically

__all__ = ["run_demo"]

# Small enough for two cores: 8 s crops at 125 Hz; the recipe of configs/laptop.yaml with fewer epochs.
PREPROCESSING = Preprocessing(fs=125.0, seconds=10.0)
VIEWS = Views(noise_level_mv=None, noise_snr_db=15.0, crop_s=8.0)
OPTIMISATION = Optimisation(learning_rate=1e-3, schedule="cosine", warmup_epochs=1.0, weight_decay=1e-4)
TASKS = ("sim/low_ef", "sim/lvh", "sim/af")
METHODS = ("simclr", "clef")
BASELINES = ("random_encoder", "age_sex")
BATCH_SIZE = 64
LEAST_PATIENTS = 600  # with fewer hardly a disease has ten test patients, and nothing is measured


def run_demo(out: Path, *, patients: int = 2000, epochs: int = 15, seed: int = 0) -> pd.DataFrame:
    """Simulate patients, add SCORE2, pretrain SimCLR and CLEF, judge both beside random encoders and age and sex.

    What is finished is not done again, so an interrupted demo goes on where it was.

    Args:
        out: folder for the store (`store/`), the runs (`simclr/`, `clef/`), results (`results/`), `benchmark.csv` and
            `report.html`.
        patients: simulated patients.
        epochs: of each run.
        seed: of everything.

    Returns:
        The metrics of all models and tasks (columns as in `openclef.evaluate`).

    Raises:
        ValueError: too few patients to train and judge on, or epochs or seed that cannot be right.
        FileExistsError: the folder holds a demo with other settings.

    Example:
        >>> run_demo(Path("runs/demo"), patients=20)
        Traceback (most recent call last):
        ...
        ValueError: patients is 20; the demo needs at least 600: pass patients=600 or more.
    """
    check_counts(patients=patients, epochs=epochs, seed=seed)
    if patients < LEAST_PATIENTS:
        raise ValueError(
            f"patients is {patients}; the demo needs at least {LEAST_PATIENTS}: "
            f"pass patients={LEAST_PATIENTS} or more."
        )
    console = Console()
    _claim(
        out, {"patients": patients, "epochs": epochs, "seed": seed, "openclef_version": openclef.__version__}
    )
    store = _store(out / "store", patients, seed, console)
    print_risk(store, "score2", console)
    _pretrain(store, out, epochs, seed, console)
    results = {task: _judge(store, out, task, console) for task in TASKS}
    metrics = pd.concat(
        [result.metrics for each in results.values() for result in each.values()], ignore_index=True
    )
    write_atomically(out / "benchmark.csv", lambda path: metrics.to_csv(path, index=False))
    _print(metrics, console)
    console.print(_against_random(metrics))
    console.print(_reading(results))
    if find_spec("plotly") is None:
        console.print('For the report: pip install "openclef[report]", then openclef report ' + str(out))
    else:
        from openclef.reporting.page import report

        page = report(out, out / "report.html", title="openclef demo: simulated patients", seed=seed)
        console.print(f"Report: {page}")
    console.print(f"Store, runs, results and benchmark.csv are in {out}")
    return metrics


def _claim(out: Path, settings: dict[str, object]) -> None:
    """Note the demo's settings in its folder, or refuse a folder that holds one with others."""
    note = out / "demo.json"
    if out.is_file():
        raise FileExistsError(f"{out} is a file; pass a folder for the demo.")
    if note.exists():
        try:
            before = json.loads(note.read_text(encoding="utf-8"))
        except ValueError as error:
            raise ValueError(f"{note} is damaged ({error}); pass another folder with out.") from error
        if before != settings:
            raise FileExistsError(
                f"{out} holds a demo with other settings ({before}); pass another folder with out, or the same ones."
            )
        return
    if out.exists() and any(out.iterdir()):
        raise FileExistsError(f"{out} is not empty and holds no demo; pass another folder with out.")
    out.mkdir(parents=True, exist_ok=True)
    write_atomically(note, lambda path: path.write_text(json.dumps(settings, indent=1), encoding="utf-8"))


def _store(folder: Path, patients: int, seed: int, console: Console) -> Store:
    """The simulated cohort with SCORE2, checked."""
    if (folder / "dataset.json").exists():
        store = open_store(folder)
    else:
        console.print(f"Simulating {patients:,} patients")
        store = simulate(folder, patients=patients, seed=seed)
    if "score2" not in store.risks:
        store.add_risk("score2", region="low")
    found = check(folder, linkage=True)
    console.print(str(found))
    if found.problems:
        raise ValueError(
            f"{folder} is not sound (above); delete it and run the demo again, or pass another folder."
        )
    return store


def _pretrain(store: Store, out: Path, epochs: int, seed: int, console: Console) -> None:
    from openclef.checkpoint import is_finished

    for method in METHODS:
        if is_finished(out / method):
            console.print(f"{out / method} is finished already")
            continue
        console.print(f"Pretraining {method}: {epochs} epochs")
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


def _judge(store: Store, out: Path, task: str, console: Console) -> dict[str, Result]:
    """Results of both methods on one task; the baselines stand with the first."""
    results = {}
    for method in METHODS:
        folder = out / "results" / f"{task.replace('/', '_')}_{method}"
        if (folder / "evaluation.json").exists():
            results[method] = load_result(folder)
            continue
        console.print(f"Judging {method} on {task}")
        baselines = BASELINES if method == METHODS[0] else ()
        results[method] = evaluate(out / method, [store], task, name=method, baselines=baselines)
        results[method].save(folder)
    return results


_SHOWN = ("age_sex", "random_encoder", *METHODS)


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


def _against_random(metrics: pd.DataFrame) -> str:
    """One line: pretrained encoders beside random ones."""
    shown = metrics[metrics["metric"] == "auroc"].set_index(["task", "model"])["value"]
    there = [task for task in TASKS if {(task, "clef"), (task, "random_encoder")} <= {*shown.index}]
    gains = {task: float(shown[task, "clef"]) - float(shown[task, "random_encoder"]) for task in there}
    gains = {task: gain for task, gain in gains.items() if not pd.isna(gain)}
    if not gains:
        return "CLEF beside random encoders: not measured."
    listed = "; ".join(f"{task} {gain:+.3f}" for task, gain in gains.items())
    if max(gains.values()) < 0.02:
        said = "so short a training adds little or nothing to what an untrained network gives a linear probe"
    else:
        said = f"most on {max(gains, key=lambda task: gains[task])}; the tables have the intervals"
    return f"CLEF minus random encoders, AUROC: {listed}: {said}. docs/results.md has longer trainings on real ECGs."


def _reading(results: dict[str, dict[str, Result]]) -> str:
    """One honest line: what the comparison of CLEF with SimCLR says, and what a demo cannot say."""
    rows, unmeasured = [], []
    for task, each in results.items():
        if each["clef"].metrics.query("metric == 'auroc'")["value"].isna().all():
            unmeasured.append(task)
        else:
            rows.append(compare(each["clef"], each["simclr"], metric="auroc"))
    lines = []
    if rows:
        table = pd.concat(rows, ignore_index=True)
        table["p"] = holm(table["p"].tolist())
        differences = [
            f"{row['task']} {row['value']:+.3f} [{row['low']:+.3f}, {row['high']:+.3f}] (p {row['p']:.2f} after Holm)"
            for row in table.to_dict("records")
        ]
        lines.append("CLEF minus SimCLR, AUROC: " + "; ".join(differences) + ".")
    if unmeasured:
        lines.append(
            f"Too few test patients with or without it: {', '.join(unmeasured)}; pass more patients."
        )
    if rows:
        found = [row["task"] for row in table.to_dict("records") if row["p"] < 0.05]
        said = f"a difference on {', '.join(found)}" if found else "no difference"
        said += " between guided and unguided pretraining beyond chance"
    else:
        said = "nothing was measured"
    lines.append(
        f"Reading: {said}, on simulated patients with one seed and minutes of training. This shows that the parts work "
        "together, not what guidance is worth."
    )
    return "\n".join(lines)
