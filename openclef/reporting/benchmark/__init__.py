"""The page of a benchmark: one file a section, from the benchmark's CSV files and benchmark.json alone."""

# Sections import pandas and the page's drawing: they are imported inside, for `openclef report --help`.
from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from openclef.reporting.markup import Section

__all__ = ["benchmark_sections"]


def benchmark_sections(folder: Path) -> list[Section]:
    """Return the sections of a benchmark's page, in the order in which they are read.

    Args:
        folder: Of the benchmark, with benchmark.json; a CSV file that is not there or has no row leaves one line in
            place of what it would have shown.

    Raises:
        FileNotFoundError: There is no benchmark.json.
        ValueError: A file is damaged; the message names it and the column.

    Example:
        >>> benchmark_sections(Path("no/such/folder"))
        Traceback (most recent call last):
        ...
        FileNotFoundError: no/such/folder holds no benchmark.json; pass the folder that openclef.benchmark wrote.
    """
    from openclef.reporting.benchmark.calibration import calibration_section
    from openclef.reporting.benchmark.differences import differences_section
    from openclef.reporting.benchmark.everything import everything_section
    from openclef.reporting.benchmark.label_efficiency import efficiency_section
    from openclef.reporting.benchmark.labels import labels_section
    from openclef.reporting.benchmark.looks import looks_section
    from openclef.reporting.benchmark.ranks import ranks_section
    from openclef.reporting.benchmark.robustness import robustness_section
    from openclef.reporting.benchmark.side_by_side import side_by_side_section
    from openclef.reporting.benchmark.subgroups import subgroups_section
    from openclef.reporting.benchmark.summary import summary_section
    from openclef.reporting.benchmark.tables import read_tables

    tables = read_tables(folder)
    return [
        summary_section(tables),
        side_by_side_section(tables),
        ranks_section(tables),
        differences_section(tables),
        labels_section(tables),
        efficiency_section(tables),
        calibration_section(tables),
        subgroups_section(tables),
        robustness_section(tables),
        looks_section(tables),
        everything_section(tables),
    ]
