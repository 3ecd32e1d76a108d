"""Synthesised noise of ambulatory ECG: drift, muscle, movement and electrodes; one by one, or a bank of long rows."""

# Torch is imported inside the functions that need it: `augment` imports this module and must stay fast.
from __future__ import annotations

import math
from functools import lru_cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

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
_MEAN_BURSTS = 2.5  # one, and each of the other three in half of the signals

_BANK_ROWS = 16
_BANK_SIGNALS = 8  # a row of the bank is so many signals long, and at least so many seconds
_BANK_S = 60.0


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

    check_kinds([kind])
    chosen = torch.zeros(count, dtype=torch.long, device=generator.device)
    return to_unit(_synthesised(chosen, [kind], samples, fs, generator))


@lru_cache(maxsize=4)
def synthetic_bank(fs: float, samples: int, device: str = "cpu") -> dict[str, torch.Tensor]:
    """Return long rows of noise of each kind, made once, from which signals take stretches.

    Stretches are of the kinds that `synthesise_noise` makes. Bursts and electrode events come at its mean rate, 2.5 in
    a signal's length, one in each interval of that length, so that no stretch is without one.

    Args:
        fs: Sampling rate in Hz.
        samples: Length of the signals in samples.
        device: Where the rows are.

    Returns:
        Dict of NOISE_KINDS to (16, time) float32 of mean 0 and standard deviation 1; the same in every process. Not to
        be changed: all callers share it.

    Example:
        >>> bank = synthetic_bank(100.0, 500)
        >>> list(bank) == list(NOISE_KINDS), bank["baseline_wander"].shape
        (True, torch.Size([16, 6000]))
    """
    import torch

    length = max(_BANK_SIGNALS * samples, math.ceil(_BANK_S * fs))
    every = max(1, round(samples / _MEAN_BURSTS))
    generator = torch.Generator().manual_seed(0)
    with torch.inference_mode(False):
        parts = [
            to_unit(_drift(_BANK_ROWS, length, fs, generator)),
            to_unit(_muscle(_BANK_ROWS, length, fs, generator)),
            to_unit(_long_bursts(_BANK_ROWS, length, fs, every, generator)),
            to_unit(_long_events(_BANK_ROWS, length, fs, every, generator)),
        ]
        bank = {}
        for kind in NOISE_KINDS:
            mixed = torch.zeros(_BANK_ROWS, length)
            for share, part in zip(_PARTS[kind], parts, strict=True):
                mixed.add_(part, alpha=share)
            bank[kind] = to_unit(mixed).to(device)
    return bank


def check_kinds(kinds: Sequence[str]) -> None:
    """Refuse kinds of noise that are not known, or none at all.

    Args:
        kinds: Some of NOISE_KINDS.

    Raises:
        ValueError: Another kind, or none.

    Example:
        >>> check_kinds(["hum"])
        Traceback (most recent call last):
        ...
        ValueError: kinds of noise are ['hum']; accepted are one or more of motion_artefacts, ...
    """
    unknown = [kind for kind in kinds if kind not in NOISE_KINDS]
    if unknown or not kinds:
        raise ValueError(
            f"kinds of noise are {list(kinds)}; accepted are one or more of {', '.join(NOISE_KINDS)}."
        )


def to_unit(noise: torch.Tensor) -> torch.Tensor:
    """Return the rows with mean 0 and standard deviation 1; constant rows become 0.

    Args:
        noise: (rows, time).

    Example:
        >>> import torch
        >>> to_unit(torch.tensor([[1.0, 3.0], [2.0, 2.0]]))
        tensor([[-1.,  1.],
                [ 0.,  0.]])
    """
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
            noise += parts[:, place, None] * to_unit(maker(len(kind), samples, fs, generator))
    return noise


def _band_limited(
    count: int, samples: int, fs: float, band: tuple[float, float], generator: torch.Generator
) -> torch.Tensor:
    """Return Gaussian noise with a flat spectrum in a band, shaped by one inverse FFT."""
    import torch

    # At least 20 s (0.05 Hz apart) and twice the length, cut: the ends do not meet and slow drifts exist.
    length = _fast_length(max(2 * samples, math.ceil(fs / BASELINE_BAND[0])))
    step = fs / length
    first, last = math.ceil(band[0] / step), min(math.floor(band[1] / step), (length - 1) // 2)
    spectrum = torch.zeros(count, length // 2 + 1, dtype=torch.complex64, device=generator.device)
    if last >= first:
        spectrum[:, first : last + 1] = torch.randn(
            count, last + 1 - first, dtype=torch.complex64, generator=generator, device=generator.device
        )
    return torch.fft.irfft(spectrum, n=length)[:, :samples]


def _fast_length(shortest: int) -> int:
    """Return the next length that is a product of 2, 3 and 5 alone, which FFTs like."""
    length = shortest
    while True:
        rest = length
        for prime in (2, 3, 5):
            while rest % prime == 0:
                rest //= prime
        if rest == 1:
            return length
        length += 1


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


def _long_bursts(count: int, samples: int, fs: float, every: int, generator: torch.Generator) -> torch.Tensor:
    """As `_bursts`, with one bump in each interval of `every` samples."""
    import torch

    noise = _band_limited(count, samples, fs, MOTION_BAND, generator)
    centre = _one_in_each(count, samples, every, generator)
    width = (0.3 + 1.2 * torch.rand(centre.shape, generator=generator)) * fs
    reach = min(samples, math.ceil(4 * 1.5 * fs))  # in samples, to either side
    since = torch.arange(-reach, reach + 1)
    envelope = torch.full_like(noise, 0.1)
    for burst in range(centre.shape[1]):
        bump = torch.exp(-0.5 * (since / width[:, burst, None]).square())
        _add_at(envelope, centre[:, burst, None] + since, bump)
    return noise * envelope


def _long_events(count: int, samples: int, fs: float, every: int, generator: torch.Generator) -> torch.Tensor:
    """As `_events`, with one offset in each interval of `every` samples."""
    import torch

    onset = _one_in_each(count, samples, every, generator)
    chance = torch.rand(onset.shape, generator=generator)
    height = torch.randn(onset.shape, generator=generator)
    decay = 0.1 * 30**chance * fs
    since = torch.arange(min(samples, math.ceil(6 * 3 * fs)))
    noise = torch.zeros(count, samples)
    for event in range(onset.shape[1]):
        offset = height[:, event, None] * torch.exp(-since / decay[:, event, None])
        _add_at(noise, onset[:, event, None] + since, offset)
    return noise


def _one_in_each(count: int, samples: int, every: int, generator: torch.Generator) -> torch.Tensor:
    """Return places, (count, intervals), one drawn in each interval of `every` samples."""
    import torch

    start = torch.arange(0, samples, every)
    chance = torch.rand(count, len(start), generator=generator)
    return (start + chance * every).long().clamp(max=samples - 1)


def _add_at(rows: torch.Tensor, place: torch.Tensor, added: torch.Tensor) -> None:
    """Add values at places of each row; those beyond its ends are left out."""
    import torch

    inside = (place >= 0) & (place < rows.shape[1])
    rows.scatter_add_(1, place.clamp(0, rows.shape[1] - 1), torch.where(inside, added, 0.0))


# In the order of the columns of _PARTS.
_MAKERS = {"drift": _drift, "muscle": _muscle, "bursts": _bursts, "events": _events}
