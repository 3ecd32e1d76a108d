"""Metadata and all risk scores from a simulated MIMIC-IV at scale: seconds, memory, and are the values the truth?

    python benchmarks/mimic_iv.py                                  # 20,000 patients, 20 million rows of labevents
    python benchmarks/mimic_iv.py --patients 500 --labevents 100000

The extraction runs as a process of its own under /usr/bin/time -v, its table is compared with the simulator's truth
value by value, and its rates are carried over to the real size: 120 million rows of labevents, 800,035 ECGs.
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pandas as pd

from openclef.simulator import simulate_mimic_iv

REAL_LABEVENTS = 120_000_000
REAL_ECGS = 800_035


def main() -> None:
    """Write the tree, extract, compare, print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--patients", type=int, default=20_000)
    parser.add_argument("--records_per_patient", type=float, default=3.0)
    parser.add_argument("--signals", type=int, default=2_000)
    parser.add_argument("--labevents", type=int, default=20_000_000)
    parser.add_argument("--memory_limit", default="2GB", help="of DuckDB")
    parser.add_argument(
        "--tree", help="folder of the tree, which is kept and used again; else a temporary one"
    )
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        tree = Path(given.tree or Path(temporary, "tree"))
        if not tree.exists():
            began = time.perf_counter()
            simulate_mimic_iv(
                tree,
                patients=given.patients,
                records_per_patient=given.records_per_patient,
                signals=given.signals,
                labevents=given.labevents,
            )
            print(f"tree written in {time.perf_counter() - began:.0f} s")
        hosp = tree / "mimiciv" / "hosp"
        labevents = (hosp / "labevents.csv.gz").stat().st_size / 1e6
        truth = pd.read_parquet(tree / "truth.parquet")
        print(f"{len(truth):,} ECGs, labevents {given.labevents:,} rows, {labevents:,.0f} MB compressed")
        out = Path(temporary, "metadata")
        seconds, megabytes = _extract(tree, out, given.memory_limit)
        print(f"metadata and all scores: {seconds:.0f} s, {megabytes:,.0f} MB at most")
        _compare(truth, pd.read_parquet(out / "metadata.parquet"))
        _carry_over(given.labevents / seconds, len(truth) / seconds)


def _carry_over(labevents_a_s: float, ecgs_a_s: float) -> None:
    by_rows, by_ecgs = REAL_LABEVENTS / labevents_a_s / 60, REAL_ECGS / ecgs_a_s / 60
    print(f"{labevents_a_s:,.0f} rows of labevents a second: the real table's would take {by_rows:.0f} min")
    print(f"{ecgs_a_s:,.0f} ECGs a second: the real list's would take {by_ecgs:.0f} min")


def _extract(tree: Path, out: Path, memory_limit: str) -> tuple[float, float]:
    command = ["extract_metadata", "mimic_iv", str(tree / "mimiciv" / "hosp"), str(out), "--ecgs"]
    command += [str(tree / "mimic-iv-ecg" / "record_list.csv"), "--memory_limit", memory_limit]
    program = Path(sys.executable).with_name("openclef")
    began = time.perf_counter()
    done = subprocess.run(
        ["/usr/bin/time", "-v", str(program), *command], capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise SystemExit(done.stdout + done.stderr)
    peak = re.search(r"Maximum resident set size \(kbytes\): (\d+)", done.stderr)
    return time.perf_counter() - began, int(peak.group(1)) / 1000 if peak else float("nan")


def _compare(truth: pd.DataFrame, found: pd.DataFrame) -> None:
    if truth["record_id"].tolist() != found["record_id"].tolist():
        raise SystemExit("the extraction's records are not those of the tree")
    wrong = 0
    print(f"{'value':24}{'in the window':>15}{'equal':>10}{'wrong':>8}")
    for name in truth.columns.drop(["record_id", "has_signal", "damaged"]):
        if name == "sex":
            known, equal = truth[name] != "", truth[name] == found[name]
        else:
            known = truth[name].notna()
            equal = np.isclose(truth[name], found[name], rtol=1e-9, atol=0, equal_nan=True)
        wrong += int((~equal).sum())
        print(f"{name:24}{int(known.sum()):>15,}{int((equal & known).sum()):>10,}{int((~equal).sum()):>8,}")
    print("every value equals the truth" if wrong == 0 else f"{wrong:,} values differ from the truth")


if __name__ == "__main__":
    main()
