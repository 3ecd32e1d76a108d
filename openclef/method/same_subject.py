"""Same-subject contrast: other recordings of a patient are positives (PCLR, arXiv 2104.04569; CLOCS, 2005.13249)."""

from __future__ import annotations

from torch import nn

from openclef.guidance import Guidance
from openclef.method.clef import Clef

__all__ = ["same_subject"]


def same_subject(backbone: nn.Module, *, projector_dim: int = 0, temperature: float = 0.07) -> Clef:
    """Return NT-Xent whose positives are all views of the same subject in the batch.

    Its second views come from another window of the subject, where the store has one (`Views.partner` "subject"); a
    subject with one window gives two views of that, as in SimCLR. A row's loss is the mean over its positives.

    Args:
        backbone: (B, leads, time) -> (B, dim), with `.dim`.
        projector_dim: output size of the projector; 0 for none.
        temperature: of the cosine similarities.

    Returns:
        A method whose "loss_alignment" term is 0.

    Source:
        Diamant et al., Patient contrastive learning, 2022, arXiv 2104.04569 (another ECG of the patient is the
        positive); Kiyasseh et al., CLOCS, 2021, arXiv 2005.13249 (segments and leads of a patient are).

    Example:
        >>> from openclef.backbone import BACKBONES
        >>> same_subject(BACKBONES["resnext1d_small"](leads=1)).partner
        'subject'
    """
    method = Clef(
        backbone,
        projector_dim=projector_dim,
        temperature=temperature,
        guidance=Guidance(same_subject="positive"),
        weighted=False,
        aligned=False,
        use_completeness=False,
    )
    method.partner = "subject"
    return method
