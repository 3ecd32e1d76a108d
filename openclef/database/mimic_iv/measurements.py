"""Blood pressure, height, weight and body mass index, from the table omr."""

from __future__ import annotations

from openclef.database.mimic_iv.nearest import add_nearest
from openclef.database.mimic_iv.workspace import Workspace, plain_number, text, texts

NAMES = ("sbp_mmhg", "dbp_mmhg", "height_cm", "weight_kg", "bmi")
COMPUTED_BMI = "computed from height and weight"

_MEDIAN = "(v[(len(v) + 1) // 2] + v[len(v) // 2 + 1]) / 2"  # of the sorted list v: of its two middle ones


def add_measurements(work: Workspace) -> None:
    """Add blood pressure, height, weight and BMI of the nearest day to `found`; nothing where the table is missing.

    Args:
        work: the extraction; it has the tables `ecg`, `subject` and `found`.

    Source:
        MIMIC-IV documentation, hosp/omr; the choices are in concepts.toml.

    Example:
        >>> from pathlib import Path
        >>> from openclef.database.mimic_iv.concepts import read_concepts
        >>> from openclef.database.mimic_iv.workspace import open_workspace
        >>> with open_workspace(Path("nowhere"), read_concepts()) as work:
        ...     add_measurements(work)
    """
    if not work.has("omr"):
        return
    ranks = {name: rank for rank, group in enumerate(work.concepts.postures) for name in group}
    factors = {
        result: (name, factor)
        for name, rules in work.concepts.measurements.items()
        for result, factor in rules.results.items()
    }
    work.read(
        "omr",
        ["subject_id", "chartdate", "result_name", "result_value"],
        f"""CREATE TABLE omr AS
        SELECT TRY_CAST(subject_id AS BIGINT) AS subject, TRY_CAST(trim(chartdate) AS DATE)::TIMESTAMP AS time,
            trim(result_name) AS result, trim(result_value) AS value
        FROM {{rows}}
        WHERE trim(result_name) IN {texts([*ranks, *factors])}
            AND TRY_CAST(subject_id AS BIGINT) IN (SELECT subject FROM subject)""",
    )
    work.query(
        "CREATE TABLE day (subject BIGINT, name VARCHAR, time TIMESTAMP, value DOUBLE, source VARCHAR)"
    )
    _add_pressure(work, ranks)
    for name, rules in work.concepts.measurements.items():
        _add_numbers(work, name, rules.results, rules.plausible)
    work.query("DROP TABLE omr")
    add_nearest(work, "day", days_only=True)
    work.query("DROP TABLE day")
    low, high = work.concepts.measurements["bmi"].plausible
    work.query(
        f"""INSERT INTO found
        SELECT id, 'bmi', computed, date, {text(COMPUTED_BMI)} FROM (
            SELECT weight.id, weight.date,
                weight.value / ((height.value / 100) * (height.value / 100)) AS computed
            FROM found weight JOIN found height USING (id)
            WHERE weight.name = 'weight_kg' AND height.name = 'height_cm'
                AND weight.id NOT IN (SELECT id FROM found WHERE name = 'bmi')
        ) WHERE computed BETWEEN {low} AND {high}"""
    )


def _add_pressure(work: Workspace, ranks: dict[str, int]) -> None:
    """Each day's median pair of the preferred posture."""
    (low, high), (low_dbp, high_dbp) = work.concepts.sbp_mmhg, work.concepts.dbp_mmhg
    rank = " ".join(f"WHEN {text(name)} THEN {place}" for name, place in ranks.items())
    work.query(
        f"""CREATE TABLE pressure AS
        SELECT *, CASE WHEN time IS NULL THEN 'no chartdate' WHEN value IS NULL THEN 'no value'
            WHEN sbp IS NULL OR dbp IS NULL THEN 'not a pair of numbers'
            WHEN sbp NOT BETWEEN {low} AND {high} OR dbp NOT BETWEEN {low_dbp} AND {high_dbp} OR sbp <= dbp
                THEN 'implausible' END AS reason
        FROM (
            SELECT subject, time, result, value, CASE result {rank} END AS rank,
                CASE WHEN len(pair) = 2 THEN {plain_number("pair[1]")} END AS sbp,
                CASE WHEN len(pair) = 2 THEN {plain_number("pair[2]")} END AS dbp
            FROM (SELECT *, string_split(value, '/') AS pair FROM omr WHERE result IN {texts(list(ranks))})
        )"""
        if ranks
        else "CREATE TABLE pressure (subject BIGINT, time TIMESTAMP, result VARCHAR, rank INTEGER, sbp DOUBLE, "
        "dbp DOUBLE, reason VARCHAR)"
    )
    _count_dropped(work, "pressure", "blood pressure")
    for name, column in (("sbp_mmhg", "sbp"), ("dbp_mmhg", "dbp")):
        work.query(
            f"""INSERT INTO day
            SELECT subject, '{name}', time, {_MEDIAN}, 'omr ' || result FROM (
                SELECT subject, time, list_sort(list({column})) AS v, min(result) AS result FROM (
                    SELECT *, min(rank) OVER (PARTITION BY subject, time) AS best FROM pressure WHERE reason IS NULL
                ) WHERE rank = best GROUP BY subject, time
            )"""
        )
    work.query("DROP TABLE pressure")


def _add_numbers(
    work: Workspace, name: str, results: dict[str, float], plausible: tuple[float, float]
) -> None:
    """Each day's median of the plausible numbers."""
    factor = " ".join(f"WHEN {text(result)} THEN {value!r}" for result, value in results.items())
    if not results:
        return
    work.query(
        f"""CREATE TABLE measured AS
        SELECT *, CASE WHEN time IS NULL THEN 'no chartdate' WHEN value IS NULL THEN 'no value'
            WHEN number IS NULL THEN 'not a number'
            WHEN number NOT BETWEEN {plausible[0]} AND {plausible[1]} THEN 'implausible' END AS reason
        FROM (
            SELECT subject, time, result, value, {plain_number("value")} * (CASE result {factor} END)::DOUBLE AS number
            FROM omr WHERE result IN {texts(list(results))}
        )"""
    )
    _count_dropped(work, "measured", name)
    work.query(
        f"""INSERT INTO day
        SELECT subject, '{name}', time, {_MEDIAN}, 'omr ' || result FROM (
            SELECT subject, time, list_sort(list(number)) AS v, min(result) AS result
            FROM measured WHERE reason IS NULL GROUP BY subject, time
        )"""
    )
    work.query("DROP TABLE measured")


def _count_dropped(work: Workspace, table: str, name: str) -> None:
    counts = f"SELECT reason, count(*) FROM {table} WHERE reason IS NOT NULL GROUP BY reason"
    for reason, n in work.query(counts):
        work.drop("omr", name, reason, n)
