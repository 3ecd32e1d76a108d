"""The space of embeddings before and after pretraining: what guidance does to similarities and neighbours.

    python studies/geometry/run.py --data FOLDER --out runs/studies

It takes the finished runs of another study (study.yaml) and random encoders, embeds the validation part of their
cohort, and writes geometry.csv, bands.csv, geometry.svg and maps.svg into results/. Nothing is trained. Time: about
ten minutes on two cores.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import torch
import yaml
from scipy.stats import rankdata

import openclef
from openclef.embedding import embed_store
from openclef.method.collapse import spread
from openclef.protocol.baselines import random_encoder
from openclef.store import Store

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent))
from figures import INK, LINE  # noqa: E402 - beside this folder
from pools import open_pool  # noqa: E402
from study import arms_of, job_of  # noqa: E402

NEIGHBOURS, BANDS, DRAWS = 10, 10, 100
LEADS = ("I", "II")


def main() -> None:
    """Embed, measure, and write tables and figures."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--data", type=Path, required=True, help="folder with the real recordings")
    parser.add_argument("--out", type=Path, default=Path("runs/studies"))
    given = parser.parse_args()
    study = yaml.safe_load((HERE / "study.yaml").read_text(encoding="utf-8"))
    models = models_of(study, given.data, given.out)
    store = open_pool([study["judged_on"]], given.data, given.out)[0]
    rows = np.flatnonzero((store.records["split"] == "val").to_numpy())
    rows = rows[~store.records["subject_id"].iloc[rows].duplicated().to_numpy()]  # a subject counts once
    risk = store.risk(study["risk"])["value"].to_numpy()[rows]
    rows, risk = rows[np.isfinite(risk)], risk[np.isfinite(risk)]
    labels = {name: store.records[name].to_numpy(float)[rows] for name in study["labels"]}
    found, bands, maps = [], [], {}
    for name, seeds in models.items():
        for seed, model in enumerate(seeds):
            first, second = (embed_store(model, store, lead=lead, rows=rows) for lead in LEADS)
            found.append({"model": name, "seed": seed, **measure(first, second, risk, labels, seed)})
            bands += [{"model": name, "seed": seed, **row} for row in similarity_bands(first, risk)]
            if seed == 0 and name in study["maps"]:
                maps[name] = first
        print(f"{name}: {len(seeds)} encoders", flush=True)
    results = HERE / "results"
    results.mkdir(exist_ok=True)
    table, curve = pd.DataFrame(found), pd.DataFrame(bands)
    table.to_csv(results / "geometry.csv", index=False, float_format="%.5g")
    curve.to_csv(results / "bands.csv", index=False, float_format="%.5g")
    draw_bands(curve, results / "geometry.svg")
    draw_maps(maps, risk, results / "maps.svg")
    print(table.groupby("model", sort=False).mean(numeric_only=True).round(3).to_string())


def models_of(study: dict, data: Path, out: Path) -> dict[str, list[openclef.Encoder]]:
    """The encoders of each arm by seed, after five random ones of the same architecture."""
    other = yaml.safe_load((HERE.parent / study["of"] / "study.yaml").read_text(encoding="utf-8"))
    arms = arms_of(other, study["arms"])
    found: dict[str, list[openclef.Encoder]] = {}
    for name, arm in arms.items():
        stores: list[Store] = open_pool(arm["pool"], data, out)
        folders = [job_of(arm, seed, stores, out / "pretrained").folder for seed in other["seeds"]]
        found[name] = [openclef.load(folder) for folder in folders]
    like = next(iter(found.values()))[0]
    random = [
        random_encoder(like.backbone_name, preprocessing=like.preprocessing, seed=seed) for seed in range(5)
    ]
    return {"random_encoder": random, **found}


def measure(
    first: np.ndarray, second: np.ndarray, risk: np.ndarray, labels: dict[str, np.ndarray], seed: int
) -> dict[str, float]:
    """Figures of one encoder on lead I; `first` and `second` are the same records' two leads."""
    shape = spread(torch.from_numpy(first), torch.from_numpy(second))
    similarity = cosines(first)
    level = np.log(np.clip(risk, 1e-4, None))
    gap = np.abs(level[:, None] - level[None, :])
    upper = np.triu_indices(len(risk), 1)
    low, high = interval(similarity, gap, seed)
    np.fill_diagonal(similarity, -np.inf)
    nearest = np.argpartition(-similarity, NEIGHBOURS, axis=1)[:, :NEIGHBOURS]
    found = {
        "n": len(risk),
        **shape,
        "similarity_and_risk_gap": correlation(similarity[upper], gap[upper]),
        "low": low,
        "high": high,
        "neighbours_risk_gap": float(np.take_along_axis(gap, nearest, 1).mean() / gap[upper].mean()),
    }
    for name, label in labels.items():
        having = label == 1
        found[f"neighbours_{name}"] = float(label[nearest[having]].mean() / label.mean())
    return found


