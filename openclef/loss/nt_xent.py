"""NT-Xent, the contrastive loss of SimCLR, and the parts that other losses build on it."""

from __future__ import annotations

import torch
from torch.nn import functional

from openclef.guidance import subject_numbers


def nt_xent_loss(
    z1: torch.Tensor, z2: torch.Tensor, *, temperature: float, subject: torch.Tensor | None = None
) -> torch.Tensor:
    """Return NT-Xent of two views: each embedding has to find its other view among all of the batch.

    Args:
        z1: (B, dim) embeddings of the first views, B at least 2.
        z2: (B, dim) embeddings of the second views, row by row those of the same records.
        temperature: Divisor of the cosine similarities, above 0.
        subject: (B,) integers; two records of one subject are left out of each other's negatives.

    Returns:
        The loss, a 0-dimensional tensor; never below float32, even under autocast.

    Raises:
        ValueError: Shapes do not fit, there is one record only, or the temperature is not positive.

    Source:
        Chen et al. 2020, arXiv 2002.05709, equation 1.

    Example:
        >>> same = torch.ones(8, 3)
        >>> loss = nt_xent_loss(same, same, temperature=0.1)  # all alike: log(2B - 1)
        >>> bool(torch.isclose(loss, torch.tensor(15.0).log()))
        True
    """
    check_views(z1, z2, temperature)
    if subject is None:
        negative = ~torch.eye(len(z1), dtype=torch.bool, device=z1.device)
    else:
        subject = subject_numbers(subject, z1)
        negative = subject[:, None] != subject[None, :]
    with torch.autocast(z1.device.type, enabled=False):
        logits = cosine_matrix(z1, z2) / temperature
        weight = negative.to(logits.dtype).repeat(2, 2)
        return contrast(view_logits(logits), log_negatives(logits, weight)).mean()


def check_views(z1: torch.Tensor, z2: torch.Tensor, temperature: float) -> None:
    """Raise ValueError unless the two views and the temperature can enter a contrastive loss.

    Args:
        z1: (B, dim) embeddings of the first views.
        z2: (B, dim) embeddings of the second views.
        temperature: Divisor of the similarities.

    Raises:
        ValueError: Shapes do not fit, there is one record only, or the temperature is not positive.

    Example:
        >>> check_views(torch.ones(1, 3), torch.ones(1, 3), 0.1)
        Traceback (most recent call last):
        ...
        ValueError: the batch has 1 record; a contrastive loss needs at least 2 for negatives, ...
    """
    if z1.ndim != 2 or z1.shape != z2.shape:
        raise ValueError(
            f"z1 has shape {tuple(z1.shape)} and z2 {tuple(z2.shape)}; pass two of one shape (B, dim)."
        )
    if len(z1) < 2:
        raise ValueError(
            f"the batch has {len(z1)} record{'s' * (len(z1) != 1)}; a contrastive loss needs at least 2 for "
            "negatives, raise batch_size or drop the last incomplete batch."
        )
    if not temperature > 0:
        raise ValueError(f"temperature is {temperature}; it divides the similarities, pass a number above 0.")


def cosine_matrix(z1: torch.Tensor, z2: torch.Tensor) -> torch.Tensor:
    """Return the cosine similarity of all 2B embeddings of a batch.

    Args:
        z1: (B, dim) embeddings of the first views.
        z2: (B, dim) embeddings of the second views.

    Returns:
        (2B, 2B) similarities, rows i and i + B being the views of record i; at least float32.

    Example:
        >>> cosine_matrix(torch.tensor([[1.0, 0.0]]), torch.tensor([[0.0, 2.0]]))
        tensor([[1., 0.],
                [0., 1.]])
    """
    views = torch.cat([z1, z2])
    if views.dtype != torch.float64:
        views = views.float()
    views = functional.normalize(views, dim=1)
    return views @ views.T


def view_logits(logits: torch.Tensor) -> torch.Tensor:
    """Return each row's logit with the other view of its record.

    Args:
        logits: (2B, 2B) similarities over the temperature.

    Returns:
        (2B, 1) logits.

    Example:
        >>> view_logits(torch.tensor([[1.0, 0.3], [0.3, 1.0]])).flatten()
        tensor([0.3000, 0.3000])
    """
    half = len(logits) // 2
    pair = torch.cat([logits.diagonal(half), logits.diagonal(-half)])
    return pair[:, None]


def log_negatives(logits: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
    """Return the log of each row's weighted sum over its negatives.

    Args:
        logits: (2B, 2B) similarities over the temperature.
        weight: (2B, 2B) weights of the negatives, at least 0; 0 takes a pair out.

    Returns:
        (2B, 1) log sums; very low, not -inf, in rows without negatives, so that gradients stay finite.

    Example:
        >>> log_negatives(torch.zeros(2, 2), torch.tensor([[0.0, 3.0], [1.0, 1.0]])).exp().flatten()
        tensor([3., 2.])
    """
    lowest = torch.finfo(logits.dtype).min / 4
    # NaN weights (they say that something is wrong) stay NaN: only an exact 0 takes a pair out.
    out = weight == 0
    log_weight = torch.where(out, lowest, torch.where(out, 1, weight).log())
    return torch.logsumexp(torch.where(out, lowest, logits + log_weight), dim=1, keepdim=True)


def contrast(positive: torch.Tensor, negatives: torch.Tensor) -> torch.Tensor:
    """Return -log(e^p / (e^p + e^n)), elementwise and without overflow.

    Args:
        positive: Logits p of positives.
        negatives: Logs n of the sums over negatives; broadcast.

    Returns:
        The loss of each positive.

    Example:
        >>> contrast(torch.tensor([0.0, 500.0]), torch.tensor([0.0, 0.0]))
        tensor([0.6931, 0.0000])
    """
    gap = negatives - positive
    return torch.logaddexp(gap, torch.zeros_like(gap))
