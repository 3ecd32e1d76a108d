"""The ECGs of record_list.csv, and from the table patients their subjects' age and sex."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from openclef.database.mimic_iv.workspace import Workspace, plain_number

if TYPE_CHECKING:
    import pyarrow as pa

LIST_COLUMNS = ("subject_id", "study_id", "ecg_time")

OVER_89 = 91
"""The anchor_age that stands for everyone over 89."""

OLDEST = 89
OLDEST_BECOMES = 90
OLDEST_POSSIBLE = 130  # older by the dates: an error of the dates


def read_list(path: str | Path) -> pa.Table:
    r"""Read MIMIC-IV-ECG's list of records.

    Args:
        path: record_list.csv, or the folder that holds it.

    Returns:
        Columns record_id (study_id), subject_id and ecg_time as text, in the list's order.

    Raises:
        FileNotFoundError: if it is missing.
        ValueError: if it is damaged, lacks a column, is empty or lists a study twice.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     file = Path(folder, "record_list.csv")
        ...     _ = file.write_text("subject_id,study_id,ecg_time\n10001725,41420867,2180-05-06 22:23:00\n")
        ...     read_list(folder).to_pylist()
        [{'record_id': '41420867', 'subject_id': '10001725', 'ecg_time': '2180-05-06 22:23:00'}]
    """
    import pyarrow as pa
    import pyarrow.compute as pc
    from pyarrow import csv

    path = Path(path) / "record_list.csv" if Path(path).is_dir() else Path(path)
    if not path.is_file():
        raise FileNotFoundError(
            f"{path} is missing; pass ecgs=<record_list.csv of MIMIC-IV-ECG, "
            "https://physionet.org/content/mimic-iv-ecg/>"
        )
    options = csv.ConvertOptions(
        include_columns=list(LIST_COLUMNS),
        column_types=dict.fromkeys(LIST_COLUMNS, pa.string()),
        strings_can_be_null=False,
    )
    try:
        listed = csv.read_csv(path, convert_options=options)
    except (pa.ArrowInvalid, pa.ArrowKeyError, OSError) as error:
        raise ValueError(
            f"{path} is damaged or lacks one of {', '.join(LIST_COLUMNS)} ({str(error).splitlines()[0]}); fetch it "
            "again"
        ) from None
    listed = listed.select(["study_id", "subject_id", "ecg_time"]).rename_columns(
        ["record_id", "subject_id", "ecg_time"]
    )
    if not len(listed):
        raise ValueError(f"{path} lists no ECG; fetch it again")
    wrong = listed.filter(pc.invert(pc.match_substring_regex(listed["subject_id"], r"^\s*\d{1,18}\s*$")))
    if len(wrong):
        raise ValueError(
            f"{path} has the subject_id {wrong['subject_id'][0].as_py()!r}; accepted are numbers: fetch it again"
        )
    counts = pc.value_counts(listed["record_id"])
    twice = pc.filter(counts.field("values"), pc.greater(counts.field("counts"), 1))
    if len(twice) or pc.any(pc.equal(listed["record_id"], "")).as_py():
        raise ValueError(
            f"{path} lists the study_id {twice[0].as_py() if len(twice) else ''!r} twice or empty; each ECG is one "
            "row: fetch it again"
        )
    return listed


def add_ecgs(work: Workspace, listed: pa.Table) -> None:
    """Make the tables `ecg` (id, subject, time) and `subject`, which everything else is matched to.

    Args:
        work: the extraction.
        listed: of `read_list`.

    Example:
        >>> import pyarrow as pa
        >>> from openclef.database.mimic_iv.concepts import read_concepts
        >>> from openclef.database.mimic_iv.workspace import open_workspace
        >>> listed = pa.table({"record_id": ["7"], "subject_id": ["1"], "ecg_time": ["2180-05-06 22:23:00"]})
        >>> with open_workspace(Path("nowhere"), read_concepts()) as work:
        ...     add_ecgs(work, listed)
        ...     work.query("SELECT * FROM ecg")
        [(0, 1, datetime.datetime(2180, 5, 6, 22, 23))]
    """
    import numpy as np

    numbered = listed.append_column("id", [np.arange(len(listed), dtype=np.int32)])
    work.connection.register("listed", numbered)
    work.query(
        "CREATE TABLE ecg AS SELECT id, TRY_CAST(trim(subject_id) AS BIGINT) AS subject, "
        "TRY_CAST(trim(ecg_time) AS TIMESTAMP) AS time FROM listed"
    )
    work.connection.unregister("listed")
    work.query("CREATE TABLE subject AS SELECT DISTINCT subject FROM ecg")
    ((unreadable,),) = work.query("SELECT count(*) FROM ecg WHERE time IS NULL")
    work.drop("record_list", "ecg_time", "no date and time: nothing but the sex is known", unreadable)
    if unreadable == len(listed):
        raise ValueError(
            f"no ecg_time of the list can be read, for example {listed['ecg_time'][0].as_py()!r}; accepted is "
            "2180-05-06 22:23:00: fetch record_list.csv again"
        )


def add_people(work: Workspace) -> None:
    """Make the table `person`: for each ECG age (years), over_89 (1, 0), sex and the calendar year, to within one.

    The age is anchor_age and the years from anchor_year to the ECG's; above 89, or with an anchor_age of 91, it is
    90. A calendar year is the middle of anchor_year_group and the same years.

    Args:
        work: the extraction; it has the table `ecg`.

    Raises:
        FileNotFoundError: if the table patients is missing.
        ValueError: if it is damaged, or has a subject twice.

    Source:
        MIMIC-IV documentation, hosp/patients.

    Example:
        >>> from openclef.database.mimic_iv.concepts import read_concepts
        >>> from openclef.database.mimic_iv.workspace import open_workspace
        >>> with open_workspace(Path("nowhere"), read_concepts()) as work:
        ...     add_people(work)
        Traceback (most recent call last):
        FileNotFoundError: nowhere/patients.csv.gz is missing. MIMIC-IV needs credentialed access: ...
    """
    columns = ["subject_id", "gender", "anchor_age", "anchor_year"]
    with_group = "anchor_year_group" in work.columns("patients")
    group = "anchor_year_group" if with_group else "NULL"
    work.read(
        "patients",
        columns,
        f"""CREATE TABLE anchor AS
        SELECT TRY_CAST(subject_id AS BIGINT) AS subject, upper(trim(gender)) AS gender,
            {plain_number("anchor_age")} AS age, TRY_CAST(anchor_year AS INTEGER) AS year,
            TRY_CAST(regexp_extract({group}, '[0-9]{{4}}') AS INTEGER) + 1 AS calendar_year
        FROM {{rows}} WHERE TRY_CAST(subject_id AS BIGINT) IN (SELECT subject FROM subject)""",
    )
    twice = work.query("SELECT subject FROM anchor GROUP BY subject HAVING count(*) > 1 LIMIT 1")
    if twice:
        raise ValueError(
            f"{work.files['patients']} has the subject {twice[0][0]} twice; pass MIMIC-IV's table as it was fetched"
        )
    if not work.query("SELECT 1 FROM anchor LIMIT 1"):
        raise ValueError(
            f"{work.files['patients']} has none of the subjects of the list of ECGs; pass the tables and the list "
            "of one hospital"
        )
    ((sexless, ageless),) = work.query(
        "SELECT count(*) FILTER (gender IS NULL OR gender NOT IN ('F', 'M')), "
        "count(*) FILTER (age IS NULL OR NOT age > 0 OR year IS NULL) FROM anchor"
    )
    work.drop("patients", "sex", "gender neither F nor M", sexless)
    work.drop("patients", "age_years", "no anchor_age, or 0", ageless)
    work.query(
        f"""CREATE TABLE person AS
        WITH aged AS (
            SELECT ecg.id, ecg.subject, gender, anchor.age AS anchor_age, anchor.year AS anchor_year,
                CASE WHEN anchor.age > 0 AND anchor.age + year(ecg.time) - anchor.year <= {OLDEST_POSSIBLE}
                    THEN anchor.age + year(ecg.time) - anchor.year END AS age,
                anchor.age + year(ecg.time) - anchor.year > {OLDEST_POSSIBLE} AS impossible,
                calendar_year + year(ecg.time) - anchor.year AS calendar_year
            FROM ecg LEFT JOIN anchor USING (subject)
        )
        SELECT id, subject, anchor_age, anchor_year, calendar_year, impossible,
            CASE gender WHEN 'F' THEN 'female' WHEN 'M' THEN 'male' ELSE '' END AS sex,
            CASE WHEN age IS NULL THEN NULL WHEN anchor_age >= {OVER_89} OR age > {OLDEST} THEN {OLDEST_BECOMES}
                WHEN age >= 0 THEN age END::DOUBLE AS age,
            CASE WHEN age >= 0 OR (anchor_age >= {OVER_89} AND age IS NOT NULL)
                THEN (anchor_age >= {OVER_89} OR age > {OLDEST})::INTEGER END::DOUBLE AS over_89
        FROM aged"""
    )
    ((before_birth,),) = work.query(
        "SELECT count(*) FROM person JOIN ecg USING (id) WHERE age IS NULL AND anchor_age > 0 "
        "AND anchor_year IS NOT NULL AND time IS NOT NULL AND NOT impossible"
    )
    ((impossible,),) = work.query("SELECT count(*) FROM person WHERE impossible")
    work.drop("record_list", "age_years", f"older than {OLDEST_POSSIBLE} years by the dates", impossible)
    work.drop("record_list", "age_years", "ECG before the year of birth", before_birth)
