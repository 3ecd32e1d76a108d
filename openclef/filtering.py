"""Zero-phase resampling and band-pass of batches for `preprocessing`: by FFT, and as scipy does it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
from torch import Tensor

Band = tuple[float | None, float | None]

REFLECTION_S = 4.0  # odd reflection at each end of a signal
BLEND_S = 2.0  # after both reflections, where the circle of the FFT closes
SEARCH = 1000  # lengths tried for the FFT, from the shortest
DRIFT = 1e-3  # samples that the window's end may be off; twice the least where no length is so close


def fill_gaps(signal: Tensor, look: bool = True) -> tuple[Tensor, Tensor | None, Tensor | None]:
    """Interpolate gaps linearly and hold ends.

    Args:
        signal: (batch, lead, time), NaN or infinite where missing.
        look: Whether to look if anything is missing at all, for which a program waits until a GPU is done.

    Returns:
        The filled signal, and the first and last recorded positions, each (batch, lead, 1); None for both
        where nothing was found missing. A lead without any sample becomes zeros, recorded from end to end.

    Example:
        >>> nan = float("nan")
        >>> fill_gaps(torch.tensor([[[nan, 1.0, nan, 3.0, nan]]]))[0]
        tensor([[[1., 1., 2., 3., 3.]]])
    """
    recorded = torch.isfinite(signal)
    if look and bool(recorded.all()):
        return signal, None, None
    length = signal.shape[-1]
    position = torch.arange(length, device=signal.device)
    previous = torch.where(recorded, position, -1).cummax(-1).values
    following = torch.where(recorded, position, length).flip(-1).cummin(-1).values.flip(-1)
    before = torch.where(previous < 0, following, previous).clamp(0, length - 1)
    after = torch.where(following >= length, previous, following).clamp(0, length - 1)
    known = torch.where(recorded, signal, 0.0)
    share = ((position - before) / (after - before).clamp(min=1)).to(signal.dtype)
    filled = torch.lerp(known.gather(-1, before), known.gather(-1, after), share)
    first, last = following[..., :1], previous[..., -1:]
    empty = last < 0
    return (
        torch.where(recorded, signal, filled),
        torch.where(empty, 0, first),
        torch.where(empty, length - 1, last),
    )


@lru_cache(maxsize=64)
def source_samples(samples: int, ratio: float, device: torch.device) -> Tensor:
    """Return the sample of the source at which each sample of the window lies; each lasts until the next.

    Args:
        samples: Of the window.
        ratio: The source's sampling rate by the window's.
        device: Where the answer is; it is shared, not to be changed.

    Example:
        >>> source_samples(5, 0.5, torch.device("cpu")).tolist()
        [0, 0, 1, 1, 2]
    """
    with torch.inference_mode(False):
        return (torch.arange(samples, dtype=torch.float64) * ratio + 1e-6).long().to(device)


def filter_by_fft(
    filled: Tensor,
    first: Tensor | None = None,
    last: Tensor | None = None,
    *,
    fs: float,
    target_fs: float,
    span: int,
    samples: int,
    band: Band | None = None,
    order: int = 5,
) -> Tensor:
    """Resample and band-pass by FFT, with zero phase.

    The signal is continued beyond its first and last sample by its odd reflection (4 s or its own length),
    then held; a smooth passage closes the circle. Its spectrum is multiplied by the squared magnitude of the
    digital Butterworth filter designed at `target_fs`, which is forward-backward filtering, and cut or
    extended to the target's rate.

    Args:
        filled: (batch, lead, time) without gaps.
        first: Position of the first recorded sample, (batch, lead, 1); None = 0.
        last: Position of the last recorded sample, (batch, lead, 1); None = the last.
        fs: Sampling rate of the signal in Hz.
        target_fs: Sampling rate of the result in Hz.
        span: Source samples that the window takes, at least time.
        samples: Samples of the result.
        band: (low, high) in Hz, either may be None; None only resamples.
        order: Order of the Butterworth filter.

    Returns:
        (batch, lead, samples), in the signal's type.

    Example:
        >>> time_s = torch.arange(1000) / 100
        >>> wave = torch.sin(2 * torch.pi * 5 * time_s).reshape(1, 1, -1)
        >>> filtered = filter_by_fft(wave, fs=100, target_fs=200, span=1000, samples=2000, band=(0.5, 40))
        >>> bool((filtered[..., 600:-600:2] - wave[..., 300:-300]).abs().max() < 0.01)
        True
    """
    plan = _plan(fs, target_fs, span, samples, band, order, filled.dtype, filled.device)
    whole = first is None or last is None
    if whole and filled.shape[-1] == span > plan.reflection:
        offset = filled[..., :1]
        circle = _whole_circle(filled, plan)
    else:
        if first is None or last is None:
            first = torch.zeros((1, 1, 1), dtype=torch.long, device=filled.device)
            last = torch.full_like(first, filled.shape[-1] - 1)
        offset = torch.take_along_dim(filled, first, dim=-1)
        circle = _circle(filled - offset, first, last, plan)
    spectrum = torch.fft.rfft(circle)[..., : plan.response.shape[0]] * plan.response
    filtered = torch.fft.irfft(spectrum, n=plan.target)[..., :samples]
    return filtered + offset if band is None or band[0] is None else filtered


def _whole_circle(signal: Tensor, plan: _Plan) -> Tensor:
    """As `_circle` for signals recorded from end to end, by slices instead of a place for each sample."""
    span, reach = signal.shape[-1], plan.reflection
    offset, last = signal[..., :1], signal[..., -1:]
    circle = signal.new_empty((*signal.shape[:-1], plan.source))
    whole, rest = circle[..., :span], circle[..., span:]
    # A constant lead becomes exact zeros, and float32 has small numbers to work on.
    whole[:] = signal - offset
    rest[..., :reach] = (2 * last - offset) - signal[..., span - 1 - reach : span - 1].flip(-1)
    rest[..., rest.shape[-1] - reach :] = offset - signal[..., 1 : reach + 1].flip(-1)
    ends = rest[..., reach - 1, None].clone(), rest[..., rest.shape[-1] - reach, None].clone()
    rest[..., reach : rest.shape[-1] - reach] = torch.lerp(*ends, plan.blend)
    return circle


def _circle(filled: Tensor, first: Tensor, last: Tensor, plan: _Plan) -> Tensor:
    """Lay a signal between its first and last recorded sample on the circle of the FFT."""
    reach = torch.clamp(last - first, max=plan.reflection)
    beyond = torch.minimum((plan.position - last).clamp(min=0), reach)
    ahead = torch.minimum((first - plan.position).clamp(min=0), reach)
    nearest = torch.minimum(torch.maximum(plan.position, first), last)
    # Within the signal the mirrored sample is the sample itself.
    mirrored = torch.take_along_dim(filled, nearest - beyond + ahead, dim=-1)
    end = torch.take_along_dim(filled, nearest, dim=-1)
    circle = torch.where((beyond > 0) | (ahead > 0), 2 * end - mirrored, mirrored)
    blend_to = plan.source - plan.reflection
    passage = torch.lerp(circle[..., plan.blend_from - 1, None], circle[..., blend_to, None], plan.blend)
    return torch.cat([circle[..., : plan.blend_from], passage, circle[..., blend_to:]], dim=-1)


def filter_by_scipy(signal: np.ndarray, fs: float, band: Band | None, order: int) -> np.ndarray:
    """Band-pass forward and backward in (b, a) form with scipy's default padding.

    Args:
        signal: (..., time), float64, without gaps.
        fs: Its sampling rate in Hz.
        band: (low, high) in Hz, either may be None; None leaves the signal as it is.
        order: Order of the Butterworth filter.

    Returns:
        (..., time), float64; zeros for a constant lead where the band has a lower edge.

    Example:
        >>> float(filter_by_scipy(np.full((1, 500), 3.0), 500, (0.67, 40.0), 5).max())
        0.0
    """
    from scipy.signal import butter, filtfilt  # half a second to import, and most never come here

    if band is None:
        return np.ascontiguousarray(signal)
    low, high = band
    edges, kind = (
        ((low, high), "bandpass")
        if low is not None and high is not None
        else ((high, "lowpass") if low is None else (low, "highpass"))
    )
    filtered = filtfilt(*butter(order, edges, kind, output="ba", fs=fs), signal, axis=-1)
    if band[0] is not None:  # the (b, a) form leaves rounding where a constant lead should leave nothing
        filtered[(signal == signal[..., :1]).all(-1)] = 0.0
    return np.ascontiguousarray(filtered)


@dataclass(frozen=True)
class _Plan:
    """The circle that a window is laid on: lengths in samples, and what its spectrum is multiplied by."""

    source: int  # of the circle, at the signal's rate
    target: int  # of the circle, at the result's rate
    reflection: int
    position: Tensor  # (source,) place on the signal's time axis, negative before the window
    blend_from: int
    blend: Tensor  # 0 -> 1 between the two reflections
    response: Tensor  # (min(source, target) // 2 + 1,)


@lru_cache(maxsize=64)
def _plan(
    fs: float,
    target_fs: float,
    span: int,
    samples: int,
    band: Band | None,
    order: int,
    dtype: torch.dtype,
    device: torch.device,
) -> _Plan:
    reflection = round(REFLECTION_S * fs)
    blend_from = span + reflection
    source, target = _lengths(blend_from + round(BLEND_S * fs) + reflection, target_fs / fs, samples)
    bins = min(source, target) // 2 + 1
    response = np.full(bins, target / source)
    if target != source and min(source, target) % 2 == 0:  # the bin at half the lower rate stands for two
        response[-1] *= 0.5 if target > source else 2.0
    if band is not None:
        frequency_hz = np.minimum(np.arange(bins) * fs / source, target_fs / 2)
        response *= butterworth_power(frequency_hz, target_fs, band, order)
    position = np.arange(source)
    position[source - reflection :] -= source
    blend = 0.5 - 0.5 * np.cos(np.pi * np.linspace(0, 1, source - reflection - blend_from))
    with torch.inference_mode(False):  # so that gradients may pass wherever the plan was first made
        return _Plan(
            source=source,
            target=target,
            reflection=reflection,
            position=torch.from_numpy(position).to(device),
            blend_from=blend_from,
            blend=torch.from_numpy(blend).to(device, dtype),
            response=torch.from_numpy(response).to(device, dtype),
        )


def _lengths(shortest: int, ratio: float, samples: int) -> tuple[int, int]:
    """Choose FFT lengths whose quotient is the rates' quotient, nearly; the cheapest of them."""
    choices = []
    for source in range(shortest, shortest + SEARCH):
        target = round(source * ratio)
        choices.append((abs(target - source * ratio) / target * samples, source, target))
    close = max(DRIFT, 2 * min(choices)[0])
    _, source, target = min((_cost(s) + _cost(t), s, t) for drift, s, t in choices if drift <= close)
    return source, target


