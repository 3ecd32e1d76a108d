"""Losses: pure functions of tensors, one file per family.

Example:
    >>> import torch
    >>> z = torch.eye(4)
    >>> loss = clef_loss(z, z, torch.tensor([0.01, 0.02, 0.1, 0.3]))
    >>> bool(loss.contrastive < nt_xent_loss(z, z, temperature=0.07))  # negatives weigh at most 1
    True
"""

from openclef.loss.clef import ClefLoss, clef_loss
from openclef.loss.nt_xent import nt_xent_loss

__all__ = ["ClefLoss", "clef_loss", "nt_xent_loss"]
