"""One lead for a model of several: the lead in its own channel, the others empty."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["check_lead", "place_lead"]


def check_lead(model: Any, lead: str) -> None:
    """Refuse a lead that a model of several leads does not take.

    Args:
        model: An `Encoder` or a bare backbone.
        lead: Lead by name.

    Raises:
        ValueError: The model takes several leads and does not say which, or not this one.

    Example:
        >>> from openclef.backbone import BACKBONES
        >>> check_lead(BACKBONES["resnext1d_small"](leads=12), "I")
        Traceback (most recent call last):
        ...
        ValueError: the model takes 12 leads and does not name them; ...
    """
    count, names = getattr(model, "leads", 1), getattr(model, "lead_names", ())
    if count == 1:
        return
    if not names:
        raise ValueError(
            f"the model takes {count} leads and does not name them; make it an Encoder with lead_names, for example "
            'openclef.Encoder(backbone, lead_names=["I", "II", ...]).'
        )
    if lead not in names:
        raise ValueError(f"lead {lead!r} is none of the model's, {', '.join(names)}; pass one of them.")


def place_lead(signal: Tensor, model: Any, lead: str) -> Tensor:
    """Give one lead's preprocessed signal the channels that a model takes.

    Args:
        signal: (batch, 1, time), preprocessed.
        model: An `Encoder` or a bare backbone.
        lead: Lead by name, which `check_lead` has let through.

    Returns:
        (batch, leads, time), 0 in the model's other leads; the signal itself for a model of one lead.

    Example:
        >>> import torch
        >>> from openclef.backbone import BACKBONES
        >>> from openclef.model import Encoder
        >>> encoder = Encoder(BACKBONES["resnext1d_small"](leads=2), lead_names=("I", "II"))
        >>> place_lead(torch.ones(1, 1, 3), encoder, "II")
        tensor([[[0., 0., 0.],
                 [1., 1., 1.]]])
    """
    count = getattr(model, "leads", 1)
    if count == 1:
        return signal
    placed = signal.new_zeros(signal.shape[0], count, signal.shape[2])
    placed[:, model.lead_names.index(lead)] = signal[:, 0]
    return placed
