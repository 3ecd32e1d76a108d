"""Training a network on a task's records: all weights of an encoder, or of its architecture from random ones."""

# Torch is imported inside the functions: the help of `openclef finetune` reads these settings and must be quick.
from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from openclef.augment import Views
from openclef.optimisation import Optimisation
from openclef.pretraining import Run
from openclef.protocol.baselines import random_encoder
from openclef.protocol.cache import update_with_weights
from openclef.protocol.cohort import Cohort
from openclef.statistics import check_counts

__all__ = ["Finetuning", "finetune_encoder", "train_from_scratch"]

PRETRAINED_RATE = 0.1
"""Learning rate of a pretrained backbone as a share of its head's."""

OPTIMISATION = Optimisation(
    learning_rate=1e-3, weight_decay=1e-5, schedule="cosine", warmup_epochs=1.0, clip_norm=1.0
)
"""Learning rate and weight decay of the released code's fine-tuning, with one cosine."""


@dataclass(frozen=True)
class Finetuning:
    """Settings of fine-tuning.

    Args:
        epochs: At most so many passes over the training windows.
        batch_size: Windows a step, over all processes.
        patience: Training ends after so many epochs without a lower validation loss; the best epoch's weights stay.
        backbone_rate: The backbone's learning rate as a share of the head's; None = 0.1 for a pretrained encoder and 1
            from random weights; 0 trains the head alone.
        warm_start: Begin the head at a linear probe on the frozen features, instead of at the prevalence; None = for a
            pretrained encoder, and not from random weights, where the features soon change.
        regression_loss: "l1" or "smooth_l1", on the standardised target.
        views: Augmentation of training windows (noise, masks, shift, crop); None = none.
        optimisation: Optimiser and schedule; its learning rate is the head's.
        precision: "32-true" or "bf16-mixed".

    Raises:
        ValueError: A number out of range, or an unknown loss.

    Example:
        >>> Finetuning(epochs=5).batch_size
        64
    """

    epochs: int = 30
    batch_size: int = 64
    patience: int = 5
    backbone_rate: float | None = None
    warm_start: bool | None = None
    regression_loss: Literal["l1", "smooth_l1"] = "l1"
    views: Views | None = None
    optimisation: Optimisation = OPTIMISATION
    precision: Literal["32-true", "bf16-mixed"] = "32-true"

    def __post_init__(self) -> None:
        check_counts(epochs=self.epochs, batch_size=self.batch_size, patience=self.patience)
        if self.backbone_rate is not None and not 0 <= self.backbone_rate < float("inf"):
            raise ValueError(
                f"backbone_rate is {self.backbone_rate}; pass a share of the head's learning rate, as 0.1, or None."
            )
        if self.regression_loss not in ("l1", "smooth_l1"):
            raise ValueError(f"regression_loss is {self.regression_loss!r}; pass 'l1' or 'smooth_l1'.")


def train_from_scratch(
    encoder: Any,
    cohort: Cohort,
    train: NDArray[np.bool_],
    out: str | Path,
    settings: Finetuning = Finetuning(),
    *,
    seed: int = 0,
    **options: Any,
) -> Run:
    """Train the architecture of an encoder on a task from random weights.

    Args:
        encoder: Gives architecture and preprocessing; its weights are not used.
        cohort: Records of the task.
        train: (records,) bool, the training records whose labels are used.
        out: Run folder.
        settings: Of training; a backbone_rate of None is 1, a warm_start of None is False.
        seed: Of weights, order and augmentation.
        **options: As `finetune_encoder` takes them.

    Returns:
        The run.

    Example:
        >>> import inspect
        >>> list(inspect.signature(train_from_scratch).parameters)[:4]
        ['encoder', 'cohort', 'train', 'out']
    """
    _check_encoder(encoder)
    start = random_encoder(
        encoder.backbone_name,
        preprocessing=encoder.preprocessing,
        seed=seed,
        **encoder.backbone_settings,
    )
    chosen = replace(
        settings,
        backbone_rate=1.0 if settings.backbone_rate is None else settings.backbone_rate,
        warm_start=bool(settings.warm_start),
    )
    return finetune_encoder(start, cohort, train, out, chosen, seed=seed, **options)


