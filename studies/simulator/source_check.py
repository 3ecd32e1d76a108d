"""Can a classifier tell simulated ECGs from real ones, and by what?"""

from __future__ import annotations

import numpy as np
import pandas as pd
from measure import UNITS
from numpy.typing import NDArray

import openclef
from openclef.preprocessing import Preprocessing
from openclef.protocol.baselines import random_encoder
from openclef.signal import LEADS
from openclef.statistics import bootstrap

FOLDS = 5
FILE_TRACES = (
    "quantisation step",
    "Einthoven residual",
    "unchanged samples",
    "still at start",
    "still at end",
)
RECORDING = ("noise", "baseline", "mains", "share", "components", "outside 3", "|corr|")
EDGE_S = 0.25  # cut from both ends before embedding: PTB-XL's last 0.1 s stand still
PREPROCESSING = Preprocessing(fs=125.0, seconds=9.5, band=(0.5, 40.0))


def quantity_sets() -> dict[str, list[str]]:
    """The sets of quantities that a classifier is given, by name."""
    inside = [name for name in UNITS if name not in FILE_TRACES]
    recording = [name for name in inside if name.startswith(RECORDING)]
    heart = [name for name in inside if name not in recording and "outside 3" not in name]
    return {
        "all quantities": list(UNITS),
        "without traces of the file": inside,
        "heart: rhythm, intervals, axes, amplitudes": heart,
        "recording: noise, spectrum, dimension": [name for name in inside if name not in heart],
    }


def classifiers() -> dict[str, object]:
    """The classifiers by name, both made for a few hundred records."""
    from sklearn.ensemble import HistGradientBoostingClassifier
    from sklearn.impute import SimpleImputer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import QuantileTransformer

    spread = QuantileTransformer(n_quantiles=100, output_distribution="normal", random_state=0)
    logistic = LogisticRegression(C=0.05, max_iter=2000)
    return {
        "logistic regression": make_pipeline(SimpleImputer(strategy="median"), spread, logistic),
        "gradient boosting": HistGradientBoostingClassifier(
            max_iter=120, max_leaf_nodes=8, early_stopping=False, random_state=0
        ),
    }


def told_apart(
    name: str, features: NDArray[np.floating], target: NDArray[np.integer], subject: NDArray[np.object_]
) -> tuple[list[dict[str, object]], dict[str, list]]:
    """Cross-validate both classifiers, patients kept together.

    Args:
        name: of the features, for the table.
        features: (record, feature).
        target: (record,) 1 = simulated.
        subject: (record,) patient.

    Returns:
        Rows of the table (AUROC with its 95 % interval), and the fitted classifiers of every fold.
    """
    from sklearn.base import clone
    from sklearn.model_selection import StratifiedGroupKFold

    folds = list(StratifiedGroupKFold(FOLDS, shuffle=True, random_state=0).split(features, target, subject))
    rows, fitted = [], {}
    for kind, classifier in classifiers().items():
        score = np.zeros(len(target))
        fitted[kind] = []
        for train, test in folds:
            model = clone(classifier).fit(features[train], target[train])
            score[test] = model.predict_proba(features[test])[:, 1]
            fitted[kind].append((model, test))
        found = bootstrap("auroc", target.astype(float), score, subject, draws=500).macro()
        row = {
            "features": name,
            "classifier": kind,
            "auroc": found.value,
            "low": found.low,
            "high": found.high,
        }
        rows.append(row | {"n_0": int((target == 0).sum()), "n_1": int(target.sum())})
    return rows, fitted


def single_aurocs(table: pd.DataFrame, target: NDArray[np.integer]) -> pd.Series:
    """AUROC of each quantity alone, whichever direction; above 0.5 where simulated values are larger."""
    from sklearn.metrics import roc_auc_score

    found = {}
    for name in table:
        known = table[name].notna().to_numpy()
        both = len(np.unique(target[known])) == 2
        found[name] = roc_auc_score(target[known], table[name][known]) if both else np.nan
    return pd.Series(found)


