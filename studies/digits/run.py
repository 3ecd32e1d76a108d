"""The CLEF loss outside medicine: handwritten digits, guided by a number that goes with the class.

    python studies/digits/run.py

The paper shows on photographs (CIFAR-100) that the alignment term adds to the weights. Here scikit-learn's 1,797 digits
of 8 by 8 pixels stand for records and a number in 0..1 for the risk: every class has its own ("classes apart"), classes
share five ("pairs of classes"), or a shuffled one ("shuffled", which says nothing). A network of two layers is
pretrained with ten seeds an arm and judged by a linear probe of the ten classes, with few and with all labels.
Time: ten minutes on one core. Writes scores.csv, differences.csv and differences.svg.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import torch
import torch.nn.functional as F
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler
from torch import nn

from openclef.guidance import Guidance
from openclef.loss import clef_loss

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent))
from figures import INK, LINE  # noqa: E402 - beside this folder

ARMS = {
    "NT-Xent": {"weighted": False, "aligned": False},
    "weights (L_w)": {"aligned": False},
    "alignment (L_d)": {"weighted": False},
    "both (CLEF)": {},
    "weights of mean 1": {"aligned": False, "guidance": Guidance(weighting="mean_one")},
    "both, weights of mean 1": {"guidance": Guidance(weighting="mean_one")},
}
NUMBERS = ("classes apart", "pairs of classes", "shuffled")
LABELS = {"50 labels": 50, "all labels": None}
TRAIN, STEPS, BATCH = 1200, 600, 128


def main() -> None:
    """Pretrain all arms with all seeds, judge them, and write tables and the figure."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--out", type=Path, default=HERE / "results")
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--steps", type=int, default=STEPS)
    given = parser.parse_args()
    given.out.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(1)
    rows = []
    for seed in range(given.seeds):
        images, digits = shuffled_digits(seed)
        rows += [
            {"seed": seed, "guided_by": "", "arm": "random network", **judge(network(seed), images, digits)}
        ]
        for guided_by in NUMBERS:
            number = guiding_number(digits, guided_by, seed)
            for arm, settings in ARMS.items():
                if arm == "NT-Xent" and guided_by != NUMBERS[0]:
                    continue  # no number enters
                model = pretrain(images[:TRAIN], number[:TRAIN], seed, given.steps, settings)
                about = {"seed": seed, "guided_by": "" if arm == "NT-Xent" else guided_by, "arm": arm}
                rows.append({**about, **judge(model, images, digits)})
        print(f"seed {seed}: {len(rows)} networks judged", flush=True)
    scores = pd.DataFrame(rows)
    scores.to_csv(given.out / "scores.csv", index=False, float_format="%.4f")
    table = differences(scores)
    table.to_csv(given.out / "differences.csv", index=False, float_format="%.4f")
    draw(table, given.out / "differences.svg")
    print(scores.groupby(["guided_by", "arm"])[list(LABELS)].mean().round(3).to_string())
    print(table.round(3).to_string(index=False))


def shuffled_digits(seed: int) -> tuple[torch.Tensor, np.ndarray]:
    """All digits as (n, 8, 8) in 0..1 in an order of their own, the first `TRAIN` for training."""
    digits = load_digits()
    order = np.random.default_rng(seed).permutation(len(digits.target))
    return torch.from_numpy(digits.images[order] / 16).float(), digits.target[order]


def guiding_number(digits: np.ndarray, kind: str, seed: int) -> torch.Tensor:
    """A number in 0..1 for each record; which class gets which is drawn."""
    draw = np.random.default_rng(1000 + seed)
    level = draw.permutation(10)
    if kind == "pairs of classes":
        level = level // 2 * 2
    number = level[digits] / 9
    return torch.from_numpy(draw.permutation(number) if kind == "shuffled" else number).float()


def network(seed: int) -> nn.Sequential:
    """Two layers for the features and a projector after them, as drawn by a seed."""
    torch.manual_seed(seed)
    features = nn.Sequential(nn.Flatten(), nn.Linear(64, 256), nn.ReLU(), nn.Linear(256, 64), nn.ReLU())
    return nn.Sequential(features, nn.Sequential(nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 32)))


