"""Batches for pretraining: rows of one or more stores, one or two leads each, on the device.

A `Pool` joins the windows of several stores (each keeps its own rate, unit and leads) with their risk,
completeness and subject. Nothing is drawn from global random state: the order of an epoch is a function of
(seed, epoch), and leads and augmentation are functions of (seed, step, rank), so a resumed run is the same run.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pandas as pd
import torch

from openclef.augment import Views, draw_leads, make_view
from openclef.noise import load_noise_bank
from openclef.preprocessing import Preprocessing
from openclef.shards import MISSING
from openclef.store import Store

__all__ = ["Batch", "Batches", "NoWindows", "Pool", "epoch_order", "fits", "make_batch", "seeded"]

RESIDENT_BYTES = (
    4 * 2**30
)  # signals up to this size are held in memory; larger pools are read from the shards


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


def seeded(device: torch.device | str, *keys: int) -> torch.Generator:
    """Return a generator whose state is a pure function of the given integers.

    Example:
        >>> a, b = seeded("cpu", 0, 3), seeded("cpu", 0, 3)
        >>> bool(torch.equal(torch.rand(2, generator=a), torch.rand(2, generator=b)))
        True
    """
    state = int(np.random.SeedSequence([int(key) for key in keys]).generate_state(1, np.uint64)[0])
    return torch.Generator(device=device).manual_seed(state % (2**63))


def epoch_order(n: int, seed: int, epoch: int) -> np.ndarray:
    """Return the order of an epoch: a permutation of 0..n-1 that is a function of (seed, epoch).

    Example:
        >>> epoch_order(5, seed=0, epoch=1).tolist() == epoch_order(5, seed=0, epoch=1).tolist()
        True
    """
    return np.random.default_rng(np.random.SeedSequence([seed, epoch])).permutation(n)


class NoWindows(ValueError):
    """A pool would be empty.

    Example:
        >>> issubclass(NoWindows, ValueError)
        True
    """


class Pool:
    """Windows of several stores with their risk, completeness and subject.

    A record that stands in two stores of one subject namespace is taken from the first of them only.

    Args:
        stores: stores to draw from; their rates, units and leads may differ.
        split: rows whose `split` equals this; "all" takes every row.
        risk: name of a risk that each store holds (`Store.add_risk`), or None for no guidance. A store without
            age and sex columns takes part with unknown risk only if `unguided` names it.
        lead: "random", or the name of one lead that every store must have.
        unguided: names or folder names of stores that have no metadata; their pairs are neutral.

    Raises:
        ValueError: no window in the split, an unknown lead, or a store without the risk.

    Example:
        >>> Pool([], split="train", risk=None)
        Traceback (most recent call last):
        ...
        ValueError: no store was given; pass at least one, for example [openclef.open_store("stores/ptb_xl")].
    """

    def __init__(
        self,
        stores: Sequence[Store],
        *,
        split: str = "train",
        risk: str | None = None,
        lead: str = "random",
        unguided: Sequence[str] = (),
    ) -> None:
        if not stores:
            raise ValueError(
                'no store was given; pass at least one, for example [openclef.open_store("stores/ptb_xl")].'
            )
        self.stores = list(stores)
        self.lead = lead
        rows, owner, values, completeness, subject_keys = [], [], [], [], []
        taken: dict[str, set[str]] = {}  # per namespace: records of the stores before
        self.available: list[np.ndarray] = []  # per store: (rows of the store, lead) bool
        for number, store in enumerate(self.stores):
            if lead != "random" and lead not in store.leads:
                raise ValueError(
                    f"lead {lead!r} is not in store {store.path}, which has {', '.join(store.leads)}; "
                    'pass one of them, or lead="random".'
                )
            available = _available_leads(store)
            if lead != "random":
                available = available[:, [store.leads.index(lead)]]
            self.available.append(available)
            chosen = (
                np.ones(len(store), bool) if split == "all" else store.records["split"].to_numpy() == split
            )
            chosen &= available.any(axis=1)
            record_ids = store.records["record_id"]
            before = taken.setdefault(store.subject_namespace, set())
            chosen &= ~record_ids.isin(before).to_numpy()
            before |= set(record_ids)
            at = np.flatnonzero(chosen)
            rows.append(at)
            owner.append(np.full(len(at), number))
            subject_keys.append(store.subjects()[at])
            if risk is None or store.name in unguided or store.path.name in unguided:
                values.append(np.full(len(at), np.nan, np.float32))
                completeness.append(np.zeros(len(at), np.float32))
            else:
                table = store.risk(risk)
                values.append(table["value"].to_numpy(np.float32)[at])
                completeness.append(table["completeness"].to_numpy(np.float32)[at])
        self.row = np.concatenate(rows)
        self.owner = np.concatenate(owner)
        self.subject_hash = np.concatenate(subject_keys)
        self.subject = pd.factorize(self.subject_hash)[0].astype(np.int64)
        self.risk = np.concatenate(values)
        self.completeness = np.concatenate(completeness)
        if len(self.row) == 0:
            splits = pd.concat([store.records["split"] for store in self.stores])
            found = sorted(map(str, splits.unique()))
            if split == "all" or split in found:
                raise NoWindows(
                    f"all windows of split {split!r} are flat or mostly missing in lead {lead!r}; "
                    "look at the column `flags` of the store's records, and at unit and scale of its source."
                )
            raise NoWindows(
                f"no window has split {split!r}; the stores have the splits {found}; pass one of them, or 'all'."
            )
        self._resident: list[torch.Tensor | None] = [None] * len(self.stores)
        self._place: list[np.ndarray] = [np.empty(0, np.int64)] * len(
            self.stores
        )  # row of the store -> held row

    def __len__(self) -> int:
        return len(self.row)

    def fingerprint(self) -> str:
        """Return a hash of which windows the pool has, whose they are, and what is known of their risk."""
        digest = hashlib.sha256(json.dumps([self.lead, self.subject_hash.tolist()]).encode())
        for array in (self.owner, self.row, self.risk, self.completeness):
            digest.update(np.ascontiguousarray(array).tobytes())
        return digest.hexdigest()

    @property
    def resident(self) -> bool:
        """Whether all signals that the pool uses are held in memory (`to`)."""
        return all(held is not None or not (self.owner == n).any() for n, held in enumerate(self._resident))

    @property
    def nbytes(self) -> int:
        """Bytes that the windows of the pool take as int16, in the leads that it draws from."""
        used = np.bincount(self.owner, minlength=len(self.stores))
        return int(
            sum(n * len(self._leads(k)) * s.samples * 2 for k, (s, n) in enumerate(zip(self.stores, used)))
        )

    def _leads(self, number: int) -> list[str]:
        return list(self.stores[number].leads) if self.lead == "random" else [self.lead]

    def to(self, device: torch.device | str) -> Pool:
        """Hold the windows of the pool on `device` as int16, so that a batch is one gather; returns the pool."""
        for number, store in enumerate(self.stores):
            used = np.unique(self.row[self.owner == number])
            if len(used) == 0:
                continue
            self._place[number] = np.zeros(len(store), np.int64)
            self._place[number][used] = np.arange(len(used))
            self._resident[number] = torch.from_numpy(store.read_raw(used, self._leads(number))).to(device)
        return self

    def read(
        self, number: int, rows: np.ndarray, lead: np.ndarray, device: torch.device | str
    ) -> torch.Tensor:
        """Read one lead of each row of a store.

        Args:
            number: which store.
            rows: (n,) rows of it that the pool uses.
            lead: (n,) integers into the leads that the pool draws from.
            device: where to.

        Returns:
            (n, 1, time) float32 in the store's unit, NaN = missing.
        """
        store, resident = self.stores[number], self._resident[number]
        if resident is not None:
            place = torch.from_numpy(self._place[number][rows]).to(resident.device)
            raw = resident[place, torch.from_numpy(lead).to(resident.device)]
        else:
            offset = store.leads.index(self.lead) if self.lead != "random" else 0
            raw = torch.from_numpy(_read_each(store, rows, lead + offset))
        raw = raw.to(device, non_blocking=True)
        signal = raw.to(torch.float32) * store.scale
        return torch.where(raw == MISSING, torch.nan, signal)[:, None, :]


def fits(pools: Sequence[Pool], device: torch.device | str) -> bool:
    """Tell whether pools may be held on a device: in half of what is free on a GPU, else in `RESIDENT_BYTES`.

    Args:
        pools: what would be held.
        device: where.

    Example:
        >>> fits([], "cpu")
        True
    """
    needed = sum(pool.nbytes for pool in pools)
    if torch.device(device).type == "cuda":
        return needed <= torch.cuda.mem_get_info(device)[0] // 2
    return needed <= RESIDENT_BYTES


def _available_leads(store: Store) -> np.ndarray:
    """Return (rows, lead) bool: leads with enough recorded, changing samples to learn from."""
    flags = store.records["flags"].to_numpy()
    available = np.ones((len(store), len(store.leads)), bool)
    for row in np.flatnonzero(flags != ""):
        for flag in flags[row].split(";"):
            kind, _, name = flag.partition(":")
            if kind in ("flat", "mostly_missing") and name in store.leads:
                available[row, store.leads.index(name)] = False
    return available


def _read_each(store: Store, rows: np.ndarray, lead: np.ndarray) -> np.ndarray:
    """Return (n, time) int16: for each row its own lead, read shard by shard from the memory maps."""
    shard = store.records["shard"].to_numpy()[rows]
    within = store.records["row"].to_numpy()[rows]
    out = np.empty((len(rows), store.samples), np.int16)
    for number in np.unique(shard):
        at = np.flatnonzero(shard == number)
        at = at[np.argsort(within[at], kind="stable")]
        out[at] = store.signals(int(number))[within[at], lead[at]]
    return out


def make_batch(
    pool: Pool,
    index: np.ndarray,
    *,
    preprocessing: Preprocessing,
    views: Views,
    generator: torch.Generator,
    device: torch.device | str = "cpu",
    noise_bank: dict[str, torch.Tensor] | None = None,
) -> Batch:
    """Draw leads for the windows `index` of the pool, filter, augment and z-score: two views of each.

    Args:
        pool: the windows.
        index: (B,) integers into the pool.
        preprocessing: the model's; `filter` comes before augmentation, `standardise` last.
        views: how a view differs from its source.
        generator: all randomness comes from it; on the same device.
        device: where the batch is made.
        noise_bank: recorded noise, see `augment.load_noise_bank`.

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
    first_parts, second_parts, order = [], [], []
    owner = pool.owner[index]
    for number in np.unique(owner):
        at = np.flatnonzero(owner == number)
        store, rows = pool.stores[number], pool.row[index[at]]
        available = pool.available[number][rows]
        first, second = draw_leads(
            len(at),
            available.shape[1],
            same_lead_probability=views.same_lead_probability,
            generator=generator,
            available=torch.from_numpy(available).to(device),
        )
        chosen = torch.cat([first, second]).cpu().numpy()
        signal = pool.read(number, np.concatenate([rows, rows]), chosen, device)
        filtered = preprocessing.filter(signal, store.fs)
        valid = preprocessing.valid(signal, store.fs)
        both = []
        for half in (slice(0, len(at)), slice(len(at), None)):
            view, kept = make_view(
                filtered[half], preprocessing.fs, views, generator, bank=noise_bank, valid=valid[half]
            )
            both.append(preprocessing.standardise(view, kept))
        first_parts.append(both[0])
        second_parts.append(both[1])
        order.append(at)
    back = torch.from_numpy(np.argsort(np.concatenate(order))).to(device)
    return Batch(
        first=torch.cat(first_parts)[back],
        second=torch.cat(second_parts)[back],
        risk=torch.from_numpy(pool.risk[index]).to(device),
        completeness=torch.from_numpy(pool.completeness[index]).to(device),
        subject=torch.from_numpy(pool.subject[index]).to(device),
    )


