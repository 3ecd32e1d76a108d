"""What every encoder must beat: the same architecture without training, and age and sex alone."""

from __future__ import annotations

from inspect import signature
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from openclef.signal import LEADS

if TYPE_CHECKING:
    from openclef.model import Encoder
    from openclef.preprocessing import Preprocessing
    from openclef.task import Task

RANDOM_SEEDS = (0, 1, 2, 3, 4)
_AGE_OR_SEX = ("age_years", "age", "age_over_89", "sex", "gender")


def random_encoder(
    backbone: str = "resnext1d_small",
    *,
    preprocessing: Preprocessing | None = None,
    seed: int = 0,
    **settings: Any,
) -> Encoder:
    """A frozen encoder with random weights: what an architecture knows before training.

    Args:
        backbone: A key of `openclef.backbone.BACKBONES`.
        preprocessing: The preprocessing of the model it stands beside; None = the default.
        seed: Seed of the weights; the global random state is left as it was.
        **settings: Settings of the backbone; `leads`, where it has such, is 1 by default. One of 12 leads takes them
            in the usual order.

    Returns:
        An `Encoder` in evaluation mode, without pretraining subjects.

    Raises:
        ValueError: If the backbone is unknown.

    Source:
        arXiv 2602.17531: a frozen random encoder with a tuned probe matches many pretrained ones.

    Example:
        >>> random_encoder("resnext1d_small", seed=1).dim
        256
    """
    import torch

    from openclef.backbone import BACKBONES
    from openclef.model import Encoder
    from openclef.preprocessing import Preprocessing

    if backbone not in BACKBONES:
        raise ValueError(f"backbone is {backbone!r}; pass one of {', '.join(BACKBONES)}.")
    if "leads" in signature(BACKBONES[backbone]).parameters:
        settings = {"leads": 1} | settings
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        net = BACKBONES[backbone](**settings)
    encoder = Encoder(
        net,
        Preprocessing() if preprocessing is None else preprocessing,
        name="random_encoder",
        backbone_name=backbone,
        backbone_settings=settings,
        lead_names=LEADS if getattr(net, "leads", 1) == len(LEADS) else None,
    )
    encoder.pretraining_subjects = frozenset()  # known: nobody
    return encoder.eval().requires_grad_(False)


def age_sex_features(records: pd.DataFrame, train: NDArray[np.bool_]) -> NDArray[np.floating]:
    """Age, its square, sex, and whether each is missing, as features of a probe.

    Args:
        records: Columns age_years (NaN = unknown) and sex ("female", "male", "" = unknown).
        train: (records,) bool, the training records, whose mean stands in for an unknown age.

    Returns:
        (records, 5), finite.

    Example:
        >>> records = pd.DataFrame({"age_years": [40.0, 60.0, np.nan], "sex": ["female", "male", ""]})
        >>> age_sex_features(records, np.array([True, True, True])).tolist()
        [[-1.0, 1.0, 0.0, 0.0, 0.0], [1.0, 1.0, 1.0, 0.0, 0.0], [0.0, 0.0, 0.5, 1.0, 1.0]]
    """
    age = records["age_years"].to_numpy(dtype=float)
    known = ~np.isnan(age)
    of_train = age[known & train]
    middle, spread = (of_train.mean(), of_train.std() or 1.0) if of_train.size else (0.0, 1.0)
    standard = np.where(known, (age - middle) / spread, 0.0)
    sex = records["sex"].map({"female": 0.0, "male": 1.0}).to_numpy(dtype=float)
    return np.column_stack(
        [standard, standard**2, np.where(np.isnan(sex), 0.5, sex), ~known, np.isnan(sex)]
    ).astype(float)


def has_age_sex(records: pd.DataFrame, train: NDArray[np.bool_]) -> bool:
    """Whether any training record has an age or a sex.

    Example:
        >>> has_age_sex(pd.DataFrame({"age_years": [np.nan], "sex": [""]}), np.array([True]))
        False
    """
    return bool(
        (records["age_years"].notna() | records["sex"].isin(("female", "male"))).to_numpy()[train].any()
    )


def is_age_or_sex(task: Task) -> bool:
    """Whether a task asks for the age or the sex itself, which age and sex as inputs would hand over.

    Args:
        task: The task; its columns decide, whatever stands before their last "/", as in "mine/age_years".

    Example:
        >>> from openclef.task import Task
        >>> is_age_or_sex(Task("sim/age", "regression", ("age",), ("age_years",), unit="years"))
        True
        >>> is_age_or_sex(Task("sim/lvef", "regression", ("lvef",), ("lvef_percent",), unit="%"))
        False
    """
    return all(column.rpartition("/")[2].casefold() in _AGE_OR_SEX for column in task.columns)