def finetune_encoder(
    encoder: Any,
    cohort: Cohort,
    train: NDArray[np.bool_],
    out: str | Path,
    settings: Finetuning = Finetuning(),
    *,
    seed: int = 0,
    accelerator: str = "auto",
    devices: int | str = "auto",
    save_seconds: float = 300.0,
    overwrite: bool = False,
    reuse: bool = False,
    quiet: bool = False,
) -> Run:
    """Fine-tune an encoder on records that are gathered already.

    Args:
        encoder: An `Encoder` of one lead; it is left as it is.
        cohort: Records of the task.
        train: (records,) bool, the training records whose labels are used.
        out: Run folder.
        settings: Of training.
        seed: Of order and augmentation.
        accelerator: See `finetune`.
        devices: See `finetune`.
        save_seconds: See `finetune`.
        overwrite: See `finetune`.
        reuse: Return the run of a folder that holds it finished, instead of refusing.
        quiet: Print nothing.

    Returns:
        The run.

    Raises:
        ValueError: No Encoder of one lead, nothing to train or to validate on, or a label without any known target.

    Example:
        >>> finetune_encoder(None, None, None, "runs/x")
        Traceback (most recent call last):
        ...
        ValueError: model is NoneType; pass an Encoder (openclef.load) of a backbone in ...
    """
    _check_encoder(encoder)
    rate = PRETRAINED_RATE if settings.backbone_rate is None else settings.backbone_rate
    warm = settings.warm_start is not False
    val = cohort.mask("val")
    for name, chosen in (("train", train), ("val", val)):
        if not (~np.isnan(cohort.target[chosen])).any():
            raise ValueError(
                f"{cohort.task.name} has no target in {name} of {', '.join(s.name for s in cohort.stores)}; "
                "fine-tuning trains on train and stops on val: give the store both splits."
            )
    import torch
    from rich.console import Console

    from openclef.backbone import BACKBONES
    from openclef.checkpoint import finish_run, is_finished, load, read_checkpoint, run_config, start_run
    from openclef.head import Head
    from openclef.model import Encoder
    from openclef.protocol.supervised import (
        Supervised,
        calibrate,
        make_validator,
        parameter_groups,
        start_head,
    )
    from openclef.protocol.windows import LabelledBatches, LabelledWindows, hold_where_it_fits
    from openclef.training import fit, make_fabric
    from openclef.validation import epoch_means

    folder, console = Path(out), None if quiet else Console()
    subjects = set(cohort.records["subject_hash"][train])
    fabric = make_fabric(settings.precision, devices, accelerator)
    config = run_config(
        {
            "method": "finetune",
            "task": cohort.task.name,
            "lead": cohort.lead,
            "seed": seed,
            "backbone": encoder.backbone_name,
            "preprocessing": encoder.preprocessing,
            **asdict(settings),
            "backbone_rate": rate,
            "warm_start": warm,
            "start": {"name": encoder.name, "weights_sha256": _weights_sha256(encoder)},
            "train_records": int(train.sum()),
            "train_sha256": _sha256(cohort, train),
            "val_sha256": _sha256(cohort, val),
            "processes": fabric.world_size,
            "device": fabric.device.type,
        },
        cohort.stores,
    )
    if reuse and is_finished(folder) and _is_the_same(folder, config):
        load(folder)  # says so where a file has changed
        return Run(folder, pd.read_csv(folder / "metrics.csv").to_dict("records"), [])  # type: ignore[arg-type]
    windows = [LabelledWindows(cohort, chosen, encoder) for chosen in (train, val)]
    common: dict[str, Any] = {"batch_size": settings.batch_size, "device": fabric.device}
    batches = LabelledBatches(
        windows[0],
        views=settings.views,
        seed=seed,
        rank=fabric.global_rank,
        world_size=fabric.world_size,
        **common,
    )
    in_order = [LabelledBatches(each, shuffle=False, **common) for each in windows]
    next(batches.epoch(0))  # settings that cannot work are refused before the folder is touched
    if fabric.is_global_zero:
        start_run(folder, config, overwrite=overwrite)
        if console is not None:
            console.print(
                f"Fine-tuning on {cohort.task.name}, lead {cohort.lead}: {len(windows[0]):,} windows of "
                f"{len(subjects):,} subjects, {len(windows[1]):,} for validation; run folder {folder}"
            )
    fabric.barrier()
    hold_where_it_fits(windows, fabric.device)
    with torch.random.fork_rng(
        devices=[]
    ):  # what is drawn here is replaced, and the caller's state left alone
        net = BACKBONES[encoder.backbone_name](**encoder.backbone_settings)
        head = Head(
            encoder.dim, cohort.task.labels, cohort.task.kind, task=cohort.task.name, unit=cohort.task.unit
        )
    net.load_state_dict(encoder.backbone.state_dict())
    module = Supervised(net, head, settings.regression_loss).to(fabric.device).eval()
    if read_checkpoint(folder) is None:
        start_head(head, in_order[0], in_order[1], module, warm=warm)
    else:
        head.set_target_unit(windows[0].target)  # weights come from the checkpoint
    history = fit(
        fabric,
        module,
        batches,
        folder=folder,
        epochs=settings.epochs,
        optimisation=settings.optimisation,
        summarise=epoch_means,
        validate=make_validator(head, in_order[1]),
        after_epoch=None if console is None else _Printer(console, settings.epochs),
        groups=parameter_groups(module, rate),
        stop=lambda history: _since_best(history) >= settings.patience,
        best="val_loss",
        save_seconds=save_seconds,
        console=console,
    )
    if fabric.is_global_zero:
        calibrate(head, in_order[1], module)
        tuned = Encoder(
            net.cpu(),
            encoder.preprocessing,
            name=folder.name,
            backbone_name=encoder.backbone_name,
            backbone_settings=encoder.backbone_settings,
            head=head.cpu(),
            lead_names=encoder.lead_names,
        )
        before = encoder.pretraining_subjects
        complete = before is not None and encoder.subjects_complete
        finish_run(folder, tuned, subjects | set(before or ()), complete=complete)
        if console is not None:
            best = min(history, key=lambda row: row["val_loss"])
            console.print(
                f"kept epoch {best['epoch']:.0f} of {len(history)} (val_loss {best['val_loss']:.4f}) in {folder}; "
                f"openclef predict {folder} FILE --out predictions.parquet"
            )
    fabric.barrier()
    return Run(folder, history, [])


