"""A benchmark's folder from random numbers: the CSV files and benchmark.json of a grid that nobody ran."""

from __future__ import annotations

import json
from itertools import product
from pathlib import Path

import numpy as np
import pandas as pd

SKILL = {
    "random_encoder": 0.45,
    "age_sex": 0.35,
    "features": 0.6,
    "scratch": 0.55,
    "clef": 0.8,
    "simclr": 0.72,
}
CLASSES = {
    "ptb_xl/superdiagnostic": ("NORM", "MI", "STTC", "CD", "HYP"),
    "ptb_xl/subdiagnostic": tuple(f"{name}{i}" for i in range(6) for name in ("IMI", "AMI", "LVH", "ISC"))[
        :23
    ],
    "mitdb/beat": ("N", "S", "V"),
    "sim/low_ef": ("low_ef",),
    "sim/af": ("af",),
}
NUMBERS = {"aurora_bp/sbp": ("mmHg", 14.0), "mimic_iv_lvef/lvef": ("%", 9.0)}
RECORDS = {"ptb_xl": 2163, "mitdb": 402, "sim": 600, "aurora_bp": 180, "mimic_iv_lvef": 3011}
LEADS = ("I", "II")
SHARES = (1.0, 0.1, 0.01)
CONDITIONS = ("noise 10 dB", "lead II", "100 Hz", "first 5 s")
PARTS = {
    "sex=female": 0.48,
    "sex=male": 0.51,
    "sex=unknown": 0.01,
    "age_band=0-39": 0.15,
    "age_band=40-59": 0.3,
    "age_band=60-74": 0.35,
    "age_band=75-149": 0.2,
}


def write_benchmark(folder: Path, *, models: dict[str, float] = SKILL, tasks: int = 7, seed: int = 0) -> Path:
    """Write a benchmark's folder.

    Args:
        folder: Where.
        models: How well each does, 0 to 1; all but age_sex also with age and sex appended.
        tasks: So many of the tasks, regression ones last.
        seed: Of the numbers.
    """
    folder.mkdir(parents=True, exist_ok=True)
    draw = np.random.default_rng(seed)
    names = [name + end for name in models for end in ("", " + age_sex") if not (name == "age_sex" and end)]
    every = [*CLASSES, *NUMBERS]
    used = every[: tasks - 2] + every[-2:] if tasks > 2 else every[:tasks]
    cells = [
        {"model": name, "task": task, "protocol": protocol, "lead": lead, "label_share": share}
        for task, lead, share, name in product(used, LEADS, SHARES, names)
        for protocol in _protocols(name, lead, share)
    ]
    metrics, labels, bins = [], [], []
    for cell in cells:
        found = _judged(cell, models, draw)
        metrics += found[0]
        labels += found[1]
        bins += found[2]
    table = pd.DataFrame(metrics)
    _write(folder, "benchmark", table)
    _write(folder, "labels", pd.DataFrame(labels))
    _write(folder, "reliability", pd.DataFrame(bins))
    _write(folder, "comparisons", _comparisons(table, draw))
    _write(folder, "averages", _averages(table))
    _write(folder, "ranks", _ranks(table))
    _write(folder, "looks", _looks(cells))
    reason = (
        "a training subject of clef is among the judged: pretrain without aurora_bp, or leave the task out"
    )
    skipped = [
        {
            "task": "aurora_bp/sbp",
            "lead": lead,
            "protocol": protocol,
            "label_share": share,
            "model": "ecg_fm",
            "reason": reason,
        }
        for lead, protocol, share in product(LEADS, ("probe", "knn"), SHARES)
    ]
    skipped.append(
        {
            "task": "mitdb/beat",
            "lead": "",
            "protocol": "",
            "label_share": "",
            "model": "",
            "reason": "lead V9 is not in mitdb",
        }
    )
    _write(folder, "skipped", pd.DataFrame(skipped))
    about = {
        "settings": {
            "tasks": used,
            "protocols": ["probe", "knn", "finetune"],
            "leads": list(LEADS),
            "label_shares": list(SHARES),
            "baselines": ["random_encoder", "age_sex", "features"],
            "seeds": [0, 1, 2, 3, 4],
            "conditions": list(CONDITIONS),
            "by": ["sex", "age_band"],
            "split": "test",
            "reference": "random_encoder",
            "draws": 1000,
            "permutations": 1000,
            "min_positives": 10,
            "seed": 0,
        },
        "models": [{"name": "clef", "path": "runs/clef"}, {"name": "simclr", "path": "runs/simclr"}],
        "stores": [{"name": name, "path": f"stores/{name}"} for name in RECORDS],
        "versions": {"openclef": "0.1.0", "torch": "2.9.0"},
        "seconds": 5321.0,
    }
    (folder / "benchmark.json").write_text(json.dumps(about))
    return folder


def _protocols(name: str, lead: str, share: float) -> list[str]:
    if name.startswith("scratch"):
        return ["scratch"]
    if name in ("clef", "clef + age_sex") and lead == "I" and share == 1:
        return ["probe", "knn", "finetune"]
    return ["probe", "knn"] if lead == "I" and share == 1 else ["probe"]


