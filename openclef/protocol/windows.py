"""The windows of a task's records, filtered once and held where they fit, and batches of them with their targets."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from openclef.augment import Views, make_view
from openclef.data import epoch_order, seeded
from openclef.lead_placement import check_lead, place_lead
from openclef.model import Encoder
from openclef.noise import load_noise_bank
from openclef.pool import fits
from openclef.protocol.cohort import Cohort
from openclef.record import cut_windows

__all__ = ["LabelledBatch", "LabelledBatches", "LabelledWindows"]

_AT_ONCE = 256


class LabelledBatch:
    """Windows and the targets of their records.

    Args:
        signal: (B, leads, time) float32, as the model takes it.
        target: (B, labels) float32, NaN = takes no part.

    Example:
        >>> LabelledBatch(torch.zeros(2, 1, 500), torch.ones(2, 1)).signal.shape
        torch.Size([2, 1, 500])
    """

    def __init__(self, signal: Tensor, target: Tensor) -> None:
        self.signal, self.target = signal, target


class LabelledWindows:
    """Windows of a cohort's records, of the model's length, with targets and the share of each in its record.

    Windows of a store that are longer than the model's are cut, as `embed_store` cuts them, and the shares are such
    that a weighted sum is the mean that `Cohort.features` takes: over the windows of a row, then over a record's rows.

    Args:
        cohort: Records with targets.
        chosen: (records,) bool, the records to take.
        encoder: The model: its `preprocessing.filter` is done once, `standardise` with each batch.

    Example:
        >>> import pandas as pd
        >>> from openclef.backbone import BACKBONES
        >>> from openclef.model import Encoder
        >>> from openclef.task import Task
        >>> task = Task("a/sbp", "regression", ("sbp",), ("sbp_mmhg",))
        >>> cohort = Cohort(task, "I", (), pd.DataFrame({"split": ["test"]}), np.ones((1, 1)), ())
        >>> len(LabelledWindows(cohort, np.array([True]), Encoder(BACKBONES["resnext1d_small"]())))
        0
    """

    def __init__(self, cohort: Cohort, chosen: NDArray[np.bool_], encoder: Encoder) -> None:
        check_lead(encoder, cohort.lead)
        preprocessing = encoder.preprocessing
        self.cohort, self.encoder, self.preprocessing = cohort, encoder, preprocessing
        owner, row, record, part, share = [], [], [], [], []
        rows_of = np.zeros(len(chosen))
        for _, of in cohort.windows:
            np.add.at(rows_of, of, 1)
        for number, (store, (rows, of)) in enumerate(zip(cohort.stores, cohort.windows)):
            preprocessing.check(store.fs, store.unit)
            taken = chosen[of]
            recorded = self._recorded(number, rows[taken])
            at, place = np.nonzero(recorded)
            owner.append(np.full(len(at), number))
            row.append(rows[taken][at])
            record.append(of[taken][at])
            part.append(place)
            share.append(1.0 / recorded.sum(1)[at] / rows_of[of[taken][at]])
        none = np.empty(0, np.int64)
        self.owner = np.concatenate([none, *owner])
        self.row = np.concatenate([none, *row])
        self.record = np.concatenate([none, *record])
        self.part = np.concatenate([none, *part])  # which of the windows that its row is cut into
        self.share = np.concatenate([none.astype(float), *share])
        self.target = cohort.target[self.record].astype(np.float32)
        self.held: tuple[Tensor, Tensor] | None = None

    def __len__(self) -> int:
        return len(self.row)

    @property
    def nbytes(self) -> int:
        """Bytes that the windows take, filtered: a float and a mark of what was recorded for each sample."""
        return len(self) * self.preprocessing.samples * 5

    def hold(self, device: torch.device | str) -> LabelledWindows:
        """Filter all windows and hold them on a device; returns the windows."""
        parts = [
            self.filtered(np.arange(start, min(start + _AT_ONCE, len(self))), device)
            for start in range(0, len(self), _AT_ONCE)
        ]
        if parts:
            self.held = torch.cat([signal for signal, _ in parts]), torch.cat([valid for _, valid in parts])
        return self

    def filtered(self, index: NDArray[np.integer], device: torch.device | str) -> tuple[Tensor, Tensor]:
        """Return windows, filtered but not yet standardised, and which of their samples were recorded.

        Args:
            index: (n,) numbers of windows.
            device: Where to.

        Returns:
            Two tensors of (n, 1, samples): float32 and bool.
        """
        if self.held is not None:
            signal, valid = self.held
            held_at = torch.from_numpy(index).to(signal.device)
            return signal[held_at].to(device), valid[held_at].to(device)
        signal = torch.empty(len(index), 1, self.preprocessing.samples, device=device)
        valid = torch.empty(signal.shape, dtype=torch.bool, device=device)
        for number in np.unique(self.owner[index]):
            store = self.cohort.stores[number]
            at = np.flatnonzero(self.owner[index] == number)
            windows = np.stack(self._read(number, self.row[index[at]]))
            raw = torch.from_numpy(windows[self.part[index[at]], np.arange(len(at))]).to(device)[:, None]
            where = torch.from_numpy(at).to(device)
            signal[where] = self.preprocessing.filter(raw, store.fs)
            valid[where] = self.preprocessing.valid(raw, store.fs)
        return signal, valid

    def _read(self, number: int, rows: NDArray[np.integer]) -> list[NDArray[np.float32]]:
        """The model's windows in rows of a store, each (rows, time)."""
        store = self.cohort.stores[number]
        return cut_windows(
            store.read(rows, leads=[self.cohort.lead])[:, 0], store.fs, self.preprocessing.seconds
        )

    def _recorded(self, number: int, rows: NDArray[np.integer]) -> NDArray[np.bool_]:
        """(rows, windows) bool: windows with a recorded sample; the first one where a row has none."""
        store = self.cohort.stores[number]
        if store.samples <= round(self.preprocessing.seconds * store.fs):
            return np.ones((len(rows), 1), bool)  # nothing to cut, nothing to read
        parts = [np.empty((0, 1), bool)]
        for start in range(0, len(rows), _AT_ONCE):
            windows = self._read(number, rows[start : start + _AT_ONCE])
            parts.append(np.stack([~np.isnan(window).all(1) for window in windows], axis=1))
        width = max(part.shape[1] for part in parts)
        recorded = np.concatenate([np.pad(part, ((0, 0), (0, width - part.shape[1]))) for part in parts])
        recorded[~recorded.any(1), 0] = True
        return recorded


