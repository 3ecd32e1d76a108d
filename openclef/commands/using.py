"""What uses an encoder on the command line: embeddings and predictions of files and stores."""

# The signatures are the options and the docstrings their help, so nothing heavy is imported up here.
from __future__ import annotations

import sys
from pathlib import Path
from typing import Any, Literal

__all__ = ["convert_weights", "embed", "import_model", "predict"]


def import_model(name: str, weights: str, out: str, *, overwrite: bool = False) -> int:
    """Make a model folder of a published foundation model's weights, for all commands that take a model.

    Args:
        name: of `openclef list models`, for example ecgfounder.
        weights: file of weights, as its authors publish it.
        out: folder to write.
        overwrite: replace a model that is there.
    """
    folder = Path(out)
    if folder.exists() and not overwrite and (not folder.is_dir() or any(folder.iterdir())):
        raise FileExistsError(
            f"{folder} is there; pass another folder, or --overwrite true to replace the model in it."
        )
    if folder.is_dir() and any(folder.iterdir()) and not (folder / "model.safetensors").is_file():
        raise FileExistsError(f"{folder} holds something else than a model; pass another folder.")
    from openclef.checkpoint import load
    from openclef.model import save_encoder

    encoder = load(name, weights=weights)
    save_encoder(encoder, folder)
    unused = f"; {len(encoder.ignored)} published tensors not used" if encoder.ignored else ""
    print(
        f"{out}: {name}, {sum(p.numel() for p in encoder.parameters()):,} parameters, {encoder.dim} dimensions{unused}"
    )
    print(f"openclef embed {out} FILE --out embeddings.parquet")
    return 0


def convert_weights(
    src: str, dst: str, *, trust: bool = False, key: str = "", overwrite: bool = False
) -> int:
    """Take the tensors out of a checkpoint that holds more than tensors; nothing in it is run.

    Args:
        src: .pt, .pth, .ckpt or .bin file, in the format of PyTorch 1.6 or later.
        dst: .safetensors file to write.
        trust: go on without asking although the file names more than tensors.
        key: where in the checkpoint the tensors are; state_dict, model_state_dict, model or the top by default.
        overwrite: replace dst.
    """
    from openclef.weight_conversion import convert_weights as run
    from openclef.weight_conversion import shortened

    def ask(question: str) -> bool:
        return sys.stdin.isatty() and input(f"{question} [y/N] ").strip().lower() in ("y", "yes")

    done = run(src, dst, trust=trust, key=key, overwrite=overwrite, ask=ask)
    print(f"{dst}: {len(done.tensors)} tensors")
    if done.left_out:
        print(f"left out, beside them: {shortened(done.left_out)}")
    if done.not_imported:
        print(f"asked for and not imported: {shortened(done.not_imported)}")
    return 0


