"""The store: a folder that holds ECG windows as recorded, their metadata and their risks (docs/format.md)."""

from __future__ import annotations

import hashlib
import json
import warnings
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from openclef.dataset_json import read_dataset_json
from openclef.shards import from_steps, open_shard, sha256_of, write_atomically, write_json
from openclef.signal import lead_indices
from openclef.store_writing import StoreWriter
from openclef.task import Task

if TYPE_CHECKING:  # pandas takes long to import; a command's help does without it
    import pandas as pd
    from numpy.typing import ArrayLike

__all__ = ["Store", "StoreWriter", "Task", "hash_subjects", "open_store", "write_atomically"]


def hash_subjects(namespace: str, ids: Iterable[object]) -> np.ndarray:
    """Hash subject ids, so that runs can list whom they have seen and stores of the same people agree.

    Args:
        namespace: the store's ``subject_namespace``; stores of the same people share it.
        ids: subject ids, one a row.

    Returns:
        Array of strings of the same length: the first 16 hexadecimal digits of
        SHA-256(``namespace:subject_id``).

    Example:
        >>> hash_subjects("ptb_xl", ["15709", "13243", "15709"]).tolist()
        ['34eed0e724656bd3', 'f0a4649b272e37f6', '34eed0e724656bd3']
    """
    unique, positions = np.unique(np.asarray(list(ids), dtype=str), return_inverse=True)
    return _hash_each(namespace, unique)[positions]


def _hash_each(namespace: str, ids: Iterable[object]) -> np.ndarray:
    each = (hashlib.sha256(f"{namespace}:{subject}".encode()).hexdigest()[:16] for subject in ids)
    return np.fromiter(each, dtype="<U16")


def _check_label(label: str, example: str) -> None:
    if not label or label != Path(label).name or label.startswith("."):
        raise ValueError(
            f"label={label!r} cannot be a file's name; pass a plain word, for example {example!r}"
        )


def open_store(path: str | Path) -> Store:
    """Open a store for reading; reads its ``dataset.json`` only.

    Args:
        path: the store's folder.

    Returns:
        The store.

    Raises:
        FileNotFoundError: if the folder is no store, or its conversion has not finished.
        ValueError: if the store was written in a newer format, or its ``dataset.json`` is damaged.

    Example:
        >>> open_store("nowhere")
        Traceback (most recent call last):
        FileNotFoundError: nowhere holds no dataset.json: there is no such folder; ...
    """
    return Store(path)


