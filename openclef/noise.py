"""Noise of ambulatory ECG, synthesised or recorded, for a batch of single-lead signals on their device."""

# Torch is imported inside the functions that need it: `augment` imports this module and must stay fast.
from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import torch

# The kinds bear the names of the arrays of PhysioNet's DATA_noises_real.mat.
NOISE_KINDS = ("motion_artefacts", "electrode_movement", "baseline_wander", "mixture_of_noises")

# Bands in Hz of the synthesised noise.
BASELINE_BAND = (0.05, 0.7)
MOTION_BAND = (0.5, 10.0)
MUSCLE_BAND = (20.0, 60.0)

# Share of drift, muscle, bursts and electrode events in each kind, in units of their standard deviation.
_PARTS = {
    "motion_artefacts": (0.0, 0.0, 1.0, 0.0),
    "electrode_movement": (0.0, 0.0, 0.0, 1.0),
    "baseline_wander": (1.0, 0.0, 0.0, 0.0),
    "mixture_of_noises": (1.0, 1.0, 1.0, 1.0),
}
_BURSTS = 4  # at most so many bursts, or electrode events, in one signal


def add_noise(
    signal: torch.Tensor,
    fs: float,
    *,
    generator: torch.Generator,
    kinds: Sequence[str] = NOISE_KINDS,
    probability: float = 0.8,
    level_mv: float | None = 0.1,
    snr_db: float | None = None,
    bank: Mapping[str, torch.Tensor] | None = None,
) -> torch.Tensor:
    """Return the signals, each with one kind of noise or with none.

    Args:
        signal: (B, 1, T) in mV; not modified.
        fs: Sampling rate in Hz.
        generator: Source of all random numbers; it may live on the CPU while the signal does not.
        kinds: Kinds to draw from at equal odds; with all four and probability 0.8, nothing and each kind are
            one of five at equal odds, as in the released code.
        probability: Probability that a signal gets noise, 0..1.
        level_mv: Standard deviation of the noise in mV (0.1 in the released code), or None.
        snr_db: In its place, the ratio of the signal's variance to the noise's in dB, or None.
        bank: Recorded noise at the signal's rate, from `load_noise_bank`, not modified; each signal takes a
            random lead and stretch of it. None = synthesised noise.

    Returns:
        (B, 1, T) of the signal's type and device.

    Raises:
        ValueError: A setting is out of range, or the bank is too short or lacks a kind.

    Source:
        Kinds, odds and level: released code of arXiv 2512.02180. The synthesis is this project's.

    Example:
        >>> import torch
        >>> generator = torch.Generator().manual_seed(0)
        >>> noisy = add_noise(torch.zeros(4, 1, 5000), 500, probability=1.0, generator=generator)
        >>> noisy.std(dim=-1, correction=0).flatten()
        tensor([0.1000, 0.1000, 0.1000, 0.1000])
    """
    import torch

    if signal.ndim != 3 or signal.shape[1] != 1:
        raise ValueError(
            f"signal has shape {tuple(signal.shape)}; noise is for single leads, pass (B, 1, time)."
        )
    if not 0 <= probability <= 1:
        raise ValueError(f"noise probability is {probability}; pass a number in 0..1.")
    if (level_mv is None) == (snr_db is None):
        raise ValueError(
            f"level_mv is {level_mv} and snr_db {snr_db}; give exactly one of them, None for the other."
        )
    if level_mv is not None and not 0 <= level_mv < math.inf:
        raise ValueError(
            f"level_mv is {level_mv}; pass a standard deviation in mV of at least 0, such as 0.1."
        )
    _check_kinds(kinds)

    rows, samples = len(signal), signal.shape[-1]
    kind = draw_kinds(rows, kinds, probability, generator).to(signal.device)
    clean = signal[:, 0].to(torch.promote_types(signal.dtype, torch.float32))
    if bank is None:
        noise = _synthesised(kind, kinds, samples, fs, generator).to(clean)
    else:
        noise = _recorded(kind, kinds, samples, bank, generator).to(clean)
    if snr_db is None:
        level = torch.full_like(clean[:, :1], level_mv or 0.0)
    else:
        level = clean.std(dim=1, correction=0, keepdim=True) * 10 ** (-snr_db / 20)
    level = torch.where(kind[:, None] < 0, 0.0, level)
    return (clean + level * _unit(noise)).to(signal.dtype)[:, None]


def draw_kinds(
    count: int, kinds: Sequence[str], probability: float, generator: torch.Generator
) -> torch.Tensor:
    """Return which kind of noise each of so many signals gets.

    Args:
        count: Number of signals.
        kinds: Kinds to draw from at equal odds.
        probability: Probability that a signal gets noise, 0..1.
        generator: Source of the random numbers.

    Returns:
        (count,) integers on the generator's device: place in `kinds`, -1 = no noise.

    Example:
        >>> import torch
        >>> draw_kinds(3, NOISE_KINDS, 0.0, torch.Generator())
        tensor([-1, -1, -1])
    """
    import torch

    chance = torch.rand(count, generator=generator, device=generator.device)
    kind = torch.randint(len(kinds), (count,), generator=generator, device=generator.device)
    return torch.where(chance < probability, kind, -1)


