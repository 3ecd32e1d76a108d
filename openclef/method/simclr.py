"""SimCLR: contrastive pretraining without guidance (Chen et al. 2020, arXiv 2002.05709)."""

from __future__ import annotations

from torch import nn

from openclef.method.clef import Clef

__all__ = ["simclr"]


def simclr(backbone: nn.Module, *, projector_dim: int = 0, temperature: float = 0.07) -> Clef:
    """Return the method with every part of the guidance switched off: NT-Xent on the same views.

    Records of one subject are not negatives of each other here either.

    Args:
        backbone: (B, leads, time) -> (B, dim), with `.dim`.
        projector_dim: output size of the projector; 0 for none.
        temperature: of the cosine similarities.

    Returns:
        A method whose "loss_alignment" term is 0.

    Source:
        Chen et al., A Simple Framework for Contrastive Learning of Visual Representations, 2020, equation 1.

    Example:
        >>> from openclef.backbone import BACKBONES
        >>> simclr(BACKBONES["resnext1d_small"](leads=1)).settings["weighted"]
        False
    """
    return Clef(
        backbone,
        projector_dim=projector_dim,
        temperature=temperature,
        weighted=False,
        aligned=False,
        use_completeness=False,
    )
