"""Self-supervised methods: one file each, one line here.

A method is a module around a backbone. Its forward takes two views and what guidance needs, and returns a `Step`:
the loss to minimise, and tensors to watch. `gather` (set by the training loop) joins a tensor over all
processes, with gradient; it is the identity in one process.

`openclef.pretrain` passes a method those of its settings that the method has an argument for, and a risk to those that
have an argument `guidance`.
"""

from __future__ import annotations

from openclef.method.clef import Clef
from openclef.method.simclr import simclr
from openclef.method.step import Step

__all__ = ["METHODS", "Clef", "Step", "simclr"]

METHODS = {
    "clef": Clef,
    "simclr": simclr,
}
