"""Embeddings of recordings: stores, files and arrays in, one vector a window out.

A model's own preprocessing is applied, at each source's own sampling rate, so what a model sees here is what
it saw in training.
"""

# torch takes seconds to import and the command line's help reads these signatures: it is imported where used.
from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from openclef.condition import Condition
from openclef.preprocessing import Preprocessing
from openclef.record import Record, cut_windows
from openclef.signal import canonical_lead, quality_flags
from openclef.statistics import check_counts
from openclef.store import Store, open_store

if TYPE_CHECKING:
    import pandas as pd
    import torch

PRECISIONS = ("float32", "bf16")


class _Piece(NamedTuple):
    """One window of one lead, ready to embed."""

    source: str
    start_s: float
    seconds: float
    flags: tuple[str, ...]
    signal: NDArray[np.float32]
    fs: float
    too_short: bool


def embed(
    model: torch.nn.Module,
    sources: Any,
    *,
    fs: float | None = None,
    lead: str = "I",
    leads: str | Sequence[str] | None = None,
    unit: str | None = None,
    batch_size: int = 256,
    device: str | torch.device | None = None,
    precision: str = "float32",
    progress: bool = False,
) -> pd.DataFrame:
    """Embed recordings, one row a window of the model's length.

    A window with less than 1 s of recorded samples (or half the model's window, where that is less) has
    nothing to embed. In a store, a list or a longer recording its row stays, with the flag "too_short" and an
    embedding of NaN; a single recording that has no other window is refused.

    Args:
        model: An `Encoder`, or a bare backbone with `.dim`, which takes the default `Preprocessing()`.
        sources: A `Store`, a `Record`, the path of a recording or of a store, an array, or a list of these.
            An array is one recording, (time,) or (lead, time).
        fs: Sampling rate in Hz of arrays, and of files that do not state it; a file that states another is
            refused. A list of several rates takes its arrays as `Record`.
        lead: Lead to embed, by name; the name of the row, where an array has only one.
        leads: Lead names of arrays with several rows, and of files that do not state them.
        unit: Unit of arrays, and of files that do not state it: "mV", "uV", "V" or "zscore"; None = mV.
        batch_size: Windows at a time.
        device: Where to compute; None = where the model is.
        precision: "float32", or "bf16" for bfloat16 autocast.
        progress: Show a progress bar.

    Returns:
        A table with one row a window: source (path, record_id, or "array 0" by position), lead, start_s,
        seconds (recorded ones in the window), flags (";"-joined; "padded" where the window is not full,
        "too_short" where there is nothing to embed), embedding (list of `dim` floats).

    Raises:
        ValueError: If the rate or the leads are unknown, a file states another rate or unit, the lead is not
            there, a single recording is too short, or the model's preprocessing cannot make the signal valid.
        FileNotFoundError: If a file is not there.

    Example:
        >>> import torch
        >>> class Spread(torch.nn.Module):
        ...     dim = 1
        ...     def forward(self, signal):
        ...         return signal.std(-1, correction=0)
        >>> frame = embed(Spread(), np.random.default_rng(0).normal(size=3000), fs=130)
        >>> frame[["source", "lead", "start_s", "flags"]].to_dict("records")[-1]
        {'source': 'array 0', 'lead': 'I', 'start_s': 10.0, 'flags': ''}
        >>> len(frame), round(frame["embedding"][0][0], 3)
        (2, 1.0)
    """
    import pandas as pd

    lead = canonical_lead(lead)
    leads = [leads] if isinstance(leads, str) else leads
    preprocessing = preprocessing_of(model)
    check_counts(batch_size=batch_size)
    pieces = _pieces(sources, preprocessing, fs=fs, lead=lead, leads=leads, unit=unit)
    if progress:
        from rich.progress import track

        pieces = iter(track(pieces, description="embedding"))
    names = ("source", "lead", "start_s", "seconds", "flags", "embedding")
    columns: dict[str, list[Any]] = {name: [] for name in names}
    with _in_use(model, device) as where:
        for batch in _batches(pieces, batch_size):
            signal = np.stack([piece.signal for piece in batch])
            vectors = _forward(model, preprocessing, signal, batch[0].fs, where, precision)
            vectors[[piece.too_short for piece in batch]] = np.nan
            columns["source"] += [piece.source for piece in batch]
            columns["lead"] += [lead] * len(batch)
            columns["start_s"] += [float(piece.start_s) for piece in batch]
            columns["seconds"] += [float(piece.seconds) for piece in batch]
            columns["flags"] += [";".join(piece.flags) for piece in batch]
            columns["embedding"] += vectors.tolist()
    return pd.DataFrame(columns)


