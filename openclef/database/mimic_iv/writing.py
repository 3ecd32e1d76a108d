"""The extraction's files: metadata.parquet, risks.parquet, dropped.csv and settings.json."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import openclef
from openclef.database.mimic_iv import diagnoses, drugs, labs, measurements
from openclef.database.mimic_iv.workspace import TABLES, Workspace
from openclef.shards import sha256_of, write_json

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

METADATA = "metadata.parquet"
RISKS = "risks.parquet"
DROPPED = "dropped.csv"
SETTINGS = "settings.json"
FORMAT = "openclef clinical metadata"

NAMES = (*measurements.NAMES, *labs.NAMES, *diagnoses.NAMES, *drugs.NAMES)
"""Values beside age and sex, each with a column NAME_date and NAME_source; in the table's order."""

VALUES = ("age_years", "age_over_89", "sex", *NAMES)
"""Columns of values, without those of dates and sources."""

_ROWS = 100_000  # written at a time


def write_metadata(work: Workspace, listed: pa.Table, folder: Path) -> None:
    """Write metadata.parquet: one row an ECG, in the list's order.

    Args:
        work: the extraction; it has the tables `person` and `found`.
        listed: of `patients.read_list`.
        folder: where to.

    Example:
        >>> NAMES[:3], NAMES[-1], len(VALUES)
        (('sbp_mmhg', 'dbp_mmhg', 'height_cm'), 'statin', 23)
    """
    from pyarrow import parquet

    columns = []
    for name in NAMES:
        form = "%Y-%m-%d" if name in measurements.NAMES else "%Y-%m-%d %H:%M:%S"
        own = f"FILTER (found.name = '{name}')"
        columns += [
            f"coalesce(max(value) {own}, 'nan'::DOUBLE) AS {name}",
            f"coalesce(strftime(max(date) {own}, '{form}'), '') AS {name}_date",
            f"coalesce(max(source) {own}, '') AS {name}_source",
        ]
    writer = None
    try:
        for start in range(0, len(listed), _ROWS):
            piece = listed.slice(start, _ROWS)
            these = f"id >= {start} AND id < {start + len(piece)}"
            work.step(
                f"""CREATE OR REPLACE TABLE piece AS
                SELECT id, coalesce(any_value(age), 'nan'::DOUBLE) AS age_years,
                    coalesce(any_value(over_89), 'nan'::DOUBLE) AS age_over_89, any_value(sex) AS sex,
                    {", ".join(columns)}
                FROM (FROM person WHERE {these}) LEFT JOIN (FROM found WHERE {these}) found USING (id)
                GROUP BY id""",
                f"{METADATA} from row {start:,}",
            )
            found = work.fetch("SELECT * EXCLUDE (id) FROM piece ORDER BY id")
            for place, name in enumerate(listed.column_names):
                found = found.add_column(place, name, piece[name])
            writer = writer or parquet.ParquetWriter(folder / METADATA, found.schema, compression="zstd")
            writer.write_table(found)
    finally:
        if writer is not None:
            writer.close()
    work.query("DROP TABLE piece")


def write_risks(folder: Path, names: Sequence[str], settings: Mapping[str, Any] | None = None) -> None:
    """Write risks.parquet: record_id, and value, number of unknown inputs and completeness of each score.

    Args:
        folder: where metadata.parquet stands.
        names: of `openclef.risk.SCORES`.
        settings: of the scores, for example their region.

    Example:
        >>> import tempfile
        >>> import pandas as pd
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     people = pd.DataFrame({"record_id": ["7"], "age_years": [61.0], "sex": ["male"]})
        ...     people.to_parquet(Path(folder, METADATA))
        ...     write_risks(Path(folder), ["age"])
        ...     pd.read_parquet(Path(folder, RISKS)).columns.tolist()
        ['record_id', 'age', 'age_n_missing', 'age_completeness']
    """
    from openclef.risk import score_table

    frame = read_values(folder)
    risks = score_table(frame, list(names), **(settings or {}))
    risks.insert(0, "record_id", frame["record_id"])
    risks.to_parquet(folder / RISKS, index=False, compression="zstd")


def read_values(folder: Path) -> pd.DataFrame:
    """Read an extraction's values, without their dates and sources.

    Args:
        folder: of the extraction.

    Returns:
        Columns record_id, subject_id, ecg_time and `VALUES`, as far as they are there.

    Example:
        >>> import tempfile
        >>> import pandas as pd
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     pd.DataFrame({"record_id": ["7"], "bmi": [21.0], "bmi_date": [""]}).to_parquet(Path(folder, METADATA))
        ...     read_values(Path(folder)).columns.tolist()
        ['record_id', 'bmi']
    """
    from pyarrow import parquet

    there = parquet.read_schema(folder / METADATA).names
    wanted = [name for name in ("record_id", "subject_id", "ecg_time", *VALUES) if name in there]
    return parquet.read_table(folder / METADATA, columns=wanted).to_pandas(split_blocks=True)


def write_dropped(work: Workspace, folder: Path) -> None:
    """Write dropped.csv: how many rows were dropped, by table, name and reason.

    Example:
        >>> import tempfile
        >>> from openclef.database.mimic_iv.concepts import read_concepts
        >>> from openclef.database.mimic_iv.workspace import open_workspace
        >>> with open_workspace(Path("nowhere"), read_concepts()) as work, tempfile.TemporaryDirectory() as folder:
        ...     work.drop("omr", "bmi", "implausible", 2)
        ...     write_dropped(work, Path(folder))
        ...     Path(folder, DROPPED).read_text().split()
        ['table,name,reason,n', 'omr,bmi,implausible,2']
    """
    with (folder / DROPPED).open("w", encoding="utf-8", newline="") as file:
        table = csv.writer(file, lineterminator="\n")
        table.writerow(["table", "name", "reason", "n"])
        table.writerows([*key, n] for key, n in sorted(work.dropped.items()))


def write_settings(
    work: Workspace,
    folder: Path,
    ecgs: Path,
    listed: pa.Table,
    scores: Sequence[str],
    settings: Mapping[str, Any],
) -> None:
    """Write settings.json, the last file: what was read, by which rules and versions.

    Args:
        work: the extraction.
        folder: where to.
        ecgs: the list of ECGs.
        listed: its content.
        scores: those of risks.parquet.
        settings: of the scores.

    Example:
        >>> SETTINGS
        'settings.json'
    """
    files = {table: work.files.get(table) for table in TABLES}
    write_json(
        folder / SETTINGS,
        {
            "format": FORMAT,
            "database": "mimic_iv",
            "concepts_sha256": work.concepts.sha256,
            "window_days": [-work.concepts.before_days, work.concepts.after_days],
            "ecgs": {
                "name": ecgs.name,
                "bytes": ecgs.stat().st_size,
                "sha256": sha256_of(ecgs),
                "rows": len(listed),
            },
            "tables": {
                table: {"name": path.name, "bytes": path.stat().st_size} if path else None
                for table, path in files.items()
            },
            "scores": list(scores),
            "score_settings": dict(settings),
            "versions": {
                "openclef": openclef.__version__,
                **{name: version(name) for name in ("duckdb", "pyarrow", "numpy")},
            },
        },
    )
