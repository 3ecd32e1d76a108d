"""Embeddings of recordings: stores, files and arrays in, one vector a window out.

A model's own preprocessing is applied, at each source's own sampling rate, so what a model sees here is what
it saw in training.
"""

# torch takes seconds to import and the command line's help reads these signatures: it is imported where used.
from __future__ import annotations

import warnings
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from openclef.condition import Condition
from openclef.device import checked_device
from openclef.lead_placement import check_lead, place_lead
from openclef.preprocessing import Preprocessing
from openclef.record import cut_windows
from openclef.row_pooling import Row, pool_windows
from openclef.row_pooling import pool_leads as pooled_leads
from openclef.signal import canonical_lead
from openclef.source_files import SourceLog, expand
from openclef.sources import ALL_LEADS, Piece, Windowing, pieces, read_ahead, read_under
from openclef.statistics import check_counts
from openclef.store import Store, write_atomically

if TYPE_CHECKING:
    import pandas as pd
    import torch

COLUMNS = ("source", "lead", "start_s", "seconds", "flags", "embedding")
_ROW_GROUP = 4096  # windows of a parquet file that are held in memory before they are written


class EmbeddingSummary(NamedTuple):
    """What `embed_to_parquet` wrote.

    Attributes:
        rows: Rows of the file.
        log: What became of the sources.

    Example:
        >>> EmbeddingSummary(2, SourceLog(recordings=1)).rows
        2
    """

    rows: int
    log: SourceLog