def embed_store(
    model: torch.nn.Module,
    store: Store,
    *,
    lead: str = "I",
    rows: ArrayLike | None = None,
    batch_size: int = 256,
    device: str | torch.device | None = None,
    precision: str = "float32",
    progress: bool = False,
    condition: Condition | None = None,
) -> NDArray[np.float32]:
    """Embed rows of a store, one vector a row.

    Where the store's windows are longer than the model's, a row's vector is the mean over the model's windows
    in it; shorter ones are padded. A row without any recorded sample gets the embedding of a flat line, so that
    an evaluation counts it (`embed` gives NaN there).

    Args:
        model: An `Encoder`, or a bare backbone with `.dim`, which takes the default `Preprocessing()`.
        store: The store.
        lead: Lead to embed, by name.
        rows: Row numbers, or a mask over all rows; None = all.
        batch_size: Windows at a time.
        device: Where to compute; None = where the model is.
        precision: "float32", or "bf16" for bfloat16 autocast.
        progress: Show a progress bar.
        condition: How the recordings are changed before, see `openclef.condition`; its lead goes before `lead`.

    Returns:
        (rows, dim) float32, in the order asked.

    Raises:
        ValueError: If the lead is not there, or the model's preprocessing cannot make the signals valid.

    Example:
        >>> import tempfile, torch
        >>> from openclef.store import StoreWriter
        >>> class Ends(torch.nn.Module):
        ...     dim = 2
        ...     def forward(self, signal):
        ...         return signal[:, 0, [0, -1]]
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     writer = StoreWriter(folder, name="one", scale=0.001, fs=100, leads=("I",), seconds=10)
        ...     record = Record(np.sin(np.arange(1000.0))[None], 100, ("I",), "a")
        ...     writer.write_part(0, [record], [{}])
        ...     embed_store(Ends(), writer.finish()).shape
        []
        (1, 2)
    """
    preprocessing = preprocessing_of(model)
    check_counts(batch_size=batch_size)
    preprocessing.check(store.fs, store.unit)
    chosen = np.arange(len(store)) if rows is None else np.atleast_1d(np.asarray(rows))
    chosen = np.flatnonzero(chosen) if chosen.dtype == bool else chosen.astype(np.int64)
    starts: Iterable[int] = range(0, len(chosen), batch_size)
    if progress:
        from rich.progress import track

        starts = track(starts, description=f"embedding {store.name}")
    parts = []
    with _in_use(model, device) as where:
        for start in starts:
            part = chosen[start : start + batch_size]
            signal, fs = read_under(store, part, lead, condition)
            windows = cut_windows(signal, fs, preprocessing.seconds)
            vectors = [_forward(model, preprocessing, window, fs, where, precision) for window in windows]
            weight = np.stack([~np.isnan(window).all(1) for window in windows]).astype(np.float32)
            weight[0, weight.sum(0) == 0] = 1.0  # nothing recorded at all: the embedding of a flat line
            total = np.einsum("wr,wrd->rd", weight, np.stack(vectors))
            parts.append(total / weight.sum(0)[:, None])
    if not parts:
        return np.empty((0, int(model.dim)), np.float32)  # type: ignore[arg-type]
    return np.concatenate(parts).astype(np.float32, copy=False)


def read_under(
    store: Store, rows: ArrayLike, lead: str, condition: Condition | None = None
) -> tuple[NDArray[np.floating], float]:
    """Read one lead of rows of a store, as recorded or changed.

    Args:
        store: The store.
        rows: Row numbers.
        lead: Lead by name; a condition's goes before it.
        condition: How the recordings are changed.

    Returns:
        (rows, time) in the store's unit, NaN = missing, and the rate in Hz.

    Raises:
        ValueError: If the lead is not there.

    Example:
        >>> import inspect
        >>> list(inspect.signature(read_under).parameters)
        ['store', 'rows', 'lead', 'condition']
    """
    numbers = np.asarray(rows)
    asked = lead if condition is None or condition.lead is None else condition.lead
    signal = store.read(numbers, leads=[asked])[:, 0]
    return (signal, store.fs) if condition is None else condition.apply(signal, store.fs, numbers)


