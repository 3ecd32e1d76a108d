"""The one training loop, on Lightning Fabric: from batches to weights, resumable at any step."""

from __future__ import annotations

import atexit
import logging
import math
import os
import signal
import time
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import timedelta
from pathlib import Path
from types import FrameType
from typing import Any, Protocol

import lightning_fabric
import pandas as pd
import torch
from lightning_fabric.strategies import DDPStrategy
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from torch import nn

from openclef.checkpoint import read_checkpoint, write_checkpoint
from openclef.optimisation import Optimisation, learning_rate_at
from openclef.store import write_atomically

__all__ = ["EpochBatches", "fit", "make_fabric", "make_optimizer"]

ASK_STEPS = 16
LOST_AFTER = timedelta(minutes=10)  # of silence, after which the others give a process up


class EpochBatches(Protocol):
    """What `fit` draws from: batches of an epoch, from any step on, the same each time they are asked for.

    Example:
        >>> class Two:
        ...     batch_size = 4
        ...     def __len__(self): return 2
        ...     def epoch(self, epoch, start=0): return iter(["first", "second"][start:])
        >>> batches: EpochBatches = Two()
        >>> list(batches.epoch(0, start=1))
        ['second']
    """

    batch_size: int

    def __len__(self) -> int: ...

    def epoch(self, epoch: int, start: int = 0) -> Iterator[Any]:
        """Yield the batches of an epoch from number `start` on."""
        ...


def make_fabric(precision: str = "32-true", devices: int | str = "auto", accelerator: str = "auto") -> Any:
    """Return a launched Fabric: under torchrun or SLURM one process of many, else this process alone.

    Args:
        precision: "32-true" or "bf16-mixed".
        devices: number of devices of this host, or "auto": what the launcher started, else one.
        accelerator: "cpu", "cuda" or "auto".

    Returns:
        lightning_fabric.Fabric.

    Example:
        >>> make_fabric(accelerator="cpu").world_size
        1
    """
    logging.getLogger("lightning_fabric").setLevel(logging.WARNING)  # it announces precision and ranks
    nodes = 1
    if devices == "auto":
        if "LOCAL_WORLD_SIZE" in os.environ and "TORCHELASTIC_RUN_ID" in os.environ:
            devices = int(os.environ["LOCAL_WORLD_SIZE"])
            nodes = int(os.environ["WORLD_SIZE"]) // devices
        elif "SLURM_NTASKS" in os.environ and "SLURM_JOB_ID" in os.environ and "SLURM_PROCID" in os.environ:
            nodes = int(os.environ.get("SLURM_NNODES", 1))
            devices = int(os.environ["SLURM_NTASKS"]) // nodes
        else:
            devices = 1
    several = int(devices) * nodes > 1
    # Fabric's own gathering still goes by a name that torch has deprecated; nothing for a user to act on.
    warnings.filterwarnings("ignore", message="torch.distributed.nn.functional.all_gather is deprecated")
    fabric = lightning_fabric.Fabric(
        accelerator=accelerator,
        devices=int(devices),
        num_nodes=nodes,
        strategy=DDPStrategy(timeout=LOST_AFTER) if several else "auto",
        precision=precision,  # type: ignore[arg-type]
    )
    fabric.launch()
    if several:
        atexit.register(_leave_group)
        found = (
            torch.distributed.get_world_size() if torch.distributed.is_initialized() else fabric.world_size
        )
        if found != fabric.world_size:
            raise ValueError(
                f"{found} processes were started on {nodes} host(s), not {devices} on each; start as many processes on "
                "every host, for example torchrun --nnodes 2 --nproc_per_node 4."
            )
    return fabric


def _leave_group() -> None:
    """Leave the process group before Python ends: gloo's threads, left running, can abort a process that is done."""
    if torch.distributed.is_initialized():
        torch.distributed.destroy_process_group()


class _Stop:
    """Remembers that the process was asked to end, so that the loop can save first."""

    def __init__(self) -> None:
        self.asked = False
        self._before: dict[int, Any] = {}

    def __enter__(self) -> _Stop:
        for number in (signal.SIGTERM, signal.SIGUSR1, signal.SIGINT):
            try:
                self._before[number] = signal.signal(number, self._ask)
            except ValueError:  # not in the main thread: the caller keeps its own handling
                break
        return self

    def _ask(self, number: int, frame: FrameType | None) -> None:
        if self.asked and number == signal.SIGINT:
            raise KeyboardInterrupt  # a second Ctrl-C does not wait for the step
        self.asked = True

    def __exit__(self, *args: object) -> None:
        for number, before in self._before.items():
            signal.signal(number, before)


