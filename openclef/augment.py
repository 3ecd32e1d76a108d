"""Augmentation: from the leads of a batch of records to the two views that a contrastive method compares.

Every function is batched, works on the signal's device, leaves its input as it is, and takes all random
numbers from the generator given: one seed, one result. The generator may live on the CPU.
"""

# Torch is imported inside the functions that need it: a command's help reads `Views` and must stay fast.
from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

from openclef.noise import add_noise

MYPY = False  # a type checker reads True; jsonargparse would run a TYPE_CHECKING block and import torch
if MYPY:
    from collections.abc import Mapping

    import torch

Noise = Literal["synthetic", "recorded", "none"]
Partner = Literal["window", "subject"]


@dataclass(frozen=True)
class Views:
    """How two views are made of a record; the defaults are the paper's, with synthesised noise.

    Args:
        same_lead_probability: Probability that view 2 takes view 1's lead; else it draws its own
            (0.8 in the released code: the same lead in 82 % of records of 12 leads).
        noise: "synthetic"; "recorded", from `noise_file`; or "none".
        noise_file: PhysioNet's DATA_noises_real.mat, for "recorded".
        noise_probability: Probability that a view gets noise (0.8: four of five at equal odds).
        noise_level_mv: Standard deviation of the noise in mV (0.1 in the released code), or None.
        noise_snr_db: Instead, the ratio of the view's variance to the noise's in dB, or None. For signals
            that have lost their amplitude.
        mask_probability: Probability that one block of a view is set to 0 (0.2 in the released code).
        mask_share: Smallest and largest share of the view that a block takes (0.1 to 0.3 there).
        shift_s: Largest shift in time to either side in seconds; 0 = none, as in the released code.
        crop_s: Length in seconds of a random crop; None = the whole window, as in the released code.
        partner: What view 2 is of: "window", the window that view 1 is of, or "subject", another window of the same
            subject in the same store, where there is one.

    Raises:
        ValueError: A setting is out of range, or settings do not fit each other.

    Source:
        Released code of arXiv 2512.02180; shifts and crops are this project's.

    Example:
        >>> Views(crop_s=8.0).same_lead_probability
        0.8
        >>> Views(noise="recorded")
        Traceback (most recent call last):
        ...
        ValueError: noise is 'recorded' and noise_file None; pass the path of DATA_noises_real.mat, or ...
    """

    same_lead_probability: float = 0.8
    noise: Noise = "synthetic"
    noise_file: str | Path | None = None
    noise_probability: float = 0.8
    noise_level_mv: float | None = 0.1
    noise_snr_db: float | None = None
    mask_probability: float = 0.2
    mask_share: tuple[float, float] = (0.1, 0.3)
    shift_s: float = 0.0
    crop_s: float | None = None
    partner: Partner = "window"

    def __post_init__(self) -> None:
        if self.noise not in get_args(Noise):
            raise ValueError(f"noise is {self.noise!r}; accepted are {', '.join(get_args(Noise))}.")
        if self.partner not in get_args(Partner):
            raise ValueError(f"partner is {self.partner!r}; accepted are {', '.join(get_args(Partner))}.")
        if self.noise == "recorded" and self.noise_file is None:
            raise ValueError(
                "noise is 'recorded' and noise_file None; pass the path of DATA_noises_real.mat, or "
                "noise='synthetic'."
            )
        if (self.noise_level_mv is None) == (self.noise_snr_db is None):
            raise ValueError(
                f"noise_level_mv is {self.noise_level_mv} and noise_snr_db {self.noise_snr_db}; give exactly "
                "one of them, None for the other."
            )
        if self.noise_level_mv is not None and not 0 <= self.noise_level_mv < math.inf:
            raise ValueError(f"noise_level_mv is {self.noise_level_mv}; pass a level in mV of at least 0.")
        for name in ("same_lead_probability", "noise_probability", "mask_probability"):
            _check_probability(name, getattr(self, name))
        _check_share(self.mask_share)
        if not 0 <= self.shift_s < math.inf:
            raise ValueError(f"shift_s is {self.shift_s}; pass seconds from 0 on.")
        if self.crop_s is not None and not 0 < self.crop_s < math.inf:
            raise ValueError(f"crop_s is {self.crop_s}; pass seconds above 0, or None for the whole window.")


