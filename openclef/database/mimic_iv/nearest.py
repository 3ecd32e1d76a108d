"""The value nearest an ECG in time, of all ECGs at once: ASOF joins, no loop over records."""

from __future__ import annotations

from openclef.database.mimic_iv.workspace import Workspace

FOUND = "CREATE TABLE found (id INTEGER, name VARCHAR, value DOUBLE, date TIMESTAMP, source VARCHAR)"
"""What was found: at most one row for an ECG and a name."""


def add_nearest(work: Workspace, events: str, *, days_only: bool) -> None:
    """Add to `found` each ECG's nearest event of each name within the window; of two equally near the earlier.

    Args:
        work: the extraction; it has the tables `ecg` and `found`.
        events: a table (subject, name, time, value, source), at most one row for a subject, name and time.
        days_only: times are dates: compare them with the ECG's date.

    Example:
        >>> from pathlib import Path
        >>> from openclef.database.mimic_iv.concepts import read_concepts
        >>> from openclef.database.mimic_iv.workspace import open_workspace
        >>> with open_workspace(Path("nowhere"), read_concepts()) as work:
        ...     _ = work.query(FOUND)
        ...     _ = work.query("CREATE TABLE ecg AS SELECT 0 id, 7 subject, TIMESTAMP '2150-03-04 12:00:00' AS time")
        ...     _ = work.query('''CREATE TABLE event AS FROM (VALUES
        ...         (7, 'bmi', TIMESTAMP '2150-03-02', 21.0, 'a'), (7, 'bmi', TIMESTAMP '2150-03-06', 22.0, 'b'),
        ...         (8, 'bmi', TIMESTAMP '2150-03-04', 23.0, 'c')) event(subject, name, time, value, source)''')
        ...     add_nearest(work, "event", days_only=True)
        ...     work.query("SELECT id, name, value, source FROM found")
        [(0, 'bmi', 21.0, 'a')]
    """
    moment = "date_trunc('day', time)" if days_only else "time"
    before, after = work.concepts.before_days, work.concepts.after_days
    work.step(
        f"""INSERT INTO found
        WITH wanted AS (
            SELECT id, subject, name, ({moment})::TIMESTAMP AS moment
            FROM ecg CROSS JOIN (SELECT DISTINCT name FROM {events}) WHERE time IS NOT NULL
        ),
        earlier AS (
            SELECT wanted.*, event.time AS before, event.value AS value_before, event.source AS source_before
            FROM wanted ASOF LEFT JOIN {events} event
                ON wanted.subject = event.subject AND wanted.name = event.name AND wanted.moment >= event.time
        ),
        both_sides AS (
            SELECT earlier.*, event.time AS after, event.value AS value_after, event.source AS source_after,
                coalesce(before >= moment - INTERVAL {before} DAY, false) AS has_before,
                coalesce(after <= moment + INTERVAL {after} DAY, false) AS has_after
            FROM earlier ASOF LEFT JOIN {events} event
                ON earlier.subject = event.subject AND earlier.name = event.name AND earlier.moment < event.time
        ),
        chosen AS (
            SELECT *, has_before AND (NOT has_after OR moment - before <= after - moment) AS is_before FROM both_sides
        )
        SELECT id, name, CASE WHEN is_before THEN value_before ELSE value_after END,
            CASE WHEN is_before THEN before ELSE after END,
            CASE WHEN is_before THEN source_before ELSE source_after END
        FROM chosen WHERE has_before OR has_after""",
        "nearest the ECGs",
    )
