"""Helpers on one recording as a numpy array (lead, time): lead names, gaps, quality flags, lead algebra."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from numbers import Real
from typing import Any

import numpy as np

LEADS = ("I", "II", "III", "aVR", "aVL", "aVF", "V1", "V2", "V3", "V4", "V5", "V6")
"""The twelve standard leads, in the standard order."""

_SPELLINGS = {name.lower(): name for name in LEADS} | {"di": "I", "dii": "II", "diii": "III"}
_PREFIX = re.compile(r"^(mdc_ecg_lead_|lead[\s_:-]*|e[ck]g[\s_:-]+)", re.IGNORECASE)

_MISSING_SHARE = 0.5  # a lead with more missing samples than this is mostly missing
_FLAT_SHARE = 0.5  # a lead that stands still for more than this share of its time is flat
_FLAT_RUN_S = 0.2  # an ECG does not stand still for longer than this
_CLIPPED_RUN_S = 0.02  # length of a plateau at the extreme that cannot be a rounded peak
_SPREAD_MV = (0.02, 20.0)  # plausible spread of an ECG in mV, median over leads


def is_sampling_rate(fs: Any) -> bool:
    """Tell whether something is a sampling rate: a positive, finite number of Hz.

    Args:
        fs: What was given.

    Example:
        >>> is_sampling_rate(500), is_sampling_rate("500"), is_sampling_rate(True), is_sampling_rate(float("nan"))
        (True, False, False, False)
    """
    return isinstance(fs, Real) and not isinstance(fs, bool) and 0 < float(fs) < float("inf")


def canonical_lead(name: str) -> str:
    """Give a lead its standard name, whatever the spelling of the source.

    Args:
        name: a lead's name as a file has it, for example ``"AVR"``, ``"Lead aVR"``, ``"MDC_ECG_LEAD_AVR"``.

    Returns:
        One of ``LEADS``, or the name itself without outer spaces where it is none of them.

    Raises:
        ValueError: if it is no text.

    Example:
        >>> canonical_lead("MDC_ECG_LEAD_AVR"), canonical_lead("lead v1"), canonical_lead(" MLII ")
        ('aVR', 'V1', 'MLII')
    """
    if not isinstance(name, str):
        raise ValueError(f"lead is {name!r}; pass a lead by its name, for example 'I' or 'V5'")
    stripped = name.strip()
    return _SPELLINGS.get(_PREFIX.sub("", stripped).lower(), stripped)


def canonical_leads(names: Iterable[str]) -> tuple[str, ...]:
    """Give several leads their standard names.

    Args:
        names: lead names; one name alone counts as one lead.

    Returns:
        The standard names, in the same order.

    Raises:
        ValueError: if two names mean the same lead.

    Example:
        >>> canonical_leads(["i", "II", "AVR"])
        ('I', 'II', 'aVR')
    """
    given = (names,) if isinstance(names, str) else tuple(names)
    leads = tuple(canonical_lead(name) for name in given)
    if len(set(leads)) < len(leads):
        twice = sorted({lead for lead in leads if leads.count(lead) > 1})
        raise ValueError(
            f"lead names {given!r} mean the same lead twice ({', '.join(twice)}); "
            "each lead must have one name: leave one out or rename it"
        )
    return leads


def lead_indices(available: Sequence[str], wanted: Iterable[str]) -> list[int]:
    """Find leads by name.

    Args:
        available: the standard names that a signal has, in its order.
        wanted: the leads asked for, in any spelling; one name alone counts as one lead.

    Returns:
        The position of each wanted lead in ``available``.

    Raises:
        ValueError: if a wanted lead is not available, or asked for twice.

    Example:
        >>> lead_indices(("I", "II", "aVR"), ["AVR", "I"])
        [2, 0]
    """
    leads = canonical_leads(wanted)
    absent = [lead for lead in leads if lead not in available]
    if absent:
        raise ValueError(
            f"lead {', '.join(absent)} is not there; available leads: {', '.join(available)}; "
            "ask for one of these"
        )
    return [list(available).index(lead) for lead in leads]


def fill_gaps(signal: np.ndarray) -> np.ndarray:
    """Fill missing samples in a straight line between their neighbours.

    Args:
        signal: array (lead, time) with NaN where a sample is missing.

    Returns:
        A new array (lead, time) without NaN: gaps interpolated, the first and last value held at the ends,
        0 in a lead that has no sample.

    Example:
        >>> fill_gaps(np.array([[np.nan, 1.0, np.nan, 3.0, np.nan]]))
        array([[1., 1., 2., 3., 3.]])
    """
    signal = _two_dimensional(signal)
    filled = signal.copy()
    missing = np.isnan(signal)
    time = np.arange(signal.shape[1])
    for lead in np.flatnonzero(missing.any(axis=1)):
        gap = missing[lead]
        filled[lead, gap] = 0 if gap.all() else np.interp(time[gap], time[~gap], signal[lead, ~gap])
    return filled


def derive_limb_leads(lead_i: np.ndarray, lead_ii: np.ndarray) -> dict[str, np.ndarray]:
    """Compute the four limb leads that follow from leads I and II.

    Args:
        lead_i: lead I, array (..., time).
        lead_ii: lead II, array of the same shape and unit.

    Returns:
        III, aVR, aVL and aVF by name, in the unit of the input.

    Raises:
        ValueError: if the shapes differ.

    Source:
        Einthoven's law (III = II - I) and Goldberger's augmented leads; Kligfield et al., Recommendations
        for the standardization and interpretation of the electrocardiogram part I, J Am Coll Cardiol 2007.

    Example:
        >>> limb = derive_limb_leads(np.array([1.0]), np.array([3.0]))
        >>> {name: float(value[0]) for name, value in limb.items()}
        {'III': 2.0, 'aVR': -2.0, 'aVL': -0.5, 'aVF': 2.5}
    """
    lead_i, lead_ii = np.asarray(lead_i), np.asarray(lead_ii)
    if lead_i.shape != lead_ii.shape:
        raise ValueError(
            f"lead I has shape {lead_i.shape} and lead II {lead_ii.shape}; both must have the same shape: "
            "take them from one recording"
        )
    return {
        "III": lead_ii - lead_i,
        "aVR": -(lead_i + lead_ii) / 2,
        "aVL": lead_i - lead_ii / 2,
        "aVF": lead_ii - lead_i / 2,
    }


def quality_flags(signal: np.ndarray, fs: float, unit: str, leads: Sequence[str] = ()) -> list[str]:
    """Name what is visibly wrong with a recording.

    Args:
        signal: array (lead, time) with NaN where a sample is missing, in ``unit``.
        fs: sampling rate in Hz.
        unit: ``"mV"`` or ``"zscore"``; amplitude is judged in mV only.
        leads: the leads' names; without them leads are called by their position.

    Returns:
        Flags, in the order of the leads, none where nothing is wrong: ``mostly_missing:<lead>`` (more than
        half of the samples), ``flat:<lead>`` (stands still for more than half of its time),
        ``clipped:<lead>`` (two plateaus of 20 ms or one of 0.2 s at its highest or lowest value),
        ``suspicious_unit`` (median spread over the leads that are not flat, 0.5th to 99.5th percentile, below
        0.02 mV or above 20 mV).

    Example:
        >>> beat = np.sin(np.arange(1000) / 20)
        >>> quality_flags(np.stack([beat, 0 * beat, np.clip(beat, -0.7, 0.7)]), 500, "mV", ("I", "II", "V1"))
        ['flat:II', 'clipped:V1']
    """
    signal = _two_dimensional(signal)
    names = tuple(leads) or tuple(str(position) for position in range(len(signal)))
    flags: list[str] = []
    spreads: list[float] = []
    for name, lead in zip(names, signal, strict=True):
        known = lead[~np.isnan(lead)]
        if len(known) < (1 - _MISSING_SHARE) * len(lead) or not len(known):
            flags.append(f"mostly_missing:{name}")
        if not len(known):
            continue
        still = _run_lengths(known[1:] == known[:-1]) + 1  # samples of each stretch without change
        flat_run = max(2.0, _FLAT_RUN_S * fs)
        if len(known) == 1 or still[still >= flat_run].sum() > _FLAT_SHARE * len(known):
            flags.append(f"flat:{name}")
            continue
        cut = len(known) // 200
        ordered = np.partition(known, (cut, len(known) - 1 - cut))
        spreads.append(float(ordered[len(known) - 1 - cut] - ordered[cut]))
        if still.size and _is_clipped(known, fs):
            flags.append(f"clipped:{name}")
    if unit == "mV" and spreads and not _SPREAD_MV[0] <= float(np.median(spreads)) <= _SPREAD_MV[1]:
        flags.append("suspicious_unit")
    return flags


def _is_clipped(known: np.ndarray, fs: float) -> bool:
    plateau, long = max(3.0, _CLIPPED_RUN_S * fs), max(3.0, _FLAT_RUN_S * fs)
    for extreme in (known.max(), known.min()):
        runs = _run_lengths(known == extreme)
        # one short plateau is a value that was held, as at the ends of many recordings
        if (runs >= plateau).sum() > 1 or (runs >= long).any():
            return True
    return False


def _run_lengths(true: np.ndarray) -> np.ndarray:
    """Lengths of the unbroken stretches of True."""
    edges = np.flatnonzero(np.diff(np.concatenate(([False], true, [False])).astype(np.int8)))
    return edges[1::2] - edges[::2]


def _two_dimensional(signal: np.ndarray) -> np.ndarray:
    signal = np.asarray(signal)
    if signal.ndim != 2:
        raise ValueError(
            f"signal has shape {signal.shape}; accepted is (lead, time): for one lead pass signal[None, :]"
        )
    return signal if np.issubdtype(signal.dtype, np.floating) else signal.astype(np.float32)