def make_view(
    signal: torch.Tensor,
    fs: float,
    views: Views,
    generator: torch.Generator,
    bank: Mapping[str, torch.Tensor] | None = None,
    valid: torch.Tensor | None = None,
) -> tuple[torch.Tensor, torch.Tensor | None]:
    """Return one view of each signal: crop, shift, noise, mask, in this order.

    The z-score comes afterwards, by the caller: a masked block is 0 mV, as in the released code, and
    becomes the same value as any other 0 mV.

    Args:
        signal: (B, 1, T) filtered, in mV; not modified.
        fs: Sampling rate in Hz.
        views: The settings; `same_lead_probability` acts in `draw_leads`.
        generator: Source of all random numbers.
        bank: Recorded noise at this rate, from `load_noise_bank`; needed for noise "recorded".
        valid: (B, 1, T) bool, which samples were recorded; cropped and shifted with the signal, so that padding
            stays padding. None = not followed.

    Returns:
        The view, (B, 1, T) or (B, 1, crop_s * fs), of the signal's type and device, and its mask of recorded
        samples, or None.

    Raises:
        ValueError: The crop or shift is longer than the signal, or the bank is missing.

    Source:
        Released code of arXiv 2512.02180 (noise and mask); crop and shift are this project's.

    Example:
        >>> import torch
        >>> generator = torch.Generator().manual_seed(0)
        >>> view, _ = make_view(torch.zeros(2, 1, 5000), 500, Views(crop_s=8.0), generator)
        >>> view.shape
        torch.Size([2, 1, 4000])
    """
    import torch

    if views.noise == "recorded" and bank is None:
        raise ValueError(
            "noise is 'recorded' and bank None; pass bank=load_noise_bank(views.noise_file, fs=fs)."
        )
    moved = signal if valid is None else torch.cat([signal, valid.to(signal.dtype)], dim=1)
    if views.crop_s is not None:
        moved = random_crop(moved, round(views.crop_s * fs), generator)
    if views.shift_s > 0:
        moved = time_shift(moved, round(views.shift_s * fs), generator)
    view = moved[:, : signal.shape[1]]
    kept = None if valid is None else moved[:, signal.shape[1] :] > 0.5
    if views.noise != "none":
        view = add_noise(
            view,
            fs,
            probability=views.noise_probability,
            level_mv=views.noise_level_mv,
            snr_db=views.noise_snr_db,
            generator=generator,
            bank=bank if views.noise == "recorded" else None,
        )
    if views.mask_probability > 0:
        mask = mask_blocks if views.noise == "none" else _masked  # with noise, the view is a new tensor
        view = mask(view, views.mask_probability, views.mask_share, generator)
    return view, kept


