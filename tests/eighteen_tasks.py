"""All tasks from raw files to the report: small layouts, stores, one benchmark a lead, one page.

Run `python -m tests.eighteen_tasks --out runs/eighteen_tasks`; the folder must not be there.
"""

from __future__ import annotations

import importlib
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import openclef
from openclef.store import Store

EIGHTEEN = (
    "ptb_xl/diagnostic", "ptb_xl/subdiagnostic", "ptb_xl/superdiagnostic", "ptb_xl/form", "ptb_xl/rhythm",
    "chapman/diagnosis", "icentia11k/beat", "icentia11k/rhythm", "music/outcome", "mc_med/ed_disposition",
    "mc_med/discharge_disposition", "mc_med/acuity", "mc_med/sbp", "mc_med/dbp", "mimic_iv_lvef/low_ef",
    "mimic_iv_lvef/lvef", "aurora_bp/sbp", "aurora_bp/dbp",
)  # fmt: skip
"""The tasks of the paper, by the names of the design."""
BEYOND = ("cinc2017/rhythm", "mitdb/beat")


class Small(NamedTuple):
    """A database in small: what the layout and the conversion are given, and the lead to judge."""

    size: dict[str, Any]
    options: dict[str, Any]
    lead: str = "I"


SMALL = {
    "ptb_xl": Small({"records": 192}, {}),
    "chapman": Small({"records": 250}, {"max_skipped_share": 0.1}),
    "icentia11k": Small({"patients": 170}, {"max_skipped_share": 0.1}),
    "music": Small({"patients": 220}, {}, "X"),
    "mc_med": Small({"visits": 300}, {}, "II"),
    "mimic_iv_lvef": Small({"subjects": 160}, {"patients": "patients.csv.gz"}),
    "aurora_bp": Small({"participants": 160}, {}),
    "cinc2017": Small({"records": 280}, {}),
    "mitdb": Small({"records": 36}, {"windows": 5, "max_skipped_share": 0.1}, "MLII"),
}
"""Sizes at which at least two labels of each task can be measured, or twenty values, in the test part."""

_Out = TypeVar("_Out")


def write_layouts(folder: Path, *, timed: bool = False) -> None:
    """Write each database's raw files into a folder of its name."""
    for name, small in SMALL.items():
        write = importlib.import_module(f"tests.layouts.{name}").write
        _stage(f"write {name}", lambda: write(folder / name, **small.size), timed)  # noqa: B023


def convert_layouts(src: Path, dst: Path, *, timed: bool = False) -> dict[str, Store]:
    """Convert each into a store of its name."""
    return {
        name: _stage(f"convert {name}", lambda: _convert(name, src / name, dst / name, small), timed)  # noqa: B023
        for name, small in SMALL.items()
    }


def _convert(name: str, src: Path, dst: Path, small: Small) -> Store:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the traps, which the layouts' own tests know
        return openclef.convert(name, src, dst, workers=1, progress=False, **small.options)


def _stage(name: str, do: Callable[[], _Out], timed: bool) -> _Out:
    start = time.perf_counter()
    done = do()
    if timed:
        print(f"{time.perf_counter() - start:7.1f} s  {name}", flush=True)
    return done