def fit(
    fabric: Any,
    module: nn.Module,
    batches: EpochBatches,
    *,
    folder: Path,
    epochs: int,
    optimisation: Optimisation,
    summarise: Callable[[list[Any]], dict[str, float]],
    validate: Callable[[nn.Module], dict[str, float]] | None = None,
    after_epoch: Callable[[dict[str, float]], None] | None = None,
    groups: Sequence[dict[str, Any]] | None = None,
    stop: Callable[[list[dict[str, float]]], bool] | None = None,
    best: str | None = None,
    save_seconds: float = 300.0,
    console: Console | None = None,
    tensorboard: bool = False,
) -> list[dict[str, float]]:
    """Train `module` for `epochs` and leave a checkpoint after each; resume where the folder's checkpoint stands.

    Every number that decides the weights is a function of (seed, epoch, step), so a run that was killed and
    resumed ends with the weights of one that was not, bit for bit on a CPU.

    Args:
        fabric: from `make_fabric`.
        module: its forward takes a batch and returns a step with `.loss`; trained in place.
        batches: see `EpochBatches`.
        folder: run folder for checkpoint.pt, metrics.csv and TensorBoard events.
        epochs: of the whole run.
        optimisation: optimiser and schedule.
        summarise: from the detached scalars of each step of an epoch (loss, terms, weights) to named numbers.
        validate: called after each epoch with the module; returns named numbers.
        after_epoch: called with the epoch's row, on rank 0.
        groups: parameters by group, each a dict with "params" and "rate_factor", by which the group's learning rate
            differs from the schedule's; None = all parameters at the schedule's rate.
        stop: from the history to whether training ends there (early stopping); asked before each epoch but the first.
        best: a column of the history: the weights of the epoch where it was lowest are kept and, at the end, put
            back into `module`; None = those of the last epoch.
        save_seconds: a checkpoint is also left within an epoch after so many seconds.
        console: where progress goes; None is silent.
        tensorboard: write TensorBoard events too (needs the extra "tensorboard").

    Returns:
        The history: one dict an epoch.

    Raises:
        FloatingPointError: the loss is no longer finite.
        SystemExit: SIGTERM, SIGUSR1 or Ctrl-C came; the state is saved and the same call resumes it.

    Example:
        >>> import tempfile
        >>> from openclef.method.step import Step
        >>> class Slope(nn.Module):
        ...     def __init__(self):
        ...         super().__init__()
        ...         self.slope = nn.Parameter(torch.zeros(()))
        ...     def forward(self, target):
        ...         loss = (self.slope - target).square()
        ...         return Step(loss, {}, target, target, {})
        >>> class Targets:
        ...     batch_size = 1
        ...     def __len__(self): return 100
        ...     def epoch(self, epoch, start=0): return iter([torch.tensor(3.0)] * (100 - start))
        >>> module = Slope()
        >>> last = lambda seen: {"loss": float(seen[-1]["loss"].detach())}
        >>> history = fit(make_fabric(accelerator="cpu"), module, Targets(), folder=Path(tempfile.mkdtemp()), epochs=2,
        ...               optimisation=Optimisation(learning_rate=0.1, schedule="cosine"), summarise=last)
        >>> round(float(module.slope), 1)
        3.0
    """
    state = read_checkpoint(folder)
    optimizer = make_optimizer(module.parameters() if groups is None else groups, optimisation, fabric.device)
    history: list[dict[str, float]] = []
    first_epoch = first_step = 0
    seen: list[Any] = []
    kept: dict[str, torch.Tensor] = {}  # weights of the best epoch, on the CPU
    if state is not None:
        absent = {"module", "optimizer", "history", "epoch", "step", "seen"} - state.keys()
        if absent:
            raise ValueError(
                f"{folder / 'checkpoint.pt'} lacks {', '.join(sorted(absent))}; delete it to start the run anew."
            )
        module.load_state_dict(state["module"])
        history, first_epoch, first_step = state["history"], state["epoch"], state["step"]
        seen = [{name: value.to(fabric.device) for name, value in each.items()} for each in state["seen"]]
        kept = state.get("kept", {})
    _check_same_start(fabric, folder, first_epoch, first_step)
    wrapped, optimizer = fabric.setup(module, optimizer)
    if state is not None:
        optimizer.load_state_dict(state["optimizer"])

    def save(epoch: int, step: int) -> None:
        if not fabric.is_global_zero:
            return
        written = {
            "epoch": epoch,
            "step": step,
            "module": module.state_dict(),
            "optimizer": optimizer.state_dict(),
            "history": history,
            "seen": seen,
        }
        write_checkpoint(folder, written if best is None else written | {"kept": kept})
        if history:
            table = pd.DataFrame(history)
            write_atomically(folder / "metrics.csv", lambda path: table.to_csv(path, index=False))

    writer = _event_writer(folder, first_epoch) if tensorboard and fabric.is_global_zero else None
    steps = len(batches)
    shown = console if fabric.is_global_zero else None
    with (
        _Stop() as interruption,
        _progress(shown, epochs * steps, first_epoch * steps + first_step) as advance,
    ):
        saved_at = time.monotonic()
        for epoch in range(first_epoch, epochs):
            if stop is not None and history and _any_rank(fabric, stop(history)):
                break
            started = time.monotonic()
            begin = first_step if epoch == first_epoch else 0
            module.train()
            step = begin
            for step, batch in enumerate(batches.epoch(epoch, begin), start=begin):
                rate = learning_rate_at(optimisation, epoch, step, steps, epochs)
                for group in optimizer.param_groups:
                    group["lr"] = rate * group.get("rate_factor", 1.0)
                outcome = wrapped(batch)
                fabric.backward(outcome.loss)
                if optimisation.clip_norm is not None:
                    fabric.clip_gradients(wrapped, optimizer, max_norm=optimisation.clip_norm)
                optimizer.step()
                optimizer.zero_grad(set_to_none=True)
                seen.append(_kept(outcome))
                advance(1, batches.batch_size, history[-1] if history else {})
                late = time.monotonic() - saved_at > save_seconds
                asked = _any_rank_at(fabric, interruption.asked, step)
                if (late or asked) and step + 1 < steps:
                    _check_finite(seen, epoch, step)
                    save(epoch, step + 1)
                    saved_at = time.monotonic()
                    if asked:
                        _leave(fabric, shown, folder, epoch, step + 1)
            _check_finite(seen, epoch, step)
            seconds = time.monotonic() - started
            row = {"epoch": float(epoch + 1), "learning_rate": rate, **summarise(seen)}
            row["records_per_second"] = (steps - begin) * batches.batch_size / seconds
            if validate is not None:
                module.eval()
                row.update(validate(wrapped))
            history.append(row)
            if best is not None and _is_lowest(history, best):
                kept = {name: value.detach().cpu().clone() for name, value in module.state_dict().items()}
            seen = []
            save(epoch + 1, 0)
            saved_at = time.monotonic()
            if fabric.is_global_zero:
                if writer is not None:
                    for name, value in row.items():
                        writer.add_scalar(name, value, epoch + 1)
                if after_epoch is not None:
                    after_epoch(row)
            if _any_rank(fabric, interruption.asked) and epoch + 1 < epochs:
                _leave(fabric, shown, folder, epoch + 1, 0)
    if writer is not None:
        writer.close()
    if kept:
        module.load_state_dict(kept)
    module.eval()
    return history


