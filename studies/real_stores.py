"""The real recordings that several studies use, as stores."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pandas as pd

import openclef
from openclef.store import Store

KINDS = {"superclass": "superdiagnostic", "subclass": "subdiagnostic", "rhythm": "rhythm", "form": "form"}


def convert(
    data: Path, out: Path, names: Sequence[str] = ("ptb_xl", "ptb_xl_z", "cinc2017", "mitdb")
) -> dict[str, Store]:
    """Convert data sets, or open what is there; PTB-XL gets the risk age_sex.

    Args:
        data: Folder with ptb-xl (official layout), ptb-xl-z (one array and a CSV), cinc2017 and mitdb.
        out: Where the stores go.
        names: Which; "ptb_xl_z" needs "ptb_xl", whose names of labels it takes.

    Returns:
        Stores by name.
    """
    places = {name: out / name for name in names}
    missing = [name for name, place in places.items() if not (place / "dataset.json").exists()]
    if "ptb_xl" in missing:
        openclef.convert("ptb_xl", data / "ptb-xl", places["ptb_xl"], fs=500)
    if "ptb_xl_z" in missing:
        _convert_array(data / "ptb-xl-z", places["ptb_xl_z"], openclef.open_store(places["ptb_xl"]))
    for name in missing:
        if name not in ("ptb_xl", "ptb_xl_z"):
            openclef.convert(name, data / name, places[name])
    stores = {name: openclef.open_store(place) for name, place in places.items()}
    for name in ("ptb_xl", "ptb_xl_z"):
        if name in stores and "age_sex" not in stores[name].risks:
            stores[name].add_risk("age_sex", region="low")
    return stores


def _convert_array(src: Path, dst: Path, official: Store) -> None:
    """Convert the array of PTB-XL; its codes have lost the underscores that the official ones have."""
    table = pd.read_csv(src / "records.csv", dtype=str, keep_default_na=False)
    tasks = {}
    for column, kind in KINDS.items():
        labels = official.tasks[f"ptb_xl/{kind}"].labels
        known = {label.strip("_"): label for label in labels}
        found = table[column].str.replace(",", ";").str.split(";")
        table[column] = [";".join(known[code] for code in codes if code) for codes in found]
        tasks[f"ptb_xl/{kind}"] = {"kind": "multilabel", "column": column, "labels": list(labels)}
    raw = dst.parent / "ptb_xl_z_raw"
    raw.mkdir(parents=True, exist_ok=True)
    table.to_csv(raw / "records.csv", index=False)
    if not (raw / "signals.npz").exists():
        (raw / "signals.npz").symlink_to((src / "signals.npz").resolve())
    openclef.convert(
        "table",
        raw,
        dst,
        signals="signals.npz",
        metadata="records.csv",
        record_id="ecg_id",
        subject_id="patient_id",
        unit="zscore",
        sex_codes={"0": "male", "1": "female"},
        rename={"age": "age_years", "height": "height_cm", "weight": "weight_kg"},
        age_over_89_code=300,
        split="split",
        subject_namespace="ptb_xl",
        tasks=tasks,
    )
