"""Losses: pure functions of tensors, one file per family.

Example:
    >>> import torch
    >>> z = torch.eye(4)
    >>> loss = clef_loss(z, z, torch.tensor([0.01, 0.02, 0.1, 0.3]))
    >>> bool(loss.contrastive < nt_xent_loss(z, z, temperature=0.07))  # negatives weigh at most 1
    True
"""

from openclef.loss.byol import byol_loss
from openclef.loss.clef import ClefLoss, clef_loss
from openclef.loss.cpc import CpcLoss, cpc_loss
from openclef.loss.info_nce import info_nce_loss
from openclef.loss.nt_xent import nt_xent_loss
from openclef.loss.vicreg import VicRegLoss, vicreg_loss
from openclef.loss.y_aware import SoftPositives, YAwareLoss, soft_positives, y_aware_loss

__all__ = [
    "ClefLoss",
    "CpcLoss",
    "SoftPositives",
    "VicRegLoss",
    "YAwareLoss",
    "byol_loss",
    "clef_loss",
    "cpc_loss",
    "info_nce_loss",
    "nt_xent_loss",
    "soft_positives",
    "vicreg_loss",
    "y_aware_loss",
]
