"""How much do the weights and the losses of one batch depend on which records are in it?

    python studies/parts_simulated/batches.py --data FOLDER --out runs/studies

Scaled within the batch, a pair's weight depends on the batch's extremes. For batches of 16 to 512 records drawn from
the cohort's training part, with leads I and II as the two views of a random encoder (nothing is trained), it writes
results/batches.csv: the weight of a fixed pair of patients (the quartiles of risk) and its standard deviation over the
batches that they could be in, the mean weight of the negatives, L_w and L_d, each with its standard deviation over
batches. Time: a minute.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from openclef import Guidance
from openclef.embedding import embed_store
from openclef.guidance import training_scale
from openclef.loss import clef_loss
from openclef.preprocessing import Preprocessing
from openclef.protocol.baselines import random_encoder

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent))
from pools import open_pool  # noqa: E402 - beside this folder

SIZES, DRAWS = (16, 32, 64, 128, 256, 512), 300


def main() -> None:
    """Draw batches, compute, write the table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--data", type=Path, required=True, help="folder with the real recordings")
    parser.add_argument("--out", type=Path, default=Path("runs/studies"))
    given = parser.parse_args()
    store = open_pool(["sim_A_rho0.4"], given.data, given.out)[0]
    table = store.risk("score2")
    known = np.isfinite(table["value"].to_numpy())
    rows = np.flatnonzero((store.records["split"] == "train").to_numpy() & known)
    risk = torch.tensor(table["value"].to_numpy()[rows], dtype=torch.float32)
    completeness = torch.tensor(table["completeness"].to_numpy()[rows], dtype=torch.float32)
    model = random_encoder("resnext1d_small", preprocessing=Preprocessing(fs=125, seconds=10), seed=0)
    z1, z2 = (torch.from_numpy(embed_store(model, store, lead=lead, rows=rows)) for lead in ("I", "II"))
    order = torch.argsort(risk)
    pair = [int(order[len(order) // 4]), int(order[3 * len(order) // 4])]
    guidances = {
        "squared, scaled within the batch (paper)": Guidance(),
        "absolute, scaled within the batch": Guidance(difference="absolute"),
        "rank": Guidance(difference="rank"),
        "log, scale of the training set": Guidance(
            difference="log", scale=training_scale(risk.numpy(), difference="log")
        ),
    }
    found = []
    for name, guidance in guidances.items():
        for size in SIZES:
            draw = np.random.default_rng(size)
            seen: dict[str, list[float]] = {"pair_weight": [], "mean_weight": [], "loss_w": [], "loss_d": []}
            for _ in range(DRAWS):
                others = np.setdiff1d(np.arange(len(rows)), pair)
                at = torch.from_numpy(np.concatenate([pair, draw.choice(others, size - 2, replace=False)]))
                loss = clef_loss(z1[at], z2[at], risk[at], completeness[at], guidance=guidance)
                seen["pair_weight"].append(float(guidance.pairs(risk[at]).weight[0, 1]))
                seen["mean_weight"].append(float(loss.pairs.diagnostics()["weight_mean"]))
                seen["loss_w"].append(float(loss.contrastive))
                seen["loss_d"].append(float(loss.alignment))
            row = {"guidance": name, "batch_size": size}
            for key, values in seen.items():
                row |= {f"{key}_mean": np.mean(values), f"{key}_sd": np.std(values)}
            found.append(row)
    out = pd.DataFrame(found)
    (HERE / "results").mkdir(exist_ok=True)
    out.to_csv(HERE / "results" / "batches.csv", index=False, float_format="%.4g")
    print(out.round(4).to_string(index=False))


if __name__ == "__main__":
    main()
