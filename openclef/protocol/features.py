"""Classical features of a single-lead ECG as a baseline: of one signal, of many, of the records of a task."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from joblib import Parallel, delayed
from numpy.typing import ArrayLike, NDArray

from openclef.condition import Condition
from openclef.protocol.beats import load_neurokit
from openclef.protocol.cache import FeatureCache
from openclef.protocol.cohort import Cohort
from openclef.protocol.measurement import FEATURES, IN_MV, measure_lead
from openclef.sources import read_under
from openclef.store import Store

__all__ = ["FEATURES", "ecg_features", "feature_table", "features_of_cohort", "impute"]

Array = NDArray[np.floating]

_AT_ONCE = 64
_KEPT = (0.01, 0.99)  # quantiles of the training records that hold outliers


def ecg_features(signal: ArrayLike, fs: float) -> dict[str, float]:
    """Measure rate, rhythm, intervals, morphology and quality of one lead.

    What cannot be measured is NaN: intervals and amplitudes without two beats, everything in less than 1 s.

    Args:
        signal: (time,) in mV, or z-scored; NaN = missing.
        fs: Sampling rate in Hz.

    Returns:
        A value for each name of `FEATURES`. ``_ms`` are milliseconds. ``_mv`` are in the signal's unit, so in standard
        deviations where it is z-scored; ``_relative`` are in parts of the averaged QRS from its lowest to its
        highest point. ``qtc_ms`` is by Fridericia; ``st`` lies 60 ms after the end of the QRS; ``rr_irregularity`` is
        the median change from interval to interval, relative to the median interval; ``premature_share`` and
        ``unlike_share`` count beats that come early and beats of another shape; ``p_share`` beats with the P
        wave of the average; ``qrs_balance`` is 1 for a QRS upwards
        only and -1 for one downwards only; ``residual_share`` is the power that the averaged
        beat does not explain, and what of that lies in 4 to 9 Hz, where atria fibrillate.

    Raises:
        ImportError: Without the package neurokit2.
        ValueError: If the signal is not one lead, or the rate is none.

    Source:
        R peaks: Brammer, neurokit2's own method. Peaks of waves: Emrich et al., Physiology-Informed ECG
        Delineation Based on Peak Prominence, EUSIPCO 2024. T end by tangents: Lepeschkin and Surawicz 1952.

    Example:
        >>> time_s = np.arange(2500) / 250
        >>> beats = np.exp(-(((time_s % 0.8) - 0.4) ** 2) / 0.0004)
        >>> features = ecg_features(beats, 250)
        >>> round(features["heart_rate_bpm"]), round(features["r_amplitude_mv"], 1), len(features)
        (75, 1.0, 47)
    """
    lead = np.asarray(signal, dtype=float)
    if lead.ndim != 1:
        raise ValueError(f"signal has shape {lead.shape}; pass one lead as (time,).")
    _check_rate(fs)
    return measure_lead(lead, float(fs))


def feature_table(
    signals: Sequence[ArrayLike] | NDArray[Any], fs: float, *, workers: int = 1
) -> tuple[tuple[str, ...], NDArray[np.float64]]:
    """Measure many windows, the same whatever the number of processes.

    Args:
        signals: (window, time) of one lead in mV, or z-scored, or a sequence of (time,); NaN = missing.
        fs: Sampling rate in Hz.
        workers: Processes; -1 = one a core.

    Returns:
        The names, and (window, feature) with NaN where a feature could not be measured.

    Raises:
        ImportError: Without the package neurokit2.
        ValueError: If a window is not one lead, or the rate or the number of workers is none.

    Example:
        >>> names, values = feature_table(np.zeros((2, 500)), 100)
        >>> names == FEATURES, values.shape, bool(np.isnan(values[:, names.index("qt_ms")]).all())
        (True, (2, 47), True)
    """
    _check_rate(fs)
    if workers == 0 or workers < -1:
        raise ValueError(f"workers is {workers}; pass a number of processes, or -1 for one a core.")
    load_neurokit()  # says what is missing before anything is measured
    parts = [signals[start : start + _AT_ONCE] for start in range(0, len(signals), _AT_ONCE)]
    if workers == 1 or len(parts) < 2:
        tables = [_several(part, fs) for part in parts]
    else:
        tables = Parallel(n_jobs=workers)(delayed(_several)(part, fs) for part in parts)
    return FEATURES, np.concatenate([np.empty((0, len(FEATURES))), *tables])


def features_of_cohort(
    cohort: Cohort,
    needed: NDArray[np.bool_],
    *,
    workers: int = 1,
    condition: Condition | None = None,
    cache: FeatureCache | None = None,
) -> Array:
    """Features of records, the mean over a record's windows that have one; each store at its own rate.

    Amplitudes in mV stay NaN in a store of another unit; the relative ones are there.

    Args:
        cohort: The records of a task.
        needed: (records,) bool; the others stay NaN and are not measured.
        workers: Processes; -1 = one a core.
        condition: How the recordings are changed before.
        cache: Where features are kept.

    Returns:
        (records, feature) with NaN where no window has the feature; columns are `FEATURES`.

    Raises:
        ImportError: Without the package neurokit2.

    Example:
        >>> import pandas as pd
        >>> from openclef.task import Task
        >>> task = Task("a/sbp", "regression", ("sbp",), ("sbp_mmhg",))
        >>> cohort = Cohort(task, "I", (), pd.DataFrame({"split": ["val"]}), np.ones((1, 1)), ())
        >>> features_of_cohort(cohort, np.array([False])).shape
        (1, 47)
    """
    total = np.zeros((len(cohort.records), len(FEATURES)))
    count = np.zeros(total.shape)
    for store, (rows, record) in zip(cohort.stores, cohort.windows):
        chosen = needed[record]

        def measure(numbers: NDArray[np.integer], store: Store = store) -> Array:
            return feature_table(*read_under(store, numbers, cohort.lead, condition), workers=workers)[1]

        if cache is None:
            values = measure(rows[chosen])
        else:
            about = {"features": FEATURES} | cohort.about(store, condition)
            values = cache.rows(about, rows[chosen], len(store), measure)
        if store.unit != "mV":
            values[:, [FEATURES.index(name) for name in IN_MV]] = np.nan
        np.add.at(total, record[chosen], np.nan_to_num(values))
        np.add.at(count, record[chosen], ~np.isnan(values))
    with np.errstate(invalid="ignore"):
        return total / count


def impute(train: ArrayLike, values: ArrayLike) -> Array:
    """Make features finite for a probe: missing ones marked and filled, outliers held; nothing is standardised.

    Args:
        train: (records, feature) features of the training records, NaN = missing.
        values: (records, feature) features to fill.

    Returns:
        (records, feature + indicators): each feature between the 1st and the 99th percentile of the training records,
        their median where it is missing, 0 where none of them has it; then 0/1 = missing for each feature that
        only a part of the training records has.

    Raises:
        ValueError: If the two do not have the same features.

    Example:
        >>> impute([[1.0, 5.0], [1.0, np.nan], [1.0, 5.0]], [[np.nan, np.nan], [9.0, 5.0]]).tolist()
        [[1.0, 5.0, 1.0], [1.0, 5.0, 0.0]]
    """
    known, given = np.asarray(train, dtype=float), np.asarray(values, dtype=float)
    if known.ndim != 2 or given.ndim != 2 or known.shape[1] != given.shape[1]:
        raise ValueError(
            f"train is {known.shape} and values {given.shape}; pass (records, feature) with the same features."
        )
    missing, absent = np.isnan(known), np.isnan(given)
    never = missing.all(0)
    low, middle, high = np.nanquantile(np.where(never, 0.0, known), (_KEPT[0], 0.5, _KEPT[1]), axis=0)
    filled = np.clip(np.where(absent, middle, given), low, high)
    return np.concatenate([filled, absent[:, missing.any(0) & ~never].astype(float)], axis=1)


def _check_rate(fs: float) -> None:
    if not (math.isfinite(fs) and fs > 0):
        raise ValueError(f"fs is {fs}; pass the sampling rate in Hz, for example fs=250.")


def _several(signals: Sequence[ArrayLike] | NDArray[Any], fs: float) -> NDArray[np.float64]:
    rows = [list(ecg_features(signal, fs).values()) for signal in signals]
    return np.array(rows, dtype=float).reshape(len(rows), len(FEATURES))
