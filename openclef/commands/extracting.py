"""What extracts clinical metadata from a hospital's tables on the command line."""

# The signature is the options and the docstring their help, so nothing heavy is imported up here.
from __future__ import annotations

import json
import shlex
from importlib.util import find_spec
from typing import Literal

__all__ = ["extract_metadata"]


def extract_metadata(
    database: str,
    hosp: str,
    out: str,
    *,
    ecgs: str,
    risks: str | list[str] = "all",
    region: Literal["low", "moderate", "high", "very_high"] = "low",
    concepts: str | None = None,
    memory_limit: str = "2GB",
    threads: int | None = None,
    overwrite: bool = False,
) -> int:
    """Extract clinical metadata and risk scores for every ECG from a hospital's tables; a profile says what is known.

    Args:
        database: mimic_iv.
        hosp: MIMIC-IV's folder hosp, as fetched: patients.csv.gz, labevents.csv.gz ...
        out: folder to write: metadata.parquet, risks.parquet, dropped.csv, settings.json, profile.html.
        ecgs: record_list.csv of MIMIC-IV-ECG.
        risks: all, or a list of scores: '["score2", "prevent_cvd"]'.
        region: of scores that have one, as SCORE2.
        concepts: a changed copy of concepts.toml, the file of windows, limits, itemids and codes.
        memory_limit: what DuckDB may use; what is more it keeps on the disk of out meanwhile.
        threads: of DuckDB; the number of cores by default.
        overwrite: replace an extraction that stands there.
    """
    from openclef.database.mimic_iv.extraction import extract_metadata as run
    from openclef.reporting.metadata_profile import print_profile, write_profile

    extraction = run(
        database,
        hosp,
        out,
        ecgs=ecgs,
        risks=risks,
        region=region,
        concepts=concepts,
        memory_limit=memory_limit,
        threads=threads,
        overwrite=overwrite,
    )
    print_profile(extraction)
    print(f"metadata: {extraction.folder}")
    options = shlex.quote(json.dumps({"metadata": str(extraction.folder)}))
    print(f"next: openclef convert mimic_iv_ecg FOLDER_OF_THE_ECGS STORE --options {options}")
    if find_spec("plotly") is None:
        print('for the profile as a page: pip install "openclef[report]", then extract with --overwrite true')
        return 0
    print(f"profile: {write_profile(extraction)}")
    return 0