def _check_same_start(fabric: Any, folder: Path, epoch: int, step: int) -> None:
    """Refuse processes that found different checkpoints, as they do where the run folder is not shared."""
    if fabric.world_size == 1:
        return
    starts = fabric.all_gather(torch.tensor([epoch, step], device=fabric.device)).view(-1, 2)
    if bool((starts != starts[0]).any()):
        raise ValueError(
            f"processes resume {folder} at different places, (epoch, step) {starts.tolist()}; put the run folder where "
            "all hosts see the same files, or delete its checkpoint.pt everywhere."
        )


def make_optimizer(
    parameters: Iterable[nn.Parameter] | Sequence[dict[str, Any]],
    optimisation: Optimisation,
    device: torch.device,
) -> torch.optim.Optimizer:
    """Return the optimiser of a run: AdamW, fused.

    Args:
        parameters: all, or groups, each a dict with "params".
        optimisation: its settings.
        device: where the parameters are.

    Example:
        >>> weights = [nn.Parameter(torch.zeros(1))]
        >>> make_optimizer(weights, Optimisation(learning_rate=0.1), torch.device("cpu")).param_groups[0]["lr"]
        0.1
    """
    return torch.optim.AdamW(
        parameters,
        lr=optimisation.learning_rate,
        betas=optimisation.betas,
        weight_decay=optimisation.weight_decay,
        fused=device.type in ("cpu", "cuda"),
    )


