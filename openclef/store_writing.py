"""Writing a store: part by part, from several processes, resumable, with the same bytes every time."""

from __future__ import annotations

import csv
import json
import math
import shutil
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from openclef.columns import FIXED_COLUMNS, SPLITS, as_text, join_parts, part_column
from openclef.record import UNITS, Record, Window
from openclef.shards import (
    link_or_copy,
    make_folder,
    open_shard,
    sha256_of,
    to_steps,
    write_atomically,
    write_json,
    write_shard,
)
from openclef.signal import canonical_leads, quality_flags
from openclef.task import Task

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

    from openclef.store import Store

FORMAT = "openclef-store"
FORMAT_VERSION = 1
_OWN = ("window", "start_s", "seconds", "shard", "row")  # set by the writer, not by the caller


class StoreWriter:
    """Writes a store part by part.

    A part is one shard of signals and the rows that go with it. Parts may be written in any order and by
    several processes; a conversion that was stopped goes on from the parts that are finished, and ends with
    the same bytes as one that was not.

    Args:
        path: the folder to write; made where it is missing.
        name: the database's name.
        scale: unit per int16 step, for example 0.001 for 1 uV in mV.
        fs: sampling rate in Hz.
        leads: lead names, in the order of the shards.
        seconds: a window's length.
        title: the database's full name.
        unit: ``"mV"`` or ``"zscore"``.
        subject_namespace: shared by stores of the same people; the store's name by default.
        tasks: what can be predicted from the records; by name, or a list.
        licence: the licence of the signals.
        source: where the files come from.
        citation: what to cite.
        resume_key: a hash of the conversion's plan; a conversion is resumed only under the same key.
        overwrite: replace a store, or an unfinished one, that stands in the folder.

    Raises:
        FileExistsError: if the folder holds a finished store.
        ValueError: if it holds an unfinished conversion of another plan, or an argument is not accepted.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     writer = StoreWriter(folder, name="one", scale=0.001, fs=4, leads=("I",), seconds=1)
        ...     writer.write_part(0, [Record(np.zeros((1, 4)), 4, ("I",), "a"),
        ...                           Record(np.full((1, 4), 99.0), 4, ("I",), "b")], [{}, {}])
        ...     print(writer.finished_parts(), [record_id for record_id, reason in writer.skipped()])
        ...     print(writer.finish())
        [('b', "value 99 is outside the store's range of ±32.767; ...")]
        {0} ['b']
        Store(...: one, 1 windows of 1 s, I at 4 Hz)
    """

    def __init__(
        self,
        path: str | Path,
        *,
        name: str,
        scale: float,
        fs: float,
        leads: Sequence[str],
        seconds: float,
        title: str = "",
        unit: str = "mV",
        subject_namespace: str = "",
        tasks: Mapping[str, Task] | Iterable[Task] = (),
        licence: str = "",
        source: str = "",
        citation: str = "",
        resume_key: str = "",
        overwrite: bool = False,
    ) -> None:
        if unit not in UNITS:
            raise ValueError(f"unit={unit!r}; accepted are {', '.join(UNITS)}")
        for quantity, value in (("scale", scale), ("fs", fs), ("seconds", seconds)):
            if not (math.isfinite(value) and value > 0):
                raise ValueError(f"{quantity}={value!r}; accepted is a number above 0")
        if round(seconds * fs) < 1:
            raise ValueError(
                f"seconds={seconds!r} is less than one sample at {fs:g} Hz; pass a longer window"
            )
        self.path = Path(path).absolute()  # worker processes may stand in another folder
        self.parts = self.path / "_parts"
        self.leads = canonical_leads(leads)
        if not self.leads or not all(self.leads):
            raise ValueError(f"leads={leads!r}; accepted are names of leads, at least one and none empty")
        self.samples = round(seconds * fs)
        self.tasks = tuple(tasks.values() if isinstance(tasks, Mapping) else tasks)
        self.header: dict[str, Any] = {
            "format": FORMAT,
            "format_version": FORMAT_VERSION,
            "name": name,
            "title": title or name,
            "unit": unit,
            "scale": float(scale),
            "fs": float(fs),
            "leads": list(self.leads),
            "seconds": float(seconds),
            "subject_namespace": subject_namespace or name,
            "tasks": {task.name: task.as_json() for task in self.tasks},
            "licence": licence,
            "source": source,
            "citation": citation,
            "resume_key": resume_key,
        }
        self._claim_folder(overwrite)

    def finished_parts(self) -> set[int]:
        """Tell which parts are there whole, also from an earlier, stopped run.

        Returns:
            Their numbers.
        """
        return {index for index in self._part_numbers() if self._is_whole(index)}

    def write_part(
        self,
        index: int,
        records: Sequence[Record],
        columns: Sequence[Mapping[str, Any]],
        skipped: Iterable[tuple[str, str]] = (),
    ) -> list[tuple[str, str]]:
        """Write one part: its shard first, then its rows, each whole or not at all.

        Args:
            index: the part's number; the store's rows come in the order of the parts, from 0 without a gap.
            records: recordings; a longer one than a window gives several rows.
            columns: one mapping a record, from column name to value: ``split``, metadata, labels. Numbers
                and truth values become float64 (missing: None or NaN), strings stay strings (missing: None or
                ""). Names that begin with an underscore are left out; ``record.metadata`` fills in what is
                not given; ``flags`` are added to the signal's own.
            skipped: (record_id, reason) of records of this part that could not even be read; kept with the
                part.

        Returns:
            (record_id, reason) of every record that is not in the store: those given, and those refused
            because of their rate, leads, unit or identity, because they hold no valid sample, or a value that
            int16 steps cannot hold.

        Raises:
            ValueError: if records and columns do not fit each other, or a column mixes numbers and strings.
            OSError: if the disk is full; what is finished is kept.
        """
        if len(records) != len(columns):
            raise ValueError(f"{len(records)} records and {len(columns)} columns; pass one mapping a record")
        left_out = [(str(record_id), str(reason)) for record_id, reason in skipped]
        rows: list[dict[str, Any]] = []
        steps: list[np.ndarray] = []
        for record, given in zip(records, columns, strict=True):
            try:
                windows, about = self._accept(record, given)
            except _Refused as reason:
                left_out.append((record.record_id, str(reason)))
                continue
            rows += about
            steps += windows
        shard = self._shard(index)
        if steps:
            write_shard(shard, np.stack(steps))
        else:
            shard.unlink(missing_ok=True)
        note = {"rows": len(steps), "sha256": sha256_of(shard) if steps else "", "skipped": left_out}
        self._write_rows(index, rows, note)
        return left_out

    def skipped(self) -> list[tuple[str, str]]:
        """List the records that the finished parts left out, in the order of the parts.

        Returns:
            (record_id, reason) of each.
        """
        notes = (self._note(index) for index in sorted(self.finished_parts()))
        return [(str(r), str(why)) for note in notes for r, why in note["skipped"]]

    def finish(self, skipped: Iterable[tuple[str, str]] = ()) -> Store:
        """Join the parts into a store; ``dataset.json`` is written last.

        Args:
            skipped: (record_id, reason) of records that were left out, beyond those the parts know of.

        Returns:
            The store, opened.

        Raises:
            ValueError: if a part is missing, no window is there, a record stands in it twice, or a column
                holds numbers in one part and strings in another. The parts are kept.
        """
        finished = sorted(self.finished_parts())
        if finished != list(range(len(finished))):
            missing = sorted(set(range(max(finished))) - set(finished))
            raise ValueError(f"parts {missing} of {self.path} are missing; write them, then finish")
        notes = [self._note(index) for index in finished]
        filled = [index for index in finished if notes[index]["rows"]]
        left_out = list(dict.fromkeys([*self.skipped(), *((str(r), str(why)) for r, why in skipped)]))
        if not filled:
            reasons = "; ".join(f"{r}: {why}" for r, why in left_out[:3]) or "no record was given"
            raise ValueError(f"no window was written to {self.path} ({reasons}); check the source")
        shards = [
            {"file": self._shard(i).name, "rows": notes[i]["rows"], "sha256": notes[i]["sha256"]}
            for i in filled
        ]
        return self._close(self._join(filled), shards, left_out)

    def adopt(self, store: Store, records: pd.DataFrame) -> Store:
        """Finish with another store's signals and other metadata for them, instead of parts.

        The signals are linked where the disk allows it, otherwise copied; a store's signals never change.

        Args:
            store: whose signals; its rate, leads, unit and scale must be the writer's.
            records: its ``records``, row by row, with other metadata and labels.

        Returns:
            The store, opened.

        Raises:
            ValueError: if the rows are not the store's, or the signals are not as this writer was told.
        """
        import pyarrow as pa

        signal = ("unit", "scale", "fs", "leads", "seconds")
        if any(self.header[name] != store.info[name] for name in signal):
            raise ValueError(f"{store.path} differs in {', '.join(signal)} from the writer; pass its own")
        fixed = list(FIXED_COLUMNS)
        if not records[fixed].reset_index(drop=True).equals(store.records[fixed].reset_index(drop=True)):
            raise ValueError(
                f"the {len(records):,} rows are not those of {store.path}; leave {', '.join(fixed)} as they are"
            )
        needed = {column for task in self.tasks for column in task.columns}
        if needed - {*records}:
            raise ValueError(
                f"the rows lack {', '.join(sorted(needed - {*records}))}, which a task needs; add them"
            )
        for shard in store.info["shards"]:
            link_or_copy(store.path / shard["file"], self.path / shard["file"])
        return self._close(
            pa.Table.from_pandas(records, preserve_index=False).replace_schema_metadata(None),
            store.info["shards"],
            [],
        )

    def _close(self, table: pa.Table, shards: list[dict[str, Any]], left_out: list[tuple[str, str]]) -> Store:
        """Write the table, then ``dataset.json``, and clear away what only the writing needed."""
        from openclef import __version__
        from openclef.store import open_store

        records = self.path / "records.parquet"
        _write_parquet(records, table)
        _write_skipped(self.path / "skipped.csv", left_out)
        closing = {"shards": shards, "records_sha256": sha256_of(records), "openclef_version": __version__}
        write_json(self.path / "dataset.json", self.header | closing)
        shutil.rmtree(self.parts)
        for temporary in self.path.glob(".*.tmp"):  # left by processes that were killed
            temporary.unlink(missing_ok=True)
        return open_store(self.path)

    def _claim_folder(self, overwrite: bool) -> None:
        plan, finished = self.parts / "plan.json", self.path / "dataset.json"
        if overwrite:
            self._clear()
        elif finished.exists():
            raise FileExistsError(
                f"{self.path} holds a finished store; open it with openclef.open_store, pass "
                "overwrite=True to replace it, or name another folder"
            )
        elif plan.exists():
            if json.loads(plan.read_text(encoding="utf-8")) != self.header:
                raise ValueError(
                    f"{self.path} holds an unfinished conversion with other settings or other source files; "
                    "pass overwrite=True to begin anew, or name another folder"
                )
            return
        make_folder(self.parts)
        write_json(plan, self.header)

    def _clear(self) -> None:
        """Remove a store's own files and no others, ``dataset.json`` first."""
        if not (self.path / "dataset.json").exists() and not self.parts.exists():
            return
        (self.path / "dataset.json").unlink(missing_ok=True)
        own = ("records.parquet", "skipped.csv", "signals-*.npy", "risk/*.parquet", "risk/*.json", ".*.tmp")
        for pattern in own:
            for path in self.path.glob(pattern):
                path.unlink()
        shutil.rmtree(self.parts, ignore_errors=True)

    def _accept(
        self, record: Record, given: Mapping[str, Any]
    ) -> tuple[list[np.ndarray], list[dict[str, Any]]]:
        """Turn a record into int16 windows and their rows, or refuse it."""
        header = self.header
        if not math.isclose(record.fs, header["fs"], rel_tol=1e-6):
            raise _Refused(f"rate is {record.fs:g} Hz and the store's {header['fs']:g} Hz")
        if record.unit != header["unit"]:
            raise _Refused(f"unit is {record.unit} and the store's {header['unit']}")
        absent = [lead for lead in self.leads if lead not in record.leads]
        if absent:
            raise _Refused(f"lead {', '.join(absent)} is missing; the record has {', '.join(record.leads)}")
        values = {name: value for name, value in (record.metadata | dict(given)).items() if name[:1] != "_"}
        fixed = _identity(record, values)
        chosen = record.select(self.leads)
        if not np.isfinite(chosen.signal).any():
            raise _Refused("the record holds no valid sample")
        windows: list[tuple[int, Window]] = []
        for number, window in enumerate(chosen.windows(header["seconds"])):
            if not np.isnan(window.signal).all():
                windows.append((number, window))
        noted = [flag for flag in as_text(values.pop("flags", "")).split(";") if flag]
        if len(windows) < number + 1:
            noted.append("windows_left_out")
        steps, rows = [], []
        for number, window in windows:
            recorded = round(window.seconds * record.fs)
            try:
                steps.append(to_steps(window.signal, header["scale"]))
            except ValueError as error:
                raise _Refused(str(error)) from None
            flags = quality_flags(window.signal[:, :recorded], record.fs, record.unit, self.leads)
            flags += ["padded"] * (recorded < self.samples)
            own = {
                "window": number,
                "start_s": window.start_s,
                "seconds": window.seconds,
                "flags": ";".join(dict.fromkeys([*flags, *noted])),
            }
            rows.append(values | fixed | own)
        return steps, rows

    def _write_rows(self, index: int, rows: list[dict[str, Any]], note: dict[str, Any]) -> None:
        import pyarrow as pa

        names = list(dict.fromkeys([*FIXED_COLUMNS, *(name for row in rows for name in row)]))
        names = [name for name in names if name not in ("shard", "row")]
        table = pa.table({name: part_column(name, [row.get(name) for row in rows]) for name in names})
        _write_parquet(self._part(index), table.replace_schema_metadata({"openclef": json.dumps(note)}))

    def _join(self, filled: list[int]) -> pa.Table:
        from pyarrow import parquet

        table = join_parts([parquet.read_table(self._part(index)) for index in filled], self.tasks)
        rows = Counter(zip(table["record_id"].to_pylist(), table["window"].to_pylist(), strict=True))
        twice = sorted({record_id for (record_id, _), count in rows.items() if count > 1})
        if twice:
            raise ValueError(
                f"{len(twice)} record_id stand in the plan more than once: {', '.join(twice[:5])}; "
                "give every record its own record_id"
            )
        return table

    def _shard(self, index: int) -> Path:
        return self.path / f"signals-{index:05d}.npy"

    def _part(self, index: int) -> Path:
        return self.parts / f"part-{index:05d}.parquet"

    def _part_numbers(self) -> list[int]:
        names = (path.stem.removeprefix("part-") for path in self.parts.glob("part-*.parquet"))
        return sorted(int(name) for name in names if name.isdecimal())

    def _note(self, index: int) -> dict[str, Any]:
        from pyarrow import parquet

        return json.loads(parquet.read_schema(self._part(index)).metadata[b"openclef"])

    def _is_whole(self, index: int) -> bool:
        try:
            note = self._note(index)
            if note["rows"]:
                open_shard(self._shard(index), (note["rows"], len(self.leads), self.samples))
        except (OSError, ValueError, KeyError, TypeError):
            return False  # it is written again
        return True


