"""Diabetes, smoking and the other diagnoses, from the tables admissions and diagnoses_icd."""

from __future__ import annotations

from openclef.database.mimic_iv.concepts import DIAGNOSES, Codes, as_expression
from openclef.database.mimic_iv.workspace import Workspace, text

NAMES = ("diabetes", "age_at_diabetes_years", "smoker", *DIAGNOSES[1:])
TABLES = ("admissions", "diagnoses_icd")

_OLDEST_AT_DIAGNOSIS = 90
_NO_CODE = "'no code in ' || number || CASE number WHEN 1 THEN ' admission' ELSE ' admissions' END"
_CURRENT, _FORMER = "smoker (current)", "smoker (former)"


def add_diagnoses(work: Workspace) -> None:
    """Add diagnoses coded up to the ECGs to `found`; nothing where one of the two tables is missing.

    Args:
        work: the extraction; it has the tables `ecg`, `subject`, `person` and `found`.

    Source:
        MIMIC-IV documentation, hosp/admissions and hosp/diagnoses_icd; the codes are in concepts.toml.

    Example:
        >>> from pathlib import Path
        >>> from openclef.database.mimic_iv.concepts import read_concepts
        >>> from openclef.database.mimic_iv.workspace import open_workspace
        >>> with open_workspace(Path("nowhere"), read_concepts()) as work:
        ...     add_diagnoses(work)
    """
    if not all(work.has(table) for table in TABLES):
        return
    _read_admissions(work)
    _read_codes(work)
    work.step(
        """CREATE TABLE stay AS
        SELECT ecg.id, ecg.subject, ecg.time, visit.time AS admitted, visit.number
        FROM ecg ASOF JOIN visit ON ecg.subject = visit.subject AND ecg.time >= visit.time""",
        "latest admission",
    )
    for name in DIAGNOSES:
        work.query(
            f"""INSERT INTO found
            SELECT id, '{name}', (first.time IS NOT NULL)::INTEGER, coalesce(first.time, admitted),
                coalesce(first.source, {_NO_CODE})
            FROM stay LEFT JOIN (
                SELECT subject, min(time) AS time, arg_min(source, (time, place, source)) AS source
                FROM coded WHERE name = '{name}' GROUP BY subject
            ) first ON stay.subject = first.subject AND first.time <= stay.time"""
        )
    _add_smoker(work)
    work.query(
        f"""INSERT INTO found
        SELECT id, 'age_at_diabetes_years',
            least(anchor_age + year(date) - anchor_year, {_OLDEST_AT_DIAGNOSIS}, age), date, source
        FROM found JOIN person USING (id)
        WHERE name = 'diabetes' AND value = 1 AND age IS NOT NULL AND anchor_age + year(date) - anchor_year >= 0"""
    )
    for table in ("stay", "visit", "coded", "admission"):
        work.query(f"DROP TABLE {table}")


def names_of(codes: list[tuple[int, str]], rules: dict[str, Codes]) -> list[tuple[int, str, str]]:
    """Say what codes stand for.

    Args:
        codes: version (9, 10) and code of each.
        rules: name to its codes.

    Returns:
        Version, code and name; none, one or several rows for a code.

    Example:
        >>> rules = {"stroke": Codes(icd10=("G45*",), icd10_except=("G454",)), "diabetes": Codes(icd9=("250*",))}
        >>> names_of([(10, "G459"), (10, "G454"), (9, "25000")], rules)
        [(10, 'G459', 'stroke'), (9, '25000', 'diabetes')]
    """
    return [
        (version, code, name)
        for version, code in codes
        for name, rule in rules.items()
        if rule.match(version, code)
    ]


