"""Conditions under which a model is judged too: noise, another lead, a lower rate, less time."""

# torch is imported inside: settings of this kind are read by a command's help.
from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from numbers import Real

import numpy as np
from numpy.typing import ArrayLike, NDArray

from openclef.formats.resampling import resample
from openclef.record import Record
from openclef.signal import canonical_lead

__all__ = ["Condition", "check_conditions"]

_DRIFT_HZ = 0.5  # what is slower counts neither as signal nor as noise when their ratio is set
_PADDING_S = 4.0
_LOWEST_FS = 10.0


@dataclass(frozen=True)
class Condition:
    """How recordings are changed before a fitted model judges them.

    Args:
        noise_snr_db: Synthetic noise of an ambulatory recording (drift, muscle, movement, electrode, see
            `openclef.noise`) at this ratio of the signal's variance to the noise's in dB, both above 0.5 Hz.
        lead: Another lead, by name.
        fs: A lower sampling rate in Hz, 10 or more; recordings of this rate or a lower one stay as they are.
        seconds: Only so many seconds, 1 or more, from the start of each window; the rest is missing. A record of
            several windows keeps so much of each.

    Raises:
        ValueError: A number out of range.

    Example:
        >>> Condition(noise_snr_db=10).name, Condition(lead="II", seconds=2.5).name, Condition().name
        ('noise 10 dB', 'lead II, 2.5 s a window', '')
    """

    noise_snr_db: float | None = None
    lead: str | None = None
    fs: float | None = None
    seconds: float | None = None

    def __post_init__(self) -> None:
        limits = {
            "noise_snr_db": (-60.0, 60.0, "dB"),
            "fs": (_LOWEST_FS, 1e6, "Hz"),
            "seconds": (1.0, 1e6, "s"),
        }
        for name, (low, high, unit) in limits.items():
            value = getattr(self, name)
            if value is None:
                continue
            number = isinstance(value, Real) and not isinstance(value, bool)
            if not number or not low <= value <= high:
                raise ValueError(
                    f"{name} of a condition is {value!r}; pass a number of {unit} from {low:g} on."
                )
        if self.lead is not None:
            if not isinstance(self.lead, str) or not self.lead.strip():
                raise ValueError(f"lead of a condition is {self.lead!r}; pass the name of a lead, as 'II'.")
            object.__setattr__(self, "lead", canonical_lead(self.lead))

    @property
    def name(self) -> str:
        """What stands in the column `condition` of a table; "" = as recorded.

        Example:
            >>> Condition(fs=100).name
            '100 Hz'
        """
        parts = {
            "noise_snr_db": "noise {:g} dB",
            "lead": "lead {}",
            "fs": "{:g} Hz",
            "seconds": "{:g} s a window",
        }
        given = {key: getattr(self, key) for key in parts}
        return ", ".join(parts[key].format(value) for key, value in given.items() if value is not None)

    def apply(
        self, signal: NDArray[np.floating], fs: float, rows: ArrayLike
    ) -> tuple[NDArray[np.floating], float]:
        """Change windows of one lead; noise is a function of the row's number alone.

        Args:
            signal: (rows, time), NaN = missing; not modified.
            fs: Their sampling rate in Hz.
            rows: (rows,) their numbers in the store.

        Returns:
            The changed windows, and their rate in Hz.

        Example:
            >>> changed, fs = Condition(fs=100, seconds=1).apply(np.ones((2, 1000), np.float32), 500, [0, 1])
            >>> changed.shape, fs, float(np.isnan(changed).mean())
            ((2, 200), 100.0, 0.5)
        """
        changed = signal
        if not len(signal):
            return signal, fs
        if self.seconds is not None:
            changed = changed.copy()
            changed[:, round(self.seconds * fs) :] = np.nan
        if self.noise_snr_db is not None:
            changed = np.stack([self._noisy(one, fs, int(row)) for one, row in zip(changed, np.ravel(rows))])
        if self.fs is not None and self.fs < fs:
            names = tuple(str(row) for row in range(len(changed)))
            lower = resample(Record(changed, fs, names, "rows", unit="zscore"), self.fs)
            return lower.signal, lower.fs
        return changed, fs

    def _noisy(self, signal: NDArray[np.floating], fs: float, row: int) -> NDArray[np.floating]:
        import torch

        from openclef.noise_synthesis import synthesise_noise

        known = ~np.isnan(signal)
        if known.sum() < 2:
            return signal
        generator = torch.Generator().manual_seed(row)
        noise = synthesise_noise("mixture_of_noises", 1, signal.size, fs, generator)[0].numpy()
        ratio = 10 ** (-(self.noise_snr_db or 0.0) / 20)
        level = _spread(signal[known], fs) / max(_spread(noise[known], fs), 1e-12)
        return (signal + ratio * level * noise).astype(signal.dtype)


def _spread(signal: NDArray[np.floating], fs: float) -> float:
    """Standard deviation of what is faster than drift."""
    from scipy.signal import butter, sosfiltfilt

    high_pass = butter(4, _DRIFT_HZ, "highpass", fs=fs, output="sos")
    return float(sosfiltfilt(high_pass, signal, padlen=min(signal.size - 1, round(_PADDING_S * fs))).std())


def check_conditions(conditions: Sequence[Condition]) -> None:
    """Refuse what is no list of different conditions.

    Raises:
        ValueError: One is none, changes nothing, or stands there twice.

    Example:
        >>> check_conditions([Condition()])
        Traceback (most recent call last):
        ...
        ValueError: conditions are [Condition(...)]; pass different ones that change something, for example ...
    """
    example = "for example [openclef.Condition(noise_snr_db=10)]"
    if isinstance(conditions, (str, Condition)) or not all(isinstance(one, Condition) for one in conditions):
        raise ValueError(f"conditions are {conditions!r}; pass a list of conditions, {example}.")
    names = [one.name for one in conditions]
    if "" in names or len(set(names)) < len(names):
        raise ValueError(
            f"conditions are {list(conditions)}; pass different ones that change something, {example}."
        )