class Batches:
    """All batches of an epoch, for one rank; an incomplete last batch is left out.

    Args:
        pool: the windows.
        batch_size: windows over all ranks together; each rank takes its share of every batch.
        preprocessing: the model's, see `make_batch`.
        views: see `make_batch`.
        seed: of order, leads and augmentation.
        rank: number of this process.
        world_size: of so many.
        device: where the batches are made.
        shuffle: a permutation an epoch; False keeps the pool's order and draws the same views every epoch (validation).

    Raises:
        ValueError: batch_size is not a multiple of world_size, or the pool is smaller than one batch.

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
        shuffle: bool = True,
    ) -> None:
        if batch_size < 2 or batch_size % world_size:
            raise ValueError(
                f"batch_size {batch_size} cannot be shared by {world_size} processes; "
                "pass a multiple of their number, at least 2."
            )
        if len(pool) < batch_size:
            raise ValueError(
                f"the pool has {len(pool)} windows, fewer than one batch of {batch_size}; "
                "pass a smaller batch_size or more records."
            )
        self.pool, self.batch_size = pool, batch_size
        self.preprocessing, self.views = preprocessing, views
        self.seed, self.rank, self.world_size = seed, rank, world_size
        self.device, self.shuffle = device, shuffle
        self.noise_bank: dict[str, torch.Tensor] | None = None
        if views.noise == "recorded" and views.noise_file is not None:
            bank = load_noise_bank(views.noise_file, fs=preprocessing.fs)
            self.noise_bank = {kind: values.to(device) for kind, values in bank.items()}

    def __len__(self) -> int:
        return len(self.pool) // self.batch_size

    def epoch(self, epoch: int, start: int = 0) -> Iterator[Batch]:
        """Yield the batches of `epoch` from batch number `start` on; those read from shards are made one ahead."""
        n = len(self.pool)
        order = epoch_order(n, self.seed, epoch) if self.shuffle else np.arange(n)
        share = self.batch_size // self.world_size

        def make(step: int) -> Batch:
            at = step * self.batch_size + self.rank * share
            shown = epoch if self.shuffle else 0
            return make_batch(
                self.pool,
                order[at : at + share],
                preprocessing=self.preprocessing,
                views=self.views,
                generator=seeded(self.device, self.seed, shown, step, self.rank, int(self.shuffle)),
                device=self.device,
                noise_bank=self.noise_bank,
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
