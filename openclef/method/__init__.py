"""Self-supervised methods: one file each, one line here.

A method is a module around a backbone. Its forward takes two views and what guidance needs, and returns a `Step`:
the loss to minimise, and tensors to watch. `gather` (set by the training loop) joins a tensor over all
processes, with gradient; it is the identity in one process. A method with `partner` "subject" gets second views of
another window of the same subject.

`openclef.pretrain` passes a method those of its settings that the method has an argument for, a risk to those that have
an argument `guidance` or `training_risk`, and as `training_risk` the known risks of the pool. Where it depends on a
method's own settings whether it uses a risk, its `is_guided` tells.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from openclef.method.byol import Byol
from openclef.method.clef import Clef
from openclef.method.cpc import Cpc
from openclef.method.mixture import Mixture
from openclef.method.moco import Moco
from openclef.method.risk_regression import RiskRegression
from openclef.method.same_subject import same_subject
from openclef.method.simclr import simclr
from openclef.method.step import Step
from openclef.method.vicreg import VicReg
from openclef.method.y_aware import YAware

__all__ = [
    "METHODS",
    "Byol",
    "Clef",
    "Cpc",
    "Mixture",
    "Moco",
    "RiskRegression",
    "Step",
    "VicReg",
    "YAware",
    "same_subject",
    "simclr",
]

METHODS: dict[str, Callable[..., Any]] = {
    "clef": Clef,
    "simclr": simclr,
    "moco": Moco,
    "byol": Byol,
    "vicreg": VicReg,
    "same_subject": same_subject,
    "y_aware": YAware,
    "cpc": Cpc,
    "risk_regression": RiskRegression,
    "mixture": Mixture,
}
