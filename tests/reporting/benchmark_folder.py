"""A benchmark's folder from random numbers: the CSV files and benchmark.json of a grid that nobody ran."""

from __future__ import annotations

import json
from itertools import combinations, product
from pathlib import Path

import numpy as np
import pandas as pd

BASELINES = ("random_encoder", "age_sex", "features", "scratch")
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
    "sim/af": ("af",),
    "mitdb/beat": ("N", "S", "V"),
    "sim/low_ef": ("low_ef",),
}
NUMBERS = {"aurora_bp/sbp": ("mmHg", 14.0), "mimic_iv_lvef/lvef": ("%", 9.0)}
RECORDS = {"ptb_xl": 2163, "mitdb": 402, "sim": 600, "aurora_bp": 180, "mimic_iv_lvef": 3011}
LEADS = ("I", "II")
SHARES = (1.0, 0.1, 0.01)
CONDITIONS = ("noise 10 dB", "lead II", "100 Hz", "5 s a window")
PARTS = {
    "sex=female": 0.48,
    "sex=male": 0.51,
    "sex=unknown": 0.01,
    "age_band=0-39": 0.15,
    "age_band=40-59": 0.3,
    "age_band=60-74": 0.35,
    "age_band=75-149": 0.2,
}


def write_benchmark(
    folder: Path,
    *,
    models: dict[str, float] = SKILL,
    tasks: int = 7,
    leads: tuple[str, ...] = LEADS,
    seed: int = 0,
) -> Path:
    """Write a benchmark's folder.

    Args:
        folder: Where.
        models: How well each does, 0 to 1; all but age_sex also with age and sex appended.
        tasks: So many of the tasks, regression ones last.
        leads: Leads.
        seed: Of the numbers.
    """
    folder.mkdir(parents=True, exist_ok=True)
    draw = np.random.default_rng(seed)
    names = [name + end for name in models for end in ("", " + age_sex") if not (name == "age_sex" and end)]
    every = [*CLASSES, *NUMBERS]
    used = every[: tasks - 2] + every[-2:] if tasks > 2 else every[:tasks]
    cells = [
        {"model": name, "task": task, "protocol": protocol, "lead": lead, "label_share": share}
        for task, lead, share, name in product(used, leads, SHARES, names)
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
        for lead, protocol, share in product(leads, ("probe", "knn"), SHARES)
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
            "leads": list(leads),
            "label_shares": list(SHARES),
            "baselines": ["random_encoder", "age_sex", "features"],
            "seeds": [0, 1, 2, 3, 4],
            "conditions": [{"name": name} for name in CONDITIONS],
            "by": ["sex", "age_band"],
            "split": "test",
            "reference": "random_encoder",
            "draws": 1000,
            "permutations": 1000,
            "min_positives": 10,
            "seed": 0,
        },
        "models": [{"name": "clef", "path": "runs/clef"}, {"name": "simclr", "path": "runs/simclr"}],
        "stores": [{"name": name, "path": f"stores/{name}", "title": name.upper()} for name in RECORDS],
        "tasks": [{"name": task, "stores": [task.split("/")[0]]} for task in used],
        "notes": [{"model": "clef", "note": "the encoder does not say whom it was pretrained on"}],
        "versions": {"openclef": "0.1.0", "torch": "2.9.0"},
        "seconds": 5321.0,
    }
    (folder / "benchmark.json").write_text(json.dumps(about))
    return folder


def _protocols(name: str, lead: str, share: float) -> list[str]:
    base = name.removesuffix(" + age_sex")
    if base == "scratch":
        return ["scratch"]
    if base in ("features", "age_sex") or lead != "I" or share != 1:
        return ["probe"]
    return ["probe", "knn"] if base == "random_encoder" else ["probe", "knn", "finetune"]


def _write(folder: Path, name: str, table: pd.DataFrame) -> None:
    table.to_csv(folder / f"{name}.csv", index=False)


def _judged(cell: dict, models: dict[str, float], draw: np.random.Generator) -> tuple[list, list, list]:
    """Rows of benchmark.csv, labels.csv and reliability.csv of one cell."""
    base = cell["model"].removesuffix(" + age_sex")
    skill = models[base] + (0.04 if base != cell["model"] else 0)
    skill *= {1.0: 1.0, 0.1: 0.85, 0.01: 0.6}[cell["label_share"]]
    skill += {"knn": -0.06, "finetune": 0.05}.get(cell["protocol"], 0) - 0.03 * (cell["lead"] == "II")
    judge = _of_numbers if cell["task"] in NUMBERS else _of_classes
    rows, labels, bins = judge(cell, base, skill, draw)
    if cell["label_share"] != 1:
        rows = [each for each in rows if not each["condition"] and not each["part"]]
    return rows, labels, bins


