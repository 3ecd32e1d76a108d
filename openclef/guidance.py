"""Guidance: risk, completeness and subject of a batch -> the weight and mask of every pair of records.

The risk score is never predicted; it only says how strongly a contrastive loss pushes two patients apart
and how similar their embeddings ought to be. `docs/concepts-guidance.md` has the equations and what is sure.
"""

# Torch is imported inside the functions that need it: a command's help reads `Guidance` and must stay fast.
from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np

MYPY = False  # a type checker reads True; jsonargparse would run a TYPE_CHECKING block and import torch
if MYPY:
    from collections.abc import Sequence

    import torch
    from numpy.typing import ArrayLike

Difference = Literal["squared", "absolute", "log", "rank"]
Discount = Literal["paper", "shrink", "sum", "none"]
Weighting = Literal["raw", "mean_one", "softmax"]
SameSubject = Literal["mask", "positive"]
AlignmentScale = Literal["minmax", "half"]
MissingRisk = Literal["neutral", "zero"]


@dataclass(frozen=True)
class Pairs:
    """What guidance says about every pair of records of a batch, as (B, B) tensors.

    Args:
        weight: (B, B) multiplier of each negative's exponential in the contrastive loss; 0 elsewhere.
        target: (B, B) similarity that the alignment term asks for, 1 - W before any re-weighting.
        known: (B, B) bool, both risks known; pairs that are not known are neutral and not aligned.
        allowed: (B, B) bool, false for pairs without any influence (two records of one subject, masked).
        positive: (B, B) bool, the diagonal (a record's two views) and, on request, records of one subject.
        several_positives: Whether `positive` may hold more than the diagonal.

    Example:
        >>> import torch
        >>> pairs = Guidance().pairs(torch.tensor([0.02, 0.05, 0.20]))
        >>> round(float(pairs.weight.max()), 3)
        1.0
    """

    weight: torch.Tensor
    target: torch.Tensor
    known: torch.Tensor
    allowed: torch.Tensor
    positive: torch.Tensor
    several_positives: bool = False

    @property
    def negative(self) -> torch.Tensor:
        """(B, B) bool: the pairs that are pushed apart.

        Example:
            >>> import torch
            >>> Guidance().pairs(torch.tensor([0.1, 0.2]), subject=torch.tensor([5, 5])).negative.any().item()
            False
        """
        return self.allowed & ~self.positive

    def diagnostics(self) -> dict[str, torch.Tensor]:
        """Return what to log at every step, as 0-dimensional tensors that nothing has waited for.

        Returns:
            weight_min, weight_mean, weight_max over the negatives; neutral_share, the share of negatives that
            are neutral because a risk is unknown; target_mean, the mean target similarity of the negatives of
            known risk (close to 1, with weights close to 0, the loss is near to where everything collapses
            together). NaN where there is nothing to average.

        Example:
            >>> import torch
            >>> pairs = Guidance(alpha=0.2).pairs(torch.tensor([0.1, 0.1, 0.3, float("nan")]))
            >>> {name: round(float(value), 2) for name, value in pairs.diagnostics().items()}
            {'weight_min': 0.2, 'weight_mean': 0.87, 'weight_max': 1.0,
             'neutral_share': 0.5, 'target_mean': 0.27}
        """
        import torch

        negative, known = self.negative, self.negative & self.known
        count = negative.sum()
        some = torch.where(count > 0, 1.0, math.nan)
        return {
            "weight_min": some * torch.where(negative, self.weight, math.inf).amin(),
            "weight_mean": torch.where(negative, self.weight, 0).sum() / count,
            "weight_max": some * torch.where(negative, self.weight, -math.inf).amax(),
            "neutral_share": (negative & ~self.known).sum() / count,
            "target_mean": torch.where(known, self.target, 0).sum() / known.sum(),
        }


