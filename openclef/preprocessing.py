"""Preprocessing of signals: gaps, resampling, zero-phase band-pass, z-score; batched, on the signal's device.

It belongs to a model and travels with it, so training and use see the same signals.
`docs/concepts-preprocessing.md` says what each step does and how close the FFT filter is to filtfilt.
"""

# torch takes seconds to import and the command line's help reads these settings: it is imported where used.
from __future__ import annotations

import math
from dataclasses import asdict, dataclass, fields
from typing import Any

from openclef.signal import is_sampling_rate

MYPY = False  # a type checker reads True; jsonargparse would run a TYPE_CHECKING block and import torch
if MYPY:
    from torch import Tensor

NORMALISATIONS = ("zscore", "minmax", "none")
FILTERINGS = ("fft", "scipy")
LOWEST_FS = 50.0
"""Hz; a model without a band would take a signal of any rate; below this one, and below its own, waves are lost."""
FLAT = 1e-6
"""A standard deviation below this share of the mean is rounding, as float32 has it: the lead is constant."""
UNITS = ("mV", "uV", "zscore")
EPS = 1e-8


@dataclass(frozen=True)
class Preprocessing:
    """What is done to a signal before a model sees it.

    Args:
        fs: The model's sampling rate in Hz; signals of other rates are resampled.
        seconds: Length of the window.
        band: Pass band (low, high) in Hz of a zero-phase Butterworth filter; either edge may be None, and
            band=None only resamples.
        order: Order of the Butterworth filter, 1 to 10, as scipy.signal.butter counts it.
        normalise: "zscore" (each lead to mean 0 and population standard deviation 1), "minmax" (each lead from -1 to 1)
            or "none".
        filtering: "fft" (on the signal's device, with gradient; forward-backward filtering with 4 s of odd
            padding, to within a per cent) or "scipy" (exactly what the published weights were trained with:
            (b, a) form, scipy.signal.filtfilt, its default padding; float64 on the CPU, without gradient).

    Raises:
        ValueError: A setting outside these.

    Source:
        Defaults: Shu et al., CLEF, arXiv 2512.02180, and its released code.

    Example:
        >>> import torch
        >>> preprocessing = Preprocessing(fs=500, seconds=10)
        >>> time_s = torch.arange(2500) / 250
        >>> signal = 3.0 + torch.sin(2 * torch.pi * 10 * time_s)
        >>> ready = preprocessing(signal.reshape(1, 1, -1), fs=250)
        >>> ready.shape, round(float(ready.std(correction=0)), 3)
        (torch.Size([1, 1, 5000]), 1.0)
    """

    fs: float = 500.0
    seconds: float = 10.0
    band: tuple[float | None, float | None] | None = (0.67, 40.0)
    order: int = 5
    normalise: str = "zscore"
    filtering: str = "fft"

    def __post_init__(self) -> None:
        if not is_sampling_rate(self.fs):
            raise ValueError(
                f"fs={self.fs!r} is no sampling rate; pass a positive number of Hz, for example fs=500."
            )
        if not (math.isfinite(self.seconds) and self.samples >= 1):
            raise ValueError(f"seconds={self.seconds} holds no sample at {self.fs:g} Hz; pass a longer one.")
        if self.normalise not in NORMALISATIONS:
            raise ValueError(
                f"normalise={self.normalise!r} is unknown; pass one of {', '.join(NORMALISATIONS)}."
            )
        if self.filtering not in FILTERINGS:
            raise ValueError(f"filtering={self.filtering!r} is unknown; pass one of {', '.join(FILTERINGS)}.")
        if isinstance(self.order, bool) or not isinstance(self.order, int) or not 1 <= self.order <= 10:
            raise ValueError(
                f"order={self.order!r} is outside 1 to 10; pass the filter's order, for example 5."
            )
        if self.band is not None:
            object.__setattr__(self, "band", _checked_band(self.band, self.fs))
        shortest = 3 * (2 * self.order + 1)
        if self.filtering == "scipy" and self.band is not None and self.samples <= shortest:
            raise ValueError(
                f"seconds={self.seconds} is {self.samples} samples at {self.fs:g} Hz; filtering='scipy' of "
                f"order {self.order} takes more than {shortest}. Pass a longer window or filtering='fft'."
            )

    @property
    def samples(self) -> int:
        """Samples of a preprocessed window: seconds times fs, rounded.

        Example:
            >>> Preprocessing(fs=500, seconds=10).samples
            5000
        """
        return round(self.seconds * self.fs)

    def __call__(self, signal: Tensor, fs: float) -> Tensor:
        """Resample, band-pass and normalise; what is missing at either end becomes 0.

        Args:
            signal: (batch, lead, time), NaN where missing, at most `seconds` long.
            fs: Its sampling rate in Hz.

        Returns:
            (batch, lead, samples), float32.

        Raises:
            ValueError: As `filter`.

        Example:
            >>> import torch
            >>> Preprocessing(seconds=2)(torch.randn(3, 12, 250), fs=125).shape
            torch.Size([3, 12, 1000])
        """
        return self.standardise(self.filter(signal, fs), self.valid(signal, fs))

    def filter(self, signal: Tensor, fs: float, complete: bool | None = None) -> Tensor:
        """Fill gaps, resample and band-pass.

        Gaps are interpolated linearly. Beyond its first and last sample a signal is continued by its odd
        reflection, for 4 s or its own length, then held. So a short signal, or one that is missing at an end
        of the window, is filtered as it would be alone; `standardise` sets the rest to 0.

        Args:
            signal: (batch, lead, time), NaN where missing; `seconds` long or shorter (missing at the end).
            fs: Its sampling rate in Hz.
            complete: Whether no sample is missing, where that is known; None = look, for which a program waits until a
                GPU is done.

        Returns:
            (batch, lead, samples), float32, in the unit given, on the signal's device.

        Raises:
            ValueError: Another shape or type, a signal longer than the window, a rate too low for the
                band.

        Example:
            >>> import torch
            >>> mains = torch.sin(2 * torch.pi * 60 * torch.arange(2500) / 250).reshape(1, 1, -1)
            >>> filtered = Preprocessing(fs=500).filter(mains, fs=250)
            >>> float(filtered[..., 1000:-1000].abs().max()) < 0.05
            True
        """
        import torch

        from openclef.filtering import fill_gaps, filter_by_fft, filter_by_scipy

        self._check_signal(signal, fs)
        span = self._span(signal, fs)
        with torch.autocast(signal.device.type, enabled=False):
            if self.filtering == "fft":
                filled, first, last = (
                    (signal.float(), None, None) if complete else fill_gaps(signal.float(), complete is None)
                )
                return filter_by_fft(
                    filled,
                    first,
                    last,
                    fs=fs,
                    target_fs=self.fs,
                    span=span,
                    samples=self.samples,
                    band=self.band,
                    order=self.order,
                )
            filled, _, _ = fill_gaps(signal.detach().cpu().double())
            if signal.shape[-1] < span:  # the reference holds the ends of what was recorded
                held = filled[..., -1:].expand(*filled.shape[:-1], span - signal.shape[-1])
                filled = torch.cat([filled, held], dim=-1)
            if fs != self.fs:
                filled = filter_by_fft(filled, fs=fs, target_fs=self.fs, span=span, samples=self.samples)
            # The (b, a) form magnifies rounding: what a batch's FFT rounds otherwise must not reach it.
            window = filled[..., : self.samples].float().double().numpy()
            filtered = filter_by_scipy(window, self.fs, self.band, self.order)
            return torch.from_numpy(filtered).to(device=signal.device, dtype=torch.float32)

    def standardise(self, signal: Tensor, valid: Tensor | None = None) -> Tensor:
        """Scale each lead by its valid samples as `normalise` says; the others become 0.

        A constant lead becomes zeros.

        Args:
            signal: (batch, lead, time).
            valid: Booleans that broadcast to its shape, False where nothing was recorded; None = all valid.

        Returns:
            (batch, lead, time), float32: (signal - mean) / (population standard deviation + 1e-8) for "zscore",
            2 (signal - lowest) / (highest - lowest + 1e-8) - 1 for "minmax".

        Example:
            >>> import torch
            >>> Preprocessing().standardise(torch.tensor([[[1.0, 3.0, 1.0, 3.0]]]))
            tensor([[[-1.,  1., -1.,  1.]]])
        """
        import torch

        signal = signal.float()
        if self.normalise == "zscore":
            if valid is None:  # var_mean takes many times as long
                mean = signal.mean(-1, keepdim=True)
                signal = signal - mean
                norm = torch.linalg.vector_norm(signal, dim=-1, keepdim=True)
                deviation = (norm / math.sqrt(signal.shape[-1])).clamp(min=1e-15)
            else:
                count = valid.expand_as(signal).sum(-1, keepdim=True).clamp(min=1)
                mean = torch.where(valid, signal, 0.0).sum(-1, keepdim=True) / count
                signal = torch.where(valid, signal - mean, 0.0)
                deviation = (signal.square().sum(-1, keepdim=True) / count).clamp(min=1e-30).sqrt()
            return signal / torch.where(deviation < FLAT * mean.abs(), torch.inf, deviation + EPS)
        if self.normalise == "minmax":
            known = torch.ones_like(signal, dtype=torch.bool) if valid is None else valid.expand_as(signal)
            low = torch.where(known, signal, torch.inf).amin(-1, keepdim=True)
            high = torch.where(known, signal, -torch.inf).amax(-1, keepdim=True)
            scaled = 2 * (signal - low) / (high - low + EPS) - 1
            return torch.where(known & (high - low > 1e-15), scaled, 0.0)
        return signal if valid is None else torch.where(valid, signal, 0.0)

    def valid(self, signal: Tensor, fs: float) -> Tensor:
        """Tell which samples of the preprocessed window were recorded.

        Gaps inside a recording are interpolated and count as recorded; what is missing at its ends does not.

        Args:
            signal: (batch, lead, time), NaN where missing, as given to `filter`.
            fs: Its sampling rate in Hz.

        Returns:
            (batch, lead, samples), bool.

        Example:
            >>> import torch
            >>> short = torch.zeros(1, 1, 300)  # 3 s of a 10 s window
            >>> int(Preprocessing(fs=500).valid(short, fs=100).sum())
            1500
        """
        import torch

        from openclef.filtering import source_samples

        self._check_signal(signal, fs)
        length = signal.shape[-1]
        recorded = torch.isfinite(signal)
        position = torch.arange(length, device=signal.device)
        first = torch.where(recorded, position, length).amin(-1, keepdim=True)
        last = torch.where(recorded, position, -1).amax(-1, keepdim=True)
        if self.is_filled_by(length, fs):
            last = torch.where(last == length - 1, self._span(signal, fs), last)
        source = source_samples(self.samples, fs / self.fs, signal.device)
        return (source >= first) & (source <= last)

    def is_filled_by(self, samples: int, fs: float) -> bool:
        """Tell whether so many samples fill the window, but for less than a sample.

        Args:
            samples: Of a signal.
            fs: Its sampling rate in Hz.

        Example:
            >>> Preprocessing(seconds=10).is_filled_by(2500, fs=250)
            True
        """
        return samples > self.seconds * fs - 1 - 1e-6

    def check(self, fs: float, unit: str) -> None:
        """Refuse signals that this preprocessing cannot make valid.

        Args:
            fs: Sampling rate in Hz.
            unit: "mV", "uV" or "zscore".

        Raises:
            ValueError: A rate too low for the band, an unknown unit, or not mV where amplitudes count.

        Example:
            >>> Preprocessing().check(fs=50, unit="mV")
            Traceback (most recent call last):
            ...
            ValueError: fs=50 Hz is too low: the band reaches to 40 Hz and needs more than 80 Hz. ...
        """
        if not is_sampling_rate(fs):
            raise ValueError(
                f"fs={fs!r} is no sampling rate; pass a positive number of Hz, for example fs=500."
            )
        lowest = min(LOWEST_FS, self.fs)
        if self.band is None and fs < lowest:
            raise ValueError(
                f"fs={fs:g} Hz is too low for an ECG: at least {lowest:g} Hz are needed. "
                "Pass the recording's own rate."
            )
        high = None if self.band is None else self.band[1]
        if high is not None and fs / 2 <= high:
            raise ValueError(
                f"fs={fs:g} Hz is too low: the band reaches to {high:g} Hz and needs more than "
                f"{2 * high:g} Hz. "
                f"Use a recording of a higher rate, or a model whose band ends below {fs / 2:g} Hz."
            )
        if unit not in UNITS:
            raise ValueError(
                f"unit={unit!r} is unknown; this model takes signals in {', '.join(UNITS)}. "
                "Convert the signal and name its unit."
            )
        if unit != "mV" and self.normalise == "none":
            raise ValueError(
                f"unit={unit!r} does not fit normalise='none', where amplitudes in mV count; "
                "convert the signal to mV, or use a model with normalise='zscore'."
            )

    def to_dict(self) -> dict[str, Any]:
        """Return the settings as plain values, ready for JSON.

        Example:
            >>> Preprocessing(band=None).to_dict()["fs"]
            500.0
        """
        settings = asdict(self)
        settings["band"] = None if self.band is None else list(self.band)
        return settings

    @classmethod
    def from_dict(cls, settings: dict[str, Any]) -> Preprocessing:
        """Build from what `to_dict` returned.

        Args:
            settings: One value for each setting.

        Raises:
            ValueError: A setting is missing or unknown, or its value is refused.

        Example:
            >>> Preprocessing.from_dict(Preprocessing(fs=250).to_dict()) == Preprocessing(fs=250)
            True
        """
        names = {field.name for field in fields(cls)}
        if set(settings) != names:
            missing, unknown = sorted(names - set(settings)), sorted(set(settings) - names)
            raise ValueError(
                f"Preprocessing settings are not complete: missing {missing}, unknown {unknown}; "
                f"give exactly {', '.join(sorted(names))}."
            )
        return cls(**settings)

    def _check_signal(self, signal: Tensor, fs: float) -> None:
        if signal.ndim != 3 or not signal.is_floating_point() or signal.shape[-1] < 1:
            raise ValueError(
                f"signal has shape {tuple(signal.shape)} and type {signal.dtype}; preprocessing takes "
                "(batch, lead, time) of floating-point numbers with NaN where missing."
            )
        self.check(fs, "mV")
        if signal.shape[-1] > self.seconds * fs + 1 + 1e-6:
            raise ValueError(
                f"signal has {signal.shape[-1]} samples, {signal.shape[-1] / fs:g} s at {fs:g} Hz; "
                f"the window is {self.seconds:g} s. Cut it into windows first."
            )

    def _span(self, signal: Tensor, fs: float) -> int:
        """Source samples that the window takes."""
        return max(signal.shape[-1], math.ceil(self.seconds * fs - 1e-6))


def _checked_band(
    band: tuple[float | None, float | None] | list[float | None], fs: float
) -> tuple[float | None, float | None] | None:
    if len(band) != 2:
        raise ValueError(f"band={band!r} is no band; pass (low, high) in Hz, either may be None, or None.")
    low, high = band
    if low is None and high is None:
        return None
    for edge in (low, high):
        if edge is not None and not 0 < edge < fs / 2:
            raise ValueError(
                f"band={tuple(band)!r} does not lie between 0 and {fs / 2:g} Hz, half of fs={fs:g}; "
                "pass edges inside, for example band=(0.67, 40)."
            )
    if low is not None and high is not None and low >= high:
        raise ValueError(f"band={tuple(band)!r} is not (low, high) with low below high; swap its edges.")
    return low, high