class _Refused(Exception):
    """A record that cannot stand in the store, and why."""


def _identity(record: Record, values: dict[str, Any]) -> dict[str, Any]:
    """The row's identity and split, taken out of ``values``; refuses metadata of another record."""
    own = [name for name in _OWN if name in values]
    if own:
        raise ValueError(f"columns {', '.join(own)} are set by the writer; leave them out or rename them")
    for name, of_signal in (("record_id", record.record_id), ("subject_id", record.subject_id)):
        of_row = as_text(values.pop(name, None))
        if of_row and of_signal is not None and of_row != str(of_signal):
            raise _Refused(f"the signal has {name} {of_signal} and the metadata {of_row}")
        if name == "subject_id":
            subject = of_row if of_signal is None else str(of_signal)
    split = as_text(values.pop("split", None))
    if split not in SPLITS:
        raise ValueError(
            f"split={split!r} of record {record.record_id}; accepted are {', '.join(map(repr, SPLITS))}"
        )
    # where the source names no subject, the record stands for itself
    return {
        "record_id": record.record_id,
        "subject_id": subject or f"record:{record.record_id}",
        "split": split,
    }


def _write_parquet(path: Path, table: pa.Table) -> None:
    from pyarrow import parquet

    write_atomically(path, lambda temporary: parquet.write_table(table, temporary, compression="zstd"))


def _write_skipped(path: Path, skipped: list[tuple[str, str]]) -> None:
    def write(temporary: Path) -> None:
        with temporary.open("w", encoding="utf-8", newline="") as file:
            csv.writer(file, lineterminator="\n").writerows([("record_id", "reason"), *skipped])

    write_atomically(path, write)
