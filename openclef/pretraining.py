"""Pretraining: stores in, a run folder with an encoder out."""

# Torch is imported inside the functions: the help of `openclef pretrain` reads the signature below and must be quick.
from __future__ import annotations

import inspect
import sys
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np

import openclef
from openclef.augment import Partner, Views
from openclef.guidance import Guidance
from openclef.optimisation import Optimisation
from openclef.preprocessing import Preprocessing
from openclef.settings import check_settings
from openclef.store import Store, open_store

__all__ = ["Run", "pretrain"]


@dataclass(frozen=True)
class Run:
    """A finished pretraining run.

    Attributes:
        path: its folder.
        history: one row an epoch: losses, spread of the embeddings, pair weights, learning rate, records/s.
        warnings: what the collapse watch said.

    Example:
        >>> Run(Path("runs/x"), [], []).path.name
        'x'
    """

    path: Path
    history: list[dict[str, float]]
    warnings: list[str]

    @property
    def model(self) -> openclef.model.Encoder:
        """The encoder, loaded from the folder."""
        from openclef.checkpoint import load

        return load(self.path)


def pretrain(
    stores: str | Path | Sequence[Any],
    out: str | Path,
    *,
    method: str = "clef",
    backbone: str = "resnext1d_small",
    normalisation: Literal["none", "batch"] = "none",
    risk: list[str] | str | None = "score2",
    recipe: Literal["paper", "official"] = "paper",
    split: str = "train",
    lead: str = "random",
    epochs: int = 100,
    batch_size: int = 64,
    seed: int = 0,
    temperature: float = 0.07,
    projector_dim: int | None = None,
    weighted: bool = True,
    aligned: bool = True,
    alignment_weight: float = 1.0,
    use_completeness: bool = True,
    method_settings: dict[str, Any] | None = None,
    guidance: Guidance = Guidance(),  # noqa: B008 - a frozen dataclass of settings
    views: Views = Views(),  # noqa: B008
    preprocessing: Preprocessing = Preprocessing(),  # noqa: B008
    optimisation: Optimisation = Optimisation(),  # noqa: B008
    precision: Literal["32-true", "bf16-mixed"] = "32-true",
    parts: int | None = None,
    accelerator: str = "auto",
    devices: int | str = "auto",
    save_seconds: float = 300.0,
    tensorboard: bool = False,
    overwrite: bool = False,
    quiet: bool = False,
) -> Run:
    """Pretrain an encoder on single leads of the stores' windows, guided by their clinical risk.

    The same call on the folder of an interrupted run resumes it, bit for bit on a CPU.

    Args:
        stores: a folder made by `openclef convert`, or a list of folders or Store objects, which are pooled.
        out: run folder; see `openclef.checkpoint` for what it holds.
        method: "clef", "simclr" or another of `openclef list methods`.
        backbone: resnext1d_small, resnext1d_medium or resnext1d_large.
        normalisation: "none" as in the released code, or "batch".
        risk: name of the score that guides, added before by `openclef risk`; ignored by methods without guidance.
            A store that has none of the score's inputs takes part with unknown risk: its pairs are neutral. Of a list
            of names a pair's difference is the mean over the scores that both records know ("clef" only).
        recipe: "paper" or "official", see `openclef.loss.clef_loss`.
        split: rows to train on; "val" rows, where there are any, give the validation loss.
        lead: "random", or one lead by name.
        epochs: passes over the pool.
        batch_size: records a step, over all processes; every other record of the batch is a negative, so
            gradient accumulation would not be the same thing.
        seed: of initial weights, order, leads and augmentation.
        temperature: of the cosine similarities.
        projector_dim: size of a projector after the features; 0 for none; None = the method's own: none, as in the
            released code, but for those that need one.
        weighted: weight negatives by risk difference (L_w).
        aligned: align similarity with risk (L_d).
        alignment_weight: factor of L_d.
        use_completeness: discount pairs by missing metadata.
        method_settings: further settings of the method, by name, for example {"queue_size": 4096} for "moco".
        guidance: how risk becomes pair weights.
        views: same-lead probability, noise, masking, shift and crop.
        preprocessing: rate (Hz), length (s), band (Hz) and normalisation; travels with the encoder.
        optimisation: optimiser and schedule.
        precision: "32-true" or "bf16-mixed".
        parts: of the pool, from each of which a batch takes equal shares; each process reads its own parts only. None =
            one for each process. A run of several processes equals one of a single process with as many parts.
        accelerator: "cpu", "cuda" or "auto".
        devices: devices of this host; "auto" takes what torchrun or SLURM started, else one.
        save_seconds: a checkpoint is also written within an epoch after so many seconds.
        tensorboard: write TensorBoard events as well as metrics.csv.
        overwrite: start anew in a folder that holds another run.
        quiet: print nothing.

    Returns:
        Run with its folder, history and model.

    Raises:
        ValueError: settings or stores that cannot be trained on; the message says what to do.
        FileExistsError: the folder holds another run.

    Source:
        arXiv 2512.02180; the defaults are its released code's, with the loss of the paper.

    Example:
        >>> pretrain([], "runs/x")
        Traceback (most recent call last):
        ...
        ValueError: no store was given; pass at least one, for example ["stores/ptb_xl"].
    """
    check_settings({name: each for name, each in locals().items() if name not in ("stores", "out")}, pretrain)
    if not isinstance(stores, Store) and not stores:
        raise ValueError('no store was given; pass at least one, for example ["stores/ptb_xl"].')
    if epochs < 1 or batch_size < 2 or seed < 0:
        raise ValueError(
            f"epochs is {epochs}, batch_size {batch_size} and seed {seed}; pass at least 1 epoch, at least 2 records a "
            "batch and a seed of at least 0."
        )
    given = [stores] if isinstance(stores, (str, Path, Store)) else stores
    opened = [store if isinstance(store, Store) else open_store(store) for store in given]
    for store in opened:
        _check_store(store, preprocessing, views)
    import torch
    from rich.console import Console

    from openclef.backbone import BACKBONES
    from openclef.checkpoint import finish_run, start_run
    from openclef.data import Batches
    from openclef.method import METHODS
    from openclef.model import Encoder
    from openclef.pool import fits, training_pool, validation_pool, without_inputs
    from openclef.training import fit, make_fabric
    from openclef.validation import epoch_means, make_validator

    _known(method, METHODS, "method")
    _known(backbone, BACKBONES, "backbone")
    accepted = inspect.signature(METHODS[method]).parameters
    common_settings: dict[str, Any] = {
        "projector_dim": projector_dim,
        "temperature": temperature,
        "guidance": guidance,
        "recipe": recipe,
        "weighted": weighted,
        "aligned": aligned,
        "alignment_weight": alignment_weight,
        "use_completeness": use_completeness,
    }
    settings = {
        name: value for name, value in common_settings.items() if name in accepted and value is not None
    }
    settings |= _own_settings(method, method_settings or {}, accepted, common_settings)
    guided = bool({"guidance", "training_risk"} & set(accepted))
    asked = getattr(METHODS[method], "is_guided", None)
    if asked is not None:
        guided = bool(asked(method_settings or {}))
    if guided and risk is None and (weighted or aligned or method != "clef"):
        raise ValueError(
            f"risk is None, and {method} is guided by a risk; name one of the stores' ({_risks_of(opened)}), or pass "
            "method='simclr' to pretrain without guidance."
        )
    if guided and not isinstance(risk, str | None):
        _check_several(risk, method, recipe)
    guide = risk if guided else None
    config = _configuration(locals(), opened)
    folder = Path(out)
    console = None if quiet else Console()
    fabric = make_fabric(precision, devices, accelerator)
    # Everything that can be refused is refused here, before the folder is touched.
    unguided = without_inputs(opened, guide) if guide else []
    pool = training_pool(opened, split, guide, lead, unguided)
    held_out = None if split in ("all", "val") else validation_pool(opened, guide, lead, unguided, batch_size)
    both = set() if held_out is None else set(held_out.subjects) & set(pool.subjects)
    if both:
        raise ValueError(
            f"{len(both)} subjects have records in both {split!r} and 'val'; split by subject and convert again."
        )
    config |= {
        "processes": fabric.world_size,
        "parts": fabric.world_size if parts is None else parts,
        "device": fabric.device.type,
        "pool_sha256": pool.fingerprint(),
    }
    if "training_risk" in accepted:
        settings["training_risk"] = pool.risk[np.isfinite(pool.risk)]
    torch.manual_seed(seed)
    built_with = _backbone_settings(backbone, normalisation)
    net = BACKBONES[backbone](**built_with)
    module = METHODS[method](net, **settings)
    forced: Partner | None = getattr(module, "partner", None)
    partner = forced or views.partner
    unpaired = _check_partners(pool) if partner == "subject" else ""
    common = {
        "preprocessing": preprocessing,
        "views": replace(views, partner=partner),
        "rank": fabric.global_rank,
        "world_size": fabric.world_size,
        "device": fabric.device,
        "parts": parts,
    }
    batches = Batches(pool, batch_size=batch_size, seed=seed, **common)
    pools = [each for each in (pool, held_out) if each is not None]
    if fits(pools, fabric.device, fabric.world_size):
        for each in pools:
            each.to(fabric.device, Batches(each, batch_size=batch_size, **common).windows)
    if hasattr(module, "check_batch_size"):
        module.check_batch_size(batch_size)
    _try_one_step(module, pool, common)
    module.gather = _gatherer(fabric)

    if fabric.is_global_zero:
        start_run(folder, config, overwrite=overwrite)
        if console is not None:
            _announce(console, opened, pool, held_out, method, guide, unguided, folder)
            if unpaired:
                console.print(unpaired)
    fabric.barrier()
    contrasts = getattr(module, "contrasts_batch", "temperature" in accepted)
    watch = _Watch(
        pool, batch_size, epochs, guide is not None, contrasts, guidance.weighting, recipe, console
    )
    history = fit(
        fabric,
        module,
        batches,
        folder=folder,
        epochs=epochs,
        optimisation=optimisation,
        summarise=epoch_means,
        validate=make_validator(held_out, pool, batch_size, common),
        after_epoch=watch,
        save_seconds=save_seconds,
        console=console,
        tensorboard=tensorboard,
    )
    if fabric.is_global_zero:
        encoder = Encoder(
            module.backbone.cpu(),
            preprocessing,
            name=folder.name,
            backbone_name=backbone,
            backbone_settings=built_with,
        )
        finish_run(folder, encoder, pool.subjects)
    fabric.barrier()
    return Run(folder, history, watch.said)