def _row(cell: dict, metric: str, value: float, width: float, **changed: object) -> dict:
    base = cell["model"].removesuffix(" + age_sex")
    ends = {"value": float(value), "low": float(value - 0.9 * width), "high": float(value + width)}
    more = {
        "n": RECORDS[cell["task"].split("/")[0]],
        "seeds": 5 if base in ("random_encoder", "scratch") else 1,
    }
    plain = {"condition": "", "part": "", "note": "", "split": "test", "unit": ""}
    return {**cell, "metric": metric, **ends, **more, **plain, **changed}


def _of_numbers(cell: dict, base: str, skill: float, draw: np.random.Generator) -> tuple[list, list, list]:
    unit, level = NUMBERS[cell["task"]]
    count = RECORDS[cell["task"].split("/")[0]]
    error = level * (1.15 - 0.4 * skill) + draw.normal(0, 0.1)

    def mae(value: float, width: float, **changed: object) -> dict:
        return _row(cell, "mae", value, width * level, unit=unit, **changed)

    rows = [mae(error, 0.06), _row(cell, "rmse", 1.3 * error, 0.08 * level, unit=unit)]
    rows += [_row(cell, "r2", 0.5 * skill - 0.1, 0.06), _row(cell, "r", 0.7 * skill, 0.05)]
    rows += [mae(error * factor, 0.06, condition=name) for name, factor in _changed(base, draw)]
    for part, share in PARTS.items():
        rows.append(mae(error + draw.normal(0, 0.3), 0.06 / share**0.5, part=part, n=int(share * count)))
    return rows, [], []


def _of_classes(cell: dict, base: str, skill: float, draw: np.random.Generator) -> tuple[list, list, list]:
    names, count = CLASSES[cell["task"]], RECORDS[cell["task"].split("/")[0]]
    positives = np.maximum([int(count * 0.45 / (1 + 0.9 * i) ** 1.3) for i in range(len(names))], 1)
    measurable = positives >= (40 if len(names) > 5 else 10)
    value = np.clip(0.5 + 0.45 * skill + draw.normal(0, 0.03, len(names)), 0.4, 0.995)
    width = 0.9 / np.sqrt(positives)
    macro = value[measurable].mean()
    note = f"mean over {measurable.sum()} of {len(names)} labels" if len(names) > 1 else ""
    rows = [
        _row(cell, "auroc", macro, 0.025, note=note),
        _row(cell, "auprc", 0.3 + 0.5 * skill, 0.04, note=note),
        _row(cell, "prevalence", (positives / count).mean(), 0.01, note=note),
        _row(cell, "brier", 0.2 - 0.1 * skill + draw.normal(0, 0.003), 0.01, note=note),
        _row(cell, "ece", 0.05 - 0.02 * skill + draw.normal(0, 0.003), 0.008, note=note),
    ]
    for name, factor in _changed(base, draw):
        rows.append(_row(cell, "auroc", 0.5 + (macro - 0.5) * (2 - factor), 0.028, condition=name))
    for part, share in PARTS.items():
        at = float("nan") if share < 0.05 else macro + draw.normal(0, 0.012)
        rows.append(_row(cell, "auroc", at, 0.025 / share**0.5, part=part, n=int(share * count)))
    labels = []
    for i, name in enumerate(names):
        shown = value[i] if measurable[i] else float("nan")
        about = {"n": count, "positives": positives[i], "prevalence": positives[i] / count}
        found = {
            "auroc": shown,
            "auroc_low": shown - width[i],
            "auroc_high": min(shown + 0.8 * width[i], 1.0),
        }
        found |= {
            "auprc": shown - 0.3,
            "auprc_low": shown - 0.3 - width[i],
            "auprc_high": shown - 0.3 + width[i],
        }
        labels.append({**cell, "label": name, **about, **found, "measurable": bool(measurable[i])})
        if len(names) > 1:
            rows.append(_row(cell, f"auroc:{name}", shown, width[i], n=int(positives[i])))
    edges = np.linspace(0, 1, 11)
    middle = (edges[:-1] + edges[1:]) / 2
    observed = np.clip(middle + (0.3 - 0.3 * skill) * np.sin(3 * middle) + draw.normal(0, 0.02, 10), 0, 1)
    sizes = (count * len(names) * np.exp(-3 * middle) / 6).astype(int)
    bins = [
        {**cell, "bin_low": a, "bin_high": b, "mean_predicted": m, "observed": o, "n": int(n)}
        for a, b, m, o, n in zip(edges[:-1], edges[1:], middle, observed, sizes)
    ]
    return rows, labels, bins


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


