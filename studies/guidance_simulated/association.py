"""Does a score help the tasks that it is associated with? Association of each score with each task against the gain.

    python studies/guidance_simulated/association.py --data FOLDER --out runs/studies

It reads the study's results (comparisons.csv) and the cohort's validation part, and writes association.csv and
association.svg beside them. Nothing is trained. Time: seconds.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import yaml
from scipy.stats import spearmanr
from sklearn.metrics import roc_auc_score

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent))
from figures import COLOURS, LINE, differences  # noqa: E402 - beside this folder
from pools import open_pool  # noqa: E402

from openclef.store import Store  # noqa: E402

DRAWS = 1000


def main() -> None:
    """Write the table and the figure."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--data", type=Path, required=True, help="folder with the real recordings")
    parser.add_argument("--out", type=Path, default=Path("runs/studies"))
    given = parser.parse_args()
    study = yaml.safe_load((HERE / "study.yaml").read_text(encoding="utf-8"))
    results = HERE / "results" / "val"
    store = open_pool(study["judged_on"], given.data, given.out)[0]
    gains = differences(pd.read_csv(results / "comparisons.csv"), study["reference"])
    rows = []
    for name, arm in study["arms"].items():
        risk = (arm or {}).get("risk")
        if not isinstance(risk, str) or name == study["reference"]:
            continue
        for _, gain in gains[gains["model"] == name].iterrows():
            strength = association(store, risk, gain["task"])
            sign = -1 if gain["metric"] == "mae" else 1  # an error that falls is a gain
            rows.append(
                {
                    "method": study["base"]["method"] if "method" not in arm else arm["method"],
                    "risk": risk,
                    "task": gain["task"],
                    "metric": gain["metric"],
                    "association": strength,
                    "gain": sign * gain["value"],
                    "low": min(sign * gain["low"], sign * gain["high"]),
                    "high": max(sign * gain["low"], sign * gain["high"]),
                }
            )
    table = pd.DataFrame(rows)
    table.to_csv(results / "association.csv", index=False, float_format="%.4g")
    for (method, metric), part in table.groupby(["method", "metric"]):
        low, high = interval(part)
        value = spearmanr(part["association"], part["gain"]).statistic
        print(
            f"{method}, {metric}: Spearman {value:.2f} [{low:.2f}, {high:.2f}] over {len(part)} scores and tasks"
        )
    draw(table, results / "association.svg")


def association(store: Store, risk: str, task: str) -> float:
    """How strongly a score goes with a label, 0 to 1: |2 AUROC - 1| of a class, |Spearman| of a number."""
    rows = (store.records["split"] == "val").to_numpy()
    value = store.risk(risk)["value"].to_numpy()[rows]
    label = store.records[store.tasks[task].columns[0]].to_numpy(float)[rows]
    known = np.isfinite(value) & np.isfinite(label)
    if store.tasks[task].kind == "regression":
        return abs(float(spearmanr(value[known], label[known]).statistic))
    return abs(2 * float(roc_auc_score(label[known], value[known])) - 1)


def interval(part: pd.DataFrame) -> tuple[float, float]:
    """95 % interval of the correlation over draws of scores: tasks of one score are not independent."""
    names, draw, found = part["risk"].unique(), np.random.default_rng(0), []
    for _ in range(DRAWS):
        drawn = pd.concat([part[part["risk"] == name] for name in draw.choice(names, len(names))])
        if drawn["association"].nunique() > 1:
            found.append(spearmanr(drawn["association"], drawn["gain"]).statistic)
    low, high = np.nanquantile(found, [0.025, 0.975])
    return float(low), float(high)


def draw(table: pd.DataFrame, path: Path) -> None:
    """Draw gain against association: a panel a method and metric, a colour a task."""
    import matplotlib as mpl
    from matplotlib.figure import Figure

    panels = list(table.groupby(["metric", "method"]))
    tasks = list(dict.fromkeys(table["task"]))
    with mpl.rc_context({"font.size": 8, "svg.hashsalt": "openclef", "svg.fonttype": "none"}):
        figure = Figure(figsize=(2.9 * len(panels), 2.9), layout="constrained")
        axes = figure.subplots(1, len(panels), squeeze=False)[0]
        for axis, ((metric, method), part) in zip(axes, panels):
            axis.axhline(0, color=LINE, lw=0.8)
            for number, task in enumerate(tasks):
                own = part[part["task"] == task]
                axis.plot(own["association"], own["gain"], "o", ms=4, color=COLOURS[number], label=task)
            axis.set(
                title=method, xlabel="association of score and task", ylabel=f"gain in {metric} over SimCLR"
            )
            axis.spines[["top", "right"]].set_visible(False)
        handles = {}
        for axis in axes:
            handles |= dict(zip(*axis.get_legend_handles_labels()[::-1]))
        figure.legend(handles.values(), handles, loc="outside lower center", ncols=6, frameon=False)
        figure.savefig(path, metadata={"Date": None})


if __name__ == "__main__":
    main()
