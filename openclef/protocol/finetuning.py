"""Fine-tuning: an encoder and a labelled task in, a run folder with an encoder that predicts the task out."""

# Torch is imported inside the functions: the help of `openclef finetune` reads the signature below and must be quick.
from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

from openclef.augment import Views
from openclef.database.own_table import find_task, is_table, store_of_table
from openclef.optimisation import Optimisation
from openclef.preprocessing import Preprocessing
from openclef.pretraining import Run
from openclef.protocol.baselines import random_encoder
from openclef.protocol.cohort import gather_records
from openclef.protocol.network import Finetuning, finetune_encoder, train_from_scratch
from openclef.protocol.probe import check_share, draw_subjects
from openclef.statistics import check_counts

__all__ = ["finetune"]


def finetune(
    model: str | Path | Any,
    stores: str | Path | Sequence[Any],
    task: str,
    out: str | Path,
    *,
    lead: str = "I",
    options: dict[str, Any] | None = None,
    label_share: float = 1.0,
    epochs: int = Finetuning.epochs,
    batch_size: int = Finetuning.batch_size,
    seed: int = 0,
    patience: int = Finetuning.patience,
    backbone_rate: float | None = Finetuning.backbone_rate,
    warm_start: bool | None = Finetuning.warm_start,
    regression_loss: Literal["l1", "smooth_l1"] = Finetuning.regression_loss,
    views: Views | None = None,
    optimisation: Optimisation = Finetuning.optimisation,
    precision: Literal["32-true", "bf16-mixed"] = Finetuning.precision,
    backbone: str | None = None,
    preprocessing: Preprocessing | None = None,
    accelerator: str = "auto",
    devices: int | str = "auto",
    save_seconds: float = 300.0,
    overwrite: bool = False,
    quiet: bool = False,
) -> Run:
    """Fine-tune an encoder on a task: one linear head, all weights trained, stopped early on validation.

    Trained on the train split, stopped and calibrated on the val split; test is not touched. The same call on the
    folder of an interrupted run resumes it, bit for bit on a CPU.

    A CSV file that lists files of your own (docs/own-files.md) may stand for the store: it is converted once, into
    `<out>-store` beside the run, split by subject, and its store is used again while the CSV file and the options stay.

    Args:
        model: an encoder, the folder of a run or a model, or "random_encoder" to train from random weights.
        stores: a store, its folder, or a list of them, which all declare the task; or a CSV file of your own.
        task: the task's name, for example "ptb_xl/superdiagnostic"; for a CSV file a column's name is enough.
        out: run folder; its model predicts the task (`openclef.load`, `openclef.predict`).
        lead: lead by name.
        options: for a CSV file: those of openclef convert files, e.g. --options '{"labels": {"af": "binary"}}'.
        label_share: share of the training subjects whose labels are used, above 0 and at most 1.
        epochs: at most so many passes over the training windows.
        batch_size: windows a step, over all processes.
        seed: of the order, augmentation and the draw of subjects; of random weights.
        patience: training ends after so many epochs without a lower validation loss; the best epoch's weights stay.
        backbone_rate: the backbone's learning rate as a share of the head's; null: 0.1, and 1 from random weights.
        warm_start: begin the head at a linear probe on the frozen features, instead of at the prevalence; null: for a
            pretrained encoder, and not from random weights.
        regression_loss: l1 or smooth_l1, on the standardised target.
        views: augmentation of training windows; null for none.
        optimisation: optimiser and schedule; its learning rate is the head's.
        precision: "32-true" or "bf16-mixed".
        backbone: architecture of random weights; resnext1d_small by default.
        preprocessing: of a model with random weights; a pretrained model brings its own.
        accelerator: "cpu", "cuda" or "auto".
        devices: devices of this host; "auto" takes what torchrun or SLURM started, else one.
        save_seconds: a checkpoint is also written within an epoch after so many seconds.
        overwrite: start anew in a folder that holds another run.
        quiet: print nothing, but what the columns of a CSV file are taken for when it is converted.

    Returns:
        Run with its folder, history and model. The model's pretraining subjects are those that it was pretrained on and
        the training subjects, so that an evaluation refuses to test on either.

    Raises:
        ValueError: settings, a model, stores or a CSV file that cannot be trained on, or subjects in two splits.
        FileExistsError: the folder holds another run, or `<out>-store` what was not made from a CSV file.
        FileNotFoundError: the model's folder is not there, or the CSV file.

    Example:
        >>> finetune("random_encoder", [], "ptb_xl/rhythm", "runs/x")
        Traceback (most recent call last):
        ...
        ValueError: No store is given; pass a store or a list of stores.
    """
    settings = Finetuning(
        epochs,
        batch_size,
        patience,
        backbone_rate,
        warm_start,
        regression_loss,
        views,
        optimisation,
        precision,
    )
    check_counts(seed=seed)
    check_share(label_share)
    scratch = isinstance(model, str) and model == "random_encoder"
    if not scratch and (backbone is not None or preprocessing is not None):
        raise ValueError(
            f"backbone is {backbone!r} and preprocessing {preprocessing!r} beside the model {str(model)[:80]!r}; a "
            "pretrained model has its own: leave them out, or pass model='random_encoder'."
        )
    if scratch:
        encoder = random_encoder(backbone or "resnext1d_small", preprocessing=preprocessing, seed=seed)
    elif isinstance(model, (str, Path)):
        from openclef.checkpoint import load

        encoder = load(model)
    else:
        encoder = model
    if isinstance(stores, (str, Path)) and is_table(stores):
        store = store_of_table(stores, _store_beside(Path(out), overwrite), options, quiet=quiet)
        cohort = gather_records(store, find_task(store, task), lead=lead)
    else:
        _check_stores(stores, options)
        cohort = gather_records(stores, task, lead=lead)
    train = cohort.mask("train").copy()
    train[train] = draw_subjects(cohort.records["subject_id"].to_numpy()[train], label_share, seed=seed)
    return (train_from_scratch if scratch else finetune_encoder)(
        encoder,
        cohort,
        train,
        out,
        settings,
        seed=seed,
        accelerator=accelerator,
        devices=devices,
        save_seconds=save_seconds,
        overwrite=overwrite,
        quiet=quiet,
    )