@dataclass(frozen=True)
class Guidance:
    """How risk, completeness and subject become pair weights; the defaults are recipe `paper`.

    With r the risk, c the completeness and d the difference: D = (1 - alpha) norm(d) + alpha off the
    diagonal and 0 on it; W joins D and completeness; the loss uses W after `weighting`, the alignment
    term the target 1 - W before it. A record of unknown risk has neutral pairs (weight 1) and no part in
    the alignment, nor in any minimum or maximum. Nothing of a masked pair enters anything. Of several risks
    each has its own norm(d), and a pair's is their mean over those that both records know.

    Args:
        difference: d of two risks: "squared" (r_i - r_k)^2 (released code), "absolute" |r_i - r_k|,
            "log" |ln r_i - ln r_k| or "rank" the absolute difference of the ranks within the batch, 0..1.
        scale: "batch": norm(d) = (d - min) / (max - min + epsilon) over the batch's known pairs, diagonal
            included (released code); a number: norm(d) = min(d / scale, 1), in the difference's own unit, the
            same for every batch (`training_scale` gives it).
        discount: how completeness acts: "paper" W = D exp(-c_i c_k) (paper, sure), "shrink" W = 1 + c_i c_k
            (D - 1), "sum" W = D exp(-((1 - c_i) + (1 - c_k))), "none" W = D. Without completeness W = D.
        weighting: "raw" W; "mean_one" W over its mean over the row's negatives of known risk; "softmax" the
            softmax over the row of the 2B by 2B matrix, self and positive included (released code).
        alpha: minimum dissimilarity margin, 0..1; 0.2 in the released code.
        same_subject: what two records of one subject are: "mask" nothing to each other, "positive" positives.
        alignment_scale: how the alignment term brings the cosine to 0..1: "minmax" over the batch (released
            code) or "half" (1 + s) / 2, which does not depend on the batch.
        missing_risk: "neutral", or "zero" as the released code has it: unknown risk is the lowest risk.
        epsilon: guard of both min-max quotients; 1e-6 in the released code.
        log_floor: lowest risk that "log" tells apart (project's choice: 0.01 % of a probability).

    Raises:
        ValueError: A setting is not among those above.

    Source:
        arXiv 2512.02180 and its released code; see `docs/concepts-guidance.md` for each constant.

    Example:
        >>> import torch
        >>> pairs = Guidance(alpha=0.2).pairs(torch.tensor([0.05, 0.05, 0.15, float("nan")]))
        >>> pairs.weight.round(decimals=2)
        tensor([[0.0000, 0.2000, 1.0000, 1.0000],
                [0.2000, 0.0000, 1.0000, 1.0000],
                [1.0000, 1.0000, 0.0000, 1.0000],
                [1.0000, 1.0000, 1.0000, 0.0000]])
    """

    difference: Difference = "squared"
    scale: float | Literal["batch"] = "batch"
    discount: Discount = "paper"
    weighting: Weighting = "raw"
    alpha: float = 0.2
    same_subject: SameSubject = "mask"
    alignment_scale: AlignmentScale = "minmax"
    missing_risk: MissingRisk = "neutral"
    epsilon: float = 1e-6
    log_floor: float = 1e-4

    def __post_init__(self) -> None:
        for name, accepted in (
            ("difference", get_args(Difference)),
            ("discount", get_args(Discount)),
            ("weighting", get_args(Weighting)),
            ("same_subject", get_args(SameSubject)),
            ("alignment_scale", get_args(AlignmentScale)),
            ("missing_risk", get_args(MissingRisk)),
        ):
            _check_choice(name, getattr(self, name), accepted)
        if not 0 <= self.alpha <= 1:
            raise ValueError(f"alpha is {self.alpha}; it has to lie in 0..1, pass for example 0.2.")
        if self.scale != "batch" and not (isinstance(self.scale, int | float) and 0 < self.scale < math.inf):
            raise ValueError(
                f"scale is {self.scale!r}; pass 'batch' or a positive number such as training_scale(risk)."
            )
        if not self.epsilon > 0 or not self.log_floor > 0:
            raise ValueError(
                f"epsilon is {self.epsilon} and log_floor {self.log_floor}; both have to be positive numbers."
            )

    def pairs(
        self,
        risk: torch.Tensor,
        completeness: torch.Tensor | None = None,
        subject: torch.Tensor | None = None,
    ) -> Pairs:
        """Return weight, target and masks of all pairs of a batch; no gradient flows through them.

        Args:
            risk: (B,) risk in the score's own unit; not finite = unknown. (B, k) for k risks at once.
            completeness: (B,) share of the score's inputs that are known, 0..1; None = no discount; of several
                risks the mean. Values out of range are an error on the CPU; on an accelerator, where looking
                would make the device wait, they make the weights NaN.
            subject: (B,) integers; None = every record is another subject's.

        Returns:
            Pairs of (B, B) tensors on the risk's device, float32 (float64 for a float64 risk).

        Raises:
            ValueError: Shapes do not fit, or completeness lies outside 0..1.

        Source:
            arXiv 2512.02180 (M, W sure; D inferred), released code (norm, alpha).

        Example:
            >>> import torch
            >>> risk, completeness = torch.tensor([0.0, 0.0, 1.0]), torch.tensor([1.0, 1.0, 0.0])
            >>> Guidance().pairs(risk, completeness).weight.round(decimals=3)
            tensor([[0.0000, 0.0740, 1.0000],
                    [0.0740, 0.0000, 1.0000],
                    [1.0000, 1.0000, 0.0000]])
        """
        import torch

        with torch.no_grad():
            return self._pairs(*_checked(risk, completeness, subject))

    def _pairs(
        self, risk: torch.Tensor, completeness: torch.Tensor | None, subject: torch.Tensor | None
    ) -> Pairs:
        import torch

        if self.missing_risk == "zero":
            risk = torch.where(torch.isfinite(risk), risk, 0)
        each = risk[:, None] if risk.ndim == 1 else risk
        finite = torch.isfinite(each)
        both = finite[:, None, :] & finite[None, :, :]
        known = both.any(2)
        diagonal = torch.eye(len(risk), dtype=torch.bool, device=risk.device)
        same = diagonal if subject is None else subject[:, None] == subject[None, :]
        allowed = torch.ones_like(diagonal) if self.same_subject == "positive" else diagonal | ~same
        positive = same if self.same_subject == "positive" else diagonal

        norms = [
            self._norm(each[:, score], finite[:, score], both[:, :, score] & allowed)
            for score in range(each.shape[1])
        ]
        norm = norms[0]
        if len(norms) > 1:
            counted = torch.where(both, torch.stack(norms, 2), 0)
            norm = counted.sum(2) / both.sum(2).clamp(min=1)
        raw = (1 - self.alpha) * norm + self.alpha
        if completeness is not None:
            raw = self._discounted(raw, completeness)
        # A positive's dissimilarity is 0 and a pair that is not known is neutral.
        raw = torch.where(positive, 0, torch.where(known, raw, 1))
        weight = torch.where(allowed & ~positive, self._weighted(raw, known, allowed, positive), 0)
        return Pairs(weight, 1 - raw, known, allowed, positive, self.same_subject == "positive")

    def _norm(self, risk: torch.Tensor, finite: torch.Tensor, counted: torch.Tensor) -> torch.Tensor:
        import torch

        level = risk
        if self.difference == "log":
            level = risk.clamp(min=self.log_floor).log()
        elif self.difference == "rank":
            below = ((risk[None, :] < risk[:, None]) & finite[None, :]).sum(1)
            equal = ((risk[None, :] == risk[:, None]) & finite[None, :]).sum(1)
            level = (below + (equal - 1) / 2) / (finite.sum() - 1).clamp(min=1)
        difference = (level[:, None] - level[None, :]).abs().to(risk.dtype)
        if self.difference == "squared":
            difference = difference.square()
        if self.scale != "batch":
            return (difference / self.scale).clamp(max=1)
        low = torch.where(counted, difference, math.inf).amin()
        high = torch.where(counted, difference, -math.inf).amax()
        return (difference - low) / (high - low + self.epsilon)

    def _discounted(self, dissimilarity: torch.Tensor, completeness: torch.Tensor) -> torch.Tensor:
        product = completeness[:, None] * completeness[None, :]
        if self.discount == "paper":
            return dissimilarity * (-product).exp()
        if self.discount == "shrink":
            return 1 + product * (dissimilarity - 1)
        if self.discount == "sum":
            return dissimilarity * (completeness[:, None] + completeness[None, :] - 2).exp()
        return dissimilarity

    def _weighted(
        self, raw: torch.Tensor, known: torch.Tensor, allowed: torch.Tensor, positive: torch.Tensor
    ) -> torch.Tensor:
        import torch

        if self.weighting == "raw":
            return raw
        if self.weighting == "mean_one":
            counted = known & allowed & ~positive
            value, share = raw, torch.ones_like(raw[:, :1])
        else:
            # Softmax over a row of the 2B by 2B matrix: exponential over its mean, over the row's length.
            counted = known & allowed
            value, share = raw.exp(), 0.5 / allowed.sum(1, keepdim=True)
        mean = torch.where(counted, value, 0).sum(1, keepdim=True) / counted.sum(1, keepdim=True).clamp(min=1)
        return share * torch.where(known, value / mean.clamp(min=torch.finfo(raw.dtype).tiny), 1)