def hold_where_it_fits(several: list[LabelledWindows], device: torch.device | str) -> None:
    """Hold windows filtered on the device, else in memory; where they fit nowhere they are read for each batch.

    Args:
        several: What is used side by side.
        device: Where the batches are made.

    Example:
        >>> hold_where_it_fits([], "cpu")
    """
    for place in dict.fromkeys((str(device), "cpu")):
        if fits(several, place):
            for windows in several:
                windows.hold(place)
            return


class LabelledBatches:
    """Batches of labelled windows, for one rank, see `openclef.training.EpochBatches`.

    Shuffled, each epoch is a permutation and an incomplete last batch is left out; with fewer windows than
    `batch_size`, a batch has them all. Not shuffled, every window comes once, in order, without augmentation.

    Args:
        windows: What to draw from.
        batch_size: Windows over all ranks together.
        views: How a training window is augmented; None = not at all.
        seed: Of order and augmentation.
        rank: Number of this process.
        world_size: Of so many.
        device: Where the batches are made.
        shuffle: For training; False for validation, which every rank sees whole.

    Raises:
        ValueError: Fewer windows than processes.

    Example:
        >>> import pandas as pd
        >>> from openclef.backbone import BACKBONES
        >>> from openclef.model import Encoder
        >>> from openclef.task import Task
        >>> task = Task("a/sbp", "regression", ("sbp",), ("sbp_mmhg",))
        >>> cohort = Cohort(task, "I", (), pd.DataFrame({"split": ["test"]}), np.ones((1, 1)), ())
        >>> windows = LabelledWindows(cohort, np.array([True]), Encoder(BACKBONES["resnext1d_small"]()))
        >>> len(LabelledBatches(windows, batch_size=4, shuffle=False))
        0
    """

    def __init__(
        self,
        windows: LabelledWindows,
        *,
        batch_size: int,
        views: Views | None = None,
        seed: int = 0,
        rank: int = 0,
        world_size: int = 1,
        device: torch.device | str = "cpu",
        shuffle: bool = True,
    ) -> None:
        self.windows, self.views, self.seed = windows, views, seed
        self.rank, self.world_size = rank, world_size
        self.device, self.shuffle = device, shuffle
        self.batch_size = batch_size
        if shuffle:
            self.batch_size = min(batch_size, len(windows)) // world_size * world_size
            if not self.batch_size:
                raise ValueError(
                    f"{len(windows)} training windows cannot be shared by {world_size} processes in batches of "
                    f"{batch_size}; pass more records, a larger batch_size or fewer processes."
                )
        self.noise_bank: dict[str, Any] | None = None
        if views is not None and views.noise == "recorded" and views.noise_file is not None:
            bank = load_noise_bank(views.noise_file, fs=windows.preprocessing.fs)
            self.noise_bank = {kind: values.to(device) for kind, values in bank.items()}

    def __len__(self) -> int:
        return (
            len(self.windows) // self.batch_size if self.shuffle else -(-len(self.windows) // self.batch_size)
        )

    def epoch(self, epoch: int, start: int = 0) -> Iterator[LabelledBatch]:
        """Yield the batches of `epoch` from batch number `start` on."""
        n = len(self.windows)
        order = epoch_order(n, self.seed, epoch) if self.shuffle else np.arange(n)
        share = self.batch_size // self.world_size if self.shuffle else self.batch_size
        preprocessing = self.windows.preprocessing
        for step in range(start, len(self)):
            first = step * self.batch_size + (self.rank * share if self.shuffle else 0)
            index = order[first : first + share]
            signal, valid = self.windows.filtered(index, self.device)
            kept: Tensor | None = valid
            if self.views is not None and self.shuffle:
                generator = seeded(self.device, self.seed, epoch, step, self.rank)
                signal, kept = make_view(
                    signal, preprocessing.fs, self.views, generator, bank=self.noise_bank, valid=valid
                )
            target = torch.from_numpy(self.windows.target[index]).to(self.device)
            ready = place_lead(
                preprocessing.standardise(signal, kept), self.windows.encoder, self.windows.cohort.lead
            )
            yield LabelledBatch(ready, target)
