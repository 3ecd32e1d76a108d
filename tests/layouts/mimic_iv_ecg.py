"""MIMIC-IV-ECG 1.0 in small, with its list in full and damaged files. Nothing is a patient's.

Run `python -m tests.layouts.mimic_iv_ecg FOLDER` to write it.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pandas as pd

from tests.layouts import mimic_iv_lvef
from tests.layouts.mimic_iv_lvef import LEADS, subject_ids

__all__ = ["DAMAGED", "LEADS", "record", "subject_ids", "write"]

DAMAGED = {
    4: "is missing",
    5: "states no gain",
    10: "shorter than its header says",
    11: "checksum of lead V6",
}
"""Number of each damaged ECG to the reason."""


def record(number: int) -> str:
    """An ECG's name."""
    return str(48000000 + 31 * number)


def write(folder: str | Path, *, subjects: int = 60) -> tuple[dict[str, np.ndarray], pd.DataFrame]:
    """Write the layout of `mimic_iv_lvef`; gives values in mV, (lead, time), by record, and the list.

    With 60 subjects four of 80 ECGs are damaged. Of the subjects with two ECGs every second has the later one listed
    first, the others have two at the same time.
    """
    folder = Path(folder)
    truth, _ = mimic_iv_lvef.write(folder, subjects=subjects)
    listed = pd.read_csv(folder / "record_list.csv", dtype=str)
    second = listed.groupby("subject_id").cumcount() == 1
    listed.loc[second & (pd.factorize(listed.subject_id)[0] % 2 == 0), "ecg_time"] = "2151-12-31 23:59:00"
    listed.to_csv(folder / "record_list.csv", index=False)
    paths = listed.set_index("study_id").path
    cut, flipped = (folder / f"{paths[record(number)]}.dat" for number in (10, 11))
    cut.write_bytes(cut.read_bytes()[:-2])
    flipped.write_bytes(flipped.read_bytes()[:-1] + bytes([flipped.read_bytes()[-1] ^ 1]))
    return truth, listed


if __name__ == "__main__":
    write(sys.argv[1])