def _check_encoder(encoder: Any) -> None:
    """Refuse what cannot be trained, saved and loaded again."""
    from openclef.backbone import BACKBONES

    if getattr(encoder, "backbone_name", None) not in BACKBONES:
        raise ValueError(
            f"model is {type(encoder).__name__}; pass an Encoder (openclef.load) of a backbone in "
            f"openclef.backbone.BACKBONES ({', '.join(BACKBONES)}), its folder, or 'random_encoder'."
        )


def _since_best(history: list[dict[str, float]]) -> int:
    """Epochs since the lowest validation loss."""
    losses = np.array([row["val_loss"] for row in history])
    return len(losses) - 1 - int(np.nanargmin(losses)) if np.isfinite(losses).any() else len(losses)


def _weights_sha256(encoder: Any) -> str:
    digest = hashlib.sha256()
    update_with_weights(digest, encoder.backbone)
    return digest.hexdigest()


def _sha256(cohort: Cohort, chosen: NDArray[np.bool_]) -> str:
    """Hash of which records are taken, whose they are, and their targets."""
    about = cohort.records.loc[chosen, ["store", "record_id", "subject_hash"]].to_csv(index=False)
    digest = hashlib.sha256(about.encode())
    digest.update(np.ascontiguousarray(cohort.target[chosen]).tobytes())
    return digest.hexdigest()


def _is_the_same(folder: Path, config: Mapping[str, Any]) -> bool:
    import json

    from openclef.checkpoint import decisive

    before = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    return decisive(before) == decisive(dict(config))


class _Printer:
    """Prints a line after each epoch where there is no progress bar."""

    def __init__(self, console: Any, epochs: int) -> None:
        self.console, self.epochs = console, epochs

    def __call__(self, row: dict[str, float]) -> None:
        if not self.console.is_terminal:
            named = "  ".join(
                f"{name} {row[name]:.4f}" for name in ("loss", "val_loss", "val_auroc") if name in row
            )
            self.console.print(f"epoch {row['epoch']:.0f}/{self.epochs}  {named}")