def synthesise_noise(
    kind: str, count: int, samples: int, fs: float, generator: torch.Generator
) -> torch.Tensor:
    """Return synthesised noise of one kind, of mean 0 and standard deviation 1.

    Baseline wander drifts between 0.05 and 0.7 Hz; motion artefacts are bursts between 0.5 and 10 Hz;
    electrode movement is a few sudden offsets that decay; the mixture holds all three and a steady
    muscle-like part between 20 and 60 Hz (below half the sampling rate), in equal parts.

    Args:
        kind: One of NOISE_KINDS.
        count: Number of signals.
        samples: Length in samples.
        fs: Sampling rate in Hz.
        generator: Source of the random numbers.

    Returns:
        (count, samples) float32 on the generator's device.

    Raises:
        ValueError: The kind is unknown.

    Example:
        >>> import torch
        >>> noise = synthesise_noise("baseline_wander", 2, 5000, 500, torch.Generator().manual_seed(0))
        >>> spectrum = torch.fft.rfft(noise).abs().square()
        >>> bool(spectrum[:, :11].sum() > 0.99 * spectrum.sum())  # below 1 Hz
        True
    """
    import torch

    _check_kinds([kind])
    chosen = torch.zeros(count, dtype=torch.long, device=generator.device)
    return _unit(_synthesised(chosen, [kind], samples, fs, generator))


def load_noise_bank(path: str | Path, *, fs: float, source_fs: float = 1000.0) -> dict[str, torch.Tensor]:
    """Read recorded noise from PhysioNet's `DATA_noises_real.mat`, resampled to a rate.

    Args:
        path: The file (830 MB), of ecg-ppg-simulator-arrhythmia 1.3.1, https://doi.org/10.13026/s32e-sv15.
        fs: Sampling rate in Hz at which the noise will be used.
        source_fs: Sampling rate in Hz of the file. It names none; its 1,805,556 samples are the 30 minutes of
            the MIT-BIH noise stress test (650,000 samples at 360 Hz) at 1,000 Hz. Pass the value of `fs` to
            take the samples as they are.

    Returns:
        Dict of NOISE_KINDS to (lead, time) float32 tensors; send them to the device of the signals.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: The file lacks one of the four arrays.

    Example:
        >>> load_noise_bank("absent.mat", fs=500)
        Traceback (most recent call last):
        ...
        FileNotFoundError: absent.mat is not a file; download DATA_noises_real.mat from ...
    """
    from fractions import Fraction

    import numpy as np
    import scipy.io
    import scipy.signal
    import torch

    if not Path(path).is_file():
        raise FileNotFoundError(
            f"{path} is not a file; download DATA_noises_real.mat from https://doi.org/10.13026/s32e-sv15, "
            "or use noise='synthetic'."
        )
    arrays = scipy.io.loadmat(path, variable_names=NOISE_KINDS)
    absent = [kind for kind in NOISE_KINDS if kind not in arrays]
    if absent:
        raise ValueError(
            f"{path} lacks {', '.join(absent)}; pass the file DATA_noises_real.mat, version 1.3.1."
        )
    ratio = Fraction(fs / source_fs).limit_denominator(10_000)
    bank = {}
    for kind in NOISE_KINDS:
        array = np.atleast_2d(arrays.pop(kind)).astype(np.float32)
        if ratio != 1:
            array = scipy.signal.resample_poly(array, ratio.numerator, ratio.denominator, axis=1)
        bank[kind] = torch.from_numpy(np.ascontiguousarray(array))
    return bank


def _check_kinds(kinds: Sequence[str]) -> None:
    unknown = [kind for kind in kinds if kind not in NOISE_KINDS]
    if unknown or not kinds:
        raise ValueError(
            f"kinds of noise are {list(kinds)}; accepted are one or more of {', '.join(NOISE_KINDS)}."
        )


def _unit(noise: torch.Tensor) -> torch.Tensor:
    """Return the rows with mean 0 and standard deviation 1; constant rows become 0."""
    noise = noise - noise.mean(dim=1, keepdim=True)
    return noise / noise.std(dim=1, correction=0, keepdim=True).clamp(min=1e-12)


def _synthesised(
    kind: torch.Tensor, kinds: Sequence[str], samples: int, fs: float, generator: torch.Generator
) -> torch.Tensor:
    """Return (B, T) noise of each row's kind; rows without noise come out as anything."""
    import torch

    device = generator.device
    parts = torch.tensor([_PARTS[name] for name in kinds], device=device)[kind.to(device).clamp(min=0)]
    wanted = {
        name for kind_name in kinds for name, part in zip(_MAKERS, _PARTS[kind_name], strict=True) if part
    }
    noise = torch.zeros(len(kind), samples, device=device)
    for place, (name, maker) in enumerate(_MAKERS.items()):
        if name in wanted:
            noise += parts[:, place, None] * _unit(maker(len(kind), samples, fs, generator))
    return noise


