"""Cholesterol, HDL, HbA1c and creatinine, from the table labevents; eGFR from creatinine."""

from __future__ import annotations

from openclef.database.mimic_iv.concepts import Unit
from openclef.database.mimic_iv.nearest import add_nearest
from openclef.database.mimic_iv.workspace import Workspace, plain_number, text, texts

NAMES = ("total_chol_mmol_l", "hdl_mmol_l", "hba1c_mmol_mol", "creatinine_mg_dl", "egfr_ml_min")

_COLUMNS = ["labevent_id", "subject_id", "itemid", "charttime", "value", "valuenum", "valueuom"]


def add_labs(work: Workspace) -> None:
    """Add laboratory values nearest the ECGs to `found`; nothing where the table is missing.

    Args:
        work: the extraction; it has the tables `ecg`, `subject`, `person` and `found`.

    Source:
        MIMIC-IV documentation, hosp/labevents and hosp/d_labitems; the choices are in concepts.toml.

    Example:
        >>> from pathlib import Path
        >>> from openclef.database.mimic_iv.concepts import read_concepts
        >>> from openclef.database.mimic_iv.workspace import open_workspace
        >>> with open_workspace(Path("nowhere"), read_concepts()) as work:
        ...     add_labs(work)
    """
    if not work.has("labevents"):
        return
    name_of = {item: name for name, lab in work.concepts.labs.items() for item in lab.itemids}
    number = "CASE WHEN isfinite(TRY_CAST(valuenum AS DOUBLE)) THEN TRY_CAST(valuenum AS DOUBLE) END"
    names = " ".join(f"WHEN '{item}' THEN {text(name)}" for item, name in name_of.items())
    work.read(
        "labevents",
        _COLUMNS,
        f"""CREATE TABLE drawn AS
        SELECT TRY_CAST(subject_id AS BIGINT) AS subject, TRY_CAST(labevent_id AS BIGINT) AS labevent_id,
            CASE trim(itemid) {names or "WHEN '' THEN ''"} END AS name, trim(itemid) AS itemid,
            TRY_CAST(trim(charttime) AS TIMESTAMP) AS time,
            coalesce({number}, {plain_number("value")}) AS number,
            trim(coalesce(value, '')) = '' AND trim(coalesce(valuenum, '')) = '' AS is_empty,
            lower(regexp_replace(coalesce(valueuom, ''), '\\s', '', 'g')) AS unit
        FROM {{rows}}
        WHERE trim(itemid) IN {texts([str(item) for item in name_of])}
            AND TRY_CAST(subject_id AS BIGINT) IN (SELECT subject FROM subject)""",
    )
    work.query(
        "CREATE TABLE result (subject BIGINT, name VARCHAR, time TIMESTAMP, value DOUBLE, source VARCHAR)"
    )
    for name, lab in work.concepts.labs.items():
        _add_results(work, name, lab.units, lab.plausible)
    work.query("DROP TABLE drawn")
    add_nearest(work, "result", days_only=False)
    work.query("DROP TABLE result")
    _add_egfr(work)


def _add_results(work: Workspace, name: str, units: tuple[Unit, ...], plausible: tuple[float, float]) -> None:
    """Plausible values in the value's own unit; of one time that of the smallest labevent_id."""
    formulas = " ".join(
        f"WHEN unit = {text(unit.name)}{' OR unit = ' + text('') if place == 0 else ''} THEN "
        f"number * {unit.times!r}::DOUBLE / {unit.divided_by!r}::DOUBLE + {unit.plus!r}::DOUBLE"
        for place, unit in enumerate(units)
    )
    accepted = texts(["", *(unit.name for unit in units)])
    work.query(
        f"""CREATE TABLE converted AS
        SELECT *, CASE WHEN time IS NULL THEN 'no charttime' WHEN is_empty THEN 'no value'
            WHEN number IS NULL THEN 'text instead of a number'
            WHEN unit NOT IN {accepted} THEN 'another unit'
            WHEN converted NOT BETWEEN {plausible[0]} AND {plausible[1]} THEN 'implausible' END AS reason
        FROM (SELECT *, CASE {formulas} END AS converted FROM drawn WHERE name = '{name}')"""
    )
    for reason, n in work.query(
        "SELECT reason, count(*) FROM converted WHERE reason IS NOT NULL GROUP BY reason"
    ):
        work.drop("labevents", name, reason, n)
    work.query(
        f"""INSERT INTO result
        SELECT subject, '{name}', time, arg_min(converted, place), 'labevents ' || arg_min(itemid, place) FROM (
            SELECT *, coalesce(labevent_id, 9223372036854775807) AS place FROM converted WHERE reason IS NULL
        ) GROUP BY subject, time"""
    )
    work.query("DROP TABLE converted")


def _add_egfr(work: Workspace) -> None:
    """The glomerular filtration rate of whoever has creatinine, sex and an age from 18 years on."""
    import numpy as np
    import pyarrow as pa

    from openclef.risk.ckd_epi_2021 import egfr_ckd_epi_2021

    known = work.fetch(
        "SELECT id, value, age, sex FROM found JOIN person USING (id) "
        "WHERE name = 'creatinine_mg_dl' AND age IS NOT NULL AND sex <> ''"
    )
    sex = known["sex"].to_numpy()
    egfr = egfr_ckd_epi_2021(
        creatinine_mg_dl=known["value"].to_numpy(), age_years=known["age"].to_numpy(), sex=sex
    )
    table = pa.table({"id": known["id"], "egfr": np.asarray(egfr, float)})
    work.connection.register("filtration", table)
    work.query(
        "INSERT INTO found SELECT id, 'egfr_ml_min', egfr, date, 'CKD-EPI 2021 from ' || source "
        "FROM found JOIN filtration USING (id) WHERE name = 'creatinine_mg_dl' AND NOT isnan(egfr)"
    )
    work.connection.unregister("filtration")
