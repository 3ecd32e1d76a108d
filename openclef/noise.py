"""Noise of ambulatory ECG, synthesised or recorded, for a batch of single-lead signals on their device."""

# Torch is imported inside the functions that need it: `augment` imports this module and must stay fast.
from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING

from openclef.noise_synthesis import NOISE_KINDS, check_kinds, synthetic_bank

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import torch


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
            random lead and stretch of it. None = `synthetic_bank`.

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
    check_kinds(kinds)

    rows, samples = len(signal), signal.shape[-1]
    kind = draw_kinds(rows, kinds, probability, generator).to(signal.device)
    clean = signal[:, 0].to(torch.promote_types(signal.dtype, torch.float32))
    if bank is None:
        bank = synthetic_bank(float(fs), samples, str(signal.device))
    noise = _stretches(kind, kinds, samples, bank, generator).to(clean)
    if snr_db is None:
        level = torch.full_like(clean[:, :1], level_mv or 0.0)
    else:
        level = clean.std(dim=1, correction=0, keepdim=True) * 10 ** (-snr_db / 20)
    noise = noise.sub_(noise.mean(dim=1, keepdim=True))  # var_mean takes many times as long
    spread = torch.linalg.vector_norm(noise, dim=1, keepdim=True) / math.sqrt(samples)
    level = torch.where(kind[:, None] < 0, 0.0, level) / spread.clamp(min=1e-12)
    return noise.mul_(level).add_(clean).to(signal.dtype)[:, None]


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


def _stretches(
    kind: torch.Tensor,
    kinds: Sequence[str],
    samples: int,
    bank: Mapping[str, torch.Tensor],
    generator: torch.Generator,
) -> torch.Tensor:
    """Return (B, T) stretches of the bank's noise of each row's kind, from a random lead and start; a new tensor."""
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
    if kind.device.type == "cpu":  # copies of slices: several times as fast as an index of every sample
        places = [[each.tolist() for each in _place(chance, bank[name], samples)] for name in kinds]
        drawn = []
        for row, place in enumerate(kind.clamp(min=0).tolist()):
            lead, start = (each[row] for each in places[place])
            drawn.append(bank[kinds[place]][lead, start : start + samples])
        return torch.stack(drawn) if drawn else torch.empty(0, samples)
    noise = None
    for place, name in enumerate(kinds):
        rows = bank[name].to(kind.device)
        lead, start = _place(chance, rows, samples)
        where = (lead * rows.shape[1] + start)[:, None] + torch.arange(samples, device=kind.device)
        stretch = rows.flatten()[where]
        noise = stretch if noise is None else torch.where((kind == place)[:, None], stretch, noise)
    if noise is None:
        raise ValueError("no kind of noise was given; pass one or more.")
    return noise


def _place(chance: torch.Tensor, rows: torch.Tensor, samples: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the lead and the first sample that two numbers in 0..1 stand for."""
    leads, starts = rows.shape[0], rows.shape[1] - samples + 1
    lead = (chance[0] * leads).long().clamp(max=leads - 1)
    return lead, (chance[1] * starts).long().clamp(max=starts - 1)