def _cost(length: int) -> float:
    """Work of an FFT: the length times the sum of its prime factors."""
    factors, rest, prime = 0, length, 2
    while prime * prime <= rest:
        if rest % prime:
            prime += 1
        else:
            factors, rest = factors + prime, rest // prime
    return length * (factors + rest)


def butterworth_power(frequency_hz: np.ndarray, fs: float, band: Band, order: int) -> np.ndarray:
    """Squared magnitude of the digital Butterworth filter that scipy.signal.butter designs, in closed form.

    Args:
        frequency_hz: Frequencies, 0 to fs / 2.
        fs: Sampling rate in Hz.
        band: (low, high) in Hz; either may be None.
        order: Order of the filter.

    Returns:
        Squared magnitude at each frequency, 0 to 1.

    Source:
        Butterworth's 1 / (1 + u^(2 order)); u is the frequency of the low-pass prototype after the bilinear transform,
        tan(pi f / fs), and the usual passage from low-pass to band-pass or high-pass.

    Example:
        >>> butterworth_power(np.array([0.0, 40.0, 250.0]), 500, (None, 40.0), 5).round(6)
        array([1. , 0.5, 0. ])
    """
    low, high = (None if edge is None else np.tan(np.pi * edge / fs) for edge in band)
    with np.errstate(divide="ignore", over="ignore"):  # infinite where nothing passes
        warped = np.where(
            frequency_hz >= fs / 2, np.inf, np.tan(np.pi * np.minimum(frequency_hz, fs / 2) / fs)
        )
        if low is None:
            prototype = warped / high
        elif high is None:
            prototype = low / warped
        else:  # (w^2 - low high) / (w (high - low)), written so that no infinity meets another
            prototype = (warped - low * high / warped) / (high - low)
        return 1 / (1 + prototype ** (2 * order))
