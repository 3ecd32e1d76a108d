"""Linkage: does the metadata of each row belong to its signal? Judged by what an ECG tells of age and sex."""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from openclef.signal import fill_gaps

if TYPE_CHECKING:
    import pandas as pd

    from openclef.store import Store

FEWEST_SUBJECTS = 200  # with fewer, one lead cannot tell linkage from chance
CLEAR_Z = 3.5  # standard deviations of the permuted scores that count as clearly above chance
_LEAST_AGE_SPREAD = 5.0  # standard deviation in years; ECGs of people of one age tell it hardly
_BATCH_SAMPLES = 4_000_000
_RUN = 50  # records are drawn in runs of neighbours
_BLOCK = 20  # metadata is permuted among so many neighbours, which share era, device and site
_FOLDS = 5
_RIDGE = 0.3  # penalty as a share of the number of rows; fixed, so that nothing is tuned on the truth
_FS = 100.0
_BANDS_HZ = (0.5, 2, 4, 7, 10, 15, 20, 30, 40)
_BEAT_S = (-0.28, 0.48)
_BEAT_STEP = 2  # every second sample of the median beat, 20 ms


@dataclass(frozen=True)
class TargetLinkage:
    """How well one fact is predicted from the signals, as the rows stand and otherwise.

    Args:
        score: from the rows as they stand; Pearson's r for age, AUROC for sex; predictions are made for
            subjects that the model has not seen.
        chance: mean of the scores after permutation, ``chance_sd`` their standard deviation.
        p: share of permutations that score as high (one is added above and below).
        shifted: score with the metadata of the next (1) or the previous (-1) row instead.
        subjects: how many were used.

    Example:
        >>> round(TargetLinkage(0.5, 0.0, 0.1, 0.005, {1: 0.0, -1: 0.1}, 300).z, 3)
        5.0
    """

    score: float
    chance: float
    chance_sd: float
    p: float
    shifted: dict[int, float]
    subjects: int

    @property
    def z(self) -> float:
        """Standard deviations of the permuted scores between score and chance."""
        return (self.score - self.chance) / self.chance_sd

    def z_shifted(self, shift: int) -> float:
        """The same with the metadata of a neighbouring row."""
        return (self.shifted[shift] - self.chance) / self.chance_sd


@dataclass(frozen=True)
class Linkage:
    """The verdict on a store's linkage.

    Args:
        verdict: ``"linked"``, ``"broken"`` or ``"cannot be judged"``.
        reason: why, in words.
        targets: what was measured, by column.

    Example:
        >>> Linkage("cannot be judged", "age and sex are unknown", {}).ok
        True
    """

    verdict: str
    reason: str
    targets: dict[str, TargetLinkage]

    @property
    def ok(self) -> bool:
        """False where the metadata visibly belongs to other signals."""
        return self.verdict != "broken"


def judge_linkage(
    store: Store, *, permutations: int = 200, most_subjects: int = 3000, seed: int = 0
) -> Linkage:
    """Judge whether the metadata of a store's rows belongs to their signals.

    Age and sex leave traces in every ECG. A ridge regression on simple features (mean beat, spectrum, rhythm)
    predicts both for unseen subjects. Where rows and metadata belong together it does so clearly better than
    after permuting the metadata among neighbouring records, and better than with the next or the previous
    record's metadata. The first window of one record a subject is used.

    Args:
        store: the store.
        permutations: how many random permutations chance is estimated from.
        most_subjects: larger stores are sampled, in runs of neighbouring records.
        seed: of the sample and the permutations.

    Returns:
        The verdict with its numbers. A store of few subjects, or without age and sex, cannot be judged.

    Example:
        >>> import tempfile
        >>> from openclef.record import Record
        >>> from openclef.store import StoreWriter
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     writer = StoreWriter(folder, name="one", scale=0.001, fs=4, leads=("I",), seconds=1)
        ...     refused = writer.write_part(0, [Record(np.zeros((1, 4)), 4, ("I",), "a")], [{}])
        ...     judge_linkage(writer.finish()).verdict
        'cannot be judged'
    """
    records = store.records.drop_duplicates("record_id")
    rng = np.random.default_rng(seed)
    chosen = _choose(records, most_subjects, rng)
    usable = {name: truth for name, truth in _targets(records).items() if _is_enough(name, truth[chosen])}
    if not usable:
        reason = f"fewer than {FEWEST_SUBJECTS} subjects whose age or sex is known and differs"
        return Linkage("cannot be judged", reason, {})
    features = ecg_features(store, records.index.to_numpy()[chosen])
    subjects = records["subject_id"].to_numpy()
    measured = {
        name: _measure(features, truth, chosen, subjects, name == "sex", permutations, rng)
        for name, truth in usable.items()
    }
    return _verdict(measured)


