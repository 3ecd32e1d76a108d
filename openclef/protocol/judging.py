"""From one encoder to its predictions for a cohort: on frozen features, or by training the network itself."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from openclef.protocol import NETWORK_PROTOCOLS, PROTOCOLS
from openclef.protocol.cohort import Cohort
from openclef.protocol.network import Finetuning
from openclef.protocol.probe import fit_linear_probe

__all__ = ["WITH_AGE_SEX", "Judged", "Judgement", "judge_frozen", "judge_network"]

WITH_AGE_SEX = " + age_sex"


class Judgement(NamedTuple):
    """What one encoder is judged on and how.

    Args:
        cohort: Records of the task.
        protocol: A key of `PROTOCOLS` or of `NETWORK_PROTOCOLS`.
        train: (records,) bool, training records whose labels are used.
        scored: (records,) bool, records to predict.
        age_sex: (records, features) of age and sex.
        append: Whether to judge the encoder with age and sex appended as well.
        batch_size: Windows embedded at a time.
        device: Where to compute; None = where the encoder is.

    Example:
        >>> Judgement._fields[:2]
        ('cohort', 'protocol')
    """

    cohort: Cohort
    protocol: str
    train: NDArray[np.bool_]
    scored: NDArray[np.bool_]
    age_sex: NDArray[np.floating]
    append: bool
    batch_size: int
    device: str | None


class Judged(NamedTuple):
    """Predictions of one variant of an encoder.

    Args:
        suffix: "" for the encoder alone, else what was appended.
        score: (scored records, labels).
        settings: What validation chose.

    Example:
        >>> Judged("", np.zeros((1, 1)), {}).suffix
        ''
    """

    suffix: str
    score: NDArray[np.floating]
    settings: dict[str, Any]


def judge_frozen(encoder: Any, how: Judgement) -> list[Judged]:
    """Fit a protocol on an encoder's frozen features, alone and with age and sex; without encoder, on these alone.

    Args:
        encoder: An `Encoder` or a bare backbone, or None.
        how: The records and the protocol.

    Returns:
        One or two predictions.

    Example:
        >>> import inspect
        >>> list(inspect.signature(judge_frozen).parameters)
        ['encoder', 'how']
    """
    if encoder is None:
        return [_fitted(how, PROTOCOLS[how.protocol], "", how.age_sex)]
    features = _features(encoder, how)
    found = [_fitted(how, PROTOCOLS[how.protocol], "", features)]
    if how.append:
        both = np.concatenate([features, how.age_sex], axis=1)
        found.append(_fitted(how, PROTOCOLS[how.protocol], WITH_AGE_SEX, both))
    return found


def judge_network(
    encoder: Any, how: Judgement, out: Path, settings: Finetuning, *, seed: int, accelerator: str
) -> list[Judged]:
    """Train an encoder on the task, then predict; with age and sex: a linear probe on its logits and these.

    Args:
        encoder: An `Encoder`; it is left as it is.
        how: The records and the protocol.
        out: Run folder; a finished run of the same settings is used again, an unfinished one resumed.
        settings: Of training.
        seed: Of training.
        accelerator: "auto", "cpu" or "cuda".

    Returns:
        One or two predictions.

    Example:
        >>> import inspect
        >>> list(inspect.signature(judge_network).parameters)[:3]
        ['encoder', 'how', 'out']
    """
    from openclef.head import Predictor

    cohort = how.cohort
    run = NETWORK_PROTOCOLS[how.protocol](
        encoder,
        cohort,
        how.train,
        out,
        settings,
        seed=seed,
        accelerator=accelerator,
        devices=1,
        reuse=True,
        quiet=True,
    )
    score = _features(Predictor(run.model), how)
    best = min(run.history, key=lambda row: row["val_loss"])
    chosen = {
        "val_loss": best["val_loss"],
        "best_epoch": int(best["epoch"]),
        "epochs": len(run.history),
        "train_records": int(how.train.sum()),
    }
    found = [Judged("", score[how.scored], chosen)]
    if how.append:
        regression = cohort.task.kind == "regression"
        clipped = np.clip(score, 1e-7, 1 - 1e-7)
        logit = score if regression else np.log(clipped) - np.log1p(-clipped)
        both = np.concatenate([logit, how.age_sex], axis=1)
        found.append(_fitted(how, fit_linear_probe, WITH_AGE_SEX, both))
    return found


def _features(module: Any, how: Judgement) -> NDArray[np.floating]:
    needed = how.train | how.cohort.mask("val") | how.scored
    return how.cohort.features(module, needed, batch_size=how.batch_size, device=how.device)


def _fitted(how: Judgement, fit: Any, suffix: str, inputs: NDArray[np.floating]) -> Judged:
    val, target = how.cohort.mask("val"), how.cohort.target
    fitted = fit(inputs[how.train], target[how.train], inputs[val], target[val], kind=how.cohort.task.kind)
    chosen = {str(key): value for key, value in fitted.settings.items() if not isinstance(value, dict)}
    return Judged(suffix, fitted.predict(inputs[how.scored]), chosen)
