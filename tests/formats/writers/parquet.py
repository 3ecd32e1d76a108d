"""Parquet tables of one recording."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq


def write_parquet(
    path: Path, columns: Mapping[str, Any], metadata: Mapping[str, str] | None = None, **options: Any
) -> Path:
    """Write columns of numbers, of lists or of anything else, and the schema's metadata."""
    table = pa.table({name: pa.array(values) for name, values in columns.items()})
    pq.write_table(table.replace_schema_metadata(dict(metadata or {})), path, **options)
    return path
