"""Pools: windows of several stores with their risk, completeness and subject.

What a pretraining run trains on, and what it holds out.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Protocol

import numpy as np
import pandas as pd
import torch

from openclef.risk import SCORES
from openclef.shards import MISSING
from openclef.store import Store

__all__ = ["NoWindows", "Pool", "fits", "send", "training_pool", "validation_pool", "without_inputs"]

# Without a GPU, signals up to this size are held in memory; more is read from the shards.
RESIDENT_BYTES = 4 * 2**30

_ROWS_AT_A_TIME = 512  # windows that are read before they are sent to a device


class Holdable(Protocol):
    """What knows how many bytes it would take on a device.

    Example:
        >>> held: Holdable = np.zeros(4)
        >>> held.nbytes
        32
    """

    @property
    def nbytes(self) -> int: ...


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
        risk: name of a risk that each store holds (`Store.add_risk`), several names, or None for no guidance. A
            store without age and sex columns takes part with unknown risk only if `unguided` names it.
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
        risk: str | Sequence[str] | None = None,
        lead: str = "random",
        unguided: Sequence[str] = (),
    ) -> None:
        if not stores:
            raise ValueError(
                'no store was given; pass at least one, for example [openclef.open_store("stores/ptb_xl")].'
            )
        self.stores = list(stores)
        self.lead = lead
        rows, owner, values, completeness = [], [], [], []
        # Per store: each window's subject, as a place in the store's hashes, and those.
        subject_codes, subject_hashes = [], []
        namespaces = [store.subject_namespace for store in self.stores]
        taken: dict[str, list[pd.Series]] = {}  # per namespace: records of the stores before
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
            chosen = np.full(len(store), True)
            if split != "all":
                chosen &= (store.columns("split")["split"] == split).to_numpy()
            chosen &= available.any(axis=1)
            if namespaces.count(store.subject_namespace) > 1:
                record_ids = store.columns("record_id")["record_id"]
                before = taken.setdefault(store.subject_namespace, [])
                for earlier in before:
                    chosen &= ~record_ids.isin(earlier).to_numpy()
                before.append(record_ids)
            at = np.flatnonzero(chosen)
            rows.append(at)
            owner.append(np.full(len(at), number, np.int16))
            of_store, hashes = store.subject_codes()
            codes, present = pd.factorize(of_store[at])
            subject_codes.append(codes)
            subject_hashes.append(hashes[present])
            guided = store.name not in unguided and store.path.name not in unguided
            value, share = _risk_of(store, risk, guided)
            values.append(value[at])
            completeness.append(share[at])
        self.row = np.concatenate(rows)
        self.owner = np.concatenate(owner)
        places, self.subjects = pd.factorize(np.concatenate(subject_hashes))
        starts = np.cumsum([0, *map(len, subject_hashes)])
        self.subject = np.concatenate(
            [places[start + codes] for start, codes in zip(starts, subject_codes, strict=False)]
        ).astype(np.int64)
        self.risk = np.concatenate(values)
        self.completeness = np.concatenate(completeness)
        if len(self.row) == 0:
            splits = pd.concat([store.columns("split")["split"] for store in self.stores])
            found = sorted(map(str, splits.unique()))
            if split == "all" or split in found:
                raise NoWindows(
                    f"all windows of split {split!r} are flat or mostly missing in lead {lead!r}; "
                    "look at the column `flags` of the store's records, and at unit and scale of its source."
                )
            raise NoWindows(
                f"no window has split {split!r}; the stores have the splits {found}; pass one of them, or 'all'."
            )
        self._held = False
        # Of what is held: (window, lead), whether no sample is missing.
        self._complete: list[np.ndarray] = [np.empty((0, 0), bool)] * len(self.stores)
        self._resident: list[torch.Tensor | None] = [None] * len(self.stores)
        self._place: list[np.ndarray] = [np.empty(0, np.int64)] * len(
            self.stores
        )  # row of the store -> held row

    def __len__(self) -> int:
        return len(self.row)

    def fingerprint(self) -> str:
        """Return a hash of which windows the pool has, whose they are, and what is known of their risk."""
        digest = hashlib.sha256(self.lead.encode())
        for array in (self.subjects, self.subject, self.owner, self.row, self.risk, self.completeness):
            digest.update(np.ascontiguousarray(array).tobytes())
        return digest.hexdigest()

    @property
    def resident(self) -> bool:
        """Whether signals are held in memory (`to`)."""
        return self._held

    @property
    def nbytes(self) -> int:
        """Bytes that all windows of the pool take as int16, in the leads that it draws from."""
        used = np.bincount(self.owner, minlength=len(self.stores))
        return int(
            sum(n * len(self._leads(k)) * s.samples * 2 for k, (s, n) in enumerate(zip(self.stores, used)))
        )

    def _leads(self, number: int) -> list[str]:
        return list(self.stores[number].leads) if self.lead == "random" else [self.lead]

    def to(self, device: torch.device | str, windows: np.ndarray | None = None) -> Pool:
        """Hold windows of the pool on `device` as int16, so that a batch is one gather; returns the pool.

        Args:
            device: where.
            windows: those that will be read, integers into the pool; None = all.
        """
        chosen = slice(None) if windows is None else windows
        row, owner = self.row[chosen], self.owner[chosen]
        for number, store in enumerate(self.stores):
            used = np.unique(row[owner == number])
            if len(used) == 0:
                continue
            self._place[number] = np.full(len(store), -1, np.int64)
            self._place[number][used] = np.arange(len(used))
            leads = self._leads(number)
            held = torch.empty((len(used), len(leads), store.samples), dtype=torch.int16, device=device)
            complete = np.empty((len(used), len(leads)), bool)
            for start in range(0, len(used), _ROWS_AT_A_TIME):
                part = slice(start, start + _ROWS_AT_A_TIME)
                raw = store.read_raw(used[part], leads)
                complete[part] = (raw != MISSING).all(axis=-1)
                held[part] = torch.from_numpy(raw)
            self._resident[number], self._complete[number] = held, complete
        self._held = True
        return self

    def read(
        self, number: int, rows: np.ndarray, lead: np.ndarray, device: torch.device | str = "cpu"
    ) -> tuple[torch.Tensor, bool]:
        """Read one lead of each row of a store, without waiting for what a GPU has yet to do.

        Args:
            number: which store.
            rows: (n,) rows of it that the pool uses.
            lead: (n,) integers into the leads that the pool draws from.
            device: where the signals are wanted.

        Returns:
            (n, 1, time) float32 in the store's unit, NaN = missing; and whether no sample is missing.
        """
        store, resident = self.stores[number], self._resident[number]
        place = self._place[number][rows] if resident is not None else rows
        if resident is None or (place < 0).any():  # windows of another process's part are not held
            offset = store.leads.index(self.lead) if self.lead != "random" else 0
            drawn = _read_each(store, rows, lead + offset)
            complete = not (drawn == MISSING).any()
            raw = send(drawn, device)
        else:
            complete = bool(self._complete[number][place, lead].all())
            if resident.device.type == "cpu":
                raw = send(resident.numpy()[place, lead], device)
            else:
                raw = resident[send(place, resident.device), send(lead, resident.device)].to(device)
        signal = raw.to(torch.float32) * store.scale
        return (signal if complete else torch.where(raw == MISSING, torch.nan, signal))[:, None, :], complete


def send(array: np.ndarray, device: torch.device | str) -> torch.Tensor:
    """Return an array as a tensor on a device, without waiting for what a GPU has yet to do.

    Args:
        array: numbers; on the CPU the tensor shares their memory.
        device: where to.

    Example:
        >>> send(np.arange(3), "cpu")
        tensor([0, 1, 2])
    """
    tensor = torch.from_numpy(array)
    if torch.device(device).type == "cuda":  # what is copied from other memory is waited for
        return tensor.pin_memory().to(device, non_blocking=True)
    return tensor.to(device)


def fits(pools: Sequence[Holdable], device: torch.device | str, processes: int = 1) -> bool:
    """Tell whether pools may be held on a device: in half of what is free on a GPU, else in `RESIDENT_BYTES`.

    Args:
        pools: what would be held, each with its `nbytes`.
        device: where.
        processes: that share the pools, each on a device of its own.

    Example:
        >>> fits([], "cpu")
        True
    """
    needed = sum(pool.nbytes for pool in pools) // processes
    if torch.device(device).type == "cuda":
        return needed <= torch.cuda.mem_get_info(device)[0] // 2
    return needed <= RESIDENT_BYTES


def _available_leads(store: Store) -> np.ndarray:
    """Return (rows, lead) bool: leads with enough recorded, changing samples to learn from."""
    flags = store.columns("flags")["flags"]
    flagged = np.flatnonzero((flags != "").to_numpy())
    available = np.ones((len(store), len(store.leads)), bool)
    for row, said in zip(flagged.tolist(), flags.iloc[flagged], strict=True):
        for flag in said.split(";"):
            kind, _, name = flag.partition(":")
            if kind in ("flat", "mostly_missing") and name in store.leads:
                available[row, store.leads.index(name)] = False
    return available


def _risk_of(store: Store, risk: str | Sequence[str] | None, guided: bool) -> tuple[np.ndarray, np.ndarray]:
    """Return a store's risk, (rows,) or (rows, risks), and completeness, (rows,): its mean over the known risks."""
    if risk is None or isinstance(risk, str):
        if risk is None or not guided:
            return np.full(len(store), np.nan, np.float32), np.zeros(len(store), np.float32)
        table = store.risk(risk)
        return table["value"].to_numpy(np.float32), table["completeness"].to_numpy(np.float32)
    parts = [_risk_of(store, name, guided and not without_inputs([store], name)) for name in risk]
    values, shares = (np.stack(each, axis=1) for each in zip(*parts, strict=True))
    known = np.isfinite(values)
    mean = np.where(known, shares, 0).sum(1) / known.sum(1).clip(min=1)
    return values, mean.astype(np.float32)