def embed(
    model: str,
    sources: str | list[str],
    *,
    out: str | None = None,
    lead: str = "I",
    leads: str | list[str] | None = None,
    fs: float | None = None,
    unit: str | None = None,
    overlap_s: float = 0.0,
    short: Literal["pad", "refuse"] = "pad",
    pool: Literal["mean", "median", "max"] | None = None,
    pool_leads: Literal["mean", "concatenate"] | None = None,
    over_time: bool = False,
    errors: Literal["raise", "skip"] = "skip",
    batch_size: int | None = None,
    device: str | None = None,
    precision: Literal["float32", "bf16"] = "float32",
) -> int:
    """Embed a store, files or a folder of files with an encoder, one row a window, and write parquet.

    Args:
        model: a run folder, a model folder, or openclef-small-sim, which comes with openclef (simulated ECGs only).
        sources: a store, a file in a format of `openclef list formats`, a folder of such files, or several of these:
            '["a.npy", "b.hea"]'. A CSV file is one recording; make one that lists files a store first (openclef convert
            files).
        out: parquet file to write; always needed.
        lead: lead to embed, by name; the name of the row, where an array has only one; all embeds every lead.
        leads: names of an array's rows, where its file does not state them: '["I", "II"]'.
        fs: sampling rate in Hz, for files that do not state it.
        unit: mV, uV, V or zscore, for files that do not state it; mV by default.
        overlap_s: seconds that a window shares with the one before it.
        short: pad takes windows that are not full; refuse refuses recordings shorter than a window.
        pool: mean, median or max over the windows of a recording: one row a recording.
        pool_leads: mean or concatenate over the leads of a window: one row a window.
        over_time: one row a frame of the encoder's features over time.
        errors: skip lists recordings that cannot be read in a file beside the output, and goes on; raise stops.
        batch_size: windows at a time; 64 for each thread of a CPU, 512 on a GPU by default.
        device: cpu, cuda or another device of torch; a GPU where there is one by default.
        precision: float32, or bf16, which is faster where the processor has it (docs/performance.md).
    """
    target = _parquet_file(out, "embeddings.parquet", sources)
    from openclef.checkpoint import load
    from openclef.embedding import embed_to_parquet

    encoder = load(model)
    target.parent.mkdir(parents=True, exist_ok=True)
    done = embed_to_parquet(
        encoder,
        sources,
        target,
        fs=fs,
        lead=lead,
        leads=leads,
        unit=unit,
        overlap_s=overlap_s,
        short=short,
        pool=pool,
        pool_leads=pool_leads,
        over_time=over_time,
        errors=errors,
        batch_size=batch_size,
        device=_device(device),
        precision=precision,
        progress=sys.stderr.isatty(),
    )
    dim = f"{encoder.dim} dimensions" + " a lead" * (pool_leads == "concatenate")
    print(f"{out}: {done.rows:,} rows of {done.log.recordings:,} recordings, {dim}")
    _tell(done.log, target)
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
    overlap_s: float = 0.0,
    short: Literal["pad", "refuse"] = "pad",
    pool: Literal["mean", "median", "max"] | None = None,
    errors: Literal["raise", "skip"] = "skip",
    batch_size: int | None = None,
    device: str | None = None,
    precision: Literal["float32", "bf16"] = "float32",
) -> int:
    """Predict a task's labels for a store or files with a fine-tuned encoder, one row a window, and write parquet.

    Args:
        model: run folder of `openclef finetune`.
        sources: a store, a file in a format of `openclef list formats`, a folder of such files, or several of these:
            '["a.npy", "b.hea"]'. A CSV file is one recording; make one that lists files a store first (openclef convert
            files).
        out: parquet file to write; always needed.
        lead: lead to predict from, by name; the name of the row, where an array has only one.
        leads: names of an array's rows, where its file does not state them: '["I", "II"]'.
        fs: sampling rate in Hz, for files that do not state it.
        unit: mV, uV, V or zscore, for files that do not state it; mV by default.
        overlap_s: seconds that a window shares with the one before it.
        short: pad takes windows that are not full; refuse refuses recordings shorter than a window.
        pool: mean, median or max over the windows of a recording: one row a recording.
        errors: skip lists recordings that cannot be read in a file beside the output, and goes on; raise stops.
        batch_size: windows at a time; 64 for each thread of a CPU, 512 on a GPU by default.
        device: cpu, cuda or another device of torch; a GPU where there is one by default.
        precision: float32, or bf16, which is faster where the processor has it (docs/performance.md).
    """
    target = _parquet_file(out, "predictions.parquet", sources)
    from openclef.checkpoint import load
    from openclef.prediction import predict as run
    from openclef.source_files import SourceLog

    encoder = load(model)
    frame = run(
        encoder,
        sources,
        fs=fs,
        lead=lead,
        leads=leads,
        unit=unit,
        overlap_s=overlap_s,
        short=short,
        pool=pool,
        errors=errors,
        batch_size=batch_size,
        device=_device(device),
        precision=precision,
        progress=sys.stderr.isatty(),
    )
    log = SourceLog(skipped=frame.attrs["skipped"], guessed=frame.attrs["guessed"])
    frame.attrs = {}
    _write_parquet(frame, target)
    head = encoder.required_head()
    what = head.unit or "calibrated probability"
    print(f"{out}: {len(frame):,} rows, {head.task} ({what}): {', '.join(head.labels)}")
    _tell(log, target)
    return 0


def _tell(log: Any, target: Path) -> None:
    """Print what was guessed, left out and skipped; the skipped ones are listed in a file beside the output."""
    import csv

    for said in (*log.guesses(), *log.notes()):
        print(f"note: {said}")
    if log.aside:
        kinds = ", ".join(f"{count} {ending}" for ending, count in log.aside.items())
        print(f"note: {sum(log.aside.values()):,} other files in the folder: {kinds}")
    listed = target.with_name(f"{target.stem}.skipped.csv")
    listed.unlink(missing_ok=True)
    if log.skipped:
        with listed.open("w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file)
            writer.writerow(["source", "reason"])
            writer.writerows(log.skipped.items())
        first = next(iter(log.skipped.values()))
        print(f"skipped: {len(log.skipped):,} recordings, listed in {listed}; the first: {first}")


def _device(asked: str | None) -> str:
    """The device asked for, a GPU where there is one if none was."""
    import torch

    from openclef.device import checked_device

    if asked is None:
        return "cuda" if torch.cuda.is_available() else "cpu"
    return str(checked_device(asked))


def _parquet_file(out: str | None, example: str, sources: str | list[str]) -> Path:
    """Refuse a missing source or output before a model is loaded."""
    if out is None:
        raise ValueError(f"out is missing; pass the parquet file to write, for example --out {example}.")
    if not sources:
        raise ValueError("No source is given; pass a store, a file, or a list of these.")
    target = Path(out)
    if target.is_dir():
        raise ValueError(f"out is {out}, a folder; pass the parquet file to write, as {target / example}.")
    if target.suffix != ".parquet":
        raise ValueError(
            f"out is {out}; parquet is written: pass a name that ends in .parquet, as {example}."
        )
    from openclef.protocol.result import check_folder

    check_folder(target.parent)
    return target


def _write_parquet(frame: Any, target: Path) -> None:
    from openclef.store import write_atomically

    target.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(target, lambda path: frame.to_parquet(path))
