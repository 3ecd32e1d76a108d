"""Databases: one file a database, each turning its source folder into a plan for ``openclef.convert``.

A new database is one file here and one line in ``DATABASES``.
"""

from __future__ import annotations

from openclef.database import (
    aurora_bp,
    chapman,
    cinc2017,
    files,
    icentia11k,
    mc_med,
    mimic_iv_ecg,
    mimic_iv_lvef,
    mitdb,
    music,
    ptb_xl,
    table,
    wfdb_folder,
)
from openclef.database.plan import Database

__all__ = ["DATABASES", "Database"]

DATABASES: dict[str, Database] = {
    "ptb_xl": ptb_xl.DATABASE,
    "cinc2017": cinc2017.DATABASE,
    "chapman": chapman.DATABASE,
    "music": music.DATABASE,
    "mc_med": mc_med.DATABASE,
    "aurora_bp": aurora_bp.DATABASE,
    "icentia11k": icentia11k.DATABASE,
    "mimic_iv_ecg": mimic_iv_ecg.DATABASE,
    "mimic_iv_lvef": mimic_iv_lvef.DATABASE,
    "mitdb": mitdb.DATABASE,
    "files": files.DATABASE,
    "wfdb_folder": wfdb_folder.DATABASE,
    "table": table.DATABASE,
}
