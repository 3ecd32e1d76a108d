"""InfoNCE, the contrastive loss of MoCo: each query has to find its key among keys of other records."""

from __future__ import annotations

import torch
from torch.nn import functional

from openclef.guidance import subject_numbers
from openclef.loss.nt_xent import contrast


def info_nce_loss(
    queries: torch.Tensor,
    keys: torch.Tensor,
    queue: torch.Tensor | None = None,
    *,
    temperature: float,
    subject: torch.Tensor | None = None,
    queue_subject: torch.Tensor | None = None,
    queue_filled: torch.Tensor | None = None,
    batch_negatives: bool = True,
) -> torch.Tensor:
    """Return InfoNCE of queries and their keys, with the negatives of a queue, of the batch, or of both.

    With s the cosine similarity over the temperature, q_i a query, k_i its key and N_i its negatives, the loss is the
    mean over i of -log( e^{s(q_i, k_i)} / (e^{s(q_i, k_i)} + sum over n in N_i of e^{s(q_i, n)}) ). It is not
    symmetric: the other view order is another call. A query without negatives has loss and gradient 0.

    Args:
        queries: (B, dim) embeddings of one view.
        keys: (B, dim) embeddings of the other view, row by row those of the same records.
        queue: (K, dim) embeddings of other records; None = those of the batch are the only negatives.
        temperature: Divisor of the cosine similarities, above 0.
        subject: (B,) integers; a key of the query's subject is none of its negatives. None = all records are
            different subjects'.
        queue_subject: (K,) integers, the queue's; given where both `subject` and `queue` are, and only there.
        queue_filled: (K,) bool; False takes an entry of the queue out. None = all are filled.
        batch_negatives: True = keys of the batch's other records are negatives; False = those of the queue only,
            as in MoCo v1 and v2.

    Returns:
        The loss, a 0-dimensional tensor; never below float32, even under autocast.

    Raises:
        ValueError: Shapes do not fit, the temperature is not positive, or there is nothing to take negatives from.

    Source:
        He et al. 2020, arXiv 1911.05722, equation 1; van den Oord et al. 2018, arXiv 1807.03748.

    Example:
        >>> same = torch.ones(8, 3)
        >>> loss = info_nce_loss(same, same, torch.ones(7, 3), temperature=0.1)  # all alike: log(B + K)
        >>> bool(torch.isclose(loss, torch.tensor(15.0).log()))
        True
    """
    _check(queries, keys, queue, temperature, batch_negatives)
    if subject is not None:
        subject = subject_numbers(subject, queries)
    among_queue = _queue_mask(queries, queue, subject, queue_subject, queue_filled)
    with torch.autocast(queries.device.type, enabled=False):
        dtype = torch.float64 if queries.dtype == torch.float64 else torch.float32
        query = functional.normalize(queries.to(dtype), dim=1)
        key = functional.normalize(keys.to(dtype), dim=1)
        positive = (query * key).sum(dim=1) / temperature
        sums = []
        if batch_negatives:
            among_batch = (
                ~torch.eye(len(query), dtype=torch.bool, device=query.device)
                if subject is None
                else subject[:, None] != subject[None, :]
            )
            sums.append(_log_sum(query @ key.T / temperature, among_batch))
        if queue is not None:
            other = functional.normalize(queue.to(dtype), dim=1)
            sums.append(_log_sum(query @ other.T / temperature, among_queue))
        negatives = sums[0] if len(sums) == 1 else torch.logaddexp(sums[0], sums[1])
        return contrast(positive, negatives).mean()


def _log_sum(logits: torch.Tensor, counted: torch.Tensor | None) -> torch.Tensor:
    """Return the log of each row's sum; very low, not -inf, where nothing counts, so that gradients stay finite."""
    if counted is not None:
        logits = torch.where(counted, logits, torch.finfo(logits.dtype).min / 4)
    return torch.logsumexp(logits, dim=1)


def _queue_mask(
    queries: torch.Tensor,
    queue: torch.Tensor | None,
    subject: torch.Tensor | None,
    queue_subject: torch.Tensor | None,
    queue_filled: torch.Tensor | None,
) -> torch.Tensor | None:
    """Return which entries of the queue are negatives of which query, (B, K) or (1, K); None = all."""
    if (queue_subject is None) != (queue is None or subject is None):
        raise ValueError(
            f"queue_subject is {'missing' if queue_subject is None else 'given'} where "
            f"{'subject and queue are both given' if queue_subject is None else 'subject or queue is missing'}; "
            "pass subject and queue_subject with a queue, or neither."
        )
    mask = None
    if queue is not None and queue_filled is not None:
        queue_filled = torch.as_tensor(queue_filled, device=queries.device)
        if queue_filled.shape != queue.shape[:1] or queue_filled.dtype != torch.bool:
            raise ValueError(
                f"queue_filled has shape {tuple(queue_filled.shape)} and type {queue_filled.dtype} for a queue of "
                f"{len(queue)}; pass one bool an entry, or queue_filled=None."
            )
        mask = queue_filled[None, :]
    if queue is not None and subject is not None and queue_subject is not None:
        others = subject[:, None] != subject_numbers(queue_subject, queue)[None, :]
        mask = others if mask is None else others & mask
    return mask


def _check(
    queries: torch.Tensor,
    keys: torch.Tensor,
    queue: torch.Tensor | None,
    temperature: float,
    batch_negatives: bool,
) -> None:
    if queries.ndim != 2 or queries.shape != keys.shape or not len(queries):
        raise ValueError(
            f"queries have shape {tuple(queries.shape)} and keys {tuple(keys.shape)}; pass two of one shape (B, dim), "
            "with B at least 1."
        )
    if queue is not None and (queue.ndim != 2 or queue.shape[1] != queries.shape[1]):
        raise ValueError(
            f"queue has shape {tuple(queue.shape)} for keys of {queries.shape[1]} components; pass (K, "
            f"{queries.shape[1]})."
        )
    if queue is None and (not batch_negatives or len(queries) < 2):
        raise ValueError(
            f"there is no queue, batch_negatives is {batch_negatives} and the batch has {len(queries)} "
            f"record{'s' * (len(queries) != 1)}; negatives come from a queue, or with batch_negatives=True from a "
            "batch of at least 2."
        )
    if not temperature > 0:
        raise ValueError(f"temperature is {temperature}; it divides the similarities, pass a number above 0.")