def draw_leads(
    count: int,
    lead_count: int,
    *,
    generator: torch.Generator,
    lead_index: int | None = None,
    same_lead_probability: float = 0.8,
    available: torch.Tensor | None = None,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the lead of view 1 and of view 2 for each record, drawn uniformly among its leads.

    Args:
        count: Number of records.
        lead_count: Number of leads L of the store.
        generator: Source of the random numbers.
        lead_index: The one lead that both views take; None = draw.
        same_lead_probability: Probability that view 2 takes view 1's lead; otherwise it draws its own, which
            may be the same one again.
        available: (count, L) bool, the leads that each record has; None = all. Every record has at least one.

    Returns:
        Two (count,) tensors of lead indices, on the device of `available`, or else of the generator.

    Raises:
        ValueError: A setting is out of range, or `available` has another shape, or (on the CPU) a record
            without any lead.

    Source:
        Released code of arXiv 2512.02180.

    Example:
        >>> import torch
        >>> first, second = draw_leads(1000, 12, generator=torch.Generator().manual_seed(0))
        >>> bool((first == second).float().mean() > 0.78)
        True
    """
    import torch

    _check_probability("same_lead_probability", same_lead_probability)
    device = generator.device if available is None else available.device
    if lead_index is not None:
        if not 0 <= lead_index < lead_count:
            raise ValueError(f"lead_index is {lead_index} of {lead_count} leads; pass 0 to {lead_count - 1}.")
        fixed = torch.full((count,), lead_index, device=device)
        return fixed, fixed.clone()
    score = torch.rand(2, count, lead_count, generator=generator, device=generator.device).to(device)
    if available is not None:
        if available.shape != (count, lead_count):
            raise ValueError(
                f"available has shape {tuple(available.shape)}; pass one value a record and lead, shape "
                f"({count}, {lead_count})."
            )
        if device.type == "cpu" and not bool(available.any(1).all()):
            raise ValueError("a record has no available lead; drop such records before drawing.")
        score = torch.where(available, score, -1.0)
    first, own = score.argmax(dim=-1)
    same = torch.rand(count, generator=generator, device=generator.device).to(device) < same_lead_probability
    return first, torch.where(same, first, own)


def mask_blocks(
    signal: torch.Tensor, probability: float, share: tuple[float, float], generator: torch.Generator
) -> torch.Tensor:
    """Return the signals, some of them with one block of samples set to 0.

    Args:
        signal: (B, L, T); not modified. All leads of a record lose the same block.
        probability: Probability that a record loses a block, 0..1.
        share: Smallest and largest share of T that a block takes, drawn uniformly.
        generator: Source of the random numbers.

    Returns:
        (B, L, T) of the same type and device.

    Raises:
        ValueError: A setting is out of range.

    Source:
        Released code of arXiv 2512.02180 (probability 0.2, one block of 10-30 %).

    Example:
        >>> import torch
        >>> masked = mask_blocks(torch.ones(1, 1, 100), 1.0, (0.2, 0.2), torch.Generator().manual_seed(0))
        >>> int((masked == 0).sum())
        20
    """
    return _masked(signal.clone(), probability, share, generator)


def _masked(
    signal: torch.Tensor, probability: float, share: tuple[float, float], generator: torch.Generator
) -> torch.Tensor:
    """As `mask_blocks`, in place."""
    import torch

    _check_probability("mask probability", probability)
    _check_share(share)
    samples = signal.shape[-1]
    chance = torch.rand(3, len(signal), generator=generator, device=generator.device).to(signal.device)
    length = ((share[0] + (share[1] - share[0]) * chance[1]) * samples).round()
    start = (chance[2] * (samples - length + 1)).floor().minimum(samples - length)
    if (
        signal.device.type == "cpu"
    ):  # few rows lose a block; elsewhere their number is not known without waiting
        for row in torch.nonzero(chance[0] < probability).flatten().tolist():
            signal[row, :, int(start[row]) : int(start[row] + length[row])] = 0
        return signal
    place = torch.arange(samples, device=signal.device)
    inside = (
        (place >= start[:, None]) & (place < (start + length)[:, None]) & (chance[0] < probability)[:, None]
    )
    return signal.masked_fill_(inside[:, None], 0)


def time_shift(signal: torch.Tensor, max_shift_samples: int, generator: torch.Generator) -> torch.Tensor:
    """Return the signals moved in time by a random whole number of samples, mirrored at the ends.

    Nothing wraps around: the samples that enter at one end mirror those beside it, so that there is neither
    a jump nor a flat stretch.

    Args:
        signal: (B, L, T); not modified.
        max_shift_samples: Largest shift to either side, 0 to T - 1; each shift is equally likely.
        generator: Source of the random numbers.

    Returns:
        (B, L, T) of the same type and device; positive shifts move a signal later.

    Raises:
        ValueError: The largest shift is negative or not shorter than the signal.

    Example:
        >>> import torch
        >>> signal = torch.arange(5.0).expand(1, 1, 5)
        >>> time_shift(signal, 0, torch.Generator())
        tensor([[[0., 1., 2., 3., 4.]]])
    """
    import torch

    samples = signal.shape[-1]
    if not 0 <= max_shift_samples < samples:
        raise ValueError(
            f"the largest shift is {max_shift_samples} samples of a signal of {samples}; pass 0 to "
            f"{samples - 1}."
        )
    shift = torch.randint(
        -max_shift_samples,
        max_shift_samples + 1,
        (len(signal),),
        generator=generator,
        device=generator.device,
    ).to(signal.device)
    place = (torch.arange(samples, device=signal.device) - shift[:, None]).abs()
    place = (samples - 1) - ((samples - 1) - place).abs()
    return signal.gather(-1, place[:, None].expand_as(signal))


def random_crop(signal: torch.Tensor, samples: int, generator: torch.Generator) -> torch.Tensor:
    """Return a stretch of each signal, its start drawn uniformly.

    Args:
        signal: (B, L, T); not modified. All leads of a record keep the same stretch.
        samples: Length of the stretch, 1 to T.
        generator: Source of the random numbers.

    Returns:
        (B, L, samples) of the same type and device.

    Raises:
        ValueError: The stretch is empty or longer than the signal.

    Example:
        >>> import torch
        >>> crop = random_crop(torch.arange(100.0).expand(2, 1, 100), 10, torch.Generator().manual_seed(0))
        >>> crop.diff().unique()
        tensor([1.])
    """
    import torch

    if not 1 <= samples <= signal.shape[-1]:
        raise ValueError(
            f"the crop is {samples} samples of a signal of {signal.shape[-1]}; pass 1 to that, or "
            "a crop_s up to the window's length."
        )
    starts = signal.shape[-1] - samples + 1
    start = torch.randint(starts, (len(signal),), generator=generator, device=generator.device)
    if signal.device.type == "cpu":
        return torch.stack([row[:, first : first + samples] for row, first in zip(signal, start.tolist())])
    place = start.to(signal.device)[:, None] + torch.arange(samples, device=signal.device)
    return signal.gather(-1, place[:, None].expand(-1, signal.shape[1], -1))


def _check_probability(name: str, value: float) -> None:
    if not 0 <= value <= 1:
        raise ValueError(f"{name} is {value}; pass a number in 0..1.")


def _check_share(share: tuple[float, float]) -> None:
    if not (len(share) == 2 and 0 <= share[0] <= share[1] <= 1):
        raise ValueError(
            f"mask share is {share}; pass the smallest and the largest share, such as (0.1, 0.3)."
        )