def _verdict(targets: dict[str, TargetLinkage]) -> Linkage:
    root = math.sqrt(len(targets))
    z = sum(target.z for target in targets.values()) / root
    shifted = {s: sum(target.z_shifted(s) for target in targets.values()) / root for s in (1, -1)}
    best = max(shifted, key=lambda shift: shifted[shift])
    neighbour = f"the {'next' if best > 0 else 'previous'} record (z {shifted[best]:.1f})"
    if shifted[best] > max(z, CLEAR_Z):
        reason = (
            f"the signals fit the metadata of {neighbour} better than their own (z {z:.1f}): rows are shifted"
        )
        return Linkage("broken", reason, targets)
    if z < CLEAR_Z:
        reason = f"the signals tell age and sex no better than chance does (z {z:.1f}; {CLEAR_Z:g} is needed)"
        return Linkage("broken", reason, targets)
    if shifted[best] > z / 2:
        reason = f"the signals fit the metadata of {neighbour} nearly as well as their own (z {z:.1f})"
        return Linkage("broken", reason, targets)
    return Linkage("linked", f"the signals tell age and sex (z {z:.1f}), and those of no neighbour", targets)


def _targets(records: pd.DataFrame) -> dict[str, np.ndarray]:
    targets = {}
    if "age_years" in records:
        targets["age_years"] = records["age_years"].to_numpy(np.float64)
    if "sex" in records:
        sex = records["sex"].to_numpy()
        targets["sex"] = np.where(sex == "male", 1.0, np.where(sex == "female", 0.0, np.nan))
    return targets


def _is_enough(name: str, truth: np.ndarray) -> bool:
    truth = truth[~np.isnan(truth)]
    if len(truth) < FEWEST_SUBJECTS:
        return False
    return bool(0.1 < truth.mean() < 0.9 if name == "sex" else truth.std() > _LEAST_AGE_SPREAD)