def _band_limited(
    count: int, samples: int, fs: float, band: tuple[float, float], generator: torch.Generator
) -> torch.Tensor:
    """Return Gaussian noise with a flat spectrum in a band, shaped by one inverse FFT."""
    import torch
    from scipy.fft import next_fast_len

    # At least 20 s (0.05 Hz apart) and twice the length, cut: the ends do not meet and slow drifts exist.
    length = next_fast_len(max(2 * samples, math.ceil(fs / BASELINE_BAND[0])), real=True)
    step = fs / length
    first, last = math.ceil(band[0] / step), min(math.floor(band[1] / step), (length - 1) // 2)
    spectrum = torch.zeros(count, length // 2 + 1, dtype=torch.complex64, device=generator.device)
    if last >= first:
        spectrum[:, first : last + 1] = torch.randn(
            count, last + 1 - first, dtype=torch.complex64, generator=generator, device=generator.device
        )
    return torch.fft.irfft(spectrum, n=length)[:, :samples]


def _drift(count: int, samples: int, fs: float, generator: torch.Generator) -> torch.Tensor:
    return _band_limited(count, samples, fs, BASELINE_BAND, generator)


def _muscle(count: int, samples: int, fs: float, generator: torch.Generator) -> torch.Tensor:
    return _band_limited(count, samples, fs, MUSCLE_BAND, generator)


def _bursts(count: int, samples: int, fs: float, generator: torch.Generator) -> torch.Tensor:
    """Return band-limited noise under one to four Gaussian bumps of 0.3 to 1.5 s, over a low floor."""
    import torch

    noise = _band_limited(count, samples, fs, MOTION_BAND, generator)
    time = torch.arange(samples, device=noise.device) / fs
    chance = torch.rand(3, count, _BURSTS, generator=generator, device=noise.device)
    centre, width = chance[0] * samples / fs, 0.3 + 1.2 * chance[1]
    active = chance[2] < 0.5
    active[:, 0] = True
    envelope = torch.full_like(noise, 0.1)
    for burst in range(_BURSTS):
        bump = torch.exp(-0.5 * ((time - centre[:, burst, None]) / width[:, burst, None]).square())
        envelope += active[:, burst, None] * bump
    return noise * envelope


def _events(count: int, samples: int, fs: float, generator: torch.Generator) -> torch.Tensor:
    """Return one to four sudden offsets of either sign, each decaying within 0.1 to 3 s."""
    import torch

    device = generator.device
    time = torch.arange(samples, device=device) / fs
    chance = torch.rand(3, count, _BURSTS, generator=generator, device=device)
    height = torch.randn(count, _BURSTS, generator=generator, device=device)
    # No event falls on the very first sample or into the last tenth, so that its edge can be seen.
    onset, decay = (0.02 + 0.88 * chance[0]) * samples / fs, 0.1 * 30 ** chance[1]
    active = chance[2] < 0.5
    active[:, 0] = True
    noise = torch.zeros(count, samples, device=device)
    for event in range(_BURSTS):
        since = time - onset[:, event, None]
        offset = torch.where(since >= 0, torch.exp(-since.clamp(min=0) / decay[:, event, None]), 0.0)
        noise += (active * height)[:, event, None] * offset
    return noise


# In the order of the columns of _PARTS.
_MAKERS = {"drift": _drift, "muscle": _muscle, "bursts": _bursts, "events": _events}


def _recorded(
    kind: torch.Tensor,
    kinds: Sequence[str],
    samples: int,
    bank: Mapping[str, torch.Tensor],
    generator: torch.Generator,
) -> torch.Tensor:
    """Return (B, T) stretches of the bank's noise of each row's kind, from a random lead and start."""
    import torch

    absent = [name for name in kinds if name not in bank]
    if absent:
        raise ValueError(f"the noise bank lacks {', '.join(absent)}; it has {', '.join(bank)}.")
    short = [name for name in kinds if bank[name].shape[-1] < samples]
    if short:
        raise ValueError(
            f"the noise bank's {short[0]} has {bank[short[0]].shape[-1]} samples, the signal {samples}; pass "
            "a longer bank or crop the signal."
        )
    chance = torch.rand(2, len(kind), generator=generator, device=generator.device).to(kind.device)
    noise = None
    for place, name in enumerate(kinds):
        leads, length = bank[name].shape
        lead = (chance[0] * leads).long().clamp(max=leads - 1)
        starts = length - samples + 1
        start = (chance[1] * starts).long().clamp(max=starts - 1)
        where = (lead * length + start)[:, None] + torch.arange(samples, device=kind.device)
        stretch = bank[name].to(kind.device).flatten()[where]
        noise = stretch if noise is None else torch.where((kind == place)[:, None], stretch, noise)
    if noise is None:
        raise ValueError("no kind of noise was given; pass one or more.")
    return noise
