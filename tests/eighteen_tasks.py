"""All tasks from raw files to the page: small layouts, stores, one benchmark and its report.

Run `python -m tests.eighteen_tasks --out runs/eighteen_tasks`; the folder must not be there.
"""

from __future__ import annotations

import argparse
import importlib
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

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
WITHOUT_PEOPLE = ("icentia11k/beat", "icentia11k/rhythm", "cinc2017/rhythm")
"""Tasks of data that say nothing of age and sex: no baseline of these stands there."""
MODEL = "openclef-small-sim"


class Small(NamedTuple):
    """A database in small: what its layout and its conversion are given, and the lead that is judged."""

    size: dict[str, Any]
    options: dict[str, Any]
    lead: str = "I"


SMALL = {
    "ptb_xl": Small({"records": 192}, {}),
    "chapman": Small({"records": 250}, {}),
    "icentia11k": Small({"patients": 170}, {}),
    "music": Small({"patients": 220}, {}, "X"),
    "mc_med": Small({"visits": 300}, {}, "II"),
    "mimic_iv_lvef": Small({"subjects": 160}, {"patients": "patients.csv.gz"}),
    "aurora_bp": Small({"participants": 160}, {}),
    "cinc2017": Small({"records": 280}, {}),
    "mitdb": Small({"records": 36}, {"windows": 5}, "MLII"),
}
"""Sizes at which two labels of each task can be measured, or twenty values, in the test part."""


def write_layouts(folder: Path, *, timed: bool = False) -> None:
    """Write each database's raw files into a folder of its name."""
    for name, small in SMALL.items():
        with _stage(f"write {name}", timed):
            importlib.import_module(f"tests.layouts.{name}").write(folder / name, **small.size)


def convert_layouts(src: Path, dst: Path, *, timed: bool = False) -> dict[str, Store]:
    """Convert each into a store of its name."""
    stores = {}
    for name, small in SMALL.items():
        with _stage(f"convert {name}", timed), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of the traps, which the databases' own tests know
            stores[name] = openclef.convert(
                name, src / name, dst / name, workers=1, progress=False, **small.options
            )
    return stores


def run_benchmark(
    stores: dict[str, Store], out: Path, *, draws: int = 50, timed: bool = False
) -> openclef.Benchmark:
    """Judge all tasks by one call, each on its own lead, and write the page."""
    with _stage("benchmark", timed):
        found = openclef.benchmark(
            {MODEL: MODEL},
            list(stores.values()),
            out,
            seeds=(0, 1),
            draws=draws,
            permutations=draws,
            quiet=True,
        )
    with _stage("report", timed):
        openclef.report(out)
    return found


def run(out: Path) -> None:
    """Do all of it, and print how long each stage takes and what is reached."""
    if out.exists():
        raise SystemExit(f"{out} is there; pass a new folder")
    with _stage("all", True):
        write_layouts(out / "raw", timed=True)
        stores = convert_layouts(out / "raw", out / "stores", timed=True)
        for name, store in stores.items():
            found = openclef.check(store)
            if found.problems:
                raise SystemExit(f"{name}: {found.problems}")
        benchmark = run_benchmark(stores, out / "benchmark", timed=True)
    table = benchmark.metrics
    rows = table[(table["part"] == "") & table["metric"].isin(["auroc", "mae"])]
    rows = rows[~rows["model"].str.endswith("+ age_sex")]
    keys = ["task", "lead", "metric"]
    print(rows.pivot_table(index=keys, columns="model", values="value", sort=False).round(3).to_string())
    print(f"page: {out / 'benchmark' / 'report.html'}")


@contextmanager
def _stage(name: str, timed: bool) -> Iterator[None]:
    start = time.perf_counter()
    yield
    if timed:
        print(f"{time.perf_counter() - start:7.1f} s  {name}", flush=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path("runs/eighteen_tasks"))
    run(parser.parse_args().out)