def _choose(records: pd.DataFrame, most_subjects: int, rng: np.random.Generator) -> np.ndarray:
    """Positions of one record a subject, in runs of neighbours."""
    positions = np.flatnonzero(~records["subject_id"].duplicated().to_numpy())
    if len(positions) <= most_subjects:
        return positions
    runs = np.array_split(positions, len(positions) // _RUN)
    chosen = np.sort(rng.permutation(len(runs))[: max(1, most_subjects // _RUN)])
    return np.concatenate([runs[run] for run in chosen])


def ecg_features(store: Store, rows: np.ndarray) -> np.ndarray:
    """Compute simple features of windows.

    Args:
        store: the store.
        rows: rows of its records.

    Returns:
        float64 array (row, feature), standardised over the rows: per lead the median beat, the spectrum in
        bands and the spread; rate and irregularity of the beats.

    Example:
        >>> import tempfile
        >>> from openclef.record import Record
        >>> from openclef.store import StoreWriter
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     writer = StoreWriter(folder, name="one", scale=0.001, fs=100, leads=("I",), seconds=10)
        ...     waves = [Record(np.sin(np.arange(1000) / n)[None], 100, ("I",), str(n)) for n in (1, 2, 3)]
        ...     refused = writer.write_part(0, waves, [{}, {}, {}])
        ...     ecg_features(writer.finish(), np.arange(3)).shape
        (3, 49)
    """
    size = max(1, _BATCH_SAMPLES // (len(store.leads) * store.samples))
    batches = [_features(store.read(rows[i : i + size]), store.fs) for i in range(0, len(rows), size)]
    features = np.concatenate(batches)
    low, high = np.quantile(features, [0.01, 0.99], axis=0)
    clipped = np.clip(features, low, high)
    centre, spread = clipped.mean(axis=0), clipped.std(axis=0)
    return (clipped - centre) / np.where(spread > 1e-9, spread, 1)


def _features(signal: np.ndarray, fs: float) -> np.ndarray:
    batch, leads, samples = signal.shape
    filled = fill_gaps(signal.reshape(batch * leads, samples)).reshape(signal.shape)
    spectrum = np.fft.rfft(filled - filled.mean(axis=-1, keepdims=True), axis=-1)
    frequency = np.fft.rfftfreq(samples, 1 / fs)
    spectrum[..., (frequency < _BANDS_HZ[0]) | (frequency > _BANDS_HZ[-1])] = 0
    power = np.abs(spectrum) ** 2
    edges = np.searchsorted(frequency, _BANDS_HZ)
    bands = [power[..., low:high].sum(-1) for low, high in pairwise(edges)]
    total = power.sum(-1) + 1e-12
    shares = np.log(np.stack(bands, -1) / total[..., None] + 1e-4)
    resampled = max(2, round(samples * _FS / fs))
    windows = np.fft.irfft(spectrum, resampled, axis=-1) * (resampled / samples)
    spread = windows.std(axis=-1)
    shapes, rhythm = zip(*(_median_beat(window) for window in windows), strict=True)
    parts = [np.stack(shapes), shares, np.log(spread + 1e-3)[..., None]]
    return np.concatenate([*(part.reshape(batch, -1) for part in parts), np.stack(rhythm)], axis=1)


def _median_beat(window: np.ndarray) -> tuple[np.ndarray, list[float]]:
    """Median beat (lead, time) around the steepest points; mean interval and its irregularity."""
    from scipy.signal import find_peaks

    steep = np.diff(window, axis=-1, prepend=window[:, :1])
    scaled = steep / (steep.std(axis=-1, keepdims=True) + 1e-9)
    energy = np.convolve((scaled**2).sum(axis=0), np.ones(8) / 8, mode="same")
    peaks, _ = find_peaks(energy, distance=round(0.3 * _FS), height=0.3 * np.quantile(energy, 0.98))
    before, after = round(-_BEAT_S[0] * _FS), round(_BEAT_S[1] * _FS)
    offsets = np.arange(-before, after, _BEAT_STEP)
    inside = peaks[(peaks >= before) & (peaks < window.shape[1] - after)]
    shape = np.zeros((len(window), len(offsets)))
    if len(inside):
        shape = np.median(window[:, inside[:, None] + offsets], axis=1)
    intervals = np.diff(peaks) / _FS
    rhythm = (
        [float(intervals.mean()), math.log(intervals.std() + 0.01)] if len(intervals) > 1 else [0.8, -3.0]
    )
    return shape, rhythm


def _measure(
    features: np.ndarray,
    truth: np.ndarray,
    chosen: np.ndarray,
    subjects: np.ndarray,
    is_sex: bool,
    permutations: int,
    rng: np.random.Generator,
) -> TargetLinkage:
    """Score ``truth`` (record,) of the ``chosen`` records, permuted, and that of their neighbours."""
    known = ~np.isnan(truth[chosen])
    features, chosen = features[known], chosen[known]
    score = _auroc if is_sex else _correlation
    own = truth[chosen]
    columns = np.column_stack([own, *(own[_permutation(own, rng)] for _ in range(permutations))])
    folds = rng.permutation(len(own)) % _FOLDS
    predicted = _predict(features, columns, folds)
    scores = np.array([score(*pair) for pair in zip(columns.T, predicted.T, strict=True)])
    chance = scores[1:]
    shifted = {}
    for shift in (1, -1):
        other = np.clip(chosen + shift, 0, len(truth) - 1)
        kept = ~np.isnan(truth[other]) & (subjects[other] != subjects[chosen])
        of_other = truth[other][kept]
        # too few neighbours are known, or they are all alike: nothing to see there
        shifted[shift] = float(chance.mean())
        if kept.sum() >= FEWEST_SUBJECTS / 2 and len(np.unique(of_other)) > 1:
            alone = _predict(features[kept], of_other[:, None], folds[kept])[:, 0]
            shifted[shift] = score(of_other, alone)
    p = (1 + (chance >= scores[0]).sum()) / (1 + permutations)
    chance_sd = float(max(chance.std(), 1e-9))
    return TargetLinkage(float(scores[0]), float(chance.mean()), chance_sd, float(p), shifted, len(own))


def _permutation(own: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Permute among neighbours; among all where neighbours hardly differ, as in a sorted store."""
    blocks = np.arange(len(own)) // _BLOCK
    means = np.bincount(blocks, own) / np.bincount(blocks)
    if (own - means[blocks]).var() < 0.5 * own.var():
        return rng.permutation(len(own))
    return np.lexsort((rng.random(len(own)), blocks))


def _predict(features: np.ndarray, targets: np.ndarray, folds: np.ndarray) -> np.ndarray:
    """Ridge predictions of every column of ``targets``, each row by a model that has not seen it."""
    predicted = np.empty_like(targets)
    for fold in range(_FOLDS):
        test, train = folds == fold, folds != fold
        known, centre = features[train], targets[train].mean(axis=0)
        penalty = _RIDGE * train.sum() * np.eye(features.shape[1])
        weights = np.linalg.solve(known.T @ known + penalty, known.T @ (targets[train] - centre))
        predicted[test] = features[test] @ weights + centre
    return predicted


def _correlation(truth: np.ndarray, predicted: np.ndarray) -> float:
    if truth.std() < 1e-12 or predicted.std() < 1e-12:
        return 0.0
    return float(np.corrcoef(truth, predicted)[0, 1])


def _auroc(truth: np.ndarray, predicted: np.ndarray) -> float:
    from scipy.stats import rankdata

    positive = truth == 1
    n, m = positive.sum(), (~positive).sum()
    return float((rankdata(predicted)[positive].sum() - n * (n + 1) / 2) / (n * m))