def _check_store(store: Store, preprocessing: Preprocessing, views: Views) -> None:
    preprocessing.check(store.fs, store.unit)
    if store.unit != "mV" and views.noise != "none" and views.noise_snr_db is None:
        raise ValueError(
            f"{store.path} is in unit {store.unit!r}, where noise of {views.noise_level_mv} mV means nothing; "
            "pass views.noise_level_mv=null with views.noise_snr_db (for example 10), or views.noise=none."
        )
    if store.seconds > preprocessing.seconds + 1e-9:
        raise ValueError(
            f"{store.path} has windows of {store.seconds:g} s and preprocessing.seconds is {preprocessing.seconds:g}; "
            f"pass preprocessing.seconds={store.seconds:g}, and views.crop_s to train on shorter stretches."
        )


def _known(name: str, table: Mapping[str, Any], what: str) -> None:
    if name not in table:
        raise ValueError(f"{what} {name!r} is unknown; pass one of {', '.join(table)}.")


def _backbone_settings(backbone: str, normalisation: str) -> dict[str, Any]:
    """Return what a backbone of one lead is built with; refuse a normalisation or one lead where it has no such."""
    from openclef.backbone import BACKBONES

    accepted = inspect.signature(BACKBONES[backbone]).parameters
    if normalisation != "none" and "normalisation" not in accepted:
        raise ValueError(f"normalisation is {normalisation!r}, and {backbone} has its own; leave it out.")
    given = {"leads": 1, "normalisation": normalisation}
    if "leads" not in accepted and getattr(BACKBONES[backbone](), "leads", 1) != 1:
        raise ValueError(f"{backbone} takes several leads at once; pretraining draws single leads.")
    return {name: value for name, value in given.items() if name in accepted}