def preprocessing_of(model: torch.nn.Module) -> Preprocessing:
    """A model's preprocessing, the default one for a bare backbone.

    Args:
        model: An `Encoder` or a bare backbone.

    Returns:
        Its `Preprocessing`.

    Raises:
        ValueError: If the model has no `.dim`.

    Example:
        >>> import torch
        >>> backbone = torch.nn.Linear(2, 3)
        >>> backbone.dim = 3
        >>> preprocessing_of(backbone).fs
        500.0
    """
    if not hasattr(model, "dim"):
        raise ValueError(
            f"{type(model).__name__} has no .dim; pass an Encoder (openclef.load) or a backbone of "
            "openclef.backbone.BACKBONES."
        )
    own = getattr(model, "preprocessing", None)
    return own if isinstance(own, Preprocessing) else Preprocessing()


def _pieces(
    sources: Any,
    preprocessing: Preprocessing,
    *,
    fs: float | None,
    lead: str,
    leads: Sequence[str] | None,
    unit: str | None,
) -> Iterator[_Piece]:
    single = not isinstance(sources, (list, tuple))
    for position, source in enumerate([sources] if single else sources):
        if isinstance(source, (str, Path)) and (Path(source) / "dataset.json").is_file():
            source = open_store(source)
        if isinstance(source, Store):
            yield from _pieces_of_store(source, preprocessing, lead)
            continue
        if isinstance(source, Record):
            record = source
        elif isinstance(source, (str, Path)):
            record = _record_of_file(Path(source), fs, lead, leads, unit)
        else:
            record = _record_of_array(source, f"array {position}", fs, lead, leads, unit or "mV")
        preprocessing.check(record.fs, record.unit)
        name = str(source) if isinstance(source, (str, Path)) else record.record_id
        pieces = list(_pieces_of_record(record.select([lead]), name, preprocessing.seconds))
        if single and all(piece.too_short for piece in pieces):
            known_s = max(int((~np.isnan(piece.signal)).sum()) for piece in pieces) / record.fs
            raise ValueError(
                f"{name} has {known_s:.2f} s of recorded samples in lead {lead}; at least 1 s (or half the "
                "model's window) is needed: pass a longer recording, or a list, which keeps it as a row of NaN."
            )
        yield from pieces


def _pieces_of_record(record: Record, name: str, seconds: float) -> Iterator[_Piece]:
    """Windows of a record of one lead."""
    for window in record.windows(seconds):
        recorded = round(window.seconds * record.fs)
        flags = quality_flags(window.signal[:, :recorded], record.fs, record.unit, record.leads)
        flags += ["padded"] * (recorded < window.signal.shape[1])
        known = int((~np.isnan(window.signal)).sum())
        short = known < round(min(1.0, seconds / 2) * record.fs)  # less than a heartbeat says nothing
        flags += ["too_short"] * short
        yield _Piece(name, window.start_s, window.seconds, tuple(flags), window.signal[0], record.fs, short)


def _pieces_of_store(store: Store, preprocessing: Preprocessing, lead: str) -> Iterator[_Piece]:
    preprocessing.check(store.fs, store.unit)
    records = store.records[["record_id", "start_s", "seconds"]]
    for row, (name, start_s, seconds) in enumerate(records.itertuples(index=False, name=None)):
        signal = store.read(row, leads=[lead])[0]
        recorded = min(round(seconds * store.fs), signal.shape[1])
        whole = Record(signal[:, :recorded], store.fs, (lead,), name, unit=store.unit, start_s=start_s)
        yield from _pieces_of_record(whole, name, preprocessing.seconds)


