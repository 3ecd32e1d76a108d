"""From a benchmark's tables to the ones of docs/results.md, as Markdown, and to the CSV files that are kept."""

from __future__ import annotations

import shutil
from pathlib import Path

import pandas as pd

from openclef.reporting.values import model_order

KEPT = ("comparisons", "averages", "ranks")


def write_results(benchmark: Path, out: Path) -> Path:
    """Write results.md and copies of the tables.

    Args:
        benchmark: Folder of the benchmark.
        out: Where to.

    Returns:
        The Markdown file.
    """
    out.mkdir(parents=True, exist_ok=True)
    rows = pd.read_csv(benchmark / "benchmark.csv", keep_default_na=False, na_values=["", "nan"])
    rows = rows.fillna({"condition": "", "part": "", "note": "", "unit": ""})
    whole = rows[~rows["metric"].str.contains(":")]
    small = whole[
        (whole["part"] == "") & whole["metric"].isin(["auroc", "auprc", "prevalence", "brier", "ece"])
    ]
    small.drop(columns=["unit", "split", "note"]).to_csv(
        out / "metrics.csv", index=False, float_format="%.4g"
    )
    labels = pd.read_csv(benchmark / "labels.csv", keep_default_na=False)
    labels[labels["label_share"] == 1].to_csv(out / "labels.csv", index=False)
    for name in KEPT:
        shutil.copyfile(benchmark / f"{name}.csv", out / f"{name}.csv")
    plain = whole[(whole["condition"] == "") & (whole["part"] == "") & (whole["metric"] == "auroc")]
    differences = pd.read_csv(benchmark / "comparisons.csv")
    parts = ["Macro AUROC [95 % interval]; all training labels.", ""]
    for lead, of_lead in plain[plain["label_share"] == 1].groupby("lead", sort=False):
        parts += [f"### Lead {lead}", "", _side_by_side(of_lead), ""]
    parts += ["### Few labels", "", _by_share(plain), ""]
    parts += ["### Differences, all training labels", "", _differences(differences), ""]
    parts += ["### Changed recordings", "", _conditions(whole), ""]
    parts += ["### Averages", "", _averages(pd.read_csv(benchmark / "averages.csv")), ""]
    page = out / "results.md"
    page.write_text("\n".join(parts), encoding="utf-8")
    return page


def _cell(row: pd.Series, digits: int = 3, sign: str = "") -> str:
    if pd.isna(row["value"]):
        return "not measurable"
    return f"{row['value']:{sign}.{digits}f} [{row['low']:{sign}.{digits}f}, {row['high']:{sign}.{digits}f}]"


def _markdown(headings: list[str], rows: list[list[str]]) -> str:
    lines = [headings, ["---"] * len(headings), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _side_by_side(rows: pd.DataFrame) -> str:
    tasks = list(dict.fromkeys(rows["task"]))
    labels = {
        task: rows.loc[rows["task"] == task, "note"].iloc[0].split(";")[0].removeprefix("mean over ")
        for task in tasks
    }
    headings = ["model"] + [f"{task} ({labels[task]})" if labels[task] else task for task in tasks]
    table = []
    for model in model_order(rows["model"]):
        found = rows[rows["model"] == model].set_index("task")
        table.append([model] + [_cell(found.loc[task]) if task in found.index else "" for task in tasks])
    return _markdown(headings, table)


def _by_share(rows: pd.DataFrame) -> str:
    shares = sorted(rows["label_share"].unique())
    table = []
    for (task, lead), group in rows.groupby(["task", "lead"], sort=False):
        for model in model_order(group["model"]):
            found = group[group["model"] == model].set_index("label_share")
            values = [_cell(found.loc[share]) if share in found.index else "" for share in shares]
            table.append([f"{task}, {lead}", model, *values])
    return _markdown(["task, lead", "model", *(f"{share:.0%}" for share in shares)], table)


def _differences(rows: pd.DataFrame) -> str:
    table = []
    for row in rows[rows["label_share"] == 1].to_dict("records"):
        first, second = (
            f"{row[name]} ({row[key]})" if row["protocol"] != row["against_protocol"] else row[name]
            for name, key in (("model", "protocol"), ("against", "against_protocol"))
        )
        place = f"{row['task']}, {row['lead']}"
        table.append([place, first, second, _cell(pd.Series(row), sign="+"), f"{row['p_holm']:.3f}"])
    return _markdown(["task, lead", "model", "against", "difference in AUROC", "p (Holm)"], table)


def _conditions(rows: pd.DataFrame) -> str:
    auroc = rows[(rows["metric"] == "auroc") & (rows["part"] == "") & (rows["label_share"] == 1)]
    conditions = [name for name in dict.fromkeys(auroc["condition"]) if name]
    auroc = auroc[~auroc["model"].str.endswith(" + age_sex")]
    table = []
    for (task, lead), group in auroc.groupby(["task", "lead"], sort=False):
        for model in model_order(group["model"]):
            found = group[group["model"] == model].set_index("condition")["value"]
            if len(found) < 2:
                continue
            values = [f"{found[name]:.3f}" if name in found.index else "" for name in ["", *conditions]]
            table.append([f"{task}, {lead}", model, *values])
    return _markdown(["task, lead", "model", "as recorded", *conditions], table)


def _averages(rows: pd.DataFrame) -> str:
    table = []
    for row in rows.to_dict("records"):
        about = [row["model"], row["protocol"], row["lead"], f"{row['label_share']:.0%}", row["metric"]]
        table.append([*map(str, about), _cell(pd.Series(row)), str(row["tasks"])])
    return _markdown(["model", "protocol", "lead", "labels", "metric", "value", "tasks"], table)