def _read_admissions(work: Workspace) -> None:
    """Tables `admission` (one row each) and `visit` (one row a time, with how many admissions there were by then)."""
    work.read(
        "admissions",
        ["subject_id", "hadm_id", "admittime"],
        """CREATE TABLE admission AS
        SELECT TRY_CAST(subject_id AS BIGINT) AS subject, TRY_CAST(hadm_id AS BIGINT) AS hadm,
            TRY_CAST(trim(admittime) AS TIMESTAMP) AS time
        FROM {rows} WHERE TRY_CAST(subject_id AS BIGINT) IN (SELECT subject FROM subject)""",
    )
    ((timeless,),) = work.query("SELECT count(*) FROM admission WHERE time IS NULL")
    work.drop("admissions", "diagnoses", "no admittime", timeless)
    work.query(
        """CREATE TABLE visit AS
        SELECT subject, time, max(number) AS number FROM (
            SELECT subject, time, row_number() OVER (PARTITION BY subject ORDER BY time) AS number
            FROM admission WHERE time IS NOT NULL
        ) GROUP BY subject, time"""
    )


def _read_codes(work: Workspace) -> None:
    """Table `coded`: subject, time of admission, name, source and place (seq_num) of each code that counts."""
    rules = work.concepts.diagnoses | {
        _CURRENT: work.concepts.smoking_current,
        _FORMER: work.concepts.smoking_former,
    }
    nine = as_expression(tuple(code for rule in rules.values() for code in rule.icd9))
    ten = as_expression(tuple(code for rule in rules.values() for code in rule.icd10))
    work.read(
        "diagnoses_icd",
        ["subject_id", "hadm_id", "seq_num", "icd_code", "icd_version"],
        f"""CREATE TABLE diagnosis AS
        SELECT * FROM (
            SELECT TRY_CAST(subject_id AS BIGINT) AS subject, TRY_CAST(hadm_id AS BIGINT) AS hadm,
                TRY_CAST(seq_num AS INTEGER) AS place, TRY_CAST(icd_version AS INTEGER) AS version,
                upper(replace(trim(icd_code), '.', '')) AS code
            FROM {{rows}} WHERE TRY_CAST(subject_id AS BIGINT) IN (SELECT subject FROM subject)
        ) WHERE CASE version WHEN 9 THEN regexp_full_match(code, {text(nine)})
            WHEN 10 THEN regexp_full_match(code, {text(ten)}) ELSE true END""",
    )
    unreadable = "FROM diagnosis WHERE version IS NULL OR version NOT IN (9, 10)"
    ((versionless,),) = work.query(f"SELECT count(*) {unreadable}")
    work.drop("diagnoses_icd", "diagnoses", "icd_version is neither 9 nor 10", versionless)
    work.query(f"DELETE {unreadable}")
    known = names_of(work.query("SELECT DISTINCT version, code FROM diagnosis ORDER BY ALL"), rules)
    work.query("CREATE TABLE meaning (version INTEGER, code VARCHAR, name VARCHAR)")
    if known:
        work.connection.executemany("INSERT INTO meaning VALUES (?, ?, ?)", known)
    work.query(
        """CREATE TABLE coded AS
        SELECT diagnosis.subject, admission.time, meaning.name, coalesce(place, 2147483647) AS place,
            'diagnoses_icd ' || version || ' ' || code AS source
        FROM diagnosis JOIN meaning USING (version, code)
            LEFT JOIN admission ON diagnosis.subject = admission.subject AND diagnosis.hadm = admission.hadm"""
    )
    for name, n in work.query("SELECT name, count(*) FROM coded WHERE time IS NULL GROUP BY name"):
        work.drop("diagnoses_icd", name, "its admission is not in admissions, or without admittime", n)
    work.query("DELETE FROM coded WHERE time IS NULL")
    work.query("DROP TABLE diagnosis")
    work.query("DROP TABLE meaning")


def _add_smoker(work: Workspace) -> None:
    """The latest admission with a smoking code decides; a current code goes before a former one."""
    work.step(
        f"""INSERT INTO found
        WITH telling AS (
            SELECT subject, time, max((name = '{_CURRENT}')::INTEGER) AS smokes,
                arg_min(source, (name <> '{_CURRENT}', place, source)) AS source
            FROM coded WHERE name IN ('{_CURRENT}', '{_FORMER}') GROUP BY subject, time
        )
        SELECT id, 'smoker', coalesce(smokes, 0), coalesce(telling.time, admitted),
            coalesce(source, {_NO_CODE})
        FROM stay ASOF LEFT JOIN telling ON stay.subject = telling.subject AND stay.time >= telling.time""",
        "smoking",
    )