def view(images: torch.Tensor, draw: torch.Generator) -> torch.Tensor:
    """Turn each image by up to 14 degrees, scale it by 15 %, shift it by about half a pixel, and add noise."""

    def uniform(limit: float) -> torch.Tensor:
        return limit * (2 * torch.rand(len(images), generator=draw) - 1)

    turn, scale = uniform(0.25), 1 + uniform(0.15)
    cosine, sine = scale * torch.cos(turn), scale * torch.sin(turn)
    rows = [torch.stack(row, 1) for row in ((cosine, -sine, uniform(0.15)), (sine, cosine, uniform(0.15)))]
    grid = F.affine_grid(torch.stack(rows, 1), [len(images), 1, 8, 8], align_corners=False)
    moved = F.grid_sample(images[:, None], grid, align_corners=False)[:, 0]
    return moved + 0.1 * torch.randn(moved.shape, generator=draw)


def pretrain(
    images: torch.Tensor, number: torch.Tensor, seed: int, steps: int, settings: dict[str, object]
) -> nn.Sequential:
    """A network trained with an arm's loss."""
    model, draw = network(seed), torch.Generator().manual_seed(seed)
    optimiser = torch.optim.AdamW(model.parameters(), lr=1e-3)
    for _ in range(steps):
        rows = torch.randperm(len(images), generator=draw)[:BATCH]
        first, second = (model(view(images[rows], draw)) for _ in range(2))
        loss = clef_loss(first, second, number[rows], temperature=0.2, **settings)  # type: ignore[arg-type]
        optimiser.zero_grad()
        loss.total.backward()
        optimiser.step()
    return model


def judge(model: nn.Sequential, images: torch.Tensor, digits: np.ndarray) -> dict[str, float]:
    """Accuracy of a linear probe on what was not trained on, by how many labels it learnt from."""
    with torch.no_grad():
        features = model[0](images).numpy()
    scaler = StandardScaler().fit(features[:TRAIN])
    ready, found = scaler.transform(features), {}
    for name, count in LABELS.items():
        probe = LogisticRegression(C=0.1, max_iter=2000).fit(
            ready[: count or TRAIN], digits[: count or TRAIN]
        )
        found[name] = float(probe.score(ready[TRAIN:], digits[TRAIN:]))
    return found


def differences(scores: pd.DataFrame) -> pd.DataFrame:
    """Each arm minus NT-Xent of the same seed, with 95 % intervals over seeds."""
    from scipy.stats import t

    plain = scores[scores["arm"] == "NT-Xent"].set_index("seed")
    rows = []
    for (guided_by, arm), part in scores[scores["arm"] != "NT-Xent"].groupby(
        ["guided_by", "arm"], sort=False
    ):
        for labels in LABELS:
            gap = part.set_index("seed")[labels] - plain[labels]
            half = t.ppf(0.975, len(gap) - 1) * gap.std() / np.sqrt(len(gap))
            middle = gap.mean()
            rows.append((guided_by, arm, labels, middle, middle - half, middle + half, len(gap)))
    return pd.DataFrame(rows, columns=["guided_by", "arm", "labels", "difference", "low", "high", "seeds"])


def draw(table: pd.DataFrame, path: Path) -> None:
    """Draw the differences: one panel a guiding number, few labels filled, all labels hollow."""
    import matplotlib as mpl
    from matplotlib.figure import Figure

    arms = [name for name in ARMS if name != "NT-Xent"][::-1]
    with mpl.rc_context({"font.size": 8, "svg.hashsalt": "openclef", "svg.fonttype": "none"}):
        figure = Figure(figsize=(8.4, 2.2), layout="constrained")
        for axis, guided_by in zip(figure.subplots(1, len(NUMBERS), sharex=True, sharey=True), NUMBERS):
            axis.axvline(0, color=LINE, lw=1)
            for labels, shift, fill in (("50 labels", 0.12, INK), ("all labels", -0.12, "white")):
                part = table[(table["guided_by"] == guided_by) & (table["labels"] == labels)].set_index("arm")
                at = np.arange(len(arms)) + shift
                axis.hlines(at, part.loc[arms, "low"], part.loc[arms, "high"], color=INK, lw=1.2)
                axis.plot(part.loc[arms, "difference"], at, "o", color=INK, mfc=fill, ms=4, label=labels)
            axis.set(
                title=guided_by, yticks=range(len(arms)), yticklabels=arms, xlabel="accuracy minus NT-Xent's"
            )
            axis.spines[["top", "right"]].set_visible(False)
        axis.legend(frameon=False, fontsize=7)
        figure.savefig(path, metadata={"Date": None})


if __name__ == "__main__":
    main()
