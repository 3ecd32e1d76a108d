"""Settings of the optimiser and the learning rate as a function of progress. No torch here: help stays quick."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal, get_args

__all__ = ["Optimisation", "learning_rate_at"]


Schedule = Literal["warm_restarts", "cosine", "constant"]


@dataclass(frozen=True)
class Optimisation:
    """AdamW and its schedule; the defaults are the released code's.

    Args:
        learning_rate: largest learning rate.
        weight_decay: of AdamW, on all parameters.
        betas: of AdamW.
        schedule: "warm_restarts" (cosine, restarted, stepped per epoch), "cosine" (once, per step) or "constant".
        warmup_epochs: epochs of linear rise before the schedule ("cosine" and "constant").
        restart_epochs, restart_factor: length of the first cosine, and by how much each next one is longer.
        minimum_learning_rate: where a cosine ends.
        clip_norm: gradients are scaled to this norm where they are larger; None leaves them.

    Raises:
        ValueError: a negative rate, or a factor below 1.

    Source:
        Released code of arXiv 2512.02180: AdamW 1e-4, 5e-4, CosineAnnealingWarmRestarts(T_0=10, T_mult=2, 1e-6).

    Example:
        >>> Optimisation().learning_rate
        0.0001
    """

    learning_rate: float = 1e-4
    weight_decay: float = 5e-4
    betas: tuple[float, float] = (0.9, 0.999)
    schedule: Schedule = "warm_restarts"
    warmup_epochs: float = 0.0
    restart_epochs: int = 10
    restart_factor: int = 2
    minimum_learning_rate: float = 1e-6
    clip_norm: float | None = None

    def __post_init__(self) -> None:
        if self.learning_rate <= 0 or self.weight_decay < 0 or self.minimum_learning_rate < 0:
            raise ValueError(
                f"learning_rate {self.learning_rate}, weight_decay {self.weight_decay} and minimum_learning_rate "
                f"{self.minimum_learning_rate} were given; the first must be above 0, the others at least 0."
            )
        if self.schedule not in get_args(Schedule):
            raise ValueError(f"schedule is {self.schedule!r}; pass one of {', '.join(get_args(Schedule))}.")
        if not all(0 <= beta < 1 for beta in self.betas) or len(self.betas) != 2:
            raise ValueError(f"betas are {self.betas}; pass two numbers from 0 to below 1.")
        if self.warmup_epochs < 0 or (self.clip_norm is not None and self.clip_norm <= 0):
            raise ValueError(
                f"warmup_epochs {self.warmup_epochs} and clip_norm {self.clip_norm} were given; the first must be at "
                "least 0, the second above 0 or None."
            )
        if self.restart_epochs < 1 or self.restart_factor < 1:
            raise ValueError(
                f"restart_epochs {self.restart_epochs} and restart_factor {self.restart_factor} were given; "
                "both must be at least 1."
            )


def learning_rate_at(optimisation: Optimisation, epoch: int, step: int, steps: int, epochs: int) -> float:
    """Return the learning rate of a step.

    Args:
        optimisation: settings.
        epoch: from 0.
        step: within the epoch, from 0.
        steps: steps of an epoch.
        epochs: epochs of the whole run.

    Returns:
        The learning rate.

    Source:
        Loshchilov and Hutter, SGDR, 2017, equation 5, for both cosines.

    Example:
        >>> settings = Optimisation(schedule="cosine", learning_rate=1.0, minimum_learning_rate=0.0)
        >>> [round(learning_rate_at(settings, e, 0, 10, 2), 3) for e in (0, 1)]
        [1.0, 0.5]
    """
    top, bottom = optimisation.learning_rate, optimisation.minimum_learning_rate
    done = epoch + step / steps
    if optimisation.schedule == "warm_restarts":
        length, since = optimisation.restart_epochs, epoch
        while since >= length:
            since -= length
            length *= optimisation.restart_factor
        return bottom + (top - bottom) * (1 + math.cos(math.pi * since / length)) / 2
    if done < optimisation.warmup_epochs:
        return top * (epoch * steps + step + 1) / (optimisation.warmup_epochs * steps)
    if optimisation.schedule == "constant":
        return top
    share = (done - optimisation.warmup_epochs) / max(epochs - optimisation.warmup_epochs, 1e-9)
    return bottom + (top - bottom) * (1 + math.cos(math.pi * min(share, 1.0))) / 2
