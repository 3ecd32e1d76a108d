"""Batches for pretraining: two views of each window, made on the device.

Nothing is drawn from global random state: the order of an epoch is a function of (seed, epoch), and leads and
augmentation are functions of (seed, epoch, step, part), so a resumed run is the same run.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import torch

from openclef.augment import Views, draw_leads, make_view
from openclef.noise import load_noise_bank
from openclef.pairing import SubjectWindows
from openclef.pool import Pool, send
from openclef.preprocessing import Preprocessing

__all__ = ["Batch", "Batches", "epoch_order", "make_batch", "part_bounds", "seeded"]

# On a CPU so many windows are filtered and augmented at a time: fewer cost more calls, more leave the caches. Python's
# threads are slower than torch's here, since each call is short and they wait for one another.
_WINDOWS_AT_A_TIME = 128


class Batch:
    """Two views of each of B windows, and what guidance needs to know about them.

    A plain class on purpose: Fabric casts the tensors of tuples and dataclasses to the training precision, and risk
    in bfloat16 would lose most of its digits.

    Args:
        first: views, (B, 1, time) float32, z-scored.
        second: the other views of the same windows.
        risk: (B,) float32 in the score's unit, NaN where unknown.
        completeness: (B,) float32, share of the score's inputs that are known, 0 to 1.
        subject: (B,) int64.

    Example:
        >>> views = torch.zeros(2, 4, 1, 500)
        >>> len(Batch(views[0], views[1], torch.rand(4), torch.ones(4), torch.arange(4)).risk)
        4
    """

    def __init__(
        self,
        first: torch.Tensor,
        second: torch.Tensor,
        risk: torch.Tensor,
        completeness: torch.Tensor,
        subject: torch.Tensor,
    ) -> None:
        self.first, self.second = first, second
        self.risk, self.completeness, self.subject = risk, completeness, subject

    @classmethod
    def joined(cls, batches: Sequence[Batch]) -> Batch:
        """Join batches into one, in their order."""
        if len(batches) == 1:
            return batches[0]
        names = ("first", "second", "risk", "completeness", "subject")
        return cls(**{name: torch.cat([getattr(each, name) for each in batches]) for name in names})


def seeded(device: torch.device | str, *keys: int) -> torch.Generator:
    """Return a generator whose state is a pure function of the given integers.

    Example:
        >>> a, b = seeded("cpu", 0, 3), seeded("cpu", 0, 3)
        >>> bool(torch.equal(torch.rand(2, generator=a), torch.rand(2, generator=b)))
        True
    """
    state = int(np.random.SeedSequence([int(key) for key in keys]).generate_state(1, np.uint64)[0])
    return torch.Generator(device=device).manual_seed(state % (2**63))


def epoch_order(n: int, seed: int, epoch: int, part: int | None = None) -> np.ndarray:
    """Return the order of an epoch: a permutation of 0..n-1 that is a function of (seed, epoch) and of a part, if any.

    Example:
        >>> epoch_order(5, seed=0, epoch=1).tolist() == epoch_order(5, seed=0, epoch=1).tolist()
        True
    """
    keys = [seed, epoch] if part is None else [seed, epoch, part]
    return np.random.default_rng(np.random.SeedSequence(keys)).permutation(n)


def part_bounds(n: int, parts: int) -> np.ndarray:
    """Return where each of so many parts of 0..n-1 begins, and n; parts differ by one at most.

    Example:
        >>> part_bounds(10, 3).tolist()
        [0, 3, 6, 10]
    """
    return np.arange(parts + 1) * n // parts


def make_batch(
    pool: Pool,
    index: np.ndarray,
    *,
    preprocessing: Preprocessing,
    views: Views,
    generator: torch.Generator,
    device: torch.device | str = "cpu",
    noise_bank: dict[str, torch.Tensor] | None = None,
    by_subject: SubjectWindows | None = None,
) -> Batch:
    """Draw leads for the windows `index` of the pool, filter, augment and z-score: two views of each.

    Args:
        pool: the windows.
        index: (B,) integers into the pool.
        preprocessing: the model's; `filter` comes before augmentation, `standardise` last.
        views: how a view differs from its source.
        generator: all randomness comes from it; on the same device. If that is no CPU, leads are drawn from a CPU's
            generator of the same seed, so that they are known without waiting.
        device: where the batch is made.
        noise_bank: recorded noise, see `augment.load_noise_bank`.
        by_subject: where second views are drawn from; None = the same windows.

    Returns:
        A Batch of len(index) pairs, in the order of `index`.

    Example:
        >>> import tempfile
        >>> from openclef.simulator.cohort import simulate
        >>> store = simulate(tempfile.mkdtemp() + "/sim", patients=8, workers=1)
        >>> pool = Pool([store], split="all", lead="I")
        >>> settings = {"preprocessing": Preprocessing(fs=125), "views": Views(crop_s=8.0)}
        >>> batch = make_batch(pool, np.array([5, 2]), generator=seeded("cpu", 0), **settings)
        >>> batch.first.shape
        torch.Size([2, 1, 1000])
    """
    firsts: list[torch.Tensor] = []
    seconds: list[torch.Tensor] = []
    order = []
    owner = pool.owner[index]
    for_leads = generator
    if generator.device.type != "cpu":
        for_leads = torch.Generator().manual_seed(generator.initial_seed())
    partners = index if by_subject is None else by_subject.draw(index, for_leads)
    for number in np.unique(owner):
        at = np.flatnonzero(owner == number)
        rows, others = pool.row[index[at]], pool.row[partners[at]]
        available = pool.available[number][rows]
        if by_subject is not None:
            available = available & pool.available[number][others]
        leads = _drawn_leads(available, views, for_leads)
        step = _WINDOWS_AT_A_TIME if torch.device(device).type == "cpu" else len(at)
        for start in range(0, len(at), step):
            part = slice(start, start + step)
            of_part = leads[0][part], leads[1][part]
            both = _filtered(pool, int(number), rows[part], others[part], *of_part, preprocessing, device)
            for (signal, valid), made in zip(both, (firsts, seconds), strict=True):
                view, kept = make_view(
                    signal, preprocessing.fs, views, generator, bank=noise_bank, valid=valid
                )
                made.append(preprocessing.standardise(view, kept))
        order.append(at)
    joined = [firsts[0], seconds[0]] if len(firsts) == 1 else [torch.cat(firsts), torch.cat(seconds)]
    if len(order) > 1:
        back = send(np.argsort(np.concatenate(order)), device)
        joined = [each.index_select(0, back) for each in joined]
    return Batch(
        first=joined[0],
        second=joined[1],
        risk=send(pool.risk[index], device),
        completeness=send(pool.completeness[index], device),
        subject=send(pool.subject[index], device),
    )


def _drawn_leads(
    available: np.ndarray, views: Views, generator: torch.Generator
) -> tuple[np.ndarray, np.ndarray]:
    first, second = draw_leads(
        *available.shape,
        same_lead_probability=views.same_lead_probability,
        generator=generator,
        available=torch.from_numpy(available),
    )
    return first.numpy(), second.numpy()


Filtered = tuple[torch.Tensor, torch.Tensor | None]


def _filtered(
    pool: Pool,
    number: int,
    rows: np.ndarray,
    others: np.ndarray,
    first: np.ndarray,
    second: np.ndarray,
    preprocessing: Preprocessing,
    device: torch.device | str,
) -> tuple[Filtered, Filtered]:
    """Return the filtered signals of both views of each window, and which of their samples were recorded (None = all).

    `rows` and `first` are the rows and leads of first views, `others` and `second` those of second ones. Where they are
    the same it is read and filtered once.
    """
    other = np.flatnonzero((first != second) | (rows != others))
    of_second = np.arange(len(rows))
    of_second[other] = len(rows) + np.arange(len(other))
    leads = np.concatenate([first, second[other]])
    signal, complete = pool.read(number, np.concatenate([rows, others[other]]), leads, device)
    fs, chosen = pool.stores[number].fs, send(of_second, device)
    filtered = preprocessing.filter(signal, fs, complete)
    both = filtered[: len(rows)], filtered.index_select(0, chosen)
    if complete and preprocessing.is_filled_by(signal.shape[-1], fs):
        return (both[0], None), (both[1], None)
    valid = preprocessing.valid(signal, fs)
    return (both[0], valid[: len(rows)]), (both[1], valid.index_select(0, chosen))


class Batches:
    """All batches of an epoch, for one rank; an incomplete last batch is left out.

    The pool is cut into parts of neighbouring windows, in the order of stores and shards. Each batch takes as many
    windows of each part, and a process reads the windows of its own parts only, so that it touches, and holds in
    memory, its own part of the shards. What a batch holds depends on the number of parts, not on that of processes.

    Args:
        pool: the windows.
        batch_size: windows over all ranks together; each rank takes its share of every batch.
        preprocessing: the model's, see `make_batch`.
        views: see `make_batch`.
        seed: of order, leads and augmentation.
        rank: number of this process.
        world_size: of so many.
        device: where the batches are made.
        parts: of the pool, a multiple of world_size; None = one for each process.
        shuffle: a permutation of each part an epoch; False keeps the pool's order and draws the same views every
            epoch (validation).

    Raises:
        ValueError: batch_size is not a multiple of parts, or they of world_size, or the pool is smaller than one batch.

    Example:
        >>> import tempfile
        >>> from openclef.simulator.cohort import simulate
        >>> store = simulate(tempfile.mkdtemp() + "/sim", patients=8, workers=1)
        >>> settings = {"preprocessing": Preprocessing(fs=125), "views": Views(crop_s=8.0)}
        >>> batches = Batches(Pool([store], split="all"), batch_size=4, **settings)
        >>> len(batches), len(list(batches.epoch(0, start=1)))
        (2, 1)
    """

    def __init__(
        self,
        pool: Pool,
        *,
        batch_size: int,
        preprocessing: Preprocessing,
        views: Views,
        seed: int = 0,
        rank: int = 0,
        world_size: int = 1,
        device: torch.device | str = "cpu",
        parts: int | None = None,
        shuffle: bool = True,
    ) -> None:
        if batch_size < 2 or batch_size % world_size:
            raise ValueError(
                f"batch_size {batch_size} cannot be shared by {world_size} processes; "
                "pass a multiple of their number, at least 2."
            )
        parts = world_size if parts is None else parts
        if parts < 1 or parts % world_size or batch_size % parts:
            raise ValueError(
                f"parts is {parts} with {world_size} processes and batch_size {batch_size}; pass a multiple of the "
                "number of processes that divides the batch, or leave it out."
            )
        if len(pool) < batch_size:
            raise ValueError(
                f"the pool has {len(pool)} windows, fewer than one batch of {batch_size}; "
                "pass a smaller batch_size or more records."
            )
        self.pool, self.batch_size = pool, batch_size
        self.preprocessing, self.views = preprocessing, views
        self.seed, self.device, self.shuffle = seed, device, shuffle
        own = parts // world_size
        self.parts = range(rank * own, (rank + 1) * own)
        self.share = batch_size // parts
        self.bounds = part_bounds(len(pool), parts)
        self.by_subject = SubjectWindows(pool) if views.partner == "subject" else None
        self.noise_bank: dict[str, torch.Tensor] | None = None
        if views.noise == "recorded" and views.noise_file is not None:
            bank = load_noise_bank(views.noise_file, fs=preprocessing.fs)
            self.noise_bank = {kind: values.to(device) for kind, values in bank.items()}

    @property
    def windows(self) -> np.ndarray:
        """Windows of the pool that this process reads."""
        return np.arange(self.bounds[self.parts.start], self.bounds[self.parts.stop])

    def __len__(self) -> int:
        return int(np.diff(self.bounds).min()) // self.share

    def epoch(self, epoch: int, start: int = 0) -> Iterator[Batch]:
        """Yield the batches of `epoch` from batch number `start` on; those read from shards are made one ahead."""
        several = len(self.bounds) > 2
        shown = epoch if self.shuffle else 0
        orders = {}
        for part in self.parts:
            first, end = self.bounds[part : part + 2]
            order = (
                epoch_order(end - first, self.seed, epoch, part if several else None)
                if self.shuffle
                else np.arange(end - first)
            )
            order += first
            orders[part] = order

        def make(step: int) -> Batch:
            return Batch.joined(
                [
                    make_batch(
                        self.pool,
                        order[step * self.share : (step + 1) * self.share],
                        preprocessing=self.preprocessing,
                        views=self.views,
                        generator=seeded(self.device, self.seed, shown, step, part, int(self.shuffle)),
                        device=self.device,
                        noise_bank=self.noise_bank,
                        by_subject=self.by_subject,
                    )
                    for part, order in orders.items()
                ]
            )

        if self.pool.resident:
            yield from (make(step) for step in range(start, len(self)))
            return
        with ThreadPoolExecutor(1) as reader:
            waiting = [reader.submit(make, step) for step in range(start, min(start + 2, len(self)))]
            for step in range(start, len(self)):
                batch = waiting.pop(0).result()
                if step + 2 < len(self):
                    waiting.append(reader.submit(make, step + 2))
                yield batch