def embed(
    model: torch.nn.Module,
    sources: Any,
    *,
    fs: float | None = None,
    lead: str = "I",
    leads: str | Sequence[str] | None = None,
    unit: str | None = None,
    overlap_s: float = 0.0,
    short: Literal["pad", "refuse"] = "pad",
    pool: Literal["mean", "median", "max"] | None = None,
    pool_leads: Literal["mean", "concatenate"] | None = None,
    over_time: bool = False,
    errors: Literal["raise", "skip"] = "raise",
    batch_size: int | None = None,
    device: str | torch.device | None = None,
    precision: str = "float32",
    progress: bool = False,
) -> pd.DataFrame:
    """Embed recordings, one row a window of the model's length.

    A model of several leads gets the lead in its own channel and 0 in the others.

    A window with less than 1 s of recorded samples (or half the model's window, where that is less) has
    nothing to embed. In a store, a list or a longer recording its row stays, with the flag "too_short" and an
    embedding of NaN; a single recording that has no other window is refused.

    What a file does not state is taken from `fs`, `leads` and `unit`. A unit that nobody states is guessed to be mV,
    and the only lead of a file that does not name it to be the lead asked for; both are said in a warning. A rate is
    never guessed.

    Args:
        model: An `Encoder`, or a bare backbone with `.dim`, which takes the default `Preprocessing()`.
        sources: A `Store`, a `Record`, the path of a recording, of a store or of a folder of recordings, an array, or a
            list of these. An array is one recording, (time,) or (lead, time).
        fs: Sampling rate in Hz of arrays, and of files that do not state it; a file that states another is
            refused. A list of several rates takes its arrays as `Record`.
        lead: Lead to embed, by name; the name of the row, where an array has only one. "all" embeds every lead of each
            recording.
        leads: Lead names of arrays with several rows, and of files that do not state them.
        unit: Unit of arrays, and of files that do not state it: "mV", "uV", "V" or "zscore"; None = mV.
        overlap_s: Seconds that a window shares with the one before it.
        short: "pad" embeds windows that are not full, with missing samples; "refuse" refuses recordings shorter than a
            window and leaves out the rest of longer ones.
        pool: "mean", "median" or "max" over the windows of a recording, one row a recording; None = one a window.
        pool_leads: "mean" or "concatenate" over the leads of a window; None = one row a lead.
        over_time: One row a frame of the encoder's features over time, instead of their mean over the window.
        errors: "skip" goes on where a file cannot be read, and lists it in the table's `.attrs["skipped"]`.
        batch_size: Windows at a time; None = 64 for each thread of a CPU, 512 on a GPU.
        device: Where to compute; None = where the model is.
        precision: "float32", or "bf16" for bfloat16 autocast.
        progress: Show a progress bar.

    Returns:
        A table with one row a window: source (path, record_id, or "array 0" by position), lead, start_s,
        seconds (recorded ones in the window), flags (";"-joined; "padded" where the window is not full,
        "too_short" where there is nothing to embed), embedding (list of `dim` floats). `.attrs` has "skipped" and
        "guessed", by source.

    Raises:
        ValueError: If the rate or the leads are unknown, a file states another rate or unit, the lead is not
            there or none of the model's, a single recording is too short, or the model's preprocessing cannot
            make the signal valid.
        FileNotFoundError: If a file is not there.

    Warns:
        UserWarning: If something was guessed, or a reader left something out.

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

    columns: dict[str, list[Any]] = {name: [] for name in COLUMNS}
    log = SourceLog()
    for row in _rows(
        model,
        sources,
        log,
        windowing=Windowing(_lead(lead), overlap_s, short),
        given={"fs": fs, "leads": leads, "unit": unit},
        pool=pool,
        pool_leads=pool_leads,
        over_time=over_time,
        errors=errors,
        how={"batch_size": batch_size, "device": device, "precision": precision, "progress": progress},
    ):
        for name, value in _cells(row).items():
            columns[name].append(value)
        columns["embedding"].append(row.vector.tolist())
    for said in (*log.guesses(), *log.notes()):
        warnings.warn(said, stacklevel=2)
    frame = pd.DataFrame(columns)
    frame.attrs = {"skipped": log.skipped, "guessed": log.guessed}
    return frame


def embed_to_parquet(
    model: torch.nn.Module,
    sources: Any,
    path: str | Path,
    *,
    fs: float | None = None,
    lead: str = "I",
    leads: str | Sequence[str] | None = None,
    unit: str | None = None,
    overlap_s: float = 0.0,
    short: Literal["pad", "refuse"] = "pad",
    pool: Literal["mean", "median", "max"] | None = None,
    pool_leads: Literal["mean", "concatenate"] | None = None,
    over_time: bool = False,
    errors: Literal["raise", "skip"] = "raise",
    batch_size: int | None = None,
    device: str | torch.device | None = None,
    precision: str = "float32",
    progress: bool = False,
) -> EmbeddingSummary:
    """Embed recordings into a parquet file, in memory that does not grow with their number or their length.

    The file is there whole or not at all.

    Args:
        model: See `embed`, as for all but `path`.
        sources: A `Store`, a `Record`, a path, an array, or a list of these.
        path: The file; replaced if it is there.
        fs: Sampling rate in Hz, where a source does not state it.
        lead: Lead to embed, by name, or "all".
        leads: Lead names, where a source does not state them.
        unit: Unit, where a source does not state it.
        overlap_s: Seconds that a window shares with the one before it.
        short: "pad" or "refuse".
        pool: How the windows of a recording are pooled; None = not.
        pool_leads: How the leads of a window are put together; None = not.
        over_time: One row a frame instead of a window.
        errors: "raise", or "skip" to go on where a file cannot be read.
        batch_size: Windows at a time; None = 64 for each thread of a CPU, 512 on a GPU.
        device: Where to compute; None = where the model is.
        precision: "float32" or "bf16".
        progress: Show a progress bar.

    Returns:
        The number of rows, with the columns of `embed`, embedding as a list of float32, and what became of the sources.

    Raises:
        ValueError: What `embed` refuses, or no source could be read.
        FileNotFoundError: If a file is not there.

    Example:
        >>> import tempfile, torch
        >>> class Spread(torch.nn.Module):
        ...     dim = 1
        ...     def forward(self, signal):
        ...         return signal.std(-1, correction=0)
        >>> file = Path(tempfile.mkdtemp(), "embeddings.parquet")
        >>> embed_to_parquet(Spread(), np.random.default_rng(0).normal(size=3000), file, fs=130).rows
        2
    """
    import pyarrow as pa
    from pyarrow import parquet

    log = SourceLog()
    rows = _rows(
        model,
        sources,
        log,
        windowing=Windowing(_lead(lead), overlap_s, short),
        given={"fs": fs, "leads": leads, "unit": unit},
        pool=pool,
        pool_leads=pool_leads,
        over_time=over_time,
        errors=errors,
        how={"batch_size": batch_size, "device": device, "precision": precision, "progress": progress},
    )
    texts, numbers = ("source", "lead", "flags"), ("start_s", "seconds")
    types = dict.fromkeys(texts, pa.string()) | dict.fromkeys(numbers, pa.float64())
    schema = pa.schema({**types, "embedding": pa.list_(pa.float32())}).field
    schema = pa.schema([schema(name) for name in COLUMNS])
    total = 0

    def write(temporary: Path) -> None:
        nonlocal total
        with parquet.ParquetWriter(temporary, schema) as writer:
            while held := list(islice(rows, _ROW_GROUP)):
                cells = [_cells(row) for row in held]
                columns = {name: [each[name] for each in cells] for name in (*texts, *numbers)}
                lengths = [row.vector.size for row in held]
                offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int32)
                values = pa.array(np.concatenate([row.vector for row in held]), pa.float32())
                columns["embedding"] = pa.ListArray.from_arrays(offsets, values)
                writer.write_table(pa.table({name: columns[name] for name in COLUMNS}, schema=schema))
                total += len(held)
        if log.skipped and not total:
            first, reason = next(iter(log.skipped.items()))
            raise ValueError(
                f"none of {len(log.skipped)} recordings could be embedded; {Path(first).name}: {reason}"
            )

    write_atomically(path, write)
    return EmbeddingSummary(total, log)


def embed_store(
    model: torch.nn.Module,
    store: Store,
    *,
    lead: str = "I",
    rows: ArrayLike | None = None,
    batch_size: int | None = None,
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
        batch_size: Windows at a time; None = 64 for each thread of a CPU, 512 on a GPU.
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
        >>> from openclef.record import Record
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
    batch_size = _batch_size(model, batch_size, device)
    preprocessing.check(store.fs, store.unit)
    seen = canonical_lead((condition.lead if condition is not None else None) or lead)
    check_lead(model, seen)
    chosen = np.arange(len(store)) if rows is None else np.atleast_1d(np.asarray(rows))
    chosen = np.flatnonzero(chosen) if chosen.dtype == bool else chosen.astype(np.int64)
    chunks = [chosen[start : start + batch_size] for start in range(0, len(chosen), batch_size)]
    read = read_ahead(read_under(store, chunk, lead, condition) for chunk in chunks)
    parts = []
    with _in_use(model, device) as where:
        for signal, fs in _shown(read, f"embedding {store.name}", len(chunks), progress):
            windows = cut_windows(signal, fs, preprocessing.seconds)
            vectors = [
                _forward(model, preprocessing, window, fs, seen, where, precision) for window in windows
            ]
            weight = np.stack([~np.isnan(window).all(1) for window in windows]).astype(np.float32)
            weight[0, weight.sum(0) == 0] = 1.0  # nothing recorded at all: the embedding of a flat line
            total = np.einsum("wr,wrd->rd", weight, np.stack(vectors))
            parts.append(total / weight.sum(0)[:, None])
    if not parts:
        return np.empty((0, int(model.dim)), np.float32)  # type: ignore[arg-type]
    return np.concatenate(parts).astype(np.float32, copy=False)


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


def _lead(lead: str) -> str:
    return lead if lead == ALL_LEADS else canonical_lead(lead)


def _rows(
    model: torch.nn.Module,
    sources: Any,
    log: SourceLog,
    *,
    windowing: Windowing,
    given: dict[str, Any],
    pool: str | None,
    pool_leads: str | None,
    over_time: bool,
    errors: str,
    how: dict[str, Any],
) -> Iterator[Row]:
    """Rows of sources in their order, as asked for."""
    if errors not in ("raise", "skip"):
        raise ValueError(f"errors is {errors!r}; pass 'raise' or 'skip'.")
    if windowing.short not in ("pad", "refuse"):
        raise ValueError(f"short is {windowing.short!r}; pass 'pad' or 'refuse'.")
    if over_time and (pool or pool_leads):
        raise ValueError(
            "over_time gives one row a frame, and pool or pool_leads would pool them; pass one of these."
        )
    if windowing.lead != ALL_LEADS:
        check_lead(model, windowing.lead)
    rows = _embedded(model, sources, log, windowing, given, over_time=over_time, skip=errors == "skip", **how)
    if pool_leads is not None:
        rows = pooled_leads(rows, pool_leads)
    if pool is not None:
        rows = pool_windows(rows, pool)
    return rows


def _embedded(
    model: torch.nn.Module,
    sources: Any,
    log: SourceLog,
    windowing: Windowing,
    given: dict[str, Any],
    *,
    over_time: bool,
    skip: bool,
    batch_size: int | None,
    device: str | torch.device | None,
    precision: str,
    progress: bool,
) -> Iterator[Row]:
    """Windows and their vectors, in order; the next batch is read meanwhile."""
    leads = given["leads"]
    given = given | {"leads": [leads] if isinstance(leads, str) else leads}
    preprocessing = preprocessing_of(model)
    size = _batch_size(model, batch_size, device)
    if over_time:
        from openclef.over_time import OverTime

        model = OverTime(model, preprocessing.samples)
    expanded = expand(sources)
    log.aside = expanded.aside
    windows = pieces(expanded, preprocessing, windowing, **given, log=log, skip=skip)
    if progress:
        windows = _watched(windows, expanded.records())
    with _in_use(model, device) as where:
        for batch in read_ahead(_batches(windows, size, by_lead=getattr(model, "leads", 1) > 1)):
            lead = batch[0].lead
            check_lead(model, lead)
            signal = np.stack([piece.signal for piece in batch])
            vectors = _forward(model, preprocessing, signal, batch[0].fs, lead, where, precision)
            vectors[[piece.too_short for piece in batch]] = np.nan
            for piece, vector in zip(batch, vectors, strict=True):
                row = Row(
                    piece.recording,
                    piece.source,
                    piece.lead,
                    piece.start_s,
                    piece.seconds,
                    piece.flags,
                    vector,
                )
                yield from _frames(row, model, preprocessing.seconds) if over_time else [row]


def _frames(row: Row, model: Any, seconds: float) -> Iterator[Row]:
    """A window's row as one row a frame; frames of what was not recorded are left out."""
    step = seconds / model.count
    for number, vector in enumerate(row.vector.reshape(model.count, -1)):
        recorded = min(step, row.seconds - number * step)
        if recorded > 0 or number == 0:
            yield row._replace(start_s=row.start_s + number * step, seconds=max(recorded, 0.0), vector=vector)