def _read_each(store: Store, rows: np.ndarray, lead: np.ndarray) -> np.ndarray:
    """Return (n, time) int16: for each row its own lead, read shard by shard from the memory maps."""
    shard, within = store.locate(rows)
    out = np.empty((len(rows), store.samples), np.int16)
    for number in np.unique(shard):
        at = np.flatnonzero(shard == number)
        at = at[np.argsort(within[at], kind="stable")]
        out[at] = store.signals(int(number))[within[at], lead[at]]
    return out


def without_inputs(stores: list[Store], risk: str | Sequence[str]) -> list[str]:
    """Return the folder names of stores that lack the risk, or each of several, and every input to compute it from.

    Example:
        >>> without_inputs([], "score2")
        []
    """
    risks = [risk] if isinstance(risk, str) else risk
    return [
        store.path.name
        for store in stores
        if not any(name in store.risks or name not in SCORES or _has_inputs(store, name) for name in risks)
    ]


def _has_inputs(store: Store, risk: str) -> bool:
    return any(
        name in store.records.columns and (store.records[name].notna() & (store.records[name] != "")).any()
        for name in SCORES[risk].inputs
    )


def training_pool(
    stores: list[Store], split: str, risk: str | Sequence[str] | None, lead: str, unguided: list[str]
) -> Pool:
    """Return the pool to train on.

    Args:
        stores: opened stores.
        split: rows to take.
        risk: the score that guides, several, or None.
        lead: "random" or a lead's name.
        unguided: folder names of stores whose risk is unknown.

    Raises:
        ValueError: nothing to train on, or no known risk.

    Example:
        >>> training_pool([], "train", None, "random", [])
        Traceback (most recent call last):
        ...
        ValueError: no store was given; ...
    """
    pool = Pool(stores, split=split, risk=risk, lead=lead, unguided=unguided)
    if len(pool.subjects) < 2:
        raise ValueError(
            f"split {split!r} holds one subject only, so no record has a negative; pass records of more subjects."
        )
    if risk is not None and not np.isfinite(pool.risk).any():
        raise ValueError(
            f"no window of split {split!r} has a known {risk!r}; check its inputs with `openclef risk`, "
            "or pass method=simclr to pretrain without guidance."
        )
    return pool


def validation_pool(
    stores: list[Store], risk: str | Sequence[str] | None, lead: str, unguided: list[str], batch_size: int
) -> Pool | None:
    """Return the pool of the "val" rows, or None where it has fewer windows than one batch.

    Args:
        stores: opened stores.
        risk: the score that guides, several, or None.
        lead: "random" or a lead's name.
        unguided: folder names of stores whose risk is unknown.
        batch_size: over all processes.

    Example:
        >>> validation_pool([], None, "random", [], 64) is None
        True
    """
    if sum(int((store.columns("split")["split"] == "val").sum()) for store in stores) < batch_size:
        return None
    try:
        pool = Pool(stores, split="val", risk=risk, lead=lead, unguided=unguided)
    except NoWindows:
        return None
    return pool if len(pool) >= batch_size else None