def _own_settings(
    method: str, given: Mapping[str, Any], accepted: Mapping[str, Any], common: Mapping[str, Any]
) -> dict[str, Any]:
    """Return the settings that only this method has; refuse those that it has not."""
    own = [name for name in accepted if name not in {*common, "backbone", "training_risk"}]
    unknown = sorted(set(given) - set(own))
    if unknown:
        raise ValueError(
            f"method_settings has {', '.join(unknown)}, which are no settings of {method} alone; it has "
            f"{', '.join(own) or 'none'}. Others are arguments of their own."
        )
    from openclef.method import METHODS

    check_settings(given, METHODS[method], "method_settings.")
    return dict(given)


def _risks_of(stores: list[Store]) -> str:
    return (
        ", ".join(dict.fromkeys(name for each in stores for name in each.risks)) or "none yet: openclef risk"
    )


def _check_several(risks: Sequence[str], method: str, recipe: str) -> None:
    if not risks or len(set(risks)) < len(risks):
        raise ValueError(f"risk is {list(risks)}; pass one name, or several different ones.")
    if method != "clef" or recipe != "paper":
        raise ValueError(
            f"risk is {list(risks)}, and {method} with recipe {recipe} takes one risk; pass one name, or method='clef' "
            "with recipe='paper'."
        )


