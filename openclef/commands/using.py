"""What uses an encoder on the command line: embeddings and predictions of files and stores."""

# The signatures are the options and the docstrings their help, so nothing heavy is imported up here.
from __future__ import annotations

from pathlib import Path
from typing import Any

__all__ = ["embed", "predict"]


def embed(
    model: str,
    sources: str | list[str],
    *,
    out: str | None = None,
    lead: str = "I",
    leads: str | list[str] | None = None,
    fs: float | None = None,
    unit: str | None = None,
    batch_size: int = 256,
) -> int:
    """Embed a store or files with an encoder, one row a window, and write parquet.

    Args:
        model: a run folder, a model folder, or openclef-small-sim, which comes with openclef (simulated ECGs only).
        sources: a store, a file in a format of `openclef list formats`, or several: '["a.npy", "b.hea"]'.
        out: parquet file to write; always needed.
        lead: lead to embed, by name; the name of the row, where an array has only one.
        leads: names of an array's rows, where its file does not state them: '["I", "II"]'.
        fs: sampling rate in Hz, for files that do not state it.
        unit: mV, uV, V or zscore, for files that do not state it; mV by default.
        batch_size: windows at a time.
    """
    target = _parquet_file(out, "embeddings.parquet", sources)
    from openclef.checkpoint import load
    from openclef.embedding import embed as run

    encoder = load(model)
    frame = run(encoder, sources, fs=fs, lead=lead, leads=leads, unit=unit, batch_size=batch_size)
    _write_parquet(frame, target)
    print(f"{out}: {len(frame):,} windows, {encoder.dim} dimensions")
    return 0


def predict(
    model: str,
    sources: str | list[str],
    *,
    out: str | None = None,
    lead: str = "I",
    leads: str | list[str] | None = None,
    fs: float | None = None,
    unit: str | None = None,
    batch_size: int = 256,
) -> int:
    """Predict a task's labels for a store or files with a fine-tuned encoder, one row a window, and write parquet.

    Args:
        model: run folder of `openclef finetune`.
        sources: a store, a file in a format of `openclef list formats`, or several: '["a.npy", "b.hea"]'.
        out: parquet file to write; always needed.
        lead: lead to predict from, by name; the name of the row, where an array has only one.
        leads: names of an array's rows, where its file does not state them: '["I", "II"]'.
        fs: sampling rate in Hz, for files that do not state it.
        unit: mV, uV, V or zscore, for files that do not state it; mV by default.
        batch_size: windows at a time.
    """
    target = _parquet_file(out, "predictions.parquet", sources)
    from openclef.checkpoint import load
    from openclef.prediction import predict as run

    encoder = load(model)
    frame = run(encoder, sources, fs=fs, lead=lead, leads=leads, unit=unit, batch_size=batch_size)
    _write_parquet(frame, target)
    head = encoder.required_head()
    what = head.unit or "calibrated probability"
    print(f"{out}: {len(frame):,} windows, {head.task} ({what}): {', '.join(head.labels)}")
    return 0


def _parquet_file(out: str | None, example: str, sources: str | list[str]) -> Path:
    """Refuse a missing source or output before a model is loaded."""
    if out is None:
        raise ValueError(f"out is missing; pass the parquet file to write, for example --out {example}.")
    if not sources:
        raise ValueError("No source is given; pass a store, a file, or a list of these.")
    target = Path(out)
    if target.is_dir():
        raise ValueError(f"out is {out}, a folder; pass the parquet file to write, as {target / example}.")
    from openclef.protocol.result import check_folder

    check_folder(target.parent)
    return target


def _write_parquet(frame: Any, target: Path) -> None:
    from openclef.store import write_atomically

    target.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(target, lambda path: frame.to_parquet(path))