def _write(folder: Path, name: str, table: pd.DataFrame) -> None:
    table.to_csv(folder / f"{name}.csv", index=False)


def _judged(cell: dict, models: dict[str, float], draw: np.random.Generator) -> tuple[list, list, list]:
    task, store = cell["task"], cell["task"].split("/")[0]
    base = cell["model"].removesuffix(" + age_sex")
    skill = models[base] + (0.04 if base != cell["model"] else 0)
    skill *= {1.0: 1.0, 0.1: 0.85, 0.01: 0.6}[cell["label_share"]]
    skill += {"knn": -0.06, "finetune": 0.05}.get(cell["protocol"], 0) - 0.03 * (cell["lead"] == "II")
    count, seeds = RECORDS[store], 5 if base in ("random_encoder", "scratch") else 1
    more = {"n": count, "seeds": seeds, "condition": "", "part": "", "note": "", "split": "test", "unit": ""}

    def row(metric: str, value: float, width: float, **changed: object) -> dict:
        value = float(value)
        ends = {"value": value, "low": value - width * 0.9, "high": value + width}
        return {**cell, "metric": metric, **ends, **more, **changed}

    if task in NUMBERS:
        unit, level = NUMBERS[task]
        error = level * (1.15 - 0.4 * skill) + draw.normal(0, 0.1)
        rows = [row("mae", error, 0.06 * level, unit=unit), row("rmse", 1.3 * error, 0.08 * level, unit=unit)]
        rows += [row("r2", 0.5 * skill - 0.1, 0.06), row("r", 0.7 * skill, 0.05)]
        rows += [row("mae", error * f, 0.06 * level, unit=unit, condition=c) for c, f in _changed(base, draw)]
        rows += [
            row(
                "mae", error + draw.normal(0, 0.3), 0.06 * level / s**0.5, unit=unit, part=p, n=int(s * count)
            )
            for p, s in PARTS.items()
        ]
        return rows, [], []
    names = CLASSES[task]
    prevalence = np.array([0.45 / (1 + 0.9 * i) ** 1.3 for i in range(len(names))])
    positives = np.maximum((prevalence * count).astype(int), 1)
    measurable = positives >= 40 if len(names) > 5 else positives >= 10
    value = np.clip(0.5 + 0.45 * skill + draw.normal(0, 0.03, len(names)), 0.4, 0.995)
    width = 0.9 / np.sqrt(positives)
    macro = value[measurable].mean()
    note = f"mean over {measurable.sum()} of {len(names)} labels" if len(names) > 1 else ""
    rows = [
        row("auroc", macro, 0.025, note=note),
        row("auprc", 0.3 + 0.5 * skill, 0.04, note=note),
        row("prevalence", prevalence.mean(), 0.01, note=note),
        row("brier", 0.2 - 0.1 * skill + draw.normal(0, 0.003), 0.01, note=note),
        row("ece", 0.05 - 0.02 * skill + draw.normal(0, 0.003), 0.008, note=note),
    ]
    rows += [row("auroc", 0.5 + (macro - 0.5) * (2 - f), 0.028, condition=c) for c, f in _changed(base, draw)]
    for part, share in PARTS.items():
        small = share < 0.05
        at = float("nan") if small else macro + draw.normal(0, 0.012)
        rows.append(row("auroc", at, 0.025 / share**0.5, part=part, n=int(share * count)))
    of_labels = []
    if len(names) > 1:
        for i, name in enumerate(names):
            shown = value[i] if measurable[i] else float("nan")
            of_labels.append(
                {
                    **cell,
                    "label": name,
                    "n": count,
                    "positives": positives[i],
                    "prevalence": positives[i] / count,
                    "auroc": shown,
                    "auroc_low": shown - width[i],
                    "auroc_high": min(shown + 0.8 * width[i], 1.0),
                    "auprc": shown - 0.3,
                    "auprc_low": shown - 0.3 - width[i],
                    "auprc_high": shown - 0.3 + width[i],
                    "measurable": bool(measurable[i]),
                }
            )
            rows.append(row(f"auroc:{name}", shown, width[i], n=int(positives[i])))
    edges = np.linspace(0, 1, 16)
    middle = (edges[:-1] + edges[1:]) / 2
    observed = np.clip(middle + (0.12 - 0.1 * skill) * np.sin(3 * middle) + draw.normal(0, 0.03, 15), 0, 1)
    sizes = (count * len(names) * np.exp(-3 * middle) / 6).astype(int)
    bins = [
        {**cell, "bin_low": a, "bin_high": b, "mean_predicted": m, "observed": o, "n": int(s)}
        for a, b, m, o, s in zip(edges[:-1], edges[1:], middle, observed, sizes)
    ]
    return rows, of_labels, bins


def _changed(base: str, draw: np.random.Generator) -> list[tuple[str, float]]:
    if base == "age_sex":
        return []
    return [
        (name, 1 + size + abs(draw.normal(0, 0.02)))
        for name, size in zip(CONDITIONS, (0.2, 0.08, 0.03, 0.12))
    ]


