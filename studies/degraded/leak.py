"""Does an embedding tell whose metadata were missing?

    python studies/degraded/leak.py --data FOLDER --out runs/studies

It takes the finished runs of studies/degraded and studies/degraded_healthy at one share of missing metadata, embeds the
cohort that they were trained on, and predicts from the embedding (standardised, logistic regression, ten folds of
subjects) whether more of SCORE2's inputs are known than of most: of the patients that were trained on, and of others.
Hidden at random, nothing but memory can tell; hidden in the healthy, disease tells, and the question is whether
guidance tells more than SimCLR. Writes results/leak.csv. Nothing is trained but the regressions. Time: two minutes.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import yaml
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import openclef
from openclef.embedding import embed_store
from openclef.protocol.baselines import random_encoder

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent))
from pools import open_pool  # noqa: E402 - beside this folder
from study import arms_of, filled, job_of  # noqa: E402

MISSING, FOLDS, DRAWS = 0.5, 10, 1000
STUDIES = {"at random": "degraded", "in the healthy": "degraded_healthy"}
PARTS = {"trained on": "train", "not trained on": "val"}


def main() -> None:
    """Embed, predict, write the table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--data", type=Path, required=True, help="folder with the real recordings")
    parser.add_argument("--out", type=Path, default=Path("runs/studies"))
    given = parser.parse_args()
    rows = []
    for hidden, folder in STUDIES.items():
        study = yaml.safe_load((HERE.parent / folder / "study.yaml").read_text(encoding="utf-8"))
        study = filled(study, study["over"]["name"], MISSING)
        arms = arms_of(study, [])
        guided = next(arm["pool"] for name, arm in arms.items() if name != study["reference"])
        store = open_pool(guided, given.data, given.out)[0]
        completeness = store.risk("score2")["completeness"].to_numpy()
        models: dict[str, list[openclef.Encoder]] = {}
        for name, arm in arms.items():
            stores = open_pool(arm["pool"], given.data, given.out)
            folders = [job_of(arm, seed, stores, given.out / "pretrained").folder for seed in study["seeds"]]
            models[name] = [openclef.load(each) for each in folders]
        like = models[study["reference"]][0]
        seeds = range(5)
        models["random encoders"] = [
            random_encoder(like.backbone_name, preprocessing=like.preprocessing, seed=seed) for seed in seeds
        ]
        for part, split in PARTS.items():
            at = np.flatnonzero((store.records["split"] == split).to_numpy())
            at = at[~store.records["subject_id"].iloc[at].duplicated().to_numpy()]  # a subject counts once
            known = completeness[at]
            label = (known > np.median(known)).astype(int)
            for name, encoders in models.items():
                told = [tells(embed_store(model, store, lead="I", rows=at), label) for model in encoders]
                low, high = interval(label, told)
                value = float(np.mean([roc_auc_score(label, each) for each in told]))
                rows.append(
                    {
                        "hidden": hidden,
                        "patients": part,
                        "model": name,
                        "auroc": value,
                        "low": low,
                        "high": high,
                    }
                )
                print(f"{hidden}, {part}, {name}: {value:.3f} [{low:.3f}, {high:.3f}]", flush=True)
    pd.DataFrame(rows).to_csv(HERE / "results" / "leak.csv", index=False, float_format="%.4g")


def tells(embedding: np.ndarray, label: np.ndarray) -> np.ndarray:
    """Chance that each subject is of the better known half, by a regression that has not seen the subject."""
    model = make_pipeline(StandardScaler(), LogisticRegression(C=0.01, max_iter=1000))
    return cross_val_predict(model, embedding, label, cv=FOLDS, method="predict_proba")[:, 1]


def interval(label: np.ndarray, told: list[np.ndarray]) -> tuple[float, float]:
    """95 % interval of the mean AUROC over draws of subjects and of encoders."""
    draw, found = np.random.default_rng(0), []
    for _ in range(DRAWS):
        rows = draw.integers(len(label), size=len(label))
        chosen = draw.integers(len(told), size=len(told))
        found.append(np.mean([roc_auc_score(label[rows], told[each][rows]) for each in chosen]))
    low, high = np.quantile(found, [0.025, 0.975])
    return float(low), float(high)


if __name__ == "__main__":
    main()