def _cells(row: Row) -> dict[str, Any]:
    return {
        "source": row.source,
        "lead": row.lead,
        "start_s": float(row.start_s),
        "seconds": float(row.seconds),
        "flags": ";".join(row.flags),
    }


def _watched(windows: Iterable[Piece], total: int) -> Iterator[Piece]:
    """Windows under a progress bar that counts recordings."""
    from rich.progress import Progress

    with Progress(transient=True) as bar:
        task = bar.add_task("embedding", total=total)
        for piece in windows:
            bar.update(task, completed=piece.recording)
            yield piece
        bar.update(task, completed=total)


def _batch_size(model: torch.nn.Module, batch_size: int | None, device: str | torch.device | None) -> int:
    from openclef.inference import default_batch_size

    if batch_size is not None:
        check_counts(batch_size=batch_size)
        return batch_size
    return default_batch_size(_home(model) if device is None else checked_device(device))


def _home(model: torch.nn.Module) -> torch.device:
    import torch

    first = next(iter(model.parameters()), None)
    return torch.device("cpu") if first is None else first.device


def _shown(items: Iterable[Any], what: str, total: int, progress: bool) -> Iterable[Any]:
    """Items under a progress bar, if one is wanted."""
    if not progress:
        return items
    from rich.progress import track

    return track(items, description=what, total=total)


