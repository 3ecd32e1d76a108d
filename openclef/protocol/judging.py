"""From one encoder to its predictions for a cohort: on frozen features, or by training the network itself."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from openclef.condition import Condition
from openclef.protocol import NETWORK_PROTOCOLS, PROTOCOLS
from openclef.protocol.cache import FeatureCache
from openclef.protocol.cohort import Cohort
from openclef.protocol.features import features_of_cohort, impute
from openclef.protocol.network import Finetuning
from openclef.protocol.probe import fit_linear_probe

__all__ = ["WITH_AGE_SEX", "Judged", "Judgement", "judge_frozen", "judge_network"]

WITH_AGE_SEX = " + age_sex"

Array = NDArray[np.floating]


class Judgement(NamedTuple):
    """What one encoder is judged on and how.

    Args:
        cohort: Records of the task.
        protocol: A key of `PROTOCOLS` or of `NETWORK_PROTOCOLS`.
        train: (records,) bool, training records whose labels are used.
        scored: (records,) bool, records to predict.
        judged: (records,) bool, those of them that are predicted under the conditions as well.
        age_sex: (records, features) of age and sex.
        append: Whether to judge the encoder with age and sex appended as well.
        batch_size: Windows embedded at a time.
        device: Where to compute; None = where the encoder is.
        conditions: Under which the judged records are predicted as well.
        cache: Where features are kept.
        workers: Processes that measure classical features.

    Example:
        >>> Judgement._fields[:2]
        ('cohort', 'protocol')
    """

    cohort: Cohort
    protocol: str
    train: NDArray[np.bool_]
    scored: NDArray[np.bool_]
    judged: NDArray[np.bool_]
    age_sex: Array
    append: bool
    batch_size: int
    device: str | None
    conditions: tuple[Condition, ...] = ()
    cache: FeatureCache | None = None
    workers: int = 1


class Judged(NamedTuple):
    """Predictions of one variant of an encoder.

    Args:
        suffix: "" for the encoder alone, else what was appended.
        score: (scored records, labels).
        settings: What validation chose.
        changed: For each condition by name (judged records, labels).

    Example:
        >>> Judged("", np.zeros((1, 1)), {}, {}).suffix
        ''
    """

    suffix: str
    score: Array
    settings: dict[str, Any]
    changed: Mapping[str, Array]


class _Inputs(NamedTuple):
    """What a protocol is fitted on: features of all needed records, and under each condition those of the judged."""

    plain: Array
    changed: dict[str, Array]

    def appended(self, age_sex: Array) -> _Inputs:
        return _Inputs(*_each(self, lambda features: np.concatenate([features, age_sex], axis=1)))


def _each(inputs: _Inputs, change: Callable[[Array], Array]) -> tuple[Array, dict[str, Array]]:
    return change(inputs.plain), {name: change(features) for name, features in inputs.changed.items()}


CONSTANT = "constant_features"
"""Stands in what was chosen for a model whose features do not depend on the recording."""


def judge_frozen(source: Any, how: Judgement) -> list[Judged]:
    """Fit a protocol on frozen features, alone and with age and sex.

    Args:
        source: An `Encoder` or a bare backbone; "features" for classical features, "age_sex" for these alone.
        how: The records and the protocol.

    Returns:
        One or two predictions.

    Example:
        >>> import inspect
        >>> list(inspect.signature(judge_frozen).parameters)
        ['source', 'how']
    """
    fit = PROTOCOLS[how.protocol]
    if isinstance(source, str) and source == "age_sex":
        return [_fitted(how, fit, "", _Inputs(how.age_sex, {}))]
    if isinstance(source, str):
        measured = _Inputs(*_under_conditions(how, lambda needed, one: _measure(how, needed, one)))
        of_train = measured.plain[how.train]
        inputs = _Inputs(*_each(measured, lambda values: impute(of_train, values)))
    else:
        inputs = _embed(source, how, how.cache)
    found = [_fitted(how, fit, "", inputs)]
    if how.append:
        found.append(_fitted(how, fit, WITH_AGE_SEX, inputs.appended(how.age_sex)))
    if is_constant(inputs.plain[how.train]):
        for each in found:
            each.settings[CONSTANT] = True
    return found


def is_constant(features: Array) -> bool:
    """Tell whether features are the same for every record, but for rounding.

    Args:
        features: (records, dim).

    Example:
        >>> is_constant(np.ones((3, 2))), is_constant(np.eye(3))
        (True, False)
    """
    if len(features) < 2:
        return False
    return float(np.ptp(features, axis=0).max()) <= 1e-6 * float(np.abs(features).max())


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
    inputs = _embed(Predictor(run.model), how, None)
    best = min(run.history, key=lambda row: row["val_loss"])
    chosen = {
        "val_loss": best["val_loss"],
        "best_epoch": int(best["epoch"]),
        "epochs": len(run.history),
        "train_records": int(how.train.sum()),
    }
    changed = {name: score[how.judged] for name, score in inputs.changed.items()}
    found = [Judged("", inputs.plain[how.scored], chosen, changed)]
    if how.append:
        logits = _Inputs(*_each(inputs, _logit)) if cohort.task.kind != "regression" else inputs
        found.append(_fitted(how, fit_linear_probe, WITH_AGE_SEX, logits.appended(how.age_sex)))
    return found


def _logit(probability: Array) -> Array:
    clipped = np.clip(probability, 1e-7, 1 - 1e-7)
    return np.log(clipped) - np.log1p(-clipped)


def _under_conditions(
    how: Judgement, compute: Callable[[NDArray[np.bool_], Condition | None], Array]
) -> tuple[Array, dict[str, Array]]:
    needed = how.train | how.cohort.mask("val") | how.scored
    return compute(needed, None), {one.name: compute(how.judged, one) for one in how.conditions}


def _embed(module: Any, how: Judgement, cache: FeatureCache | None) -> _Inputs:
    def compute(needed: NDArray[np.bool_], condition: Condition | None) -> Array:
        return how.cohort.features(
            module, needed, batch_size=how.batch_size, device=how.device, condition=condition, cache=cache
        )

    return _Inputs(*_under_conditions(how, compute))


def _measure(how: Judgement, needed: NDArray[np.bool_], condition: Condition | None) -> Array:
    return features_of_cohort(how.cohort, needed, workers=how.workers, condition=condition, cache=how.cache)


def _fitted(how: Judgement, fit: Any, suffix: str, inputs: _Inputs) -> Judged:
    val, target, plain = how.cohort.mask("val"), how.cohort.target, inputs.plain
    fitted = fit(plain[how.train], target[how.train], plain[val], target[val], kind=how.cohort.task.kind)
    chosen = {str(key): value for key, value in fitted.settings.items() if not isinstance(value, dict)}
    changed = {name: fitted.predict(features[how.judged]) for name, features in inputs.changed.items()}
    return Judged(suffix, fitted.predict(plain[how.scored]), chosen, changed)