def training_scale(
    risk: ArrayLike,
    *,
    difference: Difference = "squared",
    quantile: float = 0.95,
    log_floor: float = 1e-4,
    seed: int = 0,
) -> float:
    """Return the fixed scale of a training set: a high quantile of its pairs' risk differences.

    Args:
        risk: (n,) risks of the training set in the score's own unit; not finite = unknown, left out.
        difference: The difference that the scale is for, as in `Guidance`.
        quantile: Share of random pairs whose difference stays below the scale (project's choice).
        log_floor: As in `Guidance`.
        seed: Seed of the 100,000 random pairs that are compared.

    Returns:
        The scale, in the difference's own unit, for `Guidance(scale=...)`.

    Raises:
        ValueError: Fewer than two known risks, or the risks do not differ.

    Example:
        >>> round(training_scale([0.01, 0.02, 0.04, 0.30], difference="absolute", quantile=1.0), 2)
        0.29
    """
    _check_choice("difference", difference, get_args(Difference))
    level = np.asarray(risk, dtype=np.float64).ravel()
    level = level[np.isfinite(level)]
    if len(level) < 2:
        raise ValueError(
            f"{len(level)} known risks were given; a scale needs at least two, pass the training set's."
        )
    if difference == "log":
        level = np.log(np.maximum(level, log_floor))
    elif difference == "rank":
        _, place, count = np.unique(level, return_inverse=True, return_counts=True)
        level = (np.cumsum(count) - (count + 1) / 2)[place] / (len(level) - 1)
    generator = np.random.default_rng(seed)
    first = generator.integers(len(level), size=100_000)
    second = (first + generator.integers(1, len(level), size=100_000)) % len(level)
    distance = np.abs(level[first] - level[second])
    scale = float(np.quantile(distance**2 if difference == "squared" else distance, quantile))
    if not scale > 0:
        raise ValueError(
            f"The {quantile:.0%} quantile of the risks' differences is 0; guidance needs risks that differ, "
            "pass a higher quantile or another score."
        )
    return scale


