"""Record: one ECG recording with its sampling rate, unit, lead names and identity."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

import numpy as np

from openclef.signal import canonical_leads, is_sampling_rate, lead_indices

UNITS = ("mV", "zscore")
"""Units that a signal may have; ``zscore`` where the source has lost the amplitude."""


class Window(NamedTuple):
    """A stretch of a recording, of a fixed number of samples.

    Args:
        start_s: when it begins, in seconds from the recording's start.
        seconds: how much of it was recorded; less than the window's length where it is padded.
        signal: array (lead, time), NaN where a sample is missing or padded.

    Example:
        >>> Window(0.0, 1.0, np.zeros((1, 2), np.float32)).seconds
        1.0
    """

    start_s: float
    seconds: float
    signal: np.ndarray


@dataclass(frozen=True, eq=False)
class Record:
    """One ECG recording.

    Args:
        signal: array (lead, time) in ``unit``; NaN where a sample is missing. Held as float32; what is infinite
            there is missing.
        fs: sampling rate in Hz.
        leads: one name a lead, in any spelling (``"AVR"`` becomes ``"aVR"``).
        record_id: the recording's name in its source.
        unit: ``"mV"``, or ``"zscore"`` where the source has lost the amplitude.
        subject_id: whose recording it is; None where the source does not tell.
        start_s: when the signal begins, in seconds from the recording's start.
        metadata: facts about the record under the names of the store's columns, for example ``age_years``.

    Raises:
        ValueError: if the shape, the rate, the unit, the leads or the name cannot be right.

    Example:
        >>> record = Record(np.zeros((2, 1000)), fs=500, leads=("I", "AVR"), record_id="a")
        >>> record.leads, record.seconds, record.signal.dtype
        (('I', 'aVR'), 2.0, dtype('float32'))
    """

    signal: np.ndarray
    fs: float
    leads: tuple[str, ...]
    record_id: str
    unit: str = "mV"
    subject_id: str | None = None
    start_s: float = 0.0
    metadata: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        signal = np.asarray(self.signal)
        if signal.ndim != 2 or signal.shape[1] == 0:
            raise ValueError(
                f"record {self.record_id!r}: signal has shape {signal.shape}; accepted is (lead, time) with "
                "at least one sample: for one lead pass signal[None, :]"
            )
        if signal.dtype.kind not in "fiu":
            raise ValueError(
                f"record {self.record_id!r}: signal has type {signal.dtype}; accepted are real numbers: "
                "convert it to float32"
            )
        if not is_sampling_rate(self.fs):
            raise ValueError(
                f"record {self.record_id!r}: fs={self.fs!r}; accepted is a rate above 0 in Hz: "
                "pass the recording's own, for example fs=500"
            )
        leads = canonical_leads(self.leads)
        if len(leads) != len(signal):
            raise ValueError(
                f"record {self.record_id!r}: {len(signal)} leads in the signal and {len(leads)} names "
                f"({', '.join(leads)}); pass one name a lead, and the signal as (lead, time)"
            )
        if self.unit not in UNITS:
            raise ValueError(
                f"record {self.record_id!r}: unit={self.unit!r}; accepted are {', '.join(UNITS)}: "
                "convert the signal to mV (1 mV = 1000 uV)"
            )
        if not str(self.record_id):
            raise ValueError("record_id is empty; pass the recording's name, for example its file's name")
        with np.errstate(over="ignore"):
            held = np.ascontiguousarray(signal, dtype=np.float32)
        if np.isinf(held).any():
            held = np.where(np.isinf(held), np.float32("nan"), held)
        object.__setattr__(self, "signal", held)
        object.__setattr__(self, "fs", float(self.fs))
        object.__setattr__(self, "leads", leads)
        object.__setattr__(self, "record_id", str(self.record_id))

    @property
    def seconds(self) -> float:
        """The signal's duration in seconds.

        Example:
            >>> Record(np.zeros((1, 300)), fs=100, leads=("I",), record_id="a").seconds
            3.0
        """
        return self.signal.shape[1] / self.fs

    def windows(self, seconds: float, overlap_s: float = 0.0) -> list[Window]:
        """Cut the recording into windows of equal length.

        Args:
            seconds: a window's length; its number of samples is ``round(seconds * fs)``.
            overlap_s: seconds that a window shares with the one before it.

        Returns:
            Windows in the order of time. The last one, where it is not full, is kept and padded with NaN if
            it holds at least half a window that no other holds, or is the only one.

        Raises:
            ValueError: if a window would hold no sample, or nothing that the one before it does not hold.

        Example:
            >>> record = Record(np.zeros((1, 260)), fs=10, leads=("I",), record_id="a")
            >>> [(window.start_s, window.seconds, window.signal.shape) for window in record.windows(10)]
            [(0.0, 10.0, (1, 100)), (10.0, 10.0, (1, 100)), (20.0, 6.0, (1, 100))]
            >>> [window.start_s for window in record.windows(10, overlap_s=5)]
            [0.0, 5.0, 10.0, 15.0]
        """
        samples = round(seconds * self.fs)
        if samples < 1:
            raise ValueError(
                f"seconds={seconds!r} is less than one sample at {self.fs:g} Hz; pass a longer window, "
                "for example seconds=10"
            )
        step = samples - round(overlap_s * self.fs)
        if overlap_s < 0 or step < 1:
            raise ValueError(
                f"overlap_s={overlap_s!r} with windows of {seconds!r} s; accepted is 0 to less than a window: pass "
                f"less, for example overlap_s={seconds / 2:g}"
            )
        windows = []
        for start in range(0, self.signal.shape[1], step):
            part = self.signal[:, start : start + samples]
            recorded = part.shape[1]
            if recorded < samples:
                new = recorded - (samples - step) if start else recorded
                if start > 0 and 2 * new < samples:
                    break
                part = np.pad(part, ((0, 0), (0, samples - recorded)), constant_values=np.nan)
            windows.append(Window(self.start_s + start / self.fs, recorded / self.fs, part))
        return windows

    def select(self, leads: Iterable[str]) -> Record:
        """Take leads by name.

        Args:
            leads: names in any spelling; one name alone counts as one lead.

        Returns:
            A record with these leads, in the order asked.

        Raises:
            ValueError: if the record lacks one of them; the message names those that it has.

        Example:
            >>> record = Record(np.array([[1.0], [2.0]]), fs=500, leads=("I", "II"), record_id="a")
            >>> record.select("ii").signal
            array([[2.]], dtype=float32)
        """
        try:
            positions = lead_indices(self.leads, leads)
        except ValueError as error:
            raise ValueError(f"record {self.record_id!r}: {error}") from None
        return replace(
            self, signal=self.signal[positions], leads=tuple(self.leads[position] for position in positions)
        )


def cut_windows(signal: np.ndarray, fs: float, seconds: float) -> list[np.ndarray]:
    """Cut recordings of one length into consecutive windows, as `Record.windows` cuts one of them.

    Args:
        signal: (rows, time).
        fs: Sampling rate in Hz.
        seconds: Length of a window.

    Returns:
        The windows in order, each (rows, time), padded with NaN where one is shorter than the others; recordings that
        are shorter than one window are returned as they are.

    Example:
        >>> [window.shape for window in cut_windows(np.zeros((4, 26)), fs=1.0, seconds=10)]
        [(4, 10), (4, 10), (4, 10)]
    """
    if signal.shape[1] <= round(seconds * fs):
        return [signal]
    record = Record(signal, fs, tuple(str(row) for row in range(len(signal))), "rows", unit="zscore")
    return [window.signal for window in record.windows(seconds)]