def _pairs(names: set[tuple[str, str]]) -> list[tuple[tuple[str, str], tuple[str, str]]]:
    """Pairs of (protocol, model) as `openclef.benchmarking.comparisons.find_pairs` chooses them."""
    pairs = []
    for protocol in ("probe", "knn", "finetune"):
        given = [m for p, m in sorted(names) if p == protocol and m.split(" ")[0] not in BASELINES]
        for name in given:
            end = " + age_sex" if name.endswith(" + age_sex") else ""
            if protocol == "finetune":
                others = [("scratch", "scratch" + end), ("probe", name)]
            elif end:
                others = [(protocol, "age_sex"), (protocol, "random_encoder" + end)]
            else:
                others = [(protocol, "random_encoder"), (protocol, "features"), ("scratch", "scratch")]
            pairs += [((protocol, name), other) for other in others]
        pairs += [
            ((protocol, a), (protocol, b))
            for a, b in combinations(given, 2)
            if a.endswith("age_sex") == b.endswith("age_sex")
        ]
    return [(a, b) for a, b in pairs if a in names and b in names]


def _comparisons(table: pd.DataFrame, draw: np.random.Generator) -> pd.DataFrame:
    rows = []
    for (task, lead, share), of in _main(table).groupby(["task", "lead", "label_share"], sort=False):
        found = {(row["protocol"], row["model"]): row for row in of.to_dict("records")}
        pairs = _pairs(set(found))
        for one, other in pairs:
            value = found[one]["value"] - found[other]["value"]
            half = 0.05 if found[one]["metric"] == "auroc" else 0.8
            p = float(draw.uniform(0, 0.004) if abs(value) > half else draw.uniform(0.05, 1))
            rows.append(
                {
                    "model": one[1],
                    "against": other[1],
                    "task": task,
                    "protocol": one[0],
                    "against_protocol": other[0],
                    "lead": lead,
                    "label_share": share,
                    "metric": found[one]["metric"],
                    "value": value,
                    "low": value - half,
                    "high": value + half,
                    "p": p,
                    "p_holm": min(1.0, p * len(pairs)),
                    "n": found[one]["n"],
                    "seeds": found[one]["seeds"],
                    "against_seeds": found[other]["seeds"],
                }
            )
    return pd.DataFrame(rows)


def _averages(table: pd.DataFrame) -> pd.DataFrame:
    rows = []
    main = _main(table)
    value = main.set_index(["protocol", "lead", "label_share", "model", "task"])["value"].to_dict()
    for (protocol, lead, share, model), of in main.groupby(
        ["protocol", "lead", "label_share", "model"], sort=False
    ):
        end = " + age_sex" if model.endswith("age_sex") else ""
        base, of_reference = (
            ("scratch", "scratch") if protocol == "finetune" else ("random_encoder", protocol)
        )
        reference = base + end
        for metric, part in of.groupby("metric"):
            about = {
                "model": model,
                "protocol": protocol,
                "lead": lead,
                "label_share": share,
                "tasks": len(part),
            }
            if metric == "auroc":
                mean = float(part["value"].mean())
                ends = {"value": mean, "low": mean - 0.012, "high": mean + 0.013}
                rows.append({**about, "metric": "auroc", **ends, "reference": ""})
            others = [value.get((of_reference, lead, share, reference, task)) for task in part["task"]]
            if model == reference or None in others:
                continue
            change = 100 * float((part["value"].to_numpy() / np.array(others) - 1).mean())
            ends = {"value": change, "low": change - 2.5, "high": change + 2.5}
            rows.append({**about, "metric": f"{metric}_change_percent", **ends, "reference": reference})
    return pd.DataFrame(rows)


def _ranks(table: pd.DataFrame) -> pd.DataFrame:
    from openclef.ranking import rank_models

    rows = []
    alone = _main(table)[lambda each: ~each["model"].str.endswith(" + age_sex")]
    for (protocol, lead, share), of in alone.groupby(["protocol", "lead", "label_share"], sort=False):
        if protocol == "finetune":
            place = (
                (alone["lead"] == lead) & (alone["label_share"] == share) & (alone["protocol"] == "scratch")
            )
            of = pd.concat([of, alone[place]])
        signed = of.assign(value=np.where(of["metric"] == "mae", -of["value"], of["value"]))
        wide = signed.pivot_table(index="task", columns="model", values="value")
        if min(wide.shape) < 2:
            continue
        ranking = rank_models(wide.to_numpy())
        for place, (model, rank) in enumerate(zip(wide.columns, ranking.mean_ranks)):
            groups = [str(i) for i, group in enumerate(ranking.cliques, start=1) if place in group]
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
                    "cliques": ";".join(groups),
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
                    "settings": hash_of(cell["protocol"])[:8],
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
