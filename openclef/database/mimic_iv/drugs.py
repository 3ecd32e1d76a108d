"""Drugs against high blood pressure, and statins, from the table prescriptions."""

from __future__ import annotations

from openclef.database.mimic_iv.concepts import DRUGS
from openclef.database.mimic_iv.workspace import Workspace, text, texts

NAMES = DRUGS


def add_drugs(work: Workspace) -> None:
    """Add drugs prescribed in the window before the ECGs to `found`; nothing where the table is missing.

    Args:
        work: the extraction; it has the tables `ecg`, `subject` and `found`.

    Source:
        MIMIC-IV documentation, hosp/prescriptions; the drugs are in concepts.toml.

    Example:
        >>> from pathlib import Path
        >>> from openclef.database.mimic_iv.concepts import read_concepts
        >>> from openclef.database.mimic_iv.workspace import open_workspace
        >>> with open_workspace(Path("nowhere"), read_concepts()) as work:
        ...     add_drugs(work)
    """
    if not work.has("prescriptions"):
        return
    routes = texts(work.concepts.routes_not_counted)
    listed = {name: word_expression(words) for name, words in work.concepts.drugs.items()}
    of_class = [f"regexp_matches(drug, {text(words)}, 'i') AS is_{name}" for name, words in listed.items()]
    chosen = [
        f"min(trim(drug)) FILTER (is_{name} AND counts) AS {name}, "
        f"count(*) FILTER (is_{name} AND NOT counts) AS {name}_passed_over"
        for name in listed
    ]
    work.read(
        "prescriptions",
        ["subject_id", "starttime", "drug", "route"],
        f"""CREATE TABLE prescribed AS
        SELECT subject, time, count(*) AS n, {", ".join(chosen)}
        FROM (
            SELECT TRY_CAST(subject_id AS BIGINT) AS subject, TRY_CAST(trim(starttime) AS TIMESTAMP) AS time, drug,
                coalesce(upper(trim(route)) NOT IN {routes}, true) AS counts, {", ".join(of_class)}
            FROM {{rows}} WHERE TRY_CAST(subject_id AS BIGINT) IN (SELECT subject FROM subject)
        ) GROUP BY subject, time""",
    )
    ((timeless,),) = work.query("SELECT coalesce(sum(n), 0) FROM prescribed WHERE time IS NULL")
    work.drop("prescriptions", "drugs", "no starttime", int(timeless))
    for name in listed:
        ((n,),) = work.query(f"SELECT coalesce(sum({name}_passed_over), 0) FROM prescribed")
        work.drop("prescriptions", name, "route of eye or ear", int(n))
    _add_window(work)
    for name in listed:
        work.step(
            f"""INSERT INTO found
            WITH of_class AS (SELECT subject, time, {name} AS drug FROM prescribed WHERE {name} IS NOT NULL)
            SELECT id, '{name}', coalesce(of_class.time >= opens, false)::INTEGER,
                CASE WHEN of_class.time >= opens THEN of_class.time ELSE latest END,
                CASE WHEN of_class.time >= opens THEN 'prescriptions ' || drug
                    ELSE 'no drug in ' || n || CASE n WHEN 1 THEN ' prescription' ELSE ' prescriptions' END END
            FROM treated ASOF LEFT JOIN of_class
                ON treated.subject = of_class.subject AND treated.time >= of_class.time""",
            name,
        )
    work.query("DROP TABLE treated")
    work.query("DROP TABLE prescribed")


def word_expression(words: tuple[str, ...]) -> str:
    r"""Write a regular expression that finds one of some words.

    Example:
        >>> word_expression(("losartan", "valsartan"))
        '\\b(losartan|valsartan)\\b'
        >>> word_expression(())
        '[^\\s\\S]'
    """
    return rf"\b({'|'.join(words)})\b" if words else r"[^\s\S]"


def _add_window(work: Workspace) -> None:
    """Table `treated`: the ECGs with prescriptions in the window, how many, and when the latest began."""
    work.step(
        f"""CREATE TABLE treated AS
        WITH running AS (
            SELECT subject, time, sum(n) OVER (PARTITION BY subject ORDER BY time) AS so_far
            FROM prescribed WHERE time IS NOT NULL
        ),
        latest AS (
            SELECT ecg.id, ecg.subject, ecg.time, ecg.time - INTERVAL {work.concepts.drug_days} DAY AS opens,
                running.time AS latest, so_far
            FROM ecg ASOF JOIN running ON ecg.subject = running.subject AND ecg.time >= running.time
        )
        SELECT latest.* EXCLUDE (so_far), (latest.so_far - coalesce(earlier.so_far, 0))::BIGINT AS n
        FROM latest ASOF LEFT JOIN running earlier
            ON latest.subject = earlier.subject AND latest.opens > earlier.time
        WHERE latest.latest >= latest.opens""",
        "prescriptions in the window",
    )