def _main(table: pd.DataFrame) -> pd.DataFrame:
    rows = table[(table["condition"] == "") & (table["part"] == "")]
    return rows[rows["metric"].isin(["auroc", "mae"])]


def _comparisons(table: pd.DataFrame, draw: np.random.Generator) -> pd.DataFrame:
    rows = []
    for (task, lead, share), of in _main(table).groupby(["task", "lead", "label_share"], sort=False):
        probe = of[of["protocol"].isin(["probe", "scratch"])].set_index("model")
        pairs = [(m, "random_encoder") for m in probe.index if m != "random_encoder"]
        pairs += [("clef + age_sex", "simclr + age_sex"), ("clef", "simclr")]
        found = []
        for model, other in pairs:
            if model not in probe.index or other not in probe.index:
                continue
            value = float(probe.loc[model, "value"] - probe.loc[other, "value"])
            half = 0.05 if probe.loc[model, "metric"] == "auroc" else 0.8
            p = float(np.clip(draw.uniform(0, 0.01) if abs(value) > half else draw.uniform(0.05, 1), 0, 1))
            found.append(
                {
                    "model": model,
                    "against": other,
                    "task": task,
                    "protocol": probe.loc[model, "protocol"],
                    "against_protocol": probe.loc[other, "protocol"],
                    "lead": lead,
                    "label_share": share,
                    "metric": probe.loc[model, "metric"],
                    "value": value,
                    "low": value - half,
                    "high": value + half,
                    "p": p,
                    "p_holm": min(1.0, p * len(pairs)),
                    "n": int(probe.loc[model, "n"]),
                    "seeds": int(probe.loc[model, "seeds"]),
                    "against_seeds": int(probe.loc[other, "seeds"]),
                }
            )
        rows += found
    return pd.DataFrame(rows)


def _averages(table: pd.DataFrame) -> pd.DataFrame:
    rows = []
    for (protocol, lead, share, model), of in _main(table).groupby(
        ["protocol", "lead", "label_share", "model"], sort=False
    ):
        about = {"model": model, "protocol": protocol, "lead": lead, "label_share": share}
        every = _main(table)
        same = (every["lead"] == lead) & (every["label_share"] == share) & (every["protocol"] == "probe")
        reference = every[same & (every["model"] == "random_encoder")].set_index("task")["value"]
        for metric in ("auroc", "mae"):
            part = of[of["metric"] == metric]
            if part.empty:
                continue
            change = 100 * float((part["value"].to_numpy() / reference[part["task"]].to_numpy() - 1).mean())
            common = {**about, "tasks": len(part), "reference": "random_encoder"}
            if metric == "auroc":
                mean = float(part["value"].mean())
                rows.append(
                    {**common, "metric": "auroc", "value": mean, "low": mean - 0.012, "high": mean + 0.013}
                )
            wide = 0.0 if model == "random_encoder" and protocol == "probe" else 2.5
            ends = {"value": change, "low": change - wide, "high": change + wide}
            rows.append({**common, "metric": f"{metric}_change_percent", **ends})
    return pd.DataFrame(rows)


def _ranks(table: pd.DataFrame) -> pd.DataFrame:
    from openclef.ranking import rank_models

    rows = []
    for (protocol, lead, share), of in _main(table).groupby(["protocol", "lead", "label_share"], sort=False):
        signed = of.assign(value=np.where(of["metric"] == "mae", -of["value"], of["value"]))
        wide = signed.pivot_table(index="task", columns="model", values="value")
        if min(wide.shape) < 2:
            continue
        ranking = rank_models(wide.to_numpy())
        for model, rank in zip(wide.columns, ranking.mean_ranks):
            rows.append(
                {
                    "model": model,
                    "protocol": protocol,
                    "lead": lead,
                    "label_share": share,
                    "mean_rank": rank,
                    "tasks": len(wide),
                    "critical_difference": ranking.critical_difference,
                    "friedman_p": ranking.friedman_p,
                }
            )
    return pd.DataFrame(rows)


def _looks(cells: list[dict]) -> pd.DataFrame:
    rows = []
    for i, cell in enumerate(cells):
        store = cell["task"].split("/")[0]
        for condition in (
            ("", *CONDITIONS[:2]) if cell["protocol"] == "probe" and cell["label_share"] == 1 else ("",)
        ):
            rows.append(
                {
                    "time": f"2026-11-{1 + i % 20:02d}T10:{i % 60:02d}:00+00:00",
                    "store": store,
                    "task": cell["task"],
                    "model": cell["model"],
                    "weights": f"{hash_of(cell['model'])}",
                    "protocol": cell["protocol"],
                    "lead": cell["lead"],
                    "label_share": cell["label_share"],
                    "condition": condition,
                    "records": RECORDS[store],
                    "subjects": int(0.9 * RECORDS[store]),
                }
            )
    return pd.DataFrame(rows)


def hash_of(name: str) -> str:
    from hashlib import sha256

    return sha256(name.encode()).hexdigest()