def givers(table: pd.DataFrame, target: NDArray[np.integer], fitted: dict[str, list]) -> pd.DataFrame:
    """By what simulated records are told: AUROC alone, coefficient, and loss of AUROC when it is shuffled."""
    from sklearn.inspection import permutation_importance

    coefficients = np.mean([model[-1].coef_[0] for model, _ in fitted["logistic regression"]], axis=0)
    values = table.to_numpy()
    importances = [
        permutation_importance(
            model, values[test], target[test], scoring="neg_log_loss", n_repeats=2, random_state=0
        ).importances_mean
        for model, test in fitted["gradient boosting"]
    ]
    frame = pd.DataFrame({"auroc_alone": single_aurocs(table, target), "coefficient": coefficients})
    frame["importance"] = np.mean(importances, axis=0)
    frame["distance"] = (frame["auroc_alone"] - 0.5).abs()
    return (
        frame.sort_values("distance", ascending=False)
        .drop(columns="distance")
        .rename_axis("quantity")
        .reset_index()
    )


def embeddings(signal: NDArray[np.float32], fs: float, lead: str) -> NDArray[np.float32]:
    """Embed one lead by an encoder with random weights, after the package's preprocessing."""
    edge = round(EDGE_S * fs)
    inner = signal[:, LEADS.index(lead), edge : signal.shape[2] - edge]
    frame = openclef.embed(
        random_encoder("resnext1d_small", preprocessing=PREPROCESSING, seed=0),
        list(inner),
        fs=fs,
        lead=lead,
        leads=[lead],
    )
    return np.stack(frame["embedding"].to_numpy()).astype(np.float32)


def check_source(real: tuple, simulated: tuple, name: str) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Tell one set of simulated records from real ones in every way.

    Args:
        real: signal, fs, subjects, measured quantities of the real records.
        simulated: the same of the simulated records.
        name: which records these are, for the tables.

    Returns:
        The table of AUROCs, and that of the quantities that give the source away.
    """
    target = np.repeat([0, 1], [len(real[2]), len(simulated[2])])
    subject = np.concatenate([np.asarray(side[2], dtype=object) for side in (real, simulated)])
    measured = pd.concat([real[3], simulated[3]], ignore_index=True)
    rows: list[dict[str, object]] = []
    for label, quantities in quantity_sets().items():
        table = usable(measured[quantities], target)
        found, fitted = told_apart(label, table.to_numpy(), target, subject)
        rows += found
        if label == "without traces of the file":
            by_what = givers(table, target, fitted)
    for lead in ("I", "V5"):
        both = [embeddings(signal, fs, lead) for signal, fs, *_ in (real, simulated)]
        found, _ = told_apart(f"random encoder, lead {lead}", np.concatenate(both), target, subject)
        rows += found[:1]
    return pd.DataFrame(rows).assign(records=name), by_what.assign(records=name)


def check_recorders(real: tuple, device: pd.Series) -> pd.DataFrame:
    """Tell PTB-XL's two families of recorders apart in the same ways: how alike are two real sources?

    Args:
        real: signal, fs, subjects, measured quantities.
        device: the recorder of each record, as PTB-XL names it.

    Returns:
        The table of AUROCs. The recorders' patients differ a little too.
    """
    signal, fs, subject, measured = real
    family = device.fillna("").str.split("-").str[0]
    known = family.isin(["CS", "AT"]).to_numpy()
    target = (family[known] == "AT").to_numpy().astype(int)
    sets = {
        label: usable(measured.loc[known, quantities], target).to_numpy()
        for label, quantities in quantity_sets().items()
    }
    rows: list[dict[str, object]] = []
    for label, features in sets.items():
        rows += told_apart(label, features, target, subject[known])[0]
    for lead in ("I", "V5"):
        features = embeddings(signal[known], fs, lead)
        rows += told_apart(f"random encoder, lead {lead}", features, target, subject[known])[0][:1]
    return pd.DataFrame(rows).assign(records="PTB-XL: recorder CS-12 or AT-6")


def usable(table: pd.DataFrame, target: NDArray[np.integer]) -> pd.DataFrame:
    """Leave out quantities that are known in less than half of either side, or the same everywhere."""
    enough = [table[target == side].notna().mean() > 0.5 for side in (0, 1)]
    return table.loc[:, enough[0] & enough[1] & (table.nunique() > 1)]