def cosines(embedding: np.ndarray) -> np.ndarray:
    """(n, n) cosine similarities of centred embeddings."""
    centred = embedding - embedding.mean(0)
    unit = centred / np.linalg.norm(centred, axis=1, keepdims=True)
    return unit @ unit.T


def correlation(first: np.ndarray, second: np.ndarray) -> float:
    """Spearman's rank correlation."""
    return float(np.corrcoef(rankdata(first), rankdata(second))[0, 1])


def interval(similarity: np.ndarray, gap: np.ndarray, seed: int) -> tuple[float, float]:
    """95 % interval over draws of subjects; pairs of a subject with itself are left out."""
    draw, found = np.random.default_rng(seed), []
    for _ in range(DRAWS):
        rows = draw.choice(len(gap), len(gap))
        pairs = np.triu_indices(len(rows), 1)
        one, other = rows[pairs[0]], rows[pairs[1]]
        kept = one != other
        found.append(correlation(similarity[one[kept], other[kept]], gap[one[kept], other[kept]]))
    low, high = np.quantile(found, [0.025, 0.975])
    return float(low), float(high)


def similarity_bands(embedding: np.ndarray, risk: np.ndarray) -> list[dict[str, float]]:
    """Mean similarity of pairs by how far apart their risks rank, a tenth of all pairs a band."""
    similarity, rank = cosines(embedding), rankdata(risk) / len(risk)
    upper = np.triu_indices(len(risk), 1)
    gap = np.abs(rank[upper[0]] - rank[upper[1]])
    order = np.array_split(np.argsort(gap, kind="stable"), BANDS)
    return [
        {
            "band": band,
            "rank_gap": float(gap[part].mean()),
            "similarity": float(similarity[upper][part].mean()),
        }
        for band, part in enumerate(order)
    ]


def draw_bands(curve: pd.DataFrame, path: Path) -> None:
    """Draw similarity against difference of risk, a panel a model, a line a seed."""
    import matplotlib as mpl
    from matplotlib.figure import Figure

    names = list(dict.fromkeys(curve["model"]))
    with mpl.rc_context({"font.size": 8, "svg.hashsalt": "openclef", "svg.fonttype": "none"}):
        figure = Figure(figsize=(8.4, 1.9 * -(-len(names) // 5)), layout="constrained")
        axes = figure.subplots(-(-len(names) // 5), 5, sharex=True, sharey=True, squeeze=False)
        for axis in axes.ravel()[len(names) :]:
            axis.remove()
        for axis, name in zip(axes.ravel(), names):
            axis.axhline(0, color=LINE, lw=0.8)
            for _, part in curve[curve["model"] == name].groupby("seed"):
                axis.plot(part["rank_gap"], part["similarity"], color=INK, lw=1)
            axis.set_title(name, fontsize=7)
            axis.spines[["top", "right"]].set_visible(False)
        figure.supxlabel("difference of SCORE2's rank", fontsize=8)
        figure.supylabel("mean cosine of centred embeddings", fontsize=8)
        figure.savefig(path, metadata={"Date": None})


def draw_maps(maps: dict[str, np.ndarray], risk: np.ndarray, path: Path) -> None:
    """Draw the two first principal components, coloured by the rank of risk."""
    import matplotlib as mpl
    from matplotlib.figure import Figure

    with mpl.rc_context({"font.size": 8, "svg.hashsalt": "openclef", "svg.fonttype": "none"}):
        figure = Figure(figsize=(2.1 * len(maps), 2.3), layout="constrained")
        axes = figure.subplots(1, len(maps), squeeze=False)[0]
        for axis, (name, embedding) in zip(axes, maps.items()):
            centred = embedding - embedding.mean(0)
            left, size, _ = np.linalg.svd(centred, full_matrices=False)
            place = left[:, :2] * size[:2]
            share = (size[:2] ** 2).sum() / (size**2).sum()
            axis.scatter(*place.T, c=rankdata(risk), cmap="viridis", s=4, lw=0, rasterized=True)
            axis.set(xticks=[], yticks=[])
            axis.set_title(f"{name}\n{share:.0%} of the variance", fontsize=7)
        figure.savefig(path, metadata={"Date": None}, dpi=150)


if __name__ == "__main__":
    main()