def subject_numbers(subject: torch.Tensor, like: torch.Tensor) -> torch.Tensor:
    """Return the subjects of a batch on the device of another of its tensors, having checked them.

    Args:
        subject: (B,) integers.
        like: (B, ...) tensor of the same batch.

    Returns:
        (B,) integers.

    Raises:
        ValueError: There is not one integer a record.

    Example:
        >>> import torch
        >>> subject_numbers(torch.tensor([3, 3]), torch.zeros(2, 8))
        tensor([3, 3])
    """
    import torch

    subject = torch.as_tensor(subject, device=like.device)
    if subject.shape != like.shape[:1] or subject.is_floating_point():
        raise ValueError(
            f"subject has shape {tuple(subject.shape)} and type {subject.dtype} for {len(like)} records; "
            "pass one integer a record, or subject=None."
        )
    return subject


def _check_choice(name: str, value: object, accepted: Sequence[str]) -> None:
    if value not in accepted:
        raise ValueError(f"{name} is {value!r}; accepted are {', '.join(accepted)}.")


def _checked(
    risk: Any, completeness: Any, subject: Any
) -> tuple[torch.Tensor, torch.Tensor | None, torch.Tensor | None]:
    import torch

    risk = torch.as_tensor(risk)
    if risk.ndim not in (1, 2) or risk.shape[1:] == (0,):
        raise ValueError(
            f"risk has shape {tuple(risk.shape)}; pass one value a record, shape (B,), or (B, k) for k risks."
        )
    if risk.dtype != torch.float64:
        risk = risk.to(torch.float32)
    if completeness is not None:
        completeness = torch.as_tensor(completeness, device=risk.device).to(risk.dtype)
        if completeness.shape != risk.shape[:1]:
            raise ValueError(
                f"completeness has shape {tuple(completeness.shape)} and risk {tuple(risk.shape)}; pass one "
                "value a record, or completeness=None."
            )
        known = torch.isfinite(risk) if risk.ndim == 1 else torch.isfinite(risk).any(1)
        wrong = ~((completeness >= 0) & (completeness <= 1)) & known
        if risk.device.type == "cpu" and bool(wrong.any()):
            raise ValueError(
                f"completeness is {float(completeness[wrong][0])} for a record; it is the share of the "
                "score's inputs that are known, 0..1; divide a count by the number of inputs."
            )
        completeness = torch.where(wrong, math.nan, completeness)
    if subject is not None:
        subject = subject_numbers(subject, risk)
    return risk, completeness, subject