class Store:
    """ECG windows on disk: int16 as recorded, read by row and by lead name.

    Args:
        path: the store's folder; ``open_store`` is the usual way to get here.

    Attributes:
        path: the folder.
        info: the whole of ``dataset.json``.
        name: the database's name; ``title`` its full one.
        unit: the unit of the values that ``read`` gives, ``"mV"`` or ``"zscore"``.
        scale: that unit per int16 step.
        fs: sampling rate in Hz.
        leads: lead names, in the order of the shards.
        seconds: a window's length; ``samples`` the same in samples.
        subject_namespace: stores of the same people share it.
        tasks: what can be predicted, by name.

    Example:
        >>> import tempfile
        >>> from openclef.record import Record
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     writer = StoreWriter(folder, name="one", scale=0.001, fs=4, leads=("I", "II"), seconds=1)
        ...     values = {"a": 0.5, "b": 1.0}
        ...     records = [Record(np.full((2, 4), v), 4, ("I", "II"), name) for name, v in values.items()]
        ...     refused = writer.write_part(0, records, [{"age_years": 60}, {"age_years": 40}])
        ...     store = writer.finish()
        ...     print(len(store), store.read([0], leads="II"), store.read_raw(0, "I").max(), store.subjects())
        ...     print(store.signals(0).shape, store.records["age_years"].tolist())
        ...     print(store.add_risk("age").risks, store.risk("age")["value"].tolist())
        2 [[[0.5 0.5 0.5 0.5]]] 500 ['216e3be0b63114c7' 'b20a20a573e672c7']
        (2, 2, 4) [60.0, 40.0]
        ['age'] [60.0, 40.0]
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self.info = read_dataset_json(self.path)
        self.name: str = self.info["name"]
        self.title: str = self.info["title"]
        self.unit: str = self.info["unit"]
        self.scale: float = self.info["scale"]
        self.fs: float = self.info["fs"]
        self.leads: tuple[str, ...] = tuple(self.info["leads"])
        self.seconds: float = self.info["seconds"]
        self.samples: int = round(self.seconds * self.fs)
        self.subject_namespace: str = self.info["subject_namespace"]
        self.tasks = {name: Task(**task) for name, task in self.info["tasks"].items()}
        self._starts = np.cumsum([0] + [shard["rows"] for shard in self.info["shards"]])
        self._records: pd.DataFrame | None = None
        self._records_checked = False
        self._shards: dict[int, np.ndarray] = {}

    def __len__(self) -> int:
        return int(self._starts[-1])

    def __repr__(self) -> str:
        return (
            f"Store({str(self.path)!r}: {self.name}, {len(self)} windows of {self.seconds:g} s, "
            f"{', '.join(self.leads)} at {self.fs:g} Hz)"
        )

    def __getstate__(self) -> dict[str, Any]:
        """Leave open shards behind: a worker process opens its own."""
        return self.__dict__ | {"_shards": {}}

    @property
    def records(self) -> pd.DataFrame:
        """``records.parquet``, one row a window, in the order of the windows; read once, on first use.

        Raises:
            ValueError: if the file is missing, or is not the one whose SHA-256 ``dataset.json`` states.
        """
        if self._records is None:
            self._records = self._read_records(None)
        return self._records

    def columns(self, *names: str) -> pd.DataFrame:
        """Read some columns of ``records`` without the others, which may take far more memory.

        Args:
            names: columns of ``records``.

        Returns:
            One row a window, with these columns.

        Raises:
            ValueError: as ``records``.
        """
        return self._read_records(list(names)) if self._records is None else self._records[list(names)]

    def _read_records(self, columns: list[str] | None) -> pd.DataFrame:
        import pyarrow as pa
        from pyarrow import parquet

        file = self.path / "records.parquet"
        if not self._records_checked:
            found = sha256_of(file) if file.is_file() else None
            if found != self.info["records_sha256"]:
                what = "is missing" if found is None else "was changed or cut short: its sha256 differs from"
                raise ValueError(
                    f"{file} {what}{'' if found is None else ' that in dataset.json'}; copy it again from a "
                    "good copy, or change the source and convert with overwrite=True"
                )
            self._records_checked = True
        # By threads the whole is read a little faster; a few columns take several times the memory.
        records = parquet.read_table(file, columns=columns, use_threads=columns is None).to_pandas()
        pa.default_memory_pool().release_unused()
        if len(records) != len(self):
            raise ValueError(
                f"{file} has {len(records)} rows and the shards have "
                f"{len(self)}; the store is damaged: convert again with overwrite=True"
            )
        return records

    def locate(self, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Find windows in the shards.

        Args:
            rows: integers, rows of ``records``.

        Returns:
            For each its shard, as a position in ``info["shards"]``, and its row in that shard.
        """
        shard = np.searchsorted(self._starts, rows, side="right") - 1
        return shard, rows - self._starts[shard]

    def signals(self, shard: int) -> np.ndarray:
        """Open one shard, mapped into memory.

        Args:
            shard: its position in ``info["shards"]``.

        Returns:
            int16 array (window, lead, time), read-only; -32768 is missing.

        Raises:
            ValueError: if the file is missing, cut short, or has another type or shape than the store says.
        """
        if shard not in self._shards:
            entry = self.info["shards"][shard]
            self._shards[shard] = open_shard(
                self.path / entry["file"], (entry["rows"], len(self.leads), self.samples)
            )
        return self._shards[shard]

    def read_raw(
        self, rows: int | slice | Sequence[int] | np.ndarray, leads: str | Sequence[str] | None = None
    ) -> np.ndarray:
        """Read windows as stored.

        Args:
            rows: rows of ``records``, in any order, also repeatedly: one, a slice, several or a mask.
            leads: lead names in any spelling; None means all.

        Returns:
            int16 array (row, lead, time) in the order asked; -32768 is missing. One row: (1, lead, time).

        Raises:
            IndexError: if a row is not there.
            ValueError: if a lead is not there, or a shard is damaged.
        """
        wanted = self._row_numbers(rows)
        columns = None if leads is None else np.asarray(lead_indices(self.leads, leads))
        raw = np.empty((len(wanted), len(self.leads if columns is None else columns), self.samples), np.int16)
        order = np.argsort(wanted, kind="stable")
        ordered = wanted[order]
        edges = np.searchsorted(ordered, self._starts)
        for shard in np.flatnonzero(np.diff(edges)):
            part = slice(edges[shard], edges[shard + 1])
            signals, local = self.signals(int(shard)), ordered[part] - self._starts[shard]
            for position, row in zip(order[part], local, strict=True):
                raw[position] = signals[row] if columns is None else signals[row, columns]
        return raw

    def read(
        self, rows: int | slice | Sequence[int] | np.ndarray, leads: str | Sequence[str] | None = None
    ) -> np.ndarray:
        """Read windows in the store's unit.

        Args:
            rows: rows of ``records``, in any order, also repeatedly: one, a slice, several or a mask.
            leads: lead names in any spelling; None means all.

        Returns:
            float32 array (row, lead, time) in ``unit``, in the order asked; NaN is missing.

        Raises:
            IndexError: if a row is not there.
            ValueError: if a lead is not there, or a shard is damaged.
        """
        return from_steps(self.read_raw(rows, leads), self.scale)

    def subjects(self) -> np.ndarray:
        """Hashed subject ids, one a row of ``records`` (see ``hash_subjects``)."""
        places, hashes = self.subject_codes()
        return hashes[places]

    def subject_codes(self) -> tuple[np.ndarray, np.ndarray]:
        """Subjects as small numbers, for stores of many windows.

        Returns:
            For each row of ``records`` its subject's place in the second array, which has one hashed id a subject.
        """
        places, ids = self.columns("subject_id")["subject_id"].factorize(use_na_sentinel=False)
        return places, _hash_each(self.subject_namespace, ids)

    @property
    def risks(self) -> list[str]:
        """Names of the risks that were added."""
        return sorted(
            path.stem for path in self.path.glob("risk/*.json") if path.with_suffix(".parquet").exists()
        )

    def add_risk(self, name: str, *, label: str | None = None, **settings: Any) -> Store:
        """Compute a clinical risk score for every window from the metadata, and keep it in the store.

        Args:
            name: a score of ``openclef.risk.SCORES``, for example ``"score2"``.
            label: the name to keep it under; the score's own by default. One store may hold one score under
                several labels, for example for two regions.
            **settings: arguments of the score that are the same for all, for example ``region="low"``. They
                go before a column of the same name; an input that is in neither is unknown.

        Returns:
            The store itself.

        Raises:
            ValueError: if the score, a setting or the label is not accepted.

        Warns:
            UserWarning: if the risk tells the windows hardly apart.
        """
        from openclef import risk as scores

        if name not in scores.SCORES:
            raise ValueError(f"risk {name!r} is unknown; accepted are {', '.join(sorted(scores.SCORES))}")
        label = name if label is None else label
        _check_label(label, name)
        if label != name and label in scores.SCORES:
            raise ValueError(
                f"label={label!r} is the name of another score; pass another word, for example {name + '_2'!r}"
            )
        score = scores.SCORES[name]
        accepted = (*score.settings, *score.inputs)
        unknown_settings = [setting for setting in settings if setting not in accepted]
        if unknown_settings:
            raise ValueError(
                f"risk {name!r} has no setting {', '.join(unknown_settings)}; accepted are "
                f"{', '.join(accepted)}: leave it out"
            )
        records = self.records
        columns = [column for column in score.inputs if column not in settings]
        known = {column: records[column].to_numpy() for column in columns if column in records}
        absent = [column for column in columns if column not in records]
        unknown = {column: np.full(len(self), "" if column == "sex" else np.nan) for column in absent}
        result = score.function(**known, **unknown, **settings)
        values = {
            column: np.broadcast_to(np.asarray(getattr(result, column), dtype=kind), len(self))
            for column, kind in (("value", np.float64), ("n_missing", np.int64), ("completeness", np.float64))
        }
        plain = {
            key: value.tolist() if hasattr(value, "tolist") else value for key, value in settings.items()
        }
        about = {"score": name, "title": score.title, "unit": score.unit, "source": score.source}
        self._write_risk(label, values, about | {"settings": plain, "absent": sorted(absent)})
        if degenerate := scores.describe(**values).degenerate:
            warnings.warn(f"risk {label!r} of {self.name}: {degenerate}", stacklevel=2)
        return self

    def add_own_risk(
        self, label: str, value: ArrayLike, *, completeness: ArrayLike = 1.0, title: str = "", unit: str = ""
    ) -> Store:
        """Keep a risk that was computed elsewhere: a score of your own, or a control such as a shuffled one.

        Args:
            label: the name to keep it under, none of ``openclef.risk.SCORES``.
            value: (windows,) numbers that rise with risk, aligned with ``records``; NaN where unknown.
            completeness: share of what the risk needs that is known, 0 to 1; one for all, or (windows,).
            title: what it is, in words.
            unit: of the values.

        Returns:
            The store itself.

        Raises:
            ValueError: if the label is not accepted, or values do not fit the records.

        Example:
            >>> import openclef, tempfile
            >>> store = openclef.simulate(tempfile.mkdtemp() + "/sim", patients=4, workers=1)
            >>> pressure = store.records["sbp_mmhg"]
            >>> store.add_own_risk("pressure", pressure, completeness=pressure.notna(), unit="mmHg").risks
            ['pressure']
        """
        from openclef import risk as scores

        _check_label(label, "my_score")
        if label in scores.SCORES:
            raise ValueError(
                f"label={label!r} is the name of a score; pass another word, for example 'my_score'"
            )
        values: dict[str, np.ndarray] = {}
        for name, given in (("value", value), ("completeness", completeness)):
            try:
                numbers = np.asarray(given, dtype=np.float64)
            except (TypeError, ValueError) as error:
                raise ValueError(f"{name} of risk {label!r} holds what is no number ({error})") from error
            if numbers.shape not in ((), (len(self),)) or (name == "value" and numbers.ndim == 0):
                raise ValueError(
                    f"{name} of risk {label!r} has shape {numbers.shape}; pass one number a row of records, "
                    f"({len(self)},)"
                )
            values[name] = np.array(np.broadcast_to(numbers, len(self)))
        values["value"][~np.isfinite(values["value"])] = np.nan
        if not ((values["completeness"] >= 0) & (values["completeness"] <= 1)).all():
            raise ValueError(
                f"completeness of risk {label!r} has values that are not within 0 to 1; pass the share of what "
                "the risk needs that is known"
            )
        values["n_missing"] = np.isnan(values["value"]).astype(np.int64)
        about = {
            "score": "",
            "title": title or label,
            "unit": unit,
            "source": "given",
            "settings": {},
            "absent": [],
        }
        self._write_risk(
            label, {name: values[name] for name in ("value", "n_missing", "completeness")}, about
        )
        return self

    def risk(self, name: str) -> pd.DataFrame:
        """Read a risk that was added.

        Args:
            name: its label, one of ``risks``.

        Returns:
            One row a window, aligned with ``records``: ``value`` in the score's own unit (NaN: unknown),
            ``n_missing`` inputs, ``completeness`` from 0 to 1.

        Raises:
            KeyError: if the store holds no such risk; the message says how to add it.
            ValueError: if the risk was computed for other records than the store now has.
        """
        import pyarrow as pa
        from pyarrow import parquet

        path = self.path / "risk" / f"{name}.json"
        if name not in self.risks:
            raise KeyError(
                f"the store {self.path} holds no risk {name!r}; it has: {', '.join(self.risks) or 'none'}; "
                f"add it with store.add_risk({name!r}, ...) or: openclef risk {self.path} {name}"
            )
        about = json.loads(path.read_text())
        frame = parquet.read_table(path.with_suffix(".parquet"), use_threads=False).to_pandas()
        pa.default_memory_pool().release_unused()
        if len(frame) != len(self) or about["records_sha256"] != self.info["records_sha256"]:
            again = f"compute it again with store.add_risk({about['score']!r}, label={name!r}, ...)"
            raise ValueError(
                f"{path.with_suffix('.parquet')} was computed for other records than the store has; "
                + (again if about["score"] else "give it again with store.add_own_risk")
            )
        return frame

    def risk_settings(self, name: str) -> dict[str, Any]:
        """Tell with which settings a risk was added.

        Args:
            name: its label, one of ``risks``.

        Returns:
            The arguments that were given to ``add_risk``, for example ``{"region": "low"}``.

        Raises:
            KeyError: if the store holds no such risk.

        Example:
            >>> import openclef, tempfile
            >>> store = openclef.simulate(tempfile.mkdtemp() + "/sim", patients=4, workers=1)
            >>> store.add_risk("score2", region="high").risk_settings("score2")
            {'region': 'high'}
        """
        if name not in self.risks:
            raise KeyError(
                f"the store {self.path} holds no risk {name!r}; it has: {', '.join(self.risks) or 'none'}"
            )
        about = json.loads((self.path / "risk" / f"{name}.json").read_text(encoding="utf-8"))
        return dict(about["settings"])

    def _write_risk(self, label: str, values: dict[str, np.ndarray], about: dict[str, Any]) -> None:
        import pyarrow as pa
        from pyarrow import parquet

        path = self.path / "risk" / f"{label}.parquet"
        path.parent.mkdir(exist_ok=True)
        path.with_suffix(".json").unlink(missing_ok=True)  # without it the risk is not there yet
        write_atomically(path, lambda temporary: parquet.write_table(pa.table(values), temporary))
        about |= {"rows": len(self), "records_sha256": self.info["records_sha256"], "sha256": sha256_of(path)}
        write_json(path.with_suffix(".json"), about)

    def _row_numbers(self, rows: int | slice | Sequence[int] | np.ndarray) -> np.ndarray:
        if isinstance(rows, slice):
            return np.arange(len(self))[rows]
        wanted = np.atleast_1d(np.asarray(rows))
        if wanted.dtype == bool:
            if wanted.shape != (len(self),):
                raise IndexError(
                    f"mask of shape {wanted.shape}; a mask has one value a row, here {len(self)}"
                )
            return np.flatnonzero(wanted)
        if wanted.ndim != 1 or (wanted.size and wanted.dtype.kind not in "iu"):
            raise IndexError(f"rows of type {wanted.dtype} and shape {wanted.shape}; pass row numbers")
        wanted = wanted.astype(np.int64)
        if wanted.size and (wanted.min() < 0 or wanted.max() >= len(self)):
            raise IndexError(f"rows {wanted.min()} to {wanted.max()}; accepted are 0 to {len(self) - 1}")
        return wanted