def _batches(windows: Iterable[Piece], batch_size: int, by_lead: bool) -> Iterator[list[Piece]]:
    """Consecutive windows of one rate and length, and of one lead if it matters, so that the order stays."""
    batch: list[Piece] = []
    for piece in windows:
        alike = bool(batch) and _kind(batch[0], by_lead) == _kind(piece, by_lead)
        if batch and (not alike or len(batch) == batch_size):
            yield batch
            batch = []
        batch.append(piece)
    if batch:
        yield batch


def _kind(piece: Piece, by_lead: bool) -> tuple[float, int, str]:
    return piece.fs, piece.signal.size, piece.lead if by_lead else ""


@contextmanager
def _in_use(model: torch.nn.Module, device: str | torch.device | None) -> Iterator[torch.device]:
    """Evaluation mode on the device asked for; both as before afterwards."""
    home = _home(model)
    where = home if device is None else checked_device(device)
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
    lead: str,
    device: torch.device,
    precision: str,
) -> NDArray[np.float32]:
    """(rows, time) of one lead to (rows, dim)."""
    import torch

    from openclef.inference import embed_prepared

    batch = torch.from_numpy(np.ascontiguousarray(signal)).to(device)[:, None, :]

    def prepare(piece: torch.Tensor) -> torch.Tensor:
        return place_lead(preprocessing(piece, fs), model, lead)

    return embed_prepared(model, batch, precision, prepare=prepare).float().cpu().numpy()
