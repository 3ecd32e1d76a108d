"""Foundation models that others publish: one file each, one line here.

Weights are never bundled: each description says where they are, under which licence, and what the model expects
of a signal. A file that does not match in every tensor that is used is refused;
heads and the like are left aside, so a model that was fine-tuned elsewhere passes as what it was made of.

Example:
    >>> PUBLISHED["clef_medium"].preprocessing.fs
    500.0
"""

from __future__ import annotations

from openclef.published import clef, ecg_fm, ecgfounder, hubert_ecg, ked, moirai, moment, st_mem
from openclef.published.clef import load_official
from openclef.published.description import Published, load_published

__all__ = ["PUBLISHED", "Published", "load_official", "load_published"]

PUBLISHED: dict[str, Published] = {
    **clef.MODELS,
    **ecgfounder.MODELS,
    **ked.MODELS,
    **ecg_fm.MODELS,
    **hubert_ecg.MODELS,
    **moirai.MODELS,
    **moment.MODELS,
    **st_mem.MODELS,
}
