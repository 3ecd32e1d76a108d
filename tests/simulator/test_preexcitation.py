"""A classifier on simulated ECGs finds pre-excitation, whatever the risk; disease shows in shape beyond the factors."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.signal import find_peaks
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from openclef.simulator import CONFIGURATIONS, Configuration, simulate
from openclef.simulator.population import draw_people


@pytest.fixture(scope="module")
def beats(tmp_path_factory: pytest.TempPathFactory):
    """The z-scored median beats of leads I and II, and the records; half of the patients have an accessory pathway."""
    from dataclasses import replace

    configuration: Configuration = replace(CONFIGURATIONS["A"], name="half", preexcitation_share=0.5)
    folder = tmp_path_factory.mktemp("half") / "store"
    store = simulate(folder, patients=600, seed=8, configuration=configuration, rho=0.6, seconds=6, fs=250)
    signals = store.read(slice(None), leads=["I", "II"])
    return np.stack([median_beat(each) for each in signals]), store.records


def median_beat(leads: np.ndarray, fs: float = 250.0) -> np.ndarray:
    slope = np.abs(np.diff(leads, axis=1)).sum(axis=0)
    smooth = np.convolve(slope, np.ones(25) / 25, mode="same")
    peaks, _ = find_peaks(smooth, height=0.4 * np.quantile(smooth, 0.99), distance=int(0.3 * fs))
    windows = [leads[:, p - 65 : p + 110] for p in peaks if p >= 65 and p + 110 <= leads.shape[1]]
    beat = np.median(windows, axis=0)
    return ((beat - beat.mean(axis=1, keepdims=True)) / beat.std(axis=1, keepdims=True)).ravel()


def judged(beats: np.ndarray, target: np.ndarray) -> np.ndarray:
    """Held-out probabilities of a logistic regression: patients of one half judge the other."""
    found, half = np.empty(len(target)), np.arange(len(target)) % 2 == 0
    for train in (half, ~half):
        fit = make_pipeline(PCA(30), StandardScaler(), LogisticRegression(C=0.05, max_iter=2000))
        found[~train] = fit.fit(beats[train], target[train]).predict_proba(beats[~train])[:, 1]
    return found


def test_preexcitation_is_found_whatever_the_risk(beats) -> None:
    shapes, records = beats
    target = records["sim/preexcitation"].to_numpy()
    found = judged(shapes, target)
    tertiles = np.digitize(
        exposure := records["truth_dysfunction_exposure"], np.quantile(exposure, [1 / 3, 2 / 3])
    )
    for tertile in range(3):
        here = tertiles == tertile
        assert roc_auc_score(target[here], found[here]) > 0.85, tertile
    assert abs(np.corrcoef(target, exposure)[0, 1]) < 4 / np.sqrt(len(target))


@pytest.mark.parametrize("label", ["lvh", "low_ef"])
def test_disease_shows_in_the_shape_of_a_z_scored_beat(beats, label: str) -> None:
    shapes, records = beats
    without = (records["sim/preexcitation"] == 0).to_numpy()
    found = judged(shapes[without], records.loc[without, f"sim/{label}"].to_numpy())
    assert roc_auc_score(records.loc[without, f"sim/{label}"], found) > 0.68


def test_the_pathway_is_no_ones_in_particular() -> None:
    people, chance = draw_people(20_000, 1, CONFIGURATIONS["A"])
    pathway = chance[:, 11] < CONFIGURATIONS["A"].preexcitation_share
    assert abs(people.loc[pathway, "age_years"].mean() - people["age_years"].mean()) < 2