def _store_beside(out: Path, overwrite: bool) -> Path:
    """Where the store of a table lies; a finished run is refused before its store is replaced."""
    from openclef.checkpoint import is_finished

    if is_finished(out) and not overwrite:
        raise FileExistsError(
            f"{out} holds a finished run; load it with openclef.load, or pass another folder or overwrite=True "
            "(--overwrite true)."
        )
    return Path(f"{out}-store")


def _check_stores(stores: Any, options: dict[str, Any] | None) -> None:
    """Refuse options without a table, a table among stores, and a folder of files in place of their table."""
    if options is not None:
        raise ValueError(
            f"options is {options!r}, and no CSV file is given; options belong to the CSV file of your own: leave them "
            "out, or pass the CSV file in place of stores."
        )
    tables = [each for each in stores if is_table(each)] if isinstance(stores, (list, tuple)) else []
    if tables:
        raise ValueError(
            f"stores hold {tables[0]}, a CSV file; pass it alone, or convert it to a store: openclef convert files "
            f"{tables[0]} STORE."
        )
    folder = Path(stores) if isinstance(stores, (str, Path)) else None
    if (
        folder is not None
        and folder.is_dir()
        and not any((folder / n).exists() for n in ("dataset.json", "_parts"))
    ):
        raise ValueError(
            f"{folder} is a folder and no store; pass the folder of a store, or the CSV file that lists your files, "
            f"one a row, for example {folder / 'ecgs.csv'} (docs/own-files.md)."
        )