def _check_partners(pool: Any) -> str:
    """Refuse pairs of one subject's recordings where nobody has two; else say how many windows have no partner."""
    from openclef.pairing import SubjectWindows

    alone = SubjectWindows(pool).alone
    if alone == 1:
        raise ValueError(
            "no subject has two windows in one store, so second views cannot come from another recording; convert with "
            "all records of each patient, or pass another method and views.partner='window'."
        )
    return (
        f"{alone:.0%} of the windows are their subject's only one, and are paired with themselves"
        if alone
        else ""
    )


def _try_one_step(module: Any, pool: Any, common: dict[str, Any]) -> None:
    """Run two windows through the method, so that settings that cannot work are refused before anything is written."""
    import torch

    from openclef.data import Batches

    few = Batches(
        pool,
        batch_size=2,
        shuffle=False,
        **(common | {"rank": 0, "world_size": 1, "device": "cpu", "parts": None}),
    )
    with torch.no_grad():
        module.eval()(next(few.epoch(0)))


_NOT_IN_CONFIG = (
    "stores",
    "out",
    "accelerator",
    "devices",
    "save_seconds",
    "tensorboard",
    "overwrite",
    "quiet",
)


def _configuration(given: dict[str, Any], stores: list[Store]) -> dict[str, Any]:
    """Return everything that decides the result, as plain JSON types."""
    from openclef.checkpoint import run_config

    names = [n for n in inspect.signature(pretrain).parameters if n not in _NOT_IN_CONFIG]
    return run_config({name: given[name] for name in names}, stores)


class _Watch:
    """After each epoch: prints a line where there is no progress bar, and warns once of each kind of trouble."""

    def __init__(
        self,
        pool: Any,
        batch_size: int,
        epochs: int,
        guided: bool,
        contrasts: bool,
        weighting: str,
        recipe: str,
        console: Any,
    ) -> None:
        from openclef.validation import pool_facts

        self.facts = pool_facts(pool, batch_size)
        self.facts["weights_rescaled"] = float(weighting != "raw" or recipe == "official")
        self.guided, self.contrasts, self.epochs, self.console = guided, contrasts, epochs, console
        self.said: list[str] = []

    def __call__(self, row: dict[str, float]) -> None:
        from openclef.method.collapse import likely_causes

        values = {**row, **self.facts}
        if not self.guided:
            watched = ("effective_rank", "effective_rank_share", "mean_cosine", "negatives")
            values = {name: values[name] for name in watched}
        if not self.contrasts:
            values.pop("negatives")
        for sentence in likely_causes(values):
            kind = sentence.split(":")[0]
            if kind not in [each.split(":")[0] for each in self.said]:
                self.said.append(sentence)
                warnings.warn(f"epoch {row['epoch']:.0f}: {sentence}", stacklevel=2)
        if self.console is not None and (not self.console.is_terminal or row["epoch"] == self.epochs):
            self.console.print(_epoch_line(row, self.epochs))
            sys.stdout.flush()


def _gatherer(fabric: Any) -> Any:
    """Return a function that joins a tensor over all processes, passing gradients back to where they came from."""
    if fabric.world_size == 1:
        return lambda tensor: tensor

    def gather(tensor: Any) -> Any:
        joined = fabric.all_gather(tensor, sync_grads=tensor.requires_grad).flatten(0, 1)
        if joined.requires_grad:
            # torch's backward of all_gather takes memory as it lies: a gradient that is not contiguous arrives wrong.
            joined.register_hook(lambda gradient: gradient.contiguous())
        return joined

    return gather


def _announce(
    console: Any,
    stores: list[Store],
    pool: Any,
    held_out: Any,
    method: str,
    risk: Sequence[str] | str | None,
    unguided: list[str],
    folder: Path,
) -> None:
    known = np.isfinite(pool.risk).reshape(len(pool), -1).any(1).mean()
    console.print(
        f"Pretraining {method} on {len(pool):,} windows of {len(np.unique(pool.subject)):,} subjects "
        f"from {', '.join(store.path.name for store in stores)}; run folder {folder}"
    )
    if risk:
        named = risk if isinstance(risk, str) else ", ".join(risk)
        console.print(f"Guided by {named}: known for {known:.0%} of the windows")
    if unguided:
        console.print(f"Without any input of {named}, so with neutral pairs: {', '.join(unguided)}")
    if held_out is None:
        console.print(
            "No validation loss: fewer 'val' windows than one batch; the spread is that of training windows"
        )


def _epoch_line(row: dict[str, float], epochs: int) -> str:
    parts = [f"epoch {row['epoch']:.0f}/{epochs}", f"loss {row['loss']:.4f}"]
    if "val_loss" in row:
        parts.append(f"val {row['val_loss']:.4f}")
    parts.append(f"effective rank {row['effective_rank']:.1f}")
    parts.append(f"{row['records_per_second']:,.0f} records/s")
    return "  ".join(parts)