def _kept(outcome: Any) -> dict[str, torch.Tensor]:
    return {"loss": outcome.loss.detach(), **outcome.terms, **outcome.weights}


def _is_lowest(history: list[dict[str, float]], column: str) -> bool:
    """Whether the newest epoch is the first one, or lower than every one before it; NaN counts as the highest."""
    before = [row[column] for row in history[:-1] if not math.isnan(row[column])]
    return len(history) == 1 or history[-1][column] < min(before, default=math.inf)


def _check_finite(seen: list[dict[str, torch.Tensor]], epoch: int, step: int) -> None:
    if seen and not bool(torch.isfinite(seen[-1]["loss"])):
        raise FloatingPointError(
            f"the loss is {float(seen[-1]['loss'])} at epoch {epoch + 1}, step {step + 1}; the last checkpoint is "
            "kept. Lower optimisation.learning_rate, set optimisation.clip_norm=1.0, or use precision 32-true."
        )


def _any_rank_at(fabric: Any, asked: bool, step: int) -> bool:
    """Whether any process was asked to end; several compare every `ASK_STEPS` steps only, since that halts them."""
    return _any_rank(fabric, asked) if fabric.world_size == 1 or step % ASK_STEPS == 0 else False


def _any_rank(fabric: Any, asked: bool) -> bool:
    if fabric.world_size == 1:
        return asked
    return bool(fabric.all_reduce(torch.tensor(float(asked), device=fabric.device), reduce_op="sum") > 0)


def _leave(fabric: Any, console: Console | None, folder: Path, epoch: int, step: int) -> None:
    fabric.barrier()  # a process that ends makes launchers end the others, rank 0 in the middle of its checkpoint too
    if console is not None:
        console.print(
            f"Asked to stop: saved {folder} at epoch {epoch}, step {step}. Run the same command to resume."
        )
    raise SystemExit(143)


def _event_writer(folder: Path, first_epoch: int) -> Any:
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError as error:
        raise ImportError(
            'TensorBoard logs were asked for but tensorboard is not installed; pip install "openclef[tensorboard]", '
            "or pass tensorboard=False."
        ) from error
    return SummaryWriter(str(folder / "tensorboard"), purge_step=first_epoch + 1)


class _progress:
    """A rich progress line with records/s and time left; on a console that is no terminal, nothing."""

    def __init__(self, console: Console | None, total: int, done: int) -> None:
        self.progress: Progress | None = None
        self.rate: float = math.nan
        self.started = time.monotonic()
        self.records = 0
        if console is not None and console.is_terminal:
            self.progress = Progress(
                TextColumn("{task.description}"),
                BarColumn(),
                TextColumn("{task.percentage:.0f}%"),
                TimeElapsedColumn(),
                TextColumn("left"),
                TimeRemainingColumn(),
                console=console,
            )
            self.task = self.progress.add_task("training", total=total, completed=done)

    def __enter__(self) -> Callable[[int, int, dict[str, float]], None]:
        if self.progress is not None:
            self.progress.start()
        return self.advance

    def advance(self, steps: int, records: int, last: dict[str, float]) -> None:
        if self.progress is None:
            return
        self.records += records
        rate = self.records / max(time.monotonic() - self.started, 1e-9)
        loss = f" loss {last['loss']:.3f}" if "loss" in last else ""
        self.progress.update(self.task, advance=steps, description=f"{rate:,.0f} records/s{loss}")

    def __exit__(self, *args: object) -> None:
        if self.progress is not None:
            self.progress.stop()
