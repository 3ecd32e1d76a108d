"""Whether a store as a whole can be what it says: amplitudes of an ECG, signals that move, lengths that fit."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from openclef.store import Store

MOST_DOUBTFUL = 0.5
"""Share of the windows beyond which a doubt about single windows becomes one about the store."""

_NEARLY_ALL = 0.9
_READ_WINDOWS = 50  # whose amplitude is measured


def doubt_signals(store: Store) -> list[str]:
    """Say what most windows' signals tell against the store: a wrong unit, or no signal at all.

    Args:
        store: the store; its column ``flags`` is judged, and the amplitude of a few windows.

    Returns:
        Sentences, none where all is well: more than half of the windows flagged ``suspicious_unit``, or flat
        or mostly missing in every lead.

    Example:
        >>> import tempfile
        >>> from openclef.record import Record
        >>> from openclef.store import StoreWriter
        >>> volts = np.sin(np.arange(1000) / 9)[None] * 1e-3
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     writer = StoreWriter(folder, name="one", scale=1e-6, fs=100, leads=("I",), seconds=10)
        ...     refused = writer.write_part(0, [Record(volts, 100, ("I",), "a")], [{}])
        ...     print(*doubt_signals(writer.finish()))
        1 of 1 windows have amplitudes that no ECG has (median spread 0.002 mV): they look like V taken as mV...
    """
    flags = [set(cell.split(";")) for cell in store.records["flags"]]
    doubts = []
    wrong_unit = np.array(["suspicious_unit" in each for each in flags])
    if wrong_unit.mean() > MOST_DOUBTFUL:
        doubts.append(
            f"{wrong_unit.sum()} of {len(store)} windows have amplitudes that no ECG has "
            f"({_amplitude(store, np.flatnonzero(wrong_unit))}, or correct gain and unit in the files' headers "
            "(WFDB), and convert with overwrite=True"
        )
    dead = [all({f"flat:{lead}", f"mostly_missing:{lead}"} & each for lead in store.leads) for each in flags]
    if np.mean(dead) > MOST_DOUBTFUL:
        doubts.append(
            f"{sum(dead)} of {len(store)} windows are flat or mostly missing in every lead: there is hardly an "
            "ECG in them; check the source's signals, their unit and scale, and convert with overwrite=True"
        )
    return doubts


def doubt_lengths(store: Store) -> list[str]:
    """Say whether nearly all recordings are shorter than half a window, as under a wrong sampling rate.

    Args:
        store: the store.

    Returns:
        One sentence, or none where all is well.

    Example:
        >>> import tempfile
        >>> from openclef.record import Record
        >>> from openclef.store import StoreWriter
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     writer = StoreWriter(folder, name="one", scale=0.001, fs=1000, leads=("I",), seconds=10)
        ...     refused = writer.write_part(0, [Record(np.zeros((1, 1000)), 1000, ("I",), "a")], [{}])
        ...     doubt_lengths(writer.finish())
        ['1 of 1 windows are padded: the recordings last 1 s (median) ...']
    """
    seconds = store.records["seconds"].to_numpy()
    padded = seconds < store.seconds / 2
    if padded.mean() <= _NEARLY_ALL:
        return []
    return [
        f"{padded.sum()} of {len(store)} windows are padded: the recordings last {np.median(seconds):g} s "
        f"(median) and a window {store.seconds:g} s; check the sampling rate, fs={store.fs:g}, or convert "
        f"with overwrite=True and seconds={np.median(seconds):.2g}"
    ]


def _amplitude(store: Store, rows: np.ndarray) -> str:
    """Measure the 0.5th to 99.5th percentile of some windows, and say what it looks like."""
    chosen = rows[np.linspace(0, len(rows) - 1, min(len(rows), _READ_WINDOWS)).astype(int)]
    spreads = [
        high - low
        for lead in store.read(chosen).reshape(-1, store.samples)
        if not np.isnan(lead).all()
        for low, high in [np.nanpercentile(lead, (0.5, 99.5))]
    ]
    spread = float(np.median(spreads))
    told = f"median spread {spread:.2g} mV): they look like "
    if spread < 1:
        return told + "V taken as mV, or mV taken as uV; pass unit='V' or unit='mV' (table)"
    return told + "uV taken as mV, or mV taken as V; pass unit='uV' or unit='mV' (table)"