def _record_of_file(
    path: Path, fs: float | None, lead: str, leads: Sequence[str] | None, unit: str | None
) -> Record:
    """Read a file; what it states itself must not be contradicted."""
    from openclef.formats import FORMATS, read_record
    from openclef.formats.arrays import describe_array

    if path.is_dir():
        raise ValueError(
            f"{path} is a folder without dataset.json, so no store; pass a store, a file, or a list of files."
        )
    if leads is None and path.suffix.lower() in FORMATS["array"].suffixes:
        file = describe_array(path)
        if file.leads is None and (len(file.shape) == 1 or file.shape[:-1] == (1,)):
            leads = [lead]
    record = read_record(path, fs=fs, leads=leads, unit=unit or "mV")
    if fs is not None and not np.isclose(record.fs, fs, rtol=2e-3):  # times in milliseconds are rounded
        raise ValueError(
            f"{path} states {record.fs:g} Hz and fs={fs:g} was passed; leave fs out for files that state their "
            "rate, and pass arrays of another rate as Record."
        )
    describing = path.suffix.lower() in FORMATS["wfdb"].suffixes or Path(f"{path}.hea").is_file()
    if unit is not None and (describing or "zscore" in (unit, record.unit)) and unit != record.unit:
        raise ValueError(
            f"{path} states its unit itself and is read in {record.unit}; unit={unit!r} was passed: leave unit "
            "out for files that state it, and pass arrays of another unit as Record."
        )
    return record


def _record_of_array(
    array: Any, name: str, fs: float | None, lead: str, leads: Sequence[str] | None, unit: str
) -> Record:
    signal = np.asarray(array)
    if signal.dtype.kind not in "fiu" or signal.ndim not in (1, 2):
        raise ValueError(
            f"{name} is {type(array).__name__} with shape {signal.shape}; pass numbers as (time,) or "
            "(lead, time): one array a recording, several in a list."
        )
    if fs is None:
        raise ValueError("fs is missing for an array; pass fs=<Hz>, for example fs=130 for Polar H10.")
    signal = np.atleast_2d(signal)
    if leads is None:
        if len(signal) > 1:
            raise ValueError(
                f"leads are missing for {name} with {len(signal)} rows; pass leads=[...], one name a row, "
                "and the array as (lead, time)."
            )
        leads = [lead]
    if unit == "zscore":
        return Record(signal, fs, tuple(leads), name, unit="zscore")
    from openclef.formats.unit import millivolts

    return Record(signal * millivolts(unit), fs, tuple(leads), name)


def _batches(pieces: Iterator[_Piece], batch_size: int) -> Iterator[list[_Piece]]:
    """Consecutive windows of one rate and length, so that the order stays."""
    batch: list[_Piece] = []
    for piece in pieces:
        alike = batch and (batch[0].fs, batch[0].signal.size) == (piece.fs, piece.signal.size)
        if batch and (not alike or len(batch) == batch_size):
            yield batch
            batch = []
        batch.append(piece)
    if batch:
        yield batch


@contextmanager
def _in_use(model: torch.nn.Module, device: str | torch.device | None) -> Iterator[torch.device]:
    """Evaluation mode on the device asked for; both as before afterwards."""
    import torch

    first = next(iter(model.parameters()), None)
    home = torch.device("cpu") if first is None else first.device
    where = home if device is None else torch.device(device)
    modes = [(module, module.training) for module in model.modules()]
    try:
        model.to(where).eval()
        yield where
    finally:
        model.to(home)
        for module, training in modes:
            module.training = training


def _forward(
    model: torch.nn.Module,
    preprocessing: Preprocessing,
    signal: NDArray[np.float32],
    fs: float,
    device: torch.device,
    precision: str,
) -> NDArray[np.float32]:
    """(rows, time) of one lead to (rows, dim)."""
    import torch

    if precision not in PRECISIONS:
        raise ValueError(f"precision is {precision!r}; pass one of {', '.join(PRECISIONS)}.")
    with torch.no_grad():
        batch = torch.from_numpy(np.ascontiguousarray(signal)).to(device)[:, None, :]
        ready = preprocessing(batch, fs)
        with torch.autocast(device.type, dtype=torch.bfloat16, enabled=precision == "bf16"):
            vectors = model(ready)
        shape = (len(signal), int(model.dim))  # type: ignore[arg-type]
        if not isinstance(vectors, torch.Tensor) or tuple(vectors.shape) != shape:
            given = tuple(vectors.shape) if isinstance(vectors, torch.Tensor) else type(vectors).__name__
            raise ValueError(
                f"{type(model).__name__} gives {given} for {len(signal)} windows; it must give a tensor of "
                f"(windows, dim), here {shape}."
            )
        return vectors.float().cpu().numpy()
